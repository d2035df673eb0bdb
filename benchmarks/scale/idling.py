"""
What an orchestrator asks of the server while nothing happens: statements a minute, and the CPU that they take.

Four orchestrators are open, with a workflow whose runs they take up: first with nothing to do, then each with one run
whose step waits. The statements are those that the server logs (`log_statement = all`, which only a server of our own
is asked for) in a whole minute. The CPU is that of all processes of the server in another minute, in which nothing is
logged.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from orchwf import Orchestrator, make_workflow

from ..rows import Gap, Row, emit
from .common import Asked, Schema, Watch, asked, emit_cpu, own_schema
from .names import IDLE_CPU, IDLE_READS, IDLE_WRITES

ORCHESTRATORS = 4
_SETTLED = 2.0
_LOGGED = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)")
_NOTHING_TO_DO, _ONE_WAITS = "an orchestrator with nothing to do", "an orchestrator with one run that waits"


@asynccontextmanager
async def idle(url: str, *, waiting: bool) -> AsyncIterator[None]:
    """Orchestrators that are open and do nothing, each with a step that waits for the end of the block if asked for."""
    end = asyncio.Event()

    async def wait() -> None:
        await end.wait()

    workflow = make_workflow("Idle", {"wait": wait})
    async with AsyncExitStack() as stack:
        every = [await stack.enter_async_context(Orchestrator(url, workflows=[workflow])) for _ in range(ORCHESTRATORS)]
        runs = [await each.start(workflow()) for each in every if waiting]
        await asyncio.sleep(_SETTLED)
        yield
        end.set()
        for run in runs:
            await run.wait()


async def statements(ask: Asked, schema: Schema, seconds: float, *, waiting: bool) -> list[str]:
    """The first lines of the statements of so many seconds."""
    async with idle(f"{schema.url}&options=-c%20log_statement%3Dall", waiting=waiting):
        before = len(logged(ask.log))
        await asyncio.sleep(seconds)
        return logged(ask.log)[before:]


def logged(file: str) -> list[str]:
    """The first lines of all statements that the server has logged."""
    return _LOGGED.findall(Path(file).read_text(errors="replace"))


async def cpu(ask: Asked, schema: Schema, seconds: float) -> float:
    """Seconds of CPU that the server takes in a second for one orchestrator."""
    async with idle(schema.url, waiting=True):
        with Watch(ask.postmaster) as watch:
            await asyncio.sleep(seconds)
    return watch.server / watch.seconds / ORCHESTRATORS


def measure(ask: Asked) -> None:
    """Print the rows."""
    seconds = 6.0 if ask.is_quick else 60.0
    minute = 60.0 / seconds / ORCHESTRATORS
    if not ask.log:
        emit(Gap("statements of an idle minute", "a server that was named is not told to log them"))
        return
    with own_schema(ask.url) as schema:
        found = asyncio.run(statements(ask, schema, seconds, waiting=False))
        emit(Row(f"{_NOTHING_TO_DO}: statements", len(found) * minute, "a minute"))
        found = asyncio.run(statements(ask, schema, seconds, waiting=True))
        emit(Row(f"{_ONE_WAITS}: statements", len(found) * minute, "a minute"))
        begun = [each for each in found if each.startswith("BEGIN")]
        emit(Row(IDLE_READS, sum("READ ONLY" in each for each in begun) * minute, "a minute"))
        emit(Row(IDLE_WRITES, sum("READ WRITE" in each for each in begun) * minute, "a minute"))
        emit_cpu(ask, IDLE_CPU, asyncio.run(cpu(ask, schema, seconds)), "us a second")


if __name__ == "__main__":
    measure(asked(__doc__))
