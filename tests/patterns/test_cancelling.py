"""The patterns of cancellation and forced completion."""

import asyncio

import pytest

from orchwf import RunCancelled, RunEndedError, Skip, signal, step, subflow, workflow
from orchwf.core.events import StepCompleted
from orchwf.testing import TestOrchestrator


class Work:
    """Bodies that begin and never end; it knows which have begun and which were stopped."""

    def __init__(self, expected: int = 1) -> None:
        self.stopped: list[str] = []
        self.are_under_way = asyncio.Event()
        self._expected = expected

    async def go_on_for_ever(self, name: str) -> None:
        self._expected -= 1
        if self._expected == 0:
            self.are_under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.append(name)


async def test_wcp_19_cancel_task():
    """
    Cancel Task

    The step is raced with a signal: `@step(depends_on=[assess, withdrawn], join="first", cancel_rest=True)`. If the
    signal comes first the step is stopped, and the run goes on.
    """
    work = Work()

    @workflow
    class Application:
        withdrawn = signal()

        @step
        async def assess(self) -> None:
            await work.go_on_for_ever("assess")

        @step
        def file(self) -> None: ...

        @step(depends_on=[assess, withdrawn], join="first", cancel_rest=True)
        def close(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Application())
        await work.are_under_way.wait()
        await run.send(Application.withdrawn)
        result = await run.result()

    assert ["assess"] == work.stopped
    assert "cancelled" == result.steps["assess"].status
    assert {"completed"} == {result.steps[name].status for name in ("file", "close")}
    assert "completed" == result.status


async def test_wcp_20_cancel_case():
    """
    Cancel Case

    `await run.cancel("too late")` stops whatever runs, cleans up, undoes, and ends the run `cancelled`.
    """
    work = Work(expected=2)

    @workflow
    class Claim:
        @step
        async def inspect(self) -> None:
            await work.go_on_for_ever("inspect")

        @step
        async def interview(self) -> None:
            await work.go_on_for_ever("interview")

        @step(depends_on=[inspect, interview])
        def pay(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Claim())
        await work.are_under_way.wait()
        await run.cancel("too late")
        with pytest.raises(RunCancelled, match="too late"):
            await run.result()
        steps = await run.steps()

    assert ["inspect", "interview"] == sorted(work.stopped)
    assert {"cancelled"} == {record.status for record in steps.values()}


async def test_wcp_25_cancel_region():
    """
    Cancel Region

    The region is a workflow of its own, started by a `@subflow` that is raced with a signal: `join="first",
    cancel_rest=True`. If the signal comes first all of the region is cancelled, and nothing else.
    """
    work = Work(expected=2)

    @workflow
    class Negotiation:
        @step
        async def draft(self) -> None:
            await work.go_on_for_ever("draft")

        @step
        async def argue(self) -> None:
            await work.go_on_for_ever("argue")

        @step(depends_on=[draft, argue])
        def agree(self) -> None: ...

    @workflow
    class Sale:
        sold = signal()

        @subflow
        def negotiate(self) -> Negotiation:
            return Negotiation()

        @step
        def advertise(self) -> str:
            return "in the paper"

        @step(depends_on=[negotiate, sold], join="first", cancel_rest=True)
        def close(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Sale(), run_id="s")
        await work.are_under_way.wait()
        await run.send(Sale.sold)
        result = await run.result()
        region = await (await orchestrator.get("s/negotiate")).wait()

    assert ["argue", "draft"] == sorted(work.stopped)
    assert "cancelled" == region.status
    assert {"cancelled"} == {record.status for record in region.steps.values()}
    assert ("completed", "completed") == (result.status, result.steps["advertise"].status)


async def test_wcp_26_cancel_multiple_instance_task():
    """
    Cancel Multiple Instance Task

    As 19, with a step that runs once per item: the instances that are at work are stopped, and those that have
    completed stay so. The step that races them with the signal raises `Skip` if that came first, so that nothing
    follows.
    """
    work = Work(expected=2)

    @workflow
    class Contest:
        called_off = signal(bool)

        @step
        def entries(self) -> list[str]:
            return ["poem", "novel", "play"]

        @step
        async def review(self, entry: str = entries.each) -> str:
            if entry != "poem":
                await work.go_on_for_ever(entry)
            return entry

        @step(depends_on=review, join="first", cancel_rest=True)
        def close(self, called_off: bool | None = called_off.maybe) -> None:
            if called_off:
                raise Skip("called off")

        @step(depends_on=close)
        def award(self) -> None: ...

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Contest())
        await work.are_under_way.wait()
        await run.send(Contest.called_off, True)
        result = await run.result()
        done = [event async for event in run.events() if isinstance(event, StepCompleted) and event.step == "review"]

    assert ["novel", "play"] == sorted(work.stopped)
    assert ("cancelled", "skipped") == (result.steps["review"].status, result.steps["award"].status)
    assert [0] == [event.item for event in done]


async def test_wcp_27_complete_multiple_instance_task():
    """
    Complete Multiple Instance Task

    Each instance is a run of its own, in which the task is raced with a signal, `enough`. Sent to those that are at
    work, whose ids are `f"{run.id}/review/{item}"`, it withdraws their tasks; then all instances have completed, and
    what follows has the results that there are.
    """
    work = Work(expected=2)

    @workflow
    class Review:
        entry: str
        enough = signal()

        @step
        async def read(self) -> str:
            if self.entry != "poem":
                await work.go_on_for_ever(self.entry)
            return f"{self.entry} is fine"

        @step(depends_on=enough, join="first", cancel_rest=True)
        def verdict(self, read: str | None = read.maybe) -> str | None:
            return read

    @workflow
    class Contest:
        @step
        def entries(self) -> list[str]:
            return ["poem", "novel", "play"]

        @subflow
        def review(self, entry: str = entries.each) -> Review:
            return Review(entry=entry)

        @step
        def award(self, verdicts: list[str | None] = review[Review.verdict].all) -> list[str | None]:
            return verdicts

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Contest(), run_id="c")
        await work.are_under_way.wait()
        await (await orchestrator.get("c/review/0")).wait()
        too_late = []
        for item in range(3):
            try:
                await (await orchestrator.get(f"c/review/{item}")).send(Review.enough)
            except RunEndedError:
                too_late.append(item)
        result = await run.result()

    assert ["novel", "play"] == sorted(work.stopped)
    assert [0] == too_late
    assert ["poem is fine", None, None] == result[Contest.award]
