"""Workflows that the tests of the runtime run, and what they share."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from orchwf import Orchestrator, RunHandle, RunStatus
from orchwf.core.events import Event
from orchwf.ports import RunQuery, Store

PATIENCE = 100.0
"""Seconds after which a test gives up that waits for something; nothing takes so long, however busy the machine is."""


class Gate:
    """A place where bodies wait until the test lets them go on; it knows how many have come."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[str] = asyncio.Queue()
        self._opened = asyncio.Event()
        self.waiting = 0
        self.most = 0

    async def pass_through(self, name: str = "") -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.came.put_nowait(name)
        try:
            await self._opened.wait()
        finally:
            self.waiting -= 1

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        self._opened.clear()


async def log_of(run: RunHandle[Any]) -> list[Event]:
    return [event async for event in run.events()]


async def kinds_of(run: RunHandle[Any]) -> list[str]:
    """`kind step`, or the kind alone for events of the run."""
    return [f"{event.kind} {getattr(event, 'step', '')}".strip() for event in await log_of(run)]


@asynccontextmanager
async def opened(store: Any = "memory:", **options: Any) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(store, **options) as orchestrator:
        yield orchestrator


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Until this, which is asked again and again, is so."""
    began = time.monotonic()
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() - began < PATIENCE
        await asyncio.sleep(0.001)


async def statuses_of(store: Store) -> dict[str, RunStatus]:
    """Run id -> where it is, the oldest first."""
    return {record.id: record.status for record in reversed(await store.runs(RunQuery()))}


async def is_status(store: Store, run_id: str, *statuses: RunStatus) -> bool:
    """Whether this run is there, and where one of these says."""
    record = await store.get(run_id)
    return record is not None and record.status in statuses


async def sleeps(store: Store, *run_ids: str) -> bool:
    """Whether all of these runs do."""
    records = [await store.get(run_id) for run_id in run_ids]
    return all(record is not None and record.wake_at is not None for record in records)


def executed(orchestrator: Orchestrator) -> list[str]:
    """The ids of the runs that are in the memory of this orchestrator."""
    return list(orchestrator._runs.engine.executions)
