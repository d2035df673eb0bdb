"""
How many bytes of the database and of the server's log a run and a step take, and how fast finished runs are deleted.

Runs of one step and runs of eleven are executed, a hundred at a time: what ten steps more take, divided by ten, is a
step; the rest of a run of one step is the run. The steps return nothing, or a text of a thousand characters that no
compression makes smaller. Counted are all tables of the store with their indexes, and with what updates leave until
autovacuum comes; of the log of the server, how far it grew.
"""

import asyncio
import secrets
from dataclasses import dataclass

from orchwf import Orchestrator, open_store

from ..rows import Row, emit
from ..shapes import chain
from ..workflows import nothing, workflow_of
from .common import Asked, Schema, Watch, asked, own_schema
from .working import Lanes

AT_ONCE, MORE = 100, 10
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0) FROM pg_class
    WHERE relnamespace = to_regnamespace('{}') AND relkind = 'r'
"""
_LOG = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"


async def text() -> str:
    """A body that returns a thousand characters."""
    return secrets.token_hex(500)


@dataclass(frozen=True)
class Taken:
    """Bytes of the database and of the log."""

    database: float
    log: float

    def __sub__(self, other: "Taken") -> "Taken":
        return Taken(self.database - other.database, self.log - other.log)

    def __truediv__(self, count: float) -> "Taken":
        return Taken(self.database / count, self.log / count)


def looked_at(schema: Schema) -> Taken:
    """What is taken now."""
    return Taken(schema.number(_SIZE.format(schema.name)), schema.number(_LOG))


async def execute(url: str, workflow: type, name: str, runs: int) -> None:
    """Execute so many runs."""
    lanes = Lanes()
    async with Orchestrator(url, observers=[lanes]) as orchestrator:
        for first in range(0, runs, AT_ONCE):
            names = [f"{name}-{number}" for number in range(first, first + AT_ONCE)]
            ended = [lanes.begin(run_id) for run_id in names]
            await asyncio.gather(*(orchestrator.start(workflow(), run_id=run_id) for run_id in names))
            await asyncio.gather(*ended)


def taken(schema: Schema, workflow: type, name: str, runs: int) -> Taken:
    """What each of so many runs takes."""
    # What there is once is there before.
    asyncio.run(execute(schema.url, workflow, f"{name}-first", AT_ONCE))
    before = looked_at(schema)
    asyncio.run(execute(schema.url, workflow, name, runs))
    return (looked_at(schema) - before) / runs


async def delete(url: str, names: list[str]) -> int:
    """Delete these runs, as `prune` does; how many there were."""
    store = await open_store(url)
    try:
        return await store.delete(names)
    finally:
        await store.close()


def measure(ask: Asked) -> None:
    """Print the rows."""
    runs = 200 if ask.is_quick else 2_000
    for body, what in ((nothing, "nothing"), (text, "1,000 characters")):
        with own_schema(ask.url) as schema:
            short = taken(schema, workflow_of(chain(1).parents, body), "short", runs)
            long = taken(schema, workflow_of(chain(1 + MORE).parents, body), "long", runs)
            step = (long - short) / MORE
            run = short - step
            emit(Row(f"a step that returns {what}: tables and indexes", step.database, "bytes"))
            emit(Row(f"a step that returns {what}: log of the server", step.log, "bytes"))
            if body is nothing:
                emit(Row("a run without its steps: tables and indexes", run.database, "bytes"))
                emit(Row("a run without its steps: log of the server", run.log, "bytes"))
                names = [f"long-{number}" for number in range(runs)]
                with Watch(0) as watch:
                    count = asyncio.run(delete(schema.url, names))
                emit(Row("deleting runs of eleven steps", count / watch.seconds, "a second", better="higher"))


if __name__ == "__main__":
    measure(asked(__doc__))
