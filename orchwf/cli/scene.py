"""What is true of a run while it is shown: before anything happens here, and then on the screen."""

import time
from collections.abc import Mapping, Sequence

import attrs

from ..core.dag import Dag
from ..core.events import (
    CompensationEvent,
    Event,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from ..core.lines import Line, brief, name_width, padded
from ..core.state import StepStatus
from ..core.wording import count_steps, counts_text, duration_text
from ..ports import RunRecord
from ..views import Changes, is_progress, progress_text, started_line

MANY = 100
"""Of more steps than that those that went well are only counted."""

MOST_LEFT_OUT = 20
"""How many steps that were skipped or cancelled have a line."""


@attrs.frozen(kw_only=True)
class Beginning:
    """
    What is true before anything happens here.

    Attributes:
        dag: The definition.
        kept: Step name -> where it is, of those that ended before, or in the run that this one was forked from.
        spent: Step name -> how many attempts were made before its budget was renewed.
        opening: What is told when a run is resumed, or after the first line of one that is forked.
    """

    dag: Dag
    kept: Mapping[str, StepStatus] = attrs.field(factory=dict)
    spent: Mapping[str, int] = attrs.field(factory=dict)
    opening: Sequence[Line] = ()

    def changes(self) -> Changes:
        """What makes the lines of this run."""
        return Changes(self.dag, name_width(self.dag.nodes), self.spent)

    def is_kept(self, event: Event) -> bool:
        """Whether this tells only again how a step ended in the run that this one was forked from."""
        return isinstance(event, StepEvent) and event.attempt == 0 and event.step in self.kept

    def first_lines(self, run: RunRecord, event: Event) -> Sequence[Line]:
        """What is told when a run begins, or goes on; nothing for other events."""
        match event:
            case RunStarted():
                return [started_line(run.workflow, run.id, len(self.dag.nodes), event.origin), *self.opening]
            case RunResumed():
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
        in_flight: Name -> the last thing that happened to it, of the steps that run or wait for their next attempt.
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
    in_flight: dict[str, StepStarted | StepRetrying] = attrs.field(factory=dict)
    undoing: dict[str, StepStarted | StepRetrying] = attrs.field(factory=dict)
    fresh: list[Line] = attrs.field(factory=list)
    left_out: int = 0
    progress: dict[str, str] = attrs.field(factory=dict)

    def apply(self, event: StepEvent) -> None:
        """Take in what happened to a step."""
        if isinstance(event, StepHeartbeat):
            self.progress[event.step] = event.progress
            return
        self.progress.pop(event.step, None)
        line = self.changes.line(event)
        status = _STATUS[type(event)]
        self.counts[self.statuses[event.step]] -= 1
        self.counts[status] = self.counts.get(status, 0) + 1
        self.statuses[event.step] = status
        if isinstance(event, StepStarted | StepRetrying):
            self.in_flight[event.step] = event
        else:
            self.in_flight.pop(event.step, None)
        if self._scrolls(event, status):
            self.fresh.append(line)

    def undo(self, event: CompensationEvent) -> None:
        """Take in what happened to the undoing of a step."""
        step = event.as_step()
        self.undoing.pop(event.step, None)
        if isinstance(step, StepStarted | StepRetrying):
            self.undoing[event.step] = step
        if not isinstance(step, StepStarted):
            self.fresh += self.changes.undoing(event)

    def _scrolls(self, event: StepEvent, status: StepStatus) -> bool:
        if isinstance(event, StepStarted):
            return False
        if status in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            self.left_out += 1
            return self.left_out <= MOST_LEFT_OUT
        # Of many steps those that went well are only counted.
        return status is not StepStatus.COMPLETED or len(self.dag.nodes) <= MANY

    def lines(self, now: float, limit: int) -> list[Line]:
        """At most so many lines: the steps in flight, the oldest first, and the counts."""
        flying = [(event, "") for event in self.in_flight.values()]
        flying += [(event, "undoing  ") for event in self.undoing.values()]
        shown = flying[: max(1, limit - 1)]
        lines = [self._flying(event, what, now) for event, what in shown]
        hidden = len(flying) - len(shown)
        more = f"   ({hidden:,} more in flight)" if hidden else ""
        took = duration_text(now - self.begun_at)
        lines.append(Line(f"  {took}: {counts_text(self.counts)}{more}", weight="faint"))
        return lines

    def _flying(self, event: StepStarted | StepRetrying, what: str, now: float) -> Line:
        name = padded(event.step, self.changes.width)
        if isinstance(event, StepRetrying):
            due_at = event.due_at
            again = "when the run is resumed" if due_at is None else f"in {duration_text(max(0.0, due_at - now))}"
            return Line(f"  ~ {name}  {what}again {again}: {brief(event.error.headline)}", "retrying")
        took = duration_text(max(0.0, now - event.at))
        tries = f"  attempt {event.attempt}" if event.attempt > 1 else ""
        progress = None if what else self.progress.get(event.step)
        told = f"  {progress_text(progress)}" if is_progress(progress) else ""
        return Line(f"  > {name}  {what}{took}{tries}{told}", "running")


_STATUS: dict[type[StepEvent], StepStatus] = {
    StepStarted: StepStatus.RUNNING,
    StepRetrying: StepStatus.RETRYING,
    StepCompleted: StepStatus.COMPLETED,
    StepFailed: StepStatus.FAILED,
    StepSkipped: StepStatus.SKIPPED,
    StepCancelled: StepStatus.CANCELLED,
}


def scene_of(beginning: Beginning) -> Scene:
    """The scene before anything happens here."""
    statuses = {name: beginning.kept.get(name, StepStatus.PENDING) for name in beginning.dag.nodes}
    return Scene(beginning.dag, beginning.changes(), statuses, count_steps(statuses.values()), time.time())
