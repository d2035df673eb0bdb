"""Leases in a PostgreSQL store: who lives, by the clock of the server."""

from collections.abc import Sequence

from ..ports import Hint, HintKind, Renewal
from .hints import hint_text
from .postgres_connection import Transaction
from .postgres_hints import FREED, tell

# Nearly always it is: then nothing else is to be done.
_RENEW_LIVE = """
    UPDATE owners SET renewed_at = lease_clock(), lease = %s, seen_at = now()
    WHERE id = %s AND abs(lease_clock() - renewed_at) <= lease
    RETURNING id
"""
_HAS_RUNS = "EXISTS (SELECT 1 FROM runs WHERE runs.owner = owners.id AND status IN ('running', 'scheduled'))"
_OTHERS = f"""
    SELECT id, is_live
    FROM owners CROSS JOIN LATERAL (SELECT id IN (SELECT id FROM living)) AS known (is_live)
    WHERE id <> %s AND CASE WHEN is_live THEN starts_with(id, %s) ELSE {_HAS_RUNS} END ORDER BY id
"""  # noqa: S608 - all of the text is ours, here and below
_RENEW = """
    INSERT INTO owners (id, renewed_at, lease, seen_at) VALUES (%s, lease_clock(), %s, now())
    ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, lease = excluded.lease, seen_at = excluded.seen_at
"""
_GIVE_UP = "DELETE FROM owners WHERE id = %s RETURNING abs(lease_clock() - renewed_at) <= lease"
# By their numbers: whoever wants several takes them in this order, so that nobody waits in a circle.
_RELEASE = f"""
    WITH freed AS (
        UPDATE runs SET owner = NULL
        FROM (SELECT no FROM runs WHERE owner = %s ORDER BY no FOR NO KEY UPDATE) AS owned WHERE runs.no = owned.no
        RETURNING runs.status, runs.wake_at
    )
    {FREED}
"""  # noqa: S608
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
# An owner without a row has no lease, just as one whose lease has run out. Of whom runs are left others are told.
_CLEAN = (
    f"DELETE FROM owners WHERE id NOT IN (SELECT id FROM living) AND NOT {_HAS_RUNS}",  # noqa: S608
    "DELETE FROM slots WHERE owner NOT IN (SELECT id FROM living)",
    "DELETE FROM turns WHERE until <= lease_clock() OR owner NOT IN (SELECT id FROM living)",
    "DELETE FROM rates WHERE full_at <= lease_clock()",
)
_FREE = ("DELETE FROM slots WHERE owner = %s", "DELETE FROM turns WHERE owner = %s")


async def renew(transaction: Transaction, owner: str, lease: float, near: str | None, lock: int) -> Renewal:
    """What `Store.renew` says. With this lock held nobody takes slots: so none are lost that were just taken."""
    if not lease:
        row = await transaction.row(_GIVE_UP, (owner,))
        was_live = bool(row and row[0])
        # What it leaves is anybody's.
        await tell(transaction, [hint_text(Hint(HintKind.FREE))])
        others = await transaction.rows(_OTHERS, (owner, near))
    else:
        renewed = await transaction.send(_RENEW_LIVE, (lease, owner))
        others = await transaction.rows(_OTHERS, (owner, near))
        was_live = await renewed.fetchone() is not None
        if not was_live:
            await transaction.send(_LOCK, (lock,))
            await transaction.send(_RENEW, (owner, lease))
            await _send_all(transaction, _CLEAN)
    lapsed, living = ([each for each, is_live in others if is_live is wanted] for wanted in (False, True))
    return Renewal(was_live=was_live, lapsed=lapsed, near=living)


async def release(transaction: Transaction, owner: str, lock: int) -> None:
    """What `Store.release` says."""
    await transaction.send(_LOCK, (lock,))
    await transaction.send(_RELEASE, (owner,))
    await _send_all(transaction, _FREE, (owner,))
    await transaction.send(_GIVE_UP, (owner,))


async def _send_all(transaction: Transaction, statements: Sequence[str], values: Sequence[object] = ()) -> None:
    for statement in statements:
        await transaction.send(statement, values)
