"""The store that all orchestrators of a simulation share, and the faulty lines by which they reach it."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from orchwf.core.events import Event
from orchwf.errors import StoreBusyError, StoreError
from orchwf.ports import Append, Message, RunQuery, RunRecord, Store
from orchwf.stores.sqlite import SQLiteStore
from orchwf.stores.sqlite_file import _migrate

T = TypeVar("T")


class InlineConnection:
    """A connection to a SQLite database in memory, without a thread."""

    path = Path("simulated.db")

    def __init__(self, now: Callable[[], float]) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.create_function("lease_clock", 0, now)
        self._db.execute("PRAGMA foreign_keys = ON")
        _migrate(self._db, self.path)

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self._db)

    async def close(self) -> None:
        self._db.close()


class SimulatedSQLiteStore(SQLiteStore):
    """The SQLite store over such a connection; there is no file that could be replaced."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(InlineConnection(now), "sqlite:simulated", {})  # type: ignore[arg-type]

    def _check_identities(self) -> None:
        pass


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
    """

    def __init__(self) -> None:
        self.events: dict[str, dict[int, Event]] = {}
        self.writers: dict[str, dict[int, str]] = {}

    def note(self, owner: str, append: Append) -> None:
        """This append was acknowledged to this owner."""
        events, writers = self.events.setdefault(append.run_id, {}), self.writers.setdefault(append.run_id, {})
        for event in append.events:
            assert event.seq not in events, f"event {event.seq} of {append.run_id} was acknowledged twice"
            events[event.seq] = event
            writers[event.seq] = owner


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
        # Somebody has to hold what the tasks of a dead process wait for: else they are collected as garbage.
        self.never = asyncio.Event()

    def die(self) -> None:
        """The process is gone."""
        self.is_dead = True

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
        if self.is_dead:
            await self.never.wait()

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

    async def renew(self, owner: str, lease: float) -> bool:
        return await self._call(lambda: self._store.renew(owner, lease))

    async def release(self, owner: str) -> None:
        await self._call(lambda: self._store.release(owner))

    async def owners(self) -> dict[str | None, bool]:
        return await self._call(self._store.owners)

    async def facts(self) -> dict[str, str]:
        return await self._call(self._store.facts)

    async def send(self, message: Message) -> None:
        await self._call(lambda: self._store.send(message))

    async def inbox(self, owner: str) -> list[Message]:
        return await self._call(lambda: self._store.inbox(owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        return await self._call(lambda: self._store.delete(run_ids))

    async def close(self) -> None:
        """It is not the store's end."""
