"""
A program that is killed: it runs a workflow on a store, and notes when each body begins.

Called as `crashing.py STORE RUN_ID SIDE_EFFECTS [COUNT]`: each body appends its name to the file of side effects, and
the one that makes it so many lines kills the process. Without a count an unfinished run is taken up.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from orchwf import Orchestrator, StepContext, step, workflow


def note(line: str) -> None:
    """Append a line to the file of side effects, and die if it was to be the last."""
    effects = Path(sys.argv[3])
    with effects.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    if len(sys.argv) > 4 and len(effects.read_text().splitlines()) >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)


@workflow
class Branching:
    """Two branches of five steps each, one on threads, and their sum."""

    @step
    async def start(self, ctx: StepContext) -> int:
        note("start")
        return 1

    @step(retries=2)
    async def a1(self, ctx: StepContext, x: int = start.result) -> int:
        note("a1")
        await asyncio.sleep(0.002)
        return x + 1

    @step
    async def a2(self, x: int = a1.result) -> int:
        note("a2")
        await asyncio.sleep(0.002)
        return x + 1

    @step
    def b1(self, x: int = start.result) -> int:
        note("b1")
        return x + 10

    @step
    def b2(self, x: int = b1.result) -> int:
        note("b2")
        return x + 10

    @step
    def b3(self, x: int = b2.result) -> int:
        note("b3")
        return x + 10

    @step
    async def total(self, a: int = a2.result, b: int = b3.result) -> int:
        note("total")
        return a + b


async def main() -> None:
    store, run_id, _, *count = sys.argv[1:]
    async with Orchestrator(store, workflows=[Branching]) as orchestrator:
        if count:
            run = await orchestrator.start(Branching(), run_id=run_id)
        else:
            run = await orchestrator.get(run_id)
        print((await run.result())[Branching.total], flush=True)


if __name__ == "__main__":
    asyncio.run(main())
