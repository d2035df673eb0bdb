"""Queues and mutexes: how many steps run at once, and begin per time, over all who share a store."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    BadOptionError,
    Mutex,
    Orchestrator,
    Queue,
    Retry,
    RunStatus,
    Skip,
    StoreBusyError,
    StoreError,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core.limits import Limit
from orchwf.core.slots import Answer, Slot, SlotRequest
from orchwf.runtime.clock import pause
from orchwf.runtime.owner import this_process
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator, crash_everywhere
from tests.runtime.flows import Gate, kinds_of, log_of


class Crowd:
    """Counts the bodies that are under way at once, by name, and the most that ever were."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def passes(self, name: str = "", turns: int = 3) -> None:
        self.now[name] += 1
        self.most[name] = max(self.most[name], self.now[name])
        for _ in range(turns):
            await asyncio.sleep(0)
        self.now[name] -= 1

    def passing(self, turns: int) -> Any:
        async def body() -> None:
            await self.passes(turns=turns)

        return body


class Counting(MemoryStore):
    """A store that knows how often, and how many, have asked it for slots."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.asked = 0
        self.faults: list[Exception] = []

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        if self.faults:
            raise self.faults.pop(0)
        self.calls += 1
        self.asked += len(requests)
        return await super().take_slots(owner, requests, frees=frees, now=now)


async def nothing() -> None:
    await asyncio.sleep(0)


def wide(count: int, body: Any, **options: Any) -> type:
    return make_workflow("Wide", {f"s{n}": step(**options)(body) for n in range(count)})


async def slots_of(store: MemoryStore) -> str:
    return (await store.facts())["slots"]


# How many at once.


async def test_no_more_run_at_once_than_the_queue_allows():
    """Over all runs of an orchestrator; the others of the step go on."""
    crowd, store = Crowd(), MemoryStore()
    queued = wide(30, crowd.passing(3), queue="api")

    async with Orchestrator(store, queues=[Queue("api", concurrency=4)]) as orchestrator:
        runs = [await orchestrator.start(queued()) for _ in range(3)]
        for run in runs:
            await run.result()

    assert 4 == crowd.most[""]
    assert "0" == await slots_of(store)


async def test_no_more_run_at_once_over_two_orchestrators_on_one_file(tmp_path: Path):
    """Each asks the store."""
    crowd, url = Crowd(), f"sqlite:///{tmp_path / 'a.db'}?durability=process"
    queued, queues = wide(40, crowd.passing(20), queue="api"), [Queue("api", concurrency=3)]

    async with Orchestrator(url, queues=queues) as one, Orchestrator(url, queues=queues) as other:
        runs = [await orchestrator.start(queued()) for orchestrator in (one, other, one, other)]
        for run in runs:
            await run.result()

    assert 3 == crowd.most[""]


async def test_a_mutex_holds_over_all_runs_and_orchestrators(tmp_path: Path):
    """Whatever steps it is of."""
    crowd, url = Crowd(), f"sqlite:///{tmp_path / 'a.db'}?durability=process"
    one_flow = make_workflow("One", {name: step(mutex="ledger")(crowd.passing(3)) for name in "abc"})
    other_flow = make_workflow("Other", {name: step(mutex="ledger")(crowd.passing(3)) for name in "xyz"})

    async with Orchestrator(url) as one, Orchestrator(url) as other:
        runs = [await one.start(one_flow()), await other.start(other_flow()), await one.start(other_flow())]
        for run in runs:
            await run.result()

    assert 1 == crowd.most[""]


@workflow
class Account:
    """Transfers of one account come one after the other."""

    account: str

    @step(mutex=lambda self: f"account-{self.account}")
    async def debit(self) -> None:
        await CROWD.passes(self.account)

    @step(mutex=lambda self: f"account-{self.account}")
    async def credit(self) -> None:
        await CROWD.passes(self.account)


CROWD = Crowd()


async def test_a_mutex_may_be_named_by_the_inputs():
    """Then others have others."""
    CROWD.most.clear()
    gate = Gate()

    @workflow
    class Slow:
        name: str

        @step(mutex=lambda self: self.name)
        async def waits(self) -> None:
            await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        runs: list[Any] = [await orchestrator.start(Account(account=name)) for name in ("a", "b", "a")]
        for name in ("x", "y"):
            runs.append(await orchestrator.start(Slow(name=name)))
            await gate.came.get()
        gate.open()
        for run in runs:
            await run.result()

    assert {"a": 1, "b": 1} == CROWD.most
    assert 2 == gate.most


async def test_a_mutex_within_a_run():
    """Each run has its own."""
    crowd, gate = Crowd(), Gate()

    async def body() -> None:
        await gate.pass_through()
        await crowd.passes()

    flow = make_workflow("Within", {name: step(mutex=Mutex("m", scope="run"))(body) for name in "abc"})
    async with Orchestrator("memory:") as orchestrator:
        runs = [await orchestrator.start(flow()) for _ in range(3)]
        for _ in runs:
            await gate.came.get()
        most_waited = gate.most
        gate.open()
        for run in runs:
            await run.result()

    assert 3 == most_waited
    assert 3 >= crowd.most[""]


@workflow
class Import:
    """A step for a customer."""

    customer: str | int

    @step(queue="api")
    async def fetch(self) -> None:
        await CROWD.passes(str(self.customer), turns=30)


async def test_a_queue_may_have_limits_per_key():
    """Both hold for each key by itself."""
    CROWD.most.clear()
    store = MemoryStore()
    queue = Queue("api", concurrency=2, key=lambda flow: flow.customer)

    async with Orchestrator(store, queues=[queue]) as orchestrator:
        runs = [await orchestrator.start(Import(customer=name)) for name in ["a"] * 6 + ["b"] * 6 + [7] * 6]
        for run in runs:
            await run.result()

    assert {"a": 2, "b": 2, "7": 2} == CROWD.most


async def test_a_queue_and_a_mutex_together():
    """The step holds both or none, so that steps that need both cannot wait for each other."""
    crowd, store = Crowd(), MemoryStore()

    def both(n: int) -> Any:
        async def body() -> None:
            await asyncio.gather(crowd.passes("queue"), crowd.passes(f"m{n % 5}"))

        return body

    flow = make_workflow("Both", {f"s{n}": step(queue="api", mutex=f"m{n % 5}")(both(n)) for n in range(60)})
    async with Orchestrator(store, queues=[Queue("api", concurrency=3)]) as orchestrator:
        runs = [await orchestrator.start(flow()) for _ in range(2)]
        for run in runs:
            await run.result()

    assert 3 == crowd.most["queue"]
    assert {1} == {crowd.most[f"m{n}"] for n in range(5)}
    assert "0" == await slots_of(store)


async def test_who_waits_takes_no_place_from_others():
    """Of two places one is taken by who has the mutex, and the other one serves all that need none."""
    gate, free, all_free = Gate(), list[int](), asyncio.Event()

    async def unlimited() -> None:
        free.append(1)
        if len(free) == 50:
            all_free.set()

    steps = {f"m{n}": step(mutex="m", priority=9)(gate.pass_through) for n in range(50)}
    flow = make_workflow("Mixed", steps | {f"f{n}": step(unlimited) for n in range(50)})
    async with Orchestrator("memory:", max_concurrency=2) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await all_free.wait()
        gate.open()
        result = await run.wait()

    assert RunStatus.COMPLETED is result.status
    assert 1 == gate.most


async def test_those_who_wait_go_by_priority_then_by_definition():
    """As those that wait for a place do."""
    order: list[str] = []

    def noting(name: str) -> Any:
        async def body() -> None:
            order.append(name)

        return body

    priorities = {"a": 0, "b": 5, "c": 0, "d": 9, "e": -1}
    flow = make_workflow("Order", {name: step(mutex="m", priority=p)(noting(name)) for name, p in priorities.items()})
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(flow())

    assert list("dbace") == order


@pytest.mark.slow
async def test_ten_thousand_steps_through_a_queue_of_eight():
    """Each asks once: nobody asks again and again for what is known to be taken."""
    crowd, store = Crowd(), Counting()
    flow = wide(10_000, crowd.passing(0), queue="api")

    async with Orchestrator(store, queues=[Queue("api", concurrency=8)]) as orchestrator:
        await orchestrator.run(flow())

    assert 8 >= crowd.most[""]
    assert 10_000 == store.asked
    assert "0" == await slots_of(store)


async def test_nothing_is_kept_of_limits_that_nobody_needs():
    """There may be one for each customer."""
    async with Orchestrator("memory:", queues=[Queue("api", concurrency=1, key=lambda flow: flow.customer)]) as one:
        for number in range(20):
            await one.run(Import(customer=number))
        admission = one._runs.engine.admission

        assert ({}, {}, 0) == (admission._gates, admission._tickets, admission.desk.places)


# Rates.


async def test_a_rate_is_kept():
    """Of 5 a minute five begin at once, and then one each twelve seconds."""
    clock = FakeClock(auto=True)
    flow = wide(9, nothing, queue="api")

    async with TestOrchestrator(clock=clock, queues=[Queue("api", rate="5/minute")]) as orchestrator:
        run = await orchestrator.start(flow())
        await run.result()
        log = await log_of(run)

    starts = [event.at - log[0].at for event in log if event.kind == "step.started"]
    assert [0, 0, 0, 0, 0, 12, 24, 36, 48] == [round(start) for start in starts]


async def test_a_rate_holds_over_all_orchestrators_of_a_store():
    """And goes on from one to the next."""
    clock, store = FakeClock(auto=True), MemoryStore()
    flow, queues = wide(3, nothing, queue="api"), [Queue("api", rate="2/10s")]
    starts: list[float] = []
    began = clock.now()

    for _ in range(2):
        async with TestOrchestrator(store, clock=clock, queues=queues) as orchestrator:
            run = await orchestrator.start(flow())
            await run.result()
            starts += [event.at - began for event in await log_of(run) if event.kind == "step.started"]

    assert [0, 0, 5, 10, 15, 20] == [round(start) for start in starts]


async def test_a_rate_and_a_concurrency_together():
    """Both hold: a place that is free does not help who waits for the rate."""
    clock, crowd, store = FakeClock(auto=True), Crowd(), Counting()

    async def body() -> None:
        await crowd.passes()

    flow = wide(8, body, queue="api")
    async with TestOrchestrator(store, clock=clock, queues=[Queue("api", concurrency=2, rate="4/40s")]) as orchestrator:
        run = await orchestrator.start(flow())
        await run.result()
        log = await log_of(run)

    starts = [event.at - log[0].at for event in log if event.kind == "step.started"]
    assert [0, 0, 0, 0, 10, 20, 30, 40] == [round(start) for start in starts]
    assert 2 == crowd.most[""]
    assert 20 > store.asked


async def test_a_fast_rate_is_used_up():
    """Nobody waits longer than for the next one."""
    flow = wide(60, nothing, queue=Queue("api", rate="1000/second"))

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(flow())

    assert RunStatus.COMPLETED is result.status


# How attempts end.


async def test_a_slot_is_given_back_between_attempts():
    """However short the wait is; the next attempt asks anew."""
    store, order = Counting(), list[str]()

    async def fails() -> None:
        order.append("fails")
        if order.count("fails") < 4:
            raise ValueError("no")

    async def other() -> None:
        order.append("other")

    flow = make_workflow(
        "Again", {"fails": step(mutex="m", retries=Retry(3, initial=0))(fails), "other": step(mutex="m")(other)}
    )
    async with Orchestrator(store) as orchestrator:
        result = await orchestrator.run(flow())

    assert RunStatus.COMPLETED is result.status
    assert ("fails", "other") == (order[0], order[1])
    assert 5 == store.asked
    assert "0" == await slots_of(store)


@pytest.mark.parametrize("how", ["raises", "times out", "skips", "thread"])
async def test_a_slot_is_given_back_however_the_attempt_ends(how: str):
    """The next one starts."""
    store = MemoryStore()

    async def ends() -> None:
        if how == "raises":
            raise ValueError("no")
        if how == "skips":
            raise Skip("nothing to do")
        await asyncio.Event().wait()

    def in_thread() -> None:
        raise ValueError("no")

    first = step(mutex="m", required=False, timeout=0.01 if how == "times out" else None, priority=1)
    flow = make_workflow(
        "Ends", {"first": first(in_thread if how == "thread" else ends), "second": step(mutex="m")(lambda: None)}
    )
    async with Orchestrator(store) as orchestrator:
        result = await orchestrator.run(flow())

    assert "completed" == result.steps["second"].status
    assert "0" == await slots_of(store)


async def test_a_compensation_may_have_a_mutex():
    """Undoing is limited by itself."""
    crowd, store = Crowd(), MemoryStore()

    async def books() -> None:
        await crowd.passes()

    async def undoes(output: None) -> None:
        await crowd.passes(turns=9)

    async def fails() -> None:
        raise ValueError("no")

    def flow(name: str) -> type:
        book = step(mutex="m")(books)
        book.compensate(mutex="m")(undoes)
        return make_workflow(name, {"book": book, "fails": step(depends_on="book")(fails)})

    async with Orchestrator(store) as orchestrator:
        runs = [await orchestrator.start(flow(name)()) for name in "ABC"]
        results = [await run.wait() for run in runs]

    assert ["done"] * 3 == [result.compensation for result in results]
    assert 1 == crowd.most[""]
    assert "0" == await slots_of(store)


@pytest.mark.parametrize("ask", ["cancel", "terminate", "pause"])
async def test_a_run_that_is_stopped_while_a_step_waits_forgets_it(ask: str):
    """Nothing of it asks any more, and what it would get goes to others."""
    gate, store = Gate(), MemoryStore()
    flow = make_workflow("Waits", {"waits": step(mutex="m")(gate.pass_through)})
    async with Orchestrator(store) as orchestrator:
        first = await orchestrator.start(flow())
        await gate.came.get()
        second, third = await orchestrator.start(flow()), await orchestrator.start(flow())
        await getattr(second, ask)("enough")
        told = await second.wait()
        gate.open()
        ends = [(await run.result()).status for run in (first, third)]
        kinds = await kinds_of(second)

    assert {"cancel": "cancelled", "terminate": "cancelled", "pause": "paused"}[ask] == told.status
    assert ["completed"] * 2 == ends
    assert "step.started waits" not in kinds
    assert "0" == await slots_of(store)


async def test_a_paused_run_asks_anew_when_it_is_resumed():
    """And holds nothing meanwhile."""
    gate, store = Gate(), MemoryStore()
    flow = make_workflow("Waits", {"waits": step(mutex="m")(gate.pass_through)})
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        first, second = await orchestrator.start(flow()), await orchestrator.start(flow())
        await gate.came.get()
        await second.pause()
        await second.wait()
        gate.open()
        await first.result()
        result = await (await orchestrator.resume(second.id)).result()

    assert RunStatus.COMPLETED is result.status
    assert "0" == await slots_of(store)


class Slow(MemoryStore):
    """A store that answers who asks for slots when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        answers = await super().take_slots(owner, requests, frees=frees, now=now)
        if requests:
            self.asked.set()
            await self.may_answer.wait()
        return answers


@pytest.mark.parametrize("is_held", [False, True])
async def test_an_answer_that_comes_too_late_changes_nothing(is_held: bool):
    """The run was cancelled while the store was asked: what it got is given back."""
    store = Slow()
    flow = make_workflow("Waits", {"waits": step(mutex="m")(lambda: None)})
    if is_held:
        store.may_answer.set()
        await _held_by(store, "elsewhere/m/b/p|1|1|k")
        store.may_answer.clear()
        store.asked.clear()
    async with Orchestrator(store) as orchestrator:
        first = await orchestrator.start(flow())
        await store.asked.wait()
        await first.cancel()
        await first.wait()
        store.may_answer.set()
        await store.renew("elsewhere/m/b/p|1|1|k", 0)
        second = await orchestrator.run(flow())
        kinds = await kinds_of(first)

    assert RunStatus.COMPLETED is second.status
    assert ["run.started", "signal.received", "step.cancelled waits", "run.cancelled"] == kinds
    assert "0" == await slots_of(store)


async def test_a_slot_that_comes_while_the_run_is_to_pause_is_given_back():
    """The step does not start, and others get the slot."""
    store, gate = Slow(), Gate()
    flow = make_workflow("Both", {"long": gate.pass_through, "waits": step(mutex="m")(lambda: 7)})
    other = make_workflow("Other", {"waits": step(mutex="m")(lambda: 8)})
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await store.asked.wait()
        await run.pause()
        assert await _comes(run, "signal.received")
        store.may_answer.set()
        await orchestrator.run(other())
        gate.open()
        paused = await run.wait()
        result = await (await orchestrator.resume(run.id)).result()

    assert RunStatus.PAUSED is paused.status
    assert 0 == paused.steps["waits"].attempt
    assert 7 == result["waits"]
    assert "0" == await slots_of(store)


async def _comes(run: Any, kind: str) -> bool:
    async for event in run.events(follow=True):
        if event.kind == kind:
            return True
    return False


async def test_who_waits_while_its_run_is_to_pause_does_not_start():
    """It is its turn, and it leaves that to others."""
    gate, holder = Gate(), Gate()
    flow = make_workflow("Both", {"long": gate.pass_through, "waits": step(mutex="m")(lambda: 7)})
    held = make_workflow("Held", {"holds": step(mutex="m", priority=1)(holder.pass_through)})
    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        first = await orchestrator.start(held())
        await holder.came.get()
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.pause()
        assert await _comes(run, "signal.received")
        holder.open()
        await first.result()
        await orchestrator.run(make_workflow("Other", {"waits": step(mutex="m")(lambda: 8)})())
        gate.open()
        paused = await run.wait()
        result = await (await orchestrator.resume(run.id)).result()

    assert (RunStatus.PAUSED, 0) == (paused.status, paused.steps["waits"].attempt)
    assert 7 == result["waits"]


async def test_a_run_that_is_cancelled_when_it_is_its_turn_leaves_it_to_others():
    """It had no place yet."""
    first, urgent, long, store = Gate(), Gate(), Gate(), MemoryStore()

    def flow(name: str, body: Any, **options: Any) -> type:
        return make_workflow(name, {"a": step(**options)(body)})

    async with Orchestrator(store, max_concurrency=2) as orchestrator:
        holds = await orchestrator.start(flow("Holds", first.pass_through, mutex="m")())
        await first.came.get()
        waits = [await orchestrator.start(flow(name, nothing, mutex="m")()) for name in ("B", "C")]
        others = [await orchestrator.start(flow("Long", long.pass_through)())]
        await long.came.get()
        others.append(await orchestrator.start(flow("Urgent", urgent.pass_through, priority=9)()))
        first.open()
        # Now both places are taken, and the mutex is free.
        await holds.result()
        await urgent.came.get()
        await waits[0].cancel()
        await waits[0].wait()
        long.open()
        urgent.open()
        for run in (waits[1], *others):
            await run.result()

    assert "0" == await slots_of(store)


async def test_a_body_that_does_not_end_keeps_its_slot_until_it_does():
    """Though its run was terminated."""
    gate, store, released = Gate(), MemoryStore(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await gate.pass_through()
        except asyncio.CancelledError:
            await released.wait()
            raise

    flow = make_workflow("Stubborn", {"waits": step(mutex="m")(stubborn)})
    quick = make_workflow("Quick", {"waits": step(mutex="m")(lambda: None)})
    async with Orchestrator(store) as orchestrator:
        first = await orchestrator.start(flow())
        await gate.came.get()
        await first.terminate()
        await first.wait()
        second = await orchestrator.start(quick())
        for _ in range(20):
            await asyncio.sleep(0)
        held, kinds = await slots_of(store), await kinds_of(second)
        released.set()
        await second.result()

    assert ("1", ["run.started"]) == (held, kinds)
    assert "0" == await slots_of(store)


async def test_who_lost_a_run_gives_its_slots_back_when_its_body_has_ended():
    """Somebody else owns it: what it reports is refused, and its slot is free all the same."""
    gate, store = Gate(), MemoryStore()
    flow = make_workflow("Waits", {"waits": step(mutex="m")(gate.pass_through)})
    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        record = await store.get("r")
        assert record is not None
        await store.claim("r", "elsewhere|1|x|k", previous=record.owner)
        gate.open()
        result = await orchestrator.run(flow())
        assert run._execution is not None
        assert run._execution.left.is_set()

    assert RunStatus.COMPLETED is result.status
    assert "0" == await slots_of(store)


# What others hold.


async def _held_by(store: MemoryStore, owner: str) -> None:
    await store.renew(owner, 3600)
    limit = Limit(name='["mutex", "m"]', concurrency=1)
    assert [None] == await store.take_slots(owner, [SlotRequest(limits=[limit], run_id="x", step="s", attempt=1)])


async def test_the_slot_of_a_dead_process_is_free_at_once():
    """On this host it is known that it is gone; its lease is not waited for."""
    store, here = MemoryStore(), this_process("k")
    await _held_by(store, f"{here.host}|{2**22 + 1}|{here.birth}|k")

    async with Orchestrator(store) as orchestrator:
        result = await orchestrator.run(make_workflow("Waits", {"waits": step(mutex="m")(lambda: None)})())

    assert RunStatus.COMPLETED is result.status


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
async def test_a_killed_process_leaves_no_slot_taken(tmp_path: Path):
    """Another one that needs the mutex starts at once, and so does the run that was left."""
    path = tmp_path / "a.db"
    code = textwrap.dedent(
        f"""
        import asyncio, os, signal
        from orchwf import Orchestrator, make_workflow, step
        async def dies() -> None:
            os.kill(os.getpid(), signal.SIGKILL)
        async def main() -> None:
            async with Orchestrator({f"sqlite:///{path}"!r}) as orchestrator:
                await orchestrator.run(make_workflow("Dies", {{"a": step(mutex="m")(dies)}})(), run_id="r")
        asyncio.run(main())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    process = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], env=environment, check=False)

    lives = make_workflow("Dies", {"a": step(mutex="m")(nothing)})
    async with Orchestrator(f"sqlite:///{path}", workflows=[lives]) as orchestrator:
        other = await asyncio.wait_for(orchestrator.run(lives()), 10)
        left = await asyncio.wait_for((await orchestrator.get("r")).result(), 10)

    assert -signal.SIGKILL == process.returncode
    assert (RunStatus.COMPLETED, RunStatus.COMPLETED) == (other.status, left.status)


@pytest.mark.parametrize("owner", ["elsewhere/m/b/p|1|1|k", "nonsense"])
async def test_the_slot_of_a_process_elsewhere_is_free_when_its_lease_has_run_out(owner: str):
    """Until then it is asked for now and then, by time that no run waits for."""
    clock, store = FakeClock(), Counting()
    await _held_by(store, owner)
    store.asked = 0

    async with Orchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", {"waits": step(mutex="m")(lambda: None)})())
        await clock.advance(10)
        asked, kinds = store.asked, await kinds_of(run)
        await store.renew(owner, 0)
        await clock.advance(1)
        result = await run.wait()

    assert ["run.started"] == kinds
    # After 50 ms, 100 ms, ... and then each second.
    assert 12 <= asked <= 16
    assert RunStatus.COMPLETED is result.status


async def test_a_run_that_is_cancelled_does_not_ask_any_more_for_what_others_hold():
    """Nothing is left that would wake."""
    clock, store = FakeClock(), Counting()
    await _held_by(store, "elsewhere/m/b/p|1|1|k")

    async with Orchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", {"waits": step(mutex="m")(lambda: None)})())
        await clock.advance(1)
        await run.cancel()
        await run.wait()
        before = store.asked
        await clock.advance(10)

        assert before == store.asked
        assert {} == orchestrator._runs.engine.admission._gates


async def test_a_process_with_much_to_do_leaves_others_their_turn():
    """Though it has hundreds of steps that wait for the mutex, and takes it again as soon as it gives it back."""
    clock = FakeClock(auto=True)
    store = MemoryStore(clock.now)

    async def takes_a_while() -> None:
        await pause(clock, 0.25)

    busy, modest = wide(120, takes_a_while, mutex="m"), make_workflow("Modest", {"a": step(mutex="m")(nothing)})
    async with (
        Orchestrator(store, clock=clock, lease="1h") as one,
        Orchestrator(store, clock=clock, lease="1h") as other,
    ):
        much = await one.start(busy())
        little = await other.start(modest())
        await little.result()
        first, second = await log_of(little), (await much.steps()).values()
        done = sum(each.status == "completed" for each in second)
        await much.result()

    assert first[-1].at - first[0].at < 10
    assert 20 <= done < 120


async def test_an_orchestrator_that_closes_lets_go_of_its_slots():
    """At once, though its steps have not ended."""
    gate, store = Gate(), MemoryStore()
    flow = make_workflow("Waits", {"waits": step(mutex="m")(gate.pass_through)})

    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow())
        await orchestrator.start(flow())
        await gate.came.get()

    assert "0" == await slots_of(store)


# Trouble.


async def test_a_busy_store_is_asked_again():
    """And nothing is lost of what was asked."""
    store = Counting()
    store.faults = [StoreBusyError("locked"), StoreBusyError("locked")]

    async with Orchestrator(store) as orchestrator:
        result = await orchestrator.run(wide(5, lambda: None, mutex="m")())

    assert RunStatus.COMPLETED is result.status


async def test_a_lost_store_stops_the_orchestrator():
    """As it does when events cannot be written."""
    store = Counting()
    store.faults = [StoreError("gone")]

    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(wide(1, lambda: None, mutex="m")())
        with pytest.raises(Exception, match="interrupted"):
            await run.result()
        with pytest.raises(StoreError, match="the orchestrator has stopped: gone"):
            await orchestrator.start(wide(1, lambda: None)())


@workflow
class Careless:
    """The function that gives the name of its mutex fails."""

    number: int

    @step(mutex=lambda self: f"m{1 // self.number}")
    async def work(self) -> None:
        raise AssertionError("it ran")


async def test_a_name_that_cannot_be_told_fails_the_step():
    """As if its body had raised it: the line is told."""
    async with Orchestrator("memory:") as orchestrator:
        result = await (await orchestrator.start(Careless(number=0))).wait()

    error = result.steps["work"].error
    assert error is not None
    assert error.headline.startswith("ZeroDivisionError: ")
    assert "test_limits.py" in error.location


async def test_a_name_that_is_none_fails_the_step():
    """With what it should be."""
    flow = make_workflow("Bad", {"a": step(mutex=lambda flow: None)(lambda: None)})  # type: ignore[arg-type,return-value]
    keyed = make_workflow("Keyed", {"a": step(queue=Queue("q", concurrency=1, key=lambda flow: 1.5))(lambda: None)})

    async with Orchestrator("memory:") as orchestrator:
        told = [(await (await orchestrator.start(each())).wait()).error for each in (flow, keyed)]

    assert [
        "BadOptionError: the function given as mutex gave None: a name is text, not None",
        "BadOptionError: key of Queue('q') gives a text or a whole number, not 1.5",
    ] == told


async def test_a_name_is_asked_for_at_each_attempt():
    """Its failure is one of the step, with retries of the step."""
    calls: list[int] = []

    def name(flow: Any) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("not yet")
        return "m"

    flow = make_workflow("Flaky", {"a": step(mutex=name, retries=Retry(5, initial=0))(lambda: 7)})
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(flow())

    assert 7 == result["a"]
    assert 3 == result.steps["a"].attempt == len(calls)


# Which queues there are.


async def test_an_unknown_queue_is_told_when_the_workflow_is():
    """On entry, and at the start of a run; never does a run hang for it."""
    flow = wide(1, lambda: None, queue="apj")
    queues = [Queue("api", concurrency=1)]

    with pytest.raises(UsageError) as caught:
        async with Orchestrator("memory:", workflows=[flow], queues=queues):
            pass
    async with Orchestrator("memory:", queues=queues) as orchestrator:
        with pytest.raises(UsageError, match="step 's0' of Wide is of the queue 'apj'"):
            await orchestrator.start(flow())
        assert 0 == len(await orchestrator.list_runs())

    assert (
        "step 's0' of Wide is of the queue 'apj', which this orchestrator does not have (it has: 'api'). Did you mean "
        "'api'? Give it, Orchestrator(..., queues=[Queue('apj', concurrency=4)]), or on the command line, "
        "orchwf worker --queues apj=4, or give it to the step itself, queue=Queue('apj', concurrency=4)"
    ) == str(caught.value)


async def test_a_step_may_bring_its_queue():
    """It is known then, to others by its name; the orchestrator's own of that name counts more."""
    crowd, strict = Crowd(), Crowd()
    flow = wide(20, crowd.passing(3), queue=Queue("api", concurrency=3))
    by_name = make_workflow("ByName", {"a": step(queue="api")(crowd.passing(3))})

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(flow())
        await orchestrator.run(by_name())
    stricter = wide(20, strict.passing(3), queue=Queue("api", concurrency=3))
    async with Orchestrator("memory:", queues=[Queue("api", concurrency=1)]) as orchestrator:
        await orchestrator.run(stricter())

    assert (3, 1) == (crowd.most[""], strict.most[""])


async def test_two_queues_of_one_name():
    """Nobody could know which one counts."""
    one = make_workflow("One", {"a": step(queue=Queue("api", concurrency=1))(lambda: None)})
    two = make_workflow("Two", {"b": step(queue=Queue("api", concurrency=2))(lambda: None)})

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(one())
        with pytest.raises(UsageError, match="step 'b' of Two has another queue of the name 'api'"):
            await orchestrator.start(two())


@pytest.mark.parametrize(
    ("queues", "message"),
    [
        ("api", "queues takes a list of Queue('name', ...), not 'api'"),
        (7, "queues takes a list of Queue('name', ...), not 7"),
        (["api"], "queues takes a list of Queue('name', ...), not ['api']"),
        ([Queue("a", concurrency=1), Queue("a", concurrency=1)], "queues has two that are called 'a'"),
    ],
)
def test_queues_that_make_no_sense(queues: Any, message: str):
    """It is said what would."""
    with pytest.raises(UsageError) as caught:
        Orchestrator("memory:", queues=queues)

    assert message in str(caught.value)


async def test_a_compensation_of_an_unknown_queue():
    """It is found as well."""
    book = step(lambda: 1, name="book")
    book.compensate(queue="api")(lambda output: None)

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(UsageError, match="step 'book' of Books is of the queue 'api'"):
            await orchestrator.start(make_workflow("Books", [book])())


# Crashes.


@workflow
class Shop:
    """Two steps that share a mutex, and one with a queue."""

    @step(mutex="stock", queue=Queue("shop", concurrency=1))
    async def reserve(self) -> int:
        await CROWD.passes("shop")
        return 1

    @step(mutex=Mutex("stock"), retries=1)
    def count(self) -> int:
        return 2

    @step(queue=Queue("shop", concurrency=1))
    async def ship(self, n: int = reserve.result, m: int = count.result) -> int:
        await CROWD.passes("shop")
        return n + m


def test_limits_survive_crashes():
    """Whoever takes a run up gets the slots of the dead."""
    CROWD.most.clear()
    CROWD.now.clear()

    report = crash_everywhere(Shop(), reset=CROWD.now.clear, check=lambda result: result[Shop.ship] == 3)

    assert any("before it took the slots of reserve" in death for death in report.deaths)
    assert any("after it took the slots" in death for death in report.deaths)


def test_crash_everywhere_takes_queues():
    """For steps that name them."""
    flow = make_workflow("Named", {"a": step(queue="api")(lambda: 1)})

    crash_everywhere(flow(), queues=[Queue("api", concurrency=1)])

    with pytest.raises(UsageError, match="'api'"):
        crash_everywhere(flow())


@pytest.mark.slow
async def test_nothing_of_a_limited_step_waits_for_the_garbage_collector():
    """As of any other."""
    left: list[int] = []
    async with Orchestrator("memory:") as orchestrator:
        for width in (20, 20, 220):
            flow = wide(width, nothing, queue=Queue(f"q{width}", concurrency=3))
            gc.collect()
            gc.disable()
            try:
                run = await orchestrator.start(flow())
                await run.result()
                left.append(gc.collect())
            finally:
                gc.enable()

    assert left[2] <= left[1] + 20


def test_bad_options_are_told_at_once():
    """Where the queue is made."""
    with pytest.raises(BadOptionError):
        Queue("api")
