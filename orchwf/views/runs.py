"""Runs in a listing, and instants as people and programs read them."""

from collections.abc import Mapping
from datetime import UTC, datetime

import attrs

from ..core.lines import STOPPED, brief
from ..core.state import RunStatus
from ..core.wording import MARKS, age_text, duration_text
from ..labels import visible
from ..ports import RunRecord


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
    is_left = bool(interruption) or record.status is RunStatus.PAUSED
    until = record.ended_at if record.ended_at is not None else now
    return RunRow(
        status=STOPPED if interruption else str(record.status),
        workflow=visible(record.workflow),
        id=visible(record.id),
        started=age_text(now - record.created_at),
        took=duration_text(until - record.created_at) if is_over or not is_left else "",
        tags=tags_text(record.tags),
        error=brief(record.error or interruption),
    )


def tags_text(tags: Mapping[str, str]) -> str:
    """`shop=eu nightly`"""
    return " ".join(brief(f"{name}={value}" if value else name) for name, value in tags.items())


def local_time(at: float) -> str:
    """`2026-11-22 20:47:03`, in the time zone of the machine, from epoch seconds."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at: float) -> str:
    """`20:47:03.123`, in the time zone of the machine, from epoch seconds."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def iso_time(at: float | None) -> str | None:
    """`2026-11-22T20:47:03.123Z`, from epoch seconds; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
