"""What a page is told while it is looked at, and what that asks of the store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orchwf
from orchwf import Orchestrator
from orchwf.dashboard.access import checked_access
from orchwf.dashboard.live import LONGEST, SHORTEST, _events, changes, listing_look, run_look
from orchwf.dashboard.site import Site
from orchwf.ports import Hint, HintKind, RunQuery, RunRecord, Store
from orchwf.stores.memory import MemoryStore
from orchwf.testing import FakeClock
from tests.dashboard.browsers import TOKEN, Invoice, Sales, Slow


class Counting(MemoryStore):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.heard: list[Any] = []

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        self.asked["runs"] += 1
        return await super().runs(query)

    async def get(self, run_id: str) -> RunRecord | None:
        self.asked["get"] += 1
        return await super().get(run_id)

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Any]:
        self.asked["read"] += 1
        return await super().read(run_id, after, limit)

    async def listen(self, heard: Any) -> None:
        self.heard.append(heard)
        await asyncio.Event().wait()


def site_of(store: Store, clock: FakeClock) -> Site:
    access = checked_access(token=TOKEN, is_read_only=False, hosts=["localhost"], clock=clock)
    return Site(given=store, orchestrator=None, types={}, access=access, shows_payloads=True, clock=clock)


@asynccontextmanager
async def watched(site: Site, look: Any, seen: str = "") -> AsyncIterator[list[str]]:
    """What is told, while the block lasts."""
    told: list[str] = []

    async def watch() -> None:
        async for what in changes(site, look, seen):
            told.append(what)  # noqa: PERF401 - they are wanted as they come

    task = asyncio.create_task(watch())
    await settled()
    try:
        yield told
    finally:
        site.stop()
        await settled()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await site.close()


async def settled() -> None:
    """Let all that is under way come to rest."""
    for _ in range(50):
        await asyncio.sleep(0)


async def seconds(clock: FakeClock, count: float) -> None:
    """Let so many seconds pass."""
    for _ in range(round(count / SHORTEST)):
        await clock.advance(SHORTEST)
        await settled()


async def test_a_run_that_goes_on():
    """While something happens it is told; when the run has ended that is told last."""
    store, clock = Counting(), FakeClock()
    async with Orchestrator(store, workflows=[Invoice]) as orchestrator:
        run = await orchestrator.start(Invoice(), "A1")
        await settled()
        site = site_of(store, clock)
        async with watched(site, run_look(site, "A1")) as told:
            before = list(told)
            await run.send(Invoice.paid, 7)
            await run.wait()
            await seconds(clock, LONGEST * 2)

    assert before == []
    assert told[-2:] == ["changed", "over"]


async def test_a_run_that_has_ended_asks_nothing():
    """Its page is told at once that nothing will change, and the store is not asked again."""
    store, clock = Counting(), FakeClock()
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        await (await orchestrator.start(Sales(), "A1")).wait()
    site = site_of(store, clock)
    async with watched(site, run_look(site, "A1")) as told:
        store.asked.clear()
        await seconds(clock, 600)

    assert told == ["over"]
    assert store.asked == Counter()


async def test_what_changed_on_the_way_is_told_at_once():
    """What happened between the page and its stream is told as the stream begins."""
    store, clock = Counting(), FakeClock()
    async with Orchestrator(store, workflows=[Invoice]) as orchestrator:
        await orchestrator.start(Invoice(), "A1")
        site = site_of(store, clock)
        look = run_look(site, "A1")
        same, other = await look(), "00000000"
        assert same is not None
        async with watched(site, look, same) as unchanged, watched(site, look, other) as changed:
            await settled()

    assert (unchanged, changed) == ([], ["changed"])


class Failing(Counting):
    """Cannot be reached from its second look on."""

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        found = await super().runs(query)
        if self.asked["runs"] > 1:
            raise orchwf.StoreError("it is away")
        return found


async def test_a_store_that_goes_away_ends_the_stream():
    """Then the browser asks again; nothing is raised where nobody could catch it."""
    clock = FakeClock()
    site = site_of(Failing(), clock)
    told: list[object] = []

    async def watch() -> None:
        async for event in _events(site, listing_look(site, ""), ""):
            told.append(event)  # noqa: PERF401 - they are wanted as they come

    task = asyncio.create_task(watch())
    await settled()
    await seconds(clock, 5)

    assert (task.done(), told) == (True, [])
    await task
    await site.close()


async def test_an_idle_page_asks_little():
    """While nothing happens the store is asked the less often: at most every ten seconds, one look by an index."""
    store, clock = Counting(), FakeClock()
    site = site_of(store, clock)
    async with watched(site, listing_look(site, "status:failed")) as told:
        await seconds(clock, 60)
        store.asked.clear()
        await seconds(clock, 600)

    assert told == []
    assert store.asked["runs"] <= 61
    assert store.asked.total() == store.asked["runs"]


async def test_what_the_store_tells_is_looked_at_at_once():
    """A hint leads to a look, but not to more than two in a second."""
    store, clock = Counting(), FakeClock()
    site = site_of(store, clock)
    async with watched(site, listing_look(site, "")) as told:
        await seconds(clock, 60)
        async with Orchestrator(store, workflows=[Sales]) as orchestrator:
            await (await orchestrator.start(Sales(), "A1")).wait()
        store.asked.clear()
        for _ in range(100):
            store.heard[-1](Hint(HintKind.FREE))
        await seconds(clock, 2 * SHORTEST)

    assert told == ["changed"]
    assert store.asked["runs"] <= 3


async def test_nobody_listens_when_nobody_looks():
    """With the last page that is closed the store need tell nothing any more."""
    store, clock = Counting(), FakeClock()
    site = site_of(store, clock)

    with site.waking(lambda: None):
        await settled()
        with site.waking(lambda: None):
            await settled()
            during = len(store.heard)
    await settled()
    with site.waking(lambda: None):
        await settled()

    assert (during, len(store.heard)) == (1, 2)
    await site.close()


async def test_a_run_that_is_deleted():
    """A page of a run that is gone is told that nothing will change."""
    store, clock = Counting(), FakeClock()
    site = site_of(store, clock)
    async with watched(site, run_look(site, "nowhere")) as told:
        await settled()

    assert told == ["over"]


async def test_the_memory_of_many_runs_is_bounded():
    """However many runs were looked at, few are kept; one that was deleted and begun anew is read anew."""
    store, clock = Counting(), FakeClock()
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        for number in range(12):
            await (await orchestrator.start(Sales(), f"A{number}")).wait()
        site = site_of(store, clock)
        for number in range(12):
            await site.history(f"A{number}")
        kept = len(site._histories)
        await orchestrator.delete("A11")
        await (await orchestrator.start(Sales(day="sunday"), "A11")).wait()
        again = await site.history("A11")

    assert kept == 8
    assert again.failed_steps == ("validate",)
    await site.close()


async def test_a_stream_over_http():
    """A browser gets what it listens for as server-sent events."""
    from tests.dashboard.browsers import shown

    async with shown([Slow, Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        answer = await browser.get("/live?of=run&id=A1")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: over" in answer.text
    assert orchwf.RunStatus.COMPLETED.is_final
