"""The entries of a log, a line each."""

from ..core.events import (
    CacheHit,
    ChildStarted,
    CompensationEvent,
    CompensationFailed,
    Event,
    RunCancelled,
    RunFailed,
    RunPaused,
    RunResumed,
    RunStarted,
    SignalReceived,
    StepCancelled,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    TimerSet,
)
from ..core.failures import item_name
from ..core.lines import Line, brief, names_text, padded
from ..core.progress import progress_text
from ..core.wording import MARKS, plural
from .changes import again_text
from .instants import clock_time, near_time
from .items import name_of
from .steps import is_progress


def event_line(event: Event, width: int = 16) -> Line:
    """
    `  12  20:47:03.123  step.failed   validate  attempt 3  ValueError: …`: an entry of the log.

    Args:
        width: The columns for the kind.
    """
    said = [f"{event.seq:>5}", clock_time(event.at), f"{event.kind:<{width}}"]
    if isinstance(event, StepEvent | CompensationEvent):
        said.append(padded(name_of(event), 0))
        said += [f"attempt {event.attempt}"] if event.attempt > 1 else []
    said += _said(event)
    tone = event.kind.partition(".")[2]
    tone = {"started": "running", "resumed": "running"}.get(tone, tone)
    return Line("  ".join(filter(None, said)).rstrip(), tone if tone in MARKS else "")


def _said(event: Event) -> list[str]:
    match event:
        case StepEvent() | CompensationEvent():
            return _said_of_step(event)
        case RunStarted():
            return [f"{brief(event.workflow)} version {brief(event.version)}", *_origin(event)]
        case RunResumed():
            named = (("again", event.rerun), ("anew", event.reset))
            return [event.reason, *(f"{what}: {names_text(names)}" for what, names in named if names)]
        case RunFailed():
            return [*_undone(event.compensation), brief(event.error)]
        case RunCancelled():
            return [*_undone(event.compensation), brief(event.reason)]
        case RunPaused():
            return [event.cause, brief(event.reason)]
        case SignalReceived():
            # Of the requests it is the reason, as plain text.
            payload = "" if event.payload == "null" else event.payload
            return [brief(event.signal), brief(payload)]
        case _:
            return []


def _said_of_step(event: StepEvent | CompensationEvent) -> list[str]:
    match event:
        case StepFailed() | CompensationFailed(due_at=None):
            return [brief(event.error.headline)]
        case StepRetrying() | CompensationFailed():
            return [again_text(event)]
        case CacheHit():
            return [f"run {brief(event.run)}"]
        case StepHeartbeat():
            return [progress_text(event.progress)] if is_progress(event.progress) else []
        case StepSkipped() | StepCancelled():
            return [brief(event.reason)]
        case StepExpanded():
            return [plural(event.count, "item")]
        case TimerSet():
            return ["without a limit" if event.due_at is None else f"until {near_time(event.due_at, event.at)}"]
        case ChildStarted():
            return [f"run {brief(event.child)}", brief(event.workflow)]
        case _:
            return []


def _origin(event: RunStarted) -> list[str]:
    """Where a run comes from, and when it begins if that is later."""
    parent = f"for {item_name(event.parent_step, event.parent_item)} of run {event.parent}"
    told = {
        f"forked from {event.origin}": event.origin,
        parent: event.parent,
        f"begins at {near_time(event.not_before or 0.0, event.at)}": event.not_before is not None,
    }
    return [brief(text) for text, is_so in told.items() if is_so]


def _undone(compensation: str) -> list[str]:
    return {"done": ["undone"], "failed": ["not all undone"]}.get(compensation, [])
