"""What is true of a run while it is shown: before anything happens here, and then on the screen."""

import time
from collections.abc import Mapping, Sequence

import attrs

from ..core.dag import Dag
from ..core.events import (
    CacheHit,
    ChildStarted,
    CompensationEvent,
    Event,
    RunResumed,
    RunStarted,
    StepEvent,
    StepExpanded,
    StepHeartbeat,
    StepRetrying,
    StepStarted,
    TimerSet,
)
from ..core.history import StepRecord
from ..core.lines import Line, brief, name_width, padded
from ..core.progress import Tally, tally_of, told_status, what_for
from ..core.state import StepStatus
from ..core.wording import count_steps, counts_text, duration_text
from ..labels import visible
from ..ports import RunRecord
from ..views import STATUS_AFTER, Changes, is_progress, name_of, progress_text, started_line, time_to_come

MANY = 100
"""Of more steps than that those that went well are only counted."""

MOST_LEFT_OUT = 20
"""How many steps that were skipped or cancelled have a line."""

Flight = StepStarted | StepRetrying | StepExpanded | TimerSet | ChildStarted
"""After what a step is in flight, or waits."""


@attrs.frozen(kw_only=True)
class Beginning:
    """
    What is true before anything happens here.

    Attributes:
        dag: The definition.
        kept: Step name -> where it is, of those that ended before, or in the run that this one was forked from.
        spent: Name of a step, or of an item -> how many attempts were made before its budget was renewed.
        opening: What is told when a run is resumed, or after the first line of one that is forked.
        begun: What became before of the steps that wait, or some of whose items have ended.
    """

    dag: Dag
    kept: Mapping[str, StepStatus] = attrs.field(factory=dict)
    spent: Mapping[str, int] = attrs.field(factory=dict)
    opening: Sequence[Line] = ()
    begun: Sequence[StepRecord] = ()

    def changes(self) -> Changes:
        """What makes the lines of this run."""
        changes = Changes(self.dag, name_width(self.dag.nodes), self.spent)
        for record in self.begun:
            if (tally := _kept_tally(record)) is not None:
                changes.items.tallies[record.name] = tally
            if record.status is StepStatus.WAITING and record.started_at is not None:
                changes.started[record.name] = record.started_at
        return changes

    def is_kept(self, event: Event) -> bool:
        """Whether this tells only again how a step ended in the run that this one was forked from."""
        return isinstance(event, StepEvent) and event.attempt == 0 and event.step in self.kept

    def first_lines(self, run: RunRecord, event: Event) -> Sequence[Line]:
        """What is told when a run begins, or goes on; nothing for other events."""
        match event:
            case RunStarted():
                return [started_line(run.workflow, run.id, len(self.dag.nodes), event.origin), *self.opening]
            # After a sleep it goes on as it did before.
            case RunResumed() if event.reason != "due":
                return self.opening
            case _:
                return ()


@attrs.define
class Scene:
    """
    What is on the screen: the steps in flight, and how many are where.

    Attributes:
        dag: The definition.
        changes: What makes the lines.
        statuses: Name -> where the step is.
        counts: Status -> how many steps have it.
        begun_at: When it was begun here (epoch seconds).
        in_flight: Name -> the last thing that happened to it, of the steps that run, or wait.
        undoing: The same of the steps that are being undone.
        fresh: Lines that are to scroll up.
        left_out: How many steps were skipped or cancelled.
        progress: Name -> what its body said last of how far it is (JSON), of the steps that run.
    """

    dag: Dag
    changes: Changes
    statuses: dict[str, StepStatus]
    counts: dict[StepStatus, int]
    begun_at: float
    in_flight: dict[str, Flight] = attrs.field(factory=dict)
    undoing: dict[str, StepStarted | StepRetrying] = attrs.field(factory=dict)
    fresh: list[Line] = attrs.field(factory=list)
    left_out: int = 0
    progress: dict[str, str] = attrs.field(factory=dict)

    def apply(self, event: StepEvent) -> None:
        """Take in what happened to a step, or to one of its items."""
        if event.item is not None:
            self.fresh += self.changes.of_item(event)
            if event.step not in self.in_flight and not self.statuses[event.step].is_final:
                # It had items before, and goes on with them.
                self._fly(StepExpanded(seq=event.seq, at=event.at, step=event.step, count=0))
            return
        if isinstance(event, StepHeartbeat):
            self.progress[event.step] = event.progress
            return
        if isinstance(event, CacheHit):
            self.changes.hits[event.step] = event.run
            return
        self.progress.pop(event.step, None)
        line = self.changes.line(event)
        status = STATUS_AFTER.get(type(event), self.statuses[event.step])
        self._count(event.step, status)
        if isinstance(event, Flight):
            self._fly(event)
        elif status.is_final:
            self.in_flight.pop(event.step, None)
        if line is not None and self._scrolls(event, status):
            self.fresh.append(line)

    def _count(self, step: str, status: StepStatus) -> None:
        self.counts[self.statuses[step]] -= 1
        self.counts[status] = self.counts.get(status, 0) + 1
        self.statuses[step] = status

    def _fly(self, event: Flight) -> None:
        """From now on this step is in flight, or waits."""
        self.in_flight[event.step] = event
        self._count(event.step, STATUS_AFTER[type(event)])

    def undo(self, event: CompensationEvent) -> None:
        """Take in what happened to the undoing of a step."""
        step = event.as_step()
        self.undoing.pop(name_of(event), None)
        if isinstance(step, StepStarted | StepRetrying):
            self.undoing[name_of(event)] = step
        if not isinstance(step, StepStarted):
            self.fresh += self.changes.undoing(event)

    def _scrolls(self, event: StepEvent, status: StepStatus) -> bool:
        if isinstance(event, StepStarted | StepExpanded | TimerSet | ChildStarted):
            # It has a line at the bottom, as long as it lasts.
            return False
        if status in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            self.left_out += 1
            return self.left_out <= MOST_LEFT_OUT
        # Of many steps those that went well are only counted.
        return status is not StepStatus.COMPLETED or len(self.dag.nodes) <= MANY

    def lines(self, now: float, limit: int) -> list[Line]:
        """At most so many lines: the steps in flight, the oldest first, and the counts."""
        flying: list[tuple[Flight, str]] = [(event, "") for event in self._by_interest()]
        flying += [(event, "undoing  ") for event in self.undoing.values()]
        shown = flying[: max(1, limit - 1)]
        lines = [self._flying(event, what, now) for event, what in shown]
        hidden = len(flying) - len(shown)
        more = f"   ({hidden:,} more in flight)" if hidden else ""
        took = duration_text(now - self.begun_at)
        lines.append(Line(f"  {took}: {counts_text(self.counts)}{more}", weight="faint"))
        return lines

    def _by_interest(self) -> list[Flight]:
        """What is at work, then what waits for something outside; each in the order in which it began."""
        return sorted(self.in_flight.values(), key=lambda event: isinstance(event, TimerSet | ChildStarted))

    def _flying(self, event: Flight, what: str, now: float) -> Line:
        name = padded(name_of(event), self.changes.width)
        took = duration_text(max(0.0, now - event.at))
        match event:
            case StepRetrying():
                due_at = event.due_at
                again = "when the run is resumed" if due_at is None else f"in {duration_text(max(0.0, due_at - now))}"
                return Line(f"  ~ {name}  {what}again {again}: {brief(event.error.headline)}", "retrying")
            case StepExpanded():
                took = duration_text(max(0.0, now - self.changes.started.get(event.step, event.at)))
                return Line(f"  > {name}  {self.changes.items.text(event.step)}  {took}", "running")
            case TimerSet() | ChildStarted():
                until = "" if event.due_at is None else time_to_come(event.due_at, now)
                child = visible(event.child) if isinstance(event, ChildStarted) else ""
                return Line(f"  = {name}  waits {what_for(self.dag.nodes.get(event.step), child, until)}", "waiting")
            case _:
                pass
        tries = f"  attempt {event.attempt}" if event.attempt > 1 else ""
        items = "" if what else self.changes.items.text(event.step)
        progress = None if what else self.progress.get(event.step)
        told = progress_text(progress) if is_progress(progress) else ""
        return Line("  ".join(filter(None, (f"  > {name}", items, f"{what}{took}{tries}", told))), "running")


def scene_of(beginning: Beginning) -> Scene:
    """The scene before anything happens here."""
    begun = {record.name: record for record in beginning.begun if record.status is StepStatus.WAITING}
    statuses = {name: beginning.kept.get(name, StepStatus.PENDING) for name in beginning.dag.nodes}
    statuses |= {name: told_status(record) for name, record in begun.items() if name in statuses}
    scene = Scene(beginning.dag, beginning.changes(), statuses, count_steps(statuses.values()), time.time())
    scene.in_flight |= {name: _as_flight(record) for name, record in begun.items() if name in statuses}
    return scene


def _as_flight(record: StepRecord) -> Flight:
    """What happened last to a step that waits."""
    at = record.started_at or 0.0
    if record.count is not None:
        return StepExpanded(seq=0, at=at, step=record.name, count=record.count)
    if record.child:
        return ChildStarted(seq=0, at=at, step=record.name, child=record.child, due_at=record.due_at)
    return TimerSet(seq=0, at=at, step=record.name, due_at=record.due_at)


def _kept_tally(record: StepRecord) -> Tally | None:
    """How far the items of a step are when its run is resumed: those that did not go well may run again."""
    tally = tally_of(record)
    if tally is None or record.status in (StepStatus.COMPLETED, StepStatus.WAITING):
        return tally
    kept = Tally(tally.total)
    for item, status in tally.statuses.items():
        if status is StepStatus.COMPLETED:
            kept.note(item, status)
    return kept
