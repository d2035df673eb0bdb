"""Runs that nobody executes, and the orchestrators that take them up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchwf import (
    Client,
    Orchestrator,
    RunResult,
    RunStatus,
    StepContext,
    UsageError,
    make_workflow,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)
from orchwf.core.dag import dag_of
from orchwf.core.events import Event, RunCancelled, StepStarted
from orchwf.core.machine import Machine
from orchwf.core.outcome import Begun
from orchwf.core.plan import Plan
from orchwf.errors import StoreError
from orchwf.ports import Append, Hint, HintKind, Message, RunRecord, Store, Taken, Wanted
from orchwf.runtime.refused import Refused
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock
from tests.runtime.flows import Gate


async def one() -> int:
    return 1


def named(name: str, body: Any = one) -> type:
    """A workflow of one step."""
    return make_workflow(name, {"one": step(body)})


def left(workflow: type, run_id: str) -> Append:
    """The append of somebody who has no code of the workflow's: a run that is for anyone to execute."""
    dag = dag_of(workflow)
    begun = Begun(dag.name, dag.version, dag.fingerprint, "{}")
    events = Machine(run_id, Plan(dag), lambda node: None).turn([begun], 0.0).events
    record = RunRecord(
        id=run_id, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint, entrypoint=dag.entrypoint,
        status=RunStatus.RUNNING, metadata={}, tags={}, created_at=0.0,
    )  # fmt: skip
    return Append(run_id=run_id, expected=0, events=events, create=record, definition=dag.to_json)


async def leave(store: Store, workflow: type, *run_ids: str) -> None:
    """Let these runs be there, executed by nobody."""
    assert [None] * len(run_ids) == await store.append([left(workflow, run_id) for run_id in run_ids])


class Telling(MemoryStore):
    """Notes what is asked, and may tell nothing."""

    def __init__(self, *, is_deaf: bool = False) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.taken: list[list[str]] = []
        self.is_deaf = is_deaf

    async def listen(self, heard: Any) -> None:
        if not self.is_deaf:
            await super().listen(heard)

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        taken = await super().take(owner, wanted)
        self.taken += [[run.id for run in taken.runs]] if taken.runs else []
        return taken

    def __getattribute__(self, name: str) -> Any:
        if name in ("take", "runs", "inbox", "next_wake", "renew", "schedules", "get", "watch"):
            self.asked[name] += 1
        return super().__getattribute__(name)


class Seen:
    """An observer that waits for a cancellation."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        if any(isinstance(event, RunCancelled) for event in events):
            self.cancelled.set()


async def test_a_run_that_nobody_executes_is_taken_up_at_once():
    """It is told: nobody has to look for it, and time stands still."""
    store, clock, flow = Telling(), FakeClock(), named("Flow")
    async with Orchestrator(store, workflows=[flow], clock=clock) as orchestrator:
        await leave(store, flow, "r")
        result = await (await orchestrator.get("r")).result()

    assert RunStatus.COMPLETED is result.status
    assert [["r"]] == store.taken


async def test_without_being_told_it_is_looked_for():
    """From time to time."""
    store, clock, flow = Telling(is_deaf=True), FakeClock(), named("Flow")
    async with Orchestrator(store, workflows=[flow], clock=clock, lease=15) as orchestrator:
        await leave(store, flow, "r")
        run = await orchestrator.get("r")
        before = await run.status()
        await clock.advance(5)
        result = await run.result()

    assert (RunStatus.RUNNING, RunStatus.COMPLETED) == (before, result.status)


async def test_no_more_runs_are_taken_than_there_is_room_for():
    """Others are as soon as one has ended; what is started here is not refused."""
    store, gate, inside, most = Telling(), Gate(), 0, 0

    @step
    async def held() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await gate.pass_through()
        inside -= 1

    flow = make_workflow("Flow", [held])
    await leave(store, flow, *(f"r{number}" for number in range(7)))
    async with Orchestrator(store, workflows=[flow], max_runs=3) as orchestrator:
        for _ in range(3):
            await gate.came.get()
        await leave(store, flow, "last")
        own = await orchestrator.start(flow(), run_id="own")
        await gate.came.get()
        at_first = {*orchestrator._runs.engine.executions}
        gate.open()
        results = [await (await orchestrator.get(f"r{number}")).result() for number in range(7)]
        await (await orchestrator.get("last")).result()
        await own.result()

    assert {"r0", "r1", "r2", "own"} == at_first
    assert ["r0", "r1", "r2"] == store.taken[0]
    assert most == 4
    assert {RunStatus.COMPLETED} == {result.status for result in results}


async def test_two_share_the_runs_between_them():
    """Each has what it has room for, and every run is executed once."""
    store, ran = Telling(), list[str]()

    async def notes(ctx: StepContext) -> None:
        ran.append(ctx.run_id)
        await asyncio.sleep(0)

    flow = named("Flow", notes)
    ids = [f"r{number}" for number in range(20)]
    await leave(store, flow, *ids)
    async with (
        Orchestrator(store, workflows=[flow], max_runs=2) as first,
        Orchestrator(store, workflows=[flow], max_runs=3),
    ):
        for run_id in ids:
            await (await first.get(run_id)).result()

    assert sorted(ids) == sorted(ran)
    assert max(map(len, store.taken)) <= 3


@pytest.mark.parametrize("max_runs", [0, -1, True, 1.5, "3"])
def test_a_number_of_runs_that_makes_no_sense(max_runs: Any):
    """It is refused where it is given."""
    with pytest.raises(UsageError, match="max_runs takes a whole number of at least 1"):
        Orchestrator("memory:", max_runs=max_runs)


async def test_an_idle_minute_costs_nothing_but_the_lease():
    """Where all is told: it is renewed each five seconds."""
    store, clock = Telling(), FakeClock()
    waiting = make_workflow("Waiting", {"paid": signal(int), "later": sleep("3h")})
    async with Orchestrator(store, workflows=[waiting, named("Flow")], clock=clock, lease=15) as orchestrator:
        run = await orchestrator.start(waiting())
        await clock.advance(1)
        assert None is not (await orchestrator._runs.record(run.id)).wake_at
        waiter = asyncio.create_task(run.wait())
        await clock.advance(1)
        store.asked.clear()
        await clock.advance(60)
        asked = dict(store.asked)
        waiter.cancel()

    assert {"renew": 12} == asked


async def test_who_sleeps_is_called_by_what_is_told():
    """Also by another orchestrator on the store."""
    store, clock = Telling(), FakeClock()
    flow = make_workflow("Waiting", {"paid": signal(int)})
    async with Orchestrator(store, workflows=[flow], clock=clock) as one_of_them:
        run = await one_of_them.start(flow())
        await clock.advance(1)
        async with Orchestrator(store, clock=clock) as other:
            await (await other.get(run.id)).send("paid", 7)
        result = await run.result()

    assert 7 == result["paid"]


async def test_a_paused_run_is_cancelled_by_who_knows_it():
    """It is told that something was said to it."""
    store, clock, gate, seen = Telling(), FakeClock(), Gate(), Seen()

    async def held() -> None:
        await gate.pass_through()

    flow = make_workflow("Held", {"one": step(held), "two": step(depends_on=["one"])(one)})
    async with Orchestrator(store, workflows=[flow], clock=clock, observers=[seen]) as one_of_them:
        run = await one_of_them.start(flow())
        await gate.came.get()
        await run.pause()
        gate.open()
        assert RunStatus.PAUSED is (await run.wait()).status
        async with Orchestrator(store, clock=clock) as other:
            await (await other.get(run.id)).cancel("enough")
        await seen.cancelled.wait()
        result = await run.wait()

    assert (RunStatus.CANCELLED, "enough") == (result.status, result.error)


@asynccontextmanager
async def waited_for_elsewhere(
    store: Store, clock: FakeClock, gate: Gate
) -> AsyncIterator[tuple[Orchestrator, asyncio.Task[RunResult[Any]]]]:
    """Who waits for a run, and what comes of that: another orchestrator executes it, and it stands at the gate."""

    async def held() -> int:
        await gate.pass_through()
        return 1

    flow = named("Held", held)
    async with (
        Orchestrator(store, workflows=[flow], clock=clock) as executing,
        Orchestrator(store, clock=clock) as waiting,
    ):
        await executing.start(flow(), run_id="r")
        await gate.came.get()
        waiter = asyncio.create_task((await waiting.get("r")).wait())
        await clock.advance(1)
        yield waiting, waiter


async def test_the_end_of_a_run_elsewhere_is_told():
    """Who waits for it does not look again and again."""
    store, clock, gate = Telling(), FakeClock(), Gate()

    async with waited_for_elsewhere(store, clock, gate) as (_, waiter):
        store.asked.clear()
        await clock.advance(30)
        asked = store.asked["get"]
        gate.open()
        result = await waiter

    assert (0, RunStatus.COMPLETED) == (asked, result.status)


async def test_who_waits_looks_again_when_nothing_is_told_any_more():
    """And what was missed until it is told again is found then."""
    store, clock, gate = Telling(), FakeClock(), Gate()

    async with waited_for_elsewhere(store, clock, gate) as (waiting, waiter):
        hearing = waiting._runs.hearing
        hearing._hear(Hint(HintKind.LOST))
        store._hints._watched.clear()
        gate.open()
        await clock.advance(1)
        result = await waiter

    assert RunStatus.COMPLETED is result.status


async def test_a_run_that_cannot_be_executed_here_is_given_back_and_left_alone():
    """It keeps no other from its turn, and is tried again after a while."""
    store, clock = Telling(), FakeClock()
    other = make_workflow("Flow", {"two": step(one)})
    flow = named("Flow")
    async with Orchestrator(store, workflows=[other], max_runs=1, clock=clock, lease=15) as orchestrator:
        await leave(store, flow, "old")
        await leave(store, other, "new")
        await (await orchestrator.get("new")).result()
        await clock.advance(4)
        once = store.taken.count(["old"])
        await clock.advance(2)
        twice = store.taken.count(["old"])
        await clock.advance(8)
        again = store.taken.count(["old"])
        record = await store.get("old")

    assert record is not None
    assert (RunStatus.RUNNING, None) == (record.status, record.owner)
    assert (1, 2, 2) == (once, twice, again)


def test_who_is_refused_waits_for_longer_each_time():
    """But not for the sake of a store that was in trouble."""
    refused, changed = Refused(5.0), UsageError("no")

    waits = []
    now = 0.0
    for error in (StoreError("busy"), StoreError("busy"), changed, changed, *[changed] * 8):
        refused.add("r", error, now)
        at = refused.next_at(now)
        assert at is not None
        assert (["r"], []) == (refused.left_alone(now), refused.left_alone(at))
        waits.append(at - now)
        now = at

    assert [5, 5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600] == waits
    assert None is refused.next_at(now)
    refused.left_alone(now + 601)
    refused.add("r", changed, now + 601)
    assert now + 606 == refused.next_at(now + 601)


async def test_who_is_gone_is_noticed_by_its_lease():
    """What it executed is taken up by another one that is told nothing of that, as nobody could."""
    now = [0.0]
    store, clock, gate = MemoryStore(lambda: now[0]), FakeClock(), Gate()

    async def held() -> int:
        await gate.pass_through()
        return 1

    flow = named("Held", held)
    async with Orchestrator(store, workflows=[flow], clock=clock, lease=15) as orchestrator:
        await store.renew("elsewhere|1|x|k", 15)
        await leave(store, named("Other"), "other")
        (append,) = [left(flow, "r")]
        await store.append([append])
        await gate.came.get()
        # Somebody else had it, and is gone.
        orchestrator._runs.engine.let_go(orchestrator._runs.engine.executions["r"], None)
        record = await store.get("r")
        assert record is not None
        assert await store.claim("r", "elsewhere|1|x|k", previous=record.owner)
        now[0] = 16.0
        gate.open()
        await clock.advance(5)
        result = await (await orchestrator.get("r")).result()

    assert RunStatus.COMPLETED is result.status


async def test_what_is_ours_and_not_executed_is_looked_for_after_trouble():
    """A claim of which nobody knows whether it was done; what sleeps is let go of."""

    class Lossy(Telling):
        losses = 0

        async def take(self, owner: str, wanted: Wanted) -> Taken:
            taken = await super().take(owner, wanted)
            if taken.runs and self.losses:
                self.losses -= 1
                raise StoreError("the store was lost after it had done it")
            return taken

    store, clock = Lossy(), FakeClock()
    flow = named("Flow")
    asleep = make_workflow("Asleep", {"paid": signal(int)})
    async with Orchestrator(store, workflows=[flow, asleep], clock=clock, lease=15) as orchestrator:
        sleeper = await orchestrator.start(asleep(), run_id="s")
        await clock.advance(1)
        store.losses = 1
        await leave(store, flow, "r")
        await clock.advance(5)
        first = await (await orchestrator.get("r")).result()
        store.losses = 1
        await sleeper.send("paid", 7)
        await clock.advance(20)
        second = await sleeper.result()

    assert {RunStatus.COMPLETED} == {first.status, second.status}
    assert 0 == store.losses


async def test_everything_is_looked_for_now_and_then():
    """Whatever was told: a hint may be lost somewhere."""
    store, clock, flow = Telling(), FakeClock(), named("Flow")
    async with Orchestrator(store, workflows=[flow], clock=clock) as orchestrator:
        await clock.advance(1)
        listeners, store._hints._listeners = store._hints._listeners, {}
        await leave(store, flow, "r")
        store._hints._listeners = listeners
        run = await orchestrator.get("r")
        await clock.advance(500)
        before = await run.status()
        await clock.advance(200)
        after = await run.status()

    assert (RunStatus.RUNNING, RunStatus.COMPLETED) == (before, after)


async def test_a_run_that_is_taken_here_twice_is_executed_once():
    """By somebody who asks it to end, say, and by who hears that something was said to it."""
    store, clock, gate = Telling(is_deaf=True), FakeClock(), Gate()

    async def held(paid: int) -> int:
        await gate.pass_through()
        return paid

    flow = make_workflow("Asleep", {"paid": signal(int), "held": step(held)})
    async with Orchestrator(store, workflows=[flow], clock=clock) as orchestrator:
        runs, run = orchestrator._runs, await orchestrator.start(flow())
        await clock.advance(1)
        await store.send(Message(run_id=run.id, id="m", signal="paid", payload="7"))
        taken = (await store.take(str(runs.owner), Wanted(asleep=["Asleep"], due_by=0.0, limit=1))).runs
        await runs.take_up_if_possible(taken[0])
        await gate.came.get()
        error = await runs.go_on_if_possible(taken[0])
        record = await runs.record(run.id)
        gate.open()
        result = await run.result()

    assert (None, str(runs.owner)) == (error, record.owner)
    assert (7, 1) == (result["held"], len(result.steps["held"].attempts))


async def test_a_client_is_told_of_the_end_for_which_it_waits():
    """Only who waits listens."""
    store, flow = Telling(), named("Flow")
    async with Client(store) as client, Orchestrator(store, workflows=[flow], clock=FakeClock()):
        run = await client.start(flow())
        listeners = len(store._hints._listeners)
        result = await run.result()
        waiting = len(store._hints._listeners)
    left = len(store._hints._listeners)

    assert RunStatus.COMPLETED is result.status
    assert (1, 2, 0) == (listeners, waiting, left)


@workflow
class Part:
    """One of several."""

    number: int

    @step
    async def work(self) -> int:
        return self.number


@workflow
class Whole:
    """A run for each part."""

    parts: int

    @step
    def numbers(self) -> list[int]:
        return list(range(self.parts))

    @subflow
    def part(self, number: int = numbers.each) -> Part:
        return Part(number=number)

    @step
    def sum(self, found: list[int] = part[Part.work].all) -> int:
        return sum(found)


class Executed:
    """Notes which runs of parts are executed here, and how many runs at most at a time."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.most = 0
        self.orchestrator: Orchestrator | None = None

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        health = self.orchestrator and self.orchestrator.health()
        self.most = max(self.most, health.runs if health else 0)
        self.parts.update(run.id for event in events if isinstance(event, StepStarted) and event.step == "work")


@pytest.mark.parametrize("max_runs", [1, 2, 3])
async def test_runs_of_a_subflow_for_which_there_is_no_room_are_shared_out(max_runs: int):
    """Whoever has room takes them, and nobody takes more; each is executed once, and who waits hears of all."""
    store, seen = MemoryStore(), [Executed(), Executed()]
    first, second = (
        Orchestrator(store, workflows=[Whole], max_runs=max_runs, observers=[each], clock=FakeClock()) for each in seen
    )
    seen[0].orchestrator, seen[1].orchestrator = first, second
    async with first, second:
        result = await first.run(Whole(parts=12), run_id="w")

    assert 66 == result[Whole.sum]
    assert {f"w/part/{number}": 1 for number in range(12)} == seen[0].parts + seen[1].parts
    assert seen[1].parts
    assert max(each.most for each in seen) <= max_runs


async def test_runs_of_a_subflow_that_nobody_else_serves_are_executed_here():
    """There may be no room for them, but nobody else could."""
    async with Orchestrator("memory:", max_runs=1, clock=FakeClock()) as orchestrator:
        result = await orchestrator.run(Whole(parts=3))

    assert 3 == result[Whole.sum]
