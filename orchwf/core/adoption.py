"""What of a run can be kept when its definition has changed, or when it is forked."""

from collections.abc import Iterator

from .dag import Dag
from .definition import Node
from .difference import Difference
from .events import StepCompleted, StepEvent, StepFailed, StepSkipped
from .history import History, StepRecord
from .plan import source_steps
from .state import UNDONE_CAUSES, StepStatus
from .types import describe_type


def changed_inputs(before: Dag, after: Dag) -> set[str]:
    """
    The steps of both graphs whose inputs, or whose type, are others in the second one.

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
    return describe_type(node.returns), [(each.parameter, each.binding) for each in node.arguments]


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
            yield event


def _event(record: StepRecord, node: Node) -> StepEvent | None:
    if record.compensation is not None:
        return None
    match record.status:
        case StepStatus.COMPLETED if record.output is not None:
            return StepCompleted(seq=0, at=0.0, step=record.name, output=record.output)
        case StepStatus.SKIPPED if record.cause not in UNDONE_CAUSES:
            return StepSkipped(seq=0, at=0.0, step=record.name, reason=record.reason, cause=record.cause)
        case StepStatus.FAILED if record.error is not None and not node.options.required:
            return StepFailed(seq=0, at=0.0, step=record.name, error=record.error)
        case _:
            return None
