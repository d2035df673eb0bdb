"""The clock of the machine, which anybody may set."""

import asyncio
import time

import pytest

from orchwf import Orchestrator, Retry, RunStatus, StepContext, make_workflow, step
from orchwf.core.events import StepRetrying
from orchwf.runtime.clock import SystemClock, WallClock
from tests.runtime.flows import log_of


def test_time_never_jumps(monkeypatch: pytest.MonkeyPatch):
    """Within a process time is what it was at first, moved on by a clock that nobody can set."""
    clock = SystemClock()
    before = clock.now()

    monkeypatch.setattr(time, "time", lambda: before + 86_400)

    assert 0 <= clock.now() - before < 60


async def test_the_clock_on_the_wall_is_looked_at_each_time(monkeypatch: pytest.MonkeyPatch):
    """Whoever sets it sets what time of day it is for schedules; what is due is called soon."""
    clock, called = WallClock(), asyncio.Event()
    before = clock.now()

    monkeypatch.setattr(time, "time", lambda: before + 86_400)
    clock.call_at(before + 3600, called.set)
    clock.call_at(before + 86_400 + 3600, pytest.fail)()
    await called.wait()

    assert before + 86_400 == clock.now()


@pytest.mark.parametrize("jump", [-3600.0, 86_400.0])
async def test_a_wall_clock_that_jumps_changes_nothing(jump: float, monkeypatch: pytest.MonkeyPatch):
    """A back-off ends when it should, a time-out comes when it should, and the run took as long as it did."""
    real = time.time
    attempts: list[int] = []

    async def body(ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            monkeypatch.setattr(time, "time", lambda: real() + jump)
            await asyncio.Event().wait()

    flow = make_workflow(
        "Jumps", {"body": step(timeout=0.05, total_timeout=60, retries=Retry(1, initial=0.05, jitter=None))(body)}
    )
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.wait()
        log = await log_of(run)

    (retrying,) = (event for event in log if isinstance(event, StepRetrying))
    assert ([1, 2], RunStatus.COMPLETED) == (attempts, result.status)
    assert result.duration is not None
    assert 0.1 <= result.duration < 30
    assert sorted(event.at for event in log) == [event.at for event in log]
    assert retrying.due_at is not None
    assert 0.05 == pytest.approx(retrying.due_at - retrying.at)
