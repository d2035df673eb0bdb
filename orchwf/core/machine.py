"""
What happens next in a run.

`turn` is told what happened and says which events follow. Deciding only reads; `Standing.apply` alone changes, and only
by an event, so that a machine to which a log is replayed equals the one that wrote it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

import attrs

from . import events as ev
from .definition import Node
from .events import ErrorInfo, Event
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
from .standing import WAITING, Standing
from .state import UNDONE_CAUSES, RunStatus, StepStatus

Verdict = str | ErrorInfo | None
"""Of a condition: None lets the step run, a text is the reason to skip it, an error fails it."""

Judge = Callable[[Node], Verdict]
"""Answers the condition of a step whose dependencies allow it to run: the only user code that a turn calls."""


@attrs.frozen
class Turn:
    """The events that follow, and the numbers of the steps that could start from now on, once each."""

    events: list[Event]
    ready: list[int]


_PENDING, _RUNNING = StepStatus.PENDING, StepStatus.RUNNING
_ENDINGS = {StepStatus.FAILED: "failed", StepStatus.CANCELLED: "was cancelled", StepStatus.SKIPPED: "was skipped"}
_REST = ("rest", "no longer needed")


class Machine:
    """
    Decides what follows in one run. Steps are numbers of the plan.

    Nothing here waits, reads a clock or draws a number, and nothing is kept here: `run` says how it stands.
    """

    def __init__(self, run_id: str, plan: Plan, judge: Judge) -> None:
        self.run = Standing(run_id, plan)
        self._judge = judge

    def replay(self, log: Iterable[Event]) -> None:
        """Fold events that were written before."""
        for event in log:
            self.run.apply(event)

    def turn(self, happened: Sequence[Happening], now: float) -> Turn:
        """
        All that follows from what happened, up to now (epoch seconds).

        The events are applied already; they have to be written before anything is done about them.
        """
        self.run.is_late = self.run.is_late or (self.run.deadline_at is not None and now >= self.run.deadline_at)
        events: list[Event] = []
        for happening in happened:
            event = self._decide_happening(happening, now)
            if event is not None:
                self._add(events, event)
        ready = self._follow(events, now)
        return Turn(events, ready)

    def _add(self, events: list[Event], event: Event) -> None:
        self.run.apply(event)
        events.append(event)

    def _follow(self, events: list[Event], now: float) -> list[int]:
        ready = self.run.take_due(now)
        while True:
            while self.run.touched:
                touched, self.run.touched = self.run.touched, []
                for step in touched:
                    event = self._decide_step(step, now)
                    if event is not None:
                        self._add(events, event)
                    elif self.run.is_ready(step):
                        self.run.offered.add(step)
                        ready.append(step)
            if self.run.is_closed or self.run.closing() is None:
                break
            self._close(events, now)
        if self.run.open == 0 and self.run.status is RunStatus.RUNNING:
            self._add(events, self._decide_end(now))
        return [step for step in ready if self.run.can_start(step, now)]

    def _close(self, events: list[Event], now: float) -> None:
        """End all that is not to start any more."""
        for step in self.run.plan.order:
            if self.run.statuses[step] in WAITING and not self.run.is_clean_up(step):
                self._add(events, self._decide_closed(step, now))
        self.run.is_closed = True

    # Deciding: these read, and change nothing.

    def _decide_happening(self, happening: Happening, now: float) -> Event | None:
        seq = self.run.seq + 1
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
                if self.run.status.is_final or self.run.cancel_reason is not None:
                    return None
                return ev.SignalReceived(
                    seq=seq, at=now, signal="cancel", message_id=happening.message_id, payload=happening.reason
                )
            case _:
                assert_never(happening)

    def _decide_granted(self, step: int, now: float) -> Event | None:
        if not self.run.can_start(step, now):
            return None
        node = self.run.plan.nodes[step]
        if self.run.statuses[step] is StepStatus.RETRYING and self.run.time_left(step, now) == (0.0, True):
            error = ErrorInfo(
                "orchwf.errors.StepTimeoutError",
                f"step {node.name!r} used up its total_timeout of {node.options.total_timeout:g} s",
            )
            return ev.StepFailed(
                seq=self.run.seq + 1, at=now, step=node.name, attempt=self.run.attempts[step], error=error
            )
        return ev.StepStarted(seq=self.run.seq + 1, at=now, step=node.name, attempt=self.run.attempts[step] + 1)

    def _decide_ended(self, ended: Ended, now: float) -> Event | None:
        step, attempt = ended.step, ended.attempt
        # What comes from an attempt that the log has done with changes nothing.
        if self.run.statuses[step] is not _RUNNING or self.run.attempts[step] != attempt:
            return None
        name, seq = self.run.plan.nodes[step].name, self.run.seq + 1
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
                cause, reason = self.run.stopping() or _REST
                return ev.StepCancelled(seq=seq, at=now, step=name, attempt=attempt, reason=reason, cause=cause)
            case _:
                assert_never(ended.outcome)

    def _decide_delay(self, step: int, raised: Raised, now: float) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        options = self.run.plan.nodes[step].options
        failures = self.run.failures[step] + 1
        if not raised.retryable or failures > options.retry.max_retries or step in self.run.spared:
            return None
        if self.run.closing() is not None and not self.run.is_clean_up(step):
            return None
        delay = raised.retry_after
        if delay is None:
            delay = options.retry.delay(failures, raised.spread)
        if options.total_timeout is not None and now + delay >= self.run.first_start[step] + options.total_timeout:
            return None
        return delay

    def _decide_step(self, step: int, now: float) -> Event | None:
        """The event that ends a step which never began, because of what it waited for; None if it stays."""
        node, seq = self.run.plan.nodes[step], self.run.seq + 1
        if step in self.run.spared and self.run.statuses[step] in WAITING:
            cause, reason = _REST
            return ev.StepCancelled(
                seq=seq, at=now, step=node.name, attempt=self.run.attempts[step], reason=reason, cause=cause
            )
        if step in self.run.offered or self.run.statuses[step] is not _PENDING or not self.run.is_resolved(step):
            return None
        blocker = self.run.blocker(step)
        if blocker is not None:
            return self._skipped(step, blocker, now)
        if node.options.when is None or (self.run.closing() is not None and not self.run.is_clean_up(step)):
            return None
        verdict = self._judge(node)
        if verdict is None:
            return None
        if isinstance(verdict, str):
            return ev.StepSkipped(seq=seq, at=now, step=node.name, reason=verdict, cause="when")
        return ev.StepFailed(seq=seq, at=now, step=node.name, error=verdict)

    def _decide_closed(self, step: int, now: float) -> Event:
        cause, reason = self.run.closing() or _REST
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
            seq=self.run.seq + 1, at=now, step=self.run.plan.nodes[step].name,
            cause="failure" if undone else "upstream",
            reason=f"{self.run.plan.nodes[blocker].name} {_ENDINGS[self.run.statuses[blocker]]}",
        )  # fmt: skip

    def _decide_end(self, now: float) -> Event:
        seq = self.run.seq + 1
        if self.run.errors:
            steps = tuple(self.run.plan.nodes[step].name for step in self.run.errors)
            return ev.RunFailed(seq=seq, at=now, steps=steps, error=next(iter(self.run.errors.values())).headline)
        causes = set(self.run.causes.values())
        if "deadline" in causes:
            return ev.RunFailed(seq=seq, at=now, steps=(), error=self.run.late_reason())
        if "run" in causes:
            return ev.RunCancelled(seq=seq, at=now, reason=self.run.cancel_reason or "")
        return ev.RunCompleted(seq=seq, at=now)
