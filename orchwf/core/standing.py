"""How a run stands: what is true of it, folded from its events, and what that means for its steps."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from . import events as ev
from .definition import Node
from .effects import Effects
from .events import ErrorInfo, Event
from .options import Join, Quorum
from .plan import Plan
from .state import (
    BY_HAND,
    UNDONE_CAUSES,
    RunStatus,
    StepStatus,
    next_run_status,
    next_step_status,
    status_after_resume,
)

_COMPLETED, _PENDING = StepStatus.COMPLETED, StepStatus.PENDING
WAITING = frozenset({_PENDING, StepStatus.RETRYING})
"""Where a step is that could begin."""

# Of several ends that keep a step from running the worst is named. Completed ones keep none.
_PRECEDENCE = {StepStatus.FAILED: 0, StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2}

_HALTS = frozenset({"run", "deadline"})
"""The causes for which the whole run ends."""

Closing = tuple[str, str]
"""Why nothing new starts any more: the cause that the events of the ended steps carry, and the reason for people."""


class Standing:
    """
    How one run stands, folded from its events. Steps are numbers of the plan, and so are compensations.

    It is changed by `apply`, and so by an event, alone; but for the last attributes, which are no truths about the run:
    they tell the machine where to look, and would be found again without them.

    Attributes:
        status: Where the run is.
        seq: The number of the last event; 0 before the first.
        statuses: Step -> where it is.
        attempts: Step -> the number of its last attempt, 0 before the first.
        failures: Step -> how many attempts failed, and were followed by another, since it had a fresh budget.
        running: The steps with an attempt in flight, in the order of their starts.
        outputs: Step -> its encoded output, as long as a step that may still run needs it, or until `let_go`. Of a step
            that runs again it is that of before, which may have to be undone.
        errors: Step -> what it failed with, of the steps for which the run fails.
        causes: Step -> why it was skipped or cancelled, as its event says.
        halts: Those of these causes that end the whole run: `run` and `deadline`.
        first_start: Step -> when its first attempt with the present budget began (epoch seconds).
        due: Step -> when its next attempt is due (epoch seconds).
        waits: Step -> how long it was to wait for that (seconds).
        deadline_at: When the run has to be over (epoch seconds).
        cancel_reason: Why the run is to be cancelled; None if it is not.
        is_terminated: Whether nothing of it is to run any more, not even what cleans up.
        pause_reason: Why somebody wants the run to pause; None if nobody does.
        unknown: The steps that run at most once and were in flight when their process died.
        exhausted: Step -> the error of its last attempt, of those that wait for somebody to resume the run.
        takeovers: How many owners in a row died without any step coming to its end.
        received: The ids of the messages that were folded into the log.
        heartbeats: Step -> what its body said last of how far it is (JSON), until it completes.
        effects: What may have to be undone.
        unmet: Step -> how many of its dependencies have not ended.
        done: Step -> how many of those that count for its join have completed.
        open: How many steps have not ended.
        spared: The steps that a join needs no longer.
        touched: The steps for which something may have changed since the machine looked last.
        offered: The steps that were told to be ready and have not begun.
        held: Those that could start, were it not for a pause.
        is_late: Whether the deadline has passed.
        is_closed: Whether all has been ended that is not to start any more.
        passed: How many steps, in topological order, were looked at for that.
    """

    def __init__(self, run_id: str, plan: Plan) -> None:
        size = len(plan.nodes)
        self.run_id = run_id
        self.plan = plan
        self.status = RunStatus.SCHEDULED
        self.seq = 0
        self.statuses = [_PENDING] * size
        self.attempts = [0] * size
        self.failures = [0] * size
        self.running: dict[int, None] = {}
        self.outputs: dict[int, str] = {}
        self.errors: dict[int, ErrorInfo] = {}
        self.causes: dict[int, str] = {}
        self.halts: set[str] = set()
        self.first_start: dict[int, float] = {}
        self.due: dict[int, float] = {}
        self.waits: dict[int, float] = {}
        self.deadline_at: float | None = None
        self.cancel_reason: str | None = None
        self.is_terminated = False
        self.pause_reason: str | None = None
        self.unknown: dict[int, None] = {}
        self.exhausted: dict[int, ErrorInfo] = {}
        self.takeovers = 0
        self.received: set[str] = set()
        self.heartbeats: dict[int, str] = {}
        self.effects = Effects(plan.undo)
        self._count()
        # What is left here is no state: it tells a turn where to look, and would be found again without it.
        self.touched: deque[int] = deque()
        self.offered: set[int] = set()
        self.held: dict[int, None] = {}
        self._timers: list[tuple[float, int]] = []
        self.is_late = False
        self.is_closed = False
        self.passed = 0

    def can_start(self, step: int, now: float) -> bool:
        """Whether this step may start now if there is a place for it."""
        if self.status is not RunStatus.RUNNING or self.statuses[step] not in WAITING:
            return False
        if (self.due and self.due.get(step, now) > now) or self.waits_for_somebody(step) or self.pausing() is not None:
            return False
        if step in self.plan.undone_by:
            return step == self.next_undo()
        return self.closing() is None or self.is_clean_up(step)

    def hold(self, step: int) -> None:
        """A step that was ready does not start now; if that is for a pause, it may once that is over."""
        if step in self.plan.undone_by:
            self.offered.discard(step)
        elif self.pausing() is not None:
            self.held[step] = None

    def take_held(self) -> list[int]:
        """The steps that could start now that no pause keeps them any more."""
        if self.pausing() is not None:
            return []
        held, self.held = list(self.held), {}
        return held

    def waits_for_somebody(self, step: int) -> bool:
        """Whether this step goes on only when somebody has resumed the run."""
        return step in self.unknown or step in self.exhausted

    def next_undo(self) -> int | None:
        """The compensation that is to run now; None if none is."""
        if self.open or self.is_terminated or not (self.errors or self.halts):
            return None
        return self.effects.next

    def is_ready(self, step: int) -> bool:
        """Whether this step, which nothing keeps from running, has not been offered yet."""
        return self.statuses[step] is _PENDING and step not in self.offered and self.is_resolved(step)

    def is_resolved(self, step: int) -> bool:
        """Whether enough of what this step waits for has ended to say whether it runs."""
        if self.unmet[step] == 0:
            return True
        if step not in self.plan.voted:
            return False
        if any(not self.statuses[gate].is_final for gate in self.plan.gates.get(step, ())):
            return False
        wanted, done = self.wanted(step), self.done[step]
        return done >= wanted or done + self.unmet[step] < wanted

    def blocker(self, step: int) -> int | None:
        """Of what this step needs, the one whose end keeps it from running: the worst, then the earliest."""
        if self.done[step] == len(self.plan.parents[step]):
            return None
        node = self.plan.nodes[step]
        join = node.options.join
        if join is Join.SETTLED:
            return None
        if join is Join.ALL:
            lacking = [number for number in self._lacking(node) if self.statuses[number] in _PRECEDENCE]
        elif self.done[step] >= self.wanted(step):
            return None
        else:
            gates = self.plan.gates.get(step, ())
            lacking = [n for n in self.plan.parents[step] if self.statuses[n] in _PRECEDENCE and n not in gates]
        return min(lacking, key=lambda number: (_PRECEDENCE[self.statuses[number]], number), default=None)

    def _lacking(self, node: Node) -> Iterator[int]:
        """What this step cannot do without: all that it needs, and the choices of which nothing is left."""
        index, statuses = self.plan.index, self.statuses
        yield from (index[name] for name in node.needs)
        for group in node.choices:
            numbers = [index[name] for name in group]
            if all(statuses[number] in _PRECEDENCE for number in numbers):
                yield from numbers

    def wanted(self, step: int) -> int:
        """How many of its dependencies have to complete, of a step whose join counts them."""
        join = self.plan.nodes[step].options.join
        return join.count if isinstance(join, Quorum) else 1

    def is_clean_up(self, step: int) -> bool:
        """Whether this step, or compensation, runs also while the run fails or is cancelled."""
        return step in self.plan.undone_by or self.plan.nodes[step].options.join is Join.SETTLED

    def stopping(self) -> Closing | None:
        """Why also the steps that run are stopped; None if they are not."""
        if self.cancel_reason is not None:
            return "run", "the run was cancelled" + (f": {self.cancel_reason}" if self.cancel_reason else "")
        return ("deadline", self.late_reason()) if self.is_late else None

    def closing(self) -> Closing | None:
        """Why nothing new starts any more, but for clean-up; None while the run goes on."""
        if self.cancel_reason is not None or self.is_late:
            return self.stopping()
        if self.errors and self.plan.fail_fast:
            return "failure", f"the run fails: {self.plan.nodes[next(iter(self.errors))].name} failed"
        return None

    def pausing(self) -> Closing | None:
        """Why nothing starts until somebody resumes the run: cause and reason; None if it goes on."""
        if self.cancel_reason is not None or not (self.unknown or self.exhausted or self.pause_reason is not None):
            return None
        if self.unknown:
            names = ", ".join(self.plan.nodes[step].name for step in self.unknown)
            return "unknown", (
                f"the process died while {names} was in flight, which runs at most once: "
                "resume the run with what became of it, as rerun, skip, or its value"
            )
        if self.exhausted:
            step, error = next(iter(self.exhausted.items()))
            return "exhausted", f"{self.plan.nodes[step].name} has no attempts left: {error.headline}"
        return None if self.pause_reason is None else ("request", self.pause_reason)

    def output_of(self, step: int) -> str | None:
        """The encoded output of this step; None if it has not completed."""
        return self.outputs.get(step) if self.statuses[step] is _COMPLETED else None

    def let_go(self) -> None:
        """
        Drop the outputs that no step needs any more.

        Not while a log is replayed: it may end with a step that is to run again, and reads what is long read.
        """
        if self._unneeded:
            for step in self._unneeded:
                self.outputs.pop(step, None)
            self._unneeded.clear()

    def late_reason(self) -> str:
        """What people are told of a deadline that has passed."""
        return f"the run passed its deadline of {self.plan.deadline or 0:g} s"

    def unwanted(self) -> list[int]:
        """The running steps whose attempts are to be stopped."""
        if self.cancel_reason is not None or self.is_late:
            return [step for step in self.running if not self.is_clean_up(step)]
        return [step for step in self.running if step in self.spared] if self.spared else []

    def time_left(self, step: int, now: float) -> tuple[float | None, bool]:
        """
        How long (seconds) an attempt that starts now may take, and whether that is what is left of `total_timeout`.
        """
        options = self.plan.nodes[step].options
        if options.total_timeout is None:
            return options.timeout, False
        # Since the first attempt the clock may have been set back.
        left = min(options.total_timeout, max(0.0, self.first_start.get(step, now) + options.total_timeout - now))
        if options.timeout is not None and options.timeout <= left:
            return options.timeout, False
        return left, True

    def next_due(self) -> float | None:
        """When (epoch seconds) a turn is due though nothing happens; None if never."""
        while self._timers and self.due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        due_at = self._timers[0][0] if self._timers else None
        if self.deadline_at is None or self.is_late:
            return due_at
        return self.deadline_at if due_at is None else min(due_at, self.deadline_at)

    def take_due(self, now: float) -> list[int]:
        """The steps whose wait for the next attempt is over, each once; also if they were ended meanwhile."""
        steps = []
        while self._timers and self._timers[0][0] <= now:
            _, step = heapq.heappop(self._timers)
            # Compensations come one after the other, in their order.
            if step not in self.plan.undone_by:
                steps.append(step)
        return steps

    def apply(self, event: Event) -> None:
        """
        Change what this event changes.

        Raises:
            IllegalTransitionError: it may not happen now.
        """
        self.seq = event.seq
        if isinstance(event, ev.StepEvent):
            step = self.plan.index.get(event.step)
            # None is a step that a changed definition has no more; whether that is allowed was asked before.
            if step is not None:
                self.statuses[step] = next_step_status(event.step, self.statuses[step], event.kind)
                _STEP_CHANGES[type(event)](self, step, event)
            return
        match event:
            case ev.CompensationEvent():
                self._apply_compensation(self.plan.undo.get(self.plan.index.get(event.step, -1)), event.as_step())
            case ev.SignalReceived():
                self._apply_message(event)
            case _:
                self.status = next_run_status(self.run_id, self.status, event.kind)
                self._apply_run(event)

    def _apply_compensation(self, number: int | None, event: ev.StepEvent) -> None:
        self.effects.has_begun = True
        if number is None:
            return
        self.statuses[number] = next_step_status(event.step, self.statuses[number], event.kind)
        if self.statuses[number].is_final:
            self._put_away(number)
            error = event.error if isinstance(event, ev.StepFailed) else None
            self.effects.settle(self.plan.undone_by[number], error)
        else:
            _STEP_CHANGES[type(event)](self, number, event)

    def _apply_message(self, event: ev.SignalReceived) -> None:
        self.received.add(event.message_id)
        # What comes after the end has come too late.
        if self.status.is_final:
            return
        match event.signal:
            case "cancel" if self.cancel_reason is None:
                self.cancel_reason = event.payload
            case "terminate":
                self.is_terminated = True
                # Also what runs while a run closes is ended.
                self.passed = 0
                self.cancel_reason = self.cancel_reason if self.cancel_reason is not None else event.payload
            case "pause" if self.pause_reason is None:
                self.pause_reason = event.payload
            case _:
                pass

    def _apply_run(self, event: Event) -> None:
        match event:
            case ev.RunStarted():
                self._set_deadline(event.at)
                self.touched = deque(step for step, unmet in enumerate(self.unmet) if unmet == 0)
            case ev.RunResumed():
                self._apply_resumed(event)
            case _:
                pass

    def _apply_resumed(self, resumed: ev.RunResumed) -> None:
        retry = resumed.reason == "retry"
        self.takeovers = self.takeovers + 1 if resumed.reason == "takeover" else 0
        if retry:
            self._set_deadline(resumed.at)
        self._doubt_what_ran(resumed)
        for step in range(len(self.plan.nodes)):
            status = self.after_resume(step, resumed)
            if self.statuses[step] is _COMPLETED and status is _PENDING:
                self.effects.doubt(step)
            self.statuses[step] = status
            if status is _PENDING:
                self._stop_waiting(step)
            if not status.is_final:
                self.causes.pop(step, None)
                if retry:
                    self.failures[step] = 0
                    self.first_start.pop(step, None)
        self._timers.clear()
        for step, due_at in self.due.items():
            # The clock may have been set back since: nobody waits longer than was said.
            self._let_wait(step, min(due_at, resumed.at + self.waits[step]))
        if resumed.reason == "undo":
            for number in self.effects.try_again():
                self.statuses[number], self.failures[number] = _PENDING, 0
        if retry:
            self.errors.clear()
        if resumed.reason in BY_HAND:
            self.exhausted.clear()
            self.pause_reason = None
        self._look_again()

    def after_resume(self, step: int, resumed: ev.RunResumed) -> StepStatus:
        """Where this step is once the run is resumed so."""
        return status_after_resume(
            self.statuses[step], resumed, step=self.plan.nodes[step].name, waits=step in self.exhausted,
            undone=step in self.errors or self.causes.get(step) in UNDONE_CAUSES,
        )  # fmt: skip

    def _doubt_what_ran(self, resumed: ev.RunResumed) -> None:
        """Nobody knows how far the attempts came that were in flight when the owner before went."""
        for step in self.running:
            if self.plan.nodes[step].options.delivery == "at_most_once":
                self.unknown[step] = None
            else:
                self.effects.doubt(step)
        for name in resumed.rerun:
            self.unknown.pop(self.plan.index.get(name, -1), None)
        self.running.clear()

    def _look_again(self) -> None:
        """Derive what follows from the statuses, after a resume has changed some."""
        self.halts = {cause for cause in self.causes.values() if cause in _HALTS}
        self.effects.forget(lambda step: self.statuses[step].is_final)
        self._count()
        self.offered.clear()
        self.held.clear()
        self.is_closed = False
        self.passed = 0
        self.touched = deque(range(len(self.plan)))

    def _set_deadline(self, at: float) -> None:
        self.deadline_at = None if self.plan.deadline is None else at + self.plan.deadline
        self.is_late = False

    def _apply_started(self, step: int, started: ev.StepStarted) -> None:
        self.attempts[step] = started.attempt
        if step in self.plan.totalled:
            self.first_start.setdefault(step, started.at)
        self.running[step] = None
        self.offered.discard(step)
        if self.due:
            self._stop_waiting(step)

    def _apply_heartbeat(self, step: int, heartbeat: ev.StepHeartbeat) -> None:
        self.heartbeats[step] = heartbeat.progress

    def _apply_retrying(self, step: int, event: ev.StepRetrying) -> None:
        self.running.pop(step, None)
        self.failures[step] += 1
        if event.runs_on:
            self.effects.doubt(step)
        if event.due_at is None:
            self.exhausted[step] = event.error
            return
        self.waits[step] = event.delay or 0.0
        self._let_wait(step, event.due_at)

    def _let_wait(self, step: int, due_at: float) -> None:
        self.due[step] = due_at
        heapq.heappush(self._timers, (due_at, step))

    def _apply_completed(self, step: int, completed: ev.StepCompleted) -> None:
        if self.heartbeats:
            self.heartbeats.pop(step, None)
        self.outputs[step] = completed.output
        if not self._unread[step]:
            self._unneeded.append(step)
        # What was completed elsewhere, of which an attempt was never made here, is not undone here.
        self._end(step, happened=completed.attempt > 0)

    def _apply_failed(self, step: int, failed: ev.StepFailed) -> None:
        self._blame(step, failed.error)
        self._end(step, runs_on=failed.runs_on)

    def _apply_ended(self, step: int, ended: ev.StepSkipped | ev.StepCancelled) -> None:
        self.causes[step] = ended.cause
        if ended.cause in _HALTS:
            self.halts.add(ended.cause)
        self._end(step, runs_on=isinstance(ended, ev.StepCancelled) and ended.runs_on)

    def _end(self, step: int, *, happened: bool = False, runs_on: bool = False) -> None:
        """This step has ended: with its effect if it `happened`, perhaps with it if its body `runs_on`."""
        self._put_away(step)
        if runs_on:
            self.effects.doubt(step)
        if step in self.plan.undo:
            self.effects.note(step, happened=happened)
        self._count_end(step)
        plan, unmet, voted = self.plan, self.unmet, self.plan.voted
        for child in plan.children[step]:
            if not unmet[child] or child in voted:
                self.touched.append(child)
        if plan.sparing and self.statuses[step] is _COMPLETED:
            for child in plan.sparing.intersection(plan.children[step]):
                self.touched.extend(self._spare_for(child))

    def _put_away(self, step: int) -> None:
        """An end has come: nothing of what was kept for further attempts is needed."""
        self.takeovers = 0
        self.running.pop(step, None)
        self.offered.discard(step)
        if self.first_start or self.unknown or self.exhausted or self.due:
            self.first_start.pop(step, None)
            self.unknown.pop(step, None)
            self.exhausted.pop(step, None)
            self._stop_waiting(step)

    def _stop_waiting(self, step: int) -> None:
        self.due.pop(step, None)
        self.waits.pop(step, None)

    def _blame(self, step: int, error: ErrorInfo) -> None:
        if self.plan.nodes[step].options.required and self.cancel_reason is None:
            self.errors[step] = error

    def _spare_for(self, child: int) -> list[int]:
        """What this step, which cancels the rest of what it waited for, needs no longer, once it has all it wanted."""
        if self.done[child] < self.wanted(child):
            return []
        rest = [parent for parent in self.plan.parents[child] if self._is_spared(parent)]
        self.spared.update(rest)
        return rest

    def _needs_no_more(self, child: int) -> bool:
        """Whether this step has ended, or cancels what it waits for."""
        is_satisfied = child in self.plan.sparing and self.done[child] >= self.wanted(child)
        return is_satisfied or self.statuses[child].is_final

    def _is_spared(self, step: int) -> bool:
        """Whether nobody needs that this step, for which others wait, comes to an end."""
        return all(map(self._needs_no_more, self.plan.children[step]))

    def _reads_no_more(self, step: int) -> bool:
        """Whether this step has ended, and is not to run again when somebody resumes the run."""
        has_ended = self.statuses[step].is_final
        return has_ended and step not in self.errors and self.causes.get(step) not in UNDONE_CAUSES

    def _release(self, reader: int) -> None:
        """This step reads no outputs any more: what nobody else needs may be let go."""
        for source in self.plan.sources[reader]:
            self._unread[source] -= 1
            if self._unread[source] == 0:
                self._unneeded.append(source)

    def _count(self) -> None:
        """Derive all counters from the statuses: at the beginning, and after a resume has reset some."""
        plan = self.plan
        self.open = len(plan)
        self.unmet = [len(parents) for parents in plan.parents]
        self.done = [0] * len(plan)
        self.spared = set[int]()
        self._unread = list(plan.reader_count)
        self._unneeded = [step for step in self.outputs if not self._unread[step]]
        # At the beginning nothing has ended.
        for step in plan.order if self.seq else ():
            if self.statuses[step].is_final:
                self._count_end(step)
        for child in plan.sparing:
            self._spare_for(child)

    def _count_end(self, step: int) -> None:
        """Count that this step has ended."""
        self.open -= 1
        unmet, done, gates, children = self.unmet, self.done, self.plan.gates, self.plan.children[step]
        for child in children:
            unmet[child] -= 1
        if self.statuses[step] is _COMPLETED:
            for child in children:
                if child not in gates or step not in gates[child]:
                    done[child] += 1
        if self.plan.sources[step] and self._reads_no_more(step):
            self._release(step)


_STEP_CHANGES: dict[type[Event], Callable[[Standing, int, Any], None]] = {
    ev.StepStarted: Standing._apply_started,
    ev.StepHeartbeat: Standing._apply_heartbeat,
    ev.StepRetrying: Standing._apply_retrying,
    ev.StepCompleted: Standing._apply_completed,
    ev.StepFailed: Standing._apply_failed,
    ev.StepSkipped: Standing._apply_ended,
    ev.StepCancelled: Standing._apply_ended,
}
"""What each event about a step changes. A log has little else, and a resume reads all of it."""
