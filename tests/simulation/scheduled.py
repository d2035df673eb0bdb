"""A schedule that all processes of a simulation serve, and what has to be true of its runs."""

import asyncio
import contextlib
import random
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchwf import Orchestrator, OrchwfError, RunRecord
from orchwf.core.schedules import Phase, ScheduleRecord, due_of
from orchwf.ports import RunQuery

if TYPE_CHECKING:
    from tests.simulation.world import World

NAME = "each"
_PATIENCE = 15.0
"""Seconds in which who serves a schedule sees what is due: a third of the lease, and some more."""


class Scheduled:
    """
    A schedule of one workflow, which each process says as it comes, as a service does.

    Attributes:
        clocks: By how many seconds the clocks of processes are wrong.
    """

    def __init__(self, world: "World") -> None:
        draw = random.Random(f"{world.seed} schedule")
        self._world = world
        self._workflow = draw.choice(world.workflows)
        self._options: dict[str, Any] = {
            "cron": "* * * * *",
            "overlap": draw.choice(["skip", "queue", "cancel"]),
            "catchup": draw.choice([None, None, "5m"]),
            "jitter": draw.choice([None, None, "20s"]),
        }
        # With some that are a day ahead, nothing comes for a day once they have moved the schedule on.
        self.clocks = draw.choice([[0.0], [0.0], [0.0, -7.0, 15.0], [0.0, 0.0, -3600.0, 86_400.0]])

    async def say(self, orchestrator: Orchestrator) -> None:
        """Say that there is this schedule, if the store can be reached."""
        with contextlib.suppress(OrchwfError):
            await orchestrator.schedule(self._workflow(), name=NAME, **self._options)

    async def end(self, orchestrator: Orchestrator) -> None:
        """See that the one good process that is left serves the schedule, and delete it."""
        await asyncio.sleep(60 + _PATIENCE)
        before = await self._late(orchestrator)
        await asyncio.sleep(_PATIENCE)
        after = await self._late(orchestrator)
        if before is not None and after is not None and before.revision == after.revision:
            self._world.violations.append(f"nobody looks after {after}")
        await (await orchestrator.get_schedule(NAME)).delete()
        # What is just being begun.
        await asyncio.sleep(_PATIENCE)

    async def _late(self, orchestrator: Orchestrator) -> ScheduleRecord | None:
        """The schedule, if something is due and not done."""
        record = (await orchestrator.get_schedule(NAME)).record
        last = await self._world.store.get(record.last_run)
        has_to_wait = record.phase is Phase.WAITING and last is not None and not last.status.is_final
        is_due = due_of(record) <= orchestrator._clock.now()
        return record if is_due and not has_to_wait else None

    async def check(self) -> None:
        """Each time has one run, not before its time, and what is not to overlap does not."""
        world = self._world
        runs = await world.store.runs(RunQuery(tags={"schedule": NAME}))
        world.faults.counts.update({"scheduled": len(runs)} if runs else {})
        times = [str(run.metadata["scheduled_for"]) for run in runs]
        assert sorted(set(times)) == sorted(times), "a time has two runs"
        for run, time in zip(runs, times, strict=True):
            assert f"{NAME}@{time}" == run.id
            # One process may decide it, and another one begin it.
            assert run.created_at >= datetime.fromisoformat(time).timestamp() - max(self.clocks) + min(self.clocks)
            self._check_overlap(run, {other.id for other in runs})

    def _check_overlap(self, run: RunRecord, others: set[str]) -> None:
        met = self._world.books.met.get(run.id, set()) & others
        assert not met or self._options["overlap"] == "cancel", f"{run.id} began while {met} had not ended"
