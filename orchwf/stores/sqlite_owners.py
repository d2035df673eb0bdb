"""Leases in a SQLite store: who lives, by a clock that no one can set."""

import sqlite3
import time

from ..core.state import RunStatus
from .sqlite_file import transaction

_RENEW = """
    INSERT INTO owners (id, renewed_at, lease, seen_at) VALUES (?, lease_clock(), ?, ?)
    ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, lease = excluded.lease, seen_at = excluded.seen_at
"""
# A clock that began anew, as after a reboot, shows a renewal in the future.
_IS_LIVE = "SELECT 1 FROM owners WHERE id = ? AND lease_clock() - renewed_at BETWEEN 0 AND lease"
# Of any status, but by status: so an index finds them.
_RELEASE = f"UPDATE runs SET owner = NULL WHERE status IN ({', '.join('?' * len(RunStatus))}) AND owner = ?"  # noqa: S608
_GIVE_UP = "DELETE FROM owners WHERE id = ?"
# An owner without a row has no lease, just as one whose lease has run out.
_CLEAN = "DELETE FROM owners WHERE NOT lease_clock() - renewed_at BETWEEN 0 AND lease"


def renew(connection: sqlite3.Connection, owner: str, lease: float) -> bool:
    """What `Store.renew` says."""
    with transaction(connection):
        is_live = connection.execute(_IS_LIVE, (owner,)).fetchone() is not None
        connection.execute(_RENEW, (owner, lease, time.time()))
        if not is_live:
            connection.execute(_CLEAN)
    return is_live


def give_up(connection: sqlite3.Connection, owner: str) -> bool:
    """What `Store.renew` says of a lease of 0."""
    with transaction(connection):
        is_live = connection.execute(_IS_LIVE, (owner,)).fetchone() is not None
        connection.execute(_GIVE_UP, (owner,))
    return is_live


def release(connection: sqlite3.Connection, owner: str) -> None:
    """What `Store.release` says."""
    with transaction(connection):
        connection.execute(_RELEASE, (*RunStatus, owner))
        connection.execute(_GIVE_UP, (owner,))
