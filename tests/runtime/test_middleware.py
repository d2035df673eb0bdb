"""Middleware around steps: what it sees, what it may change, and what it cannot break."""

import asyncio
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

import orchwf
from orchwf import (
    NonRetryable,
    Orchestrator,
    Retry,
    RetryAfter,
    RunCancelled,
    RunFailed,
    RunStatus,
    Skip,
    StepContext,
    StepStatus,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.core.outcome import Stopped
from orchwf.runtime import attempt
from orchwf.stores import MemoryStore
from orchwf.testing import TestOrchestrator, crash_everywhere, trials
from tests.runtime.flows import log_of

Call = Callable[[], Awaitable[Any]]
said: ContextVar[str] = ContextVar("said", default="nothing")
heard: ContextVar[str] = ContextVar("heard", default="nothing")


class Layer:
    """A middleware that notes what passes through it."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    async def around_step(self, call: Call, context: StepContext) -> Any:
        self.notes.append(f"{self.name} > {context.step}")
        try:
            value = await call()
        except Exception as error:
            self.notes.append(f"{self.name} ! {error}")
            raise
        self.notes.append(f"{self.name} < {value}")
        return value


def around(function: Callable[[Call, StepContext], Any]) -> Any:
    """A middleware of this async function."""

    class Made:
        async def around_step(self, call: Call, context: StepContext) -> Any:
            return await function(call, context)

    return Made()


async def async_body() -> int:
    return 1


def plain_body() -> int:
    return 1


def flow(body: Callable[..., Any], **options: Any) -> type:
    return make_workflow("Flow", {"only": step(body, **options)})


both_bodies = pytest.mark.parametrize("body", [async_body, plain_body])


@both_bodies
async def test_the_first_layer_is_the_outermost(body: Callable[..., Any]):
    """Each sees what the ones inside it return."""
    notes: list[str] = []

    async with TestOrchestrator(middleware=[Layer("a", notes), Layer("b", notes)]) as orchestrator:
        result = await orchestrator.run(flow(body)())

    assert ["a > only", "b > only", "b < 1", "a < 1"] == notes
    assert 1 == result["only"]


@both_bodies
async def test_a_layer_replaces_what_the_body_returned(body: Callable[..., Any]):
    """What it returns is stored, and read by what comes after."""

    async def doubled(call: Call, context: StepContext) -> Any:
        return 2 * await call()

    async def reads(only: int) -> int:
        return only + 100

    pair = make_workflow("Pair", {"only": step(body), "after": step(reads)})
    async with TestOrchestrator(middleware=[around(doubled)]) as orchestrator:
        result = await orchestrator.run(pair())

    assert {"only": 2, "after": 204} == result.outputs


async def test_a_value_that_cannot_be_stored_fails_the_step():
    """As if the body had returned it."""

    async def unstorable(call: Call, context: StepContext) -> Any:
        return object()

    async with TestOrchestrator(middleware=[around(unstorable)]) as orchestrator:
        result = await (await orchestrator.start(flow(async_body, retries=3)())).wait()

    assert RunStatus.FAILED is result.status
    assert "the output of step 'only' cannot be stored" in result.error


@pytest.mark.parametrize("is_plain", [False, True])
async def test_without_a_call_the_body_does_not_run(is_plain: bool):
    """What the layer returns counts."""
    ran: list[bool] = []

    async def runs() -> int:
        ran.append(True)
        return 1

    def runs_in_thread() -> int:
        ran.append(True)
        return 1

    async def cached(call: Call, context: StepContext) -> Any:
        return 7

    async with TestOrchestrator(middleware=[around(cached)]) as orchestrator:
        result = await orchestrator.run(flow(runs_in_thread if is_plain else runs)())

    assert (7, []) == (result["only"], ran)


@both_bodies
async def test_what_a_layer_raises_is_how_the_attempt_ends(body: Callable[..., Any]):
    """It is tried again as the step says, and is the cause of the failure."""
    attempts: list[int] = []

    async def refuses(call: Call, context: StepContext) -> Any:
        attempts.append(context.attempt)
        await call()
        raise ConnectionError(f"no {context.attempt} of {context.max_attempts}")

    async with TestOrchestrator(middleware=[around(refuses)]) as orchestrator:
        with pytest.raises(RunFailed, match="no 3 of 3") as caught:
            await orchestrator.run(flow(body, retries=2)())

    assert [1, 2, 3] == attempts
    assert isinstance(caught.value.__cause__, ConnectionError)


@pytest.mark.parametrize(
    ("error", "status", "tries"),
    [
        (Skip("not today"), StepStatus.SKIPPED, 1),
        (NonRetryable("never"), StepStatus.FAILED, 1),
        (RetryAfter(0, "later"), StepStatus.FAILED, 3),
        (SystemExit(3), StepStatus.FAILED, 1),
        (asyncio.CancelledError(), StepStatus.FAILED, 1),
    ],
    ids=lambda value: getattr(type(value), "__name__", ""),
)
async def test_a_layer_steers_the_step(error: BaseException, status: StepStatus, tries: int):
    """By what a body may raise, too."""
    raised: list[int] = []

    async def steers(call: Call, context: StepContext) -> Any:
        raised.append(context.attempt)
        raise error

    async with TestOrchestrator(middleware=[around(steers)]) as orchestrator:
        result = await (await orchestrator.start(flow(async_body, retries=2, required=False)())).wait()

    assert (status, tries) == (result.steps["only"].status, len(raised))


async def test_a_layer_mends_what_the_body_raised():
    """What it returns instead completes the step."""

    async def fails() -> int:
        raise ValueError("no")

    async def falls_back(call: Call, context: StepContext) -> Any:
        try:
            return await call()
        except ValueError:
            return -1

    async with TestOrchestrator(middleware=[around(falls_back)]) as orchestrator:
        assert -1 == (await orchestrator.run(flow(fails)()))["only"]


@workflow
class Undone:
    @step
    async def book(self) -> str:
        return "seat"

    @book.compensate
    def cancel(self, book: str) -> None:
        pass

    @step(depends_on=book)
    async def pay(self) -> None:
        raise ValueError("no money")


async def test_compensations_have_it_around_them_too():
    """The context says which of both it is."""
    notes: list[tuple[str, bool]] = []

    async def sees(call: Call, context: StepContext) -> Any:
        notes.append((context.step, context.compensates))
        return await call()

    async with TestOrchestrator(middleware=[around(sees)]) as orchestrator:
        result = await (await orchestrator.start(Undone())).wait()

    assert "done" == result.compensation
    assert [("book", False), ("pay", False), ("book", True)] == notes


async def test_the_context_is_that_of_the_body():
    """Also `orchwf.current()` is, in the layer and in the body."""
    seen: list[StepContext] = []

    async def sees(call: Call, context: StepContext) -> Any:
        seen.extend([context, orchwf.current()])
        return await call()

    async def sees_itself(ctx: StepContext) -> None:
        seen.extend([ctx, orchwf.current()])

    def sees_itself_in_a_thread(ctx: StepContext) -> None:
        seen.extend([ctx, orchwf.current()])

    async with TestOrchestrator(middleware=[around(sees)]) as orchestrator:
        for body in (sees_itself, sees_itself_in_a_thread):
            await orchestrator.run(flow(body)())
            assert 1 == len({id(each) for each in seen})
            assert 4 == len(seen)
            seen.clear()


async def test_plain_bodies_stay_in_their_threads():
    """The layer runs on the loop, the body does not."""
    threads: dict[str, int] = {}

    async def sees(call: Call, context: StepContext) -> Any:
        threads["layer"] = threading.get_ident()
        return await call()

    def body() -> None:
        threads["body"] = threading.get_ident()

    async with TestOrchestrator(middleware=[around(sees)]) as orchestrator:
        await orchestrator.run(flow(body)())

    assert threading.get_ident() == threads["layer"] != threads["body"]


async def hears() -> str:
    return f"{said.get()}, {heard.get()}"


def hears_in_a_thread() -> str:
    return f"{said.get()}, {heard.get()}"


both_hear = pytest.mark.parametrize("body", [hears, hears_in_a_thread])


@both_hear
async def test_context_variables_reach_the_bodies(body: Callable[..., Any]):
    """Those of whoever called start(), and those that a layer sets, in this attempt alone."""

    async def says(call: Call, context: StepContext) -> Any:
        before = heard.get()
        heard.set(f"{context.step} {before}")
        return await call()

    pair = make_workflow("Pair", {"one": step(body), "two": step(body, depends_on=["one"])})
    async with TestOrchestrator(middleware=[around(says)]) as orchestrator:
        said.set("hello")
        result = await orchestrator.run(pair())

    assert {"one": "hello, one nothing", "two": "hello, two nothing"} == result.outputs
    assert "nothing" == heard.get()


@both_hear
async def test_context_variables_reach_the_bodies_without_middleware(body: Callable[..., Any]):
    """Those of whoever called start()."""
    async with TestOrchestrator() as orchestrator:
        said.set("hello")

        assert "hello, nothing" == (await orchestrator.run(flow(body)()))["only"]


# What a layer cannot break.


async def test_a_layer_that_hangs_is_ended_by_the_timeout():
    """It counts as the body does."""

    async def hangs(call: Call, context: StepContext) -> Any:
        await call()
        await asyncio.Event().wait()

    async with TestOrchestrator(middleware=[around(hangs)]) as orchestrator:
        result = await (await orchestrator.start(flow(async_body, timeout=0.05, retries=1)())).wait()

    assert "StepTimeoutError: step 'only' took longer than its timeout of 0.05 s (attempt 2)" == result.error


async def test_a_layer_that_hangs_is_ended_with_the_run():
    """It gets CancelledError, as a body does."""
    ends: list[str] = []
    under_way = asyncio.Event()

    async def hangs(call: Call, context: StepContext) -> Any:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(context.step)

    async with Orchestrator("memory:", middleware=[around(hangs)]) as orchestrator:
        run = await orchestrator.start(flow(plain_body)())
        await under_way.wait()
        await run.cancel("enough")
        with pytest.raises(RunCancelled):
            await run.result()

    assert ["only"] == ends


async def test_a_layer_that_ignores_its_cancellation_is_closed(monkeypatch: pytest.MonkeyPatch):
    """So it does not keep the run, or the orchestrator, from ending."""
    monkeypatch.setattr(attempt, "_PATIENCE", 0.05)

    async def stays(call: Call, context: StepContext) -> Any:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async with TestOrchestrator(middleware=[around(stays)]) as orchestrator:
        result = await (await orchestrator.start(flow(async_body, timeout=0.05)())).wait()

    assert "StepTimeoutError" in result.error


async def test_a_thread_that_runs_on_is_said_to():
    """Its body cannot be stopped, so what it does outside may still happen; what it returns is dropped."""
    release, began, returned = threading.Event(), threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        release.wait()
        returned.set()
        return "late"

    async def passes(call: Call, context: StepContext) -> Any:
        return await call()

    async with Orchestrator("memory:", middleware=[around(passes)]) as orchestrator:
        run = await orchestrator.start(flow(slow)())
        await asyncio.to_thread(began.wait)
        await run.cancel()
        result = await run.wait()
        log = await log_of(run)
        release.set()
        await asyncio.to_thread(returned.wait)

    assert RunStatus.CANCELLED is result.status
    assert [True] == [event.runs_on for event in log if isinstance(event, ev.StepCancelled)]


@both_bodies
async def test_a_body_that_has_returned_has_had_its_effect(body: Callable[..., Any]):
    """So it is undone, though only the layer around it was stopped before the step had completed."""
    after, undone = asyncio.Event(), list[str]()

    async def lingers(call: Call, context: StepContext) -> Any:
        value = await call()
        if not context.compensates:
            after.set()
            await asyncio.Event().wait()
        return value

    def undo(only: int | None) -> None:
        undone.append("only")

    only = step(body)
    only.compensate(undo)
    async with Orchestrator("memory:", middleware=[around(lingers)]) as orchestrator:
        run = await orchestrator.start(make_workflow("Flow", {"only": only})())
        await after.wait()
        await run.cancel()
        await run.wait()
        log = await log_of(run)

    assert [True] == [event.runs_on for event in log if isinstance(event, ev.StepCancelled)]
    assert ["only"] == undone


@pytest.mark.filterwarnings("ignore:.*sync-timeout")
@both_bodies
async def test_a_body_that_has_returned_is_not_run_again_if_it_runs_at_most_once(body: Callable[..., Any]):
    """The layer took too long; nobody knows whether that is to be done again."""
    tries: list[int] = []

    async def lingers(call: Call, context: StepContext) -> Any:
        tries.append(context.attempt)
        await call()
        await asyncio.Event().wait()

    async with TestOrchestrator(middleware=[around(lingers)]) as orchestrator:
        once = flow(body, delivery="at_most_once", retries=3, timeout=0.05)
        result = await (await orchestrator.start(once())).wait()

    assert [1] == tries
    assert result.status is not RunStatus.COMPLETED


async def test_a_body_that_raised_has_had_no_effect():
    """The layer that is stopped after it tries something else."""
    after = asyncio.Event()

    def fails() -> None:
        raise ValueError("no")

    async def lingers(call: Call, context: StepContext) -> Any:
        try:
            await call()
        except ValueError:
            after.set()
            await asyncio.Event().wait()

    async with Orchestrator("memory:", middleware=[around(lingers)]) as orchestrator:
        run = await orchestrator.start(flow(fails)())
        await after.wait()
        await run.cancel()
        await run.wait()
        log = await log_of(run)

    assert [False] == [event.runs_on for event in log if isinstance(event, ev.StepCancelled)]


def test_a_thread_whose_attempt_was_stopped_before_does_not_begin():
    """It came too late, as all threads were busy."""
    ran: list[bool] = []
    dag = orchwf.compile_workflow(flow(lambda: ran.append(True)))
    late = attempt.Attempt(host=None, node=dag.nodes["only"], step=0, number=1, outputs={})  # type: ignore[arg-type]
    late._wants_end = (Stopped(), None)

    assert late.plain_body() is None
    assert [] == ran


@both_bodies
async def test_a_body_is_called_once_in_an_attempt(body: Callable[..., Any]):
    """The second call is an error that says what to do instead."""

    async def twice(call: Call, context: StepContext) -> Any:
        await call()
        return await call()

    async with TestOrchestrator(middleware=[around(twice)]) as orchestrator:
        result = await (await orchestrator.start(flow(body)())).wait()

    assert "UsageError: call() runs the body of step 'only', and was called a second time" in result.error


async def test_a_body_does_not_begin_when_its_attempt_is_over():
    """Whoever kept the call learns that it is too late."""
    kept: list[Call] = []

    async def keeps(call: Call, context: StepContext) -> Any:
        kept.append(call)

    async with TestOrchestrator(middleware=[around(keeps)]) as orchestrator:
        await orchestrator.run(flow(async_body)())

    with pytest.raises(UsageError, match="this attempt of it is over"):
        kept[0]()


@pytest.mark.parametrize("error", [StopIteration, GeneratorExit, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
async def test_whatever_a_thread_raises_fails_its_step(error: type[BaseException]):
    """And nothing else."""

    def raises() -> None:
        raise error("odd")

    async def passes(call: Call, context: StepContext) -> Any:
        return await call()

    async with TestOrchestrator(middleware=[around(passes)]) as orchestrator:
        result = await (await orchestrator.start(flow(raises)())).wait()

    assert RunStatus.FAILED is result.status
    assert error.__name__ in str(result.steps["only"].error)


@pytest.mark.parametrize("is_plain", [False, True])
async def test_tracebacks_show_the_users_frames_only(is_plain: bool):
    """The layers and the body, and nothing of what lies between."""

    async def fails() -> None:
        raise ValueError("no")

    def fails_in_thread() -> None:
        raise ValueError("no")

    layers = [Layer("a", []), Layer("b", [])]
    async with TestOrchestrator(middleware=layers) as orchestrator:
        run = await orchestrator.start(flow(fails_in_thread if is_plain else fails)())
        with pytest.raises(RunFailed) as caught:
            await run.result()
        error = (await run.steps())["only"].error

    assert caught.value.__cause__ is not None
    names = [frame.name for frame in traceback.extract_tb(caught.value.__cause__.__traceback__)]
    assert ["around_step", "around_step", "fails_in_thread" if is_plain else "fails"] == names
    assert error is not None
    assert "orchwf/runtime" not in error.traceback.replace("tests/runtime", "")
    assert error.location.endswith(f"in {names[-1]}")


async def test_large_arguments_are_read_in_a_thread():
    """With a layer around the body as without one."""

    async def large() -> str:
        return "x" * 300_000

    async def reads(large: str) -> int:
        return len(large)

    pair = make_workflow("Pair", {"large": step(large), "reads": step(reads)})
    async with TestOrchestrator(middleware=[Layer("a", [])]) as orchestrator:
        assert 300_000 == (await orchestrator.run(pair()))["reads"]


def test_a_run_survives_crashes_everywhere():
    """Around coroutines and threads, the layer changes nothing of what is promised."""
    notes: list[str] = []
    flow = make_workflow(
        "Flow", {"one": step(async_body), "two": step(plain_body, depends_on=["one"]), "three": step(hears)}
    )

    report = crash_everywhere(flow(), middleware=[Layer("a", notes), Layer("b", notes)])

    assert len(report.deaths) > 10


@both_bodies
def test_a_dead_process_runs_nothing_of_a_layer(body: Callable[..., Any]):
    """Not even what is `finally` in it: the process is gone."""
    ends: list[bool] = []

    async def tidies(call: Call, context: StepContext) -> Any:
        try:
            return await call()
        finally:
            # What is left of dead processes is closed in the end, outside of all.
            if (life := trials._process.get()) is not None:
                ends.append(life.is_dead)

    crash_everywhere(flow(body)(), middleware=[around(tidies)])

    assert {False} == set(ends)


# What is no middleware.


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (Layer("a", []), "middleware takes a list"),
        ([object()], "has neither"),
        ([Layer], "objects, Layer\\(...\\), not the class Layer"),
        ([type("Plain", (), {"around_step": lambda self, call, context: call()})()], "are async functions"),
        ([type("Plain", (), {"around_run": None})()], "are async functions"),
    ],
)
def test_what_is_no_middleware_is_refused(given: Any, complaint: str):
    """Before anything runs."""
    with pytest.raises(UsageError, match=complaint):
        Orchestrator("memory:", middleware=given)


async def test_without_middleware_nothing_is_around():
    """Nor is anybody told."""
    async with Orchestrator("memory:") as orchestrator:
        engine = orchestrator._runs.engine
        assert engine._around is None
        assert 1 == len(engine._observers)


async def test_retries_wait_as_without_a_layer():
    """Back-offs are between attempts, and so between layers."""
    notes: list[str] = []
    tries: list[int] = []

    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"no {len(tries)}")
        return "yes"

    store = MemoryStore()
    async with TestOrchestrator(store, middleware=[Layer("a", notes)]) as orchestrator:
        await orchestrator.run(flow(flaky, retries=Retry(5, initial="1h", jitter=None))())

    assert ["a > only", "a ! no 1", "a > only", "a ! no 2", "a > only", "a < yes"] == notes
