"""How long it takes from the call of `start()` to the first statement of the first body, the start being durable."""

import asyncio
import statistics
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from orchwf import Orchestrator

from ..contenders.raw import commit, opened
from ..rows import Row, emit
from ..workflows import workflow_of
from .common import Scale, asked_scale, seconds_of


async def measure(folder: Path, runs: int) -> Row:
    """The median of so many starts, one after the other, each beside a raw commit."""
    begun: list[float] = []

    async def note_time() -> None:
        begun.append(time.perf_counter())

    workflow = workflow_of([()], note_time)
    called, raw = [], []
    with closing(opened(folder / "raw.db", "FULL")) as connection:
        async with Orchestrator(f"sqlite:///{folder / 'orchwf.db'}") as orchestrator:
            await orchestrator.run(workflow())
            begun.clear()
            for number in range(runs):
                called.append(time.perf_counter())
                await (await orchestrator.start(workflow())).wait()
                raw.append(seconds_of(partial(commit, connection, range(1), (number,))))
    waited = [start - call for call, start in zip(called, begun, strict=True)]
    return Row(
        f"start to first body, median of {runs}",
        statistics.median(waited) * 1e3,
        "ms",
        "one raw commit, FULL",
        statistics.median(raw) * 1e3,
    )


def main() -> None:
    """Print the row."""
    runs = 10 if asked_scale(__doc__) is Scale.QUICK else 50
    with tempfile.TemporaryDirectory(dir=".") as folder:
        emit(asyncio.run(measure(Path(folder).resolve(), runs)))


if __name__ == "__main__":
    main()
