"""
Which steps may start, of those that have to ask before: for the slots of their queue and of their mutex, and whether
an earlier run has computed their output.

Whoever may not start now waits here, at the limit that keeps it, and takes no place from others. It is ready again when
a slot was given back here, or after a while, as others on the store may have given one back.
"""

import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from ..core.caching import Cache, CacheEntry
from ..core.definition import Node
from ..core.events import Event
from ..core.outcome import Found
from ..core.slots import Answer, Refusal, SlotRequest
from ..errors import StoreError
from ..ports import Clock, Store
from .attempt import Taken
from .caching import Keying, done_in_thread, failing, is_quick, keying
from .desk import Desk
from .execution import Execution
from .gates import Entry, Gate, Stage, Ticket
from .large import Large
from .queues import Queues
from .requests import ended_steps, entries_of, request_for


class Admission:
    """
    Lets steps start when they hold what they need. Everything is called on the loop of the engine.

    Args:
        owner: Who asks.
        queues: The queues that steps name.
        clock: By which it waits for a rate.
        periodic: By which it waits for others, who may be in other processes.

    Attributes:
        desk: Where it asks. For those who have asked the engine keeps places: they start as soon as they are answered.
    """

    def __init__(self, store: Store, owner: str, queues: Queues, *, clock: Clock, periodic: Clock) -> None:
        self._store = store
        self._owner = owner
        self._large = Large(store)
        self._queues = queues
        self._clock = clock
        self._periodic = periodic
        self._gates: dict[str, Gate] = {}
        self._tickets: dict[int, dict[int, Ticket]] = {}
        self._trying: Ticket | None = None
        self._preparing = 0

    def connect(
        self,
        *,
        offer: Callable[[Iterable[Entry]], None],
        tell: Callable[[Execution, Found], None],
        fail: Callable[[Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """
        Make it known to its engine.

        Args:
            offer: Takes steps that are ready again.
            tell: Takes what happened to a run.
            fail: Takes the error for which nothing can go on.
            spawn: Makes a task of a coroutine, and owns it.
        """
        self._offer = offer
        self._tell = tell
        self._spawn = spawn
        self.desk = Desk(self._store, self._owner, self._clock, settle=self._settle, fail=fail, spawn=spawn)

    def close(self) -> None:
        """Ask nothing any more."""
        self.desk.close()
        for gate in self._gates.values():
            gate.open()

    # What the engine asks and tells.

    def admits(self, execution: Execution, step: int, rank: float, now: float) -> bool:
        """
        Whether a ready step for which there is a place may try to start now.

        If not, that is seen to: it is ready again when it may, or nobody wants it.
        """
        ticket = self._tickets.get(execution.age, {}).get(step)
        self._trying = None
        if ticket is not None and ticket.stage is Stage.GRANTED:
            self._trying, ticket.stage = ticket, Stage.STARTED
            return True
        if not execution.machine.run.can_start(step, now):
            # The machine says what that means.
            if ticket is not None and ticket.stage is not Stage.STARTED:
                self._drop(ticket)
            return True
        if ticket is None:
            ticket = self._new_ticket(execution, step, rank)
        elif ticket.stage is Stage.STARTED:
            ticket.again = rank
            return False
        elif ticket.stage is not Stage.CALLED:
            return False
        if ticket.stage is Stage.PREPARING:
            return False
        if ticket.request is None or not ticket.gates:
            self._trying, ticket.stage = ticket, Stage.STARTED
            return True
        self._ask(ticket, ticket.request)
        return False

    def not_started(self) -> None:
        """The machine did not let the step start that was admitted last."""
        if self._trying is not None:
            self._drop(self._trying)

    def trouble(self, execution: Execution, step: int) -> Exception | None:
        """Why the step, which has started, could not ask for what it needs; None if it could."""
        ticket = self._tickets.get(execution.age, {}).get(step)
        return None if ticket is None else ticket.trouble

    @property
    def is_preparing(self) -> bool:
        """Whether it is being found out for what a step has to ask."""
        return self._preparing > 0

    def kept(self, execution: Execution, events: Sequence[Event]) -> list[CacheEntry]:
        """What of these events, which are to be written, is kept for other runs."""
        return list(entries_of(execution, self._tickets.get(execution.age, {}), events))

    def written(self, execution: Execution, events: Sequence[Event]) -> None:
        """These events of a run are in the store: what the attempts held that have ended is given back."""
        tickets = self._tickets.get(execution.age)
        for number in ended_steps(execution, events) if tickets else ():
            # Of a run that was terminated the body may not have ended yet.
            if tickets and number in tickets and number not in execution.attempts:
                self._drop(tickets[number])

    def ended(self, execution: Execution, step: int) -> None:
        """An attempt of a run has ended that is not executed here any more."""
        ticket = self._tickets.get(execution.age, {}).get(step)
        if ticket is not None:
            self._drop(ticket)

    def left(self, execution: Execution) -> None:
        """A run is not executed here any more: its steps want nothing, and what they hold is given back."""
        for step, ticket in list(self._tickets.get(execution.age, {}).items()):
            # A body may still run: it holds what it has until it has ended.
            if step not in execution.attempts:
                self._drop(ticket)

    # Waiting.

    def _new_ticket(self, execution: Execution, step: int, rank: float) -> Ticket:
        ticket = Ticket(execution, step, rank)
        self._tickets.setdefault(execution.age, {})[step] = ticket
        node = execution.machine.run.nodes[step]
        if node.options.cache is None:
            self._prepare(ticket, None)
            return ticket
        taken = Taken(execution.outputs_for(step), execution.item(step))
        if not self._large.is_lacking(taken.stored_texts) and is_quick(execution, taken):
            self._prepare(ticket, keying(execution, node, node.options.cache, taken))
        else:
            ticket.stage = Stage.PREPARING
            self._spawn(self._prepare_elsewhere(ticket, node, node.options.cache, taken))
        return ticket

    def _prepare(self, ticket: Ticket, work: Keying | None) -> None:
        """Find out for what to ask."""
        try:
            ticket.key = work() if work is not None else None
            ticket.request = request_for(ticket, self._queues, self._clock.now())
        # Foreign code: names and keys may be given by functions of the user's.
        except Exception as error:
            ticket.trouble = error
        else:
            ticket.gates = tuple(self._gates.setdefault(each.name, Gate(each)) for each in ticket.request.limits)

    async def _prepare_elsewhere(self, ticket: Ticket, node: Node, cache: Cache, taken: Taken) -> None:
        """The same, while the loop goes on."""
        self._preparing += 1
        where = f"what step {node.name!r} of run {ticket.execution.record.id!r} takes"
        try:
            fill = await self._large.whole(taken.stored_texts, where)
            work = await done_in_thread(keying(ticket.execution, node, cache, taken.changed(fill)))
        except StoreError as error:
            work = failing(error)
        finally:
            self._preparing -= 1
        if ticket.stage is Stage.PREPARING:
            self._prepare(ticket, work)
            ticket.stage = Stage.CALLED
            self._offer([ticket.entry(ticket.rank)])

    def _ask(self, ticket: Ticket, request: SlotRequest) -> None:
        """Ask for what this one needs, or let it wait where it is known that there is nothing."""
        called_by, ticket.gate = ticket.gate, None
        if called_by is not None:
            called_by.asked -= 1
        for gate in ticket.gates:
            if gate.room <= 0:
                gate.park(ticket)
                # It may be the turn of somebody else there.
                self._look_after([called_by] if called_by is not None else [])
                return
        for gate in ticket.gates:
            gate.asked += 1
        ticket.stage = Stage.ASKED
        self.desk.ask(ticket, request)

    def _drop(self, ticket: Ticket) -> None:
        """Nobody wants this one any more; what it holds is given back."""
        before, ticket.stage = ticket.stage, Stage.GONE
        tickets = self._tickets[ticket.execution.age]
        del tickets[ticket.step]
        if not tickets:
            del self._tickets[ticket.execution.age]
        if before is Stage.PARKED and ticket.gate is not None:
            ticket.gate.leave()
        elif before is Stage.CALLED and ticket.gate is not None:
            ticket.gate.asked -= 1
        elif before in (Stage.GRANTED, Stage.STARTED) and ticket.trouble is None:
            self._give_back(ticket)
        # What it has asked for is given back when it is answered.
        self._look_after(ticket.gates)
        if ticket.again is not None:
            self._offer([ticket.entry(ticket.again)])

    def _give_back(self, ticket: Ticket) -> None:
        for gate in ticket.gates:
            gate.held -= 1
            if not gate.is_paced:
                gate.open()
        if ticket.request is not None:
            self.desk.give_back(ticket.request.slots())

    def _look_after(self, gates: Iterable[Gate]) -> None:
        """Call those who wait at these gates, as far as there is room, and forget a gate that nobody needs."""
        for gate in gates:
            if gate.waiting:
                if entries := gate.call():
                    self._offer(entries)
            elif gate.is_idle:
                gate.open()
                self._gates.pop(gate.limit.name, None)

    # What was answered.

    def _settle(self, asked: Sequence[Ticket], answers: Sequence[tuple[Ticket, Answer]]) -> None:
        for ticket in asked:
            for gate in ticket.gates:
                gate.asked -= 1
        for ticket, answer in answers:
            match answer:
                case None:
                    self._grant(ticket)
                case Refusal():
                    self._refuse(ticket, answer)
                case CacheEntry():
                    self._find(ticket, answer)
        self._look_after({gate: None for ticket in asked for gate in ticket.gates})

    def _grant(self, ticket: Ticket) -> None:
        for gate in ticket.gates:
            gate.held += 1
            gate.succeed()
        if ticket.stage is Stage.GONE:
            self._give_back(ticket)
        else:
            ticket.stage = Stage.GRANTED
            # There is a place for it, and nobody goes before it.
            self._offer([ticket.entry(-math.inf)])

    def _find(self, ticket: Ticket, entry: CacheEntry) -> None:
        if ticket.stage is Stage.GONE:
            return
        for gate in ticket.gates[:1]:
            # That of the key: whoever waits there finds it as well.
            gate.open()
            gate.is_known = True
        self._drop(ticket)
        self._tell(ticket.execution, Found(ticket.step, entry.key, entry.run_id, entry.output))

    def _refuse(self, ticket: Ticket, refusal: Refusal) -> None:
        if ticket.stage is Stage.GONE:
            return
        gate = next(gate for gate in ticket.gates if gate.limit.name == refusal.limit)
        gate.is_known = False
        gate.park(ticket)
        if gate.revoke is None:
            self._close(gate, refusal)

    def _close(self, gate: Gate, refusal: Refusal) -> None:
        clock, wait = self._periodic, gate.next_wait()
        if refusal.wait is not None:
            clock, wait, gate.is_paced = self._clock, refusal.wait, True

        def reopen() -> None:
            gate.open()
            self._look_after([gate])

        gate.revoke = clock.call_at(clock.now() + wait, reopen)
