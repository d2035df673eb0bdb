"""What happens to runs and steps, counted."""

from collections.abc import Sequence

import pytest

from orchwf import Orchestrator, Skip, StepContext, make_workflow, step, workflow
from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo, Event
from orchwf.ports import RunRecord
from orchwf.runtime.tally import OTHER, Tally
from orchwf.testing import FakeClock
from tests.stores.samples import record

ERROR = ErrorInfo("ValueError", "no")
RUN = record(workflow="Flow", created_at=100.0)


def told(*events: Event, run: RunRecord = RUN, tally: Tally | None = None) -> Tally:
    """A tally that was told these events of a run."""
    tally = tally or Tally()
    tally.told(run, events)
    return tally


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (ev.StepCompleted(seq=1, at=1, step="a", output="1"), "completed"),
        (ev.StepFailed(seq=1, at=1, step="a", error=ERROR), "failed"),
        (ev.StepSkipped(seq=1, at=1, step="a", reason="", cause="when"), "skipped"),
        (ev.StepCancelled(seq=1, at=1, step="a", reason="", cause="run"), "cancelled"),
        (ev.StepRetrying(seq=1, at=1, step="a", error=ERROR, delay=1.0, due_at=2.0), "retrying"),
        (ev.CacheHit(seq=1, at=1, step="a", key="k", run="r"), "cached"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_becomes_of_a_step(event: Event, outcome: str):
    """It is counted by the step and the outcome, as is the event by its kind."""
    tally = told(event, event)

    assert {(("Flow", "a"), outcome): 2} == tally.steps
    assert {event.kind: 2} == tally.events


def test_what_becomes_of_items():
    """They are counted by their step, and apart from it; which item it was is not told."""
    items = [ev.StepCompleted(seq=n + 1, at=1, step="a", item=n, output="1") for n in range(5)]

    tally = told(*items, ev.StepCompleted(seq=6, at=1, step="a", output="@items"))

    assert {(("Flow", "a"), "completed"): 5} == tally.items
    assert {(("Flow", "a"), "completed"): 1} == tally.steps


def test_what_becomes_of_compensations():
    """An attempt that failed is not the end."""
    tally = told(
        ev.CompensationStarted(seq=1, at=1, step="a", attempt=1),
        ev.CompensationFailed(seq=2, at=1, step="a", attempt=1, error=ERROR, delay=1.0, due_at=2.0),
        ev.CompensationFailed(seq=3, at=1, step="a", attempt=2, error=ERROR),
        ev.CompensationCompleted(seq=4, at=1, step="b", attempt=1),
    )

    assert {
        (("Flow", "a"), "retrying"): 1, (("Flow", "a"), "failed"): 1, (("Flow", "b"), "completed"): 1,
    } == tally.compensations  # fmt: skip


def test_what_becomes_of_runs():
    """They begin, rest, go on, and end after some time."""
    tally = told(
        ev.RunStarted(seq=1, at=100, workflow="Flow", version="1", fingerprint="f", inputs="{}"),
        ev.RunPaused(seq=2, at=101, cause="takeovers"),
        ev.RunResumed(seq=3, at=102, reason="retry", fingerprint="f"),
        ev.RunFailed(seq=4, at=107, steps=("a",), error="no"),
        ev.RunResumed(seq=5, at=108, reason="retry", fingerprint="f"),
        ev.RunCompleted(seq=6, at=160),
        ev.SignalReceived(seq=7, at=161, signal="x", message_id="m"),
    )

    assert ({"Flow": 1}, {("Flow", "takeovers"): 1}) == (tally.started, tally.paused)
    assert {("Flow", "retry"): 2} == tally.resumed
    assert {("Flow", "failed"): 1, ("Flow", "completed"): 1} == tally.ended
    assert (2, 67.0) == (tally.run_seconds["Flow"].count, tally.run_seconds["Flow"].sum)


def test_too_many_steps_are_counted_together():
    """What is counted does not grow with the graph, nor with the number of graphs."""
    tally = Tally(most=3)
    for number in range(10):
        run = record(workflow=f"W{number % 5}")
        events: Sequence[Event] = [
            ev.RunCompleted(seq=1, at=1),
            ev.StepCompleted(seq=2, at=1, step=f"s{number}", output=""),
        ]
        told(*events, run=run, tally=tally)
        tally.ended_attempt(run.workflow, f"s{number}", 0.5)

    names = {name for name, _ in tally.steps}
    assert {("W0", "s0"), ("W1", "s1"), ("W2", "s2")} == {name for name in names if name[1] != OTHER}
    assert {("W0", OTHER), ("W1", OTHER), ("W2", OTHER), (OTHER, OTHER)} == {name for name in names if name[1] == OTHER}
    assert 10 == sum(tally.steps.values()) == sum(each.count for each in tally.attempt_seconds.values())
    assert {"W0", "W1", "W2", OTHER} == set(tally.run_seconds)


@workflow
class Busy:
    @step
    def numbers(self) -> list[int]:
        return [1, 2, 3]

    @step
    async def double(self, number: int = numbers.each) -> int:
        return 2 * number

    @step(retries=1, depends_on=[double])
    async def flaky(self, ctx: StepContext) -> None:
        if ctx.attempt == 1:
            raise ValueError("once")

    @step(depends_on=[flaky])
    def skip(self) -> None:
        raise Skip("no need")


async def test_how_long_attempts_take():
    """All of them: also those that failed, and of each item; to take a step apart is none."""
    clock = FakeClock()
    orchestrator = Orchestrator("memory:", clock=clock)
    tally = orchestrator.measured().tally
    async with orchestrator:
        handle = await orchestrator.start(Busy())
        await clock.advance(60)
        await handle.result()

    assert tally is not None
    counts = {step: histogram.count for (_, step), histogram in tally.attempt_seconds.items()}
    assert {"numbers": 1, "double": 3, "flaky": 2, "skip": 1} == counts
    assert 3 == tally.items[("Busy", "double"), "completed"]
    assert (1, 1) == (tally.steps[("Busy", "flaky"), "retrying"], tally.steps[("Busy", "skip"), "skipped"])


async def test_a_compensation_takes_its_time_as_its_step():
    """It has the name of that."""

    async def fail() -> None:
        raise ValueError("no")

    async def nothing() -> None: ...

    async def undo(first: None) -> None: ...

    first = step(name="first")(nothing)
    first.compensate(undo)
    orchestrator = Orchestrator("memory:")
    tally = orchestrator.measured().tally
    async with orchestrator:
        await (await orchestrator.start(make_workflow("Saga", [first, step(depends_on=["first"])(fail)])())).wait()

    assert tally is not None
    assert {("Saga", "first"): 2, ("Saga", "fail"): 1} == {
        name: histogram.count for name, histogram in tally.attempt_seconds.items()
    }
    assert {(("Saga", "first"), "completed"): 1} == tally.compensations


async def test_nothing_is_counted_unless_asked_for():
    """Then from that moment on, also where attempts are in flight; to ask twice is to ask once."""

    async def nothing() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        flow = make_workflow("W", {"one": nothing})
        await orchestrator.run(flow())
        tally = orchestrator.measured().tally
        assert tally is orchestrator.measured().tally
        await orchestrator.run(flow())

    assert tally is not None
    assert {"W": 1} == tally.started
    assert {("W", "completed"): 1} == tally.ended
