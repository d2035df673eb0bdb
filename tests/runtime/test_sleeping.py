"""Runs that only wait: they are in the store, and in nobody's memory."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    BadOptionError,
    Orchestrator,
    Retry,
    RunFailed,
    RunNotFoundError,
    RunStatus,
    UsageError,
    WaitTimeoutError,
    signal,
    sleep,
    step,
    workflow,
)
from orchwf import make_workflow as make_typed_workflow
from orchwf.core import events as ev
from orchwf.errors import StoreError
from orchwf.ports import RunQuery, RunRecord, Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.kinds import KINDS, opened_store
from tests.runtime.flows import PATIENCE, Gate, executed, is_status, kinds_of, log_of, sleeps, statuses_of, until

SEEN: Counter[object] = Counter()


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


make_workflow: Any = make_typed_workflow
"""For its type, nodes are functions only."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """One store for all orchestrators of a test."""
    opened: Any = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


@workflow
class Trial:
    """A month after it began it says so."""

    number: int = 0

    @step
    async def begin(self) -> None:
        SEEN["begin", self.number] += 1

    month = sleep("30d", depends_on=begin)

    @step(depends_on=month)
    async def remind(self) -> int:
        SEEN["remind", self.number] += 1
        return self.number


@pytest.mark.slow
async def test_a_thousand_sleeping_runs_are_in_nobodys_memory(store: Store):
    """All go on when they are due, once."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        runs = [await orchestrator.start(Trial(number=n), run_id=f"r{n}") for n in range(1000)]
        await until(lambda: sleeps(store, *(run.id for run in runs[-3:])))
        await until(lambda: executed(orchestrator) == [])
        asleep = await store.runs(RunQuery(is_asleep=True))
        await clock.advance("29d")
        during = set((await statuses_of(store)).values())
        await clock.advance("2d")
        await until(lambda: all_completed(store))
        fired = orchestrator.recorder.kinds().count("timer.fired")

    assert 1000 == len(asleep)
    assert {None} == {record.owner for record in asleep}
    assert {RunStatus.RUNNING} == during
    assert 1000 == fired
    assert {1} == set(SEEN.values())
    assert 2000 == len(SEEN)


async def all_completed(store: Store) -> bool:
    return not await store.runs(RunQuery(statuses=[RunStatus.RUNNING], limit=1))


async def test_the_log_of_a_run_that_sleeps(store: Store):
    """When it is due stands in it; it goes on by being resumed, as it is due."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        began = clock.now()
        run = await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        record = await store.get("r")
        await clock.advance("31d")
        result = await run.result()
        log = await log_of(run)

    assert record is not None
    assert (RunStatus.RUNNING, began + 30 * 86400, None) == (record.status, record.wake_at, record.owner)
    (fired,) = [event for event in log if isinstance(event, ev.TimerFired)]
    assert began + 30 * 86400 <= fired.at < began + 30 * 86400 + 60
    assert ["due"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]
    assert "run.completed" == log[-1].kind
    assert 0 == result[Trial.remind]


@pytest.mark.parametrize("opened_again", ["before it is due", "after it was due"])
async def test_it_survives_the_orchestrator(store: Store, opened_again: str):
    """Whoever knows the workflow goes on with it when it is due, or at once."""
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
    if opened_again == "after it was due":
        await clock.advance("31d")

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]) as orchestrator:
        if opened_again == "before it is due":
            await clock.advance("29d")
            assert await sleeps(store, "r")
            await clock.advance("2d")
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))

    assert {1} == set(SEEN.values())


async def test_closing_while_it_falls_asleep_or_wakes_loses_nothing(store: Store):
    """Whatever the moment."""
    clock = FakeClock()
    for number in range(20):
        async with TestOrchestrator(store, clock=clock, workflows=[Trial], grace=0) as orchestrator:
            if number == 0:
                await orchestrator.start(Trial(), run_id="r")
            for _ in range(number):
                await asyncio.sleep(0)
            if number == 10:
                await clock.advance("31d")
    async with TestOrchestrator(store, clock=clock, workflows=[Trial]):
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))

    log = await store.read("r")
    assert 1 == sum(isinstance(event, ev.TimerFired) for event in log)
    assert 1 == sum(isinstance(event, ev.StepCompleted) and event.step == "remind" for event in log)


async def test_two_orchestrators_on_one_file_let_each_run_go_on_once(tmp_path: Path):
    """Both look when they are due; one gets each."""
    url, clock = f"sqlite:///{tmp_path / 'runs.db'}", FakeClock()

    async with (
        TestOrchestrator(url, clock=clock, workflows=[Trial]) as one,
        TestOrchestrator(url, clock=clock, workflows=[Trial]) as other,
    ):
        store = one._runs.store
        for number in range(50):
            await (one, other)[number % 2].start(Trial(number=number), run_id=f"r{number}")
        await until(lambda: sleeps(store, *(f"r{number}" for number in range(50))))
        await clock.advance("31d")
        # Each hears of the other's by looking, which it does every third of its lease.
        one._keeper._roused.set()
        other._keeper._roused.set()
        await until(lambda: all_completed(store))
        fired = [o.recorder.kinds().count("timer.fired") for o in (one, other)]

    assert 50 == sum(fired)
    assert {1} == set(SEEN.values())


async def test_a_run_of_another_orchestrator_wakes_here_when_that_is_gone(store: Store):
    """Without a message: it is looked for from time to time."""
    clock = FakeClock(auto=True)
    async with TestOrchestrator(store, clock=clock, workflows=[Trial], lease=0.3) as orchestrator:
        async with TestOrchestrator(store, clock=clock) as other:
            await other.start(Trial(), run_id="r")
        assert [] == executed(orchestrator)
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))


# Waiting for it.


async def test_waiting_for_a_sleeping_run_returns_when_it_ends(store: Store):
    """Whoever waits keeps it in memory, from its start or from when it wakes."""
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        result = await run.result()
        again = await orchestrator.start(Trial(number=1), run_id="s")
        await until(lambda: is_status(store, "s", RunStatus.RUNNING, RunStatus.COMPLETED))
        later = await (await orchestrator.get("s")).result()

    assert (0, 1) == (result[Trial.remind], later["remind"])
    assert again.id == "s"


async def test_who_waits_no_longer_lets_it_sleep(store: Store):
    """Of two that wait the last one counts."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        waiting = [asyncio.create_task(run.wait()) for _ in range(2)]
        await until(lambda: "timer.set month" in orchestrator.recorder.story())
        await clock.advance(1)
        assert ["r"] == executed(orchestrator)
        waiting[0].cancel()
        await clock.advance(1)
        assert ["r"] == executed(orchestrator)
        waiting[1].cancel()
        await until(lambda: sleeps(store, "r"))
        assert [] == executed(orchestrator)


async def test_waiting_with_a_timeout_for_a_run_that_sleeps():
    """It goes on, and nothing is left behind of who waited."""
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        await until(lambda: executed(orchestrator) == [])
        for _ in range(3):
            with pytest.raises(WaitTimeoutError):
                await run.wait(0.001)
        assert {} == orchestrator._runs.engine.arrivals
        await clock.advance("31d")
        assert RunStatus.COMPLETED is (await run.wait(PATIENCE)).status


async def test_several_that_wait_for_a_sleeping_run_all_return(store: Store):
    """Here, and in another orchestrator."""
    async with TestOrchestrator(store) as orchestrator, Orchestrator(store) as other:
        run = await orchestrator.start(Trial(), run_id="r")
        elsewhere = await other.get("r")
        results = await asyncio.gather(run.wait(), (await orchestrator.get("r")).wait(), elsewhere.wait())

    assert [RunStatus.COMPLETED] * 3 == [result.status for result in results]


async def test_following_the_events_of_a_run_that_sleeps(store: Store):
    """To its end; who follows does not keep it awake."""
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        kinds = [event.kind async for event in run.events(follow=True)]

    assert "run.resumed" in kinds
    assert "run.completed" == kinds[-1]


# Steering it.


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("asked", ["cancel", "terminate", "pause"])
async def test_requests_wake_it(tmp_path: Path, asked: str, here: bool):
    """Asked by whoever, it ends or pauses."""
    url, clock = f"sqlite:///{tmp_path / 'runs.db'}", FakeClock(auto=True)

    async with (
        TestOrchestrator(url, clock=clock, workflows=[Waits], lease=0.3) as orchestrator,
        TestOrchestrator(url, clock=clock) as stranger,
    ):
        store = orchestrator._runs.store
        await orchestrator.start(Waits(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        run = await (orchestrator if here else stranger).get("r")
        await getattr(run, asked)("enough")
        wanted = RunStatus.PAUSED if asked == "pause" else RunStatus.CANCELLED
        await until(lambda: is_status(store, "r", wanted))
    record = await reopened(url, "r")

    assert (None, None, "enough") == (record.owner, record.wake_at, record.error)


async def reopened(url: str, run_id: str) -> RunRecord:
    """The summary of a run, once nobody looks at it any more."""
    async with Orchestrator(url) as orchestrator:
        return await orchestrator._runs.record(run_id)


@workflow
class Waits:
    """For a word that never comes."""

    word = signal(str)


async def test_a_paused_run_does_not_wake_and_waits_no_longer_than_before_when_it_is_resumed(store: Store):
    """Its time is that of the timer; what has come meanwhile has come."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await run.pause("holidays")
        await run.wait()
        await clock.advance("40d")
        assert RunStatus.PAUSED is await run.status()
        result = await (await orchestrator.resume("r")).result()

    assert 0 == result["remind"]


async def test_resuming_a_sleeping_run_by_hand_wakes_nothing_but_it(store: Store):
    """It looks at itself, and sleeps again."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await orchestrator.resume("r")
        await until(lambda: sleeps(store, "r"))
        kinds = await kinds_of(run)
        await clock.advance("31d")
        await run.result()

    assert "run.resumed" == kinds[-1]
    assert {1} == set(SEEN.values())


async def test_deleting_a_sleeping_run(store: Store):
    """It is gone, and nobody minds when it would have been due."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]) as orchestrator:
        await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await orchestrator.delete("r")
        await clock.advance("31d")
        with pytest.raises(RunNotFoundError):
            await orchestrator.get("r")

    assert SEEN["remind", 0] == 0


async def test_who_waits_for_a_run_that_is_deleted_is_told(store: Store):
    """As soon as he looks again."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        waiting = asyncio.create_task(run.wait())
        await until(lambda: "r" in orchestrator._runs.engine.arrivals)
        await orchestrator.delete("r")
        await clock.advance(10)
        with pytest.raises(RunNotFoundError):
            await waiting


# What sleeps, and what does not.


@pytest.mark.parametrize(("seconds", "sleeping"), [(5.0, False), (9.0, False), (11.0, True)])
async def test_short_waits_are_waited_in_memory(seconds: float, sleeping: bool):
    """To read the log again would cost more."""
    clock = FakeClock()
    flow = make_workflow("Short", {"nap": sleep(seconds)})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        await clock.advance(1)
        assert ([] if sleeping else [run.id]) == executed(orchestrator)
        await clock.advance(20)
        await run.result()
        kinds = await kinds_of(run)

    assert sleeping is ("run.resumed" in kinds)


async def test_a_back_off_is_slept_through(store: Store):
    """Of a step that is tried again in a day."""
    clock = FakeClock()

    async def fails() -> int:
        SEEN["fails"] += 1
        if SEEN["fails"] < 3:
            raise ConnectionError("not now")
        return 1

    retry = Retry(2, initial="1d", max_interval="1d", jitter=None)
    flow = make_workflow("BackOff", {"fails": step(fails, retries=retry)})

    async with TestOrchestrator(store, clock=clock, workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await clock.advance("25h")
        await until(lambda: sleeps(store, "r"))
        assert 2 == SEEN["fails"]
        await clock.advance("25h")
        result = await run.result()

    assert 1 == result["fails"]
    assert [1, 2, 3] == [attempt.number for attempt in result.steps["fails"].attempts]


async def test_a_deadline_wakes_a_run_that_waits():
    """It is over then, though nothing has come."""
    clock = FakeClock()
    flow = make_workflow("Deadline", {"word": signal(str), "long": sleep("9d")}, deadline="1d")

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        await until(lambda: executed(orchestrator) == [])
        await clock.advance("25h")
        result = await run.wait()

    assert RunStatus.FAILED is result.status
    assert "passed its deadline of 86400 s" in result.error


async def test_a_run_with_a_step_at_work_does_not_sleep():
    """Nor one that can go on at once."""
    clock, gate = FakeClock(), Gate()

    async def works() -> None:
        await gate.pass_through()

    flow = make_workflow("Works", {"long": sleep("1d"), "works": step(works)})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await clock.advance(60)
        assert [run.id] == executed(orchestrator)
        gate.open()
        await until(lambda: executed(orchestrator) == [])


async def test_many_timers_of_one_run():
    """The next one wakes it; each fires once, and in its order."""
    clock = FakeClock()
    flow = make_workflow("Timers", {f"t{n}": sleep(f"{n}h") for n in range(1, 8)})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        began = clock.now()
        await clock.advance("8h")
        result = await run.result()
        fired = [event for event in await log_of(run) if isinstance(event, ev.TimerFired)]

    assert RunStatus.COMPLETED is result.status
    assert [f"t{n}" for n in range(1, 8)] == [event.step for event in fired]
    assert all(0 <= event.at - began - 3600 * n < 60 for n, event in enumerate(fired, 1))


async def test_until_a_time_and_by_a_function():
    """An aware datetime, or what the inputs say; one that has passed is no wait."""
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    nodes: dict[str, Any] = {
        "fixed": sleep(datetime(2026, 1, 2, tzinfo=UTC)),
        "past": sleep(datetime(2025, 1, 2, tzinfo=UTC)),
        "given": sleep(lambda self: self.until),
        "short": sleep(lambda self: timedelta(hours=1)),
    }
    flow = make_workflow("Until", nodes, inputs={"until": datetime})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow(until=datetime(2026, 1, 3, tzinfo=UTC)))
        await clock.advance("1m")
        at_once = {name for name, each in (await run.steps()).items() if each.status.is_final}
        await clock.advance("3d")
        result = await run.result()

    ended = {name: datetime.fromtimestamp(each.ended_at or 0, UTC) for name, each in result.steps.items()}
    assert {"past"} == at_once
    assert (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)) == (ended["fixed"], ended["given"])
    assert datetime(2026, 1, 1, 1, tzinfo=UTC) == ended["short"]


@pytest.mark.parametrize(
    ("until_", "error"),
    [(lambda self: 1 / 0, ZeroDivisionError), (lambda self: "soon", BadOptionError), (lambda self: None, Exception)],
    ids=["raises", "no duration", "nothing"],
)
async def test_a_function_that_gives_no_time_fails_its_node(until_: Any, error: type[Exception]):
    """With what it raised."""
    flow = make_workflow("NoTime", {"nap": sleep(until_)})

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, error)


# Beginning later.


@pytest.mark.parametrize("not_before", ["2h", datetime(2026, 1, 1, 2, tzinfo=UTC), 7200.0], ids=str)
async def test_a_run_that_begins_later(store: Store, not_before: Any):
    """It is in the store, and scheduled, until its time comes."""
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r", not_before=not_before, tags={"k": "v"})
        listed = list(await orchestrator.list_runs(status="scheduled", tags={"k": "v"}))
        await clock.advance("1h")
        during = (await run.status(), dict(SEEN), executed(orchestrator))
        await clock.advance("2h")
        await until(lambda: sleeps(store, "r"))
        began = SEEN["begin", 0]
        await clock.advance("31d")
        result = await run.result()

    assert ["r"] == [record.id for record in listed]
    assert (RunStatus.SCHEDULED, {}, []) == during
    assert 1 == began
    assert 0 == result[Trial.remind]


async def test_a_run_that_begins_later_survives_the_orchestrator(store: Store):
    """And begins in the next one, also if its time has passed."""
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Trial(), run_id="r", not_before="1d")
    await clock.advance("2d")

    async with TestOrchestrator(store, clock=clock, workflows=[Trial]):
        await until(lambda: SEEN["begin", 0] == 1)

    assert {("begin", 0): 1} == SEEN


async def test_a_time_that_has_passed_is_no_reason_to_wait():
    """It begins at once."""
    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Trial(), not_before=datetime(2020, 1, 1, tzinfo=UTC))
        kinds = await kinds_of(run)
        await run.result()

    assert "step.started begin" in kinds


@pytest.mark.parametrize("asked", ["cancel", "terminate"])
@pytest.mark.parametrize("here", [True, False])
async def test_ending_a_run_before_it_begins(store: Store, asked: str, here: bool):
    """Nothing of it ever runs. To terminate it needs no code."""
    clock = FakeClock(auto=True)
    async with TestOrchestrator(store, clock=clock, workflows=[Trial], lease=0.3) as orchestrator:
        with clock.hold():
            run = await orchestrator.start(Trial(), run_id="r", not_before="1d")
            if here:
                await getattr(run, asked)("enough")
            else:
                async with TestOrchestrator(store, clock=clock) as stranger:
                    await getattr(await stranger.get("r"), asked)("enough")
            await until(lambda: is_status(store, "r", RunStatus.CANCELLED))
            result = await run.wait()

    assert (RunStatus.CANCELLED, "enough") == (result.status, result.error)
    assert {} == SEEN


async def test_a_run_that_begins_later_can_be_begun_by_hand():
    """By resuming it."""
    clock = FakeClock()

    async with TestOrchestrator(clock=clock, workflows=[Trial]) as orchestrator:
        await orchestrator.start(Trial(), run_id="r", not_before="1d")
        await orchestrator.resume("r")
        await until(lambda: SEEN["begin", 0] == 1)
        await clock.advance("2d")

    assert {("begin", 0): 1} == SEEN


async def test_a_pause_before_it_begins_holds_when_it_does():
    """It begins, and pauses before anything of it runs."""
    clock = FakeClock()

    async with TestOrchestrator(clock=clock, workflows=[Trial]) as orchestrator:
        run = await orchestrator.start(Trial(), run_id="r", not_before="1d")
        await run.pause("not yet")
        await clock.advance("2d")
        paused = await run.wait()
        seen = dict(SEEN)
        await orchestrator.resume("r")
        await until(lambda: SEEN["begin", 0] == 1)

    assert (RunStatus.PAUSED, {}) == (paused.status, seen)


async def test_its_deadline_counts_from_when_it_begins():
    """Not from when it was planned."""
    clock = FakeClock()
    flow = make_workflow("Planned", {"nap": sleep("1h")}, deadline="2h")

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow(), not_before="1d")
        await clock.advance("26h")
        result = await run.wait()

    assert RunStatus.COMPLETED is result.status


async def test_a_run_of_its_id_exists_before_it_begins(store: Store):
    """And can be attached to, deleted, and started again."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Trial(), run_id="r", not_before="1d")
        with pytest.raises(UsageError, match="run 'r' exists already"):
            await orchestrator.start(Trial(), run_id="r")
        with pytest.raises(UsageError, match="run 'r' exists already"):
            await orchestrator.start(Trial(), run_id="r", not_before="1d")
        attached = await orchestrator.start(Trial(), run_id="r", on_duplicate="attach")
        await orchestrator.delete("r")
        run = await orchestrator.start(Trial(), run_id="r")
        await clock.advance("31d")
        await run.result()

    assert "r" == attached.id


@pytest.mark.parametrize("wrong", [datetime(2026, 1, 1), -1, "soon", math.inf, object()])
async def test_times_that_make_no_sense(wrong: Any):
    """Nothing is started."""
    async with TestOrchestrator() as orchestrator:
        with pytest.raises(BadOptionError):
            await orchestrator.start(Trial(), not_before=wrong)
        assert [] == list(await orchestrator.list_runs())


async def test_what_cannot_go_on_keeps_nobody_else_asleep(store: Store, caplog: pytest.LogCaptureFixture):
    """A run whose graph has changed is told of once, and left; the others go on."""
    clock = FakeClock()

    def flow(*names: str) -> Any:
        return make_workflow("Changed", {"nap": sleep("1d"), **{name: step(lambda: 1) for name in names}})

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(flow("a")(), run_id="changed")
        await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "changed", "r"))
    async with TestOrchestrator(store, clock=clock, workflows=[flow("a", "b"), Trial]) as orchestrator:
        await clock.advance("31d")
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))
        orchestrator._keeper._roused.set()
        await clock.advance("1d")
        assert await sleeps(store, "changed")

    assert 1 == caplog.text.count("run 'changed' was started with another graph")


async def test_a_store_in_trouble_is_asked_again(caplog: pytest.LogCaptureFixture):
    """What was due then goes on later."""
    store, clock = MemoryStore(), FakeClock()
    async with TestOrchestrator(store, clock=clock, lease=0.3) as orchestrator:
        await orchestrator.start(Trial(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        original, calls = store.next_wake, 0

        async def next_wake(after: float) -> float | None:
            nonlocal calls
            calls += 1
            if calls < 3:
                raise StoreError("the disk is gone for a moment")
            return await original(after)

        store.next_wake = next_wake  # type: ignore[method-assign]
        await clock.advance("31d")
        for _ in range(5):
            await clock.advance(1)
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))

    assert "the disk is gone for a moment" in caplog.text


async def test_looking_for_what_was_left_wakes_nobody(store: Store):
    """Runs that nobody executes and that sleep are not taken for left, though others are."""
    clock, gate = FakeClock(), Gate()

    async def works() -> None:
        if not SEEN["left"]:
            SEEN["left"] = 1
            await gate.pass_through()

    flow = make_workflow("Left", {"works": step(works)})
    async with TestOrchestrator(store, clock=clock, grace=0) as orchestrator:
        await orchestrator.start(Trial(), run_id="asleep")
        await orchestrator.start(Trial(), run_id="later", not_before="1d")
        await until(lambda: sleeps(store, "asleep"))
        await orchestrator.start(flow(), run_id="left")
        await gate.came.get()
    before = len(await store.read("asleep"))

    async with TestOrchestrator(store, clock=clock, workflows=[flow, Trial]) as orchestrator:
        await until(lambda: is_status(store, "left", RunStatus.COMPLETED))

    assert before == len(await store.read("asleep"))
    assert 1 == len(await store.read("later"))


@pytest.mark.parametrize("first", [5.0, 60.0])
async def test_what_is_due_at_the_instant_at_which_another_one_was_fires_too(first: float):
    """Each after the one before, though no time passes between them."""
    nodes: dict[str, Any] = {"a": sleep(first), "b": sleep(0, depends_on="a"), "c": sleep(0.0, depends_on="b")}
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(make_workflow("AtOnce", nodes)())
        await clock.advance(first)
        result = await run.wait(PATIENCE)

    assert RunStatus.COMPLETED is result.status
