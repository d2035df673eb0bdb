"""Events as rows, and compensations as steps."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.events import EVENT_TYPES, ErrorInfo, Event, from_row, to_row

ERROR = ErrorInfo("shop.errors.Broken", "it broke\nbadly", "Traceback", "shop.py:3 in charge", "raise Broken")
OF_STEP: dict[str, Any] = {"seq": 7, "at": 1.5, "step": "a", "attempt": 2}
OF_RUN: dict[str, Any] = {"seq": 7, "at": 1.5}

STARTED = '{"workflow":"W","version":"1","fingerprint":"f","inputs":"{}","origin":"r0"}'
E = '{"type_name":"E","message":"e","traceback":"","location":"","source":""}'
BROKE = (
    '{"type_name":"shop.errors.Broken","message":"it broke\\nbadly","traceback":"Traceback",'
    '"location":"shop.py:3 in charge","source":"raise Broken"}'
)

ROWS: list[tuple[Event, ev.Row]] = [
    (
        ev.RunStarted(**OF_RUN, workflow="W", version="1", fingerprint="f", inputs="{}", origin="r0"),
        (7, 1.5, "run.started", None, 0, None, STARTED),
    ),
    (ev.RunPaused(**OF_RUN), (7, 1.5, "run.paused", None, 0, None, None)),
    (
        ev.RunPaused(**OF_RUN, reason="näher", cause="unknown"),
        (7, 1.5, "run.paused", None, 0, None, '{"reason":"näher","cause":"unknown"}'),
    ),
    (
        ev.RunResumed(**OF_RUN, reason="retry", fingerprint="f", rerun=("a", "b"), reset=("c",)),
        (7, 1.5, "run.resumed", None, 0, None, '{"reason":"retry","fingerprint":"f","rerun":["a","b"],"reset":["c"]}'),
    ),
    (ev.RunCompleted(**OF_RUN), (7, 1.5, "run.completed", None, 0, None, None)),
    (
        ev.RunFailed(**OF_RUN, steps=("a",), error="E: e", compensation="done"),
        (7, 1.5, "run.failed", None, 0, None, '{"steps":["a"],"error":"E: e","compensation":"done"}'),
    ),
    (ev.RunCancelled(**OF_RUN, reason="no"), (7, 1.5, "run.cancelled", None, 0, None, '{"reason":"no"}')),
    (ev.StepStarted(**OF_STEP), (7, 1.5, "step.started", "a", 2, None, None)),
    (ev.StepCompleted(**OF_STEP, output="[1]"), (7, 1.5, "step.completed", "a", 2, None, "[1]")),
    (
        ev.StepRetrying(**OF_STEP, error=ErrorInfo("E", "e"), delay=None, due_at=None, runs_on=True),
        (
            7, 1.5, "step.retrying", "a", 2, None,
            f'{{"error":{E},"delay":null,"due_at":null,"runs_on":true}}',
        ),
    ),
    (
        ev.StepFailed(**OF_STEP, error=ERROR),
        (
            7, 1.5, "step.failed", "a", 2, None,
            f'{{"error":{BROKE}}}',
        ),
    ),
    (
        ev.StepSkipped(**OF_STEP, reason="no", cause="body"),
        (7, 1.5, "step.skipped", "a", 2, None, '{"reason":"no","cause":"body"}'),
    ),
    (
        ev.StepCancelled(**OF_STEP, reason="no", cause="run", runs_on=True),
        (7, 1.5, "step.cancelled", "a", 2, None, '{"reason":"no","cause":"run","runs_on":true}'),
    ),
    (ev.StepHeartbeat(**OF_STEP), (7, 1.5, "step.heartbeat", "a", 2, None, None)),
    (ev.StepHeartbeat(**OF_STEP, progress="[1]"), (7, 1.5, "step.heartbeat", "a", 2, None, '{"progress":"[1]"}')),
    (
        ev.CacheHit(seq=7, at=1.5, step="a", key="k", run="r"),
        (7, 1.5, "cache.hit", "a", 0, None, '{"key":"k","run":"r"}'),
    ),
    (
        ev.SignalReceived(**OF_RUN, signal="cancel", message_id="m", payload="no"),
        (7, 1.5, "signal.received", None, 0, None, '{"signal":"cancel","message_id":"m","payload":"no"}'),
    ),
    (ev.StepStarted(**OF_STEP, item=3), (7, 1.5, "step.started", "a", 2, 3, None)),
    (ev.StepCompleted(**OF_STEP, item=0, output="[1]"), (7, 1.5, "step.completed", "a", 2, 0, "[1]")),
    (ev.StepExpanded(**OF_STEP, count=2), (7, 1.5, "step.expanded", "a", 2, None, '{"count":2}')),
    (
        ev.StepExpanded(**OF_STEP, count=2, keys=("x", "y")),
        (7, 1.5, "step.expanded", "a", 2, None, '{"count":2,"keys":["x","y"]}'),
    ),
    (ev.TimerSet(**OF_STEP), (7, 1.5, "timer.set", "a", 2, None, None)),
    (
        ev.TimerSet(**OF_STEP, due_at=3.5, delay=2.0),
        (7, 1.5, "timer.set", "a", 2, None, '{"due_at":3.5,"delay":2.0}'),
    ),
    (ev.TimerFired(**OF_STEP), (7, 1.5, "timer.fired", "a", 2, None, None)),
    (
        ev.ChildStarted(**OF_STEP, item=1, child="r/a/1", workflow="W", version="1", inputs="{}", depth=2),
        (
            7, 1.5, "child.started", "a", 2, 1,
            '{"child":"r/a/1","workflow":"W","version":"1","inputs":"{}","depth":2}',
        ),
    ),
    (ev.CompensationStarted(**OF_STEP), (7, 1.5, "compensation.started", "a", 2, None, None)),
    (ev.CompensationCompleted(**OF_STEP), (7, 1.5, "compensation.completed", "a", 2, None, None)),
    (
        ev.CompensationFailed(**OF_STEP, error=ErrorInfo("E", "e"), delay=0.5, due_at=2.0),
        (
            7, 1.5, "compensation.failed", "a", 2, None,
            f'{{"error":{E},"delay":0.5,"due_at":2.0}}',
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "row"), ROWS, ids=lambda value: getattr(value, "kind", ""))
def test_events_as_rows(event: Event, row: ev.Row):
    """They are flat, what has its default is left out, and they come back as they were."""
    assert row == to_row(event)
    assert event == from_row(row)


def test_every_kind_is_told():
    """A log may hold all of them, and nothing else."""
    assert {event.kind for event, _ in ROWS} == set(EVENT_TYPES)
    with pytest.raises(KeyError):
        from_row((1, 0.0, "step.paused", "a", 1, None, None))


def test_what_is_left_out_has_its_default():
    """As in a row that an earlier orchwf wrote, which knew fewer fields."""
    started = '{"workflow":"W","version":"1","fingerprint":"f","inputs":"{}"}'
    received = '{"signal":"paid","message_id":"m"}'

    assert "" == attrs.asdict(from_row((1, 0.0, "run.started", None, 0, None, started)))["origin"]
    assert "null" == attrs.asdict(from_row((1, 0.0, "signal.received", None, 0, None, received)))["payload"]
    assert ("", "request") == attrs.astuple(from_row((1, 0.0, "run.paused", None, 0, None, None)))[2:]
    assert ("", "") == attrs.astuple(from_row((1, 0.0, "run.cancelled", None, 0, None, None)))[2:]
    assert (
        "" == attrs.asdict(from_row((1, 0.0, "run.failed", None, 0, None, '{"steps":[],"error":""}')))["compensation"]
    )
    assert "null" == attrs.asdict(from_row((1, 0.0, "step.heartbeat", "a", 1, None, None)))["progress"]
    assert ev.StepCompleted(seq=1, at=0.0, step="", attempt=0, output="null") == from_row(
        (1, 0.0, "step.completed", None, 0, None, None)
    )


def test_a_step_that_never_began_is_in_no_attempt():
    """Zero stands for that."""
    assert 0 == ev.StepSkipped(seq=1, at=0.0, step="a", reason="", cause="when").attempt


def test_the_body_of_a_failed_attempt_does_not_run_on_unless_somebody_says_so():
    """Most can be stopped."""
    failed = ev.StepFailed(seq=1, at=0.0, step="a", error=ERROR)
    retrying = ev.StepRetrying(seq=1, at=0.0, step="a", error=ERROR, delay=None, due_at=None)
    cancelled = ev.StepCancelled(seq=1, at=0.0, step="a", reason="", cause="run")

    assert (False, False, False) == (failed.runs_on, retrying.runs_on, cancelled.runs_on)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ErrorInfo("ValueError", "row 3"), "ValueError: row 3"),
        (ERROR, "Broken: it broke"),
        (ErrorInfo("a.b.C", ""), "C"),
        (ErrorInfo("C", "\nsecond"), "C"),
    ],
)
def test_the_headline_of_an_error(error: ErrorInfo, expected: str):
    """Its name without its module, and the first line of its message."""
    assert expected == error.headline


def test_an_error_of_which_little_is_known():
    """It has no traceback, no place, no line."""
    assert ("", "", "") == attrs.astuple(ErrorInfo("E", "e"))[2:]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ev.CompensationStarted(**OF_STEP), ev.StepStarted(**OF_STEP)),
        (ev.CompensationCompleted(**OF_STEP), ev.StepCompleted(**OF_STEP, output="null")),
        (ev.CompensationFailed(**OF_STEP, error=ERROR), ev.StepFailed(**OF_STEP, error=ERROR)),
        (
            ev.CompensationFailed(**OF_STEP, error=ERROR, delay=0.5, due_at=2.0),
            ev.StepRetrying(**OF_STEP, error=ERROR, delay=0.5, due_at=2.0),
        ),
    ],
)
def test_compensations_live_by_the_rules_of_steps(event: ev.CompensationEvent, expected: ev.StepEvent):
    """Each of their events is one of a step."""
    assert expected == event.as_step()
