"""
Kills the processes of a pool as often as one likes:  python -m tests.processes --kills 1000

With --seed N the moments and the victims are drawn from another seed; what the processes do meanwhile is not.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.processes.place import Place
from tests.processes.pool import Pool


def many(kills: int, seed: int) -> int:
    """Kill so many processes, and say what happened."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        try:
            pool, began = Pool(place, random.Random(seed)), time.monotonic()
            pool.open()
            for number in range(1, kills + 1):
                pool.kill()
                if number % 100 == 0:
                    print(f"{time.monotonic() - began:.0f} s: {_said(pool)}", flush=True)
            pool.finish()
            print(f"{time.monotonic() - began:.0f} s: {_said(pool)}", flush=True)
        finally:
            place.close()
            print(place.errors.read_text(), end="", flush=True)
    return 0


def _said(pool: Pool) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in pool.counts.items())


def main(words: list[str]) -> int:
    match words:
        case ["--kills", kills]:
            return many(int(kills), 0)
        case ["--kills", kills, "--seed", seed]:
            return many(int(kills), int(seed))
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
