"""
What it costs to be counted, and to be scraped: the processor time of the same steps with and without, by turns.

Without a collector nothing is counted; with one each event is, and each attempt is timed; the third is scraped ten
times a second beside it, which is fifty times as often as usual.
"""

import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from orchwf import Orchestrator
from orchwf.metrics import registry_of

from ..rows import Row, emit
from ..shapes import Shape, chain, fan
from ..workflows import workflow_of
from .common import Scale, asked_scale

_EVERY = 0.1
_WAYS = ("off", "counted", "scraped")


async def scrape(registry: Any) -> None:
    """Scrape it again and again, until cancelled."""
    while True:
        await asyncio.to_thread(generate_latest, registry)
        await asyncio.sleep(_EVERY)


async def cost(folder: Path, workflow: type[Any], way: str) -> float:
    """The processor time of one run, in seconds."""
    orchestrator = Orchestrator(f"sqlite:///{folder / way}.db?durability=process")
    registry = None if way == "off" else registry_of(orchestrator)
    async with orchestrator, asyncio.TaskGroup() as group:
        await orchestrator.run(workflow())
        scraping = group.create_task(scrape(registry)) if way == "scraped" else None
        gc.collect()
        began_at = time.process_time()
        await orchestrator.run(workflow())
        seconds = time.process_time() - began_at
        if scraping is not None:
            scraping.cancel()
    return seconds


def measured(name: str, shape: Shape, turns: int) -> list[Row]:
    """The rows of one shape."""
    workflow = workflow_of(shape.parents)
    costs: dict[str, list[float]] = {way: [] for way in _WAYS}
    for _ in range(turns):
        for way in _WAYS:
            with tempfile.TemporaryDirectory(dir=".") as folder:
                costs[way].append(asyncio.run(cost(Path(folder).resolve(), workflow, way)))
    each = {way: statistics.median(found) / shape.steps * 1e6 for way, found in costs.items()}
    return [
        Row(f"metrics, {name}: {way}", each[way], "us a step", "without a collector", each["off"]) for way in _WAYS[1:]
    ]


def main() -> None:
    """Print the rows."""
    size = 10 if asked_scale(__doc__) is Scale.QUICK else 1
    for name, shape in (("chain", chain(2_000 // size)), ("fan-out", fan(5_000 // size))):
        for row in measured(name, shape, turns=3 if size > 1 else 7):
            emit(row)


if __name__ == "__main__":
    main()
