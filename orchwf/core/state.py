"""What is true of a run and of its steps, and what may follow what."""

from enum import StrEnum

from ..errors import IllegalTransitionError
from . import events


class RunStatus(StrEnum):
    """Where a run is."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens in the run by itself."""
        return self in _FINAL_RUN


class StepStatus(StrEnum):
    """Where a step is. `retrying` waits for its next attempt."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the step has ended."""
        return self in _FINAL_STEP


_FINAL_RUN = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
_FINAL_STEP = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED})

_P, _R, _W = StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING

STEP_TRANSITIONS: dict[tuple[StepStatus, str], StepStatus] = {
    (_P, events.StepStarted.kind): _R,
    (_P, events.StepFailed.kind): StepStatus.FAILED,
    (_P, events.StepSkipped.kind): StepStatus.SKIPPED,
    (_P, events.StepCancelled.kind): StepStatus.CANCELLED,
    (_R, events.StepCompleted.kind): StepStatus.COMPLETED,
    (_R, events.StepRetrying.kind): _W,
    (_R, events.StepFailed.kind): StepStatus.FAILED,
    (_R, events.StepSkipped.kind): StepStatus.SKIPPED,
    (_R, events.StepCancelled.kind): StepStatus.CANCELLED,
    (_W, events.StepStarted.kind): _R,
    (_W, events.StepFailed.kind): StepStatus.FAILED,
    (_W, events.StepCancelled.kind): StepStatus.CANCELLED,
}
"""(where a step is, what happens to it) -> where it is then. A pair that is not here may not happen."""

RUN_TRANSITIONS: dict[tuple[RunStatus, str], RunStatus] = {
    (RunStatus.SCHEDULED, events.RunStarted.kind): RunStatus.RUNNING,
    (RunStatus.RUNNING, events.RunPaused.kind): RunStatus.PAUSED,
    (RunStatus.RUNNING, events.RunResumed.kind): RunStatus.RUNNING,
    (RunStatus.RUNNING, events.RunCompleted.kind): RunStatus.COMPLETED,
    (RunStatus.RUNNING, events.RunFailed.kind): RunStatus.FAILED,
    (RunStatus.RUNNING, events.RunCancelled.kind): RunStatus.CANCELLED,
    (RunStatus.PAUSED, events.RunResumed.kind): RunStatus.RUNNING,
    (RunStatus.PAUSED, events.RunCancelled.kind): RunStatus.CANCELLED,
    (RunStatus.FAILED, events.RunResumed.kind): RunStatus.RUNNING,
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


def next_run_status(run: str, status: RunStatus, kind: str) -> RunStatus:
    """
    Where a run is after an event of this kind.

    Raises:
        IllegalTransitionError: the table does not have the pair.
    """
    try:
        return RUN_TRANSITIONS[status, kind]
    except KeyError:
        raise IllegalTransitionError(f"run {run!r}", str(status), kind) from None


UNDONE_CAUSES = frozenset({"failure", "deadline"})
"""The causes of skips and cancellations that a resume of the failed run undoes."""


def status_after_resume(status: StepStatus, *, retry: bool, undone: bool) -> StepStatus:
    """
    Where a step is after `run.resumed`.

    An attempt in flight died with the owner before, so the step is to run again. With `retry` so is a step whose end
    was the failure of the run or came from it (`undone`).
    """
    if status is StepStatus.RUNNING or (retry and undone and status.is_final):
        return StepStatus.PENDING
    return status
