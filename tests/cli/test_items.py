"""What the commands say of steps that have items, wait, or start runs: a few lines, however many items there are."""

from collections.abc import Iterator, Sequence

import attrs
import pytest

from orchwf import compile_workflow, make_workflow, signal, sleep, step, subflow, workflow
from orchwf.cli.live import LineDisplay, OneRun
from orchwf.cli.output import Output
from orchwf.cli.scene import Beginning, Scene, scene_of
from orchwf.core.events import (
    ChildStarted,
    CompensationCompleted,
    CompensationEvent,
    CompensationFailed,
    CompensationStarted,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
    TimerFired,
    TimerSet,
)
from orchwf.core.history import History
from orchwf.core.state import RunStatus
from orchwf.ports import RunRecord
from orchwf.views import Changes, event_line, item_lines, step_line
from tests.cli.console import steady

ERROR = ErrorInfo("builtins.ValueError", "no")


@workflow
class Small:
    @step
    def work(self) -> int:
        return 1


@workflow
class Flow:
    """One step of each kind."""

    first: int = 1

    @step
    def files(self) -> list[int]:
        return [1, 2]

    @step(retries=1, tolerate=0.9)
    def parse(self, file: int = files.each) -> int:
        return file

    @parse.compensate
    def unparse(self, file: int) -> None: ...

    @step
    def lines(self) -> Iterator[int]:
        yield 1

    @step
    def load(self, line: int = lines.each) -> int:
        return line

    @step(until=lambda value: value > 9)
    def settle(self, first: int) -> int:
        return first + 1

    paid = signal(int, timeout="1h")
    night = sleep("1h")

    @subflow
    def ship(self) -> Small:
        return Small()


DAG = compile_workflow(Flow)
RECORD = RunRecord(
    id="r", workflow="Flow", version="1", fingerprint="f", entrypoint="", status=RunStatus.RUNNING, metadata={},
    tags={}, created_at=0.0,
)  # fmt: skip


def of(cls: type[Event], name: str, at: float = 100.0, item: int | None = None, **details: object) -> StepEvent:
    attempt = details.pop("attempt", 1)
    event: StepEvent = cls(seq=1, at=at, step=name, item=item, attempt=attempt, **details)  # type: ignore[call-arg,assignment]
    return event


def items_of(name: str, count: int, *, at: float = 100.0, lasting: float = 0.0) -> Iterator[StepEvent]:
    """All that happens to so many items, each of which completes; together they last so long."""
    for item in range(count):
        now = at + lasting * item / count
        yield of(StepStarted, name, now, item)
        yield of(StepCompleted, name, now, item, output="1")


def lines_of(events: Sequence[StepEvent] | Iterator[StepEvent], changes: Changes | None = None) -> list[str]:
    made = changes or Changes(DAG, 6)
    return [line.text for event in events for line in made.lines(event)]


def row_of(count: int, *, lasting: float = 0.0) -> list[StepEvent]:
    """The life of `parse`, with so many items."""
    return [
        of(StepStarted, "parse"),
        of(StepExpanded, "parse", count=count),
        *items_of("parse", count, lasting=lasting),
        of(StepCompleted, "parse", 100.0 + lasting, output="@items"),
    ]


# Lines for each change.


@pytest.mark.slow
def test_a_hundred_thousand_items_are_a_few_lines():
    """The first, the last, and where a quarter of them is done."""
    assert [
        "  > parse   100,000 items",
        "  > parse   25,000/100,000",
        "  > parse   50,000/100,000",
        "  > parse   75,000/100,000",
        "  + parse   1 min 40 s, 100,000 items",
    ] == lines_of(row_of(100_000, lasting=100.0))


@pytest.mark.parametrize(("count", "lasting"), [(100_000, 0.5), (19, 100.0)], ids=["soon", "few"])
def test_what_is_soon_done_has_no_lines_between(count: int, lasting: float):
    """Nobody wants to read how far a step is that ends at once, or that has a handful of items."""
    assert 2 == len(lines_of(row_of(count, lasting=lasting)))


def test_items_that_fail_are_told_and_then_counted():
    """The first three, and so of those that are tried again."""
    events = [of(StepExpanded, "parse", count=10)]
    for item in range(5):
        retrying = {"error": ERROR, "delay": 1.0, "due_at": 101.0}
        events += [of(StepStarted, "parse", 100.0, item), of(StepRetrying, "parse", 100.0, item, **retrying)]
        events += [of(StepStarted, "parse", 101.0, item, attempt=2),
                   of(StepFailed, "parse", 101.0, item, attempt=2, error=ERROR)]  # fmt: skip
    events += [of(StepSkipped, "parse", 101.0, item, reason="x", cause="body") for item in range(5, 9)]
    events += [of(StepCompleted, "parse", 102.0, 9, output="1"), of(StepCompleted, "parse", 102.0, output="@items")]

    lines = lines_of(events)

    assert [
        "  > parse   10 items",
        "  ~ parse[0]  attempt 1/2 failed, again in 1.0 s: ValueError: no",
        "  x parse[0]  attempt 2/2  ValueError: no",
        "  ~ parse[1]  attempt 1/2 failed, again in 1.0 s: ValueError: no",
    ] == lines[:4]
    assert ["  x parse[2]  attempt 2/2  ValueError: no", "  + parse   2.0 s, 1/10, 5 failed, 4 skipped"] == lines[-2:]
    assert 8 == len(lines)


def test_step_that_fails_for_its_items():
    """It says how far they were."""
    events = [of(StepExpanded, "parse", count=2), of(StepFailed, "parse", 101.0, attempt=0, error=ERROR)]

    assert "  x parse   0/2  ValueError: no" == lines_of(events)[-1]


def test_step_that_could_not_find_out_about_its_items():
    """That was an attempt like any other, but its beginning is none of anything."""
    events = [of(StepStarted, "parse"), of(StepFailed, "parse", error=ERROR)]

    assert ["  x parse   attempt 1/2  ValueError: no"] == lines_of(events)


def test_of_a_stream_nobody_knows_how_many_there_will_be():
    """It is told when there are ten times as many; the step that follows it learns of one after the other."""
    stream, following = [of(StepStarted, "lines")], []
    for item in range(200):
        at = 100.0 + 2 * item
        stream.append(of(StepCompleted, "lines", at, item, attempt=0, output="1"))
        following += [of(StepExpanded, "load", at, attempt=0, count=item + 1), of(StepStarted, "load", at, item),
                      of(StepCompleted, "load", at, item, output="1")]  # fmt: skip
    stream.append(of(StepCompleted, "lines", 500.0, output="@items"))
    following.append(of(StepCompleted, "load", 500.0, attempt=0, output="@items"))

    assert ["  > lines", "  > lines   10 items", "  > lines   100 items", "  + lines   6 min 40 s, 200 items"] == (
        lines_of(stream)
    )
    assert ["  > load", "  > load    10/10", "  > load    100/100", "  + load    6 min 40 s, 200 items"] == (
        lines_of(following)
    )


def test_loop_says_how_often_it_went_round():
    """Its iterations are no lines of their own."""
    events = []
    for item in range(12):
        at = 100.0 + item
        events += [of(StepExpanded, "settle", at, attempt=0, count=item + 1), of(StepStarted, "settle", at, item),
                   of(StepCompleted, "settle", at, item, output="1")]  # fmt: skip
    events.append(of(StepCompleted, "settle", 112.0, attempt=0, output="9"))

    assert ["  > settle", "  > settle  iteration 10", "  + settle  12 s, 12 iterations"] == lines_of(events)


def test_a_loop_of_a_run_that_was_resumed_counts_on():
    """What is known of before is counted, and a step is announced once for each of its lives."""
    changes = Changes(DAG, 6)
    first = [of(StepExpanded, "settle", attempt=0, count=1), of(StepCompleted, "settle", attempt=0, output="9")]

    assert 2 * ["  > settle", "  + settle  <1 ms, 1 iteration"] == lines_of([*first, *first], changes)


def test_what_a_step_waits_for_is_told():
    """A signal, a time, a run; when it comes, how long that took."""
    events = [
        of(TimerSet, "paid", due_at=3700.0, delay=3600.0, attempt=0),
        of(TimerSet, "night", due_at=3700.0, delay=3600.0, attempt=0),
        of(StepStarted, "ship"),
        of(ChildStarted, "ship", child="r/ship"),
        of(StepCompleted, "paid", 160.0, output="1", attempt=0),
        of(TimerFired, "night", 3700.0, attempt=0),
        of(StepCompleted, "night", 3700.0, output="null", attempt=0),
        of(StepCompleted, "ship", 3700.0, output="{}"),
    ]

    lines = lines_of(events)

    assert lines[0].startswith("  = paid    waits for a signal, until ")
    assert lines[1].startswith("  = night   waits until ")
    assert all(line.endswith(", in 1 h 00 min") for line in lines[:2])
    assert ["  > ship", "  = ship    waits for run r/ship", "  + paid    1 min 00 s", "  + night   1 h 00 min",
            "  + ship    1 h 00 min"] == lines[2:]  # fmt: skip


def test_signal_that_came_before():
    """It is no value that somebody gave; one that is given is."""
    assert ["  + paid    it had come before"] == lines_of([of(StepCompleted, "paid", output="1", attempt=0)])
    assert ["  + files   its value was given"] == lines_of([of(StepCompleted, "files", output="[]", attempt=0)])


def test_signal_that_never_came():
    """Nothing was tried, but it was waited for."""
    events = [of(TimerSet, "paid", due_at=160.0, attempt=0), of(StepFailed, "paid", 160.0, attempt=0, error=ERROR)]

    assert "  x paid    waited 1 min 00 s  ValueError: no" == lines_of(events)[-1]


def test_step_that_fails_before_it_was_tried():
    """As its condition did."""
    assert ["  x files   not tried  ValueError: no"] == lines_of([of(StepFailed, "files", attempt=0, error=ERROR)])


def test_undoing_items():
    """The first are told; the report counts them all."""
    changes, lines = Changes(DAG, 6), []
    for item in range(50):
        for cls in (CompensationStarted, CompensationCompleted):
            event: CompensationEvent = cls(seq=1, at=1.0, step="parse", item=item, attempt=1)
            lines += [line.text for line in changes.undoing(event)]
    failed = CompensationFailed(seq=1, at=1.0, step="parse", item=50, attempt=1, error=ERROR)
    lines += [line.text for line in changes.undoing(failed)]

    assert ["  > parse[0]  undoing", "  + parse[0]  undone", "  > parse[1]  undoing"] == lines[:3]
    assert "  x parse[50]  could not be undone: ValueError: no" == lines[-1]
    assert 7 == len(lines)


def test_budget_of_an_item():
    """That of a resumed run is a fresh one, as of a step."""
    changes = Changes(DAG, 6, {"parse[3]": 2})
    event = of(StepFailed, "parse", 1.0, 3, attempt=4, error=ERROR)

    assert ["  x parse[3]  attempt 4/4  ValueError: no"] == lines_of([event], changes)


# On the screen.


def shown(scene: Scene, now: float = 110.0) -> list[str]:
    return [line.text for line in scene.lines(now, 9)]


def applied(*events: StepEvent, beginning: Beginning | None = None) -> Scene:
    scene = scene_of(beginning or Beginning(dag=DAG))
    for event in events:
        scene.apply(event)
    return scene


def test_items_are_one_line_on_the_screen():
    """How far they are, and since when; those that fail scroll up."""
    failed = [of(StepStarted, "parse", 100.0, 9), of(StepFailed, "parse", 100.0, 9, error=ERROR)]
    scene = applied(*row_of(9)[:2], *items_of("parse", 7), *failed)

    assert "  > parse   7/9, 1 failed  10 s" == shown(scene)[0]
    assert ["  x parse[9]  attempt 1/2  ValueError: no"] == [line.text for line in scene.fresh]
    assert shown(scene)[-1].endswith(": 1 running, 7 to do")


def test_what_waits_stands_below_what_is_at_work():
    """It says for what, as long as it does; then it scrolls up."""
    scene = applied(
        of(TimerSet, "paid", due_at=3710.0, attempt=0),
        of(StepStarted, "ship"),
        of(ChildStarted, "ship", child="r/ship"),
        of(StepStarted, "files"),
        of(StepStarted, "lines"),
        of(StepCompleted, "lines", 101.0, 0, attempt=0, output="1"),
        of(StepHeartbeat, "files", progress='"half"'),
    )

    first = shown(scene)
    scene.apply(of(StepCompleted, "ship", 109.0, output="{}"))

    assert ["  > files   10 s  half", "  > lines   1 item  10 s"] == first[:2]
    assert first[2].startswith("  = paid    waits for a signal, until ")
    assert first[2].endswith(", in 1 h 00 min")
    assert "  = ship    waits for run r/ship" == first[3]
    assert first[-1].endswith(": 2 running, 2 waiting, 4 to do")
    assert ["  + ship    9.0 s"] == [line.text for line in scene.fresh]


def test_items_that_are_undone_on_the_screen():
    """The one in flight has a line."""
    scene = applied()
    for item in range(5):
        scene.undo(CompensationStarted(seq=1, at=100.0, step="parse", item=item, attempt=1))
        if item < 4:
            scene.undo(CompensationCompleted(seq=1, at=100.0, step="parse", item=item, attempt=1))

    assert "  > parse[4]  undoing  10 s" == shown(scene)[0]
    assert 3 == len(scene.fresh)


def begun(*events: Event, kept: str = "") -> Beginning:
    """What is true of a run that goes on after these events."""
    started = RunStarted(seq=1, at=90.0, workflow="Flow", version="1", fingerprint="f", inputs="{}")
    history = History("r").extend([started, *events])
    done = {name: record.status for name, record in history.steps.items() if record.status.is_final}
    return Beginning(dag=DAG, kept=done, begun=list(history.steps.values()))


def test_a_resumed_run_counts_the_items_of_before():
    """Those that completed count, what it waited for it still does; its steps go on without being announced."""
    beginning = begun(
        *row_of(4)[:2], *items_of("parse", 2), of(StepStarted, "parse", 100.0, 2),
        of(TimerSet, "night", due_at=3700.0, attempt=0), of(TimerSet, "paid", attempt=0),
        of(StepStarted, "ship"), of(ChildStarted, "ship", child="r/ship"),
    )  # fmt: skip
    scene = applied(*list(items_of("parse", 3, at=105.0))[-2:], beginning=beginning)

    lines = shown(scene)

    assert "  > parse   3/4  10 s" == lines[0]
    assert lines[1].startswith("  = night   waits until ")
    assert ["  = paid    waits for a signal", "  = ship    waits for run r/ship"] == lines[2:4]
    assert lines[-1].endswith(": 1 running, 3 waiting, 4 to do")


def test_failed_items_of_a_resumed_run_are_open_again():
    """They are no failures any more until they fail again; so for those that are told in lines."""
    failed = [of(StepStarted, "parse", 100.0, 1), of(StepFailed, "parse", 100.0, 1, error=ERROR)]
    beginning = begun(*row_of(3)[:2], *items_of("parse", 1), *failed, of(StepFailed, "parse", error=ERROR))
    beginning = Beginning(dag=DAG, begun=beginning.begun)
    again = [of(StepStarted, "parse", 105.0, 1, attempt=2)]
    done = [of(StepCompleted, "parse", 106.0, item, output="1") for item in (1, 2)]
    end = of(StepCompleted, "parse", 107.0, output="@items", attempt=0)

    scene = applied(*again, beginning=beginning)
    lines = lines_of([*again, *done, end], beginning.changes())

    assert "  > parse   1/3  5.0 s" == shown(scene)[0]
    assert ["  + parse   2.0 s, 3 items"] == lines


# Both displays.


@pytest.mark.parametrize("size", [1, 200], ids=["few steps", "many steps"])
def test_lines_of_a_run_alone(capsys: pytest.CaptureFixture[str], size: int):
    """Runs that are executed beside it, as those that it starts, say nothing; of many steps only ends are told."""
    dag = DAG if size == 1 else compile_workflow(make_workflow("W", {f"s{at}": step(_one) for at in range(size)}))
    display = OneRun("r", LineDisplay(Output(), Beginning(dag=dag)))
    name = "parse" if size == 1 else "s7"

    display.told(RECORD, [of(StepExpanded, name, count=2), of(TimerSet, name, due_at=500.0)])
    display.told(attrs.evolve(RECORD, id="r/ship"), [of(StepStarted, "work")])

    lines = steady(capsys.readouterr().out).splitlines()
    assert (["  > parse   2 items"] if size == 1 else []) == lines[:1]
    assert (2 if size == 1 else 0) == len(lines)


def _one() -> int:
    return 1


# The log.


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (of(StepStarted, "parse", item=3), "step.started parse[3]"),
        (of(StepFailed, "parse", item=3, attempt=2, error=ERROR), "step.failed parse[3] attempt 2 ValueError: no"),
        (of(StepExpanded, "parse", count=50), "step.expanded parse 50 items"),
        (of(TimerSet, "paid"), "timer.set paid without a limit"),
        (of(TimerFired, "paid"), "timer.fired paid"),
        (of(ChildStarted, "ship", child="r/ship", workflow="Small"), "child.started ship run r/ship Small"),
        (CompensationStarted(seq=1, at=0.0, step="parse", item=3, attempt=1), "compensation.started parse[3]"),
        (SignalReceived(seq=1, at=0.0, signal="finish", message_id="m", payload="total"),
         "signal.received finish total"),
        (RunStarted(seq=1, at=0.0, workflow="W", version="1", fingerprint="f", inputs="{}", parent="p",
                    parent_step="ship", parent_item=2), "run.started W version 1 for ship[2] of run p"),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)  # fmt: skip
def test_line_of_an_event(event: Event, words: str):
    """It names the item, and says what the kind has to say."""
    assert words == " ".join(event_line(event).text.split()[2:])


def test_line_of_a_wait_says_until_when():
    """As of a run that begins later."""
    later = RunStarted(seq=1, at=100.0, workflow="W", version="1", fingerprint="f", inputs="{}", not_before=200.0)

    assert " ".join(event_line(of(TimerSet, "night", due_at=200.0)).text.split()[2:4]) == "timer.set night"
    assert "until " in event_line(of(TimerSet, "night", due_at=200.0)).text
    assert "begins at " in event_line(later).text


# The steps of a run, as `show` tells them.


def rows_of(name: str, *events: Event, everything: bool = False) -> list[str]:
    """The line of a step to which that happened, and those of its items, at 110 s."""
    started = RunStarted(seq=1, at=90.0, workflow="Flow", version="1", fingerprint="f", inputs="{}")
    record = History("r").extend([started, *events]).steps[name]
    lines = [step_line(record, DAG, 6, 110.0), *item_lines(record, DAG, 110.0, everything=everything)]
    return [line.text for line in lines]


def test_row_of_a_step_whose_items_fail():
    """The first three of those that failed or are tried again are told, the others counted."""
    events = row_of(6)[:2]
    for item in range(4):
        events += [of(StepStarted, "parse", 100.0, item), of(StepFailed, "parse", 101.0, item, error=ERROR)]
    retrying = {"error": ERROR, "delay": 20.0, "due_at": 120.0}
    events += [of(StepStarted, "parse", 100.0, 4), of(StepRetrying, "parse", 101.0, 4, **retrying)]

    assert [
        "  > parse   for 10 s, 0/6, 4 failed, 1 retrying",
        "      x parse[0]  1.0 s, ValueError: no",
        "      x parse[1]  1.0 s, ValueError: no",
        "      x parse[2]  1.0 s, ValueError: no",
        "      and 2 items more (1 failed, 1 retrying): --all",
    ] == rows_of("parse", *events)
    assert [
        "      ~ parse[4]  for 10 s, again in 10 s: ValueError: no",
        "      o parse[5]  not started",
    ] == rows_of("parse", *events, everything=True)[-2:]


@pytest.mark.parametrize(
    ("name", "events", "text"),
    [
        ("paid", [of(TimerSet, "paid")], "  = paid    for 10 s, waits for a signal"),
        ("paid", [of(StepCompleted, "paid", attempt=0, output="1")], "  + paid    it had come before"),
        ("files", [of(StepCompleted, "files", attempt=0, output="[]")], "  + files   reused"),
        ("ship", [of(StepStarted, "ship"), of(ChildStarted, "ship", child="r/ship")],
         "  = ship    for 10 s, waits for run r/ship"),
        ("ship", [of(StepStarted, "ship"), of(ChildStarted, "ship", child="r/ship"),
                  of(StepCompleted, "ship", 104.0, output="{}")], "  + ship    4.0 s, run r/ship"),
        ("lines", [of(StepStarted, "lines"), of(StepCompleted, "lines", 101.0, 0, output="1")],
         "  > lines   for 10 s, 1 item"),
        ("settle", [of(StepExpanded, "settle", count=1), of(StepStarted, "settle", 100.0, 0)],
         "  > settle  for 10 s, iteration 1"),
    ],
)  # fmt: skip
def test_row_of_a_step(name: str, events: list[Event], text: str):
    """It says for what it waits, which run it started, and how far it is."""
    assert [text] == rows_of(name, *events)


def test_row_of_a_wait_that_is_over():
    """Who was to go on, and did not, says until when it waited, and no time to come."""
    (line,) = rows_of("night", of(TimerSet, "night", due_at=105.0))

    assert line.startswith("  = night   for 10 s, waits until ")
    assert ", in " not in line
