"""Orchestrators that end, and steps that do not want to."""

import asyncio
import contextlib
import signal
import threading
from typing import Any

import pytest

from orchwf import Orchestrator, RunInterruptedError, RunStatus, StepContext, UsageError, make_workflow, step
from orchwf.core.events import RunResumed
from orchwf.runtime import attempt
from orchwf.runtime.interrupts import end_at_once, listening
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate, log_of


async def one() -> int:
    return 1


def note_task(tasks: list[asyncio.Task[Any]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    tasks.append(task)


async def test_a_shutdown_tells_the_steps_and_gives_them_time():
    """What ends in time has ended; nothing new begins, and whoever waits is told."""
    gate, told = Gate(), asyncio.Event()

    async def heeds(ctx: StepContext) -> int:
        await gate.pass_through()
        if ctx.cancelled:
            told.set()
        return 1

    flow = make_workflow("Heeds", {"heeds": heeds, "after": step(depends_on=["heeds"])(one)})
    store = MemoryStore()
    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        ends = asyncio.create_task(orchestrator.shutdown())
        await asyncio.sleep(0)
        gate.open()
        await ends
        with pytest.raises(RunInterruptedError):
            await run.wait()
        with pytest.raises(UsageError, match="the orchestrator is closed"):
            await orchestrator.start(flow())
    record = await store.get("r")

    assert told.is_set()
    assert record is not None
    assert (RunStatus.RUNNING, None) == (record.status, record.owner)
    assert "step.completed" == (await store.read("r"))[-1].kind


async def test_what_was_shut_down_is_taken_up_without_being_counted():
    """As an attempt of the step, or as an owner that died."""
    gate, store, seen = Gate(), MemoryStore(), []

    async def waits(ctx: StepContext) -> None:
        seen.append((ctx.attempt, ctx.max_attempts))
        await gate.pass_through()

    flow = make_workflow("Waits", [step(waits)])
    for round_ in range(8):
        async with Orchestrator(store, workflows=[flow], grace=0, max_takeovers=1) as orchestrator:
            if round_ == 0:
                await orchestrator.start(flow(), run_id="r")
            await gate.came.get()
    gate.open()
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run = await orchestrator.get("r")
        await run.result()
        log = await log_of(run)

    assert ["shutdown"] * 8 == [event.reason for event in log if isinstance(event, RunResumed)]
    # With each attempt there may be one more: none of the budget was used up.
    assert [(number, number) for number in range(1, 10)] == seen


@pytest.mark.parametrize("stubborn", [asyncio.CancelledError, BaseException])
async def test_a_coroutine_that_ignores_its_end_is_closed(
    stubborn: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    """It keeps neither the orchestrator nor the loop from ending."""
    monkeypatch.setattr(attempt, "_LAST_PATIENCE", 0.01)
    began, tasks = asyncio.Event(), list[asyncio.Task[Any]]()

    async def ignores() -> None:
        note_task(tasks)
        began.set()
        for _ in range(3):
            with contextlib.suppress(stubborn):
                await asyncio.Event().wait()
        while stubborn is asyncio.CancelledError:
            with contextlib.suppress(stubborn):
                await asyncio.Event().wait()

    async with Orchestrator("memory:", grace=0.01) as orchestrator:
        await orchestrator.start(make_workflow("Ignores", {"ignores": step(ignores)})())
        await began.wait()

    assert all(task.done() for task in tasks)


async def test_a_coroutine_that_was_cancelled_and_goes_on_is_over(monkeypatch: pytest.MonkeyPatch):
    """Its run ends without it, and the task that it was, too."""
    monkeypatch.setattr(attempt, "_PATIENCE", 0.01)
    began, tasks = asyncio.Event(), list[asyncio.Task[Any]]()

    async def ignores() -> None:
        note_task(tasks)
        began.set()
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Ignores", {"ignores": step(ignores)})())
        await began.wait()
        await run.cancel()
        result = await run.wait()
        await asyncio.wait(tasks)

    assert RunStatus.CANCELLED is result.status


async def test_a_thread_that_is_stopped_before_its_body_began_does_not_begin_it():
    """No thread was free for it yet."""
    begun: list[str] = []
    calls: list[Any] = []

    def body() -> None:
        begun.append("body")

    flow = make_workflow("Waits", {"body": body})
    async with Orchestrator("memory:") as orchestrator:
        engine = orchestrator._runs.engine
        engine._threads.submit = lambda call, then: calls.append((call, then))  # type: ignore[method-assign]
        run = await orchestrator.start(flow())
        await run.cancel()
        result = await run.wait()
        for call, then in calls:
            call()
            then()

    assert ([], RunStatus.CANCELLED) == (begun, result.status)


async def test_threads_that_never_return_keep_nobody():
    """The orchestrator ends without them."""
    never, began = threading.Event(), Gate()
    loop = asyncio.get_running_loop()

    def hangs() -> None:
        loop.call_soon_threadsafe(began.came.put_nowait, "")
        never.wait(60)

    async with Orchestrator("memory:", grace=0.01) as orchestrator:
        await orchestrator.start(make_workflow("Hangs", {"hangs": hangs})())
        await began.came.get()
    never.set()


# Signals.


async def test_a_signal_shuts_down_and_the_handlers_before_are_called():
    """And come back afterwards."""
    heard: list[int] = []

    def own(number: int, frame: object) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, own)
    gate = Gate()

    async def program() -> None:
        async with Orchestrator("memory:", stop_on=[signal.SIGTERM], grace=0.01) as orchestrator:
            run = await orchestrator.start(make_workflow("Waits", {"waits": step(gate.pass_through)})())
            await gate.came.get()
            signal.raise_signal(signal.SIGTERM)
            await run.result()

    try:
        with pytest.raises(RunInterruptedError):
            await program()
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert [signal.SIGTERM] == heard
    assert own is after


async def test_without_a_signal_nothing_is_different():
    """The orchestrator ends, and so does what listens."""
    before = signal.getsignal(signal.SIGTERM)

    async with Orchestrator("memory:", stop_on=[signal.SIGTERM]) as orchestrator:
        result = await orchestrator.run(make_workflow("Ends", {"a": one})())

    assert RunStatus.COMPLETED is result.status
    assert before is signal.getsignal(signal.SIGTERM)


async def test_signals_are_for_the_main_thread():
    """Elsewhere Python gives none, and nothing is changed."""
    heard = []

    def elsewhere() -> None:
        async def main() -> None:
            with listening([signal.SIGTERM], "words") as interrupt:
                heard.append(interrupt.number)

        asyncio.run(main())

    before = signal.getsignal(signal.SIGTERM)
    await asyncio.to_thread(elsewhere)

    assert [0] == heard
    assert before is signal.getsignal(signal.SIGTERM)


class Ended(BaseException):
    """Stands for the end of the process, with its exit code."""


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would end the process raises `Ended` instead."""

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr("orchwf.runtime.interrupts.os._exit", end)


@pytest.mark.usefixtures("ending")
async def test_a_second_signal_ends_at_once(capfd: pytest.CaptureFixture[str]):
    """Whatever goes on, with the code of that signal; and what was said it would say is on standard error."""
    with listening([signal.SIGINT, signal.SIGTERM], "! all is kept") as interrupt:
        signal.raise_signal(signal.SIGINT)
        first = interrupt.exit_code
        with pytest.raises(Ended) as caught:
            signal.raise_signal(signal.SIGTERM)
        await interrupt.asked.wait()

    assert (130, (143,)) == (first, caught.value.args)
    assert "\n! all is kept\n" == capfd.readouterr().err


@pytest.mark.usefixtures("ending")
def test_a_terminal_gets_its_cursor_back(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """It may be hidden while a run is shown."""
    monkeypatch.setattr("orchwf.runtime.interrupts.os.isatty", lambda descriptor: descriptor == 2)

    with pytest.raises(Ended, match="130"):
        end_at_once(130, "words")

    assert "\x1b[?25h\nwords\n" == capfd.readouterr().err


async def test_a_handler_that_python_knows_nothing_of_becomes_the_default(monkeypatch: pytest.MonkeyPatch):
    """One that other code than Python set cannot be put back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("orchwf.runtime.interrupts.signal.getsignal", lambda number: None)

    with listening([signal.SIGTERM], "words"):
        pass
    monkeypatch.undo()
    after = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)

    assert signal.SIG_DFL is after
