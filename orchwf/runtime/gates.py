"""Limits as one orchestrator sees them, and the steps that wait at them."""

from collections.abc import Callable
from enum import Enum, auto

import attrs

from ..core.limits import Limit
from ..core.slots import SlotRequest
from .execution import Execution
from .lanes import Lanes

MOST_AT_ONCE = 100
"""How many ask at once for what has a rate alone: nobody knows how many may begin."""

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0

Entry = tuple[float, int, int]
"""What the ready steps are ordered by: rank, number of the step, age of its run."""


class Stage(Enum):
    """Where a step is that has to ask before it starts."""

    NEW = auto()
    PREPARING = auto()
    PARKED = auto()
    CALLED = auto()
    ASKED = auto()
    GRANTED = auto()
    STARTED = auto()
    GONE = auto()


@attrs.define(eq=False)
class Ticket:
    """
    One attempt that has to ask before it starts.

    Attributes:
        execution, step, rank: Which step, and its place among those that are ready.
        request: What it asks for; None until that is known.
        gates: The limits that it has to observe.
        key: Under which its output is kept for other runs; None if it is not.
        stage: Where it is: it finds out for what to ask (`PREPARING`), waits at a gate (`PARKED`), may ask when it is
            its turn (`CALLED`), has asked, may start (`GRANTED`), has started, or is not wanted any more.
        gate: Where it waits, or by which it was called.
        trouble: Why it cannot ask; then it starts, and fails with that.
        again: The rank of the next attempt, which is ready before the end of this one is written; None if it is not.
    """

    execution: Execution
    step: int
    rank: float
    request: SlotRequest | None = None
    gates: "tuple[Gate, ...]" = ()
    key: str | None = None
    stage: Stage = Stage.NEW
    gate: "Gate | None" = None
    trouble: Exception | None = None
    again: float | None = None

    def entry(self, rank: float) -> Entry:
        """Its entry among the ready steps, of this rank."""
        return rank, self.step, self.execution.age


@attrs.define(eq=False)
class Gate:
    """
    A limit, as far as this orchestrator knows.

    Attributes:
        limit: Which limit.
        held: How many of its slots are held here.
        asked: How many are asked for, or are going to be.
        waiting: How many steps wait here.
        is_paced: Whether it is closed until its rate lets one more begin.
        is_known: Whether an output was found for which places are taken here: whoever asks finds it, too.
        revoke: Keeps it from opening by itself; None while it is open.
    """

    limit: Limit
    held: int = 0
    asked: int = 0
    waiting: int = 0
    is_paced: bool = False
    is_known: bool = False
    revoke: Callable[[], None] | None = None
    _wait: float = 0.0
    _parked: "Lanes[tuple[float, int, int, float, Ticket]]" = attrs.field(factory=Lanes)

    @property
    def room(self) -> int:
        """How many more may ask, as far as is known here; 0 while it is closed."""
        if self.revoke is not None:
            return 0
        bound = None if self.is_known else self.limit.concurrency
        return (MOST_AT_ONCE if bound is None else bound - self.held) - self.asked

    @property
    def is_idle(self) -> bool:
        """Whether nobody needs it."""
        return not (self.held or self.asked or self.waiting)

    def park(self, ticket: Ticket) -> None:
        """Let this one wait here."""
        ticket.stage, ticket.gate = Stage.PARKED, self
        self.waiting += 1
        execution = ticket.execution
        priority = float(execution.machine.run.nodes[ticket.step].options.priority)
        # The minute in which it became ready is the earliest that can be known here.
        self._parked.minute = max(self._parked.minute, ticket.rank + priority)
        self._parked.put(execution.record.workflow, (*ticket.entry(ticket.rank), priority, ticket))

    def call(self) -> list[Entry]:
        """Let as many as there is room for ask: the entries with which they are ready again."""
        entries = []
        while self.waiting and self.room > 0:
            ticket = self._parked.take()[-1]
            # Those that are gone are not looked for when they go.
            if ticket.stage is Stage.PARKED:
                self.waiting -= 1
                self.asked += 1
                ticket.stage = Stage.CALLED
                entries.append(ticket.entry(ticket.rank))
        return entries

    def leave(self) -> None:
        """One that waited here does so no longer."""
        self.waiting -= 1
        if not self.waiting:
            self._parked = Lanes()
            self.open()

    def next_wait(self) -> float:
        """How long (seconds) to wait for places that others have: longer each time."""
        self._wait = min(_LONGEST_WAIT, max(_FIRST_WAIT, 2 * self._wait))
        return self._wait

    def succeed(self) -> None:
        """Somebody got a place."""
        self._wait, self.is_known = 0.0, False

    def open(self) -> None:
        """Let those who wait ask again."""
        if self.revoke is not None:
            self.revoke()
        self.revoke, self.is_paced = None, False
