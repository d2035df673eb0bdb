"""Runs that somebody resumes who has not their code: whoever serves the workflow goes on with them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from orchwf import (
    Client,
    NotResumableError,
    Orchestrator,
    RunNotFoundError,
    RunOwnedError,
    RunStatus,
    StoreError,
    UsageError,
    make_workflow,
    signal,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.ports import Store
from orchwf.stores import MemoryStore
from tests.kinds import opened_store

MOOD = {"bad": True}


@workflow
class Parse:
    """Fails while the mood is bad."""

    @step
    def read(self) -> int:
        return 1

    @step(retries=1)
    def parse(self, read: int) -> int:
        if MOOD["bad"]:
            raise ValueError("no")
        return read + 1


@workflow
class Waits:
    """Waits for somebody."""

    go = signal(int)


@workflow
class Busy:
    """Ends when it is told to."""

    @step
    async def wait(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def bad_mood() -> None:
    MOOD["bad"] = True


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which nothing is."""
    opened = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


async def failed(store: Store, run_id: str = "A1") -> None:
    """There is a run that has failed, and nobody serves its workflow any more."""
    async with Orchestrator(store, workflows=[Parse]) as orchestrator:
        await (await orchestrator.start(Parse(), run_id)).wait()


async def test_whoever_serves_it_goes_on(store: Store):
    """What completed is kept; what failed has a fresh budget of attempts, and the log says who asked and who came."""
    await failed(store)
    async with Client(store) as client:
        run = await client.resume("A1")
        record = await store.get("A1")
        MOOD["bad"] = False
        async with Orchestrator(store, workflows=[Parse]):
            result = await run.wait()

    assert record is not None
    assert (record.status, record.owner, record.ended_at, record.error) == (RunStatus.RUNNING, None, None, "")
    assert (result.status, result["parse"]) == (RunStatus.COMPLETED, 2)
    log = await store.read("A1")
    assert [event.reason for event in log if isinstance(event, ev.RunResumed)] == ["retry", "due"]
    assert [event.step for event in log if isinstance(event, ev.StepStarted)] == ["read", "parse", "parse", "parse"]


async def test_who_serves_it_already_is_told(store: Store):
    """An orchestrator that is idle takes it up at once."""
    async with Orchestrator(store, workflows=[Parse]) as orchestrator, Client(store) as client:
        await (await orchestrator.start(Parse(), "A1")).wait()
        MOOD["bad"] = False
        run = await client.resume("A1")
        result = await run.result()

    assert result["parse"] == 2


async def test_of_two_at_once_one_resumes(store: Store):
    """The log has it once, however many ask: it is a compare-and-set."""
    await failed(store)
    async with Client(store) as one, Client(store) as other, asyncio.TaskGroup() as group:
        for client in (one, other) * 4:
            group.create_task(client.resume("A1"))

    assert [event.kind for event in await store.read("A1")].count("run.resumed") == 1


async def test_a_paused_run(store: Store):
    """It goes on, with what was said to it meanwhile."""
    async with Orchestrator(store, workflows=[Waits]) as orchestrator:
        run = await orchestrator.start(Waits(), "A1")
        await run.pause("lunch")
        await run.wait()
    async with Client(store) as client:
        resumed = await client.resume("A1")
        await resumed.send("go", 7)
        async with Orchestrator(store, workflows=[Waits]):
            assert (await resumed.wait())["go"] == 7


async def test_a_graph_that_has_changed_since(store: Store):
    """Whoever takes it up does not go on with another graph, unless its workflow adopts that."""

    def flow(names: str, on_change: str) -> type:
        steps = {name: step(body(name), name=name) for name in names}
        return make_workflow("Flow", steps, on_change=on_change)  # type: ignore[arg-type]

    def body(name: str) -> Callable[[], str]:
        def run() -> str:
            if name == "b" and MOOD["bad"]:
                raise ValueError("no")
            return name

        return run

    async with Orchestrator(store, workflows=[flow("ab", "refuse")]) as orchestrator:
        await (await orchestrator.start(flow("ab", "refuse")(), "A1")).wait()
    MOOD["bad"] = False
    async with Client(store) as client:
        run = await client.resume("A1")
        async with Orchestrator(store, workflows=[flow("abc", "refuse")]) as orchestrator:
            await (await orchestrator.start(flow("abc", "refuse")(), "B2")).wait()
            status = await run.status()
        async with Orchestrator(store, workflows=[flow("abc", "adopt")]):
            result = await run.wait()

    assert status is RunStatus.RUNNING
    assert (result.status, result["c"]) == (RunStatus.COMPLETED, "c")


async def test_what_cannot_be_resumed():
    """What completed, was cancelled, or is executed by somebody is refused; there is nothing to write."""
    MOOD["bad"] = False
    store = MemoryStore()
    async with Orchestrator(store, workflows=[Parse, Waits, Busy]) as orchestrator, Client(store) as client:
        await (await orchestrator.start(Parse(), "done")).wait()
        busy = await orchestrator.start(Busy(), "busy")
        cancelled = await orchestrator.start(Waits(), "gone")
        await cancelled.cancel("enough")
        await cancelled.wait()
        for run_id, kind in (("done", NotResumableError), ("gone", NotResumableError), ("nope", RunNotFoundError)):
            with pytest.raises(kind):
                await client.resume(run_id)
        with pytest.raises(RunOwnedError):
            await client.resume("busy")
        await busy.terminate()


async def test_what_goes_on_by_itself_is_left_alone():
    """A run that nobody executes is taken up without that."""
    store = MemoryStore()
    async with Client(store) as client:
        await client.start(Waits(), run_id="A1")
        before = await store.read("A1")
        await client.resume("A1")

    assert before == await store.read("A1")


async def test_a_step_of_unknown_fate_has_to_be_named():
    """Nobody guesses whether it took effect: who resumes says so."""

    @workflow
    class Pay:
        @step(delivery="at_most_once")
        def pay(self) -> int:
            return 1

    store = MemoryStore()
    async with Client(store) as client:
        await client.start(Pay(), run_id="A1")
        log = await store.read("A1")
        await _left_in_the_middle(store, len(log))
        with pytest.raises(UsageError, match="pay"):
            await client.resume("A1")
        run = await client.resume("A1", rerun="pay")
        async with Orchestrator(store, workflows=[Pay]):
            assert (await run.wait())["pay"] == 1


async def _left_in_the_middle(store: Store, seq: int) -> None:
    from orchwf.ports import Append, Summary

    record = await store.get("A1")
    assert record is not None
    events = [
        ev.StepStarted(seq=seq + 1, at=1.0, step="pay", attempt=1),
        ev.RunPaused(seq=seq + 2, at=1.0, reason="nobody knows", cause="unknown"),
    ]
    summary = Summary(status=RunStatus.PAUSED, fingerprint=record.fingerprint)
    assert await store.append([Append(run_id="A1", expected=seq, events=events, summary=summary)]) == [None]


async def test_a_definition_that_is_lost():
    """Without it nobody can say what failed: it is told where to resume."""

    class Forgetful(MemoryStore):
        async def definition(self, fingerprint: str) -> str | None:
            return None

    store = Forgetful()
    await failed(store)
    async with Client(store) as client:
        with pytest.raises(StoreError, match="orchwf resume A1"):
            await client.resume("A1")
