"""Which runs an orchestrator takes up by itself, and which it leaves alone."""

import asyncio
from collections.abc import Callable

from orchwf import Orchestrator, RunStatus, make_workflow, step
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate


class Counting(MemoryStore):
    """Tells how often somebody looked for runs to take up."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: asyncio.Queue[None] = asyncio.Queue()

    async def owners(self) -> dict[str | None, bool]:
        self.looked.put_nowait(None)
        return await super().owners()


def chain(gate: Gate, number: Callable[[], int] = int) -> type:
    """A workflow of one step, which waits at the gate."""

    @step
    async def a() -> int:
        await gate.pass_through()
        return number()

    return make_workflow("Chain", [a])


async def test_what_was_only_started_here_is_not_looked_for_elsewhere():
    """Who starts one run did not ask for the interrupted ones of its workflow: those are left to be resumed."""
    store, gate = Counting(), Gate()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(chain(gate)(), run_id="left")
        await gate.came.get()

    async with Orchestrator(store, lease=0.03, grace=0) as orchestrator:
        await orchestrator.start(chain(gate)(), run_id="new")
        for _ in range(5):
            await store.looked.get()
        left = await store.get("left")

    assert left is not None
    assert (RunStatus.RUNNING, None) == (left.status, left.owner)
