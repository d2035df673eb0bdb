"""What the measures of a PostgreSQL share: their command line, a schema of their own, the CPU of the server."""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from orchwf import open_store
from tests.postgres import new_schema

from ..rows import Gap, Row, emit


@dataclass(frozen=True)
class Asked:
    """
    What the command line asks of a measure.

    Attributes:
        url: The server.
        postmaster: The id of its first process; 0 if that is not known.
        log: The file in which it logs; empty if that is not known.
        is_quick: Whether the sizes are those to try things out.
        history: The numbers of finished runs in the store.
        trials: How many starts are timed.
    """

    url: str
    postmaster: int
    log: str
    is_quick: bool
    history: Sequence[int]
    trials: int

    @property
    def seconds(self) -> float:
        """For how long one figure is measured."""
        return 0.3 if self.is_quick else 4.0


def asked(description: str | None) -> Asked:
    """The command line, read."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="of the server")
    parser.add_argument("--postmaster", type=int, default=0, help="the id of its first process, for its CPU")
    parser.add_argument("--log", default="", help="the file in which it logs")
    parser.add_argument("--quick", action="store_true", help="sizes to try things out")
    parser.add_argument("--history", type=int, nargs="+", default=[0], help="numbers of finished runs")
    parser.add_argument("--trials", type=int, default=200, help="how many starts are timed")
    read = parser.parse_args()
    return Asked(read.url, read.postmaster, read.log, read.quick, sorted(read.history), read.trials)


class Schema:
    """
    A store of a measure's own, in a schema of its own.

    Attributes:
        name: That of the schema.
        url: That of the store.
    """

    def __init__(self, server: str, **options: str) -> None:
        """One on this server; `options` are libpq's."""
        self.name = new_schema()
        words = {"application_name": self.name, "schema": self.name, **options}
        joined = "&".join(f"{name}={value}" for name, value in words.items())
        self.url = f"{server}{'&' if '?' in server else '?'}{joined}"
        self._connection = psycopg.connect(server, autocommit=True)
        self._connection.execute("SET client_min_messages = warning")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that this gives; names of tables are looked for in the schema."""
        self._connection.execute(f'SET search_path = "{self.name}"'.encode())
        cursor = self._connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def number(self, sql: str) -> float:
        """The one number that this gives."""
        return float(self.query(sql)[0][0])

    def drop(self) -> None:
        """Remove it, with all that is in it."""
        self.query(f'DROP SCHEMA IF EXISTS "{self.name}" CASCADE')
        self._connection.close()


@contextmanager
def own_schema(server: str, **options: str) -> Iterator[Schema]:
    """A schema with the tables of a store, which is gone after the block."""
    schema = Schema(server, **options)
    try:
        asyncio.run(_made(schema.url))
        yield schema
    finally:
        schema.drop()


async def _made(url: str) -> None:
    await (await open_store(url)).close()


class Watch:
    """
    Measures between entering and leaving it.

    Attributes:
        seconds: Wall time.
        cpu: Seconds of CPU of this process.
        server: Seconds of CPU of all processes of the server; 0 if they are not known.
    """

    def __init__(self, postmaster: int) -> None:
        """A watch over this process and over the server with this first process; 0 for none."""
        self._postmaster = postmaster
        self.seconds = self.cpu = self.server = 0.0

    def __enter__(self) -> Self:
        """Start."""
        self.server = -server_cpu(self._postmaster)
        self.cpu = -time.process_time()
        self.seconds = -time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        self.seconds += time.perf_counter()
        self.cpu += time.process_time()
        self.server += server_cpu(self._postmaster)


def server_cpu(postmaster: int) -> float:
    """
    Seconds of CPU that the server took so far, those of its processes that have ended with them; 0 if it is not known.

    Source: fields 4 and 14 to 17 of /proc/pid/stat, proc_pid_stat(5).
    """
    if not postmaster:
        return 0.0
    ticks = sum(map(int, _fields(postmaster)[11:15]))
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = _fields(int(process))
        except (FileNotFoundError, ProcessLookupError):
            # It ended meanwhile, and its time is the postmaster's from now on.
            continue
        if int(fields[1]) == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(process: int) -> list[str]:
    """Those from the third on: the name before them may have blanks in it."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def emit_cpu(asked: Asked, name: str, seconds: float, unit: str) -> None:
    """Print a row of the CPU of the server, in microseconds, or that it cannot be known."""
    if asked.postmaster:
        emit(Row(name, seconds * 1e6, unit))
    else:
        emit(Gap(name, "the processes of a server that was named are not looked for"))
