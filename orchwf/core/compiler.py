"""Makes a `Dag` of a draft, or says everything that is wrong with it."""

import warnings
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

import attrs

from ..errors import DefinitionError, OrchwfWarning, Problem
from .binding import Names, bind_step
from .checks import check_types, find_warnings
from .compensating import bind_compensation
from .cycles import shortest_cycles
from .dag import Dag
from .definition import FromOutputs, Node
from .drafts import StepDraft, WorkflowDraft
from .items import check_items
from .names import bad_name


def compile_draft(draft: WorkflowDraft) -> Dag:
    """
    The graph of a workflow.

    Its steps are in topological order; among those that could come next the one defined first does.

    Raises:
        DefinitionError: with everything that is wrong with the definition.
    """
    names = Names(draft)
    problems = [*draft.problems, *_check_names(draft)]
    nodes: list[Node] = []
    for position, step in enumerate(draft.steps):
        node, wrong = bind_step(step, names, position)
        problems += step.problems
        problems += _of(step)
        problems += wrong
        if step.compensation is not None:
            compensation, wrong = bind_compensation(step, step.compensation, names.inputs)
            node = attrs.evolve(node, compensation=compensation)
            problems += wrong
        nodes.append(node)
    problems += check_items(nodes)
    problems += check_types(nodes, draft)
    order, rest = _sort(nodes, names.positions)
    problems += _cycles(draft, nodes, rest, names.positions)
    if problems:
        raise DefinitionError(draft.name, [_placed(problem, draft.location) for problem in problems])
    for each in draft.unresolved:
        _warn(draft.location, f"[unresolved-annotation] the type of input {each} cannot be resolved")
    for location, message in find_warnings(draft.steps, nodes):
        _warn(location, message)
    return Dag(
        name=draft.name,
        version=draft.version,
        description=draft.description,
        inputs={each.name: each for each in draft.inputs},
        nodes={nodes[position].name: nodes[position] for position in order},
        options=draft.options,
        workflow=draft.workflow,
        entrypoint=draft.entrypoint,
    )


def _placed(problem: Problem, location: str) -> Problem:
    return problem if problem.location else attrs.evolve(problem, location=location)


def _of(step: StepDraft) -> list[Problem]:
    """The problems of a body, said of one step that has it."""
    return [
        Problem(each.code, step.name, f"step {step.name!r} {each.message}", each.location, each.hint)
        for each in step.body.problems
    ]


def _warn(location: str, message: str) -> None:
    # Shown at the step it is about, not at a line of this package.
    file, _, line = location.rpartition(":")
    filename, number = (file, int(line)) if line.isdigit() else (location or "<unknown>", 1)
    warnings.warn_explicit(message, OrchwfWarning, filename, number)


def _check_names(draft: WorkflowDraft) -> list[Problem]:
    problems: list[Problem] = []
    if reason := bad_name(draft.name):
        problems.append(Problem("bad-option", "", f"this cannot be the name of a workflow: {reason}", draft.location))
    if not draft.steps:
        message = f"{draft.name} has no steps"
        problems.append(Problem("no-steps", "", message, draft.location, "Decorate at least one method with @step."))
    first: dict[str, StepDraft] = {}
    inputs = {each.name for each in draft.inputs}
    for step in draft.steps:
        if reason := bad_name(step.name):
            message = f"this cannot be the name of a step: {reason}"
            problems.append(Problem("bad-option", step.name, message, step.body.location))
        elif first.setdefault(step.name, step) is not step:
            problems.append(_duplicate(step, first[step.name]))
        elif step.name in inputs:
            message = f"{step.name!r} is both an input and a step of {draft.name}"
            hint = "Rename one of them: a parameter of that name could mean either."
            problems.append(Problem("duplicate-name", step.name, message, step.body.location, hint))
    return problems


def _duplicate(step: StepDraft, other: StepDraft) -> Problem:
    message = f"two steps are called {step.name!r}; the other one is at {other.body.location or 'an unknown place'}"
    return Problem("duplicate-name", step.name, message, step.body.location, "Rename one of them.")


def _sort(nodes: Sequence[Node], positions: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """
    The positions in topological order, and those that no order has since they wait for each other.

    Source: A. B. Kahn, Topological sorting of large networks, 1962, with a heap so that ties go by definition.
    """
    # Defined in an order in which they can run, they are in the order that is looked for.
    if all(positions[name] < number for number, node in enumerate(nodes) for name in node.dependencies):
        return list(range(len(nodes))), []
    children: list[list[int]] = [[] for _ in nodes]
    unmet = [0] * len(nodes)
    for position, node in enumerate(nodes):
        unmet[position] = len(node.dependencies)
        for name in node.dependencies:
            children[positions[name]].append(position)
    ready = [position for position, count in enumerate(unmet) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        position = heappop(ready)
        order.append(position)
        for child in children[position]:
            unmet[child] -= 1
            if unmet[child] == 0:
                heappush(ready, child)
    return order, [position for position, count in enumerate(unmet) if count > 0]


def _cycles(
    draft: WorkflowDraft, nodes: Sequence[Node], rest: Sequence[int], positions: Mapping[str, int]
) -> list[Problem]:
    if not rest:
        return []
    children: dict[int, list[int]] = {position: [] for position in rest}
    for position in rest:
        for name in nodes[position].dependencies:
            if positions[name] in children:
                children[positions[name]].append(position)
    return [_cycle_problem([nodes[position] for position in cycle]) for cycle in shortest_cycles(children)]


def _cycle_problem(cycle: Sequence[Node]) -> Problem:
    first = cycle[0]
    if len(cycle) == 1:
        message = f"step {first.name!r} waits for itself, so it can never start"
    else:
        path = " -> ".join([*_shown([node.name for node in cycle]), first.name])
        message = f"these steps wait for each other, so none can start: {path}"
    pairs = list(zip(cycle, [*cycle[1:], first], strict=True))
    lines = [
        f"{node.name} needs {before.name} ({', '.join(filter(None, [_reason(node, before.name), node.location]))})"
        for before, node in pairs
    ]
    lines = _shown(lines)
    lines.append("Remove one of these dependencies." if len(cycle) > 1 else "Remove this dependency.")
    return Problem("cycle", first.name, message, first.location, "\n".join(lines))


def _shown(lines: list[str], limit: int = 20) -> list[str]:
    """A long cycle is told by its two ends."""
    if len(lines) <= limit:
        return lines
    return [*lines[: limit // 2], f"... {len(lines) - limit} more ...", *lines[-limit // 2 :]]


def _reason(node: Node, dependency: str) -> str:
    for argument in node.arguments:
        steps = getattr(argument.binding, "steps", None) or (getattr(argument.binding, "step", ""),)
        if dependency in steps and not isinstance(argument.binding, FromOutputs):
            return f"parameter {argument.parameter!r}"
    return "when" if dependency in node.asked else "depends_on"
