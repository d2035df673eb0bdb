"""What happens to the items of steps, however many there are: a few lines of it, and how far each step is."""

import attrs

from ..core.dag import Dag
from ..core.definition import Several
from ..core.events import (
    ChildStarted,
    CompensationEvent,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepRetrying,
    StepSkipped,
    StepStarted,
    TimerSet,
)
from ..core.failures import item_name
from ..core.progress import Tally, items_text
from ..core.state import StepStatus

STATUS_AFTER: dict[type[StepEvent], StepStatus] = {
    StepStarted: StepStatus.RUNNING,
    StepRetrying: StepStatus.RETRYING,
    # For people what waits for its own items is at work.
    StepExpanded: StepStatus.RUNNING,
    TimerSet: StepStatus.WAITING,
    ChildStarted: StepStatus.WAITING,
    StepCompleted: StepStatus.COMPLETED,
    StepFailed: StepStatus.FAILED,
    StepSkipped: StepStatus.SKIPPED,
    StepCancelled: StepStatus.CANCELLED,
}
"""Where a step, or an item, is after an event of this kind; the kinds that are missing leave it where it was."""

_MOST = 3
"""How many items of one step that fail, or are tried again, have a line each."""

_FEW = 20
"""Of fewer items nothing is told between the first and the last."""

_PARTS = 4
_PAUSE = 1.0
"""Seconds after the beginning of a step, and between two lines that say how far it is."""


@attrs.define
class ItemChanges:
    """
    Counts the items of steps, and decides of which there is a line.

    Attributes:
        dag: The definition: says how a step comes to have items.
        tallies: Name -> where its items are, of the steps that have several.
    """

    dag: Dag
    tallies: dict[str, Tally] = attrs.field(factory=dict)
    _told: dict[tuple[str, str], int] = attrs.field(factory=dict)
    _reached: dict[str, int] = attrs.field(factory=dict)
    _growing: set[str] = attrs.field(factory=set)
    _told_at: dict[str, float] = attrs.field(factory=dict)

    def take(self, event: StepEvent) -> None:
        """Count what this event says of items."""
        if isinstance(event, StepExpanded):
            # Also if they are none: the step knows so much.
            if event.step in self.tallies:
                self._growing.add(event.step)
            tally = self.tallies.setdefault(event.step, Tally())
            tally.total = max(tally.total, event.count)
        elif event.item is not None and (status := STATUS_AFTER.get(type(event))) is not None:
            self.tallies.setdefault(event.step, Tally()).note(event.item, status)

    def text(self, step: str, status: StepStatus = StepStatus.RUNNING) -> str:
        """`37/50, 2 failed`: how far the items of a step are; empty if it has none."""
        tally = self.tallies.get(step)
        return "" if tally is None else items_text(tally, self._several(step), status)

    def has_room(self, event: StepEvent | CompensationEvent) -> bool:
        """Whether there is still a line for what happened to this item; it is taken then."""
        key = (event.step, event.kind)
        self._told[key] = self._told.get(key, 0) + 1
        return self._told[key] <= _MOST

    def has_reached(self, step: str, at: float) -> bool:
        """
        Whether so many items have ended since the last time that it is worth a line, if that was a while ago.

        That is each quarter of them; where nobody knows how many there will be, ten times as many as before.

        Args:
            at: Now, in epoch seconds.
        """
        tally = self.tallies[step]
        if at < self._told_at.setdefault(step, at) + _PAUSE:
            return False
        if step not in self._growing and self._several(step) is Several.EACH:
            part = tally.ended * _PARTS // tally.total if tally.total >= _FEW else 0
            is_last = part == _PARTS
        else:
            part, is_last = len(str(tally.ended)) - 1, False
        if is_last or part <= self._reached.get(step, 0):
            return False
        self._reached[step], self._told_at[step] = part, at
        return True

    def _several(self, step: str) -> Several | None:
        node = self.dag.nodes.get(step)
        return None if node is None else node.several


def name_of(event: StepEvent | CompensationEvent) -> str:
    """The name of the step, or `parse[3]` of an item."""
    return item_name(event.step, event.item)
