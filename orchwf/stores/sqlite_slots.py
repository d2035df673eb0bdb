"""The places within limits, in a SQLite store."""

import sqlite3
import time
from collections.abc import Mapping, Sequence

from ..core.caching import CacheEntry, Lookup
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from .damage import readable
from .records import LAST_TEXT, after_all_with
from .slots import Allotment, Turn, occupancy_of
from .sqlite_cache import find
from .sqlite_file import transaction

_IS_LIVE = "lease_clock() - renewed_at BETWEEN 0 AND lease"
_HELD = f"""
    SELECT name, owner, run, step, item, compensates, attempt, taken_at FROM slots
    WHERE name >= ? AND name < ? AND owner IN (SELECT id FROM owners WHERE {_IS_LIVE})
    ORDER BY name, owner, run, step, item, compensates LIMIT ?
"""  # noqa: S608 - all of the text is ours
_WAITING = f"""
    SELECT name, owner, lease_clock() - since FROM turns
    WHERE name >= ? AND name < ? AND lease_clock() >= since AND lease_clock() < until
        AND owner IN (SELECT id FROM owners WHERE {_IS_LIVE})
    ORDER BY name, owner LIMIT ?
"""  # noqa: S608 - as above
_CLOCK = "SELECT lease_clock()"
_HOLDERS = "SELECT owner, count(*) FROM slots WHERE name = ? GROUP BY owner"
_LIVE = f"SELECT id FROM owners WHERE {_IS_LIVE}"  # noqa: S608 - as above
_TURNS = "SELECT owner, since, until FROM turns WHERE name = ?"
_FULL_AT = "SELECT full_at FROM rates WHERE name = ?"
_TAKE = """
    INSERT OR REPLACE INTO slots (name, owner, run, step, item, compensates, attempt, taken_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_FREE = "DELETE FROM slots WHERE name = ? AND owner = ? AND run = ? AND step = ? AND item = ? AND compensates = ?"
_BURY = "DELETE FROM slots WHERE name = ? AND owner = ?"
_DRAW = "INSERT OR REPLACE INTO rates (name, full_at) VALUES (?, ?)"
_WAIT = "INSERT OR REPLACE INTO turns (name, owner, since, until) VALUES (?, ?, ?, ?)"
_WAIT_NO_MORE = "DELETE FROM turns WHERE name = ? AND owner = ?"


def take_slots(
    connection: sqlite3.Connection,
    owner: str,
    requests: Sequence[SlotRequest],
    frees: Sequence[Slot],
    now: float | None,
) -> list[Answer]:
    """What `Store.take_slots` says."""
    with transaction(connection):
        connection.executemany(_FREE, [_key(slot, owner) for slot in frees])
        clock: float = connection.execute(_CLOCK).fetchone()[0]
        allotment = Allotment(owner, clock if now is None else now, clock, _Ledger(connection))
        answers = allotment.answers(requests)
        at = time.time()
        taken = [(*_key(slot, owner), slot.attempt, at) for slot in allotment.taken]
        connection.executemany(_TAKE, taken)
        connection.executemany(_DRAW, allotment.full_at.items())
        for limit, turn in allotment.turns.items():
            connection.execute(*_turn_change(limit, owner, turn))
    return answers


def get_occupancy(connection: sqlite3.Connection, beginning: str, limit: int) -> Occupancy:
    """What `Store.occupancy` says."""
    values = (beginning, after_all_with(beginning) or LAST_TEXT, limit)
    held = connection.execute(_HELD, values).fetchall()
    waiting = connection.execute(_WAITING, values).fetchall()
    with readable("who holds the places within limits cannot be read"):
        return occupancy_of(held, waiting)


def _key(slot: Slot, owner: str) -> tuple[str, str, str, str, int, bool]:
    return slot.limit, owner, slot.run_id, slot.step, slot.item, slot.compensates


def _turn_change(limit: str, owner: str, turn: Turn | None) -> tuple[str, tuple[object, ...]]:
    return (_WAIT_NO_MORE, (limit, owner)) if turn is None else (_WAIT, (limit, owner, turn.since, turn.until))


class _Ledger:
    """A `Ledger`. The slots of an owner whose lease has run out are struck off."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._live: set[str] | None = None

    def holders(self, limit: str) -> Mapping[str, int]:
        counts: dict[str, int] = dict(self._connection.execute(_HOLDERS, (limit,)).fetchall())
        for owner in [each for each in counts if not self._is_live(each)]:
            self._connection.execute(_BURY, (limit, owner))
            del counts[owner]
        return counts

    def _is_live(self, owner: str) -> bool:
        if self._live is None:
            self._live = {owner for (owner,) in self._connection.execute(_LIVE)}
        return owner in self._live

    def turns(self, limit: str) -> Mapping[str, Turn]:
        rows = self._connection.execute(_TURNS, (limit,)).fetchall()
        with readable(f"who waits for the limit {limit} cannot be read"):
            return {owner: Turn(float(since), float(until)) for owner, since, until in rows if self._is_live(owner)}

    def full_at(self, limit: str) -> float | None:
        row = self._connection.execute(_FULL_AT, (limit,)).fetchone()
        with readable(f"the rate of the limit {limit} cannot be read"):
            return float(row[0]) if row else None

    def output(self, lookup: Lookup) -> CacheEntry | None:
        return find(self._connection, lookup)
