"""
An application that ends in good order on signals: its own handler, its own exit codes.

Called as `python -m tests.processes.application STORE WORKFLOW GRACE UNTIL`: it starts the run `r`, or takes it up, and
stays until it has its `result`, has followed its `events` to the end, or its own handler was called for a `signal`.
"""

import asyncio
import signal
import sys
import threading
import time
from types import FrameType

from orchwf import Orchestrator, RunInterruptedError, StepContext, step, workflow
from tests.processes.flows import note

COMPLETED, INTERRUPTED = 3, 75
"""The exit codes of the program's choosing."""

OWN = {signal.SIGTERM: "own SIGTERM", signal.SIGINT: "own SIGINT"}


@workflow
class Polite:
    """A body on a thread that looks whether it is to end, one that is cancelled, and one that ends before that."""

    @step
    def look(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        while ctx.attempt == 1 and not ctx.cancelled:
            time.sleep(0.001)
        note(ctx, "end")
        return ctx.attempt

    @step
    async def wait(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        try:
            if ctx.attempt == 1:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            note(ctx, "cancelled")
            raise
        return ctx.attempt

    @step
    async def last(self, ctx: StepContext, a: int = look.result, b: int = wait.result) -> int:
        note(ctx, "begin")
        return ctx.attempt


@workflow
class Stubborn:
    """A coroutine that swallows its cancellation for ever."""

    @step
    async def go_on(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        while ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note(ctx, "cancelled")
        return ctx.attempt


@workflow
class Stuck:
    """A thread that never returns."""

    @step
    def hang(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        if ctx.attempt == 1:
            threading.Event().wait()
        return ctx.attempt


WORKFLOWS: dict[str, type] = {each.__name__: each for each in (Polite, Stubborn, Stuck)}
"""Name -> class."""


async def main(store: str, name: str, grace: float, until: str) -> int:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def own(number: int, frame: FrameType | None) -> None:
        print(OWN[signal.Signals(number)], flush=True)
        loop.call_soon_threadsafe(asked.set)

    for number in OWN:
        signal.signal(number, own)
    code = COMPLETED
    try:
        async with Orchestrator(
            store, workflows=list(WORKFLOWS.values()), grace=grace, stop_on=tuple(OWN)
        ) as orchestrator:
            run = await orchestrator.start(WORKFLOWS[name](), run_id="r", on_duplicate="attach")
            match until:
                case "result":
                    await run.result()
                case "events":
                    async for _ in run.events(follow=True):
                        pass
                case _:
                    await asked.wait()
    except RunInterruptedError as error:
        print(type(error).__name__, flush=True)
        code = INTERRUPTED
    if all(signal.getsignal(number) is own for number in OWN):
        print("handlers are back", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])))
