"""
What the server itself takes, without orchwf: an answer, a sync of its log, commits of one connection and of several.

An answer is the median of many `SELECT 1`. A sync is the median of commits of one row that wait for the disk, less the
median of those that do not (`synchronous_commit = off`), in turns. Commits of several connections are counted over some
seconds, each connection in a thread.
"""

import statistics
import threading
import time

import psycopg

from ..rows import Row, emit
from .common import Asked, Schema, asked, own_schema
from .names import ROUND_TRIP, SYNC, commits_of

_INSERT = "INSERT INTO probe (value) VALUES (1)"


def timed(connection: "psycopg.Connection[tuple[object, ...]]", sql: str) -> float:
    """How long this takes until it is answered (seconds)."""
    began = time.perf_counter()
    connection.execute(sql.encode())
    return time.perf_counter() - began


def measure_answers(schema: Schema, times: int) -> None:
    """The rows of an answer and of a sync."""
    with psycopg.connect(schema.url.partition("&schema")[0], autocommit=True) as connection:
        answers = [timed(connection, "SELECT 1") for _ in range(times)]
        emit(Row(ROUND_TRIP, statistics.median(answers) * 1e6, "us"))
        waits: dict[str, list[float]] = {"on": [], "off": []}
        connection.execute(f'SET search_path = "{schema.name}"'.encode())
        for _ in range(times // 2):
            for mode, found in waits.items():
                connection.execute(f"SET synchronous_commit = {mode}".encode())
                found.append(timed(connection, _INSERT))
    sync = statistics.median(waits["on"]) - statistics.median(waits["off"])
    emit(Row(SYNC, max(0.0, sync) * 1e6, "us"))


def commits(schema: Schema, connections: int, seconds: float) -> float:
    """How many rows so many connections commit in a second, each row by itself."""
    counts = [0] * connections
    ready, end = threading.Barrier(connections + 1), threading.Event()

    def insert(place: int) -> None:
        with psycopg.connect(schema.url.partition("&schema")[0], autocommit=True) as connection:
            connection.execute(f'SET search_path = "{schema.name}"'.encode())
            ready.wait()
            while not end.is_set():
                connection.execute(_INSERT.encode())
                counts[place] += 1

    threads = [threading.Thread(target=insert, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    end.wait(seconds)
    end.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def measure(ask: Asked) -> None:
    """Print the rows."""
    with own_schema(ask.url) as schema:
        schema.query("CREATE TABLE probe (value INTEGER)")
        measure_answers(schema, 100 if ask.is_quick else 2_000)
        for connections in (1, 8):
            emit(Row(commits_of(connections), commits(schema, connections, ask.seconds), "a second", better="higher"))


if __name__ == "__main__":
    measure(asked(__doc__))
