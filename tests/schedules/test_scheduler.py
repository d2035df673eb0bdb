"""Schedules that fire: when, how often, with what, and what becomes of times that overlap or were missed."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import attrs
import pytest

from orchwf import (
    BadOptionError,
    EncodingError,
    Orchestrator,
    RunStatus,
    ScheduleNotFoundError,
    StoreBusyError,
    StoreError,
    UnknownWorkflowError,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core.schedules import ScheduleRecord, delay_of
from orchwf.runtime.scheduled import begin
from orchwf.stores import MemoryStore
from orchwf.testing import crash_everywhere
from orchwf.testing.relay import Relay
from tests.runtime.flows import Gate
from tests.schedules.flows import Long, Report, at, clock_at, clock_text, runs_of, served, story


async def test_a_day_of_an_hourly_schedule():
    """Each hour has one run, named by it, begun at it, which finds it in its metadata; here the day has 25 hours."""
    clock = clock_at("2026-10-24 23:30")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("25h")
        runs = await runs_of(orchestrator, "Report")
        outputs = [(await (await orchestrator.get(run.id)).result())[Report.write] for run in runs]
        again = await orchestrator.get_schedule("Report")

    times = [f"2026-10-25T{hour:02}:00:00+0{2 if hour < 3 else 1}:00" for hour in range(24)]
    times.insert(3, "2026-10-25T02:00:00+01:00")
    assert [f"Report@{time}" for time in times] == [run.id for run in runs]
    assert [f"eu {time}" for time in times] == outputs
    assert {RunStatus.COMPLETED} == {run.status for run in runs}
    assert [0.0] * 25 == [run.created_at % 3600 for run in runs]
    assert {"schedule": "Report", "scheduled_for": times[0]} == runs[0].metadata
    assert {"schedule": "Report"} == runs[0].tags
    assert at("2026-10-25 00:00") == schedule.next_at
    assert schedule.last_at is None
    assert (at("2026-10-26 00:00"), at("2026-10-25 23:00")) == (again.next_at, again.last_at)
    assert runs[-1].id == again.record.last_run


async def test_what_a_schedule_tells():
    """The times to come on its clocks; once it is paused none is next."""
    clock = clock_at("2026-10-24 12:00")
    async with served(clock) as orchestrator:
        schedule = await orchestrator.schedule(
            Report(), cron="30 2 * * *", tz="Europe/Berlin", name="nightly", overlap="queue", catchup="1h", jitter=30
        )
        times = schedule.next_times(2)
        shown, (listed,) = repr(schedule), await orchestrator.schedules()
        await schedule.pause()
        paused_times, paused_shown = schedule.next_times(2), repr(schedule)

    assert ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"] == [time.isoformat() for time in times]
    assert "<schedule nightly: 30 2 * * * Europe/Berlin, next 2026-10-25T02:30:00+02:00>" == shown
    assert "<schedule nightly: 30 2 * * * Europe/Berlin, paused>" == paused_shown
    assert ("nightly", "Report", "queue", 3600.0, 30.0) == (
        listed.name, listed.record.workflow, listed.record.overlap, listed.record.catchup, listed.record.jitter,
    )  # fmt: skip
    assert (None, True, times) == (schedule.next_at, schedule.is_paused, paused_times)
    with pytest.raises(UsageError, match="next_times takes a whole number of at least 1, not 0"):
        schedule.next_times(0)


async def test_jitter_delays_by_what_is_drawn():
    """The time that names the run is the one that the expression names."""
    clock = clock_at("2026-11-27 12:30")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", jitter="30m")
        await clock.advance("5h")
        runs = await runs_of(orchestrator, "Report")

    nominal = [run.created_at // 3600 * 3600 for run in runs]
    delays = [delay_of(schedule.record, time) for time in nominal]
    assert 5 == len(runs)
    assert delays == pytest.approx([run.created_at - time for run, time in zip(runs, nominal, strict=True)])
    assert 5 == len({round(delay) for delay in delays})
    assert all(run.id.endswith(":00:00+00:00") for run in runs)


# Overlaps.


async def test_overlap_skip():
    """Times at which the run before goes on are left out, and the last of them is told."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("4h30m")
        told = await story(orchestrator, "Long")
        schedule = await orchestrator.get_schedule("Long")

    assert ["12:00 at 12:00 completed", "15:00 at 15:00 running"] == told
    assert ("16:00", "overlap") == (clock_text(schedule.record.skipped_at or 0), schedule.record.skipped)


async def test_overlap_queue():
    """One time waits for the run before to end; others that come meanwhile are missed."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin", overlap="queue")
        await clock.advance("6h")
        told = await story(orchestrator, "Long")
        schedule = await orchestrator.get_schedule("Long")

    assert ["12:00 at 12:00 completed", "13:00 at 14:30 completed", "15:00 at 17:00 running"] == told
    assert ("16:00", "missed") == (clock_text(schedule.record.skipped_at or 0), schedule.record.skipped)


async def test_overlap_queue_with_catchup():
    """All have their turn, as long as they are no older than that."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin", overlap="queue", catchup="4h")
        await clock.advance("10h")
        told = await story(orchestrator, "Long")

    assert [
        "12:00 at 12:00 completed", "13:00 at 14:30 completed", "14:00 at 17:00 completed", "15:00 at 19:30 running",
    ] == told  # fmt: skip


async def test_what_waits_is_begun_after_a_restart():
    """However late that is: somebody was there when its time came."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Long, store=store) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin", overlap="queue")
        await clock.advance("90m")
    await clock.advance("10h")
    async with served(clock, Long, store=store) as orchestrator:
        await clock.advance("1m")
        told = await story(orchestrator, "Long")

    assert ["12:00 at 12:00 completed", "13:00 at 23:29 running"] == told


async def test_overlap_cancel():
    """The run before is cancelled, with the reason, and the new one begins at its time."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin", overlap="cancel")
        await clock.advance("2h")
        told, runs = await story(orchestrator, "Long"), await runs_of(orchestrator, "Long")

    assert ["12:00 at 12:00 cancelled", "13:00 at 13:00 running"] == told
    assert "Long@2026-11-27T13:00:00+01:00 begins" == runs[0].error


async def test_a_paused_run_has_not_ended():
    """Whoever resumes or cancels it lets the schedule go on."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin", overlap="queue")
        await clock.advance("10m")
        run = await orchestrator.get("Long@2026-11-27T12:00:00+01:00")
        await run.pause()
        await clock.advance("5h")
        paused = await story(orchestrator, "Long")
        await run.terminate()
        await clock.advance("1m")
        told = await story(orchestrator, "Long")

    assert ["12:00 at 12:00 paused"] == paused
    assert ["12:00 at 12:00 cancelled", "13:00 at 17:09 running"] == told


async def test_a_run_that_was_deleted_has_ended():
    """Nothing waits for it."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("10m")
        run = await orchestrator.get("Long@2026-11-27T12:00:00+01:00")
        await run.terminate()
        await run.wait()
        await orchestrator.delete(run.id)
        await clock.advance("1h")
        told = await story(orchestrator, "Long")

    assert ["13:00 at 13:00 running"] == told


# Down-times.


@pytest.mark.parametrize(
    ("catchup", "told", "skipped"),
    [
        (None, ["12:00 at 12:00 completed", "19:00 at 19:00 completed"], "18:00"),
        ("2h", ["12:00 at 12:00 completed", "17:00 at 18:30 completed", "18:00 at 18:30 completed",
                "19:00 at 19:00 completed"], "16:00"),
        (timedelta(days=1), [f"{hour}:00 at {'18:30' if 12 < hour < 19 else f'{hour}:00'} completed"
                             for hour in range(12, 20)], None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
async def test_times_that_were_missed(
    overlap: str, catchup: Any, told: list[str], skipped: str | None, caplog: pytest.LogCaptureFixture
):
    """Those that `catchup` reaches are begun one after the other, whatever `overlap` says; the others are left out."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator:
        await orchestrator.schedule(
            Report(),
            cron="@hourly",
            tz="Europe/Berlin",
            catchup=catchup,
            overlap=overlap,  # type: ignore[arg-type]
        )
        await clock.advance("31m")
    await clock.advance("6h")
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("45m")
        happened = await story(orchestrator, "Report")
        record = (await orchestrator.get_schedule("Report")).record

    assert told == happened
    assert skipped == (None if record.skipped_at is None else clock_text(record.skipped_at))
    assert (skipped is not None) == ("schedule 'Report' missed its times from 2026-11-27T13:00" in caplog.text)


async def test_a_restart_of_some_seconds_misses_nothing():
    """Without a catchup, too."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
    await clock.advance("1m45s")
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("1s")
        told = await story(orchestrator, "Report")

    assert ["12:00 at 12:00 completed"] == told


# What is done to schedules.


async def test_pause_and_resume():
    """What comes meanwhile is not made up for, also with a catchup."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", catchup="1d")
        await clock.advance("30m")
        await schedule.pause()
        await clock.advance("3h")
        paused = schedule.record
        await schedule.pause()
        twice = schedule.record
        await schedule.resume()
        await clock.advance("1h")
        told = await story(orchestrator, "Report")

    assert ["12:00 at 12:00 completed", "16:00 at 16:00 completed"] == told
    assert not schedule.is_paused
    assert paused == twice


async def test_trigger():
    """A run at once, with an id and a time of its own; the next time comes as it would have, and overlaps nothing."""
    clock = clock_at("2026-11-27 11:55")
    async with served(clock, Long) as orchestrator:
        schedule = await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin")
        run = await schedule.trigger()
        again = await orchestrator.get_schedule("Long")
        await schedule.pause()
        other = await schedule.trigger()
        await schedule.resume()
        await clock.advance("10m")
        runs = await runs_of(orchestrator, "Long")

    assert [run.id, other.id, "Long@2026-11-27T12:00:00+01:00"] == [record.id for record in runs]
    assert run.id.startswith("Long@asked-")
    assert {"schedule": "Long", "scheduled_for": "2026-11-27T11:55:00+01:00"} == runs[0].metadata
    assert at("2026-11-27 12:00") == schedule.next_at == again.next_at


async def test_trigger_of_a_workflow_that_is_not_known():
    """Whoever serves it begins the run, which is asked for in the store."""
    clock, store = clock_at("2026-11-27 11:55"), MemoryStore()
    async with served(clock, store=store) as asking:
        async with served(clock, Report, store=store) as serving:
            await serving.schedule(Report(), cron="@hourly")
        schedule = await asking.get_schedule("Report")
        run = await schedule.trigger()
        nobody = await store.get(run.id)
        async with served(clock, Report, store=store):
            await clock.advance("1s")
            result = await run.result()
        left = (await asking.get_schedule("Report")).record.asked

    assert (None, {}) == (nobody, left)
    assert "eu 2026-11-27T10:55:00+00:00" == result["write"]


async def test_delete():
    """Nothing is begun any more, and what has begun goes on."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("10m")
        await schedule.delete()
        await clock.advance("3h")
        told = await story(orchestrator, "Report")
        calls = (schedule.delete, schedule.pause, schedule.resume, schedule.trigger)
        for call in calls:
            with pytest.raises(ScheduleNotFoundError, match="there is no schedule 'Report' in memory:"):
                await call()

    assert ["12:00 at 12:00 completed"] == told


async def test_a_schedule_that_is_said_again():
    """As a program does each time that it begins: nothing changes unless something else is said."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator:
        first = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await first.pause()
    await clock.advance("1h")
    async with served(clock, Report, store=store) as orchestrator:
        same = await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        other = await orchestrator.schedule(Report(shop="us"), cron="@daily", tz="Europe/Berlin", name="Report")

    assert first.record == same.record
    assert attrs.evolve(
        first.record, inputs='{"shop":"us"}', cron="@daily", next_at=at("2026-11-28 00:00").timestamp(),
        revision=other.record.revision,
    ) == other.record  # fmt: skip


async def test_two_schedules_of_one_workflow():
    """They need names: the second would silently be the first one otherwise."""
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Report) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly")
        with pytest.raises(UsageError, match="two schedules would be called 'Report', as their workflow is"):
            await orchestrator.schedule(Report(shop="us"), cron="@hourly")
        await orchestrator.schedule(Report(shop="us"), cron="@hourly", name="us")
        await clock.advance("10m")
        names = [schedule.name for schedule in await orchestrator.schedules()]
        told = [await story(orchestrator, name) for name in names]

    assert ["Report", "us"] == names
    assert [["11:00 at 12:00 completed"]] * 2 == told


async def test_a_name_that_another_workflow_has():
    """What it was is not lost by accident."""
    async with served(clock_at("2026-11-27 11:59")) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", name="nightly")
        with pytest.raises(UsageError, match="schedule 'nightly' is one of Report, not of Long; choose another name"):
            await orchestrator.schedule(Long(), cron="@hourly", name="nightly")
        (schedule,) = await orchestrator.schedules()

    assert "Report" == schedule.record.workflow


# Who serves what.


async def test_schedules_of_unknown_workflows_are_left_to_others():
    """Until somebody comes who was given the workflow."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", catchup="1d")
    async with served(clock, Long, store=store) as orchestrator:
        await clock.advance("90m")
        before = await story(orchestrator, "Report")
    async with served(clock, Report, store=store) as orchestrator:
        await clock.advance("1m")
        after = await story(orchestrator, "Report")

    assert [] == before
    assert ["12:00 at 13:29 completed", "13:00 at 13:29 completed"] == after


async def test_a_run_of_an_unknown_workflow_is_not_begun():
    """The error names the workflow."""
    async with served(clock_at("2026-11-27 11:59")) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@hourly")
    async with served(clock_at("2026-11-27 11:59")) as orchestrator:
        with pytest.raises(UnknownWorkflowError, match="does not know the workflow 'Report'"):
            await begin(orchestrator._runs, schedule.record, "r", 0.0)


async def test_what_is_scheduled_here_is_served_here():
    """Also if its workflow was not given; others of the same workflow are not."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", name="other")
    async with served(clock, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", name="own")
        await clock.advance("10m")
        told = [len(await runs_of(orchestrator, name)) for name in ("own", "other")]

    assert [1, 0] == told


async def test_a_schedule_that_another_process_adds():
    """It is found when the orchestrator looks the next time."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, Report, store=store) as orchestrator, served(clock, store=store) as other:
        await clock.advance("1s")
        await other._scheduler.schedules.declare(
            await other._scheduler.schedules.drafted(
                Report(), cron="@hourly", tz="Europe/Berlin", overlap="skip", catchup=None, jitter=None, name="added"
            )
        )
        await clock.advance("30s")
        await clock.advance("60s")
        told = await story(orchestrator, "added")

    assert ["12:00 at 12:00 completed"] == told


async def test_the_version_that_a_schedule_was_made_with():
    """Of several that are known it is taken; if it is gone, the newest."""

    def versioned(version: str) -> type:
        @step
        async def tell() -> str:
            return version

        return make_workflow("Versioned", [tell], version=version)

    one, two, three = versioned("1"), versioned("2"), versioned("3")
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    outputs: list[str] = []
    async with served(clock, store=store) as orchestrator:
        await orchestrator.schedule(one(), cron="@hourly")
    for known in ((one, two), (two, three)):
        async with served(clock, *known, store=store) as orchestrator:
            await clock.advance("1h")
            runs = await runs_of(orchestrator, "Versioned")
            outputs.append((await (await orchestrator.get(runs[-1].id)).result())["tell"])

    assert ["1", "3"] == outputs


# What goes wrong.


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"cron": "0 25 * * *"}, BadOptionError, "cron='0 25 * * *' cannot be read: bad hour"),
        ({"tz": "Mars"}, BadOptionError, "tz='Mars' is no time zone"),
        ({"overlap": "maybe"}, BadOptionError, "overlap takes one of 'skip', 'queue', 'cancel', not 'maybe'"),
        ({"overlap": None}, BadOptionError, "overlap takes one of"),
        ({"catchup": "soon"}, BadOptionError, "catchup takes a duration, not 'soon'"),
        ({"jitter": -1}, BadOptionError, "jitter takes a duration, not -1"),
        ({"name": ""}, UsageError, "the name of a schedule takes text of 1 to 200 printable characters"),
        ({"name": "a\nb"}, UsageError, "not 'a\\nb'"),
        ({"name": " a"}, UsageError, "the name of a schedule takes text"),
        ({"name": 3}, UsageError, "not 3"),
        ({"name": "x" * 201}, UsageError, "1 to 200 printable"),
    ],
)
async def test_bad_options(options: dict[str, object], error: type[Exception], told: str):
    """One error, and nothing is stored."""
    async with served(clock_at("2026-11-27 11:59")) as orchestrator:
        with pytest.raises(error) as caught:
            await orchestrator.schedule(Report(), **{"cron": "@daily", **options})  # type: ignore[arg-type]
        schedules = await orchestrator.schedules()

    assert told in str(caught.value)
    assert [] == schedules


async def test_what_cannot_be_scheduled():
    """A class instead of an instance, an input that cannot be stored, something else."""

    @workflow
    class Odd:
        value: object

        @step
        def nothing(self) -> None: ...

    async with served(clock_at("2026-11-27 11:59")) as orchestrator:
        with pytest.raises(UsageError, match=r"schedule\(\) takes an instance with its inputs, Report\(...\)"):
            await orchestrator.schedule(Report, cron="@daily")
        with pytest.raises(EncodingError, match="input 'value' of Odd"):
            await orchestrator.schedule(Odd(value=object()), cron="@daily")
        with pytest.raises(UsageError):
            await orchestrator.schedule(3, cron="@daily")
        with pytest.raises(ScheduleNotFoundError, match=r"there is no schedule 'x' in memory:$"):
            await orchestrator.get_schedule("x")
        await orchestrator.schedule(Report(), cron="@daily", name="nightly")
        with pytest.raises(ScheduleNotFoundError, match=r"Did you mean 'nightly'\?"):
            await orchestrator.get_schedule("nigtly")


async def test_large_inputs():
    """They are encoded in a thread, and come back."""
    shop = "x" * 3_000_000
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Report) as orchestrator:
        schedule = await orchestrator.schedule(Report(shop=shop), cron="@daily")
        result = await (await schedule.trigger()).result()

    assert result["write"].startswith(shop)


async def test_an_orchestrator_that_is_not_open():
    """It says so."""
    for call in (lambda: Orchestrator("memory:").schedules(), lambda: Orchestrator("memory:").get_schedule("x")):
        with pytest.raises(UsageError, match="the orchestrator is not open"):
            await call()
    with pytest.raises(UsageError, match="the orchestrator is not open"):
        await Orchestrator("memory:").schedule(Report(), cron="@daily")


def typed(kind: type, name: str) -> type:
    """A workflow whose one input is of this type."""

    @step
    async def double(self: object) -> object:
        return 2 * self.number  # type: ignore[attr-defined]

    made = type(name, (), {"__annotations__": {"number": kind}, "double": double, "__module__": __name__})
    return workflow(name=name)(made)


async def test_inputs_that_the_workflow_does_not_take_any_more(caplog: pytest.LogCaptureFixture):
    """It is told once, others keep their times, and mended code makes up for it as far as `catchup` reaches."""
    clock, store = clock_at("2026-11-27 11:59"), MemoryStore()
    async with served(clock, store=store) as orchestrator:
        await orchestrator.schedule(typed(int, "Typed")(number=3), cron="@hourly", tz="Europe/Berlin", catchup="2h")
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", name="z")
    async with served(clock, typed(str, "Typed"), Report, store=store) as orchestrator:
        await clock.advance("30m")
        await clock.advance("33m")
        others, told = await story(orchestrator, "z"), caplog.text
        with pytest.raises(UsageError, match="schedule 'Typed' cannot be begun: Typed does not take its inputs"):
            await (await orchestrator.get_schedule("Typed")).trigger()
    async with served(clock, typed(int, "Typed"), Report, store=store) as orchestrator:
        await clock.advance("1m")
        mended = await story(orchestrator, "Typed")

    assert ["12:00 at 12:00 completed", "13:00 at 13:00 completed"] == others
    assert 1 == told.count("schedule 'Typed' cannot be begun: Typed does not take its inputs any more")
    assert ["12:00 at 13:02 completed", "13:00 at 13:02 completed"] == mended


async def test_a_workflow_that_refuses_its_inputs(caplog: pytest.LogCaptureFixture):
    """Whatever its validators raise."""
    refuses: list[bool] = []

    @workflow
    class Refusing:
        value: int = 1

        def __attrs_post_init__(self) -> None:
            if refuses:
                raise RuntimeError("never again")

        @step
        def nothing(self) -> None: ...

    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Refusing) as orchestrator:
        await orchestrator.schedule(Refusing(), cron="@hourly")
        refuses.append(True)
        await clock.advance("2m")
        runs = await runs_of(orchestrator, "Refusing")

    assert [] == runs
    assert "does not take its inputs any more: RuntimeError: never again" in caplog.text


class Troubled(Relay):
    """A store that cannot tell the schedules for a while."""

    trouble: StoreError | None = None

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        if self.trouble is not None:
            raise self.trouble
        return await super().schedules(name)


async def test_a_store_in_trouble(caplog: pytest.LogCaptureFixture):
    """It is told once, and asked again each time that it is looked; then what was missed is made up for."""
    clock, store = clock_at("2026-11-27 11:59"), Troubled(MemoryStore())
    async with served(clock, Report, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin", catchup="1h")
        await clock.advance("1s")
        store.trouble = StoreBusyError("the store is busy")
        for _ in range(4):
            await clock.advance("30s")
        told = caplog.text
        store.trouble = None
        await clock.advance("10s")
        await clock.advance("1s")
        happened = await story(orchestrator, "Report")
        store.trouble = StoreBusyError("the store is busy again")
        await clock.advance("1h")

    assert 1 == told.count("the store is busy")
    assert ["12:00 at 12:01 completed"] == happened
    assert "the store is busy again" in caplog.text


async def test_skipped_times_are_logged(caplog: pytest.LogCaptureFixture):
    """At the level of what is no trouble."""
    caplog.set_level(logging.INFO, "orchwf")
    clock = clock_at("2026-11-27 11:59")
    async with served(clock, Long) as orchestrator:
        await orchestrator.schedule(Long(), cron="@hourly", tz="Europe/Berlin")
        await clock.advance("90m")

    assert "schedule 'Long' skips Long@2026-11-27T13:00:00+01:00: Long@2026-11-27T12:00:00+01:00 has not" in caplog.text


# Beginning and ending.


async def test_nothing_is_begun_by_an_orchestrator_that_shuts_down():
    """While it waits for what runs, times are left to others."""
    gate, clock, store = Gate(), clock_at("2026-11-27 11:59"), MemoryStore()

    @step
    async def wait() -> None:
        await gate.pass_through()

    waiting = make_workflow("Waiting", [wait])
    async with served(clock, Report, waiting, store=store) as orchestrator:
        await orchestrator.schedule(Report(), cron="* * * * *")
        await orchestrator.start(waiting())
        await gate.came.get()
        closing = asyncio.create_task(orchestrator.shutdown())
        await asyncio.sleep(0)
        await clock.advance("3m")
        gate.open()
        await closing
        await orchestrator.until_closed()
        runs = await runs_of(orchestrator, "Report")

    assert [] == runs


async def test_an_orchestrator_that_waits_for_a_run_can_be_closed():
    """Also if that run does not end: it is left, and so is the time that waits."""
    gate, clock, store = Gate(), clock_at("2026-11-27 11:59"), MemoryStore()

    @step
    async def wait() -> None:
        await gate.pass_through()

    waiting = make_workflow("Waiting", [wait])
    async with served(clock, waiting, store=store, grace=0) as orchestrator:
        await orchestrator.schedule(waiting(), cron="* * * * *", overlap="queue")
        await clock.advance("130s")
    (record,) = await store.schedules()

    assert "waiting" == record.phase


async def test_whoever_waits_for_the_end_of_an_orchestrator():
    """Returns when somebody has shut it down."""
    async with served(clock_at("2026-11-27 11:59"), Report) as orchestrator:
        waiting = asyncio.create_task(orchestrator.until_closed())
        await asyncio.sleep(0.01)
        was_done = waiting.done()
        await orchestrator.shutdown()
        await waiting

    assert not was_done


async def test_an_orchestrator_that_has_lost_its_store_has_ended():
    """Whoever waits for its end is told why."""

    class Lost(Relay):
        async def append(self, appends: object) -> list[Exception | None]:
            raise StoreError("the disk is gone")

    async with served(clock_at("2026-11-27 11:59"), Report, store=Lost(MemoryStore())) as orchestrator:
        schedule = await orchestrator.schedule(Report(), cron="@daily")
        with pytest.raises(StoreError, match="the disk is gone"):
            await schedule.trigger()
        with pytest.raises(StoreError, match="the orchestrator has stopped: the disk is gone"):
            await orchestrator.until_closed()


# Time that leaps.


async def test_a_schedule_alone_lets_no_time_leap():
    """It would never end."""
    clock = clock_at("2026-11-27 11:59", auto=True)
    async with served(clock, Report) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly")
        await asyncio.sleep(0.05)

    assert clock.now() - at("2026-11-27 11:59").timestamp() < 30


async def test_a_leap_passes_over_no_time():
    """While a run waits for hours, each time on the way comes as if time had passed."""
    clock = clock_at("2026-11-27 11:59", auto=True)
    async with served(clock, Report, Long) as orchestrator:
        await orchestrator.schedule(Report(), cron="@hourly", tz="Europe/Berlin")
        await orchestrator.run(Long())
        told = await story(orchestrator, "Report")

    assert [f"{hour}:00 at {hour}:00 completed" for hour in (12, 13, 14)] == told


def test_what_a_schedule_begins_survives_a_crash():
    """Wherever its process dies, its time is still there."""
    report = crash_everywhere(
        Report(), metadata={"schedule": "Report", "scheduled_for": "2026-11-27T12:00:00+01:00"},
        check=lambda result: result["write"] == "eu 2026-11-27T12:00:00+01:00",
    )  # fmt: skip

    assert len(report.deaths) > 5
