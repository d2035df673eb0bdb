"""When the store, the loop or a thread makes trouble."""

import asyncio
import logging
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from orchwf import Orchestrator, RunInterruptedError, RunStatus, StoreError, make_workflow, step
from orchwf.errors import ConflictError, StoreBusyError
from orchwf.ports import Append
from orchwf.runtime.failure import describe_error
from orchwf.runtime.threads import Threads
from orchwf.stores import MemoryStore
from tests.runtime.flows import PATIENCE, Gate, kinds_of


class Faulty(MemoryStore):
    """A store whose n-th append, counted from 1, raises what it is told to."""

    def __init__(self, faults: dict[int, Exception]) -> None:
        super().__init__()
        self.faults = faults
        self.count = 0

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        self.count += 1
        if self.count in self.faults:
            raise self.faults[self.count]
        return await super().append(appends)


async def one() -> int:
    return 1


def chain(length: int = 3) -> Any:
    steps = {f"s{n}": step(depends_on=[f"s{n - 1}"] if n else [])(one) for n in range(length)}
    return make_workflow("Chain", steps)()


async def test_a_busy_store_is_tried_again():
    """Another process that holds the lock for a while delays the run, and that is all."""
    store = Faulty({2: StoreBusyError("locked"), 3: StoreBusyError("locked")})

    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(chain())
        result = await run.wait()
        kinds = await kinds_of(run)

    assert RunStatus.COMPLETED is result.status
    assert len(set(kinds)) == len(kinds)
    assert 6 == store.count


async def test_a_lost_store_stops_the_orchestrator():
    """Whoever waits is told, and what is asked later as well; the run stays as it was written."""
    store = Faulty({3: StoreError("the disk is full")})

    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(chain())
        with pytest.raises(RunInterruptedError) as caught:
            await run.wait()
        with pytest.raises(StoreError, match="the orchestrator has stopped: the disk is full"):
            await orchestrator.start(chain())

    assert "the disk is full" == str(caught.value.__cause__)
    assert 3 == store.count


async def test_a_store_lost_at_the_start_is_told_to_the_caller():
    """There is no run then."""
    async with Orchestrator(Faulty({1: StoreError("gone")})) as orchestrator:
        with pytest.raises(StoreError, match="gone"):
            await orchestrator.start(chain())


async def test_a_bug_of_ours_reaches_whoever_waits(monkeypatch: pytest.MonkeyPatch):
    """The loop that executes runs has nobody else to tell."""

    def broken(self: object, written: object) -> None:
        raise ZeroDivisionError("a bug")

    async with Orchestrator("memory:") as orchestrator:
        monkeypatch.setattr(type(orchestrator._runs.engine), "_do", broken)
        run = await orchestrator.start(chain())
        with pytest.raises(RunInterruptedError) as caught:
            await run.wait()

    assert "a bug" == str(caught.value.__cause__)


async def test_closing_while_the_store_is_busy():
    """The exit does not wait for a lock that never comes free."""
    store = Faulty(dict.fromkeys(range(2, 1000), StoreBusyError("locked")))

    async with Orchestrator(store, grace=0.01) as orchestrator:
        run = await orchestrator.start(chain())

    with pytest.raises(RunInterruptedError):
        await run.wait()


async def test_a_fenced_owner_lets_go():
    """Invariant 5: when somebody else wrote to the log, this one writes nothing more and stops its steps."""
    gate, stopped = Gate(), asyncio.Event()

    async def waits() -> None:
        try:
            await gate.pass_through()
        finally:
            stopped.set()

    class Stolen(Faulty):
        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            self.count += 1
            if self.count > 1:
                return [ConflictError(each.run_id, each.expected) for each in appends]
            return await MemoryStore.append(self, appends)

    flow = make_workflow("Fenced", {"quick": step(one), "waits": step(waits)})
    async with Orchestrator(Stolen({}), grace=0) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await stopped.wait()
        kinds = await kinds_of(run)
        assert {} == orchestrator._runs.engine.executions

    assert ["run.started", "step.started quick", "step.started waits"] == kinds


async def test_a_step_that_blocks_the_loop_is_named(monkeypatch: pytest.MonkeyPatch):
    """With the line that it stands at and the way out."""
    monkeypatch.setattr("orchwf.runtime.watchdog._EVERY", 0.001)
    monkeypatch.setattr("orchwf.runtime.watchdog._BLOCKED", 0.01)
    told = Telling()
    monkeypatch.setattr(logging.getLogger("orchwf"), "handlers", [told])

    async def blocks() -> None:
        told.event.wait(30)

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(make_workflow("Blocks", {"blocks": step(blocks)})(), run_id="r")

    assert told.messages[0].startswith("step 'blocks' of run 'r' blocks the event loop for more than 0.01 s, at ")
    assert "Make it a plain function" in told.messages[0]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts how often the watchdog looks what a blocked loop stands at, which it does all the time."""
    counted, frames = threading.Semaphore(0), sys._current_frames

    def look() -> Any:
        counted.release()
        return frames()

    monkeypatch.setattr("orchwf.runtime.watchdog._EVERY", 0.001)
    monkeypatch.setattr("orchwf.runtime.watchdog._BLOCKED", 0.01)
    monkeypatch.setattr("orchwf.runtime.watchdog.sys._current_frames", look)
    return counted


async def test_a_step_that_blocks_the_loop_for_long_is_named_once(
    looks: threading.Semaphore, caplog: pytest.LogCaptureFixture
):
    """Whoever reads the log has seen it."""

    async def blocks() -> None:
        for _ in range(4):
            assert looks.acquire(timeout=PATIENCE)

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(make_workflow("Blocks", {"blocks": step(blocks)})(), run_id="r")

    assert 1 == caplog.text.count("step 'blocks' of run 'r' blocks the event loop")


async def test_no_step_is_blamed_for_what_others_do_on_the_loop(
    looks: threading.Semaphore, caplog: pytest.LogCaptureFixture
):
    """A step that waits meanwhile is a victim of it."""
    gate = Gate()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", {"waits": step(gate.pass_through)})())
        await gate.came.get()
        for _ in range(4):
            assert looks.acquire(timeout=PATIENCE)
        gate.open()
        await run.result()

    assert "blocks the event loop" not in caplog.text


def test_an_orchestrator_that_nobody_closed_leaves_no_watchdog(monkeypatch: pytest.MonkeyPatch):
    """Where its loop is closed there is nothing to watch any more."""
    monkeypatch.setattr("orchwf.runtime.watchdog._EVERY", 0.001)
    gate = Gate()
    before, watchdogs = set(threading.enumerate()), list[threading.Thread]()

    async def forgets() -> None:
        orchestrator = await Orchestrator("memory:").__aenter__()
        await orchestrator.start(make_workflow("Waits", {"waits": step(gate.pass_through)})())
        await gate.came.get()
        watchdogs.extend(each for each in set(threading.enumerate()) - before if each.name == "orchwf-watchdog")

    asyncio.run(forgets())
    for each in watchdogs:
        each.join(PATIENCE)

    assert [False] == [each.is_alive() for each in watchdogs]


class Telling(logging.Handler):
    """Keeps warnings, and lets go who waits for one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.event.set()


async def test_threads_are_used_again_and_grow_with_the_calls():
    """One thread serves calls that follow one another; calls at a time have one each."""
    threads, names, done = Threads(), set[str](), asyncio.Event()
    barrier = threading.Barrier(3)

    for _ in range(5):
        done.clear()
        threads.submit(lambda: names.add(threading.current_thread().name), done.set)
        await done.wait()
    assert 1 == len(names)

    ended = asyncio.Semaphore(0)
    for _ in range(3):
        threads.submit(lambda: barrier.wait(30), ended.release)  # type: ignore[arg-type]
    for _ in range(3):
        await ended.acquire()
    threads.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_call_that_outlives_its_loop_is_dropped(is_closed: bool):
    """The thread finds the loop, or the pool, closed: what it reports goes nowhere, and it ends."""
    go_on, reported = threading.Event(), []

    async def main() -> tuple[Threads, threading.Thread]:
        before = set(threading.enumerate())
        threads = Threads()
        threads.submit(lambda: go_on.wait(30), lambda: reported.append("late"))  # type: ignore[arg-type]
        return threads, next(thread for thread in threading.enumerate() if thread not in before)

    threads, worker = asyncio.run(main())
    if is_closed:
        threads.close()
    go_on.set()
    threads.close()
    worker.join(30)

    assert not worker.is_alive()
    assert [] == reported


def test_errors_as_text():
    """The class, the message, the traceback without our frames, and the innermost line of the user's."""
    with pytest.raises(ValueError, match="bad") as caught:
        raise_it()
    info = describe_error(caught.value)

    assert ("ValueError", "bad") == (info.type_name, info.message)
    assert info.location.endswith("in raise_it")
    assert 'raise ValueError("bad")' == info.source
    assert "ValueError: bad" == info.headline


def raise_it() -> None:
    raise ValueError("bad")


def test_errors_that_cannot_be_shown_or_kept():
    """An exception that fails to print itself, lone surrogates, and texts without end."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    broken = describe_error(Broken())
    odd = describe_error(ValueError("\ud800"))
    long = describe_error(ValueError("x" * 100_000))

    assert "<its message cannot be shown: RuntimeError>" == broken.message
    assert ("", "") == (broken.location, broken.source)
    assert "\\ud800" == odd.message
    assert 20_100 > len(long.message) > 20_000
    assert "80,000 characters left out" in long.message
