"""
Many runs that wait on a timer.

Each has one step, which has failed and is to be tried again after an hour. They are started a thousand at a time. The
statements of a minute are those of twenty seconds, three times: what happens by itself happens every few seconds.
"""

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from orchwf import Orchestrator, Retry, make_workflow, step

from ..rows import Row, emit
from ..workflows import Ends, connections
from .common import Scale, asked_scale, in_own_process, resident

IDLE = 20.0
AT_ONCE = 1_000
SIZES = {Scale.FULL: (10_000, 100_000), Scale.SHORT: (10_000,), Scale.QUICK: (1_000,)}


async def refuse() -> None:
    """A body that fails."""
    raise ConnectionError("down")


async def measure(folder: str, runs: int) -> list[Row]:
    """The rows of so many runs."""
    patience = Retry(1, initial=3600, max_interval=3600, jitter=None)
    workflow = make_workflow("Waiting", {"refuse": step(retries=patience)(refuse)})
    statements: list[str] = []
    made, waiting = connections(), Ends(runs, "step.retrying")
    async with Orchestrator(f"sqlite:///{folder}/orchwf.db", observers=[waiting]) as orchestrator:
        gc.collect()
        before, began = resident(), time.perf_counter()
        for _ in range(0, runs, AT_ONCE):
            await asyncio.gather(*(orchestrator.start(workflow()) for _ in range(AT_ONCE)))
        await waiting.wait()
        seconds = time.perf_counter() - began
        gc.collect()
        memory = resident() - before
        made[0].set_trace_callback(statements.append)
        await asyncio.sleep(IDLE)
        made[0].set_trace_callback(None)
        closing = time.perf_counter()
    closed = time.perf_counter() - closing
    name = f"{runs:,} runs waiting on a timer"
    return [
        Row(f"{name}: start each", seconds / runs * 1e6, "us"),
        Row(f"{name}: memory of each", memory / runs, "bytes"),
        Row(f"{name}: let go of each, on exit", closed / runs * 1e6, "us"),
        Row(f"{name}: statements per idle minute", len(statements) * 60 / IDLE, ""),
    ]


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
