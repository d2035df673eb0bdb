"""What happens in a run, a line for each thing."""

from collections.abc import Mapping

import attrs

from ..core.dag import Dag
from ..core.events import (
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
    StepCompleted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from ..core.lines import Line, brief, names_text, padded
from ..core.wording import MARKS, duration_text
from ..labels import visible
from .runs import clock_time
from .steps import is_progress, progress_text


@attrs.define
class Changes:
    """
    Makes the line for each thing that happens to a step.

    Attributes:
        dag: The definition: says how often a step may be tried.
        width: The columns for the names of steps.
        spent: Name -> how many attempts were made before its budget was renewed, of the steps for which it was.
        started: Name -> when its first attempt began (epoch seconds), of the steps that have not ended.
    """

    dag: Dag
    width: int
    spent: Mapping[str, int] = attrs.field(factory=dict)
    started: dict[str, float] = attrs.field(factory=dict)

    def line(self, event: StepEvent) -> Line:
        """The line of this event; events have to come in their order."""
        is_given = event.step not in self.started and isinstance(event, StepCompleted)
        began = self.started.setdefault(event.step, event.at)
        took = duration_text(event.at - began)
        name, tries = padded(event.step, self.width), self._tries(event)
        match event:
            case StepStarted():
                return _change("running", name, tries if event.attempt > 1 else "")
            case StepRetrying():
                return _change("retrying", name, f"{tries} failed, {_again(event)}")
            case StepHeartbeat():
                return _change("running", name, f"progress: {progress_text(event.progress)}")
            case _:
                del self.started[event.step]
        match event:
            case StepCompleted() if is_given:
                return _change("completed", name, "its value was given")
            case StepCompleted():
                return _change("completed", name, f"{took}, {tries}" if event.attempt > 1 else took)
            case StepFailed():
                return _change("failed", name, f"{tries}  {brief(event.error.headline)}")
            case StepSkipped():
                return _change("skipped", name, f"skipped: {brief(event.reason)}")
            case StepCancelled():
                return _change("cancelled", name, f"cancelled: {brief(event.reason)}")
            case _:
                return _change("running", name, visible(event.kind))

    def undoing(self, event: CompensationEvent) -> list[Line]:
        """The line that tells that a step is being undone, was, or could not be."""
        step, name = event.as_step(), padded(event.step, self.width)
        match step:
            case StepStarted():
                return [_change("running", name, f"undoing{f', attempt {step.attempt}' if step.attempt > 1 else ''}")]
            case StepCompleted():
                return [_change("completed", name, "undone")]
            case StepFailed():
                return [_change("failed", name, f"could not be undone: {brief(step.error.headline)}")]
            case StepRetrying():
                return [_change("retrying", name, f"could not be undone, {_again(step)}")]
            case _:
                return []

    def _tries(self, event: StepEvent) -> str:
        """`attempt 2/3`"""
        node = self.dag.nodes.get(event.step)
        allowed = 1 + node.options.retry.max_retries if node is not None else 0
        allowed += self.spent.get(event.step, 0)
        return f"attempt {event.attempt}/{max(event.attempt, allowed)}"


def _again(event: StepRetrying | CompensationFailed) -> str:
    """When it is tried again, and why."""
    when = "when the run is resumed" if event.delay is None else f"in {duration_text(event.delay)}"
    return f"again {when}: {brief(event.error.headline)}"


def _change(status: str, name: str, said: str) -> Line:
    return Line(f"  {MARKS[status]} {name}  {said}".rstrip(), status)


def event_line(event: Event, width: int = 16) -> Line:
    """
    `  12  20:47:03.123  step.failed   validate  attempt 3  ValueError: …`: an entry of the log.

    Args:
        width: The columns for the kind.
    """
    said = [f"{event.seq:>5}", clock_time(event.at), f"{event.kind:<{width}}"]
    if isinstance(event, StepEvent | CompensationEvent):
        said.append(padded(event.step, 0))
        said += [f"attempt {event.attempt}"] if event.attempt > 1 else []
    said += _said(event)
    tone = event.kind.partition(".")[2]
    tone = {"started": "running", "resumed": "running"}.get(tone, tone)
    return Line("  ".join(filter(None, said)).rstrip(), tone if tone in MARKS else "")


def _said(event: Event) -> list[str]:
    match event:
        case RunStarted():
            origin = [f"forked from {brief(event.origin)}"] if event.origin else []
            return [f"{brief(event.workflow)} version {brief(event.version)}", *origin]
        case RunResumed():
            named = (("again", event.rerun), ("anew", event.reset))
            return [event.reason, *(f"{what}: {names_text(names)}" for what, names in named if names)]
        case RunFailed():
            return [*_undone(event.compensation), brief(event.error)]
        case RunCancelled():
            return [*_undone(event.compensation), brief(event.reason)]
        case RunPaused():
            return [event.cause, brief(event.reason)]
        case CompensationFailed(due_at=None):
            return [brief(event.error.headline)]
        case StepRetrying() | CompensationFailed():
            return [_again(event)]
        case StepFailed():
            return [brief(event.error.headline)]
        case StepHeartbeat():
            return [progress_text(event.progress)] if is_progress(event.progress) else []
        case StepSkipped() | StepCancelled():
            return [brief(event.reason)]
        case SignalReceived():
            # Of the requests it is the reason, as plain text.
            payload = "" if event.payload == "null" else event.payload
            return [brief(event.signal), brief(payload)]
        case _:
            return []


def _undone(compensation: str) -> list[str]:
    return {"done": ["undone"], "failed": ["not all undone"]}.get(compensation, [])
