"""The patterns of advanced branching: choices of several branches, and how these come together again."""

import asyncio

import pytest

from orchwf import DefinitionError, signal, step, workflow
from orchwf.core.events import StepCompleted
from orchwf.testing import TestOrchestrator


@workflow
class Emergency:
    """Any number of branches run, and one step comes after those that do."""

    call: frozenset[str]

    @step
    def ask(self) -> frozenset[str]:
        return self.call

    @step(when=ask.contains("fire"))
    def brigade(self) -> str:
        return "brigade"

    @step(when=ask.contains("injury"))
    def ambulance(self) -> str:
        return "ambulance"

    @step(when=ask.contains("crime"))
    def police(self) -> str:
        return "police"

    @step
    def close(
        self,
        brigade: str | None = brigade.maybe,
        ambulance: str | None = ambulance.maybe,
        police: str | None = police.maybe,
    ) -> list[str]:
        return [each for each in (brigade, ambulance, police) if each is not None]


async def test_wcp_06_multi_choice():
    """
    Multi-Choice

    Conditions of which any number hold: `@step(when=ask.contains("fire"))`, `@step(when=ask.contains("injury"))`.
    """
    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Emergency(call=frozenset({"fire", "injury"})))

    assert {"brigade", "ambulance"} <= set(result.outputs)
    assert "skipped" == result.steps["police"].status


@pytest.mark.parametrize("call", [{"fire"}, {"fire", "injury"}, {"fire", "injury", "crime"}, set()])
async def test_wcp_07_structured_synchronizing_merge(call: set[str]):
    """
    Structured Synchronizing Merge

    `def close(self, a: str | None = brigade.maybe, b: str | None = ambulance.maybe)` waits for the branches that run,
    and not for those that were skipped.
    """
    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Emergency(call=frozenset(call)))

    story = orchestrator.recorder.story()
    before = set(story[: story.index("step.started close")])
    assert len(call) == len(result[Emergency.close])
    assert {f"step.completed {name}" for name in result[Emergency.close]} <= before
    assert 1 == orchestrator.recorder.starts(Emergency.close)


async def test_wcp_08_multi_merge():
    """
    Multi-Merge

    The branches are items of one step, and what follows the merge takes them one by one: `def inspect(self, done: str =
    branch.each)` runs once for each branch, as soon as that is done.
    """
    poured = asyncio.Event()
    inspected: list[str] = []

    @workflow
    class Foundation:
        @step
        def choose(self) -> list[str]:
            return ["dig", "pour"]

        @step
        async def branch(self, task: str = choose.each) -> str:
            match task:
                case "dig":
                    await poured.wait()
                    return "hole"
                case _:
                    return "concrete"

        @step
        async def inspect(self, done: str = branch.each) -> None:
            inspected.append(done)
            poured.set()

    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Foundation())

    # The first inspection was over before the other branch was done.
    assert ["concrete", "hole"] == inspected


async def test_wcp_37_local_synchronizing_merge():
    """
    Local Synchronizing Merge

    As 7, and splits and merges need not match: a skip goes along all edges, so that `.maybe` of a branch is told by
    what stands right before it whether anything is to come. (The report of 2006 calls it the acyclic one.)
    """

    @workflow
    class Claim:
        @step
        def register(self) -> list[str]:
            return ["assess", "letter"]

        @step(when=register.contains("assess"))
        def assess(self) -> str:
            return "assessed"

        @step(when=register.contains("expert"))
        def expert(self) -> str:
            return "opinion"

        @step(depends_on=[assess, expert])
        def compare(self) -> str:
            return "compared"

        @step(when=register.contains("letter"))
        def letter(self) -> str:
            return "letter"

        # It merges branches of two splits, one of which came to nothing two steps before.
        @step
        def file(
            self,
            assessed: str = assess.result,
            compared: str | None = compare.maybe,
            letter: str | None = letter.maybe,
        ) -> list[str | None]:
            return [assessed, compared, letter]

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Claim())

    assert ["assessed", None, "letter"] == result[Claim.file]
    assert "skipped" == result.steps["compare"].status
    assert 1 == orchestrator.recorder.starts(Claim.file)


async def test_wcp_38_general_synchronizing_merge():
    """
    General Synchronizing Merge

    As 37, with loops and waits before it: the merge runs as soon as no branch can come any more, since each of them,
    whatever it waits for, ends or is skipped in the end.
    """

    @workflow
    class Treatment:
        ward = signal(str)

        @step
        def examine(self) -> int:
            return 0

        @step(until=lambda dose: dose >= 3)
        def medicate(self, dose: int = examine.result) -> int:
            return dose + 1

        @step(when=ward.is_("surgery"))
        def operate(self) -> str:
            return "operated"

        @step
        def recover(self, operation: str = operate.result) -> str:
            return f"recovered, {operation}"

        @step
        def discharge(self, dose: int = medicate.result, recovered: str | None = recover.maybe) -> tuple[int, bool]:
            return dose, recovered is not None

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Treatment())
        async for event in run.events(follow=True):
            if isinstance(event, StepCompleted) and event.step == "medicate" and event.item is None:
                break
        still_open = (await run.steps())["discharge"].status
        await run.send(Treatment.ward, "observation")
        result = await run.result()

    # As long as somebody might send the patient to surgery, the branch might come.
    assert "pending" == still_open
    assert (3, False) == result[Treatment.discharge]


async def test_wcp_33_generalized_and_join():
    """
    Generalized AND-Join

    Refused on purpose (`mapped-result`): a join that fires again and again, whenever each of its branches has delivered
    once more. A step runs once, or once per item of one source; which deliveries of several belong together is for a
    step to say that returns the pairs, such as `list(zip(engines, bodies))`, and then `pairs.each`.
    """
    with pytest.raises(DefinitionError) as refused:

        @workflow
        class Refused:
            @step
            def engines(self) -> list[str]:
                return []

            @step
            def bodies(self) -> list[str]:
                return []

            @step
            def assemble(self, engine: str = engines.each, body: str = bodies.each) -> str:
                return f"{engine} in {body}"

    @workflow
    class Factory:
        @step
        def engines(self) -> list[str]:
            return ["engine 1", "engine 2"]

        @step
        def bodies(self) -> list[str]:
            return ["body 1", "body 2", "body 3"]

        @step
        def pairs(self, engines: list[str], bodies: list[str]) -> list[tuple[str, str]]:
            return list(zip(engines, bodies, strict=False))

        @step
        def assemble(self, pair: tuple[str, str] = pairs.each) -> str:
            return " in ".join(pair)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Factory())

    (problem,) = refused.value.problems
    assert "mapped-result" == problem.code
    assert "takes items that do not belong together: those of 'bodies' and 'engines'" in problem.message
    assert ["engine 1 in body 1", "engine 2 in body 2"] == result["assemble"]
