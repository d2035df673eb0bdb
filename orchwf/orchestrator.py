"""The public face: starts runs, finds them, resumes them."""

import asyncio
import contextlib
import math
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from .blobs.urls import checked_blobs
from .core.limits import Queue
from .core.options import Duration, OnChange, positive_seconds, seconds
from .core.state import RunStatus
from .errors import RunExistsError, StoreError, UsageError
from .executors import DEFAULTS
from .observers.log import LogObserver
from .ports import (
    AroundRun,
    AroundStep,
    BlobStore,
    Clock,
    Executor,
    Observer,
    PayloadCodec,
    RunQuery,
    Store,
    Tracer,
    TracerProvider,
    WatchfulClock,
)
from .runtime.admission import Admission
from .runtime.answers import Answers, Named
from .runtime.arguments import (
    check_on_duplicate,
    checked_hook,
    checked_instant,
    checked_middleware,
    checked_telemetry,
)
from .runtime.clock import SystemClock, WallClock
from .runtime.deleting import Deleting
from .runtime.engine import Engine
from .runtime.executors import Executors, checked_executors
from .runtime.handle import RunHandle
from .runtime.health import Health
from .runtime.hooks import Hook, Hooks
from .runtime.interrupts import Interrupt, listening
from .runtime.keeper import Keeper
from .runtime.listing import RunPage, checked_statuses, run_page, run_query
from .runtime.measures import Measures, Opened
from .runtime.owner import this_process
from .runtime.published import publish
from .runtime.queues import Queues
from .runtime.registry import Registry
from .runtime.result import RunResult
from .runtime.runs import Runs
from .runtime.schedule import Schedule
from .runtime.scheduler import Scheduler
from .runtime.tally import Tally
from .runtime.watchdog import Watchdog
from .stores import default_store, open_store
from .stores.coded import checked_codec
from .stores.urls import check_is_url
from .surroundings import carried, process_provider

W = TypeVar("W")

_FRESH = 0.7
"""How old a lease may be, as a part of it, to say that the store can be reached; it is renewed after a third."""

_LAST_WORDS = "ended at once; what was done is kept, and its runs can be resumed"


class Orchestrator:
    """
    Executes runs of workflows over one store.

    ::

        async with Orchestrator("sqlite:///orders.db", workflows=[Fulfilment]) as orchestrator:
            result = await orchestrator.run(Fulfilment(order_id="A1"))

    On entry it takes up the unfinished runs of its workflows that nobody executes, as many as `max_runs` says, and goes
    on to do so. On exit it starts nothing more,
    gives the steps in flight `grace` seconds, and leaves the rest to be resumed.

    Args:
        store: A URL (`memory:`, `sqlite:///path`), or a store, which then stays open on exit; by default
            `$ORCHWF_STORE`, else `sqlite:///orchwf.db`.
        workflows: The classes whose runs it takes up and resumes. The class of what it starts it knows, too, but takes
            up nothing of it that it did not start.
        max_concurrency: How many steps may run at a time, over all runs; a hard bound.
        max_runs: How many runs it executes at a time for it to take up more of those that nobody executes; by default
            it takes up all. What is started here is never refused; the runs of a subflow for which there is no room are
            left to whoever has some.
        grace: What the steps in flight get on exit: a duration.
        lease: How long the others on the store take this orchestrator to live after it was seen last: a duration. Its
            event loop renews it; if that is blocked for so long, others take its runs up.
        max_takeovers: After how many owners that died in a row, without any step coming to its end, a run is parked.
        queues: The queues that steps may name with `@step(queue="api")`. Who shares a store gives the same ones.
        executors: Name -> what runs the bodies of steps that name it, `@step(executor="gpu")`: `ProcessExecutor`,
            `DaskExecutor`, `RayExecutor` of `orchwf.executors`. There are by themselves `"process"`, `"dask"` and
            `"ray"`, with their defaults; one that is given here under such a name takes its place.
        stop_on: Signals, such as `signal.SIGTERM`, on which the orchestrator shuts down; see `shutdown`. The handlers
            there were before are called, too, and come back on exit. A second signal ends the process at once. Only in
            the main thread.
        observers: Are told of every event after it is written.
        middleware: Objects with `async def around_step(self, call, context)`, which stands around the body of each
            attempt, or `async def around_run(self, call, context)`, which accompanies a run, or both. The first is the
            outermost.
        on_success, on_failure: Functions, plain or async, that are given the handle of each run that completed, or
            failed, here, after that is written. What they raise is logged.
        codec: With a URL: encrypts or compresses what users give and steps return; see `orchwf.crypto`.
        blobs: With a URL: where large values are kept; see `open_store`.
        telemetry: Where the spans of OpenTelemetry go: a `TracerProvider`; `"off"` for nowhere. By default that of the
            process, if there is one when the orchestrator opens.
        clock: Where time comes from.

    Raises:
        UsageError: a value makes no sense, two workflows or queues have one name, or a step names a queue that there
            is not, or cannot run on the executor that it names.
        StoreError: on entry, if the store cannot be used.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        workflows: Sequence[type] = (),
        max_concurrency: int = 256,
        max_runs: int | None = None,
        grace: Duration = 5.0,
        lease: Duration = 15.0,
        max_takeovers: int = 5,
        queues: Sequence[Queue] = (),
        executors: Mapping[str, Executor] | None = None,
        stop_on: Sequence[signal.Signals] = (),
        observers: Sequence[Observer] = (),
        middleware: Sequence[AroundStep | AroundRun] = (),
        on_success: Hook | None = None,
        on_failure: Hook | None = None,
        codec: PayloadCodec | None = None,
        blobs: str | BlobStore | None = None,
        telemetry: TracerProvider | Literal["auto", "off"] = "auto",
        clock: Clock | None = None,
    ) -> None:
        _check_count("max_concurrency", max_concurrency)
        _check_count("max_takeovers", max_takeovers)
        if max_runs is not None:
            _check_count("max_runs", max_runs)
        if not isinstance(workflows, Iterable):
            raise UsageError(f"workflows takes a list of workflow classes, not {workflows!r}")
        check_is_url(store, codec, blobs)
        self._given = default_store() if store is None else store
        self._codec, self._blobs = checked_codec(codec), checked_blobs(blobs)
        self._workflows = tuple(workflows)
        self._max_concurrency = max_concurrency
        self._max_runs = math.inf if max_runs is None else max_runs
        self._max_takeovers = max_takeovers
        self._grace = seconds(grace, "grace")
        self._lease = positive_seconds(lease, "lease")
        self._queues = Queues(queues)
        self._executors = Executors({**DEFAULTS, **checked_executors(executors)})
        self._stop_on = tuple(stop_on)
        around_steps, around_runs = checked_middleware(middleware)
        self._middleware = around_steps if around_steps or around_runs else None
        self._hooks = Hooks(
            around_runs, checked_hook("on_success", on_success), checked_hook("on_failure", on_failure)
        )  # fmt: skip
        # The engine tells those that are added later, too.
        self._observers = [LogObserver(), *observers, *([self._hooks] if self._hooks.is_needed else [])]
        self._telemetry = checked_telemetry(telemetry)
        self._clock = clock or SystemClock()
        # What is looked after again and again, whether or not a run waits for anything, goes by this one.
        self._periodic: Clock = self._clock
        # What is to happen at a time of day.
        self._planned: Clock = clock or WallClock()
        self._measures = Measures()
        self._entered: Runs | None = None
        self._group = asyncio.TaskGroup()
        self._tending: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    @property
    def _runs(self) -> Runs:
        if self._entered is None:
            raise UsageError("the orchestrator is not open: use it in  async with Orchestrator(...) as orchestrator:")
        return self._entered

    @property
    def _schedules(self) -> Scheduler:
        _ = self._runs  # It says so if nothing is open.
        return self._scheduler

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise UsageError("the orchestrator is open already; make another one")
        async with _ungrouped(), AsyncExitStack() as stack:
            store = await open_store(self._given, codec=self._codec, blobs=self._blobs)
            if store is not self._given:
                stack.push_async_callback(store.close)
            await stack.enter_async_context(self._group)
            await self._open(self._clock.watched(store) if isinstance(self._clock, WatchfulClock) else store, stack)
            self._stack = stack.pop_all()
        return self

    async def _open(self, store: Store, stack: AsyncExitStack) -> None:
        # After the engine: nothing runs there any more.
        stack.push_async_callback(self._executors.close)
        registry = Registry(self._workflows, self._queues, self._executors)
        owner = this_process(secrets.token_hex(4))
        engine = Engine(
            store, self._clock, max_concurrency=self._max_concurrency, observers=self._observers,
            spawn=self._group.create_task, middleware=self._middleware,
            admission=Admission(store, str(owner), self._queues, clock=self._clock, periodic=self._periodic),
            executors=self._executors, measures=self._measures, tracer=_tracer(self._telemetry),
        )  # fmt: skip
        runs = Runs(
            store, engine, self._periodic, owner, registry, most_takeovers=self._max_takeovers, most=self._max_runs
        )
        self._keeper = keeper = Keeper(runs, self._lease)
        self._hooks.enter(runs, self._group.create_task)
        self._scheduler = Scheduler(runs, self._planned, self._lease / 3, self._group.create_task)
        # Nobody may take for dead who owns a run.
        await keeper.renew()
        stack.callback(self._watch(engine))
        if self._stop_on:
            # Also while all is left: a second signal cuts the grace short.
            interrupt = stack.enter_context(listening(self._stop_on, _LAST_WORDS))
            stack.callback(self._group.create_task(self._stop_when(interrupt)).cancel)
        # Before the store is closed, after the runs are left: what is on a screen is drawn a last time.
        stack.push_async_callback(runs.ledger.showings.close)
        self._serving = self._group.create_task(engine.serve())
        stack.push_async_callback(self._wind_down, runs)
        self._tend(keeper.listen(), keeper.keep(), keeper.look())
        stack.callback(self._group.create_task(runs.hearing.listen()).cancel)
        self._entered, self._began_at = runs, self._periodic.now()
        self._measures.opened = Opened(asyncio.get_running_loop(), store, self._clock)
        await publish(store, registry.served)
        await keeper.begin()
        self._tend(self._scheduler.serve())

    def _tend(self, *works: Coroutine[Any, Any, None]) -> None:
        """Let these look after the store until we leave."""
        self._tending += [self._group.create_task(work) for work in works]

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

    async def until_closed(self) -> None:
        """
        Return when the orchestrator has shut down, for a signal of `stop_on` or because somebody said so.

        Raises:
            StoreError: it has stopped by itself, as its store was lost.
        """
        runs = self._runs
        await asyncio.wait([self._serving])
        if runs.engine.failure is not None:
            raise StoreError(f"the orchestrator has stopped: {runs.engine.failure}") from runs.engine.failure

    async def _end(self, runs: Runs) -> None:
        runs.engine.drain()
        self._scheduler.wake()
        revoke = self._clock.call_at(self._clock.now() + self._grace, runs.engine.stop)
        await asyncio.wait([self._serving])
        revoke()
        await self._hooks.end(self._clock, self._grace)
        self._keeper.wake()

    async def _wind_down(self, runs: Runs) -> None:
        await self._end(runs)
        # Whoever waits for a run is told of a store that is lost. Without it the lease runs out by itself.
        with contextlib.suppress(StoreError):
            await runs.release()
            return
        # Those who look after it may wait for long, and for nothing.
        for task in self._tending:
            task.cancel()

    def health(self) -> Health | None:
        """How it is now, for whoever watches over the process; None before it has opened."""
        if self._entered is None:
            return None
        runs, seen_at = self._entered, self._keeper.seen_at
        age = self._periodic.now() - seen_at
        is_alive = not runs.engine.is_stopped and age < self._lease
        return Health(
            worker=f"{runs.owner.label}, {runs.owner.key}", since=self._began_at, renewed_at=seen_at, is_alive=is_alive,
            # Two attempts to renew it have failed, or one takes as long.
            is_ready=is_alive and not runs.engine.is_draining and age < self._lease * _FRESH,
            is_draining=runs.engine.is_draining, runs=len(runs.engine.executions), steps=len(runs.engine.in_flight),
            lease_age=age, store_answers=self._measures.has_answer_within(self._lease * (1 - _FRESH)),
            loop_lag=self._measures.lag.now, commits=self._measures.commits.times(),
        )  # fmt: skip

    def measured(self) -> Measures:
        """What it measures of itself, for `orchwf.metrics`; from the first call on it counts runs and steps, too."""
        if self._measures.tally is None:
            self._measures.tally = Tally()
            self._observers.append(self._measures.tally)
        return self._measures

    async def start(
        self,
        workflow: W,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
        *,
        not_before: Duration | datetime | None = None,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
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
            not_before: When it begins, if not at once: an aware datetime, or a duration from now. Until then its status
                is `scheduled`; whichever orchestrator knows its workflow begins it.
            use_cache: `False` lets its steps run though outputs of earlier runs are kept: these are replaced.
            only: The steps that are to run, by their names; `+name` with all above it, `name+` with all below, `tag:x`
                those of a tag. The others are skipped; a fork runs them. By default all run.

        Raises:
            RunExistsError: there is a run of this id.
            EncodingError: an input cannot be stored.
            UnknownStepError: `only` names a step that there is not.
            UsageError: something given makes no sense.
        """
        check_on_duplicate(on_duplicate)
        begins_at = None if not_before is None else checked_instant(not_before, self._clock.now())
        try:
            execution = await self._runs.start(
                workflow, run_id, metadata, tags, not_before=begins_at, use_cache=use_cache, only=only,
                within=carried(),
            )  # fmt: skip
        except RunExistsError as error:
            if on_duplicate == "raise":
                raise
            await self._runs.attach(workflow, error.run_id)
            return RunHandle(self._runs.ledger, error.run_id)
        if isinstance(execution, str):
            return RunHandle(self._runs.ledger, execution)
        return RunHandle(self._runs.ledger, execution.record.id, execution)

    async def run(
        self,
        workflow: W,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
        *,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
    ) -> RunResult[W]:
        """
        Start a run and wait for it; arguments and errors as of `start` and of `RunHandle.result`.
        """
        handle = await self.start(
            workflow, run_id, metadata=metadata, tags=tags, on_duplicate=on_duplicate, use_cache=use_cache, only=only
        )
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
        return RunHandle(self._runs.ledger, run_id)

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
        query = run_query(
            workflow=workflow, status=status, tags=tags, since=since, until=until, limit=limit, cursor=cursor
        )
        return await run_page(self._runs.store, query)

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
        return RunHandle(self._runs.ledger, run_id, execution)

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
        return RunHandle(self._runs.ledger, execution.record.id, execution)

    async def schedule(
        self,
        workflow: object,
        *,
        cron: str,
        tz: str = "UTC",
        overlap: Literal["skip", "queue", "cancel"] = "skip",
        catchup: Duration | None = None,
        jitter: Duration | None = None,
        name: str | None = None,
    ) -> Schedule:
        """
        Start a run of this workflow, with these inputs, at each time of a cron expression; stored when this returns.

        Whichever orchestrator was given the workflow begins the run, one of them each, as long as there is one; this
        one does from now on. The run is called `NAME@TIME`, has the tag `schedule`, and in its metadata `schedule` and
        `scheduled_for`, the time as ISO 8601 text. If there is a schedule of this name it is changed to what is said
        here: so a program says it each time it begins. What became of it stays, and that it is paused; if `cron` and
        `tz` are the same, the time that comes next does, too.

        Args:
            workflow: An instance, with its inputs.
            cron: Five fields (minute, hour, day of the month, month, day of the week), or `@hourly`, `@daily`,
                `@weekly`, `@monthly`, `@yearly`. With minutes and hours named, a time that the clocks skip comes when
                they have, and one that they show twice comes once. With a `*` in either it goes by what they show.
            tz: The name of the time zone on whose clocks it is read.
            overlap: What to do if the run of the time before has not ended: `"skip"` this time; `"queue"` it, to begin
                when that one has ended: at most one waits, and times that come meanwhile count as missed; or
                `"cancel"` that one, and begin, without waiting for what it cleans up.
            catchup: Times that were missed, as nobody was there, are made up for if they are no longer ago: a duration.
                They come one after the other, whatever `overlap` says. None for none; but a minute is never too late.
            jitter: Begin each run later, by less than this duration: by how much is drawn from the name and the time.
            name: Names the schedule; by default it is that of the workflow.

        Raises:
            BadOptionError, UsageError: something given makes no sense, or cronsim is not installed.
            EncodingError: an input cannot be stored.
        """
        scheduler = self._schedules
        draft = await scheduler.schedules.drafted(
            workflow, cron=cron, tz=tz, overlap=overlap, catchup=catchup, jitter=jitter, name=name
        )
        return Schedule(scheduler, await scheduler.declare(type(workflow), draft, is_named=name is not None))

    async def schedules(self) -> list[Schedule]:
        """The schedules of the store, by name, whoever serves them."""
        scheduler = self._schedules
        return [Schedule(scheduler, record) for record in await scheduler.schedules.all()]

    async def get_schedule(self, name: str, *, workflow: type | None = None) -> Schedule:
        """
        The schedule of this name, whoever serves it.

        Args:
            workflow: The class of its workflow, if that is not among `workflows`: with it runs of it can be begun here
                by `trigger` and `backfill`.

        Raises:
            ScheduleNotFoundError: there is none.
        """
        scheduler = self._schedules
        if workflow is not None:
            scheduler.runs.registry.add(workflow)
        return Schedule(scheduler, await scheduler.schedules.find(name))

    async def delete(self, run_id: str) -> None:
        """
        Delete a run that has ended, or that nobody executes, with all that belongs to it, and the runs that it started.

        Raises:
            RunNotFoundError: there is none of this id.
            UsageError: it is being executed, or a run that it started is; or another run waits for it.
        """
        await Deleting(self._runs).delete(run_id)

    async def prune(
        self, *, older_than: Duration, status: RunStatus | str | Sequence[RunStatus | str] | None = None
    ) -> int:
        """
        Delete the runs that ended longer ago than `older_than` (a duration), with those that they started; kept outputs
        that are out of date; and large values, put more than a day ago, to which nothing refers any more.

        One for which another run waits is kept.

        Args:
            status: Only those that ended so; by default all that ended.

        Returns:
            How many runs were deleted.

        Raises:
            UsageError: a value makes no sense, or `status` names one in which a run has not ended.
        """
        before = self._clock.now() - seconds(older_than, "older_than")
        statuses = checked_statuses(status) or [each for each in RunStatus if each.is_final]
        unfinished = [each for each in statuses if not each.is_final]
        if unfinished:
            raise UsageError(f"only runs that have ended can be pruned, not {', '.join(unfinished)} ones")
        deleted = await Deleting(self._runs).prune(RunQuery(statuses=statuses, until=before), before)
        await self._runs.store.forget_expired(self._clock.now())
        return deleted


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} takes a whole number of at least 1, not {value!r}")


def _tracer(telemetry: TracerProvider | str) -> Tracer | None:
    """What traces the runs of an orchestrator that opens now; None if nothing does."""
    if isinstance(telemetry, str):
        provider = process_provider() if telemetry == "auto" else None
    else:
        provider = telemetry
    if provider is None:
        return None
    from .observers.tracing import tracing_of  # It takes OpenTelemetry, which who has a provider has.

    return tracing_of(provider)


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
