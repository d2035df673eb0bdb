"""The patterns of termination, and of triggers from outside."""

import asyncio
from typing import Any

from orchwf import Finish, RunHandle, signal, step, workflow
from orchwf.testing import FakeClock, TestOrchestrator


async def test_wcp_11_implicit_termination():
    """
    Implicit Termination

    There is no last step: the run completes when nothing is left to do, whatever came last.
    """
    late = asyncio.Event()

    @workflow
    class Errands:
        @step
        async def shop(self) -> None:
            await late.wait()

        @step
        async def post(self) -> None: ...

        @step(depends_on=post)
        async def stroll(self) -> None:
            late.set()

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Errands())

    assert "completed" == result.status
    assert ["step.completed shop", "run.completed"] == orchestrator.recorder.story()[-2:]


async def test_wcp_43_explicit_termination():
    """
    Explicit Termination

    `raise Finish(output)` completes the step and the run at once; whatever is left is cancelled.
    """
    stopped: list[str] = []
    under_way = asyncio.Event()

    @workflow
    class Search:
        @step
        async def attic(self) -> str:
            await under_way.wait()
            raise Finish("found in the attic")

        @step
        async def cellar(self) -> str:
            under_way.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append("cellar")
            return "found in the cellar"

        @step
        def garden(self, cellar: str = cellar.result) -> None: ...

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(Search())

    assert "completed" == result.status
    assert "found in the attic" == result[Search.attic]
    assert ["cellar"] == stopped
    assert {"cancelled"} == {result.steps[name].status for name in ("cellar", "garden")}


@workflow
class Door:
    """Somebody who takes an hour to come to the hall, and then listens for one more."""

    rung = signal(str, timeout="1h", default="nobody", depends_on="come")

    @step
    async def come(self) -> None:
        await Hall.reached.wait()

    @step
    def open(self, who: str = rung.result) -> str:
        return who


class Hall:
    """Where the bell can be heard."""

    reached = asyncio.Event()


async def is_waiting(run: RunHandle[Any], name: str) -> bool:
    return (await run.steps())[name].status == "waiting"


async def ring(run: RunHandle[Any], who: str) -> None:
    """Ring a bell that only those hear who listen."""
    if await is_waiting(run, "rung"):
        await run.send(Door.rung, who)


async def until_it_waits(run: RunHandle[Any]) -> None:
    async for event in run.events(follow=True):
        if event.kind == "timer.set":
            return


async def test_wcp_23_transient_trigger():
    """
    Transient Trigger

    orchwf keeps every signal, so it is for the sender to look first: `if (await run.steps())["rung"].status ==
    "waiting": await run.send(Door.rung)`. A node that waits goes on waiting, or has ended, and then it counts for
    nothing.
    """
    Hall.reached = asyncio.Event()
    async with TestOrchestrator(clock=FakeClock()) as orchestrator:
        missed = await orchestrator.start(Door())
        heard = await orchestrator.start(Door())
        await ring(missed, "the postman")
        await ring(heard, "the postman")

        Hall.reached.set()
        await until_it_waits(heard)
        await ring(heard, "ada")
        opened = await heard.result()
        await orchestrator.clock.advance("2h")
        not_opened = await missed.result()

    assert "ada" == opened[Door.open]
    assert "nobody" == not_opened[Door.open]


async def test_wcp_24_persistent_trigger():
    """
    Persistent Trigger

    `rung = signal(str)` and `await run.send(Door.rung, "ada")`: what is sent before the node waits is kept, and counts.
    """
    Hall.reached = asyncio.Event()
    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Door())
        await run.send(Door.rung, "the postman")
        before = (await run.steps())["rung"].status
        Hall.reached.set()
        result = await run.result()

    assert "pending" == before
    assert "the postman" == result[Door.open]
