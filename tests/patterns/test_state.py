"""The patterns of state: what may happen depends on what has happened, and on what happens now."""

import asyncio
from typing import Any

import pytest

from orchwf import signal, step, workflow
from orchwf.decorators import StepKeywords
from orchwf.testing import TestOrchestrator

needs_mutex = pytest.mark.skipif("mutex" not in StepKeywords.__annotations__, reason="@step takes no mutex yet")


class Room:
    """Counts who is in it at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.visits: list[str] = []

    async def visit(self, name: str) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.visits.append(name)
        # Others would come in now if they could.
        await asyncio.sleep(0.01)
        self.inside -= 1


@workflow
class Invoice:
    """Paid or disputed, whichever comes first."""

    paid = signal(int)
    disputed = signal(str)

    @step(join="first", cancel_rest=True)
    def outcome(self, paid: int | None = paid.maybe, reason: str | None = disputed.maybe) -> str:
        return "disputed" if paid is None else "paid"

    @step(when=outcome.is_("paid"))
    def book(self) -> None: ...

    @step(when=outcome.is_("disputed"))
    def call_customer(self) -> None: ...


@pytest.mark.parametrize(
    ("event", "payload", "chosen", "withdrawn"),
    [(Invoice.paid, 100, "book", "disputed"), (Invoice.disputed, "too much", "call_customer", "paid")],
)
async def test_wcp_16_deferred_choice(event: Any, payload: object, chosen: str, withdrawn: str):
    """
    Deferred Choice

    Signals that a step joins with `join="first", cancel_rest=True`: the world outside chooses, by what it sends first,
    and the other signals are waited for no longer. Branches follow with `when=`.
    """
    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Invoice())
        await run.send(event, payload)
        result = await run.result()

    branches = [name for name in ("book", "call_customer") if result.steps[name].status == "completed"]
    assert [chosen] == branches
    assert "cancelled" == result.steps[withdrawn].status


@needs_mutex
async def test_wcp_17_interleaved_parallel_routing():
    """
    Interleaved Parallel Routing

    Steps with one `mutex="van"` run one at a time, in any order that their dependencies allow.
    """
    room = Room()
    alone: Any = {"mutex": "van"}

    @workflow
    class Dispatch:
        @step(**alone)
        async def pick(self) -> None:
            await room.visit("pick")

        @step(depends_on=pick, **alone)
        async def pack(self) -> None:
            await room.visit("pack")

        @step(**alone)
        async def write_invoice(self) -> None:
            await room.visit("write_invoice")

        @step(depends_on=[pack, write_invoice])
        def ship(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Dispatch())

    assert "completed" == result.status
    assert 1 == room.most
    assert ["pack", "pick", "write_invoice"] == sorted(room.visits)
    assert room.visits.index("pick") < room.visits.index("pack")


@workflow
class Enrolment:
    """A course can be chosen between the enrolment and the beginning of the term."""

    enrolled = signal()
    begun = signal(depends_on=enrolled)
    chosen = signal(str, depends_on=enrolled)

    @step(depends_on=begun, join="first", cancel_rest=True)
    def close(self, course: str | None = chosen.maybe) -> str | None:
        return course

    @step(when=close.where(bool))
    def attend(self, course: str | None = close.result) -> str | None:
        return course


async def test_wcp_18_milestone():
    """
    Milestone

    What may happen only between two states is a signal that depends on the first, raced with the second: `chosen =
    signal(str, depends_on=enrolled)`, and `@step(depends_on=begun, join="first", cancel_rest=True)` takes
    `chosen.maybe`.
    """
    async with TestOrchestrator() as orchestrator:
        early = await orchestrator.start(Enrolment())
        await early.send(Enrolment.chosen, "logic")
        before = (await early.steps())["chosen"].status
        await early.send(Enrolment.enrolled)
        attended = await early.result()

        late = await orchestrator.start(Enrolment())
        await late.send(Enrolment.enrolled)
        await late.send(Enrolment.begun)
        missed = await late.result()

    assert "pending" == before
    assert "logic" == attended[Enrolment.attend]
    # It cannot be chosen any more.
    assert "cancelled" == missed.steps["chosen"].status
    assert "skipped" == missed.steps["attend"].status


@needs_mutex
async def test_wcp_39_critical_section():
    """
    Critical Section

    `@step(mutex="till")`: of all steps with that mutex, of all runs on the store, one runs at a time.
    """
    room = Room()
    alone: Any = {"mutex": "till"}

    @workflow
    class Shift:
        @step(**alone)
        async def pay_out(self) -> None:
            await room.visit("pay_out")

        @step(**alone)
        async def count_cash(self) -> None:
            await room.visit("count_cash")

    async with TestOrchestrator() as orchestrator:
        runs = [await orchestrator.start(Shift()) for _ in range(2)]
        results = [await run.result() for run in runs]

    assert ["completed", "completed"] == [result.status for result in results]
    assert 1 == room.most
    assert 4 == len(room.visits)


@needs_mutex
async def test_wcp_40_interleaved_routing():
    """
    Interleaved Routing

    As 17, with steps that do not depend on each other: each runs once, one at a time, in any order.
    """
    room = Room()
    alone: Any = {"mutex": "bench"}

    @workflow
    class Checks:
        @step(**alone)
        async def oil(self) -> None:
            await room.visit("oil")

        @step(**alone)
        async def brakes(self) -> None:
            await room.visit("brakes")

        @step(**alone)
        async def lights(self) -> None:
            await room.visit("lights")

    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Checks())

    assert 1 == room.most
    assert ["brakes", "lights", "oil"] == sorted(room.visits)
