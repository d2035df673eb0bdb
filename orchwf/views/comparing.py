"""Two runs of one workflow, side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import attrs

from ..core.dag import Dag
from ..core.difference import Difference
from ..core.history import History, StepRecord
from ..core.lines import Line, brief
from ..core.progress import told_status
from ..core.wording import MARKS, duration_text, plural
from ..labels import cells, visible

_MOST_STEPS = 40
_MOST_LINES = 20
_SHOWN = 60
_MISSING = object()


@attrs.frozen
class Side:
    """One of the two runs: its id, its definition (None if that is lost), what became of it and of all its steps."""

    run_id: str
    dag: Dag | None
    history: History
    steps: Mapping[str, StepRecord]

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end; None before."""
        if self.history.started_at is None or self.history.ended_at is None:
            return None
        return self.history.ended_at - self.history.started_at


@attrs.frozen(kw_only=True)
class Change:
    """
    What is different about one value.

    Attributes:
        path: Where in it the first difference is: `$` for all of it, `$[3].amount`.
        first, second: What is there in each of the runs, as JSON text; None if nothing is.
    """

    path: str
    first: str | None
    second: str | None

    def __str__(self) -> str:
        where = "" if self.path == "$" else f"{brief(self.path)}: "
        return f"{where}{_shown(self.first)} -> {_shown(self.second)}"


@attrs.frozen(kw_only=True)
class StepChange:
    """
    One step in both runs.

    Attributes:
        name: Its name.
        records: What became of it in each; None where it is not part of the workflow.
        output: How its outputs differ; None if they are the same, or neither run has one.
    """

    name: str
    records: tuple[StepRecord | None, StepRecord | None]
    output: Change | None

    @property
    def is_other(self) -> bool:
        """Whether it went another way, or gave something else."""
        statuses = {None if each is None else each.status for each in self.records}
        return len(statuses) > 1 or self.output is not None

    @property
    def has_output(self) -> bool:
        """Whether both runs have an output of it."""
        return all(each is not None and each.output is not None for each in self.records)


@attrs.frozen(kw_only=True)
class Comparison:
    """
    What two runs have in common, and what not.

    Attributes:
        sides: The runs.
        inputs: Input name -> how it differs, of those that do.
        definition: How their definitions differ; None if one of these is lost.
        steps: All steps of both, in the order of the second one.
    """

    sides: tuple[Side, Side]
    inputs: Mapping[str, Change]
    definition: Difference | None
    steps: Sequence[StepChange]

    def lines(self, *, everything: bool = False) -> list[Line]:
        """The whole for people. Of many steps only those that differ; with `everything` all."""
        first, second = self.sides
        took = " -> ".join(
            "not ended" if each.duration is None else duration_text(each.duration) for each in self.sides
        )
        runs = f"{visible(first.run_id)} {first.history.status} -> {visible(second.run_id)} {second.history.status}"
        lines = [Line(f"{visible(second.history.workflow)} {runs}   ({took})", "", "strong")]
        lines.append(Line(f"  inputs      {'' if self.inputs else 'the same'}".rstrip(), weight="faint"))
        lines += [Line(f"    ~ {visible(name)}  {change}", "retrying") for name, change in self.inputs.items()]
        return [*lines, *self._definition_lines(), *self._step_lines(everything=everything)]

    def _definition_lines(self) -> list[Line]:
        if self.definition is None:
            return [Line("  definition  not in the store any more", weight="faint")]
        if not self.definition:
            return [Line("  definition  the same", weight="faint")]
        told = [Line(f"    {brief(line)}") for line in self.definition.lines[:_MOST_LINES]]
        left = len(self.definition.lines) - len(told)
        more = [Line(f"    and {left:,} more", weight="faint")] if left else []
        return [Line("  definition", weight="faint"), *told, *more]

    def _step_lines(self, *, everything: bool) -> list[Line]:
        shown = list(self.steps)
        if len(shown) > _MOST_STEPS and not everything:
            shown = [step for step in shown if step.is_other][:_MOST_STEPS]
        rows = [(visible(brief(step.name)), _went(step), _gave(step)) for step in shown]
        width = max((cells(row[0]) for row in rows), default=0)
        middle = max((cells(row[1]) for row in rows), default=0)
        lines = [Line(f"  steps       {'' if rows else 'the same'}".rstrip(), weight="faint")]
        for step, (name, went, gave) in zip(shown, rows, strict=True):
            padding = " " * (width - cells(name))
            mark, tone = ("~", "retrying") if step.is_other else (" ", "")
            filled = went + " " * (middle - cells(went)) if gave else went
            lines.append(Line(f"    {mark} {name}{padding}  {filled}  {gave}".rstrip(), tone))
        if len(shown) < len(self.steps):
            lines.append(Line(f"    and {plural(len(self.steps) - len(shown), 'step')} more: --all", weight="faint"))
        return lines


def compare(first: Side, second: Side) -> Comparison:
    """Two runs of one workflow, side by side."""
    before, after = json.loads(first.history.inputs), json.loads(second.history.inputs)
    inputs = {name: _change(before.get(name, _MISSING), after.get(name, _MISSING)) for name in {**before, **after}}
    names = {**dict.fromkeys(second.steps), **dict.fromkeys(first.steps)}
    return Comparison(
        sides=(first, second),
        inputs={name: change for name, change in inputs.items() if change is not None},
        definition=None if first.dag is None or second.dag is None else first.dag.diff(second.dag),
        steps=[_step(name, first.steps.get(name), second.steps.get(name)) for name in names],
    )


def _step(name: str, first: StepRecord | None, second: StepRecord | None) -> StepChange:
    texts = [None if each is None else each.result for each in (first, second)]
    change = None
    if texts[0] is not None and texts[1] is not None and texts[0] != texts[1]:
        change = _change(json.loads(texts[0]), json.loads(texts[1]))
    return StepChange(name=name, records=(first, second), output=change)


def _change(first: object, second: object) -> Change | None:
    """The first place at which two JSON values differ; None if they do not."""
    waiting: list[tuple[str, object, object]] = [("$", first, second)]
    while waiting:
        path, left, right = waiting.pop()
        if type(left) is not type(right) or not isinstance(left, list | dict):
            if left != right or type(left) is not type(right):
                return Change(path=path, first=_text(left), second=_text(right))
        elif left != right:
            waiting += reversed(list(_parts(path, left, right)))
    return None


def _parts(path: str, left: object, right: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in {**left, **right}:
            yield f"{path}.{name}", left.get(name, _MISSING), right.get(name, _MISSING)
    elif isinstance(left, list) and isinstance(right, list):
        for at, (one, other) in enumerate(zip_longest(left, right, fillvalue=_MISSING)):
            yield f"{path}[{at}]", one, other


def _text(value: object) -> str | None:
    return None if value is _MISSING else json.dumps(value, ensure_ascii=False)


def _shown(text: str | None) -> str:
    if text is None:
        return "nothing"
    return visible(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")


def _went(step: StepChange) -> str:
    """`completed 2 ms -> failed 3 ms`: where it was in each run, and how long it took."""
    first, second = step.records
    if first is not None and second is not None and first.status is second.status:
        took = [_took(each) for each in (first, second)]
        return (
            f"{MARKS[told_status(first)]} {' -> '.join(each or 'not run' for each in took)}"
            if any(took)
            else f"{first.status} in both"
        )
    return " -> ".join(
        "not there" if each is None else f"{told_status(each)} {_took(each)}".rstrip() for each in step.records
    )


def _took(record: StepRecord) -> str:
    return "" if record.duration is None else duration_text(record.duration)


def _gave(step: StepChange) -> str:
    if step.output is not None:
        return f"output {step.output}"
    second = step.records[1]
    if step.is_other and second is not None and second.error is not None:
        return brief(second.error.headline)
    return "the same output" if step.has_output else ""
