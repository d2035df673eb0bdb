"""How far the items of a step are, and what a step waits for, in the few words that people are told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from .definition import ForSignal, Node, Several
from .history import StepRecord
from .lines import brief
from .standing import Standing
from .state import StepStatus
from .wording import plural

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TOLD = (StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.RETRYING)
"""What is told of items beside how many are done."""

Instant = Callable[[float], str]
"""How an instant (epoch seconds) is written."""


@attrs.define
class Tally:
    """
    Where the items of one step are.

    Attributes:
        total: How many there are, as far as that is known.
        statuses: Item -> where it is, of those to which something happened.
        counts: Status -> how many of these have it.
    """

    total: int = 0
    statuses: dict[int, StepStatus] = attrs.field(factory=dict)
    counts: dict[StepStatus, int] = attrs.field(factory=dict)

    def note(self, item: int, status: StepStatus) -> None:
        """From now on this item has that status."""
        before = self.statuses.get(item)
        if before is not None:
            self.counts[before] -= 1
        self.statuses[item] = status
        self.counts[status] = self.counts.get(status, 0) + 1
        self.total = max(self.total, len(self.statuses))

    @property
    def done(self) -> int:
        """How many have completed."""
        return self.counts.get(StepStatus.COMPLETED, 0)

    @property
    def failed(self) -> int:
        """How many have failed."""
        return self.counts.get(StepStatus.FAILED, 0)

    @property
    def ended(self) -> int:
        """How many have ended, however they did."""
        return sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def only_waits(self) -> bool:
        """Whether all that have not ended wait for something outside."""
        waiting = self.counts.get(StepStatus.WAITING, 0)
        return waiting > 0 and waiting == self.total - self.ended


def tally_of(record: StepRecord) -> Tally | None:
    """Where the items of a step are; None if it has none."""
    if record.count is None:
        return None
    tally = Tally(record.count)
    for item in record.begun:
        tally.note(item.item or 0, item.status)
    return tally


def several_of(record: StepRecord, node: Node | None) -> Several | None:
    """How a step comes to have items; without its definition one that has some is taken to run once per item."""
    if node is not None:
        return node.several
    return None if record.count is None else Several.EACH


def items_text(tally: Tally, several: Several | None, status: StepStatus) -> str:
    """
    `37/50, 2 failed`; of a loop `iteration 3`, of a stream `5 items`.

    Args:
        status: Where the step itself is.
    """
    match several:
        case Several.LOOP if status.is_final:
            return plural(tally.total, "iteration")
        case Several.LOOP:
            return f"iteration {tally.total:,}"
        case Several.STREAM:
            return plural(tally.total, "item")
        case _:
            pass
    others = [f"{tally.counts[each]:,} {each}" for each in _TOLD if tally.counts.get(each)]
    if status is StepStatus.COMPLETED and tally.done == tally.total:
        return plural(tally.total, "item")
    return ", ".join([f"{tally.done:,}/{tally.total:,}", *others])


def share_done(record: StepRecord, node: Node | None) -> float | None:
    """How much of the items of a step has ended, from 0 to 1; None if it has none, is over, or is a loop."""
    tally = tally_of(record)
    if tally is None or not tally.total or record.status.is_final or several_of(record, node) is not Several.EACH:
        return None
    return tally.ended / tally.total


def told_status(record: StepRecord) -> StepStatus:
    """Where a step is for people: one whose items are at work is running, though it waits for them."""
    if record.status is not StepStatus.WAITING:
        return record.status
    tally = tally_of(record)
    return StepStatus.WAITING if tally is None or tally.only_waits else StepStatus.RUNNING


def wait_text(record: StepRecord, node: Node | None, instant: Instant) -> str:
    """
    What a step waits for; empty if it does not, but for items.

    Args:
        instant: How the time is written until which it waits.
    """
    if record.status is not StepStatus.WAITING or record.count is not None:
        return ""
    return what_for(node, record.child, "" if record.due_at is None else instant(record.due_at))


def brief_wait_text(record: StepRecord, node: Node | None, instant: Instant) -> str:
    """As `wait_text`, but of a signal and of a run without how long it is waited for at most: for small boxes."""
    is_limited = record.child or (node is not None and isinstance(node.waits, ForSignal))
    return wait_text(attrs.evolve(record, due_at=None) if is_limited else record, node, instant)


def what_for(node: Node | None, child: str, until: str) -> str:
    """
    `until 12:30 UTC`, `for a signal`, `for run A1/ship`: what is waited for.

    Args:
        child: The run that is waited for; empty for none.
        until: The time until which is waited, as it is to be written; empty for none.
    """
    is_signal = not until if node is None else isinstance(node.waits, ForSignal)
    what = f"for run {child}" if child else "for a signal" if is_signal else ""
    return ", ".join(filter(None, (what, f"until {until}" if until else "")))


_LAST_INSTANT = 253_402_128_000.0
"""What Python's calendar holds, but for the last days of it, which time zones may turn over."""


def moment_of(at: float) -> datetime:
    """Epoch seconds as an aware datetime; what is later than Python's calendar is the end of that."""
    return datetime.fromtimestamp(min(at, _LAST_INSTANT), UTC)


def utc_text(at: float, since: float) -> str:
    """
    `12:30 UTC`, `24 Dec 12:30 UTC` on another day than `since`, `24 Dec 2027` in another year: from epoch seconds.
    """
    moment, begun = moment_of(at), moment_of(since)
    day = f"{moment.day} {_MONTHS[moment.month - 1]}"
    if moment.year != begun.year:
        return f"{day} {moment.year}"
    clock = f"{moment:%H:%M} UTC"
    return clock if moment.date() == begun.date() else f"{day} {clock}"


def standing_record(run: Standing, name: str) -> StepRecord:
    """Where a step of a run is that stands so: without what only the log tells, as the times of its attempts."""
    step = run.plan.index[name]
    record = StepRecord(name, run.statuses[step], due_at=run.due.get(step))
    if record.due_at is not None:
        record.started_at = record.due_at - run.waits[step]
    if step in run.children:
        record.child = run.children[step].child
    if step in run.rows:
        numbers = run.rows[step].items
        record.count, record.is_expanded = len(numbers), True
        record.items = {at: StepRecord(name, run.statuses[number], item=at) for at, number in enumerate(numbers)}
    return record


def was_in_flight(record: StepRecord) -> bool:
    """Whether an attempt of it was in flight when its process died, and it was not begun again."""
    return bool(record.attempts) and StepStatus.PENDING is record.status is record.attempts[-1].status


def waits_for_somebody(record: StepRecord) -> bool:
    """Whether it has no attempts left and goes on when somebody resumes the run."""
    return record.status is StepStatus.RETRYING and record.due_at is None


def kept_name(record: StepRecord) -> str:
    """`extract`, or `46 items of parse`: what a resume does not run again of a step; empty if that is nothing."""
    if record.status is StepStatus.COMPLETED:
        return record.name
    tally = tally_of(record)
    return "" if tally is None or not tally.done else f"{plural(tally.done, 'item')} of {record.name}"


def progress_text(progress: str | None) -> str:
    """What a body said of how far it is: text as it is, `row=3 of=10` for an object, and JSON for everything else."""
    value: object = json.loads(progress or "null")
    if isinstance(value, str):
        return brief(value)
    if isinstance(value, dict):
        pairs = ((name, each if isinstance(each, str) else json.dumps(each)) for name, each in value.items())
        return brief(" ".join(f"{name}={each}" for name, each in pairs))
    return brief(json.dumps(value, ensure_ascii=False))
