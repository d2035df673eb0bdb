"""Which runs an orchestrator takes up by itself, and which it leaves alone."""

import asyncio
from typing import Any

import pytest

from orchwf import Orchestrator, RunStatus, UsageError, WorkflowChangedError, make_workflow, step
from orchwf.ports import Renewal
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate


class Counting(MemoryStore):
    """Tells how often somebody looked for runs to take up."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: asyncio.Queue[None] = asyncio.Queue()

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        self.looked.put_nowait(None)
        return await super().renew(owner, lease, near=near)


def chain(gate: Gate) -> type:
    """A workflow of one step, which waits at the gate."""

    @step
    async def a() -> None:
        await gate.pass_through()

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


def one() -> int:
    return 1


def named(*names: str, **options: Any) -> type:
    """A workflow of these steps."""
    return make_workflow("Chain", dict.fromkeys(names, one), **options)


async def failed(store: MemoryStore) -> None:
    """A run `r` of two steps, the second of which failed."""

    def b() -> int:
        raise ValueError("no")

    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(make_workflow("Chain", {"a": one, "b": b})(), run_id="r")).wait()


async def test_a_changed_graph_is_adopted_once():
    """Whoever resumes a run may accept another graph for it, whatever the workflow says."""
    store, other = MemoryStore(), named("a", "b", "c")
    await failed(store)

    async with Orchestrator(store) as orchestrator:
        with pytest.raises(WorkflowChangedError, match=r"resume\(\.\.\., on_change='adopt'\)"):
            await orchestrator.resume("r", workflow=other)
        with pytest.raises(UsageError, match="on_change takes 'refuse' or 'adopt', not 'yes'"):
            await orchestrator.resume("r", workflow=other, on_change="yes")  # type: ignore[arg-type]
        result = await (await orchestrator.resume("r", workflow=other, on_change="adopt")).result()

    assert ["a", "b", "c"] == list(result.steps)
    assert RunStatus.COMPLETED is result.status


async def test_a_graph_that_would_be_adopted_is_refused_once():
    """It goes the other way round, too."""
    store = MemoryStore()
    await failed(store)
    other = named("a", "c", on_change="adopt")

    async with Orchestrator(store) as orchestrator:
        with pytest.raises(WorkflowChangedError):
            await orchestrator.resume("r", workflow=other, on_change="refuse")


async def test_the_workflow_of_a_fork_may_be_given_with_it():
    """As with a resume: nothing else of that workflow is taken up."""
    store = MemoryStore()
    await failed(store)

    async with Orchestrator(store) as orchestrator:
        fork = await orchestrator.fork("r", "b", workflow=named("a", "b"))
        result = await fork.result()

    assert ("r", RunStatus.COMPLETED) == (result.forked_from, result.status)
    assert 0 == result.steps["a"].attempt
