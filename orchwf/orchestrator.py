"""The public face: starts runs, finds them, resumes them."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import attrs

from .core.options import Duration, seconds
from .core.state import RunStatus
from .errors import RunExistsError, UsageError
from .observers.log import LogObserver
from .ports import Clock, Observer, RunQuery, RunRecord, Store
from .runtime.attempt import Attempt
from .runtime.clock import SystemClock
from .runtime.engine import Engine
from .runtime.execution import Execution
from .runtime.handle import RunHandle
from .runtime.owner import this_process
from .runtime.result import RunResult
from .runtime.runs import Runs, checked_tags
from .runtime.watchdog import Watchdog
from .stores import default_store, open_store

W = TypeVar("W")


@attrs.frozen
class RunPage(Sequence[RunRecord]):
    """
    Some runs of a listing, newest first.

    `cursor` is what `list_runs(cursor=...)` takes to go on; None if there are no more.
    """

    runs: tuple[RunRecord, ...]
    cursor: str | None = None

    def __getitem__(self, index: Any) -> Any:
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)


class Orchestrator:
    """
    Executes runs of workflows over one store.

    ::

        async with Orchestrator("sqlite:///orders.db", workflows=[Fulfilment]) as orchestrator:
            result = await orchestrator.run(Fulfilment(order_id="A1"))

    On entry it takes up the unfinished runs of its workflows whose owner is gone. On exit it starts nothing more,
    gives the steps in flight `grace` seconds, and leaves the rest to be resumed.

    Args:
        store: A URL (`memory:`, `sqlite:///path`), or a store, which then stays open on exit; by default
            `$ORCHWF_STORE`, else `sqlite:///orchwf.db`.
        workflows: The classes whose runs it takes up and resumes. `start` adds the class of what it starts.
        max_concurrency: How many steps may run at a time, over all runs; a hard bound.
        grace: What the steps in flight get on exit: a duration.
        observers: Are told of every event after it is written.
        clock: Where time comes from.

    Raises:
        UsageError: a value makes no sense, or two workflows have one name.
        StoreError: on entry, if the store cannot be used.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        workflows: Sequence[type] = (),
        max_concurrency: int = 256,
        grace: Duration = 5.0,
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
    ) -> None:
        if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
            raise UsageError(f"max_concurrency takes a whole number of at least 1, not {max_concurrency!r}")
        if not isinstance(workflows, Iterable):
            raise UsageError(f"workflows takes a list of workflow classes, not {workflows!r}")
        self._given = default_store() if store is None else store
        self._workflows = tuple(workflows)
        self._max_concurrency = max_concurrency
        self._grace = seconds(grace, "grace")
        self._observers = (LogObserver(), *observers)
        self._clock = clock or SystemClock()
        self._entered: Runs | None = None
        self._group = asyncio.TaskGroup()
        self._stack = AsyncExitStack()

    @property
    def _runs(self) -> Runs:
        if self._entered is None:
            raise UsageError("the orchestrator is not open: use it in  async with Orchestrator(...) as orchestrator:")
        return self._entered

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise UsageError("the orchestrator is open already; make another one")
        async with _ungrouped(), AsyncExitStack() as stack:
            store = await open_store(self._given)
            if store is not self._given:
                stack.push_async_callback(store.close)
            await stack.enter_async_context(self._group)
            runs = self._open(store, stack)
            await runs.take_up_orphans()
            self._stack = stack.pop_all()
        return self

    def _open(self, store: Store, stack: AsyncExitStack) -> Runs:
        engine = Engine(
            store, self._clock, max_concurrency=self._max_concurrency, observers=self._observers, spawn=self._spawn
        )  # fmt: skip
        runs = Runs(store, engine, self._clock, this_process(secrets.token_hex(4)), self._workflows)
        watchdog = Watchdog(engine)
        stack.callback(watchdog.close)
        stack.push_async_callback(self._wind_down, runs, self._group.create_task(engine.serve()))
        self._group.create_task(runs.listen())
        self._entered = runs
        return runs

    def _spawn(self, attempt: Attempt, execution: Execution) -> asyncio.Task[None]:
        # The name is what the watchdog tells if this body blocks the loop.
        name = f"step {attempt.node.name!r} of run {execution.record.id!r}"
        return self._group.create_task(attempt.run(), name=name, context=execution.variables.copy())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with _ungrouped():
            await self._stack.__aexit__(kind, error, trace)

    async def _wind_down(self, runs: Runs, serving: "asyncio.Task[None]") -> None:
        engine = runs.engine
        engine.drain()
        revoke = self._clock.call_at(self._clock.now() + self._grace, engine.stop)
        await asyncio.wait([serving])
        revoke()
        runs.poke()
        if engine.failure is None:
            await runs.release()

    async def start(
        self,
        workflow: W,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
    ) -> RunHandle[W]:
        """
        Start a run; it is durable when this returns, and not yet done.

        Args:
            workflow: An instance, with its inputs.
            run_id: Names the run; by default a new id.
            metadata: JSON-able values to keep with it: trace, correlation and business ids, say.
            tags: Labels to list it by.
            on_duplicate: If there is a run of this id: `"raise"`, or `"attach"` to get that one, which is taken up
                if nobody executes it any more.

        Raises:
            RunExistsError: there is a run of this id.
            EncodingError: an input cannot be stored.
            UsageError: something given makes no sense.
        """
        if on_duplicate not in ("raise", "attach"):
            raise UsageError(f"on_duplicate takes 'raise' or 'attach', not {on_duplicate!r}")
        try:
            execution = await self._runs.start(workflow, run_id, metadata, tags)
        except RunExistsError as error:
            if on_duplicate == "raise":
                raise
            await self._runs.attach(workflow, error.run_id)
            return RunHandle(self._runs, error.run_id)
        return RunHandle(self._runs, execution.record.id, execution)

    async def run(
        self,
        workflow: W,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
    ) -> RunResult[W]:
        """
        Start a run and wait for it; arguments and errors as of `start` and of `RunHandle.result`.
        """
        handle = await self.start(workflow, run_id, metadata=metadata, tags=tags, on_duplicate=on_duplicate)
        return await handle.result()

    async def get(self, run_id: str) -> RunHandle[Any]:
        """
        The handle of a run, whoever executes it.

        Raises:
            RunNotFoundError: there is none of this id.
        """
        await self._runs.record(run_id)
        return RunHandle(self._runs, run_id)

    async def list_runs(
        self,
        *,
        workflow: str | type | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RunPage:
        """
        The runs of the store that match, newest first.

        Args:
            workflow: The name or class of the workflow.
            status: One status or several.
            tags: Labels that a run must have, with these values.
            since, until: When it was created: aware datetimes or epoch seconds, `until` exclusive.
            limit: How many at most; at least 1.
            cursor: Where to go on: `cursor` of the page before.

        Raises:
            UsageError: a value makes no sense.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise UsageError(f"limit takes a whole number of at least 1, not {limit!r}")
        query = RunQuery(
            workflow=_workflow_name(workflow),
            statuses=_statuses(status),
            tags=checked_tags(tags),
            since=_epoch("since", since),
            until=_epoch("until", until),
            before=_cursor(cursor),
            limit=limit + 1,
        )
        found = await self._runs.store.runs(query)
        rest = found[limit:]
        return RunPage(tuple(found[:limit]), str(found[limit - 1].number) if rest else None)

    async def resume(self, run_id: str, *, workflow: type | None = None) -> RunHandle[Any]:
        """
        Go on with a failed, paused or orphaned run: only what did not complete, with a fresh budget of attempts.

        Args:
            workflow: The class of its workflow, if that is not among `workflows`.

        Raises:
            RunNotFoundError: there is none of this id.
            NotResumableError: it completed or was cancelled.
            RunOwnedError: another process, which is alive, executes it.
            UnknownWorkflowError: its workflow is not among those of this orchestrator.
            WorkflowChangedError: its graph is another one now, and the workflow does not say `on_change="adopt"`.
        """
        execution = await self._runs.resume(run_id, workflow)
        return RunHandle(self._runs, run_id, execution)

    async def delete(self, run_id: str) -> None:
        """
        Delete a run that has ended, or that nobody executes, with all that belongs to it.

        Raises:
            RunNotFoundError: there is none of this id.
            UsageError: it is being executed.
        """
        record = await self._runs.record(run_id)
        if not record.status.is_final and not self._runs.is_orphan(record):
            raise UsageError(f"run {run_id!r} is being executed; cancel it before you delete it")
        await self._runs.store.delete([run_id])

    async def prune(
        self, *, older_than: Duration, status: RunStatus | str | Sequence[RunStatus | str] | None = None
    ) -> int:
        """
        Delete the runs that ended longer ago than `older_than` (a duration).

        Args:
            status: Only those that ended so; by default all that ended.

        Returns:
            How many were deleted.

        Raises:
            UsageError: a value makes no sense, or `status` names one in which a run has not ended.
        """
        before = self._clock.now() - seconds(older_than, "older_than")
        statuses = _statuses(status) or [each for each in RunStatus if each.is_final]
        unfinished = [each for each in statuses if not each.is_final]
        if unfinished:
            raise UsageError(f"only runs that have ended can be pruned, not {', '.join(unfinished)} ones")
        query, deleted = RunQuery(statuses=statuses, until=before, limit=500), 0
        while page := await self._runs.store.runs(query):
            old = [record.id for record in page if record.ended_at is not None and record.ended_at < before]
            deleted += await self._runs.store.delete(old)
            query = attrs.evolve(query, before=page[-1].number)
        return deleted


@asynccontextmanager
async def _ungrouped() -> AsyncIterator[None]:
    """Lets what a task group has wrapped out as it was raised, its cause with it."""
    try:
        yield
        return
    except BaseExceptionGroup as group:
        first = group.exceptions[0]
    context = first.__context__
    try:
        raise first
    finally:
        # Python notes the group as the context of what is raised here: notebooks would take it for the error.
        first.__context__ = context


def _workflow_name(workflow: str | type | None) -> str | None:
    if workflow is None or isinstance(workflow, str):
        return workflow
    from .core.dag import dag_of

    return dag_of(workflow).name


def _statuses(status: RunStatus | str | Sequence[RunStatus | str] | None) -> list[RunStatus] | None:
    if status is None:
        return None
    given = list(status) if isinstance(status, Iterable) and not isinstance(status, str) else [status]
    try:
        return [RunStatus(each) for each in given]
    except ValueError:
        known = ", ".join(RunStatus)
        raise UsageError(f"status takes one or several of {known}; not {status!r}") from None


def _epoch(name: str, value: datetime | float | None) -> float | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{name} takes an aware datetime, such as datetime.now(UTC), not the naive {value!r}")
        return value.timestamp()
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value)):
        raise UsageError(f"{name} takes an aware datetime or epoch seconds, not {value!r}")
    return value


def _cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdigit()):
        raise UsageError(f"cursor takes the cursor of the page before, not {cursor!r}")
    return int(cursor)
