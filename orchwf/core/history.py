"""What became of a run and of each of its steps: a view of the log, for handles, results and people."""

from collections.abc import Iterable

import attrs

from ..errors import IllegalTransitionError
from . import events as ev
from .events import ErrorInfo, Event
from .rows import ITEMS, assembled
from .state import UNDONE_CAUSES, RunStatus, StepStatus
from .transitions import next_run_status, next_step_status, status_after_resume


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
        item: Which item of its step this is, counted from 0; None if it is the step itself.
        items: What became of its items, by their numbers in the events; empty if it has none.
        count: How many items it has, if that is known.
        keys: What tells the items by their content, if that was asked for.
        child: The id of the run that it started; empty if it did not.
        is_expanded: Whether it is known which items it runs for.
        cached_from: The run that computed its output; empty if it is its own.
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
    item: int | None = None
    items: "dict[int, StepRecord]" = attrs.field(factory=dict)
    count: int | None = None
    keys: list[str] = attrs.field(factory=list)
    child: str = ""
    is_expanded: bool = False
    cached_from: str = ""
    _first: int = 0

    @property
    def present(self) -> "list[StepRecord]":
        """What became of the items that it has now, in their order."""
        numbers = range(self._first, self._first + (self.count or 0))
        return [self.items.get(number) or StepRecord(self.name, item=number) for number in numbers]

    @property
    def begun(self) -> "list[StepRecord]":
        """What became of those of its present items to which something happened."""
        return [record for number, record in self.items.items() if number >= self._first]

    @property
    def result(self) -> str | None:
        """The encoded output; of a step with items the list of theirs, with null for those that gave none."""
        if self.output != ITEMS:
            return self.output
        return assembled([each.output or "null" for each in self.present])

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
        self.reason = self.cause = self.cached_from = ""
        self.output = None
        if self.attempts and self.attempts[-1].status is StepStatus.RUNNING:
            self.attempts[-1].status = StepStatus.PENDING

    def _drop_items(self) -> None:
        """It gets other items."""
        self._first += self.count or 0
        self.count, self.keys, self.is_expanded = None, [], False

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
            case ev.StepExpanded() | ev.TimerSet() | ev.ChildStarted():
                self._wait(event)
                return
            case ev.TimerFired():
                self.due_at = None
                return
            case ev.StepHeartbeat():
                self.progress, self.heartbeat_at = event.progress, event.at
                return
            case ev.CacheHit():
                self.cached_from = event.run
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

    def _wait(self, event: "ev.StepExpanded | ev.TimerSet | ev.ChildStarted") -> None:
        self.started_at = event.at if self.started_at is None else self.started_at
        if isinstance(event, ev.StepExpanded):
            self.count, self.is_expanded = event.count, event.count > 0
            self.keys += event.keys
            # Taking the items apart was no attempt to do anything.
            self.attempts.clear()
            return
        self.due_at = event.due_at
        self.child = event.child if isinstance(event, ev.ChildStarted) else self.child


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
        parent: The run whose step started it; empty if none did.
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
    parent: str = ""
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
                if event.item is not None:
                    record = self._item(record, event.item, event.kind)
                record._apply(event)
            case ev.CompensationEvent():
                record = self.steps.setdefault(event.step, StepRecord(event.step))
                if event.item is not None:
                    record = self._item(record, event.item, event.kind)
                record.compensation = record.compensation or StepRecord(event.step)
                record.compensation._apply(event.as_step())
            case ev.SignalReceived():
                pass
            case _:
                self.status = next_run_status(self.run_id, self.status, event)
                self._apply_run(event)

    def _item(self, record: StepRecord, item: int, kind: str) -> StepRecord:
        found = record.items.get(item)
        if found is None:
            if item > record._first + (record.count or 0):
                raise IllegalTransitionError(f"item {item} of step {record.name!r}", "unknown", kind)
            found = record.items[item] = StepRecord(record.name, item=item)
            # Of a stream nobody says before how many there are.
            record.count = max(record.count or 0, item + 1 - record._first)
        return found

    def _apply_run(self, event: Event) -> None:
        match event:
            case ev.RunStarted():
                self.workflow, self.version, self.fingerprint = event.workflow, event.version, event.fingerprint
                self.inputs, self.started_at, self.origin = event.inputs, event.at, event.origin
                self.parent = event.parent
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
        for record in self.steps.values():
            undone = record.name in self.failed_steps or record.cause in UNDONE_CAUSES
            for item in record.items.values() if record.name not in resumed.changed else ():
                is_bad = item.status is StepStatus.FAILED or item.cause in UNDONE_CAUSES
                is_owner_undone = undone or record.name in resumed.reset
                self._resume_step(item, resumed, undone=is_owner_undone and is_bad)
            self._resume_step(record, resumed, undone=undone, expanded=record.is_expanded)
            if record.name in resumed.changed:
                record._drop_items()
        self._renew(resumed)

    def _resume_step(self, record: StepRecord, resumed: ev.RunResumed, *, undone: bool, expanded: bool = False) -> None:
        waits = record.status is StepStatus.RETRYING and record.due_at is None
        status = status_after_resume(
            record.status, resumed, step=record.name if record.item is None else "", undone=undone, waits=waits,
            expanded=expanded,
        )  # fmt: skip
        if status is not record.status:
            record.status = status
            record._reset()
        if resumed.reason == "retry" and not status.is_final:
            record.spent = record.attempt
        if record.compensation is not None:
            record.compensation._resume(resumed)

    def _renew(self, resumed: ev.RunResumed) -> None:
        self.fingerprint, self.ended_at, self.failed_steps, self.error = resumed.fingerprint, None, (), ""
        self.reason, self.pause, self.compensation, self.resumed = "", "", "", resumed.reason
