"""Why a step is where it is: one sentence, made of what the log says."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

from ..core.definition import Node
from ..core.failures import failed_items, item_name, max_attempts
from ..core.history import StepRecord
from ..core.limits import limits_document
from ..core.lines import Line, brief, names_text
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
from ..core.report import Report
from ..core.slots import Holding
from ..core.standing import Standing
from ..core.state import StepStatus
from ..core.wording import MARKS, duration_text, plural
from ..labels import visible
from ..ports import RunRecord
from .blocking import Blockers
from .instants import near_time, time_to_come
from .limits import beginnings_of, holders_text, is_of
from .runs import sleep_text
from .steps import is_given, is_progress, is_signal, undoing_text

_MOST_NAMED = 3


@attrs.frozen(kw_only=True)
class Explanation:
    """
    Why a step, or an item of one, is where it is.

    Attributes:
        name: Which one: `parse`, or `parse[3]`.
        status: Where it is.
        sentence: Why, without its name and without a stop at the end.
        because: The steps and items of which the sentence tells that it waits for them, or that they kept it from
            running.
    """

    name: str
    status: StepStatus
    sentence: str
    because: tuple[str, ...] = ()

    def line(self) -> Line:
        """`- load was skipped, as validate failed in attempt 3 of 3: ValueError: …`"""
        return Line(f"{MARKS[self.status]} {visible(self.name)} {self.sentence}", self.status, "strong")


@attrs.frozen(kw_only=True)
class Known:
    """
    What is known of a run whose steps are to be explained.

    Attributes:
        run: Its summary.
        report: What there is to tell of it.
        now: The present (epoch seconds).
        origin: The run that it was forked from; empty if from none.
        standing: How it stands, as the machine says; None if its definition is lost, or need not be asked.
        children: Id -> summary, of the runs that its steps started, as far as they are there.
        holdings: Who holds the places within the limits of the step.
    """

    run: RunRecord
    report: Report
    now: float
    origin: str = ""
    standing: Standing | None = None
    children: Mapping[str, RunRecord] = attrs.field(factory=dict)
    holdings: Sequence[Holding] = ()

    def node(self, record: StepRecord) -> Node | None:
        """The definition of a step, if it is known."""
        return self.report.dag.nodes.get(record.name) if self.report.dag is not None else None

    def tries(self, record: StepRecord) -> str:
        """`attempt 2 of 4`"""
        return f"attempt {record.attempt} of {max_attempts(record, self.report.dag)}"

    def resting(self) -> str:
        """Why nothing begins in the run now; empty if that is none of the run's doing."""
        reason = brief(self.report.reason)
        if self.report.status.is_final:
            return f"its run is {self.report.status}"
        if self.report.interrupted:
            return f"nobody executes its run: {reason}"
        if self.report.status == "paused":
            return f"its run is paused: {reason}"
        rest = sleep_text(self.run, self.now)
        return f"its run {rest}" if rest else ""


Told = tuple[str, Sequence[str]]
"""A sentence, and the names in it that are the reason."""


def explain(known: Known, record: StepRecord) -> Explanation:
    """Why a step, or an item of one, is where it is."""
    sentence, because = _EXPLAIN[record.status](known, record)
    if undoing := undoing_text(record):
        sentence = f"{sentence}; it is {undoing}" if "be undone" not in undoing else f"{sentence}; it {undoing}"
    name = item_name(record.name, record.item)
    return Explanation(name=name, status=told_status(record), sentence=sentence, because=tuple(because))


def asks_standing(record: StepRecord) -> bool:
    """Whether only the machine knows why a step is where it is."""
    return record.status in (StepStatus.PENDING, StepStatus.SKIPPED)


# What is to come.


def _pending(known: Known, record: StepRecord) -> Told:
    node, resting = known.node(record), known.resting()
    if was_in_flight(record):
        told = f"was in flight in attempt {record.attempt} when its process died, and has not begun again"
    else:
        told = "has not begun"
    blockers = None if known.standing is None else Blockers(known.standing, known.report.steps)
    waits, because = ("", ()) if blockers is None else blockers.of(record, partial(_where, known))
    if not waits and not resting:
        waits = _place(known, record, node)
    return ": ".join([told, "; ".join(filter(None, (waits, resting)))] if waits or resting else [told]), because


_LIMITS = {"queue": "a place in queue", "mutex": "mutex"}


def _place(known: Known, record: StepRecord, node: Node | None) -> str:
    """For what a step waits that could begin."""
    options = None if node is None else node.options
    named = {} if options is None else limits_document(options.queue, options.mutex)
    limits = [f"{_LIMITS[kind]} {name!r}" for kind, name in named.items()]
    if record.item is not None and options is not None and options.max_parallel is not None:
        limits.append(f"one of the {options.max_parallel:,} places of its items")
    what = " and ".join(map(brief, limits)) or "a free place where its run is executed"
    begins = beginnings_of(node, known.run.id)
    held = [each for each in known.holdings if any(is_of(each.slot.limit, beginning) for beginning in begins)]
    if held:
        return f"it could begin, and waits for {what}, {holders_text(held, known.now)}"
    running = sum(each.status is StepStatus.RUNNING for each in known.report.steps.values())
    return f"it could begin, and waits for {what}" + (
        f"; {plural(running, 'step')} of its run are at work" * (running > 1)
    )


def _where(known: Known, record: StepRecord) -> str:
    """`runs for 2.1 s`: where a step is that another one waits for."""
    since = "" if record.started_at is None else f" for {duration_text(max(0.0, known.now - record.started_at))}"
    match told_status(record):
        case StepStatus.RUNNING:
            return f"runs{since}"
        case StepStatus.WAITING:
            return f"waits {wait_text(record, known.node(record), partial(time_to_come, now=known.now))}"
        case StepStatus.RETRYING if record.due_at is not None:
            return f"is tried again in {duration_text(max(0.0, record.due_at - known.now))}"
        case StepStatus.RETRYING:
            return "has no attempts left"
        case _:
            return "has not begun"


def _running(known: Known, record: StepRecord) -> Told:
    node = known.node(record)
    told = f", progress: {progress_text(record.progress)}" if is_progress(record.progress) else ""
    if known.report.interrupted:
        return f"was in flight in {known.tries(record)} when its run was left: {brief(known.report.reason)}{told}", ()
    begun = record.attempts[-1].started_at if record.attempts else known.now
    said = f"runs in {known.tries(record)}, for {duration_text(max(0.0, known.now - begun))}{told}"
    limit = None if node is None or node.options.executor is not None else node.options.timeout
    if limit is not None:
        left = begun + limit - known.now
        said += f"; its time is over in {duration_text(left)}" if left > 0 else "; its time is over"
    return said, ()


def _retrying(known: Known, record: StepRecord) -> Told:
    error = "" if record.error is None else f": {brief(record.error.headline)}"
    if waits_for_somebody(record):
        return (
            f"has no attempts left, and waits for somebody to resume the run; {known.tries(record)} failed{error}",
            (),
        )
    due_at = record.due_at or 0.0
    if known.resting():
        return f"is to be tried again, but {known.resting()}; {known.tries(record)} failed{error}", ()
    when = f"in {duration_text(due_at - known.now)}, at {near_time(due_at, known.now)}" if due_at > known.now else "now"
    return f"is tried again {when}, as {known.tries(record)} failed{error}", ()


def _waiting(known: Known, record: StepRecord) -> Told:
    node, tally = known.node(record), tally_of(record)
    rest = known.resting() if known.report.interrupted or known.report.status == "paused" else ""
    rest = f"; {rest}" if rest else ""
    if tally is not None:
        open_items = [item for item in record.present if not item.status.is_final]
        at_work = [item_name(item.name, item.item) for item in open_items if item.status is not StepStatus.PENDING]
        told = items_text(tally, several_of(record, node), record.status)
        named = f"; at work: {names_text(at_work, _MOST_NAMED)}" if at_work else ""
        return f"waits for its items: {told}{named}{rest}", at_work
    waits = brief(wait_text(record, node, partial(time_to_come, now=known.now)))
    return f"waits {waits}{_child(known, record)}{rest}", (record.child,) if record.child else ()


def _child(known: Known, record: StepRecord) -> str:
    """`, which is failed: ValueError: …`: where the run is that a step started."""
    run = known.children.get(record.child) if record.child else None
    if run is None:
        return ""
    said = run.error or sleep_text(run, known.now)
    return f", which is {run.status}{f': {brief(said)}' if said else ''}"


# What has ended.


def _completed(known: Known, record: StepRecord) -> Told:
    node, tally = known.node(record), tally_of(record)
    if record.cached_from:
        return f"did not run: run {brief(record.cached_from)} had computed its output for the same arguments", ()
    if record.started_at is None and is_signal(node):
        return "did not wait: its signal had come before", ()
    if record.started_at is None and known.origin and not tally:
        return f"did not run: its output is that of run {brief(known.origin)}, from which this one was forked", ()
    if is_given(record):
        return "did not return: somebody gave its value when the run was resumed", ()
    items = "" if tally is None else f", {items_text(tally, several_of(record, node), record.status)}"
    tries = f" in {known.tries(record)}" if record.attempt > 1 else ""
    before = [each.error for each in record.attempts[:-1] if each.error is not None]
    because = f"; the one before failed: {brief(before[-1].headline)}" if before else ""
    child = f", by run {brief(record.child)}" if record.child else ""
    took = "" if record.duration is None else f" after {duration_text(record.duration)}"
    return f"completed{tries}{took}{items}{child}{because}", ()


def _failed(known: Known, record: StepRecord) -> Told:
    node, failed = known.node(record), failed_items(record)
    error = "" if record.error is None else f": {brief(record.error.headline)}"
    optional = "; it is optional, so the run went on" if node is not None and not node.options.required else ""
    if failed:
        names = [item_name(item.name, item.item) for item in failed]
        first = failed[0].error
        why = "" if first is None else f", the first with {brief(first.headline)}"
        return f"failed, as {names_text(names, _MOST_NAMED)} did{why}{optional}", names
    if not record.attempt:
        waited = "" if record.duration is None else f" after {duration_text(record.duration)}"
        return f"failed{waited}, and was not tried{_child(known, record)}{error}{optional}", ()
    return f"failed in {known.tries(record)}{error}{_not_again(known, record, node)}{optional}", ()


def _not_again(known: Known, record: StepRecord, node: Node | None) -> str:
    """Why a step failed that had attempts left."""
    left = max_attempts(record, known.report.dag) - record.attempt
    if left < 1 or node is None:
        return ""
    no_time = ", or no time was left for one" if node.options.total_timeout is not None else ""
    return f"; there was no other attempt, as it is not retried after such an error{no_time}"


def _skipped(known: Known, record: StepRecord) -> Told:
    reason = brief(record.reason)
    match record.cause:
        case "body":
            return f"skipped itself: {reason}", ()
        case "upstream" | "failure" if known.standing is not None:
            chain = Blockers(known.standing, known.report.steps).chain(record)
            return _kept_from_running(known, chain, reason)
        case _:
            return f"was skipped: {reason}" if reason else "was skipped", ()


def _kept_from_running(known: Known, chain: Sequence[StepRecord], reason: str) -> Told:
    """Of a step that was skipped for others: the one next to it, and the one with which it began."""
    if not chain:
        return f"was skipped: {reason}", ()
    root, names = chain[-1], [each.name for each in chain]
    sentence = f"{visible(root.name)} {_EXPLAIN[root.status](known, root)[0]}"
    if len(chain) == 1:
        return f"was skipped, as {sentence}", names
    through = "" if len(chain) == 2 else f", and so on over {plural(len(chain) - 2, 'step')}"
    return f"was skipped, as {visible(names[0])} was{through}, as {sentence}", names


def _cancelled(known: Known, record: StepRecord) -> Told:
    what = "was stopped" if record.attempt else "was never begun"
    return f"{what}: {brief(record.reason)}" if record.reason else what, ()


_EXPLAIN: dict[StepStatus, Callable[[Known, StepRecord], Told]] = {
    StepStatus.PENDING: _pending,
    StepStatus.RUNNING: _running,
    StepStatus.RETRYING: _retrying,
    StepStatus.WAITING: _waiting,
    StepStatus.COMPLETED: _completed,
    StepStatus.FAILED: _failed,
    StepStatus.SKIPPED: _skipped,
    StepStatus.CANCELLED: _cancelled,
}
