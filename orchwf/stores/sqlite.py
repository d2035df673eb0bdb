"""The store in a SQLite file, on one machine: what is acknowledged is on the disk."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..core.events import Event
from ..errors import RunNotFoundError
from ..ports import Append, Message, RunQuery, RunRecord
from .sqlite_append import write_appends
from .sqlite_connection import SQLiteConnection
from .sqlite_delete import delete_runs
from .sqlite_errors import unusable
from .sqlite_facts import get_facts
from .sqlite_file import absolute_path, check_file, prepare, transaction
from .sqlite_owners import give_up, renew
from .sqlite_query import get_definition, get_inbox, get_owners, get_run, list_runs, read_events
from .urls import Durability, sqlite_url

T = TypeVar("T")

_CLAIM = "UPDATE runs SET owner = ? WHERE id = ? AND owner IS ?"
_SEND = """
    INSERT INTO inbox (run, id, signal, payload, folded) SELECT no, ?, ?, ?, 0 FROM runs WHERE id = ?
    ON CONFLICT (run, id) DO NOTHING
"""
_IS_RUN = "SELECT 1 FROM runs WHERE id = ?"
_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}
_RUNS_PER_DELETE = 100


async def open_sqlite(
    path: str | os.PathLike[str], *, durability: Durability = "power", must_exist: bool = False
) -> "SQLiteStore":
    """
    The store in this file, which is made if it is not there.

    Args:
        path: Where the file is. A relative path is resolved now: it does not follow the working folder of the process.
        durability: As of `open_store`.
        must_exist: Whether a file that is not there is an error.

    Raises:
        StoreError: the file cannot be used; it is as it was.
    """
    absolute = absolute_path(path)
    await asyncio.to_thread(check_file, absolute, must_exist=must_exist)
    connection = SQLiteConnection(absolute)
    try:
        await connection.open(must_exist=must_exist)
        await connection.call(partial(prepare, path=absolute, synchronous=_SYNCHRONOUS[durability]))
        identity = await connection.call(lambda _: _identity(absolute))
    except BaseException:
        # An open connection keeps the interpreter from ending.
        await connection.close()
        raise
    return SQLiteStore(connection, sqlite_url(absolute, durability), identity)


class SQLiteStore:
    """
    A `Store` in one SQLite file; made by `open_sqlite`.

    Open a file once per process: SQLite before 3.51.3 has a fault that needs two connections that write.
    """

    def __init__(self, connection: SQLiteConnection, url: str, identity: tuple[int, int]) -> None:
        self.url = url
        self._connection = connection
        self._identity = identity

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if not appends:
            return []
        return await self._write(partial(write_appends, appends=list(appends), url=self.url))

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._connection.call(partial(read_events, run_id=run_id, after=after, limit=limit))

    async def get(self, run_id: str) -> RunRecord | None:
        return await self._connection.call(partial(get_run, run_id=run_id))

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self._connection.call(partial(list_runs, query=query))

    async def definition(self, fingerprint: str) -> str | None:
        return await self._connection.call(partial(get_definition, fingerprint=fingerprint))

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        def claim(db: sqlite3.Connection) -> bool:
            with transaction(db):
                return db.execute(_CLAIM, (owner, run_id, previous)).rowcount == 1

        return await self._write(claim)

    async def renew(self, owner: str, lease: float) -> bool:
        return await self._write(partial(renew, owner=owner, lease=lease) if lease else partial(give_up, owner=owner))

    async def owners(self) -> dict[str | None, bool]:
        return await self._connection.call(get_owners)

    async def facts(self) -> dict[str, str]:
        return await self._connection.call(partial(get_facts, path=self._connection.path))

    async def send(self, message: Message) -> None:
        def send(db: sqlite3.Connection) -> None:
            with transaction(db):
                values = (message.id, message.signal, message.payload, message.run_id)
                is_new = db.execute(_SEND, values).rowcount == 1
                if not is_new and not db.execute(_IS_RUN, (message.run_id,)).fetchone():
                    raise RunNotFoundError(message.run_id, self.url)

        await self._write(send)

    async def inbox(self, owner: str) -> list[Message]:
        return await self._connection.call(partial(get_inbox, owner=owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        ids = list(dict.fromkeys(run_ids))
        # Each run goes at once or not at all. Many runs go in portions, so that others can write in between.
        portions = [ids[start : start + _RUNS_PER_DELETE] for start in range(0, len(ids), _RUNS_PER_DELETE)]
        return sum([await self._write(partial(delete_runs, run_ids=portion)) for portion in portions])

    async def close(self) -> None:
        await self._connection.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def checked(db: sqlite3.Connection) -> T:
            self._check_identity()
            return work(db)

        return await self._connection.call(checked)

    def _check_identity(self) -> None:
        # SQLite writes happily to a file that was deleted, and all of it is lost when the process ends. The look
        # costs two microseconds.
        path = self._connection.path
        try:
            identity = _identity(path)
        except FileNotFoundError:
            raise unusable(path, "its file was deleted while it was open; open a new store") from None
        if identity != self._identity:
            raise unusable(path, "its file was replaced by another while it was open; open the store again")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
