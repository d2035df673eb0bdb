"""The pictures of runs whose steps have items, wait, or start runs."""

import re
from datetime import timedelta

import pytest

from orchwf import Orchestrator, StepStatus, compile_workflow, signal, sleep, step, subflow, workflow
from orchwf.core.history import StepRecord
from orchwf.core.progress import share_done
from orchwf.drawing import Picture, Shape, to_svg, to_text
from orchwf.runtime.result import run_picture
from orchwf.testing import TestOrchestrator
from tests.runtime.flows import Gate
from tests.runtime.test_result import svg_of

DONE = StepStatus.COMPLETED


@workflow
class Parcel:
    told = signal()


@workflow
class Shop:
    """Checks orders one by one, ships, and waits."""

    @step
    def orders(self) -> list[int]:
        return [0, 1, 2]

    @step(tolerate=1)
    def check(self, order: int = orders.each) -> int:
        if order == 1:
            raise ValueError("empty")
        return order

    paid = signal(int, depends_on=check)
    night = sleep(timedelta(days=3), depends_on=check)

    @subflow(depends_on=[check])
    def ship(self) -> Parcel:
        return Parcel()


async def test_a_run_that_waits_shows_for_what():
    """Its handle and its result say the same of each step: how far its items are, and what it waits for."""
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Shop(), run_id="r")
        async for event in run.events(follow=True):
            if event.kind == "child.started":
                break
        handle = run._repr_mimebundle_()
        steps = await run.steps()
        await run.cancel()
        result = await run.wait()

    lines = to_text(run_picture(compile_workflow(Shop), steps)).splitlines()
    drawn = handle["text/plain"].splitlines()
    assert "+ check  (each of orders)  completed 2/3, 1 failed" in drawn
    assert any(line.endswith("paid  (signal)  waiting for a signal") for line in drawn)
    assert any(line.endswith("ship  (subflow)  waiting for run r/ship") for line in drawn)
    (night,) = [line for line in drawn if "night" in line]
    assert night.endswith(" UTC")
    assert "waiting until " in night
    assert [line for line in lines if "night" in line or "paid" in line] == [
        line for line in drawn if "night" in line or "paid" in line
    ]
    assert "<title>check\ncompleted · 2/3, 1 failed\neach\ngives int\n" in svg_of(handle)
    assert ", 2/3, 1 failed" in svg_of(result._repr_mimebundle_())


async def test_a_step_whose_items_are_at_work_is_shown_running():
    """Though its status is that it waits for them."""
    gate = Gate()

    @workflow
    class Work:
        @step
        def orders(self) -> list[int]:
            return [0, 1, 2]

        @step
        async def check(self, order: int = orders.each) -> int:
            if order:
                await gate.pass_through()
            return order

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Work(), run_id="r")
        for _ in range(2):
            await gate.came.get()
        during, steps = run._repr_mimebundle_(), await run.steps()
        gate.open()
        result = await run.wait()

    assert "run r: running, 1 running, 1 completed" in during["text/plain"]
    assert "> check  (each of orders)  running 1/3" in during["text/plain"].splitlines()
    assert StepStatus.WAITING is steps["check"].status
    assert "3 items" in result._repr_mimebundle_()["text/plain"]


def test_how_much_is_done_of_a_step_that_runs_per_item():
    """The share of its items that have ended, however they did; nothing of a loop, or once it is over."""
    dag = compile_workflow(Shop)
    items = {at: StepRecord("check", status, item=at) for at, status in enumerate([DONE, StepStatus.FAILED, DONE])}

    def share(**changes: object) -> float | None:
        record = StepRecord("check", StepStatus.WAITING, count=4, items=items)
        for name, value in changes.items():
            setattr(record, name, value)
        return share_done(record, dag.nodes["check"])

    assert 0.75 == share()
    assert None is share(status=DONE)
    assert None is share(count=0, items={})
    assert None is share_done(StepRecord("orders", StepStatus.RUNNING), dag.nodes["orders"])


@pytest.mark.parametrize(("share", "widths"), [(None, []), (0.0, [1.0]), (0.25, [1.0, 0.25]), (1.0, [1.0, 1.0])])
def test_the_bar_of_a_step(share: float | None, widths: list[float]):
    """One for all of it, and on that one as long as the share that is done."""
    shape = Shape("a", "a", status="running", share=share)

    svg = to_svg(Picture("F", [shape], []))

    found = [float(width) for width in re.findall(r'<rect class="bar[^>]* width="([0-9.]+)" height="3"', svg)]
    assert widths == pytest.approx([width / found[0] for width in found], abs=0.01)
