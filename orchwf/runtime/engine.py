"""
The loop that executes runs: decide, write, tell, do.

One loop serves all runs of an orchestrator. While a batch is being written, what happens meanwhile gathers for the
next one: so groups form by themselves, and nobody waits for company.
"""

import asyncio
import heapq
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any

import attrs

from ..core.definition import Node
from ..core.events import ChildStarted, CompensationStarted, Event, StepCompleted, StepStarted
from ..core.machine import STARTS
from ..core.outcome import Beat, Ended, Happening, Outcome, Spawned, Yielded
from ..core.state import RunStatus
from ..errors import StoreBusyError, StoreError, UsageError
from ..ports import Append, AroundStep, Clock, Observer, RunRecord, Store, Summary, Tracer
from ..surroundings import LOG_VARIABLES, bind, log_values
from .admission import Admission
from .around import Around
from .attempt import Attempt, Ending, Host
from .children import messages_of, spawned
from .clock import pause
from .elsewhere import Elsewhere
from .execution import Execution
from .executors import Executors
from .gates import Entry
from .lanes import Lane, Lanes, Ready
from .large import Large
from .measures import Measures
from .seats import Seats
from .tasks import Tasks
from .telling import tell
from .threads import Threads

_Batch = dict[Execution, list[Event]]
"""What each run adds in the batch that is being decided."""

_AT_ONCE = 500
"""How many runs are looked at, and how many steps started, before the loop may do something else."""


@attrs.frozen
class _Written:
    """What one run adds in one batch; `summary` is None if that stays as it is. Whether it `sleeps` from then on."""

    execution: Execution
    events: list[Event]
    summary: Summary | None
    sleeps: bool = False


def closed() -> UsageError:
    """The error for a run that is to be executed when nothing is any more."""
    return UsageError("the orchestrator is closed: nothing can be started or resumed with it")


class Engine:
    """
    Executes runs on one event loop, over one store.

    `max_concurrency` bounds the attempts in flight over all runs. `serve` has to run as a task; everything else is
    called from the same loop. `reassure` is awaited between telling and doing: it lets go of the runs that were lost
    meanwhile. `executors` run the bodies of steps that name them. `middleware` stands around each body; with None plain
    bodies begin on their threads at once. `admission` bounds the attempts of steps with a queue or a mutex. `measures`
    are kept of what is written. `tracer` traces the runs, if they are to be.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        max_concurrency: int,
        observers: Sequence[Observer],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        middleware: Sequence[AroundStep] | None = None,
        admission: Admission,
        executors: Executors,
        measures: Measures,
        tracer: Tracer | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.executions: dict[str, Execution] = {}
        self.failure: BaseException | None = None
        self.measures = measures
        self.tracer = tracer
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._threads = Threads()
        self._tasks = Tasks(spawn)
        self._around = None if middleware is None else Around(middleware, self._threads)
        self.admission = admission
        admission.connect(offer=self._offer, tell=self.tell_run, fail=self._fail, spawn=spawn)
        self._executors = executors
        self._large = Large(store)
        self._elsewhere = Elsewhere(executors, self._large, self._begun)
        self._seats = Seats(executors)
        self._free = max_concurrency
        self._lanes = Lanes[Ready]()
        # Those that have all they need, and for which a place is kept: they go before all others.
        self._granted = Lane[Ready]("")
        self._began_at = clock.now()
        self._age = 0
        self._by_age: dict[int, Execution] = {}
        self._stirred: dict[Execution, None] = {}
        # Those with a generator that could go on if there was a place.
        self._crowded: dict[Execution, None] = {}
        self._timers: list[tuple[float, int]] = []
        self._armed: dict[int, float | None] = {}
        self._wake = asyncio.Event()
        self.is_draining = False
        self.is_stopped = False
        self.reassure: Callable[[], Awaitable[None]] = _nothing_lost
        self.arrivals: dict[str, asyncio.Event] = {}
        self.spawn = spawn
        # What the keeper of the runs does about children, and about those that sleep.
        self.see_to_child: Callable[[Execution, int], object] = _nothing_to_do
        self.know: Callable[[type], None] = _nothing_to_do
        self.note_sleep: Callable[[], object] = _nothing_to_do
        self.note_messages: Callable[[], object] = _nothing_to_do
        self.note_left: Callable[[Execution], object] = _nothing_to_do

    # What others may ask for.

    def admit(self, execution: Execution, *happened: Happening) -> None:
        """Execute this run from now on; its id must not be among the executions."""
        self._age += 1
        execution.age = self._age
        try:
            execution.lane = self._lanes.by_workflow[execution.record.workflow]
        except KeyError:
            execution.lane = self._lanes.add(execution.record.workflow)
        execution.lane.runs += 1
        self._by_age[self._age] = execution
        self.executions[execution.record.id] = execution
        if self.arrivals and (arrived := self.arrivals.pop(execution.record.id, None)) is not None:
            arrived.set()
        self.tell_run(execution, *happened)

    def tell_run(self, execution: Execution, *happened: Happening) -> None:
        """Something happened to a run; its machine decides about it in the next turn."""
        execution.happened.extend(happened)
        self._stirred[execution] = None
        self._wake.set()

    def announce(self, record: RunRecord, events: Sequence[Event]) -> None:
        """Tell the observers of events of a run that is not executed here."""
        tell(self._observers, record, events)

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
        return (
            self._wake.is_set()
            or self.admission.is_preparing
            or any(execution.attempts for execution in self.executions.values())
        )

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
                    outcomes = await self._write([self._append_of(written) for written in batch])
                    for written, trouble in zip(batch, outcomes, strict=True):
                        if trouble is None:
                            execution = written.execution
                            execution.note_written(written.events, written.summary)
                            tell(self._observers, execution.record, written.events)
                    # Observers may have taken long, too.
                    await self.reassure()
                    self._finish(batch, outcomes)
                # After the last of what runs was written nothing would wake us before the grace is over.
                if self.is_draining and not self.in_flight and not (batch and self._wake.is_set()):
                    break
                if self.is_draining:
                    await self._leave_idle()
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
            for arrived in self.arrivals.values():
                arrived.set()
            self.admission.close()
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
        self._lanes.minute = (now - self._began_at) // 60
        self._wake.clear()
        while self._timers and self._timers[0][0] <= now and len(self._stirred) < _AT_ONCE:
            due_at, age = heapq.heappop(self._timers)
            if self._armed.get(age) == due_at:
                # What follows may be due at the same instant.
                self._armed[age] = None
            execution = self._by_age.get(age)
            if execution is not None:
                self._stirred[execution] = None
        events: _Batch = {}
        for execution in [*islice(self._stirred, _AT_ONCE)]:
            del self._stirred[execution]
            if self.executions.get(execution.record.id) is execution:
                happened, execution.happened = execution.happened, []
                self._turn(execution, happened, now, events)
        if self._crowded:
            for execution in list(self._crowded):
                self._take_gifts(execution)
        self._start_ready(now, events)
        if self._stirred:
            self._wake.set()
        batch = []
        for execution, new in events.items():
            run = execution.machine.run
            may_sleep = not run.running and run.status is RunStatus.RUNNING
            wake_at = self._wake_at(execution, new, now) if may_sleep else None
            if wake_at is not None:
                fingerprint = execution.record.fingerprint
                summary = execution.summary_of(new) or Summary(status=RunStatus.RUNNING, fingerprint=fingerprint)
                batch.append(
                    _Written(execution, new, attrs.evolve(summary, wake_at=wake_at, slept_at=now), sleeps=True)
                )
            elif new:
                batch.append(_Written(execution, new, execution.summary_of(new)))
            else:
                # A deadline may end attempts without an event of its own: there is nothing to write first.
                self._stop_unwanted(execution)
        return batch

    def _wake_at(self, execution: Execution, new: Sequence[Event], now: float) -> float | None:
        """When this run is to go on, if it sleeps from now on; None if it does not."""
        # A run that is to be started is looked after first: nobody else would see to it.
        if self.is_draining or execution in self._stirred or any(type(event) is ChildStarted for event in new):
            return None
        wake_at, run = execution.wake_at(now), execution.machine.run
        # A run that is executed here is likely to end soon.
        if wake_at is not None and run.children:
            waits_for = [run.children[step].child for step in run.waiting if step in run.children]
            return None if any(child in self.executions for child in waits_for) else wake_at
        return wake_at

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
        if turn.ready:
            lane, minute = execution.lane, self._lanes.minute
            first = lane.steps[0] if lane.steps else None
            for step in turn.ready:
                priority = machine.run.nodes[step].options.priority
                heapq.heappush(lane.steps, (minute - priority, step, execution.age, priority))
            if lane.steps[0] is not first:
                self._lanes.enter(lane)
        if turn.has_more:
            self.tell_run(execution)
        due_at = machine.run.next_due()
        if due_at != self._armed.get(execution.age):
            self._armed[execution.age] = due_at
            if due_at is not None:
                heapq.heappush(self._timers, (due_at, execution.age))

    def _start_ready(self, now: float, events: _Batch) -> None:
        """Hand out the free places: to the lanes by turns, in each by rank, in definition order, to the oldest run."""
        left, looks, lanes = 0 if self.is_draining else self._free - self.admission.desk.places, _AT_ONCE, self._lanes
        while left > 0 and looks and lanes.count:
            lane = lanes.only or lanes.next()
            rank, step, age, _ = heapq.heappop(lane.steps)
            lanes.took(lane)
            try:
                execution = self._by_age[age]
            except KeyError:
                continue
            looks -= 1
            has_to_ask = execution.plan.elsewhere or (
                execution.plan.guarded and execution.machine.run.is_guarded(step)
            )  # fmt: skip
            if has_to_ask and not self._admits(execution, step, rank, now):
                left = min(left, self._free - self.admission.desk.places)
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
                if has_to_ask:
                    self._not_started(execution, step)
        if self._seats.waiting and (called := list(self._seats.called())):
            self._offer(called)
        if lanes.count and self._free > self.admission.desk.places and not self.is_draining:
            self._wake.set()

    def _admits(self, execution: Execution, step: int, rank: float, now: float) -> bool:
        """Whether a ready step may try to start now; if not, it is ready again when it may."""
        if not self._seats.admits(execution, step, rank):
            return False
        is_guarded = execution.plan.guarded and execution.machine.run.is_guarded(step)
        if is_guarded and not self.admission.admits(execution, step, rank, now):
            self._seats.leave(execution, [step])
            return False
        return True

    def _not_started(self, execution: Execution, step: int) -> None:
        """The machine did not let a step start that was admitted."""
        self._seats.leave(execution, [step])
        if execution.plan.guarded and execution.machine.run.is_guarded(step):
            self.admission.not_started()

    def _offer(self, entries: Iterable[Entry]) -> None:
        for rank, step, age in entries:
            execution = self._by_age.get(age)
            if execution is None:
                continue
            lane, priority = execution.lane, float(execution.machine.run.nodes[step].options.priority)
            if rank == -math.inf:
                lane, priority = self._granted, math.inf
            heapq.heappush(lane.steps, (rank, step, age, priority))
            self._lanes.enter(lane)
        self._wake.set()

    # Writing.

    async def _write(self, appends: Sequence[Append]) -> list[Exception | None]:
        wait, measures = 0.05, self.measures
        while True:
            measures.commits.began_at = began_at = perf_counter()
            try:
                outcomes = await self.store.append(appends)
            except StoreBusyError:
                measures.is_answered = False
                # Another process holds the file. The events stay true; so the same batch is written later.
                await pause(self.clock, wait)
                wait = min(1.0, wait * 2)
                if self.is_stopped:
                    raise
            else:
                measures.is_answered = True
                measures.commits.note(began_at, appends)
                return outcomes

    def _append_of(self, written: _Written) -> Append:
        execution, events, summary = written.execution, written.events, written.summary
        has_kin = execution.parent is not None or execution.machine.run.children
        messages = messages_of(execution, events) if has_kin else ()
        if not execution.is_new:
            return Append(
                run_id=execution.record.id, expected=execution.written, events=events, owner=execution.record.owner,
                summary=summary, releases=written.sleeps or (summary is not None and execution.is_over),
                definition=execution.definition, messages=messages,
                caches=self.admission.kept(execution, events) if execution.plan.guarded else (),
            )  # fmt: skip
        record = execution.record if summary is None else execution.summarised(summary)
        return Append(
            run_id=record.id, expected=0, events=events, create=record, definition=execution.definition,
            messages=messages,
        )  # fmt: skip

    async def _leave_idle(self) -> None:
        """Let go of the runs of which nothing is in flight, while others have their grace: they may go on elsewhere."""
        idle = [
            each for each in self.executions.values()
            if not (each.attempts or each.happened or each.is_new or each in self._stirred)
        ]  # fmt: skip
        if not idle:
            return
        appends = [
            Append(run_id=each.record.id, expected=each.written, owner=each.record.owner, events=(), releases=True)
            for each in idle
        ]
        outcomes = await self._write(appends)
        for execution, trouble in zip(idle, outcomes, strict=True):
            self.let_go(execution, trouble)

    # Doing.

    def _finish(self, batch: Sequence[_Written], outcomes: Sequence[Exception | None]) -> None:
        for written, trouble in zip(batch, outcomes, strict=True):
            execution = written.execution
            if execution.trace is not None and trouble is None:
                # Also of a run that was lost meanwhile: who wrote the end of a span is who exports it.
                execution.trace.told(written.events)
            if trouble is not None:
                self.let_go(execution, trouble)
            # What was written before the run was lost is somebody else's to do.
            elif self.executions.get(execution.record.id) is execution:
                self._do(written)

    def _do(self, written: _Written) -> None:
        execution = written.execution
        execution.note_changed()
        self._obey(execution, written.events)
        run = execution.machine.run
        if run.ending is not None or run.is_late or run.spared or run.rows:
            self._stop_unwanted(execution)
        if execution.parent is not None or run.children:
            self.note_messages()
        if written.sleeps or (written.summary is not None and execution.is_over):
            self.let_go(execution, None)
        if written.sleeps:
            self.note_sleep()
            if execution.parent is not None and (parent := self.executions.get(execution.parent[0])) is not None:
                # What waited for it alone may sleep, too.
                self.tell_run(parent)

    def _obey(self, execution: Execution, events: Sequence[Event]) -> None:
        """Do what these events say is to be done."""
        run, plan = execution.machine.run, execution.plan
        for event in events:
            match event:
                case StepStarted():
                    number = plan.index[event.step] if event.item is None else run.number_of(event)
                    self._start(execution, number, event.attempt)
                case StepCompleted():
                    if execution.raised:
                        execution.raised.pop(run.number_of(event), None)
                case CompensationStarted():
                    self._start(execution, run.undo[run.number_of(event)], event.attempt)
                case ChildStarted():
                    self.see_to_child(execution, run.number_of(event))
                case _:
                    pass
        if execution.gifts:
            self._take_gifts(execution)
        if plan.guarded:
            self.admission.written(execution, events)

    def _stop_unwanted(self, execution: Execution) -> None:
        for step in execution.machine.run.unwanted():
            if step in execution.attempts:
                execution.attempts[step].stop()

    def _start(self, execution: Execution, step: int, number: int) -> None:
        run = execution.machine.run
        node = run.nodes[step]
        if step in run.children:
            # The run that it started is there, and is to go on.
            self._free += 1
            self.tell_run(execution, Ended(step, number, Spawned(child=run.children[step].child)))
            return
        if step in execution.plan.eaches:
            node = Node(name=node.name, function=partial(execution.split, step), takes_self=False)
        limit, is_total = run.time_left(step, self.clock.now()) if node.options.is_limited else (None, False)
        attempt = Attempt(
            host=execution.host or self._host(execution), node=node, step=step, number=number,
            outputs=execution.outputs_for(step), limit=limit, is_total=is_total,
            last_heartbeat=run.heartbeats.get(step), item=None if step < run.size else execution.item(step),
        )  # fmt: skip
        execution.attempts[step] = attempt
        if self.measures.tally is not None and step not in execution.plan.eaches:
            attempt.since = self.clock.now()
        if execution.plan.guarded and (trouble := self.admission.trouble(execution, step)) is not None:
            attempt.fail(trouble)
            return
        is_elsewhere = node.options.executor is not None
        if not is_elsewhere:
            # Asked here, as of nearly all there is nothing to do.
            if limit is not None or node.options.heartbeat_timeout is not None:
                attempt.limit_time()
        elif node.options.total_timeout is not None:
            attempt.wait_at_most(run.total_left(step, self.clock.now()))
        # A step is taken apart by what is looked into in any case, and elsewhere others see to it.
        may_lack = self._large.is_elsewhere and not is_elsewhere and step not in execution.plan.eaches
        if may_lack and self._large.is_lacking(attempt.taken.stored_texts):
            self.spawn(self._launch_filled(execution, attempt))
        else:
            self._launch(execution, attempt)

    async def _launch_filled(self, execution: Execution, attempt: Attempt) -> None:
        """Run a body here that takes large values, once they are here."""
        where = f"what step {attempt.node.name!r} of run {execution.record.id!r} takes"
        try:
            fill = await self._large.whole(attempt.taken.stored_texts, where)
        except StoreError as error:
            attempt.fail(error)
            return
        if not attempt.is_over:
            attempt.take(attempt.taken.changed(fill))
            self._launch(execution, attempt)

    def _launch(self, execution: Execution, attempt: Attempt) -> None:
        """Let its body run."""
        node, step, variables = attempt.node, attempt.step, execution.variables.copy()
        if execution.trace is not None or LOG_VARIABLES in sys.modules:
            variables.run(_surround, execution, attempt)
        if self._around is not None and step not in execution.plan.eaches:
            # What accompanies its run was spawned just now, and begins before it.
            self._loop.call_soon(self._tasks.submit, attempt, variables)
        elif node.is_async or node.options.executor is not None:
            self._tasks.submit(attempt, variables)
        else:
            attempt.start_on(self._threads.submit, variables)

    def _host(self, execution: Execution) -> Host:
        execution.host = host = Host(
            codec=execution.codec, input_size=len(execution.inputs), instance=execution.instance,
            node=execution.dag.nodes.__getitem__, type_of=execution.type_of, child=execution.child,
            spawn=partial(self._spawned, execution), give=partial(self._give, execution),
            context_for=execution.context_for, later=self._later,
            soon=self._loop.call_soon_threadsafe,
            report=partial(self._ended, execution),
            pulse=lambda attempt, progress: self.tell_run(execution, Beat(attempt.step, attempt.number, progress)),
            around=self._around,
            elsewhere=partial(self._elsewhere.outcome, execution) if execution.plan.elsewhere else None,
        )  # fmt: skip
        return host

    def _begun(self, execution: Execution, attempt: Attempt) -> None:
        """A body begins that runs elsewhere: until now it waited for a worker, which does not count."""
        if attempt.is_over:
            return
        now = self.clock.now()
        attempt.limit, attempt.is_total = execution.machine.run.time_left(attempt.step, now)
        attempt.limit_time()

    def _spawned(self, execution: Execution, attempt: Attempt, value: object) -> Outcome:
        return spawned(execution, attempt.step, value, self.know)

    def _give(self, execution: Execution, attempt: Attempt, position: int, text: str) -> "Future[None]":
        """Write what a generator gave; done when the next one is wanted. May be called from any thread."""
        taken: Future[None] = Future()

        def note() -> None:
            if attempt.is_over:
                # Another attempt may give the same meanwhile.
                return
            execution.gifts[attempt.step] = (position, taken)
            self.tell_run(execution, Yielded(attempt.step, attempt.number, position, text))
            # It may be known from an attempt before, and then nothing is written.
            self._take_gifts(execution)

        self._loop.call_soon_threadsafe(note)
        return taken

    def _take_gifts(self, execution: Execution) -> None:
        """Let the generators go on of which what they gave is stored, unless others have to catch up first."""
        for step in execution.stored_gifts():
            if execution.backlog(step):
                if step not in execution.resting:
                    # Those may need the place.
                    execution.resting.add(step)
                    self._free += 1
                    self._wake.set()
            elif step not in execution.resting:
                execution.take_gift(step)
            elif self._free > 0:
                execution.resting.discard(step)
                self._crowded.pop(execution, None)
                self._free -= 1
                execution.take_gift(step)
            else:
                self._crowded[execution] = None

    def _later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self.clock.call_at(self.clock.now() + seconds, callback)

    def _ended(self, execution: Execution, attempt: Attempt, ending: Ending) -> None:
        outcome, error = ending
        del execution.attempts[attempt.step]
        if attempt.since is not None and (tally := self.measures.tally) is not None:
            tally.ended_attempt(execution.record.workflow, attempt.node.name, self.clock.now() - attempt.since)
        if execution.gifts:
            execution.gifts.pop(attempt.step, None)
        if attempt.step in execution.resting:
            execution.resting.discard(attempt.step)
        else:
            self._free += 1
        if execution.plan.elsewhere:
            self._seats.leave(execution, [attempt.step])
        if execution.plan.guarded and execution.left.is_set():
            self.admission.ended(execution, attempt.step)
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
        if self.executions.get(execution.record.id) is execution:
            del self.executions[execution.record.id]
        if self._by_age.pop(execution.age, None) is not None:
            execution.lane.runs -= 1
            if not execution.lane.runs:
                self._lanes.forget(execution.lane)
        self._armed.pop(execution.age, None)
        execution.leave(trouble)
        if self._crowded:
            self._crowded.pop(execution, None)
        if execution.plan.guarded:
            self.admission.left(execution)
        if execution.plan.elsewhere:
            self._seats.left(execution)
        self.note_left(execution)

    def _fail(self, error: Exception) -> None:
        self._give_up(error)
        self.stop()

    def _give_up(self, error: BaseException) -> None:
        if isinstance(error, StoreError):
            self.measures.is_answered = False
        self.failure = error
        for execution in list(self.executions.values()):
            self.let_go(execution, error)


def _surround(execution: Execution, attempt: Attempt) -> None:
    """Let the body of this attempt be traced, and its log lines say what they are of, in the context of here."""
    name, number, run = attempt.node.name, attempt.step, execution.machine.run
    item = run.item_of(number)
    if execution.trace is not None:
        execution.trace.enter(name, item, undoes=number in run.undone_by)
    text = None if item is None else str(item)
    bind(log_values(run.run_id, execution.record.workflow, name, attempt.number, text))


async def _nothing_lost() -> None:
    pass


def _nothing_to_do(*about: object) -> None:
    pass
