"""The stores that processes share, as a test sees them beside these: by their rows, whatever any store at work says."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from orchwf.core.events import Event
from orchwf.stores.records import events
from orchwf.stores.sqlite_query import read_events
from tests.postgres import prompt

Logs = dict[str, list[Event]]
"""Run -> the end of its log."""


class Shared(Protocol):
    """A store that processes share."""

    url: str

    def grown(self, known: Mapping[str, int]) -> Logs:
        """What is new, as of one moment: of these runs the events that follow so many, where there are any."""
        ...

    def integrity(self) -> str:
        """What is wrong with it; `ok` if nothing is."""
        ...

    def can_be_written(self) -> bool:
        """Whether others can write; not if somebody stands still while it writes."""
        ...


class SharedFile:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def grown(self, known: Mapping[str, int]) -> Logs:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("BEGIN")
            logs = {run: read_events(db, run, after, None) for run, after in known.items()}
        return {run: log for run, log in logs.items() if log}

    def integrity(self) -> str:
        with closing(sqlite3.connect(self.path)) as db:
            return str(db.execute("PRAGMA integrity_check").fetchone()[0])

    def can_be_written(self) -> bool:
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
        return True


_PATIENCE = 2.0
"""For how long somebody may write who does not stand still, in seconds."""

_LOCK = "DO $$BEGIN LOCK TABLE runs, log, owners IN SHARE ROW EXCLUSIVE MODE; END$$"
_GROWN = """
    SELECT runs.id, seq, at, kind, step, attempt, item, data
    FROM unnest(%s::text[], %s::bigint[]) AS known (id, after)
    JOIN runs ON runs.id = known.id
    JOIN log ON log.run = runs.no AND log.seq > known.after
    ORDER BY runs.no, log.seq
"""
# A row that one way leads to and another one does not would be a row that is lost.
_BY_NO_INDEX: list[tuple[str, list[Any]]] = [
    (f"SET enable_{each} = off", []) for each in ("indexscan", "indexonlyscan", "bitmapscan")
]
_AMISS = """
    SELECT 'run ' || no || ' has ' || held || ' events and ends with ' || last FROM (
        SELECT run AS no, count(*) AS held, max(seq) AS last FROM log GROUP BY run
    ) AS logs WHERE held <> last
    UNION ALL
    SELECT 'event ' || seq || ' is of no run' FROM log WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.no = log.run)
    UNION ALL
    SELECT 'run ' || id || ' is there twice' FROM runs GROUP BY id HAVING count(*) > 1
"""


class SharedSchema:
    """A schema of a PostgreSQL server; `url` is that of the store."""

    def __init__(self, url: str) -> None:
        self.url = url

    def grown(self, known: Mapping[str, int]) -> Logs:
        rows: dict[str, list[Any]] = {}
        for run, *row in self._ask((_GROWN, [[*known], [*known.values()]])):
            rows.setdefault(run, []).append(row)
        return {run: events(run, of_run, known[run]) for run, of_run in rows.items()}

    def integrity(self) -> str:
        return "; ".join(text for (text,) in self._ask(*_BY_NO_INDEX, (_AMISS, []))) or "ok"

    def can_be_written(self) -> bool:
        import psycopg  # As below.

        try:
            self._ask((f"SET lock_timeout = {1000 * _PATIENCE:.0f}", []), (_LOCK, []), ("SELECT 1", []))
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _ask(self, *questions: tuple[str, list[Any]]) -> list[tuple[Any, ...]]:
        """What the last one gives."""
        import psycopg  # here, because without it there are no tests of it, but others

        with prompt(self.url) as connection:
            try:
                [*_, cursor] = [connection.execute(sql.encode(), values) for sql, values in questions]
            except psycopg.errors.UndefinedTable:
                # Nobody has come so far as to make it.
                return []
            return cursor.fetchall()
