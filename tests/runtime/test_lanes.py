"""No workflow keeps the others from their places, however much of it waits."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf import Orchestrator, Queue, make_workflow, step
from orchwf.core.events import StepStarted
from orchwf.runtime.clock import pause
from orchwf.runtime.lanes import Lanes, Ready
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock
from tests.runtime.flows import log_of


class Bench:
    """Lanes as the engine uses them."""

    def __init__(self) -> None:
        self.lanes = Lanes[Ready]()
        self._workflows: dict[int, str] = {}
        self._number = 0

    def put(self, workflow: str, priority: float = 0, count: int = 1) -> None:
        """So many steps of this workflow could start."""
        for _ in range(count):
            self._number += 1
            self.lanes.put(workflow, (self.lanes.minute - priority, self._number, 1, priority))
            self._workflows[self._number] = workflow

    def take(self) -> str:
        """The workflow of the step that starts next."""
        return self._workflows[self.lanes.take()[1]]

    def take_all(self) -> str:
        return "".join(self.take() for _ in range(sum(len(lane.steps) for lane in self.lanes.by_workflow.values())))


def test_workflows_that_are_level_have_turns():
    """However many steps of each wait."""
    bench = Bench()
    bench.put("a", count=6)
    bench.put("b", count=2)
    bench.put("c", count=3)

    assert "abcabcacaaa" == bench.take_all()
    assert 0 == bench.lanes.count


def test_who_comes_later_has_its_turn_at_once():
    """Also if the others wait for long: what counts is when they had a place last."""
    bench = Bench()
    bench.put("a", count=100)
    for _ in range(50):
        bench.take()
        bench.lanes.minute += 1
    bench.put("b", count=3)

    assert "abababaa" == "".join(bench.take() for _ in range(8))


def test_a_higher_priority_goes_first():
    """Among workflows as within one; also if it comes while the others have their turns."""
    bench = Bench()
    bench.put("a", count=4)
    bench.put("b", count=4)
    taken = bench.take() + bench.take()
    bench.put("b", priority=2)
    bench.put("c", priority=1)

    assert "ab" + "bcabab" == taken + "".join(bench.take() for _ in range(6))


def test_who_waits_gains_a_point_each_minute():
    """Until it has a place: no stream of urgent steps keeps a workflow from starting for ever."""
    bench = Bench()
    bench.put("low", count=4)
    order = ""
    for _ in range(9):
        bench.put("urgent", priority=3)
        order += bench.take()[0]
        bench.lanes.minute += 1

    assert "uuulul"[:4] == order[:4]
    assert 2 <= order.count("l") <= 3


def test_a_lane_that_nobody_needs_is_forgotten():
    """What was left in it is passed over by whoever takes it out."""
    lanes = Lanes[Ready]()
    lane = lanes.add("a")
    lanes.forget(lane)
    other = lanes.add("a")
    lanes.forget(lane)

    assert {"a": other} == lanes.by_workflow


puts = st.tuples(st.sampled_from("abcd"), st.integers(0, 2))


@given(st.lists(puts | st.sampled_from(["take", "minute"]), max_size=60))
def test_nothing_is_lost_and_nobody_is_passed_over_twice(history: list[Any]):
    """Whatever comes when: of equal priority nobody has two places while another one waits."""
    bench, waiting, passed = Bench(), dict[str, int](), dict[str, int]()
    for happened in history:
        if happened == "minute":
            bench.lanes.minute += 1
        elif happened != "take":
            bench.put(happened[0])
            waiting[happened[0]] = waiting.get(happened[0], 0) + 1
        elif bench.lanes.count:
            taken = bench.take()
            waiting[taken] -= 1
            passed[taken] = 0
            for name in [each for each, count in waiting.items() if count and each != taken]:
                passed[name] = passed.get(name, 0) + 1
                assert passed[name] <= 3
        assert sum(1 for count in waiting.values() if count) == bench.lanes.count
    left = bench.take_all()

    assert waiting == {name: left.count(name) for name in waiting}


# As the engine uses them.


def fan(name: str, width: int, body: Any, **options: Any) -> type:
    return make_workflow(name, {f"s{n}": step(**options)(body) for n in range(width)})


async def starts_of(runs: list[Any]) -> list[str]:
    """The workflows of the steps that began, in order."""
    found = []
    for run in runs:
        name = (await run.wait()).workflow
        found += [(event.at, name) for event in await log_of(run) if isinstance(event, StepStarted)]
    return [name for _, name in sorted(found, key=lambda each: each[0])]


async def test_a_noisy_workflow_does_not_starve_another_one():
    """Many steps of it wait for longer; the first of the other one is begun next."""
    clock = FakeClock(auto=True)

    async def takes_half_a_minute() -> None:
        await pause(clock, 30)

    async with Orchestrator("memory:", max_concurrency=1, clock=clock) as orchestrator:
        noisy = await orchestrator.start(fan("Noisy", 8, takes_half_a_minute)())
        quiet_flow = fan("Quiet", 2, takes_half_a_minute)
        await pause(clock, 65)
        quiet = await orchestrator.start(quiet_flow())
        order = await starts_of([noisy, quiet])

    assert ["Quiet", "Noisy", "Quiet", "Noisy"] == order[order.index("Quiet") :][:4]
    assert order.index("Quiet") <= 4


async def test_steps_that_wait_at_a_limit_have_turns_as_well():
    """A queue that all workflows share is no longer for the one of which more waits."""
    clock, store = FakeClock(auto=True), MemoryStore()

    async def takes_half_a_minute() -> None:
        await pause(clock, 30)

    async with Orchestrator(store, clock=clock, queues=[Queue("api", concurrency=1)]) as orchestrator:
        noisy = await orchestrator.start(fan("Noisy", 8, takes_half_a_minute, queue="api")())
        await pause(clock, 65)
        quiet = await orchestrator.start(fan("Quiet", 2, takes_half_a_minute, queue="api")())
        order = await starts_of([noisy, quiet])

    assert order.index("Quiet") <= 4
    assert ["Quiet", "Noisy", "Quiet"] == order[order.index("Quiet") :][:3]


@pytest.mark.slow
async def test_many_workflows_cost_what_one_does():
    """A thousand of them, a few steps each: to find the next one does not take longer the more there are."""
    body = lambda: 1  # noqa: E731
    async with Orchestrator("memory:", max_concurrency=4) as orchestrator:
        runs = [await orchestrator.start(fan(f"W{n}", 3, body)()) for n in range(1_000)]
        await asyncio.gather(*(run.result() for run in runs))
        lanes = orchestrator._runs.engine._lanes
        assert (0, {}) == (lanes.count, lanes.by_workflow)
