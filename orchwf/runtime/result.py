"""What became of a run, for the one who asked for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from ..core.children import ChildResult, decoded_output
from ..core.dag import Dag
from ..core.details import detail_text
from ..core.history import History, StepRecord
from ..core.progress import share_done, told_status
from ..core.references import MISSING, ChildOutput, Ref, alternatives
from ..core.report import Report
from ..core.rows import ITEMS
from ..core.state import RunStatus, StepStatus
from ..core.suggestions import did_you_mean
from ..core.tables import Table, make_table
from ..core.timelines import make_timeline, period_of
from ..core.wording import count_steps, duration_text
from ..errors import UnknownStepError, UsageError
from ..ports import RunRecord

if TYPE_CHECKING:
    # For a type only: what draws is loaded by who looks.
    from ..drawing import Timeline

W = TypeVar("W")
T = TypeVar("T")


class Outputs(Mapping[str, object]):
    """Step name -> its output, of the steps that completed. Each is decoded when it is first asked for."""

    def __init__(self, steps: Mapping[str, StepRecord], decode: Callable[[str, str], object]) -> None:
        self._texts = {
            name: record.output if record.output != ITEMS else record.result or ITEMS
            for name, record in steps.items()
            if record.output is not None
        }
        self._decode = decode
        self._values: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self._values:
            self._values[name] = self._decode(name, self._texts[name])
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return repr(dict(self))


class RunResult(Generic[W]):
    """
    What became of a run.

    `result[Flow.step]` is the output of a step, with its type; `result["step"]` the same by name.

    Attributes:
        run_id: Its id.
        workflow: The name of its workflow.
        status: Where it is.
        outputs: Step name -> output, of the steps that completed.
        steps: Step name -> what became of it, of all steps of the workflow, in topological order.
        error: The headline of the failure, or the reason of the cancellation or of the pause; empty otherwise.
        pause: The kind of the reason for which it is paused, as in the event; empty if it is not.
        compensation: `done` if what had to be undone is, `failed` if not all of it; empty if there was nothing.
        forked_from: The id of the run that it was forked from; None if from none.
        started_at, ended_at: When (aware, UTC); None before.
        duration: Seconds from start to end; None if it has not ended.
        metadata, tags: What was given along.
    """

    def __init__(self, record: RunRecord, history: History, dag: Dag | None) -> None:
        self.run_id = record.id
        self.workflow = record.workflow
        self.status: RunStatus = history.status
        self.metadata = record.metadata
        self.tags = record.tags
        self.error = history.error or history.reason
        self.pause = history.pause
        self.compensation = history.compensation
        self.forked_from = history.origin or None
        self.failed_steps = history.failed_steps
        self.started_at = instant(history.started_at)
        self.ended_at = instant(history.ended_at)
        self.steps: Mapping[str, StepRecord] = _all_steps(history, dag)
        self.outputs: Mapping[str, object] = Outputs(history.steps, partial(decoded_output, dag))
        self._dag = dag

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None if it has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    def __getitem__(self, step: Ref[T] | str) -> T:
        """
        The output of a step.

        Raises:
            UnknownStepError: the workflow has no such step.
            UsageError: it has no output; the message says why.
        """
        if not isinstance(step, str | Ref):
            raise UsageError(f"a result is asked for a step or the name of one, not for {step!r}")
        if isinstance(step, ChildOutput):
            of_child: Any = self._of_child(step)
            output: T = of_child
            return output
        names = [step] if isinstance(step, str) else [ref.name for ref in alternatives(step)]
        value: Any = next((self.outputs[name] for name in names if name in self.outputs), MISSING)
        if value is MISSING and names[0] not in self.steps:
            raise UnknownStepError(names[0], self.workflow, did_you_mean(names[0], self.steps, "steps"))
        if value is MISSING:
            raise UsageError(f"run {self.run_id!r} has no output of {' | '.join(names)}: {self._why(names[0])}")
        result: T = value
        return result

    def _of_child(self, output: ChildOutput[Any]) -> object:
        """The output of a step of the run that a subflow started; of one that runs per item, a list."""
        found = self[output.subflow]
        if isinstance(found, ChildResult):
            return found[output.step]
        return [None if each is None else each[output.step] for each in found]

    def _why(self, name: str) -> str:
        record = self.steps[name]
        detail = record.reason or (record.error.headline if record.error else "")
        return f"it is {record.status}" + (f" ({detail})" if detail else "")

    def report(self, *, store: str | None = None, folder: str = "") -> Report:
        """
        What there is to tell of the run, for people.

        Args:
            store: The URL of its store for the commands that are told, empty if it is found without; None for no
                commands.
            folder: Paths below it are shown relative to it.
        """
        return Report(
            run_id=self.run_id, workflow=self.workflow, status=self.status, steps=self.steps, dag=self._dag,
            duration=self.duration, reason=self.error, pause=self.pause, compensation=self.compensation, store=store,
            folder=folder,
        )  # fmt: skip

    def timeline(self) -> "Timeline":
        """
        What the run did when, as a picture: attempts as bars, waits hatched, the critical path marked.

        A notebook shows it, and `print` does.
        """
        return self.timeline_until(None)

    def timeline_until(self, now: float | None) -> "Timeline":
        """
        The same of a run that goes on.

        Args:
            now: Epoch seconds; None for when something happened last.
        """
        begin, end = (None if each is None else each.timestamp() for each in (self.started_at, self.ended_at))
        period = period_of(self.steps, begin, now if end is None else end)
        title = f"{self.workflow} run {self.run_id}"
        return make_timeline(self.steps, self._dag, period, title=title, note=f"{self._said()}.")

    def table(self) -> Table:
        """
        A row for each step, in topological order: where it is, since when, how long it took, how often it was tried.

        A notebook shows it, and `print` does; `pandas.DataFrame(result.table())` takes it as it is.
        """
        return make_table(self.steps, self._dag)

    def __repr__(self) -> str:
        return f"<{self.workflow} run {self.run_id} {self._said()}>"

    def _said(self) -> str:
        """`completed in 2.1 s (3 completed)`: how it ended, and why if that was not well."""
        counts = count_statuses(self.steps.values())
        took = "" if self.duration is None else f" in {duration_text(self.duration)}"
        error = f": {self.error}" if self.error else ""
        return f"{self.status}{took} ({counts}){error}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        if self._dag is None:
            return {"text/plain": repr(self)}
        return mimebundle_of(self._dag, self.steps, repr(self)[1:-1])


def run_picture(dag: Dag, steps: Mapping[str, StepRecord], note: str = "", now: float | None = None) -> Any:
    """
    The picture of a graph in which each step shows where it is in a run.

    Args:
        now: Epoch seconds, if it is to be said for how long steps run already.
    """
    picture = dag.picture()
    shapes = []
    for shape in picture.shapes:
        record, node = steps.get(shape.id) or StepRecord(shape.id), dag.nodes.get(shape.id)
        status, detail, share = told_status(record), detail_text(record, node, now), share_done(record, node)
        shapes.append(attrs.evolve(shape, status=str(status), detail=detail, share=share))
    return attrs.evolve(picture, shapes=tuple(shapes), note=note)


def mimebundle_of(
    dag: Dag, steps: Mapping[str, StepRecord], note: str, now: float | None = None
) -> dict[str, str]:  # fmt: skip
    """What a notebook shows of a run: the picture, and text for where there are none. `now` as of `run_picture`."""
    from .. import drawing  # Only wanted by who looks.

    return drawing.mimebundle(run_picture(dag, steps, note, now))


def count_statuses(records: Iterable[StepRecord]) -> str:
    """`12 completed, 1 failed`: how many steps are where, in the order of `StepStatus`."""
    counts = count_steps(map(told_status, records))
    return ", ".join(f"{counts[status]} {status}" for status in StepStatus if status in counts)


def instant(at: float | None) -> datetime | None:
    """Epoch seconds as an aware datetime; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _all_steps(history: History, dag: Dag | None) -> dict[str, StepRecord]:
    known = history.steps
    if dag is None:
        return dict(known)
    # A step that a changed definition has no more, and that has not ended, never will.
    gone = {name: record for name, record in known.items() if name not in dag.nodes and record.status.is_final}
    return {name: known.get(name) or StepRecord(name) for name in dag.nodes} | gone
