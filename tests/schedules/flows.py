"""Workflows that the tests of schedules run, and how they look at what came of it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchwf import Orchestrator, Retry, RunRecord, StepContext, step, workflow
from orchwf.testing import FakeClock, TestOrchestrator

BERLIN = ZoneInfo("Europe/Berlin")


@workflow
class Report:
    """It ends at once, and returns the time that it is for."""

    shop: str = "eu"

    @step
    async def write(self, ctx: StepContext) -> str:
        return f"{self.shop} {ctx.metadata['scheduled_for']}"


@workflow
class Long:
    """It takes two and a half hours, all of it waiting."""

    @step(retries=Retry(1, initial="150m", max_interval="1d", jitter=None))
    async def crunch(self, ctx: StepContext) -> int:
        if ctx.attempt == 1:
            raise ConnectionError("not yet")
        return ctx.attempt


def at(text: str) -> datetime:
    """`2026-11-27 12:00`, in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def clock_at(text: str, *, auto: bool = False) -> FakeClock:
    """A clock that shows this in Berlin."""
    return FakeClock(at(text), auto=auto)


def served(clock: FakeClock, *workflows: type, store: Any = None, **options: Any) -> TestOrchestrator:
    """An orchestrator for these workflows."""
    return TestOrchestrator(store, workflows=workflows, clock=clock, **options)


async def runs_of(orchestrator: Orchestrator, name: str) -> list[RunRecord]:
    """All runs of a schedule, the oldest first."""
    return list(await orchestrator.list_runs(tags={"schedule": name}, limit=10_000))[::-1]


async def story(orchestrator: Orchestrator, name: str) -> list[str]:
    """`12:00 at 14:30 completed`: the time of each run, when it was begun, and where it is; the oldest first."""
    return [
        f"{record.id.rpartition('T')[2][:5]} at {clock_text(record.created_at)} {record.status}"
        for record in await runs_of(orchestrator, name)
    ]


def clock_text(epoch: float) -> str:
    """`14:30`, in Berlin."""
    return f"{datetime.fromtimestamp(epoch, BERLIN):%H:%M}"
