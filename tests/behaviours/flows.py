"""What the tests of this folder run, and how."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from orchwf import (
    Orchestrator,
    make_workflow,
    step,
    workflow,
)
from orchwf.runtime.handle import RunHandle


async def ended(instance: object, *, store: str = "memory:", limit: int = 64) -> Any:
    """What became of one run of this workflow."""
    async with Orchestrator(store, workflows=[type(instance)], max_concurrency=limit) as orchestrator:
        run = await orchestrator.start(instance)
        return await run.wait()


async def started_order(steps: Mapping[str, Any], *, limit: int = 1) -> list[str]:
    """The names of the steps of a workflow in the order in which they started."""
    flow = make_workflow("Order", steps)
    async with Orchestrator("memory:", workflows=[flow], max_concurrency=limit) as orchestrator:
        run = await orchestrator.start(flow())
        await run.wait()
        return [event.step for event in await log_of(run) if event.kind == "step.started"]


async def log_of(run: RunHandle[Any]) -> list[Any]:
    return [event async for event in run.events()]


async def nothing() -> None: ...


def raising(error: BaseException) -> Callable[[], Any]:
    """A body that raises this."""

    async def body() -> None:
        raise error

    return body


def returning(value: int) -> Callable[[], int]:
    """A plain function that returns this."""

    def body() -> int:
        return value

    return body


@asynccontextmanager
async def failing_first(store: str, **options: Any) -> AsyncIterator[tuple[Orchestrator, Any, list[str]]]:
    """An orchestrator, a run in it that has failed in its second of three steps, and the list of calls of bodies."""
    calls: list[str] = []

    @workflow(**options)
    class Mended:
        @step
        async def first(self) -> int:
            calls.append("first")
            return 1

        @step
        async def second(self, first: int) -> int:
            calls.append("second")
            if calls.count("second") == 1:
                raise ValueError("not yet")
            return first + 1

        @step
        async def third(self, second: int) -> int:
            calls.append("third")
            return second + 1

    async with Orchestrator(store, workflows=[Mended]) as orchestrator:
        run = await orchestrator.start(Mended(), run_id="mended")
        await run.wait()
        yield orchestrator, Mended, calls


async def start_and_wait(instance: object, store: str, run_id: str) -> None:
    async with Orchestrator(store, workflows=[type(instance)]) as orchestrator:
        run = await orchestrator.start(instance, run_id=run_id)
        await run.wait()
