"""
Many runs that sleep for a day, in one process: what each of them takes meanwhile, and to wake it.

They are started five hundred at a time, and nobody waits for them: so they are in the store and not in memory. Then the
clock of the orchestrator is set a day on, and all are due at once. Memory is compared with what the process had in RAM
when a hundred runs before had begun to sleep.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from orchwf import Orchestrator, sleep, step, workflow
from orchwf.testing import FakeClock

from ..rows import Row, emit
from ..workflows import Ends
from .common import Scale, asked_scale, in_own_process, resident

AT_ONCE = 500
FIRST = 100
SIZES = {Scale.FULL: (1_000, 10_000), Scale.SHORT: (1_000,), Scale.QUICK: (500,)}


@workflow
class Nap:
    """A day of sleep, and one step."""

    pause = sleep("1d")

    @step(depends_on=pause)
    async def wake(self) -> None: ...


async def start(orchestrator: Orchestrator, runs: int) -> None:
    """So many runs, all of which sleep when this returns."""
    for first in range(0, runs, AT_ONCE):
        await asyncio.gather(*(orchestrator.start(Nap()) for _ in range(first, min(first + AT_ONCE, runs))))


async def measure(folder: str, runs: int) -> list[Row]:
    """The rows of so many runs."""
    asleep, rested, woken = Ends(FIRST, "timer.set"), Ends(FIRST + runs, "timer.set"), Ends(FIRST + runs)
    clock = FakeClock()
    async with Orchestrator(
        f"sqlite:///{folder}/orchwf.db", workflows=[Nap], observers=[asleep, rested, woken], clock=clock
    ) as orchestrator:
        await start(orchestrator, FIRST)
        await asleep.wait()
        gc.collect()
        before, began = resident(), time.perf_counter()
        await start(orchestrator, runs)
        await rested.wait()
        started = time.perf_counter() - began
        gc.collect()
        memory = resident() - before
        began = time.perf_counter()
        await clock.advance("1d")
        await woken.wait()
        seconds = time.perf_counter() - began
    return list(rows_of(runs, started, memory, seconds))


def rows_of(runs: int, started: float, memory: int, woken: float) -> Iterator[Row]:
    """What each of them took."""
    name = f"{runs:,} runs asleep for a day"
    yield Row(f"{name}: start each", started / runs * 1e6, "us")
    yield Row(f"{name}: memory of each", max(0, memory) / runs, "bytes")
    yield Row(f"{name}: wake each, and end it", woken / (runs + FIRST) * 1e6, "us")


def measured(runs: int) -> list[Row]:
    """The same, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(measure(str(Path(folder).resolve()), runs))


def main() -> None:
    """Print the rows."""
    for runs in SIZES[asked_scale(__doc__)]:
        for row in in_own_process(measured, runs):
            emit(row)


if __name__ == "__main__":
    main()
