"""What is said of a step beside its status, in the few words for which a picture has room."""

from functools import partial

from .definition import Node
from .history import StepRecord
from .progress import brief_wait_text, items_text, progress_text, several_of, tally_of, told_status, utc_text
from .state import StepStatus
from .wording import duration_text


def detail_text(record: StepRecord, node: Node | None, now: float | None = None) -> str:
    """
    `1.2 s, 46/50, 2 failed, attempt 2`: how long it took, how far its items are, what it waits for.

    Args:
        now: Epoch seconds, if it is to be said for how long it runs already.
    """
    parts = [_took(record, now)]
    tally = tally_of(record)
    if tally is not None:
        parts.append(items_text(tally, several_of(record, node), record.status))
    parts.append(brief_wait_text(record, node, partial(utc_text, since=record.started_at or 0.0)))
    if record.attempt > 1:
        parts.append(f"attempt {record.attempt}")
    if now is not None and record.status is StepStatus.RUNNING and record.progress not in (None, "null"):
        parts.append(progress_text(record.progress))
    if record.compensation is not None and record.compensation.status.is_final:
        parts.append("undone" if record.compensation.status is StepStatus.COMPLETED else "could not be undone")
    return ", ".join(filter(None, parts))


def _took(record: StepRecord, now: float | None) -> str:
    if record.duration is not None:
        return duration_text(record.duration)
    if now is None or record.started_at is None or told_status(record) is not StepStatus.RUNNING:
        return ""
    return f"for {duration_text(max(0.0, now - record.started_at))}"
