"""What happens in a run while it is watched, a line for each thing, but for items."""

from collections.abc import Mapping

import attrs

from ..core.dag import Dag
from ..core.definition import ForSignal, Node, Several
from ..core.events import (
    ChildStarted,
    CompensationEvent,
    CompensationFailed,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
    TimerFired,
    TimerSet,
)
from ..core.lines import Line, brief, padded
from ..core.progress import progress_text, what_for
from ..core.state import StepStatus
from ..core.wording import MARKS, duration_text, plural
from ..labels import visible
from .instants import time_to_come
from .items import ItemChanges, name_of


@attrs.define
class Changes:
    """
    Makes the lines for what happens to steps. Of items only the first that fail have one.

    Attributes:
        dag: The definition: says how often a step may be tried.
        width: The columns for the names of steps.
        spent: Name -> how many attempts were made before its budget was renewed, of the steps for which it was.
        started: Name -> when its first attempt began (epoch seconds), of the steps that have not ended.
        hits: Name -> the run that computed its output, of the steps that need not run.
        items: How far the items are.
    """

    dag: Dag
    width: int
    spent: Mapping[str, int] = attrs.field(factory=dict)
    started: dict[str, float] = attrs.field(factory=dict)
    hits: dict[str, str] = attrs.field(factory=dict)
    items: ItemChanges = attrs.field(default=attrs.Factory(lambda self: ItemChanges(self.dag), takes_self=True))
    _expanded: set[str] = attrs.field(factory=set)

    def lines(self, event: StepEvent) -> list[Line]:
        """The lines of this event, of the step itself or of one of its items; events have to come in their order."""
        if event.item is None:
            line = self.line(event)
            return [] if line is None else [line]
        lines = self.of_item(event)
        if self.items.has_reached(event.step, event.at):
            lines.append(_change("running", padded(event.step, self.width), self.items.text(event.step)))
        return lines

    def of_item(self, event: StepEvent) -> list[Line]:
        """The line of an item that failed, or is tried again, if it is one of the first."""
        self.items.take(event)
        # In a run that was resumed it may have had its items before.
        self.started.setdefault(event.step, event.at)
        # There may be very many, of which nearly all have nothing to tell.
        if not isinstance(event, StepFailed | StepRetrying) or not self.items.has_room(event):
            return []
        name, tries = padded(name_of(event), self.width), self._tries(event)
        if isinstance(event, StepFailed):
            return [_change("failed", name, f"{tries}  {brief(event.error.headline)}")]
        return [_change("retrying", name, f"{tries} failed, {again_text(event)}")]

    def line(self, event: StepEvent) -> Line | None:
        """The line of this event, which is none of an item; None if nothing is to be told."""
        self.items.take(event)
        node, is_first = self.dag.nodes.get(event.step), event.step not in self.started
        self.started.setdefault(event.step, event.at)
        name, tries = padded(event.step, self.width), self._tries(event)
        match event:
            case StepStarted():
                # What a step per item does first is to take apart what it runs for.
                is_split = node is not None and node.several is Several.EACH
                return None if is_split else _change("running", name, tries if event.attempt > 1 else "")
            case StepRetrying():
                return _change("retrying", name, f"{tries} failed, {again_text(event)}")
            case StepHeartbeat():
                return _change("running", name, f"progress: {progress_text(event.progress)}")
            case StepExpanded():
                return self._begun(event, name)
            case TimerSet() | ChildStarted():
                until = "" if event.due_at is None else time_to_come(event.due_at, event.at)
                child = visible(event.child) if isinstance(event, ChildStarted) else ""
                return _change("waiting", name, f"waits {what_for(node, child, until)}")
            case TimerFired():
                return None
            case _:
                return self._ended(event, name, "" if is_first else duration_text(event.at - self.started[event.step]))

    def _begun(self, event: StepExpanded, name: str) -> Line | None:
        """Once for each step: loops, and what follows the items of others, learn of one item after the other."""
        if event.step in self._expanded:
            return None
        self._expanded.add(event.step)
        # Without an attempt to take anything apart nobody knows whether these are all.
        return _change("running", name, plural(event.count, "item") if event.attempt else "")

    def _ended(self, event: StepEvent, name: str, took: str) -> Line:
        """
        The line of the end of a step.

        Args:
            took: How long that took; empty if nothing of it was told before.
        """
        del self.started[event.step]
        self._expanded.discard(event.step)
        match event:
            case StepCompleted() if event.step in self.hits:
                return _change("completed", name, f"cached: run {brief(self.hits.pop(event.step))}")
            case StepCompleted():
                items = self.items.text(event.step, StepStatus.COMPLETED)
                if not (took or items):
                    return _change("completed", name, given_text(self.dag.nodes.get(event.step)))
                tries = self._tries(event) if event.attempt > 1 else ""
                return _change("completed", name, ", ".join(filter(None, (took, items, tries))))
            case StepFailed():
                return _change("failed", name, f"{self._what_failed(event, took)}  {brief(event.error.headline)}")
            case StepSkipped():
                return _change("skipped", name, f"skipped: {brief(event.reason)}")
            case StepCancelled():
                return _change("cancelled", name, f"cancelled: {brief(event.reason)}")
            case _:
                return _change("running", name, visible(event.kind))

    def _what_failed(self, event: StepFailed, took: str) -> str:
        if event.attempt:
            return self._tries(event)
        return self.items.text(event.step, StepStatus.FAILED) or (f"waited {took}" if took else "not tried")

    def undoing(self, event: CompensationEvent) -> list[Line]:
        """The line that tells that a step is being undone, was, or could not be; of items the first ones alone."""
        step, name = event.as_step(), padded(name_of(event), self.width)
        if event.item is not None and not self.items.has_room(event):
            return []
        match step:
            case StepStarted():
                return [_change("running", name, f"undoing{f', attempt {step.attempt}' if step.attempt > 1 else ''}")]
            case StepCompleted():
                return [_change("completed", name, "undone")]
            case StepFailed():
                return [_change("failed", name, f"could not be undone: {brief(step.error.headline)}")]
            case StepRetrying():
                return [_change("retrying", name, f"could not be undone, {again_text(step)}")]
            case _:
                return []

    def _tries(self, event: StepEvent) -> str:
        """`attempt 2/3`"""
        node = self.dag.nodes.get(event.step)
        allowed = 1 + node.options.retry.max_retries if node is not None else 0
        allowed += self.spent.get(name_of(event), 0)
        return f"attempt {event.attempt}/{max(event.attempt, allowed)}"


def given_text(node: Node | None) -> str:
    """Why a step of which nothing was told has completed."""
    is_signal = node is not None and isinstance(node.waits, ForSignal)
    return "it had come before" if is_signal else "its value was given"


def again_text(event: StepRetrying | CompensationFailed) -> str:
    """When it is tried again, and why."""
    when = "when the run is resumed" if event.delay is None else f"in {duration_text(event.delay)}"
    return f"again {when}: {brief(event.error.headline)}"


def _change(status: str, name: str, said: str) -> Line:
    return Line(f"  {MARKS[status]} {name}  {said}".rstrip(), status)
