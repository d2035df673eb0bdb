"""What happened: the facts of which the log of a run consists, in the past tense and never changed."""

import json
from typing import Any, ClassVar

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
    """
    The run exists. `inputs` is JSON: input name -> encoded value; `origin` is the run that it was forked from.

    It begins at `not_before` (epoch seconds), or at once. `parent` is the run whose step started it, which is
    `parent_step`, or its item `parent_item`; so it is the `depth`-th of such runs in a row. `known` is JSON: step name
    -> key of an item -> its encoded result, of those that need not run again. `use_cache` says whether it takes outputs
    of earlier runs. `traceparent` and `tracestate` say, as W3C trace context writes it, within which span it was
    started, and `linked` is the `traceparent` of the run that it was forked from; each empty if there is none.
    """

    kind = "run.started"

    workflow: str
    version: str
    fingerprint: str
    inputs: str
    origin: str = ""
    not_before: float | None = None
    parent: str = ""
    parent_step: str = ""
    parent_item: int | None = None
    depth: int = 1
    known: str = ""
    use_cache: bool = True
    traceparent: str = ""
    tracestate: str = ""
    linked: str = ""


@attrs.frozen(kw_only=True)
class RunPaused(Event):
    """
    Nothing new starts until somebody resumes the run.

    `cause` is `request` (somebody asked for it), `unknown` (a step that runs at most once was in flight when its
    process died), `exhausted` (a step has no attempts left) or `takeovers` (its processes died again and again).
    """

    kind = "run.paused"

    reason: str = ""
    cause: str = "request"


@attrs.frozen(kw_only=True)
class RunResumed(Event):
    """
    An owner took the run up again.

    `reason` is `takeover` (the owner before was gone), `shutdown` (it had let go), `retry` (somebody asked: what failed
    is tried again, with a fresh budget of attempts), `undo` (somebody asked, of a run that was being compensated: what
    could not be undone is tried again) or `cancel` (a paused run is to be cancelled). `fingerprint` is that of the
    definition with which it goes on. `rerun` names steps of unknown fate that somebody said are to run again; `reset`
    others that are to run again: as their inputs have changed with the definition, as they failed in a run that has
    not, or as they waited for another attempt, which has to wait for that of one of these. `changed` are the steps
    whose inputs have changed: what they know of their items counts no more, also of those that have failed, which run
    again only when somebody asks. It is `due` if the run slept, and what it waited for has come, or if nobody has
    executed it before.
    """

    kind = "run.resumed"

    reason: str
    fingerprint: str
    rerun: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class RunCompleted(Event):
    """Every required step completed or was skipped for a reason that is no failure."""

    kind = "run.completed"


@attrs.frozen(kw_only=True)
class RunFailed(Event):
    """
    `steps` names the required steps that failed; `error` is the first one's headline.

    `compensation` is `done` if all that was to be undone is, `failed` if something could not be, empty if there was
    nothing to undo.
    """

    kind = "run.failed"

    steps: tuple[str, ...]
    error: str
    compensation: str = ""


@attrs.frozen(kw_only=True)
class RunCancelled(Event):
    """Somebody cancelled the run. `compensation` is as of `RunFailed`."""

    kind = "run.cancelled"

    reason: str = ""
    compensation: str = ""


@attrs.frozen(kw_only=True)
class StepEvent(Event):
    """
    Something happened to a step, or to one of its items if it has several; `item` counts from 0.

    `attempt` counts from 1; 0 if none had begun.
    """

    step: str
    attempt: int = 0
    item: int | None = None


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
class CacheHit(StepEvent):
    """
    The step need not run: `run` computed its output before, which is found under `key`. `step.completed` follows.

    `attempt` is 0, as of what follows: none was made.
    """

    kind = "cache.hit"

    key: str
    run: str


@attrs.frozen(kw_only=True)
class StepRetrying(StepEvent):
    """
    An attempt failed and the next one is due at `due_at` (epoch seconds), after a wait of `delay` seconds.

    Both are None if it is due when somebody resumes the run. `runs_on` says that the body could not be stopped.
    """

    kind = "step.retrying"

    error: ErrorInfo
    delay: float | None
    due_at: float | None
    runs_on: bool = False


@attrs.frozen(kw_only=True)
class StepFailed(StepEvent):
    """The last attempt failed, or there could be none. `runs_on` says that the body could not be stopped."""

    kind = "step.failed"

    error: ErrorInfo
    runs_on: bool = False


@attrs.frozen(kw_only=True)
class StepSkipped(StepEvent):
    """
    The step did not run, and why.

    `cause` is `when` (its condition was false), `body` (it raised Skip), `upstream` (of what it needs something was
    skipped, cancelled, or failed while optional), `person` (somebody said so when it was resumed), `only` (the run was
    started for other steps) or `failure` (the run is failing): the last is undone by a resume.
    """

    kind = "step.skipped"

    reason: str
    cause: str


@attrs.frozen(kw_only=True)
class StepCancelled(StepEvent):
    """
    The step was stopped, or never begun.

    `cause` is `rest` (a join needed it no longer), `run` (the run was cancelled), `deadline` (it took too long),
    `finish` (a step ended the run) or `failure` (the run is failing): the last is undone by a resume. `runs_on` says
    that the body could not be stopped.
    """

    kind = "step.cancelled"

    reason: str
    cause: str
    runs_on: bool = False


@attrs.frozen(kw_only=True)
class StepExpanded(StepEvent):
    """
    The step has `count` items from now on. `keys` tell those that are new by their content, if that was asked for.
    """

    kind = "step.expanded"

    count: int
    keys: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ChildStarted(StepEvent):
    """
    The order to see to the run `child`, for whose end the step waits, until `due_at` (epoch seconds) if that is given.

    It is a run of `workflow` with these encoded `inputs`; both are empty if it is there already, and is to go on.
    """

    kind = "child.started"

    child: str
    workflow: str = ""
    version: str = ""
    inputs: str = ""
    depth: int = 1
    due_at: float | None = None
    delay: float | None = None


@attrs.frozen(kw_only=True)
class TimerSet(StepEvent):
    """
    The node waits: until `due_at` (epoch seconds), which is in `delay` seconds, or without a limit if both are None.
    """

    kind = "timer.set"

    due_at: float | None = None
    delay: float | None = None


@attrs.frozen(kw_only=True)
class TimerFired(StepEvent):
    """What the node waited until has come."""

    kind = "timer.fired"


@attrs.frozen(kw_only=True)
class StepHeartbeat(StepEvent):
    """The body said that it lives, and how far it is: `progress` is the encoded value, `null` if it gave none."""

    kind = "step.heartbeat"

    progress: str = "null"


@attrs.frozen(kw_only=True)
class CompensationEvent(Event):
    """Something happened to the compensation of a step, or of one of its items. `attempt` counts from 1."""

    step: str
    attempt: int
    item: int | None = None

    def as_step(self) -> StepEvent:
        """What it would be if the compensation were a step: it lives by the same rules."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class CompensationStarted(CompensationEvent):
    """The order to undo a step."""

    kind = "compensation.started"

    def as_step(self) -> StepEvent:
        return StepStarted(seq=self.seq, at=self.at, step=self.step, attempt=self.attempt, item=self.item)


@attrs.frozen(kw_only=True)
class CompensationCompleted(CompensationEvent):
    """The step is undone."""

    kind = "compensation.completed"

    def as_step(self) -> StepEvent:
        return StepCompleted(
            seq=self.seq, at=self.at, step=self.step, attempt=self.attempt, item=self.item, output="null"
        )


@attrs.frozen(kw_only=True)
class CompensationFailed(CompensationEvent):
    """An attempt to undo a step failed; the next one is due at `due_at`, after `delay` seconds, or there is none."""

    kind = "compensation.failed"

    error: ErrorInfo
    delay: float | None = None
    due_at: float | None = None

    def as_step(self) -> StepEvent:
        if self.due_at is None:
            return StepFailed(
                seq=self.seq, at=self.at, step=self.step, attempt=self.attempt, item=self.item, error=self.error
            )
        return StepRetrying(
            seq=self.seq, at=self.at, step=self.step, attempt=self.attempt, item=self.item, error=self.error,
            delay=self.delay, due_at=self.due_at,
        )  # fmt: skip


@attrs.frozen(kw_only=True)
class SignalReceived(Event):
    """
    A message reached the run. `message_id` makes its delivery idempotent.

    `signal` is the name of the node that waits for it, and `payload` its encoded value; or `cancel`, `terminate` or
    `pause` for these requests, or `finish` if a step ends the run: their payload is the reason, as plain text.
    """

    kind = "signal.received"

    signal: str
    message_id: str
    payload: str = "null"


EVENT_TYPES: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        RunStarted, RunPaused, RunResumed, RunCompleted, RunFailed, RunCancelled, StepStarted, StepCompleted,
        StepRetrying, StepFailed, StepSkipped, StepCancelled, StepHeartbeat, StepExpanded, TimerSet, TimerFired,
        ChildStarted, SignalReceived, CompensationStarted, CompensationCompleted, CompensationFailed, CacheHit,
    )
}  # fmt: skip
"""Kind -> its class: everything that may stand in a log."""

Row = tuple[int, float, str, str | None, int, int | None, str | None]
"""An event as a store keeps it: seq, at, kind, step, attempt, item, data (JSON; of `step.completed` the output)."""

_COMMON = frozenset({"seq", "at", "step", "attempt", "item"})
_DETAILS: dict[type[Event], tuple[tuple[str, object], ...]] = {
    cls: tuple((field.name, field.default) for field in attrs.fields(cls) if field.name not in _COMMON)
    for cls in EVENT_TYPES.values()
}
"""Event class -> its fields beside the common ones, with their defaults."""


def to_row(event: Event) -> Row:
    """The event as a flat row that any store can keep. What has its default is left out."""
    if isinstance(event, StepCompleted):
        return event.seq, event.at, event.kind, event.step, event.attempt, event.item, event.output
    if isinstance(event, StepStarted):
        return event.seq, event.at, event.kind, event.step, event.attempt, event.item, None
    details = {name: value for name, default in _DETAILS[type(event)] if (value := getattr(event, name)) != default}
    if isinstance(error := details.get("error"), ErrorInfo):
        details["error"] = attrs.asdict(error)
    data = json.dumps(details, ensure_ascii=False, separators=(",", ":")) if details else None
    if isinstance(event, StepEvent | CompensationEvent):
        return event.seq, event.at, event.kind, event.step, event.attempt, event.item, data
    return event.seq, event.at, event.kind, None, 0, None, data


def from_row(row: Row) -> Event:
    """The event that `to_row` made this row of."""
    seq, at, kind, step, attempt, item, data = row
    # Nearly all of a log is of these two kinds.
    if kind == "step.completed":
        # Most bodies return nothing: one text serves them all.
        output = "null" if data == "null" else data or "null"
        return StepCompleted(seq=seq, at=at, step=step or "", attempt=attempt, item=item, output=output)
    if kind == "step.started":
        return StepStarted(seq=seq, at=at, step=step or "", attempt=attempt, item=item)
    cls = EVENT_TYPES[kind]
    given: dict[str, Any] = json.loads(data) if data else {}
    details: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    if isinstance(error := details.get("error"), dict):
        details["error"] = ErrorInfo(**error)
    if issubclass(cls, StepEvent | CompensationEvent):
        details.update(step=step, attempt=attempt, item=item)
    return cls(seq=seq, at=at, **details)
