"""
What the Go package of the same name was seen to do wrong while runs are executed.

The names of the tests have the numbers of our list of its bugs.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

import pytest

import orchwf
from orchwf import (
    Orchestrator,
    Retry,
    RunCancelled,
    RunFailed,
    StepContext,
    StepTimeoutError,
    make_workflow,
    step,
    workflow,
)
from tests.behaviours.flows import (
    ended,
    log_of,
    nothing,
    raising,
    started_order,
)


def test_bug_02_errors_that_are_not_to_be_retried_are_not():
    """A step whose filter does not have the error is tried once."""
    attempts: list[int] = []

    @workflow
    class Filtered:
        @step(retries=Retry(3, initial=0, retry_on=TimeoutError))
        async def denied(self, *, ctx: StepContext) -> None:
            attempts.append(ctx.attempt)
            raise PermissionError("denied")

    with pytest.raises(RunFailed):
        orchwf.run(Filtered(), store="memory:")

    assert attempts == [1]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_bug_03_concurrency_is_bounded(limit: int):
    """As many steps run at once as were allowed, and never more."""
    alive, most = 0, 0

    async def body() -> None:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        for _ in range(5):
            await asyncio.sleep(0)
        alive -= 1

    flow = make_workflow("Wide", {f"s{number}": body for number in range(20)})

    await ended(flow(), limit=limit)

    assert most == limit


async def test_bug_06_a_step_that_ignores_its_timeout_has_failed():
    """A body that goes on after its time is up, and returns, has failed all the same, and its error says so."""

    @workflow
    class Late:
        @step(timeout=0.02)
        async def stubborn(self) -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "done, if late"
            return "never"

    async with Orchestrator("memory:", workflows=[Late]) as orchestrator:
        run = await orchestrator.start(Late())
        result = await run.wait()
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, StepTimeoutError)
    assert result.steps["stubborn"].status == "failed"
    assert "stubborn" not in result.outputs


async def test_bug_06_high_priority_and_timeout():
    """An optional step that times out fails, and the steps after it in the queue run."""

    @workflow
    class Mixed:
        @step(timeout=0.02, required=False, priority=10)
        async def slow(self) -> None:
            await asyncio.Event().wait()

        @step
        async def low(self) -> str:
            return "ran"

    result = await ended(Mixed(), limit=1)

    assert (result.status, result.steps["slow"].status, result.outputs) == ("completed", "failed", {"low": "ran"})


async def test_bug_07_each_attempt_has_its_own_timeout():
    """A wait between attempts that is longer than the time-out takes nothing from the next attempt."""

    @workflow
    class Patient:
        @step(timeout=0.02, retries=Retry(1, initial=0.04, jitter=None))
        async def second_time(self, *, ctx: StepContext) -> int:
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return ctx.attempt

    result = await ended(Patient())

    assert result[Patient.second_time] == 2


async def test_bug_08_no_level_barriers():
    """The successor of a fast step starts while a slow step of the first level still runs."""
    reached = asyncio.Event()

    @workflow
    class Levels:
        @step(timeout="30s")
        async def slow(self) -> None:
            await reached.wait()

        @step
        async def fast(self) -> None: ...

        @step(depends_on=fast)
        async def after_fast(self) -> None:
            reached.set()

    result = await ended(Levels())

    assert result.status == "completed"


async def test_bug_09_equal_priorities_start_in_the_order_of_definition():
    """Forty steps of one priority start as they were written, every time."""
    names = [f"step {number}" for number in range(40)]

    started = await started_order(dict.fromkeys(names, nothing))

    assert started == names


class Panic(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("error", [Panic("out of order"), SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
async def test_bug_33_whatever_a_body_raises_is_a_failure_of_its_step(error: BaseException):
    """Nothing that a body raises leaves the run running, or ends the program."""
    flow = make_workflow("Panics", {"bad": raising(error)})

    result = await ended(flow())

    assert (result.status, result.steps["bad"].status) == ("failed", "failed")


async def test_bug_13_34_cancelling_stops_what_runs_and_starts_nothing():
    """A cancelled run stops its step, starts no other, and says why."""
    begun = asyncio.Event()

    @workflow
    class Long:
        @step
        async def forever(self) -> None:
            begun.set()
            await asyncio.Event().wait()

        @step(depends_on=forever)
        async def never(self) -> None: ...

    async with Orchestrator("memory:", workflows=[Long]) as orchestrator:
        run = await orchestrator.start(Long())
        await begun.wait()
        await run.cancel("enough")
        result = await run.wait()
        with pytest.raises(RunCancelled, match="enough"):
            await run.result()
        events = await log_of(run)

    assert result.status == "cancelled"
    assert {record.status.value for record in result.steps.values()} == {"cancelled"}
    assert [event.step for event in events if event.kind == "step.started"] == ["forever"]


async def test_bug_35_a_wait_between_attempts_can_be_cancelled():
    """A run that waits an hour for its next attempt is cancelled at once."""
    flow = make_workflow(
        "Waits", {"bad": step(retries=Retry(1, initial=3600, max_interval=3600, jitter=None))(raising(OSError()))}
    )

    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        async for event in run.events(follow=True):
            if event.kind == "step.retrying":
                break
        await run.cancel("no time")
        result = await run.wait(timeout=30)

    assert result.status == "cancelled"


async def test_bug_37_all_failures_are_reported():
    """Two steps that fail in a run that goes on after the first failure are both in the cause."""
    errors = [ValueError("one"), KeyError("two")]
    flow = two_failures(errors)

    with pytest.raises(RunFailed) as caught:
        async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
            await orchestrator.run(flow())

    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert list(caught.value.__cause__.exceptions) == errors
    assert set(caught.value.steps) == {"one", "two"}


def two_failures(errors: Iterable[Exception]) -> type:
    """A workflow of two independent steps that raise these, and that lets both run."""
    first, second = errors

    @workflow(fail_fast=False)
    class Both:
        @step
        async def one(self) -> None:
            raise first

        @step
        async def two(self) -> None:
            raise second

    return Both


async def test_bug_43_a_run_has_a_deadline():
    """A run that is not over when its deadline comes fails, and its step is stopped."""

    @workflow(deadline=0.02)
    class Overdue:
        @step
        async def forever(self) -> None:
            await asyncio.Event().wait()

    result = await ended(Overdue())

    assert result.status == "failed"
    assert "deadline" in result.error


def test_bug_30_one_branch_runs():
    """Of steps with conditions that exclude each other one runs, and its output is taken."""
    calls: list[str] = []

    @workflow
    class Branches:
        @step
        def kind(self) -> Literal["basic", "premium"]:
            return "premium"

        @step(when=kind.is_("basic"))
        def basic(self) -> str:
            calls.append("basic")
            return "a leaflet"

        @step(when=kind.is_("premium"))
        def premium(self) -> str:
            calls.append("premium")
            return "a present"

        @step
        def send(self, gift: str = (basic | premium).result) -> str:
            return gift

    result = orchwf.run(Branches(), store="memory:")

    assert calls == ["premium"]
    assert result[Branches.send] == "a present"
    assert result.steps["basic"].status == "skipped"
