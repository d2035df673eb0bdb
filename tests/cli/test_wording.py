"""Figures, lists and reports as people read them."""

from pathlib import Path

import attrs
import pytest

import orchwf
from orchwf import RunFailed, compile_workflow, step, workflow
from orchwf.core import events
from orchwf.core.events import (
    ErrorInfo,
    Event,
    RunCancelled,
    RunCompleted,
    RunPaused,
    RunResumed,
    RunStarted,
    SignalReceived,
    StepCancelled,
    StepCompleted,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from orchwf.core.history import AttemptRecord, History, StepRecord
from orchwf.core.lines import names_text, padded, relative
from orchwf.core.report import Report
from orchwf.core.state import RunStatus, StepStatus
from orchwf.core.wording import age_text, counts_text, duration_text, plural
from orchwf.errors import resume_command
from orchwf.views import event_line, resume_lines, step_line, steps_to_show

ERROR = ErrorInfo("shop.OutOfStockError", "none left\nsecond line")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "<1 ms"), (0.0004, "<1 ms"), (0.00235, "2 ms"), (0.04, "40 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"),
        (2.13, "2.1 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (184, "3 min 04 s"),
        (3599.7, "1 h 00 min"), (7500, "2 h 05 min"), (86_399, "1 d 00 h"), (360_000, "4 d 04 h"), (-1.0, "<1 ms"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str):
    """At most two units, and no more digits than mean something."""
    assert text == duration_text(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (1.9, "just now"), (42, "42 s ago"), (184, "3 min ago"), (7500, "2 h ago"), (9e7, "1,041 d ago")],
)
def test_ages(seconds: float, text: str):
    """One unit is enough."""
    assert text == age_text(seconds)


def test_counts():
    """What there is none of is not named; thousands are set apart."""
    assert "5,000 done, 1 failed" == counts_text(
        {StepStatus.FAILED: 1, StepStatus.COMPLETED: 5000, StepStatus.RUNNING: 0}
    )
    assert ("1 step", "2,000 steps") == (plural(1, "step"), plural(2000, "step"))


def test_names():
    """Many names are shortened to a few, a long one in its middle."""
    assert "a, b, c, d, e and 2,495 more" == names_text([*"abcde", *map(str, range(2495))])
    assert 40 == len(padded("x" * 300, 40))
    assert "a\\nb  " == padded("a\nb", 6)


@pytest.mark.parametrize(
    ("run_id", "store", "command"),
    [
        ("7f3a", "", "orchwf resume 7f3a"),
        ("a b", "", "orchwf resume 'a b'"),
        ("-x", "", "orchwf resume -- -x"),
        ("7f3a", "sqlite:///my runs.db", "orchwf resume --store 'sqlite:///my runs.db' 7f3a"),
    ],
)
def test_command_that_resumes(run_id: str, store: str, command: str):
    """It can be pasted into a shell, whatever the id and the store are called."""
    assert command == resume_command(run_id, store)


def test_relative_places():
    """A path below the folder loses it; no other does."""
    assert "a.py:1" == relative("/home/me/a.py:1", "/home/me")
    assert "/home/meow/a.py:1" == relative("/home/meow/a.py:1", "/home/me")
    assert "a.py" == relative("C:\\x\\a.py", "C:\\x")
    assert "/a.py" == relative("/a.py", "")


def test_report_of_many_failures():
    """At most five failures and five steps that were left out are told, and the rest is counted."""
    steps = {f"f{at}": StepRecord(f"f{at}", StepStatus.FAILED, error=ERROR) for at in range(30)}
    steps |= {
        f"s{at}": StepRecord(f"s{at}", StepStatus.SKIPPED, reason="f0 failed", cause="failure") for at in range(40)
    }
    report = Report(run_id="r", workflow="W", status=RunStatus.FAILED, steps=steps, duration=1.0, store="")

    lines = [line.text for line in report.lines()]

    assert "x W run r failed in 1.0 s   (30 failed, 40 skipped)" == lines[0]
    assert "  x f0  not tried  OutOfStockError: none left" == lines[1]
    assert "  x and 25 more that failed" in lines
    assert "  - and more: 35 skipped" in lines
    assert "  Mend the code, then:  orchwf resume r" == lines[-1]
    assert len(lines) <= 25


def test_report_of_a_deadline():
    """A run that failed without a failed step says why."""
    report = Report(
        run_id="r", workflow="W", status=RunStatus.FAILED, steps={}, reason="the run passed its deadline of 5 s"
    )

    assert ["x W run r failed", "  the run passed its deadline of 5 s"] == [line.text for line in report.lines()]


def test_exception_carries_the_report():
    """The text of the command line rides on RunFailed, for pytest and notebooks."""

    @workflow
    class Flow:
        @step
        def charge(self) -> int:
            raise ValueError("no")

    with pytest.raises(RunFailed) as caught:
        orchwf.run(Flow(), store="memory:", run_id="r")

    (note,) = caught.value.__notes__
    first, failed, place, source, way_out = note.splitlines()
    assert way_out == "  Mend the code, then:  orchestrator.resume('r')"
    assert first.startswith("x Flow run r failed in ")
    assert "  x charge  attempt 1/1  ValueError: no" == failed
    assert " in charge" in place
    assert '        raise ValueError("no")' == source


def test_exception_names_the_store(tmp_path: Path):
    """Where the run is kept, the note says how to resume it."""

    @workflow
    class Flow:
        @step
        def charge(self) -> int:
            raise ValueError("no")

    with pytest.raises(RunFailed) as caught:
        orchwf.run(Flow(), store=f"sqlite:///{tmp_path}/x.db", run_id="r")

    assert caught.value.__notes__[0].endswith(
        f"  Mend the code, then:  orchwf resume --store sqlite:///{tmp_path}/x.db r"
    )


def test_what_a_resume_keeps():
    """An optional failure is a decision like any other: it stays, and is not said to run again."""

    @workflow
    class Sales:
        @step(required=False)
        def notice(self) -> None: ...

        @step
        def load(self) -> None: ...

    steps = {name: StepRecord(name, StepStatus.FAILED, error=ERROR) for name in ("notice", "load")}
    report = Report(run_id="r", workflow="Sales", status=RunStatus.FAILED, steps=steps, dag=compile_workflow(Sales))

    assert [line.text for line in resume_lines(report)] == [
        "> Sales run r resumed",
        "  keeps  notice   (failed, but optional)",
        "  again  load   (OutOfStockError: none left)",
    ]


def test_what_a_resume_undoes():
    """Of a run that was interrupted while it was undone only that goes on."""

    @workflow
    class Trip:
        @step
        def flight(self) -> None: ...

        @flight.compensate
        def no_flight(self) -> None: ...

        @step
        def hotel(self) -> None: ...

        @step
        def car(self) -> None: ...

    done, running = StepStatus.COMPLETED, StepStatus.RUNNING
    attempts = [AttemptRecord(1, 1.0, 2.0, done)]
    steps = {
        "flight": StepRecord("flight", done, attempts),
        "hotel": StepRecord("hotel", done, attempts, compensation=StepRecord("hotel", running)),
        "car": StepRecord("car", done, attempts, compensation=StepRecord("car", done)),
    }
    report = Report(run_id="r", workflow="Trip", status=RunStatus.RUNNING, steps=steps, dag=compile_workflow(Trip))

    assert [line.text for line in resume_lines(report)] == [
        "> Trip run r resumed",
        "  done   car   (undone)",
        "  undo   hotel   (interrupted)",
        "  undo   flight   (not begun)",
    ]


def test_several_steps_of_unknown_fate():
    """Each of them needs an answer, so the commands name them all."""

    @workflow
    class Pay:
        @step(delivery="at_most_once")
        def charge(self) -> None: ...

        @step(delivery="at_most_once", name="send it")
        def send(self) -> None: ...

    steps = {name: StepRecord(name, StepStatus.RUNNING, [AttemptRecord(1, 1.0)]) for name in ("charge", "send it")}
    report = Report(
        run_id="r", workflow="Pay", status=RunStatus.RUNNING, steps=steps, dag=compile_workflow(Pay), interrupted=True,
        store="memory:",
    )  # fmt: skip

    typed = [line.text for line in attrs.evolve(report, store="").lines()[-4:]]
    called = [line.text for line in report.lines()[-3:]]

    assert [
        "  Find out whether charge, send it took effect, and say so:",
        "    orchwf resume r --rerun charge --rerun 'send it'             they did not: run them again",
        "    orchwf resume r --value charge=JSON --value 'send it=JSON'   they did, and returned this",
        "    orchwf resume r --skip charge --skip 'send it'               go on without them",
    ] == typed
    assert [
        "orchestrator.resume('r', rerun=['charge', 'send it'])",
        "orchestrator.resume('r', values={'charge': ..., 'send it': ...})",
        "orchestrator.resume('r', skip=['charge', 'send it'])",
    ] == [line.strip().partition("   ")[0] for line in called]


def test_budget_of_a_resumed_step():
    """After a resume the attempts go on counting, and so does how many there may be."""
    history = History("r").extend(
        [
            RunStarted(seq=1, at=1.0, workflow="W", version="1", fingerprint="f", inputs="{}"),
            StepStarted(seq=2, at=1.0, step="a", attempt=1),
            StepRetrying(seq=3, at=1.0, step="a", attempt=1, error=ERROR, delay=1.0, due_at=2.0),
            events.RunFailed(seq=4, at=2.0, steps=(), error="late"),
            RunResumed(seq=5, at=3.0, reason="retry", fingerprint="f"),
        ]
    )

    assert 1 == history.steps["a"].spent


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (StepRecord("a"), "  o a  not started"),
        (StepRecord("a", StepStatus.RUNNING, started_at=90.0), "  > a  for 10 s"),
        (StepRecord("a", StepStatus.RETRYING, started_at=90.0, due_at=102.0, error=ERROR),
         "  ~ a  for 10 s, again in 2.0 s: OutOfStockError: none left"),
        (StepRecord("a", StepStatus.COMPLETED, started_at=90.0, ended_at=90.04), "  + a  40 ms"),
        (StepRecord("a", StepStatus.SKIPPED, reason="b failed"), "  - a  skipped: b failed"),
        (StepRecord("a", StepStatus.CANCELLED), "  / a  cancelled"),
        (StepRecord("a", StepStatus.FAILED), "  x a  failed"),
    ],
    ids=lambda value: value.status if isinstance(value, StepRecord) else "",
)  # fmt: skip
def test_line_of_a_step(record: StepRecord, text: str):
    """Each state says what there is to know."""
    assert text == step_line(record, None, 1, 100.0).text


def test_steps_of_interest():
    """Of many steps those that failed or are in flight are shown, in their order."""
    steps = [StepRecord(f"c{at}", StepStatus.COMPLETED) for at in range(100)]
    steps[50] = StepRecord("bad", StepStatus.FAILED)
    steps[70] = StepRecord("busy", StepStatus.RUNNING)

    shown = [record.name for record in steps_to_show(steps, 40)]

    assert 10 == len(shown)
    assert ["bad", "busy"] == [name for name in shown if not name.startswith("c")]
    assert 100 == len(steps_to_show(steps, 100))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (RunPaused(seq=1, at=0.0, reason="why"), "run.paused request why"),
        (RunResumed(seq=1, at=0.0, reason="retry", fingerprint="f"), "run.resumed retry"),
        (RunCompleted(seq=1, at=0.0), "run.completed"),
        (RunCancelled(seq=1, at=0.0), "run.cancelled"),
        (StepCompleted(seq=1, at=0.0, step="a", attempt=2, output="1"), "step.completed a attempt 2"),
        (StepCancelled(seq=1, at=0.0, step="a", reason="x", cause="run"), "step.cancelled a x"),
        (StepSkipped(seq=1, at=0.0, step="a", reason="x", cause="when"), "step.skipped a x"),
        (SignalReceived(seq=1, at=0.0, signal="cancel", message_id="m"), "signal.received cancel"),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_line_of_an_event(event: Event, words: str):
    """Number, time, kind, and what the kind has to say."""
    assert words == " ".join(event_line(event).text.split()[2:])
