"""Workflows that the tests of the runtime run, and what they share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orchwf import Orchestrator, RunHandle
from orchwf.core.events import Event


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


async def log_of(run: RunHandle[Any]) -> list[Event]:
    return [event async for event in run.events()]


async def kinds_of(run: RunHandle[Any]) -> list[str]:
    """`kind step`, or the kind alone for events of the run."""
    return [f"{event.kind} {getattr(event, 'step', '')}".strip() for event in await log_of(run)]


@asynccontextmanager
async def opened(store: Any = "memory:", **options: Any) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(store, **options) as orchestrator:
        yield orchestrator
