"""
How long it takes from the start of a run in one process to the first statement of its first body in another one.

One run is started after the other, each when the body of the one before has begun and a moment of random length has
passed, so that nothing falls into step. Both processes are on this machine, and read the same clock.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time

from orchwf import Client

from ..rows import Row, emit
from .common import Asked, asked, own_schema
from .executing import heard, tell
from .noting import Noted


async def waits(url: str, trials: int, process: "subprocess.Popen[str]") -> list[float]:
    """How long each of so many starts took (seconds)."""
    draw, found = random.Random(7), []
    async with Client(url) as client:
        for number in range(trials + 1):
            began = time.perf_counter()
            await client.start(Noted(), run_id=f"noted-{number}")
            found.append(float(await asyncio.to_thread(heard, process)) - began)
            await asyncio.sleep(draw.uniform(0.0, 0.1))
    # The first one finds nothing ready.
    return found[1:]


def measure(ask: Asked) -> None:
    """Print the rows."""
    trials = min(ask.trials, 3) if ask.is_quick else ask.trials
    with own_schema(ask.url) as schema:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale.noting", schema.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            heard(process)
            found = asyncio.run(waits(schema.url, trials, process))
            tell(process)
        finally:
            process.communicate(timeout=60)
    late = statistics.quantiles(found, n=100, method="inclusive")[-1]
    for name, seconds in (("median", statistics.median(found)), ("99th percentile", late)):
        emit(Row(f"from a start to the body elsewhere, {name}", seconds * 1e3, "ms"))


if __name__ == "__main__":
    measure(asked(__doc__))
