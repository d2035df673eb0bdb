"""Nodes that wait for a message, through the public API."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from orchwf import (
    BadOptionError,
    DefinitionError,
    Orchestrator,
    RunEndedError,
    RunFailed,
    RunNotFoundError,
    RunStatus,
    StepStatus,
    StepTimeoutError,
    UnknownStepError,
    UsageError,
    signal,
    sleep,
    step,
    workflow,
)
from orchwf import make_workflow as make_typed_workflow
from orchwf.core import events as ev
from orchwf.ports import Message, Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.kinds import KINDS, opened_store
from tests.runtime.flows import Gate, executed, is_status, kinds_of, log_of, sleeps, until

make_workflow: Any = make_typed_workflow
"""For its type, nodes are functions only."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """One store for all orchestrators of a test."""
    opened: Any = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


@attrs.frozen
class Payment:
    amount: int
    currency: str = "EUR"


@workflow
class Invoice:
    """Waits for a payment, and says thanks."""

    number: int = 1

    @step
    def send(self) -> int:
        return self.number

    paid = signal(Payment, depends_on=send)

    @step
    def thank(self, payment: Payment = paid.result) -> str:
        return f"thanks for {payment.amount} {payment.currency}"


async def test_a_signal_gives_what_was_sent(store: Store):
    """With its type; its log tells that it waited, and what came."""
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Invoice(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await run.send(Invoice.paid, Payment(7))
        result = await run.result()
        kinds = await kinds_of(run)

    assert Payment(7) == result[Invoice.paid]
    assert "thanks for 7 EUR" == result[Invoice.thank]
    assert [
        "run.started", "step.started send", "step.completed send", "timer.set paid", "signal.received", "run.resumed",
        "step.completed paid", "step.started thank", "step.completed thank", "run.completed",
    ] == kinds  # fmt: skip


async def test_what_is_sent_before_the_node_waits_counts(store: Store):
    """It does not begin to wait then."""
    gate = Gate()

    async def first() -> None:
        await gate.pass_through()

    flow = make_workflow("Early", {"first": step(first), "word": signal(str, depends_on="first")})

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.send("word", "early")
        async for event in run.events(follow=True):
            if isinstance(event, ev.SignalReceived):
                break
        gate.open()
        result = await run.result()
        kinds = await kinds_of(run)

    assert "early" == result["word"]
    assert "timer.set word" not in kinds


async def test_the_first_of_several_counts(store: Store):
    """Whatever comes after it; a second one of the same id is not even stored."""
    gate = Gate()

    async def first() -> None:
        await gate.pass_through()

    flow = make_workflow("Several", {"first": step(first), "word": signal(str, depends_on="first")})

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.send("word", "one", id="a")
        await run.send("word", "two", id="a")
        await run.send("word", "three", id="b")
        await run.send("word", "one", id="a")
        await until(lambda: orchestrator.recorder.kinds().count("signal.received") == 2)
        gate.open()
        result = await run.result()
        received = [event for event in await log_of(run) if isinstance(event, ev.SignalReceived)]

    assert "one" == result["word"]
    assert [("word-a", '"one"'), ("word-b", '"three"')] == [(each.message_id, each.payload) for each in received]


async def test_a_signal_of_another_orchestrator_on_the_same_file(tmp_path: Path):
    """Whether the owner has the run in memory, or the run sleeps."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    async with Orchestrator(url) as owner, Orchestrator(url) as other:
        waited_for = await owner.start(Invoice(number=1), run_id="1")
        sleeping = await owner.start(Invoice(number=2), run_id="2")
        result = asyncio.create_task(waited_for.result())
        await until(lambda: sleeps(owner._runs.store, "2"))
        for run_id in ("1", "2"):
            await (await other.get(run_id, workflow=Invoice)).send(Invoice.paid, Payment(5, "USD"))
        results = [await result, await sleeping.result()]

    assert ["thanks for 5 USD"] * 2 == [each[Invoice.thank] for each in results]


async def test_a_signal_of_an_orchestrator_without_the_code(tmp_path: Path):
    """It knows the names of the signals from the store, but not what they hold."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    async with Orchestrator(url) as owner, Orchestrator(url) as other:
        run = await owner.start(Invoice(), run_id="1")
        stranger = await other.get("1")
        with pytest.raises(UnknownStepError, match=r"has no step 'payd'.*Did you mean 'paid'"):
            await stranger.send("payd")
        with pytest.raises(UsageError, match="'send' of Invoice is a step, not a signal: nothing can be sent to it"):
            await stranger.send("send")
        await stranger.send("paid", {"amount": 3, "currency": "EUR"})
        result = await run.result()

    assert "thanks for 3 EUR" == result[Invoice.thank]


async def test_what_cannot_be_sent_is_not(store: Store):
    """The error says what the signal holds; nothing is stored, and the run waits on."""
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Invoice(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        for wrong in ("7", None, {"amount": 7}, Payment):
            with pytest.raises(UsageError, match=r"signal 'paid' of Invoice holds .*Payment.*nothing was sent"):
                await run.send("paid", wrong)
        with pytest.raises(UsageError, match="'thank' of Invoice is a step"):
            await run.send(cast(Any, Invoice.thank), 7)
        with pytest.raises(UnknownStepError):
            await run.send("nothing", 7)
        for odd in (7, None, Invoice):
            with pytest.raises(UsageError, match="is a signal, or the name of one"):
                await run.send(cast(Any, odd), Payment(1))
        for wrong_id in ("", 7):
            with pytest.raises(UsageError, match="the id of a message is a text that is not empty"):
                await run.send("paid", Payment(1), id=cast(Any, wrong_id))
        assert await sleeps(store, "r")
        log = await log_of(run)
        await run.send(Invoice.paid, Payment(7))
        await run.result()

    assert not any(isinstance(event, ev.SignalReceived) for event in log)


async def test_nothing_can_be_sent_to_a_run_that_has_ended(store: Store):
    """Also if it ends just then; or to one that there is not."""
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Invoice(), run_id="r")
        await run.send(Invoice.paid, Payment(7))
        await run.result()
        with pytest.raises(RunEndedError, match=r"run 'r' is completed: .*nothing was sent"):
            await run.send(Invoice.paid, Payment(7))
        await orchestrator.delete("r")
        with pytest.raises(RunNotFoundError):
            await run.send(Invoice.paid, Payment(7))


async def test_a_signal_without_a_payload():
    """It holds nothing, and gives None."""
    flow = make_workflow("Bare", {"go": signal(), "after": step(lambda: 1, depends_on="go")})

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(UsageError, match="signal 'go' of Bare holds None, not 7"):
            await run.send("go", 7)
        await run.send("go")
        result = await run.result()

    assert (None, 1) == (result["go"], result["after"])


@pytest.mark.parametrize("sent", [True, False])
async def test_a_signal_that_does_not_come_in_time(sent: bool):
    """Its default stands in for it, or the node fails; what comes in time is taken."""
    flow = make_workflow("InTime", {"word": signal(str, timeout="1h", default=None), "must": signal(str, timeout="2h")})
    clock = FakeClock()

    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        if sent:
            await run.send("must", "in time")
        await clock.advance("59m")
        early = await run.steps()
        await clock.advance("2h")
        result = await run.wait()

    assert "waiting" == early["word"].status
    assert None is result["word"]
    assert ("completed" if sent else "failed") == result.steps["must"].status
    assert sent or "StepTimeoutError: no signal 'must' came within 7200 s" == result.error


async def test_what_comes_too_late_is_refused_or_ignored(store: Store):
    """The node has ended by then."""
    gate = Gate()

    async def after() -> None:
        await gate.pass_through()

    flow = make_workflow(
        "Late", {"word": signal(str, timeout="1m", default="none"), "after": step(after, depends_on="word")}
    )

    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        await run.send("word", "late")
        await until(lambda: "signal.received" in orchestrator.recorder.kinds())
        gate.open()
        result = await run.result()

    assert "none" == result["word"]


async def test_the_cause_of_a_signal_that_did_not_come():
    """An error of its own class, though no body raised it."""
    flow = make_workflow("Never", {"word": signal(str, timeout="1h")})

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(flow())
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert isinstance(caught.value.__cause__, StepTimeoutError)


async def test_a_signal_that_failed_waits_anew_when_the_run_is_resumed():
    """For its whole time; what came meanwhile counts."""
    flow = make_workflow("Again", {"word": signal(str, timeout="1h")})
    clock = FakeClock()

    async with TestOrchestrator(clock=clock, workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        await clock.advance("2h")
        failed = await run.wait()
        run = await orchestrator.resume(run.id)
        await clock.advance("50m")
        await run.send("word", "at last")
        result = await run.result()

    assert RunStatus.FAILED is failed.status
    assert "at last" == result["word"]


# Races.


async def race(*sent: str, seconds: float = 0.0) -> tuple[Any, list[StepStatus]]:
    """What came of several signals and timers raced; these were sent before so much time went by."""
    nodes: dict[str, Any] = {"yes": signal(str), "no": signal(str), "late": sleep("1h"), "later": sleep("2h")}
    first = step(_told, name="first", depends_on=list(nodes), join="first", cancel_rest=True)
    flow, clock = make_workflow("Race", {**nodes, "first": first}), FakeClock()
    async with TestOrchestrator(clock=clock) as orchestrator:
        run = await orchestrator.start(flow())
        for name in sent:
            await run.send(name, name)
            await until(partial(_has_received, orchestrator, name))
        if seconds:
            await clock.advance(seconds)
        result = await run.result()
    return result["first"], [result.steps[name].status for name in nodes]


def _has_received(orchestrator: TestOrchestrator, name: str) -> bool:
    return name in [event.signal for event in orchestrator.recorder.events if isinstance(event, ev.SignalReceived)]


async def _told(**outputs: Any) -> dict[str, Any]:
    return outputs


_DONE, _OFF = StepStatus.COMPLETED, StepStatus.CANCELLED


async def test_of_signals_and_timers_the_first_one_wins():
    """And the rest is cancelled: nothing of it keeps the run."""
    assert ({"no": "no"}, [_OFF, _DONE, _OFF, _OFF]) == await race("no")
    assert ({"yes": "yes"}, [_DONE, _OFF, _OFF, _OFF]) == await race("yes", seconds=10.0)
    assert ({"late": None}, [_OFF, _OFF, _DONE, _OFF]) == await race(seconds=3601.0)


@pytest.mark.parametrize("asked", ["cancel", "terminate", "pause"])
async def test_steering_a_run_that_waits_for_a_signal(store: Store, asked: str):
    """It is roused for that, and ends, or pauses; paused it hears what is sent, and goes on when it is resumed."""
    async with TestOrchestrator(store, workflows=[Invoice]) as orchestrator:
        run = await orchestrator.start(Invoice(), run_id="r")
        await until(lambda: sleeps(store, "r"))
        await getattr(run, asked)("enough")
        result = await run.wait()
        if asked == "pause":
            await run.send(Invoice.paid, Payment(7))
            assert RunStatus.PAUSED is await run.status()
            again = await (await orchestrator.resume("r")).result()
            assert "thanks for 7 EUR" == again[Invoice.thank]

    assert (RunStatus.PAUSED if asked == "pause" else RunStatus.CANCELLED, "enough") == (result.status, result.error)
    assert [] == executed(orchestrator)


async def test_a_signal_outlives_the_processes(store: Store):
    """Sent while nobody executes the run, it is there for whoever comes."""
    async with TestOrchestrator(store) as orchestrator:
        await orchestrator.start(Invoice(), run_id="r")
        await until(lambda: sleeps(store, "r"))
    async with TestOrchestrator(store) as orchestrator:
        await (await orchestrator.get("r")).send("paid", {"amount": 1, "currency": "EUR"})
    assert await sleeps(store, "r")

    async with TestOrchestrator(store, workflows=[Invoice]):
        await until(lambda: is_status(store, "r", RunStatus.COMPLETED))


async def test_many_signals_at_once(store: Store):
    """To a hundred runs, which all sleep."""
    async with TestOrchestrator(store) as orchestrator:
        runs = [await orchestrator.start(Invoice(number=n), run_id=f"r{n}") for n in range(100)]
        await until(lambda: sleeps(store, *(run.id for run in runs)))
        await asyncio.gather(*(run.send(Invoice.paid, Payment(n)) for n, run in enumerate(runs)))
        results = [await run.result() for run in runs]

    assert [f"thanks for {n} EUR" for n in range(100)] == [result[Invoice.thank] for result in results]


async def test_a_message_that_cannot_be_read_stops_only_its_run(caplog: pytest.LogCaptureFixture):
    """Somebody wrote into the inbox who is not us."""
    store = MemoryStore()
    async with TestOrchestrator(store) as orchestrator:
        run = await orchestrator.start(Invoice(), run_id="r")
        other = await orchestrator.start(Invoice(), run_id="o")
        await until(lambda: sleeps(store, "r", "o"))
        await store.send(Message(run_id="r", id="m", signal="paid", payload="{"))
        await other.send(Invoice.paid, Payment(1))
        await other.result()
        with pytest.raises(Exception, match="the message 'm' to run 'r' cannot be read"):
            await orchestrator.resume("r")

    assert await is_status(store, "r", RunStatus.RUNNING)
    assert "the message 'm' to run 'r' cannot be read" in caplog.text
    assert run.id == "r"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: signal(str, timeout="soon"), "timeout"),
        (lambda: signal(str, timeout=0), "timeout must be longer than 0 seconds"),
        (lambda: cast(Any, signal)(str, default="x"), "default goes with timeout"),
        (lambda: signal(int, timeout=1, default=object()), "the default of a signal has to be stored"),
    ],
)
async def test_options_that_make_no_sense(made: Any, message: str):
    """Fail when the workflow is defined."""
    with pytest.raises((DefinitionError, BadOptionError), match=message):
        make_workflow("Wrong", {"word": made()})
