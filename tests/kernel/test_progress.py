"""How far items are, and what steps wait for, in words."""

from datetime import UTC, datetime

import pytest

from orchwf import compile_workflow, signal, sleep, step, subflow, workflow
from orchwf.core.dag import Dag
from orchwf.core.definition import Several
from orchwf.core.events import (
    ChildStarted,
    CompensationCompleted,
    CompensationFailed,
    CompensationStarted,
    ErrorInfo,
    Event,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepCompleted,
    StepExpanded,
    StepFailed,
    StepRetrying,
    StepSkipped,
    StepStarted,
    TimerSet,
)
from orchwf.core.failures import Failures, failed_items, item_name
from orchwf.core.history import History, StepRecord
from orchwf.core.machine import Machine
from orchwf.core.outcome import Begun, Ended, Raised, Returned, Split
from orchwf.core.plan import Plan
from orchwf.core.progress import (
    Tally,
    brief_wait_text,
    items_text,
    kept_name,
    several_of,
    standing_record,
    tally_of,
    told_status,
    utc_text,
    wait_text,
)
from orchwf.core.state import StepStatus
from orchwf.core.undone import undoing_lines, undoings

ERROR = ErrorInfo("builtins.ValueError", "no", location="flow.py:3 in parse", source="raise ValueError")
COMPLETED, FAILED, SKIPPED = StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED
RUNNING, RETRYING, WAITING = StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING


@workflow
class Flow:
    """One step of each kind."""

    @step
    def files(self) -> list[int]:
        return [1, 2]

    @step(retries=2)
    def parse(self, file: int = files.each) -> int:
        return file

    paid = signal(int, timeout="1h")
    night = sleep("1h")


DAG = compile_workflow(Flow)


def tally(**counts: int) -> Tally:
    """A tally of items in this order of statuses."""
    made, item = Tally(), 0
    for name, count in counts.items():
        for _ in range(count):
            made.note(item, StepStatus(name))
            item += 1
    return made


def step_of(*events: Event, name: str = "parse") -> StepRecord:
    """What these events make of a step."""
    started = RunStarted(seq=1, at=0.0, workflow="Flow", version="1", fingerprint="f", inputs="{}")
    return History("r").extend([started, *events]).steps[name]


def item(cls: type, number: int, at: float = 1.0, **details: object) -> Event:
    event: Event = cls(seq=1, at=at, step="parse", item=number, attempt=1, **details)
    return event


EXPANDED = StepExpanded(seq=2, at=0.0, step="parse", attempt=1, count=4)
BEGUN = [EXPANDED, *(item(StepStarted, number) for number in range(3))]


def test_item_that_goes_on_is_counted_once():
    """It has one status at a time."""
    counted = Tally(total=3)

    for status in (RUNNING, RETRYING, RUNNING, COMPLETED):
        counted.note(0, status)

    assert (1, 0, 1, 3) == (counted.done, counted.failed, counted.ended, counted.total)
    assert {COMPLETED: 1} == {status: count for status, count in counted.counts.items() if count}


def test_items_of_a_stream_are_as_many_as_there_were():
    """Nobody says before how many there will be."""
    assert 3 == tally(completed=3).total


@pytest.mark.parametrize(
    ("counts", "several", "status", "text"),
    [
        (tally(completed=37, running=10, failed=2, pending=1), Several.EACH, WAITING, "37/50, 2 failed"),
        (tally(completed=1, skipped=1, cancelled=1, retrying=1), None, WAITING,
         "1/4, 1 skipped, 1 cancelled, 1 retrying"),
        (tally(completed=2000), Several.EACH, COMPLETED, "2,000 items"),
        (tally(completed=1), Several.EACH, COMPLETED, "1 item"),
        (Tally(), Several.EACH, COMPLETED, "0 items"),
        (tally(completed=1, failed=1), Several.EACH, COMPLETED, "1/2, 1 failed"),
        (tally(completed=2, running=1), Several.LOOP, WAITING, "iteration 3"),
        (tally(completed=3), Several.LOOP, COMPLETED, "3 iterations"),
        (tally(completed=3), Several.STREAM, RUNNING, "3 items"),
    ],
)  # fmt: skip
def test_how_far_items_are(counts: Tally, several: Several | None, status: StepStatus, text: str):
    """How many are done of how many, and what else became of them."""
    assert text == items_text(counts, several, status)


def test_step_without_items_has_no_tally():
    """Not even an empty one: it is something else to have none of several."""
    assert tally_of(StepRecord("a")) is None
    assert Tally() == tally_of(StepRecord("a", count=0))


def test_how_a_step_comes_to_have_items():
    """The definition says so; without it what has items is taken to run once per item."""
    assert Several.EACH is several_of(StepRecord("parse"), DAG.nodes["parse"])
    assert several_of(StepRecord("files"), DAG.nodes["files"]) is None
    assert Several.EACH is several_of(StepRecord("parse", count=3), None)
    assert several_of(StepRecord("parse"), None) is None


def test_step_whose_items_are_at_work_is_running():
    """Though it waits for them; if they all wait for something outside, so does it."""
    at_work = step_of(*BEGUN)
    waiting = step_of(*BEGUN, *(item(StepCompleted, number, output="1") for number in range(3)),
                      item(StepStarted, 3), item(ChildStarted, 3, child="r/parse/3"))  # fmt: skip

    assert (WAITING, RUNNING) == (at_work.status, told_status(at_work))
    assert (WAITING, WAITING) == (waiting.status, told_status(waiting))
    assert COMPLETED is told_status(StepRecord("a", COMPLETED))
    assert WAITING is told_status(StepRecord("a", WAITING))


@pytest.mark.parametrize(
    ("record", "name", "text"),
    [
        (StepRecord("paid", WAITING), "paid", "for a signal"),
        (StepRecord("paid", WAITING, due_at=5.0), "paid", "for a signal, until <5>"),
        (StepRecord("night", WAITING, due_at=5.0), "night", "until <5>"),
        (StepRecord("ship", WAITING, child="r/ship"), "", "for run r/ship"),
        (StepRecord("ship", WAITING, child="r/ship", due_at=5.0), "", "for run r/ship, until <5>"),
        # Without the definition a limit looks like a sleep.
        (StepRecord("x", WAITING, due_at=5.0), "", "until <5>"),
        (StepRecord("x", WAITING), "", "for a signal"),
        (StepRecord("parse", WAITING, count=3), "parse", ""),
        (StepRecord("paid", COMPLETED), "paid", ""),
    ],
)
def test_what_a_step_waits_for(record: StepRecord, name: str, text: str):
    """For a signal, a time, another run, or each until a time."""
    assert text == wait_text(record, DAG.nodes.get(name), lambda at: f"<{at:g}>")


@pytest.mark.parametrize(
    ("record", "name", "text"),
    [
        (StepRecord("paid", WAITING, due_at=5.0), "paid", "for a signal"),
        (StepRecord("night", WAITING, due_at=5.0), "night", "until <5>"),
        (StepRecord("ship", WAITING, child="r/ship", due_at=5.0), "", "for run r/ship"),
        (StepRecord("x", WAITING, due_at=5.0), "", "until <5>"),
    ],
)
def test_what_a_step_waits_for_in_a_picture(record: StepRecord, name: str, text: str):
    """Its limit would not fit into a box; what is waited for does."""
    assert text == brief_wait_text(record, DAG.nodes.get(name), lambda at: f"<{at:g}>")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 12, 24, 18, 5, tzinfo=UTC), "18:05 UTC"),
        (datetime(2026, 12, 26, 0, 30, tzinfo=UTC), "26 Dec 00:30 UTC"),
        (datetime(2027, 1, 2, tzinfo=UTC), "2 Jan 2027"),
    ],
)
def test_instants_in_pictures(at: datetime, text: str):
    """As short as they can be told: they stand in boxes."""
    since = datetime(2026, 12, 24, 12, tzinfo=UTC).timestamp()

    assert text == utc_text(at.timestamp(), since)


def test_what_is_beyond_the_calendar():
    """A wait of a million years is no error."""
    assert "30 Dec 9999" == utc_text(1e15, 0.0)


def test_what_a_resume_keeps_of_a_step():
    """All of one that completed, and of another one the items that did."""
    assert "a" == kept_name(StepRecord("a", COMPLETED))
    assert "" == kept_name(StepRecord("a", FAILED))
    assert "" == kept_name(step_of(*BEGUN))
    assert "1 item of parse" == kept_name(step_of(*BEGUN, item(StepCompleted, 1, output="1")))


def test_how_a_run_stands_as_records():
    """What a handle shows without reading the log: statuses, items, and until when it waits."""
    machine = Machine("r", Plan(DAG), lambda node: None)
    index = machine.run.plan.index
    machine.turn([Begun("Flow", "1", "f", "{}")], 100.0)
    machine.start(index["files"], 100.0)
    machine.turn([Ended(index["files"], 1, Returned("[1,2]"))], 100.0)
    machine.start(index["parse"], 100.0)
    (first, *_) = machine.turn([Ended(index["parse"], 1, Split(2))], 100.0).ready
    machine.start(first, 100.0)
    machine.turn([Ended(first, 1, Raised(error=ERROR, retryable=True))], 100.0)

    parse, night, files = (standing_record(machine.run, name) for name in ("parse", "night", "files"))

    assert ("0/2, 1 retrying", RUNNING) == (items_text(tally_of(parse) or Tally(), Several.EACH, parse.status),
                                            told_status(parse))  # fmt: skip
    assert (WAITING, 3700.0, 100.0) == (night.status, night.due_at, night.started_at)
    assert (COMPLETED, None, None) == (files.status, files.count, files.due_at)


def test_a_run_that_a_step_started_is_named():
    """Also where only the machine is asked."""
    dag = dag_of_subflow()
    machine = Machine("r", Plan(dag), lambda node: None)
    machine.run.apply(RunStarted(seq=1, at=0.0, workflow="W", version="1", fingerprint="f", inputs="{}"))
    machine.run.apply(StepStarted(seq=2, at=0.0, step="ship", attempt=1))
    machine.run.apply(ChildStarted(seq=3, at=0.0, step="ship", attempt=1, child="r/ship"))

    assert "r/ship" == standing_record(machine.run, "ship").child


def dag_of_subflow() -> Dag:
    @workflow
    class Parent:
        @subflow
        def ship(self) -> Flow:
            return Flow()

    return compile_workflow(Parent)


# What failed.


FAILING = [
    *BEGUN,
    item(StepFailed, 2, error=ERROR),
    item(StepFailed, 1, error=ERROR),
    item(StepCompleted, 0, output="1"),
    StepFailed(seq=9, at=2.0, step="parse", error=ERROR),
]


def told(lines: object) -> list[str]:
    return [line.text for line in lines]  # type: ignore[attr-defined]


def test_failed_items_are_told_in_order():
    """Each with its error; where they failed at the same place it is told once."""
    record = step_of(*FAILING)

    assert [1, 2] == [each.item for each in failed_items(record)]
    assert [
        "  x parse  1/4, 2 failed",
        "    x parse[1]  attempt 1/3  ValueError: no",
        "        flow.py:3 in parse",
        "          raise ValueError",
        "    x parse[2]  attempt 1/3  ValueError: no",
    ] == told(Failures(dag=DAG).of_step(record, 5))


def test_of_many_failed_items_the_first_are_told():
    """The others are counted; who wants all gets all."""
    started = [EXPANDED, *(item(StepStarted, number) for number in range(9))]
    failed = [item(StepFailed, number, error=ErrorInfo("E", str(number))) for number in range(9)]
    record = step_of(*started, *failed)

    few, every = told(Failures().of_items(failed_items(record))), told(
        Failures(verbose=True).of_items(failed_items(record))
    )  # fmt: skip

    assert ["    x parse[2]  attempt 1/1  E: 2", "    x and 6 more that failed"] == few[2:]
    assert 9 == len(every)


def test_failures_that_a_step_bears():
    """One line says how many there are, and the first error; of a step without any there is none."""
    record = step_of(*FAILING[:-1], item(StepStarted, 3), item(StepSkipped, 3, reason="x", cause="body"),
                     StepCompleted(seq=9, at=2.0, step="parse", output="@items"))  # fmt: skip

    assert ["  + parse  1/4, 2 failed, 1 skipped  parse[1]: ValueError: no"] == told(Failures(dag=DAG).borne(record, 5))
    assert [] == told(Failures().borne(StepRecord("a", COMPLETED), 5))


@pytest.mark.parametrize(
    ("events", "name", "text"),
    [
        ([StepStarted(seq=2, at=0.0, step="parse", attempt=1), StepFailed(seq=3, at=1.0, step="parse", error=ERROR)],
         "parse", "  x parse  attempt 1/3  ValueError: no"),
        ([EXPANDED, StepFailed(seq=3, at=1.0, step="parse", error=ERROR)], "parse", "  x parse  0/4  ValueError: no"),
        ([TimerSet(seq=2, at=0.0, step="paid", due_at=5.0, delay=5.0),
          StepFailed(seq=3, at=5.0, step="paid", error=ERROR)], "paid", "  x paid  waited 5.0 s  ValueError: no"),
        ([StepFailed(seq=3, at=5.0, step="paid", error=ERROR)], "paid", "  x paid  not tried  ValueError: no"),
    ],
    ids=["attempt", "items", "wait", "condition"],
)  # fmt: skip
def test_how_often_it_was_tried(events: list[Event], name: str, text: str):
    """Or how far it had come without an attempt of its own."""
    assert text == told(Failures(dag=DAG).of_step(step_of(*events, name=name), 4))[0]


def test_name_of_an_item():
    """Of the step itself it is the name of that."""
    assert ("parse", "parse[0]") == (item_name("parse", None), item_name("parse", 0))


# What is undone.


def undone(number: int, at: float, *kinds: type, **details: object) -> list[Event]:
    return [kind(seq=9, at=at, step="parse", item=number, attempt=1, **details) for kind in kinds]


def test_items_that_are_undone_are_counted():
    """In the order in which that began; what could not be, and what nobody undoes any more, is named."""
    failed = {"error": ERROR, "delay": None, "due_at": None}
    record = step_of(
        *BEGUN, *(item(StepCompleted, number, output="1") for number in range(3)),
        *undone(2, 10.0, CompensationStarted, CompensationCompleted),
        *undone(1, 11.0, CompensationStarted), *undone(1, 12.0, CompensationFailed, **failed),
        *undone(0, 13.0, CompensationStarted),
    )  # fmt: skip
    other = StepRecord("files", COMPLETED, compensation=StepRecord("files", COMPLETED, started_at=5.0))

    lines = told(undoing_lines([record, other], Failures(), is_over=True))

    assert ["files", "parse[0]", "parse[1]", "parse[2]"] == sorted(
        name for each in (record, other) for name, _ in undoings(each)
    )
    assert [
        "  undone: files, 1 item of parse",
        "  x parse[1]  could not be undone: ValueError: no",
        "      flow.py:3 in parse",
        "        raise ValueError",
        "  ! parse[0]  was being undone",
    ] == lines
    assert lines[:-1] == told(undoing_lines([record, other], Failures(), is_over=False))


def test_of_many_that_could_not_be_undone_the_first_are_named():
    """Who wants all gets all."""
    steps = [StepRecord(f"s{at}", COMPLETED, compensation=StepRecord(f"s{at}", FAILED)) for at in range(12)]

    few, every = (
        told(undoing_lines(steps, Failures(verbose=verbose), is_over=True)) for verbose in (False, True)
    )  # fmt: skip

    assert "  x and 2 more" == few[-1]
    assert (11, 12) == (len(few), len(every))


def test_items_that_were_before():
    """A step that got other items counts those alone."""
    record = step_of(*BEGUN, item(StepCompleted, 0, output="1"),
                     RunResumed(seq=8, at=5.0, reason="retry", fingerprint="g", reset=("parse",), changed=("parse",)),
                     StepExpanded(seq=9, at=6.0, step="parse", attempt=1, count=2),
                     item(StepStarted, 4), item(StepCancelled, 4, reason="x", cause="rest"),
                     StepStarted(seq=9, at=7.0, step="parse", item=5, attempt=1),
                     StepRetrying(seq=9, at=7.0, step="parse", item=5, attempt=1, error=ERROR, delay=1.0, due_at=8.0),
                     )  # fmt: skip

    assert "0/2, 1 cancelled, 1 retrying" == items_text(tally_of(record) or Tally(), Several.EACH, WAITING)
