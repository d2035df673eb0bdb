"""What became of a run and of each of its steps: a view of the log, for handles, results and people."""

from collections.abc import Iterable

import attrs

from . import events as ev
from .events import ErrorInfo, Event
from .state import UNDONE_CAUSES, RunStatus, StepStatus, next_run_status, next_step_status, status_after_resume


@attrs.define
class AttemptRecord:
    """
    One try of a step.

    `status` is that of the step after it (`retrying` for a failure that was tried again), `pending` if its process
    died in the middle of it. Instants are epoch seconds.
    """

    number: int
    started_at: float
    ended_at: float | None = None
    status: StepStatus = StepStatus.RUNNING
    error: ErrorInfo | None = None


@attrs.define
class StepRecord:
    """
    What became of one step.

    Attributes:
        name: Its name.
        status: Where it is.
        attempts: Every try, in order.
        started_at: When its first attempt began (epoch seconds); None if none did.
        ended_at: When it ended (epoch seconds); None if it has not.
        due_at: When it is tried again (epoch seconds); None if it does not wait.
        error: The last error.
        reason: Why it was skipped or cancelled.
        cause: The kind of that reason, as in the event.
        output: The encoded output; None if it has none.
        spent: How many attempts were made before its budget was last renewed.
        progress: What its body said last of how far it is (JSON); None if nothing.
        heartbeat_at: When it said so (epoch seconds).
        compensation: What became of undoing it, as of a step; None if that was not begun.
    """

    name: str
    status: StepStatus = StepStatus.PENDING
    attempts: list[AttemptRecord] = attrs.field(factory=list)
    started_at: float | None = None
    ended_at: float | None = None
    due_at: float | None = None
    error: ErrorInfo | None = None
    reason: str = ""
    cause: str = ""
    output: str | None = None
    spent: int = 0
    progress: str | None = None
    heartbeat_at: float | None = None
    compensation: "StepRecord | None" = None

    @property
    def attempt(self) -> int:
        """The number of the last attempt; 0 if there was none."""
        return self.attempts[-1].number if self.attempts else 0

    @property
    def duration(self) -> float | None:
        """Seconds from its first start to its end, waits included; None if it has not both."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def _end_attempt(self, event: ev.StepEvent, error: ErrorInfo | None) -> None:
        if self.attempts and self.attempts[-1].status is StepStatus.RUNNING:
            last = self.attempts[-1]
            last.ended_at, last.status, last.error = event.at, self.status, error

    def _reset(self) -> None:
        self.ended_at = self.due_at = None
        self.reason = self.cause = ""
        self.output = None
        if self.attempts and self.attempts[-1].status is StepStatus.RUNNING:
            self.attempts[-1].status = StepStatus.PENDING

    def _resume(self, resumed: ev.RunResumed) -> None:
        """What becomes of a compensation when its run is resumed."""
        is_failed = resumed.reason == "undo" and self.status is StepStatus.FAILED
        if is_failed or self.status is StepStatus.RUNNING:
            self.status, self.spent = StepStatus.PENDING, self.attempt if is_failed else self.spent
            self._reset()

    def _apply(self, event: ev.StepEvent) -> None:
        self.status = next_step_status(self.name, self.status, event.kind)
        match event:
            case ev.StepStarted():
                self.attempts.append(AttemptRecord(event.attempt, event.at))
                self.due_at = None
                if self.started_at is None:
                    self.started_at = event.at
                return
            case ev.StepHeartbeat():
                self.progress, self.heartbeat_at = event.progress, event.at
                return
            case ev.StepRetrying():
                self.error, self.due_at = event.error, event.due_at
                self._end_attempt(event, event.error)
                return
            case ev.StepCompleted():
                self.output, self.error, self.progress = event.output, None, None
            case ev.StepFailed():
                self.error = event.error
            case _:
                pass
        if isinstance(event, ev.StepSkipped | ev.StepCancelled):
            self.reason, self.cause = event.reason, event.cause
        self.ended_at, self.due_at = event.at, None
        self._end_attempt(event, event.error if isinstance(event, ev.StepFailed) else None)


@attrs.define
class History:
    """
    What became of a run: the fold of its log.

    Attributes:
        run_id: Its id.
        status: Where it is.
        steps: Name -> what became of it, of the steps to which something happened, in the order of their first event.
        inputs: The encoded inputs (JSON object).
        started_at, ended_at: Epoch seconds; None before.
        failed_steps: The steps for which it failed.
        error: The headline of the failure.
        reason: Why it was cancelled, or is paused.
        pause: The kind of that reason, as in the event, while it is paused; empty otherwise.
        compensation: `done` or `failed` if steps were undone; empty otherwise.
        origin: The run that it was forked from; empty if from none.
        resumed: Why it was resumed last; empty if it was not.
        seq: The number of the last event.
    """

    run_id: str
    status: RunStatus = RunStatus.SCHEDULED
    steps: dict[str, StepRecord] = attrs.field(factory=dict)
    workflow: str = ""
    version: str = ""
    fingerprint: str = ""
    inputs: str = "{}"
    started_at: float | None = None
    ended_at: float | None = None
    failed_steps: tuple[str, ...] = ()
    error: str = ""
    reason: str = ""
    pause: str = ""
    compensation: str = ""
    origin: str = ""
    resumed: str = ""
    seq: int = 0

    def extend(self, log: Iterable[Event]) -> "History":
        """Fold these events, which follow those before; returns itself."""
        for event in log:
            self._apply(event)
        return self

    def _apply(self, event: Event) -> None:
        self.seq = event.seq
        match event:
            case ev.StepEvent():
                record = self.steps.get(event.step)
                if record is None:
                    record = self.steps[event.step] = StepRecord(event.step)
                record._apply(event)
            case ev.CompensationEvent():
                record = self.steps[event.step]
                record.compensation = record.compensation or StepRecord(event.step)
                record.compensation._apply(event.as_step())
            case ev.SignalReceived():
                pass
            case _:
                self.status = next_run_status(self.run_id, self.status, event.kind)
                self._apply_run(event)

    def _apply_run(self, event: Event) -> None:
        match event:
            case ev.RunStarted():
                self.workflow, self.version, self.fingerprint = event.workflow, event.version, event.fingerprint
                self.inputs, self.started_at, self.origin = event.inputs, event.at, event.origin
            case ev.RunResumed():
                self._apply_resumed(event)
            case ev.RunPaused():
                self.reason, self.pause = event.reason, event.cause
            case ev.RunFailed():
                self.ended_at, self.failed_steps, self.error = event.at, event.steps, event.error
                self.compensation = event.compensation
            case ev.RunCancelled():
                self.ended_at, self.reason, self.compensation = event.at, event.reason, event.compensation
                self.pause = ""
            case _:  # It has completed: the table of transitions knows no other events.
                self.ended_at = event.at

    def _apply_resumed(self, resumed: ev.RunResumed) -> None:
        retry = resumed.reason == "retry"
        for record in self.steps.values():
            undone = record.name in self.failed_steps or record.cause in UNDONE_CAUSES
            waits = record.status is StepStatus.RETRYING and record.due_at is None
            status = status_after_resume(record.status, resumed, step=record.name, undone=undone, waits=waits)
            if status is not record.status:
                record.status = status
                record._reset()
            if retry and not status.is_final:
                record.spent = record.attempt
            if record.compensation is not None:
                record.compensation._resume(resumed)
        self.fingerprint, self.ended_at, self.failed_steps, self.error = resumed.fingerprint, None, (), ""
        self.reason, self.pause, self.compensation, self.resumed = "", "", "", resumed.reason
