"""Who gets the places within limits: the same answer in each store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from ..core.caching import CacheEntry, Lookup
from ..core.limits import Rate
from ..core.slots import Answer, Holding, Occupancy, Refusal, Slot, SlotRequest, Waiting

_ROUNDING = 1e-6
"""Seconds that are no difference: an instant (epoch seconds) is not told more exactly."""

_PATIENCE = 5.0
"""Seconds after which an owner that waits for a place goes before those that came later."""

_TURN_LASTS = 5.0
"""Seconds for which it counts that an owner waits, after it has asked; it asks again each second, at least."""


def occupancy_of(held: Iterable[tuple[Any, ...]], waiting: Iterable[tuple[Any, ...]]) -> Occupancy:
    """
    Who holds and who waits, as rows of a database say it.

    Args:
        held: Limit, owner, run, step, item, whether it is an attempt to undo the step, number of the attempt, since
            when (epoch seconds).
        waiting: Limit, owner, for how many seconds.
    """
    return Occupancy(
        holdings=tuple(
            Holding(
                slot=Slot(
                    limit=limit, run_id=run, step=step, attempt=attempt, item=item, compensates=bool(compensates)
                ),
                owner=owner, taken_at=float(taken_at),
            )
            for limit, owner, run, step, item, compensates, attempt, taken_at in held
        ),
        waiting=tuple(
            Waiting(limit=limit, owner=owner, seconds=float(seconds)) for limit, owner, seconds in waiting
        ),
    )  # fmt: skip


@attrs.frozen
class Turn:
    """An owner waits for a place: since when, and how long that counts, by the clock of the store (seconds)."""

    since: float
    until: float


class Ledger(Protocol):
    """What was taken before; of owners whose lease has run out nothing is said."""

    def holders(self, limit: str) -> Mapping[str, int]:
        """Owner -> how many slots of this limit it has."""
        ...

    def turns(self, limit: str) -> Mapping[str, Turn]:
        """The owners that wait for a place, or did."""
        ...

    def full_at(self, limit: str) -> float | None:
        """When (seconds) as many may begin at once as the rate of this limit allows; None for long since."""
        ...

    def output(self, lookup: Lookup) -> CacheEntry | None:
        """The output that is looked up; None if there is none."""
        ...


@attrs.define
class Allotment:
    """
    What is given to whom. As it is asked for one request after the other, it sees what those before have got.

    Attributes:
        owner: Who asks.
        now: What time it is (seconds) for the rates.
        clock: What the clock of the store says (seconds).
        ledger: What was taken before.
        taken: The slots that were given.
        full_at: Limit -> when (seconds, of the same clock) as many may begin at once again as its rate allows, of those
            for which that has changed.
        turns: Limit -> how its owner waits there from now on, None if not, of those for which that has changed.
    """

    owner: str
    now: float
    clock: float
    ledger: Ledger
    taken: list[Slot] = attrs.field(factory=list)
    full_at: dict[str, float] = attrs.field(factory=dict)
    turns: dict[str, Turn | None] = attrs.field(factory=dict)
    _holders: dict[str, dict[str, int]] = attrs.field(factory=dict)
    _waiting: dict[str, dict[str, Turn]] = attrs.field(factory=dict)

    def answers(self, requests: Sequence[SlotRequest]) -> list[Answer]:
        """For each request None if it got all it asked for, else why it got nothing, or the output that it wants."""
        # Of all limits, also where another one refuses: who is struck off depends on no order, and on no store.
        for limit in [limit for request in requests for limit in request.limits]:
            if limit.concurrency is not None:
                self._holders_of(limit.name)
        return [self._answer(request) for request in requests]

    def _answer(self, request: SlotRequest) -> Answer:
        if request.lookup is not None and (entry := self.ledger.output(request.lookup)) is not None:
            return entry
        ahead: dict[str, float] = {}
        for limit in request.limits:
            if limit.concurrency is not None:
                holders, before = self._holders_of(limit.name), self._before_us(limit.name)
                if sum(holders.values()) + len(before) >= limit.concurrency:
                    self._wait_for(limit.name)
                    return Refusal(limit=limit.name, owners=tuple(sorted({*holders, *before})))
                # Whatever comes of the other limits: no place is kept here for who cannot take it.
                self._wait_no_more(limit.name)
            if limit.rate is not None:
                ahead[limit.name] = self._ahead(limit.name, limit.rate) + limit.rate.interval
                if (wait := ahead[limit.name] - limit.rate.period) > _ROUNDING:
                    return Refusal(limit=limit.name, wait=wait)
        for slot in request.slots():
            holders = self._holders_of(slot.limit)
            holders[self.owner] = holders.get(self.owner, 0) + 1
            self.taken.append(slot)
        self.full_at |= {name: self.now + seconds for name, seconds in ahead.items()}
        return None

    def _holders_of(self, limit: str) -> dict[str, int]:
        """Owner -> how many slots of this limit it has."""
        if limit not in self._holders:
            self._holders[limit] = dict(self.ledger.holders(limit))
        return self._holders[limit]

    def _waiting_for(self, limit: str) -> dict[str, Turn]:
        """Owner -> how it waits, of those that do."""
        if limit not in self._waiting:
            turns = self.ledger.turns(limit).items()
            # A clock that began anew, as after a reboot, shows instants in the future.
            self._waiting[limit] = {who: turn for who, turn in turns if turn.since <= self.clock < turn.until}
        return self._waiting[limit]

    def _before_us(self, limit: str) -> list[str]:
        """
        The owners for which a place is to be left, as they wait for one too long.

        Who has much to do gives places back and takes them again in one call, and nobody else would ever find one.
        """
        waiting = self._waiting_for(limit)
        ours = waiting.get(self.owner)
        since = self.clock - _PATIENCE if ours is None else min(ours.since, self.clock - _PATIENCE)
        return [who for who, turn in waiting.items() if who != self.owner and turn.since <= since]

    def _wait_for(self, limit: str) -> None:
        waiting = self._waiting_for(limit)
        ours = waiting.get(self.owner)
        # It is written now and then only: who asks again and again writes nothing.
        if ours is None or ours.until - self.clock < _TURN_LASTS / 2:
            since = self.clock if ours is None else ours.since
            self.turns[limit] = waiting[self.owner] = Turn(since, self.clock + _TURN_LASTS)

    def _wait_no_more(self, limit: str) -> None:
        if self._waiting_for(limit).pop(self.owner, None) is not None:
            self.turns[limit] = None

    def _ahead(self, limit: str, rate: Rate) -> float:
        """
        How long (seconds) it takes until as many may begin at once as this rate allows.

        Source: the generic cell rate algorithm, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm: a token
        bucket of which only the instant is kept at which it is full.
        """
        full_at = self.full_at.get(limit)
        if full_at is None:
            full_at = self.ledger.full_at(limit)
        if full_at is None:
            return 0.0
        if full_at - self.now > rate.period:
            # The clock began anew, as after a reboot: it goes on from here as if nothing was left.
            full_at = self.full_at[limit] = self.now + rate.period
        return max(0.0, full_at - self.now)
