"""Ranges of times that are run, or run again: each time once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchwf import (
    RunInterruptedError,
    RunStatus,
    ScheduledRun,
    ScheduleNotFoundError,
    StepContext,
    UnknownWorkflowError,
    UsageError,
    WorkflowChangedError,
    make_workflow,
    step,
)
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate
from tests.schedules.flows import Long, Report, at, clock_at, runs_of, served

FROM, TO = at("2026-11-20 00:00"), at("2026-11-23 06:00")


async def test_the_runs_of_a_range():
    """Its beginning is in it, its end is not; ids, metadata and inputs are those that the schedule would have given."""
    clock = clock_at("2026-11-27 12:00")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(shop="us"), cron="0 6 * * *", tz="Europe/Berlin", name="nightly")
        done = await schedule.backfill(at("2026-11-20 06:00"), TO)
        runs = await runs_of(orchestrator, "nightly")
        result = await (await orchestrator.get("nightly@2026-11-20T06:00:00+01:00")).result()

    assert [
        ScheduledRun(at=at(f"2026-11-{day} 06:00"), run_id=f"nightly@2026-11-{day}T06:00:00+01:00",
                     status=RunStatus.COMPLETED) for day in (20, 21, 22)
    ] == done  # fmt: skip
    assert [each.run_id for each in done] == [run.id for run in runs]
    assert "us 2026-11-20T06:00:00+01:00" == result[Report.write]
    assert at("2026-11-28 06:00") == schedule.next_at


async def test_a_dry_run_lists_the_times():
    """And what became of them, which is nothing yet; of the future, too."""
    clock = clock_at("2026-11-27 12:00")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="0 6 * * *", tz="Europe/Berlin")
        await schedule.backfill(at("2026-11-21 00:00"), at("2026-11-22 00:00"))
        listed = await schedule.backfill(FROM, at("2026-11-23 00:00"), dry_run=True)
        future = await schedule.backfill(at("2027-01-01 00:00"), at("2027-01-03 00:00"), dry_run=True)
        runs = await runs_of(orchestrator, "Report")

    assert [None, RunStatus.COMPLETED, None] == [each.status for each in listed]
    assert [20, 21, 22] == [each.at.day for each in listed]
    assert 2 == len(future)
    assert 1 == len(runs)


async def test_what_was_run_is_not_run_again():
    """However it ended, and whoever began it: the clock, or a backfill before."""
    bodies: list[str] = []

    @step
    async def fail(ctx: StepContext) -> None:
        bodies.append(ctx.run_id)
        raise ValueError("no")

    flow = make_workflow("Failing", [fail])
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, flow) as orchestrator:
        schedule = await orchestrator.schedule(flow(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("90m")
        first = await schedule.backfill(at("2026-11-27 11:00"), at("2026-11-27 13:01"))
        second = await schedule.backfill(at("2026-11-27 11:00"), at("2026-11-27 13:01"))

    assert [RunStatus.FAILED] * 3 == [each.status for each in first]
    assert first == second
    assert 3 == len(bodies) == len(set(bodies))


async def test_the_clock_does_not_begin_what_a_backfill_has():
    """If the time comes before the schedule is moved on to what follows."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", jitter="20m")
        await clock.advance("61s")
        await schedule.backfill(at("2026-11-27 12:00"), at("2026-11-27 12:00:01"))
        await clock.advance("59m")
        (run,) = await runs_of(orchestrator, "Report")
        record = (await orchestrator.get_schedule("Report")).record

    assert run.id == record.last_run
    assert "Report@2026-11-27T12:00:00+01:00" == run.id
    assert at("2026-11-27 13:00").timestamp() == record.next_at


async def test_what_a_backfill_has_run_was_not_missed():
    """Nobody was there when those times came; the schedule goes on as if somebody had been."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("30m")
    await clock.advance("3h")
    async with served(clock, store=store) as orchestrator:
        schedule = await orchestrator.get_schedule("Report", workflow=Report)
        await schedule.backfill(at("2026-11-27 13:00"), at("2026-11-27 15:01"))
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("1s")
        record = (await orchestrator.get_schedule("Report")).record

    assert (None, "Report@2026-11-27T15:00:00+01:00") == (record.skipped_at, record.last_run)
    assert at("2026-11-27 16:00").timestamp() == record.next_at


@pytest.mark.parametrize("concurrency", [1, 2, 5, 50])
async def test_concurrency(concurrency: int):
    """So many runs are unfinished at a time, and they are begun in order."""
    clock = clock_at("2026-11-27 12:00", auto=True)
    async with served(clock) as orchestrator:
        schedule = await orchestrator.schedule(Long(), cron="0 6 * * *", tz="Europe/Berlin")
        await schedule.pause()
        done = await schedule.backfill(at("2026-11-15 00:00"), at("2026-11-25 00:00"), concurrency=concurrency)
        runs = await runs_of(orchestrator, "Long")

    spans = [(run.created_at, run.ended_at or 0.0) for run in runs]
    most = max(sum(begin <= other < end for begin, end in spans) for other, _ in spans)
    assert [RunStatus.COMPLETED] * 10 == [each.status for each in done]
    assert [each.run_id for each in done] == [run.id for run in runs]
    assert min(10, concurrency) == most


async def test_where_the_clocks_are_set():
    """A day has 23 hours, or 25."""
    clock = clock_at("2026-11-27 12:00")
    async with served(clock) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        spring = await schedule.backfill(at("2026-03-29 00:00"), at("2026-03-30 00:00"), dry_run=True)
        autumn = await schedule.backfill(at("2026-10-25 00:00"), at("2026-10-26 00:00"), dry_run=True)

    assert (23, 25) == (len({each.run_id for each in spring}), len({each.run_id for each in autumn}))


async def test_a_backfill_that_was_interrupted_is_gone_on_with():
    """By the same call: what was begun is taken up, what was not is begun, what had ended stays."""
    gate, store, clock = Gate(), MemoryStore(), clock_at("2026-11-27 12:00")
    bodies: list[str] = []

    @step
    async def wait(ctx: StepContext) -> None:
        bodies.append(ctx.run_id)
        if len(bodies) == 2:
            await gate.pass_through()

    flow = make_workflow("Waiting", [wait])
    async with served(clock, store=store, grace=0) as orchestrator:
        schedule = await orchestrator.schedule(flow(), cron="0 6 * * *", tz="Europe/Berlin")
        filling = asyncio.create_task(schedule.backfill(FROM, TO))
        await gate.came.get()
    with pytest.raises(RunInterruptedError):
        await filling
    async with served(clock, store=store) as orchestrator:
        schedule = await orchestrator.get_schedule("Waiting", workflow=flow)
        done = await schedule.backfill(FROM, TO)

    assert [f"Waiting@2026-11-{day}T06:00:00+01:00" for day in (20, 21, 21, 22)] == bodies
    assert [RunStatus.COMPLETED] * 3 == [each.status for each in done]


async def test_a_run_that_another_process_executes_is_waited_for():
    """It is not begun a second time."""
    gate, store, clock = Gate(), MemoryStore(), clock_at("2026-11-27 12:00", auto=True)

    @step
    async def wait() -> None:
        await gate.pass_through()

    flow = make_workflow("Waiting", [wait])
    async with served(clock, store=store) as other, served(clock, store=store) as orchestrator:
        schedule = await other.schedule(flow(), cron="0 6 * * *", tz="Europe/Berlin")
        filling = asyncio.create_task(schedule.backfill(FROM, at("2026-11-21 00:00")))
        await gate.came.get()
        same = await orchestrator.get_schedule("Waiting", workflow=flow)
        waiting = asyncio.create_task(same.backfill(FROM, at("2026-11-21 00:00")))
        await asyncio.sleep(0.01)
        was_done = waiting.done()
        gate.open()
        done = [await filling, await waiting]

    assert not was_done
    assert [RunStatus.COMPLETED] * 2 == [each.status for one in done for each in one]
    assert gate.came.empty()


async def test_a_paused_run_ends_nothing():
    """It waits for somebody, and the next one begins."""
    clock = clock_at("2026-11-27 12:00")

    @step(on_exhausted="pause")
    async def fail() -> None:
        raise ValueError("no")

    flow = make_workflow("Pausing", [fail])
    async with served(clock) as orchestrator:
        schedule = await orchestrator.schedule(flow(), cron="0 6 * * *", tz="Europe/Berlin")
        first = await schedule.backfill(FROM, TO)
        second = await schedule.backfill(FROM, TO)

    assert [RunStatus.PAUSED] * 3 == [each.status for each in first]
    assert first == second


async def test_a_run_whose_graph_has_changed():
    """It can neither go on nor be begun again: the error says what would do."""
    gate, store, clock = Gate(), MemoryStore(), clock_at("2026-11-27 12:00")

    @step
    async def wait() -> None:
        await gate.pass_through()

    def more() -> None: ...

    flow, other = make_workflow("Changing", [wait]), make_workflow("Changing", {"wait": wait, "more": more})
    async with served(clock, store=store, grace=0) as orchestrator:
        schedule = await orchestrator.schedule(flow(), cron="0 6 * * *", tz="Europe/Berlin")
        filling = asyncio.create_task(schedule.backfill(FROM, TO))
        await gate.came.get()
    with pytest.raises(RunInterruptedError):
        await filling
    async with served(clock, store=store, grace=0) as orchestrator:
        schedule = await orchestrator.get_schedule("Changing", workflow=other)
        with pytest.raises(WorkflowChangedError, match="was started with another graph"):
            await schedule.backfill(FROM, TO, concurrency=2)


@pytest.mark.parametrize(
    ("start", "end", "options", "told"),
    [
        (datetime(2026, 11, 1), TO, {}, "start takes an aware datetime, such as datetime(2026, 11, 2, tzinfo=UTC)"),
        (FROM, datetime(2026, 11, 1), {}, "end takes an aware datetime"),
        (FROM, "2026-11-23", {}, "end takes an aware datetime, such as datetime(2026, 11, 2, tzinfo=UTC), not '2026"),
        (FROM, FROM, {}, "the range is empty: it begins 2026-11-20T00:00:00+01:00 and ends 2026-11-20T00:00:00+01:00"),
        (TO, FROM, {}, "the range is empty"),
        (FROM, at("2026-11-28 00:00"), {}, "the range ends in the future, 2026-11-28T00:00:00+01:00"),
        (FROM, TO, {"concurrency": 0}, "concurrency takes a whole number of at least 1, not 0"),
        (FROM, TO, {"concurrency": True}, "concurrency takes a whole number of at least 1, not True"),
    ],
)
async def test_ranges_that_are_none(start: Any, end: Any, options: dict[str, Any], told: str):
    """One error, and nothing is begun."""
    async with served(clock_at("2026-11-27 12:00")) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="0 6 * * *", tz="Europe/Berlin")
        with pytest.raises(UsageError) as caught:
            await schedule.backfill(start, end, **options)
        runs = await runs_of(orchestrator, "Report")

    assert told in str(caught.value)
    assert [] == runs


async def test_more_times_than_anyone_means():
    """A range of centuries is a mistake."""
    async with served(clock_at("2026-11-27 12:00")) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="* * * * *")
        with pytest.raises(UsageError, match="there are more than 100,000 times in this range"):
            await schedule.backfill(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), dry_run=True)


async def test_a_range_without_times():
    """Is done at once."""
    async with served(clock_at("2026-11-27 12:00")) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="0 6 * * *", tz="Europe/Berlin")
        done = await schedule.backfill(FROM, FROM + timedelta(hours=1), concurrency=3)

    assert [] == done


async def test_a_workflow_that_is_not_known():
    """The error says where to give it; a dry run needs none."""
    store, clock = MemoryStore(), clock_at("2026-11-27 12:00")
    async with served(clock, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="0 6 * * *", tz="Europe/Berlin")
    async with served(clock, store=store) as orchestrator:
        schedule = await orchestrator.get_schedule("Report")
        with pytest.raises(UnknownWorkflowError, match="does not know the workflow 'Report'"):
            await schedule.backfill(FROM, TO)
        listed = await schedule.backfill(FROM, TO, dry_run=True)
        await schedule.delete()
        with pytest.raises(ScheduleNotFoundError):
            await schedule.backfill(FROM, TO)

    assert 3 == len(listed)


async def test_a_run_that_is_deleted_meanwhile():
    """Is there no more, and keeps nothing from going on."""
    gate, clock = Gate(), clock_at("2026-11-27 12:00")
    store = MemoryStore()

    @step
    async def wait() -> None:
        await gate.pass_through()

    flow = make_workflow("Waiting", [wait])
    async with served(clock, store=store) as orchestrator:
        schedule = await orchestrator.schedule(flow(), cron="0 6 * * *", tz="Europe/Berlin")
        filling = asyncio.create_task(schedule.backfill(FROM, at("2026-11-21 12:00"), concurrency=2))
        await gate.came.get()
        await gate.came.get()
        await store.delete(["Waiting@2026-11-20T06:00:00+01:00"])
        gate.open()
        done = await filling

    assert [None, RunStatus.COMPLETED] == [each.status for each in done]
