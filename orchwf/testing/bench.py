"""What the fixtures of pytest stand on: the orchestrators of one test, and what there is to tell of their runs."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from ..blocking import blocking
from ..core.dag import Dag
from ..core.events import Event
from ..core.history import History
from ..errors import UsageError
from ..ports import RunRecord, Store
from ..runtime.result import RunResult
from ..runtime.showing import is_loop_running
from .clock import FakeClock
from .orchestrator import TestOrchestrator

W = TypeVar("W")

_MOST_RUNS = 5
"""How many runs are told of in full when a test fails."""


class Bench:
    """
    The orchestrators of one test, which share a store and a clock.

    Args:
        store: A URL or a store, which stays open.
        clock: Where time comes from.
    """

    def __init__(self, store: str | Store, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self._made: list[TestOrchestrator] = []

    # What options there are, and of which types, that of `TestOrchestrator` says.
    def orchestrator(self, **options: Any) -> TestOrchestrator:
        """Another orchestrator of this test, to be entered; the options are those of `TestOrchestrator`."""
        made = TestOrchestrator(self._store, **{"clock": self._clock, **options})
        self._made.append(made)
        return made

    def run(
        self,
        workflow: W,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> RunResult[W]:
        """
        Run a workflow and wait for it; arguments and errors as of `orchwf.run`, options as of `TestOrchestrator`.

        Raises:
            UsageError: a coroutine calls it.
        """
        if is_loop_running():
            raise UsageError(
                "orchwf_run blocks, and is for tests that are no coroutines; in this one: "
                "async with orchwf_orchestrator() as orchestrator: result = await orchestrator.run(...)"
            )

        async def whole_run() -> RunResult[W]:
            async with self.orchestrator(**options) as orchestrator:
                return await orchestrator.run(workflow, run_id, metadata=metadata, tags=tags)

        return blocking(whole_run())

    def sections(self) -> list[tuple[str, str]]:
        """Of each run that was executed, the last one last: a heading, and its report with a line for each step."""
        records: dict[str, RunRecord] = {}
        for orchestrator in self._made:
            records |= orchestrator.recorder.runs
        told = [self._told(record) for record in list(records.values())[-_MOST_RUNS:]]
        left = len(records) - len(told)
        return [*([("orchwf", f"and {left} runs before these")] if left else []), *told]

    def _told(self, record: RunRecord) -> tuple[str, str]:
        # Each orchestrator was told of what it did itself.
        events: dict[int, Event] = {}
        for orchestrator in self._made:
            events |= {event.seq: event for event in orchestrator.recorder.of_run(record.id)}
        history = History(record.id).extend(events[seq] for seq in sorted(events))
        result: RunResult[Any] = RunResult(record, history, self._dag(record))
        lines = [line.text for line in result.report(folder=os.getcwd()).lines()]
        return f"orchwf run {record.id}", "\n".join([*lines, "", result.table().to_text()])

    def _dag(self, record: RunRecord) -> Dag | None:
        found = (orchestrator.definition_of(record) for orchestrator in self._made)
        return next((dag for dag in found if dag is not None), None)


def check_backend(backend: object) -> None:
    """
    See that a test of anyio runs where an orchestrator can.

    Args:
        backend: What the fixture `anyio_backend` gives: a name, or that and options.

    Raises:
        UsageError: it does not.
    """
    name = backend[0] if isinstance(backend, tuple) else backend
    if name != "asyncio":
        raise UsageError(
            f"orchwf runs on asyncio, and this test runs on {name}: "
            "give it a fixture anyio_backend that returns 'asyncio'"
        )
