"""
Kills the processes of a pool as often as one likes:  python -m tests.processes --kills 1000

With --store postgres they share a PostgreSQL server. With --restarts N four of them share 2,000 runs of ten steps on a
server of their own, which is killed so many times, too; --runs and --workers take other numbers, and with --command the
processes are those of `orchwf worker`.

With --seed N the moments and the victims are drawn from another seed; what the processes do meanwhile is not.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import in_schema, new_schema, own_server, server
from tests.processes.outage import SAFE, Outage, Serving, Sharing
from tests.processes.place import Place
from tests.processes.pool import Pool
from tests.processes.shared import Shared, SharedFile, SharedSchema


def pool(kills: int, seed: int, store: str) -> None:
    """Kill so many processes, and say what happened."""
    with tempfile.TemporaryDirectory() as name, shared(store, Path(name)) as kept, at(kept, Path(name)) as place:
        pool, began = Pool(place, random.Random(seed)), time.monotonic()
        pool.open()
        for number in range(1, kills + 1):
            pool.kill()
            if number % 100 == 0:
                say(began, pool.counts)
        pool.finish()
        say(began, pool.counts)


def outage(asked: argparse.Namespace) -> None:
    """Kill the server so many times, and processes all the while, and say what happened."""
    with (
        tempfile.TemporaryDirectory() as name,
        own_server(Path(name), **SAFE) as cluster,
        at(SharedSchema(in_schema(cluster.url, "orchwf")), Path(name)) as place,
    ):
        began = time.monotonic()
        program = Serving(place, asked.runs) if asked.command else Sharing(place, asked.workers, asked.runs)
        outage = Outage(
            place=place, program=program, cluster=cluster, draw=random.Random(asked.seed), size=asked.workers,
            runs=asked.runs,
        )  # fmt: skip
        outage.live(asked.restarts)
        say(began, outage.counts)


@contextmanager
def shared(store: str, folder: Path) -> Iterator[Shared]:
    """An empty store of this kind."""
    if store == "sqlite":
        yield SharedFile(folder / "runs.db")
    else:
        with server(folder) as url:
            yield SharedSchema(in_schema(url, new_schema()))


@contextmanager
def at(store: Shared, folder: Path) -> Iterator[Place]:
    """A place for processes on this store; what they told of errors is shown in the end."""
    place = Place(folder, store)
    try:
        yield place
    finally:
        place.close()
        print(place.errors.read_text(), end="", flush=True)


def say(began: float, counts: Counter[str]) -> None:
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{time.monotonic() - began:.0f} s: {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.processes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--restarts", type=int)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--command", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if (asked.kills is None) == (asked.restarts is None):
        parser.error("it takes either --kills or --restarts")
    if asked.kills is not None:
        pool(asked.kills, asked.seed, asked.store)
    else:
        outage(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
