"""The clock of the machine, made steady."""

import asyncio
import time
from collections.abc import Callable

from ..ports import Clock


async def pause(clock: Clock, seconds: float) -> None:
    """Return after so many seconds of this clock."""
    over = asyncio.Event()
    clock.call_at(clock.now() + seconds, over.set)
    await over.wait()


class WallClock:
    """
    The clock on the wall, as it is set at each look: for what is to happen at a time of day.

    Unlike a `SystemClock` it follows the clock of the machine, also after a suspension; so it may go back.
    """

    def now(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.time()), callback).cancel


class SystemClock:
    """
    Epoch seconds that never jump: the wall clock as it was at the first look, moved on by the monotonic one.

    So a step back of the machine's clock, or a leap of a day, changes no duration, time-out or wait of this process.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic() + self._offset

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback).cancel
