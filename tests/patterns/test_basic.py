"""The basic control-flow patterns."""

import asyncio
from typing import Literal

import pytest

from orchwf import step, workflow
from orchwf.testing import TestOrchestrator


async def test_wcp_01_sequence():
    """
    Sequence

    A step takes what the one before gives, `def pay(self, order: str = check.result)`, or names it in `depends_on`.
    """

    @workflow
    class Order:
        @step
        def check(self) -> str:
            return "A1"

        @step
        def pay(self, order: str = check.result) -> str:
            return f"paid {order}"

        @step(depends_on=pay)
        def ship(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Order())

    story = orchestrator.recorder.story()
    assert "paid A1" == result[Order.pay]
    assert story.index("step.completed check") < story.index("step.started pay")
    assert story.index("step.completed pay") < story.index("step.started ship")


async def test_wcp_02_parallel_split():
    """
    Parallel Split

    Several steps depend on one. Whatever does not depend on each other runs at the same time.
    """
    meeting = asyncio.Barrier(2)

    @workflow
    class Alarm:
        @step
        def detect(self) -> str:
            return "fire"

        @step
        async def call_brigade(self, what: str = detect.result) -> None:
            await meeting.wait()

        @step
        async def warn_guests(self, what: str = detect.result) -> None:
            await meeting.wait()

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Alarm())

    # Neither could go on without the other.
    assert "completed" == result.status


async def test_wcp_03_synchronization():
    """
    Synchronization

    A step that depends on several waits for all of them: `join="all"`, which is what is meant if nothing is said.
    """

    @workflow
    class Dispatch:
        @step
        async def check_invoice(self) -> str:
            return "invoice"

        @step
        async def pack(self) -> str:
            return "parcel"

        @step
        def ship(self, invoice: str = check_invoice.result, parcel: str = pack.result) -> str:
            return f"{parcel} with {invoice}"

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Dispatch())

    story = orchestrator.recorder.story()
    assert "parcel with invoice" == result[Dispatch.ship]
    assert 1 == orchestrator.recorder.starts(Dispatch.ship)
    assert {"step.completed check_invoice", "step.completed pack"} <= set(story[: story.index("step.started ship")])


@pytest.mark.parametrize(("votes", "runs", "not_run"), [(9, "declare", "recount"), (1, "recount", "declare")])
async def test_wcp_04_exclusive_choice(votes: int, runs: str, not_run: str):
    """
    Exclusive Choice

    Conditions of which one holds: `@step(when=count.is_("clear"))` and `@step(when=count.is_("close"))`.
    """

    @workflow
    class Election:
        votes: int

        @step
        def count(self) -> Literal["clear", "close"]:
            return "clear" if self.votes > 5 else "close"

        @step(when=count.is_("clear"))
        def declare(self) -> None: ...

        @step(when=count.is_("close"))
        def recount(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Election(votes=votes))

    assert "completed" == result.steps[runs].status
    assert "skipped" == result.steps[not_run].status


@pytest.mark.parametrize(("amount", "answer"), [(10, "granted"), (5000, "reviewed")])
async def test_wcp_05_simple_merge(amount: int, answer: str):
    """
    Simple Merge

    `def inform(self, answer: str = (grant | review).result)` takes the output of whichever branch ran.
    """

    @workflow
    class Loan:
        amount: int

        @step(when=lambda self: self.amount < 100)
        def grant(self) -> str:
            return "granted"

        @step(when=lambda self: self.amount >= 100)
        def review(self) -> str:
            return "reviewed"

        @step
        def inform(self, answer: str = (grant | review).result) -> str:
            return answer

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Loan(amount=amount))

    assert answer == result[Loan.inform]
    assert 1 == orchestrator.recorder.starts(Loan.inform)
