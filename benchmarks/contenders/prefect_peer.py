"""
Prefect on the temporary server that it starts itself for local runs, with its SQLite database in the folder.

A run is a flow of coroutines: the tasks of a wave are started by `asyncio.gather`, one wave after the other. (`.submit`
with `wait_for` gives each task a thread, which costs several times as much.) Results are persisted, by the default
cache policy: each task has its number as input, so that none is taken for another one's repetition.

Durable are the task runs that are COMPLETED in the database. Prefect writes these from events, after the run has moved
on: "lag" says how many seconds after the last run had ended the last row was there. It is not in "seconds"; what it
takes until then, here and in the server, is in "cpu". Logs are not sent to the server, and nothing is reported home.

Many runs at once meet locks of the database, which the server answers with 503: its client then waits for seconds
before it tries again, and that is most of the time of the shape "many".
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from pathlib import Path

from ..shapes import Shape
from .measuring import SYNCHRONOUS, Stopwatch, asked, counted, report

Waves = list[list[int]]
Flow = Callable[[Waves], Coroutine[None, None, None]]

DURABLE = "SELECT count(*) FROM task_run WHERE state_type = 'COMPLETED' AND state_name = 'Completed'"
PATIENCE = 60.0
"""Seconds to wait for the rows of a run that has ended."""


def settings(folder: Path) -> dict[str, str]:
    """The environment of Prefect and its server: as it comes, but alone and silent."""
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }


def flow_of_waves() -> Flow:
    """A flow: its parameter are the numbers of its tasks, by wave."""
    from prefect import flow, task

    @task
    async def step(number: int) -> None:
        """Nothing."""

    @flow
    async def in_waves(waves: Waves) -> None:
        for wave in waves:
            await asyncio.gather(*map(step, wave))

    return in_waves


async def execute(in_waves: Flow, shape: Shape) -> None:
    """Start all runs at once and wait for them."""
    waves = [list(wave) for wave in shape.waves]
    await asyncio.gather(*(in_waves(waves) for _ in range(shape.runs)))


async def pragmas() -> tuple[str, str]:
    """The journal mode and what is synchronous, asked through a connection that is made as those of the server are."""
    from prefect.server.database import provide_database_interface

    engine = await provide_database_interface().engine()
    async with engine.connect() as connection:
        journal = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
        synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()
    return journal, SYNCHRONOUS[synchronous]


def arrived(database: Path, expected: int) -> int:
    """How many task runs are durable, once it is as many as expected or patience has ended."""
    end = time.monotonic() + PATIENCE
    while (durable := counted(database, DURABLE)) < expected and time.monotonic() < end:
        time.sleep(0.02)
    return durable


def measured(shape: Shape, database: Path) -> tuple[Stopwatch, float, int]:
    """How long the shape took, how long its rows took after that, how many there are."""
    from prefect.server.api.server import SubprocessASGIServer

    in_waves = flow_of_waves()
    with SubprocessASGIServer() as server:
        asyncio.run(execute(in_waves, Shape("warm-up", 1, shape.parents[:1])))
        warmed = arrived(database, 1)
        with Stopwatch(server.server_process.pid) as until_durable:
            with Stopwatch() as watch:
                asyncio.run(execute(in_waves, shape))
            durable = arrived(database, shape.steps + warmed) - warmed
    watch.cpu = until_durable.cpu
    return watch, until_durable.seconds - watch.seconds, durable


def main() -> None:
    """Execute the shape that the command line names."""
    ask = asked(__doc__)
    # Prefect reads its settings while it is imported, so it is imported only by the functions above, after this.
    os.environ.update(settings(ask.folder))
    # The server would outlive this process if that were ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    watch, lag, durable = measured(ask.shape, ask.folder / "prefect.db")
    journal, synchronous = asyncio.run(pragmas())
    report(
        "prefect",
        version("prefect"),
        ask.shape,
        watch,
        durable=durable,
        journal=journal,
        synchronous=synchronous,
        lag=round(lag, 4),
    )


if __name__ == "__main__":
    main()
