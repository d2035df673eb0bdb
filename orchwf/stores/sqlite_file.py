"""The file of a SQLite store: is it one of ours, may it be used, and does it have the newest schema?"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from ..errors import StoreNotFoundError
from .sqlite_clock import add_clock
from .sqlite_errors import BUSY_TIMEOUT, SQLITE_ERRORS, store_error, unusable

APPLICATION_ID = 0x6F727766
"""Stands in the header of each of our files: "orwf" in ASCII."""


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """
    All of the block or nothing. To be used on the connection's thread, in one call: nobody else's statement gets in.

    It takes the lock at once: a transaction that reads first and writes later fails at once where another one wrote
    in between, however long the busy timeout.
    """
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # A full disk has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """The path as it is to be understood from now on: it does not follow the working folder of the process."""
    return Path(path).absolute()


def check_file(path: Path, *, must_exist: bool) -> None:
    """
    Look whether the file can be used as a store, and leave it as it is.

    Python's `open` is not used: closing a file drops all locks that the process has on it, also those of a connection
    that this process has open already (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        StoreNotFoundError: it is not there, and must be.
        StoreError: it cannot.
    """
    try:
        _check_folder(path)
        is_there = path.exists()
    except OSError as error:
        # Of a folder that may not be entered, or a name that is too long.
        raise unusable(path, f"it cannot be reached: {error.strerror}; give another path") from error
    if not is_there:
        if must_exist:
            reason = "there is no store; see that the path is right, or start a run there first"
            raise unusable(path, reason, StoreNotFoundError)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise unusable(path, f"its folder {path.parent} is read-only; make it writable for this user")
        return
    _check_access(path)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)) as connection:
            check_schema(connection, path)
    except SQLITE_ERRORS as error:
        # A process died while it made the file: only who may write can set that right, and then looks again.
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise store_error(path, error) from error


def _check_folder(path: Path) -> None:
    if path.parent.is_dir():
        return
    if path.parent.exists():
        raise unusable(path, f"{path.parent} is not a folder; give another path")
    raise unusable(path, f"its folder {path.parent} does not exist; make it first, or give another path")


def _check_access(path: Path) -> None:
    if path.is_dir():
        raise unusable(path, f"it is a folder; name a file in it, such as {path / 'orchwf.db'}")
    if not path.is_file():
        raise unusable(path, "it is not an ordinary file; give another path")
    if not os.access(path, os.R_OK | os.W_OK):
        raise unusable(path, "it is read-only; make the file writable for this user")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise unusable(
            path,
            f"its folder {path.parent} is read-only, and SQLite keeps files beside its database; "
            "make the folder writable for this user",
        )


def check_schema(connection: sqlite3.Connection, path: Path) -> int:
    """
    The version of the schema in the database: 0 if it is empty.

    Raises:
        StoreError: it belongs to another application, or to a newer orchwf.
    """
    # One transaction: another process may be making the schema right now.
    with transaction(connection, "BEGIN"):
        application = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
        tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise unusable(path, "it is the SQLite database of another application; give another path")
    newest = len(migrations())
    if version > newest:
        raise unusable(
            path,
            f"it has schema {version}, made by a newer orchwf; this one knows schemas up to {newest}: upgrade orchwf",
        )
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """
    Make the connection ready for use: its settings, and the newest schema in the database.

    Raises:
        StoreError: the database is not for us.
    """
    version = check_schema(connection, path)
    use_wal(connection, path)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    add_clock(connection)
    if version < len(migrations()):
        _migrate(connection, path)
    # SQLite makes the files beside it with the first transaction, and from now on they are looked after.
    _pragma(connection, "user_version")


def use_wal(connection: sqlite3.Connection, path: Path) -> None:
    """
    Let readers and one writer not hinder each other. It stays so in the file.

    Raises:
        StoreError: where the file lies that is not possible.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    mode = ""
    while not mode:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            # Two processes that open a new file collide here, and SQLite reports it without waiting.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise unusable(path, "its file system cannot do write-ahead logging; put it on a local disk")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    for number, script in enumerate(migrations(), 1):
        with transaction(connection):
            # Under the lock, as another process may have come first.
            if _pragma(connection, "user_version") >= number:
                continue
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


def migrations() -> list[str]:
    """The scripts that make the newest schema out of an empty database, in order; the n-th makes schema n."""
    folder = resources.files("orchwf.stores").joinpath("sql", "sqlite")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit first, and so leave the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
