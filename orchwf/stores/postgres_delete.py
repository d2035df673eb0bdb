"""Deletes runs from a PostgreSQL store, with all that belongs to them."""

from collections.abc import Sequence

from .postgres_connection import Transaction
from .postgres_hints import LOCK_RESTS, TELL_RESTS

_LOCK = "SELECT no FROM runs WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
# Who uses a definition from now on waits for this lock, and then sees whether it is gone.
_LOCK_DEFINITIONS = """
    SELECT fingerprint FROM definitions
    WHERE fingerprint IN (SELECT fingerprint FROM run_definitions WHERE run = ANY(%s)) ORDER BY fingerprint FOR UPDATE
"""
# Those that no other run was started or resumed with. A statement of its own, to see who came while we waited.
_DELETE_DEFINITIONS = """
    DELETE FROM definitions
    WHERE fingerprint IN (SELECT fingerprint FROM run_definitions WHERE run = ANY(%s))
        AND NOT EXISTS (
            SELECT 1 FROM run_definitions AS other
            WHERE other.fingerprint = definitions.fingerprint AND other.run <> ALL(%s)
        )
"""
_DELETES = (
    "DELETE FROM log WHERE run = ANY(%s)",
    "DELETE FROM inbox WHERE run = ANY(%s)",
    "DELETE FROM run_tags WHERE run = ANY(%s)",
    "DELETE FROM run_definitions WHERE run = ANY(%s)",
    "DELETE FROM runs WHERE no = ANY(%s)",
)


async def delete_runs(transaction: Transaction, run_ids: Sequence[str]) -> int:
    """Delete these runs; how many of them there were."""
    runs = [run for (run,) in await transaction.rows(_LOCK, (run_ids,))]
    if runs:
        await transaction.send(_LOCK_DEFINITIONS, (runs,))
        await transaction.send(_DELETE_DEFINITIONS, (runs, runs))
        await transaction.send(LOCK_RESTS, (runs,))
        await transaction.send(TELL_RESTS, (runs,))
        for statement in _DELETES:
            await transaction.send(statement, (runs,))
    return len(runs)
