"""The outputs that a SQLite store keeps for other runs."""

import sqlite3

from ..core.caching import CacheEntry, Lookup
from .records import cache_entry
from .sqlite_file import transaction

_KEEP = """
    INSERT OR REPLACE INTO cache (key, run, step, created_at, expires_at, output) VALUES (?, ?, ?, ?, ?, ?)
"""
_FIND = "SELECT key, run, step, created_at, expires_at, output FROM cache WHERE key = ? AND created_at > ?"
_FORGET = "DELETE FROM cache WHERE expires_at <= ?"


def keep(connection: sqlite3.Connection, entry: CacheEntry) -> None:
    """Keep an output, instead of one of its key. To be called within a transaction."""
    values = (entry.key, entry.run_id, entry.step, entry.created_at, entry.expires_at, entry.output)
    connection.execute(_KEEP, values)


def find(connection: sqlite3.Connection, lookup: Lookup) -> CacheEntry | None:
    """The output that is looked up; None if there is none."""
    row = connection.execute(_FIND, (lookup.key, lookup.since)).fetchone()
    return cache_entry(row) if row else None


def forget_expired(connection: sqlite3.Connection, now: float) -> int:
    """What `Store.forget_expired` says."""
    with transaction(connection):
        return connection.execute(_FORGET, (now,)).rowcount
