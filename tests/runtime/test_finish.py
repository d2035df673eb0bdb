"""Bodies that end their run, through the public API."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    EncodingError,
    Finish,
    RunFailed,
    RunStatus,
    StepContext,
    StepStatus,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)
from orchwf import make_workflow as make_typed_workflow
from orchwf.core import events as ev
from orchwf.testing import FakeClock, TestOrchestrator
from tests.kinds import KINDS, named_store
from tests.runtime.flows import Gate, is_status, log_of

make_workflow: Any = make_typed_workflow
"""For its type, nodes are functions only."""


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return named_store(request.param, request, tmp_path)


@workflow
class Search:
    """Ends as soon as anything is found."""

    found: str = ""

    @step
    async def look(self) -> str:
        if self.found:
            raise Finish(self.found)
        return "nothing"

    @step
    def dig(self, x: str = look.result) -> str:
        return f"{x} at all"


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_a_step_that_finishes_completes_and_so_does_the_run(store: Any, kind: str):
    """What depends on it, and all else, is cancelled; its output is there."""

    def body() -> str:
        raise Finish("gold")

    async def coroutine() -> str:
        raise Finish("gold")

    look = step(body if kind == "thread" else coroutine, name="look")
    flow = make_workflow("Search", [look, step(name="dig", depends_on={"x": look.result})(lambda x: x)])

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.result()
        log = await log_of(run)

    assert RunStatus.COMPLETED is result.status
    assert "gold" == result["look"]
    assert (StepStatus.CANCELLED, "finish") == (result.steps["dig"].status, result.steps["dig"].cause)
    assert "look finished the run" == result.steps["dig"].reason
    assert ["finish"] == [event.signal for event in log if isinstance(event, ev.SignalReceived)]


async def test_it_finishes_only_if_it_says_so():
    """Else the run goes its way."""
    async with TestOrchestrator() as orchestrator:
        one = await orchestrator.run(Search(found="gold"))
        other = await orchestrator.run(Search())

    assert {"look": "gold"} == dict(one.outputs)
    assert {"look": "nothing", "dig": "nothing at all"} == dict(other.outputs)


async def test_what_is_at_work_is_stopped():
    """And what waits does so no longer; steps that clean up run."""
    gate, cancelled, cleaned = Gate(), [], []

    async def works() -> None:
        try:
            await gate.pass_through()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def finishes() -> int:
        await gate.came.get()
        raise Finish(7)

    async def cleans() -> None:
        cleaned.append(True)

    nodes = {"works": step(works), "waits": signal(str), "naps": sleep("9d"), "finishes": step(finishes)}
    flow = make_workflow("Stops", {**nodes, "cleans": step(depends_on=["works"], join="settled")(cleans)})

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow())

    assert 7 == result["finishes"]
    assert ([True], [True]) == (cancelled, cleaned)
    assert [StepStatus.CANCELLED] * 3 == [result.steps[name].status for name in ("works", "waits", "naps")]


async def test_an_item_finishes_the_run():
    """The others are cancelled."""

    async def body(x: int) -> int:
        if x == 2:
            raise Finish(x)
        return x

    source = step(lambda: [1, 2, 3], name="source")
    each = step(name="each", depends_on={"x": source.each}, max_parallel=1)(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Items", [source, each])())

    assert RunStatus.COMPLETED is result.status
    assert ["1", "2", None] == [item.output for item in result.steps["each"].present]
    assert StepStatus.CANCELLED is result.steps["each"].status


async def test_an_iteration_finishes_the_run():
    """Of a loop."""

    async def body(n: int) -> int:
        if n == 2:
            raise Finish(n)
        return n + 1

    source = step(lambda: 0, name="source")
    loop = step(name="loop", depends_on={"n": source.result}, until=lambda n: False)(body)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Loop", [source, loop])())

    assert RunStatus.COMPLETED is result.status
    assert ["1", "2", "2"] == [item.output for item in result.steps["loop"].present]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_generator_finishes_the_run(kind: str):
    """What it has given is kept."""

    def plain() -> Iterator[int]:
        yield 1
        raise Finish

    async def asynchronous() -> AsyncIterator[int]:
        yield 1
        raise Finish

    flow = make_workflow("Generator", {"source": step(plain if kind == "plain" else asynchronous)})

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow())

    assert RunStatus.COMPLETED is result.status
    assert [1] == result["source"]


async def test_a_subflow_cannot_finish_the_run():
    """It gives a run, and says so."""

    async def body() -> Search:
        raise Finish

    flow = make_workflow("Outer", {"inner": subflow(body)})

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert RunStatus.FAILED is result.status
    assert "subflow 'inner' raised Finish" in result.error


async def test_a_child_that_finishes_has_completed():
    """What reads of it what it did not come to gets None, as there is nothing."""

    @workflow
    class Outer:
        @subflow
        def inner(self) -> Search:
            return Search(found="gold")

        @step
        def last(self, look: str = inner[Search.look].result, dig: str | None = inner[Search.dig].result) -> object:
            return look, dig

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Outer())

    assert ("gold", None) == result["last"]


async def test_an_output_that_cannot_be_stored_fails_the_step():
    """As it would if it was returned."""

    async def body() -> object:
        raise Finish(object())

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Unstorable", {"body": step(body)})())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, EncodingError)
    assert "the output of step 'body' cannot be stored" in str(caught.value.__cause__)


async def test_nothing_is_undone(store: Any):
    """The run has completed."""
    undone = []

    async def one() -> int:
        return 1

    async def undo(output: int | None) -> None:
        undone.append(output)

    first: Any = step(one, name="first")
    first.compensate(undo)

    async def finishes(x: int) -> None:
        raise Finish

    flow = make_workflow("Done", [first, step(name="finishes", depends_on={"x": first.result})(finishes)])

    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(flow())

    assert (RunStatus.COMPLETED, "", []) == (result.status, result.compensation, undone)


async def test_a_finish_that_comes_too_late_changes_nothing():
    """Its attempt was over, or the run was cancelled."""
    gate = Gate()

    async def body() -> int:
        try:
            await gate.pass_through()
        except asyncio.CancelledError:
            raise Finish(1) from None
        return 1

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(make_workflow("Late", {"body": step(body)})())
        await gate.came.get()
        await run.cancel("enough")
        result = await run.wait()

    assert RunStatus.CANCELLED is result.status


async def test_a_finish_in_a_crash_is_kept(store: Any):
    """What is written of it is all of it: the next process ends the run, too."""
    flow = make_workflow("Crash", {"ends": step(_ends), "naps": sleep("9d")})
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")

    async with TestOrchestrator(store, clock=clock, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).wait()
        assert await is_status(orchestrator._runs.store, "r", RunStatus.COMPLETED)

    assert 3 == result["ends"]


async def _ends(ctx: StepContext) -> int:
    raise Finish(3)
