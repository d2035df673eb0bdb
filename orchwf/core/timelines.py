"""What a run did when: its records as the lanes of a timeline, and the path of steps that took longest."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from .dag import Dag
from .details import detail_text
from .failures import item_name
from .history import AttemptRecord, StepRecord
from .lines import brief, padded
from .progress import told_status
from .state import StepStatus
from .wording import duration_text, plural

if TYPE_CHECKING:
    # For types only: what draws is loaded by who looks.
    from ..drawing import Lane, Span, Timeline

_MOST_NAMED = 5


@attrs.frozen(kw_only=True)
class Period:
    """When a run was at work: epoch seconds. `end` is now, if it has not ended."""

    begin: float
    end: float


def make_timeline(
    steps: Mapping[str, StepRecord], dag: Dag | None, period: Period, *, title: str, note: str
) -> "Timeline":
    """
    The timeline of a run.

    Args:
        steps: Step name -> what became of it.
        title, note: What stands above it.
    """
    from ..drawing import Timeline  # Only wanted by who looks.

    critical = {name for name, _ in slow_path(steps, dag, period.end).steps}
    records = sorted(steps.values(), key=lambda record: _first(record, period))
    lanes = [lane for record in records for lane in _lanes(record, dag, period, is_critical=record.name in critical)]
    return Timeline(title=title, lanes=tuple(lanes), length=period.end - period.begin, note=note)


def period_of(steps: Mapping[str, StepRecord], begin: float | None, end: float | None) -> Period:
    """
    From the start of a run to its end; if that has not come, to the last thing that happened.

    Args:
        begin, end: Epoch seconds; None if it has not begun, or ended.
    """
    instants = [
        at
        for step in steps.values()
        for record in (step, *step.items.values())
        for at in (record.started_at, record.ended_at, *(each.ended_at for each in record.attempts))
        if at is not None
    ]
    first = begin if begin is not None else min(instants, default=0.0)
    # What cleans up and undoes may go on after a run was given up.
    last = max([first, *instants]) if end is None else end
    return Period(begin=first, end=max(first, last))


@attrs.frozen
class SlowPath:
    """
    The path of steps that took longest, one after the other: the critical path of a run.

    Attributes:
        steps: (name, seconds) of those on it that took any time, in their order.
    """

    steps: tuple[tuple[str, float], ...]

    @property
    def duration(self) -> float:
        """How long all of it took, in seconds."""
        return math.fsum(seconds for _, seconds in self.steps)

    def __str__(self) -> str:
        """`extract 812 ms > validate 1.2 s`: of a long one the steps that took longest."""
        longest = sorted(self.steps, key=lambda step: -step[1])[:_MOST_NAMED]
        shown = [step for step in self.steps if step in longest][:_MOST_NAMED]
        told = " > ".join(f"{padded(name, 0)} {duration_text(seconds)}" for name, seconds in shown)
        left = len(self.steps) - len(shown)
        return f"{told} and {plural(left, 'step')} more" if left else told


def slow_path(steps: Mapping[str, StepRecord], dag: Dag | None, until: float) -> SlowPath:
    """
    The path of steps that took longest, waits included; empty without the definition.

    Args:
        until: To when a step that has not ended is counted (epoch seconds).
    """
    if dag is None:
        return SlowPath(())
    took: dict[str, float] = {}
    for name in dag.nodes:
        record = steps.get(name)
        if record is not None and record.started_at is not None:
            took[name] = max(0.0, (until if record.ended_at is None else record.ended_at) - record.started_at)
    return SlowPath(tuple((name, took[name]) for name in dag.critical_path(took).steps if took.get(name)))


def _first(record: StepRecord, period: Period) -> float:
    instants = [at for at in (record.started_at, record.ended_at) if at is not None]
    return min(instants, default=period.end)


def _lanes(record: StepRecord, dag: Dag | None, period: Period, *, is_critical: bool) -> "Iterator[Lane]":
    """The lane of a step, and that of undoing it."""
    from ..drawing import Lane  # As above.

    node = dag.nodes.get(record.name) if dag is not None else None
    has_items = bool(record.items)
    spans = [span for item in record.items.values() for span in _spans(item, period)] or list(_spans(record, period))
    yield Lane(
        label=record.name, step=record.name, status=str(told_status(record)),
        detail=detail_text(record, node, period.end),
        spans=tuple(span for span in spans if not (has_items and span.is_wait)), is_stacked=has_items,
        is_critical=is_critical,
    )  # fmt: skip
    undone = [each for each in (record, *record.items.values()) if each.compensation is not None]
    spans = [span for each in undone if each.compensation is not None for span in _spans(each.compensation, period)]
    if spans:
        status = next((each.compensation.status for each in undone if each.compensation is not None), record.status)
        yield Lane(
            label=f"undo {record.name}", step=record.name, status=str(status), spans=tuple(spans),
            is_stacked=len(undone) > 1,
            detail=detail_text(undone[0].compensation, None) if len(undone) == 1 and undone[0].compensation else "",
        )  # fmt: skip


def _spans(record: StepRecord, period: Period) -> "Iterator[Span]":
    """Its attempts, and what lies between and behind them, in which it waited."""
    if record.started_at is None:
        if record.ended_at is not None:
            at = record.ended_at
            yield _span(at, at, record.status, period, said=_said_of_end(record))
        return
    end = record.ended_at if record.ended_at is not None else period.end
    free = record.started_at
    # Nobody wrote down when a process died: an attempt that has no end is drawn until the next one.
    latest = [*(attempt.started_at for attempt in record.attempts[1:]), end]
    for attempt, bound in zip(record.attempts, latest, strict=False):
        if attempt.started_at > free:
            yield _wait(free, attempt.started_at, StepStatus.RETRYING, period)
        ended = attempt.ended_at if attempt.ended_at is not None else bound
        yield _span(attempt.started_at, ended, attempt.status, period, said=_said_of(attempt, record, ended))
        free = ended
    if end > free and record.status is not StepStatus.PENDING:
        is_retried = record.status is StepStatus.RETRYING
        yield _wait(free, end, StepStatus.RETRYING if is_retried else StepStatus.WAITING, period)


def _wait(start: float, end: float, status: StepStatus, period: Period) -> "Span":
    return _span(start, end, status, period, is_wait=True, said=f"waited {duration_text(end - start)}")


def _span(start: float, end: float, status: StepStatus, period: Period, *, said: str, is_wait: bool = False) -> "Span":
    from ..drawing import Span  # As above.

    first = max(0.0, start - period.begin)
    return Span(start=first, end=max(first, end - period.begin), status=str(status), is_wait=is_wait, said=said)


def _said_of(attempt: AttemptRecord, record: StepRecord, ended: float) -> str:
    name = item_name(record.name, record.item)
    if attempt.status is StepStatus.PENDING:
        return f"{name}, attempt {attempt.number}: its process died"
    took = duration_text(max(0.0, ended - attempt.started_at))
    error = f"\n{brief(attempt.error.headline)}" if attempt.error is not None else ""
    how = f"for {took}" if attempt.status is StepStatus.RUNNING else f"{attempt.status}, {took}"
    return f"{name}, attempt {attempt.number}: {how}{error}"


def _said_of_end(record: StepRecord) -> str:
    reason = f": {brief(record.reason)}" if record.reason else ""
    return f"{item_name(record.name, record.item)} {record.status}{reason}"
