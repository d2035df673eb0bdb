"""Part of a graph: which steps a run is to run, of those that it has."""

from collections.abc import Collection, Iterable

from ..errors import UnknownStepError, UsageError
from .dag import Dag
from .definition import Node
from .events import StepSkipped
from .lines import names_text
from .options import Join, Quorum
from .suggestions import did_you_mean

LEFT_OUT = "only"
"""The cause of the skip of a step that was not selected."""

_TAG = "tag:"


def select(dag: Dag, texts: str | Iterable[str]) -> frozenset[str]:
    """
    The names of the steps that are meant: `step`, `+step` (and all above), `step+` (and all below), `tag:x`, `+tag:x`.

    Raises:
        UnknownStepError: there is no such step.
        UsageError: no step has the tag.
    """
    found: set[str] = set()
    for text in [texts] if isinstance(texts, str) else texts:
        # A name may have a plus itself.
        is_name = text in dag.nodes
        core = text if is_name else text.removeprefix("+").removesuffix("+")
        names = _tagged(dag, core) if core.startswith(_TAG) and core not in dag.nodes else [_known(dag, core)]
        for name in names:
            found.add(name)
            found.update(dag.ancestors(name) if text.startswith("+") and not is_name else ())
            found.update(dag.descendants(name) if text.endswith("+") and not is_name else ())
    return frozenset(found)


def _known(dag: Dag, name: str) -> str:
    if name not in dag.nodes:
        raise UnknownStepError(name, dag.name, did_you_mean(name, list(dag.nodes), "steps"))
    return name


def _tagged(dag: Dag, text: str) -> list[str]:
    tag = text.removeprefix(_TAG)
    names = [node.name for node in dag.nodes.values() if tag in node.options.tags]
    if not names:
        known = sorted({each for node in dag.nodes.values() for each in node.options.tags})
        raise UsageError(f"no step of {dag.name} has the tag {tag!r}. {did_you_mean(tag, known, 'tags')}".rstrip())
    return names


def left_out(dag: Dag, only: Collection[str]) -> list[StepSkipped]:
    """
    How the steps end that are not selected, dependencies first, as events for a run that begins.

    Args:
        only: The names of the steps that are to run.

    Raises:
        UnknownStepError: there is no such step.
        UsageError: one that is selected cannot run without one that is not; or none is selected.
    """
    wanted = {_known(dag, name) for name in only}
    if not wanted:
        raise UsageError(f"no step of {dag.name} is selected: there is nothing to run")
    for name in dag.nodes:
        if name in wanted and (lacking := _lacking(dag.nodes[name], wanted)):
            raise UsageError(
                f"step {name!r} needs {names_text(map(repr, lacking))}, which is left out: name it, too (+{name}), or "
                f"reuse what a run has done, by a fork from {name!r}"
            )
    return [
        StepSkipped(seq=0, at=0.0, step=name, reason="it was left out when the run was started", cause=LEFT_OUT)
        for name in dag.nodes
        if name not in wanted
    ]


def skipped_by(dag: Dag, only: str | Iterable[str], *, begins_later: bool) -> list[StepSkipped]:
    """
    How the steps end that a run leaves out, as `left_out` says; `only` is as `select` takes it.

    Raises:
        UnknownStepError, UsageError: as of `select` and `left_out`; or the run begins later.
    """
    if begins_later:
        raise UsageError("a run that begins later runs all of its steps: give not_before or only, not both")
    return left_out(dag, select(dag, only))


def _lacking(node: Node, wanted: Collection[str]) -> list[str]:
    """What a step cannot do without, of what is not wanted."""
    join, missing = node.options.join, [name for name in node.dependencies if name not in wanted]
    if join is Join.SETTLED or not missing:
        return []
    if join is Join.ALL:
        without_choice = [name for group in node.choices if not set(group) & set(wanted) for name in group]
        return [name for name in missing if name in node.needs or name in without_choice]
    enough = join.count if isinstance(join, Quorum) else 1
    return missing if len(node.dependencies) - len(missing) < enough else []
