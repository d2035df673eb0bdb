"""What the compiler is given: steps as they were written, read but not yet understood."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ..errors import Problem
from .definition import UNKNOWN, Input, Wait
from .options import StepOptions, WorkflowOptions
from .references import MISSING, Ref


@attrs.frozen(kw_only=True, eq=False)
class Parameter:
    """One named parameter of a body, `self` not counted. `default` is MISSING if it has none."""

    name: str
    default: object = MISSING
    type: Any = UNKNOWN
    takes_context: bool = False
    is_positional_only: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Body:
    """
    What was read from one function. Steps that share the function share its body.

    Attributes:
        function: What is called.
        takes_self: Whether it is called with the workflow's instance first.
        is_async: Whether calling it gives a coroutine, or an asynchronous generator.
        is_stream: Whether it is a generator.
        parameters: Its named parameters.
        gathers: The name of its parameter `**outputs`; empty if it has none.
        returns: The type of its output, or UNKNOWN.
        description: Its docstring, cleaned.
        location: `file:line`, or empty.
        digest: What changes when its code changes; computed when first asked for.
        problems: Why it cannot be a step; their `node` is filled in by the compiler.
        unresolved: What of its annotations could not be resolved: parameter (or `return`), and the reason.
        mutable: The parameters whose default can be changed, and is the same for all calls.
    """

    function: Callable[..., object]
    takes_self: bool = True
    is_async: bool = False
    is_stream: bool = False
    parameters: tuple[Parameter, ...] = ()
    gathers: str = ""
    returns: Any = UNKNOWN
    description: str = ""
    location: str = ""
    digest: Callable[[], str] = str
    problems: tuple[Problem, ...] = ()
    unresolved: tuple[tuple[str, str], ...] = ()
    mutable: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, eq=False)
class CompensationDraft:
    """How a step is undone, as it was written; `problems` is what is wrong with its options."""

    body: Body
    options: StepOptions
    problems: tuple[Problem, ...] = ()


@attrs.frozen(kw_only=True, eq=False)
class StepDraft:
    """
    One step as it was written.

    `attribute` is what the class calls it, which may differ from its name; `problems` is what is wrong with its
    options; `digest` overrides that of the body, where options or compensation hold code, too; `waits` is what it waits
    for outside.
    """

    name: str
    body: Body
    options: StepOptions
    attribute: str = ""
    problems: tuple[Problem, ...] = ()
    digest: Callable[[], str] | None = None
    compensation: CompensationDraft | None = None
    waits: Wait | None = None


@attrs.frozen(kw_only=True, eq=False)
class WorkflowDraft:
    """
    A workflow as it was written.

    Attributes:
        find: The name of the step that a reference means in this workflow; None if it is of another one.
        problems: What is wrong with the workflow itself.
        location: `file:line` of the class, or empty.
        unresolved: The inputs whose types cannot be resolved, with the reasons.
    """

    name: str
    steps: Sequence[StepDraft]
    find: Callable[[Ref[Any]], str | None]
    version: str = "1"
    description: str = ""
    inputs: Sequence[Input] = ()
    options: WorkflowOptions = attrs.field(factory=WorkflowOptions)
    workflow: type | None = None
    entrypoint: str = ""
    problems: tuple[Problem, ...] = ()
    location: str = ""
    unresolved: tuple[str, ...] = ()
