"""
Large arrays between steps on an executor: what a step costs if they go by reference, and if they go along.

    python -m benchmarks.large [--arrays 20] [--megabytes 8] [--workers 2] [--only process,dask]

Each array is made by one step and taken by another one. The store is a SQLite file: with the blob folder beside it, or
with values in the file itself. CPU is that of the process of the orchestrator.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time

from orchwf import Orchestrator

from .executors import executor_of
from .passing import Passing

WAYS = {"by reference": "", "going along": "?blobs=none"}


async def measured(name: str, way: str, given: argparse.Namespace) -> str:
    """One line of the table. The workers are warm: they have imported what they need."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/runs.db{WAYS[way]}"
        async with Orchestrator(url, executors={"there": executor_of(name, given.workers)}) as orchestrator:
            await orchestrator.run(Passing(steps=2 * given.workers, floats=10))
            began, cpu = time.perf_counter(), time.process_time()
            run = await orchestrator.start(Passing(steps=given.arrays, floats=given.megabytes * 131_072))
            while not (await run.status()).is_final:  # noqa: ASYNC110 - the result would load all arrays
                await asyncio.sleep(0.05)
            whole, cpu = time.perf_counter() - began, time.process_time() - cpu
            assert (await run.status()) == "completed"
    steps = 2 * given.arrays
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{name:8} {way:12} {1000 * whole / steps:8.1f} ms {1000 * cpu / steps:8.1f} ms {peak:8.0f} MiB"


def main() -> None:
    """Measure what is asked for, each in a process of its own, as its memory counts, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrays", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="process,dask")
    parser.add_argument("--way", choices=WAYS, help="only this way, in this process")
    given = parser.parse_args()
    if given.way:
        print(asyncio.run(measured(given.only, given.way, given)))
        return
    print(f"{'executor':8} {'arrays':12} {'a step':>11} {'CPU':>11} {'peak':>12}", flush=True)
    for name in given.only.split(","):
        for way in WAYS:
            options = [f"--{each}={getattr(given, each)}" for each in ("arrays", "megabytes", "workers")]
            command = [sys.executable, "-m", "benchmarks.large", *options, "--only", name, "--way", way]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
