"""
Writes the database that is kept as this release wrote it:  python tests/stores/golden/write.py FILE

It holds a run of each kind that a later release has to open, to migrate and to go on with. It is run once per release,
in a checkout of it, and its file is kept beside it for good.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from orchwf import Orchestrator, Retry, StepContext, signal, sleep, step, subflow
from orchwf import make_workflow as make_typed_workflow

make_workflow: Any = make_typed_workflow

Gate = asyncio.Event


def flows(broken: bool, gate: Gate) -> dict[str, Any]:
    """The workflows: `broken` lets steps fail, `gate` lets them wait until their process goes."""

    async def one() -> int:
        return 1

    async def fails(one: int) -> int:
        if broken:
            raise ValueError("broken")
        return one + 1

    async def waits(ctx: StepContext) -> str:
        ctx.heartbeat({"row": ctx.attempt})
        if broken:
            gate.set()
            await asyncio.Event().wait()
        return f"attempt {ctx.attempt} after {ctx.last_heartbeat}"

    async def undo(output: int | None) -> None:
        if broken:
            raise ConnectionError("closed")

    def undoable(name: str) -> Any:
        made = step(one, name=name)
        made.compensate(undo)
        return made

    last = step(depends_on=["waits"])(one)
    return {
        "Completes": make_workflow("Completes", {"one": one}),
        "Fails": make_workflow("Fails", {"one": one, "fails": step(retries=Retry(1, initial=0))(fails)}),
        "Waits": make_workflow("Waits", {"one": one, "waits": waits, "last": last}),
        "Once": make_workflow("Once", {"waits": step(delivery="at_most_once")(waits), "last": last}),
        "Undoes": make_workflow("Undoes", [undoable("one"), step(fails, name="fails")]),
        "Exhausted": make_workflow("Exhausted", {"one": one, "fails": step(on_exhausted="pause")(fails)}),
    }


def flows_with_items(broken: bool, gate: Gate) -> dict[str, Any]:
    """The same, of steps that have items: each comes to its second one."""

    async def once_more(number: int) -> None:
        if broken and number == 2:
            gate.set()
            await asyncio.Event().wait()

    async def rows() -> list[int]:
        return [1, 2, 3]

    async def each(x: int, ctx: StepContext) -> str:
        await once_more(x)
        return f"{x} as {ctx.item}"

    async def follows(x: str) -> str:
        return x.upper()

    async def stream() -> AsyncIterator[int]:
        for number in (1, 2, 3):
            await once_more(number)
            yield number

    async def grow(n: int) -> int:
        await once_more(n)
        return n + 1

    source: Any = step(rows, name="source")
    items: Any = step(name="items", depends_on={"x": source.each}, max_parallel=1)(each)
    given: Any = step(stream, name="given")
    loop = step(name="loop", until=lambda n: n == 4)(grow)
    return {
        "Items": make_workflow("Items", [source, items, step(name="last", depends_on={"x": items.each})(follows)]),
        "Stream": make_workflow("Stream", [given, step(name="last", depends_on={"x": given.each})(lambda x: -x)]),
        "Loop": make_workflow("Loop", [loop], inputs={"n": (int, 1)}),
    }


def flows_that_wait(broken: bool) -> dict[str, Any]:
    """The same, of those that wait for something outside, or for a run that does."""

    async def works(word: str) -> str:
        if broken:
            raise ValueError("broken")
        return word

    word = signal(str)
    inner: Any = make_workflow("Inner", {"word": word, "last": step(depends_on={"x": word.result})(lambda x: x * 2)})
    failing: Any = make_workflow("Failing", {"works": step(works)}, inputs={"word": (str, "done")})

    async def start() -> inner:
        return inner()

    async def start_failing() -> failing:
        return failing()

    nap, waits, fails = sleep("1h"), subflow(start), subflow(start_failing)
    return {
        "Signal": make_workflow("Signal", {"word": signal(str, timeout="9d", default="none")}),
        "Sleeps": make_workflow("Sleeps", {"nap": nap, "last": step(lambda: 1, depends_on="nap")}),
        "Parent": make_workflow("Parent", {"waits": waits, "last": step(lambda: 1, depends_on="waits")}),
        "Outer": make_workflow("Outer", {"fails": fails}),
        "Later": make_workflow("Later", {"one": step(lambda: 1)}),
    }


async def write_waiting(orchestrator: Orchestrator, gate: Gate) -> None:
    """Let those runs come to where they are to be found."""
    with_items, made = flows_with_items(True, gate), flows_that_wait(True)
    for name in with_items:
        gate.clear()
        await orchestrator.start(with_items[name](), run_id=name)
        await gate.wait()
    await (await orchestrator.start(made["Outer"](), run_id="Outer")).wait()
    await orchestrator.start(made["Later"](), run_id="Later", not_before="1h")
    for name in ("Signal", "Sleeps", "Parent"):
        await orchestrator.start(made[name](), run_id=name)
    for _ in range(1000):
        asleep = {record.id for record in await orchestrator.list_runs() if record.wake_at is not None}
        if asleep >= {"Signal", "Sleeps", "Parent", "Parent/waits"}:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("they do not fall asleep")


async def main(store: str) -> None:
    """Let each of them come to where it is to be found."""
    gate = Gate()
    made = flows(True, gate)
    async with Orchestrator(store, grace=0) as orchestrator:
        daily = await orchestrator.schedule(
            made["Completes"](), cron="0 6 * * *", tz="Europe/Berlin", overlap="queue", catchup="1d", jitter="30s"
        )
        await daily.pause()
        for name in ("Completes", "Fails", "Undoes", "Exhausted"):
            await (await orchestrator.start(made[name](), run_id=name, tags={"kind": name})).wait()
        for name in ("Waits", "Once", "Cancelled"):
            gate.clear()
            await orchestrator.start(made.get(name, made["Waits"])(), run_id=name, metadata={"kind": [name]})
            await gate.wait()
        cancelled = await orchestrator.get("Cancelled")
        await cancelled.cancel("enough")
        await cancelled.wait()
        waits = await orchestrator.get("Waits")
        async for event in waits.events(follow=True):
            if event.kind == "step.heartbeat":
                break
        await write_waiting(orchestrator, gate)


if __name__ == "__main__":
    asyncio.run(main(f"sqlite:///{Path(sys.argv[1]).absolute()}"))
