"""
One step that runs once for each of many items: 10,000, 100,000 and 1,000,000, durable as `?durability=process`.

The items are numbers, the bodies coroutines that do nothing, and 256 of them may be at work at once. An item is two
events, its start and its completion. Memory is what the process has in RAM beyond what it had before the start, at
most; with the result of the run, which holds all their records, nothing is done.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchwf import Orchestrator, step, workflow

from ..rows import Row, emit
from ..workflows import Ends
from .common import Scale, asked_scale, forget_peak, in_own_process, peak, resident

SIZES = {Scale.FULL: (10_000, 100_000, 1_000_000), Scale.SHORT: (10_000, 100_000), Scale.QUICK: (1_000, 10_000)}
MOST_TIME, MOST_MEMORY = 10.5, 10.0


@workflow
class Items:
    """So many items."""

    count: int

    @step
    def numbers(self) -> list[int]:
        return list(range(self.count))

    @step(max_parallel=256)
    async def work(self, number: int = numbers.each) -> int:
        return number


@dataclass(frozen=True)
class Took:
    """What it took: seconds, seconds of CPU, and bytes of memory at most."""

    seconds: float
    cpu: float
    memory: int
    events: int


async def execute(folder: str, count: int) -> Took:
    """One run, of which nobody reads the result."""
    ends = Ends(1)
    async with Orchestrator(f"sqlite:///{folder}/orchwf.db?durability=process", observers=[ends]) as orchestrator:
        gc.collect()
        forget_peak()
        before, began, cpu = resident(), time.perf_counter(), time.process_time()
        await orchestrator.start(Items(count=count))
        await ends.wait()
        return Took(time.perf_counter() - began, time.process_time() - cpu, peak() - before, ends.events)


def measured(count: int) -> Took:
    """The same, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(execute(str(Path(folder).resolve()), count))


def rows_of(count: int, now: Took, before: Took | None) -> Iterator[Row]:
    """The rows of one size, compared with a tenth of it, if there is that."""
    name, small = f"one step for each of {count:,} items", f"{count // 10:,} items"
    yield Row(f"{name}: time of each", now.seconds / count * 1e6, "us")
    yield Row(f"{name}: CPU of each", now.cpu / count * 1e6, "us")
    yield Row(f"{name}: events of each", now.events / count, "")
    yield Row(f"{name}: memory of each, at most", now.memory / count, "bytes")
    if before is not None:
        yield Row(f"{name}: time", now.seconds, "s", small, before.seconds, MOST_TIME)
        yield Row(f"{name}: peak memory", now.memory / 1e6, "MB", small, before.memory / 1e6, MOST_MEMORY)


def main() -> None:
    """Print the rows."""
    before: Took | None = None
    for count in SIZES[asked_scale(__doc__)]:
        now = in_own_process(measured, count)
        for row in rows_of(count, now, before):
            emit(row)
        before = now


if __name__ == "__main__":
    main()
