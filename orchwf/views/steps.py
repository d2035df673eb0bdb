"""The steps of one run."""

from collections.abc import Sequence
from functools import partial

from ..core.dag import Dag
from ..core.definition import ForSignal, Node
from ..core.events import ErrorInfo
from ..core.failures import item_name, max_attempts
from ..core.history import AttemptRecord, StepRecord
from ..core.lines import STOPPED, Line, brief, padded
from ..core.progress import (
    items_text,
    progress_text,
    several_of,
    tally_of,
    told_status,
    wait_text,
    waits_for_somebody,
    was_in_flight,
)
from ..core.state import StepStatus
from ..core.undone import undoings
from ..core.wording import MARKS, age_text, count_steps, counts_text, duration_text, plural
from .instants import time_to_come


def step_line(record: StepRecord, dag: Dag | None, width: int, now: float, *, interrupted: bool = False) -> Line:
    """
    `+ extract   0.2 s, attempt 2/3`: a step with where it is, how long it took, and why.

    Args:
        now: Epoch seconds.
        interrupted: Whether nobody executes its run any more.
    """
    node, status = dag.nodes.get(record.name) if dag is not None else None, told_status(record)
    name, items = padded(item_name(record.name, record.item), width), _items(record, node)
    if (interrupted and status in (StepStatus.RUNNING, StepStatus.RETRYING)) or was_in_flight(record):
        told = f", progress: {progress_text(record.progress)}" if is_progress(record.progress) else ""
        where = f"at {items}" if items and not record.attempt else f"in attempt {record.attempt}"
        return Line(f"  ! {name}  {STOPPED} {where}{told}", STOPPED)
    return Line(f"  {MARKS[status]} {name}  {step_text(record, dag, now) or _words(status)}".rstrip(), status)


def step_text(record: StepRecord, dag: Dag | None, now: float) -> str:
    """
    `0.2 s, attempt 2/3`: how long a step took, how far it is, and why; empty if there is nothing to say.

    Args:
        now: Epoch seconds.
    """
    node = dag.nodes.get(record.name) if dag is not None else None
    details = (
        _took(record, now), _items(record, node), _tries(record, dag), _detail(record, node, now), _child(record),
        undoing_text(record),
    )  # fmt: skip
    return ", ".join(filter(None, details))


def _items(record: StepRecord, node: Node | None) -> str:
    """`37/50, 2 failed`: how far its items are; empty if it has none."""
    tally = tally_of(record)
    return "" if tally is None else items_text(tally, several_of(record, node), record.status)


def _child(record: StepRecord) -> str:
    """The run that it started, if it does not wait for that."""
    return f"run {brief(record.child)}" if record.child and record.status is not StepStatus.WAITING else ""


_MOST_ITEMS = 3
_TELLING = (StepStatus.FAILED, StepStatus.RETRYING)


def item_lines(record: StepRecord, dag: Dag | None, now: float, *, everything: bool = False) -> list[Line]:
    """
    A line for each of the first items of a step that failed, or that are to be tried again.

    Args:
        now: Epoch seconds.
        everything: Whether all items are wanted.
    """
    items = record.present if everything else sorted(record.begun, key=lambda item: item.item or 0)
    if not everything:
        items = [item for item in items if item.status in _TELLING]
    shown = items if everything else items[:_MOST_ITEMS]
    lines = []
    for item in shown:
        line = step_line(item, dag, 0, now)
        lines += [Line(f"    {line.text}", line.tone), *(attempt_lines(item) if everything else [])]
    if len(shown) < len(items):
        rest = counts_text(count_steps(item.status for item in items[len(shown) :]))
        more = f"      and {plural(len(items) - len(shown), 'item')} more ({rest}): --all"
        lines.append(Line(more, weight="faint"))
    return lines


def attempt_lines(record: StepRecord) -> list[Line]:
    """
    A line for each attempt but the last that did not go well: why there was another one.

    So for the attempts to undo the step.
    """
    lines = [_attempt_line(each) for each in record.attempts[:-1] if _is_telling(each)]
    if record.compensation is not None:
        undoing = record.compensation.attempts[:-1]
        lines += [_attempt_line(each, "to undo it") for each in undoing if _is_telling(each)]
    return lines


def _is_telling(attempt: AttemptRecord) -> bool:
    return attempt.error is not None or attempt.status is StepStatus.PENDING


def _attempt_line(attempt: AttemptRecord, what: str = "") -> Line:
    took = "" if attempt.ended_at is None else f"  {duration_text(attempt.ended_at - attempt.started_at)}"
    headline = attempt.error.headline if attempt.error is not None else "its process died"
    number = f"attempt {attempt.number}{f' {what}' if what else ''}"
    return Line(f"      {number}{took}  {brief(headline)}", weight="faint")


def _words(status: StepStatus) -> str:
    return "not started" if status is StepStatus.PENDING else str(status)


def _took(record: StepRecord, now: float) -> str:
    if record.status in (StepStatus.SKIPPED, StepStatus.PENDING) or is_given(record):
        return ""
    if record.duration is not None:
        return duration_text(record.duration)
    if record.started_at is None or waits_for_somebody(record):
        return ""
    return f"for {duration_text(now - record.started_at)}"


def is_given(record: StepRecord) -> bool:
    """Whether its output is none of an attempt of its own."""
    if record.status is not StepStatus.COMPLETED:
        return False
    return record.started_at is None or bool(record.attempts and record.attempts[-1].status is not record.status)


def _tries(record: StepRecord, dag: Dag | None) -> str:
    return f"attempt {record.attempt}/{max_attempts(record, dag)}" if record.attempt > 1 else ""


def _detail(record: StepRecord, node: Node | None, now: float) -> str:
    match record.status:
        case StepStatus.WAITING if waits := wait_text(record, node, partial(time_to_come, now=now)):
            return f"waits {brief(waits)}"
        case StepStatus.COMPLETED if record.started_at is None and is_signal(node):
            return "it had come before"
        case StepStatus.RUNNING if is_progress(record.progress):
            said_at = record.heartbeat_at if record.heartbeat_at is not None else now
            return f"progress: {progress_text(record.progress)}, {age_text(now - said_at)}"
        case StepStatus.RETRYING if record.due_at is not None:
            return f"again in {duration_text(max(0.0, record.due_at - now))}: {_headline(record.error)}"
        case StepStatus.RETRYING:
            return f"no attempts left, again when the run is resumed: {_headline(record.error)}"
        case StepStatus.COMPLETED if record.cached_from:
            return f"cached: run {brief(record.cached_from)}"
        case StepStatus.COMPLETED if record.started_at is None:
            return "reused"
        case StepStatus.COMPLETED if is_given(record):
            return "its value was given"
        case StepStatus.FAILED:
            return _headline(record.error)
        case StepStatus.SKIPPED | StepStatus.CANCELLED:
            return f"{record.status}: {brief(record.reason)}" if record.reason else str(record.status)
        case _:
            return ""


def is_signal(node: Node | None) -> bool:
    """Whether this waits for a message."""
    return node is not None and isinstance(node.waits, ForSignal)


def undoing_text(record: StepRecord) -> str:
    """What became of undoing a step, or its items; empty if that was not begun."""
    undo = record.compensation
    if undo is None:
        undone = sum(each.status is StepStatus.COMPLETED for _, each in undoings(record))
        return f"{plural(undone, 'item')} undone" if undone else ""
    match undo.status:
        case StepStatus.COMPLETED:
            return "undone"
        case StepStatus.FAILED:
            return f"could not be undone: {_headline(undo.error)}"
        case StepStatus.RETRYING:
            return f"being undone, so far: {_headline(undo.error)}"
        case _:
            return "being undone"


def is_progress(progress: str | None) -> bool:
    """Whether a body said how far it is, and not only that it lives."""
    return progress not in (None, "null")


def _headline(error: ErrorInfo | None) -> str:
    return "" if error is None else brief(error.headline)


def steps_to_show(steps: Sequence[StepRecord], limit: int) -> list[StepRecord]:
    """
    The steps themselves, if they are few; else those of interest, in their order.

    That is at most `limit` which failed or have begun and not ended; if those are very few, some others, too.
    """
    if len(steps) <= limit:
        return list(steps)
    ranked = sorted(range(len(steps)), key=lambda at: _DULLNESS.get(steps[at].status, 0))
    telling = sum(steps[at].status not in _DULLNESS for at in ranked)
    return [steps[at] for at in sorted(ranked[: min(limit, max(telling, _FEW))])]


_FEW = 10
_DULLNESS = {StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2, StepStatus.COMPLETED: 3, StepStatus.PENDING: 4}
