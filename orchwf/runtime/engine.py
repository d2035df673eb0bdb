"""
The loop that executes runs: decide, write, tell, do.

One loop serves all runs of an orchestrator. While a batch is being written, what happens meanwhile gathers for the
next one: so groups form by themselves, and nobody waits for company.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from itertools import islice
from typing import Any

import attrs

from ..core.events import CompensationStarted, Event, StepCompleted, StepStarted
from ..core.machine import STARTS
from ..core.outcome import Beat, Ended, Happening
from ..errors import StoreBusyError, StoreError, UsageError
from ..ports import Append, Clock, Observer, Store, Summary
from .attempt import Attempt, Ending, Host
from .clock import pause
from .execution import Execution
from .tasks import Tasks
from .telling import tell
from .threads import Threads

_Batch = dict[Execution, list[Event]]
"""What each run adds in the batch that is being decided."""

_Ready = tuple[int, int, int]
"""A step that could start: priority (negated), number in its workflow, age of its run. Numbers cost no collection."""

_AT_ONCE = 500
"""How many runs are looked at, and how many steps started, before the loop may do something else."""


@attrs.frozen
class _Written:
    """What one run adds in one batch; `summary` is None if that stays as it is."""

    execution: Execution
    events: list[Event]
    summary: Summary | None


def closed() -> UsageError:
    """The error for a run that is to be executed when nothing is any more."""
    return UsageError("the orchestrator is closed: nothing can be started or resumed with it")


class Engine:
    """
    Executes runs on one event loop, over one store.

    `max_concurrency` bounds the attempts in flight over all runs. `serve` has to run as a task; everything else is
    called from the same loop. `reassure` is awaited between writing and doing: it lets go of the runs that were lost
    meanwhile.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        max_concurrency: int,
        observers: Sequence[Observer],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.store = store
        self.clock = clock
        self.executions: dict[str, Execution] = {}
        self.failure: BaseException | None = None
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._threads = Threads()
        self._tasks = Tasks(spawn)
        self._free = max_concurrency
        self._ready: list[_Ready] = []
        self._age = 0
        self._by_age: dict[int, Execution] = {}
        self._stirred: dict[Execution, None] = {}
        self._timers: list[tuple[float, int]] = []
        self._armed: dict[int, float | None] = {}
        self._wake = asyncio.Event()
        self.is_draining = False
        self.is_stopped = False
        self.reassure: Callable[[], Awaitable[None]] = _nothing_lost

    # What others may ask for.

    def admit(self, execution: Execution, *happened: Happening) -> None:
        """Execute this run from now on; its id must not be among the executions."""
        self._age += 1
        execution.age = self._age
        self._by_age[self._age] = execution
        self.executions[execution.record.id] = execution
        self.tell_run(execution, *happened)

    def tell_run(self, execution: Execution, *happened: Happening) -> None:
        """Something happened to a run; its machine decides about it in the next turn."""
        execution.happened.extend(happened)
        self._stirred[execution] = None
        self._wake.set()

    def drain(self) -> None:
        """Start nothing any more; what is in flight is told, and the loop ends when it has ended."""
        self.is_draining = True
        for attempt in self.in_flight:
            attempt.tell_to_end()
        self._wake.set()

    @property
    def in_flight(self) -> list[Attempt]:
        """The attempts that have not ended."""
        return [attempt for execution in self.executions.values() for attempt in execution.attempts.values()]

    @property
    def is_busy(self) -> bool:
        """Whether an attempt is in flight, or something has happened that is not decided yet."""
        return self._wake.is_set() or any(execution.attempts for execution in self.executions.values())

    def stop(self) -> None:
        """End the loop after the batch at hand. What is in flight is stopped and nothing is written of it."""
        self.is_stopped = True
        self._wake.set()

    # The loop.

    async def serve(self) -> None:
        """Decide, write, tell, do: until drained or stopped, or the store fails for good."""
        try:
            while not self.is_stopped:
                batch = self._decide()
                if batch:
                    outcomes = await self._write(batch)
                    for written, trouble in zip(batch, outcomes, strict=True):
                        if trouble is None:
                            written.execution.note_created()
                    await self.reassure()
                    self._finish(batch, outcomes)
                elif self.is_draining and not self.in_flight:
                    break
                await self._sleep()
        except StoreError as error:
            self._give_up(error)
        # A bug of ours must reach whoever waits for a run: nobody looks at this task.
        except Exception as error:
            self._give_up(error)
        finally:
            self.is_stopped = True
            for attempt in self.in_flight:
                attempt.close_soon()
            for execution in self.executions.values():
                # It came too late to be written.
                execution.not_created(closed())
                execution.left.set()
                execution.note_changed()
            self._threads.close()
            self._tasks.close()

    async def _sleep(self) -> None:
        """Until there is something to decide, for one turn of the loop at least: others wait for theirs."""
        if self._wake.is_set():
            await asyncio.sleep(0)
            return
        due_at = self._next_due()
        revoke = self.clock.call_at(due_at, self._wake.set) if due_at is not None else None
        try:
            await self._wake.wait()
        finally:
            if revoke is not None:
                revoke()

    def _next_due(self) -> float | None:
        while self._timers and self._armed.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    # Deciding.

    def _decide(self) -> list[_Written]:
        now = self.clock.now()
        self._wake.clear()
        while self._timers and self._timers[0][0] <= now and len(self._stirred) < _AT_ONCE:
            execution = self._by_age.get(heapq.heappop(self._timers)[1])
            if execution is not None:
                self._stirred[execution] = None
        events: _Batch = {}
        for execution in [*islice(self._stirred, _AT_ONCE)]:
            del self._stirred[execution]
            if self.executions.get(execution.record.id) is execution:
                happened, execution.happened = execution.happened, []
                self._turn(execution, happened, now, events)
        self._start_ready(now, events)
        if self._stirred:
            self._wake.set()
        batch = []
        for execution, new in events.items():
            if new:
                batch.append(_Written(execution, new, execution.summary_of(new)))
            else:
                # A deadline may end attempts without an event of its own: there is nothing to write first.
                self._stop_unwanted(execution)
        return batch

    def _turn(
        self,
        execution: Execution,
        happened: Sequence[Happening],
        now: float,
        events: _Batch,
    ) -> None:
        machine = execution.machine
        turn = machine.turn(happened, now)
        if execution in events:
            events[execution] += turn.events
        else:
            events[execution] = turn.events
        for step in turn.ready:
            priority = machine.run.plan.nodes[step].options.priority
            heapq.heappush(self._ready, (-priority, step, execution.age))
        if turn.has_more:
            self.tell_run(execution)
        due_at = machine.run.next_due()
        if due_at != self._armed.get(execution.age):
            self._armed[execution.age] = due_at
            if due_at is not None:
                heapq.heappush(self._timers, (due_at, execution.age))

    def _start_ready(self, now: float, events: _Batch) -> None:
        """Hand out the free places: the highest priority first, then in definition order, then the oldest run."""
        left = 0 if self.is_draining else min(self._free, _AT_ONCE)
        while left and self._ready:
            _, step, age = heapq.heappop(self._ready)
            execution = self._by_age.get(age)
            if execution is None:
                continue
            left -= 1
            event = execution.machine.start(step, now)
            if event is not None:
                if execution in events:
                    events[execution].append(event)
                else:
                    events[execution] = [event]
            if type(event) in STARTS:
                self._free -= 1
            else:
                self.tell_run(execution)
        if self._ready and self._free and not self.is_draining:
            self._wake.set()

    # Writing.

    async def _write(self, batch: Sequence[_Written]) -> list[Exception | None]:
        appends = [self._append_of(written) for written in batch]
        wait = 0.05
        while True:
            try:
                return await self.store.append(appends)
            except StoreBusyError:
                # Another process holds the file. The events stay true; so the same batch is written later.
                await pause(self.clock, wait)
                wait = min(1.0, wait * 2)
                if self.is_stopped:
                    raise

    def _append_of(self, written: _Written) -> Append:
        execution, events, summary = written.execution, written.events, written.summary
        if not execution.is_new:
            return Append(
                run_id=execution.record.id, expected=execution.written, events=events, owner=execution.record.owner,
                summary=summary, releases=summary is not None and execution.is_over, definition=execution.definition,
            )  # fmt: skip
        record = execution.record if summary is None else execution.summarised(summary)
        return Append(run_id=record.id, expected=0, events=events, create=record, definition=execution.definition)

    # Telling and doing.

    def _finish(self, batch: Sequence[_Written], outcomes: Sequence[Exception | None]) -> None:
        for written, trouble in zip(batch, outcomes, strict=True):
            execution = written.execution
            if trouble is not None:
                self.let_go(execution, trouble)
            # What was written before the run was lost is somebody else's to do.
            elif self.executions.get(execution.record.id) is execution:
                self._do(written)

    def _do(self, written: _Written) -> None:
        execution, events, plan = written.execution, written.events, written.execution.plan
        if written.summary is not None:
            execution.record = execution.summarised(written.summary)
        execution.written = events[-1].seq
        execution.definition = None
        tell(self._observers, execution.record, events)
        execution.note_changed()
        for event in events:
            match event:
                case StepStarted():
                    self._start(execution, plan.index[event.step], event.attempt)
                case StepCompleted():
                    if execution.raised:
                        execution.raised.pop(plan.index[event.step], None)
                case CompensationStarted():
                    self._start(execution, plan.undo[plan.index[event.step]], event.attempt)
                case _:
                    pass
        self._stop_unwanted(execution)
        if written.summary is not None and execution.is_over:
            self.let_go(execution, None)

    def _stop_unwanted(self, execution: Execution) -> None:
        for step in execution.machine.run.unwanted():
            if step in execution.attempts:
                execution.attempts[step].stop()

    def _start(self, execution: Execution, step: int, number: int) -> None:
        run = execution.machine.run
        node = run.plan.nodes[step]
        limit, is_total = run.time_left(step, self.clock.now()) if node.options.is_limited else (None, False)
        attempt = Attempt(
            host=execution.host or self._host(execution), node=node, step=step, number=number,
            outputs=execution.outputs_for(step), limit=limit, is_total=is_total,
            last_heartbeat=run.heartbeats.get(step),
        )  # fmt: skip
        execution.attempts[step] = attempt
        attempt.limit_time()
        if node.is_async:
            self._tasks.submit(attempt, execution.variables.copy())
        else:
            attempt.start_on(self._threads.submit, execution.variables.copy())

    def _host(self, execution: Execution) -> Host:
        execution.host = host = Host(
            codec=execution.codec, input_size=len(execution.inputs), instance=execution.instance,
            type_of=execution.type_of, context_for=execution.context_for, later=self._later,
            soon=self._loop.call_soon_threadsafe,
            report=partial(self._ended, execution),
            pulse=lambda attempt, progress: self.tell_run(execution, Beat(attempt.step, attempt.number, progress)),
        )  # fmt: skip
        return host

    def _later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self.clock.call_at(self.clock.now() + seconds, callback)

    def _ended(self, execution: Execution, attempt: Attempt, ending: Ending) -> None:
        outcome, error = ending
        del execution.attempts[attempt.step]
        self._free += 1
        if error is not None:
            execution.raised[attempt.step] = error
        if attempt.unwritten is not None:
            # What was told last is there for the next attempt.
            self.tell_run(execution, Beat(attempt.step, attempt.number, attempt.unwritten))
        self.tell_run(execution, Ended(attempt.step, attempt.number, outcome))

    def let_go(self, execution: Execution, trouble: BaseException | None) -> None:
        """Execute this run no longer: it has ended or pauses, somebody else owns it, or it could not be created."""
        for attempt in list(execution.attempts.values()):
            attempt.stop()
        self.executions.pop(execution.record.id, None)
        self._by_age.pop(execution.age, None)
        self._armed.pop(execution.age, None)
        execution.leave(trouble)

    def _give_up(self, error: BaseException) -> None:
        self.failure = error
        for execution in list(self.executions.values()):
            self.let_go(execution, error)


async def _nothing_lost() -> None:
    pass
