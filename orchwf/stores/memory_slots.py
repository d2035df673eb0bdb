"""The places within limits, in memory."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..core.caching import CacheEntry, Lookup
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from .slots import Allotment, Turn, occupancy_of

_Key = tuple[str, str, str, int, bool]
"""Owner, run, step, item, and whether it is an attempt to undo the step."""


_Since = tuple[int, float]
"""Which attempt, and since when it holds the place (epoch seconds)."""


class Slots:
    """
    What attempts hold, and so a `Ledger`.

    Args:
        now: The clock of the store (seconds).
        is_live: Whether the lease of an owner lasts.
        find: Finds the output of an earlier run.
    """

    def __init__(
        self,
        now: Callable[[], float],
        is_live: Callable[[str], bool],
        find: Callable[[Lookup], CacheEntry | None],
    ) -> None:
        self._find = find
        self._now = now
        self._is_live = is_live
        self._held: dict[str, dict[_Key, _Since]] = {}
        self._full_at: dict[str, float] = {}
        self._turns: dict[str, dict[str, Turn]] = {}

    def take(
        self, owner: str, requests: Sequence[SlotRequest], frees: Sequence[Slot], now: float | None
    ) -> list[Answer]:
        """What `Store.take_slots` says."""
        for slot in frees:
            self._free(slot.limit, {_key(slot, owner)})
        clock = self._now()
        allotment = Allotment(owner, clock if now is None else now, clock, self)
        answers = allotment.answers(requests)
        for slot in allotment.taken:
            self._held.setdefault(slot.limit, {})[_key(slot, owner)] = slot.attempt, time.time()
        self._full_at |= allotment.full_at
        for limit, turn in allotment.turns.items():
            if turn is not None:
                self._turns.setdefault(limit, {})[owner] = turn
            else:
                self._wait_no_more(limit, owner)
        return answers

    def occupancy(self, beginning: str, limit: int) -> Occupancy:
        """What `Store.occupancy` says."""
        now = self._now()
        held = [
            (name, *key, *since)
            for name, keys in self._held.items() if name.startswith(beginning)
            for key, since in keys.items() if self._is_live(key[0])
        ]  # fmt: skip
        waiting = [
            (name, owner, now - turn.since)
            for name in self._turns if name.startswith(beginning)
            for owner, turn in self.turns(name).items() if turn.since <= now < turn.until
        ]  # fmt: skip
        return occupancy_of(sorted(held)[:limit], sorted(waiting)[:limit])

    def release(self, owner: str) -> None:
        """This owner holds nothing any more, and waits for nothing."""
        for limit, held in list(self._held.items()):
            self._free(limit, {key for key in held if key[0] == owner})
        for limit in list(self._turns):
            self._wait_no_more(limit, owner)

    def clean(self) -> None:
        """Strike off owners whose lease has run out."""
        for limit in list(self._held):
            self.holders(limit)
        for limit, turns in list(self._turns.items()):
            for owner in [each for each in turns if not self._is_live(each)]:
                self._wait_no_more(limit, owner)

    @property
    def count(self) -> int:
        """How many slots are held."""
        return sum(self.held.values())

    @property
    def held(self) -> Mapping[str, int]:
        """Limit -> how many slots of it are held."""
        return {limit: sum(self._is_live(key[0]) for key in held) for limit, held in self._held.items()}

    def holders(self, limit: str) -> Mapping[str, int]:
        self._free(limit, {key for key in self._held.get(limit, ()) if not self._is_live(key[0])})
        return Counter(key[0] for key in self._held.get(limit, ()))

    def turns(self, limit: str) -> Mapping[str, Turn]:
        return {owner: turn for owner, turn in self._turns.get(limit, {}).items() if self._is_live(owner)}

    def full_at(self, limit: str) -> float | None:
        return self._full_at.get(limit)

    def output(self, lookup: Lookup) -> CacheEntry | None:
        return self._find(lookup)

    def _wait_no_more(self, limit: str, owner: str) -> None:
        turns = self._turns.get(limit)
        if turns is not None:
            turns.pop(owner, None)
            if not turns:
                del self._turns[limit]

    def _free(self, limit: str, keys: Iterable[_Key]) -> None:
        held = self._held.get(limit)
        if held is not None:
            for key in keys:
                held.pop(key, None)
            if not held:
                del self._held[limit]


def _key(slot: Slot, owner: str) -> _Key:
    return owner, slot.run_id, slot.step, slot.item, slot.compensates
