"""Runs in a listing."""

import math
from collections.abc import Mapping

import attrs

from ..core.lines import STOPPED, brief
from ..core.state import RunStatus
from ..core.wording import MARKS, age_text, duration_text
from ..labels import visible
from ..ports import RunRecord
from .instants import near_time


def mark_of(status: str) -> str:
    """The mark that stands for the status of a run or a step."""
    return "!" if status == STOPPED else MARKS[status]


@attrs.frozen(kw_only=True)
class RunRow:
    """One run of a listing. All texts are fit to be shown; `status` may also be `interrupted`."""

    status: str
    workflow: str
    id: str
    started: str
    took: str
    tags: str
    error: str


def run_row(record: RunRecord, now: float, *, interruption: str = "") -> RunRow:
    """
    The row of a run.

    Args:
        now: Epoch seconds.
        interruption: If it has not ended and nobody executes it: why, for people. Empty otherwise.
    """
    is_over = record.ended_at is not None
    # When it was left nobody wrote down.
    is_left = bool(interruption) or record.is_queued or record.status in (RunStatus.PAUSED, RunStatus.SCHEDULED)
    until = record.ended_at if record.ended_at is not None else now
    return RunRow(
        status=STOPPED if interruption else str(record.status),
        workflow=visible(record.workflow),
        id=visible(record.id),
        started=age_text(now - record.created_at),
        took=duration_text(until - record.created_at) if is_over or not is_left else "",
        tags=tags_text(record.tags),
        error=brief(record.error or interruption or sleep_text(record, now)),
    )


_PATIENCE = 60.0
"""Seconds after which a run that is to go on, and that nobody has taken up, is late."""


def is_overdue(record: RunRecord, now: float) -> bool:
    """Whether a run that sleeps, or has not begun, should long have gone on (at `now`, in epoch seconds)."""
    wake_at = record.slept_at if record.is_queued else record.wake_at
    return wake_at is not None and wake_at < now - _PATIENCE


def sleep_text(record: RunRecord, now: float) -> str:
    """
    `sleeps until 20:47:03`, or when it begins: why nobody executes a run now that goes on by itself; empty for others.

    Args:
        now: Epoch seconds.
    """
    wake_at = record.wake_at
    if record.is_queued:
        late = "; nobody has taken it up, so see that one serves its workflow" if is_overdue(record, now) else ""
        return f"waits for a worker{late}"
    if wake_at is None:
        return ""
    if wake_at == math.inf:
        return "sleeps until a message comes"
    is_new = record.status is RunStatus.SCHEDULED
    if is_overdue(record, now):
        return f"was to {'begin' if is_new else 'go on'} at {near_time(wake_at, now)}, and nobody has taken it up"
    return f"{'begins at' if is_new else 'sleeps until'} {near_time(wake_at, now)}"


def tags_text(tags: Mapping[str, str]) -> str:
    """`shop=eu nightly`"""
    return " ".join(brief(f"{name}={value}" if value else name) for name, value in tags.items())
