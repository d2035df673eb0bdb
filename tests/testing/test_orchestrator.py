"""An orchestrator whose time leaps, and never too early."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from orchwf import Retry, RunInterruptedError, StepContext, StepTimeoutError, make_workflow, step, workflow
from orchwf.ports import Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, Recorder, TestOrchestrator
from orchwf.testing.relay import Relay
from tests.runtime.flows import Gate

T = TypeVar("T")
DAY = 86_400.0


@workflow
class Patient:
    """Its step succeeds with the third attempt, after four days."""

    @step(retries=Retry(2, initial="2d", max_interval="2d", jitter=None))
    async def fetch(self, *, ctx: StepContext) -> int:
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return ctx.attempt


class Counting(Relay):
    """Counts the calls, and lets each take a while."""

    def __init__(self, inner: Store, pause: float = 0.0) -> None:
        super().__init__(inner)
        self.calls = 0
        self._pause = pause

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        self.calls += 1
        await asyncio.sleep(self._pause)
        return await call()


async def test_days_of_back_off_take_no_time():
    """The run is told to have taken four days."""
    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Patient())

    assert 3 == result[Patient.fetch]
    assert 4 * DAY == pytest.approx(result.duration, abs=60)


async def test_leaps_do_not_set_anything_spinning():
    """No lease is renewed and no inbox read for each of the seconds that were left out."""
    store = Counting(MemoryStore())

    async with TestOrchestrator(store) as orchestrator:
        await orchestrator.run(Patient())
        after_the_run = store.calls
        await asyncio.sleep(0.05)

    assert after_the_run < 30
    assert store.calls - after_the_run < 5


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_body_that_takes_real_time_is_not_timed_out(is_async: bool):
    """Beside a run that waits for days, a step has all of its time."""
    woken = threading.Event()

    async def on_the_loop() -> float:
        await asyncio.sleep(0.05)
        return orchestrator.clock.now()

    def in_a_thread() -> float:
        woken.wait(0.05)
        return orchestrator.clock.now()

    slow = make_workflow("Slow", {"slow": on_the_loop if is_async else in_a_thread}, deadline="5m")
    async with TestOrchestrator() as orchestrator:
        began = orchestrator.clock.now()
        waiting = await orchestrator.start(Patient())
        result = await orchestrator.run(slow())
        await waiting.result()

    assert 0.04 <= result["slow"] - began < 60


async def test_a_store_that_takes_real_time_makes_nothing_late():
    """While a call is in flight, time does not leap to the deadline of the run."""
    flow = make_workflow("Quick", {"one": step(lambda: 1)}, deadline="1m")

    async with TestOrchestrator(Counting(MemoryStore(), pause=0.01)) as orchestrator:
        result = await orchestrator.run(flow())

    assert 1 == result["one"]


async def test_time_does_not_leap_before_what_happened_is_decided():
    """A step that has just ended did so in its time, though nothing is in flight any more."""
    async with TestOrchestrator() as orchestrator:
        engine = orchestrator._runs.engine
        busy = [engine.is_busy]
        run = asyncio.create_task(orchestrator.run(Patient()))
        for _ in range(5):
            await asyncio.sleep(0)
            busy.append(engine.is_busy)
        await run
        await asyncio.sleep(0.005)
        busy.append(engine.is_busy)

    assert not busy[0]
    assert any(busy)
    assert not busy[-1]


async def test_a_deadline_comes_before_a_longer_wait():
    """Time leaps to whatever is first."""
    flow = make_workflow(
        "Late", {"one": step(retries=Retry(1, initial="2d", max_interval="2d", jitter=None))(_fail)}, deadline="1h"
    )

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert "failed" == result.status
    assert 3600 == pytest.approx(result.duration, abs=60)


def _fail() -> None:
    raise ValueError("no")


async def test_a_test_may_act_before_time_leaps():
    """To cancel a run that waits, say, as soon as the test knows that it does."""
    for _ in range(5):
        async with TestOrchestrator() as orchestrator:
            run = await orchestrator.start(Patient())
            async for event in run.events(follow=True):
                if event.kind == "step.retrying":
                    await run.cancel("enough")
                    break
            result = await run.wait()

        assert "cancelled" == result.status
        assert 1 == orchestrator.recorder.starts(Patient.fetch)


async def test_nobody_loses_a_run_by_a_leap():
    """Leases go by the clock of the store: who shares it takes nothing away."""
    store, clock = MemoryStore(), FakeClock(auto=True)

    async with (
        TestOrchestrator(store, clock=clock) as one,
        TestOrchestrator(store, clock=clock, workflows=[Patient]) as other,
    ):
        result = await one.run(Patient())

    assert 3 == result[Patient.fetch]
    assert [] == other.recorder.events


async def test_a_lease_can_run_out_by_the_clock_of_a_test():
    """If the store is given that clock."""
    clock = FakeClock()
    store, gate = MemoryStore(now=clock.now), Gate()

    async def waits() -> int:
        await gate.pass_through()
        return 1

    flow = make_workflow("Waits", {"waits": waits})
    async with TestOrchestrator(store, clock=clock, grace=0) as one:
        run = await one.start(flow(), run_id="r")
        await gate.came.get()
        before = await store.get("r")
        # Nobody renews it: as if the process hung.
        one._keeper.renew = _nothing  # type: ignore[method-assign]
        await clock.advance("20s")
        after = await store.get("r")
        gate.open()
        await run.wait()

    assert before is not None
    assert after is not None
    assert (False, True) == (before.has_lapsed, after.has_lapsed)


async def _nothing() -> None:
    pass


async def test_time_can_be_moved_by_hand():
    """With a clock that stands still a run waits until the test moves it on."""
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(Patient())
        await clock.advance("1d")
        starts = [orchestrator.recorder.starts("fetch")]
        await clock.advance("1d")
        starts.append(orchestrator.recorder.starts("fetch"))
        await clock.advance("30d")
        result = await run.result()

    assert [1, 2] == starts
    assert 4 * DAY == result.duration


@pytest.mark.parametrize("auto", [True, False])
async def test_a_time_out_comes_when_time_is_moved(auto: bool):
    """Of a body that would wait for ever."""
    clock, gate = FakeClock(auto=auto), Gate()
    flow = make_workflow("Stuck", {"stuck": step(timeout="1h")(gate.pass_through)})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await clock.advance("59m")
        was_over = (await run.status()).is_final
        await clock.advance("2m")
        result = await run.wait()

    assert not was_over
    assert StepTimeoutError.__name__ in result.error


async def test_moving_time_passes_over_what_comes_again_and_again():
    """A year of leases and inboxes is not gone through one by one."""
    store = Counting(MemoryStore())

    async with TestOrchestrator(store, clock=FakeClock()) as orchestrator:
        await orchestrator.clock.advance("365d")

    assert store.calls < 30


@pytest.mark.parametrize("auto", [True, False])
async def test_what_is_in_flight_has_its_grace_on_exit(auto: bool):
    """Then it is left, also if time stood still."""
    gate = Gate()
    flow = make_workflow("Stuck", {"stuck": gate.pass_through})

    async with TestOrchestrator(clock=FakeClock(auto=auto), grace=0.01) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()

    with pytest.raises(RunInterruptedError):
        await run.wait()


async def test_it_takes_a_url_and_observers(tmp_path: Path):
    """As any orchestrator does."""
    url, mine = f"sqlite:///{tmp_path / 'runs.db'}", Recorder()

    async with TestOrchestrator(url, observers=[mine]) as orchestrator:
        await orchestrator.run(Patient(), run_id="p")
    async with TestOrchestrator(url, workflows=[Patient]) as orchestrator:
        result = await (await orchestrator.get("p")).result()

    assert 3 == result[Patient.fetch]
    assert 3 == mine.starts(Patient.fetch)


async def test_all_of_a_store_can_be_reached(tmp_path: Path):
    """What stands before it passes every call on."""
    async with TestOrchestrator(Counting(MemoryStore()), workflows=[Patient]) as orchestrator:
        run = await orchestrator.start(Patient(), run_id="p")
        await run.pause("lunch")
        await run.wait()
        store = orchestrator._runs.store
        facts, definition = await store.facts(), await store.definition((await orchestrator.list_runs())[0].fingerprint)
        await orchestrator.delete("p")
        rest = await orchestrator.list_runs()
    await store.close()

    assert "ok" == facts["integrity"]
    assert definition is not None
    assert 0 == len(rest)
    assert "memory:" == store.url


async def test_the_recorder_tells_what_happened():
    """In order, by kind, and by step."""
    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Patient())
        recorder = orchestrator.recorder

    once = ["step.started", "step.retrying"]
    assert ["run.started", *once, *once, "step.started", "step.completed", "run.completed"] == recorder.kinds()
    assert ["run.started", "step.started fetch"] == recorder.story()[:2]
    assert 6 == len(recorder.of(Patient.fetch))
    assert 3 == recorder.starts("fetch")
    assert 0 == recorder.undos("fetch")
    assert repr(recorder).startswith("<Recorder ['run.started', 'step.started fetch'")


async def test_the_recorder_keeps_runs_apart():
    """The events of each, and the run as it was told last; of one that is not there nothing."""
    async with TestOrchestrator() as orchestrator:
        for run_id in ("a", "b"):
            await orchestrator.run(Patient(), run_id)
        recorder = orchestrator.recorder

    assert {"a": "completed", "b": "completed"} == {run_id: run.status for run_id, run in recorder.runs.items()}
    assert [*recorder.of_run("a"), *recorder.of_run("b")] == recorder.events
    assert [] == recorder.of_run("c")


def test_orchestrators_share_a_clock_on_loops_of_their_own(tmp_path: Path):
    """Before the second one sets any timer its store is asked: the loop that has ended is left alone."""
    clock, url = FakeClock(auto=True), f"sqlite:///{tmp_path / 'runs.db'}"

    async def fetched() -> int:
        async with TestOrchestrator(url, clock=clock) as orchestrator:
            return (await orchestrator.run(Patient()))[Patient.fetch]

    assert [3, 3] == [asyncio.run(fetched()), asyncio.run(fetched())]
