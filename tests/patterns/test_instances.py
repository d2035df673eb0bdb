"""The patterns of multiple instances: the same task several times in one run."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from orchwf import Skip, step, workflow
from orchwf.core.events import StepCompleted
from orchwf.testing import TestOrchestrator


async def test_wcp_12_multiple_instances_without_synchronization():
    """
    Multiple Instances without Synchronization

    `def notify(self, guest: str = guests.each)` runs once per item, and nothing depends on it: nobody waits for it but
    the end of the run.
    """
    opened = asyncio.Event()
    told: list[str] = []

    @workflow
    class Party:
        @step
        def guests(self) -> list[str]:
            return ["ada", "bob", "eve"]

        @step
        async def notify(self, guest: str = guests.each) -> None:
            await opened.wait()
            told.append(guest)

        @step(depends_on=guests)
        async def open_doors(self) -> None:
            opened.set()

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Party())

    # The doors were open before any of the three was done.
    assert "completed" == result.steps["open_doors"].status
    assert ["ada", "bob", "eve"] == sorted(told)


async def test_wcp_13_multiple_instances_with_a_priori_design_time_knowledge():
    """
    Multiple Instances with a Priori Design-Time Knowledge

    `.each` of a step that returns a list of known length; what takes `.all` waits for all of them.
    """

    @workflow
    class Reviews:
        @step
        def reviewers(self) -> list[str]:
            return ["ada", "bob", "eve"]

        @step
        def review(self, reviewer: str = reviewers.each) -> str:
            return f"{reviewer}: fine"

        @step
        def decide(self, reviews: list[str] = review.all) -> int:
            return len(reviews)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Reviews())

    story = orchestrator.recorder.story()
    assert 3 == result[Reviews.decide]
    # The three of them, and the step that they make up.
    assert 4 == story[: story.index("step.started decide")].count("step.completed review")


async def test_wcp_14_multiple_instances_with_a_priori_run_time_knowledge():
    """
    Multiple Instances with a Priori Run-Time Knowledge

    As 13: how many there are is known when the step before has returned its list, and `range(n)` is one.
    """

    @workflow
    class Engines:
        aircraft: str

        @step
        def count(self) -> list[int]:
            return list(range({"twin": 2, "jumbo": 4}[self.aircraft]))

        @step
        def inspect(self, number: int = count.each) -> str:
            return f"engine {number} is fine"

        @step
        def clear(self, inspected: list[str] = inspect.all) -> int:
            return len(inspected)

    async with TestOrchestrator() as orchestrator:
        twin = await orchestrator.run(Engines(aircraft="twin"))
        jumbo = await orchestrator.run(Engines(aircraft="jumbo"))

    assert (2, 4) == (twin[Engines.clear], jumbo[Engines.clear])


async def test_wcp_15_multiple_instances_without_a_priori_run_time_knowledge():
    """
    Multiple Instances without a Priori Run-Time Knowledge

    The step before is a generator: each `yield` is one more instance, also while others are at work or done; what takes
    `.all` waits until there are no more.
    """
    dug = asyncio.Event()

    @workflow
    class Rig:
        @step
        async def parts(self) -> AsyncIterator[str]:
            yield "derrick"
            await dug.wait()
            yield "one more, as the ground is soft"

        @step
        async def deliver(self, part: str = parts.each) -> str:
            dug.set()
            return part

        @step
        def erect(self, delivered: list[str] = deliver.all) -> int:
            return len(delivered)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Rig())

    story = orchestrator.recorder.story()
    given = [place for place, line in enumerate(story) if line == "step.completed parts"]
    assert 2 == result[Rig.erect]
    # The second was asked for when the first one was at work.
    assert given[0] < story.index("step.started deliver") < given[1]


async def test_wcp_34_static_partial_join_for_multiple_instances():
    """
    Static Partial Join for Multiple Instances

    A step that counts follows the instances one by one: `@step(need=2)` with `vote: str = ask.each`. It completes with
    the second one, and what takes `count.all` goes on; the other instances of `ask` run on for nothing.
    """
    counted = asyncio.Event()
    told: list[str] = []

    @workflow
    class Board:
        @step
        def members(self) -> list[str]:
            return ["ada", "bob", "eve"]

        @step
        async def ask(self, member: str = members.each) -> str:
            if member == "bob":
                await counted.wait()
            told.append(member)
            return member

        @step(need=2)
        async def count(self, vote: str = ask.each) -> str:
            return vote

        @step
        async def resolve(self, votes: Sequence[str | None] = count.all) -> list[str | None]:
            counted.set()
            return list(votes)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Board())

    assert ["ada", None, "eve"] == result[Board.resolve]
    assert ["ada", "eve", "bob"] == told
    assert 1 == orchestrator.recorder.starts(Board.resolve)


async def test_wcp_35_cancelling_partial_join_for_multiple_instances():
    """
    Cancelling Partial Join for Multiple Instances

    `@step(need=2)` on the instances themselves: with the second result the others are stopped.
    """
    stopped: list[str] = []

    @workflow
    class Board:
        @step
        def members(self) -> list[str]:
            return ["ada", "bob", "eve"]

        @step(need=2)
        async def ask(self, member: str = members.each) -> str:
            if member == "bob":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    stopped.append(member)
                    raise
            return member

        @step
        def resolve(self, votes: Sequence[str | None] = ask.all) -> list[str | None]:
            return list(votes)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Board())

    assert ["ada", None, "eve"] == result[Board.resolve]
    assert ["bob"] == stopped


async def test_wcp_36_dynamic_partial_join_for_multiple_instances():
    """
    Dynamic Partial Join for Multiple Instances

    A generator gives instances as it likes; a step with `need=1` follows them one by one, decides by any code whether
    that is enough now, and raises `Skip` if it is not. What takes its `.all` goes on with the first that is enough, and
    the other instances run on for nothing. What that code has to know of those before, and the generator of whether
    more are wanted, is kept outside the run.
    """
    chosen = asyncio.Event()
    offered: list[int] = []

    @workflow
    class Sale:
        @step
        async def bidders(self) -> AsyncIterator[int]:
            yield 50
            yield 70
            yield 120
            await chosen.wait()
            if not chosen.is_set():
                yield 130

        @step
        async def bid(self, amount: int = bidders.each) -> int:
            if amount == 70:
                await chosen.wait()
            return amount

        @step(need=1)
        async def is_enough(self, amount: int = bid.each) -> int:
            offered.append(amount)
            if amount < 100:
                raise Skip("too little")
            return amount

        @step
        async def sell(self, bids: Sequence[int | None] = is_enough.all) -> int:
            chosen.set()
            return next(bid for bid in bids if bid is not None)

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Sale())
        result = await run.result()
        bids = [event async for event in run.events() if isinstance(event, StepCompleted) and event.step == "bid"]

    assert 120 == result[Sale.sell]
    assert [50, 120] == offered
    # One more came later, and changed nothing.
    assert [0, 2, 1] == [event.item for event in bids if event.item is not None]
    assert 1 == orchestrator.recorder.starts(Sale.sell)
