"""
The year, shared by two workers: starts them, starts the run, waits for what came of it, and ends them.

    python examples/scale_out/two_workers.py postgresql://app@localhost/flights

The workers are what `orchwf worker` starts on as many machines as you like. This program executes nothing, and needs
nothing of theirs but the store.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchwf import Client

ORCHWF = [sys.executable, "-m", "orchwf"]
YEAR = f"{Path(__file__).with_name('year.py')}:Year"
WORKERS = 2


@contextmanager
def working(store: str) -> Iterator[None]:
    """The workers, each of which takes three runs at a time; they are told to end after the block."""
    command = [*ORCHWF, "worker", YEAR, "--store", store, "--max-runs", "3"]
    workers = [subprocess.Popen(command) for _ in range(WORKERS)]
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait()


def started(store: str, inputs: Sequence[str]) -> str:
    """The id of a run that is in the store, and that somebody will take up."""
    command = [*ORCHWF, "run", YEAR, "--store", store, "--detach", "-q"]
    given = [word for text in inputs for word in ("-i", text)]
    return subprocess.run([*command, *given], check=True, capture_output=True, text=True).stdout.strip()


async def report(store: str, run_id: str) -> object:
    """What comes of it."""
    async with Client(store) as client:
        run = await client.get(run_id)
        return (await run.result())["report"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A year of flights from New York, shared by two workers.")
    parser.add_argument("store", metavar="URL", help="where runs are kept: postgresql://...")
    parser.add_argument(
        "-i", dest="inputs", metavar="NAME=VALUE", action="append", default=[], help="an input of the run"
    )
    options = parser.parse_args(arguments)
    with working(options.store):
        print(asyncio.run(report(options.store, started(options.store, options.inputs))), flush=True)


if __name__ == "__main__":
    main()
