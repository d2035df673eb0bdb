"""Runs that start other runs, through the public API."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    ChildResult,
    NonRetryable,
    Orchestrator,
    RecordedError,
    Retry,
    RunExistsError,
    RunFailed,
    RunResult,
    RunStatus,
    StepContext,
    StepStatus,
    UsageError,
    compile_workflow,
    make_workflow,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)
from orchwf.core import events as ev
from orchwf.ports import Append, Message, RunRecord, Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from orchwf.testing.relay import Relay
from tests.kinds import KINDS, opened_store
from tests.runtime.flows import PATIENCE, Gate, executed, is_status, kinds_of, log_of, sleeps, statuses_of, until

SEEN: Counter[object] = Counter()
BROKEN: set[object] = set()
"""What is to fail."""

GATES: dict[str, Gate] = {}


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    for each in (SEEN, BROKEN, GATES):
        each.clear()
    yield
    for each in (SEEN, BROKEN, GATES):
        each.clear()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """One store for all orchestrators of a test."""
    opened: Any = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


@workflow
class Shipping:
    """What is started by others."""

    address: str

    @step
    async def book(self) -> str:
        SEEN["book", self.address] += 1
        if f"book {self.address}" in GATES:
            await GATES[f"book {self.address}"].pass_through()
        return f"van to {self.address}"

    @step
    async def ship(self, van: str = book.result) -> int:
        SEEN["ship", self.address] += 1
        if self.address in GATES:
            await GATES[self.address].pass_through()
        if self.address in BROKEN:
            raise ConnectionError(f"no way to {self.address}")
        return len(van)


@workflow
class Order:
    """Starts one run and reads two of its outputs."""

    address: str = "Rome"

    @step
    def validate(self) -> str:
        return self.address

    @subflow(retries=Retry(1, initial=0))
    def shipping(self, address: str = validate.result) -> Shipping:
        SEEN["shipping"] += 1
        return Shipping(address=address)

    @step
    def close(self, van: str = shipping[Shipping.book].result, length: int = shipping[Shipping.ship].result) -> str:
        return f"{van} ({length})"


def outputs_of(result: RunResult[Any], name: str) -> list[Any]:
    """What the items of a step gave."""
    found: Any = result.outputs[name]
    return list(found)


# Completing.


async def test_outputs_of_a_child_reach_the_steps_that_read_them(store: Store):
    """Two runs with their own logs; the id of the child is that of its parent and of the step."""
    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(Order(), run_id="A1", metadata={"trace": "t"})
        child = await orchestrator.get("A1/shipping")
        of_child = await child.result()
        log = await log_of(child)

    assert "van to Rome (11)" == result[Order.close]
    assert ("van to Rome", 11) == (of_child["book"], of_child["ship"])
    assert ChildResult("A1/shipping", {"book": "van to Rome", "ship": 11}) == result[Order.shipping]
    assert ("van to Rome", 11) == (result[Order.shipping[Shipping.book]], result[Order.shipping[Shipping.ship]])
    assert {"A1": RunStatus.COMPLETED, "A1/shipping": RunStatus.COMPLETED} == await statuses_of(store)
    started = log[0]
    assert isinstance(started, ev.RunStarted)
    assert ("A1", "shipping", None, 2) == (started.parent, started.parent_step, started.parent_item, started.depth)
    assert {"trace": "t"} == of_child.metadata
    assert {"parent": "A1"} == of_child.tags
    assert result.steps["shipping"].child == "A1/shipping"


async def test_the_log_of_the_parent_tells_of_the_child():
    """Its order to start it, that it has ended, and nothing of what happens in it."""
    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Order())
        await run.result()
        kinds = await kinds_of(run)

    assert [
        "run.started", "step.started validate", "step.completed validate", "step.started shipping",
        "child.started shipping", "signal.received", "step.completed shipping", "step.started close",
        "step.completed close", "run.completed",
    ] == kinds  # fmt: skip


async def test_only_what_is_read_is_kept_in_the_parent():
    """Of a child with large outputs nothing is copied that nobody wants."""

    @workflow
    class Reads:
        @subflow
        def shipping(self) -> Shipping:
            return Shipping(address="Rome")

        @step
        def close(self, length: int = shipping[Shipping.ship].result) -> int:
            return length

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Reads(), run_id="r")

    assert 11 == result[Reads.close]
    assert {"run": "r/shipping", "outputs": {"ship": 11}} == json.loads(result.steps["shipping"].output or "")


async def test_a_coroutine_gives_the_child_too():
    """Its body may ask somebody what is to be started."""

    @workflow
    class Asks:
        @subflow
        async def shipping(self) -> Shipping:
            await asyncio.sleep(0)
            return Shipping(address="Rome")

        @step
        def close(self, child: ChildResult[Shipping] = shipping.result) -> str:
            return f"{child.run_id}: {child[Shipping.book]}"

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Asks(), run_id="r")

    assert "r/shipping: van to Rome" == result[Asks.close]


@pytest.mark.parametrize(
    ("given", "message"),
    [(Shipping, "gave the class Shipping"), (7, "int"), (None, "NoneType")],
    ids=["class", "number", "nothing"],
)
async def test_a_body_that_gives_no_workflow_fails_its_step(given: Any, message: str):
    """For good."""

    async def body() -> Shipping:
        wrong: Any = given
        return wrong  # type: ignore[no-any-return]

    flow = make_workflow("Wrong", {"child": subflow(retries=3)(body)})

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert RunStatus.FAILED is result.status
    assert message in result.error
    assert 1 == len(result.steps["child"].attempts)


async def test_a_body_that_raises_is_tried_again():
    """As any step is, before there is a run."""

    async def body(ctx: StepContext) -> Shipping:
        if ctx.attempt < 3:
            raise ConnectionError("not now")
        return Shipping(address="Rome")

    flow = make_workflow("Tries", {"child": subflow(retries=Retry(2, initial=0))(body)})

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(), run_id="r")

    assert "r/child" == result["child"].run_id
    assert 3 == len(result.steps["child"].attempts)


# Per item.


def per_item(**options: Any) -> type:
    async def rows() -> list[str]:
        return ["Rome", "Oslo", "Bonn"]

    async def body(address: str) -> Shipping:
        return Shipping(address=address)

    async def close(every: list[Any]) -> list[int | None]:
        return [None if each is None else each["ship"] for each in every]

    source = step(rows, name="source")
    each = subflow(name="each", depends_on={"address": source.each}, **options)(body)
    return make_workflow("PerItem", [source, each, step(close, name="close", depends_on={"every": each.all})])


async def test_a_child_per_item(store: Store):
    """Each has an id of its own, by the number of its item."""
    flow = per_item()

    async with TestOrchestrator(store) as orchestrator:
        result = await orchestrator.run(flow(), run_id="r")

    assert [11, 11, 11] == result["close"]
    assert ["r/each/0", "r/each/1", "r/each/2"] == [each.run_id for each in outputs_of(result, "each")]
    assert {"r", "r/each/0", "r/each/1", "r/each/2"} == set(await statuses_of(store))


async def test_max_parallel_bounds_the_children():
    """The next one begins when one has ended."""
    GATES["Rome"] = Gate()

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(per_item(max_parallel=1)(), run_id="r")
        await GATES["Rome"].came.get()
        during = await orchestrator.list_runs()
        GATES["Rome"].open()
        result = await run.result()

    assert ["r/each/0", "r"] == [record.id for record in during]
    assert [11, 11, 11] == result["close"]


async def test_children_that_fail_can_be_borne():
    """As items are."""
    BROKEN.add("Oslo")

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(per_item(tolerate=1)(), run_id="r")
        failed = await (await orchestrator.get("r/each/1")).wait()

    assert [11, None, 11] == result["close"]
    assert RunStatus.FAILED is failed.status


async def test_many_children():
    """A thousand, in seconds."""

    async def rows() -> list[int]:
        return list(range(1000))

    async def one(n: int) -> int:
        return n

    child: Any = make_workflow("Child", {"one": step(one)}, inputs={"n": int})

    async def body(n: int) -> child:
        return child(n=n)

    source = step(rows, name="source")
    each = subflow(name="each", depends_on={"n": source.each})(body)
    flow = make_workflow("Thousand", [source, each])

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(), run_id="r")

    assert list(range(1000)) == [found["one"] for found in outputs_of(result, "each")]


# Failing.


async def test_a_child_that_fails_fails_the_step_with_the_text_of_its_cause():
    """After the retries of the step, each of which resumes the child: what completed in it is kept."""
    BROKEN.add("Rome")

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Order(), run_id="r")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        child = await (await orchestrator.get("r/shipping")).wait()

    cause = caught.value.__cause__
    assert isinstance(cause, RecordedError)
    assert "run 'r/shipping' of Shipping failed: step ship: ConnectionError: no way to Rome" == cause.message
    assert "no way to Rome" in cause.traceback
    assert RunStatus.FAILED is child.status
    # The body of the subflow ran once, and so did what completed in the child.
    assert {"shipping": 1, ("book", "Rome"): 1, ("ship", "Rome"): 2} == SEEN


async def test_a_child_that_was_mended_completes_when_the_parent_is_resumed(store: Store):
    """Resuming the parent resumes the child, once; nothing that completed runs again."""
    BROKEN.add("Rome")
    async with TestOrchestrator(store, workflows=[Order]) as orchestrator:
        await (await orchestrator.start(Order(), run_id="r")).wait()
    BROKEN.clear()

    async with TestOrchestrator(store, workflows=[Order]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()
        log = await log_of(await orchestrator.get("r/shipping"))

    assert "van to Rome (11)" == result[Order.close]
    assert {"shipping": 1, ("book", "Rome"): 1, ("ship", "Rome"): 3} == SEEN
    assert ["retry", "retry"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]


async def test_a_child_that_somebody_resumed_by_hand_counts_for_the_parent():
    """Its parent failed with it; resumed, it finds that the child has completed."""
    BROKEN.add("Rome")

    async with TestOrchestrator(workflows=[Order]) as orchestrator:
        await (await orchestrator.start(Order(), run_id="r")).wait()
        BROKEN.clear()
        await (await orchestrator.resume("r/shipping")).result()
        result = await (await orchestrator.resume("r")).result()

    assert "van to Rome (11)" == result[Order.close]
    assert 3 == SEEN["ship", "Rome"]


@pytest.mark.parametrize(
    ("retry", "ships"),
    [
        (Retry(3, initial=0, retry_on=(RunFailed,)), 4),
        (Retry(3, initial=0, retry_on=(ConnectionError,)), 1),
        (Retry(3, initial=0, give_up_on=lambda error: "Rome" in str(error)), 1),
        (Retry(3, initial=0, retry_on=lambda error: 1 / 0 > 0), 1),
    ],
    ids=["RunFailed", "ConnectionError", "predicate", "broken predicate"],
)
async def test_which_failures_of_a_child_are_tried_again(retry: Retry, ships: int):
    """The error of the step is `RunFailed`, whatever happened in the child."""
    BROKEN.add("Rome")

    async def body() -> Shipping:
        return Shipping(address="Rome")

    flow = make_workflow("Retries", {"child": subflow(retries=retry)(body)})

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    assert RunStatus.FAILED is result.status
    assert ships == SEEN["ship", "Rome"]


async def test_a_child_whose_effects_are_undone_is_not_tried_again():
    """There is nothing to resume: the step fails at once, with the failure of the child, also if it is resumed."""

    @workflow
    class Saga:
        @step
        async def reserve(self) -> int:
            SEEN["reserve"] += 1
            return 1

        @reserve.compensate
        async def release(self, output: int | None) -> None:
            SEEN["release"] += 1

        @step
        async def charge(self, reserved: int = reserve.result) -> None:
            SEEN["charge"] += 1
            raise NonRetryable("no money")

    async def body() -> Saga:
        return Saga()

    flow = make_workflow("Outer", {"child": subflow(retries=Retry(5, initial=0))(body)})

    async with TestOrchestrator(workflows=[flow]) as orchestrator:
        result = await (await orchestrator.start(flow(), run_id="r")).wait()
        again = await (await orchestrator.resume("r")).wait()

    assert RunStatus.FAILED is result.status is again.status
    assert "step charge: NonRetryable: no money" in result.error
    assert result.error == again.error
    assert {"reserve": 1, "release": 1, "charge": 1} == SEEN


async def test_an_optional_child_that_fails_fails_nothing():
    """Who reads it by `.maybe` gets None."""
    BROKEN.add("Rome")

    @workflow
    class Optional:
        @subflow(required=False)
        def shipping(self) -> Shipping:
            return Shipping(address="Rome")

        @step
        def close(self, child: ChildResult[Shipping] | None = shipping.maybe) -> bool:
            return child is None

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Optional())

    assert result[Optional.close]


async def test_a_child_that_was_cancelled_fails_its_parent():
    """For good: a cancelled run cannot be resumed."""
    GATES["Rome"] = Gate()

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Order(), run_id="r")
        await GATES["Rome"].came.get()
        await (await orchestrator.get("r/shipping")).cancel("enough")
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert "run 'r/shipping' of Shipping cancelled: enough" in str(caught.value)
    assert 1 == SEEN["ship", "Rome"]


async def test_a_child_that_takes_too_long():
    """The step fails, and the child is cancelled."""
    GATES["Rome"] = Gate()
    clock = FakeClock()

    async def body() -> Shipping:
        return Shipping(address="Rome")

    flow = make_workflow("TooLong", {"child": subflow(timeout="1h")(body)})

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await GATES["Rome"].came.get()
        await clock.advance(3700)
        result = await run.wait()
        child = await (await orchestrator.get("r/child")).wait()

    assert RunStatus.FAILED is result.status
    assert "the run that step 'child' waits for took longer than 3600 s" in result.error
    assert (RunStatus.CANCELLED, "run r waits for it no longer: step child failed") == (child.status, child.error)


async def test_recursion_ends_somewhere():
    """A workflow that starts itself fails at its deepest, and that is told all the way up."""

    @workflow
    class Nested:
        depth: int = 0

        @subflow(max_depth=3)
        def inner(self) -> "Nested":
            return Nested(depth=self.depth + 1)

    async with TestOrchestrator(workflows=[Nested]) as orchestrator:
        run = await orchestrator.start(Nested(), run_id="r")
        with pytest.raises(RunFailed, match="would start a run 4 deep, and max_depth is 3"):
            await run.result()
        listed = [record.id for record in await orchestrator.list_runs()]

    assert ["r/inner/inner", "r/inner", "r"] == listed


@workflow
class Countdown:
    """Starts itself, as often as its input says."""

    n: int

    @step
    def count(self) -> int:
        return self.n

    @subflow(when=lambda self: self.n > 0)
    def inner(self) -> "Countdown":
        return Countdown(n=self.n - 1)


async def test_recursion_that_ends_by_itself():
    """By its inputs."""
    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Countdown(n=3), run_id="r")
        results = [await (await orchestrator.get("r" + "/inner" * n)).result() for n in range(4)]

    assert [3, 2, 1, 0] == [result.outputs["count"] for result in results]


@pytest.mark.parametrize("ended", [True, False])
async def test_a_run_of_the_childs_id_that_is_somebody_elses(ended: bool):
    """It is no child: the step fails, and the other run is left alone; once that is gone a resume goes on."""
    GATES["Oslo"] = Gate()
    if ended:
        GATES["Oslo"].open()

    async with TestOrchestrator(workflows=[Order]) as orchestrator:
        other = await orchestrator.start(Shipping(address="Oslo"), run_id="r/shipping")
        await GATES["Oslo"].came.get()
        if ended:
            await other.wait()
        run = await orchestrator.start(Order(), run_id="r")
        failed = await run.wait()
        GATES["Oslo"].open()
        result = await other.result()
        await orchestrator.delete("r/shipping")
        again = await (await orchestrator.resume("r")).result()

    assert RunStatus.FAILED is failed.status
    assert "run 'r/shipping' exists already, and was not started by run 'r'" in failed.error
    assert 11 == result["ship"]
    assert "van to Rome (11)" == again[Order.close]


# Ending before them.


@workflow
class Outer:
    """Waits for a child that waits at a gate."""

    policy: str = "cancel"

    @subflow(when=lambda self: self.policy == "cancel")
    def shipping(self) -> Shipping:
        return Shipping(address="Rome")

    @subflow(when=lambda self: self.policy == "abandon", on_parent_close="abandon")
    def left(self) -> Shipping:
        return Shipping(address="Rome")


@pytest.mark.parametrize("asked", ["cancel", "terminate"])
async def test_cancelling_the_parent_reaches_the_child(store: Store, asked: str):
    """Which says why."""
    GATES["Rome"] = Gate()

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Outer(), run_id="r")
        await GATES["Rome"].came.get()
        await (run.cancel("enough") if asked == "cancel" else run.terminate("enough"))
        result = await run.wait()
        child = await (await orchestrator.get("r/shipping")).wait()

    assert RunStatus.CANCELLED is result.status is child.status
    assert child.error.startswith("run r waits for it no longer: the run was ")


class Looking(Relay):
    """Takes its time to say that there is no run of this id."""

    def __init__(self, inner: Store, run_id: str) -> None:
        super().__init__(inner)
        self._run_id = run_id
        self.gate = Gate()

    async def get(self, run_id: str) -> RunRecord | None:
        found = await super().get(run_id)
        if run_id == self._run_id:
            await self.gate.pass_through()
        return found


async def test_a_child_whose_parent_is_cancelled_before_it_comes_to_be(store: Store):
    """It is not begun at all: whoever died after that, or lost the store, could not tell it to end any more."""
    looking = Looking(store, "r/shipping")

    async with TestOrchestrator(looking) as orchestrator:
        run = await orchestrator.start(Outer(), run_id="r")
        await looking.gate.came.get()
        await run.cancel("enough")
        result = await run.wait()
        looking.gate.open()
        # Meanwhile it would have been begun.
        await orchestrator.run(Shipping(address="Oslo"), run_id="other")
        child = await store.get("r/shipping")

    assert RunStatus.CANCELLED is result.status
    assert child is None


async def test_a_child_may_be_left_to_itself(store: Store):
    """With on_parent_close="abandon" it goes on, and nobody is told."""
    GATES["Rome"] = Gate()

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Outer(policy="abandon"), run_id="r")
        await GATES["Rome"].came.get()
        await run.cancel("enough")
        result = await run.wait()
        GATES["Rome"].open()
        child = await (await orchestrator.get("r/left")).result()

    assert RunStatus.CANCELLED is result.status
    assert 11 == child["ship"]


async def test_a_parent_that_fails_waits_for_its_children_at_work():
    """They are in flight as any step is; what has not begun does not begin."""
    GATES["Rome"] = Gate()

    async def fails() -> None:
        await GATES["Rome"].came.get()
        raise ValueError("broken")

    async def body() -> Shipping:
        return Shipping(address="Rome")

    flow = make_workflow("Failing", {"fails": step(fails), "child": subflow(body)})

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        async for event in run.events(follow=True):
            if isinstance(event, ev.StepFailed):
                break
        status = await run.status()
        GATES["Rome"].open()
        result = await run.wait()

    assert RunStatus.RUNNING is status
    assert (RunStatus.FAILED, ("fails",)) == (result.status, result.failed_steps)
    assert StepStatus.COMPLETED is result.steps["child"].status


async def test_a_join_that_needs_it_no_more_cancels_a_child():
    """As it does any step."""
    GATES["Rome"] = Gate()

    async def quick() -> int:
        await GATES["Rome"].came.get()
        return 1

    async def body() -> Shipping:
        return Shipping(address="Rome")

    fast, child = step(quick, name="fast"), subflow(name="child")(body)
    last = step(name="last", depends_on=[fast, child], join="first", cancel_rest=True)(lambda: 7)
    flow = make_workflow("Race", [fast, child, last])

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(flow(), run_id="r")
        of_child = await (await orchestrator.get("r/child")).wait()

    assert 7 == result["last"]
    assert RunStatus.CANCELLED is of_child.status


@workflow
class Napping:
    """A child that sleeps, or waits for a word."""

    nap = sleep("30d")
    word = signal(str, depends_on=nap)

    @step
    def last(self, word: str = word.result) -> str:
        return word.upper()


@workflow
class Above:
    """Waits for it."""

    @subflow
    def below(self) -> Napping:
        return Napping()

    @step
    def last(self, word: str = below[Napping.last].result) -> str:
        return f"{word}!"


async def test_cancelling_the_parent_wakes_a_child_thatsleeps(store: Store):
    """Both sleep, and both are cancelled."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        assert [] == executed(orchestrator)
        await run.cancel("enough")
        result = await run.wait()
        child = await (await orchestrator.get("r/below")).wait()

    assert RunStatus.CANCELLED is result.status is child.status


async def test_cancelling_the_parent_reaches_a_child_that_is_paused(store: Store):
    """It has no owner, and is taken up to be ended."""
    GATES["book Rome"] = Gate()

    async with TestOrchestrator(store, lease=0.3, workflows=[Outer]) as orchestrator:
        run = await orchestrator.start(Outer(), run_id="r")
        await GATES["book Rome"].came.get()
        child = await orchestrator.get("r/shipping")
        await child.pause("lunch")
        async for event in child.events(follow=True):
            if isinstance(event, ev.SignalReceived):
                break
        GATES["book Rome"].open()
        paused = await child.wait()
        await run.cancel("enough")
        result = await run.wait()
        await until(lambda: is_status(store, "r/shipping", RunStatus.CANCELLED))

    assert RunStatus.PAUSED is paused.status
    assert RunStatus.CANCELLED is result.status


async def test_cancelling_the_parent_reaches_a_child_that_another_orchestrator_executes(store: Store):
    """By a message."""
    GATES["Rome"] = Gate()

    async with Orchestrator(store, workflows=[Outer]) as one, Orchestrator(store, workflows=[Outer]) as other:
        run = await one.start(Outer(), run_id="r")
        await GATES["Rome"].came.get()
        await _moved(one, other, "r/shipping")
        await GATES["Rome"].came.get()
        await run.cancel("enough")
        result = await run.wait()
        await until(lambda: is_status(store, "r/shipping", RunStatus.CANCELLED))

    assert RunStatus.CANCELLED is result.status


async def _moved(one: Orchestrator, other: Orchestrator, run_id: str) -> None:
    """Let the other orchestrator execute a run."""
    engine = one._runs.engine
    engine.let_go(engine.executions[run_id], None)
    record = await one._runs.store.get(run_id)
    assert record is not None
    # Never nobody's in between: both of them hear of that, and either might be faster.
    assert await one._runs.store.claim(run_id, str(other._runs.owner), previous=record.owner)
    await other._runs.take_up(record)


# Apart.


async def test_a_parent_hears_of_a_child_that_another_orchestrator_executes(store: Store):
    """It may sleep until then."""
    GATES["Rome"] = Gate()

    async with Orchestrator(store, workflows=[Outer]) as one, Orchestrator(store, workflows=[Outer]) as other:
        run = await one.start(Outer(), run_id="r")
        await GATES["Rome"].came.get()
        await _moved(one, other, "r/shipping")
        await GATES["Rome"].came.get()
        one._runs.engine.tell_run(one._runs.engine.executions["r"])
        await until(lambda: sleeps(store, "r"))
        assert [] == executed(one)
        GATES["Rome"].open()
        result = await run.result()

    assert StepStatus.COMPLETED is result.steps["shipping"].status


async def test_a_parent_sleeps_while_its_child_does(store: Store):
    """Neither is in memory; a word to the child goes all the way up."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        assert [] == executed(orchestrator)
        await clock.advance("30d")
        await until(lambda: sleeps(store, "r", "r/below"))
        assert [] == executed(orchestrator)
        await (await orchestrator.get("r/below")).send(Napping.word, "hello")
        result = await run.result()
        reasons = [event.reason for event in await log_of(run) if isinstance(event, ev.RunResumed)]

    assert "HELLO!" == result[Above.last]
    # It was roused once: when the child had ended.
    assert ["due"] == reasons


async def test_parent_and_child_go_on_in_another_process(store: Store):
    """Which is given the class of the parent only."""
    GATES["Rome"] = Gate()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(Order(), run_id="r")
        await GATES["Rome"].came.get()
    GATES["Rome"].open()

    async with Orchestrator(store, workflows=[Order]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert "van to Rome (11)" == result[Order.close]
    assert {"shipping": 1, ("book", "Rome"): 1, ("ship", "Rome"): 2} == SEEN


async def test_a_sleeping_parent_whose_child_ended_meanwhile_goes_on_in_another_process(store: Store):
    """The message waits for it; it is heard once, and the parent does not fall asleep over it."""
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        await clock.advance("30d")
        await until(lambda: sleeps(store, "r", "r/below"))
    # Of these two the first one knows the child only.
    async with TestOrchestrator(store, workflows=[Napping], clock=clock) as orchestrator:
        await (await orchestrator.get("r/below")).send(Napping.word, "hello")
        await (await orchestrator.get("r/below")).result()

    async with TestOrchestrator(store, workflows=[Above], clock=clock) as orchestrator:
        run = await orchestrator.get("r")
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))
        result = await run.result()
        reasons = [event.reason for event in await log_of(run) if isinstance(event, ev.RunResumed)]

    assert "HELLO!" == result[Above.last]
    assert ["due"] == reasons


async def test_a_closing_orchestrator_does_not_fail_a_parent(store: Store):
    """What could not be started as it closed is started by the next one."""

    looks, go_on, original = asyncio.Event(), asyncio.Event(), store.get

    async def get(run_id: str) -> Any:
        if run_id == "r/shipping" and not go_on.is_set():
            looks.set()
            await go_on.wait()
        return await original(run_id)

    store.get = get  # type: ignore[method-assign]
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(Order(), run_id="r")
        await looks.wait()
        orchestrator._runs.engine.drain()
        go_on.set()
    assert {"r": RunStatus.RUNNING} == await statuses_of(store)

    async with Orchestrator(store, workflows=[Order]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert "van to Rome (11)" == result[Order.close]


async def test_a_child_that_somebody_else_starts_first(store: Store):
    """Two that take a parent for theirs, as one of them was taken for dead, start one child."""
    original, ready = store.get, asyncio.Event()
    looked = 0

    async def get(run_id: str) -> Any:
        nonlocal looked
        found = await original(run_id)
        if run_id == "r/shipping" and looked < 1:
            looked += 1
            # Meanwhile it comes to be.
            execution = orchestrator._runs.engine.executions["r"]
            started = next(iter(execution.machine.run.children.values()))
            begun = ev.RunStarted(
                seq=1, at=0.0, workflow="Shipping", version="1", fingerprint="f", inputs=started.inputs, parent="r",
                parent_step="shipping", depth=2,
            )  # fmt: skip
            await _create(store, started.child, begun)
            ready.set()
        return found

    store.get = get  # type: ignore[method-assign]
    async with Orchestrator(store, workflows=[Order], lease=0.3) as orchestrator:
        run = await orchestrator.start(Order(), run_id="r")
        await ready.wait()
        result = await run.result()

    assert "van to Rome (11)" == result[Order.close]
    assert 1 == SEEN["ship", "Rome"]


async def _create(store: Store, run_id: str, begun: ev.RunStarted) -> None:
    dag = compile_workflow(Shipping)
    record = RunRecord(
        id=run_id, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint, entrypoint=dag.entrypoint,
        status=RunStatus.RUNNING, metadata={}, tags={}, created_at=0.0,
    )  # fmt: skip
    assert [None] == await store.append(
        [Append(run_id=run_id, expected=0, events=[begun], create=record, definition=dag.to_json)]
    )


# Damaged, deleted.


async def test_a_child_that_is_awaited_cannot_be_deleted(store: Store):
    """Nor can its parent while the child is at work; once both have ended they can, the children with their parent."""
    GATES["Rome"] = Gate()

    async with TestOrchestrator(store, workflows=[Outer]) as orchestrator:
        run = await orchestrator.start(Outer(), run_id="r")
        await GATES["Rome"].came.get()
        for run_id in ("r/shipping", "r"):
            with pytest.raises(UsageError, match="is being executed"):
                await orchestrator.delete(run_id)
        GATES["Rome"].open()
        await run.result()
        await orchestrator.delete("r")

        assert {} == await statuses_of(store)


async def test_a_sleeping_child_that_is_awaited_cannot_be_deleted(store: Store):
    """Its parent would wait for ever. The parent can: then both are gone."""
    clock = FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        with pytest.raises(UsageError, match="run 'r/below' is one that run 'r' waits for"):
            await orchestrator.delete("r/below")
        await orchestrator.delete("r")

    assert {} == await statuses_of(store)


async def test_a_child_that_ended_is_kept_until_its_parent_has_heard_of_it(store: Store):
    """Pruning leaves it alone."""
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        await clock.advance("30d")
        await until(lambda: sleeps(store, "r", "r/below"))
    async with TestOrchestrator(store, workflows=[Napping], clock=clock) as orchestrator:
        await (await orchestrator.get("r/below")).send(Napping.word, "hello")
        await (await orchestrator.get("r/below")).result()
        await clock.advance("1d")
        pruned = await orchestrator.prune(older_than="1h")
        with pytest.raises(UsageError, match="run 'r' waits for"):
            await orchestrator.delete("r/below")

    async with TestOrchestrator(store, workflows=[Above], clock=clock) as orchestrator:
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))
        await clock.advance("1d")
        later = await orchestrator.prune(older_than="1h")

    assert (0, 2) == (pruned, later)


async def test_a_child_that_is_gone_is_begun_anew(store: Store):
    """As when somebody has deleted it behind our back: its parent, taken up, starts it once more."""
    clock = FakeClock()
    async with TestOrchestrator(store, clock=clock) as orchestrator:
        await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
    await store.delete(["r/below"])

    async with TestOrchestrator(store, workflows=[Above], clock=clock) as orchestrator:
        await orchestrator.resume("r")
        await until(lambda: sleeps(store, "r", "r/below"))

    assert {"r": RunStatus.RUNNING, "r/below": RunStatus.RUNNING} == await statuses_of(store)


@pytest.mark.parametrize("payload", ["{", "7", '{"run": 1}', '{"run": "x", "step": "y"}'])
async def test_a_message_that_says_nothing_hurts_nobody(payload: str, caplog: pytest.LogCaptureFixture):
    """It is told of once, and the run is not roused for it again and again."""
    store, clock = MemoryStore(), FakeClock()

    async with TestOrchestrator(store, clock=clock) as orchestrator:
        run = await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
        await store.send(Message(run_id="r", id="odd", signal="child", payload=payload))
        orchestrator._runs.poked.set()
        await until(lambda: "r" in executed(orchestrator))
        for _ in range(20):
            orchestrator._runs.poked.set()
            await clock.advance(1)
        before = await log_of(run)
        await clock.advance("30d")
        await (await orchestrator.get("r/below")).send(Napping.word, "hello")
        result = await run.result()

    assert "HELLO!" == result[Above.last]
    assert 1 == sum(isinstance(event, ev.RunResumed) for event in before)
    assert 1 == caplog.text.count("the message 'odd' to run 'r' cannot be read")


async def test_a_message_of_a_run_that_is_none_of_its_children_is_folded():
    """And changes nothing."""
    store = MemoryStore()
    GATES["Rome"] = Gate()

    async with TestOrchestrator(store) as orchestrator:
        other = await orchestrator.start(Shipping(address="Oslo"), run_id="other")
        await other.result()
        run = await orchestrator.start(Outer(), run_id="r")
        await GATES["Rome"].came.get()
        for number, payload in enumerate(
            [
                {"run": "other", "step": "shipping", "item": None},
                {"run": "other", "step": "nowhere", "item": 3},
                {"run": "gone", "step": "shipping", "item": None},
            ]
        ):
            text = json.dumps(payload)
            await store.send(Message(run_id="r", id=f"child-x-{number}", signal="child", payload=text))
        orchestrator._runs.poked.set()
        async with asyncio.timeout(PATIENCE):
            async for _ in _messages(run):
                pass
        GATES["Rome"].open()
        result = await run.result()

    assert RunStatus.COMPLETED is result.status


async def _messages(run: Any) -> Any:
    """The first three messages that the run hears."""
    heard = 0
    async for event in run.events(follow=True):
        if isinstance(event, ev.SignalReceived):
            heard += 1
            yield event
        if heard == 3:
            return


async def test_a_parent_started_again_with_a_deleted_ones_id_starts_its_children_anew(store: Store):
    """Nothing of the run before is taken for its own."""
    async with TestOrchestrator(store) as orchestrator:
        await orchestrator.run(Order(address="Rome"), run_id="r")
        await orchestrator.delete("r")
        result = await orchestrator.run(Order(address="Oslo"), run_id="r")

    assert "van to Oslo (11)" == result[Order.close]


async def test_the_same_id_cannot_be_started_by_hand_while_the_child_is_there():
    """It is a run like any other."""
    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Order(), run_id="r")
        with pytest.raises(RunExistsError):
            await orchestrator.start(Shipping(address="Oslo"), run_id="r/shipping")
