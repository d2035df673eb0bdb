"""
What happens next in a run.

`turn` is told what happened and says which events follow. `_decide_*` only reads; `_apply_*` alone changes, and only by
an event, so that a machine to which a log is replayed equals the one that wrote it.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import assert_never

import attrs

from . import events as ev
from .definition import Node
from .events import ErrorInfo, Event
from .options import Join, Quorum
from .outcome import (
    Begun,
    CancelAsked,
    Ended,
    Granted,
    Happening,
    Raised,
    Returned,
    SkippedItself,
    Stopped,
    TakenUp,
)
from .plan import Plan
from .state import (
    UNDONE_CAUSES,
    RunStatus,
    StepStatus,
    next_run_status,
    next_step_status,
    status_after_resume,
)

Verdict = str | ErrorInfo | None
"""Of a condition: None lets the step run, a text is the reason to skip it, an error fails it."""

Judge = Callable[["Machine", Node], Verdict]
"""Answers the condition of a step whose dependencies allow it to run: the only user code that a turn calls."""


@attrs.frozen
class Turn:
    """The events that follow, and the numbers of the steps that could start from now on, once each."""

    events: list[Event]
    ready: list[int]


_COMPLETED, _PENDING, _RUNNING = StepStatus.COMPLETED, StepStatus.PENDING, StepStatus.RUNNING
_WAITING = frozenset({_PENDING, StepStatus.RETRYING})

# Of several ends that keep a step from running the worst is named. Completed ones keep none.
_PRECEDENCE = {StepStatus.FAILED: 0, StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2}
_ENDINGS = {StepStatus.FAILED: "failed", StepStatus.CANCELLED: "was cancelled", StepStatus.SKIPPED: "was skipped"}

_REST = ("rest", "no longer needed")

Closing = tuple[str, str]
"""Why nothing new starts any more: the cause that the events of the ended steps carry, and the reason for people."""


class Machine:
    """
    One run: folds events into what is true, and decides what follows.

    Nothing here waits, reads a clock or draws a number. Steps are numbers of the plan.

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
    """

    def __init__(self, run_id: str, plan: Plan, judge: Judge) -> None:
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
        self._judge = judge
        self._unread = list(plan.reader_count)
        self._count()
        # What is left here is no state: it tells a turn where to look, and would be found again without it.
        self._touched: list[int] = []
        self._offered: set[int] = set()
        self._timers: list[tuple[float, int]] = []
        self._is_late = False
        self._is_closed = False

    # What is asked from outside.

    def replay(self, log: Iterable[Event]) -> None:
        """Fold events that were written before."""
        for event in log:
            self._apply(event)

    def turn(self, happened: Sequence[Happening], now: float) -> Turn:
        """
        All that follows from what happened, up to now (epoch seconds).

        The events are applied already; they have to be written before anything is done about them.
        """
        self._is_late = self._is_late or (self.deadline_at is not None and now >= self.deadline_at)
        events: list[Event] = []
        for happening in happened:
            event = self._decide_happening(happening, now)
            if event is not None:
                self._add(events, event)
        ready = self._follow(events, now)
        return Turn(events, ready)

    def next_due(self) -> float | None:
        """When (epoch seconds) a turn is due though nothing happens; None if never."""
        while self._timers and self.due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        due_at = self._timers[0][0] if self._timers else None
        if self.deadline_at is None or self._is_late:
            return due_at
        return self.deadline_at if due_at is None else min(due_at, self.deadline_at)

    def can_start(self, step: int, now: float) -> bool:
        """Whether this step may start now if there is a place for it."""
        if self.status is not RunStatus.RUNNING or self.statuses[step] not in _WAITING:
            return False
        return self.due.get(step, now) <= now and (self._closing() is None or self._is_clean_up(step))

    def unwanted(self) -> list[int]:
        """The running steps whose attempts are to be stopped."""
        if self._stopping() is not None:
            return [step for step in self.running if not self._is_clean_up(step)]
        return [step for step in self.running if step in self._spared] if self._spared else []

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

    # One turn.

    def _add(self, events: list[Event], event: Event) -> None:
        self._apply(event)
        events.append(event)

    def _follow(self, events: list[Event], now: float) -> list[int]:
        ready = self._take_due(now)
        while True:
            while self._touched:
                touched, self._touched = self._touched, []
                for step in touched:
                    event = self._decide_step(step, now)
                    if event is not None:
                        self._add(events, event)
                    elif self._is_ready(step):
                        self._offered.add(step)
                        ready.append(step)
            if self._is_closed or self._closing() is None:
                break
            self._close(events, now)
        if self._open == 0 and self.status is RunStatus.RUNNING:
            self._add(events, self._decide_end(now))
        return [step for step in ready if self.can_start(step, now)]

    def _take_due(self, now: float) -> list[int]:
        steps = []
        while self._timers and self._timers[0][0] <= now:
            due_at, step = heapq.heappop(self._timers)
            if self.due.get(step) == due_at:
                steps.append(step)
        return steps

    def _close(self, events: list[Event], now: float) -> None:
        """End all that is not to start any more."""
        for step in self.plan.order:
            if self.statuses[step] in _WAITING and not self._is_clean_up(step):
                self._add(events, self._decide_closed(step, now))
        self._is_closed = True

    # Deciding: these read, and change nothing.

    def _decide_happening(self, happening: Happening, now: float) -> Event | None:
        seq = self.seq + 1
        match happening:
            case Ended():
                return self._decide_ended(happening, now)
            case Granted(step):
                return self._decide_granted(step, now)
            case Begun():
                return ev.RunStarted(
                    seq=seq, at=now, workflow=happening.workflow, version=happening.version,
                    fingerprint=happening.fingerprint, inputs=happening.inputs,
                )  # fmt: skip
            case TakenUp():
                reason = "retry" if happening.retry else "takeover"
                return ev.RunResumed(seq=seq, at=now, reason=reason, fingerprint=happening.fingerprint)
            case CancelAsked():
                if self.status.is_final or self.cancel_reason is not None:
                    return None
                return ev.SignalReceived(
                    seq=seq, at=now, signal="cancel", message_id=happening.message_id, payload=happening.reason
                )
            case _:
                assert_never(happening)

    def _decide_granted(self, step: int, now: float) -> Event | None:
        if not self.can_start(step, now):
            return None
        node = self.plan.nodes[step]
        if self.statuses[step] is StepStatus.RETRYING and self.time_left(step, now) == (0.0, True):
            error = ErrorInfo(
                "orchwf.errors.StepTimeoutError",
                f"step {node.name!r} used up its total_timeout of {node.options.total_timeout:g} s",
            )
            return ev.StepFailed(seq=self.seq + 1, at=now, step=node.name, attempt=self.attempts[step], error=error)
        return ev.StepStarted(seq=self.seq + 1, at=now, step=node.name, attempt=self.attempts[step] + 1)

    def _decide_ended(self, ended: Ended, now: float) -> Event | None:
        step, attempt = ended.step, ended.attempt
        # What comes from an attempt that the log has done with changes nothing.
        if self.statuses[step] is not _RUNNING or self.attempts[step] != attempt:
            return None
        name, seq = self.plan.nodes[step].name, self.seq + 1
        match ended.outcome:
            case Returned(output):
                return ev.StepCompleted(seq=seq, at=now, step=name, attempt=attempt, output=output)
            case Raised() as raised:
                delay = self._decide_delay(step, raised, now)
                if delay is None:
                    return ev.StepFailed(seq=seq, at=now, step=name, attempt=attempt, error=raised.error)
                return ev.StepRetrying(
                    seq=seq, at=now, step=name, attempt=attempt, error=raised.error, delay=delay, due_at=now + delay
                )
            case SkippedItself(reason):
                return ev.StepSkipped(seq=seq, at=now, step=name, attempt=attempt, reason=reason, cause="body")
            case Stopped():
                cause, reason = self._stopping() or _REST
                return ev.StepCancelled(seq=seq, at=now, step=name, attempt=attempt, reason=reason, cause=cause)
            case _:
                assert_never(ended.outcome)

    def _decide_delay(self, step: int, raised: Raised, now: float) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        options = self.plan.nodes[step].options
        failures = self.failures[step] + 1
        if not raised.retryable or failures > options.retry.max_retries or step in self._spared:
            return None
        if self._closing() is not None and not self._is_clean_up(step):
            return None
        delay = raised.retry_after
        if delay is None:
            delay = options.retry.delay(failures, raised.spread)
        if options.total_timeout is not None and now + delay >= self.first_start[step] + options.total_timeout:
            return None
        return delay

    def _decide_step(self, step: int, now: float) -> Event | None:
        """The event that ends a step which never began, because of what it waited for; None if it stays."""
        node, seq = self.plan.nodes[step], self.seq + 1
        if step in self._spared and self.statuses[step] in _WAITING:
            cause, reason = _REST
            return ev.StepCancelled(
                seq=seq, at=now, step=node.name, attempt=self.attempts[step], reason=reason, cause=cause
            )
        if step in self._offered or self.statuses[step] is not _PENDING or not self._is_resolved(step):
            return None
        blocker = self._blocker(step)
        if blocker is not None:
            return self._skipped(step, blocker, now)
        if node.options.when is None or (self._closing() is not None and not self._is_clean_up(step)):
            return None
        verdict = self._judge(self, node)
        if verdict is None:
            return None
        if isinstance(verdict, str):
            return ev.StepSkipped(seq=seq, at=now, step=node.name, reason=verdict, cause="when")
        return ev.StepFailed(seq=seq, at=now, step=node.name, error=verdict)

    def _is_ready(self, step: int) -> bool:
        return self.statuses[step] is _PENDING and step not in self._offered and self._is_resolved(step)

    def _decide_closed(self, step: int, now: float) -> Event:
        cause, reason = self._closing() or _REST
        blocker = self._blocker(step) if cause == "failure" and self.statuses[step] is _PENDING else None
        if blocker is not None:
            return self._skipped(step, blocker, now)
        return ev.StepCancelled(
            seq=self.seq + 1, at=now, step=self.plan.nodes[step].name, attempt=self.attempts[step],
            reason=reason, cause=cause,
        )  # fmt: skip

    def _skipped(self, step: int, blocker: int, now: float) -> Event:
        undone = blocker in self.errors or self.causes.get(blocker) in UNDONE_CAUSES
        return ev.StepSkipped(
            seq=self.seq + 1, at=now, step=self.plan.nodes[step].name, cause="failure" if undone else "upstream",
            reason=f"{self.plan.nodes[blocker].name} {_ENDINGS[self.statuses[blocker]]}",
        )  # fmt: skip

    def _decide_end(self, now: float) -> Event:
        seq = self.seq + 1
        if self.errors:
            steps = tuple(self.plan.nodes[step].name for step in self.errors)
            return ev.RunFailed(seq=seq, at=now, steps=steps, error=next(iter(self.errors.values())).headline)
        causes = set(self.causes.values())
        if "deadline" in causes:
            return ev.RunFailed(seq=seq, at=now, steps=(), error=self._late_reason())
        if "run" in causes:
            return ev.RunCancelled(seq=seq, at=now, reason=self.cancel_reason or "")
        return ev.RunCompleted(seq=seq, at=now)

    def _stopping(self) -> Closing | None:
        """Why also the steps that run are stopped; None if they are not."""
        if self.cancel_reason is not None:
            return "run", "the run was cancelled" + (f": {self.cancel_reason}" if self.cancel_reason else "")
        return ("deadline", self._late_reason()) if self._is_late else None

    def _late_reason(self) -> str:
        return f"the run passed its deadline of {self.plan.deadline or 0:g} s"

    def _closing(self) -> Closing | None:
        """Why nothing new starts any more, but for clean-up; None while the run goes on."""
        if self.cancel_reason is not None or self._is_late:
            return self._stopping()
        if self.errors and self.plan.fail_fast:
            return "failure", f"the run fails: {self.plan.nodes[next(iter(self.errors))].name} failed"
        return None

    def _is_clean_up(self, step: int) -> bool:
        return self.plan.nodes[step].options.join is Join.SETTLED

    def _wanted(self, step: int) -> int:
        join = self.plan.nodes[step].options.join
        return join.count if isinstance(join, Quorum) else 1

    def _is_resolved(self, step: int) -> bool:
        """Whether enough of what this step waits for has ended to say whether it runs."""
        if self._unmet[step] == 0:
            return True
        if not self.plan.counts_votes(step):
            return False
        gates = self.plan.gates.get(step, ())
        open_gates = sum(1 for gate in gates if not self.statuses[gate].is_final)
        open_votes = self._unmet[step] - open_gates
        wanted, done = self._wanted(step), self._done[step]
        return open_gates == 0 and (done >= wanted or done + open_votes < wanted)

    def _blocker(self, step: int) -> int | None:
        """Of what this step needs, the one whose end keeps it from running: the worst, then the earliest."""
        node, parents = self.plan.nodes[step], self.plan.parents[step]
        join = node.options.join
        if join is Join.SETTLED or not parents:
            return None
        if join is Join.ALL:
            lacking = [number for number in self._lacking(node) if self.statuses[number] in _PRECEDENCE]
        elif self._done[step] >= self._wanted(step):
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

    # Applying: these alone change what is true, and only by an event.

    def _apply(self, event: Event) -> None:
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
                self._touched = [step for step, unmet in enumerate(self._unmet) if unmet == 0]
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
        self._offered.clear()
        self._is_closed = False
        self._touched = [step for step, status in enumerate(self.statuses) if status is _PENDING]

    def _set_deadline(self, at: float) -> None:
        self.deadline_at = None if self.plan.deadline is None else at + self.plan.deadline
        self._is_late = False

    def _apply_step(self, step: int, event: ev.StepEvent) -> None:
        match event:
            case ev.StepStarted():
                self.attempts[step] = event.attempt
                self.first_start.setdefault(step, event.at)
                self.running[step] = None
                self.due.pop(step, None)
                self._offered.discard(step)
                return
            case ev.StepRetrying():
                self.running.pop(step, None)
                self.failures[step] += 1
                self.due[step] = event.due_at
                heapq.heappush(self._timers, (event.due_at, step))
                return
            case ev.StepCompleted():
                if self._unread[step]:
                    self.outputs[step] = event.output
            case ev.StepFailed():
                self.failures[step] += 1
                if self.plan.nodes[step].options.required and self.cancel_reason is None:
                    self.errors[step] = event.error
            case ev.StepSkipped() | ev.StepCancelled():
                self.causes[step] = event.cause
            case _:
                raise TypeError(f"no event of a step: {event!r}")
        self._apply_end(step)

    def _apply_end(self, step: int) -> None:
        self.running.pop(step, None)
        self.due.pop(step, None)
        self.first_start.pop(step, None)
        self._offered.discard(step)
        self._open -= 1
        completed = self.statuses[step] is _COMPLETED
        for child in self.plan.children[step]:
            self._unmet[child] -= 1
            if completed and step not in self.plan.gates.get(child, ()):
                self._vote(child)
            self._touched.append(child)
        if step not in self.errors and self.causes.get(step) not in UNDONE_CAUSES:
            self._release(step)

    def _vote(self, child: int) -> None:
        self._done[child] += 1
        if self.plan.nodes[child].options.cancel_rest and self._done[child] >= self._wanted(child):
            rest = [parent for parent in self.plan.parents[child] if not self.statuses[parent].is_final]
            self._spared.update(rest)
            self._touched.extend(rest)

    def _release(self, reader: int) -> None:
        """This step reads no outputs any more: what nobody else needs is let go."""
        for source in self.plan.sources[reader]:
            self._unread[source] -= 1
            if self._unread[source] == 0:
                self.outputs.pop(source, None)

    def _count(self) -> None:
        """Derive all counters from the statuses: at the beginning, and after a resume has reset some."""
        size = len(self.plan)
        self._unmet, self._done, self._open, self._spared = [0] * size, [0] * size, 0, set[int]()
        for step, parents in enumerate(self.plan.parents):
            gates = self.plan.gates.get(step, ())
            self._open += not self.statuses[step].is_final
            self._unmet[step] = sum(1 for parent in parents if not self.statuses[parent].is_final)
            self._done[step] = sum(1 for p in parents if self.statuses[p] is _COMPLETED and p not in gates)
            if self.plan.nodes[step].options.cancel_rest and self._done[step] >= self._wanted(step):
                self._spared.update(parent for parent in parents if not self.statuses[parent].is_final)
