"""An observer that keeps what it was told."""

from collections.abc import Sequence
from typing import Any

from ..core.events import CompensationEvent, CompensationStarted, Event, StepEvent, StepStarted
from ..core.references import Ref
from ..ports import RunRecord


class Recorder:
    """
    An `Observer` for asserts.

    Attributes:
        events: Everything that was told, in order, of all runs.
        runs: Run id -> the run as it was when something was told of it last.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.runs: dict[str, RunRecord] = {}
        self._by_run: dict[str, list[Event]] = {}

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        self.events += events
        self.runs[run.id] = run
        self._by_run.setdefault(run.id, []).extend(events)

    def kinds(self) -> list[str]:
        """The kinds of all events, in order: `["run.started", "step.started", ...]`."""
        return [event.kind for event in self.events]

    def story(self) -> list[str]:
        """Kind and step of all events, in order: `["run.started", "step.started charge", ...]`."""
        return [f"{event.kind} {step}" if (step := step_of(event)) else event.kind for event in self.events]

    def of(self, step: Ref[Any] | str) -> list[Event]:
        """The events of a step and of its compensation, in order."""
        name = step if isinstance(step, str) else step.name
        return [event for event in self.events if step_of(event) == name]

    def of_run(self, run_id: str) -> list[Event]:
        """The events of a run, in order."""
        return list(self._by_run.get(run_id, ()))

    def starts(self, step: Ref[Any] | str) -> int:
        """How many attempts of a step have begun."""
        return sum(isinstance(event, StepStarted) for event in self.of(step))

    def undos(self, step: Ref[Any] | str) -> int:
        """How many attempts to undo a step have begun."""
        return sum(isinstance(event, CompensationStarted) for event in self.of(step))

    def __repr__(self) -> str:
        return f"<Recorder {self.story()}>"


def step_of(event: Event) -> str:
    """The name of the step that an event is of; empty if it is of the run."""
    return event.step if isinstance(event, StepEvent | CompensationEvent) else ""
