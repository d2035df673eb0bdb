"""What the types say about a graph: values that do not fit, branches that cannot be, and those nobody takes."""

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_origin

from ..errors import Problem
from .definition import (
    UNKNOWN,
    FromAll,
    FromChild,
    FromEach,
    FromInput,
    FromStep,
    Input,
    Node,
    Several,
)
from .drafts import StepDraft, WorkflowDraft
from .items import results_type
from .references import MISSING, Condition, Ref, alternatives, shown_value
from .subflows import output_type
from .suggestions import closest
from .types import describe_type, is_assignable, item_type, list_type, possible_values


def check_types(nodes: Sequence[Node], draft: WorkflowDraft) -> list[Problem]:
    """The `type-mismatch` and `impossible-branch` problems of bound steps."""
    by_name = {node.name: node for node in nodes}
    inputs = {each.name: each for each in draft.inputs}
    problems: list[Problem] = []
    for step, node in zip(draft.steps, nodes, strict=True):
        if node.arguments:
            problems += _mismatches(step, node, by_name, inputs)
            problems += _without_items(node, by_name)
        if node.carries:
            problems += _not_carried(step, node)
        if isinstance(node.options.when, Condition):
            problems += _impossible(node, node.options.when, by_name)
    return problems


def _mismatches(step: StepDraft, node: Node, nodes: dict[str, Node], inputs: dict[str, Input]) -> Iterator[Problem]:
    wanted = {parameter.name: parameter.type for parameter in step.body.parameters}
    for argument in node.arguments:
        target = wanted.get(argument.parameter, UNKNOWN)
        if target is UNKNOWN:
            continue
        whole: Any = UNKNOWN
        match argument.binding:
            case FromStep(names, maybe):
                given = [nodes[name].returns for name in names] + [None] * maybe
                source = _source_text(names, maybe, nodes)
            case FromInput(name):
                given, source = [inputs[name].type], f"the input {name!r}"
            case FromEach(name):
                item = given_item(nodes[name])
                if item is None:
                    continue
                given, source = [item], f"{name}.each{_place(nodes[name])}"
            case FromAll(name):
                found = nodes[name].returns
                whole = list_type(found)
                given, source = (
                    [results_type(nodes[name], found, nodes)],
                    f"{name}.all{_place(nodes[name])}",
                )
            case FromChild(name, output):
                found, is_mapped = output_type(nodes[name], output), nodes[name].several is Several.EACH
                whole = list_type(found) if is_mapped else UNKNOWN
                given, source = [results_type(nodes[name], found, nodes) if is_mapped else found], f"{name}[{output}]"
            case _:
                continue
        # Judged one by one: of a choice with an unknown branch the others are still held to the annotation.
        wrong = [each for each in given if not is_assignable(each, target)]
        if wrong:
            is_gap = whole is not UNKNOWN and is_assignable(whole, target)
            yield _mismatch(node, argument.parameter, target, given, wrong, source, is_gap=is_gap)


def given_item(node: Node) -> Any:
    """The type of an item that this step gives; None if its output has none."""
    return node.returns if node.several is Several.EACH else item_type(node.returns)


def _place(node: Node) -> str:
    return f" ({node.location})" if node.location else ""


def _without_items(node: Node, nodes: dict[str, Node]) -> Iterator[Problem]:
    """The `not-iterable` problems: items are taken of what has none."""
    for argument in node.arguments:
        if isinstance(argument.binding, FromEach) and given_item(nodes[argument.binding.step]) is None:
            name = argument.binding.step
            message = (
                f"step {node.name!r} runs once per item of {name!r}, "
                f"but {name!r} gives {describe_type(nodes[name].returns)}, which {_lack(nodes[name].returns)}"
            )
            hint = f"Return a list from {name!r}, or take the whole value:  {argument.parameter} = {name}.result"
            yield Problem("not-iterable", node.name, message, node.location, hint)


def _lack(annotation: Any) -> str:
    return "may have no items" if get_origin(annotation) in (Union, UnionType) else "has no items"


def _not_carried(step: StepDraft, node: Node) -> Iterator[Problem]:
    wanted = next(each.type for each in step.body.parameters if each.name == node.carries)
    if not is_assignable(node.returns, wanted):
        message = (
            f"step {node.name!r} is a loop: its output, {describe_type(node.returns)}, is its next {node.carries!r}, "
            f"which is {describe_type(wanted)}"
        )
        hint = f"It goes to the first parameter that takes a value: is that to be {node.carries!r}?"
        yield Problem("type-mismatch", node.name, message, node.location, hint)


def _source_text(names: Sequence[str], maybe: bool, nodes: dict[str, Node]) -> str:
    mode = "maybe" if maybe else "result"
    text = f"{names[0]}.{mode}" if len(names) == 1 else f"({' | '.join(names)}).{mode}"
    places = ", ".join(nodes[name].location for name in names if nodes[name].location)
    return f"{text} ({places})" if places else text


def _mismatch(
    node: Node, parameter: str, target: Any, given: Sequence[Any], wrong: Sequence[Any], source: str, *, is_gap: bool
) -> Problem:
    wanted = describe_type(target)
    found = " | ".join(dict.fromkeys(describe_type(each) or "?" for each in given))
    bad = " | ".join(dict.fromkeys(map(describe_type, wrong)))
    if is_gap:
        # A list of them would be refused by type checkers, for which its items are as they are declared.
        hint = f"Items that do not complete give None: annotate  {parameter}: Sequence{found.removeprefix('list')}"
    elif wrong == [None] and len(given) > 1:
        hint = f"It may be None: annotate  {parameter}: {wanted} | None"
    elif len(wrong) < len(given):
        hint = f"Every branch of the value must fit: {bad} does not."
    else:
        hint = f"Change one of the two annotations, or add a step that makes {wanted} of {bad}."
    message = f"step {node.name!r}: parameter {parameter!r} is {wanted}, but {source} is {found}"
    return Problem("type-mismatch", node.name, message, node.location, hint)


def _impossible(node: Node, condition: Condition, nodes: dict[str, Node]) -> Iterator[Problem]:
    for test in condition.tests():
        allowed = None if test.value is MISSING else _values_of(test.ref, nodes)
        if allowed is None or _is_among(test.value, allowed):
            continue
        shown = map(shown_value, allowed)
        match = closest(str(test.value), [str(value) for value in allowed])
        yield Problem(
            "impossible-branch",
            node.name,
            f"step {node.name!r} runs only when {test.ref.name!r} gives {shown_value(test.value)}, "
            f"but {test.ref.name!r} can only give {', '.join(shown)}",
            node.location,
            f"Did you mean {match!r}?" if match else "",
        )


def _values_of(ref: Ref[Any], nodes: dict[str, Node]) -> list[object] | None:
    values: list[object] = []
    for alternative in alternatives(ref):
        some = possible_values(nodes[alternative.name].returns)
        if some is None:
            return None
        values += some
    # Empty if the nodes are of another workflow, which is told elsewhere.
    return values or None


def _is_among(value: object, allowed: Sequence[object]) -> bool:
    try:
        return any(bool(each == value) for each in allowed)
    except Exception:  # The comparison is user code; of a value that cannot be compared nothing is said.
        return True


def find_warnings(steps: Sequence[StepDraft], nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """What is probably not meant, as (location, text that begins with the code)."""
    warnings: list[tuple[str, str]] = []
    warned: set[int] = set()
    for step, node in zip(steps, nodes, strict=True):
        body = step.body
        # Steps that share a body are warned of once.
        if (body.unresolved or body.mutable or _is_limited(node)) and id(body) not in warned:
            warned.add(id(body))
            warnings += _mutable(step)
            warnings += _unresolved(step)
            warnings += _sync_timeout(step, node)
    return warnings + list(_unhandled(nodes))


def _unresolved(step: StepDraft) -> Iterator[tuple[str, str]]:
    for parameter, reason in step.body.unresolved:
        what = "what it returns" if parameter == "return" else f"parameter {parameter!r}"
        text = f"[unresolved-annotation] step {step.name!r}: the annotation of {what} cannot be resolved ({reason})"
        yield step.body.location, f"{text}, so its type is not checked"


def _mutable(step: StepDraft) -> Iterator[tuple[str, str]]:
    for parameter in step.body.mutable:
        text = f"[mutable-default] step {step.name!r}: the default of parameter {parameter!r} can be changed"
        yield step.body.location, f"{text}, and all calls of all runs share it; make it a tuple, or None"


def _is_limited(node: Node) -> bool:
    return node.options.timeout is not None or node.options.heartbeat_timeout is not None


def _sync_timeout(step: StepDraft, node: Node) -> Iterator[tuple[str, str]]:
    # What takes long of a subflow is the run that it starts.
    # What an executor makes of a timeout is its own affair.
    is_here = node.options.executor is None and node.waits is None
    if _is_limited(node) and not node.is_async and is_here:
        text = (
            f"[sync-timeout] step {step.name!r} is a plain function with a timeout: its thread cannot be stopped, "
            "so it runs on after the timeout and its result is dropped; make it a coroutine function if it can be"
        )
        yield step.body.location, text


def _unhandled(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    by_name = {node.name: node for node in nodes}
    guards: dict[str, list[Condition]] = {}
    vague: set[str] = set()
    for node in nodes:
        condition = node.options.when
        if not isinstance(condition, Condition):
            continue
        for test in condition.tests():
            name = test.ref.name
            if name in by_name and test.value is not MISSING:
                guards.setdefault(name, []).append(condition)
            else:
                vague.update(each.name for each in alternatives(test.ref))
    for name in guards.keys() - vague if vague else guards:
        node = by_name[name]
        left = [value for value in _branches(node) if not any(_may_be(guard, name, value) for guard in guards[name])]
        if left:
            shown = ", ".join(map(shown_value, left))
            yield (
                node.location,
                f"[unhandled-branch] no step runs when {name!r} gives {shown}; add one with when={name}.is_(...)",
            )


def _branches(node: Node) -> Sequence[object]:
    # Of a bool an "if" without an "else" is common: nothing is said of it.
    values = possible_values(node.returns) or ()
    return () if all(isinstance(value, bool | None) for value in values) else values


def _may_be(condition: Condition, name: str, value: object) -> bool:
    def lookup(ref: Ref[Any]) -> object:
        return value if ref.name == name else MISSING

    return condition.answer(lookup) is not False
