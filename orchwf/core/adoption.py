"""What of a run can be kept when its definition has changed, or when it is forked."""

import json
from collections.abc import Iterator

import attrs

from .dag import Dag
from .definition import Node, Several
from .difference import Difference
from .events import ErrorInfo, StepCompleted, StepEvent, StepExpanded, StepFailed, StepSkipped
from .history import History, StepRecord
from .plan import source_steps
from .rows import ITEMS
from .selection import LEFT_OUT
from .state import UNDONE_CAUSES, StepStatus
from .types import describe_type


def changed_inputs(before: Dag, after: Dag) -> set[str]:
    """
    The steps of both graphs whose inputs, or whose type, are others in the second one, or that run otherwise.

    That are those which take their values from elsewhere, and whatever reads the output of such a step or a new one.
    """
    changed: set[str] = set()
    for name, node in after.nodes.items():
        was = before.nodes.get(name)
        is_other = was is None or _signature(was) != _signature(node)
        if is_other or any(source in changed for source in source_steps(node)):
            changed.add(name)
    return changed & before.nodes.keys()


def _signature(node: Node) -> object:
    arguments = [(each.parameter, each.binding) for each in node.arguments]
    return describe_type(node.returns), node.kind, node.several, arguments


def kept_by_fork(dag: Dag, before: Dag | None, history: History, step: str, *, with_inputs: bool) -> list[StepEvent]:
    """
    What a fork of a run from this step reuses, as events; dependencies first.

    Args:
        dag: The definition with which the fork is executed.
        before: That of the run, if it is known.
        with_inputs: Whether the fork has other inputs: then only what the step depends on is kept.

    Raises:
        UnknownStepError: there is no such step.
    """
    later = dag.descendants(step) | {step}
    names = dag.ancestors(step) if with_inputs else frozenset(dag.nodes) - later
    if before is not None:
        names -= changed_inputs(before, dag)
    return list(reusable(dag, history, names))


def obstacle(before: Dag, after: Dag, on_change: str | None = None) -> tuple[Difference, list[str]] | None:
    """
    Why a run of one definition cannot go on with another: what differs, and the new inputs it has no value for.

    Another body alone is no other graph: to mend a body and to go on is what a resume is for.

    Args:
        on_change: `refuse` or `adopt`; None for what the other definition says itself.

    Returns:
        None if it can.
    """
    difference = before.diff(after)
    lacking = [name for name, each in after.inputs.items() if each.required and name not in before.inputs]
    adopts = (on_change or after.options.on_change) == "adopt"
    return (difference, lacking) if difference.is_structural and (lacking or not adopts) else None


def reusable(dag: Dag, history: History, names: frozenset[str]) -> Iterator[StepEvent]:
    """
    How these steps ended in a run, as events for another one that does not run them again; dependencies first.

    Left out are steps that failed the run, were stopped or undone, and what needs one that is left out.
    """
    kept: set[str] = set()
    for name, node in dag.nodes.items():
        record = history.steps.get(name)
        if record is None or name not in names or not kept.issuperset(node.dependencies):
            continue
        event = _event(record, node)
        if event is not None:
            kept.add(name)
            yield from _items(record, node)
            yield event


def _items(record: StepRecord, node: Node) -> Iterator[StepEvent]:
    """How the items of a step ended, as events for another run."""
    if record.output != ITEMS:
        return
    if node.several is not Several.STREAM:
        yield StepExpanded(seq=0, at=0.0, step=record.name, count=record.count or 0, keys=tuple(record.keys))
    for position, item in enumerate(record.present):
        event = _event(item, node) or StepSkipped(
            seq=0, at=0.0, step=record.name, reason=item.reason or "it gave nothing", cause="upstream"
        )
        if isinstance(item.error, ErrorInfo) and item.status is StepStatus.FAILED:
            event = StepFailed(seq=0, at=0.0, step=record.name, error=item.error)
        yield attrs.evolve(event, item=position)


def known_items(dag: Dag, history: History) -> str:
    """The results that a fork need not compute anew, of items that are told by their content; JSON, or empty."""
    known = {
        name: {
            key: item.output
            for key, item in zip(record.keys, record.present, strict=False)
            if item.output and item.compensation is None
        }
        for name, record in history.steps.items()
        if record.keys and name in dag.nodes and dag.nodes[name].options.item_key is not None
    }
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) if any(known.values()) else ""


def _event(record: StepRecord, node: Node) -> StepEvent | None:
    if record.compensation is not None or any(item.compensation is not None for item in record.items.values()):
        return None
    match record.status:
        case StepStatus.COMPLETED if record.output is not None:
            return StepCompleted(seq=0, at=0.0, step=record.name, output=record.output)
        case StepStatus.SKIPPED if record.cause not in UNDONE_CAUSES and record.cause != LEFT_OUT:
            return StepSkipped(seq=0, at=0.0, step=record.name, reason=record.reason, cause=record.cause)
        case StepStatus.FAILED if record.error is not None and not node.options.required:
            return StepFailed(seq=0, at=0.0, step=record.name, error=record.error)
        case _:
            return None
