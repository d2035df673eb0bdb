"""The tables of transitions: every pair of state and event."""

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.events import EVENT_TYPES, Event, StepEvent
from orchwf.core.state import RunStatus, StepStatus
from orchwf.core.transitions import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    next_run_status,
    next_step_status,
    status_after_resume,
)
from orchwf.errors import IllegalTransitionError

STEP_KINDS = [kind for kind, cls in EVENT_TYPES.items() if issubclass(cls, StepEvent)]
RUN_KINDS = [kind for kind in EVENT_TYPES if kind.startswith("run.")]

STEP_TABLE = """
           started heartbeat completed retrying failed skipped cancelled expanded timer.set timer.fired child.started cache.hit
pending    running -         completed -        failed skipped cancelled waiting  waiting   -           -             pending
running    -       running   completed retrying failed skipped cancelled waiting  -         -           waiting       -
retrying   running -         completed retrying failed -       cancelled -        -         -           -             retrying
waiting    -       -         completed retrying failed skipped cancelled waiting  -         waiting     -             -
completed  -       -         -         -        -      -       -         -        -         -           -             -
failed     -       -         -         -        -      -       -         -        -         -           -             -
skipped    -       -         -         -        -      -       -         -        -         -           -             -
cancelled  -       -         -         -        -      -       -         -        -         -           -             -
"""  # noqa: E501 - it is a table

RUN_TABLE = """
             started  paused  resumed  completed  failed  cancelled
scheduled    running  -       running  -          -       cancelled
running      -        paused  running  completed  failed  cancelled
paused       -        -       running  -          -       cancelled
completed    -        -       -        -          -       -
failed       -        -       running  -          -       -
cancelled    -        -       running  -          -       -
"""


def cells(table: str, prefix: str) -> dict[tuple[str, str], str]:
    header, *rows = [line.split() for line in table.strip().splitlines()]
    return {
        (row[0], event if "." in event else f"{prefix}.{event}"): cell
        for row in rows
        for event, cell in zip(header, row[1:], strict=True)
    }


def an_event(kind: str) -> Event:
    """An event of this kind about a run; what else it says leads nowhere else."""
    values = {
        "workflow": "W",
        "version": "1",
        "fingerprint": "f",
        "inputs": "{}",
        "reason": "",
        "steps": (),
        "error": "",
    }
    cls = EVENT_TYPES[kind]
    wanted = {field.name for field in attrs.fields(cls)}
    return cls(seq=1, at=0.0, **{name: value for name, value in values.items() if name in wanted})


@pytest.mark.parametrize("status", StepStatus)
@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_pair_of_step_status_and_event(status: StepStatus, kind: str):
    """The table says where it leads; a pair that is not in it raises."""
    expected = cells(STEP_TABLE, "step")[status, kind]

    if expected == "-":
        with pytest.raises(IllegalTransitionError, match=f"step 'a' is '{status}', where '{kind}' may not happen"):
            next_step_status("a", status, kind)
    else:
        assert expected == next_step_status("a", status, kind)


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("kind", RUN_KINDS)
def test_every_pair_of_run_status_and_event(status: RunStatus, kind: str):
    """The table says where it leads; a pair that is not in it raises."""
    expected = cells(RUN_TABLE, "run")[status, kind]

    if expected == "-":
        with pytest.raises(
            IllegalTransitionError, match=f"run 'r' is '{status}', where '{kind}' may not happen.*bug in orchwf"
        ):
            next_run_status("r", status, an_event(kind))
    else:
        assert expected == next_run_status("r", status, an_event(kind))


def test_the_tables_are_whole():
    """Every status and every event of them is in the written tables above."""
    assert {(str(s), k) for s in StepStatus for k in STEP_KINDS} == set(cells(STEP_TABLE, "step"))
    assert {(str(s), k) for s in RunStatus for k in RUN_KINDS} == set(cells(RUN_TABLE, "run"))
    assert set(STEP_TRANSITIONS) < {(s, k) for s in StepStatus for k in STEP_KINDS}
    assert set(RUN_TRANSITIONS) < {(s, k) for s in RunStatus for k in RUN_KINDS}


@pytest.mark.parametrize("status", StepStatus)
@pytest.mark.parametrize("reason", ["takeover", "shutdown", "cancel", "undo", "retry"])
@pytest.mark.parametrize("undone", [True, False])
@pytest.mark.parametrize("waits", [True, False])
def test_after_a_resume(status: StepStatus, reason: str, undone: bool, waits: bool):
    """What was in flight runs again; with a retry so does what ended with the failure of the run, and what waited."""
    resumed = ev.RunResumed(seq=1, at=0.0, reason=reason, fingerprint="f")
    again = status is StepStatus.RUNNING or (reason == "retry" and (waits or (undone and status.is_final)))

    after = status_after_resume(status, resumed, step="a", undone=undone, waits=waits)

    assert (StepStatus.PENDING if again else status) is after


@pytest.mark.parametrize("status", StepStatus)
def test_after_a_resume_that_resets_a_step(status: StepStatus):
    """It runs again whatever its end was; others stay."""
    resumed = ev.RunResumed(seq=1, at=0.0, reason="takeover", fingerprint="f", reset=("a",))

    assert StepStatus.PENDING is status_after_resume(status, resumed, step="a", undone=False, waits=False)
    kept = StepStatus.PENDING if status is StepStatus.RUNNING else status
    assert kept is status_after_resume(status, resumed, step="b", undone=False, waits=False)


def test_a_run_that_begins_later_is_scheduled():
    """Until its time has come."""
    started = ev.RunStarted(seq=1, at=0.0, workflow="W", version="1", fingerprint="f", inputs="{}", not_before=9.0)

    assert RunStatus.SCHEDULED is next_run_status("r", RunStatus.SCHEDULED, started)
