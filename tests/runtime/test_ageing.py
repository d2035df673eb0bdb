"""Who waits long enough goes first, whatever the priorities are."""

from typing import Any

from orchwf import Orchestrator, make_workflow, step
from orchwf.core.events import StepStarted
from orchwf.runtime.clock import pause
from orchwf.testing import FakeClock
from tests.runtime.flows import log_of


def _chain(names: list[str], body: Any, priority: int) -> type:
    """A chain of these steps, of which each becomes ready in the instant in which a place is free."""
    before = dict(zip(names[1:], names, strict=False))
    steps = {name: step(priority=priority, depends_on=before.get(name))(body) for name in names}
    return make_workflow("Chain", steps)


async def test_a_stream_of_urgent_steps_does_not_starve_the_others():
    """A step gains a point of priority a minute: after three minutes it is level with what comes three points ahead."""
    clock = FakeClock(auto=True)

    async def takes_half_a_minute() -> None:
        await pause(clock, 30)

    urgent = _chain([f"s{n}" for n in range(12)], takes_half_a_minute, priority=3)
    patient = make_workflow("Patient", {"waits": takes_half_a_minute})
    async with Orchestrator("memory:", max_concurrency=1, clock=clock) as orchestrator:
        runs = [await orchestrator.start(urgent()), await orchestrator.start(patient())]
        for run in runs:
            await run.result()
        log = [event for run in runs for event in await log_of(run)]
        starts = [(event.at, event.step) for event in log if isinstance(event, StepStarted)]
    order = [name for _, name in sorted(starts)]

    assert [*(f"s{n}" for n in range(6)), "waits", *(f"s{n}" for n in range(6, 12))] == order


async def test_within_a_minute_the_order_is_that_of_the_priorities():
    """Priority, then order of definition, then age of the run: waiting counts in whole minutes."""
    clock, order = FakeClock(), list[str]()

    def noting(name: str) -> Any:
        async def body() -> None:
            order.append(name)
            await clock.advance(9)

        return body

    first = make_workflow(
        "First", {name: step(priority=p)(noting(name)) for name, p in {"a": 0, "b": 1, "c": 0}.items()}
    )
    async with Orchestrator("memory:", max_concurrency=1, clock=clock) as orchestrator:
        runs = [await orchestrator.start(first()), await orchestrator.start(first())]
        for run in runs:
            await run.result()

    assert list("bbaacc") == order
