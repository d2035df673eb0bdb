"""
What happens next in a run.

`turn` is told what happened and says which events follow. Deciding only reads; `Standing.apply` alone changes, and only
by an event, so that a machine to which a log is replayed equals the one that wrote it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import assert_never

import attrs

from . import events as ev
from .definition import Node
from .events import ErrorInfo, Event
from .outcome import (
    Asked,
    Beat,
    Begun,
    Ended,
    Happening,
    Outcome,
    Raised,
    Returned,
    SkippedItself,
    Stopped,
    TakenUp,
)
from .plan import Plan
from .standing import WAITING, Closing, Standing
from .state import UNDONE_CAUSES, RunStatus, StepStatus

Verdict = str | ErrorInfo | None
"""Of a condition: None lets the step run, a text is the reason to skip it, an error fails it."""

Judge = Callable[[Node], Verdict]
"""Answers the condition of a step whose dependencies allow it to run: the only user code that a turn calls."""


@attrs.frozen
class Turn:
    """
    What follows.

    Attributes:
        events: The events.
        ready: The numbers of the steps that could start from now on, once each.
        has_more: Whether more follows, which another turn will tell: this one has looked at enough steps.
    """

    events: list[Event]
    ready: list[int]
    has_more: bool = False


STARTS = frozenset({ev.StepStarted, ev.CompensationStarted})
"""The events that are the order to run a body."""

_PENDING, _RUNNING = StepStatus.PENDING, StepStatus.RUNNING
_ENDINGS = {StepStatus.FAILED: "failed", StepStatus.CANCELLED: "was cancelled", StepStatus.SKIPPED: "was skipped"}
_REST = ("rest", "no longer needed")

DEAD_LETTER = "dead letter"
"""How the reason begins for which a run is parked whose processes died again and again."""


class Machine:
    """
    Decides what follows in one run. Steps are numbers of the plan.

    Nothing here waits, reads a clock or draws a number, and nothing is kept here: `run` says how it stands.

    Args:
        glance: How many steps a turn looks at, so that none takes long, however many become ready or end at once.
    """

    def __init__(self, run_id: str, plan: Plan, judge: Judge, *, glance: int = 1_000) -> None:
        self.run = Standing(run_id, plan)
        self.judge = judge
        self._glance = glance

    def replay(self, log: Iterable[Event]) -> None:
        """Fold events that were written before."""
        for event in log:
            self.run.apply(event)

    def turn(self, happened: Sequence[Happening], now: float) -> Turn:
        """
        All that follows from what happened, up to now (epoch seconds).

        The events are applied already; they have to be written before anything is done about them.
        """
        run = self.run
        run.is_late = run.is_late or (run.deadline_at is not None and now >= run.deadline_at)
        events: list[Event] = []
        for happening in happened:
            match happening:
                case Ended():
                    self._add(events, self._decide_ended(happening, now))
                case Begun():
                    self._begin(events, happening, now)
                case TakenUp():
                    self._take_up(events, happening, now)
                case Beat():
                    self._add(events, self._decide_beat(happening, now))
                case Asked():
                    self._add(events, None if run.status.is_final else self._decide_asked(happening, now))
                case _:
                    assert_never(happening)
        ready, has_more = self._follow(events, now) if run.status is RunStatus.RUNNING else ([], False)
        run.let_go()
        return Turn(events, ready, has_more)

    def start(self, step: int, now: float) -> Event | None:
        """
        What follows if there is a free place for this step; None if it does not start now.

        Nothing else follows from a start (`STARTS`). Otherwise the place is free again, and a turn is due.
        """
        event = self._decide_start(step, now)
        if event is None:
            self.run.hold(step)
        else:
            self.run.apply(event)
        return event

    def _add(self, events: list[Event], event: Event | None) -> None:
        if event is not None:
            self.run.apply(event)
            events.append(event)

    def _begin(self, events: list[Event], begun: Begun, now: float) -> None:
        started = ev.RunStarted(
            seq=self.run.seq + 1, at=now, workflow=begun.workflow, version=begun.version,
            fingerprint=begun.fingerprint, inputs=begun.inputs, origin=begun.origin,
        )  # fmt: skip
        self._add(events, started)
        for reused in begun.reused:
            self._add(events, attrs.evolve(reused, seq=self.run.seq + 1, at=now, attempt=0))

    def _take_up(self, events: list[Event], taken: TakenUp, now: float) -> None:
        run = self.run
        # First what was asked before: of a run that had ended it came too late, and means nothing from now on.
        for asked in taken.asked:
            self._add(events, self._decide_asked(asked, now))
        reason = self._decide_reason(taken)
        failed = tuple(run.plan.nodes[step].name for step in run.errors)
        # What runs again would only have to be undone.
        changed = () if run.effects.has_begun else taken.reset
        resumed = ev.RunResumed(
            seq=run.seq + 1, at=now, reason=reason, fingerprint=taken.fingerprint,
            rerun=tuple(run.plan.nodes[step].name for step in taken.rerun),
            reset=changed + (failed if reason == "retry" and run.status is not RunStatus.FAILED else ()),
        )  # fmt: skip
        self._add(events, attrs.evolve(resumed, reset=resumed.reset + self._decide_unready(resumed)))
        for step in taken.skipped:
            self._add(events, ev.StepSkipped(
                seq=run.seq + 1, at=now, step=run.plan.nodes[step].name, attempt=run.attempts[step],
                reason="somebody said so when the run was resumed", cause="person",
            ))  # fmt: skip
        for step, output in taken.given.items():
            self._add(events, ev.StepCompleted(
                seq=run.seq + 1, at=now, step=run.plan.nodes[step].name, attempt=run.attempts[step], output=output
            ))  # fmt: skip
        if run.takeovers > taken.most_takeovers and not run.is_terminated:
            parked = f"{DEAD_LETTER}: {run.takeovers} times in a row its process died before any step had ended"
            self._add(events, ev.RunPaused(seq=run.seq + 1, at=now, reason=parked, cause="takeovers"))

    def _decide_reason(self, taken: TakenUp) -> str:
        """Why the run is resumed."""
        if taken.by_hand:
            return "undo" if self.run.effects.has_begun else "retry"
        if self.run.status is RunStatus.PAUSED:
            return "cancel"
        return "shutdown" if taken.was_released else "takeover"

    def _decide_unready(self, resumed: ev.RunResumed) -> tuple[str, ...]:
        """The steps that wait for another attempt, but that now have to wait for one of another step before."""
        run, plan = self.run, self.run.plan
        names = []
        for step in [each for each in run.due if each not in plan.undone_by]:
            lacking = [each for each in plan.parents[step] if not run.after_resume(each, resumed).is_final]
            # What has had the votes that it wanted has them still, but for those that are taken back.
            if any(run.statuses[each].is_final or step not in plan.voted for each in lacking):
                names.append(plan.nodes[step].name)
        return tuple(names)

    def _follow(self, events: list[Event], now: float) -> tuple[list[int], bool]:
        """What could start from now on, and whether there was more to look at than a turn may."""
        run, left = self.run, self._glance
        if run.is_terminated:
            return [], self._terminate(events, now)
        ready = run.take_due(now)
        while True:
            while run.touched and left:
                left -= 1
                step = run.touched.popleft()
                if step in run.spared and run.statuses[step] in WAITING:
                    self._add(events, self._decide_spared(step, now))
                elif run.is_ready(step):
                    event = self._decide_ready(step, now)
                    if event is None:
                        run.offered.add(step)
                        ready.append(step)
                    else:
                        self._add(events, event)
            closing = run.closing()
            is_open = closing is not None and not run.is_closed and run.pausing() is None
            if closing is None or not is_open or not left:
                break
            left = self._close(events, closing, now, left)
        has_more = bool(run.touched) or is_open
        if not has_more:
            ready += self._finish(events, now)
        # What ended a pause may have happened only now.
        if run.held:
            ready += run.take_held()
        startable = [step for step in ready if run.can_start(step, now)]
        if len(startable) < len(ready):
            for step in set(ready).difference(startable):
                run.hold(step)
        return startable, has_more

    def _pass(self, left: int) -> Iterator[int]:
        """The next steps in topological order, at most so many, of all that are looked at when the run closes."""
        run = self.run
        while left and run.passed < len(run.plan.order):
            left -= 1
            run.passed += 1
            yield run.plan.order[run.passed - 1]

    def _close(self, events: list[Event], closing: Closing, now: float, left: int) -> int:
        """End what is not to start any more, looking at so many steps at most; how many of these are left."""
        run, before = self.run, self.run.passed
        for step in self._pass(left):
            if run.statuses[step] in WAITING and (not run.is_clean_up(step) or run.waits_for_somebody(step)):
                self._add(events, self._decide_closed(step, closing, now))
        run.is_closed = run.passed == len(run.plan.order)
        return left - (run.passed - before)

    def _finish(self, events: list[Event], now: float) -> list[int]:
        """End the run or let it pause, if that is due; else the compensation that is ready, if it was not offered."""
        run = self.run
        undo = run.next_undo()
        if run.open == 0 and undo is None:
            self._add(events, self._decide_end(now))
        elif (pausing := run.pausing()) is not None:
            if not run.running:
                cause, reason = pausing
                self._add(events, ev.RunPaused(seq=run.seq + 1, at=now, reason=reason, cause=cause))
        elif undo is not None and undo not in run.offered:
            run.offered.add(undo)
            return [undo]
        return []

    def _terminate(self, events: list[Event], now: float) -> bool:
        """End all that has not ended, whatever it is, and then the run; whether there is more than a turn may end."""
        run = self.run
        reason = "the run was terminated" + (f": {run.cancel_reason}" if run.cancel_reason else "")
        for step in self._pass(self._glance):
            if not run.statuses[step].is_final:
                self._add(events, ev.StepCancelled(
                    seq=run.seq + 1, at=now, step=run.plan.nodes[step].name, attempt=run.attempts[step],
                    reason=reason, cause="run",
                ))  # fmt: skip
        if run.passed < len(run.plan.order):
            return True
        self._add(events, ev.RunCancelled(
            seq=run.seq + 1, at=now, reason=run.cancel_reason or "", compensation=run.effects.outcome
        ))  # fmt: skip
        return False

    # Deciding: these read, and change nothing.

    def _decide_beat(self, beat: Beat, now: float) -> Event | None:
        run, step = self.run, beat.step
        if not self._is_current(step, beat.attempt) or step in run.plan.undone_by:
            return None
        name = run.plan.nodes[step].name
        return ev.StepHeartbeat(seq=run.seq + 1, at=now, step=name, attempt=beat.attempt, progress=beat.progress)

    def _decide_asked(self, asked: Asked, now: float) -> Event | None:
        # It may have been read a second time before it was folded.
        if asked.message_id in self.run.received:
            return None
        return ev.SignalReceived(
            seq=self.run.seq + 1, at=now, signal=asked.signal, message_id=asked.message_id, payload=asked.reason
        )

    def _is_current(self, step: int, attempt: int) -> bool:
        """Whether this attempt is in flight; what comes from one that the log has done with changes nothing."""
        return self.run.statuses[step] is _RUNNING and self.run.attempts[step] == attempt

    def _decide_start(self, step: int, now: float) -> Event | None:
        if not self.run.can_start(step, now):
            return None
        node = self.run.plan.nodes[step]
        if self.run.statuses[step] is StepStatus.RETRYING and self.run.time_left(step, now) == (0.0, True):
            error = ErrorInfo(
                "orchwf.errors.StepTimeoutError",
                f"step {node.name!r} used up its total_timeout of {node.options.total_timeout:g} s",
            )
            return self._decide_failed(step, Raised(error=error, retryable=False), now)
        seq, attempt = self.run.seq + 1, self.run.attempts[step] + 1
        if step in self.run.plan.undone_by:
            return ev.CompensationStarted(seq=seq, at=now, step=node.name, attempt=attempt)
        return ev.StepStarted(seq=seq, at=now, step=node.name, attempt=attempt)

    def _decide_ended(self, ended: Ended, now: float) -> Event | None:
        step, attempt = ended.step, ended.attempt
        if not self._is_current(step, attempt):
            return None
        name, seq = self.run.plan.nodes[step].name, self.run.seq + 1
        if step in self.run.plan.undone_by:
            return self._decide_undone(step, ended.outcome, now)
        match ended.outcome:
            case Returned(output):
                return ev.StepCompleted(seq=seq, at=now, step=name, attempt=attempt, output=output)
            case Raised() as raised:
                return self._decide_failed(step, raised, now)
            case SkippedItself(reason):
                return ev.StepSkipped(seq=seq, at=now, step=name, attempt=attempt, reason=reason, cause="body")
            case Stopped(runs_on):
                cause, reason = self.run.stopping() or _REST
                return ev.StepCancelled(
                    seq=seq, at=now, step=name, attempt=attempt, reason=reason, cause=cause, runs_on=runs_on
                )
            case _:
                assert_never(ended.outcome)

    def _decide_undone(self, number: int, outcome: Outcome, now: float) -> Event:
        name, attempt, seq = self.run.plan.nodes[number].name, self.run.attempts[number], self.run.seq + 1
        # One that raised Skip had nothing to undo.
        if not isinstance(outcome, Raised):
            return ev.CompensationCompleted(seq=seq, at=now, step=name, attempt=attempt)
        delay = self._decide_delay(number, outcome, now)
        return ev.CompensationFailed(
            seq=seq, at=now, step=name, attempt=attempt, error=outcome.error, delay=delay,
            due_at=None if delay is None else now + delay,
        )  # fmt: skip

    def _decide_failed(self, step: int, raised: Raised, now: float) -> Event:
        """What follows when an attempt has failed: another one, now or when somebody resumes the run, or the end."""
        node, attempt, seq = self.run.plan.nodes[step], self.run.attempts[step], self.run.seq + 1
        delay = self._decide_delay(step, raised, now)
        is_over = node.options.on_exhausted == "fail" or step in self.run.spared or self.run.closing() is not None
        if delay is None and is_over:
            return ev.StepFailed(
                seq=seq, at=now, step=node.name, attempt=attempt, error=raised.error, runs_on=raised.runs_on
            )
        return ev.StepRetrying(
            seq=seq, at=now, step=node.name, attempt=attempt, error=raised.error, delay=delay,
            due_at=None if delay is None else now + delay, runs_on=raised.runs_on,
        )  # fmt: skip

    def _decide_delay(self, step: int, raised: Raised, now: float) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        options = self.run.plan.nodes[step].options
        failures = self.run.failures[step] + 1
        if not raised.retryable or failures > options.retry.max_retries or step in self.run.spared:
            return None
        # The body may yet do what it is to do once.
        if raised.runs_on and options.delivery == "at_most_once":
            return None
        if self.run.closing() is not None and not self.run.is_clean_up(step):
            return None
        delay = raised.retry_after
        if delay is None:
            delay = options.retry.delay(failures, raised.spread)
        if options.total_timeout is not None and now + delay >= self.run.first_start[step] + options.total_timeout:
            return None
        return delay

    def _decide_spared(self, step: int, now: float) -> Event:
        run, (cause, reason) = self.run, _REST
        return ev.StepCancelled(
            seq=run.seq + 1, at=now, step=run.plan.nodes[step].name, attempt=run.attempts[step], reason=reason,
            cause=cause,
        )  # fmt: skip

    def _decide_ready(self, step: int, now: float) -> Event | None:
        """The event that ends a step which never began, because of what it waited for; None if it may run."""
        run = self.run
        node, attempt, seq = run.plan.nodes[step], run.attempts[step], run.seq + 1
        blocker = run.blocker(step)
        if blocker is not None:
            return self._skipped(step, blocker, now)
        if node.options.when is None or (run.closing() is not None and not run.is_clean_up(step)):
            return None
        verdict = self.judge(node)
        if verdict is None:
            return None
        if isinstance(verdict, str):
            return ev.StepSkipped(seq=seq, at=now, step=node.name, attempt=attempt, reason=verdict, cause="when")
        return ev.StepFailed(seq=seq, at=now, step=node.name, attempt=attempt, error=verdict)

    def _decide_closed(self, step: int, closing: Closing, now: float) -> Event:
        cause, reason = closing
        blocker = self.run.blocker(step) if cause == "failure" and self.run.statuses[step] is _PENDING else None
        if blocker is not None:
            return self._skipped(step, blocker, now)
        return ev.StepCancelled(
            seq=self.run.seq + 1, at=now, step=self.run.plan.nodes[step].name, attempt=self.run.attempts[step],
            reason=reason, cause=cause,
        )  # fmt: skip

    def _skipped(self, step: int, blocker: int, now: float) -> Event:
        undone = blocker in self.run.errors or self.run.causes.get(blocker) in UNDONE_CAUSES
        return ev.StepSkipped(
            seq=self.run.seq + 1, at=now, step=self.run.plan.nodes[step].name, attempt=self.run.attempts[step],
            cause="failure" if undone else "upstream",
            reason=f"{self.run.plan.nodes[blocker].name} {_ENDINGS[self.run.statuses[blocker]]}",
        )  # fmt: skip

    def _decide_end(self, now: float) -> Event:
        seq, compensation = self.run.seq + 1, self.run.effects.outcome
        if self.run.errors:
            steps = tuple(self.run.plan.nodes[step].name for step in self.run.errors)
            error = next(iter(self.run.errors.values())).headline
            return ev.RunFailed(seq=seq, at=now, steps=steps, error=error, compensation=compensation)
        if "deadline" in self.run.halts:
            return ev.RunFailed(seq=seq, at=now, steps=(), error=self.run.late_reason(), compensation=compensation)
        if "run" in self.run.halts:
            reason = self.run.cancel_reason or ""
            return ev.RunCancelled(seq=seq, at=now, reason=reason, compensation=compensation)
        return ev.RunCompleted(seq=seq, at=now)
