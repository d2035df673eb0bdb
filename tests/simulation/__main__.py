"""
Simulates as many schedules as one likes, on all cores:  python -m tests.simulation 1000000

With FROM:TO the schedules of these seeds; with --first N up to N of them, until one does not hold; with --seed N one
of them, with its traceback. Every second one has the SQL of SQLite for a store; after --postgres all have that of
PostgreSQL, on a server of the tests.
"""

import asyncio
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.postgres import server
from tests.simulation.world import Opening, simulate

_CHUNK = 50


def lives(seeds: range, *, postgres: Path | None = None) -> tuple[Counter[str], list[tuple[int, str]]]:
    """What fired, and what was found: seed and error."""
    with opening(postgres) as opens:
        return _lived(seeds, opens)


@contextmanager
def opening(postgres: Path | None) -> Iterator[Opening | None]:
    """What makes the stores: on a server of those who have this folder in common, if there is one."""
    if postgres is None:
        yield None
        return
    from tests.simulation.postgres import on_server  # here, because the others need no driver

    with server(postgres) as url, on_server(url) as opens:
        yield opens


def _lived(seeds: range, opens: Opening | None) -> tuple[Counter[str], list[tuple[int, str]]]:
    fired: Counter[str] = Counter()
    found = []
    for seed in seeds:
        try:
            world = simulate(seed, opens=opens)
        # Also a cancellation that nobody asked for.
        except (Exception, asyncio.CancelledError) as error:
            found.append((seed, f"{type(error).__name__}: {error}"))
            continue
        fired.update(world.faults.counts)
        fired["crash"] += world.crashes
        fired["schedule"] += 1
    return fired, found


def many(first: int, last: int, postgres: Path | None) -> int:
    """Simulate the schedules of these seeds; how many did not hold."""
    began, fired, failures = time.monotonic(), Counter[str](), 0
    chunks = [range(seed, min(seed + _CHUNK, last)) for seed in range(first, last, _CHUNK)]
    with ProcessPoolExecutor() as pool:
        for done, (counts, found) in enumerate(pool.map(partial(lives, postgres=postgres), chunks), 1):
            fired.update(counts)
            failures += len(found)
            for seed, error in found:
                print(f"schedule {seed}: {error}", flush=True)
            if done % 20 == 0 or done == len(chunks):
                took = time.monotonic() - began
                print(f"{fired['schedule']:,} schedules in {took:.0f} s, {failures} failed: {dict(fired)}", flush=True)
    return failures


def main(words: list[str]) -> int:
    if words[:1] != ["--postgres"]:
        return told(words, None)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)):
        return told(words[1:], Path(folder))


def told(words: list[str], postgres: Path | None) -> int:
    match words:
        case ["--seed", seed]:
            try:
                with opening(postgres) as opens:
                    simulate(int(seed), opens=opens)
            except (Exception, asyncio.CancelledError):
                traceback.print_exc()
                return 1
            print("every invariant holds")
            return 0
        case ["--first", count]:
            every = (
                found for seed in range(int(count)) for found in lives(range(seed, seed + 1), postgres=postgres)[1]
            )
            first_found = next(every, None)
            if first_found is not None:
                print(f"schedule {first_found[0]}: {first_found[1]}")
            return int(first_found is not None)
        case [text]:
            first, _, last = text.rpartition(":")
            return int(bool(many(int(first or 0), int(last), postgres)))
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
