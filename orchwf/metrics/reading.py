"""Reads what a store has for metrics, for whoever scrapes: once at a time, however many do."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import attrs

from ..core.census import Census
from ..core.schedules import ScheduleRecord
from ..errors import StoreError
from ..ports import Clock, Store


@attrs.frozen(kw_only=True)
class Reading:
    """
    What a store had for metrics.

    Attributes:
        at: When it was read (epoch seconds).
        seconds: How long that took.
        census: Its runs.
        schedules: Its schedules.
    """

    at: float
    seconds: float
    census: Census
    schedules: Sequence[ScheduleRecord]


class Reader:
    """
    Reads one store.

    Attributes:
        last: What was read last; None while nothing was, or if it could not be read the last time.
        is_asked: Whether it was ever read, or tried to.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.last: Reading | None = None
        self.is_asked = False
        self._store = store
        self._clock = clock
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> "asyncio.Task[None]":
        """Read it, unless somebody does; done when it is read. To be called on the loop of the store."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._reading

    async def read(self, patience: float) -> None:
        """Read it; a store that does not answer within so many seconds cannot be read, and may answer the next time."""
        # It is not cancelled: a question that is under way is waited for, instead of asking once more.
        _, pending = await asyncio.wait([self.begin()], timeout=patience)
        if pending:
            self.lose()

    def lose(self) -> None:
        """It cannot be read. May be called from any thread."""
        self.is_asked, self.last = True, None

    async def _read(self) -> None:
        began_at, now = perf_counter(), self._clock.now()
        self.is_asked = True
        try:
            census, schedules = await self._store.census(now), await self._store.schedules()
        except StoreError:
            self.last = None
            return
        self.last = Reading(at=now, seconds=perf_counter() - began_at, census=census, schedules=schedules)
