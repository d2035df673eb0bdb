"""Outputs of earlier runs: which are taken, and that what two runs need is computed once."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import (
    Cache,
    Mutex,
    NonRetryable,
    Orchestrator,
    Queue,
    Retry,
    RunStatus,
    Skip,
    StepContext,
    make_workflow,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.core.slots import Answer, Slot, SlotRequest
from orchwf.ports import Append
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, Recorder, TestOrchestrator, crash_everywhere
from tests.runtime.flows import Gate, log_of

CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def computing(value: object = 7, **cache: Any) -> Any:
    """A step that is cached; it notes that it ran."""

    async def compute() -> object:
        CALLS.append(value)
        return value

    return step(cache=Cache(**cache))(compute)


def flow(value: object = 7, name: str = "Flow", inputs: Any = None, **cache: Any) -> type:
    return make_workflow(name, {"compute": computing(value, **cache)}, inputs=inputs)


@workflow
class Report:
    """A cached step that takes the output of another one."""

    day: str
    limit: int = 3

    @step
    async def rows(self) -> list[int]:
        return list(range(self.limit))

    @step(cache=Cache())
    async def total(self, rows: list[int] = rows.result, *, ctx: StepContext) -> int:
        CALLS.append((self.day, rows, ctx.run_id))
        return sum(rows)

    @step
    async def told(self, n: int = total.result) -> str:
        return f"{self.day}: {n}"


# What is taken.


async def test_the_output_of_an_earlier_run_is_taken():
    """It is told which run's; no body runs, no attempt is made, and what waits for it goes on."""
    recorder = Recorder()
    async with Orchestrator("memory:", observers=[recorder]) as orchestrator:
        first = await orchestrator.run(Report(day="monday"), run_id="one")
        run = await orchestrator.start(Report(day="monday"), run_id="two")
        second = await run.result()
        log = await log_of(run)

    hit = next(event for event in log if isinstance(event, ev.CacheHit))
    completed = log[log.index(hit) + 1]
    assert [("monday", [0, 1, 2], "one")] == CALLS
    assert first.outputs == second.outputs
    assert ("one", 0, "total", 64) == (hit.run, hit.attempt, hit.step, len(hit.key))
    assert isinstance(completed, ev.StepCompleted)
    assert ("total", 0, "3") == (completed.step, completed.attempt, completed.output)
    record = second.steps["total"]
    assert ("one", [], None, None) == (record.cached_from, record.attempts, record.started_at, record.duration)
    assert "" == first.steps["total"].cached_from
    assert "told" in [event.step for event in log if isinstance(event, ev.StepStarted)]
    assert 1 == recorder.kinds().count("cache.hit")


@pytest.mark.parametrize("other", [{"day": "tuesday"}, {"day": "monday", "limit": 4}])
async def test_other_inputs_and_arguments_have_other_outputs(other: Any):
    """What a body could read counts."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Report(day="monday"))
        await orchestrator.run(Report(**other))

    assert 2 == len(CALLS)


async def test_other_steps_have_other_outputs():
    """Of one name in another workflow, and of another name in this one."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(make_workflow("Flow", {"a": computing(1), "b": computing(2)})())
        await orchestrator.run(make_workflow("Other", {"a": computing(3)})())

    assert [1, 2, 3] == CALLS


async def test_another_version_has_another_output():
    """It is changed with what the step does."""
    async with Orchestrator("memory:") as orchestrator:
        results = [await orchestrator.run(flow(n, version=str(n // 2))()) for n in range(4)]

    assert [0, 2] == CALLS
    assert [0, 0, 2, 2] == [result["compute"] for result in results]


async def test_another_type_has_another_output():
    """What is kept could not be read as it."""

    def number() -> int:
        CALLS.append(1)
        return 1

    def text() -> str:
        CALLS.append("1")
        return "1"

    async with Orchestrator("memory:") as orchestrator:
        for body in (number, text, number):
            await orchestrator.run(make_workflow("Flow", {"it": step(cache=Cache())(body)})())

    assert [1, "1"] == CALLS


async def test_a_name_is_shared():
    """Whatever steps and workflows are called."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(make_workflow("One", {"a": computing(1, name="shared")})())
        result = await orchestrator.run(make_workflow("Two", {"b": computing(2, name="shared")})())

    assert ([1], 1) == (CALLS, result["b"])


@workflow
class Keyed:
    """A key of its own."""

    day: str
    trace: int

    @step
    def rows(self) -> tuple[int, ...]:
        return (1, 2)

    @step(cache=Cache(key=lambda self, rows: (self.day, len(rows))))
    def total(self, rows: tuple[int, ...] = rows.result, trace: int = 0) -> int:
        CALLS.append(self.trace)
        return sum(rows)

    @step(cache=Cache(key=lambda self, **args: args))
    def all(self, day: str, rows: tuple[int, ...], *, ctx: StepContext) -> int:
        CALLS.append(self.trace)
        return 1


async def test_a_key_says_what_counts():
    """It takes the arguments that it names, or all."""
    async with Orchestrator("memory:") as orchestrator:
        for day, trace in (("monday", 1), ("monday", 2), ("tuesday", 3)):
            await orchestrator.run(Keyed(day=day, trace=trace))

    assert [1, 1, 3, 3] == CALLS


async def test_branches_and_other_outputs_count():
    """A value that comes from a choice, from nowhere, or among all others."""

    def source(name: str, fails: bool) -> Any:
        def body(flag: bool) -> str:
            if flag is fails:
                raise Skip("not this one")
            return name

        return step(required=False)(body)

    left, right = step(source("l", True).function, name="left"), step(source("r", False).function, name="right")

    def read(text: str, other: str | None) -> str:
        CALLS.append(text)
        return text

    def rest(**outputs: object) -> int:
        CALLS.append(outputs)
        return len(outputs)

    made = make_workflow(
        "Branches",
        [
            left,
            right,
            step(read, cache=Cache(), depends_on={"text": (left | right).result, "other": right.maybe}),
            step(rest, cache=Cache(key=lambda self, **args: sorted(args)), depends_on=[left, right], join="any"),
            step(rest, name="all", cache=Cache(), depends_on=[left, right], join="any"),
        ],
        inputs={"flag": bool},
    )
    async with Orchestrator("memory:") as orchestrator:
        for flag in (True, False, True, False):
            await orchestrator.run(made(flag=flag))

    assert 6 == len(CALLS)


async def test_outputs_are_taken_for_so_long():
    """By the clock of the orchestrator, and as the step says now."""
    store = MemoryStore()

    async def ran(minute: int, ttl: Any) -> int:
        before = len(CALLS)
        async with Orchestrator(store, clock=FakeClock(60.0 * minute)) as orchestrator:
            await orchestrator.run(flow(1, ttl=ttl)())
        return len(CALLS) - before

    assert 1 == await ran(0, "1h")
    assert 0 == await ran(59, "1h")
    # It is not renewed by being taken; whoever takes an older one gets it, and who wants a fresh one does not.
    assert [0, 0, 0, 1] == [await ran(61, ttl) for ttl in ("2h", None, "62m", "61m")]
    assert [0, 1] == [await ran(62, "2m"), await ran(64, "1m")]


async def test_pruning_forgets_what_is_out_of_date():
    """Of what is kept for ever nothing."""
    store = MemoryStore()
    async with Orchestrator(store, clock=FakeClock(0.0)) as orchestrator:
        await orchestrator.run(flow(1, ttl="1h")())
        await orchestrator.run(flow(2, name="Other")())
    counts = []
    for at in (3599.0, 3600.0):
        async with Orchestrator(store, clock=FakeClock(at)) as orchestrator:
            assert 0 == await orchestrator.prune(older_than="3d")
        counts.append(len(store._cache))

    assert [2, 1] == counts


async def test_an_output_outlives_its_run():
    """It is kept by itself."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(flow()(), run_id="one")
        await orchestrator.delete("one")
        result = await orchestrator.run(flow()())

    assert [7] == CALLS
    assert "one" == result.steps["compute"].cached_from


async def test_an_output_is_kept_in_the_file(tmp_path: Path):
    """For the next process, and of any size."""
    large = "x" * 3_000_000
    url = f"sqlite:///{tmp_path / 'a.db'}"
    results = []
    for _ in range(2):
        async with Orchestrator(url) as orchestrator:
            results.append(await orchestrator.run(flow(large)()))

    assert [large] * 2 == [result["compute"] for result in results]
    assert 1 == len(CALLS)


@pytest.mark.parametrize("key", [None, lambda self, text: text])
async def test_a_large_argument_is_looked_at_in_a_thread(key: Any):
    """The event loop goes on meanwhile; the same is found."""

    async def text() -> str:
        return "x" * 3_000_000

    def length(text: str) -> int:
        CALLS.append(len(text))
        return len(text)

    made = make_workflow("Large", {"text": text, "length": step(cache=Cache(key=key))(length)})
    async with TestOrchestrator() as orchestrator:
        results = [await orchestrator.run(made()) for _ in range(2)]

    assert [3_000_000] == CALLS
    assert [3_000_000] * 2 == [result["length"] for result in results]


async def test_a_run_that_is_cancelled_while_its_key_is_found_out():
    """Nothing comes of it."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def key(self: object, text: str) -> str:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
        return "k"

    async def text() -> str:
        return "x" * 3_000_000

    made = make_workflow("Large", {"text": text, "length": step(cache=Cache(key=key))(lambda text: 1)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(made())
        await begun.wait()
        await run.cancel()
        result = await run.wait()
        release.set()

    assert RunStatus.CANCELLED is result.status


# What is not.


@pytest.mark.parametrize("error", [ValueError("no"), NonRetryable("no"), Skip("no")])
async def test_only_what_completed_is_kept(error: Exception):
    """No failure, and no skip."""

    def fails() -> None:
        CALLS.append(1)
        raise error

    made = make_workflow("Fails", {"fails": step(cache=Cache(), required=False)(fails)})
    async with Orchestrator("memory:") as orchestrator:
        for _ in range(2):
            await orchestrator.run(made())

    assert 2 == len(CALLS)


async def test_a_run_may_take_nothing_of_others():
    """It computes anew, also after a crash, and what it computes is taken later."""
    values = iter([1, 2, 3])

    def compute() -> int:
        CALLS.append(1)
        return next(values)

    made = make_workflow("Anew", {"compute": step(cache=Cache())(compute)})
    async with Orchestrator("memory:") as orchestrator:
        results = [await orchestrator.run(made(), use_cache=each) for each in (True, False, True)]

    assert [1, 2, 2] == [result["compute"] for result in results]


def test_run_takes_it_too(tmp_path: Path):
    """From code that is not asynchronous."""
    store = f"sqlite:///{tmp_path / 'a.db'}"
    for use_cache in (True, True, False):
        orchwf.run(flow()(), store=store, use_cache=use_cache)

    assert 2 == len(CALLS)


async def test_a_run_that_takes_nothing_stays_so_when_it_is_taken_up():
    """It is in its log."""
    store, gate = MemoryStore(), Gate()
    compute = step(depends_on="wait", cache=Cache())(computing().function)
    made = make_workflow("Anew", {"wait": gate.pass_through, "compute": compute})
    async with Orchestrator(store, grace=0) as orchestrator:
        gate.open()
        await orchestrator.run(made())
        await gate.came.get()
        gate.close()
        await orchestrator.start(made(), run_id="r", use_cache=False)
        await gate.came.get()
    gate.open()
    async with Orchestrator(store, workflows=[made]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert "" == result.steps["compute"].cached_from
    assert 2 == len(CALLS)


async def test_what_somebody_says_a_step_returned_is_not_kept():
    """It is nobody's output."""

    def fails() -> int:
        CALLS.append(1)
        raise ValueError("no")

    made = make_workflow("Given", {"fails": step(cache=Cache())(fails)})
    async with Orchestrator("memory:", workflows=[made]) as orchestrator:
        run = await orchestrator.start(made(), run_id="one")
        await run.wait()
        given = await (await orchestrator.resume("one", values={"fails": 5})).result()
        other = await (await orchestrator.start(made())).wait()

    assert 5 == given["fails"]
    assert RunStatus.FAILED is other.status


async def test_a_hit_is_not_undone():
    """Who computed it undoes it, if anyone."""

    def undo(output: object) -> None:
        CALLS.append("undone")

    def fails(fail: bool) -> None:
        if fail:
            raise ValueError("no")

    compute = computing(key=lambda self: "k")
    compute.compensate(undo)
    made = make_workflow(
        "Undoes", {"compute": compute, "fails": step(depends_on=["compute"])(fails)}, inputs={"fail": bool}
    )
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(made(fail=False))
        result = await (await orchestrator.start(made(fail=True))).wait()

    assert (RunStatus.FAILED, "") == (result.status, result.compensation)
    assert [7] == CALLS


# Two at once.


def slow(gate: Gate, outcome: Callable[[], object] = lambda: 7) -> type:
    async def compute() -> object:
        CALLS.append(1)
        await gate.pass_through()
        return outcome()

    return make_workflow("Slow", {"compute": step(cache=Cache(), retries=Retry(1, initial=0))(compute)})


async def test_two_runs_at_once_compute_once():
    """The others wait, however many they are, and take no place meanwhile."""
    gate, store = Gate(), MemoryStore()
    made = slow(gate)
    async with Orchestrator(store, max_concurrency=2) as orchestrator:
        runs = [await orchestrator.start(made()) for _ in range(300)]
        await gate.came.get()
        gate.open()
        results = [await run.result() for run in runs]

    assert [1] == CALLS
    assert 299 == sum(result.steps["compute"].cached_from == runs[0].id for result in results)
    assert "0" == (await store.facts())["slots"]


async def test_two_runs_at_once_compute_once_over_two_orchestrators(tmp_path: Path):
    """The second one waits for the first, and then finds what it computed."""
    gate, url = Gate(), f"sqlite:///{tmp_path / 'a.db'}?durability=process"
    made = slow(gate)
    async with Orchestrator(url) as one, Orchestrator(url) as other:
        first = await one.start(made())
        await gate.came.get()
        second = [await other.start(made()) for _ in range(5)]
        with pytest.raises(TimeoutError):
            await second[0].wait(timeout=0.2)
        gate.open()
        results = [await run.result() for run in (first, *second)]

    assert [1] == CALLS
    assert ["", *[first.id] * 5] == [result.steps["compute"].cached_from for result in results]


async def test_if_the_first_fails_the_second_computes():
    """And so on; an attempt that is tried again lets others come first."""
    gate, outcomes = Gate(), iter([ValueError("one"), 8])

    def outcome() -> object:
        value = next(outcomes)
        if isinstance(value, Exception):
            raise value
        return value

    made = slow(gate, outcome)
    async with Orchestrator("memory:") as orchestrator:
        runs = [await orchestrator.start(made()) for _ in range(2)]
        await gate.came.get()
        gate.open()
        results = [await run.result() for run in runs]

    assert [1, 1] == CALLS
    assert [8, 8] == [result["compute"] for result in results]


async def test_if_the_first_is_cancelled_the_second_computes():
    """Its body was stopped."""
    gate = Gate()
    made = slow(gate)
    async with Orchestrator("memory:") as orchestrator:
        first, second = [await orchestrator.start(made()) for _ in range(2)]
        await gate.came.get()
        await first.cancel()
        await gate.came.get()
        gate.open()
        result = await second.result()

    assert (7, "") == (result["compute"], result.steps["compute"].cached_from)


async def test_a_queue_a_mutex_and_a_cache_together():
    """Who finds what it wants needs no slot, and no rate is used up."""
    clock = FakeClock(auto=True)

    def compute(n: int) -> int:
        CALLS.append(n)
        return n

    made = make_workflow(
        "All",
        {"compute": step(cache=Cache(), mutex=Mutex("m"), queue=Queue("q", rate="2/hour", concurrency=1))(compute)},
        inputs={"n": int},
    )
    async with TestOrchestrator(clock=clock) as orchestrator:
        began = clock.now()
        runs = [await orchestrator.start(made(n=n % 2)) for n in range(20)]
        for run in runs:
            await run.result()

    assert [0, 1] == CALLS
    assert clock.now() - began < 60


async def test_an_entry_that_ran_out_while_others_waited():
    """They wait for the next one, and compute it once."""
    clock, store = FakeClock(auto=True), MemoryStore()
    gate = Gate()

    async def compute() -> int:
        CALLS.append(1)
        await gate.pass_through()
        return len(CALLS)

    made = make_workflow("Brief", {"compute": step(cache=Cache(ttl="1ms"))(compute)})
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        runs = [await orchestrator.start(made()) for _ in range(6)]
        await gate.came.get()
        gate.open()
        for run in runs:
            await run.result()

    assert 1 <= len(CALLS) <= 6
    assert "0" == (await store.facts())["slots"]


async def test_a_hit_that_comes_too_late_changes_nothing():
    """The run was cancelled while the store was asked."""

    class Slow(MemoryStore):
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def take_slots(
            self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
        ) -> list[Answer]:
            answers = await super().take_slots(owner, requests, frees=frees, now=now)
            if requests and self.asked.is_set():
                self.asked.clear()
                self.may_answer.clear()
                await self.may_answer.wait()
            return answers

    store = Slow()
    async with Orchestrator(store) as orchestrator:
        await orchestrator.run(flow()())
        store.asked.set()
        second = await orchestrator.start(flow()())
        while store.asked.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        await second.cancel()
        result = await second.wait()
        store.may_answer.set()
        third = await orchestrator.run(flow()())

    assert RunStatus.CANCELLED is result.status
    assert "compute" in third.outputs
    assert [7] == CALLS


# Trouble.


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_key_that_cannot_be_told_fails_the_step(size: int):
    """As if its body had raised it."""

    async def text() -> str:
        return "x" * size

    def bad(self: object, text: str) -> object:
        raise ConnectionError("no key")

    async with Orchestrator("memory:") as orchestrator:
        results = []
        for key in (bad, lambda self, text: object()):
            made = make_workflow("Bad", {"text": text, "length": step(cache=Cache(key=key))(lambda text: 1)})
            results.append(await (await orchestrator.start(made())).wait())

    assert "ConnectionError: no key" == results[0].error
    assert results[1].error.startswith("EncodingError: the value at $ cannot be stored: it is of type object")


async def test_entries_are_written_with_the_completion():
    """In one append: nothing is told before it is there, and nothing is there that is not told."""
    appends: list[Append] = []

    class Noting(MemoryStore):
        async def append(self, given: Sequence[Append]) -> list[Exception | None]:
            appends.extend(given)
            return await super().append(given)

    async with Orchestrator(Noting()) as orchestrator:
        await orchestrator.run(flow()(), run_id="r")

    (append,) = [append for append in appends if append.caches]
    (entry,) = append.caches
    completed = next(event for event in append.events if isinstance(event, ev.StepCompleted))
    assert ("r", "compute", "7", completed.at, None) == (
        entry.run_id, entry.step, entry.output, entry.created_at, entry.expires_at,
    )  # fmt: skip


# Crashes.


@workflow
class Priced:
    """Two steps that need the same, a cached one between others."""

    @step
    async def rate(self) -> float:
        CALLS.append("rate")
        return 1.5

    @step(cache=Cache(name="price", key=lambda self, rate: rate))
    async def price(self, rate: float = rate.result) -> float:
        CALLS.append("price")
        return rate * 2

    @step(cache=Cache(name="price", key=lambda self, rate: rate))
    def same(self, rate: float = rate.result) -> float:
        CALLS.append("price")
        return rate * 2

    @step
    async def total(self, a: float = price.result, b: float = same.result) -> float:
        return a + b


def test_a_cache_survives_crashes():
    """Wherever the process dies: the run ends the same, and the price is computed once but for crashes in the midst."""
    report = crash_everywhere(
        Priced(), reset=CALLS.clear, check=lambda result: result[Priced.total] == 6 and CALLS.count("price") <= 2
    )

    assert any("cache.hit" in death for death in report.deaths)
