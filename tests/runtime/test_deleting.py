"""What goes with a run that is deleted or pruned, and what stays."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchwf import Orchestrator, RunStatus, UsageError, make_workflow, step, subflow, workflow
from orchwf.core.events import StepCompleted
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.runtime.flows import Gate, is_status, sleeps, statuses_of, until

GATES: dict[str, Gate] = {}
"""By the name of who waits there; who has none goes on."""


@pytest.fixture(autouse=True)
def no_gates() -> Iterator[None]:
    GATES.clear()
    yield
    GATES.clear()


@workflow
class Child:
    """What others start."""

    name: str = "it"

    @step
    async def work(self) -> str:
        if self.name in GATES:
            await GATES[self.name].pass_through()
        return self.name


@workflow
class Parent:
    """Waits for a child."""

    @subflow
    def child(self) -> Child:
        return Child()


@workflow
class Countdown:
    """Starts itself, as often as its input says."""

    n: int

    @subflow(when=lambda self: self.n > 0)
    def inner(self) -> "Countdown":
        return Countdown(n=self.n - 1)


def per_name(*names: str) -> Any:
    """Starts a run for each of these."""

    async def body(name: str) -> Child:
        return Child(name=name)

    source = step(lambda: list(names), name="source")
    return make_workflow("PerName", [source, subflow(name="each", depends_on={"name": source.each})(body)])


async def test_a_run_goes_with_all_that_it_started_however_deep():
    """Others of the same workflow stay."""
    store = MemoryStore()

    async with TestOrchestrator(store) as orchestrator:
        await orchestrator.run(Countdown(n=3), run_id="r")
        await orchestrator.run(Countdown(n=0), run_id="other")
        assert 5 == len(await statuses_of(store))
        await orchestrator.delete("r")

    assert {"other": RunStatus.COMPLETED} == await statuses_of(store)


async def test_a_run_is_pruned_with_all_that_it_started_however_deep():
    """Each of them counts, once."""
    store, clock = MemoryStore(), FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.run(Countdown(n=3), run_id="r")
        await clock.advance("1d")
        await orchestrator.run(Countdown(n=0), run_id="other")
        pruned = await orchestrator.prune(older_than="1h")

    assert 4 == pruned
    assert {"other": RunStatus.COMPLETED} == await statuses_of(store)


async def test_a_run_whose_child_another_orchestrator_executes_stays():
    """Though it sleeps itself meanwhile: the child would go on without it."""
    store, gate = MemoryStore(), Gate()
    GATES["it"] = gate
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(Parent(), run_id="r")
        await gate.came.get()

    # Of these two the first one knows the child only.
    async with Orchestrator(store, workflows=[Child]) as one:
        await gate.came.get()
        async with Orchestrator(store, workflows=[Parent]) as other:
            await until(lambda: sleeps(store, "r"))
            with pytest.raises(UsageError, match="run 'r/child', which run 'r' has started, is being executed"):
                await other.delete("r")
            gate.open()
            await (await one.get("r/child")).result()
            await until(lambda: is_status(store, "r", RunStatus.COMPLETED))
            await other.delete("r")

    assert {} == await statuses_of(store)


async def test_a_tag_that_looks_like_that_of_a_child_means_nothing():
    """Anybody may give one of this name: such a run neither goes with the other one nor is kept by it."""
    store = MemoryStore()
    GATES["it"] = Gate()

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Parent(), run_id="r")
        await GATES["it"].came.get()
        for run_id in ("one", "two"):
            await orchestrator.run(Child(name=run_id), run_id=run_id, tags={"parent": "r"})
        await orchestrator.delete("one")
        GATES["it"].open()
        await run.result()
        await orchestrator.delete("r")

    assert {"two": RunStatus.COMPLETED} == await statuses_of(store)


async def test_a_run_that_was_left_to_itself_outlives_who_started_it():
    """It goes on though that one is deleted, and can be deleted itself when it has ended."""
    store = MemoryStore()
    GATES["it"] = Gate()

    async def body() -> Child:
        return Child()

    flow = make_workflow("Leaving", [subflow(name="child", on_parent_close="abandon")(body)])

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await GATES["it"].came.get()
        await run.cancel()
        await run.wait()
        await orchestrator.delete("r")
        after = await statuses_of(store)
        GATES["it"].open()
        result = await (await orchestrator.get("r/child")).result()
        await orchestrator.delete("r/child")

    assert {"r/child": RunStatus.RUNNING} == after
    assert "it" == result["work"]
    assert {} == await statuses_of(store)


async def test_children_that_were_heard_of_can_be_pruned():
    """Though who started them still waits for others: it has their outputs, and does not start them anew."""
    store, clock = MemoryStore(), FakeClock()
    GATES["c"] = Gate()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(per_name("a", "b", "c")(), run_id="r")
        await GATES["c"].came.get()
        heard = 0
        async for event in run.events(follow=True):
            heard += isinstance(event, StepCompleted) and event.step == "each"
            if heard == 2:
                break
        await clock.advance("1d")
        pruned = await orchestrator.prune(older_than="1h")
        left = await statuses_of(store)
        GATES["c"].open()
        result = await run.result()

    assert (2, {"r": RunStatus.RUNNING, "r/each/2": RunStatus.RUNNING}) == (pruned, left)
    children: Any = result["each"]
    assert ["a", "b", "c"] == [child["work"] for child in children]
