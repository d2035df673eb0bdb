"""The spans of a run, as traces know them: a view of the log, so that any process can go on with a trace."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import attrs

from . import events as ev
from .events import ErrorInfo, Event
from .lineage import Lineage, SpanKind

Attribute = str | int | float | bool
"""What a span can say of itself."""

Key = tuple[bool, str, int | None]
"""Of a span of a step: whether it is that of undoing it, the name, and which item it is; None if none."""

MOST_NOTES = 128
"""How many are kept for a span that another process goes on with: as many as OpenTelemetry keeps."""

_STEP_NOTES = (ev.TimerSet, ev.TimerFired, ev.ChildStarted, ev.CacheHit, ev.StepRetrying, ev.StepExpanded)
_ATTEMPT_ENDS = (ev.StepCompleted, ev.StepRetrying, ev.StepFailed, ev.StepSkipped, ev.StepCancelled, ev.ChildStarted)
_ENDS: Mapping[type[Event], str] = {
    ev.StepCompleted: "completed",
    ev.StepRetrying: "retrying",
    ev.StepFailed: "failed",
    ev.StepSkipped: "skipped",
    ev.StepCancelled: "cancelled",
    ev.ChildStarted: "waiting",
    ev.RunCompleted: "completed",
    ev.RunFailed: "failed",
    ev.RunCancelled: "cancelled",
}


@attrs.frozen
class Note:
    """Something that happened in the course of a span; `child` is the run that it started, if it did."""

    name: str
    at: float
    attributes: Mapping[str, Attribute]
    child: str = ""


@attrs.define(eq=False)
class Span:
    """
    A part of a run that takes time.

    Attributes:
        id: Its id.
        kind: What it is of.
        name: What it is called; the same for all items, attempts and runs.
        at: When it began (epoch seconds).
        parent: Within which it lies; None of a run.
        attributes: What it says of itself from the beginning.
        follows: The id of the span that it goes on from; 0 for none.
        step: The name of the step; empty of a run.
        undoes: Whether it is that of a compensation, or an attempt of one.
        notes: What has happened in it, before it is told to anybody.
        attempt: The attempt that is under way, of a step or item.
        has_tried: Whether any attempt was made, of a step or item.
        lost: The id of the span of the attempt that died with its process, if that was the last one; else 0.
        told: What those who hear of it have made of it.
    """

    id: int
    kind: SpanKind
    name: str
    at: float
    parent: "Span | None" = None
    attributes: dict[str, Attribute] = attrs.field(factory=dict)
    follows: int = 0
    step: str = ""
    undoes: bool = False
    notes: list[Note] = attrs.field(factory=list)
    attempt: "Span | None" = None
    has_tried: bool = False
    lost: int = 0
    told: Any = None


@attrs.frozen
class End:
    """How a span ended, and when (epoch seconds). `trouble` says in one line what was wrong; empty if nothing was."""

    at: float
    status: str
    trouble: str = ""
    error: ErrorInfo | None = None
    reason: str = ""


class Hearer(Protocol):
    """Hears of spans as they begin and end."""

    def begun(self, span: Span) -> None:
        """It has begun, after all within which it lies."""
        ...

    def noted(self, span: Span, note: Note) -> None:
        """This happened in it."""
        ...

    def ended(self, span: Span, end: End) -> None:
        """It has ended, after all that lie in it."""
        ...


class Deaf:
    """Hears of what others told before: only what still goes on matters, and what happened in it."""

    def begun(self, span: Span) -> None: ...

    def noted(self, span: Span, note: Note) -> None:
        if len(span.notes) < MOST_NOTES:
            span.notes.append(note)

    def ended(self, span: Span, end: End) -> None: ...


class Spans:
    """
    The spans of one run that are under way, folded from its events.

    Of steps that were not begun only those have a span that ended for a reason of their own; of items only those that
    were begun.

    Attributes:
        run: That of the run; None before it began, and after its end.
        lineage: Where the ids come from.

    Args:
        started: The first event; it has to be applied, too.
        split: The names of the steps that run once per item: what they do themselves is no attempt of their body.
    """

    def __init__(self, run_id: str, started: ev.RunStarted, split: frozenset[str] = frozenset()) -> None:
        self.run: Span | None = None
        self.lineage = Lineage.of(run_id, started)
        self._started = started
        self._run_id = run_id
        self._split = split
        self._steps: dict[Key, Span] = {}
        self._last_run = 0

    @property
    def under_way(self) -> Iterator[Span]:
        """All that have begun and not ended, each after that within which it lies."""
        if self.run is not None:
            yield self.run
        for span in self._steps.values():
            yield span
            if span.attempt is not None:
                yield span.attempt

    def of(self, key: Key) -> Span | None:
        """The innermost span of a step or item that is under way: of its attempt, if there is one."""
        span = self._steps.get(key)
        return span if span is None or span.attempt is None else span.attempt

    def step(self, key: Key) -> Span | None:
        """The span of a step or item that is under way."""
        return self._steps.get(key)

    def apply(self, event: Event, hearer: Hearer) -> None:
        """Let this have happened, after what was before."""
        match event:
            case ev.StepEvent():
                self._apply_step(event, hearer, undoes=False)
            case ev.CompensationEvent():
                self._apply_step(event.as_step(), hearer, undoes=True)
            case ev.RunStarted():
                self._begin_run(event.seq, max(event.at, event.not_before or 0.0), hearer)
            case ev.RunResumed():
                self._resume(event, hearer)
            case ev.RunCompleted() | ev.RunFailed() | ev.RunCancelled() if self.run is not None:
                self._end_run(self.run, event, hearer)
            case ev.SignalReceived(signal="child"):
                # That a run has ended which it started is seen by that.
                pass
            case _:
                # It pauses, or a message has come.
                self._note(self.run, event, hearer)

    # Runs.

    def _begin_run(self, seq: int, at: float, hearer: Hearer) -> None:
        first = self._started
        attributes: dict[str, Attribute] = {
            "orchwf.run.id": self._run_id, "orchwf.workflow.name": first.workflow,
            "orchwf.workflow.version": first.version,
        }  # fmt: skip
        if first.parent:
            attributes["orchwf.run.parent"] = first.parent
        if first.origin:
            attributes["orchwf.run.origin"] = first.origin
        span_id = self.lineage.span(SpanKind.RUN, seq)
        self.run = Span(
            span_id, SpanKind.RUN, first.workflow, at, attributes=attributes, follows=self._last_run
        )  # fmt: skip
        self._last_run = span_id
        hearer.begun(self.run)

    def _resume(self, event: ev.RunResumed, hearer: Hearer) -> None:
        """Another one goes on with it: what was in flight has died, and what has ended begins anew."""
        if self.run is None:
            self._begin_run(event.seq, event.at, hearer)
        self._note(self.run, event, hearer)
        end = End(event.at, "lost", "its process let go of it" if event.reason == "shutdown" else "its process died")
        for key, span in list(self._steps.items()):
            if span.attempt is not None:
                span.lost = span.attempt.id
                self._end_attempt(span, end, hearer)
            if key[2] is not None and not key[0] and span.step in event.changed:
                # The step gets other items.
                self._end(key, End(event.at, "cancelled", reason="its step gets other items"), hearer)

    def _end_run(self, run: Span, event: ev.RunCompleted | ev.RunFailed | ev.RunCancelled, hearer: Hearer) -> None:
        left = End(event.at, "cancelled", reason="its run has ended")
        for key in reversed(list(self._steps)):
            self._end(key, left, hearer)
        reason = event.reason if isinstance(event, ev.RunCancelled) else ""
        trouble = event.error or "failed" if isinstance(event, ev.RunFailed) else ""
        self.run = None
        hearer.ended(run, End(event.at, _ENDS[type(event)], trouble, reason=reason))

    # Steps.

    def _apply_step(self, event: ev.StepEvent, hearer: Hearer, *, undoes: bool) -> None:
        key = (undoes, event.step, event.item)
        if key not in self._steps and not self._is_told(event):
            return
        span = self._opened(key, event, hearer)
        if isinstance(event, ev.StepStarted) and (undoes or event.item is not None or event.step not in self._split):
            self._begin_attempt(span, event, hearer)
        if isinstance(event, _STEP_NOTES):
            self._note(span, event, hearer)
        if isinstance(event, _ATTEMPT_ENDS):
            end = _end_of(event)
            self._end_attempt(span, end, hearer)
            if not isinstance(event, ev.StepRetrying | ev.ChildStarted):
                self._end(key, end, hearer)

    def _is_told(self, event: ev.StepEvent) -> bool:
        """Whether a step of which nothing is under way has a span for this."""
        match event:
            case ev.StepCompleted() | ev.StepSkipped() | ev.StepCancelled() if event.item is not None:
                return False
            case ev.StepSkipped(cause="only"):
                return False
            case ev.StepCompleted() | ev.StepSkipped() if self._started.origin:
                # What a fork takes from its origin is none of its doing.
                return event.attempt > 0 or event.at > self._started.at
            case _:
                return True

    def _opened(self, key: Key, event: ev.StepEvent, hearer: Hearer) -> Span:
        """The span of a step or item, which begins with this event if it has not yet."""
        span = self._steps.get(key)
        if span is not None:
            return span
        undoes, step, item = key
        whole = self.run if item is None or undoes else self._opened((False, step, None), event, hearer)
        attributes: dict[str, Attribute] = {"orchwf.run.id": self._run_id, "orchwf.step.name": step}
        name = f"undo {step}" if undoes else step
        kind = "step"
        if item is not None:
            attributes["orchwf.step.item"] = item
            kind, name = "item", f"{name} item"
        # One event may begin the span of a step and that of its first item.
        span_id = self.lineage.span(SpanKind.STEP, event.seq if kind == "step" else -event.seq)
        span = Span(span_id, SpanKind.STEP, name, event.at, whole, attributes, step=step, undoes=undoes)
        self._steps[key] = span
        hearer.begun(span)
        return span

    def _begin_attempt(self, span: Span, event: ev.StepEvent, hearer: Hearer) -> None:
        span.attempt = Span(
            self.lineage.span(SpanKind.ATTEMPT, event.seq), SpanKind.ATTEMPT, f"{span.name} attempt", event.at, span,
            {**span.attributes, "orchwf.step.attempt": event.attempt}, follows=span.lost, step=span.step,
            undoes=span.undoes,
        )  # fmt: skip
        span.lost, span.has_tried = 0, True
        hearer.begun(span.attempt)

    def _end_attempt(self, span: Span, end: End, hearer: Hearer) -> None:
        if span.attempt is not None:
            attempt, span.attempt = span.attempt, None
            hearer.ended(attempt, end)

    def _end(self, key: Key, end: End, hearer: Hearer) -> None:
        span = self._steps.pop(key)
        self._end_attempt(span, end, hearer)
        hearer.ended(span, end)

    def _note(self, span: Span | None, event: Event, hearer: Hearer) -> None:
        if span is not None:
            # Of another attempt to see to a run the first one has told already.
            child = event.child if isinstance(event, ev.ChildStarted) and event.workflow else ""
            hearer.noted(span, Note(event.kind, event.at, _details(event), child))


def _end_of(event: ev.StepEvent) -> End:
    error = event.error if isinstance(event, ev.StepFailed | ev.StepRetrying) else None
    reason = event.reason if isinstance(event, ev.StepSkipped | ev.StepCancelled) else ""
    return End(event.at, _ENDS[type(event)], "" if error is None else error.headline, error, reason)


def _details(event: Event) -> dict[str, Attribute]:
    """What is told of an event in a note: never what users gave, or steps returned."""
    found: dict[str, Attribute | None] = {}
    match event:
        case ev.RunPaused():
            found = {"orchwf.reason": event.reason, "orchwf.cause": event.cause}
        case ev.RunResumed():
            found = {"orchwf.reason": event.reason}
        case ev.SignalReceived():
            found = {"orchwf.signal": event.signal}
        case ev.TimerSet() | ev.StepRetrying():
            found = {"orchwf.delay": event.delay, "orchwf.step.attempt": event.attempt}
        case ev.ChildStarted():
            found = {"orchwf.run.child": event.child}
        case ev.CacheHit():
            found = {"orchwf.run.cached_from": event.run}
        case ev.StepExpanded():
            found = {"orchwf.step.items": event.count}
        case _:
            pass
    return {name: value for name, value in found.items() if value is not None}
