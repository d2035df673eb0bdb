"""What an orchestrator does from the moment it is told to end, and how it says that it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from orchwf import Orchestrator, RunStatus, StoreError, make_workflow, step
from orchwf.ports import Append, Renewal, Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock
from orchwf.testing.relay import Relay
from tests.kinds import KINDS, opened_store
from tests.runtime.flows import Gate, until


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which nothing is."""
    opened = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


async def until_free(store: Store, run_id: str) -> None:
    """Return when nobody owns this run any more."""

    async def is_free() -> bool:
        record = await store.get(run_id)
        return record is not None and record.owner is None

    await until(is_free)


async def test_what_waits_is_left_at_once_and_goes_on_elsewhere(store: Store):
    """While what runs still has its grace: of two runs the one that has no place yet is not kept."""
    gate = Gate()
    slow, quick = make_workflow("Slow", {"one": gate.pass_through}), make_workflow("Quick", {"one": lambda: 1})
    async with Orchestrator(store, max_concurrency=1, grace="1h") as first:
        kept = await first.start(slow(), run_id="kept")
        await gate.came.get()
        await first.start(quick(), run_id="left")
        closing = asyncio.create_task(first.shutdown())
        await until_free(store, "left")
        async with Orchestrator(store, workflows=[quick]) as second:
            result = await (await second.get("left")).result()
            is_still_closing = not closing.done()
        gate.open()
        await closing
        status = await kept.status()

    assert (1, True, RunStatus.COMPLETED) == (result["one"], is_still_closing, status)


async def test_a_run_is_left_as_soon_as_nothing_of_it_is_in_flight(store: Store):
    """Its step ends within the grace, and the next one is for somebody else; another run goes on to use its own."""
    gate, other = Gate(), Gate()
    two = make_workflow("Two", {"one": gate.pass_through, "two": step(lambda: 2, depends_on="one")})
    slow = make_workflow("Slow", {"one": other.pass_through})
    async with Orchestrator(store, grace="1h") as first:
        await first.start(two(), run_id="two")
        await first.start(slow(), run_id="slow")
        await gate.came.get()
        await other.came.get()
        closing = asyncio.create_task(first.shutdown())
        gate.open()
        await until_free(store, "two")
        async with Orchestrator(store, workflows=[two]) as second:
            result = await (await second.get("two")).result()
        assert not closing.done()
        other.open()
        await closing

    assert (1, 2) == (len(result.steps["one"].attempts), result["two"])


async def test_a_run_that_was_lost_before_it_could_be_left():
    """Somebody else has it by then: nothing is taken from them."""
    gate, inner, stolen = Gate(), MemoryStore(), asyncio.Event()
    slow, quick = make_workflow("Slow", {"one": gate.pass_through}), make_workflow("Quick", {"one": lambda: 1})

    class Stolen(Relay):
        """Before a run is left somebody takes it."""

        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            for append in appends:
                if append.releases and not append.events:
                    await inner.claim(append.run_id, "thief", previous=append.owner)
                    stolen.set()
            return await inner.append(appends)

    async with Orchestrator(Stolen(inner), max_concurrency=1, grace="1h") as first:
        await first.start(slow(), run_id="slow")
        await gate.came.get()
        await first.start(quick(), run_id="lost")
        closing = asyncio.create_task(first.shutdown())
        await stolen.wait()
        gate.open()
        await closing

    after = await inner.get("lost")
    assert after is not None
    assert "thief" == after.owner


# How it is.


async def test_how_it_is():
    """From before it opens until after it has closed."""
    gate = Gate()
    flow = make_workflow("Slow", {"one": gate.pass_through})
    orchestrator = Orchestrator("memory:", grace="1h")
    assert orchestrator.health() is None
    async with orchestrator:
        idle = orchestrator.health()
        await orchestrator.start(flow())
        await gate.came.get()
        busy = orchestrator.health()
        closing = asyncio.create_task(orchestrator.shutdown())
        await asyncio.sleep(0)
        draining = orchestrator.health()
        gate.open()
        await closing
        closed = orchestrator.health()

    assert idle is not None
    assert busy is not None
    assert draining is not None
    assert closed is not None
    assert (True, True, False, 0, 0) == (idle.is_alive, idle.is_ready, idle.is_draining, idle.runs, idle.steps)
    assert (True, True, False, 1, 1) == (busy.is_alive, busy.is_ready, busy.is_draining, busy.runs, busy.steps)
    assert (True, False, True) == (draining.is_alive, draining.is_ready, draining.is_draining)
    assert (False, False) == (closed.is_alive, closed.is_ready)
    assert idle.worker.startswith("process ")
    assert idle.since <= idle.renewed_at + 1
    assert (0, 1) == (idle.commits.count, busy.commits.count)
    assert 0 < busy.commits.last == busy.commits.mean == busy.commits.p99
    # The run, and the start of its step.
    assert 2 == busy.commits.size


async def test_a_store_that_cannot_be_reached_shows():
    """It is ready no more; then its lease has run out, and others take its runs. As soon as it is back, all is well."""

    class Lost(Relay):
        is_lost = False

        async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
            if self.is_lost:
                raise StoreError("gone")
            return await super().renew(owner, lease, near=near)

    clock, store = FakeClock(), Lost(MemoryStore())
    async with Orchestrator(store, lease=30, clock=clock) as orchestrator:
        store.is_lost = True
        seen = []
        for _ in range(4):
            await clock.advance(9)
            health = orchestrator.health()
            assert health is not None
            seen.append((health.is_alive, health.is_ready, health.store_answers, round(health.lease_age)))
        store.is_lost = False
        await clock.advance(10)
        health = orchestrator.health()

    assert health is not None
    assert (True, True) == (health.is_ready, health.store_answers)
    assert [
        (True, True, True, 9), (True, True, False, 18), (True, False, False, 27), (False, False, False, 36),
    ] == seen  # fmt: skip
