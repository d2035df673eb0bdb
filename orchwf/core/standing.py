"""How a run stands: what is true of it, folded from its events, and what that means for its steps."""

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from ..errors import IllegalTransitionError
from . import events as ev
from .definition import ForChild, ForSignal, Node, Several
from .effects import Effects
from .events import ErrorInfo, Event
from .options import Join, Quorum
from .plan import Plan
from .rows import ITEMS, Row, assembled
from .state import BY_HAND, UNDONE_CAUSES, RunStatus, StepStatus
from .transitions import next_run_status, next_step_status, status_after_resume

_COMPLETED, _PENDING = StepStatus.COMPLETED, StepStatus.PENDING
_FAILED, _RUNNING, _WAITING = StepStatus.FAILED, StepStatus.RUNNING, StepStatus.WAITING
STARTABLE = frozenset({_PENDING, StepStatus.RETRYING})
"""Where a step is that could begin."""

_WINDOW = 1_000
"""How many items of one step are at work at once, if nothing else is said: what is made ready takes memory."""

# Of several ends that keep a step from running the worst is named. Completed ones keep none.
_PRECEDENCE = {StepStatus.FAILED: 0, StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2}

_HALTS = frozenset({"run", "deadline"})
"""The causes for which the whole run ends, and what it did is undone."""

Closing = tuple[str, str]
"""Why nothing new starts any more: the cause that the events of the ended steps carry, and the reason for people."""


class Standing:
    """
    How one run stands, folded from its events. Steps are numbers of the plan, and so are compensations; the items of
    steps that have several, and their compensations, have the numbers after those.

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
        finished_by: The name of the step that ended the run; empty if none did.
        ending: Why the run is to end, as for `stopping`; None if nobody wants that.
        waiting: The steps that wait: for a signal, a time, another run, or their items.
        mail: Step -> the encoded payload of the signal that came first, of those that wait for one.
        children: Step -> the event by which it started a run.
        nodes: Number -> the step, or compensation.
        undo, undone_by: As of the plan, with the items.
        rows: Step -> its items, of those that have several and of which any is known.
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
        timers: When (epoch seconds) which step is due, as a heap; also of such that wait no more.
        is_late: Whether the deadline has passed.
        is_closed: Whether all has been ended that is not to start any more.
        passed: How many steps, in topological order, were looked at for that.
    """

    def __init__(self, run_id: str, plan: Plan) -> None:
        size = len(plan.nodes)
        self.run_id = run_id
        self.plan = plan
        self.size = size
        self.nodes = plan.nodes
        self.undo = plan.undo
        self.undone_by = plan.undone_by
        self.rows: dict[int, Row] = {}
        self._owners: list[int] = []
        self.positions: list[int] = []
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
        self.finished_by = ""
        self.ending: Closing | None = None
        self.waiting: set[int] = set()
        self.mail: dict[int, str] = {}
        self.children: dict[int, ev.ChildStarted] = {}
        self.is_terminated = False
        self.pause_reason: str | None = None
        self.unknown: dict[int, None] = {}
        self.exhausted: dict[int, ErrorInfo] = {}
        self.takeovers = 0
        self.received: set[str] = set()
        self.heartbeats: dict[int, str] = {}
        self.effects = Effects(plan.undo)
        self._known: dict[int, dict[str, str]] = {}
        self._count()
        # What is left here is no state: it tells a turn where to look, and would be found again without it.
        self.touched: deque[int] = deque()
        self.offered: set[int] = set()
        self.held: dict[int, None] = {}
        self.timers: list[tuple[float, int]] = []
        self.is_late = False
        self.is_closed = False
        self.passed = 0

    def can_start(self, step: int, now: float) -> bool:
        """Whether this step may start now if there is a place for it."""
        if self.status is not RunStatus.RUNNING or self.statuses[step] not in STARTABLE:
            return False
        if (self.due and self.due.get(step, now) > now) or self.waits_for_somebody(step) or self.pausing() is not None:
            return False
        if step in self.undone_by:
            return step == self.next_undo()
        if step >= self.size and not self.wants_items(self.row_of(step)):
            return False
        return self.closing() is None or self.is_clean_up(step)

    def hold(self, step: int) -> None:
        """A step that was ready does not start now; if that is for a pause, it may once that is over."""
        if step in self.undone_by:
            self.offered.discard(step)
        elif self.pausing() is not None:
            self.held[step] = None
        elif step >= self.size:
            self._drop(step)

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
        if step in self.plan.chained:
            return self._is_chain_resolved(step)
        if any(not self.statuses[gate].is_final for gate in self.plan.gates.get(step, ())):
            return False
        wanted, done = self.wanted(step), self.done[step]
        return done >= wanted or done + self.unmet[step] < wanted

    def blocker(self, step: int) -> int | None:
        """Of what this step needs, the one whose end keeps it from running: the worst, then the earliest."""
        if self.done[step] == len(self.plan.parents[step]):
            return None
        node = self.nodes[step]
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
        join = self.nodes[step].options.join
        return join.count if isinstance(join, Quorum) else 1

    def is_clean_up(self, step: int) -> bool:
        """Whether this step, or compensation, runs also while the run fails or is cancelled."""
        return step in self.undone_by or self.nodes[step].options.join is Join.SETTLED

    def stopping(self) -> Closing | None:
        """Why also the steps that run are stopped; None if they are not."""
        if self.ending is not None:
            return self.ending
        return ("deadline", self.late_reason()) if self.is_late else None

    def closing(self) -> Closing | None:
        """Why nothing new starts any more, but for clean-up; None while the run goes on."""
        if self.ending is not None or self.is_late:
            return self.stopping()
        if self.errors and self.plan.fail_fast:
            return "failure", f"the run fails: {self.nodes[next(iter(self.errors))].name} failed"
        return None

    def pausing(self) -> Closing | None:
        """Why nothing starts until somebody resumes the run: cause and reason; None if it goes on."""
        if self.ending is not None or not (self.unknown or self.exhausted or self.pause_reason is not None):
            return None
        if self.unknown:
            names = ", ".join(self.nodes[step].name for step in self.unknown)
            return "unknown", (
                f"the process died while {names} was in flight, which runs at most once: "
                "resume the run with what became of it, as rerun, skip, or its value"
            )
        if self.exhausted:
            step, error = next(iter(self.exhausted.items()))
            return "exhausted", f"{self.nodes[step].name} has no attempts left: {error.headline}"
        return None if self.pause_reason is None else ("request", self.pause_reason)

    def output_of(self, step: int) -> str | None:
        """The encoded output of this step; None if it has not completed."""
        if self.statuses[step] is not _COMPLETED:
            return None
        output = self.outputs.get(step)
        if output != ITEMS:
            return output
        # None stands for those that gave none.
        items = self.rows[step].items if step in self.rows else []
        return assembled([self.outputs.get(item, "null") for item in items])

    def let_go(self) -> None:
        """
        Drop the outputs that no step needs any more.

        Not while a log is replayed: it may end with a step that is to run again, and reads what is long read.
        """
        if self._unneeded:
            for step in self._unneeded:
                self.outputs.pop(step, None)
                for item in self.rows[step].items if step in self.rows else ():
                    if self._is_unread(item):
                        self.outputs.pop(item, None)
            self._unneeded.clear()

    def _is_unread(self, item: int) -> bool:
        """Whether nobody needs the output of this item, as nobody needs those of any of its step."""
        step = self.row_of(item).step
        if self._unread[step] or self.nodes[step].compensation is not None:
            return False
        # The last iteration of a loop is what the next one begins with.
        return self.plan.several[step] is not Several.LOOP or self.statuses[step].is_final

    def late_reason(self) -> str:
        """What people are told of a deadline that has passed."""
        return f"the run passed its deadline of {self.plan.deadline or 0:g} s"

    def unwanted(self) -> list[int]:
        """The running steps whose attempts are to be stopped."""
        if self.ending is not None or self.is_late:
            return [step for step in self.running if not self.is_clean_up(step)]
        if self.spared or self.rows:
            return [step for step in self.running if self._is_unwanted(step)]
        return []

    def _is_unwanted(self, step: int) -> bool:
        """Whether a join does not need this step any more, or its step enough of its items."""
        if step < self.size:
            return step in self.spared
        row = self.row_of(step)
        # What is being undone is undone to its end.
        return step not in self.undone_by and (row.step in self.spared or self.has_enough(row))

    def time_left(self, step: int, now: float) -> tuple[float | None, bool]:
        """
        How long (seconds) an attempt that starts now may take, and whether that is what is left of `total_timeout`.
        """
        options = self.nodes[step].options
        if options.total_timeout is None:
            return options.timeout, False
        left = self.total_left(step, now)
        if options.timeout is not None and options.timeout <= left:
            return options.timeout, False
        return left, True

    def total_left(self, step: int, now: float) -> float:
        """How long (seconds) all attempts of a step may still take that has a `total_timeout`."""
        total = self.nodes[step].options.total_timeout or 0.0
        # Since the first attempt the clock may have been set back.
        return min(total, max(0.0, self.first_start.get(step, now) + total - now))

    def only_waits(self) -> bool:
        """Whether nothing is to be done but to wait: for a time, a signal, or another run."""
        is_idle = not (self.running or self.offered or self.held or self.touched)
        return is_idle and self.status is RunStatus.RUNNING and self.pausing() is None and self.next_undo() is None

    def next_due(self) -> float | None:
        """When (epoch seconds) a turn is due though nothing happens; None if never."""
        while self.timers and self.due.get(self.timers[0][1]) != self.timers[0][0]:
            heapq.heappop(self.timers)
        due_at = self.timers[0][0] if self.timers else None
        if self.deadline_at is None or self.is_late:
            return due_at
        return self.deadline_at if due_at is None else min(due_at, self.deadline_at)

    def take_due(self, now: float) -> list[int]:
        """The steps whose wait is over, each once; also if they were ended meanwhile."""
        steps = []
        while self.timers and self.timers[0][0] <= now:
            _, step = heapq.heappop(self.timers)
            # Compensations come one after the other, in their order.
            if step in self.undone_by:
                continue
            if step < self.size or step in self.waiting:
                steps.append(step)
            else:
                # It needs a place among the items at work.
                row = self.row_of(step)
                row.ready.append(self.positions[step - self.size] - len(row.dropped))
                self.touch(row)
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
            if event.item is not None:
                step = self._item(step, event)
            # None is a step that a changed definition has no more; whether that is allowed was asked before.
            if step is not None:
                self.statuses[step] = next_step_status(event.step, self.statuses[step], event.kind)
                _STEP_CHANGES[type(event)](self, step, event)
            return
        match event:
            case ev.CompensationEvent():
                self._apply_compensation(self.undo.get(self.number_of(event)), event.as_step())
            case ev.SignalReceived():
                self._apply_message(event)
            case _:
                self.status = next_run_status(self.run_id, self.status, event)
                self._apply_run(event)

    def _apply_compensation(self, number: int | None, event: ev.StepEvent) -> None:
        self.effects.has_begun = True
        if number is None:
            return
        self.statuses[number] = next_step_status(event.step, self.statuses[number], event.kind)
        if self.statuses[number].is_final:
            self._put_away(number)
            error = event.error if isinstance(event, ev.StepFailed) else None
            self.effects.settle(self.undone_by[number], error)
        else:
            _STEP_CHANGES[type(event)](self, number, event)

    def _apply_message(self, event: ev.SignalReceived) -> None:
        self.received.add(event.message_id)
        # What comes after the end has come too late.
        if self.status.is_final:
            return
        match event.signal:
            case "cancel" if self.cancel_reason is None:
                self._cancel(event.payload)
            case "terminate":
                # Also what runs while a run closes is ended.
                self.is_terminated = True
                self._cancel(self.cancel_reason if self.cancel_reason is not None else event.payload)
            case "pause" if self.pause_reason is None:
                self.pause_reason = event.payload
            case "finish" if self.ending is None:
                self.finished_by = event.payload
                self.ending = "finish", f"{event.payload} finished the run"
                self.close_anew()
            case _:
                self._receive(event)

    def _receive(self, event: ev.SignalReceived) -> None:
        step = self.plan.index.get(event.signal)
        # The first one counts.
        if step is not None and step not in self.mail and isinstance(self.nodes[step].waits, ForSignal):
            self.mail[step] = event.payload
            self.touched.append(step)

    def _cancel(self, reason: str) -> None:
        self.cancel_reason = reason
        self.ending = "run", "the run was cancelled" + (f": {reason}" if reason else "")
        self.close_anew()

    def close_anew(self) -> None:
        """Look at all of it again: what could wait while the run only failed ends now."""
        self.is_closed, self.passed = False, 0

    def _apply_run(self, event: Event) -> None:
        match event:
            case ev.RunStarted():
                self._set_deadline(event.at if event.not_before is None else event.not_before)
                if event.known:
                    self._known = _read_known(event.known, self.plan)
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
        self._reset_steps(resumed)
        self._set_timers(resumed.at)
        if resumed.reason == "undo":
            for number in self.effects.try_again():
                self.statuses[number], self.failures[number] = _PENDING, 0
        for name in resumed.changed:
            self._drop_items(self.plan.index.get(name, -1))
        if retry:
            self.errors.clear()
        if resumed.reason in BY_HAND:
            self.exhausted.clear()
            self.pause_reason = None
            # Of an item that its step has no more nothing else can be said.
            self.unknown = {step: None for step in self.unknown if not self.statuses[step].is_final}
        self._look_again()

    def _reset_steps(self, resumed: ev.RunResumed) -> None:
        """Put each step where it is once the run is resumed so."""
        effective = set(self.effects.order)
        for step, status in enumerate([self.after_resume(step, resumed) for step in range(len(self.statuses))]):
            # What completed elsewhere had no effect here.
            if self.statuses[step] is _COMPLETED and status is _PENDING and step in effective:
                self.effects.doubt(step)
            if not self.statuses[step].is_final and status.is_final and step in self.undo:
                # An item that is none of its step any more; so it has ended.
                self.effects.note(step, happened=False)
            self.statuses[step] = status
            if status is _PENDING or status.is_final:
                self._stop_waiting(step)
            if not status.is_final:
                self.causes.pop(step, None)
                if resumed.reason == "retry":
                    self.failures[step] = 0
                    self.first_start.pop(step, None)

    def _set_timers(self, now: float) -> None:
        """Set them anew; the clock may have been set back since, and nobody waits longer than was said."""
        self.timers.clear()
        for step, due_at in self.due.items():
            self._let_wait(step, min(due_at, now + self.waits[step]))

    def after_resume(self, step: int, resumed: ev.RunResumed) -> StepStatus:
        """Where this step is once the run is resumed so."""
        status, name = self.statuses[step], self.nodes[step].name
        undone = step in self.errors or self.causes.get(step) in UNDONE_CAUSES
        if step >= self.size and step not in self.undone_by:
            row = self.row_of(step)
            owner = row.step
            if name in resumed.changed or self.positions[step - self.size] < len(row.dropped):
                # Its step gets other items, or has got them; what this one did may have to be undone.
                return status if status.is_final else StepStatus.CANCELLED
            is_owner_undone = owner in self.errors or self.causes.get(owner) in UNDONE_CAUSES or name in resumed.reset
            # Of the items only those run again that did not go well.
            name, undone = "", is_owner_undone and (undone or status is _FAILED)
        return status_after_resume(
            status, resumed, step=name, waits=step in self.exhausted, undone=undone,
            expanded=self.count_of(step) > 0 and self.plan.several[step] is not Several.STREAM,
        )  # fmt: skip

    def _doubt_what_ran(self, resumed: ev.RunResumed) -> None:
        """Nobody knows how far the attempts came that were in flight when the owner before went."""
        for step in self.running:
            if step in self.plan.eaches:
                # It was being taken apart, which does nothing outside.
                continue
            if self.nodes[step].options.delivery == "at_most_once":
                self.unknown[step] = None
            else:
                self.effects.doubt(step)
        if resumed.rerun:
            self.unknown = {step: None for step in self.unknown if self.nodes[step].name not in resumed.rerun}
        self.running.clear()

    def _look_again(self) -> None:
        """Derive what follows from the statuses, after a resume has changed some."""
        self.halts = {cause for step, cause in self.causes.items() if cause in _HALTS and step < self.size}
        self.effects.forget(lambda step: self.statuses[step].is_final)
        self.waiting = {step for step, status in enumerate(self.statuses) if status is _WAITING}
        for row in self.rows.values():
            self._recount(row)
        self._count()
        for row in self.rows.values():
            self._pass_by(row, [position for position, item in enumerate(row.items) if self.statuses[item].is_final])
        self.offered.clear()
        self.held.clear()
        self.close_anew()
        self.touched = deque(range(len(self.plan)))

    def is_guarded(self, step: int) -> bool:
        """Whether this step, or item, has to ask before it starts; what it runs once per item of does not."""
        if step < self.size:
            return step in self.plan.guarded and step not in self.plan.eaches
        options = self.nodes[step].options
        return not (options.queue is None and options.mutex is None and options.cache is None)

    # Items.

    def row_of(self, item: int) -> Row:
        """The row that this item is in."""
        return self.rows[self._owners[item - self.size]]

    def number_of(self, event: "ev.StepEvent | ev.CompensationEvent") -> int:
        """The number of the step, or item, that this event is about; -1 if there is no such step any more."""
        step = self.plan.index.get(event.step, -1)
        if event.item is None:
            return step
        return self._find(self.rows[step], event.item, event.kind) if step in self.rows else -1

    def item_of(self, number: int) -> int | None:
        """Which item of its step this is, as its events say; None if it is none."""
        return None if number < self.size else self.positions[number - self.size]

    def _item(self, step: int | None, event: ev.StepEvent) -> int | None:
        """The number of an item, which comes to be if its step gave it just now."""
        if step is None or step not in self.plan.several:
            return None
        row, item = self.rows.get(step), event.item or 0
        if row is None or item == len(row.dropped) + len(row.items):
            self._grow(step, 1 if row is None else len(row.items) + 1)
        return self._find(self.rows[step], item, event.kind)

    def _find(self, row: Row, item: int, kind: str) -> int:
        if item >= len(row.dropped) + len(row.items):
            raise IllegalTransitionError(f"item {item} of step {self.nodes[row.step].name!r}", "unknown", kind)
        return row.find(item)

    def _grow(self, step: int, count: int) -> None:
        """From now on this step has so many items."""
        row = self.rows.get(step)
        if row is None:
            row = self.rows[step] = Row(step, known=self._known.get(step, {}))
            if self.nodes is self.plan.nodes:
                # The plan is shared by all runs, and they have items of their own.
                self.nodes = list(self.plan.nodes)
        node, first = self.plan.nodes[step], len(row.items)
        new = range(len(self.statuses), len(self.statuses) + count - first)
        ids = range(len(row.dropped) + first, len(row.dropped) + count)
        self._add_numbers(step, node, ids)
        row.items += new
        if node.compensation is not None and self.plan.several[step] is not Several.STREAM:
            self._add_undoing(step, node.compensation, new, ids)
        if self.plan.several[step] is not Several.STREAM:
            row.ready.extend(range(first, count))
        # Before it had items it was looked at as any step is.
        row.is_touched = False
        self.touch(row)
        for chain in self.plan.chains.get(step, ()):
            self.touched.append(chain)

    def _add_numbers(self, step: int, node: Node, ids: Sequence[int]) -> None:
        size = len(ids)
        self.nodes += [node] * size
        self.statuses += [_PENDING] * size
        self.attempts += [0] * size
        self.failures += [0] * size
        self._owners += [step] * size
        self.positions += ids

    def _add_undoing(self, step: int, compensation: Node, items: Sequence[int], ids: Sequence[int]) -> None:
        """Give these items the compensation of their step."""
        if self.undo is self.plan.undo:
            self.undo, self.undone_by = dict(self.plan.undo), dict(self.plan.undone_by)
            self.effects.undo = self.undo
        first = len(self.statuses)
        self._add_numbers(step, compensation, ids)
        self.undo.update(zip(items, range(first, len(self.statuses)), strict=True))
        self.undone_by.update(zip(range(first, len(self.statuses)), items, strict=True))

    def touch(self, row: Row) -> None:
        if not row.is_touched:
            row.is_touched = True
            self.touched.append(row.step)

    def _drop(self, item: int) -> None:
        """This item does not start now, though it could have: its place is free."""
        self.offered.discard(item)
        self.row_of(item).live.discard(item)

    def _drop_items(self, step: int) -> None:
        """This step gets other items; of those that it had the results are known by their keys."""
        row = self.rows.get(step)
        if row is None:
            return
        outputs = {key: self.output_of(item) for key, item in zip(row.keys, row.items, strict=False)}
        known = {key: output for key, output in outputs.items() if output is not None}
        self.rows[step] = Row(step, dropped=row.dropped + row.items, known=row.known | known)

    def _recount(self, row: Row) -> None:
        """Derive what is kept of a row from the statuses of its items."""
        statuses = [self.statuses[item] for item in row.items]
        row.ended = sum(status.is_final for status in statuses)
        row.completed = statuses.count(_COMPLETED)
        row.failed = statuses.count(_FAILED)
        row.error = row.error if row.failed else None
        row.live = {item for item in row.items if self.statuses[item] is _WAITING}
        row.ready.clear()
        if self.plan.several[row.step] is not Several.STREAM:
            row.ready.extend(position for position, status in enumerate(statuses) if status is _PENDING)
        row.is_touched = True

    def _is_chain_resolved(self, step: int) -> bool:
        """Whether this step, which follows the items of others, knows the first of them, or that there are none."""
        sources = self.plan.chained[step]
        open_ones = [source for source in sources if not self.statuses[source].is_final]
        return self.unmet[step] == len(open_ones) and all(map(self._knows_some, open_ones))

    def _knows_some(self, step: int) -> bool:
        """Whether any item of this open step is known, or that it has none; of one that runs again it is not, yet."""
        row = self.rows.get(step)
        return row is not None and (bool(row.items) or self.statuses[step] is _WAITING)

    def is_complete(self, row: Row) -> bool:
        """Whether all items of this row are known."""
        several = self.plan.several[row.step]
        if several is Several.STREAM or several is Several.LOOP:
            return self.statuses[row.step].is_final
        sources = self.plan.chained.get(row.step, ())
        return all(self._knows_all(source) and len(row.items) >= self.count_of(source) for source in sources)

    def _knows_all(self, step: int) -> bool:
        if self.statuses[step] is _WAITING:
            return self.is_complete(self.rows[step])
        return self.statuses[step].is_final

    def count_of(self, step: int) -> int:
        """How many items this step is known to have."""
        row = self.rows.get(step)
        return 0 if row is None else len(row.items)

    def followed(self, row: Row, position: int) -> list[int]:
        """The items of other steps that the one at this position follows."""
        return [self.rows[source].items[position] for source in self.plan.chained.get(row.step, ())]

    def has_enough(self, row: Row) -> bool:
        """Whether as many items have completed as its step needs, if that is not all."""
        need = self.nodes[row.step].options.need
        return need is not None and row.completed >= need

    def has_failed(self, row: Row) -> bool:
        """Whether more items have failed than its step bears, or too few are left that may complete."""
        options, lost = self.nodes[row.step].options, row.ended - row.completed
        if not lost and options.need is None:
            return False
        is_complete = self.is_complete(row)
        if options.need is not None:
            if is_complete and len(row.items) - lost < options.need:
                return True
            if not options.tolerate:
                # Then it does not matter how many fail.
                return False
        if isinstance(options.tolerate, int):
            return row.failed > options.tolerate
        return is_complete and row.failed > options.tolerate * len(row.items)

    def wants_items(self, row: Row) -> bool:
        """Whether more items of this row may begin."""
        return self.statuses[row.step] is _WAITING and not self.has_enough(row) and not self.has_failed(row)

    def at_work(self, row: Row) -> list[int]:
        """The items that have begun and not ended."""
        return [item for item in row.live if item not in self.offered]

    def begun(self, row: Row) -> list[int]:
        """The items that have begun, and that would go on if there were time: they wait for another attempt."""
        statuses, attempts = self.statuses, self.attempts
        return [item for item in row.items if statuses[item] in STARTABLE and attempts[item]]

    def window(self, row: Row) -> int:
        """How many items of this row may be at work at once."""
        return self.nodes[row.step].options.max_parallel or _WINDOW

    def _set_deadline(self, at: float) -> None:
        self.deadline_at = None if self.plan.deadline is None else at + self.plan.deadline
        self.is_late = False

    def _apply_started(self, step: int, started: ev.StepStarted) -> None:
        self.attempts[step] = started.attempt
        if self.plan.totalled and self.nodes[step].options.total_timeout is not None:
            self.first_start.setdefault(step, started.at)
        self.running[step] = None
        self.offered.discard(step)
        if step >= self.size and step not in self.undone_by:
            self.row_of(step).live.add(step)
        if self.due:
            self._stop_waiting(step)

    def _apply_heartbeat(self, step: int, heartbeat: ev.StepHeartbeat) -> None:
        self.heartbeats[step] = heartbeat.progress

    def _apply_retrying(self, step: int, event: ev.StepRetrying) -> None:
        self.running.pop(step, None)
        self.waiting.discard(step)
        self.failures[step] += 1
        if step >= self.size and step not in self.undone_by:
            row = self.row_of(step)
            row.live.discard(step)
            self.touch(row)
        if event.runs_on:
            self.effects.doubt(step)
        if event.due_at is None:
            self.exhausted[step] = event.error
            return
        self.waits[step] = event.delay or 0.0
        self._let_wait(step, event.due_at)

    def _apply_expanded(self, step: int, expanded: ev.StepExpanded) -> None:
        self.running.pop(step, None)
        self.offered.discard(step)
        self.waiting.add(step)
        self.takeovers = 0
        # A changed definition may say that it has none any more.
        if step in self.plan.several:
            self._grow(step, expanded.count)
            self.rows[step].keys += expanded.keys

    def _apply_waiting(self, step: int, event: "ev.TimerSet | ev.ChildStarted") -> None:
        self.waiting.add(step)
        self.running.pop(step, None)
        # As above.
        starts_runs = isinstance(self.nodes[step].waits, ForChild) and step not in self.plan.several
        if isinstance(event, ev.ChildStarted) and starts_runs:
            first = self.children.get(step)
            # The first one tells what the run is to begin with.
            self.children[step] = event if first is None else attrs.evolve(first, seq=event.seq, at=event.at)
        if event.due_at is not None:
            self.waits[step] = event.delay or 0.0
            self._let_wait(step, event.due_at)

    def _apply_fired(self, step: int, fired: ev.TimerFired) -> None:
        self._stop_waiting(step)

    def _let_wait(self, step: int, due_at: float) -> None:
        self.due[step] = due_at
        heapq.heappush(self.timers, (due_at, step))

    def _apply_completed(self, step: int, completed: ev.StepCompleted) -> None:
        if self.heartbeats:
            self.heartbeats.pop(step, None)
        self.outputs[step] = completed.output
        if step < self.size:
            if not self._unread[step]:
                self._unneeded.append(step)
        elif self._is_unread(step):
            self._unneeded.append(step)
        # What was completed elsewhere, of which an attempt was never made here, is not undone here.
        self._end(step, happened=completed.attempt > 0)

    def _apply_hit(self, step: int, hit: ev.CacheHit) -> None:
        """Nothing is true yet that was not: its completion follows."""

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
        if step in self.undo:
            self.effects.note(step, happened=happened)
        if step >= self.size:
            self._end_item(step)
            return
        self._count_end(step)
        if step in self.rows:
            self._end_row(self.rows[step])
        plan, unmet, voted = self.plan, self.unmet, self.plan.voted
        for child in plan.children[step]:
            if not unmet[child] or child in voted:
                self.touched.append(child)
        if plan.sparing and self.statuses[step] is _COMPLETED:
            for child in plan.sparing.intersection(plan.children[step]):
                self.touched.extend(self._spare_for(child))
        if plan.sparing:
            self.touched.extend(self._spare_above(step))

    def _end_item(self, item: int) -> None:
        """Count that this item has ended, and see to its row and to those that follow it."""
        row, status = self.row_of(item), self.statuses[item]
        position = self.positions[item - self.size] - len(row.dropped)
        row.live.discard(item)
        row.ended += 1
        row.completed += status is _COMPLETED
        row.failed += status is _FAILED
        self.touch(row)
        self._pass_by(row, [position])
        for chain in self.plan.chains.get(row.step, ()):
            follower = self.rows.get(chain)
            if follower is not None and position < len(follower.items):
                follower.ready.append(position)
                self.touch(follower)

    def _end_row(self, row: Row) -> None:
        """What follows items that have not ended waits for them in vain."""
        if not self._unread[row.step]:
            self._unneeded.append(row.step)
        for chain in self.plan.chains.get(row.step, ()):
            follower = self.rows.get(chain)
            if follower is not None:
                items = row.items[: len(follower.items)]
                follower.ready.extend(
                    position for position, item in enumerate(items) if not self.statuses[item].is_final
                )
                self.touch(follower)

    def _pass_by(self, row: Row, positions: Sequence[int]) -> None:
        """Nobody reads the items any more that those at these positions followed."""
        for source in self.plan.chained.get(row.step, ()):
            if source in self.plan.passing and source in self.rows:
                items = self.rows[source].items
                self._unneeded += [items[position] for position in positions if position < len(items)]

    def _put_away(self, step: int) -> None:
        """An end has come: nothing of what was kept for further attempts is needed."""
        self.takeovers = 0
        self.running.pop(step, None)
        self.offered.discard(step)
        if self.first_start or self.unknown or self.exhausted or self.due or self.waiting:
            self.waiting.discard(step)
            self.first_start.pop(step, None)
            self.unknown.pop(step, None)
            self.exhausted.pop(step, None)
            self._stop_waiting(step)

    def _stop_waiting(self, step: int) -> None:
        self.due.pop(step, None)
        self.waits.pop(step, None)

    def _blame(self, step: int, error: ErrorInfo) -> None:
        if step >= self.size:
            row = self.row_of(step)
            row.error = row.error or error
        elif self.nodes[step].options.required and self.ending is None:
            self.errors[step] = error

    def _spare_for(self, child: int) -> list[int]:
        """What this step, which cancels the rest of what it waited for, needs no longer, once it has all it wanted."""
        if not self._is_content(child):
            return []
        rest = [parent for parent in self.plan.parents[child] if self._is_spared(parent)]
        self.spared.update(rest)
        return rest

    def _spare_above(self, step: int) -> list[int]:
        """What only this step still needed, which has ended, of what others cancel that had all they wanted before."""
        rest = [
            parent
            for parent in self.plan.parents[step]
            if not self.statuses[parent].is_final
            and parent not in self.spared
            and any(map(self._is_content, self.plan.sparing.intersection(self.plan.children[parent])))
            and self._is_spared(parent)
        ]
        self.spared.update(rest)
        return rest

    def _needs_no_more(self, child: int) -> bool:
        """Whether this step has ended, or cancels what it waits for."""
        return self.statuses[child].is_final or (child in self.plan.sparing and self._is_content(child))

    def _is_content(self, child: int) -> bool:
        """Whether as many of its dependencies have completed as this step, whose join counts them, wants."""
        return self.done[child] >= self.wanted(child)

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
        self._unneeded = [step for step in self.outputs if step < self.size and not self._unread[step]]
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


def _read_known(text: str, plan: Plan) -> dict[int, dict[str, str]]:
    """Step -> key of an item -> its result."""
    return {plan.index[name]: known for name, known in json.loads(text).items() if name in plan.index}


_STEP_CHANGES: dict[type[Event], Callable[[Standing, int, Any], None]] = {
    ev.StepStarted: Standing._apply_started,
    ev.StepHeartbeat: Standing._apply_heartbeat,
    ev.StepRetrying: Standing._apply_retrying,
    ev.StepCompleted: Standing._apply_completed,
    ev.CacheHit: Standing._apply_hit,
    ev.StepFailed: Standing._apply_failed,
    ev.StepSkipped: Standing._apply_ended,
    ev.StepCancelled: Standing._apply_ended,
    ev.StepExpanded: Standing._apply_expanded,
    ev.TimerSet: Standing._apply_waiting,
    ev.ChildStarted: Standing._apply_waiting,
    ev.TimerFired: Standing._apply_fired,
}
"""What each event about a step changes. A log has little else, and a resume reads all of it."""
