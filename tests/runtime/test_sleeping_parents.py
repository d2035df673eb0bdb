"""Runs that sleep while they wait for those they started."""

import asyncio
from collections.abc import Sequence
from typing import Any

from orchwf import ChildResult, Orchestrator, signal, step, subflow, workflow
from orchwf.core.events import ChildStarted
from orchwf.ports import Append
from orchwf.stores import MemoryStore
from tests.runtime.flows import kinds_of


@workflow
class Factorial:
    """It starts a run of itself for all but the first factor."""

    n: int

    @subflow(when=lambda self: self.n > 1)
    def smaller(self) -> "Factorial":
        return Factorial(n=self.n - 1)

    @step
    def product(self, smaller: ChildResult[Any] | None = smaller.maybe) -> int:
        return self.n * (1 if smaller is None else smaller["product"])


@workflow
class Asking:
    answer = signal(str)


@workflow
class Parent:
    @subflow
    def ask(self) -> Asking:
        return Asking()

    @step
    def heard(self, answer: str = ask[Asking.answer].result) -> str:
        return answer.upper()


class Watched(MemoryStore):
    """Tells which runs went to sleep before the run that they wait for was there."""

    def __init__(self) -> None:
        super().__init__()
        self.deserted: list[str] = []

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        outcomes = await super().append(appends)
        for each in appends:
            if each.summary is not None and each.summary.wake_at is not None:
                started = [event for event in await self.read(each.run_id) if isinstance(event, ChildStarted)]
                self.deserted += [event.child for event in started if await self.get(event.child) is None]
        return outcomes


@workflow
class Grandparent:
    @subflow
    def delegate(self) -> Parent:
        return Parent()

    @step
    def heard(self, answer: str = delegate[Parent.heard].result) -> str:
        return answer + "!"


async def asleep(orchestrator: Orchestrator, count: int) -> None:
    """Return when so many runs sleep."""
    while len([run for run in await orchestrator.list_runs() if run.wake_at is not None]) < count:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.01)


async def test_runs_that_sleep_hear_of_the_end_of_those_they_started():
    """All three of a row sleep; each wakes up once, goes on, and tells the one before."""
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Grandparent(), run_id="g")
        await asleep(orchestrator, 3)
        await (await orchestrator.get("g/delegate/ask")).send(Asking.answer, "yes")
        result = await run.wait(timeout=30)
        kinds = [await kinds_of(await orchestrator.get(name)) for name in ("g", "g/delegate", "g/delegate/ask")]

    assert "YES!" == result[Grandparent.heard]
    assert [1, 1, 1] == [each.count("run.resumed") for each in kinds]


async def test_a_row_of_runs_ends_with_the_last_of_them():
    """Each reads what the one that it started gave, and what that was given by the next one."""
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Factorial(n=5), run_id="f")
        result = await run.wait(timeout=30)

    assert 120 == result[Factorial.product]
    assert 24 == result[Factorial.smaller]["product"]
    assert ("f/smaller/smaller", 6) == inner_of(result[Factorial.smaller])


def inner_of(result: ChildResult[Factorial]) -> tuple[str, int]:
    inner: ChildResult[Factorial] = result["smaller"]
    return inner.run_id, inner["product"]


async def test_a_run_does_not_sleep_before_the_one_it_started_is_there():
    """Else a crash between the two would leave it asleep for ever: nobody would start the other one."""
    store = Watched()

    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(Factorial(n=4))).wait(timeout=30)

    assert [] == store.deserted
