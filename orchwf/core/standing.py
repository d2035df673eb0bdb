"""How a run stands: what is true of it, folded from its events, and what that means for its steps."""

import heapq
from collections.abc import Iterator

from . import events as ev
from .definition import Node
from .events import ErrorInfo, Event
from .options import Join, Quorum
from .plan import Plan
from .state import UNDONE_CAUSES, RunStatus, StepStatus, next_run_status, next_step_status, status_after_resume

_COMPLETED, _PENDING = StepStatus.COMPLETED, StepStatus.PENDING
WAITING = frozenset({_PENDING, StepStatus.RETRYING})
"""Where a step is that could begin."""

# Of several ends that keep a step from running the worst is named. Completed ones keep none.
_PRECEDENCE = {StepStatus.FAILED: 0, StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2}

Closing = tuple[str, str]
"""Why nothing new starts any more: the cause that the events of the ended steps carry, and the reason for people."""


class Standing:
    """
    How one run stands, folded from its events. Steps are numbers of the plan.

    It is changed by `apply`, and so by an event, alone; but for the last attributes, which are no truths about the run:
    they tell the machine where to look, and would be found again without them.

    Attributes:
        status: Where the run is.
        seq: The number of the last event; 0 before the first.
        statuses: Step -> where it is.
        attempts: Step -> the number of its last attempt, 0 before the first.
        failures: Step -> how many attempts failed since it had a fresh budget.
        running: The steps with an attempt in flight, in the order of their starts.
        outputs: Step -> its encoded output, as long as a step that may still run needs it.
        errors: Step -> what it failed with, of the steps for which the run fails.
        causes: Step -> why it was skipped or cancelled, as its event says.
        first_start: Step -> when its first attempt with the present budget began (epoch seconds).
        due: Step -> when its next attempt is due (epoch seconds).
        deadline_at: When the run has to be over (epoch seconds).
        cancel_reason: Why the run is to be cancelled; None if it is not.
        unmet: Step -> how many of its dependencies have not ended.
        done: Step -> how many of those that count for its join have completed.
        open: How many steps have not ended.
        spared: The steps that a join needs no longer.
        touched: The steps for which something may have changed since the machine looked last.
        offered: The steps that were told to be ready and have not begun.
        is_late: Whether the deadline has passed.
        is_closed: Whether all has been ended that is not to start any more.
    """

    def __init__(self, run_id: str, plan: Plan) -> None:
        size = len(plan)
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
        self.first_start: dict[int, float] = {}
        self.due: dict[int, float] = {}
        self.deadline_at: float | None = None
        self.cancel_reason: str | None = None
        self._unread = list(plan.reader_count)
        self._count()
        # What is left here is no state: it tells a turn where to look, and would be found again without it.
        self.touched: list[int] = []
        self.offered: set[int] = set()
        self._timers: list[tuple[float, int]] = []
        self.is_late = False
        self.is_closed = False

    def can_start(self, step: int, now: float) -> bool:
        """Whether this step may start now if there is a place for it."""
        if self.status is not RunStatus.RUNNING or self.statuses[step] not in WAITING:
            return False
        return self.due.get(step, now) <= now and (self.closing() is None or self.is_clean_up(step))

    def is_ready(self, step: int) -> bool:
        """Whether this step, which nothing keeps from running, has not been offered yet."""
        return self.statuses[step] is _PENDING and step not in self.offered and self.is_resolved(step)

    def is_resolved(self, step: int) -> bool:
        """Whether enough of what this step waits for has ended to say whether it runs."""
        if self.unmet[step] == 0:
            return True
        if not self.plan.counts_votes(step):
            return False
        gates = self.plan.gates.get(step, ())
        open_gates = sum(1 for gate in gates if not self.statuses[gate].is_final)
        open_votes = self.unmet[step] - open_gates
        wanted, done = self.wanted(step), self.done[step]
        return open_gates == 0 and (done >= wanted or done + open_votes < wanted)

    def blocker(self, step: int) -> int | None:
        """Of what this step needs, the one whose end keeps it from running: the worst, then the earliest."""
        node, parents = self.plan.nodes[step], self.plan.parents[step]
        join = node.options.join
        if join is Join.SETTLED or not parents:
            return None
        if join is Join.ALL:
            lacking = [number for number in self._lacking(node) if self.statuses[number] in _PRECEDENCE]
        elif self.done[step] >= self.wanted(step):
            return None
        else:
            gates = self.plan.gates.get(step, ())
            lacking = [n for n in parents if self.statuses[n] in _PRECEDENCE and n not in gates]
        return min(lacking, key=lambda number: (_PRECEDENCE[self.statuses[number]], number), default=None)

    def _lacking(self, node: Node) -> Iterator[int]:
        index, statuses = self.plan.index, self.statuses
        for name in node.needs:
            if statuses[index[name]] is not _COMPLETED:
                yield index[name]
        for group in node.choices:
            numbers = [index[name] for name in group]
            if all(statuses[number] in _PRECEDENCE for number in numbers):
                yield from numbers

    def wanted(self, step: int) -> int:
        """How many of its dependencies have to complete, of a step whose join counts them."""
        join = self.plan.nodes[step].options.join
        return join.count if isinstance(join, Quorum) else 1

    def is_clean_up(self, step: int) -> bool:
        """Whether this step runs also while the run fails or is cancelled."""
        return self.plan.nodes[step].options.join is Join.SETTLED

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

    def late_reason(self) -> str:
        """What people are told of a deadline that has passed."""
        return f"the run passed its deadline of {self.plan.deadline or 0:g} s"

    def unwanted(self) -> list[int]:
        """The running steps whose attempts are to be stopped."""
        if self.stopping() is not None:
            return [step for step in self.running if not self.is_clean_up(step)]
        return [step for step in self.running if step in self.spared] if self.spared else []

    def time_left(self, step: int, now: float) -> tuple[float | None, bool]:
        """
        How long (seconds) an attempt that starts now may take, and whether that is what is left of `total_timeout`.
        """
        options = self.plan.nodes[step].options
        if options.total_timeout is None:
            return options.timeout, False
        left = max(0.0, self.first_start.get(step, now) + options.total_timeout - now)
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
        """The steps whose wait for the next attempt is over, each once."""
        steps = []
        while self._timers and self._timers[0][0] <= now:
            due_at, step = heapq.heappop(self._timers)
            if self.due.get(step) == due_at:
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
            # A step that a changed definition has no more; whether that is allowed was asked before.
            if step is not None:
                self.statuses[step] = next_step_status(event.step, self.statuses[step], event.kind)
                self._apply_step(step, event)
        elif isinstance(event, ev.SignalReceived):
            self.cancel_reason = event.payload if event.signal == "cancel" else self.cancel_reason
        else:
            self.status = next_run_status(self.run_id, self.status, event.kind)
            self._apply_run(event)

    def _apply_run(self, event: Event) -> None:
        match event:
            case ev.RunStarted():
                self._set_deadline(event.at)
                self.touched = [step for step, unmet in enumerate(self.unmet) if unmet == 0]
            case ev.RunResumed(reason=reason):
                self._apply_resumed(retry=reason == "retry", at=event.at)
            case _:
                pass

    def _apply_resumed(self, *, retry: bool, at: float) -> None:
        if retry:
            self._set_deadline(at)
        for step, status in enumerate(self.statuses):
            undone = step in self.errors or self.causes.get(step) in UNDONE_CAUSES
            self.statuses[step] = status_after_resume(status, retry=retry, undone=undone)
            if retry and undone:
                self.causes.pop(step, None)
            if retry and not self.statuses[step].is_final:
                self.failures[step] = 0
                self.first_start.pop(step, None)
        if retry:
            self.errors.clear()
        self.running.clear()
        self._count()
        self.offered.clear()
        self.is_closed = False
        self.touched = [step for step, status in enumerate(self.statuses) if status is _PENDING]

    def _set_deadline(self, at: float) -> None:
        self.deadline_at = None if self.plan.deadline is None else at + self.plan.deadline
        self.is_late = False

    def _apply_step(self, step: int, event: ev.StepEvent) -> None:
        match event:
            case ev.StepStarted():
                self.attempts[step] = event.attempt
                self.first_start.setdefault(step, event.at)
                self.running[step] = None
                self.due.pop(step, None)
                self.offered.discard(step)
                return
            case ev.StepRetrying():
                self.running.pop(step, None)
                self.failures[step] += 1
                self.due[step] = event.due_at
                heapq.heappush(self._timers, (event.due_at, step))
                return
            case ev.StepCompleted():
                self._keep(step, event.output)
            case ev.StepFailed():
                self.failures[step] += 1
                self._blame(step, event.error)
            case ev.StepSkipped() | ev.StepCancelled():
                self.causes[step] = event.cause
            case _:
                raise TypeError(f"no event of a step: {event!r}")
        self._apply_end(step)

    def _keep(self, step: int, output: str) -> None:
        if self._unread[step]:
            self.outputs[step] = output

    def _blame(self, step: int, error: ErrorInfo) -> None:
        if self.plan.nodes[step].options.required and self.cancel_reason is None:
            self.errors[step] = error

    def _apply_end(self, step: int) -> None:
        self.running.pop(step, None)
        self.due.pop(step, None)
        self.first_start.pop(step, None)
        self.offered.discard(step)
        self.open -= 1
        completed = self.statuses[step] is _COMPLETED
        for child in self.plan.children[step]:
            self.unmet[child] -= 1
            if completed and step not in self.plan.gates.get(child, ()):
                self._vote(child)
            self.touched.append(child)
        if step not in self.errors and self.causes.get(step) not in UNDONE_CAUSES:
            self._release(step)

    def _vote(self, child: int) -> None:
        self.done[child] += 1
        if self._needs_no_more(child):
            rest = [parent for parent in self.plan.parents[child] if self._is_spared(parent)]
            self.spared.update(rest)
            self.touched.extend(rest)

    def _needs_no_more(self, child: int) -> bool:
        """Whether this step cancels the rest of what it waited for, and that time has come; or it has ended."""
        if self.statuses[child].is_final:
            return True
        return self.plan.nodes[child].options.cancel_rest and self.done[child] >= self.wanted(child)

    def _is_spared(self, step: int) -> bool:
        """Whether this step has not ended, and nobody needs that it does."""
        return not self.statuses[step].is_final and all(map(self._needs_no_more, self.plan.children[step]))

    def _release(self, reader: int) -> None:
        """This step reads no outputs any more: what nobody else needs is let go."""
        for source in self.plan.sources[reader]:
            self._unread[source] -= 1
            if self._unread[source] == 0:
                self.outputs.pop(source, None)

    def _count(self) -> None:
        """Derive all counters from the statuses: at the beginning, and after a resume has reset some."""
        size = len(self.plan)
        self.unmet, self.done, self.open, self.spared = [0] * size, [0] * size, 0, set[int]()
        for step, parents in enumerate(self.plan.parents):
            gates = self.plan.gates.get(step, ())
            self.open += not self.statuses[step].is_final
            self.unmet[step] = sum(1 for parent in parents if not self.statuses[parent].is_final)
            self.done[step] = sum(1 for p in parents if self.statuses[p] is _COMPLETED and p not in gates)
        for step, node in enumerate(self.plan.nodes):
            if node.options.cancel_rest and self._needs_no_more(step):
                self.spared.update(filter(self._is_spared, self.plan.parents[step]))
