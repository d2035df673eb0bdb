"""Runs whose owner is gone, and definitions that changed meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchwf import Orchestrator, RunStatus, UsageError, WorkflowChangedError, make_workflow, step
from orchwf.core.events import Event
from orchwf.errors import ConflictError, RunOwnedError, StoreError
from orchwf.ports import Append, Message, Taken, Wanted
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate, kinds_of

Body = Callable[[], Awaitable[int]]


async def one() -> int:
    return 1


async def fails() -> int:
    raise ValueError("broken")


def flow(*names: str, broken: str = "", **options: Any) -> type:
    """A chain of these steps."""
    steps = {}
    for before, name in zip(("", *names), names, strict=False):
        steps[name] = step(depends_on=[before] if before else [])(fails if name == broken else one)
    return make_workflow("Chain", steps, **options)


async def failed_run(url: str) -> None:
    async with Orchestrator(url) as orchestrator:
        await (await orchestrator.start(flow("a", "b", "c", broken="b")(), run_id="r")).wait()


async def test_a_mended_body_is_no_other_graph(tmp_path: Path):
    """To mend the code and to resume is what a resume is for."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    await failed_run(url)

    async with Orchestrator(url, workflows=[flow("a", "b", "c")]) as orchestrator:
        run = await orchestrator.resume("r")
        result = await run.result()
        kinds = await kinds_of(run)

    assert RunStatus.COMPLETED is result.status
    assert 1 == kinds.count("step.started a")


async def test_another_graph_is_refused_before_any_body_runs(tmp_path: Path):
    """The error shows what is different, and the run stays as it is."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    await failed_run(url)

    async with Orchestrator(url, workflows=[flow("a", "b", "x", "c")]) as orchestrator:
        with pytest.raises(WorkflowChangedError) as caught:
            await orchestrator.resume("r")
        status = await (await orchestrator.get("r")).status()

    assert "x" in caught.value.difference
    assert "on_change='adopt'" in str(caught.value)
    assert RunStatus.FAILED is status


async def test_another_graph_is_adopted_if_the_workflow_says_so(tmp_path: Path):
    """What completed is kept, what is new runs."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    await failed_run(url)

    async with Orchestrator(url, workflows=[flow("a", "b", "x", "c", on_change="adopt")]) as orchestrator:
        run = await orchestrator.resume("r")
        result = await run.result()
        kinds = await kinds_of(run)

    assert ["a", "b", "x", "c"] == list(result.steps)
    assert 1 == kinds.count("step.started a")


async def unfinished(store: MemoryStore, *names: str) -> None:
    """Runs that were left in the middle."""
    gate = Gate()

    @step
    async def a() -> int:
        await gate.pass_through()
        return 1

    async with Orchestrator(store, grace=0) as orchestrator:
        for name in names:
            await orchestrator.start(make_workflow("Chain", [a])(), run_id=name)
            await gate.came.get()


async def test_orphans_are_taken_up_on_entry_batch_by_batch(monkeypatch: pytest.MonkeyPatch):
    """All of them, however many there are."""
    monkeypatch.setattr("orchwf.runtime.keeper._AT_ONCE", 2)
    store = MemoryStore()
    await unfinished(store, "r1", "r2", "r3", "r4")

    async with Orchestrator(store, workflows=[flow("a")]) as orchestrator:
        results = [await (await orchestrator.get(f"r{n}")).result() for n in range(1, 5)]

    assert {RunStatus.COMPLETED} == {result.status for result in results}


async def test_an_orphan_with_another_graph_is_left_with_a_warning(caplog: pytest.LogCaptureFixture):
    """It must not keep the others from being taken up."""
    store = MemoryStore()
    await unfinished(store, "r1")

    async with Orchestrator(store, workflows=[flow("a", "b")]) as orchestrator:
        status = await (await orchestrator.get("r1")).status()

    assert RunStatus.RUNNING is status
    assert "run 'r1' was started with another graph" in caplog.text


async def test_an_orphan_that_somebody_else_took_is_left():
    """The claim is a compare-and-set: the loser does nothing."""

    class Stolen(MemoryStore):
        async def take(self, owner: str, wanted: Wanted) -> Taken:
            return Taken([], is_all=True)

        async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
            return await super().claim(run_id, "elsewhere|1|x|k" if owner else None, previous=previous) and not owner

    store = Stolen()
    await unfinished(store, "r1")

    async with Orchestrator(store, workflows=[flow("a")]) as orchestrator:
        with pytest.raises(RunOwnedError, match="process 1 on elsewhere"):
            await orchestrator.resume("r1")


async def test_a_run_that_vanishes_when_it_was_taken(caplog: pytest.LogCaptureFixture):
    """Somebody deleted it: there is nothing to warn of."""

    class Vanishing(MemoryStore):
        async def take(self, owner: str, wanted: Wanted) -> Taken:
            taken = await super().take(owner, wanted)
            await self.delete([record.id for record in taken.runs])
            return taken

    store = Vanishing()
    await unfinished(store, "r1")

    async with Orchestrator(store, workflows=[flow("a")]) as orchestrator:
        with pytest.raises(UsageError, match="there is no run 'r1'"):
            await orchestrator.get("r1")

    assert "" == caplog.text


async def test_resuming_twice_at_a_time_is_one_resume():
    """Nothing starts twice, and both have the run."""
    store = MemoryStore()
    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow("a", "b", broken="b")(), run_id="r")).wait()

        runs = await asyncio.gather(orchestrator.resume("r"), orchestrator.resume("r"))
        await asyncio.gather(*(run.wait() for run in runs))
        kinds = await kinds_of(runs[0])

    assert 1 == kinds.count("run.resumed")
    assert 2 == kinds.count("step.started b")


async def test_of_many_who_take_a_run_up_one_does_at_a_time():
    """Also who comes when one has given it back and the next is at it: two of us must not take it from each other."""

    class Slow(MemoryStore):
        held = 0
        most = 0

        async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
            self.held += 1 if owner else 0
            self.most = max(self.most, self.held)
            await asyncio.sleep(0)
            self.held -= 0 if owner else 1
            return await super().claim(run_id, owner, previous=previous)

    store = Slow()
    async with Orchestrator(store) as orchestrator:
        await (
            await orchestrator.start(make_workflow("Flow", [step(on_exhausted="pause")(fails)])(), run_id="r")
        ).wait()
        runs, record = orchestrator._runs, (await orchestrator.list_runs())[0]
        # It is paused, so by itself it does not go on.
        first, second = (asyncio.create_task(runs.take_up_if_possible(record)) for _ in range(2))
        await first
        result = await (await orchestrator.resume("r")).wait()
        await second

    assert (1, RunStatus.PAUSED) == (store.most, result.status)


async def test_an_empty_log_is_damage():
    """A run without its first event is told, not run."""

    class Emptied(MemoryStore):
        async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
            return []

    store = Emptied()
    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(flow("a", "b", broken="b")(), run_id="r")
        with pytest.raises(StoreError, match="the log of run 'r' is empty in memory:"):
            await run.wait()
        with pytest.raises(StoreError, match="the store is damaged"):
            await orchestrator.resume("r")


async def test_without_the_old_definition_there_is_nothing_to_compare():
    """The run goes on with what there is."""

    class Forgetful(MemoryStore):
        async def definition(self, fingerprint: str) -> str | None:
            return None

    store = Forgetful()
    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow("a", "b", broken="b")(), run_id="r")).wait()
    async with Orchestrator(store, workflows=[flow("a", "b", "c")]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()

    assert ["a", "b", "c"] == list(result.steps)


async def test_messages_that_cannot_be_read_are_read_later(monkeypatch: pytest.MonkeyPatch):
    """A store in trouble delays a request, and does not lose it."""
    monkeypatch.setattr("orchwf.runtime.keeper._LISTEN_EVERY", 0.001)

    class Shaky(MemoryStore):
        count = 0

        async def inbox(self, owner: str) -> list[Message]:
            self.count += 1
            if self.count == 1:
                raise StoreError("not now")
            return await super().inbox(owner)

    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator(Shaky()) as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])())
        await gate.came.get()
        await run.cancel()
        result = await run.wait()

    assert RunStatus.CANCELLED is result.status


async def test_a_takeover_that_is_overtaken():
    """The fence holds: the one whose first append collides has run nothing."""

    class Colliding(MemoryStore):
        collides = False

        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            if self.collides:
                return [ConflictError(each.run_id, each.expected) for each in appends]
            return await super().append(appends)

    store = Colliding()
    await unfinished(store, "r1")
    store.collides = True

    async with Orchestrator(store, workflows=[flow("a")]) as orchestrator:
        assert {} == orchestrator._runs.engine.executions
        with pytest.raises(ConflictError):
            await orchestrator.resume("r1")
