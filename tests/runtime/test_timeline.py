"""What a run did when, and the table of its steps: from its log."""

import json
from typing import Any

import pytest

from orchwf import Orchestrator, make_workflow, step
from orchwf.core import events as ev
from orchwf.core.dag import dag_of
from orchwf.core.events import ErrorInfo
from orchwf.core.history import History
from orchwf.core.tables import make_table
from orchwf.core.timelines import SlowPath, make_timeline, period_of, slow_path
from orchwf.drawing import Lane, Timeline
from orchwf.testing import TestOrchestrator
from tests.runtime.flows import Gate

ERROR = ErrorInfo(type_name="ValueError", message="bad <row>", traceback="")


def history(*events: Any) -> History:
    """The fold of a log, whose events get their numbers here."""
    return History("r").extend(event(seq=at) for at, event in enumerate(events, 1))


def made(kind: type, at: float, **fields: Any) -> Any:
    return lambda seq: kind(seq=seq, at=at, **fields)


STARTED = made(ev.RunStarted, 100.0, workflow="F", version="1", fingerprint="f", inputs="{}")


def began(name: str, at: float, attempt: int = 1, **fields: Any) -> Any:
    return made(ev.StepStarted, at, step=name, attempt=attempt, **fields)


def done(name: str, at: float, attempt: int = 1, **fields: Any) -> Any:
    return made(ev.StepCompleted, at, step=name, attempt=attempt, output=fields.pop("output", "null"), **fields)


def failed(name: str, at: float, attempt: int = 1, **fields: Any) -> Any:
    return made(ev.StepFailed, at, step=name, attempt=attempt, error=ERROR, **fields)


def retried(name: str, at: float, attempt: int, due_at: float) -> Any:
    return made(ev.StepRetrying, at, step=name, attempt=attempt, error=ERROR, due_at=due_at, delay=due_at - at)


def drawn(past: History, until: float | None = None) -> Timeline:
    period = period_of(past.steps, past.started_at, past.ended_at or until)
    return make_timeline(past.steps, None, period, title="F run r", note="")


def spans_of(lane: Lane) -> list[tuple[float, float, str, bool]]:
    return [(span.start, span.end, span.status, span.is_wait) for span in lane.spans]


def test_attempts_are_segments_with_waits_between():
    """An attempt that was tried again, the wait for the next one, and that one."""
    past = history(STARTED, began("a", 101), retried("a", 102, 1, 104), began("a", 104, 2), done("a", 105, 2))

    (lane,) = drawn(past).lanes

    assert [(1, 2, "retrying", False), (2, 4, "retrying", True), (4, 5, "completed", False)] == spans_of(lane)
    assert "4.0 s, attempt 2" == lane.detail
    assert [
        "a, attempt 1: retrying, 1.0 s\nValueError: bad <row>",
        "waited 2.0 s",
        "a, attempt 2: completed, 1.0 s",
    ] == [span.said for span in lane.spans]


def test_what_has_not_ended_goes_on_until_now():
    """A step that runs, and one that waits to be tried again."""
    past = history(STARTED, began("a", 101), began("b", 101), retried("b", 102, 1, 190))

    runs, waits = drawn(past, until=110).lanes

    assert [(1, 10, "running", False)] == spans_of(runs)
    assert "a, attempt 1: for 9.0 s" == runs.spans[0].said
    assert [(1, 2, "retrying", False), (2, 10, "retrying", True)] == spans_of(waits)


def test_without_a_now_a_run_ends_with_the_last_that_happened():
    """A result of a run that rests knows no other time."""
    past = history(STARTED, began("a", 101), retried("a", 103, 1, 190))

    assert 3.0 == drawn(past).length


def test_an_attempt_whose_process_died_says_so():
    """Nobody knows when that was: it is drawn until the next one."""
    resumed = made(ev.RunResumed, 120.0, reason="takeover", fingerprint="f")
    past = history(STARTED, began("a", 101), resumed, began("a", 121, 2), done("a", 122, 2))

    (lane,) = drawn(past).lanes

    assert [(1, 21, "pending", False), (21, 22, "completed", False)] == spans_of(lane)
    assert "a, attempt 1: its process died" == lane.spans[0].said


def test_a_step_that_never_began_is_a_point():
    """One that was skipped, and one whose output was taken from elsewhere; of what is to come there is nothing yet."""
    skipped = made(ev.StepSkipped, 103, step="s", attempt=0, reason="a failed", cause="dependency")
    past = history(STARTED, began("a", 101), failed("a", 102), skipped, done("kept", 100, 0))

    lanes = {lane.label: lane for lane in drawn(past, until=110).lanes}

    assert ["kept", "a", "s"] == list(lanes)
    assert [(3, 3, "skipped", False)] == spans_of(lanes["s"])
    assert "s skipped: a failed" == lanes["s"].spans[0].said
    assert [(0, 0, "completed", False)] == spans_of(lanes["kept"])


def test_items_share_a_lane():
    """However many there are: of each moment it is shown how many were at work."""
    past = history(
        STARTED,
        made(ev.StepExpanded, 101, step="a", attempt=0, count=2),
        *(began("a", 101 + item, item=item) for item in range(2)),
        done("a", 103, item=0),
        failed("a", 104, item=1),
        failed("a", 104, 0),
    )

    (lane,) = drawn(past).lanes

    assert lane.is_stacked
    assert [(1, 3, "completed", False), (2, 4, "failed", False)] == spans_of(lane)


def test_undoing_has_a_lane_of_its_own():
    """Below that of the step that was undone."""
    past = history(
        STARTED, began("a", 101), done("a", 102), began("b", 102), failed("b", 103),
        made(ev.CompensationStarted, 104, step="a", attempt=1),
        made(ev.CompensationCompleted, 106, step="a", attempt=1),
    )  # fmt: skip

    labels = {lane.label: spans_of(lane) for lane in drawn(past, until=106).lanes}

    assert ["a", "undo a", "b"] == list(labels)
    assert [(4, 6, "completed", False)] == labels["undo a"]


async def test_the_critical_path_is_marked():
    """The steps that took longest one after the other; what waited for nobody is not among them."""
    gate = Gate()

    @step
    async def slow() -> None:
        await gate.pass_through()

    @step
    async def quick() -> None: ...

    @step(depends_on=[slow, quick])
    async def last() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("F", [slow, quick, last])(), run_id="r")
        await gate.came.get()
        await run._ledger.here.executions["r"].until_written()
        during = await run.timeline()
        gate.open()
        result = await run.result()

    assert "running" in [lane.status for lane in during.lanes]
    assert during.length > 0
    critical = [lane.label for lane in result.timeline().lanes if lane.is_critical]
    assert "slow" in critical
    assert "quick" not in critical
    assert "F run r" == result.timeline().title
    assert result.timeline().note.startswith("completed in ")


def test_a_step_that_runs_is_on_the_slow_path_until_now():
    """The path of a run that goes on counts what its steps took so far; a step that took no time is not named."""

    @step
    def first() -> int: ...  # type: ignore[empty-body]

    @step(depends_on=[first])
    def free() -> int: ...  # type: ignore[empty-body]

    @step(depends_on=[free])
    def runs() -> int: ...  # type: ignore[empty-body]

    past = history(STARTED, began("first", 100), done("first", 102), done("free", 102, 0), began("runs", 102))
    dag = dag_of(make_workflow("F", [first, free, runs]))

    path = slow_path(past.steps, dag, 110.0)

    assert SlowPath((("first", 2.0), ("runs", 8.0))) == path
    assert SlowPath(()) == slow_path(past.steps, None, 110.0)


def test_the_slow_path_as_text():
    """It names each step with its time; of many those that took longest, and of a hostile name what can be read."""
    path = SlowPath(tuple((f"s{at}", float(at)) for at in range(1, 8)))

    assert 28.0 == path.duration
    assert "s3 3.0 s > s4 4.0 s > s5 5.0 s > s6 6.0 s > s7 7.0 s and 2 steps more" == str(path)
    assert "\x1b" not in str(SlowPath((("\x1b[2J" + "x" * 1_000, 1.0),)))


async def test_the_table_of_a_result():
    """A row for each step, which pandas takes as it is, which prints, and which a notebook shows."""

    @step(required=False)
    async def bad() -> int:
        raise ValueError("<script>alert(1)</script>" * 5)

    @step(when=lambda self: False)
    async def never() -> None: ...

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("F", [bad, never])())
    table = result.table()

    assert ["bad", "never"] == [row["step"] for row in table]
    assert {"step", "status", "started_at", "took", "attempts", "items", "said"} == set(table[0])
    assert ("failed", 1) == (table[0]["status"], table[0]["attempts"])
    assert 1 == len(table[:1])
    assert "<table of 2 steps>" == repr(table)
    lines = str(table).splitlines()
    assert lines[0].split() == ["step", "status", "took", "attempts", "items", "said"]
    assert lines[1].startswith("x bad    failed")
    assert lines[2].startswith("- never  skipped")
    html = table._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert 'title="ValueError: &lt;script&gt;' in html


def test_a_long_table_is_shown_in_part():
    """All rows are there; what is not shown is counted."""
    steps = history(STARTED, *(began(f"s{at}", 101) for at in range(5_000))).steps

    table = make_table(steps, None)

    assert 5_000 == len(table)
    assert "and 4,940 rows more" in str(table)
    assert "and 4,800 rows more" in table.to_html()
    assert len(table.to_html()) < 50_000


async def test_pandas_takes_a_table():
    """As a frame, a column for each name."""
    pandas = pytest.importorskip("pandas")

    @step
    async def one() -> int:
        return 1

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("F", [one])())

    frame = pandas.DataFrame(result.table())

    assert ["one"] == list(frame["step"])
    assert "took" in frame.columns


def test_a_definition_is_not_needed():
    """Pictures of a run whose definition nobody has are drawn without a critical path."""
    past = history(STARTED, began("a", 101), done("a", 102, output=json.dumps(1)))

    assert not any(lane.is_critical for lane in drawn(past).lanes)


def test_a_clock_that_was_set_back():
    """A step that ended before it began, by the clock, took no time."""
    steps = history(STARTED, began("one", 109.0), done("one", 105.0)).steps

    assert () == slow_path(steps, dag_of(make_workflow("One", {"one": step(lambda: 1)})), 110.0).steps
