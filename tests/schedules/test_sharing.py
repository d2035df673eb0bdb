"""Many orchestrators that serve one schedule, and those that die in the midst of it: each time has one run."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from orchwf import RunStatus, StepContext, StoreError, make_workflow, step
from orchwf.core.schedules import ScheduleRecord
from orchwf.ports import Append, Store
from orchwf.stores import MemoryStore
from orchwf.testing.relay import Relay
from tests.schedules.flows import Long, Report, clock_at, clock_text, runs_of, served, story

T = TypeVar("T")


async def test_two_orchestrators_on_one_file(tmp_path: Path):
    """Each has its own connection; each hour of two days is begun once, and its body runs once."""
    bodies: list[str] = []

    @step
    async def note(ctx: StepContext) -> None:
        bodies.append(ctx.run_id)

    flow = make_workflow("Noted", [note])
    clock, url = clock_at("2026-10-24 00:30"), f"sqlite:///{tmp_path / 'runs.db'}?durability=process"
    async with served(clock, flow, store=url) as one, served(clock, flow, store=url) as other:
        for orchestrator in (one, other):
            await orchestrator.schedule(flow(), cron="@hourly", tz="Europe/Berlin", catchup="7d", jitter="1m")
        await clock.advance("2d")
        runs = await runs_of(one, "Noted")
        (schedule,) = await other.schedules()

    assert 48 == len({run.id for run in runs}) == len(runs)
    assert Counter(run.id for run in runs) == Counter(bodies)
    assert {RunStatus.COMPLETED} == {run.status for run in runs}
    assert (runs[-1].id, None) == (schedule.record.last_run, schedule.record.skipped_at)


class Slow(Relay):
    """A store whose calls take their time, each another one."""

    def __init__(self, inner: Store, chance: random.Random) -> None:
        super().__init__(inner)
        self._chance = chance

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        await asyncio.sleep(self._chance.random() * 0.004)
        result = await call()
        await asyncio.sleep(self._chance.random() * 0.004)
        return result

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        return await self.passed(lambda: self.inner.append(appends))


@pytest.mark.slow
@pytest.mark.parametrize("overlap", ["skip", "queue"])
@pytest.mark.parametrize("seed", range(3))
async def test_no_two_runs_overlap(overlap: str, seed: int):
    """However late each of three orchestrators sees what the others do: all act on one decision."""
    clock, store, chance = clock_at("2026-11-27 11:59"), MemoryStore(), random.Random(seed)
    async with AsyncExitStack() as stack:
        orchestrators = [
            await stack.enter_async_context(served(clock, Long, store=Slow(store, chance))) for _ in range(3)
        ]
        for orchestrator in orchestrators:
            await orchestrator.schedule(
                Long(),
                cron="*/50 * * * *",
                tz="Europe/Berlin",
                overlap=overlap,  # type: ignore[arg-type]
            )
        for _ in range(24):
            # What others execute is seen to have ended from time to time.
            await clock.advance("30m")
        runs = await runs_of(orchestrators[0], "Long")

    ends = [run.ended_at for run in runs[:-1]]
    assert len(runs) > 3
    assert None not in ends
    assert all(end is not None and end <= run.created_at for end, run in zip(ends, runs[1:], strict=True))


class Dying(Relay):
    """The store as a process sees it that dies at its n-th write, before or after that: nothing comes of it then."""

    def __init__(self, inner: Store, last: int, *, is_done: bool) -> None:
        super().__init__(inner)
        self._left, self._is_done, self.is_dead = last, is_done, False

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        if self.is_dead:
            raise StoreError("the process is dead")
        return await call()

    async def _written(self, call: Callable[[], Awaitable[T]]) -> T:
        self._left -= 1
        if self._left == 0:
            if self._is_done:
                await self.passed(call)
            self.is_dead = True
        return await self.passed(call)

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        return await self._written(lambda: self.inner.append(appends))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return await self._written(lambda: self.inner.put_schedule(schedule))


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(2, 14))
@pytest.mark.parametrize("catchup", [None, "1d"])
async def test_a_process_that_dies_wherever_it_can(place: int, catchup: str | None, *, is_done: bool):
    """
    At each of its writes. What has a run has one, the schedule knows the last one, and what was decided is begun,
    however late. Without a catchup, what was not decided is missed and told.
    """
    clock = clock_at("2026-11-27 11:59")
    store = MemoryStore(clock.now)
    doomed = Dying(store, place, is_done=is_done)
    async with served(clock, Report, store=doomed) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", catchup=catchup)
        await clock.advance("3h")
    was_dead = doomed.is_dead
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("59m")
        told = await story(orchestrator, "Report")
        (schedule,) = await orchestrator.schedules()

    times = [text[:5] for text in told]
    missed = {"12:00", "13:00", "14:00", "15:00"} - {*times}
    skipped_at = schedule.record.skipped_at
    assert was_dead
    assert sorted(set(times)) == times
    assert all(text.endswith("completed") for text in told)
    assert "Report@2026-11-27T15:00:00+01:00" == schedule.record.last_run
    assert catchup is None or not missed
    assert max(missed, default=None) == (None if skipped_at is None else clock_text(skipped_at))


async def test_a_process_that_dies_between_a_run_and_the_next_time():
    """The run is there once, and whoever comes moves the schedule on, though a catchup would not reach so far."""
    clock = clock_at("2026-11-27 11:59")
    store = MemoryStore(clock.now)
    doomed = Dying(store, 3, is_done=True)
    async with served(clock, Report, store=doomed) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("2m")
    (between,) = await store.schedules()
    created = await store.get("Report@2026-11-27T12:00:00+01:00")
    await clock.advance("5h30m")
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("10s")
        told = await story(orchestrator, "Report")
        (schedule,) = await orchestrator.schedules()

    assert created is not None
    assert (RunStatus.RUNNING, "", "begun") == (created.status, between.last_run, between.phase)
    assert ["12:00 at 12:00 completed"] == told
    assert created.id == schedule.record.last_run
    assert ("17:00", "18:00") == (
        clock_text(schedule.record.skipped_at or 0), clock_text(schedule.record.next_at),
    )  # fmt: skip


async def test_asking_for_runs_survives_a_death():
    """Who dies after it has begun what was asked for is followed by one that finds the run."""
    clock = clock_at("2026-11-27 11:55")
    store = MemoryStore(clock.now)
    async with served(clock, store=store) as asking:
        await asking.schedule(Report(), cron="@daily")
        _, record = await asking._scheduler.schedules.ask("Report")
    async with served(clock, Report, store=Dying(store, 1, is_done=True)) as orchestrator:
        await clock.advance("1s")
    (between,) = await store.schedules()
    await clock.advance("1m")
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("10s")
        (run,) = await runs_of(orchestrator, "Report")
        (schedule,) = await orchestrator.schedules()

    assert record.asked == between.asked
    assert ([run.id], RunStatus.COMPLETED) == ([*record.asked], run.status)
    assert {} == schedule.record.asked


async def test_a_schedule_that_is_deleted_while_it_fires():
    """Nothing more comes of it."""

    class Deleting(Relay):
        async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
            if schedule.phase == "begun":
                await self.inner.delete_schedule(schedule.name)
            return await super().put_schedule(schedule)

    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=Deleting(store)) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly")
        await clock.advance("3h")
        runs, schedules = await runs_of(orchestrator, "Report"), await orchestrator.schedules()

    assert ([], []) == (runs, schedules)


async def test_a_schedule_that_others_change_all_the_time():
    """Who wants to change it tries again, with what it has become."""

    class Busy(Relay):
        changes = 0

        async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
            if schedule.revision and self.changes < 3:
                self.changes += 1
                (known,) = await self.inner.schedules(schedule.name)
                await self.inner.put_schedule(known.asked_for(f"r{self.changes}", 1.0))
            return await super().put_schedule(schedule)

    store = Busy(MemoryStore())
    async with served(clock_at("2026-11-27 11:59"), store=store) as orchestrator:
        schedule = await orchestrator.schedule(Long(), cron="@hourly")
    async with served(clock_at("2026-11-27 11:59"), store=store) as orchestrator:
        schedule = await orchestrator.get_schedule("Long")
        await schedule.pause()
        first = schedule.record
        store.changes = 0
        draft = await orchestrator._scheduler.schedules.drafted(
            Long(), cron="@daily", tz="UTC", overlap="skip", catchup=None, jitter=None, name=None
        )
        second = await orchestrator._scheduler.schedules.declare(draft)

    assert (True, ["r1", "r2", "r3"]) == (first.is_paused, [*first.asked])
    assert ("@daily", True) == (second.cron, second.is_paused)
