"""Where something is mentioned in a SQLite store."""

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

from ..blobs.references import following

_AT_ONCE = 20_000
"""How many rows are looked through in one call: others have the connection in between."""
_PLACES = (("log", "data"), ("cache", "output"), ("inbox", "payload"), ("schedules", "inputs"))
# All of the text is ours.
_LAST = {table: f"SELECT max(rowid) FROM {table}" for table, _ in _PLACES}  # noqa: S608
_FIND = {
    table: f"SELECT {column} FROM {table} WHERE rowid > ? AND rowid <= ? AND instr({column}, ?)"  # noqa: S608
    for table, column in _PLACES
}


def portions(
    connection: sqlite3.Connection, marker: str, length: int
) -> list[Callable[[sqlite3.Connection], set[str]]]:
    """The calls that together give what `Store.mentioned` says, of all that is stored by now."""
    return [
        partial(_found, table=table, after=after, marker=marker, length=length)
        for table, _ in _PLACES
        for after in range(0, connection.execute(_LAST[table]).fetchone()[0] or 0, _AT_ONCE)
    ]


def _found(connection: sqlite3.Connection, table: str, after: int, marker: str, length: int) -> set[str]:
    rows: Any = connection.execute(_FIND[table], (after, after + _AT_ONCE, marker))
    return following([text for (text,) in rows], marker, length)
