"""
What happens next in a run.

`turn` is told what happened and says which events follow. Deciding only reads; `Standing.apply` alone changes, and only
by an event, so that a machine to which a log is replayed equals the one that wrote it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import assert_never

import attrs

from . import events as ev
from .definition import ForChild, ForSignal, ForTime, Node, Several
from .events import ErrorInfo, Event
from .outcome import (
    Asked,
    Beat,
    Begun,
    ChildEnded,
    Ended,
    Finished,
    Found,
    Happening,
    Outcome,
    Raised,
    Returned,
    SkippedItself,
    Spawned,
    Split,
    Stopped,
    TakenUp,
    Yielded,
)
from .plan import Plan
from .rows import ITEMS, Row
from .standing import STARTABLE, Closing, Standing
from .state import UNDONE_CAUSES, RunStatus, StepStatus

Verdict = str | ErrorInfo | None
"""Of a condition: None lets the step run, a text is the reason to skip it, an error fails it."""

Judge = Callable[[Node], Verdict]
"""Answers the condition of a step whose dependencies allow it to run."""

Due = Callable[[Node, float], float | ErrorInfo]
"""Gives when (epoch seconds) a node is due that waits for a time, if it could begin now."""

Settles = Callable[[Node, str], bool | ErrorInfo]
"""Answers whether a loop ends with this output of its last iteration (encoded)."""


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

_PENDING, _RUNNING, _WAITING = StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING
_ENDINGS = {StepStatus.FAILED: "failed", StepStatus.CANCELLED: "was cancelled", StepStatus.SKIPPED: "was skipped"}
_REST = ("rest", "no longer needed")

MOST_ITERATIONS = 1_000
"""How often a loop runs at most, if nothing else is said."""

DEAD_LETTER = "dead letter"
"""How the reason begins for which a run is parked whose processes died again and again."""


class Machine:
    """
    Decides what follows in one run. Steps are numbers of the plan.

    Nothing here waits, reads a clock or draws a number, and nothing is kept here: `run` says how it stands.

    Args:
        judge, due, settles: What the user's code says: all of it that a turn calls.
        glance: How many steps a turn looks at, so that none takes long, however many become ready or end at once.
    """

    def __init__(
        self, run_id: str, plan: Plan, judge: Judge, *, due: Due | None = None, settles: Settles | None = None,
        glance: int = 1_000,
    ) -> None:  # fmt: skip
        self.run = Standing(run_id, plan)
        self.judge = judge
        self.due = due or _due_after
        self.settles = settles or _settled
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
        if not run.is_late and run.deadline_at is not None and now >= run.deadline_at:
            run.is_late = True
            run.close_anew()
        events: list[Event] = []
        for happening in happened:
            match happening:
                case Ended():
                    self._add(events, self._decide_ended(happening, now))
                    if type(happening.outcome) is Finished:
                        self._add(events, self._decide_finish(happening, now))
                case Yielded():
                    self._add(events, self._decide_yielded(happening, now))
                case ChildEnded():
                    self._end_child(events, happening, now)
                case Found():
                    self._find(events, happening, now)
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
        for event in begun.events(self.run.seq + 1, now):
            self._add(events, event)

    def _find(self, events: list[Event], found: Found, now: float) -> None:
        """A step need not run, if it still could; no attempt was made of it, and so there is nothing to undo."""
        run, step, item = self.run, self.run.nodes[found.step].name, self.run.item_of(found.step)
        if not run.can_start(found.step, now):
            run.hold(found.step)
            return
        self._add(events, ev.CacheHit(
            seq=run.seq + 1, at=now, step=step, attempt=0, item=item, key=found.key, run=found.run
        ))  # fmt: skip
        self._add(events, self._completed(found.step, found.output, now, attempt=0))

    def _take_up(self, events: list[Event], taken: TakenUp, now: float) -> None:
        run = self.run
        # First what was asked before: of a run that had ended it came too late, and means nothing from now on.
        for asked in taken.asked:
            self._add(events, self._decide_asked(asked, now))
        reason = self._decide_reason(taken)
        exhausted = list(run.exhausted)
        failed = tuple(run.nodes[step].name for step in run.errors)
        # What runs again would only have to be undone.
        changed = () if run.effects.has_begun else taken.reset
        again = tuple(name for name in changed if self._is_to_run_again(name))
        resumed = ev.RunResumed(
            seq=run.seq + 1, at=now, reason=reason, fingerprint=taken.fingerprint,
            rerun=tuple(run.nodes[step].name for step in taken.rerun),
            reset=again + (failed if reason == "retry" and run.status is not RunStatus.FAILED else ()),
            changed=changed,
        )  # fmt: skip
        self._add(events, attrs.evolve(resumed, reset=resumed.reset + self._decide_unready(resumed)))
        # One that is to be cancelled ends so: for that its inputs need not fit.
        if taken.refused and run.ending is None and not run.is_terminated:
            self._add(events, ev.RunFailed(seq=run.seq + 1, at=now, steps=(), error=taken.refused))
            return
        said = "somebody said so when the run was resumed"
        for step in taken.skipped:
            for each in self._in_question(step, exhausted):
                self._add(events, self._skipped(each, "person", said, now))
        for step, output in taken.given.items():
            # Of a loop that is what its last iteration would have given: the one in question has its end with it.
            self._end(events, step, self._completed(step, output, now))
        if run.takeovers > taken.most_takeovers and not run.is_terminated:
            parked = f"{DEAD_LETTER}: {run.takeovers} times in a row its process died before any step had ended"
            self._add(events, ev.RunPaused(seq=run.seq + 1, at=now, reason=parked, cause="takeovers"))

    def _is_to_run_again(self, name: str) -> bool:
        """
        Whether this step, whose inputs have changed, runs again, also if nobody asked for a retry.

        Not one that has failed: others have ended for that, and only a retry lets all of them run again.
        """
        step = self.run.plan.index.get(name)
        status = None if step is None else self.run.statuses[step]
        return status is None or status is StepStatus.COMPLETED or not status.is_final

    def _in_question(self, step: int, exhausted: Sequence[int]) -> list[int]:
        """Those items of a step of which somebody has to say how they go on; the step itself if it has none."""
        run = self.run
        items = [each for each in (*run.unknown, *exhausted) if each >= run.size and each not in run.undone_by]
        own = [each for each in items if run.row_of(each).step == step and not run.statuses[each].is_final]
        return own or [step]

    def _decide_reason(self, taken: TakenUp) -> str:
        """Why the run is resumed."""
        if taken.by_hand:
            return "undo" if self.run.effects.has_begun else "retry"
        if self.run.status is RunStatus.PAUSED:
            return "cancel"
        if taken.is_due:
            return "due"
        return "shutdown" if taken.was_released else "takeover"

    def _decide_unready(self, resumed: ev.RunResumed) -> tuple[str, ...]:
        """The steps that wait for another attempt, or outside, but that now have to wait for another step before."""
        run, plan = self.run, self.run.plan
        names = []
        # Those that have items wait with the next one.
        for step in sorted({each for each in (*run.due, *run.waiting) if each < len(plan)} - run.rows.keys()):
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
        ready = self._take_due(events, now) if run.timers else []
        while True:
            while run.touched and left > 0:
                left -= 1
                step = run.touched.popleft()
                if step in run.spared and run.statuses[step] in STARTABLE:
                    self._add(events, self._decide_spared(step, now))
                elif run.is_ready(step):
                    event = self._decide_ready(step, now)
                    if event is None:
                        run.offered.add(step)
                        ready.append(step)
                    else:
                        self._add(events, event)
                elif run.waiting and step in run.waiting:
                    left = self._look_at_waiting(events, ready, step, now, left)
            closing = run.closing()
            is_open = closing is not None and not run.is_closed and run.pausing() is None
            if closing is None or not is_open or left <= 0:
                break
            left = self._close(events, closing, now, left)
        has_more = bool(run.touched) or is_open
        if not has_more:
            ready += self._finish(events, now)
        return self._startable(ready, now), has_more

    def _startable(self, ready: list[int], now: float) -> list[int]:
        """Of these steps, and of those that a pause kept, the ones that could start."""
        run = self.run
        # What ended a pause may have happened only now.
        if run.held:
            ready += run.take_held()
        startable = [step for step in ready if run.can_start(step, now)]
        if len(startable) < len(ready):
            for step in set(ready).difference(startable):
                run.hold(step)
        return startable

    def _take_due(self, events: list[Event], now: float) -> list[int]:
        """The steps that could start as their time has come; what waited for that ends."""
        due = self.run.take_due(now)
        if self.run.waiting:
            due = [step for step in due if not self._fire(events, step, now)]
        # Until it has begun the run does not only wait.
        self.run.offered.update(due)
        return due

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
            if self._is_to_close(step, closing) and (not run.is_clean_up(step) or run.waits_for_somebody(step)):
                self._end(events, step, self._decide_closed(step, closing, now))
            elif step in run.rows:
                # Those of its items that wait may be to end.
                run.touch(run.rows[step])
        run.is_closed = run.passed == len(run.plan.order)
        return left - (run.passed - before)

    def _is_to_close(self, step: int, closing: Closing) -> bool:
        """Whether this step ends at once when the run closes: what is at work may end, if the run only fails."""
        run, status = self.run, self.run.statuses[step]
        if status is not _WAITING:
            return status in STARTABLE
        if step in run.rows:
            return not run.at_work(run.rows[step])
        return closing[0] != "failure" or not isinstance(run.nodes[step].waits, ForChild)

    # What waits.

    def _fire(self, events: list[Event], step: int, now: float) -> bool:
        """End this step if it waited for the time that has come; whether it did."""
        run = self.run
        # What it waited for before may have been due earlier than what it waits for now.
        if step not in run.waiting or run.due.get(step, math.inf) > now:
            return run.statuses[step] is _WAITING
        if step in run.mail:
            # It came in time, and nobody has looked until now.
            self._add(events, self._completed(step, run.mail[step], now))
            return True
        self._add(events, ev.TimerFired(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, attempt=run.attempts[step], item=run.item_of(step)
        ))  # fmt: skip
        self._add(events, self._decide_fired(step, now))
        return True

    def _look_at_waiting(self, events: list[Event], ready: list[int], step: int, now: float, left: int) -> int:
        """What follows for a step that waits; how many more steps may be looked at after that."""
        run = self.run
        if step in run.rows:
            return self._look_at_row(events, ready, run.rows[step], now, left)
        if step in run.spared:
            self._add(events, self._decide_spared(step, now))
        elif step in run.mail:
            self._add(events, self._completed(step, run.mail[step], now))
        return left

    def _look_at_row(self, events: list[Event], ready: list[int], row: Row, now: float, left: int) -> int:
        """End the step, find out about more of its items, or offer those for which there is a place."""
        run = self.run
        row.is_touched = False
        event, is_over = self._decide_row(row, now)
        if is_over and run.at_work(row):
            self._end_waiting(events, row, event, now)
            return left
        if event is not None:
            self._end(events, row.step, event)
            return left
        if not run.is_resolved(row.step):
            return left
        # At least one, so that it comes to an end however little a turn may look at.
        left = max(left, 1)
        while row.ready and left > 0 and len(row.live) < run.window(row):
            left -= 1
            position = row.ready.popleft()
            item = row.items[position]
            if run.statuses[item] not in STARTABLE or item in row.live or run.due.get(item, now) > now:
                continue
            event, is_ready = self._decide_item(row, position, now)
            if event is not None:
                self._add(events, event)
            elif is_ready:
                row.live.add(item)
                run.offered.add(item)
                ready.append(item)
        if row.ready and len(row.live) < run.window(row):
            run.touch(row)
        return left

    def _end(self, events: list[Event], step: int, event: Event) -> None:
        """
        Let this happen to a step, and first end those of its items that have begun and will not go on if it ends so.

        Of one whose process died nobody knows whether it had its effect; so it has to have an end, to be undone after.
        """
        run = self.run
        if step in run.rows and not isinstance(event, ev.StepExpanded):
            cause, reason = _ending_of_items(event)
            for item in run.begun(run.rows[step]):
                self._add(events, self._cancelled(item, cause, reason, event.at))
            event = attrs.evolve(event, seq=run.seq + 1)
        self._add(events, event)

    def _end_waiting(self, events: list[Event], row: Row, event: Event | None, now: float) -> None:
        """
        End the items that wait for a run, of a step that is to end so; what is at work may end in peace if it fails.
        """
        run = self.run
        is_enough = isinstance(event, ev.StepCompleted | ev.StepCancelled)
        reason = run.stopping() or (_REST if is_enough else None)
        if reason is not None:
            for item in sorted(row.live & run.waiting):
                self._add(events, self._cancelled(item, reason[0], reason[1], now))

    def _end_child(self, events: list[Event], ended: ChildEnded, now: float) -> None:
        run, step = self.run, ended.step
        if ended.message is not None:
            self._add(events, None if run.status.is_final else self._decide_asked(ended.message, now))
        if ended.outcome is None or run.statuses[step] is not _WAITING:
            return
        if isinstance(ended.outcome, Returned):
            self._add(events, self._completed(step, ended.outcome.output, now))
        else:
            self._add(events, self._decide_failed(step, ended.outcome, now))

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
        for step in [each for each in (*run.running, *run.waiting) if each >= run.size and each not in run.undone_by]:
            self._add(events, self._cancelled(step, "run", reason, now))
        for step in self._pass(self._glance):
            if not run.statuses[step].is_final:
                self._end(events, step, self._cancelled(step, "run", reason, now))
        if run.passed < len(run.plan.order):
            return True
        self._add(events, ev.RunCancelled(
            seq=run.seq + 1, at=now, reason=run.cancel_reason or "", compensation=run.effects.outcome
        ))  # fmt: skip
        return False

    # Deciding: these read, and change nothing.

    def _decide_beat(self, beat: Beat, now: float) -> Event | None:
        run, step = self.run, beat.step
        if not self._is_current(step, beat.attempt) or step in run.undone_by:
            return None
        name = run.nodes[step].name
        return ev.StepHeartbeat(
            seq=run.seq + 1, at=now, step=name, attempt=beat.attempt, item=run.item_of(step), progress=beat.progress
        )

    def _decide_asked(self, asked: Asked, now: float) -> Event | None:
        # It may have been read a second time before it was folded.
        if asked.message_id in self.run.received:
            return None
        return ev.SignalReceived(
            seq=self.run.seq + 1, at=now, signal=asked.signal, message_id=asked.message_id, payload=asked.payload
        )

    def _is_current(self, step: int, attempt: int) -> bool:
        """Whether this attempt is in flight; what comes from one that the log has done with changes nothing."""
        return self.run.statuses[step] is _RUNNING and self.run.attempts[step] == attempt

    def _decide_start(self, step: int, now: float) -> Event | None:
        if not self.run.can_start(step, now):
            return None
        run = self.run
        node = run.nodes[step]
        if run.statuses[step] is StepStatus.RETRYING and self.run.time_left(step, now) == (0.0, True):
            error = ErrorInfo(
                "orchwf.errors.StepTimeoutError",
                f"step {node.name!r} used up its total_timeout of {node.options.total_timeout:g} s",
            )
            return self._decide_failed(step, Raised(error=error, retryable=False), now)
        seq, attempt = run.seq + 1, run.attempts[step] + 1
        item = None if step < run.size else run.positions[step - run.size]
        if step in run.undone_by:
            return ev.CompensationStarted(seq=seq, at=now, step=node.name, attempt=attempt, item=item)
        return ev.StepStarted(seq=seq, at=now, step=node.name, attempt=attempt, item=item)

    def _decide_ended(self, ended: Ended, now: float) -> Event | None:
        step, attempt = ended.step, ended.attempt
        if not self._is_current(step, attempt):
            return None
        run = self.run
        name, seq = run.nodes[step].name, run.seq + 1
        item = None if step < run.size else run.positions[step - run.size]
        if step in run.undone_by:
            return self._decide_undone(step, ended.outcome, now)
        match ended.outcome:
            case Returned(output) | Finished(output):
                return ev.StepCompleted(seq=seq, at=now, step=name, attempt=attempt, item=item, output=output)
            case Raised() as raised:
                return self._decide_failed(step, raised, now)
            case SkippedItself(reason):
                return self._skipped(step, "body", reason, now)
            case Stopped(runs_on):
                cause, reason = run.stopping() or _REST
                return self._cancelled(step, cause, reason, now, runs_on=runs_on)
            case Split(count, keys):
                return ev.StepExpanded(seq=seq, at=now, step=name, attempt=attempt, count=count, keys=keys)
            case Spawned() as spawned:
                return self._decide_spawned(step, spawned, now)
            case _:
                assert_never(ended.outcome)

    def _decide_finish(self, ended: Ended, now: float) -> Event | None:
        """That a step has ended the run, if what it gave was taken."""
        run, name = self.run, self.run.nodes[ended.step].name
        # What undoes something has nothing to finish.
        if ended.step in run.undone_by:
            return None
        if run.statuses[ended.step] is not StepStatus.COMPLETED or run.attempts[ended.step] != ended.attempt:
            return None
        message_id = f"finish-{run.seq}"
        return ev.SignalReceived(seq=run.seq + 1, at=now, signal="finish", message_id=message_id, payload=name)

    def _decide_yielded(self, yielded: Yielded, now: float) -> Event | None:
        run, step = self.run, yielded.step
        # An attempt before gave it already.
        if not self._is_current(step, yielded.attempt) or yielded.position != run.count_of(step):
            return None
        item = yielded.position + (len(run.rows[step].dropped) if step in run.rows else 0)
        return ev.StepCompleted(seq=run.seq + 1, at=now, step=run.nodes[step].name, item=item, output=yielded.output)

    def _decide_spawned(self, step: int, spawned: Spawned, now: float) -> Event:
        run, node = self.run, self.run.nodes[step]
        limit = node.options.timeout
        return ev.ChildStarted(
            seq=run.seq + 1, at=now, step=node.name, attempt=run.attempts[step], item=run.item_of(step),
            child=spawned.child, workflow=spawned.workflow, version=spawned.version, inputs=spawned.inputs,
            depth=spawned.depth, due_at=None if limit is None else now + limit, delay=limit,
        )  # fmt: skip

    def _decide_fired(self, step: int, now: float) -> Event:
        """What follows for a step when the time has come until which it waited."""
        node = self.run.nodes[step]
        match node.waits:
            case ForTime():
                return self._completed(step, "null", now)
            case ForSignal(default=str() as default):
                return self._completed(step, default, now)
            case ForSignal(timeout=limit):
                message = f"no signal {node.name!r} came within {limit or 0:g} s"
            case _:
                message = f"the run that step {node.name!r} waits for took longer than {node.options.timeout or 0:g} s"
        error = ErrorInfo("orchwf.errors.StepTimeoutError", message)
        return self._decide_failed(step, Raised(error=error, retryable=False), now)

    def _decide_wait(self, step: int, now: float) -> Event:
        """What follows for a step that has no body, and could begin to wait."""
        run, node = self.run, self.run.nodes[step]
        delay: float | None = None
        if step in run.mail:
            return self._completed(step, run.mail[step], now)
        if isinstance(node.waits, ForSignal):
            delay = node.waits.timeout
        else:
            due_at = self.due(node, now)
            if isinstance(due_at, ErrorInfo):
                return self._failed(step, due_at, now)
            delay = max(0.0, due_at - now)
        return ev.TimerSet(
            seq=run.seq + 1, at=now, step=node.name, attempt=run.attempts[step], delay=delay,
            due_at=None if delay is None else now + delay,
        )  # fmt: skip

    def _decide_row(self, row: Row, now: float) -> tuple[Event | None, bool]:
        """What follows for a step that has items, before any of them; and whether none may begin any more."""
        run, step = self.run, row.step
        closing = run.closing()
        if step in run.spared:
            return self._decide_spared(step, now), True
        if closing is not None:
            # Only those at work are waited for, and no other event is due for them.
            return (None if run.at_work(row) else self._decide_closed(step, closing, now)), True
        if run.has_failed(row):
            return self._failed(step, self._error_of(row), now), True
        if not run.is_resolved(step):
            # Something that it waits for is to run again.
            return None, False
        if run.has_enough(row):
            return self._completed(step, ITEMS, now), True
        blocker = run.blocker(step) if run.unmet[step] == 0 else None
        if blocker is not None:
            return self._blocked(step, blocker, now), True
        if run.is_complete(row) and row.ended == len(row.items):
            return self._completed(step, ITEMS, now), True
        if run.plan.several[step] is Several.LOOP:
            return self._decide_iteration(row, now), False
        count = self._count_followed(step)
        if count is None or count <= len(row.items):
            return None, False
        return self._expanded(step, count, now), False

    def _count_followed(self, step: int) -> int | None:
        """How many items of the steps whose items this one follows are known; None if it follows none."""
        return min((self.run.count_of(source) for source in self.run.plan.chained.get(step, ())), default=None)

    def _decide_iteration(self, row: Row, now: float) -> Event | None:
        """How a loop goes on after its last iteration."""
        run, step, node = self.run, row.step, self.run.nodes[row.step]
        last = row.items[-1]
        if run.statuses[last] is StepStatus.SKIPPED:
            return self._skipped(step, "body", "its last iteration skipped itself", now)
        if run.statuses[last] is not StepStatus.COMPLETED:
            return None
        verdict = self.settles(node, run.outputs[last])
        if isinstance(verdict, ErrorInfo):
            return self._failed(step, verdict, now)
        limit = node.options.max_iterations or MOST_ITERATIONS
        if verdict:
            return self._completed(step, run.outputs[last], now)
        if len(row.items) < limit:
            return self._expanded(step, len(row.items) + 1, now)
        message = f"step {node.name!r} did not settle in {limit:,} iterations (max_iterations)"
        return self._failed(step, ErrorInfo("orchwf.errors.LoopLimitError", message), now)

    def _decide_item(self, row: Row, position: int, now: float) -> tuple[Event | None, bool]:
        """The event that ends an item without an attempt, if one does; else whether it could start."""
        run, item = self.run, row.items[position]
        for source in run.followed(row, position):
            status, name = run.statuses[source], run.nodes[source].name
            if status is StepStatus.COMPLETED:
                continue
            if status.is_final:
                return self._skipped(item, "failure", f"{name} {_ENDINGS[status]} for it", now), False
            if run.statuses[run.row_of(source).step].is_final:
                return self._skipped(item, "upstream", f"{name} did without it", now), False
            return None, False
        output = row.known.get(row.keys[position]) if row.known and row.keys else None
        return (None, True) if output is None else (self._completed(item, output, now, attempt=0), False)

    def _error_of(self, row: Row) -> ErrorInfo:
        """What a step fails with, of whose items too many did not complete."""
        need, name = self.run.nodes[row.step].options.need, self.run.nodes[row.step].name
        if row.error is not None:
            return row.error
        message = f"step {name!r} needs {need} results of items, and only {row.completed} of {len(row.items)} completed"
        return ErrorInfo("orchwf.errors.TooFewItemsError", message)

    # Events that are made in several places.

    def _completed(self, step: int, output: str, now: float, attempt: int | None = None) -> Event:
        run = self.run
        return ev.StepCompleted(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, item=run.item_of(step), output=output,
            attempt=run.attempts[step] if attempt is None else attempt,
        )  # fmt: skip

    def _failed(self, step: int, error: ErrorInfo, now: float) -> Event:
        run = self.run
        return ev.StepFailed(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, attempt=run.attempts[step], item=run.item_of(step),
            error=error,
        )  # fmt: skip

    def _skipped(self, step: int, cause: str, reason: str, now: float) -> Event:
        run = self.run
        return ev.StepSkipped(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, attempt=run.attempts[step], item=run.item_of(step),
            reason=reason, cause=cause,
        )  # fmt: skip

    def _cancelled(self, step: int, cause: str, reason: str, now: float, *, runs_on: bool = False) -> Event:
        run = self.run
        return ev.StepCancelled(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, attempt=run.attempts[step], item=run.item_of(step),
            reason=reason, cause=cause, runs_on=runs_on,
        )  # fmt: skip

    def _expanded(self, step: int, count: int, now: float) -> Event:
        run = self.run
        return ev.StepExpanded(
            seq=run.seq + 1, at=now, step=run.nodes[step].name, attempt=run.attempts[step], count=count
        )

    def _decide_undone(self, number: int, outcome: Outcome, now: float) -> Event:
        name, attempt, seq = self.run.nodes[number].name, self.run.attempts[number], self.run.seq + 1
        item = self.run.item_of(number)
        # One that raised Skip had nothing to undo.
        if not isinstance(outcome, Raised):
            return ev.CompensationCompleted(seq=seq, at=now, step=name, attempt=attempt, item=item)
        delay = self._decide_delay(number, outcome, now)
        return ev.CompensationFailed(
            seq=seq, at=now, step=name, attempt=attempt, item=item, error=outcome.error, delay=delay,
            due_at=None if delay is None else now + delay,
        )  # fmt: skip

    def _decide_failed(self, step: int, raised: Raised, now: float) -> Event:
        """What follows when an attempt has failed: another one, now or when somebody resumes the run, or the end."""
        node, attempt, seq = self.run.nodes[step], self.run.attempts[step], self.run.seq + 1
        item = self.run.item_of(step)
        delay = self._decide_delay(step, raised, now)
        is_over = node.options.on_exhausted == "fail" or step in self.run.spared or self.run.closing() is not None
        if delay is None and is_over:
            return ev.StepFailed(
                seq=seq, at=now, step=node.name, attempt=attempt, item=item, error=raised.error, runs_on=raised.runs_on
            )
        return ev.StepRetrying(
            seq=seq, at=now, step=node.name, attempt=attempt, item=item, error=raised.error, delay=delay,
            due_at=None if delay is None else now + delay, runs_on=raised.runs_on,
        )  # fmt: skip

    def _decide_delay(self, step: int, raised: Raised, now: float) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        options = self.run.nodes[step].options
        failures = self.run.failures[step] + 1
        if not raised.retryable or failures > options.retry.max_retries or step in self.run.spared:
            return None
        # The body may yet do what it is to do once.
        if raised.runs_on and options.delivery == "at_most_once":
            return None
        if self.run.closing() is not None and not self.run.is_clean_up(step):
            return None
        is_item = step >= self.run.size and step not in self.run.undone_by
        if is_item and not self.run.wants_items(self.run.row_of(step)):
            return None
        delay = raised.retry_after
        if delay is None:
            delay = options.retry.delay(failures, raised.spread)
        if options.total_timeout is not None and now + delay >= self.run.first_start[step] + options.total_timeout:
            return None
        return delay

    def _decide_spared(self, step: int, now: float) -> Event:
        return self._cancelled(step, *_REST, now)

    def _decide_ready(self, step: int, now: float) -> Event | None:
        """The event that ends a step which never began, because of what it waited for; None if it may run."""
        run = self.run
        node = run.nodes[step]
        blocker = run.blocker(step)
        if blocker is not None:
            return self._blocked(step, blocker, now)
        if node.options.when is None and node.waits is None and node.several is None:
            return None
        if run.closing() is not None and not run.is_clean_up(step):
            return None
        if node.options.when is not None:
            verdict = self.judge(node)
            if isinstance(verdict, str):
                return self._skipped(step, "when", verdict, now)
            if verdict is not None:
                return self._failed(step, verdict, now)
        if node.waits is None and node.several is None:
            return None
        return self._decide_special(step, now)

    def _decide_special(self, step: int, now: float) -> Event | None:
        """What follows for a step that may run, and that waits or has items; None if it has an attempt first."""
        node = self.run.nodes[step]
        if isinstance(node.waits, ForSignal | ForTime):
            return self._decide_wait(step, now)
        if node.several is Several.LOOP:
            return self._expanded(step, 1, now)
        count = self._count_followed(step)
        return None if count is None else self._expanded(step, count, now)

    def _decide_closed(self, step: int, closing: Closing, now: float) -> Event:
        cause, reason = closing
        blocker = self.run.blocker(step) if cause == "failure" and self.run.statuses[step] is _PENDING else None
        if blocker is not None:
            return self._blocked(step, blocker, now)
        return self._cancelled(step, cause, reason, now)

    def _blocked(self, step: int, blocker: int, now: float) -> Event:
        """The skip of a step that needs one which did not complete."""
        run = self.run
        undone = blocker in run.errors or run.causes.get(blocker) in UNDONE_CAUSES
        reason = f"{run.nodes[blocker].name} {_ENDINGS[run.statuses[blocker]]}"
        return self._skipped(step, "failure" if undone else "upstream", reason, now)

    def _decide_end(self, now: float) -> Event:
        seq, compensation = self.run.seq + 1, self.run.effects.outcome
        if self.run.errors:
            steps = tuple(self.run.nodes[step].name for step in self.run.errors)
            error = next(iter(self.run.errors.values())).headline
            return ev.RunFailed(seq=seq, at=now, steps=steps, error=error, compensation=compensation)
        if "deadline" in self.run.halts:
            return ev.RunFailed(seq=seq, at=now, steps=(), error=self.run.late_reason(), compensation=compensation)
        if "run" in self.run.halts:
            reason = self.run.cancel_reason or ""
            return ev.RunCancelled(seq=seq, at=now, reason=reason, compensation=compensation)
        return ev.RunCompleted(seq=seq, at=now)


def _ending_of_items(event: Event) -> tuple[str, str]:
    """Cause and reason for which items end that have begun when their step ends so."""
    match event:
        case ev.StepCancelled():
            return event.cause, event.reason
        case ev.StepFailed():
            return "failure", f"{event.step} failed"
        case ev.StepSkipped(cause="failure"):
            return "failure", event.reason
        case _:
            return _REST


def _due_after(node: Node, now: float) -> float | ErrorInfo:
    """When a node is due that waits for so long, or until a time, whatever the user's code would say."""
    until = node.waits.until if isinstance(node.waits, ForTime) else 0.0
    if isinstance(until, datetime):
        return until.timestamp()
    return now + until if isinstance(until, int | float) else now


def _settled(node: Node, output: str) -> bool | ErrorInfo:
    """That a loop whose code is not known runs once."""
    return True
