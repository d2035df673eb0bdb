"""
What the store takes in: transactions of 1, 100 and 1,000 events, one after the other, through one connection.

One is a single event of one run; the others are two events of each of 50 or 500 runs, which is what an orchestrator
writes of so many steps that end together. Counted is over some seconds; CPU is that of this process, and that of all
processes of the server.
"""

import asyncio
import time

from orchwf import RunStatus, open_store
from orchwf.core.events import Event, StepCompleted, StepStarted
from orchwf.ports import Append, RunRecord, Store

from ..rows import Row, emit
from .common import Asked, Schema, Watch, asked, emit_cpu, own_schema
from .names import CLIENT_CPU, SERVER_CPU, TIME, written

BATCHES = (1, 100, 1_000)
RUNS = 500


def creation(number: int) -> Append:
    """A run that nobody executes, without events."""
    record = RunRecord(
        id=f"run-{number}", workflow="Benchmark", version="1", fingerprint="f" * 64, entrypoint="benchmarks:Benchmark",
        status=RunStatus.RUNNING, metadata={}, tags={}, created_at=time.time(),
    )  # fmt: skip
    return Append(run_id=record.id, expected=0, events=[], create=record)


def batch(events: int, ends: list[int]) -> list[Append]:
    """The appends of a transaction of so many events; `ends` are where the logs of the runs end, and move on."""
    at, appends = time.time(), []
    for number in range(max(1, events // 2)):
        end = ends[number]
        new: list[Event] = [StepCompleted(seq=end + 1, at=at, step="s1", attempt=1, output="null")]
        if events > 1:
            new.append(StepStarted(seq=end + 2, at=at, step="s2", attempt=1))
        appends.append(Append(run_id=f"run-{number}", expected=end, events=new))
        ends[number] = end + len(new)
    return appends


async def written_for(store: Store, events: int, ends: list[int], seconds: float) -> int:
    """How many transactions of so many events are written in about these seconds."""
    count, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        if any(await store.append(batch(events, ends))):
            raise RuntimeError("an append was refused, although nobody else writes")
        count += 1
    return count


async def measure(ask: Asked, schema: Schema) -> None:
    """Print the rows, after as many events were found as were written."""
    store, ends = await open_store(schema.url), [0] * RUNS
    try:
        await store.append([creation(number) for number in range(RUNS)])
        for events in BATCHES:
            await written_for(store, events, ends, ask.seconds / 4)
            with Watch(ask.postmaster) as watch:
                count = await written_for(store, events, ends, ask.seconds)
            emit(Row(written(events, "events"), events * count / watch.seconds, "a second", better="higher"))
            emit(Row(written(events, TIME), watch.seconds / count * 1e6, "us"))
            emit(Row(written(events, CLIENT_CPU), watch.cpu / count * 1e6, "us"))
            emit_cpu(ask, written(events, SERVER_CPU), watch.server / count, "us")
    finally:
        await store.close()
    if (found := schema.number("SELECT count(*) FROM log")) != sum(ends):
        raise RuntimeError(f"{sum(ends)} events were written, and {found:.0f} are there")


if __name__ == "__main__":
    ask = asked(__doc__)
    with own_schema(ask.url) as schema:
        asyncio.run(measure(ask, schema))
