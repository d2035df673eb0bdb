"""
The steps that could start, in lanes: one for each workflow, so that none of them keeps the others from their places.

Within a lane the lowest rank goes first: the minute in which the step became ready, less its priority. So whoever waits
gains a point of priority each minute on those that come later. Among lanes it is the same, but that a workflow waits
only since it had a place last, however much of it waits; and those that are level have turns.

Source: turns instead of one queue, J. Nagle, https://www.rfc-editor.org/rfc/rfc970
"""

import heapq
from typing import Generic, TypeVar

import attrs

Ready = tuple[float, int, int, float]
"""
A step that could start: its rank, its number in its workflow, the age of its run, its priority.

The lowest goes first. Numbers cost no collection.
"""


R = TypeVar("R", bound="tuple[float, int, int, float] | tuple[float, int, int, float, object]")


@attrs.define(eq=False)
class Lane(Generic[R]):
    """
    The steps of one workflow that could start.

    Attributes:
        workflow: Its name.
        runs: How many runs of it are executed.
        steps: Those that could start: a heap of what begins as `Ready`.
        since: The minute in which it had a place last, or in which it began to wait.
        turn: When it has its turn among those that are level.
        level: What it is ordered by, the lowest first.
        is_open: Whether it is among those that have steps.
    """

    workflow: str
    runs: int = 0
    steps: list[R] = attrs.field(factory=list)
    since: float = 0.0
    turn: int = 0
    level: float = 0.0
    is_open: bool = False


class Lanes(Generic[R]):
    """
    Says which lane has its turn.

    Attributes:
        minute: The present one.
        by_workflow: Name of a workflow -> its lane, of those of which runs are executed.
        count: How many lanes have steps.
        only: The one that has, if it is the only one: nothing has to be ordered then.
    """

    def __init__(self) -> None:
        self.minute = 0.0
        self.by_workflow: dict[str, Lane[R]] = {}
        self.count = 0
        self.only: Lane[R] | None = None
        self._turn = 0
        # Of each lane the last entry counts; those before it are passed over.
        self._queue: list[tuple[float, int, Lane[R]]] = []

    def put(self, workflow: str, step: R) -> None:
        """This step of the workflow of this name waits, from now on, in a lane that is made for it if there is none."""
        lane = self.by_workflow.get(workflow) or self.add(workflow)
        first = lane.steps[0] if lane.steps else None
        heapq.heappush(lane.steps, step)
        if lane.steps[0] is not first:
            self.enter(lane)

    def take(self) -> R:
        """The step whose turn it is, of those that were put; there has to be one. It waits no longer."""
        lane = self.only or self.next()
        step = heapq.heappop(lane.steps)
        self.took(lane)
        if not lane.steps:
            self.forget(lane)
        return step

    def add(self, workflow: str) -> Lane[R]:
        """A new lane for the workflow of this name."""
        lane = self.by_workflow[workflow] = Lane[R](workflow)
        return lane

    def forget(self, lane: Lane[R]) -> None:
        """No run of its workflow is executed any more."""
        if self.by_workflow.get(lane.workflow) is lane:
            del self.by_workflow[lane.workflow]

    def enter(self, lane: Lane[R]) -> None:
        """Another step than before is the first one of this lane, or it had none."""
        if not lane.is_open:
            lane.is_open, lane.since = True, self.minute
            self._turn += 1
            lane.turn = self._turn
            self.count += 1
        if self.count == 1:
            self.only = lane
            return
        if self.only is not None:
            other, self.only = self.only, None
            self._order(other)
        self._order(lane)

    def next(self) -> Lane[R]:
        """The lane that has its turn, of several."""
        while True:
            level, turn, lane = self._queue[0]
            if lane.is_open and (level, turn) == (lane.level, lane.turn):
                return lane
            heapq.heappop(self._queue)

    def took(self, lane: Lane[R]) -> None:
        """The first step of this lane was taken out of it: the others have their turns before it has another one."""
        lane.since = self.minute
        if lane.steps:
            if self.only is None:
                self._turn += 1
                lane.turn = self._turn
                self._order(lane)
            return
        lane.is_open = False
        self.count -= 1
        if self.count == 1:
            self.only = self.next()
            self._queue.clear()
        elif self.only is lane:
            self.only = None

    def _order(self, lane: Lane[R]) -> None:
        step = lane.steps[0]
        lane.level = max(step[0], lane.since - step[3])
        heapq.heappush(self._queue, (lane.level, lane.turn, lane))
