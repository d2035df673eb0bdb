"""
What 0, 100,000 and 1,000,000 finished runs in the store cost those that are at work.

The finished runs are of one step, with their logs; see `filling`. Then runs that nobody executes are taken by an owner,
a hundred at a time, until none is left, several times; the newest fifty runs are listed; and one process executes runs,
as in `executing`. What that leaves in the store comes on top of what is said, and the log of a run that is taken is
that of a finished one: nobody reads it.
"""

import asyncio
import statistics
import time

from orchwf import open_store
from orchwf.ports import RunQuery, Wanted

from ..rows import Row, emit
from .common import Asked, Schema, asked, own_schema
from .executing import worked
from .filling import fill, free

AT_ONCE, TIMES = 100, 5
_END = "UPDATE runs SET status = 'completed', owner = NULL, ended_at = created_at WHERE status = 'running'"


async def take_all(url: str, owner: str) -> tuple[int, float]:
    """How many runs were taken, and the seconds that it took."""
    store = await open_store(url)
    try:
        await store.renew(owner, 600.0)
        wanted, count, began = Wanted(awake=["Benchmark"], limit=AT_ONCE), 0, time.perf_counter()
        while taken := (await store.take(owner, wanted)).runs:
            count += len(taken)
        return count, time.perf_counter() - began
    finally:
        await store.close()


async def list_newest(url: str, times: int) -> float:
    """The median of the seconds that it takes to list the newest fifty runs."""
    store, took = await open_store(url), []
    try:
        for _ in range(times):
            began = time.perf_counter()
            await store.runs(RunQuery(limit=50))
            took.append(time.perf_counter() - began)
    finally:
        await store.close()
    return statistics.median(took)


def measure_claims(schema: Schema, runs: int, name: str) -> None:
    """Print a row for each time that so many runs are taken."""
    for number in range(TIMES):
        free(schema, runs)
        count, seconds = asyncio.run(take_all(schema.url, f"somewhere|1|1|{name}{number}"))
        if count != runs:
            raise RuntimeError(f"{count} of {runs} runs were taken")
        emit(Row(f"{name}: claims", count / seconds, "a second", better="higher"))
        # They are history from now on.
        schema.query(_END)


def measure(ask: Asked) -> None:
    """Print the rows."""
    with own_schema(ask.url) as schema:
        fill(schema, 1)
        there = 0
        for history in ask.history:
            fill(schema, history - there)
            there, name = history, f"beside {history:,} finished runs"
            measure_claims(schema, 200 if ask.is_quick else 2_000, name)
            emit(Row(f"{name}: listing the newest 50", asyncio.run(list_newest(schema.url, 20)) * 1e3, "ms"))
            (done,), _, _ = worked(ask, schema, 1, f"{history}")
            rate = done["steps"] / (done["ended"] - done["began"])
            emit(Row(f"{name}: steps of one process", rate, "a second", better="higher"))


if __name__ == "__main__":
    measure(asked(__doc__))
