"""Steps that run once per item, through the public API."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from orchwf import (
    Orchestrator,
    RecordedError,
    Retry,
    RunFailed,
    RunStatus,
    Skip,
    StepContext,
    StepStatus,
    TooFewItemsError,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.kinds import KINDS, named_store
from tests.runtime.flows import Gate, log_of, until

SEEN: Counter[object] = Counter()
"""What the bodies of a test were called with, and how often."""


def add(every: list[int]) -> int:
    return sum(every)


def joined(every: list[str]) -> str:
    return "".join(every)


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What an orchestrator takes for a store; the same one each time in a test."""
    return named_store(request.param, request, tmp_path)


@workflow
class Prices:
    """Each item is doubled on the loop, then taken by a thread."""

    amounts: list[int]

    @step
    def load(self) -> list[int]:
        return self.amounts

    @step
    async def double(self, x: int = load.each) -> int:
        SEEN["double", x] += 1
        return 2 * x

    @step
    def label(self, x: int = load.each, doubled: int = cast(Any, double).each) -> str:
        SEEN["label", x] += 1
        return f"{x} -> {doubled}"

    @step
    def total(self, every: list[int] = double.all, labels: list[str] = label.all) -> tuple[int, list[str]]:
        return sum(every), labels


async def test_results_come_in_the_order_of_the_items(store: Any):
    """`.each` is one item, `.all` all results; what follows item by item gets the items that belong together."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Prices(amounts=[3, 1, 2]), run_id="r")
        again = await (await orchestrator.get("r")).wait()

    assert [6, 2, 4] == result.outputs["double"] == again.outputs["double"]
    assert (12, ["3 -> 6", "1 -> 2", "2 -> 4"]) == result[Prices.total] == again[Prices.total]
    assert ["3 -> 6", "1 -> 2", "2 -> 4"] == result.outputs["label"]
    assert {1} == set(SEEN.values())
    assert [0, 1, 2] == [item.item for item in result.steps["double"].present]
    assert {StepStatus.COMPLETED} == {item.status for item in result.steps["label"].present}


async def test_nothing_to_do_for_no_items(store: Any):
    """Of an empty list the steps complete with none, and what reads them runs."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Prices(amounts=[]))

    assert ([], [], (0, [])) == tuple(result.outputs[name] for name in ("double", "label", "total"))


async def test_each_item_has_a_context_of_its_own():
    """`ctx.item` and an idempotency key that is the same in each attempt of it, and in nothing else."""
    keys: dict[str, list[str]] = {}

    async def body(ctx: StepContext, source: int) -> str | None:
        assert ctx.item is not None
        keys.setdefault(ctx.item, []).append(ctx.idempotency_key)
        if source == 2 and ctx.attempt == 1:
            raise ConnectionError("not now")
        assert (ctx.max_attempts, ctx.run_id, ctx.step) == (3, "r", "each")
        return ctx.item

    source = step(name="source")(lambda: [1, 2, 3])
    flow = make_workflow("Contexts", [source, step(name="each", retries=2, depends_on={"source": source.each})(body)])

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(), run_id="r")

    assert ["0", "1", "2"] == result["each"]
    assert {"0": ["r/each/0"], "1": ["r/each/1"] * 2, "2": ["r/each/2"]} == keys


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], [1, 2]),
        ((1, "a"), [1, "a"]),
        ({"b": 1, "a": 2}, ["b", "a"]),
        ({3, 1}, [1, 3]),
        (frozenset({"x"}), ["x"]),
        ([[1], None], [[1], None]),
    ],
    ids=repr,
)
async def test_what_has_items(value: Any, expected: list[Any]):
    """Lists and tuples in order, the keys of a mapping, sets in an order that is the same for everyone."""
    source = step(name="source")(lambda: value)
    each = step(name="each", depends_on={"x": source.each})(lambda x: x)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Kinds", [source, each])())

    assert expected == result["each"]


@pytest.mark.parametrize("value", [7, "text", None])
async def test_what_has_none_fails_its_step(value: Any):
    """Where no annotation told it before."""
    source = step(name="source")(lambda: value)
    each = step(name="each", depends_on={"x": source.each})(lambda x: x)

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(make_workflow("Odd", [source, each])())).wait()

    assert (RunStatus.FAILED, ("each",)) == (result.status, result.failed_steps)
    assert "has no items to run once for" in result.error


# Failures.


@workflow
class Picky:
    """The items that are odd fail."""

    amounts: list[int]

    @step
    def load(self) -> list[int]:
        return self.amounts

    @step(max_parallel=1)
    async def check(self, x: int = load.each) -> int:
        SEEN[x] += 1
        if x % 2:
            raise ValueError(f"{x} is odd")
        return x

    @step
    def total(self, every: list[int] = check.all) -> int:
        return sum(every)


async def test_a_failed_item_is_the_cause_of_the_failure(store: Any):
    """The exception that the body raised, itself; in another process it is rebuilt."""
    async with TestOrchestrator(store) as orchestrator:
        with pytest.raises(RunFailed, match="step check failed: ValueError: 3 is odd") as caught:
            await orchestrator.run(Picky(amounts=[2, 3, 5]), run_id="r")
    async with Orchestrator(store) as other:
        with pytest.raises(RunFailed) as recorded:
            await (await other.get("r")).result()

    assert isinstance(caught.value.__cause__, ValueError)
    assert "3 is odd" == str(caught.value.__cause__)
    assert isinstance(recorded.value.__cause__, RecordedError)
    assert "3 is odd" == recorded.value.__cause__.message
    # One at a time: after the failure no other item began.
    assert {2: 1, 3: 1} == SEEN


async def test_items_are_tried_again_each_by_itself():
    """With the budget and the back-off of the step, and none of the others waits for that."""

    async def body(x: int, ctx: StepContext) -> int:
        SEEN[x] += 1
        if ctx.attempt <= x:
            raise ConnectionError("not now")
        return x

    source = step(name="source")(lambda: [0, 1, 2])
    each = step(
        name="each", depends_on={"x": source.each}, retries=Retry(2, initial="1h", max_interval="1h", jitter=None)
    )(body)

    async with TestOrchestrator() as orchestrator:
        began = orchestrator.clock.now()
        result = await orchestrator.run(make_workflow("Retries", [source, each])())
        took = orchestrator.clock.now() - began

    assert {0: 1, 1: 2, 2: 3} == SEEN
    assert [1, 2, 3] == [len(item.attempts) for item in result.steps["each"].present]
    assert 7200 <= took < 7300


@pytest.mark.parametrize(
    ("options", "status", "results"),
    [
        ({"tolerate": 2}, "completed", [2, None, None, 4]),
        ({"tolerate": 1}, "failed", None),
        ({"tolerate": 0.5}, "completed", [2, None, None, 4]),
        ({"tolerate": 0.49}, "failed", None),
        ({"need": 2}, "completed", [2, None, None, 4]),
        ({"need": 3}, "failed", None),
        ({"need": 2, "tolerate": 1}, "failed", None),
    ],
    ids=str,
)
async def test_how_many_failures_are_borne(options: dict[str, Any], status: str, results: list[int | None] | None):
    """By number or by share; and how many results suffice. Items that gave nothing stand as None."""

    async def body(x: int) -> int:
        if x % 2:
            raise ValueError(f"{x} is odd")
        return x

    source = step(name="source")(lambda: [2, 3, 5, 4])
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1, **options)(body)
    flow = make_workflow(
        "Bearing", [source, each, step(name="reads", depends_on={"every": each.all})(lambda every: every)]
    )

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert status == result.status
    assert results == result.outputs.get("each")
    assert results == result.outputs.get("reads")


async def test_too_few_results_have_an_error_of_their_own():
    """If no item failed: they skipped themselves."""

    async def body(x: int) -> int:
        raise Skip("nothing to do")

    source = step(name="source")(lambda: [1, 2])
    each = step(name="each", depends_on={"x": source.each}, need=1)(body)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Few", [source, each])())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, TooFewItemsError)
    assert "needs 1 results of items, and only 0 of 2 completed" in str(caught.value.__cause__)


async def test_an_item_that_skips_itself_gives_none_and_what_follows_it_is_skipped():
    """The others go on."""

    async def odd(x: int) -> int:
        if x % 2 == 0:
            raise Skip("even")
        return x

    source = step(name="source")(lambda: [1, 2, 3])
    first: Any = step(name="first", depends_on={"x": source.each})(odd)
    second = step(name="second", depends_on={"x": first.each})(lambda x: -x)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Skips", [source, first, second])())

    assert ([1, None, 3], [-1, None, -3]) == (result["first"], result["second"])
    assert StepStatus.SKIPPED is result.steps["second"].present[1].status


async def test_enough_results_stop_the_rest():
    """What is at work is cancelled, what has not begun never does."""
    gate = Gate()
    cancelled = []

    async def body(x: int) -> int:
        SEEN[x] += 1
        if x != 2:
            try:
                await gate.pass_through(str(x))
            except asyncio.CancelledError:
                cancelled.append(x)
                raise
        return x

    source = step(name="source")(lambda: [1, 2, 3, 4])
    each = step(name="each", depends_on={"x": source.each}, need=1, max_parallel=2)(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Enough", [source, each])())

    assert [None, 2, None, None] == result["each"]
    assert [1] == [x for x in cancelled if x == 1]
    assert 4 not in SEEN


async def test_max_parallel_bounds_the_items_at_once():
    """Over all of the step, also after retries."""
    most = now = 0

    async def body(x: int, ctx: StepContext) -> int:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        if ctx.attempt == 1 and x % 3 == 0:
            raise ConnectionError("not now")
        return x

    source = step(name="source")(lambda: list(range(30)))
    each = step(name="each", depends_on={"x": source.each}, retries=Retry(1, initial=0), max_parallel=3)(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Bounded", [source, each])())

    assert list(range(30)) == result["each"]
    assert 3 == most


# Many, and large.


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_ten_thousand_items(store: Any, kind: str):
    """In seconds, and none of them twice."""

    async def on_the_loop(x: int) -> int:
        SEEN[x] += 1
        return x + 1

    def in_a_thread(x: int) -> int:
        SEEN[x] += 1
        return x + 1

    source = step(name="source")(lambda: list(range(10_000)))
    body = on_the_loop if kind == "coroutine" else in_a_thread
    each = step(name="each", depends_on={"x": source.each})(body)
    total = step(name="total", depends_on={"every": each.all})(add)
    began = time.monotonic()

    async with Orchestrator(store) as orchestrator:
        result = await orchestrator.run(make_workflow("Many", [source, each, total])())

    assert sum(range(1, 10_001)) == result["total"]
    assert {1} == set(SEEN.values())
    assert time.monotonic() - began < 60


@contextlib.asynccontextmanager
async def longest_turn() -> AsyncIterator[list[float]]:
    """
    How many seconds the loop worked at most, in the block, before it came back to a task that wants nothing else.

    What other threads and processes do meanwhile does not count.
    """
    found = [0.0]

    async def watch() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            found[0] = max(found[0], now - before)
            before = now

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("resumed", [False, True])
async def test_a_large_source_does_not_block_the_loop(resumed: bool):
    """A list of 5 MB is taken apart on a thread, also when the run is taken up in the midst of its items."""
    gate = asyncio.Event()
    large = [{"row": number, "text": "x" * 500} for number in range(10_000)]

    async def body(x: dict[str, Any]) -> int:
        if resumed and x["row"] == 5 and not SEEN["stopped"]:
            gate.set()
            await asyncio.Event().wait()
        return int(x["row"])

    source = step(name="source")(lambda: large)
    each = step(name="each", depends_on={"x": source.each}, max_parallel=20)(body)
    flow, store = make_workflow("Large", [source, each]), MemoryStore()
    if resumed:
        async with Orchestrator(store, grace=0) as orchestrator:
            await orchestrator.start(flow(), run_id="r")
            await gate.wait()
            SEEN["stopped"] = 1

    async with Orchestrator(store, workflows=[flow]) as orchestrator, longest_turn() as took:
        run = await (orchestrator.get("r") if resumed else orchestrator.start(flow(), run_id="r"))
        result = await run.wait()

    assert list(range(10_000)) == result["each"]
    # To parse it all on the loop for each item would take minutes.
    assert took[0] < 1.0


# Told by keys, forked, changed.


def keyed(rows: list[str]) -> type:
    async def body(x: str) -> str:
        SEEN[x] += 1
        return x.upper()

    async def last(every: list[str]) -> str:
        return "".join(every)

    source = step(name="source")(lambda: rows)
    each = step(name="each", depends_on={"x": source.each}, item_key=lambda x: x)(body)
    return make_workflow("Keyed", [source, each, step(name="last", depends_on={"every": each.all})(last)])


async def test_a_fork_runs_only_what_is_new_of_items_with_keys():
    """Whatever their order is now: an item is told by its key, and what it gave is known."""
    rows = ["a", "b", "c"]
    flow = keyed(rows)

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        await orchestrator.run(flow(), run_id="r")
        SEEN.clear()
        rows[:] = ["c", "d", "a"]
        fork = await orchestrator.fork("r", "source", new_id="f")
        result = await fork.result()
        twice = await (await orchestrator.fork("f", "source", new_id="g")).result()

    assert ["C", "D", "A"] == result["each"] == twice["each"]
    assert {"d": 1} == SEEN
    assert "CDA" == result["last"]


async def test_items_with_the_same_key_fail_the_step():
    """It has to tell all of them."""
    flow = keyed(["a", "b", "a"])

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, UsageError)
    assert "item_key gives 'a' for two items" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("from_step", "again"),
    [
        ("last", {}),
        ("label", {("label", 1): 1, ("label", 2): 1}),
        ("double", {("double", 1): 1, ("double", 2): 1, ("label", 1): 1, ("label", 2): 1}),
    ],
)
async def test_a_fork_of_a_run_with_items(from_step: str, again: dict[object, int]):
    """What came before the step is reused item by item, rows that follow rows, too."""

    async def double(x: int) -> int:
        SEEN["double", x] += 1
        return 2 * x

    async def label(x: int) -> str:
        SEEN["label", x // 2] += 1
        return f"<{x}>"

    source = step(name="source")(lambda: [1, 2])
    first: Any = step(name="double", depends_on={"x": source.each})(double)
    second = step(name="label", depends_on={"x": first.each})(label)
    last = step(name="last", depends_on={"every": second.all})(joined)
    flow = make_workflow("Chained", [source, first, second, last])

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        before = await orchestrator.run(flow(), run_id="r")
        SEEN.clear()
        result = await (await orchestrator.fork("r", from_step)).result()

    assert dict(before.outputs) == dict(result.outputs)
    assert again == SEEN


async def test_a_fork_keeps_items_that_gave_nothing():
    """Skipped and failed ones, where their step bore that."""

    async def body(x: int) -> int:
        SEEN[x] += 1
        if x == 1:
            raise ValueError("one")
        if x == 2:
            raise Skip("two")
        return x

    source = step(name="source")(lambda: [1, 2, 3])
    each = step(name="each", depends_on={"x": source.each}, tolerate=1)(body)
    last = step(name="last", depends_on={"every": each.all})(lambda every: every)
    flow = make_workflow("Gaps", [source, each, last])

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        await orchestrator.run(flow(), run_id="r")
        result = await (await orchestrator.fork("r", "last")).result()

    assert [None, None, 3] == result["last"]
    assert {1: 1, 2: 1, 3: 1} == SEEN
    assert ["failed", "skipped", "completed"] == [item.status for item in result.steps["each"].present]


async def test_a_resume_of_a_failed_run_runs_only_the_items_that_did_not_go_well(store: Any):
    """What completed is kept, item by item."""
    async with TestOrchestrator(store, workflows=[Picky]) as orchestrator:
        await (await orchestrator.start(Picky(amounts=[2, 3, 4]), run_id="r")).wait()
    assert {2: 1, 3: 1} == SEEN

    async with TestOrchestrator(store, workflows=[Picky]) as orchestrator:
        again = await (await orchestrator.resume("r")).wait()

    assert {2: 1, 3: 2} == SEEN
    assert RunStatus.FAILED is again.status


async def test_a_changed_definition_is_adopted_in_the_middle():
    """Items that are known by their keys and whose step has the same inputs are kept; those of others run anew."""
    store, gate = MemoryStore(), Gate()

    def flow(version: int) -> type:
        async def rows() -> list[str]:
            return ["a", "b"] if version == 1 else ["b", "c"]

        async def body(x: str) -> str:
            SEEN[x] += 1
            if version == 1 and x == "b":
                await gate.pass_through()
            return f"{x}{version}"

        async def extra() -> int:
            return 1

        source = step(rows, name="source" if version == 1 else "other")
        each = step(name="each", depends_on={"x": source.each}, item_key=lambda x: x)(body)
        steps: list[Any] = [source, each] + ([step(extra, name="extra")] if version == 2 else [])
        return make_workflow("Changing", steps, on_change="adopt")

    async with TestOrchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(1)(), run_id="r")
        await gate.came.get()
        await until(lambda: "step.completed each" in orchestrator.recorder.story())
    async with TestOrchestrator(store, workflows=[flow(2)]) as orchestrator:
        run = await orchestrator.get("r")
        result = await run.result()
        log = await log_of(run)

    assert ["b2", "c2"] == result["each"]
    assert {"a": 1, "b": 2, "c": 1} == SEEN
    resumed = next(event for event in log if isinstance(event, ev.RunResumed))
    assert ("each",) == resumed.changed
    # The items go on counting, so that no two of a run have one idempotency key.
    assert [2, 3] == [item.item for item in result.steps["each"].present]


# In the middle.


def gated(gate: Gate) -> type:
    async def body(x: int) -> int:
        SEEN[x] += 1
        if x == 2:
            await gate.pass_through()
        return x

    async def after(x: int) -> int:
        SEEN["after", x] += 1
        return x

    source = step(name="source")(lambda: [1, 2, 3, 4])
    each: Any = step(name="each", depends_on={"x": source.each}, max_parallel=2)(body)
    follows = step(name="after", depends_on={"x": each.each})(after)
    return make_workflow("Gated", [source, each, follows])


async def test_cancel_in_the_middle_of_the_items():
    """What is at work is stopped, what has not begun never does; the run ends once."""
    gate = Gate()

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(gated(gate)())
        await gate.came.get()
        await run.cancel("enough")
        result = await run.wait()

    assert RunStatus.CANCELLED is result.status
    assert StepStatus.CANCELLED is result.steps["each"].status is result.steps["after"].status
    assert StepStatus.CANCELLED is result.steps["each"].present[1].status
    assert 1 == SEEN[2]


async def test_pause_and_resume_in_the_middle_of_the_items():
    """What is at work may end; the rest runs after the resume, and nothing twice."""
    gate = Gate()
    flow = gated(gate)

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.pause("lunch")
        async for event in run.events(follow=True):
            if isinstance(event, ev.SignalReceived):
                break
        gate.open()
        paused = await run.wait()
        seen = dict(SEEN)
        result = await (await orchestrator.resume(run.id)).result()

    assert RunStatus.PAUSED is paused.status
    assert len(seen) < len(SEEN)
    assert [1, 2, 3, 4] == result["each"] == result["after"]
    assert {1} == set(SEEN.values())


async def test_terminate_in_the_middle_of_the_items():
    """At once."""
    gate = Gate()

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(gated(gate)())
        await gate.came.get()
        await run.terminate("now")
        result = await run.wait()

    assert RunStatus.CANCELLED is result.status
    assert not {"running", "waiting"} & {item.status for item in result.steps["each"].present}


async def test_a_deadline_ends_the_items():
    """Those at work, and those that wait for another attempt."""

    async def body(x: int) -> int:
        if x:
            raise ConnectionError("not now")
        await asyncio.Event().wait()
        return x

    source = step(name="source")(lambda: [0, 1])
    each = step(
        name="each", depends_on={"x": source.each}, retries=Retry(9, initial="1h", max_interval="1h", jitter=None)
    )(body)
    flow = make_workflow("Late", [source, each], deadline="90s")
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        await clock.advance(100)
        result = await run.wait()

    assert RunStatus.FAILED is result.status
    assert "passed its deadline of 90 s" in result.error


async def test_items_are_undone_one_by_one():
    """The last first, each with its own output; what could not be is among the causes of the failure."""
    undone: list[tuple[int | None, str | None]] = []

    async def undo(output: int | None, ctx: StepContext) -> None:
        undone.append((output, ctx.item))
        if output == 20:
            raise ConnectionError("cannot")

    async def body(x: int) -> int:
        return 10 * x

    async def fails(every: list[int]) -> None:
        raise ValueError("no")

    source = step(name="source")(lambda: [1, 2, 3])
    each: Any = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)
    each.compensate(undo)
    flow = make_workflow("Undo", [source, each, step(name="fails", depends_on={"every": each.all})(fails)])

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(RunFailed) as caught:
            await run.result()
        result = await run.wait()

    assert [(30, "2"), (20, "1"), (10, "0")] == undone
    assert "failed" == result.compensation
    group = caught.value.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [ValueError, ConnectionError] == [type(error) for error in group.exceptions]
    assert ["item 1 of step 'each' could not be undone"] == group.exceptions[1].__notes__
