"""
One process that executes runs: what `executing` starts several of.

It has a hundred lanes. In each a run of ten steps that do nothing is started, and when it has ended the next one: so a
hundred steps are under way all the time, and what it takes to start and to end runs is in all figures. It prints that
it is ready, waits for a line, works for so many seconds, and prints what it did.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from orchwf import Orchestrator, RunRecord
from orchwf.core.events import Event

from ..shapes import chain
from ..workflows import workflow_of

LANES, STEPS = 100, 10


class Lanes:
    """An observer that knows which runs are under way, and tells when one has ended."""

    def __init__(self) -> None:
        """None is under way."""
        self._ends: dict[str, asyncio.Future[None]] = {}

    def begin(self, run_id: str) -> "asyncio.Future[None]":
        """Done when this run, which is started now, has ended."""
        self._ends[run_id] = ended = asyncio.get_running_loop().create_future()
        return ended

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Look for ends."""
        if events[-1].kind == "run.completed" and run.id in self._ends:
            self._ends.pop(run.id).set_result(None)


async def fill(orchestrator: Orchestrator, lanes: Lanes, workflow: type, name: str, until: float) -> int:
    """Execute runs in one lane, one after the other, at least one, until it is that time; how many."""
    count = 0
    while not count or time.perf_counter() < until:
        run_id = f"{name}-{count}"
        ended = lanes.begin(run_id)
        await orchestrator.start(workflow(), run_id=run_id)
        await ended
        count += 1
    return count


async def work(url: str, name: str, seconds: float) -> dict[str, float]:
    """When it began and ended, by a clock that all processes of the machine have in common; CPU, runs, steps."""
    workflow, lanes = workflow_of(chain(STEPS).parents), Lanes()
    async with Orchestrator(url, observers=[lanes]) as orchestrator:
        await asyncio.gather(*(fill(orchestrator, lanes, workflow, f"warm-{name}-{n}", 0.0) for n in range(LANES)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(fill(orchestrator, lanes, workflow, f"{name}-{n}", began + seconds))
                for n in range(LANES)
            ]
        ended_at, cpu = time.perf_counter(), time.process_time() - cpu
        print("done", flush=True)
        # The connections are looked at, then it may go.
        await asyncio.to_thread(sys.stdin.readline)
    runs = sum(task.result() for task in tasks)
    return {"began": began, "ended": ended_at, "cpu": cpu, "runs": runs, "steps": runs * STEPS}


if __name__ == "__main__":
    url, name, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(work(url, name, float(seconds)))), flush=True)
