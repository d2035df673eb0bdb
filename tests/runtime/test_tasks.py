"""The tasks in which coroutine bodies run: what they share, and what they never do."""

import asyncio
import contextvars
import types
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import orchwf
from orchwf import Orchestrator, StepContext, make_workflow
from orchwf.runtime.tasks import _driven
from tests.runtime.flows import Gate

said: ContextVar[str] = ContextVar("said", default="nothing")


async def run_of(flow: type, **options: Any) -> Any:
    async with Orchestrator("memory:", **options) as orchestrator:
        return await orchestrator.run(flow())


async def test_bodies_that_do_not_wait_share_a_task():
    """Making one for each would cost more than all else that a step takes."""
    tasks: list[object] = []

    async def looks() -> None:
        tasks.append(asyncio.current_task())

    await run_of(make_workflow("Many", {f"s{number}": looks for number in range(100)}))

    assert (100, 1) == (len(tasks), len(set(tasks)))


@pytest.mark.parametrize("count", [1, 2, 7, 300])
async def test_a_body_that_waits_has_its_task_for_itself(count: int):
    """From its first wait to its end: what a library keeps by task no other body sees. All wait at the same time."""
    gate, tasks = Gate(), []

    async def waits() -> None:
        await gate.pass_through()
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    flow = make_workflow("Waits", {f"s{number}": waits for number in range(count)})
    async with Orchestrator("memory:", max_concurrency=count) as orchestrator:
        run = await orchestrator.start(flow())
        for _ in range(count):
            await gate.came.get()
        gate.open()
        await run.result()

    assert count == gate.most
    assert [2] * count == [tasks.count(task) for task in set(tasks)]


async def test_a_task_that_waited_is_not_used_again():
    """Nor does a body that does not wait get one in which another did."""
    tasks: list[object] = []

    async def waits() -> None:
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    async def looks(waits: None) -> None:
        tasks.append(asyncio.current_task())

    await run_of(make_workflow("Both", [waits, looks]))

    assert 2 == len(set(tasks))


@pytest.mark.parametrize("waiting", [True, False])
async def test_what_a_body_sets_no_other_one_sees(waiting: bool):
    """Each has its own copy of the context variables of whoever started the run, also in the same task."""
    seen: list[str] = []

    async def sets() -> None:
        seen.append(said.get())
        said.set("something")
        if waiting:
            await asyncio.sleep(0)
        seen.append(said.get())

    flow = make_workflow("Sets", {"a": sets, "b": sets})
    variables = contextvars.copy_context()
    variables.run(said.set, "at first")
    await asyncio.create_task(run_of(flow, max_concurrency=1), context=variables)

    assert ["at first", "something"] * 2 == seen
    assert "nothing" == said.get()


async def test_each_body_knows_itself():
    """Though several run in one task, one after the other."""
    seen: list[tuple[str, bool]] = []

    async def knows(ctx: StepContext) -> None:
        seen.append((orchwf.current().step, orchwf.current() is ctx))

    await run_of(make_workflow("Knows", {"a": knows, "b": knows}))

    assert [("a", True), ("b", True)] == seen


async def test_a_body_that_cancels_its_task_hurts_no_other_one():
    """It ended before that could reach it; the others get another task."""
    tasks: list[Any] = []

    async def cancels() -> None:
        tasks.append(asyncio.current_task())
        tasks[-1].cancel()

    async def looks() -> None:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    result = await run_of(make_workflow("Cancels", {"a": cancels, "b": looks, "c": looks}))

    assert {"a", "b", "c"} == {name for name, record in result.steps.items() if record.status == "completed"}
    assert 3 == len(set(tasks))


async def test_what_a_body_awaits_can_fail():
    """The error arrives where the body waits, which may go on."""

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def catches() -> str:
        with pytest.raises(ValueError, match="no"):
            await asyncio.create_task(fails())
        await asyncio.sleep(0)
        return "went on"

    result = await run_of(make_workflow("Catches", [catches]))

    assert "went on" == result["catches"]


def test_a_body_is_closed_with_its_task():
    """As when the loop ends in the midst of it: its own clean-up runs, and sees its own context variables."""
    seen: list[str] = []
    waits: list[str] = []

    @types.coroutine
    def nothing() -> Iterator[None]:
        yield

    async def body() -> None:
        said.set("inside")
        try:
            await nothing()
        finally:
            seen.append(said.get())

    driven = _driven(body(), contextvars.copy_context(), lambda: waits.append("waits"))
    driven.send(None)

    driven.close()

    assert (["inside"], ["waits"]) == (seen, waits)
