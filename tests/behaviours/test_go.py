"""What the Go package of the same name does, and we do, too."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import (
    Orchestrator,
    Retry,
    RunFailed,
    StepContext,
    make_workflow,
    step,
    workflow,
)
from tests.behaviours.flows import (
    log_of,
    nothing,
    raising,
    started_order,
)


def prioritised(**priorities: int) -> dict[str, Any]:
    """Steps that do nothing and wait for none, with these priorities."""
    return {name: step(priority=priority)(nothing) for name, priority in priorities.items()}


def test_output_reaches_dependents():
    """A step takes the output of the step that it names."""

    @workflow
    class Chain:
        @step
        def greet(self) -> str:
            return "hello"

        @step
        def shout(self, text: str = greet.result) -> str:
            return text.upper()

    result = orchwf.run(Chain(), store="memory:")

    assert result.status == "completed"
    assert result[Chain.shout] == "HELLO"


def test_two_dependencies_overlap_and_both_are_seen():
    """Two independent steps run at the same time, and the third sees both outputs."""
    meeting = threading.Barrier(2, timeout=30)

    @workflow
    class Join:
        @step
        def left(self) -> int:
            meeting.wait()
            return 1

        @step
        def right(self) -> int:
            meeting.wait()
            return 2

        @step
        def both(self, left: int = left.result, right: int = right.result) -> list[int]:
            return [left, right]

    result = orchwf.run(Join(), store="memory:")

    assert result[Join.both] == [1, 2]


def test_third_attempt_succeeds():
    """A step that fails twice and may be tried three times is called exactly three times."""
    attempts: list[int] = []

    @workflow
    class Flaky:
        @step(retries=Retry(2, initial=0))
        async def fetch(self, *, ctx: StepContext) -> int:
            attempts.append(ctx.attempt)
            if ctx.attempt < 3:
                raise ConnectionError("later")
            return ctx.attempt

    result = orchwf.run(Flaky(), store="memory:")

    assert attempts == [1, 2, 3]
    assert result[Flaky.fetch] == 3


def test_required_step_fails_the_run_with_its_cause():
    """The error of the run names run and step, and its cause is the very exception that the body raised."""
    cause = ValueError("no such customer")

    @workflow
    class Broken:
        @step
        def load(self) -> None:
            raise cause

    with pytest.raises(RunFailed, match="load") as caught:
        orchwf.run(Broken(), store="memory:", run_id="broken-1")

    assert caught.value.__cause__ is cause
    assert caught.value.run_id == "broken-1"
    assert caught.value.steps == ("load",)


def test_optional_step_does_not_fail_the_run():
    """The failure of a step that is not required is recorded, and the run completes."""

    @workflow
    class Optional:
        @step
        def needed(self) -> int:
            return 1

        @step(required=False)
        def extra(self) -> int:
            raise ValueError("never mind")

    result = orchwf.run(Optional(), store="memory:")

    assert result.status == "completed"
    assert result.steps["extra"].status == "failed"
    assert result.outputs == {"needed": 1}


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ({"low": -10, "normal": 0, "high": 10}, ["high", "normal", "low"]),
        ({"zero": 0, "default": 0, "ten": 10}, ["ten", "zero", "default"]),
        ({"a": 10, "b": -5, "c": -20}, ["a", "b", "c"]),
        ({"lowest": -999_999, "highest": 999_999, "middle": 0}, ["highest", "middle", "lowest"]),
        ({"one": 3, "two": 3, "three": 3}, ["one", "two", "three"]),
        (
            {"background": -10, "low": -5, "normal": 0, "high": 10, "critical": 20},
            ["critical", "high", "normal", "low", "background"],
        ),
    ],
)
async def test_higher_priority_first(priorities: dict[str, int], order: list[str]):
    """Of the steps that are ready the one of the highest priority starts first, equals in the order of definition."""
    started = await started_order(prioritised(**priorities))

    assert started == order


async def test_priority_orders_what_is_ready():
    """A step of high priority whose dependency is done goes before a step of low priority that was ready earlier."""
    steps = prioritised(a=5, b=1) | {"c": step(priority=10, depends_on="a")(nothing)}

    started = await started_order(steps)

    assert started == ["a", "c", "b"]


async def test_priority_without_level_barriers():
    """In a diamond of five steps each starts as soon as it may, whatever its level."""
    steps = prioritised(a=5, b=1) | {
        "c": step(priority=10, depends_on="a")(nothing),
        "d": step(priority=8, depends_on="b")(nothing),
        "e": step(priority=15, depends_on=["c", "d"])(nothing),
    }

    started = await started_order(steps)

    assert started == ["a", "c", "b", "d", "e"]


async def test_fifty_steps_in_order_of_priority():
    """Fifty steps of ten priorities start sorted by priority, and among equals in the order of definition."""
    priorities = {f"s{number}": number % 10 for number in range(50)}

    started = await started_order(prioritised(**priorities))

    assert started == sorted(priorities, key=lambda name: -priorities[name])


async def test_failed_step_of_high_priority_keeps_the_low_one_from_starting():
    """After a required step failed nothing new starts."""

    async def fail() -> None:
        raise ValueError("first and last")

    started = await started_order({"low": step(nothing), "high": step(priority=10)(fail)})

    assert started == ["high"]


@pytest.mark.parametrize("scheme", ["memory:", "sqlite:"])
async def test_filters_of_the_listing(scheme: str, tmp_path: Path):
    """Runs are listed newest first, and by workflow, status, tags and time."""
    good, bad = (
        make_workflow(name, {"only": body}) for name, body in (("Good", nothing), ("Bad", raising(OSError("x"))))
    )
    store = scheme if scheme == "memory:" else f"sqlite:///{tmp_path / 'runs.db'}"

    async with Orchestrator(store, workflows=[good, bad]) as orchestrator:
        for number, flow in enumerate([good, bad, good]):
            run = await orchestrator.start(flow(), run_id=f"r{number}", tags={"parity": str(number % 2)})
            await run.wait()
        found = {
            "all": await orchestrator.list_runs(),
            "workflow": await orchestrator.list_runs(workflow="Good"),
            "status": await orchestrator.list_runs(status="failed"),
            "tags": await orchestrator.list_runs(tags={"parity": "0"}),
            "limit": await orchestrator.list_runs(limit=1),
            "none": await orchestrator.list_runs(workflow="Ugly"),
        }

    assert {name: [run.id for run in runs] for name, runs in found.items()} == {
        "all": ["r2", "r1", "r0"],
        "workflow": ["r2", "r0"],
        "status": ["r1"],
        "tags": ["r2", "r0"],
        "limit": ["r2"],
        "none": [],
    }


async def test_events_are_in_order():
    """The log of a run has each start, retry and end, numbered without gaps."""

    @workflow
    class Logged:
        @step(retries=Retry(1, initial=0))
        async def flaky(self, *, ctx: StepContext) -> int:
            if ctx.attempt == 1:
                raise ConnectionError("once")
            return 1

        @step
        async def after(self, flaky: int) -> None: ...

    async with Orchestrator("memory:", workflows=[Logged]) as orchestrator:
        run = await orchestrator.start(Logged())
        await run.wait()
        events = await log_of(run)

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [(event.kind, getattr(event, "step", ""), getattr(event, "attempt", 0)) for event in events] == [
        ("run.started", "", 0),
        ("step.started", "flaky", 1),
        ("step.retrying", "flaky", 1),
        ("step.started", "flaky", 2),
        ("step.completed", "flaky", 2),
        ("step.started", "after", 1),
        ("step.completed", "after", 1),
        ("run.completed", "", 0),
    ]


async def test_ids_of_the_caller_are_metadata():
    """Trace, correlation and business ids given at the start are seen by the bodies and kept with the run."""
    ids = {"trace_id": "t-1", "correlation_id": "c-1", "business_id": "order 42"}

    @workflow
    class Traced:
        @step
        async def look(self, *, ctx: StepContext) -> object:
            return ctx.metadata["trace_id"]

    async with Orchestrator("memory:", workflows=[Traced]) as orchestrator:
        run = await orchestrator.start(Traced(), run_id="traced", metadata=ids)
        result = await run.result()
        listed = await orchestrator.list_runs()

    assert result[Traced.look] == "t-1"
    assert dict(result.metadata) == ids
    assert [dict(run.metadata) for run in listed] == [ids]


async def test_background_run_is_durable_before_it_is_done():
    """`start` returns the id of a run that is in the store, and goes on without anybody waiting."""
    go_on = asyncio.Event()
    flow = make_workflow("Background", {"wait": go_on.wait})

    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        before = await run.status()
        go_on.set()
        after = (await run.wait()).status

    assert (before, after) == ("running", "completed")
