"""
What a workflow is: frozen values. The compiler makes them, everything else reads them.
"""

from collections.abc import Callable
from typing import Any

import attrs

from .options import StepOptions


@attrs.frozen
class FromStep:
    """
    The value of a parameter is the output of the first of `steps` that completed.

    Several names are a choice (`a | b`). If none completed it is None with `maybe`; without, the step is skipped.
    """

    steps: tuple[str, ...]
    maybe: bool = False


@attrs.frozen
class FromInput:
    """The value of a parameter is an input of the workflow."""

    name: str


@attrs.frozen
class FromContext:
    """The value of a parameter is the `StepContext` of the attempt."""


@attrs.frozen
class FromOutputs:
    """`**outputs`: step name -> output, of those among `steps` that completed."""

    steps: tuple[str, ...]


Binding = FromStep | FromInput | FromContext | FromOutputs


@attrs.frozen
class Argument:
    """
    One parameter of a body that a run fills in. A parameter left to its own default has none.

    `type` is the annotation, `UNKNOWN` if there is none or it cannot be resolved.
    """

    parameter: str
    binding: Binding
    positional_only: bool = False


class _Unknown:
    """A type that nobody declared."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()


NO_STEPS: frozenset[str] = frozenset()
"""One for all that have none: an empty frozenset is an object of 216 bytes each time."""


@attrs.frozen(eq=False, kw_only=True)
class Node:
    """
    One step of a compiled workflow.

    Attributes:
        name: Unique in the workflow; any text.
        function: The body; None in a graph that was read from a store.
        takes_self: Whether the body is called with the workflow's instance first.
        is_async: Whether the body is a coroutine function.
        arguments: Where each parameter takes its value from.
        dependencies: The names of all nodes it waits for, distinct, in the order they were written.
        _needs: What `needs` gives; None stands for all dependencies, since of a large graph that many sets would be
            larger than all the rest.
        choices: Groups of dependencies; of each at least one must complete.
        asked: Those dependencies that only its condition names: it waits for their ends, whatever its join, and they
            do not count for the join.
        position: Which one it is in the order of definition, counted from 0.
        returns: The type of the output, or UNKNOWN.
        description: The docstring, cleaned.
        location: `file:line` of the body, or empty.
        digest: What changes when the code of the body changes.
        compensation: How it is undone, as a node of the same name; None if it is not.
    """

    name: str
    function: Callable[..., object] | None = None
    takes_self: bool = True
    is_async: bool = False
    arguments: tuple[Argument, ...] = ()
    dependencies: tuple[str, ...] = ()
    _needs: frozenset[str] | None = attrs.field(default=NO_STEPS, alias="needs")
    choices: tuple[tuple[str, ...], ...] = ()
    asked: frozenset[str] = NO_STEPS
    position: int = 0
    options: StepOptions = attrs.field(factory=StepOptions)
    returns: Any = UNKNOWN
    description: str = ""
    location: str = ""
    digest: Callable[[], str] = lambda: ""
    compensation: "Node | None" = None

    @property
    def needs(self) -> frozenset[str]:
        """Those dependencies that must complete for it to run (join "all"). The others may also be skipped."""
        return frozenset(self.dependencies) if self._needs is None else self._needs

    @property
    def kind(self) -> str:
        """`step`: what sort of node it is."""
        return "step"


@attrs.frozen
class Input:
    """One input of a workflow. `default` tells only whether and how it is shown: attrs fills it in."""

    name: str
    type: Any = UNKNOWN
    required: bool = True
    default: Any = None
