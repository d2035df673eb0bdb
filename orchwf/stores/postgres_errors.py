"""What the errors of PostgreSQL and of its driver mean to the store, and to the person who operates it."""

import re

import psycopg
from psycopg import errors

from ..errors import StoreBusyError, StoreError
from ..labels import visible
from .damage import UnreadableError

POSTGRES_ERRORS = (psycopg.Error, OSError, UnicodeError, UnreadableError)
"""What the driver raises; of text that is not Unicode that of the codec, and what we say of a row that is damaged."""

ROW_ERRORS = (
    errors.DataError,
    errors.NotNullViolation,
    errors.CheckViolation,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    UnicodeEncodeError,
)
"""What is wrong with a value, not with the store: text with a NUL or that is not Unicode, a number that is too big."""

_RACES = (errors.UniqueViolation, errors.ForeignKeyViolation, errors.DeadlockDetected, errors.SerializationFailure)
_PASSING_STATES = ("57P", "25P03", "53300")
_STATES_OF_LOSS = ("08", *_PASSING_STATES)
_PASSING = re.compile("starting up|shutting down|recovery|not yet accepting|too many clients|terminating connection")
_REASONS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.InvalidPassword, "the password is wrong or missing; give it in $PGPASSWORD, a passfile or the URL"),
    (errors.InvalidAuthorizationSpecification, "this user may not come in; see pg_hba.conf of the server"),
    (errors.InvalidCatalogName, "there is no such database; make it with: createdb NAME"),
    (errors.InsufficientPrivilege, "permission is denied; see what docs/postgres.md says of the rights that it needs"),
    (errors.DiskFull, "the disk of the server is full; make room, then go on: what was acknowledged is safe"),
    (errors.TooManyConnections, "it has no connection left; raise max_connections, or put a pooler before it"),
    (errors.ReadOnlySqlTransaction, "it is a standby that cannot be written; add target_session_attrs=read-write"),
)


def is_lost(error: Exception) -> bool:
    """
    Whether the server or the way to it is gone, or it is not ready yet: it may come back.

    A primary that has become a standby counts as gone: there is another one by now.
    """
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return True
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        if error.sqlstate is not None:
            return error.sqlstate.startswith(_STATES_OF_LOSS)
        # Of an attempt to connect there is the text only: the server refused it, or there was none.
        return "FATAL:" not in str(error) or _PASSING.search(str(error)) is not None
    return isinstance(error, OSError)


def is_passing(error: Exception) -> bool:
    """Whether the server itself says that it is not ready, or full: it will be, or have room, before long."""
    if isinstance(error, psycopg.OperationalError):
        if error.sqlstate is not None:
            return error.sqlstate.startswith(_PASSING_STATES)
        return "FATAL:" in str(error) and _PASSING.search(str(error)) is not None
    return False


def is_race(error: Exception) -> bool:
    """Whether somebody else was in the way: nothing was written, and at the next try it is over."""
    return isinstance(error, _RACES)


def store_error(url: str, error: Exception) -> StoreError:
    """One clear error about this store: its URL, the reason, and the way out."""
    if isinstance(error, UnreadableError):
        return unusable(url, f"{error}: it was written by a newer orchwf, or it is damaged")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return StoreBusyError(
            f"the store {url} is busy: others have held its locks for too long; try again, or find who does in "
            "pg_stat_activity"
        )
    said = f"PostgreSQL says: {visible(' '.join(str(error).split()))}"
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "")
    if not reason and is_lost(error):
        reason = "the server cannot be reached, or went away; see that it runs, and that host and port are right"
    return unusable(url, f"{reason} ({said})" if reason else said)


def unusable(url: str, reason: str, kind: type[StoreError] = StoreError) -> StoreError:
    """The error that says why this store cannot be used."""
    return kind(f"the store {url} cannot be used: {reason}")
