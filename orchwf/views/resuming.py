"""What is told before a run begins or goes on: what of it is kept, what runs, and why."""

from collections.abc import Sequence

import attrs

from ..core.dag import Dag
from ..core.events import StepCompleted, StepEvent, StepFailed
from ..core.history import StepRecord
from ..core.lines import Line, brief, names_text
from ..core.progress import kept_name, told_status, waits_for_somebody, was_in_flight
from ..core.report import Report
from ..core.state import UNDONE_CAUSES, StepStatus
from ..core.undone import undoings
from ..core.wording import plural
from ..labels import visible


def is_required(record: StepRecord, dag: Dag | None) -> bool:
    """Whether the run fails with this step; so it is taken to be where its definition is not known."""
    node = dag.nodes.get(record.name) if dag is not None else None
    return node is None or node.options.required


@attrs.frozen(kw_only=True)
class Resumption:
    """
    What is said by whoever resumes a run, and what follows from a definition that changed. All are names of steps.

    Attributes:
        rerun, skip, given: Those that are to run again, to be skipped, and to have returned a value that is given.
        changed: Those whose code is another than when the run was started.
        reset: Those that completed and run again, as their inputs are others now.
        added, removed: Those that the definition has now only, and those that it has no more.
    """

    rerun: Sequence[str] = ()
    skip: Sequence[str] = ()
    given: Sequence[str] = ()
    changed: Sequence[str] = ()
    reset: Sequence[str] = ()
    added: Sequence[str] = ()
    removed: Sequence[str] = ()

    @property
    def answered(self) -> frozenset[str]:
        """The steps of which somebody says what is to become of them."""
        return frozenset((*self.rerun, *self.skip, *self.given))


def is_undoing(report: Report) -> bool:
    """Whether what the run did is being undone, or was: then a resume goes on with that alone."""
    return any(any(undoings(record)) for record in report.steps.values())


def resume_lines(report: Report, resumption: Resumption | None = None) -> list[Line]:
    """
    What a resume will reuse and what it will run, and why: told before it begins.

    Args:
        report: The run as it is now.
    """
    lines = [Line(f"> {visible(report.workflow)} run {visible(report.run_id)} resumed", "running", "strong")]
    if is_undoing(report):
        return [*lines, *_rows(_undoing_rows(report))]
    said = resumption or Resumption()
    lines += _rows(_rows_of(report, said))
    kept = {record.name for record in report.steps.values() if record.status is StepStatus.COMPLETED} - {*said.reset}
    reused = [name for name in said.changed if name in kept]
    if reused:
        lines.append(Line(f"  note   {names_text(reused)}: the code changed, but what it returned before is kept"))
    if said.removed:
        lines.append(Line(f"  note   {names_text(said.removed)}: no longer in the workflow"))
    return lines


_Row = tuple[str, Sequence[str], str]
"""What is done, with which steps, and why."""


def _rows(rows: Sequence[_Row]) -> list[Line]:
    return [Line(f"  {what:<5}  {names_text(names)}   ({reason})") for what, names, reason in rows if names]


def _rows_of(report: Report, said: Resumption) -> list[_Row]:
    steps = [record for record in report.steps.values() if record.name not in (*said.removed, *said.answered)]
    ended = [record for record in steps if record.status is StepStatus.FAILED]
    failed = [record for record in ended if is_required(record, report.dag)]
    exhausted = [record for record in steps if waits_for_somebody(record)]
    stopped = [
        record
        for record in steps
        if record.status in (StepStatus.RUNNING, StepStatus.RETRYING) and record not in exhausted
    ]
    completed = [record for record in steps if record.status is StepStatus.COMPLETED]
    waiting = [record for record in steps if record.status is StepStatus.PENDING]
    died = [record for record in waiting if was_in_flight(record)]
    waits = [record for record in steps if told_status(record) is StepStatus.WAITING]
    begun = [record for record in steps if record.status is StepStatus.WAITING and record not in waits]
    partly = [record for record in (*failed, *begun, *waits) if record.name not in said.reset]
    return [
        ("keeps", [kept_name(record) for record in completed if record.name not in said.reset], "completed"),
        ("keeps", list(filter(None, map(kept_name, partly))), "items that completed"),
        ("keeps", [record.name for record in ended if record not in failed], "failed, but optional"),
        ("takes", said.given, "its value is given" if len(said.given) == 1 else "their values are given"),
        ("skips", said.skip, "as you say"),
        ("again", said.rerun, "as you say"),
        ("again", [record.name for record in completed if record.name in said.reset],
         "other inputs in the changed workflow"),
        ("again", _names(failed), _why(failed)),
        ("again", _names(exhausted), _why(exhausted)),
        ("again", _names([*stopped, *died, *begun]), "interrupted"),
        ("waits", _names(waits), "as before"),
        ("then", [record.name for record in steps if record.cause in UNDONE_CAUSES], "left out when the run failed"),
        ("then", [record.name for record in waiting if record not in died], "not begun yet"),
        ("then", said.added, "new in the changed workflow"),
    ]  # fmt: skip


def _undoing_rows(report: Report) -> list[_Row]:
    undoing = {name: undo for record in report.steps.values() for name, undo in undoings(record)}
    failed = {name: undo for name, undo in undoing.items() if undo.status is StepStatus.FAILED}
    done = [name for name, undo in undoing.items() if undo.status is StepStatus.COMPLETED]
    ended = {*failed, *done}
    left = [record for record in report.steps.values() if _is_to_be_undone(record, report.dag)]
    return [
        ("done", done, "undone"),
        ("undo", list(failed), _why(list(failed.values()))),
        ("undo", [name for name in undoing if name not in ended], "interrupted"),
        ("undo", _names(left), "not begun"),
    ]


def _is_to_be_undone(record: StepRecord, dag: Dag | None) -> bool:
    """Whether it ran here, or some of its items did, and undoing that was not begun."""
    node = dag.nodes.get(record.name) if dag is not None else None
    if node is None or node.compensation is None:
        return False
    return any(
        each.compensation is None and each.status is StepStatus.COMPLETED and bool(each.attempts)
        for each in (record, *record.items.values())
    )


def _names(records: Sequence[StepRecord]) -> list[str]:
    return [record.name for record in records]


def _why(records: Sequence[StepRecord]) -> str:
    return "failed" if len(records) != 1 or records[0].error is None else brief(records[0].error.headline)


def fork_lines(dag: Dag, kept: Sequence[StepEvent], inputs: Sequence[str]) -> list[Line]:
    """
    What a fork reuses of the run that it comes from, and what it runs.

    Args:
        kept: How the steps ended that are reused.
        inputs: The names of the inputs that are others.
    """
    names = {event.step for event in kept}
    completed = [event.step for event in kept if isinstance(event, StepCompleted)]
    failed = [event.step for event in kept if isinstance(event, StepFailed)]
    rows: list[_Row] = [
        ("keeps", completed, "completed"),
        ("keeps", [event.step for event in kept if event.step not in (*completed, *failed)], "skipped"),
        ("keeps", failed, "failed, but optional"),
    ]
    lines = [*_rows(rows), Line(f"  runs   {names_text(name for name in dag.nodes if name not in names)}")]
    return [*lines, Line(f"  note   other inputs: {names_text(inputs)}")] if inputs else lines


def started_line(workflow: str, run_id: str, steps: int, origin: str = "") -> Line:
    """`> DailySales run 7f3a   4 steps, forked from 51bc`"""
    forked = f", forked from {visible(origin)}" if origin else ""
    return Line(f"> {visible(workflow)} run {visible(run_id)}   {plural(steps, 'step')}{forked}", "running", "strong")
