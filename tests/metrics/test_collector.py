"""The collector that Prometheus' client asks."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from orchwf import Orchestrator, Queue, Skip, open_store, step, workflow
from orchwf.core.census import Census
from orchwf.core.state import RunStatus
from orchwf.errors import StoreError, UsageError
from orchwf.metrics import METRICS, Kind, MetricsCollector, Source
from orchwf.metrics.reading import Reading
from orchwf.metrics.samples import of_store
from orchwf.ports import Store
from orchwf.stores import MemoryStore
from orchwf.stores.relay import Relay
from orchwf.testing import FakeClock
from tests.runtime.flows import Gate
from tests.stores.samples import NOW, creation, schedule, written

from .scraping import of, registry_of, scraped, shown


@workflow
class Order:
    @step(queue=Queue("api", concurrency=5))
    async def charge(self) -> int:
        await GATES[-1].pass_through()
        return 3

    @step
    def pack(self, charge: int = charge.result) -> list[int]:
        return list(range(charge))

    @step
    async def label(self, item: int = pack.each) -> None: ...

    @step(depends_on=[label])
    def notify(self) -> None:
        raise Skip("nobody wants to know")


GATES: list[Gate] = []


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """What the first step of an order waits for."""
    GATES.append(Gate())
    yield GATES[-1]
    GATES.pop().open()


async def test_what_a_scrape_shows(gate: Gate):
    """While a run is executed, and once it has ended; of the store, and of the process."""
    orchestrator = Orchestrator("memory:", workflows=[Order])
    registry = registry_of(orchestrator)
    async with orchestrator:
        run = await orchestrator.start(Order())
        await gate.came.get()
        busy = await scraped(registry)
        gate.open()
        await run.result()
        done = await scraped(registry)

    assert 1 == of(busy, "orchwf_store_up") == of(busy, "orchwf_worker_alive") == of(busy, "orchwf_worker_ready")
    assert 1 == of(busy, "orchwf_open_runs", workflow="Order", place="executed")
    assert 1 == of(busy, "orchwf_queue_slots_held", queue="api") == of(busy, "orchwf_leases", state="held")
    assert 1 == of(busy, "orchwf_executed_runs") == of(busy, "orchwf_attempts_in_flight")
    assert 1 == of(busy, "orchwf_runs_started_total", workflow="Order")
    assert None is of(done, "orchwf_open_runs", workflow="Order", place="executed")
    assert 0 == of(done, "orchwf_attempts_in_flight")
    assert 1 == of(done, "orchwf_runs_ended_total", workflow="Order", outcome="completed")
    assert 1 == of(done, "orchwf_steps_total", workflow="Order", step="notify", outcome="skipped")
    assert 3 == of(done, "orchwf_items_total", workflow="Order", step="label", outcome="completed")
    assert 3 == of(done, "orchwf_attempt_seconds_count", workflow="Order", step="label")
    assert 1 == of(done, "orchwf_run_seconds_bucket", workflow="Order", le="+Inf")
    assert 7 == of(done, "orchwf_events_total", kind="step.started")
    commits, events = of(done, "orchwf_commit_seconds_count"), of(done, "orchwf_commit_events_sum")
    assert commits is not None
    assert events is not None
    assert events >= commits >= 3


async def test_names_and_labels_are_those_of_the_catalogue(gate: Gate):
    """Whatever is shown is in it, with these labels; and none of them is missing in what a registry is told."""
    orchestrator = Orchestrator("memory:", workflows=[Order])
    collector = MetricsCollector(orchestrator)
    gate.open()
    async with orchestrator:
        await orchestrator.run(Order())
        families = await asyncio.to_thread(lambda: list(collector.collect()))

    told = {family.name: family for family in collector.describe()}
    known = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    assert set(known) == set(told)
    assert {name: metric.kind for name, metric in known.items()} == {each.name: each.type for each in told.values()}
    for family in families:
        assert all(set(known[family.name].labels) == set(sample.labels) - {"le"} for sample in family.samples)
        assert family.samples


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Any):
    """The unit, or what is counted, ends the name; a counter ends with `_total`, and nothing else does."""
    assert metric.name.startswith("orchwf_")
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert not {"le", "item", "run", "run_id"} & set(metric.labels)
    assert metric.help.endswith(".")


async def test_where_the_runs_of_a_store_are():
    """How many wait and since when, are paused and why; and which schedule is late."""
    store, clock = MemoryStore(), FakeClock(NOW)
    await store.renew("gone", 60)
    await written(
        store, creation("W1", slept_at=NOW - 90), creation("W2", slept_at=NOW - 30), creation("A1", wake_at=NOW + 9),
        creation("P1", status=RunStatus.PAUSED, workflow="Refunds"),
    )  # fmt: skip
    changed: dict[str, dict[str, Any]] = {"late": {"next_at": NOW - 40}, "soon": {}, "off": {"is_paused": True}}
    for name, changes in changed.items():
        await store.put_schedule(schedule(name, **changes))
    orchestrator = Orchestrator(store, clock=clock)
    registry = registry_of(orchestrator)
    async with orchestrator:
        found = await scraped(registry)

    assert 2 == of(found, "orchwf_open_runs", workflow="Orders", place="waiting")
    assert 90 == of(found, "orchwf_oldest_waiting_run_seconds", workflow="Orders")
    assert 1 == of(found, "orchwf_open_runs", workflow="Orders", place="asleep")
    assert 1 == of(found, "orchwf_paused_runs", workflow="Refunds", cause="request")
    assert (2, 1) == (of(found, "orchwf_schedules", state="active"), of(found, "orchwf_schedules", state="paused"))
    assert 40 == of(found, "orchwf_schedule_late_seconds", schedule="late")
    assert 0 == of(found, "orchwf_schedule_late_seconds", schedule="soon")
    assert None is of(found, "orchwf_schedule_late_seconds", schedule="off")


async def test_a_store_alone():
    """As for a process that executes nothing: there is nothing of a process."""
    store = await open_store("memory:")
    await written(store, creation("W1"))
    registry = registry_of(store)

    found = await scraped(registry)

    names = {metric.name for metric in METRICS if metric.source is Source.STORE} | {"orchwf_info"}
    assert 1 == of(found, "orchwf_open_runs", workflow="Orders", place="waiting")
    assert {name for name, _ in found} <= names
    await store.close()


class Away(Relay):
    """A store that may be away, or be waited for."""

    is_away = False
    gate: asyncio.Event | None = None
    asked = 0

    async def census(self, now: float) -> Census:
        self.asked += 1
        if self.is_away:
            raise StoreError("gone")
        if self.gate is not None:
            await self.gate.wait()
        return await super().census(now)


async def test_a_store_that_is_away(gate: Gate):
    """The process tells what it knows nevertheless, and that the store is; when it is back all is there again."""
    store = Away(MemoryStore())
    orchestrator = Orchestrator(store, workflows=[Order])
    registry = registry_of(orchestrator)
    gate.open()
    async with orchestrator:
        await orchestrator.run(Order())
        store.is_away = True
        away = await scraped(registry)
        store.is_away = False
        back = await scraped(registry)

    assert (0, 1) == (of(away, "orchwf_store_up"), of(back, "orchwf_store_up"))
    assert 1 == of(away, "orchwf_runs_ended_total", workflow="Order", outcome="completed")
    assert None is of(away, "orchwf_leases", state="held")
    assert 1 == of(back, "orchwf_leases", state="held")


async def test_a_store_that_does_not_answer_is_asked_once():
    """However many scrapes come: who waits for too long shows that, and the next one waits for the same answer."""
    store = Away(MemoryStore())
    store.gate = asyncio.Event()
    registry = registry_of(store, patience=0.05)

    silent = await asyncio.gather(*(scraped(registry) for _ in range(3)))
    asked = store.asked
    store.gate.set()
    answered = await scraped(registry_of(store))

    assert [0, 0, 0] == [of(found, "orchwf_store_up") for found in silent]
    assert 1 == asked
    assert 1 == of(answered, "orchwf_store_up")


async def test_on_the_loop_itself_what_was_read_last_is_shown():
    """As by an application of ASGI that renders without a thread: it cannot wait, and has it read for the next time."""
    store = Away(MemoryStore())
    registry = registry_of(store)

    first = shown(generate_latest(registry).decode())
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    second = shown(generate_latest(registry).decode())

    assert None is of(first, "orchwf_store_up")
    assert 1 == of(second, "orchwf_store_up")


async def test_before_and_after():
    """Before it opens the store is not known; after it has closed it is away. Nothing is raised."""
    orchestrator = Orchestrator("memory:")
    registry = registry_of(orchestrator)
    before = await scraped(registry)
    async with orchestrator:
        pass
    after = await scraped(registry)

    assert (0, 0) == (of(before, "orchwf_store_up"), of(after, "orchwf_store_up"))
    assert (None, 0) == (of(before, "orchwf_worker_alive"), of(after, "orchwf_worker_alive"))


def test_after_the_loop_has_gone():
    """The counters are there to the end: who scrapes last misses nothing."""
    orchestrator = Orchestrator("memory:", workflows=[Order])
    registry = registry_of(orchestrator)

    async def live() -> None:
        GATES.append(Gate())
        GATES[-1].open()
        async with orchestrator:
            await orchestrator.run(Order())
        GATES.pop()

    asyncio.run(live())
    found = shown(generate_latest(registry).decode())

    assert 0 == of(found, "orchwf_store_up")
    assert 1 == of(found, "orchwf_runs_ended_total", workflow="Order", outcome="completed")


async def test_a_loop_that_is_blocked(gate: Gate):
    """The scrape does not wait for ever, and shows how late the loop is."""
    orchestrator = Orchestrator("memory:", workflows=[Order])
    registry = registry_of(orchestrator, patience=0.05)
    async with orchestrator:
        texts: list[str] = []
        scraping = threading.Thread(target=lambda: texts.append(generate_latest(registry).decode()))
        began_at = perf_counter()
        scraping.start()
        scraping.join()
        took = perf_counter() - began_at

    assert 0 == of(shown(texts[0]), "orchwf_store_up")
    assert 0.9 < took
    assert (
        of(
            shown(texts[0]),
            "orchwf_loop_lag_current_seconds",
        )
        is not None
    )


def test_too_many_names_are_one():
    """What is shown does not grow with the number of workflows, queues and schedules."""
    store = MemoryStore()

    async def read() -> Reading:
        await written(
            store, *(creation(f"r{n}", workflow=f"W{n:03}", slept_at=NOW - n) for n in range(203))
        )  # fmt: skip
        for number in range(203):
            await store.put_schedule(schedule(f"s{number:03}", next_at=NOW - number))
        return Reading(at=NOW, seconds=0.1, census=await store.census(NOW), schedules=await store.schedules())

    reading = attrs.evolve(asyncio.run(read()))
    samples = {(metric.name, labels): value for metric, labels, value in of_store(reading, NOW)}

    assert 3 == samples["orchwf_open_runs", ("other", "waiting")]
    assert 202 == samples["orchwf_oldest_waiting_run_seconds", ("other",)]
    assert 202 == samples["orchwf_schedule_late_seconds", ("other",)]
    assert 201 == sum(name == "orchwf_open_runs" for name, _ in samples)


@pytest.mark.parametrize("source", ["memory:", None, object()], ids=["url", "none", "object"])
def test_what_is_no_source(source: Any):
    """The error says what is taken."""
    with pytest.raises(UsageError, match="MetricsCollector takes an Orchestrator or an open store, not "):
        MetricsCollector(source)


def test_a_store_outside_of_a_loop():
    """It could not be asked."""
    store: Store = MemoryStore()

    with pytest.raises(UsageError, match="a store belongs to an event loop: make its MetricsCollector in a coroutine"):
        MetricsCollector(store)


async def test_two_collectors_of_one_registry_are_refused():
    """By the registry: their names are the same."""
    registry = CollectorRegistry()
    registry.register(MetricsCollector(MemoryStore()))

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(MetricsCollector(MemoryStore()))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch):
    """The error says what is missing, and how to get it."""
    for name in [each for each in sys.modules if each.startswith("orchwf.metrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)

    with pytest.raises(ImportError, match=r"pip install 'orchwf\[telemetry\]'"):
        import orchwf.metrics  # noqa: F401
