"""A run on the screen of a notebook: drawn while it goes on, no more often than anybody sees, and to its end."""

import asyncio
import math
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import Client, Orchestrator, RunFailed, RunHandle, make_workflow, run, step
from orchwf.context import StepContext
from orchwf.runtime.live import Live
from orchwf.runtime.showing import Pace, open_screen
from orchwf.testing import FakeClock
from tests.runtime.flows import Gate, until


@attrs.define
class Screen:
    """What a front end would show, one after the other."""

    shown: list[dict[str, str]] = attrs.field(factory=list)
    came: asyncio.Event = attrs.field(factory=asyncio.Event)

    def show(self, bundle: dict[str, str]) -> None:
        self.shown.append(bundle)
        self.came.set()

    @property
    def last(self) -> str:
        return self.shown[-1]["text/plain"]


def follow(run: RunHandle[Any], screen: Screen) -> None:
    """As a notebook does that displays the handle."""
    run._ledger.showings.begin(Live(run._ledger, run.id, screen).follow())


def tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "orchwf-showing"]


async def test_a_run_is_drawn_until_it_ends():
    """With the state of each step and how far it says that it is; then nothing is left behind."""
    gate, screen = Gate(), Screen()

    @step
    async def first(*, ctx: StepContext) -> None:
        ctx.heartbeat(progress="half way")
        await gate.pass_through()

    @step(depends_on=[first])
    async def second() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("F", [first, second])(), run_id="r")
        await gate.came.get()
        follow(run, screen)
        await until(lambda: bool(screen.shown) and "half way" in screen.last)
        during = screen.last
        gate.open()
        await run.result()
        await until(lambda: not tasks())

    assert "run r: running for " in during
    assert "> first  running for " in during
    assert "o second  pending" in during
    assert "run r: completed in " in screen.last
    assert "+ second  completed" in screen.last


async def test_it_is_drawn_four_times_a_second_at_most():
    """However much happens: the next look comes when a quarter of a second of the clock has passed."""
    clock, gate, screen = FakeClock(), Gate(), Screen()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:", clock=clock, grace=0) as orchestrator:
        run = await orchestrator.start(make_workflow("F", [waits])(), run_id="r")
        await gate.came.get()
        follow(run, screen)
        await screen.came.wait()
        await clock.advance(0.2)
        early = len(screen.shown)
        await clock.advance(20.0)
        later = len(screen.shown)

    assert 1 == early
    assert 1 < later <= 81


async def test_the_less_happens_the_less_often_it_is_drawn():
    """At least four times a second after something happened, every five seconds after long; and drawing stays cheap."""
    assert 0.25 == Pace().wait
    assert 1.0 == Pace(quiet=10.0).wait
    assert 5.0 == Pace(quiet=1e6).wait


async def test_what_takes_long_to_draw_is_drawn_seldom():
    """So that the loop is free for the steps; but what ended is drawn at once."""
    clock, gate, screen = FakeClock(), Gate(), Screen()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:", clock=clock) as orchestrator:
        run = await orchestrator.start(make_workflow("F", [waits])(), run_id="r")
        await gate.came.get()
        live = Live(run._ledger, run.id, screen, pace=Pace(due_at=math.inf))
        run._ledger.showings.begin(live.follow())
        await clock.advance(2.0)
        during = len(screen.shown)
        gate.open()
        await run.result()
        await clock.advance(5.0)

    assert 0 == during
    assert 1 == len(screen.shown)
    assert "+ waits  completed" in screen.last


async def test_a_run_of_another_process_is_drawn(tmp_path: Path):
    """What others write is read from the store."""
    gate, screen = Gate(), Screen()

    @step
    async def waits() -> None:
        await gate.pass_through()

    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Orchestrator(url) as orchestrator, Client(url) as client:
        run = await orchestrator.start(make_workflow("F", [waits])(), run_id="r")
        await gate.came.get()
        follow(await client.get("r"), screen)
        await until(lambda: bool(screen.shown) and "> waits  running" in screen.last)
        gate.open()
        await run.result()
        await until(lambda: not tasks())

    assert "+ waits  completed" in screen.last
    assert "text/html" in screen.shown[-1]


async def test_leaving_draws_a_last_time_and_ends():
    """What is left to be resumed is shown as it was left, by an orchestrator as by a client."""
    gate, ours, theirs = Gate(), Screen(), Screen()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:", grace=0) as orchestrator:
        run = await orchestrator.start(make_workflow("F", [waits])(), run_id="r")
        await gate.came.get()
        async with Client(run._ledger.store) as client:
            follow(await client.get("r"), theirs)
            await theirs.came.wait()
        left = len(tasks())
        follow(run, ours)
        await ours.came.wait()

    assert 0 == left == len(tasks())
    assert 2 == len(theirs.shown)
    assert 2 == len(ours.shown)
    assert "waits  running" in ours.last


async def test_a_failed_run_says_why():
    """In the note, beside the state of each step."""
    screen = Screen()

    @step
    async def bad() -> None:
        raise ValueError("no <cups>")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("F", [bad])(), run_id="r")
        with pytest.raises(RunFailed):
            await run.result()
        follow(run, screen)
        await until(lambda: not tasks())

    assert 1 == len(screen.shown)
    assert "ValueError: no <cups>" in screen.last
    assert "no <cups>" not in screen.shown[0]["text/html"]


async def test_a_run_that_is_gone_says_so():
    """Whoever looks is told why nothing moves any more; nobody gets an error."""
    screen = Screen()

    @step
    async def one() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("F", [one])(), run_id="r")
        await run.result()
        await orchestrator.delete("r")
        follow(run, screen)
        await until(lambda: not tasks())

    assert "no longer followed: " in screen.last
    assert "'r'" in screen.last


def test_in_a_notebook_a_run_that_blocks_is_no_mistake(monkeypatch: pytest.MonkeyPatch):
    """There is a loop, and the cell is to wait: nothing is warned of."""

    @step
    async def one() -> int:
        return 1

    async def cell() -> Any:
        return run(make_workflow("F", [one])(), store="memory:")["one"]

    monkeypatch.setitem(sys.modules, "IPython", Shell(object()))

    assert 1 == asyncio.run(cell())


class Shell:
    """As much of IPython as is asked for."""

    def __init__(self, kernel: object) -> None:
        self.kernel = kernel

    def get_ipython(self) -> "Shell":
        return self


def test_where_nothing_can_be_changed_it_is_shown_once(monkeypatch: pytest.MonkeyPatch):
    """Without IPython, and in a terminal: what is printed there stays."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    without = open_screen({"text/plain": "x"})
    monkeypatch.setitem(sys.modules, "IPython", Shell(None))

    assert without is open_screen({"text/plain": "x"}) is None
    assert "IPython.display" not in sys.modules or "IPython" in sys.modules


async def test_displayed_in_a_terminal_it_is_text(capsys: pytest.CaptureFixture[str]):
    """IPython lets a handle show itself there, too."""

    @step
    async def one() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("F", [one])(), run_id="r")
        await run.result()
        run._ipython_display_()

    assert "+ one  completed" in capsys.readouterr().out
    assert [] == tasks()
