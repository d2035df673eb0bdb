"""What may follow what: the tables of what happens to a run and to its steps."""

from ..errors import IllegalTransitionError
from . import events
from .state import RunStatus, StepStatus

_P, _R, _T, _W = StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING

STEP_TRANSITIONS: dict[tuple[StepStatus, str], StepStatus] = {
    (_P, events.StepStarted.kind): _R,
    # Somebody gave the output, or it is that of the run from which this one was forked.
    (_P, events.StepCompleted.kind): StepStatus.COMPLETED,
    (_P, events.CacheHit.kind): _P,
    (_P, events.StepFailed.kind): StepStatus.FAILED,
    (_P, events.StepSkipped.kind): StepStatus.SKIPPED,
    (_P, events.StepCancelled.kind): StepStatus.CANCELLED,
    (_R, events.StepHeartbeat.kind): _R,
    (_R, events.StepCompleted.kind): StepStatus.COMPLETED,
    (_R, events.StepRetrying.kind): _T,
    (_R, events.StepFailed.kind): StepStatus.FAILED,
    (_R, events.StepSkipped.kind): StepStatus.SKIPPED,
    (_R, events.StepCancelled.kind): StepStatus.CANCELLED,
    (_T, events.StepStarted.kind): _R,
    # What another run has computed meanwhile.
    (_T, events.CacheHit.kind): _T,
    (_T, events.StepCompleted.kind): StepStatus.COMPLETED,
    # No time is left for the attempt that was due, and somebody is to say how it goes on.
    (_T, events.StepRetrying.kind): _T,
    (_T, events.StepFailed.kind): StepStatus.FAILED,
    (_T, events.StepCancelled.kind): StepStatus.CANCELLED,
    # It waits for something outside: a time, a signal, another run; or for its items.
    (_P, events.TimerSet.kind): _W,
    (_R, events.ChildStarted.kind): _W,
    (_P, events.StepExpanded.kind): _W,
    (_R, events.StepExpanded.kind): _W,
    (_W, events.StepExpanded.kind): _W,
    (_W, events.TimerFired.kind): _W,
    (_W, events.StepRetrying.kind): _T,
    (_W, events.StepSkipped.kind): StepStatus.SKIPPED,
    (_W, events.StepCompleted.kind): StepStatus.COMPLETED,
    (_W, events.StepFailed.kind): StepStatus.FAILED,
    (_W, events.StepCancelled.kind): StepStatus.CANCELLED,
}
"""(where a step is, what happens to it) -> where it is then. A pair that is not here may not happen."""

RUN_TRANSITIONS: dict[tuple[RunStatus, str], RunStatus] = {
    (RunStatus.SCHEDULED, events.RunStarted.kind): RunStatus.RUNNING,
    # It was to begin later, and the time has come.
    (RunStatus.SCHEDULED, events.RunResumed.kind): RunStatus.RUNNING,
    (RunStatus.SCHEDULED, events.RunCancelled.kind): RunStatus.CANCELLED,
    (RunStatus.RUNNING, events.RunPaused.kind): RunStatus.PAUSED,
    (RunStatus.RUNNING, events.RunResumed.kind): RunStatus.RUNNING,
    (RunStatus.RUNNING, events.RunCompleted.kind): RunStatus.COMPLETED,
    (RunStatus.RUNNING, events.RunFailed.kind): RunStatus.FAILED,
    (RunStatus.RUNNING, events.RunCancelled.kind): RunStatus.CANCELLED,
    (RunStatus.PAUSED, events.RunResumed.kind): RunStatus.RUNNING,
    (RunStatus.PAUSED, events.RunCancelled.kind): RunStatus.CANCELLED,
    (RunStatus.FAILED, events.RunResumed.kind): RunStatus.RUNNING,
    # What could not be undone is tried again.
    (RunStatus.CANCELLED, events.RunResumed.kind): RunStatus.RUNNING,
}
"""(where a run is, what happens to it) -> where it is then. A pair that is not here may not happen."""


def next_step_status(step: str, status: StepStatus, kind: str) -> StepStatus:
    """
    Where a step is after an event of this kind.

    Raises:
        IllegalTransitionError: the table does not have the pair.
    """
    try:
        return STEP_TRANSITIONS[status, kind]
    except KeyError:
        raise IllegalTransitionError(f"step {step!r}", str(status), kind) from None


def next_run_status(run: str, status: RunStatus, event: events.Event) -> RunStatus:
    """
    Where a run is after this event.

    Raises:
        IllegalTransitionError: the table does not have the pair.
    """
    try:
        following = RUN_TRANSITIONS[status, event.kind]
    except KeyError:
        raise IllegalTransitionError(f"run {run!r}", str(status), event.kind) from None
    is_for_later = type(event) is events.RunStarted and event.not_before is not None
    return RunStatus.SCHEDULED if is_for_later else following


def status_after_resume(
    status: StepStatus, resumed: events.RunResumed, *, step: str, undone: bool, waits: bool, expanded: bool = False
) -> StepStatus:
    """
    Where a step is after `run.resumed`.

    An attempt in flight died with the owner before, so the step is to run again.

    Args:
        undone: Whether its end was the failure of the run or came from it: a retry undoes that.
        waits: Whether it waits for somebody to resume the run.
        expanded: Whether it is known which items it runs for: then it waits for them again.
    """
    if status is StepStatus.RUNNING:
        return StepStatus.PENDING
    if step in resumed.reset or (resumed.reason == "retry" and (waits or (undone and status.is_final))):
        return StepStatus.WAITING if expanded and step not in resumed.changed else StepStatus.PENDING
    return status
