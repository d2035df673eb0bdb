"""What is true of a run and of its steps."""

from enum import StrEnum


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
    """
    Where a step is.

    `retrying` waits for its next attempt; `waiting` for a signal, a time, the end of another run, or its own items.
    """

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
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

UNDONE_CAUSES = frozenset({"failure", "deadline"})
"""The causes of skips and cancellations that a resume of the failed run undoes."""

BY_HAND = frozenset({"retry", "undo"})
"""The reasons of a resume that somebody asked for."""
