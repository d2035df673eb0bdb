"""What happened: the facts of which the log of a run consists, in the past tense and never changed."""

import json
from typing import ClassVar

import attrs


@attrs.frozen
class ErrorInfo:
    """
    What a body raised, as text.

    `type_name` is the qualified name of the class, `traceback` the whole text that Python would print, `location`
    is `file:line in function` of the innermost frame that belongs to the user (empty if unknown) and `source` the
    text of that line.
    """

    type_name: str
    message: str
    traceback: str = ""
    location: str = ""
    source: str = ""

    @property
    def headline(self) -> str:
        """`ValueError: row 3 is negative`, on one line."""
        name = self.type_name.rpartition(".")[2]
        first_line = self.message.partition("\n")[0]
        return f"{name}: {first_line}" if first_line else name


@attrs.frozen(kw_only=True)
class Event:
    """
    One entry of a run's log.

    `seq` counts from 1 without gaps, `at` is in epoch seconds (UTC).
    """

    kind: ClassVar[str]

    seq: int
    at: float


@attrs.frozen(kw_only=True)
class RunStarted(Event):
    """The run exists. `inputs` is JSON: input name -> encoded value."""

    kind = "run.started"

    workflow: str
    version: str
    fingerprint: str
    inputs: str


@attrs.frozen(kw_only=True)
class RunPaused(Event):
    """Nothing new starts until the run is resumed."""

    kind = "run.paused"

    reason: str = ""


@attrs.frozen(kw_only=True)
class RunResumed(Event):
    """
    An owner took the run up again.

    `reason` is `takeover` (the owner before was gone) or `retry` (somebody asked: what failed is tried again, with a
    fresh budget of attempts). `fingerprint` is that of the definition with which it goes on.
    """

    kind = "run.resumed"

    reason: str
    fingerprint: str


@attrs.frozen(kw_only=True)
class RunCompleted(Event):
    """Every required step completed or was skipped for a reason that is no failure."""

    kind = "run.completed"


@attrs.frozen(kw_only=True)
class RunFailed(Event):
    """`steps` names the required steps that failed; `error` is the first one's headline."""

    kind = "run.failed"

    steps: tuple[str, ...]
    error: str


@attrs.frozen(kw_only=True)
class RunCancelled(Event):
    """Somebody cancelled the run."""

    kind = "run.cancelled"

    reason: str = ""


@attrs.frozen(kw_only=True)
class StepEvent(Event):
    """Something happened to a step. `attempt` counts from 1; 0 if none had begun."""

    step: str
    attempt: int = 0


@attrs.frozen(kw_only=True)
class StepStarted(StepEvent):
    """An attempt may begin: the order to run the body."""

    kind = "step.started"


@attrs.frozen(kw_only=True)
class StepCompleted(StepEvent):
    """The body returned. `output` is the encoded value (JSON)."""

    kind = "step.completed"

    output: str


@attrs.frozen(kw_only=True)
class StepRetrying(StepEvent):
    """An attempt failed and the next one is due at `due_at` (epoch seconds), after a wait of `delay` seconds."""

    kind = "step.retrying"

    error: ErrorInfo
    delay: float
    due_at: float


@attrs.frozen(kw_only=True)
class StepFailed(StepEvent):
    """The last attempt failed, or there could be none."""

    kind = "step.failed"

    error: ErrorInfo


@attrs.frozen(kw_only=True)
class StepSkipped(StepEvent):
    """
    The step did not run, and why.

    `cause` is `when` (its condition was false), `body` (it raised Skip), `upstream` (of what it needs something was
    skipped, cancelled, or failed while optional) or `failure` (the run is failing): the last is undone by a resume.
    """

    kind = "step.skipped"

    reason: str
    cause: str


@attrs.frozen(kw_only=True)
class StepCancelled(StepEvent):
    """
    The step was stopped, or never begun.

    `cause` is `rest` (a join needed it no longer), `run` (the run was cancelled) or `failure` (the run is failing):
    the last is undone by a resume.
    """

    kind = "step.cancelled"

    reason: str
    cause: str


@attrs.frozen(kw_only=True)
class SignalReceived(Event):
    """A message reached the run. `message_id` makes its delivery idempotent; `signal` is `cancel` for that request."""

    kind = "signal.received"

    signal: str
    message_id: str
    payload: str = "null"


EVENT_TYPES: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        RunStarted, RunPaused, RunResumed, RunCompleted, RunFailed, RunCancelled, StepStarted, StepCompleted,
        StepRetrying, StepFailed, StepSkipped, StepCancelled, SignalReceived,
    )
}  # fmt: skip
"""Kind -> its class: everything that may stand in a log."""

Row = tuple[int, float, str, str | None, int, str | None]
"""An event as a store keeps it: seq, at, kind, step, attempt, data (JSON text; of `step.completed` the output)."""

_COMMON = frozenset({"seq", "at", "step", "attempt"})
_DETAILS: dict[type[Event], tuple[str, ...]] = {
    cls: tuple(field.name for field in attrs.fields(cls) if field.name not in _COMMON) for cls in EVENT_TYPES.values()
}


def to_row(event: Event) -> Row:
    """The event as a flat row that any store can keep."""
    if isinstance(event, StepCompleted):
        return event.seq, event.at, event.kind, event.step, event.attempt, event.output
    if isinstance(event, StepStarted):
        return event.seq, event.at, event.kind, event.step, event.attempt, None
    details = {name: getattr(event, name) for name in _DETAILS[type(event)]}
    if isinstance(error := details.get("error"), ErrorInfo):
        details["error"] = attrs.asdict(error)
    data = json.dumps(details, ensure_ascii=False, separators=(",", ":")) if details else None
    if isinstance(event, StepEvent):
        return event.seq, event.at, event.kind, event.step, event.attempt, data
    return event.seq, event.at, event.kind, None, 0, data


def from_row(row: Row) -> Event:
    """The event that `to_row` made this row of."""
    seq, at, kind, step, attempt, data = row
    cls = EVENT_TYPES[kind]
    if cls is StepCompleted:
        return StepCompleted(seq=seq, at=at, step=step or "", attempt=attempt, output=data or "null")
    details = json.loads(data) if data else {}
    if isinstance(error := details.get("error"), dict):
        details["error"] = ErrorInfo(**error)
    if isinstance(steps := details.get("steps"), list):
        details["steps"] = tuple(steps)
    if issubclass(cls, StepEvent):
        details.update(step=step, attempt=attempt)
    return cls(seq=seq, at=at, **details)
