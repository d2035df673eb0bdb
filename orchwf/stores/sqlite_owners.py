"""Leases in a SQLite store: who lives, by a clock that no one can set."""

import sqlite3
import time

from ..core.state import RunStatus
from ..ports import Renewal
from .sqlite_file import transaction

_RENEW = """
    INSERT INTO owners (id, renewed_at, lease, seen_at) VALUES (?, lease_clock(), ?, ?)
    ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, lease = excluded.lease, seen_at = excluded.seen_at
"""
# A clock that began anew, as after a reboot, shows a renewal in the future.
_IS_LIVE = "SELECT 1 FROM owners WHERE id = ? AND lease_clock() - renewed_at BETWEEN 0 AND lease"
# Nearly always it is: so all is done by one statement, which is a transaction by itself.
_RENEW_LIVE = """
    UPDATE owners SET renewed_at = lease_clock(), lease = ?, seen_at = ?
    WHERE id = ? AND lease_clock() - renewed_at BETWEEN 0 AND lease
"""
# Of any status, but by status: so an index finds them.
_RELEASE = f"UPDATE runs SET owner = NULL WHERE status IN ({', '.join('?' * len(RunStatus))}) AND owner = ?"  # noqa: S608
_GIVE_UP = "DELETE FROM owners WHERE id = ?"
_LIVE = "SELECT id FROM owners WHERE lease_clock() - renewed_at BETWEEN 0 AND lease"
_HAS_RUNS = "EXISTS (SELECT 1 FROM runs WHERE status IN ('running', 'scheduled') AND owner = owners.id)"
# An owner without a row has no lease, just as one whose lease has run out. Of whom runs are left others are told.
_CLEAN = f"DELETE FROM owners WHERE id NOT IN ({_LIVE}) AND NOT {_HAS_RUNS}"  # noqa: S608 - all of the text is ours
_CLEAN_SLOTS = f"DELETE FROM slots WHERE owner NOT IN ({_LIVE})"  # noqa: S608
_CLEAN_TURNS = f"DELETE FROM turns WHERE until <= lease_clock() OR owner NOT IN ({_LIVE})"  # noqa: S608
_OTHERS = f"""
    SELECT id, is_live FROM (SELECT id, id IN ({_LIVE}) AS is_live FROM owners WHERE id <> ?) AS owners
    WHERE CASE WHEN is_live THEN substr(id, 1, length(?)) = ? ELSE {_HAS_RUNS} END ORDER BY id
"""  # noqa: S608
_CLEAN_RATES = "DELETE FROM rates WHERE full_at <= lease_clock()"
_FREE = ("DELETE FROM slots WHERE owner = ?", "DELETE FROM turns WHERE owner = ?")


def renew(connection: sqlite3.Connection, owner: str, lease: float, near: str | None) -> Renewal:
    """What `Store.renew` says."""
    was_live = _renew(connection, owner, lease) if lease else _give_up(connection, owner)
    others = connection.execute(_OTHERS, (owner, near, near)).fetchall()
    lapsed, living = ([each for each, is_live in others if is_live == wanted] for wanted in (0, 1))
    return Renewal(was_live=was_live, lapsed=lapsed, near=living)


def _renew(connection: sqlite3.Connection, owner: str, lease: float) -> bool:
    if connection.execute(_RENEW_LIVE, (lease, time.time(), owner)).rowcount == 1:
        return True
    with transaction(connection):
        connection.execute(_RENEW, (owner, lease, time.time()))
        for statement in (_CLEAN, _CLEAN_SLOTS, _CLEAN_TURNS, _CLEAN_RATES):
            connection.execute(statement)
    return False


def _give_up(connection: sqlite3.Connection, owner: str) -> bool:
    with transaction(connection):
        is_live = connection.execute(_IS_LIVE, (owner,)).fetchone() is not None
        connection.execute(_GIVE_UP, (owner,))
    return is_live


def release(connection: sqlite3.Connection, owner: str) -> None:
    """What `Store.release` says."""
    with transaction(connection):
        connection.execute(_RELEASE, (*RunStatus, owner))
        for statement in _FREE:
            connection.execute(statement, (owner,))
        connection.execute(_GIVE_UP, (owner,))
