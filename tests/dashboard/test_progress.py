"""How far the runs of a listing are, and what it costs to know that."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import Orchestrator, make_workflow, step
from orchwf.core.events import StepStarted
from orchwf.dashboard import progress
from orchwf.dashboard.progress import Progresses
from orchwf.ports import Append, RunQuery
from orchwf.stores.memory import MemoryStore
from tests.dashboard.browsers import Invoice, Sales, shown


class Counting(MemoryStore):
    """Counts the events that it gave of each run."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[str] = Counter()
        self.reads = 0

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Any]:
        events = await super().read(run_id, after, limit)
        self.reads += 1
        self.given[run_id] += len(events)
        return events


async def texts(progresses: Progresses, store: orchwf.ports.Store) -> dict[str, str]:
    records = await store.runs(RunQuery())
    found = await progresses.of(store, records)
    return {record.id: found[record.number].text for record in records if record.number in found}


async def test_a_listing_tells_how_far_its_runs_are():
    """Of each run: how many of its steps are done, and how many have failed or were skipped."""
    async with shown([Sales, Invoice]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        await (await orchestrator.start(Sales(day="sunday"), "A2")).wait()
        await orchestrator.start(Invoice(), "A3")
        page = (await browser.get("/")).text

    assert "</svg> 3/3</td>" in page
    assert "</svg> 1/3, 1 failed, 1 skipped</td>" in page
    assert "</svg> 0/2</td>" in page


async def test_what_has_ended_is_read_once():
    """Of a run that goes on only what is new is read; once it has ended nothing is."""
    store, progresses = Counting(), Progresses()
    async with Orchestrator(store, workflows=[Sales, Invoice]) as orchestrator:
        await (await orchestrator.start(Sales(), "A1")).wait()
        run = await orchestrator.start(Invoice(), "A2")
        before = await texts(progresses, store)
        store.given.clear()
        await run.send(Invoice.paid, 3)
        await run.wait()
        store.given.clear()
        after = await texts(progresses, store)
        new = store.given["A2"]
        store.reads = 0
        await texts(progresses, store)

    assert (before, after) == ({"A1": "3/3", "A2": "0/2"}, {"A1": "3/3", "A2": "2/2"})
    assert 0 < new < len(await store.read("A2"))
    assert store.given["A1"] == 0
    assert store.reads == 1


async def test_a_failed_run_that_is_resumed_is_read_again():
    """Then it is shown as it is now."""
    mood = {"bad": True}

    def validate() -> int:
        if mood["bad"]:
            raise ValueError("no")
        return 1

    flow = make_workflow("Flow", {"validate": step(validate, name="validate")})
    store, progresses = MemoryStore(), Progresses()
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.start(flow(), "A1")).wait()
        before = await texts(progresses, store)
        mood["bad"] = False
        await (await orchestrator.resume("A1")).wait()
        after = await texts(progresses, store)

    assert (before, after) == ({"A1": "0/1, 1 failed"}, {"A1": "1/1"})


async def test_much_is_read_little_by_little(monkeypatch: pytest.MonkeyPatch):
    """At once no more than there is room for is read; the next looks go on from there. Of very long ones nothing is."""
    monkeypatch.setattr(progress, "MOST_AT_ONCE", 12)
    store, progresses = Counting(), Progresses()
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        for number in range(5):
            await (await orchestrator.start(Sales(), f"A{number}")).wait()
    looks, costs = [], []
    for _ in range(6):
        store.given.clear()
        looks.append(len(await texts(progresses, store)))
        costs.append(store.given.total())
    monkeypatch.setattr(progress, "LONGEST", 4)
    long = await texts(Progresses(), store)

    assert looks == sorted(looks)
    assert (looks[0], looks[-1]) == (1, 5)
    assert max(costs) <= 12
    assert long == {}


async def test_little_is_kept(monkeypatch: pytest.MonkeyPatch):
    """The logs of runs that were not asked for longest are let go, and read again when it comes to that."""
    monkeypatch.setattr(progress, "_MOST_HELD", 8)
    monkeypatch.setattr(progress, "_KEPT", 4)
    store, progresses = MemoryStore(), Progresses()
    async with Orchestrator(store, workflows=[Invoice]) as orchestrator:
        for number in range(6):
            await orchestrator.start(Invoice(), f"A{number}")
        told = [await texts(progresses, store) for _ in range(2)]

    assert told[0] == told[1] == {f"A{number}": "0/2" for number in range(6)}
    assert len(progresses._runs) == 4


async def test_a_damaged_log_hides_no_other_run():
    """Of a run whose log makes no sense nothing is said in the listing; its own page tells."""
    store, progresses = MemoryStore(), Progresses()
    async with Orchestrator(store, workflows=[Sales, Invoice]) as orchestrator:
        await (await orchestrator.start(Sales(), "A1")).wait()
        await orchestrator.start(Invoice(), "A2")
        last = len(await store.read("A2"))
    wrong = [StepStarted(seq=last + 1 + at, at=0.0, step="book", attempt=1) for at in range(2)]
    await store.append([Append(run_id="A2", expected=last, events=wrong)])

    assert await texts(progresses, store) == {"A1": "3/3"}


async def test_large_outputs_are_not_fetched(tmp_path: Path):
    """How far a run is, is known without what its steps returned."""
    url = f"sqlite:///{tmp_path / 'runs.db'}?blobs=file://{tmp_path / 'blobs'}"
    flow = make_workflow("Flow", {"big": step(lambda: "x" * 2_000_000, name="big")})
    store = await orchwf.open_store(url)
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.start(flow(), "A1")).wait()
    for path in (tmp_path / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    told = await texts(Progresses(), store)
    await store.close()

    assert told == {"A1": "1/1"}
