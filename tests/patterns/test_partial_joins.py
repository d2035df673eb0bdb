"""The joins that do not wait for all: discriminators (the first one is enough) and partial joins (some are)."""

import asyncio

from orchwf import Quorum, step, subflow, workflow
from orchwf.testing import TestOrchestrator


async def test_wcp_09_structured_discriminator():
    """
    Structured Discriminator

    `@step(depends_on=[pulse, breath], join="first")` runs once, after the first; the others run on for nothing.
    """
    treated = asyncio.Event()

    @workflow
    class Arrest:
        @step
        async def breath(self) -> str:
            return "breath"

        @step
        async def pulse(self) -> str:
            await treated.wait()
            return "pulse"

        @step(depends_on=[breath, pulse], join="first")
        async def triage(self) -> None:
            treated.set()

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Arrest())

    story = orchestrator.recorder.story()
    assert "completed" == result.steps["pulse"].status
    assert story.index("step.completed triage") < story.index("step.completed pulse")
    assert 1 == orchestrator.recorder.starts(Arrest.triage)


async def test_wcp_29_cancelling_discriminator():
    """
    Cancelling Discriminator

    `join="first", cancel_rest=True`: the others are stopped.
    """

    @workflow
    class Mirrors:
        @step
        async def near(self) -> str:
            return "near"

        @step
        async def far(self) -> str:
            await asyncio.Event().wait()
            return "far"

        @step(join="first", cancel_rest=True)
        def fetch(self, near: str | None = near.maybe, far: str | None = far.maybe) -> str | None:
            return near or far

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Mirrors())

    assert "near" == result[Mirrors.fetch]
    assert "cancelled" == result.steps["far"].status


async def test_wcp_28_blocking_discriminator():
    """
    Blocking Discriminator

    The discriminator is in a workflow of its own, which `@subflow(max_parallel=1)` starts once for each that comes: its
    run ends when all branches have, and only then the next one begins.
    """
    checked = {"north": asyncio.Event(), "south": asyncio.Event()}
    told: list[str] = []

    @workflow
    class Delegation:
        name: str

        @step
        async def arrive(self) -> None:
            told.append(f"{self.name} arrives")

        @step
        async def be_searched(self) -> None:
            await checked[self.name].wait()
            told.append(f"{self.name} is searched")

        @step(depends_on=[arrive, be_searched], join="first")
        async def check_credentials(self) -> None:
            told.append(f"{self.name} is checked")
            checked[self.name].set()

    @workflow
    class Summit:
        @step
        def delegations(self) -> list[str]:
            return ["north", "south"]

        @subflow(max_parallel=1)
        def receive(self, name: str = delegations.each) -> Delegation:
            return Delegation(name=name)

    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Summit())

    each = ["{} arrives", "{} is checked", "{} is searched"]
    assert [line.format(name) for name in ("north", "south") for line in each] == told


class Desk:
    """Where it is known that the article is out."""

    published = asyncio.Event()


@workflow
class Publishing:
    """Two of three reviews are enough; the third one comes after the article is out."""

    @step
    async def ada(self) -> str:
        return "fine"

    @step
    async def bob(self) -> str:
        return "fine"

    @step
    async def eve(self) -> str:
        await Desk.published.wait()
        return "late"

    @step(depends_on=[ada, bob, eve], join=Quorum(2))
    async def publish(self) -> None:
        Desk.published.set()


async def test_wcp_30_structured_partial_join():
    """
    Structured Partial Join

    `@step(depends_on=[ada, bob, eve], join=Quorum(2))` runs once, after two of three; the third runs on for nothing.
    """
    Desk.published = asyncio.Event()

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Publishing())

    story = orchestrator.recorder.story()
    before = story[: story.index("step.started publish")]
    assert {"step.completed ada", "step.completed bob"} <= set(before)
    assert "completed" == result.steps["eve"].status
    assert story.index("step.completed publish") < story.index("step.completed eve")
    assert 1 == orchestrator.recorder.starts(Publishing.publish)


async def test_wcp_31_blocking_partial_join():
    """
    Blocking Partial Join

    As 28, with `join=Quorum(2)`: the workflow with the join is started once per item by `@subflow(max_parallel=1)`.
    """
    begun: list[str] = []
    Desk.published = asyncio.Event()

    @workflow
    class Issue:
        @step
        def articles(self) -> list[str]:
            return ["one", "two"]

        @subflow(max_parallel=1)
        def publish(self, article: str = articles.each) -> Publishing:
            begun.append(article)
            return Publishing()

        @step(depends_on=publish)
        def print_all(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Issue(), run_id="i")
        await run.result()
        first = [event async for event in (await orchestrator.get("i/publish/0")).events()]
        second = [event async for event in (await orchestrator.get("i/publish/1")).events()]

    assert ["one", "two"] == begun
    # The late review of the first one is in before anything of the second one begins.
    assert first[-1].at <= second[0].at
    order = [event for event in orchestrator.recorder.events if event in (first[-1], second[0])]
    assert ["run.completed", "run.started"] == [event.kind for event in order]


async def test_wcp_32_cancelling_partial_join():
    """
    Cancelling Partial Join

    `join=Quorum(2), cancel_rest=True`: after two of three the third one is stopped.
    """

    @workflow
    class Quotes:
        @step
        async def first(self) -> int:
            return 3

        @step
        async def second(self) -> int:
            return 5

        @step
        async def third(self) -> int:
            await asyncio.Event().wait()
            return 8

        @step(join=Quorum(2), cancel_rest=True)
        def best(self, a: int | None = first.maybe, b: int | None = second.maybe, c: int | None = third.maybe) -> int:
            return min(each for each in (a, b, c) if each is not None)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Quotes())

    assert 3 == result[Quotes.best]
    assert "cancelled" == result.steps["third"].status
