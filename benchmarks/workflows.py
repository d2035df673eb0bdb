"""What orchwf is measured with: workflows of bodies that do nothing, a look at what is told, at its connections."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any

from orchwf import RunRecord, make_workflow, step
from orchwf.core.events import Event

Parents = Sequence[Sequence[int]]


async def nothing() -> None:
    """A body that never waits."""


def nothing_in_a_thread() -> None:
    """A body that is a plain function, and so gets a thread."""


def steps_of(parents: Parents, body: Callable[[], Any] = nothing) -> dict[str, Any]:
    """Name -> the step, of the graph in which step number i waits for `parents[i]`."""
    return {f"s{i}": step(depends_on=[f"s{parent}" for parent in row])(body) for i, row in enumerate(parents)}


def workflow_of(parents: Parents, body: Callable[[], Any] = nothing, name: str = "Benchmark") -> type[Any]:
    """The workflow of that graph, compiled."""
    return make_workflow(name, steps_of(parents, body))


class Ends:
    """
    An observer that waits for runs to end, without reading their results.

    Attributes:
        events: How many were told.
    """

    def __init__(self, runs: int, kind: str = "run.completed") -> None:
        """One that waits for an event of this kind, the last that a run tells, of so many runs."""
        self.events = 0
        self._left = runs
        self._kind = kind
        self._ended = asyncio.Event()

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Count."""
        self.events += len(events)
        if events and events[-1].kind == self._kind:
            self._left -= 1
            if not self._left:
                self._ended.set()

    async def wait(self) -> None:
        """Until all have ended."""
        await self._ended.wait()


def connections() -> list[sqlite3.Connection]:
    """
    The connections to SQLite that this process makes from now on, in a list that grows.

    So the settings and the statements of the store's own connection can be seen, which it shows to nobody.
    """
    made: list[sqlite3.Connection] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect/handle":
            made.append(arguments[0])

    sys.addaudithook(hear)
    return made
