"""Generators as steps, through the public API."""

import asyncio
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    EncodingError,
    Orchestrator,
    Queue,
    Retry,
    RunFailed,
    RunStatus,
    StepContext,
    StepStatus,
    make_workflow,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.kinds import KINDS, named_store
from tests.runtime.flows import PATIENCE, Gate, log_of, until

SEEN: Counter[object] = Counter()


def add(every: list[int]) -> int:
    return sum(every)


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return named_store(request.param, request, tmp_path)


async def sync_or_async(kind: str, values: Callable[[], Iterator[Any]]) -> Any:
    """A generator function that gives these values, of the kind wanted."""

    def plain() -> Iterator[Any]:
        yield from values()

    async def on_the_loop() -> AsyncIterator[Any]:
        for value in values():
            yield value

    return plain if kind == "plain" else on_the_loop


both = pytest.mark.parametrize("kind", ["plain", "async"])


@workflow
class Pages:
    """Pages are fetched one by one, and read as they come."""

    count: int

    @step
    def fetch(self) -> Iterator[int]:
        for page in range(self.count):
            SEEN["fetch", page] += 1
            yield page

    @step
    async def read(self, page: int = fetch.each) -> int:
        return page * 10

    @step
    def total(self, pages: Any = fetch.result, read: list[int] = read.all) -> tuple[int, int]:
        return len(pages), sum(read)


@pytest.mark.parametrize("count", [0, 1, 7])
async def test_what_a_generator_gives_is_a_list_and_its_items(store: Any, count: int):
    """`.result` has all that it gave, `.each` one at a time."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Pages(count=count), run_id="r")
        again = await (await orchestrator.get("r")).wait()

    assert list(range(count)) == result["fetch"] == again["fetch"]
    assert [page * 10 for page in range(count)] == result.outputs["read"] == again.outputs["read"]
    assert (count, sum(range(count)) * 10) == result[Pages.total]


@both
async def test_what_follows_begins_before_the_generator_has_ended(kind: str):
    """Each item runs as soon as it is there."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()

    def values() -> Iterator[int]:
        yield 1
        # The item before is at work while this one is made.
        if kind == "plain":
            asyncio.run_coroutine_threadsafe(came.wait(), loop).result(PATIENCE)
        yield 2

    async def asynchronous() -> AsyncIterator[int]:
        yield 1
        await came.wait()
        yield 2

    async def body(x: int) -> int:
        came.set()
        return x

    source: Any = step(values if kind == "plain" else asynchronous, name="source")
    each = step(name="each", depends_on={"x": source.each})(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Early", [source, each])())

    assert [1, 2] == result["each"]


@both
@pytest.mark.parametrize(("parallel", "most"), [(1, 4), (20, 42), (None, 102)])
async def test_a_generator_runs_no_more_than_a_window_ahead(kind: str, parallel: int | None, most: int):
    """Of 1,000 it has given a few more than were read, at any time, however slow the reader is."""
    given = read = ahead = 0

    def values() -> Iterator[int]:
        nonlocal given, ahead
        for value in range(1_000):
            given += 1
            ahead = max(ahead, given - read)
            yield value

    async def body(x: int) -> None:
        nonlocal read
        if x % 10 == 0:
            await asyncio.sleep(0)
        read += 1

    source = step(await sync_or_async(kind, values), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=parallel)(body)

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Ahead", [source, each])())

    assert RunStatus.COMPLETED is result.status
    assert 1_000 == given == read
    assert ahead <= most


async def test_what_was_read_is_let_go(tmp_path: Path):
    """Of 400 large items a few are in memory at a time, as nobody needs those that were read."""
    large = 100_000

    def values() -> Iterator[str]:
        for number in range(400):
            yield str(number % 10) * large

    async def body(x: str) -> int:
        return len(x)

    source = step(values, name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=4)(body)
    last = step(name="last", depends_on={"every": each.all})(add)
    flow = make_workflow("LetGo", [source, each, last])

    async with Orchestrator(f"sqlite:///{tmp_path / 'runs.db'}?durability=process") as orchestrator:
        tracemalloc.start()
        try:
            run = await orchestrator.start(flow())
            async for event in run.events(follow=True):
                if isinstance(event, ev.RunCompleted):
                    break
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        steps = await run.steps()

    assert str(400 * large) == steps["last"].output
    # All of them are 40 MB; those that are followed here, and a page of the log that is read, some 30.
    assert peak < 30_000_000


@both
async def test_a_reader_that_needs_no_more_does_not_hold_the_generator(kind: str):
    """It goes on to its end, as its own output may be wanted."""
    source = step(await sync_or_async(kind, lambda: iter(range(1000))), name="source")
    each = step(name="each", depends_on={"x": source.each}, need=1, max_parallel=1)(lambda x: x)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Enough", [source, each])())
        result = await run.wait(PATIENCE)

    assert RunStatus.COMPLETED is result.status
    assert 1000 == len(result["source"])


async def test_a_reader_that_fails_ends_the_generator():
    """The run fails, and does not wait for ever for somebody to take what is given."""
    closed = threading.Event()

    def values() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.set()

    async def body(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return x

    source = step(values, name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Failing", [source, each])())
        result = await run.wait(PATIENCE)

    assert (RunStatus.FAILED, ("each",)) == (result.status, result.failed_steps)
    assert closed.wait(PATIENCE)


# Stopping.


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("orchwf-") and thread.is_alive()}


@both
@pytest.mark.parametrize("asked", ["cancel", "terminate"])
async def test_a_stopped_generator_is_closed(kind: str, asked: str):
    """What is `finally` in it runs, and its thread is free again."""
    closed = threading.Event()
    gate = Gate()

    def values() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.set()

    async def body(x: int) -> None:
        await gate.pass_through()

    source = step(await sync_or_async(kind, values), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)
    before = threads()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Stopped", [source, each])())
        await gate.came.get()
        await (run.cancel() if asked == "cancel" else run.terminate())
        result = await run.wait(PATIENCE)

        assert RunStatus.CANCELLED is result.status
        await until(closed.is_set)
    await until(lambda: threads() <= before)


async def test_a_generator_that_is_stopped_between_two_values_ends_its_thread():
    """It is at work when it is stopped, and gives a value after that: nobody takes it."""
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def values() -> Iterator[int]:
        try:
            yield 1
            begun.set()
            go_on.wait(PATIENCE)
            yield 2
            SEEN["went on"] += 1
        finally:
            closed.set()

    flow = make_workflow("Between", [step(values, name="source")])
    before = threads()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        await until(begun.is_set)
        await run.cancel()
        result = await run.wait(PATIENCE)
        go_on.set()
        await until(closed.is_set)

    assert RunStatus.CANCELLED is result.status
    assert 0 == SEEN["went on"]
    await until(lambda: threads() <= before)


@pytest.mark.filterwarnings("ignore::orchwf.OrchwfWarning")
async def test_a_generator_that_timed_out_does_not_give_for_the_next_attempt():
    """Its thread runs on, and what it gives then is dropped; the next attempt gives all that is missing."""
    slow, go_on = threading.Event(), threading.Event()
    given: list[tuple[int, int]] = []

    def values(ctx: StepContext) -> Iterator[int]:
        for value in range(5):
            if ctx.attempt == 1 and value == 2:
                slow.set()
                go_on.wait(PATIENCE)
            if ctx.attempt == 2 and value == 3:
                # Now the thread of the first attempt gives its third value.
                go_on.set()
            given.append((ctx.attempt, value))
            yield value * 10 + ctx.attempt

    source = step(values, name="source", timeout="1h", retries=Retry(1, initial=0))
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(make_workflow("TimedOut", [source])())
        await until(slow.is_set)
        await clock.advance(3700)
        result = await run.wait(PATIENCE)

    assert [1, 11, 22, 32, 42] == result["source"]
    assert [(2, value) for value in range(5)] == [each for each in given if each[0] == 2]


async def test_an_async_generator_that_ignores_its_cancellation_is_closed(monkeypatch: pytest.MonkeyPatch):
    """After some seconds, so that it keeps no orchestrator from ending."""
    monkeypatch.setattr("orchwf.runtime.attempt._PATIENCE", 0.01)
    came = asyncio.Event()

    async def values() -> AsyncIterator[int]:
        while True:
            try:
                came.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                SEEN["ignored"] += 1
        yield 1

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Stubborn", [step(values, name="source")])())
        await came.wait()
        await run.cancel()
        result = await run.wait(PATIENCE)

    assert RunStatus.CANCELLED is result.status
    assert SEEN["ignored"] >= 1


@both
async def test_closing_the_orchestrator_ends_a_generator_that_waits(kind: str):
    """Its thread, too; and the next process goes on where it was."""
    gate = Gate()
    store = MemoryStore()

    def values() -> Iterator[int]:
        for value in range(50):
            SEEN[value] += 1
            yield value

    async def body(x: int) -> int:
        if x == 3:
            await gate.pass_through()
        return x

    source = step(await sync_or_async(kind, values), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)
    flow, before = make_workflow("Closing", [source, each]), threads()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
    await until(lambda: threads() <= before)
    gate.open()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).result()
        log = await log_of(await orchestrator.get("r"))

    assert list(range(50)) == result["source"] == result["each"]
    completed = [(e.step, e.item) for e in log if isinstance(e, ev.StepCompleted)]
    assert len(completed) == len(set(completed))


# Going on.


@both
async def test_a_generator_that_fails_is_begun_anew_and_what_it_gave_counts_once(store: Any, kind: str):
    """The next attempt's first values are those that are known: they are passed over."""
    attempts = 0

    def values() -> Iterator[int]:
        nonlocal attempts
        attempts += 1
        for value in range(6):
            if attempts < 3 and value == 2 * attempts:
                raise ConnectionError("the line broke")
            yield 10 * attempts + value

    async def body(x: int) -> int:
        SEEN[x] += 1
        return x

    source = step(await sync_or_async(kind, values), name="source", retries=Retry(2, initial=0))
    each = step(name="each", depends_on={"x": source.each})(body)

    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(make_workflow("Broken", [source, each])())

    assert 3 == attempts
    assert [10, 11, 22, 23, 34, 35] == result["source"] == result["each"]
    assert {1} == set(SEEN.values())


async def test_a_generator_that_fails_for_good_keeps_what_was_read():
    """The cause is its own exception; a resume goes on after what it gave."""
    broken = True

    def values() -> Iterator[int]:
        yield 1
        yield 2
        if broken:
            raise ConnectionError("the line broke")
        yield 3

    async def body(x: int) -> int:
        SEEN[x] += 1
        return x

    source = step(values, name="source")
    each = step(name="each", depends_on={"x": source.each})(body)
    flow = make_workflow("ForGood", [source, each], fail_fast=False)

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        failed = await run.wait()
        broken = False
        result = await (await orchestrator.resume("r")).result()

    assert isinstance(caught.value.__cause__, ConnectionError)
    assert StepStatus.FAILED is failed.steps["source"].status
    assert [1, 2, 3] == result["source"] == result["each"]
    assert {1: 1, 2: 1, 3: 1} == SEEN


@both
async def test_a_value_that_cannot_be_stored_fails_the_generator(kind: str):
    """It is closed, and the error names the step."""
    closed = threading.Event()

    def values() -> Iterator[object]:
        try:
            yield 1
            yield object()
        finally:
            closed.set()

    flow = make_workflow("Unstorable", [step(await sync_or_async(kind, values), name="source", retries=3)])

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(RunFailed) as caught:
            await run.result()
        steps = await run.steps()

    assert isinstance(caught.value.__cause__, EncodingError)
    assert "item 1 of step 'source' cannot be stored" in str(caught.value.__cause__)
    assert 1 == len(steps["source"].attempts)
    await until(closed.is_set)


@pytest.mark.slow
@both
@pytest.mark.parametrize(("file", "count"), [(False, 10_000), (True, 1_000)])
async def test_many_values(tmp_path: Path, kind: str, file: bool, count: int):
    """In seconds; each is written before the next one is wanted."""
    source = step(await sync_or_async(kind, lambda: iter(range(count))), name="source")
    last = step(name="last", depends_on={"every": source.result})(add)
    began = time.monotonic()

    async with Orchestrator(f"sqlite:///{tmp_path / 'runs.db'}" if file else "memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Many", [source, last])())

    assert sum(range(count)) == result["last"]
    assert time.monotonic() - began < 60


# Places.


@both
async def test_a_generator_that_waits_for_its_readers_lends_them_its_place(kind: str):
    """With one place for all of them nobody waits for ever; and never are more at work than there are places."""
    at_work = most = 0

    async def body(x: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return x

    source = step(await sync_or_async(kind, lambda: iter(range(50))), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)

    async with Orchestrator("memory:", max_concurrency=1) as orchestrator:
        run = await orchestrator.start(make_workflow("OnePlace", [source, each])())
        result = await run.wait(PATIENCE)
        assert 1 == orchestrator._runs.engine._free

    assert list(range(50)) == result["each"]
    assert 1 == most


@pytest.mark.parametrize("limit", [{"mutex": "m"}, {"queue": Queue("q", concurrency=1)}], ids=["mutex", "queue"])
async def test_a_generator_does_not_wait_for_readers_that_wait_for_what_it_holds(limit: dict[str, Any]):
    """It goes on to its end; then they run."""
    source = step(await sync_or_async("async", lambda: iter(range(50))), name="source", **limit)
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1, **limit)(lambda x: x)

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Holds", [source, each])())
        result = await run.wait(PATIENCE)

    assert list(range(50)) == result["each"]


@both
async def test_a_generator_that_waits_does_not_keep_its_run_from_pausing(kind: str):
    """It may end, as all that runs may; its readers go on when the run is resumed."""
    gate = Gate()

    async def body(x: int) -> int:
        SEEN[x] += 1
        if x == 1:
            await gate.pass_through()
        return x

    source = step(await sync_or_async(kind, lambda: iter(range(50))), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)
    flow = make_workflow("Pausing", [source, each])

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.pause("lunch")
        await until(lambda: "signal.received" in orchestrator.recorder.kinds())
        gate.open()
        paused = await run.wait(PATIENCE)
        seen = len(SEEN)
        result = await (await orchestrator.resume(run.id)).result()

    assert RunStatus.PAUSED is paused.status
    assert StepStatus.COMPLETED is paused.steps["source"].status
    assert seen < 50
    assert list(range(50)) == result["each"]
    assert {1} == set(SEEN.values())


@both
async def test_a_generator_that_rests_can_be_stopped(kind: str):
    """Its place is free once, not twice."""
    gate = Gate()

    async def body(x: int) -> None:
        await gate.pass_through()

    source = step(await sync_or_async(kind, lambda: iter(range(50))), name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)

    async with Orchestrator("memory:", max_concurrency=2) as orchestrator:
        run = await orchestrator.start(make_workflow("Rests", [source, each])())
        await gate.came.get()
        await until(lambda: any(each.resting for each in orchestrator._runs.engine.executions.values()))
        await run.cancel()
        await run.wait(PATIENCE)
        await until(lambda: orchestrator._runs.engine._free == 2)
