"""What the page of guarantees promises of items, loops, waits, and runs that start others."""

from collections.abc import AsyncIterator, Sequence

import pytest

from orchwf import Orchestrator, Retry, RunInterruptedError, StoreError, signal, sleep, step, subflow, workflow
from orchwf.core.events import Event, SignalReceived
from orchwf.ports import Append
from orchwf.runtime.result import RunResult
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator, crash_everywhere
from tests.runtime.flows import Gate, kinds_of, log_of

HOUR = 3600.0


async def test_a_completed_item_never_runs_again_in_its_run():
    """Not after a failure and a resume, and not when an orchestrator has gone while others were in flight."""
    store, gate, ran = MemoryStore(), Gate(), list[str]()
    is_broken = True

    @workflow
    class Items:
        @step
        def letters(self) -> list[str]:
            return ["a", "b", "c"]

        @step(max_parallel=1)
        async def use(self, letter: str = letters.each) -> str:
            ran.append(letter)
            if letter == "b" and is_broken:
                raise ValueError(letter)
            if letter == "c":
                await gate.pass_through()
            return letter

    async with Orchestrator(store) as orchestrator:
        failed = await (await orchestrator.start(Items(), run_id="r")).wait()
    is_broken = False
    async with Orchestrator(store, grace=0, workflows=[Items]) as orchestrator:
        await orchestrator.resume("r")
        await gate.came.get()
    gate.open()
    async with Orchestrator(store, workflows=[Items]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert "failed" == failed.status
    assert ["a", "b", "c"] == result["use"]
    # One failed, and one was in flight.
    assert ["a", "b", "b", "c", "c"] == ran


async def test_a_completed_iteration_never_runs_again_in_its_run():
    """A loop goes on with the iteration that failed."""
    ran: list[int] = []
    is_broken = True

    @workflow
    class Loop:
        begin: int = 0

        @step(until=lambda number: number == 3)
        def count(self, begin: int) -> int:
            ran.append(begin)
            if begin == 1 and is_broken:
                raise ValueError(begin)
            return begin + 1

    async with TestOrchestrator() as orchestrator:
        await (await orchestrator.start(Loop(), run_id="r")).wait()
        is_broken = False
        result = await (await orchestrator.resume("r")).result()

    assert 3 == result[Loop.count]
    assert [0, 1, 1, 2] == ran


async def test_what_a_generator_gave_is_taken_once():
    """Though it begins anew after a failure; what followed it is not run again."""
    used: list[int] = []

    @workflow
    class Stream:
        @step(retries=Retry(1, initial=0))
        async def numbers(self) -> AsyncIterator[int]:
            for number in range(4):
                if number == 2 and len(begun) == 1:
                    begun.append("again")
                    raise ConnectionError
                yield number

        @step
        def use(self, number: int = numbers.each) -> int:
            used.append(number)
            return number

    begun = ["once"]

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Stream())

    assert ["once", "again"] == begun
    assert ([0, 1, 2, 3], [0, 1, 2, 3]) == (result["use"], sorted(used))


@workflow
class Approval:
    @step
    async def prepare(self) -> int:
        return 1

    approved = signal(str, depends_on=prepare)

    @step
    def publish(self, by: str = approved.result) -> str:
        return by


async def test_a_signal_is_kept_and_counts_once():
    """Sent before the node waits, when nobody executes the run, and twice with the same id; the first one counts."""
    store = MemoryStore()
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Approval(), run_id="r", not_before="1h")
        for sender, message_id in (("ada", "1"), ("ada", "1"), ("eve", "2")):
            await run.send(Approval.approved, sender, id=message_id)

    async with TestOrchestrator(store, workflows=[Approval]) as orchestrator:
        run = await orchestrator.get("r")
        result = await run.result()
        received = [event for event in await log_of(run) if isinstance(event, SignalReceived)]

    assert "ada" == result[Approval.publish]
    assert ["approved-1", "approved-2"] == [event.message_id for event in received]


@workflow
class Nap:
    @step
    def before(self) -> None: ...

    nap = sleep("1h", depends_on=before)

    @step(depends_on=nap)
    def after(self) -> None: ...


def test_a_time_that_is_waited_for_passes_wherever_the_process_dies():
    """It comes neither too early nor, since it would be waited for anew, too late."""

    def in_time(result: RunResult[Nap]) -> None:
        assert result.duration is not None
        assert HOUR <= result.duration < 1.5 * HOUR

    report = crash_everywhere(Nap(), check=in_time)

    assert len(report.deaths) > 10


async def test_a_timer_fires_once():
    """Also if its time comes while no process runs."""
    store, clock = MemoryStore(), FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Nap(), run_id="r")
        async for event in run.events(follow=True):
            if event.kind == "timer.set":
                break
    await clock.advance("2h")
    async with TestOrchestrator(store, clock=clock, workflows=[Nap]) as orchestrator:
        run = await orchestrator.get("r")
        await run.result()
        kinds = await kinds_of(run)

    assert (1, 1) == (kinds.count("timer.set nap"), kinds.count("timer.fired nap"))


async def test_a_run_that_only_waits_is_in_no_memory():
    """Nobody owns it, and the store knows when it is to go on."""
    async with TestOrchestrator(clock=FakeClock()) as orchestrator:
        run = await orchestrator.start(Nap())
        async for event in run.events(follow=True):
            if event.kind == "timer.set":
                break
        await orchestrator.clock.advance("1m")
        executed = dict(orchestrator._runs.engine.executions)
        (record,) = await orchestrator.list_runs()

    assert {} == executed
    assert record.owner is None
    assert record.wake_at == pytest.approx(record.created_at + HOUR, abs=5)


class Unborn(MemoryStore):
    """It cannot be used from when it should take the first run that another one started."""

    is_broken = True

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if self.is_broken and any("/" in each.run_id for each in appends):
            raise StoreError("the disk is gone")
        return await super().append(appends)


async def test_a_run_that_another_one_starts_is_started_once():
    """Though the process ends when that is written, and before it is done."""
    store, ran = Unborn(), list[str]()

    @workflow
    class Inner:
        @step
        def work(self) -> int:
            ran.append("inner")
            return 7

    @workflow
    class Outer:
        @subflow
        def inner(self) -> Inner:
            ran.append("outer")
            return Inner()

        @step
        def read(self, number: int = inner[Inner.work].result) -> int:
            return number

    with pytest.raises(RunInterruptedError):
        async with Orchestrator(store) as orchestrator:
            await orchestrator.run(Outer(), run_id="r")
    store.is_broken = False
    started: list[Event] = [event for event in await store.read("r") if event.kind == "child.started"]
    async with Orchestrator(store, workflows=[Outer]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()
        runs = await orchestrator.list_runs()

    assert 1 == len(started)
    assert 7 == result[Outer.read]
    assert {"r", "r/inner"} == {run.id for run in runs}
    assert ["outer", "inner"] == ran
