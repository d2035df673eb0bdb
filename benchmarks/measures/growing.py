"""One run of a shape of one size, in a process of its own: what `growth` compares."""

import asyncio
import gc
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from orchwf import Orchestrator

from ..shapes import SHAPES, Shape
from ..workflows import Ends, workflow_of
from .common import forget_peak, peak, resident

AT_ONCE = 1_000


@dataclass(frozen=True)
class Grown:
    """
    What it took.

    Attributes:
        seconds: From the first start to the end of the last run.
        peak: Bytes of memory, at most, beyond those before the start.
        started: The same, when all runs had been started.
        ended: The same, when all had ended and nobody held them any more.
    """

    seconds: float
    peak: int
    started: int
    ended: int


async def execute(folder: str, shape: Shape) -> Grown:
    """Start all runs, a thousand at a time, and see them end; nobody reads the results."""
    workflow = workflow_of(shape.parents)
    ends = Ends(shape.runs)
    async with Orchestrator(f"sqlite:///{folder}/orchwf.db?durability=process", observers=[ends]) as orchestrator:
        forget_peak()
        before, began = resident(), time.perf_counter()
        for first in range(0, shape.runs, AT_ONCE):
            portion = range(first, min(first + AT_ONCE, shape.runs))
            await asyncio.gather(*(orchestrator.start(workflow()) for _ in portion))
        started = resident() - before
        await ends.wait()
        seconds = time.perf_counter() - began
        most = peak() - before
        # What follows the end of the last run has to be done, too, before it can be forgotten.
        await asyncio.sleep(0.1)
        gc.collect()
        return Grown(seconds, most, started, resident() - before)


def grown(name: str, steps: int) -> Grown:
    """The same, of a shape and so many steps over all runs, in a folder of its own."""
    shape = SHAPES[name](steps // 10 if name == "many" else steps)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(execute(str(Path(folder).resolve()), shape))
