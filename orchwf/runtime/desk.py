"""Where slots are asked for and given back: at the store, in one call after the other."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import attrs

from ..core.slots import Answer, Refusal, Slot, SlotRequest
from ..errors import StoreBusyError
from ..ports import Clock, Store
from .gates import Stage, Ticket
from .owner import has_died

_MOST = 1_000
"""How many ask in one call."""

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0


@attrs.define(eq=False)
class Desk:
    """
    While one call of the store is under way, what is asked for and given back meanwhile gathers for the next one.

    Attributes:
        store: The store.
        owner: Who asks.
        clock: By which it waits for a store that is busy.
        settle: Is told, of all that asked in a call, what was answered; nothing of those that are gone.
        fail: Is told for what error nothing can go on.
        spawn: Makes a task of a coroutine, and owns it.
        places: How many have asked, and are not answered.
    """

    store: Store
    owner: str
    clock: Clock
    settle: Callable[[Sequence[Ticket], Sequence[tuple[Ticket, Answer]]], None]
    fail: Callable[[Exception], None]
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    places: int = 0
    _asks: list[tuple[Ticket, SlotRequest]] = attrs.field(factory=list)
    _frees: list[Slot] = attrs.field(factory=list)
    _is_open: bool = True
    _is_working: bool = False
    _wait: float = 0.0

    def ask(self, ticket: Ticket, request: SlotRequest) -> None:
        """Ask for what this one needs."""
        self.places += 1
        self._asks.append((ticket, request))
        self._begin()

    def give_back(self, slots: Iterable[Slot]) -> None:
        """Nobody here holds these any more."""
        self._frees += slots
        self._begin()

    def close(self) -> None:
        """Ask nothing any more."""
        self._is_open = False

    def _begin(self) -> None:
        if (self._asks or self._frees) and self._is_open and not self._is_working:
            self._is_working = True
            self.spawn(self._work())

    async def _work(self) -> None:
        try:
            # Who waits for what is given back asks in the same call.
            await asyncio.sleep(0)
            while (self._asks or self._frees) and self._is_open:
                await self._call()
            self._is_working = False
        except StoreBusyError:
            # Another process holds the file: nothing was written, and all is asked once more.
            self._wait = min(_LONGEST_WAIT, max(_FIRST_WAIT, 2 * self._wait))
            self.clock.call_at(self.clock.now() + self._wait, self._begin_anew)
        # Without the store nothing can go on; and a bug of ours must reach whoever waits for a run.
        except Exception as error:
            self.fail(error)

    def _begin_anew(self) -> None:
        self._is_working = False
        self._begin()

    async def _call(self) -> None:
        asks, self._asks = self._asks[:_MOST], self._asks[_MOST:]
        frees, self._frees = self._frees, []
        wanted = [(ticket, request) for ticket, request in asks if ticket.stage is not Stage.GONE]
        try:
            answers = await self.store.take_slots(self.owner, [request for _, request in wanted], frees=frees)
        except StoreBusyError:
            self._asks, self._frees = asks + self._asks, frees + self._frees
            raise
        self._wait = 0.0
        self.places -= len(asks)
        answered = [(ticket, answer) for (ticket, _), answer in zip(wanted, answers, strict=True)]
        self.settle([ticket for ticket, _ in asks], answered)
        await self._bury({owner for answer in answers if isinstance(answer, Refusal) for owner in answer.owners})

    async def _bury(self, owners: Iterable[str]) -> None:
        """Those who are known to be dead hold nothing any more: nobody waits for their lease."""
        for owner in owners:
            if owner != self.owner and has_died(owner):
                await self.store.renew(owner, 0)
