"""Runs that are paused, terminated, cancelled, resumed with answers, and forked."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from orchwf import (
    EncodingError,
    NonRetryable,
    NotResumableError,
    Orchestrator,
    Retry,
    RunCancelled,
    RunExistsError,
    RunHandle,
    RunNotFoundError,
    RunOwnedError,
    RunPaused,
    RunStatus,
    StepContext,
    UnknownStepError,
    UnknownWorkflowError,
    UsageError,
    make_workflow,
    step,
    subflow,
    workflow,
)
from orchwf.core.events import RunResumed
from orchwf.errors import ConflictError
from orchwf.ports import Append
from orchwf.runtime.clock import SystemClock
from orchwf.runtime.keeper import Look
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate, kinds_of, log_of


async def one() -> int:
    return 1


def waiting(gate: Gate) -> type:
    """A step that waits at the gate, and one after it."""

    async def waits() -> int:
        await gate.pass_through()
        return 1

    return make_workflow("Waiting", {"waits": waits, "after": step(depends_on=["waits"])(one)})


async def until(run: RunHandle[Any], kind: str) -> None:
    """Return when an event of this kind is in the log."""
    async for event in run.events(follow=True):
        if event.kind == kind:
            return


async def paused(store: MemoryStore, flow: type, gate: Gate) -> None:
    """A run that pauses after its first step."""
    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        await run.pause("lunch")
        await until(run, "signal.received")
        gate.open()
        await run.wait()


# Pausing.


async def test_a_pause_lets_what_runs_end():
    """Waiting for the run ends with the pause, and a resume goes on."""
    gate = Gate()
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(waiting(gate)(), run_id="r")
        await gate.came.get()
        await run.pause("lunch")
        await until(run, "signal.received")
        gate.open()
        result = await run.wait()
        with pytest.raises(RunPaused, match=r"run 'r' of Waiting is paused: lunch; when it may go on: ") as caught:
            await run.result()
        await run.pause("again")
        resumed = await (await orchestrator.resume("r")).result()
        kinds = await kinds_of(run)

    assert (RunStatus.PAUSED, "lunch") == (result.status, result.error)
    assert "lunch" == caught.value.reason
    assert {"waits": 1, "after": 1} == dict(resumed.outputs)
    assert ["signal.received", "step.completed waits", "run.paused", "run.resumed"] == kinds[2:6]


async def test_a_paused_run_is_left_alone_by_everybody():
    """On entry it is not taken up; in the list it is told why it waits."""
    gate, store = Gate(), MemoryStore()
    flow = waiting(gate)
    await paused(store, flow, gate)

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        (listed,) = await orchestrator.list_runs(status="paused")
        await orchestrator.delete("r")

    assert ("lunch", None) == (listed.error, listed.owner)


async def test_a_paused_run_is_cancelled_where_its_workflow_is_known():
    """Its clean-up runs."""
    gate, store, tidied = Gate(), MemoryStore(), []
    steps: dict[str, Any] = {
        "waits": step(gate.pass_through),
        "after": step(depends_on=["waits"])(one),
        "tidy": step(depends_on=["after"], join="settled")(lambda: tidied.append(1)),
    }
    flow = make_workflow("Tidies", steps)
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        await run.pause()
        await until(run, "signal.received")
        gate.open()
        await run.wait()

        await run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            await run.result()

    assert [1] == tidied


async def test_a_paused_run_is_cancelled_by_whoever_knows_it():
    """Who asks need not have its code; who has it looks for such wishes when it is entered, and from time to time."""
    gate, store = Gate(), MemoryStore()
    flow = waiting(gate)
    await paused(store, flow, gate)
    async with Orchestrator(store) as stranger:
        asked = await stranger.get("r")
        await asked.cancel("enough")
        assert RunStatus.PAUSED is await asked.status()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).wait()

    assert (RunStatus.CANCELLED, "enough") == (result.status, result.error)


# Terminating.


async def test_a_termination_ends_at_once():
    """What runs is stopped, what would clean up or undo does not begin."""
    gate, begun = Gate(), []
    booked = step(one, name="book")
    booked.compensate(lambda output: begun.append("undo"))
    steps: dict[str, Any] = {
        "book": booked,
        "waits": step(depends_on=["book"])(gate.pass_through),
        "tidy": step(depends_on=["waits"], join="settled")(lambda: begun.append("tidy")),
    }
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Ends", steps)())
        await gate.came.get()
        await run.terminate("now")
        result = await run.wait()

    assert ([], RunStatus.CANCELLED, "now", "") == (begun, result.status, result.error, result.compensation)
    assert 0 == gate.waiting


async def test_a_termination_needs_no_code():
    """Of a run that nobody executes, by somebody who does not know its workflow."""
    gate, store = Gate(), MemoryStore()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(waiting(gate)(), run_id="r")
        await gate.came.get()

    async with Orchestrator(store) as stranger:
        run = await stranger.get("r")
        await run.terminate()
        result = await run.wait()

    assert (RunStatus.CANCELLED, {"cancelled"}) == (result.status, {str(s.status) for s in result.steps.values()})


@pytest.mark.parametrize("way", ["cancel", "terminate", "pause"])
async def test_nothing_is_asked_of_a_run_that_has_ended_or_is_unknown(way: str):
    """The one stays as it is, the other is told."""
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Ends", {"a": one})(), run_id="r")
        await run.result()
        await getattr(run, way)("late")
        await orchestrator.delete("r")
        with pytest.raises(RunNotFoundError):
            await getattr(run, way)("later")

    assert RunStatus.COMPLETED is run._execution.record.status  # type: ignore[union-attr]


@pytest.mark.parametrize("when", ["before", "backoff", "twice"])
async def test_a_cancellation_at_odd_moments_has_one_outcome(when: str):
    """The same in the log, in the summary and for the handle."""
    gate = Gate()

    async def fails() -> None:
        gate.came.put_nowait("")
        raise ValueError

    flow = make_workflow("Odd", [step(retries=Retry(1, initial=600, jitter=None))(fails)])
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        if when != "before":
            await until(run, "step.retrying")
        await run.cancel("one")
        if when == "twice":
            await run.cancel("two")
        result = await run.wait()
        log = await log_of(run)

    assert (RunStatus.CANCELLED, "one") == (result.status, result.error)
    assert ["run.cancelled"] == [event.kind for event in log if event.kind in _ENDS]
    assert log[-1].kind == "run.cancelled"


_ENDS = {"run.completed", "run.failed", "run.cancelled"}


async def test_a_cancellation_in_the_tick_of_the_completion_has_one_outcome():
    """Whichever wins."""
    for _ in range(20):
        gate = Gate()
        async with Orchestrator("memory:") as orchestrator:
            run = await orchestrator.start(make_workflow("Ticks", {"waits": step(gate.pass_through)})())
            await gate.came.get()
            gate.open()
            await run.cancel("now")
            result = await run.wait()
            log = await log_of(run)

        assert [str(result.status)] == [event.kind.partition(".")[2] for event in log if event.kind in _ENDS]


# At most once, and answers.


def once(calls: list[str], gate: Gate) -> type:
    async def charge() -> str:
        calls.append("charge")
        await gate.pass_through()
        return "receipt"

    async def tell(charge: str) -> str:
        calls.append(f"tell {charge}")
        return charge

    return make_workflow("Once", {"charge": step(delivery="at_most_once")(charge), "tell": tell})


async def unknown(store: MemoryStore, calls: list[str], gate: Gate) -> type:
    """A run whose owner let go of it while a step was in flight that runs at most once."""
    flow = once(calls, gate)
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
    return flow


async def test_a_step_of_unknown_fate_lets_the_run_wait_for_somebody():
    """It is not run again, and what there is to say is said."""
    store, gate, calls = MemoryStore(), Gate(), list[str]()
    flow = await unknown(store, calls, gate)

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.get("r")
        result = await run.wait()
        with pytest.raises(UsageError, match="nobody knows whether step 'charge' of run 'r' took effect"):
            await orchestrator.resume("r")
        assert RunStatus.PAUSED is await run.status()

    assert ["charge"] == calls
    assert "charge was in flight, which runs at most once" in result.error


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"rerun": "charge"}, ["charge", "charge", "tell receipt"]),
        ({"values": {"charge": "by hand"}}, ["charge", "tell by hand"]),
        ({"skip": ["charge"]}, ["charge"]),
    ],
)
async def test_somebody_says_what_became_of_it(answer: dict[str, Any], expected: list[str]):
    """It is to run again, to be skipped, or to have a value."""
    store, gate, calls = MemoryStore(), Gate(), list[str]()
    flow = await unknown(store, calls, gate)
    gate.open()

    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.resume("r", workflow=flow, **answer)
        result = await run.result()

    assert expected == calls
    assert RunStatus.COMPLETED is result.status


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"rerun": "chrage"}, UnknownStepError, "Did you mean 'charge'"),
        ({"rerun": "tell"}, UsageError, "step 'tell' of run 'r' is pending: rerun, skip and values are for steps"),
        ({"rerun": "charge", "skip": "charge"}, UsageError, "step 'charge' is named more than once"),
        ({"values": {"charge": object()}}, EncodingError, "object"),
    ],
)
async def test_answers_that_make_no_sense(answer: dict[str, Any], error: type[Exception], message: str):
    """Nothing has changed, and the run can still be resumed."""
    store, gate, calls = MemoryStore(), Gate(), list[str]()
    flow = await unknown(store, calls, gate)
    gate.open()

    async with Orchestrator(store) as orchestrator:
        with pytest.raises(error, match=message):
            await orchestrator.resume("r", workflow=flow, **answer)
        result = await (await orchestrator.resume("r", rerun="charge")).result()

    assert RunStatus.COMPLETED is result.status


async def test_answers_are_for_runs_that_wait():
    """While a run is executed there is nothing to answer; without an answer a resume is none."""
    gate = Gate()
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(waiting(gate)(), run_id="r")
        await gate.came.get()
        with pytest.raises(UsageError, match="run 'r' is being executed here"):
            await orchestrator.resume("r", skip="waits")
        again = await orchestrator.resume("r")
        gate.open()
        await run.result()

    assert "r" == again.id


async def test_a_failed_step_can_be_skipped_or_given_its_value():
    """By the step itself, too."""

    @workflow
    class Fails:
        @step
        def a(self) -> int:
            raise NonRetryable("never")

        @step
        def b(self, a: int) -> int:
            return a + 1

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Fails(), run_id="r")
        await run.wait()
        result = await (await orchestrator.resume("r", values={Fails.a: 41})).result()

    assert 42 == result[Fails.b]


async def test_a_value_is_what_the_step_gives():
    """Else the steps after it would fail, and nobody could take it back."""

    @workflow
    class Child:
        @step
        def a(self) -> int:
            raise NonRetryable("never")

    @workflow(fail_fast=False)
    class Fails:
        @step
        def a(self) -> list[int]:
            raise NonRetryable("never")

        @subflow
        def child(self) -> Child:
            return Child()

        @step
        def b(self, item: int = a.each) -> int:
            return item + 1

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Fails(), run_id="r")
        await run.wait()
        with pytest.raises(
            UsageError, match=r"step 'a' of run 'r' gives list\[int\], not 41 \(int\): nothing is resumed"
        ):
            await orchestrator.resume("r", values={Fails.a: 41})
        with pytest.raises(UsageError, match=r"step 'child' gives what a run of its own gives, .* resume 'r/child'"):
            await orchestrator.resume("r", values={"a": [41], "child": 7})
        result = await (await orchestrator.resume("r", values={"a": [41]}, skip="child")).result()

    assert [42] == result["b"]


async def test_a_step_without_attempts_left_waits_for_somebody():
    """Resumed, it is tried again; what runs beside it ends."""
    broken = [True]

    async def fragile() -> int:
        if broken:
            raise ConnectionError("down")
        return 1

    flow = make_workflow(
        "Waits", {"fragile": step(on_exhausted="pause", retries=Retry(1, initial=0))(fragile), "b": one}
    )
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        paused = await run.wait()
        broken.clear()
        result = await (await orchestrator.resume("r")).result()

    assert (RunStatus.PAUSED, "fragile has no attempts left: ConnectionError: down") == (paused.status, paused.error)
    assert {"fragile": 1, "b": 1} == dict(result.outputs)


async def charged_per_item(store: MemoryStore, calls: list[str], gate: Gate) -> type:
    """A run whose process died while two of three items were in flight, each of which may run only once."""

    @workflow
    class Charges:
        @step
        def load(self) -> list[str]:
            return ["a", "b", "c"]

        @step(delivery="at_most_once", max_parallel=2)
        async def charge(self, order: str = load.each) -> str:
            calls.append(order)
            if order != "a":
                await gate.pass_through()
            return order.upper()

        @step
        def tell(self, charged: Sequence[str | None] = charge.all) -> list[str | None]:
            return list(charged)

    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(Charges(), run_id="r")
        for _ in range(2):
            await gate.came.get()
    return Charges


@pytest.mark.parametrize(
    ("answer", "expected", "calls"),
    [
        ({"rerun": "charge"}, ["A", "B", "C"], ["a", "b", "b", "c", "c"]),
        ({"skip": "charge"}, ["A", None, None], ["a", "b", "c"]),
    ],
)
async def test_somebody_says_what_became_of_items(answer: dict[str, Any], expected: list[str | None], calls: list[str]):
    """All of a step of which nobody knows run again, or are skipped; it may be asked before the run is paused."""
    store, gate, called = MemoryStore(), Gate(), list[str]()
    flow = await charged_per_item(store, called, gate)
    gate.open()

    async with Orchestrator(store) as orchestrator:
        with pytest.raises(UsageError, match="nobody knows whether step 'charge' of run 'r' took effect"):
            await orchestrator.resume("r", workflow=flow)
        with pytest.raises(UsageError, match=r"step 'charge' gives many results, .* rerun it or skip it"):
            await orchestrator.resume("r", values={"charge": "B"})
        result = await (await orchestrator.resume("r", **answer)).result()

    assert expected == result["tell"]
    assert calls == sorted(called)


# Forks.


class Shop:
    """Counts what was done."""

    calls: ClassVar[list[str]] = []


@workflow
class Order:
    """A diamond: reserve and quote after load, pay after both."""

    amount: int = 1

    @step
    async def load(self) -> int:
        Shop.calls.append("load")
        return self.amount

    @step
    async def reserve(self, load: int) -> str:
        Shop.calls.append("reserve")
        return f"reserved {load}"

    @step
    async def quote(self, load: int) -> int:
        Shop.calls.append("quote")
        return load * 10

    @step
    async def pay(self, reserve: str, quote: int) -> str:
        Shop.calls.append("pay")
        return f"{reserve} for {quote}"


@pytest.fixture
def calls() -> list[str]:
    Shop.calls = []
    return Shop.calls


async def test_a_fork_reuses_what_came_before_the_step(calls: list[str]):
    """And what did not depend on it; it is a run of its own that knows where it comes from."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Order(), run_id="r", metadata={"trace": 1}, tags={"shop": "eu"})
        calls.clear()

        fork = await orchestrator.fork("r", Order.quote, new_id="f")
        result = await fork.result()
        (record,) = await orchestrator.list_runs(tags={"shop": "eu"}, limit=1)

    assert ["quote", "pay"] == calls
    assert ("f", "r", "reserved 1 for 10") == (result.run_id, result.forked_from, result["pay"])
    assert ("f", {"trace": 1}) == (record.id, record.metadata)
    assert 0 == result.steps["reserve"].attempt


async def test_a_fork_with_other_inputs_reuses_only_what_the_step_needs(calls: list[str]):
    """What stands beside it may depend on the inputs."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Order(), run_id="r")
        calls.clear()

        result = await (await orchestrator.fork("r", "quote", {"amount": 5}, tags={}, metadata={})).result()

    assert ["quote", "reserve", "pay"] == sorted(calls, key=["quote", "reserve", "pay"].index)
    assert "reserved 1 for 10" == result["pay"]
    assert ({}, {}) == (result.tags, result.metadata)


async def test_a_fork_from_the_first_step_runs_everything(calls: list[str]):
    """With the inputs that it is given."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Order(), run_id="r")

        result = await (await orchestrator.fork("r", "load", {"amount": 5})).result()

    assert "reserved 5 for 50" == result["pay"]


async def test_forks_that_cannot_be():
    """Each says why, and there is no run afterwards."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Order(), run_id="r")

        with pytest.raises(RunNotFoundError):
            await orchestrator.fork("nobody", "pay")
        with pytest.raises(UnknownStepError, match="Did you mean 'quote'"):
            await orchestrator.fork("r", "qoute")
        with pytest.raises(UsageError, match="Order has no input 'amont'; it has amount"):
            await orchestrator.fork("r", "pay", {"amont": 1})
        with pytest.raises(EncodingError):
            await orchestrator.fork("r", "pay", {"amount": object()})
        with pytest.raises(RunExistsError):
            await orchestrator.fork("r", "pay", new_id="r")
        assert 1 == len(await orchestrator.list_runs())


async def test_a_fork_needs_the_workflow():
    """The code of the run has to be known."""
    store = MemoryStore()
    async with Orchestrator(store) as orchestrator:
        await orchestrator.run(Order(), run_id="r")

    async with Orchestrator(store) as stranger:
        with pytest.raises(UnknownWorkflowError):
            await stranger.fork("r", "pay")


async def test_a_fork_of_a_run_whose_definition_is_gone(calls: list[str]):
    """There is nothing to compare: what came before the step is reused."""

    class Forgetful(MemoryStore):
        async def definition(self, fingerprint: str) -> str | None:
            return None

    async with Orchestrator(Forgetful()) as orchestrator:
        await orchestrator.run(Order(), run_id="r")
        calls.clear()

        await (await orchestrator.fork("r", "pay")).result()

    assert ["pay"] == calls


async def test_a_fork_keeps_skips_and_optional_failures():
    """And runs again what failed the other run."""
    seen: list[object] = []

    def bad() -> int:
        raise ValueError("broken")

    def reads(opt: int | None, skipped: int | None) -> int:
        seen.append((opt, skipped))
        if len(seen) == 1:
            raise ValueError("first time")
        return 1

    opt, skipped = step(bad, name="opt", required=False), step(one, name="skipped", when=lambda _: False)
    flow = make_workflow(
        "Keeps", [opt, skipped, step(reads, name="reads", depends_on={"opt": opt.maybe, "skipped": skipped.maybe})]
    )
    async with Orchestrator("memory:") as orchestrator:
        await (await orchestrator.start(flow(), run_id="r")).wait()

        fork = await orchestrator.fork("r", "reads")
        result = await fork.result()
        kinds = await kinds_of(fork)

    assert [(None, None)] * 2 == seen
    assert ["run.started", "step.failed opt", "step.skipped skipped", "step.started reads"] == kinds[:4]
    assert "failed" == str(result.steps["opt"].status)


# Owners.


async def test_two_that_resume_one_run_at_the_same_time():
    """One has it, and the other is told that."""
    store, gate = MemoryStore(), Gate()
    broken = [True]

    async def fragile() -> None:
        if broken:
            raise ValueError
        await gate.pass_through()

    flow = make_workflow("Fragile", {"fragile": fragile})
    async with Orchestrator(store) as first:
        await (await first.start(flow(), run_id="r")).wait()
    broken.clear()

    async with Orchestrator(store, grace=0) as one_, Orchestrator(store, grace=0) as two:
        outcomes = await asyncio.gather(
            *(each.resume("r", workflow=flow) for each in (one_, two)), return_exceptions=True
        )
        gate.open()
        results = [await outcome.wait() for outcome in outcomes if not isinstance(outcome, BaseException)]

    assert 1 == len(results)
    assert [RunOwnedError] == [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]


async def test_an_owner_whose_lease_ran_out_loses_its_runs():
    """Another one takes them up; the first one stops its steps, and what it still reports is refused."""
    now: list[float] = [0.0]
    store = MemoryStore(lambda: now[0])
    gate, stopped = Gate(), asyncio.Event()

    async def waits(ctx: StepContext) -> str:
        try:
            if ctx.attempt == 1:
                await gate.pass_through()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return f"attempt {ctx.attempt}"

    flow = make_workflow("Waits", [step(waits)])
    async with Orchestrator(store, lease=15) as first:
        run = await first.start(flow(), run_id="r")
        await gate.came.get()
        now[0] = 16.0

        async with Orchestrator(store, workflows=[flow], lease=15) as second:
            result = await (await second.get("r")).result()
            await first._keeper.renew()
            await stopped.wait()
            told = await run.wait()
            log = await log_of(run)

    assert ("attempt 2", "attempt 2") == (result["waits"], told["waits"])
    assert ["takeover"] == [event.reason for event in log if isinstance(event, RunResumed)]


async def test_a_stale_owner_is_refused_before_the_new_one_has_written():
    """From the claim on."""
    now: list[float] = [0.0]
    store = MemoryStore(lambda: now[0])
    gate = Gate()
    async with Orchestrator(store) as first:
        run = await first.start(waiting(gate)(), run_id="r")
        await gate.came.get()
        record = await store.get("r")
        assert record is not None
        await store.claim("r", "elsewhere|1|x|k", previous=record.owner)
        gate.open()
        execution = first._runs.engine.executions["r"]
        await execution.left.wait()
        kinds = await kinds_of(run)

    assert isinstance(execution.trouble, ConflictError)
    assert ["run.started", "step.started waits"] == kinds


async def test_a_body_whose_run_was_lost_while_its_start_was_written_does_not_begin():
    """The process was stopped just then, for longer than its lease, and another one took the run."""
    begun: list[str] = []

    class Stopping(MemoryStore):
        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            outcomes = await super().append(appends)
            if any(event.kind == "step.started" for append in appends for event in append.events):
                record = await self.get("r")
                assert record is not None
                await self.claim("r", "elsewhere|1|x|k", previous=record.owner)
                clock.error = 60.0
            return outcomes

    class Clock(SystemClock):
        error = 0.0

        def now(self) -> float:
            return super().now() + self.error

    clock = Clock()
    flow = make_workflow("Lost", {"charge": step(delivery="at_most_once")(lambda: begun.append("charge"))})
    async with Orchestrator(Stopping(), clock=clock) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        assert run._execution is not None
        await run._execution.left.wait()

    assert [] == begun
    assert isinstance(run._execution.trouble, ConflictError)


async def test_a_run_that_ended_before_it_was_taken_up_stays_ended():
    """The summary by which it was found was old."""
    store, gate = MemoryStore(), Gate()
    flow = waiting(gate)
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
    old = await store.get("r")
    assert old is not None
    gate.open()
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.get("r")
        await run.result()
        before = await log_of(run)

        await orchestrator._runs.take_up_if_possible(old)
        with pytest.raises(NotResumableError):
            await orchestrator._runs.take_up(old)

        assert before == await log_of(run)
        assert None is (await store.get("r")).owner  # type: ignore[union-attr]


async def test_a_run_whose_owners_die_again_and_again_is_parked():
    """It is in the list, with the reason, and can be resumed by hand."""
    now: list[float] = [0.0]
    store, gate = MemoryStore(lambda: now[0]), Gate()
    flow = waiting(gate)
    dying: list[Orchestrator] = []
    for _ in range(4):
        orchestrator = Orchestrator(store, workflows=[flow], max_takeovers=2, grace=0)
        await orchestrator.__aenter__()
        dying.append(orchestrator)
        if len(dying) == 1:
            await orchestrator.start(flow(), run_id="r")
        if len(dying) < 4:
            await gate.came.get()
        # Nobody hears of it any more.
        now[0] += 100

    (listed,) = await dying[-1].list_runs(status="paused")
    gate.open()
    for each in dying:
        await each.__aexit__(None, None, None)
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()

    assert "dead letter: 3 times in a row its process died before any step had ended" == listed.error
    assert RunStatus.COMPLETED is result.status


@pytest.mark.parametrize(("option", "value"), [("lease", 0), ("max_takeovers", 0), ("max_takeovers", True)])
def test_options_that_make_no_sense(option: str, value: Any):
    """They are refused before anything is opened."""
    with pytest.raises((UsageError, TypeError), match=option):
        Orchestrator("memory:", **{option: value})


# Versions.


async def test_several_versions_side_by_side():
    """Each run goes on with the version that it was started with; one whose version is gone with the last one."""
    store, gate = MemoryStore(), Gate()

    def flow(version: str, *after: str) -> type:
        async def waits() -> str:
            await gate.pass_through()
            return version

        steps: dict[str, Any] = {"waits": waits}
        for name in after:
            steps[name] = step(depends_on=["waits"])(one)
        return make_workflow("Many", steps, version=version, on_change="adopt")

    old, new = flow("1"), flow("2", "more")
    async with Orchestrator(store, workflows=[old, new], grace=0) as orchestrator:
        for workflow_ in (old, new):
            await orchestrator.start(workflow_(), run_id=workflow_.__orchwf_dag__.version)  # type: ignore[attr-defined]
            await gate.came.get()
    gate.open()

    async with Orchestrator(store, workflows=[new, old]) as orchestrator:
        results = {run_id: await (await orchestrator.get(run_id)).result() for run_id in "12"}

    assert {"1": {"waits": "1"}, "2": {"waits": "2", "more": 1}} == {
        run_id: dict(result.outputs) for run_id, result in results.items()
    }


async def test_two_classes_of_one_name_and_version_are_refused():
    """Nobody could tell them apart."""

    def flow() -> type:
        return make_workflow("Same", {"a": one})

    with pytest.raises(UsageError, match=r"two workflows are called 'Same', version '1'"):
        async with Orchestrator("memory:", workflows=[flow(), flow()]):
            pass


async def test_an_adopted_graph_runs_again_what_has_other_inputs():
    """And what reads that; the rest is kept."""
    store, done = MemoryStore(), []

    def noting(name: str, value: object) -> Any:
        async def body(**outputs: object) -> object:
            done.append(name)
            if value is None:
                raise ValueError("not yet")
            return value

        return body

    def flow(source: str, last: object) -> type:
        a, b = step(noting("a", 1), name="a"), step(noting("b", 2), name="b")
        sources = {"a": a, "b": b}
        c = step(noting("c", 3), name="c", depends_on={"x": sources[source].result})
        d = step(noting("d", 4), name="d", depends_on={"y": c.result})
        kept = step(noting("kept", 5), name="kept", depends_on={"z": a.result})
        end = step(noting("end", last), name="end", depends_on=["d", "kept"])
        return make_workflow("Adopts", [a, b, c, d, kept, end], on_change="adopt")

    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow("a", None)(), run_id="r")).wait()
    done.clear()

    async with Orchestrator(store) as orchestrator:
        result = await (await orchestrator.resume("r", workflow=flow("b", 6))).result()

    assert ["c", "d", "end"] == done
    assert 6 == result["end"]


async def test_an_adopted_step_that_runs_otherwise_begins_anew():
    """A generator that is a plain function now, and a step that runs once, and no more per item."""
    store, broken = MemoryStore(), [True]

    def generate() -> Iterator[int]:
        yield from (1, 2)

    def listed() -> list[int]:
        return [3, 4]

    def double(row: int) -> int:
        return row * 2

    def doubled(rows: list[int]) -> list[int]:
        return [row * 2 for row in rows]

    def last(found: list[int]) -> list[int]:
        if broken:
            raise ValueError("not yet")
        return found

    def flow(rows: Any, doubles: Any, result: Any) -> type:
        return make_workflow("Adopts", [rows, doubles, step(last, depends_on={"found": result})], on_change="adopt")

    rows: Any = step(generate, name="rows")
    doubles: Any = step(double, name="doubles", depends_on={"row": rows.each})
    async with Orchestrator(store) as orchestrator:
        failed = await (await orchestrator.start(flow(rows, doubles, doubles.all)(), run_id="r")).wait()
    broken.clear()
    later = step(listed, name="rows")
    all_doubles = step(doubled, name="doubles", depends_on={"rows": later.result})

    async with Orchestrator(store) as orchestrator:
        adopting = flow(later, all_doubles, all_doubles.result)
        result = await (await orchestrator.resume("r", workflow=adopting)).result()

    assert [2, 4] == failed["doubles"]
    assert [6, 8] == result["last"]


async def test_what_runs_again_for_an_adopted_graph_reads_what_is_stored():
    """Though all that read it had completed."""
    store = MemoryStore()

    def fails(seen: object) -> None:
        raise ValueError("not yet")

    def flow(source: str, last: Any) -> Any:
        a, b = step(lambda: "of a", name="a"), step(lambda: "of b", name="b")
        seen = step(lambda x: f"seen: {x}", name="seen", depends_on={"x": {"a": a, "b": b}[source].result})
        return make_workflow("Adopts", [a, b, seen, step(last, name="last")], on_change="adopt")

    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow("a", fails)(), run_id="r")).wait()

    async with Orchestrator(store) as orchestrator:
        result = await (await orchestrator.resume("r", workflow=flow("b", lambda seen: seen))).result()

    assert {"a": "of a", "b": "of b", "seen": "seen: of b", "last": "seen: of b"} == dict(result.outputs)


async def test_a_new_input_without_a_default_cannot_be_adopted():
    """Nobody knows its value; a fork may give it."""
    store = MemoryStore()

    def fails() -> None:
        raise ValueError

    def flow(**inputs: Any) -> Any:
        return make_workflow("Grows", {"a": fails}, inputs=inputs, on_change="adopt")

    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(flow()(), run_id="r")).wait()

    async with Orchestrator(store) as orchestrator:
        with pytest.raises(UsageError, match="The run has no value for the new input 'x': give it a default, or fork"):
            await orchestrator.resume("r", workflow=flow(x=int))


async def test_a_definition_that_changed_is_told_of_once(caplog: pytest.LogCaptureFixture):
    """However often the run is looked at."""
    store, gate = MemoryStore(), Gate()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(waiting(gate)(), run_id="r")
        await gate.came.get()

    async with Orchestrator(store, workflows=[make_workflow("Waiting", {"other": one})]) as orchestrator:
        for _ in range(2):
            orchestrator._keeper._refused.forget()
            orchestrator._keeper._look(*Look)
            await orchestrator._keeper.take_up()

    assert 1 == caplog.text.count("run 'r' was started with another graph")


async def test_a_step_in_flight_runs_again_under_the_same_key():
    """Over attempts, owners and resumes by hand; another run, step or compensation has another one."""
    store, gate, keys = MemoryStore(), Gate(), list[str]()

    async def pays(ctx: StepContext) -> None:
        keys.append(ctx.idempotency_key)
        if len(keys) == 2:
            await gate.pass_through()
        if len(keys) < 4:
            raise ConnectionError

    flow = make_workflow("Pays", {"pay": step(retries=Retry(1, initial=0))(pays)})
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
    gate.open()
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.get("r")).wait()
        result = await (await orchestrator.resume("r")).wait()

    assert ["r/pay"] * 4 == keys
    assert RunStatus.COMPLETED is result.status
    assert "r/pay/compensation" == StepContext(run_id="r", step="pay", compensates=True).idempotency_key


async def test_a_lost_owner_lets_go_only_of_what_was_taken():
    """What nobody took goes on."""
    now: list[float] = [0.0]
    store, gate = MemoryStore(lambda: now[0]), Gate()
    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(waiting(gate)(), run_id="r")
        await gate.came.get()
        now[0] = 100.0
        await orchestrator._keeper.renew()
        gate.open()
        result = await run.result()

    assert {"waits": 1, "after": 1} == dict(result.outputs)
