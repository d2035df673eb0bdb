"""What happens to the runs and steps that are executed here, counted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..core.events import (
    CacheHit,
    CompensationCompleted,
    CompensationEvent,
    CompensationFailed,
    Event,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPaused,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepRetrying,
    StepSkipped,
)
from ..ports import RunRecord
from .histograms import Histogram

OTHER = "other"
"""What steps, and workflows, are called of which there are too many to tell apart."""

LONG_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
)  # fmt: skip
"""The bounds by which what users do is sorted."""

_OUTCOMES: Mapping[type[Event], str] = {
    StepCompleted: "completed",
    StepFailed: "failed",
    StepSkipped: "skipped",
    StepCancelled: "cancelled",
    StepRetrying: "retrying",
    CacheHit: "cached",
    CompensationCompleted: "completed",
    CompensationFailed: "failed",
}
"""What there is to count of steps and of compensations -> what became of them."""
_ENDS: Mapping[type[Event], str] = {RunCompleted: "completed", RunFailed: "failed", RunCancelled: "cancelled"}

StepName = tuple[str, str]
"""A workflow and a step of it."""


class Tally:
    """
    Counts what it is told as an observer, and how long attempts take.

    However many workflows and steps there are it does not grow beyond a bound: what comes later is counted together.

    Args:
        most: How many steps, of all workflows together, and how many workflows, are told apart.

    Attributes:
        events: Kind -> how many were told.
        started: Workflow -> how many runs began.
        ended: Workflow, how -> how many runs ended so.
        paused: Workflow, cause -> how many times a run was paused for it.
        resumed: Workflow, reason -> how many times a run was taken up again for it.
        run_seconds: Workflow -> how long its runs took from their start to their end, what they waited included.
        steps, items, compensations: Step, outcome -> how many had it; `retrying` that an attempt failed and there
            will be another one, `cached` that an earlier run had the output.
        attempt_seconds: Step -> how long its attempts took, from the moment at which they may begin.
    """

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._steps: set[StepName] = set()
        self._workflows: set[str] = set()
        self.events = defaultdict[str, int](int)
        self.started = defaultdict[str, int](int)
        self.ended = defaultdict[tuple[str, str], int](int)
        self.paused = defaultdict[tuple[str, str], int](int)
        self.resumed = defaultdict[tuple[str, str], int](int)
        self.run_seconds = defaultdict[str, Histogram](_histogram)
        self.steps = defaultdict[tuple[StepName, str], int](int)
        self.items = defaultdict[tuple[StepName, str], int](int)
        self.compensations = defaultdict[tuple[StepName, str], int](int)
        self.attempt_seconds = defaultdict[StepName, Histogram](_histogram)

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """These events of a run were written."""
        for event in events:
            self.events[event.kind] += 1
            outcome = _OUTCOMES.get(type(event))
            if outcome is not None:
                self._note_step(run.workflow, event, outcome)
            elif not isinstance(event, StepEvent | CompensationEvent):
                self._note_run(run, event)

    def ended_attempt(self, workflow: str, step: str, seconds: float) -> None:
        """An attempt took so long."""
        self.attempt_seconds[self._step(workflow, step)].add(max(0.0, seconds))

    def _note_step(self, workflow: str, event: Event, outcome: str) -> None:
        match event:
            case StepEvent(step=step, item=None):
                self.steps[self._step(workflow, step), outcome] += 1
            case StepEvent(step=step):
                self.items[self._step(workflow, step), outcome] += 1
            case CompensationFailed(step=step, due_at=due_at) if due_at is not None:
                self.compensations[self._step(workflow, step), "retrying"] += 1
            case CompensationEvent(step=step):
                self.compensations[self._step(workflow, step), outcome] += 1
            case _:
                pass

    def _note_run(self, run: RunRecord, event: Event) -> None:
        workflow = self._workflow(run.workflow)
        match event:
            case RunStarted():
                self.started[workflow] += 1
            case RunPaused(cause=cause):
                self.paused[workflow, cause] += 1
            case RunResumed(reason=reason):
                self.resumed[workflow, reason] += 1
            case RunCompleted() | RunFailed() | RunCancelled():
                self.ended[workflow, _ENDS[type(event)]] += 1
                self.run_seconds[workflow].add(max(0.0, event.at - run.created_at))
            case _:
                pass

    def _step(self, workflow: str, step: str) -> StepName:
        """What this step is called here."""
        name = (workflow, step)
        if name not in self._steps:
            if len(self._steps) >= self._most:
                return self._workflow(workflow), OTHER
            self._steps.add(name)
        return name

    def _workflow(self, workflow: str) -> str:
        """What this workflow is called here."""
        if workflow not in self._workflows:
            if len(self._workflows) >= self._most:
                return OTHER
            self._workflows.add(workflow)
        return workflow


def _histogram() -> Histogram:
    return Histogram(LONG_SECONDS)
