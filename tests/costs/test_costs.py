"""
What a step costs, counted: calls, statements, rows, and what it leaves behind.

A clock says something else each time, a count does not. The bounds are what was counted when they were written, on
Python 3.11; newer ones need fewer calls. One that is passed is a step that has become dearer: make it cheaper, or say
in the commit what is worth it.
"""

import gc
import sqlite3
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from orchwf import Orchestrator, Queue, compile_workflow, make_workflow, step
from orchwf.core.codec import Codec
from orchwf.core.events import RunStarted, StepCompleted, StepStarted
from orchwf.core.machine import Machine
from orchwf.core.plan import Plan
from orchwf.ports import Append
from orchwf.stores import MemoryStore
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from orchwf.stores.sqlite_append import write_appends
from orchwf.stores.sqlite_file import prepare
from orchwf.stores.sqlite_query import read_events
from orchwf.testing import FakeClock
from tests.costs.calls import Calls
from tests.stores.samples import creation


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither traces nor the log lines of bodies cost anything in a program that has loaded neither package."""
    for name in ("opentelemetry.trace", "structlog.contextvars"):
        monkeypatch.delitem(sys.modules, name, raising=False)


async def nothing() -> None:
    """The body of most steps here."""


def plain() -> None:
    """The same, for a thread."""


def chain(length: int, body: Callable[..., object] = nothing) -> type:
    steps = {f"s{n}": step(depends_on=[f"s{n - 1}"] if n else [])(body) for n in range(length)}
    return make_workflow("Chain", steps)


def fan(width: int, body: Callable[..., object] = nothing) -> type:
    steps = {f"s{n}": step(depends_on=["s0"] if n else [])(body) for n in range(width)}
    return make_workflow("Fan", steps)


class Still:
    """A clock that stands still: nothing comes round that would be counted, too, on a slow machine only."""

    def now(self) -> float:
        return 1.8e9

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return plain


async def calls_of(runs: list[object], store: MemoryStore, *, is_counted: bool = False) -> int:
    """How many calls it takes to execute these runs, all at once, and to read their results."""
    async with Orchestrator(store, clock=Still()) as orchestrator:
        if is_counted:
            orchestrator.measured()
        with Calls() as calls:
            handles = [await orchestrator.start(run) for run in runs]
            for handle in handles:
                await handle.result()
    return calls.count


async def test_calls_per_step_of_a_chain():
    """Each step waits for the one before: a turn of the loop, and a commit, for each; 8 calls measure that."""
    short, long, store = chain(100)(), chain(300)(), MemoryStore()
    await calls_of([short, long], store)

    assert (await calls_of([long], store) - await calls_of([short], store)) / 200 <= 172.0


async def test_calls_per_step_whose_log_lines_say_so(monkeypatch: pytest.MonkeyPatch):
    """Where structlog is in use its lines say which step it is, whether or not any is written."""
    monkeypatch.setitem(sys.modules, "structlog.contextvars", structlog.contextvars)
    short, long, store = chain(100)(), chain(300)(), MemoryStore()
    await calls_of([short, long], store)

    assert (await calls_of([long], store) - await calls_of([short], store)) / 200 <= 179.0


async def test_calls_per_step_of_a_fan():
    """Hundreds of steps a turn."""
    small, large, store = fan(600)(), fan(1_200)(), MemoryStore()
    await calls_of([small, large], store)

    assert (await calls_of([large], store) - await calls_of([small], store)) / 600 <= 100.3


async def test_calls_per_step_that_is_counted():
    """For metrics: beside those above, two events and the time of an attempt."""
    small, large, store = fan(600)(), fan(1_200)(), MemoryStore()
    await calls_of([small, large], store)
    few, many = [await calls_of([run], store, is_counted=True) for run in (small, large)]

    assert (many - few) / 600 <= 114.4


async def test_calls_per_run():
    """A run of one step, from its start to its result."""
    flow, store = chain(1), MemoryStore()
    await calls_of([flow()], store)
    many = await calls_of([flow() for _ in range(60)], store)
    few = await calls_of([flow() for _ in range(20)], store)

    assert (many - few) / 40 <= 363


def test_calls_to_write_an_event(tmp_path: Path):
    """In a batch of one run."""
    db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    prepare(db, path=tmp_path / "a.db", synchronous="OFF")
    write_appends(db, [creation("r")], "")

    def calls(first: int, count: int) -> int:
        events = [StepStarted(seq=seq, at=1.0, step="s", attempt=1) for seq in range(first, first + count)]
        with Calls() as made:
            assert [None] == write_appends(db, [Append(run_id="r", expected=first - 1, events=events)], "")
        return made.count

    assert (calls(1, 1280) - calls(1281, 128)) / 1152 <= 4.1
    db.close()


def test_calls_to_read_and_fold_an_event(tmp_path: Path):
    """A resume does so with the whole log of its run."""
    db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    prepare(db, path=tmp_path / "a.db", synchronous="OFF")
    names = [f"s{n}" for n in range(1000)]
    log: list[Any] = [RunStarted(seq=1, at=1.0, workflow="W", version="1", fingerprint="f", inputs="{}")]
    for name in names:
        log.append(StepStarted(seq=len(log) + 1, at=1.0, step=name, attempt=1))
        log.append(StepCompleted(seq=len(log) + 1, at=1.0, step=name, attempt=1, output="null"))
    write_appends(db, [creation("r", *log)], "")
    plan = Plan(compile_workflow(chain(1000)))

    def calls(count: int) -> int:
        machine = Machine("r", plan, lambda _: None)
        with Calls() as made:
            machine.replay(read_events(db, "r", 0, count))
        return made.count

    assert (calls(2001) - calls(1001)) / 1000 <= 11.6
    db.close()


class Statements:
    """Counts what the connection of a store is told, by the first word."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.words: Counter[str] = Counter()

    async def listen(self) -> None:
        await self._store._connection.call(lambda db: db.set_trace_callback(self._see))

    def _see(self, statement: str) -> None:
        self.words[statement.split()[0]] += 1


async def test_a_step_of_a_chain_is_one_commit_of_two_rows(tmp_path: Path):
    """What has ended and what begins next are written together."""
    # Its clock stands still: on a slow machine messages would be looked for once more.
    store = await open_sqlite(tmp_path / "a.db")
    statements = Statements(store)
    async with Orchestrator(store, clock=FakeClock()) as orchestrator:
        await orchestrator.run(chain(1)())
        await statements.listen()
        run = await orchestrator.start(chain(50)(), run_id="r")
        await run.result()
        words = dict(statements.words)
        log = await store.read("r")
    await store.close()

    # The 51st has the end of the last step, and of the run.
    assert (51, 51) == (words["BEGIN"], words["COMMIT"])
    assert 2 * 50 + 2 == len(log)
    # Where each log ends, and the events in pieces; the run itself, its definition, its summary; its log at the end.
    assert words["SELECT"] <= 53
    assert words["INSERT"] <= 55
    assert words["UPDATE"] <= 2


async def test_commits_of_a_step_with_a_mutex(tmp_path: Path):
    """One more for the slot that it takes, in which that of the step before is given back, and one for its start."""
    store = await open_sqlite(tmp_path / "a.db")
    statements = Statements(store)
    steps = {f"s{n}": step(mutex="m", depends_on=[f"s{n - 1}"] if n else [])(nothing) for n in range(50)}
    async with Orchestrator(store, clock=FakeClock()) as orchestrator:
        await statements.listen()
        await orchestrator.run(make_workflow("Chain", steps)())
    await store.close()

    assert statements.words["COMMIT"] <= 3 * 50 + 5


async def test_commits_of_many_steps_of_a_queue(tmp_path: Path):
    """Who ends together, and who asks together, share them."""
    store = await open_sqlite(tmp_path / "a.db")
    statements = Statements(store)
    steps = {f"s{n}": step(queue=Queue("q", concurrency=100))(nothing) for n in range(400)}
    async with Orchestrator(store, clock=FakeClock()) as orchestrator:
        await statements.listen()
        await orchestrator.run(make_workflow("Wide", steps)())
    await store.close()

    assert statements.words["COMMIT"] <= 20


async def test_a_wave_is_one_commit(tmp_path: Path):
    """Of 512 steps as many run at once as there are places, and what they do is written together."""
    store = await open_sqlite(tmp_path / "a.db")
    statements = Statements(store)
    async with Orchestrator(store, max_concurrency=128, clock=FakeClock()) as orchestrator:
        await statements.listen()
        await orchestrator.run(fan(513)())
    await store.close()

    # The start, the first step, four waves, the end.
    assert statements.words["COMMIT"] <= 7


@pytest.mark.parametrize("body", [nothing, plain])
async def test_nothing_waits_for_the_garbage_collector(body: Callable[..., object]):
    """What a step leaves behind is freed at once: collections cost more than all else."""
    short, long = chain(20, body)(), chain(220, body)()
    left: list[int] = []
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(long)
        for flow in (short, long):
            gc.collect()
            gc.disable()
            try:
                run = await orchestrator.start(flow)
                await run.result()
                left.append(gc.collect())
            finally:
                gc.enable()

    assert left[1] <= left[0]


async def test_memory_of_a_step_that_nobody_needs_any_more(tmp_path: Path):
    """In bytes, of a run that goes on."""
    sizes: list[int] = []

    async def looks() -> None:
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])

    flow = make_workflow(
        "Large", {f"s{n}": step(depends_on=[f"s{n - 1}"] if n else [])(looks if n in (100, 1100) else nothing)
        for n in range(1_102)},
    )  # fmt: skip
    store = await open_sqlite(tmp_path / "a.db", durability="process")
    async with Orchestrator(store) as orchestrator:
        tracemalloc.start()
        try:
            await (await orchestrator.start(flow())).wait()
        finally:
            tracemalloc.stop()
    await store.close()

    before, after = sizes
    assert (after - before) / 1_000 <= 20


@pytest.mark.parametrize(("knows", "statements_each"), [(False, 2), (True, 7)])
async def test_statements_of_an_idle_minute(tmp_path: Path, *, knows: bool, statements_each: int):
    """The lease is renewed every five seconds, and who knows workflows looks whether any run was left, or sleeps."""
    clock = FakeClock()
    store = await open_sqlite(tmp_path / "a.db")
    statements = Statements(store)
    async with Orchestrator(store, workflows=[chain(1)] if knows else [], clock=clock):
        # What the beginning asks is no part of it.
        await clock.advance(1)
        await statements.listen()
        await clock.advance(60)
        found = statements.words.total()
    await store.close()

    assert found <= 12 * statements_each


def test_values_that_are_scalars_take_a_shortcut():
    """Most outputs are."""
    codec = Codec()

    def calls(value: object) -> int:
        with Calls() as made:
            codec.encode(value, type(value))
        return made.count

    codec.encode(1.5, float)
    assert max(map(calls, [None, 7, 1.5, True, "text"])) <= 5
