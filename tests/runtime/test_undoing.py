"""Runs that are undone: bodies of compensations, what they are given, and what becomes of them."""

import asyncio
import threading
from typing import Any

import pytest

from orchwf import (
    NotResumableError,
    Orchestrator,
    RecordedError,
    Retry,
    RunCancelled,
    RunFailed,
    StepContext,
    make_workflow,
    step,
    workflow,
)
from orchwf.runtime.attempt import Attempt
from orchwf.stores import MemoryStore
from tests.runtime.flows import Gate, kinds_of


class World:
    """What was done outside, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.broken: set[str] = set()


WORLD = World()


@pytest.fixture(autouse=True)
def world() -> World:
    WORLD.__init__()  # type: ignore[misc]
    return WORLD


@workflow
class Trip:
    """The hotel by a coroutine, the flight by a thread; paying fails."""

    user: str = "ann"

    @step
    async def hotel(self) -> dict[str, str]:
        WORLD.done.append("hotel")
        return {"code": "H"}

    @hotel.compensate
    async def cancel_hotel(self, booking: dict[str, str], user: str) -> None:
        WORLD.done.append(f"undo hotel {booking['code']} for {user}")

    @step(depends_on=[hotel])
    def flight(self) -> str:
        WORLD.done.append("flight")
        return "F"

    @flight.compensate(retries=Retry(1, initial=0))
    def cancel_flight(self, flight: str, ctx: StepContext) -> None:
        WORLD.done.append(f"undo flight {flight} {ctx.attempt}/{ctx.max_attempts} {ctx.idempotency_key}")
        if "flight" in WORLD.broken or (ctx.attempt == 1 and "flight once" in WORLD.broken):
            raise ConnectionError("the airline is closed")

    @step(depends_on=[flight])
    def pay(self) -> None:
        if "pay" in WORLD.broken:
            raise ValueError("no money")


async def test_a_failed_run_is_undone(world: World):
    """In reverse order, each with what its step returned, inputs by name, and a key of its own."""
    world.broken = {"pay", "flight once"}

    async with Orchestrator("memory:") as orchestrator:
        result = await (await orchestrator.start(Trip(), run_id="t")).wait()

    assert [
        "hotel", "flight", "undo flight F 1/2 t/flight/compensation", "undo flight F 2/2 t/flight/compensation",
        "undo hotel H for ann",
    ] == world.done  # fmt: skip
    assert ("failed", "done") == (result.status, result.compensation)
    undoing = result.steps["flight"].compensation
    assert undoing is not None
    assert ("completed", 2) == (undoing.status, len(undoing.attempts))


async def test_a_run_that_goes_well_is_not_undone(world: World):
    """There is nothing to undo."""
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Trip())

    assert (["hotel", "flight"], "") == (world.done, result.compensation)


async def test_all_errors_come_in_one_report(world: World):
    """What failed the run, and what could not be undone; also to a process that did not run it."""
    world.broken = {"pay", "flight"}
    store = MemoryStore()

    async with Orchestrator(store) as orchestrator:
        run = await orchestrator.start(Trip(), run_id="t")
        with pytest.raises(RunFailed) as caught:
            await run.result()
    async with Orchestrator(store) as stranger:
        with pytest.raises(RunFailed) as told:
            await (await stranger.get("t")).result()

    group = caught.value.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert ["no money", "the airline is closed"] == [str(error) for error in group.exceptions]
    assert ["step 'flight' could not be undone"] == group.exceptions[1].__notes__
    recorded = told.value.__cause__
    assert isinstance(recorded, BaseExceptionGroup)
    assert {RecordedError} == {type(error) for error in recorded.exceptions}
    assert "undo hotel H for ann" == world.done[-1]


async def test_what_could_not_be_undone_is_tried_again_by_hand(world: World):
    """And nothing else; then there is nothing to resume any more."""
    world.broken = {"pay", "flight"}
    async with Orchestrator("memory:", workflows=[Trip]) as orchestrator:
        await (await orchestrator.start(Trip(), run_id="t")).wait()
        world.done.clear()
        world.broken = set()

        run = await orchestrator.resume("t")
        result = await run.wait()
        with pytest.raises(NotResumableError, match="run 't' is failed, and what it did is undone"):
            await orchestrator.resume("t")

    assert ["undo flight F 3/4 t/flight/compensation"] == world.done
    assert ("failed", "done") == (result.status, result.compensation)


async def test_a_cancelled_run_is_undone():
    """What kept it from that is the cause of its error."""
    gate = Gate()

    async def waits() -> None:
        await gate.pass_through()

    def breaks(output: int) -> None:
        raise ConnectionError("closed")

    booked = step(lambda: 1, name="book")
    booked.compensate(breaks)
    flow = make_workflow("Trip", [booked, step(depends_on=["book"])(waits)])
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow(), run_id="t")
        await gate.came.get()
        await run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough") as caught:
            await run.result()
        result = await run.wait()

    assert isinstance(caught.value.__cause__, ConnectionError)
    assert ("cancelled", "failed") == (result.status, result.compensation)


async def test_a_cancelled_run_without_effects_cannot_be_resumed():
    """It was wanted so."""
    gate = Gate()

    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [step(waits)])(), run_id="t")
        await gate.came.get()
        await run.cancel()
        await run.wait()

        with pytest.raises(NotResumableError, match="run 't' is cancelled"):
            await orchestrator.resume("t")

        assert (await run.wait()).status == "cancelled"


async def test_a_thread_that_timed_out_is_undone_without_its_output():
    """It may yet have its effect; what it returns afterwards changes nothing."""
    go_on, ended, given = threading.Event(), threading.Event(), []

    def slow() -> int:
        go_on.wait(30)
        ended.set()
        return 1

    def undo(output: int | None) -> None:
        given.append(output)

    booked = step(slow, name="book", timeout=0.01)
    booked.compensate(undo)
    with pytest.warns(match="sync-timeout"):
        flow = make_workflow("Trip", [booked])
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.wait()
        go_on.set()
        ended.wait(30)
        kinds = await kinds_of(run)

    assert [None] == given
    assert ("failed", "done") == (result.status, result.compensation)
    assert [
        "run.started", "step.started book", "step.failed book", "compensation.started book",
        "compensation.completed book", "run.failed",
    ] == kinds  # fmt: skip


async def test_a_compensation_that_takes_too_long_has_failed():
    """By its own time-out."""
    gate = Gate()

    async def undo(output: int) -> None:
        await gate.pass_through()

    booked = step(lambda: 1, name="book")
    booked.compensate(timeout=0.01)(undo)
    flow = make_workflow("Trip", [booked, step(depends_on=["book"], name="bad")(lambda: 1 / 0)])

    async with Orchestrator("memory:") as orchestrator:
        result = await (await orchestrator.start(flow())).wait()

    undoing = result.steps["book"].compensation
    assert undoing is not None
    assert undoing.error is not None
    assert "StepTimeoutError: step 'book' took longer than its timeout of 0.01 s" in undoing.error.headline


async def test_a_crash_in_a_compensation_resumes_the_rest(world: World):
    """Another orchestrator goes on with the one that was in flight."""
    world.broken = {"pay"}
    store, gate = MemoryStore(), Gate()
    undone = []

    async def first() -> int:
        return 1

    async def undo_first(output: int) -> None:
        undone.append(f"first {output}")

    async def undo_second(output: int) -> None:
        undone.append(f"second {output}")
        await gate.pass_through()

    one, two = step(first, name="one"), step(depends_on=["one"], name="two")(first)
    one.compensate(undo_first)
    two.compensate(undo_second)
    flow = make_workflow("Trip", [one, two, step(depends_on=["two"], name="bad")(lambda: 1 / 0)])
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="t")
        await gate.came.get()
    gate.open()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("t")).wait()

    assert ["second 1", "second 1", "first 1"] == undone
    assert ("failed", "done") == (result.status, result.compensation)


async def test_a_body_whose_output_is_being_encoded_has_completed(monkeypatch: pytest.MonkeyPatch):
    """A large output is encoded on a thread. Who cancels meanwhile comes too late for the step: it is undone."""
    began, go, undone = threading.Event(), threading.Event(), []
    encode = Attempt._returned

    def slowly(self: Attempt, value: object) -> Any:
        began.set()
        go.wait(10)
        return encode(self, value)

    monkeypatch.setattr(Attempt, "_returned", slowly)

    async def charge() -> list[int]:
        return list(range(3_000))

    def refund(charge: list[int]) -> None:
        undone.append(len(charge))

    async def ship(charge: list[int]) -> None:
        pass

    charging = step(charge)
    charging.compensate(refund)
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Charges", {"charge": charging, "ship": ship})())
        await asyncio.to_thread(began.wait, 10)
        await run.cancel("enough")
        async for event in run.events(follow=True):
            if event.kind == "signal.received":
                break
        go.set()
        result = await run.wait()

    assert ("cancelled", "completed", [3_000]) == (result.status, result.steps["charge"].status, undone)
