"""A connection to a SQLite file on a thread of its own, to which whole functions are sent."""

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiosqlite

from .sqlite_errors import BUSY_TIMEOUT, SQLITE_ERRORS, store_error, unusable

T = TypeVar("T")


class SQLiteConnection:
    """
    The one connection of a store. What is sent to its thread is done in that order, also if the sender is cancelled.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls: deque[Callable[[sqlite3.Connection], None]] = deque()
        self._db: aiosqlite.Connection | None = None

    async def open(self, *, must_exist: bool) -> None:
        """
        Connect; nothing is read or written yet.

        Raises:
            StoreError: there is no way to the file.
        """

        uri = f"{self.path.as_uri()}?mode={'rw' if must_exist else 'rwc'}"

        def connect(*_: object, **__: object) -> _Database:
            # The threads are not checked, as whichever drops the last reference closes a connection that nobody
            # waited for any more.
            db = _Database(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
            db.calls = self._calls
            return db

        try:
            self._db = await aiosqlite.connect(uri, factory=connect)
        except SQLITE_ERRORS as error:
            raise store_error(self.path, error) from error

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        What `work` returns, called with the connection on the connection's thread.

        It is the only one there while it runs, so it must end every transaction that it begins. If the caller is
        cancelled it still runs to its end.

        Raises:
            StoreError: SQLite could not do it, or the connection is closed.
        """
        if self._db is None:
            raise unusable(self.path, "it is closed; open it again")
        results: list[T] = []
        self._calls.append(lambda db: results.append(work(db)))
        try:
            await self._db.commit()
        except SQLITE_ERRORS as error:
            raise store_error(self.path, error) from error
        return results[0]

    async def close(self) -> None:
        """Do what was sent before, and disconnect."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()


class _Database(sqlite3.Connection):
    """
    A connection whose `commit` does the next of `calls`.

    `aiosqlite.Connection.commit` is one hop to the connection's thread and public: so a whole function gets there at
    once. Statement by statement each would be a hop, other tasks' statements would come in between, and a cancelled
    caller would leave its transaction open.
    """

    calls: deque[Callable[[sqlite3.Connection], None]]

    def commit(self) -> None:
        self.calls.popleft()(self)

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()
