"""
The longest time for which the event loop is blocked.

A task sleeps for a millisecond, again and again, and looks at the clock: what it overslept is a gap. A gap may be
nobody's call: Python's garbage collector stops everything, the system may run something else, and the threads of the
process take turns of 5 ms. So there are rows for the worst gap, for the worst one without the time of collections in
it, for the gap that one in a thousand exceeds, and for the longest collection.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchwf import Orchestrator, make_workflow

from ..rows import Row, emit
from ..shapes import fan
from ..workflows import Ends, workflow_of
from .common import Scale, asked_scale, in_own_process

TARGET = 10.0
NAP = 0.001


class Gaps:
    """
    What the task that sleeps has found, in seconds.

    Attributes:
        all: The gaps.
        without_collections: The gaps, less the collections in each.
        longest_collection: Of the garbage collector.
    """

    def __init__(self) -> None:
        """Nothing is found before `watch` runs."""
        self.all: list[float] = []
        self.without_collections: list[float] = []
        self.longest_collection = 0.0
        self._collecting = 0.0
        self._began = 0.0

    def collected(self, phase: str, _: dict[str, int]) -> None:
        """Is called by the garbage collector."""
        if phase == "start":
            self._began = time.perf_counter()
            return
        seconds = time.perf_counter() - self._began
        self._collecting += seconds
        self.longest_collection = max(self.longest_collection, seconds)

    async def watch(self) -> None:
        """Sleep and look, until cancelled."""
        while True:
            before, collecting = time.perf_counter(), self._collecting
            await asyncio.sleep(NAP)
            gap = time.perf_counter() - before - NAP
            self.all.append(gap)
            self.without_collections.append(gap - (self._collecting - collecting))

    def rows(self, name: str) -> list[Row]:
        """What the table says of them."""
        exceeded = sorted(self.all)[-1 - len(self.all) // 1000]
        return [
            Row(f"loop blocked, {name}: worst", max(self.all) * 1e3, "ms", limit=TARGET),
            Row(
                f"loop blocked, {name}: worst less collections", max(self.without_collections) * 1e3, "ms", limit=TARGET
            ),
            Row(f"loop blocked, {name}: 99.9th percentile", exceeded * 1e3, "ms", limit=TARGET),
            Row(f"loop blocked, {name}: longest collection", self.longest_collection * 1e3, "ms"),
        ]


def passed_on(make_value: Callable[[], object]) -> type[Any]:
    """The workflow in which one step returns a value, made before, and another one reads it."""
    value = make_value()

    async def make() -> Any:
        return value

    async def read(make: Any) -> None:
        pass

    return make_workflow("PassedOn", {"make": make, "read": read})


async def measure(folder: str, name: str, workflow: type[Any]) -> list[Row]:
    """Execute it once, and watch."""
    ends, gaps = Ends(1), Gaps()
    async with Orchestrator(f"sqlite:///{folder}/orchwf.db", observers=[ends]) as orchestrator:
        gc.collect()
        gc.callbacks.append(gaps.collected)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(gaps.watch())
            await asyncio.sleep(0.05)
            await orchestrator.start(workflow())
            await ends.wait()
            # What is done after the end was told counts as well.
            await asyncio.sleep(0.05)
            watching.cancel()
        gc.callbacks.remove(gaps.collected)
    return gaps.rows(name)


def large_values(length: int) -> dict[str, Callable[[], object]]:
    """What it is -> what makes it, so large that its JSON has about this many characters."""
    return {
        "text": lambda: "x" * length,
        "list of numbers": lambda: list(range(length * 4 // 25)),
        "list of records": lambda: [
            {"id": row, "name": f"row {row}", "value": row * 1.5} for row in range(length * 11 // 500)
        ],
    }


def measured(name: str, scale: Scale) -> list[Row]:
    """One case, in a folder of its own."""
    size = 10 if scale is Scale.QUICK else 1
    if name == "fan":
        steps = 100_000 // size
        workflow, title = workflow_of(fan(steps).parents), f"fan-out of {steps:,}"
    else:
        workflow = passed_on(large_values(5_000_000 // size)[name])
        title = f"a {name} of {5 / size:g} MB"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(measure(str(Path(folder).resolve()), title, workflow))


def main() -> None:
    """Print the rows."""
    scale = asked_scale(__doc__)
    for name in ("fan", *large_values(0)):
        for row in in_own_process(measured, name, scale):
            emit(row)


if __name__ == "__main__":
    main()
