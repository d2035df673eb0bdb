"""Steps that run until a predicate holds, through the public API."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    LoopLimitError,
    Orchestrator,
    Retry,
    RunFailed,
    RunStatus,
    Skip,
    StepContext,
    StepStatus,
    make_workflow,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.testing import TestOrchestrator
from tests.kinds import KINDS, named_store
from tests.runtime.flows import Gate, kinds_of, log_of, until

SEEN: Counter[object] = Counter()


def empty() -> list[int]:
    return []


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return named_store(request.param, request, tmp_path)


@workflow
class Halving:
    """From a start it halves, as long as it can."""

    start: int

    @step
    def first(self) -> int:
        return self.start

    @step(until=lambda x: x % 2 == 1)
    async def halve(self, x: int = first.result) -> int:
        SEEN[x] += 1
        return x // 2

    @step
    def last(self, x: int = halve.result) -> str:
        return f"ends with {x}"


async def test_the_output_of_an_iteration_is_the_input_of_the_next_one(store: Any):
    """And that of the last one is the output of the step; each has its own checkpoint."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Halving(start=48), run_id="r")
        again = await (await orchestrator.get("r")).wait()

    assert 3 == result[Halving.halve] == again[Halving.halve]
    assert "ends with 3" == result[Halving.last]
    assert {48: 1, 24: 1, 12: 1, 6: 1} == SEEN
    assert ["24", "12", "6", "3"] == [item.output for item in result.steps["halve"].present]


async def test_it_runs_once_at_least(store: Any):
    """The predicate is asked of outputs, not of the input."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Halving(start=2))

    assert 1 == result[Halving.halve]
    assert {2: 1} == SEEN


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_each_iteration_has_a_context_of_its_own(kind: str):
    """Its number, and an idempotency key that no other one has."""
    keys: list[tuple[str | None, int, str]] = []

    def note(n: int, ctx: StepContext) -> int:
        keys.append((ctx.item, ctx.attempt, ctx.idempotency_key))
        if n == 1 and ctx.attempt == 1:
            raise ConnectionError("not now")
        return n + 1

    async def coroutine(n: int, ctx: StepContext) -> int:
        return note(n, ctx)

    source = step(lambda: 0, name="source")
    body = coroutine if kind == "coroutine" else note
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 3, retries=Retry(1, initial=0))(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Keys", [source, loop])(), run_id="r")

    assert 3 == result["loop"]
    assert [("0", 1, "r/loop/0"), ("1", 1, "r/loop/1"), ("1", 2, "r/loop/1"), ("2", 1, "r/loop/2")] == keys


async def test_other_parameters_stay_the_same():
    """Only the first one that takes a value is replaced."""
    seen = []

    def grow(n: int, by: int) -> int:
        seen.append((n, by))
        return n + by

    one, two = step(lambda: 1, name="one"), step(lambda: 2, name="two")
    loop = step(name="loop", depends_on={"n": one.result, "by": two.result}, until=lambda n: n > 6)(grow)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Grow", [one, two, loop])())

    assert 7 == result["loop"]
    assert [(1, 2), (3, 2), (5, 2)] == seen


async def test_a_loop_that_begins_with_an_input():
    """As whoever polls does."""

    async def poll(answer: str) -> str:
        SEEN["poll"] += 1
        return "done" if SEEN["poll"] == 3 else f"not {answer}"

    polls = step(until=lambda answer: answer == "done")(poll)
    flow = make_workflow("Polls", {"poll": polls}, inputs={"answer": str})

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(answer="yet"))

    assert "done" == result["poll"]
    assert 3 == SEEN["poll"]


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (4, 4), (None, 1000)])
async def test_a_loop_that_does_not_settle_ends_with_an_error(most: int | None, expected: int):
    """After max_iterations, or a thousand."""

    async def body(n: int) -> int:
        SEEN["body"] += 1
        return n + 1

    source = step(lambda: 0, name="source")
    options: dict[str, Any] = {} if most is None else {"max_iterations": most}
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: False, **options)(body)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Endless", [source, loop])())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, LoopLimitError)
    assert f"did not settle in {expected:,} iterations" in str(caught.value.__cause__)
    assert expected == SEEN["body"]


async def test_a_predicate_that_raises_fails_the_step():
    """With its own exception as the cause."""

    async def body(n: int) -> int:
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: 1 / 0 > n)(body)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Broken", [source, loop])())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_an_iteration_that_fails_is_the_cause_and_is_where_a_resume_goes_on(store: Any):
    """What completed before it is kept."""
    broken = True

    async def body(n: int) -> int:
        SEEN[n] += 1
        if broken and n == 2:
            raise ValueError("two")
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 4)(body)
    flow = make_workflow("Breaks", [source, loop])

    async with TestOrchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        broken = False
    async with TestOrchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()

    assert isinstance(caught.value.__cause__, ValueError)
    assert 4 == result["loop"]
    assert {0: 1, 1: 1, 2: 2, 3: 1} == SEEN


async def test_an_iteration_that_skips_itself_ends_the_loop():
    """The step is skipped."""

    async def body(n: int) -> int:
        if n == 1:
            raise Skip("enough")
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: False)(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Skipping", [source, loop])())

    assert StepStatus.SKIPPED is result.steps["loop"].status


async def test_a_crash_in_the_middle_goes_on_with_the_iteration_in_flight(store: Any):
    """It runs again with the same input; those before do not."""
    gate = Gate()

    async def body(n: int) -> int:
        SEEN[n] += 1
        if n == 2 and SEEN[n] == 1:
            await gate.pass_through()
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 4)(body)
    flow = make_workflow("Goes", [source, loop])
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert 4 == result["loop"]
    assert {0: 1, 1: 1, 2: 2, 3: 1} == SEEN


async def test_cancel_and_pause_in_the_middle():
    """As of any step."""
    gate = Gate()

    async def body(n: int) -> int:
        SEEN[n] += 1
        if n == 2:
            await gate.pass_through()
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 4)(body)
    flow = make_workflow("Steered", [source, loop])

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        cancelled = await orchestrator.start(flow(), run_id="c")
        await gate.came.get()
        await cancelled.cancel("enough")
        ended = await cancelled.wait()
        run = await orchestrator.start(flow(), run_id="p")
        await gate.came.get()
        await run.pause("lunch")
        await until(lambda: orchestrator.recorder.kinds().count("signal.received") == 2)
        gate.open()
        paused = await run.wait()
        result = await (await orchestrator.resume("p")).result()

    assert StepStatus.CANCELLED is ended.steps["loop"].status
    assert RunStatus.PAUSED is paused.status
    assert 4 == result["loop"]
    assert 1 == SEEN[3]


async def test_iterations_are_undone_in_reverse():
    """Each with its own output."""
    undone = []

    async def body(n: int) -> int:
        return n + 1

    async def undo(output: int | None, ctx: StepContext) -> None:
        undone.append((output, ctx.item))

    async def fails(n: int) -> None:
        raise ValueError("no")

    source = step(lambda: 0, name="source")
    loop: Any = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 3)(body)
    loop.compensate(undo)
    flow = make_workflow("Undoes", [source, loop, step(name="fails", depends_on={"n": loop.result})(fails)])

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert ("failed", "done") == (result.status, result.compensation)
    assert [(3, "2"), (2, "1"), (1, "0")] == undone


async def test_a_fork_reuses_a_loop(store: Any):
    """Its output is that of its last iteration."""
    async with TestOrchestrator(store, workflows=[Halving]) as orchestrator:
        await orchestrator.run(Halving(start=48), run_id="r")
        SEEN.clear()
        result = await (await orchestrator.fork("r", "last")).result()

    assert "ends with 3" == result["last"]
    assert {} == SEEN


async def test_a_fork_from_a_loop_begins_it_anew():
    """All of it."""
    async with TestOrchestrator(workflows=[Halving]) as orchestrator:
        await orchestrator.run(Halving(start=12), run_id="r")
        SEEN.clear()
        result = await (await orchestrator.fork("r", "halve")).result()

    assert 3 == result["halve"]
    assert {12: 1, 6: 1} == SEEN


async def test_items_of_what_a_loop_gives():
    """It is one output, whose items they are."""

    async def grow(values: list[int]) -> list[int]:
        return [*values, len(values)]

    source: Any = step(empty, name="source")
    loop: Any = step(name="loop", depends_on={"values": source.result}, until=lambda v: len(v) == 3)(grow)
    each = step(name="each", depends_on={"x": loop.each})(lambda x: x + 1)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Items", [source, loop, each])())

    assert [1, 2, 3] == result["each"]


async def test_a_condition_on_a_loop():
    """False, it never begins."""

    async def body(n: int) -> int:
        SEEN["body"] += 1
        return n

    loop = step(until=lambda n: True, when=lambda self: False)(body)
    flow = make_workflow("Never", {"loop": loop}, inputs={"n": int})

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(n=1))

    assert StepStatus.SKIPPED is result.steps["loop"].status
    assert {} == SEEN


async def test_the_log_of_a_loop():
    """Each iteration is announced before it begins."""

    async def body(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 2)(body)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Log", [source, loop])())
        await run.result()
        kinds = [each for each in await kinds_of(run) if each.endswith("loop")]
        counts = [event.count for event in await log_of(run) if isinstance(event, ev.StepExpanded)]

    assert ["step.expanded", "step.started", "step.completed"] * 2 + ["step.completed"] == [
        each.removesuffix(" loop") for each in kinds
    ]
    assert [1, 2] == counts


async def test_somebody_says_what_a_loop_would_have_given(store: Any):
    """When its process died in the midst of an iteration that runs at most once; that is its output then."""
    gate = Gate()

    async def body(n: int) -> int:
        SEEN[n] += 1
        if n == 2:
            await gate.pass_through()
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: n == 4, delivery="at_most_once")(body)
    flow = make_workflow("Once", [source, loop])
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        paused = await (await orchestrator.get("r")).wait()
        result = await (await orchestrator.resume("r", values={"loop": 9})).result()

    assert (RunStatus.PAUSED, "unknown") == (paused.status, paused.pause)
    assert 9 == result["loop"]
    assert {0: 1, 1: 1, 2: 1} == SEEN
    assert ["completed", "completed", "cancelled"] == [item.status for item in result.steps["loop"].present]
