"""
Writes the database that is kept as this release wrote it:  python tests/stores/golden/write.py FILE

It holds a run of each kind that a later release has to open, to migrate and to go on with. It is run once per release,
in a checkout of it, and its file is kept beside it for good.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from orchwf import Orchestrator, Retry, StepContext, make_workflow, step

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


async def main(store: str) -> None:
    """Let each of them come to where it is to be found."""
    gate = Gate()
    made = flows(True, gate)
    async with Orchestrator(store, grace=0) as orchestrator:
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


if __name__ == "__main__":
    asyncio.run(main(f"sqlite:///{Path(sys.argv[1]).absolute()}"))
