"""
How long it takes to take up a run with a long log.

A chain of which all steps but the last one have completed, and that one failed: the log is written to the store in
pages. What is timed is the call of `orchestrator.resume()`, until it returns: the run is claimed, its log is read and
folded, and that it was resumed is durable. It is compared with reading the same rows by sqlite3 alone, in pages,
through a connection of its own; both have read everything once before.

Compiling the workflow is not in it, and neither is what is made of a definition for its first run here, such as its
fingerprint: that has a row of its own. To have it done before, another run of the same workflow is resumed with
an answer that is refused. What the store alone takes to read the log is a row, too: the rest is the fold.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any

from orchwf import Orchestrator, RunRecord, RunStatus, UnknownStepError, compile_workflow, open_store
from orchwf.core.events import ErrorInfo, Event, RunFailed, RunStarted, StepCompleted, StepFailed, StepStarted
from orchwf.ports import Append, Store

from ..rows import Row, emit
from ..shapes import chain
from ..workflows import workflow_of
from .common import Scale, asked_scale, in_own_process, seconds_of

SIZES = {Scale.FULL: (10_000, 100_000, 1_000_000), Scale.SHORT: (10_000, 100_000), Scale.QUICK: (1_000, 10_000)}
PAGE = 2_000
TARGET = 3.0
READ = """
SELECT run, seq, at, kind, step, attempt, data FROM log
WHERE run = (SELECT no FROM runs WHERE id = ?) AND seq > ? ORDER BY seq LIMIT ?
"""


def log_of(workflow: type[Any], completed: int) -> Iterator[Event]:
    """The events of a run in which so many steps completed, and the next one failed."""
    dag = compile_workflow(workflow)
    yield RunStarted(seq=1, at=1.0, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint, inputs="{}")
    for number in range(completed):
        yield StepStarted(seq=2 * number + 2, at=1.0, step=f"s{number}", attempt=1)
        yield StepCompleted(seq=2 * number + 3, at=1.0, step=f"s{number}", attempt=1, output="null")
    seq, last, error = 2 * completed + 2, f"s{completed}", ErrorInfo("builtins.OSError", "down")
    yield StepStarted(seq=seq, at=1.0, step=last, attempt=1)
    yield StepFailed(seq=seq + 1, at=1.0, step=last, attempt=1, error=error)
    yield RunFailed(seq=seq + 2, at=1.0, steps=(last,), error=error.headline)


async def write(store: Store, run_id: str, workflow: type[Any], completed: int) -> None:
    """Put such a run into the store."""
    dag = compile_workflow(workflow)
    record = RunRecord(
        id=run_id, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint, entrypoint=dag.entrypoint,
        status=RunStatus.FAILED, metadata={}, tags={}, created_at=1.0, ended_at=1.0, error="down",
    )  # fmt: skip
    page: list[Event] = []

    async def flush() -> None:
        expected = page[0].seq - 1
        created = None if expected else record
        append = Append(run_id=run_id, expected=expected, events=list(page), create=created)
        for refused in filter(None, await store.append([append])):
            raise refused
        page.clear()

    for event in log_of(workflow, completed):
        page.append(event)
        if len(page) == PAGE:
            await flush()
    if page:
        await flush()


def read_raw(connection: sqlite3.Connection, run_id: str) -> None:
    """Fetch the rows of a log in pages."""
    after = 0
    while rows := connection.execute(READ, (run_id, after, PAGE)).fetchall():
        after = rows[-1][1]


async def read_by_store(store: Store, run_id: str) -> float:
    """How long the store takes to read the log."""
    began, after = time.perf_counter(), 0
    while page := await store.read(run_id, after=after, limit=PAGE):
        after = page[-1].seq
    return time.perf_counter() - began


async def measure(database: Path, events: int) -> list[Row]:
    """The rows of a log of so many events."""
    workflow = workflow_of(chain(events // 2 - 1).parents)
    store = await open_store(f"sqlite:///{database}?durability=process")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await write(store, "long", workflow, events // 2 - 2)
        await write(store, "short", workflow, 0)
        with closing(sqlite3.connect(database)) as connection:
            read_raw(connection, "long")
            raw = seconds_of(lambda: read_raw(connection, "long"))
        reading = await read_by_store(store, "long")
        preparing, resuming = await resume(store, workflow)
    name, reference = f"resume of {events:,} events", "sqlite3 reads the same rows"
    return [
        Row(name, resuming, "s", reference, raw, TARGET),
        Row(f"{name}: the store's reading alone", reading, "s", reference, raw),
        Row(f"{name}: the definition made ready before", preparing, "s"),
    ]


async def resume(store: Store, workflow: type[Any]) -> tuple[float, float]:
    """How long it takes to make the definition ready, and then to take the long run up."""
    async with Orchestrator(store, workflows=[workflow]) as orchestrator:
        began = time.perf_counter()
        with suppress(UnknownStepError):
            await orchestrator.resume("short", skip=["unknown"])
        prepared = time.perf_counter()
        handle = await orchestrator.resume("long")
        resumed = time.perf_counter()
        await handle.wait()
        if await handle.status() is not RunStatus.COMPLETED:
            raise AssertionError("the resumed run did not complete")
    return prepared - began, resumed - prepared


def measured(events: int) -> list[Row]:
    """The same, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(measure(Path(folder).resolve() / "orchwf.db", events))


def main() -> None:
    """Print the rows."""
    for events in SIZES[asked_scale(__doc__)]:
        for row in in_own_process(measured, events):
            emit(row)


if __name__ == "__main__":
    main()
