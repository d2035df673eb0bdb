"""
DBOS on its SQLite system database.

Where no two steps of a run can run at once (chain, many) the workflow and its steps are plain functions, which are
faster in DBOS than coroutines: a coroutine's checkpoints go through threads. Elsewhere (fan, layers) the steps of a
wave are coroutines that `asyncio.gather` starts, in an order that is always the same, as DBOS asks for. Their
checkpoints then wait for each other's locks of the database: steps that do nothing would be faster one by one.

Durable are the rows of `operation_outputs` that have ended, of workflows that have succeeded.

--durability shipped: the database as DBOS makes it. --durability wal: the same, switched to a WAL journal before.
"""

import asyncio
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import sqlalchemy
from dbos import DBOS, DBOSConfig

from ..shapes import Shape
from .measuring import SYNCHRONOUS, Stopwatch, asked, counted, report

DURABLE = """
SELECT count(*) FROM operation_outputs JOIN workflow_status USING (workflow_uuid)
WHERE workflow_status.status = 'SUCCESS' AND operation_outputs.completed_at_epoch_ms IS NOT NULL
"""


@DBOS.step()
def step() -> None:
    """Nothing."""


@DBOS.step()
async def step_async() -> None:
    """Nothing, as a coroutine."""


@DBOS.workflow()
def in_turn(steps: int) -> None:
    """One step after the other."""
    for _ in range(steps):
        step()


@DBOS.workflow()
async def in_waves(widths: list[int]) -> None:
    """The steps of a wave at once, one wave after the other."""
    for width in widths:
        await asyncio.gather(*(step_async() for _ in range(width)))


def execute(shape: Shape) -> None:
    """Start all runs at once and wait for them."""
    widths = [len(wave) for wave in shape.waves]
    if max(widths) == 1:
        handles = [DBOS.start_workflow(in_turn, len(widths)) for _ in range(shape.runs)]
    else:
        handles = [DBOS.start_workflow(in_waves, widths) for _ in range(shape.runs)]
    for handle in handles:
        handle.get_result()


def pragmas(dbos: DBOS) -> tuple[str, str]:
    """The journal mode and what is synchronous, asked through a connection of DBOS itself."""
    # DBOS has no public way to its connections, and another one would only tell SQLite's own default.
    with dbos._sys_db.engine.connect() as connection:
        journal = connection.execute(sqlalchemy.text("PRAGMA journal_mode")).scalar_one()
        synchronous = connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar_one()
    return journal, SYNCHRONOUS[synchronous]


def launch(database: Path) -> DBOS:
    """DBOS, started; it has no server of its own that could be switched off."""
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": f"sqlite:///{database}",
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    dbos = DBOS(config=config)
    DBOS.launch()
    return dbos


def main() -> None:
    """Execute the shape that the command line names."""
    ask = asked(__doc__, option="--durability", modes=("shipped", "wal"))
    database = ask.folder / "dbos.sqlite"
    if ask.mode == "wal":
        # The mode stays in the file: every later connection has it.
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    dbos = launch(database)
    try:
        execute(Shape("warm-up", 1, ask.shape.parents[:1]))
        warmed = counted(database, DURABLE)
        with Stopwatch() as watch:
            execute(ask.shape)
        journal, synchronous = pragmas(dbos)
        durable = counted(database, DURABLE) - warmed
    finally:
        DBOS.destroy()
    report("dbos", version("dbos"), ask.shape, watch, durable=durable, journal=journal, synchronous=synchronous)


if __name__ == "__main__":
    main()
