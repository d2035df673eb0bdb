"""
orchwf, by its public API.

All runs are started at once, and the watch stops when all results have been read. The steps are coroutines that do
nothing. The workflow is compiled before, and one run of it is executed before: so what is made once of a definition,
its fingerprint and its text, is not in the figures; `compiling` has them.

Durable are the steps of which the table `log` has both the start and the completion.

--mode full: on SQLite, as it comes. --mode normal: `?durability=process`. --mode memory: the store in memory.
--mode plain: as full, and the bodies are plain functions, which run in threads. --mode listener: as full, with an
observer that is told of every event, and with somebody who follows the events of each run.
"""

import asyncio
import sys
from typing import Any

import orchwf
from orchwf import Orchestrator, RunHandle
from orchwf.core.events import StepCompleted, StepStarted

from ..workflows import Ends, connections, nothing, nothing_in_a_thread, workflow_of
from .measuring import SYNCHRONOUS, Asked, Stopwatch, asked, counted, report

DURABLE = """
SELECT count(*) FROM (
    SELECT 1 FROM log JOIN runs ON runs.no = log.run
    WHERE runs.workflow = 'Benchmark' AND log.kind IN ('step.started', 'step.completed')
    GROUP BY log.run, log.step HAVING count(DISTINCT log.kind) = 2
)
"""
MODES = ("full", "normal", "memory", "plain", "listener")


Executed = tuple[list[RunHandle[Any]], int]
"""The runs, and how many events somebody who followed them has seen."""


async def execute(orchestrator: Orchestrator, workflow: type[Any], runs: int, *, follow: bool = False) -> Executed:
    """Start all runs at once and wait for them; somebody may follow their events meanwhile."""
    handles = await asyncio.gather(*(orchestrator.start(workflow()) for _ in range(runs)))
    following = asyncio.gather(*(followed(handle) for handle in handles if follow))
    await asyncio.gather(*(handle.wait() for handle in handles))
    return handles, sum(await following)


async def followed(handle: RunHandle[Any]) -> int:
    """How many events the run has, seen as they come."""
    return sum([1 async for _ in handle.events(follow=True)])


async def durable_steps(handle: RunHandle[Any]) -> int:
    """How many steps have both a start and a completion, by the events of the store."""
    started, completed = set(), set()
    async for event in handle.events():
        match event:
            case StepStarted():
                started.add(event.step)
            case StepCompleted():
                completed.add(event.step)
            case _:
                pass
    return len(started & completed)


def store_url(ask: Asked) -> str:
    """The store of a mode."""
    if ask.mode == "memory":
        return "memory:"
    return f"sqlite:///{ask.folder / 'orchwf.db'}{'?durability=process' if ask.mode == 'normal' else ''}"


async def measure(ask: Asked) -> None:
    """Execute the shape, and report."""
    workflow = workflow_of(ask.shape.parents, nothing_in_a_thread if ask.mode == "plain" else nothing)
    database = ask.folder / "orchwf.db"
    is_heard = ask.mode == "listener"
    ends = Ends(ask.shape.runs + 1)
    journal, synchronous = "none", "none"
    made = connections()
    async with Orchestrator(store_url(ask), observers=[ends] if is_heard else ()) as orchestrator:
        await orchestrator.run(workflow())
        warmed = 0 if ask.mode == "memory" else counted(database, DURABLE)
        before = ends.events
        with Stopwatch() as watch:
            handles, seen = await execute(orchestrator, workflow, ask.shape.runs, follow=is_heard)
        if seen != ends.events - before:
            sys.exit(f"orchwf: {seen} events were seen, and {ends.events - before} told")
        if ask.mode == "memory":
            durable = sum([await durable_steps(handle) for handle in handles])
        else:
            durable = counted(database, DURABLE) - warmed
            journal = made[0].execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = SYNCHRONOUS[made[0].execute("PRAGMA synchronous").fetchone()[0]]
    report("orchwf", orchwf.__version__, ask.shape, watch, durable=durable, journal=journal, synchronous=synchronous)


if __name__ == "__main__":
    asyncio.run(measure(asked(__doc__, option="--mode", modes=MODES)))
