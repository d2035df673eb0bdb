"""What SQLite's errors mean to the person who operates the store."""

import sqlite3
from pathlib import Path

from ..errors import StoreBusyError, StoreError
from ..labels import visible
from .damage import UnreadableError

BUSY_TIMEOUT = 5.0
"""How long to wait for another process that writes, in seconds."""

_DAMAGED = "it is damaged; restore a backup, or save what can be read with: sqlite3 FILE .recover"
_STUCK = (
    "nothing more can be written: the disk is full, or a quota or the limit for the size of a file (ulimit -f) is "
    "reached, or the disk is failing; make room, then go on: what was acknowledged is safe"
)
_SUBDIVIDED = {sqlite3.SQLITE_IOERR_WRITE: _STUCK, sqlite3.SQLITE_IOERR_SHMSIZE: _STUCK}
_REASONS = {
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "permission is denied; make the file and its folder writable for this user",
    sqlite3.SQLITE_AUTH: "permission is denied; make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; see that file and folder exist and are writable for this user",
    sqlite3.SQLITE_FULL: "the disk is full; make room, then go on: what was acknowledged is safe",
    sqlite3.SQLITE_IOERR: "the disk or the file system reported a fault; look at it before going on",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; give another path, or move that file away",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
}


SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError, UnreadableError)
"""
What Python's SQLite raises: of text that is not Unicode, as damage leaves it, also the error of the codec itself; and
what we say of a row that is damaged otherwise.
"""


def store_error(path: Path, error: Exception) -> StoreError:
    """One clear error about the store in this file: the path, the reason, and the way out; `error` is from SQLite."""
    if isinstance(error, UnreadableError):
        return unusable(path, f"{error}: it was written by a newer orchwf, or it is damaged")
    # Of text that is not Unicode Python speaks itself, without a code.
    if isinstance(error, UnicodeDecodeError) or "Could not decode to UTF-8" in str(error):
        return unusable(path, f"{_DAMAGED} (it has text that is not Unicode)")
    whole_code = getattr(error, "sqlite_errorcode", 0)
    code = whole_code & 0xFF  # the rest is a subdivision
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(
            f"the store {path} is busy: another process has held its lock for more than {BUSY_TIMEOUT:g} s; "
            "try again, or find and stop that process"
        )
    reason = _SUBDIVIDED.get(whole_code) or _REASONS.get(code)
    # It may quote what is in the file, which may be anything if that is damaged.
    said = f"SQLite says: {visible(str(error))}"
    return unusable(path, f"{reason} ({said})" if reason else said)


def unusable(path: Path, reason: str, kind: type[StoreError] = StoreError) -> StoreError:
    """The error that says why the store in this file cannot be used."""
    return kind(f"the store {path} cannot be used: {reason}")
