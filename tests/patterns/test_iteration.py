"""The patterns of iteration."""

from typing import Any

import pytest

from orchwf import ChildResult, DefinitionError, RunFailed, step, subflow, workflow
from orchwf.core.events import StepStarted
from orchwf.testing import TestOrchestrator


def test_wcp_10_arbitrary_cycles():
    """
    Arbitrary Cycles

    Refused on purpose (`cycle`): a graph in which something waits for itself has no order, and could not be resumed
    exactly. What is to run again is a loop (21) or a recursion (22).
    """
    with pytest.raises(DefinitionError) as refused:

        @workflow
        class Draft:
            @step(depends_on="review")
            def write(self) -> None: ...

            @step(depends_on="write")
            def review(self) -> None: ...

    (problem,) = refused.value.problems
    assert "cycle" == problem.code
    assert "write" in problem.message
    assert "review" in problem.message


async def test_wcp_21_structured_loop():
    """
    Structured Loop

    `@step(until=lambda text: text.endswith("."), max_iterations=9)`: the body runs, its output is its next input, until
    the predicate holds. With `when=` it runs only if there is anything to do.
    """

    @workflow
    class Draft:
        begin: str

        @step
        def first(self) -> str:
            return self.begin

        @step(until=lambda text: text.endswith("..."), when=first.where(lambda text: not text.endswith("...")))
        def revise(self, text: str = first.result) -> str:
            return text + "."

        @step
        def print(self, revised: str | None = revise.maybe, first: str = first.result) -> str:
            return revised or first

    @workflow
    class Endless:
        @step
        def zero(self) -> int:
            return 0

        @step(until=lambda number: number < 0, max_iterations=5)
        def count(self, number: int = zero.result) -> int:
            return number + 1

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Draft(begin="so"))
        revised = await run.result()
        starts = [event async for event in run.events() if isinstance(event, StepStarted) and event.step == "revise"]
        ready = await orchestrator.run(Draft(begin="so..."))
        with pytest.raises(RunFailed, match="LoopLimitError: step 'count' did not settle in 5 iterations"):
            await orchestrator.run(Endless())

    assert "so..." == revised[Draft.print]
    assert [0, 1, 2] == [event.item for event in starts]
    assert "skipped" == ready.steps["revise"].status
    assert "so..." == ready[Draft.print]


@workflow
class Factorial:
    """A workflow that starts a run of itself."""

    n: int

    @subflow(when=lambda self: self.n > 1)
    def smaller(self) -> "Factorial":
        return Factorial(n=self.n - 1)

    @step
    def product(self, smaller: ChildResult[Any] | None = smaller.maybe) -> int:
        return self.n * (1 if smaller is None else smaller["product"])


async def test_wcp_22_recursion():
    """
    Recursion

    A `@subflow` that starts a run of its own workflow, with `when=` for the end: `def smaller(self) -> "Factorial"`.
    """
    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Factorial(n=5), run_id="f")
        runs = await orchestrator.list_runs(workflow=Factorial)

    assert 120 == result[Factorial.product]
    assert ["f" + depth * "/smaller" for depth in range(5)] == sorted(run.id for run in runs)
