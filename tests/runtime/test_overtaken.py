"""Runs that are taken up a moment too late: somebody else was faster, or the orchestrator closes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import pytest

from orchwf import Orchestrator, RunInterruptedError, RunStatus, UsageError, make_workflow, step
from orchwf.core.events import Event
from orchwf.errors import NotResumableError, RunExistsError
from orchwf.ports import Append, Message, RunRecord, Taken, Wanted
from orchwf.runtime.keeper import Look
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, Recorder
from tests.runtime.flows import Gate, kinds_of, until

Meanwhile = Callable[[], Awaitable[object]]


class Slow(MemoryStore):
    """A store in which something happens just before the next claim."""

    def __init__(self) -> None:
        super().__init__()
        self.before_claim: list[Meanwhile] = []
        self.before_take: list[Meanwhile] = []

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        if self.before_take:
            await self.before_take.pop()()
        return await super().take(owner, wanted)

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        if owner is not None and self.before_claim:
            await self.before_claim.pop()()
        return await super().claim(run_id, owner, previous=previous)


def flow(*, broken: bool = False) -> type:
    """One step."""

    async def one() -> int:
        if broken:
            raise ValueError("broken")
        return 1

    return make_workflow("One", {"one": step(one)})


async def failed_run(store: MemoryStore) -> None:
    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow(broken=True)(), run_id="r")).wait()


async def abandoned_run(store: MemoryStore) -> None:
    gate = Gate()

    async def one() -> int:
        await gate.pass_through()
        return 1

    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(make_workflow("One", {"one": step(one)})(), run_id="r")
        await gate.came.get()


async def resumed(orchestrator: Orchestrator) -> Any:
    return await (await orchestrator.resume("r")).result()


async def test_a_run_that_somebody_else_completed_meanwhile_is_not_resumed():
    """Found out after the claim, as its summary was read before: its log is whole, and the orchestrator goes on."""
    store = Slow()
    await failed_run(store)

    async with Orchestrator(store, workflows=[flow()]) as one, Orchestrator(store, workflows=[flow()]) as other:
        store.before_claim.append(lambda: resumed(one))
        with pytest.raises(NotResumableError, match="completed"):
            await other.resume("r")
        run = await other.get("r")
        kinds = await kinds_of(run)
        record = await store.get("r")
        await other.run(flow()(), run_id="next")

    assert 1 == kinds.count("run.resumed")
    assert "run.completed" == kinds[-1]
    assert record is not None
    assert (RunStatus.COMPLETED, None) == (record.status, record.owner)


async def test_a_run_that_is_claimed_while_the_orchestrator_closes_is_given_back():
    """Nobody executes it here any more, so whoever asked is told, and does not wait for ever."""
    store = Slow()
    await failed_run(store)

    async with Orchestrator(store, workflows=[flow()]) as orchestrator:
        store.before_claim.append(orchestrator.shutdown)
        async with asyncio.timeout(10):
            with pytest.raises(UsageError, match="the orchestrator is closed"):
                await orchestrator.resume("r")
    record = await store.get("r")

    assert record is not None
    assert (RunStatus.FAILED, None) == (record.status, record.owner)


async def test_an_orphan_that_is_found_while_the_orchestrator_closes_is_left(caplog: pytest.LogCaptureFixture):
    """The orchestrator closes all the same, and there is nothing to warn of."""
    store = Slow()
    await abandoned_run(store)

    orchestrator = Orchestrator(store, workflows=[flow()])
    store.before_take.append(orchestrator.shutdown)
    async with asyncio.timeout(10), orchestrator:
        pass
    record = await store.get("r")

    assert record is not None
    assert (RunStatus.RUNNING, None) == (record.status, record.owner)
    assert "closed" not in caplog.text


async def test_a_run_that_is_started_while_the_orchestrator_closes_is_refused():
    """It is not in the store, and whoever started it is told so."""
    store = Slow()
    async with Orchestrator(store, grace=0) as orchestrator:
        engine = orchestrator._runs.engine
        starting = asyncio.create_task(orchestrator.start(flow()(), run_id="r"))
        await asyncio.sleep(0)
        assert ["r"] == list(engine.executions)
        engine.stop()
        async with asyncio.timeout(10):
            with pytest.raises(UsageError, match="the orchestrator is closed"):
                await starting

    assert None is await store.get("r")


async def test_whoever_follows_a_run_is_told_that_the_orchestrator_closes():
    """After the last event, as nothing more will come; and nothing is asked of the store again and again."""
    gate, seen, followed = Gate(), [], asyncio.Event()

    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:", grace=0) as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", {"waits": step(waits)})())

        async def follow() -> None:
            async for event in run.events(follow=True):
                seen.append(event.kind)
                if event.kind == "step.started":
                    followed.set()

        following = asyncio.create_task(follow())
        await followed.wait()
        await orchestrator.shutdown()
        with pytest.raises(RunInterruptedError):
            await following

    assert ["run.started", "step.started"] == seen


async def test_whoever_waits_for_a_run_that_pauses_while_the_orchestrator_closes_gets_its_result():
    """It was not interrupted: it is where somebody wanted it to be."""
    gate = Gate()

    async def waits() -> None:
        await gate.pass_through()

    flow = make_workflow("Waits", {"waits": step(waits), "later": step(depends_on=["waits"])(waits)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        waiting = asyncio.create_task(run.wait())
        await run.pause("enough")
        async for event in run.events(follow=True):
            if event.kind == "signal.received":
                break
        gate.open()
        await orchestrator.shutdown()
        result = await waiting

    assert (RunStatus.PAUSED, "enough") == (result.status, result.error)


async def test_a_run_that_ends_while_the_lease_runs_out_is_not_lost():
    """Its last append lets go of it: nobody has taken it, and all are told of its end."""
    recorder = Recorder()

    class Waking(FakeClock):
        """The clock of a machine that was suspended: no timer has fired yet."""

        slept = 0.0

        def now(self) -> float:
            return super().now() + self.slept

    clock = Waking()

    class Suspended(MemoryStore):
        """A machine is suspended while the end of a run is written."""

        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            outcomes = await super().append(appends)
            if any(each.releases for each in appends):
                clock.slept = 3600.0
            return outcomes

    async with Orchestrator(Suspended(), clock=clock, observers=[recorder]) as orchestrator:
        result = await orchestrator.run(flow()(), run_id="r")

    assert RunStatus.COMPLETED is result.status
    assert "run.completed" == recorder.events[-1].kind


async def test_a_run_that_is_taken_up_while_observers_are_told_is_let_go():
    """Somebody else runs the step whose start was told: an observer may take longer than the lease."""
    ran: list[str] = []

    async def one() -> None:
        ran.append("one")

    class Waking(FakeClock):
        """The clock of a machine that is busy elsewhere: no timer has fired yet."""

        passed = 0.0

        def now(self) -> float:
            return super().now() + self.passed

    clock = Waking()

    class TakenStore(MemoryStore):
        """A store of which somebody else has taken the run, once the lease ran out."""

        async def get(self, run_id: str) -> RunRecord | None:
            record = await super().get(run_id)
            return attrs.evolve(record, owner="somebody else") if record is not None and clock.passed else record

    class Slow:
        """An observer that takes very long, once."""

        def told(self, run: RunRecord, events: Sequence[Event]) -> None:
            if any(event.kind == "step.started" for event in events):
                clock.passed = 3600.0

    async with Orchestrator(TakenStore(), clock=clock, observers=[Slow()]) as orchestrator:
        run = await orchestrator.start(make_workflow("One", {"one": step(one)})(), run_id="r")
        async with asyncio.timeout(10):
            await until(lambda: "r" not in orchestrator._runs.engine.executions)

    assert ["run.started", "step.started one"] == await kinds_of(run)
    assert [] == ran


async def test_a_run_that_is_taken_up_while_one_of_its_id_is_started_here():
    """Whoever starts it is told that it is there; it is given back, and taken up after a while."""
    asked = asyncio.Event()

    class Reading(MemoryStore):
        """A store in which somebody starts a run of the same id while its log is read."""

        starting: "asyncio.Task[Any] | None" = None

        async def inbox(self, owner: str) -> list[Message]:
            if asked.is_set() and self.starting is None:
                self.starting = asyncio.create_task(orchestrator.start(flow()(), run_id="r"))
                while "r" not in orchestrator._runs.engine.executions:  # noqa: ASYNC110 - it is known nowhere else
                    await asyncio.sleep(0)
            return await super().inbox(owner)

    store, clock = Reading(), FakeClock()
    async with Orchestrator(store, workflows=[flow()], clock=clock) as orchestrator:
        other = MemoryStore()
        await abandoned_run(other)
        store._runs["r"] = other._runs["r"]
        asked.set()
        orchestrator._keeper._look(*Look)
        await clock.advance(1)
        assert store.starting is not None
        with pytest.raises(RunExistsError):
            await store.starting
        await clock.advance(20)
        result = await (await orchestrator.get("r")).result()

    assert RunStatus.COMPLETED is result.status
