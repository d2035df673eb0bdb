"""What all contenders share: the command line, the stopwatch, the look into the database, the line of JSON."""

import argparse
import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..shapes import SHAPES, Shape

SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
"""What SQLite calls the numbers that it answers to PRAGMA synchronous."""


@dataclass(frozen=True)
class Asked:
    """
    What the command line asks for.

    Attributes:
        shape: The graph to execute, once.
        folder: An empty one, for all files.
        mode: One of the contender's own modes; empty if it has none.
    """

    shape: Shape
    folder: Path
    mode: str


def asked(description: str | None, *, option: str = "", modes: Sequence[str] = ("",)) -> Asked:
    """
    The command line, read.

    Args:
        description: For --help: the docstring of the contender.
        option: The name of the contender's own option, like "--durability"; empty if it has none.
        modes: What that option may be; the first one is the default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("size", type=int, help="steps, or runs of ten steps")
    parser.add_argument("folder", type=Path, help="an empty one, for all files")
    if option:
        parser.add_argument(option, dest="mode", choices=modes, default=modes[0])
    read = parser.parse_args()
    return Asked(SHAPES[read.shape](read.size), read.folder.resolve(), read.mode if option else modes[0])


class Stopwatch:
    """
    Measures between entering and leaving it.

    Attributes:
        seconds: Wall time.
        cpu: Seconds of CPU, of all threads of this process and of the others it was made for.
    """

    def __init__(self, *others: int) -> None:
        """A watch over this process and those whose ids are given: servers that do a part of the work."""
        self._others = others
        self.seconds = 0.0
        self.cpu = 0.0

    def __enter__(self) -> Self:
        """Start."""
        self.cpu = -self._cpu()
        self.seconds = -time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        self.seconds += time.perf_counter()
        self.cpu += self._cpu()

    def _cpu(self) -> float:
        return time.process_time() + sum(map(_cpu_of, self._others))


def _cpu_of(process: int) -> float:
    """
    Seconds of CPU that another process took so far, to 10 ms.

    Source: fields 14 and 15 of /proc/pid/stat, proc_pid_stat(5); the name before them may have blanks in it.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counted(database: Path, query: str) -> int:
    """The number that a query finds in a database, asked through a connection of its own."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return int(connection.execute(query).fetchone()[0])


def report(
    name: str,
    version: str,
    shape: Shape,
    watch: Stopwatch,
    *,
    durable: int,
    journal: str,
    synchronous: str,
    **more: float,
) -> None:
    """
    Print what was measured as one line of JSON; end the process with an error if not every step is durable.

    Args:
        durable: How many steps were found in the database, through another connection.
        journal: PRAGMA journal_mode of the contender's database.
        synchronous: PRAGMA synchronous of the contender's connections, one of `SYNCHRONOUS`.
        more: Further numbers that only this contender has.
    """
    if durable != shape.steps:
        sys.exit(f"{name}: {durable} of {shape.steps} steps are durable")
    measured = {"seconds": round(watch.seconds, 6), "cpu": round(watch.cpu, 6)}
    stored = {"durable": durable, "journal": journal, "synchronous": synchronous}
    print(json.dumps({"name": name, "version": version, "steps": shape.steps, **measured, **stored, **more}))
