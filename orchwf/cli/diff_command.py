"""`diff`: two runs of one workflow, side by side."""

from ..views import Found, read_run
from ..views.comparing import Change, Comparison, Side, StepChange, compare
from .documents import Document
from .exits import CommandError, Exit
from .finding import document_of, find_run
from .output import Output
from .places import Place, opened


async def diff(output: Output, place: Place, first: str, second: str, *, everything: bool) -> int:
    """Tell in what two runs of one workflow differ."""
    async with opened(place.url) as store:
        found = [await read_run(store, await find_run(store, text)) for text in (first, second)]
    before, after = found
    if before.record.workflow != after.record.workflow:
        raise CommandError(
            f"run {before.record.id!r} is of {before.record.workflow} and run {after.record.id!r} of "
            f"{after.record.workflow}: only runs of one workflow can be compared"
        )
    comparison = compare(_side(before), _side(after))
    if output.json:
        output.document(_document(found, comparison))
    output.lines(comparison.lines(everything=everything))
    return Exit.DONE


def _side(found: Found) -> Side:
    return Side(found.record.id, found.dag, found.history, found.result.steps)


def _document(found: list[Found], comparison: Comparison) -> Document:
    """What differs in the `inputs` and in the `definition` (null if it is lost), and all `steps` of both."""
    definition = comparison.definition
    return {
        "runs": [document_of(each.record) for each in found],
        "inputs": {name: _change_document(change) for name, change in comparison.inputs.items()},
        "definition": None if definition is None else {
            "same": not definition,
            **{name: list(getattr(definition, name)) for name in _PARTS},
        },
        "steps": [_step_document(step) for step in comparison.steps],
    }  # fmt: skip


_PARTS = ("added", "removed", "rewired", "retyped", "changed", "inputs", "lines")


def _change_document(change: Change) -> Document:
    """The `path` to the first difference, and what is there in the `first` and in the `second` run, as JSON text."""
    return {"path": change.path, "first": change.first, "second": change.second}


def _step_document(step: StepChange) -> Document:
    """Both its `statuses`, `durations` (seconds) and `errors`; `same_output` is null if not both have one."""
    durations = [None if each is None or each.duration is None else round(each.duration, 6) for each in step.records]
    return {
        "name": step.name,
        "statuses": [None if each is None else str(each.status) for each in step.records],
        "durations": durations,
        "errors": [None if each is None or each.error is None else each.error.headline for each in step.records],
        "same_output": step.output is None if step.has_output else None,
        "output": None if step.output is None else _change_document(step.output),
    }
