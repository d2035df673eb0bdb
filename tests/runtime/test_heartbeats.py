"""What a body tells of its progress: to the log, to the next attempt, and to nobody for too long."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import orchwf
from orchwf import EncodingError, Orchestrator, Retry, StepContext, StepTimeoutError, make_workflow, step
from orchwf.core.codec import Codec
from orchwf.core.events import StepHeartbeat
from orchwf.runtime.heart import Heart
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.runtime.flows import Gate, log_of


def told(log: list[Any]) -> list[str]:
    return [event.progress for event in log if isinstance(event, StepHeartbeat)]


@pytest.mark.parametrize("plain", [True, False])
async def test_the_next_attempt_knows_how_far_the_last_one_came(plain: bool):
    """Of all that it told within a second the first and the last are stored."""
    seen: list[Any] = []

    def count(ctx: StepContext) -> None:
        seen.append(ctx.last_heartbeat)
        for row in range(100):
            ctx.heartbeat({"row": row})
        if ctx.attempt == 1:
            raise ValueError

    async def count_on_the_loop(ctx: StepContext) -> None:
        count(ctx)

    body = count if plain else count_on_the_loop
    flow = make_workflow("Counts", {"count": step(retries=Retry(1, initial=0))(body)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.result()
        log = await log_of(run)

    assert [None, {"row": 99}] == seen
    assert '{"row":99}' == told(log)[-1]
    assert len(told(log)) <= 4
    assert result.steps["count"].progress is None


async def test_a_resumed_run_knows_it_too():
    """From the log, in another orchestrator."""
    gate, store, seen = Gate(), MemoryStore(), []

    async def counts(ctx: StepContext) -> None:
        seen.append(ctx.last_heartbeat)
        ctx.heartbeat(ctx.attempt)
        await gate.pass_through()

    flow = make_workflow("Counts", {"counts": counts})
    async with Orchestrator(store, grace=0) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        async for event in run.events(follow=True):
            if isinstance(event, StepHeartbeat):
                break
    gate.open()
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.get("r")).result()

    assert [None, 1] == seen


async def test_a_sign_of_life_keeps_the_progress_that_was_told():
    """One without progress says only that."""
    seen: list[Any] = []

    def lives() -> None:
        context = orchwf.current()
        context.heartbeat(7)
        context.heartbeat()
        seen.append(context.last_heartbeat)

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Lives", {"lives": lives})())
        await run.result()
        log = await log_of(run)

    assert [7] == seen
    assert {"7"} == set(told(log))


async def test_progress_that_cannot_be_stored_is_an_error_of_the_body():
    """Where it is told; the one before stays."""
    caught: list[Exception] = []

    def tells(ctx: StepContext) -> None:
        ctx.heartbeat(1)
        try:
            ctx.heartbeat(threading.Lock())
        except EncodingError as error:
            caught.append(error)
        assert ctx.last_heartbeat == 1

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(make_workflow("Tells", {"tells": tells})())

    assert 1 == len(caught)


async def test_a_body_that_gives_no_heartbeat_is_ended():
    """As by a time-out, which may be tried again."""
    gate, attempts = Gate(), []

    async def stands_still(ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            await gate.pass_through()

    flow = make_workflow("Stands", {"still": step(heartbeat_timeout=0.01, retries=Retry(1, initial=0))(stands_still)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.result()

    error = result.steps["still"].attempts[0].error
    assert error is not None
    assert "StepTimeoutError: step 'still' gave no heartbeat for 0.01 s (attempt 1)" == error.headline
    assert [1, 2] == attempts
    assert issubclass(StepTimeoutError, TimeoutError)


def test_a_context_made_by_hand_keeps_what_it_is_told():
    """So that a body can be tested by itself."""
    context = StepContext()

    context.heartbeat(3)
    context.heartbeat()

    assert 3 == context.last_heartbeat


async def test_one_a_second_is_stored_and_the_last_one_when_the_attempt_ends():
    """However many there are."""
    first, second = Gate(), Gate()

    async def beats(ctx: StepContext) -> None:
        ctx.heartbeat(1)
        await first.pass_through()
        for n in (2, 3):
            ctx.heartbeat(n)
        await second.pass_through()
        ctx.heartbeat(4)

    async with TestOrchestrator(clock=FakeClock()) as orchestrator:
        run = await orchestrator.start(make_workflow("Beats", [step(beats)])())
        await first.came.get()
        first.open()
        await second.came.get()
        await orchestrator.clock.advance(0.9)
        within = told(await log_of(run))
        await orchestrator.clock.advance(0.1)
        after = told(await log_of(run))
        second.open()
        await run.result()

        assert (["1"], ["1", "3"], ["1", "3", "4"]) == (within, after, told(await log_of(run)))


# The pace at which heartbeats are passed on, with a clock of the test's.


class Bench:
    """A heart and its surroundings."""

    def __init__(self, limit: float | None = None) -> None:
        self.written: list[str] = []
        self.stopped: list[bool] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.heart = Heart(
            limit=limit, codec=Codec(), later=self.later, soon=lambda call: call(), write=self.written.append,
            stopped=lambda: self.stopped.append(True),
        )  # fmt: skip

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        entry = (seconds, call)
        self.timers.append(entry)
        return lambda: self.timers.remove(entry) if entry in self.timers else None

    def fire(self, seconds: float) -> None:
        due = [entry for entry in self.timers if entry[0] == seconds]
        for entry in due:
            self.timers.remove(entry)
            entry[1]()


def test_one_a_second_is_passed_on():
    """The first at once, then the last of each second; nothing while nothing is told."""
    bench = Bench()

    for number in range(5):
        bench.heart.beat(number)
    assert ["0"] == bench.written
    bench.fire(1.0)
    assert ["0", "4"] == bench.written
    bench.fire(1.0)
    assert ([], ["0", "4"]) == (bench.timers, bench.written)
    bench.heart.beat(9)
    assert ["0", "4", "9"] == bench.written


def test_what_is_left_is_there_for_who_ends_the_attempt():
    """And after that nothing is passed on."""
    bench = Bench()
    bench.heart.beat(1)
    bench.heart.beat(2)

    bench.heart.stop()
    bench.heart.beat(3)

    assert (["1"], "3") == (bench.written, bench.heart.unwritten)
    assert [] == bench.timers


def test_each_heartbeat_starts_the_limit_anew():
    """And the end of the attempt ends it."""
    bench = Bench(limit=30.0)
    bench.heart.start()
    bench.heart.beat(1)
    assert [30.0, 1.0] == [seconds for seconds, _ in bench.timers]

    bench.fire(30.0)
    assert [True] == bench.stopped

    bench.heart.start()
    bench.heart.stop()
    assert [] == bench.timers


def test_a_heartbeat_that_is_noticed_after_the_end_is_dropped():
    """It was on its way from its thread."""
    calls: list[Callable[[], None]] = []
    bench = Bench()
    bench.heart.soon = calls.append
    bench.heart.beat(1)

    bench.heart.stop()
    calls[0]()

    assert [] == bench.written


async def test_heartbeats_need_no_loop_of_their_own():
    """They are told from any thread."""
    gate = Gate()
    loop = asyncio.get_running_loop()

    def body(ctx: StepContext) -> None:
        thread = threading.Thread(target=ctx.heartbeat, args=("from another thread",))
        thread.start()
        thread.join()
        loop.call_soon_threadsafe(gate.came.put_nowait, "")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Threads", {"body": body})())
        await run.result()
        log = await log_of(run)

    assert '"from another thread"' in told(log)
