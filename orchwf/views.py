"""A run for human eyes: rows, labels and lines. Pure functions, shared by whatever shows runs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import attrs

from .core.dag import Dag
from .core.events import (
    CompensationEvent,
    CompensationFailed,
    ErrorInfo,
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
from .core.history import AttemptRecord, StepRecord
from .core.report import STOPPED, Line, Report, brief, max_attempts, names_text, padded
from .core.state import UNDONE_CAUSES, StepStatus
from .core.wording import MARKS, age_text, duration_text, plural
from .labels import visible
from .ports import RunRecord


def mark_of(status: str) -> str:
    """The mark that stands for the status of a run or a step."""
    return "!" if status == STOPPED else MARKS[status]


@attrs.frozen(kw_only=True)
class RunRow:
    """One run of a listing. All texts are fit to be shown; `status` may also be `interrupted`."""

    status: str
    workflow: str
    id: str
    started: str
    took: str
    tags: str
    error: str


def run_row(record: RunRecord, now: float, *, interrupted: bool = False) -> RunRow:
    """
    The row of a run.

    Args:
        now: Epoch seconds.
        interrupted: Whether it has not ended, and nobody executes it.
    """
    is_over = record.ended_at is not None
    until = record.ended_at if record.ended_at is not None else now
    return RunRow(
        status=STOPPED if interrupted else str(record.status),
        workflow=visible(record.workflow),
        id=visible(record.id),
        started=age_text(now - record.created_at),
        took=duration_text(until - record.created_at) if is_over or not interrupted else "",
        tags=tags_text(record.tags),
        error=brief(record.error),
    )


def tags_text(tags: Mapping[str, str]) -> str:
    """`shop=eu nightly`"""
    return " ".join(brief(f"{name}={value}" if value else name) for name, value in tags.items())


def local_time(at: float) -> str:
    """`2026-11-22 20:47:03`, in the time zone of the machine, from epoch seconds."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at: float) -> str:
    """`20:47:03.123`, in the time zone of the machine, from epoch seconds."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def iso_time(at: float | None) -> str | None:
    """`2026-11-22T20:47:03.123Z`, from epoch seconds; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# The steps of one run.


def step_line(record: StepRecord, dag: Dag | None, width: int, now: float, *, interrupted: bool = False) -> Line:
    """
    `+ extract   0.2 s, attempt 2/3`: a step with where it is, how long it took, and why.

    Args:
        now: Epoch seconds.
        interrupted: Whether nobody executes its run any more.
    """
    if interrupted and record.status in (StepStatus.RUNNING, StepStatus.RETRYING):
        return Line(f"  ! {padded(record.name, width)}  {STOPPED} in attempt {record.attempt}", STOPPED)
    said = ", ".join(filter(None, (_took(record, now), _tries(record, dag), _detail(record, now))))
    status = record.status
    return Line(f"  {MARKS[status]} {padded(record.name, width)}  {said or _words(status)}".rstrip(), status)


def attempt_lines(record: StepRecord) -> list[Line]:
    """A line for each attempt but the last that ended in an error: why there was another one."""
    return [_attempt_line(attempt) for attempt in record.attempts[:-1] if attempt.error is not None]


def _attempt_line(attempt: AttemptRecord) -> Line:
    took = "" if attempt.ended_at is None else f"  {duration_text(attempt.ended_at - attempt.started_at)}"
    headline = attempt.error.headline if attempt.error is not None else ""
    return Line(f"      attempt {attempt.number}{took}  {brief(headline)}", weight="faint")


def _words(status: StepStatus) -> str:
    return "not started" if status is StepStatus.PENDING else str(status)


def _took(record: StepRecord, now: float) -> str:
    if record.status in (StepStatus.SKIPPED, StepStatus.PENDING):
        return ""
    if record.duration is not None:
        return duration_text(record.duration)
    return f"for {duration_text(now - record.started_at)}" if record.started_at is not None else ""


def _tries(record: StepRecord, dag: Dag | None) -> str:
    return f"attempt {record.attempt}/{max_attempts(record, dag)}" if record.attempt > 1 else ""


def _detail(record: StepRecord, now: float) -> str:
    match record.status:
        case StepStatus.RUNNING if record.progress not in (None, "null"):
            return f"progress: {brief(record.progress or '')}"
        case StepStatus.RETRYING if record.due_at is not None:
            return f"again in {duration_text(max(0.0, record.due_at - now))}: {_headline(record.error)}"
        case StepStatus.RETRYING:
            return f"again when the run is resumed: {_headline(record.error)}"
        case StepStatus.FAILED:
            return _headline(record.error)
        case StepStatus.SKIPPED | StepStatus.CANCELLED:
            return f"{record.status}: {brief(record.reason)}" if record.reason else str(record.status)
        case _:
            return ""


def _headline(error: ErrorInfo | None) -> str:
    return "" if error is None else brief(error.headline)


def steps_to_show(steps: Sequence[StepRecord], limit: int) -> list[StepRecord]:
    """
    The steps themselves, if they are few; else those of interest, in their order.

    That is at most `limit` which failed or have begun and not ended; if those are very few, some others, too.
    """
    if len(steps) <= limit:
        return list(steps)
    ranked = sorted(range(len(steps)), key=lambda at: _DULLNESS.get(steps[at].status, 0))
    telling = sum(steps[at].status not in _DULLNESS for at in ranked)
    return [steps[at] for at in sorted(ranked[: min(limit, max(telling, _FEW))])]


_FEW = 10
_DULLNESS = {StepStatus.CANCELLED: 1, StepStatus.SKIPPED: 2, StepStatus.COMPLETED: 3, StepStatus.PENDING: 4}


# What happens, as it happens.


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
        began = self.started.setdefault(event.step, event.at)
        took = duration_text(event.at - began)
        name, tries = padded(event.step, self.width), self._tries(event)
        match event:
            case StepStarted():
                return _change("running", name, tries if event.attempt > 1 else "")
            case StepRetrying():
                return _change("retrying", name, f"{tries} failed, {_again(event)}: {brief(event.error.headline)}")
            case StepHeartbeat():
                return _change("running", name, f"progress: {brief(event.progress)}")
            case _:
                del self.started[event.step]
        match event:
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
        """The line that tells that a step was undone, or could not be; none for what is in between."""
        step, name = event.as_step(), padded(event.step, self.width)
        match step:
            case StepCompleted():
                return [_change("completed", name, "undone")]
            case StepFailed():
                return [_change("failed", name, f"could not be undone: {brief(step.error.headline)}")]
            case StepRetrying():
                return [_change("retrying", name, f"could not be undone, {_again(step)}: {brief(step.error.headline)}")]
            case _:
                return []

    def _tries(self, event: StepEvent) -> str:
        node = self.dag.nodes.get(event.step)
        allowed = 1 + node.options.retry.max_retries if node is not None else 0
        allowed += self.spent.get(event.step, 0)
        return f"attempt {event.attempt}/{max(event.attempt, allowed)}"


def _again(event: StepRetrying) -> str:
    return "again when the run is resumed" if event.delay is None else f"again in {duration_text(event.delay)}"


def _change(status: str, name: str, said: str) -> Line:
    return Line(f"  {MARKS[status]} {name}  {said}".rstrip(), status)


def event_line(event: Event) -> Line:
    """`  12  20:47:03.123  step.failed   validate  attempt 3  ValueError: …`: an entry of the log."""
    said = [f"{event.seq:>5}", clock_time(event.at), f"{event.kind:<16}"]
    if isinstance(event, StepEvent | CompensationEvent):
        said.append(padded(event.step, 0))
        said += [f"attempt {event.attempt}"] if event.attempt > 1 else []
    said += _said(event)
    tone = event.kind.partition(".")[2]
    tone = {"started": "running", "resumed": "running"}.get(tone, tone)
    return Line("  ".join(said).rstrip(), tone if tone in MARKS else "")


def _said(event: Event) -> list[str]:
    match event:
        case RunStarted():
            return [f"{brief(event.workflow)} version {brief(event.version)}"]
        case RunFailed():
            return [brief(event.error)]
        case StepFailed():
            return [brief(event.error.headline)]
        case StepRetrying():
            return [f"{_again(event)}: {brief(event.error.headline)}"]
        case CompensationFailed():
            return [brief(event.error.headline)]
        case StepHeartbeat():
            return [brief(event.progress)]
        case RunPaused() | RunResumed() | RunCancelled() | StepSkipped() | StepCancelled():
            return [brief(event.reason)] if event.reason else []
        case SignalReceived():
            return [brief(event.signal)]
        case _:
            return []


# Resuming.


def is_required(record: StepRecord, dag: Dag | None) -> bool:
    """Whether the run fails with this step; so it is taken to be where its definition is not known."""
    node = dag.nodes.get(record.name) if dag is not None else None
    return node is None or node.options.required


def resume_lines(report: Report, changed: Sequence[str] = ()) -> list[Line]:
    """
    What a resume will reuse and what it will run, and why: told before it begins.

    Args:
        report: The run as it is now.
        changed: The steps whose code is another than when the run was started.
    """
    steps = list(report.steps.values())
    kept = [record.name for record in steps if record.status is StepStatus.COMPLETED]
    failed = [record for record in steps if record.status is StepStatus.FAILED and is_required(record, report.dag)]
    missed = [record.name for record in steps if record.status is StepStatus.FAILED and record not in failed]
    undone = [record.name for record in steps if record.cause in UNDONE_CAUSES]
    stopped = [record.name for record in steps if record.status in (StepStatus.RUNNING, StepStatus.RETRYING)]
    waiting = [record.name for record in steps if record.status is StepStatus.PENDING]
    why = "failed" if len(failed) != 1 or failed[0].error is None else brief(failed[0].error.headline)
    told = [
        ("keeps", kept, "completed"),
        ("keeps", missed, "failed, but optional"),
        ("again", [record.name for record in failed], why),
        ("again", stopped, "interrupted"),
        ("then", undone, "left out when the run failed"),
        ("then", waiting, "not begun yet"),
    ]
    lines = [Line(f"> {visible(report.workflow)} run {visible(report.run_id)} resumed", "running", "strong")]
    lines += [Line(f"  {what:<5}  {names_text(names)}   ({reason})") for what, names, reason in told if names]
    reused = [name for name in changed if name in kept]
    if reused:
        lines.append(Line(f"  note   {names_text(reused)}: the code changed, but what it returned before is kept"))
    return lines


def started_line(workflow: str, run_id: str, steps: int) -> Line:
    """`> DailySales run 7f3a   4 steps`"""
    return Line(f"> {visible(workflow)} run {visible(run_id)}   {plural(steps, 'step')}", "running", "strong")
