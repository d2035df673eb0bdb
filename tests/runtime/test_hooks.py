"""Middleware around runs, and functions that are told how they ended: none of them can hurt a run."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from orchwf import (
    Orchestrator,
    RunContext,
    RunFailed,
    RunHandle,
    RunRecord,
    RunStatus,
    StepContext,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core.events import Event, SignalReceived
from orchwf.runtime import hooks
from orchwf.stores import MemoryStore
from orchwf.testing import TestOrchestrator, crash_everywhere
from tests.runtime.flows import Gate

Call = Callable[[], Awaitable[RunRecord]]
said: ContextVar[str] = ContextVar("said", default="nothing")
MENDED: list[bool] = []


@pytest.fixture(autouse=True)
def _new_world() -> None:
    MENDED.clear()


@workflow(tags=["nightly"])
class Order:
    id: str = "A1"

    @step
    def pay(self) -> str:
        if not MENDED:
            raise ConnectionError("the bank is closed")
        return f"paid {self.id}"


class Around:
    """A middleware that notes what passes through it, and which runs it saw."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes
        self.contexts: list[RunContext] = []
        self.runs: list[RunRecord] = []

    async def around_run(self, call: Call, context: RunContext) -> None:
        self.contexts.append(context)
        self.notes.append(f"{self.name} > {context.run_id}")
        self.runs.append(await call())
        self.notes.append(f"{self.name} < {self.runs[-1].status}")


def around(function: Callable[[Call, RunContext], Any]) -> Any:
    """A middleware of this async function."""

    class Made:
        async def around_run(self, call: Call, context: RunContext) -> object:
            return await function(call, context)

    return Made()


def waiting(gate: Gate) -> Any:
    """A workflow whose first step waits."""
    return make_workflow("Waits", {"a": step(gate.pass_through), "b": step(gate.pass_through, depends_on=["a"])})()


async def heard(run: RunHandle[Any]) -> None:
    """Return when the run knows what it was asked for."""
    async for event in run.events(follow=True):
        if isinstance(event, SignalReceived):
            return


async def test_a_run_is_accompanied_to_its_end():
    """The first layer is the outermost; each is given the run as the store has it."""
    MENDED.append(True)
    notes: list[str] = []
    layers = [Around("a", notes), Around("b", notes)]

    async with TestOrchestrator(middleware=layers) as orchestrator:
        run = await orchestrator.start(Order(id="B7"), "r", metadata={"trace": "t"}, tags={"shop": "eu"})
        await run.result()
        record = (await orchestrator.list_runs())[0]

    assert ["a > r", "b > r", "b < completed", "a < completed"] == notes
    context = layers[0].contexts[0]
    assert RunContext(
        run_id="r", workflow="Order", inputs=Order(id="B7"), metadata={"trace": "t"},
        tags={"nightly": "", "shop": "eu"},
    ) == context  # fmt: skip
    assert record.status is layers[0].runs[0].status
    assert record.ended_at == layers[0].runs[0].ended_at


async def test_it_is_entered_again_when_the_run_is_resumed():
    """Here or elsewhere; what it is given says how far the run came each time."""
    here, elsewhere = Around("here", []), Around("elsewhere", [])
    store = MemoryStore()
    async with TestOrchestrator(store, middleware=[here]) as orchestrator:
        await (await orchestrator.start(Order(), "r")).wait()
        await (await orchestrator.resume("r")).wait()
    MENDED.append(True)
    async with TestOrchestrator(store, middleware=[elsewhere], workflows=[Order]) as orchestrator:
        await (await orchestrator.resume("r")).wait()

    assert ["here > r", "here < failed"] * 2 == here.notes
    assert "ConnectionError: the bank is closed" == here.runs[0].error
    assert ["elsewhere > r", "elsewhere < completed"] == elsewhere.notes


async def test_a_run_that_is_left_is_still_running():
    """The orchestrator was closed, and somebody else will go on."""
    gate, layer = Gate(), Around("a", [])
    waits = make_workflow("Waits", {"a": step(gate.pass_through)})
    store = MemoryStore()

    async with Orchestrator(store, middleware=[layer], grace=0) as orchestrator:
        await orchestrator.start(waits(), "r")
        await gate.came.get()

    assert ["a > r", "a < running"] == layer.notes
    taker = Around("b", [])
    gate.open()
    async with Orchestrator(store, middleware=[taker], workflows=[waits]) as orchestrator:
        await (await orchestrator.get("r")).result()
    assert ["b > r", "b < completed"] == taker.notes


async def test_a_paused_run_is_left():
    """Until somebody resumes it."""
    gate, layer = Gate(), Around("a", [])

    async with Orchestrator("memory:", middleware=[layer]) as orchestrator:
        run = await orchestrator.start(waiting(gate), "r")
        await run.pause()
        await heard(run)
        gate.open()
        await run.wait()

    assert ["a > r", "a < paused"] == layer.notes


@pytest.mark.parametrize("is_plain", [False, True])
async def test_its_beginning_comes_before_the_first_body(is_plain: bool):
    """As far as it waits for nothing."""
    MENDED.append(True)
    notes: list[str] = []

    async def body() -> None:
        notes.append("body")

    def body_in_thread() -> None:
        notes.append("body")

    flow = make_workflow("Flow", {"a": step(body_in_thread if is_plain else body)})
    async with TestOrchestrator(middleware=[Around("a", notes)]) as orchestrator:
        for number in range(20):
            await orchestrator.run(flow(), f"r{number}")

    for number in range(20):
        begun = notes.index(f"a > r{number}")
        assert number == notes[:begun].count("body")


async def test_one_middleware_may_stand_around_both():
    """Steps and runs."""
    MENDED.append(True)
    notes: list[str] = []

    class Both(Around):
        async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
            self.notes.append(f"{self.name} > {context.step}")
            return await call()

    async with TestOrchestrator(middleware=[Both("a", notes)]) as orchestrator:
        await orchestrator.run(Order(), "r")

    assert ["a > r", "a > pay", "a < completed"] == notes


async def failing_before(call: Call, context: RunContext) -> None:
    raise ValueError("around a run")


async def failing_after(call: Call, context: RunContext) -> None:
    await call()
    raise ValueError("around a run")


async def exiting(call: Call, context: RunContext) -> None:
    raise SystemExit("around a run")


@pytest.mark.parametrize("function", [failing_before, failing_after, exiting])
async def test_one_that_fails_hurts_nobody(function: Any, caplog: pytest.LogCaptureFixture):
    """What it raises is logged; the run goes on, and so do others."""
    MENDED.append(True)
    async with TestOrchestrator(middleware=[around(function)]) as orchestrator:
        await orchestrator.run(Order(), "r1")
        await orchestrator.run(Order(), "r2")

    assert ["for run 'r1', failed", "for run 'r2', failed"] == [text.partition(", ")[2] for text in caplog.messages]
    assert all(text.startswith("around_run of <tests") for text in caplog.messages)
    assert all("around a run" in (record.exc_text or "") for record in caplog.records)


async def test_one_that_fails_hurts_no_other_layer(caplog: pytest.LogCaptureFixture):
    """The outer one is given the run when it has ended, whatever the inner one does."""
    MENDED.append(True)
    layer = Around("a", [])

    async with TestOrchestrator(middleware=[layer, around(failing_before)]) as orchestrator:
        await orchestrator.run(Order(), "r")

    assert ["a > r", "a < completed"] == layer.notes
    assert 1 == len(caplog.messages)


async def test_one_that_calls_nothing_changes_nothing():
    """The run is not in its hands."""

    async def calls_nothing(call: Call, context: RunContext) -> None:
        return

    MENDED.append(True)
    async with TestOrchestrator(middleware=[around(calls_nothing)]) as orchestrator:
        assert RunStatus.COMPLETED is (await orchestrator.run(Order())).status


async def test_inputs_that_do_not_fit_are_its_trouble_only(caplog: pytest.LogCaptureFixture):
    """They are read for it, and the steps may need none of them."""

    async def pay() -> None:
        if not MENDED:
            raise ConnectionError("no")

    store, layer = MemoryStore(), Around("a", [])
    before, after = (make_workflow("Pay", {"pay": step(pay)}, inputs={"amount": type_}) for type_ in (str, int))
    async with TestOrchestrator(store) as orchestrator:
        await (await orchestrator.start(before(amount="much"), "r")).wait()
    MENDED.append(True)

    async with TestOrchestrator(store, middleware=[layer]) as orchestrator:
        result = await (await orchestrator.resume("r", workflow=after, on_change="adopt")).wait()

    assert (RunStatus.COMPLETED, []) == (result.status, layer.notes)
    assert "middleware, for run 'r', failed" in caplog.messages


async def test_large_inputs_are_read_in_a_thread():
    """So that the loop does not stand still for them."""
    MENDED.append(True)
    layer = Around("a", [])
    async with TestOrchestrator(middleware=[layer]) as orchestrator:
        await orchestrator.run(Order(id="x" * 300_000))

    assert "x" * 300_000 == layer.contexts[0].inputs.id


# Who is told how a run ended.


async def test_who_is_told_of_a_success():
    """After it is written: the handle says so at once, and has the result."""
    MENDED.append(True)
    told: list[object] = []

    async def succeeded(run: RunHandle[Any]) -> None:
        told.append((run.id, await run.status(), (await run.result())["pay"]))

    async with TestOrchestrator(on_success=succeeded, on_failure=told.append) as orchestrator:
        await orchestrator.run(Order(), "r")

    assert [("r", RunStatus.COMPLETED, "paid A1")] == told


async def test_who_is_told_of_a_failure():
    """The handle has the error of the step itself; a failure after a resume is told again."""
    told: list[str] = []

    async def failed(run: RunHandle[Any]) -> None:
        with pytest.raises(RunFailed) as caught:
            await run.result()
        told.append(f"{run.id}: {caught.value.__cause__!r}")

    async with TestOrchestrator(on_failure=failed, on_success=lambda run: told.append(run.id)) as orchestrator:
        await (await orchestrator.start(Order(), "r")).wait()
        await (await orchestrator.resume("r")).wait()

    assert ["r: ConnectionError('the bank is closed')"] * 2 == told


async def test_nobody_is_told_of_other_ends():
    """A run that is cancelled or paused has neither failed nor completed."""
    gate, told = Gate(), list[Any]()
    async with Orchestrator("memory:", on_success=told.append, on_failure=told.append) as orchestrator:
        cancelled, paused = await orchestrator.start(waiting(gate)), await orchestrator.start(waiting(gate))
        await cancelled.cancel()
        await paused.pause()
        await heard(paused)
        gate.open()
        await cancelled.wait()
        await paused.wait()

    assert [] == told


async def test_a_plain_function_is_called_in_a_thread():
    """So it may take its time; with the context variables of whoever started the run."""
    MENDED.append(True)
    told: list[tuple[bool, str]] = []

    def succeeded(run: RunHandle[Any]) -> None:
        told.append((threading.current_thread() is threading.main_thread(), said.get()))

    async with TestOrchestrator(on_success=succeeded) as orchestrator:
        said.set("hello")
        await orchestrator.run(Order())

    assert [(False, "hello")] == told


async def test_what_a_plain_function_gives_is_awaited():
    """As of a lambda that calls an async function."""
    MENDED.append(True)
    told: list[str] = []

    async def notes(run: RunHandle[Any], word: str) -> None:
        told.append(f"{word} {await run.status()}")

    async with TestOrchestrator(on_success=lambda run: notes(run, "is")) as orchestrator:
        await orchestrator.run(Order())

    assert ["is completed"] == told


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("is_plain", [False, True])
async def test_what_it_raises_is_dropped(error: type[BaseException], is_plain: bool, caplog: pytest.LogCaptureFixture):
    """It is logged, and neither the run nor others learn of it."""
    MENDED.append(True)

    def fails(run: RunHandle[Any]) -> None:
        raise error("told")

    async def fails_on_the_loop(run: RunHandle[Any]) -> None:
        raise (ValueError if error is KeyboardInterrupt else error)("told")

    hook = fails if is_plain else fails_on_the_loop
    async with TestOrchestrator(on_success=hook) as orchestrator:
        await orchestrator.run(Order(), "r1")
        await orchestrator.run(Order(), "r2")

    expected = [] if error is asyncio.CancelledError else [f"on_success, for run '{r}', failed" for r in ("r1", "r2")]
    assert expected == caplog.messages


# The end of the orchestrator.


async def test_closing_waits_for_who_is_told():
    """For as long as `grace`: what a short program does last is done."""
    MENDED.append(True)
    told: list[str] = []

    async def slow(run: RunHandle[Any]) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        told.append((await run.status()).value)

    async with Orchestrator("memory:", on_success=slow) as orchestrator:
        await orchestrator.run(Order())

    assert ["completed"] == told


async def test_closing_cancels_what_takes_longer():
    """It may tidy up."""
    MENDED.append(True)
    ends: list[str] = []

    async def hangs(run: RunHandle[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("tidied")

    async with Orchestrator("memory:", on_success=hangs, grace=0.05) as orchestrator:
        await orchestrator.run(Order())

    assert ["tidied"] == ends


async def test_closing_ends_what_ignores_its_cancellation(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Nothing that accompanies a run keeps the orchestrator from ending."""
    MENDED.append(True)
    monkeypatch.setattr(hooks, "_PATIENCE", 0.05)

    async def stays(call: Call, context: RunContext) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async with Orchestrator("memory:", middleware=[around(stays)], grace=0.05) as orchestrator:
        await orchestrator.run(Order(), "r")

    assert ["middleware, for run 'r', did not end in time, and was closed"] == caplog.messages


async def test_what_had_not_begun_is_dropped_without_a_word(caplog: pytest.LogCaptureFixture):
    """With no grace at all there may be no time even to begin."""
    MENDED.append(True)
    began: list[Any] = []

    async with Orchestrator("memory:", on_success=began.append, grace=0) as orchestrator:
        run = await orchestrator.start(Order(), "r")
        await run.wait()

    assert [] == caplog.messages
    assert len(began) <= 1


def test_a_run_survives_crashes_everywhere():
    """It is accompanied in each of its processes."""
    MENDED.append(True)
    notes: list[str] = []

    report = crash_everywhere(Order(), middleware=[Around("a", notes)])

    begun = sum(" > " in note for note in notes)
    assert len(report.deaths) > 5
    assert len(report.deaths) < begun <= report.lives


@pytest.mark.parametrize("name", ["on_success", "on_failure"])
def test_what_is_no_function_is_refused(name: str):
    """Before anything runs."""
    options: dict[str, Any] = {name: "mail me"}

    with pytest.raises(
        UsageError, match=f"{name} takes a function that is told of a run, by its handle, not 'mail me'"
    ):
        Orchestrator("memory:", **options)


# Observers.


class Bad:
    """An observer that fails, each time in another way."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def told(self, run: RunRecord, events: Any) -> None:
        raise self.error(f"cannot hear of {len(events)} events")


@pytest.mark.parametrize("error", [RuntimeError, StopIteration, UsageError, MemoryError])
async def test_a_failing_observer_hurts_no_run(error: type[Exception], caplog: pytest.LogCaptureFixture):
    """Not one that fails, nor one that is resumed; who is told beside it is told all."""
    told: list[Event] = []

    class Good:
        def told(self, run: RunRecord, events: Any) -> None:
            told.extend(events)

    notes: list[str] = []
    async with TestOrchestrator(
        observers=[Bad(error), Good()], middleware=[Around("a", notes)], on_failure=lambda run: notes.append("told")
    ) as orchestrator:
        run = await orchestrator.start(Order(), "r")
        await run.wait()
        MENDED.append(True)
        result = await (await orchestrator.resume("r")).wait()
        log = [event async for event in run.events()]

    assert RunStatus.COMPLETED is result.status
    assert log == told
    assert ["a < completed", "a < failed", "a > r", "a > r", "told"] == sorted(notes)
    assert any("an observer failed" in message for message in caplog.messages)


async def test_runs_that_begin_together_are_accompanied_before_a_body_of_theirs_begins():
    """What one of them lets begin does not take the body of the other along."""
    seen: list[str] = []

    class Beside:
        async def around_run(self, call: Call, context: RunContext) -> None:
            seen.append(f"beside {context.run_id}")
            await call()

    async def body(ctx: StepContext) -> None:
        seen.append(f"in {ctx.run_id}")

    flow = make_workflow("Flow", {"one": body})
    async with TestOrchestrator(middleware=[Beside()]) as orchestrator:
        runs = await asyncio.gather(*(orchestrator.start(flow(), run_id=f"r{number}") for number in range(3)))
        for run in runs:
            await run.result()

    assert all(seen.index(f"beside r{number}") < seen.index(f"in r{number}") for number in range(3))
