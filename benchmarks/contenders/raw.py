"""
sqlite3 alone: what the disk and SQLite allow.

The same rows as an engine would write, one per step, in a table like that of orchwf; one transaction per wave, over all
runs. So each step waits for the commit of those before it, and nothing else is done.

As it takes some milliseconds only, it is done again and again, with other runs: the repetition in the middle counts.

--synchronous FULL or NORMAL, both with a WAL journal.
"""

import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ..shapes import Shape
from .measuring import SYNCHRONOUS, Stopwatch, asked, counted, report

SCHEMA = """
CREATE TABLE log (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    step TEXT,
    attempt INTEGER NOT NULL,
    data TEXT
);
CREATE UNIQUE INDEX log_fence ON log (run, seq);
"""
INSERT = "INSERT INTO log (run, seq, at, kind, step, attempt, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
LEAST, ENOUGH = 3, 0.5
"""How often it is repeated at least, and for how many seconds."""


def opened(database: Path, synchronous: str) -> sqlite3.Connection:
    """A connection to a new database with the table; transactions begin and end as they are told."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.executescript(SCHEMA)
    return connection


def commit(connection: sqlite3.Connection, runs: range, steps: tuple[int, ...], *, data: str = "null") -> None:
    """One row for each of these steps of each of these runs, in one transaction."""
    at = time.time()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        INSERT, [(run, step + 1, at, "step.completed", f"s{step}", 1, data) for run in runs for step in steps]
    )
    connection.execute("COMMIT")


def execute(connection: sqlite3.Connection, shape: Shape, repetition: int) -> Stopwatch:
    """All runs, wave by wave: how long it took."""
    waves, first = shape.waves, repetition * shape.runs
    with Stopwatch() as watch:
        for wave in waves:
            commit(connection, range(first, first + shape.runs), wave)
    return watch


def middle(watches: Sequence[Stopwatch]) -> Stopwatch:
    """The one of which as many are faster as are slower."""
    return sorted(watches, key=lambda watch: watch.seconds)[len(watches) // 2]


def main() -> None:
    """Execute the shape that the command line names."""
    ask = asked(__doc__, option="--synchronous", modes=("FULL", "NORMAL"))
    database = ask.folder / "raw.db"
    with closing(opened(database, ask.mode)) as connection:
        commit(connection, range(-1, 0), (0,))  # The first commit makes the journal.
        watches: list[Stopwatch] = []
        while len(watches) < LEAST or sum(watch.seconds for watch in watches) < ENOUGH:
            watches.append(execute(connection, ask.shape, len(watches)))
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = SYNCHRONOUS[connection.execute("PRAGMA synchronous").fetchone()[0]]
        durable, odd = divmod(counted(database, "SELECT count(*) FROM log WHERE run >= 0"), len(watches))
        if odd:
            sys.exit(f"raw: {odd} steps of some repetition are not durable")
    report(
        "raw",
        sqlite3.sqlite_version,
        ask.shape,
        middle(watches),
        durable=durable,
        journal=journal,
        synchronous=synchronous,
    )


if __name__ == "__main__":
    main()
