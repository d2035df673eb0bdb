"""Deletes runs from a SQLite store, with all that belongs to them."""

import sqlite3
from collections.abc import Sequence

from .sqlite_file import transaction

_FIND = "SELECT no FROM runs WHERE id = ?"
_DELETES = (
    "DELETE FROM log WHERE run = :run",
    "DELETE FROM inbox WHERE run = :run",
    "DELETE FROM run_tags WHERE run = :run",
    # The definitions that no other run was started or resumed with.
    """
    DELETE FROM definitions
    WHERE fingerprint IN (SELECT fingerprint FROM run_definitions WHERE run = :run)
        AND NOT EXISTS (
            SELECT 1 FROM run_definitions AS other
            WHERE other.fingerprint = definitions.fingerprint AND other.run <> :run
        )
    """,
    "DELETE FROM run_definitions WHERE run = :run",
    "DELETE FROM runs WHERE no = :run",
)


def delete_runs(connection: sqlite3.Connection, run_ids: Sequence[str]) -> int:
    """Delete these runs in one transaction; how many of them there were."""
    with transaction(connection):
        found = [row for run_id in run_ids if (row := connection.execute(_FIND, (run_id,)).fetchone())]
        for (run,) in found:
            for statement in _DELETES:
                connection.execute(statement, {"run": run})
    return len(found)
