"""The store that all orchestrators of a simulation share, and the faulty lines by which they reach it."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs

from orchwf.core.census import Census
from orchwf.core.events import Event
from orchwf.core.schedules import ScheduleRecord
from orchwf.core.slots import Answer, Occupancy, Slot, SlotRequest
from orchwf.errors import StoreBusyError, StoreError
from orchwf.ports import Append, Hint, Message, Renewal, RunQuery, RunRecord, Store, Taken, Wanted
from orchwf.stores.sqlite import SQLiteStore
from orchwf.stores.sqlite_file import _migrate
from tests.stores.blobs import MemoryBlobStore

T = TypeVar("T")


class Database(Store, Protocol):
    """A store in a database, in which a simulation can look around."""

    def text(self) -> str:
        """All that is in it."""
        ...

    def view(self, name: str, columns: str, run_id: str) -> list[tuple[Any, ...]]:
        """What a view shows of a run."""
        ...


class InlineConnection:
    """A connection to a SQLite database in memory, without a thread."""

    path = Path("simulated.db")

    def __init__(self, now: Callable[[], float]) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.create_function("lease_clock", 0, now)
        self.db.execute("PRAGMA foreign_keys = ON")
        _migrate(self.db, self.path)

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self.db)

    async def close(self) -> None:
        self.db.close()


class SimulatedSQLiteStore(SQLiteStore):
    """The SQLite store over such a connection; there is no file that could be replaced."""

    def __init__(self, now: Callable[[], float]) -> None:
        connection = InlineConnection(now)
        super().__init__(connection, "sqlite:simulated", {})  # type: ignore[arg-type]
        self.db = connection.db

    def _check_identities(self) -> None:
        pass

    def text(self) -> str:
        return "\n".join(self.db.iterdump())

    def view(self, name: str, columns: str, run_id: str) -> list[tuple[Any, ...]]:
        return self.db.execute(f"SELECT {columns} FROM {name} WHERE run = ?", (run_id,)).fetchall()


@attrs.define
class Faults:
    """
    How badly a line works.

    Attributes:
        busy: How probable it is that a call fails, and nothing was done.
        lost: How probable it is that it fails although all was done.
        stall: How probable it is that it takes longer than a lease.
        slowest: How many seconds it takes at most otherwise.
    """

    busy: float = 0.0
    lost: float = 0.0
    stall: float = 0.0
    slowest: float = 0.01
    counts: dict[str, int] = attrs.field(factory=dict)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


class Books:
    """
    What was acknowledged, kept beside the store: nothing of it may ever be lost or changed.

    Attributes:
        events: Run -> the events of all acknowledged appends, by their numbers.
        writers: Run -> who wrote each event.
        written: Run -> when each event was written (simulated seconds).
        met: Run -> the others that had not ended when it was created.
    """

    def __init__(self) -> None:
        self.events: dict[str, dict[int, Event]] = {}
        self.writers: dict[str, dict[int, str]] = {}
        self.written: dict[str, dict[int, float]] = {}
        self.met: dict[str, set[str]] = {}
        self._open: set[str] = set()

    def note(self, owner: str, append: Append) -> None:
        """This append was acknowledged to this owner."""
        events, writers = self.events.setdefault(append.run_id, {}), self.writers.setdefault(append.run_id, {})
        written = self.written.setdefault(append.run_id, {})
        for event in append.events:
            assert event.seq not in events, f"event {event.seq} of {append.run_id} was acknowledged twice"
            events[event.seq] = event
            writers[event.seq] = owner
            written[event.seq] = asyncio.get_running_loop().time()
        if append.create is not None:
            self.met[append.run_id] = {*self._open}
            self._open.add(append.run_id)
        if append.summary is not None:
            (self._open.discard if append.summary.status.is_final else self._open.add)(append.run_id)


class Line:
    """
    One orchestrator's way to the store: slow, unreliable, and dead when its process is.

    It is a `Store`. After `die` no call has an effect, and none returns.
    """

    url = "memory:"

    def __init__(self, store: Store, draw: random.Random, faults: Faults, books: Books, name: str) -> None:
        self._store = store
        self._draw = draw
        self._faults = faults
        self._books = books
        self.name = name
        self.is_dead = False
        self.is_cut = False
        # Its own chance, so that all else happens as it would without.
        self.is_deaf = random.Random(f"{name} {draw.getstate()[1][:4]} deaf").random() < 0.3
        # Somebody has to hold what the tasks of a dead process wait for: else they are collected as garbage.
        self.never = asyncio.Event()

    def die(self) -> None:
        """The process is gone."""
        self.is_dead = True

    async def live(self) -> None:
        """Return; never, once the process is dead: what belongs to it does nothing any more."""
        if self.is_dead:
            await self.never.wait()

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        """What this call of something else on this way gives."""
        return await self._call(call)

    async def _call(self, call: Callable[[], Awaitable[T]], then: Callable[[T], None] = lambda _: None) -> T:
        draw, faults = self._draw, self._faults
        await self._wait()
        if draw.random() < faults.busy:
            faults.count("busy")
            raise StoreBusyError("simulated: the store is busy")
        result = await call()
        then(result)
        is_lost = draw.random() < faults.lost
        await self._wait()
        if is_lost:
            faults.count("lost")
            raise StoreError("simulated: the store was lost after it had done it")
        return result

    async def _wait(self) -> None:
        seconds = self._draw.random() * self._faults.slowest
        if self._draw.random() < self._faults.stall:
            self._faults.count("stall")
            seconds += 20 + 20 * self._draw.random()
        await asyncio.sleep(seconds)
        if self.is_cut:
            raise StoreError("simulated: the end")
        await self.live()

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        def note(outcomes: list[Exception | None]) -> None:
            for append, outcome in zip(appends, outcomes, strict=True):
                if outcome is None:
                    self._books.note(self.name, append)

        return await self._call(lambda: self._store.append(appends), note)

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._call(lambda: self._store.read(run_id, after, limit))

    async def get(self, run_id: str) -> RunRecord | None:
        return await self._call(lambda: self._store.get(run_id))

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self._call(lambda: self._store.runs(query))

    async def definition(self, fingerprint: str) -> str | None:
        return await self._call(lambda: self._store.definition(fingerprint))

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        return await self._call(lambda: self._store.claim(run_id, owner, previous=previous))

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        return await self._call(lambda: self._store.take(owner, wanted))

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        return await self._call(lambda: self._store.renew(owner, lease, near=near))

    async def release(self, owner: str) -> None:
        await self._call(lambda: self._store.release(owner))

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        return await self._call(lambda: self._store.take_slots(owner, requests, frees=frees, now=now))

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        return await self._call(lambda: self._store.occupancy(beginning, limit))

    async def forget_expired(self, now: float) -> int:
        return await self._call(lambda: self._store.forget_expired(now))

    async def mentioned(self, marker: str, length: int) -> set[str]:
        return await self._call(lambda: self._store.mentioned(marker, length))

    async def next_wake(self, after: float) -> float | None:
        return await self._call(lambda: self._store.next_wake(after))

    async def census(self, now: float) -> Census:
        return await self._call(lambda: self._store.census(now))

    async def facts(self) -> dict[str, str]:
        return await self._call(self._store.facts)

    async def send(self, message: Message) -> None:
        await self._call(lambda: self._store.send(message))

    async def inbox(self, owner: str) -> list[Message]:
        return await self._call(lambda: self._store.inbox(owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        return await self._call(lambda: self._store.delete(run_ids))

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        return await self._call(lambda: self._store.schedules(name))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return await self._call(lambda: self._store.put_schedule(schedule))

    async def delete_schedule(self, name: str) -> bool:
        return await self._call(lambda: self._store.delete_schedule(name))

    async def publish(self, definitions: Mapping[str, str]) -> None:
        await self._call(lambda: self._store.publish(definitions))

    async def published(self, workflow: str) -> str | None:
        return await self._call(lambda: self._store.published(workflow))

    async def published_names(self) -> list[str]:
        return await self._call(self._store.published_names)

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        def hear(hint: Hint) -> None:
            if not self.is_dead and not self.is_cut:
                heard(hint)

        if not self.is_deaf:
            await self._store.listen(hear)

    async def watch(self, run_id: str) -> bool:
        return await self._call(lambda: self._store.watch(run_id))

    async def close(self) -> None:
        """It is not the store's end."""


class BlobsOnLine:
    """The large values of one orchestrator, on the same way to them: slow, unreliable, and dead when its process is."""

    url = "blobs:"

    def __init__(self, blobs: MemoryBlobStore, line: Line) -> None:
        self._blobs = blobs
        self._line = line

    async def put(self, key: str, data: bytes) -> None:
        await self._line.passed(lambda: self._blobs.put(key, data))

    async def get(self, key: str) -> bytes | None:
        return await self._line.passed(lambda: self._blobs.get(key))

    async def ages(self) -> AsyncIterator[tuple[str, float]]:
        async for found in self._blobs.ages():
            await self._line.live()
            yield found

    async def delete(self, key: str, *, older_than: float) -> bool:
        return await self._line.passed(lambda: self._blobs.delete(key, older_than=older_than))

    async def close(self) -> None:
        """It is not their end."""
