"""Nodes of random workflows that have items, wait, or start other runs."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from orchwf import Finish, NonRetryable, Retry, Skip, StepContext, signal, sleep, step, subflow
from orchwf.core.events import ChildStarted, Event, RunResumed, StepCompleted, TimerFired, TimerSet
from tests.simulation.checks import Argument
from tests.simulation.coding import SECRET

if TYPE_CHECKING:
    from tests.simulation.world import World

Declared = Any
"""A step, a signal, a sleep or a subflow."""


class Nodes:
    """
    Makes nodes of one workflow.

    Args:
        children: The workflows of which it may start runs.
    """

    def __init__(self, world: "World", name: str, children: list[Any]) -> None:
        self._world = world
        self._draw = random.Random(f"{world.seed} {name} nodes")
        self._children = children
        # What gives a list, or has items, so far; and what gives a number.
        self._lists: list[Declared] = []
        self._numbers: list[Declared] = []

    def make(self, name: str, before: list[str]) -> Declared | None:
        """A node that is no plain step, to come after some of these; None for a plain one."""
        draw = self._draw
        kinds = ["each"] * 4 * bool(self._lists) + ["loop"] * 2 * bool(self._numbers)
        kinds += ["all"] * 4 * any(getattr(source, "has_items", False) for source in self._lists)
        kinds += ["child"] * 2 * bool(self._children) + ["children"] * bool(self._children and self._lists)
        kind = draw.choice(["plain"] * 5 + ["list", "list", "stream", "signal", "sleep", *kinds])
        after = draw.sample(before, min(len(before), draw.randint(0, 1)))
        made: Declared
        match kind:
            case "list":
                made = step(name=name, depends_on=after, **self._options())(self._gives_list())
                self._note_list(made)
            case "stream":
                options = {**self._options(), "timeout": draw.choice([None, 60])}
                made = step(name=name, depends_on=after, **options)(self._gives_items())
                self._note_list(made)
            case "each":
                made = self._each(name)
                self._note_list(made)
            case "all":
                made = self._all(name)
            case "loop":
                made = self._loop(name)
            case "signal":
                timeout = draw.choice([None, 15, 300])
                default: dict[str, Any] = {"default": 0} if timeout and draw.random() < 0.6 else {}
                made = signal(int, name=name, depends_on=after, timeout=timeout, **default)
            case "sleep":
                made = sleep(draw.choice([0.0, 5, 60, 900]), name=name, depends_on=after)
            case "child" | "children":
                made = self._child(name, per_item=kind == "children", after=after)
            case _:
                return None
        return made

    def note_plain(self, made: Declared) -> None:
        """A plain step, which gives a number."""
        # Of what may fail nobody can be sure to get anything.
        if made.options.required:
            self._numbers.append(made)

    def _note_list(self, made: Declared) -> None:
        if made.options.required:
            self._lists.append(made)

    def _options(self) -> dict[str, Any]:
        draw = self._draw
        return {
            "required": draw.random() < 0.8,
            "retries": Retry(draw.choice([0, 0, 2]), initial=draw.choice([0, 1, 30])),
            "timeout": draw.choice([None, None, 5]),
            "delivery": draw.choice(["at_least_once"] * 5 + ["at_most_once"]),
            "on_exhausted": draw.choice(["fail"] * 8 + ["pause"]),
        }

    def _each(self, name: str) -> Declared:
        draw, source = self._draw, self._draw.choice(self._lists)
        options = {
            **self._options(),
            "max_parallel": draw.choice([None, 1, 2]),
            "tolerate": draw.choice([0, 0, 1, 0.5]),
            "need": draw.choice([None, None, None, 1, 2]),
        }
        if not getattr(source, "has_items", False):
            options["item_key"] = draw.choice([None, lambda x: x])
        made: Any = step(name=name, depends_on={"x": source.each}, **options)(self._of_item(source.name))
        if draw.random() < 0.4:
            made.compensate(self._world.undo(draw.choice([0.0, 0.3])))
        made.has_items = True
        return made

    def _loop(self, name: str) -> Declared:
        draw, source = self._draw, self._draw.choice(self._numbers)
        made: Any = step(
            name=name, depends_on={"x": source.result}, until=lambda x: x % 4 == 0,
            max_iterations=draw.choice([2, 5, None]), **self._options(),
        )(self._of_item(source.name, name))  # fmt: skip
        if draw.random() < 0.3:
            made.compensate(self._world.undo(0.1))
        return made

    def _all(self, name: str) -> Declared:
        source = self._draw.choice([each for each in self._lists if getattr(each, "has_items", False)])
        made: Any = step(name=name, depends_on={"xs": source.all}, **self._options())(self._of_all(source.name))
        self.note_plain(made)
        return made

    def _child(self, name: str, *, per_item: bool, after: list[str]) -> Declared:
        world, draw = self._world, self._draw
        child, slowness = draw.choice(self._children), draw.random()
        source: Any = draw.choice(self._lists) if per_item else None

        async def starts(ctx: StepContext) -> Any:
            await world.work(ctx, slowness, 0.1)
            return child()

        async def starts_one(x: int, ctx: StepContext) -> Any:
            world.note_argument(ctx, Argument(source.name, int(ctx.item or 0), x))
            return await starts(ctx)

        function: Any = starts_one if per_item else starts
        function.__annotations__ = {**function.__annotations__, "return": child}
        options: dict[str, Any] = {
            "required": draw.random() < 0.7,
            "retries": Retry(draw.choice([0, 1, 2]), initial=draw.choice([0, 30])),
            "timeout": draw.choice([None, None, 40, 400]),
            "on_parent_close": draw.choice(["cancel", "cancel", "abandon"]),
        }
        if not per_item:
            return subflow(name=name, depends_on=after, **options)(function)
        options |= {"max_parallel": draw.choice([None, 1]), "tolerate": draw.choice([0, 1]), "need": None}
        return subflow(name=name, depends_on={"x": source.each}, **options)(function)

    def _gives_list(self) -> Any:
        world, slowness = self._world, self._draw.random()

        async def gives(ctx: StepContext) -> list[int]:
            value = await world.work(ctx, slowness, 0.1)
            # Each time the same ones: a list that completed is read after any crash.
            found = [value + 1000 * number for number in range(value % 5)]
            world.note_returned(ctx, found)
            return found

        return gives

    def _gives_items(self) -> Any:
        world, slowness = self._world, self._draw.random()

        async def gives(ctx: StepContext) -> AsyncIterator[int]:
            await world.begin(ctx)
            draw = random.Random(f"{world.seed} {ctx.run_id} {ctx.step} {ctx.attempt}")
            for position in range(draw.randrange(6)):
                await asyncio.sleep(slowness * 10 * draw.random())
                await world.live()
                if draw.random() < 0.05:
                    raise ValueError("the line broke")
                yield world.note_given(ctx, position, SECRET + draw.randrange(10**6))

        return gives

    def _of_item(self, source: str, loop: str = "") -> Any:
        """
        A body that runs per item.

        Args:
            source: What gives the items.
            loop: The step itself, if it is a loop: it gives all but the first.
        """
        world, slowness, failing = self._world, self._draw.random(), self._draw.choice([0.0, 0.0, 0.2])

        async def of_item(x: int, ctx: StepContext) -> int:
            position = int(ctx.item or 0)
            match loop, position:
                case "", _:
                    world.note_argument(ctx, Argument(source, position, x))
                case _, 0:
                    world.note_argument(ctx, Argument(source, None, x))
                case _:
                    world.note_argument(ctx, Argument(loop, position - 1, x))
            return await world.work(ctx, slowness, failing)

        return of_item

    def _of_all(self, source: str) -> Any:
        world, slowness = self._world, self._draw.random()

        async def of_all(xs: list[int | None], ctx: StepContext) -> int:
            world.note_arguments(ctx.run_id, [Argument(source, position, x) for position, x in enumerate(xs)])
            return await world.work(ctx, slowness, 0.1)

        return of_all


def ends_of(draw: random.Random, failing: float) -> None:
    """
    End an attempt by chance.

    Raises:
        NonRetryable, ValueError, Skip, Finish: as they say.
    """
    match draw.random():
        case chance if chance < failing / 4:
            raise NonRetryable("for good")
        case chance if chance < failing:
            raise ValueError("bad luck")
        case chance if chance < failing + 0.03:
            raise Skip("nothing to do")
        case chance if chance > 0.995:
            raise Finish(7)


def check_timers(log: list[Event]) -> None:
    """A timer fires once, and not before it is due by the clock of whoever fires it, which may have been set back."""
    due: dict[tuple[str, int | None], tuple[float, float]] = {}
    for event in log:
        match event:
            case TimerSet() | ChildStarted() if event.due_at is not None:
                due[event.step, event.item] = event.due_at, event.delay or 0.0
            case RunResumed():
                due = {key: (min(at, event.at + delay), delay) for key, (at, delay) in due.items()}
            case TimerFired():
                at, _ = due.pop((event.step, event.item))
                assert event.at >= at, f"{event} is early"
            case StepCompleted():
                due.pop((event.step, event.item), None)
            case _:
                pass
