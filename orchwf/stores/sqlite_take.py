"""Runs that nobody executes, in a SQLite store: who wants some becomes their owner."""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ..ports import Taken, Wanted
from .records import RunRow, run_record
from .sqlite_file import transaction
from .sqlite_query import COLUMNS
from .turns import in_turn

_ID, _OWNER, _HAS_LAPSED = 1, 12, 15
"""Where these stand in a row."""

# From one owner of runs that are awake to the next one by the index, however many runs each has.
_GONE = """
    WITH RECURSIVE owning (owner) AS (
        SELECT min(owner) FROM runs INDEXED BY runs_awake
        WHERE status = 'running' AND wake_at IS NULL AND owner IS NOT NULL
        UNION ALL
        SELECT (
            SELECT min(runs.owner) FROM runs INDEXED BY runs_awake
            WHERE status = 'running' AND wake_at IS NULL AND runs.owner > owning.owner
        )
        FROM owning WHERE owning.owner IS NOT NULL
    )
    SELECT owner, EXISTS (
        SELECT 1 FROM owners WHERE owners.id = owner AND lease_clock() - renewed_at BETWEEN 0 AND lease
    )
    FROM owning WHERE owner IS NOT NULL
"""
_AWAKE = f"""
    SELECT {COLUMNS} FROM runs INDEXED BY runs_awake
    WHERE status = 'running' AND wake_at IS NULL AND owner IS ? AND workflow = ? ORDER BY no
"""  # noqa: S608 - all of the text is ours, here and below
_DUE = f"""
    SELECT {COLUMNS} FROM runs INDEXED BY runs_asleep WHERE wake_at <= ? AND workflow = ? ORDER BY wake_at, no
"""  # noqa: S608
_SET_BACK = f"""
    SELECT {COLUMNS} FROM runs INDEXED BY runs_asleep_since
    WHERE slept_at > ? AND wake_at IS NOT NULL AND workflow = ? ORDER BY wake_at, no
"""  # noqa: S608
_CALLED = f"""
    SELECT {COLUMNS} FROM runs
    WHERE no IN (SELECT run FROM inbox WHERE folded = 0) AND wake_at IS NOT NULL AND status = 'running'
        AND workflow = ? ORDER BY no
"""  # noqa: S608
_OWN = "UPDATE runs SET owner = ? WHERE no = ?"


def take(connection: sqlite3.Connection, owner: str, wanted: Wanted) -> Taken:
    """What `Store.take` says."""
    # Nearly always there is nothing: then nobody has to wait for us.
    if not _found(connection, owner, wanted):
        return Taken([], is_all=wanted.limit > 0)
    with transaction(connection):
        rows = _found(connection, owner, wanted)
        connection.executemany(_OWN, [(owner, row[0]) for row in rows])
    return Taken([run_record(row) for row in sorted(rows)], is_all=len(rows) < wanted.limit)


def _found(connection: sqlite3.Connection, owner: str, wanted: Wanted) -> list[RunRow]:
    def is_free(row: RunRow) -> bool:
        is_gone = row[_OWNER] != owner and (bool(row[_HAS_LAPSED]) or row[_OWNER] in wanted.gone)
        return (row[_OWNER] is None or is_gone) and row[_ID] not in wanted.but

    def rows(sql: str, *values: object) -> Iterator[RunRow]:
        return filter(is_free, connection.execute(sql, values))

    gone = _gone(connection, owner, wanted) if wanted.awake else []
    left = [sorted(chain.from_iterable(rows(_AWAKE, each, name) for each in gone)) for name in wanted.awake]
    found = chain(
        in_turn(left),
        in_turn([rows(_AWAKE, None, name) for name in wanted.awake]),
        in_turn([rows(_DUE, wanted.due_by, name) for name in wanted.asleep]),
        in_turn([rows(_SET_BACK, wanted.due_by, name) for name in wanted.asleep]),
        in_turn([rows(_CALLED, name) for name in wanted.asleep]),
    )
    # What is asked for is read no further than it is wanted.
    return list(islice(_once(found), wanted.limit))


def _once(rows: Iterable[RunRow]) -> Iterator[RunRow]:
    seen = set()
    for row in rows:
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def _gone(connection: sqlite3.Connection, owner: str, wanted: Wanted) -> list[str]:
    """The owners of runs that are awake who are gone."""
    owning: dict[str, int] = dict(connection.execute(_GONE))
    return [each for each, is_live in owning.items() if each != owner and (not is_live or each in wanted.gone)]
