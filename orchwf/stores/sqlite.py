"""The store in a SQLite file, on one machine: what is acknowledged is on the disk."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..core.census import Census
from ..core.events import Event
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from ..core.state import RunStatus
from ..errors import RunEndedError, RunNotFoundError
from ..ports import Append, Hint, Message, Renewal, RunQuery, RunRecord, Taken, Wanted
from .sqlite_append import write_appends
from .sqlite_cache import forget_expired
from .sqlite_census import get_census
from .sqlite_connection import SQLiteConnection
from .sqlite_delete import delete_runs
from .sqlite_errors import unusable
from .sqlite_facts import get_facts
from .sqlite_file import absolute_path, check_file, prepare, transaction
from .sqlite_mentions import portions
from .sqlite_owners import release, renew
from .sqlite_query import get_definition, get_inbox, get_next_wake, get_run, list_runs, read_events
from .sqlite_schedules import delete_schedule, list_schedules, put_schedule
from .sqlite_slots import get_occupancy, take_slots
from .sqlite_take import take
from .sqlite_workflows import get_published, list_published, publish
from .urls import Durability, sqlite_url

T = TypeVar("T")

_CLAIM = "UPDATE runs SET owner = ? WHERE id = ? AND owner IS ?"
_SEND = """
    INSERT INTO inbox (run, id, signal, payload, folded) SELECT no, ?, ?, ?, 0 FROM runs WHERE id = ?
    ON CONFLICT (run, id) DO NOTHING
"""
_STATUS = "SELECT status FROM runs WHERE id = ?"
_ENDS = frozenset(status.value for status in RunStatus if status.is_final)
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
        identities = await connection.call(lambda _: _identities(absolute))
    except BaseException:
        # An open connection keeps the interpreter from ending.
        await connection.close()
        raise
    return SQLiteStore(connection, sqlite_url(absolute, durability), identities)


class SQLiteStore:
    """
    A `Store` in one SQLite file; made by `open_sqlite`.

    Open a file once per process: SQLite before 3.51.3 has a fault that needs two connections that write.
    """

    def __init__(self, connection: SQLiteConnection, url: str, identities: dict[Path, "_Identity | None"]) -> None:
        self.url = url
        self._connection = connection
        self._identities = identities

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if not appends:
            return []
        return await self._call(partial(write_appends, appends=list(appends), url=self.url))

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._call(partial(read_events, run_id=run_id, after=after, limit=limit))

    async def get(self, run_id: str) -> RunRecord | None:
        return await self._call(partial(get_run, run_id=run_id))

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self._call(partial(list_runs, query=query))

    async def definition(self, fingerprint: str) -> str | None:
        return await self._call(partial(get_definition, fingerprint=fingerprint))

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        def claim(db: sqlite3.Connection) -> bool:
            with transaction(db):
                return db.execute(_CLAIM, (owner, run_id, previous)).rowcount == 1

        return await self._call(claim)

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        return await self._call(partial(take, owner=owner, wanted=wanted))

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        return await self._call(partial(renew, owner=owner, lease=lease, near=near))

    async def release(self, owner: str) -> None:
        await self._call(partial(release, owner=owner))

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        return await self._call(partial(take_slots, owner=owner, requests=requests, frees=frees, now=now))

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        return await self._call(partial(get_occupancy, beginning=beginning, limit=limit))

    async def forget_expired(self, now: float) -> int:
        return await self._call(partial(forget_expired, now=now))

    async def mentioned(self, marker: str, length: int) -> set[str]:
        calls = await self._call(partial(portions, marker=marker, length=length))
        return set().union(*[await self._call(call) for call in calls])

    async def next_wake(self, after: float) -> float | None:
        return await self._call(partial(get_next_wake, after=after))

    async def census(self, now: float) -> Census:
        return await self._call(partial(get_census, now=now))

    async def facts(self) -> dict[str, str]:
        return await self._call(partial(get_facts, path=self._connection.path))

    async def send(self, message: Message) -> None:
        def send(db: sqlite3.Connection) -> None:
            with transaction(db):
                found = db.execute(_STATUS, (message.run_id,)).fetchone()
                if found is None:
                    raise RunNotFoundError(message.run_id, self.url)
                if found[0] in _ENDS:
                    raise RunEndedError(message.run_id, found[0])
                db.execute(_SEND, (message.id, message.signal, message.payload, message.run_id))

        await self._call(send)

    async def inbox(self, owner: str) -> list[Message]:
        return await self._call(partial(get_inbox, owner=owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        ids = list(dict.fromkeys(run_ids))
        # Each run goes at once or not at all. Many runs go in portions, so that others can write in between.
        portions = [ids[start : start + _RUNS_PER_DELETE] for start in range(0, len(ids), _RUNS_PER_DELETE)]
        return sum([await self._call(partial(delete_runs, run_ids=portion)) for portion in portions])

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        return await self._call(partial(list_schedules, name=name))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return await self._call(partial(put_schedule, schedule=schedule))

    async def delete_schedule(self, name: str) -> bool:
        return await self._call(partial(delete_schedule, name=name))

    async def publish(self, definitions: Mapping[str, str]) -> None:
        await self._call(partial(publish, definitions=dict(definitions)))

    async def published(self, workflow: str) -> str | None:
        return await self._call(partial(get_published, workflow=workflow))

    async def published_names(self) -> list[str]:
        return await self._call(list_published)

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        # Nobody is told: to look is cheap here.
        return

    async def watch(self, run_id: str) -> bool:
        return False

    async def close(self) -> None:
        await self._connection.close()

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def checked(db: sqlite3.Connection) -> T:
            self._check_identities()
            return work(db)

        return await self._connection.call(checked)

    def _check_identities(self) -> None:
        # SQLite goes on happily with files that were deleted: nobody else sees what it writes, and most of it is lost
        # when the process ends. The look costs some microseconds.
        path = self._connection.path
        found = _identities(path)
        for file, identity in self._identities.items():
            if found[file] != identity:
                what = "its file" if file == path else f"{file.name}, which belongs to it,"
                fate = "deleted" if found[file] is None else "replaced by another"
                if file == path:
                    self._put_aside(found)
                raise unusable(path, f"{what} was {fate} while it was open; open the store again")

    def _put_aside(self, found: dict[Path, "_Identity | None"]) -> None:
        # SQLite does not know which database a log belongs to: it would play this one into the file that is there now,
        # or will be, and so ruin it. The log is not deleted, as it may be wanted together with the old file.
        for file, identity in self._identities.items():
            if file != self._connection.path and found[file] == identity:
                with contextlib.suppress(OSError):
                    file.replace(file.with_name(f"{file.name}-orphaned"))


_Identity = tuple[int, int]
"""What tells a file from all others of the machine."""


def _identities(path: Path) -> dict[Path, _Identity | None]:
    """
    Those of the database, and of what SQLite keeps beside it for as long as anybody has it open; None of what is gone.

    Raises:
        StoreError: there is no way to them any more.
    """
    files = (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
    return {file: _identity(path, file) for file in files}


def _identity(path: Path, file: Path) -> _Identity | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, f"{file} cannot be reached any more: {error.strerror}") from error
    return status.st_dev, status.st_ino
