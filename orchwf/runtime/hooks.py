"""What accompanies runs, and who is told how they ended. None of it can hurt a run."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from ..context import RunContext
from ..core.events import Event, RunCompleted, RunFailed, RunResumed, RunStarted
from ..core.values.pieces import LARGE
from ..ports import AroundRun, Clock, RunRecord
from .execution import Execution
from .handle import RunHandle
from .runs import Runs
from .threads import Threads

_LOGGER = logging.getLogger("orchwf")
_PATIENCE = 1.0
"""Seconds that one has to end after it was cancelled; then it is closed."""

Hook = Callable[[RunHandle[Any]], object]
"""A function, plain or not, that is told of a run."""

Spawn = Callable[..., "asyncio.Task[Any]"]
"""Makes a task of a coroutine; takes its context variables as `context`."""


class Hooks:
    """
    An observer that calls what the user gave for whole runs.

    Each call has a task of its own, with the context variables of whoever started the run.

    Args:
        layers: The middleware around runs, the outermost first.
        on_success, on_failure: Are told of the runs that completed, and of those that failed.
    """

    def __init__(self, layers: Sequence[AroundRun], on_success: Hook | None, on_failure: Hook | None) -> None:
        self._layers = tuple(layers)
        self._hooks: dict[type[Event], Hook | None] = {RunCompleted: on_success, RunFailed: on_failure}
        self._calls: dict[asyncio.Task[None], Coroutine[Any, Any, object]] = {}
        self._entered: tuple[Runs, Threads, Spawn] | None = None
        self._is_closing = False
        self._on_threads = 0

    @property
    def is_busy(self) -> bool:
        """Whether a plain function is at work."""
        return self._on_threads > 0

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to call."""
        return bool(self._layers) or any(hook is not None for hook in self._hooks.values())

    def enter(self, runs: Runs, spawn: Spawn) -> None:
        """Begin. `spawn` owns the tasks that it makes."""
        self._entered = runs, Threads(), spawn

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """These events are written: call whom they concern."""
        if self._entered is None:
            return
        runs, threads, spawn = self._entered
        execution = runs.engine.executions.get(run.id)
        if execution is None:
            # It begins later, or elsewhere.
            return
        calls: list[tuple[str, Coroutine[Any, Any, object]]] = []
        for event in events:
            if isinstance(event, RunStarted | RunResumed) and self._layers:
                calls.append(("middleware", self._accompany(execution)))
            elif (hook := self._hooks.get(type(event))) is not None:
                name = "on_success" if isinstance(event, RunCompleted) else "on_failure"
                calls.append((name, self._tell(hook, RunHandle(runs.ledger, run.id), threads)))
        for name, call in calls:
            task = spawn(self._guarded(f"{name}, for run {run.id!r},", call), context=execution.variables.copy())
            self._calls[task] = call
            task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        # One that was cancelled before it began would complain that nobody ever awaited it.
        self._calls.pop(task).close()

    async def _guarded(self, name: str, call: Coroutine[Any, Any, object]) -> None:
        with self._harmless(name):
            await call

    @contextmanager
    def _harmless(self, name: str) -> Iterator[None]:
        try:
            yield
        # Foreign code, which ends neither the run nor the process, whatever it raises.
        except (Exception, SystemExit):
            if self._is_closing:
                _LOGGER.warning("%s did not end in time, and was closed", name)
            else:
                _LOGGER.exception("%s failed", name)

    async def _tell(self, hook: Hook, handle: RunHandle[Any], threads: Threads) -> None:
        if inspect.iscoroutinefunction(hook):
            answer: object = hook(handle)
        else:
            self._on_threads += 1
            try:
                answer = await threads.call(partial(hook, handle))
            finally:
                self._on_threads -= 1
        # A plain function may give what is to be awaited, too.
        if inspect.isawaitable(answer):
            await answer

    async def _accompany(self, execution: Execution) -> None:
        is_large = len(execution.inputs) >= LARGE
        inputs = await asyncio.to_thread(execution.instance) if is_large else execution.instance()
        record = execution.record
        context = RunContext(
            run_id=record.id, workflow=record.workflow, inputs=inputs, metadata=record.metadata, tags=record.tags
        )
        await self._inside(execution, context, 0)

    async def _inside(self, execution: Execution, context: RunContext, depth: int) -> RunRecord:
        """The run, once it is executed here no longer, and all that is inside so many layers has ended."""
        if depth < len(self._layers):
            layer, call = self._layers[depth], partial(self._inside, execution, context, depth + 1)
            with self._harmless(f"around_run of {layer!r}, for run {context.run_id!r},"):
                await layer.around_run(call, context)
        await execution.left.wait()
        return execution.record

    async def end(self, clock: Clock, grace: float) -> None:
        """Return when all calls have ended. They get so many seconds, and are cancelled then."""
        if self._calls:
            at = clock.now() + grace
            revokes = [clock.call_at(at, self._cancel), clock.call_at(at + _PATIENCE, self._close)]
            await asyncio.wait(list(self._calls))
            for revoke in revokes:
                revoke()
        if self._entered is not None:
            self._entered[1].close()

    def _cancel(self) -> None:
        for task in self._calls:
            task.cancel()

    def _close(self) -> None:
        """End those that go on though they were cancelled."""
        self._is_closing = True
        for task, call in list(self._calls.items()):
            # What it raises while it is closed is nobody's.
            with suppress(Exception):
                call.close()
            task.cancel()
