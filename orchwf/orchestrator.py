"""The public face: starts runs, finds them, resumes them."""

import asyncio
import contextlib
import math
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import attrs

from .core.options import Duration, OnChange, positive_seconds, seconds
from .core.state import RunStatus
from .errors import RunExistsError, StoreError, UsageError
from .observers.log import LogObserver
from .ports import Clock, Observer, RunQuery, RunRecord, Store
from .runtime.answers import Answers, Named
from .runtime.arguments import checked_tags
from .runtime.clock import SystemClock
from .runtime.engine import Engine
from .runtime.handle import RunHandle
from .runtime.interrupts import Interrupt, listening
from .runtime.keeper import Keeper
from .runtime.owner import this_process
from .runtime.registry import Registry
from .runtime.result import RunResult
from .runtime.runs import Runs
from .runtime.watchdog import Watchdog
from .stores import default_store, open_store

W = TypeVar("W")

_LAST_WORDS = "ended at once; what was done is kept, and its runs can be resumed"


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
        workflows: The classes whose runs it takes up and resumes. The class of what it starts it knows, too, but takes
            up nothing of it that it did not start.
        max_concurrency: How many steps may run at a time, over all runs; a hard bound.
        grace: What the steps in flight get on exit: a duration.
        lease: How long the others on the store take this orchestrator to live after it was seen last: a duration. Its
            event loop renews it; if that is blocked for so long, others take its runs up.
        max_takeovers: After how many owners that died in a row, without any step coming to its end, a run is parked.
        stop_on: Signals, such as `signal.SIGTERM`, on which the orchestrator shuts down; see `shutdown`. The handlers
            there were before are called, too, and come back on exit. A second signal ends the process at once. Only in
            the main thread.
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
        lease: Duration = 15.0,
        max_takeovers: int = 5,
        stop_on: Sequence[signal.Signals] = (),
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
    ) -> None:
        _check_count("max_concurrency", max_concurrency)
        _check_count("max_takeovers", max_takeovers)
        if not isinstance(workflows, Iterable):
            raise UsageError(f"workflows takes a list of workflow classes, not {workflows!r}")
        self._given = default_store() if store is None else store
        self._workflows = tuple(workflows)
        self._max_concurrency = max_concurrency
        self._max_takeovers = max_takeovers
        self._grace = seconds(grace, "grace")
        self._lease = positive_seconds(lease, "lease")
        self._stop_on = tuple(stop_on)
        self._observers = (LogObserver(), *observers)
        self._clock = clock or SystemClock()
        # What is looked after again and again, whether or not a run waits for anything, goes by this one.
        self._periodic: Clock = self._clock
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
            await self._open(store, stack)
            self._stack = stack.pop_all()
        return self

    async def _open(self, store: Store, stack: AsyncExitStack) -> None:
        registry = Registry(self._workflows)
        engine = Engine(
            store, self._clock, max_concurrency=self._max_concurrency, observers=self._observers,
            spawn=self._group.create_task,
        )  # fmt: skip
        owner = this_process(secrets.token_hex(4))
        runs = Runs(store, engine, self._periodic, owner, registry, most_takeovers=self._max_takeovers)
        self._keeper = keeper = Keeper(runs, self._lease)
        # Nobody may take for dead who owns a run.
        await keeper.renew()
        stack.callback(self._watch(engine))
        if self._stop_on:
            # Also while all is left: a second signal cuts the grace short.
            interrupt = stack.enter_context(listening(self._stop_on, _LAST_WORDS))
            stack.callback(self._group.create_task(self._stop_when(interrupt)).cancel)
        self._serving = self._group.create_task(engine.serve())
        stack.push_async_callback(self._wind_down, runs)
        self._group.create_task(keeper.listen())
        self._group.create_task(keeper.keep())
        self._entered = runs
        await keeper.take_up_orphans()

    def _watch(self, engine: Engine) -> Callable[[], None]:
        """Watch that the loop turns, from now on; what ends it."""
        return Watchdog(engine).close

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with _ungrouped():
            await self._stack.__aexit__(kind, error, trace)

    async def _stop_when(self, interrupt: Interrupt) -> None:
        await interrupt.asked.wait()
        await self.shutdown()

    async def shutdown(self) -> None:
        """
        Take no new work, tell the steps in flight (`ctx.cancelled`), give them `grace` seconds to end, then stop them.

        What has not ended is left, to be resumed by whoever comes next; those who wait for it get
        `RunInterruptedError`. Leaving the `async with` block does the same. Returns when all has been left.
        """
        await self._end(self._runs)

    async def _end(self, runs: Runs) -> None:
        runs.engine.drain()
        revoke = self._clock.call_at(self._clock.now() + self._grace, runs.engine.stop)
        await asyncio.wait([self._serving])
        revoke()
        self._keeper.wake()

    async def _wind_down(self, runs: Runs) -> None:
        await self._end(runs)
        # Whoever waits for a run is told of a store that is lost. Without it the lease runs out by itself.
        with contextlib.suppress(StoreError):
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

    async def get(self, run_id: str, *, workflow: type | None = None) -> RunHandle[Any]:
        """
        The handle of a run, whoever executes it.

        Args:
            workflow: The class of its workflow, if that is not among `workflows`: with it the run can be cancelled here
                if nobody executes it.

        Raises:
            RunNotFoundError: there is none of this id.
        """
        if workflow is not None:
            self._runs.registry.add(workflow)
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

    async def resume(
        self,
        run_id: str,
        *,
        workflow: type | None = None,
        rerun: Named | Sequence[Named] = (),
        skip: Named | Sequence[Named] = (),
        values: Mapping[Any, object] | None = None,
        on_change: OnChange | None = None,
    ) -> RunHandle[Any]:
        """
        Go on with a failed, paused or orphaned run: only what did not complete, with a fresh budget of attempts.

        Of a run in which something could not be undone that is tried again.

        Args:
            workflow: The class of its workflow, if that is not among `workflows`.
            rerun: The steps, or their names, that are to run again although they run at most once and nobody knows
                whether they took effect.
            skip: Those that are to be skipped, of these and of the failed ones.
            values: Step, or its name -> what it is to be taken to have returned, of the same.
            on_change: What to do if its graph is another one now: `"adopt"` it, this once, or `"refuse"` it; by default
                what the workflow says.

        Raises:
            RunNotFoundError: there is none of this id.
            NotResumableError: it completed, was cancelled, or is undone.
            RunOwnedError: another process, which is alive, executes it.
            UnknownWorkflowError: its workflow is not among those of this orchestrator.
            WorkflowChangedError: its graph is another one now, and that is not adopted.
            UnknownStepError, UsageError: a step is named that there is not, or that is not in question; or one that is
                in question, of which nobody knows whether it took effect, is not named.
            EncodingError: a value cannot be stored.
        """
        if on_change not in (None, "refuse", "adopt"):
            raise UsageError(f"on_change takes 'refuse' or 'adopt', not {on_change!r}")
        answers = Answers(rerun=rerun, skip=skip, values=values or {})
        execution = await self._runs.resume(run_id, workflow, answers, on_change=on_change)
        return RunHandle(self._runs, run_id, execution)

    async def fork(
        self,
        run_id: str,
        from_step: Named,
        inputs: Mapping[str, object] | None = None,
        *,
        workflow: type | None = None,
        new_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunHandle[Any]:
        """
        Start a new run that reuses what another one did before a step: as if that one had been stopped there.

        Reused is what completed, or was skipped, of all steps but this one and what depends on it; with other inputs,
        of those only that this one depends on. What was undone, and what has other inputs by a changed definition, runs
        again. What is reused is not undone by the new run. `result.forked_from` names the run it comes from.

        Args:
            run_id: The run to reuse, in whatever state it is.
            from_step: The step, or its name, that is to run anew.
            inputs: Input name -> value, of the inputs that are to be others.
            workflow: The class of its workflow, if that is not among `workflows`.
            new_id: Names the new run; by default a new id.
            metadata, tags: As of `start`; by default those of the other run.

        Raises:
            RunNotFoundError, UnknownStepError, UnknownWorkflowError, RunExistsError, EncodingError: as they say.
            UsageError: the workflow has no such input.
        """
        name = from_step if isinstance(from_step, str) else from_step.name
        execution = await self._runs.fork(run_id, name, inputs or {}, new_id, metadata, tags, workflow=workflow)
        return RunHandle(self._runs, execution.record.id, execution)

    async def delete(self, run_id: str) -> None:
        """
        Delete a run that has ended, or that nobody executes, with all that belongs to it.

        Raises:
            RunNotFoundError: there is none of this id.
            UsageError: it is being executed.
        """
        record = await self._runs.record(run_id)
        if record.status is RunStatus.RUNNING and not self._runs.is_orphan(record):
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


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} takes a whole number of at least 1, not {value!r}")


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
