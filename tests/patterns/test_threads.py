"""The patterns of threads: a branch that becomes several of the same kind, and these that become one."""

import asyncio

from orchwf import step, workflow
from orchwf.testing import TestOrchestrator


async def test_wcp_41_thread_merge():
    """
    Thread Merge

    `def sum_up(self, counts: list[int] = count.all)` is one step after the many threads of `count`.
    """

    @workflow
    class Stocktaking:
        @step
        def shelves(self) -> list[str]:
            return ["a", "bb", "ccc"]

        @step
        def count(self, shelf: str = shelves.each) -> int:
            return len(shelf)

        @step
        def sum_up(self, counts: list[int] = count.all) -> int:
            return sum(counts)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Stocktaking())

    assert 6 == result[Stocktaking.sum_up]
    assert 1 == orchestrator.recorder.starts(Stocktaking.sum_up)


async def test_wcp_42_thread_split():
    """
    Thread Split

    One step gives as many values as there are to be threads, `range(3)`, and the next one takes each: `.each`.
    """
    meeting = asyncio.Barrier(3)

    @workflow
    class Questionnaire:
        @step
        def copies(self) -> list[int]:
            return list(range(3))

        @step
        async def fill_in(self, copy: int = copies.each) -> int:
            await meeting.wait()
            return copy

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Questionnaire())

    # All three were under way at once.
    assert [0, 1, 2] == result["fill_in"]
