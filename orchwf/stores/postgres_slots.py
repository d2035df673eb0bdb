"""The places within limits, in a PostgreSQL store."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..core.caching import CacheEntry, Lookup
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from .postgres_connection import Transaction
from .postgres_question import Question
from .postgres_schema import lock_number
from .records import LAST_TEXT, after_all_with, cache_entry
from .slots import Allotment, Turn, occupancy_of

_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(%s)"
# In the order of the numbers, the same for everybody: so nobody waits in a circle.
_LOCK = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
_FREE = """
    DELETE FROM slots
    USING unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bool[])
        AS freed (name, owner, run, step, item, compensates)
    WHERE slots.name = freed.name AND slots.owner = freed.owner AND slots.run = freed.run
        AND slots.step = freed.step AND slots.item = freed.item AND slots.compensates = freed.compensates
"""
_BURY = "DELETE FROM slots WHERE name = ANY(%s) AND owner NOT IN (SELECT id FROM living)"
_OCCUPIED = """
    SELECT name, owner, run, step, item, compensates, attempt, extract(epoch FROM taken_at)::float8 FROM slots
    WHERE name >= %s AND name < %s AND owner IN (SELECT id FROM living)
    ORDER BY name, owner, run, step, item, compensates LIMIT %s
"""
_WAITING = """
    SELECT name, owner, lease_clock() - since FROM turns
    WHERE name >= %s AND name < %s AND lease_clock() >= since AND lease_clock() < until
        AND owner IN (SELECT id FROM living)
    ORDER BY name, owner LIMIT %s
"""
_CLOCK = "SELECT lease_clock()"
_HOLDERS = "SELECT name, owner, count(*) FROM slots WHERE name = ANY(%s) GROUP BY name, owner"
_TURNS = """
    SELECT name, owner, since, until FROM turns WHERE name = ANY(%s) AND owner IN (SELECT id FROM living)
"""
_FULL_AT = "SELECT name, full_at FROM rates WHERE name = ANY(%s)"
_FIND = """
    SELECT cache.key, cache.run, cache.step, cache.created_at, cache.expires_at, cache.output
    FROM cache WHERE key = ANY(%s)
"""
_TAKE = """
    INSERT INTO slots (name, owner, run, step, item, compensates, attempt, taken_at)
    SELECT *, now()
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bool[], %s::int[])
    ON CONFLICT (name, owner, run, step, item, compensates)
        DO UPDATE SET attempt = excluded.attempt, taken_at = excluded.taken_at
"""
_HELD = """
    SELECT count(*) FROM slots
    JOIN unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bool[])
        AS taken (name, owner, run, step, item, compensates) USING (name, owner, run, step, item, compensates)
"""
_DRAW = """
    INSERT INTO rates (name, full_at) SELECT * FROM unnest(%s::text[], %s::float8[])
    ON CONFLICT (name) DO UPDATE SET full_at = excluded.full_at
"""
_WAIT = """
    INSERT INTO turns (name, owner, since, until) VALUES (%s, %s, %s, %s)
    ON CONFLICT (name, owner) DO UPDATE SET since = excluded.since, until = excluded.until
"""
_WAIT_NO_MORE = "DELETE FROM turns WHERE name = %s AND owner = %s"

_Key = tuple[str, str, str, str, int, bool]


@attrs.frozen
class Taken:
    """What was answered, and the slots that were given for it."""

    answers: list[Answer]
    keys: list[_Key]


async def take_slots(
    transaction: Transaction,
    owner: str,
    requests: Sequence[SlotRequest],
    frees: Sequence[Slot],
    *,
    now: float | None,
    schema: str,
) -> Taken:
    """What `Store.take_slots` says."""
    limits = {limit.name for request in requests for limit in request.limits}
    names = limits | {slot.limit for slot in frees}
    await transaction.send(_LOCK_SHARED, (slots_lock(schema),))
    await transaction.send(_LOCK, (sorted(lock_number(schema, "limit", name) for name in names),))
    if frees:
        await transaction.send(_FREE, _columns([_key(slot, owner) for slot in frees]))
    if not requests:
        return Taken([], [])
    clock, ledger = await _ledger(transaction, sorted(limits), requests)
    allotment = Allotment(owner, clock if now is None else now, clock, ledger)
    answers = allotment.answers(requests)
    await _write(transaction, owner, allotment)
    return Taken(answers, [_key(slot, owner) for slot in allotment.taken])


async def get_occupancy(question: Question, beginning: str, limit: int) -> Occupancy:
    """What `Store.occupancy` says."""
    values = (beginning, after_all_with(beginning) or LAST_TEXT, limit)
    return occupancy_of(await question.rows(_OCCUPIED, values), await question.rows(_WAITING, values))


async def is_taken(taken: Taken, transaction: Transaction) -> bool:
    """Whether what was given is there."""
    if not taken.keys:
        return True
    row = await transaction.row(_HELD, _columns(taken.keys))
    return row is not None and row[0] == len({*taken.keys})


def slots_lock(schema: str) -> int:
    """The number of the lock that is shared by those that take slots, and held by whoever strikes off the dead."""
    return lock_number(schema, "slots")


async def _ledger(
    transaction: Transaction, limits: Sequence[str], requests: Sequence[SlotRequest]
) -> tuple[float, "_Ledger"]:
    """What the clock says, and what was taken of these limits, in one answer of the server."""
    keys = [request.lookup.key for request in requests if request.lookup is not None]
    await transaction.send(_BURY, (limits,))
    clock, holders, turns, rates, outputs = [
        await transaction.send(sql, values)
        for sql, values in (
            (_CLOCK, ()), (_HOLDERS, (limits,)), (_TURNS, (limits,)), (_FULL_AT, (limits,)), (_FIND, (keys,))
        )
    ]  # fmt: skip
    ledger = _Ledger()
    for name, owner, count in await holders.fetchall():
        ledger.counts.setdefault(name, {})[owner] = count
    for name, owner, since, until in await turns.fetchall():
        ledger.waiting.setdefault(name, {})[owner] = Turn(since, until)
    ledger.rates = dict(await rates.fetchall())
    ledger.outputs = {row[0]: row for row in await outputs.fetchall()}
    row = await clock.fetchone()
    return (row[0] if row else 0.0), ledger


async def _write(transaction: Transaction, owner: str, allotment: Allotment) -> None:
    if allotment.taken:
        slots = {_key(slot, owner): slot.attempt for slot in allotment.taken}
        await transaction.send(_TAKE, [*_columns([*slots]), [*slots.values()]])
    if allotment.full_at:
        await transaction.send(_DRAW, ([*allotment.full_at], [*allotment.full_at.values()]))
    for limit, turn in allotment.turns.items():
        if turn is None:
            await transaction.send(_WAIT_NO_MORE, (limit, owner))
        else:
            await transaction.send(_WAIT, (limit, owner, turn.since, turn.until))


def _key(slot: Slot, owner: str) -> _Key:
    return slot.limit, owner, slot.run_id, slot.step, slot.item, slot.compensates


def _columns(keys: Sequence[_Key]) -> list[list[Any]]:
    return [list(column) for column in zip(*keys, strict=True)]


@attrs.define
class _Ledger:
    """A `Ledger` of what was read. The slots of an owner whose lease has run out were struck off before."""

    counts: dict[str, dict[str, int]] = attrs.field(factory=dict)
    waiting: dict[str, dict[str, Turn]] = attrs.field(factory=dict)
    rates: dict[str, float] = attrs.field(factory=dict)
    outputs: dict[str, tuple[Any, ...]] = attrs.field(factory=dict)

    def holders(self, limit: str) -> Mapping[str, int]:
        return self.counts.get(limit, {})

    def turns(self, limit: str) -> Mapping[str, Turn]:
        return self.waiting.get(limit, {})

    def full_at(self, limit: str) -> float | None:
        return self.rates.get(limit)

    def output(self, lookup: Lookup) -> CacheEntry | None:
        row = self.outputs.get(lookup.key)
        entry = cache_entry(row) if row else None
        return entry if entry is not None and entry.created_at > lookup.since else None
