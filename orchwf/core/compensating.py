"""How a step is undone: its compensation, bound to the step's output."""

from collections.abc import Mapping
from typing import Any

import attrs

from ..errors import Problem
from .definition import UNKNOWN, Argument, Binding, FromContext, FromInput, FromStep, Input, Node
from .drafts import CompensationDraft, Parameter, StepDraft
from .references import MISSING, Source
from .types import describe_type, is_assignable

_WAY_OUT = "A compensation takes the output of its step, inputs of the workflow by name, and a StepContext."


def bind_compensation(
    step: StepDraft, draft: CompensationDraft, inputs: Mapping[str, Input]
) -> tuple[Node, list[Problem]]:
    """
    The compensation of a step as a node of its own, of the same name, and what is wrong with it.

    The output is given to the parameter that is called like the step, else to the first one that nothing else fits.
    """
    body = draft.body
    problems = [
        Problem("bad-compensation", step.name, f"the compensation of step {step.name!r} {each.message}",
                each.location or body.location or step.body.location, each.hint)
        for each in (*draft.problems, *body.problems)
    ]  # fmt: skip
    if body.is_stream:
        problems.append(_stream(step, draft))
    arguments: list[Argument] = []
    has_output = any(parameter.name == step.name for parameter in body.parameters)
    for parameter in body.parameters:
        binding, has_output = _bind(step, parameter, inputs, has_output)
        if binding is None and (parameter.default is MISSING or isinstance(parameter.default, Source)):
            problems.append(_unbound(step, draft, parameter))
        elif binding is not None:
            arguments.append(Argument(parameter.name, binding, parameter.is_positional_only))
            problems += _mismatch(step, draft, parameter, binding, inputs)
    if body.gathers:
        problems.append(_unbound(step, draft, Parameter(name=f"**{body.gathers}")))
    node = Node(
        name=step.name,
        function=body.function,
        takes_self=body.takes_self,
        is_async=body.is_async,
        arguments=tuple(arguments),
        options=attrs.evolve(draft.options, priority=step.options.priority),
        location=body.location,
        description=body.description,
        digest=body.digest,
    )
    return node, problems


def _bind(
    step: StepDraft, parameter: Parameter, inputs: Mapping[str, Input], has_output: bool
) -> tuple[Binding | None, bool]:
    output = FromStep((step.name,), maybe=True)
    if parameter.takes_context:
        return FromContext(), has_output
    if parameter.name == step.name:
        return output, True
    if isinstance(parameter.default, Source):
        is_own = parameter.default.ref.name == step.name
        return (output if is_own else None), has_output or is_own
    if parameter.name in inputs:
        return FromInput(parameter.name), has_output
    if parameter.default is MISSING and not has_output:
        return output, True
    return None, has_output


def _stream(step: StepDraft, draft: CompensationDraft) -> Problem:
    message = f"the compensation of step {step.name!r} is a generator: nobody would run it"
    return Problem("bad-compensation", step.name, message, draft.body.location, "Make it a function.")


def _unbound(step: StepDraft, draft: CompensationDraft, parameter: Parameter) -> Problem:
    message = f"the compensation of step {step.name!r} has a parameter {parameter.name!r} that nothing gives a value"
    return Problem("bad-compensation", step.name, message, draft.body.location, _WAY_OUT)


def _mismatch(
    step: StepDraft, draft: CompensationDraft, parameter: Parameter, binding: Binding, inputs: Mapping[str, Input]
) -> list[Problem]:
    given: Any = UNKNOWN
    if isinstance(binding, FromStep):
        given = step.body.returns
    elif isinstance(binding, FromInput):
        given = inputs[binding.name].type
    if is_assignable(given, parameter.type):
        return []
    source = "the output" if isinstance(binding, FromStep) else f"the input {parameter.name!r}"
    message = (
        f"the compensation of step {step.name!r}: parameter {parameter.name!r} is {describe_type(parameter.type)}, "
        f"but {source} is {describe_type(given)}"
    )
    hint = "Change one of the two annotations."
    return [Problem("type-mismatch", step.name, message, draft.body.location, hint)]
