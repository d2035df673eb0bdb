"""What stands around the bodies and runs of a simulated process, and is told how they ended."""

import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from orchwf import RunContext, RunHandle, RunRecord, StepContext, UsageError
from tests.simulation.stores import Books, Line

if TYPE_CHECKING:
    from tests.simulation.world import World

_REFUSED = 0.03
"""How probable it is that the middleware raises, and the body does not run."""

_INSIDE: ContextVar["Key | None"] = ContextVar("inside", default=None)
"""Around which body we are: what `around_step` sets reaches the body."""

Key = tuple[str, str, str | None, int, bool]
"""Run, step, item, attempt, and whether it undoes."""


def key_of(ctx: StepContext) -> Key:
    """Which body this is."""
    return ctx.run_id, ctx.step, ctx.item, ctx.attempt, ctx.compensates


class Around:
    """
    The middleware and the hooks of one process.

    Attributes:
        line: Which process.
        entered: The bodies around which it stood.
        refused: Those that it did not let begin.
        told: (run, kind of its end) -> how often a hook was told.
    """

    def __init__(self, world: "World", line: Line) -> None:
        self.line = line
        self.entered: set[Key] = set()
        self.refused: set[Key] = set()
        self.told: Counter[tuple[str, str]] = Counter()
        self._world = world
        self._beside: Counter[str] = Counter()
        self._parted: list[tuple[str, str]] = []

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        """What the body gives; by chance it is not called, or called again, which is refused."""
        await self.line.live()
        key, draw = key_of(context), random.Random(f"{self._world.seed} {key_of(context)} around")
        self._expect(key not in self.entered, f"something stands around {key} twice")
        self.entered.add(key)
        if draw.random() < _REFUSED:
            self._world.faults.count("refused")
            self.refused.add(key)
            raise ValueError("bad luck around it")
        _INSIDE.set(key)
        try:
            value = await call()
        except Exception:
            self._expect(key in self._world.begun, f"{key} failed before it began")
            raise
        self._expect(key in self._world.begun, f"{key} returned before it began")
        if draw.random() < 0.1:
            with contextlib.suppress(UsageError):
                await call()
                self._expect(False, f"{key} was called twice")
        return value

    async def around_run(self, call: Callable[[], Awaitable[RunRecord]], context: RunContext) -> None:
        """It is there before any body of the run begins here; what it raises hurts nobody."""
        await self.line.live()
        self._beside[context.run_id] += 1
        run = await call()
        self._beside[context.run_id] -= 1
        self._parted.append((run.id, str(run.status)))

    async def on_success(self, run: RunHandle[Any]) -> None:
        self.told[run.id, "run.completed"] += 1

    async def on_failure(self, run: RunHandle[Any]) -> None:
        self.told[run.id, "run.failed"] += 1

    def check_body(self, ctx: StepContext) -> None:
        """A body begins inside what stands around it, which was not refused, and beside what accompanies its run."""
        self._expect(_INSIDE.get() == key_of(ctx), f"{key_of(ctx)} begins within {_INSIDE.get()}")
        self._expect(key_of(ctx) not in self.refused, f"{key_of(ctx)} begins though it was refused")
        self._expect(self._beside[ctx.run_id] > 0, f"{key_of(ctx)} begins, and nobody accompanies its run")

    def check_ends(self, books: Books, *, has_lived: bool) -> None:
        """
        Who accompanied a run and who was told of its end know what is written.

        Args:
            has_lived: Whether the process still lives, so that all was told.
        """
        for run_id, status in self._parted:
            kinds = {event.kind for event in books.events[run_id].values()}
            assert status in _OPEN or f"run.{status}" in kinds, f"{run_id} parted as {status}, which it never was"
        ends: Counter[tuple[str, str]] = Counter()
        for run_id, events in books.events.items():
            writers = books.writers[run_id]
            own = [event for seq, event in events.items() if writers[seq] == self.line.name]
            ends.update((run_id, event.kind) for event in own if event.kind in _TOLD)
        assert self.told <= ends, f"told too much: {self.told - ends}"
        assert not has_lived or self.told == ends, f"told too little: {ends - self.told}"

    def _expect(self, holds: bool, otherwise: str) -> None:
        # Told at the end: whatever is raised here is the end of an attempt, and no more.
        if not holds:
            self._world.violations.append(otherwise)


_TOLD = ("run.completed", "run.failed")
_OPEN = ("paused", "running")
