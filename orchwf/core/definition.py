"""
What a workflow is: frozen values. The compiler makes them, everything else reads them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

import attrs

from .options import StepOptions

DAG_ATTRIBUTE = "__orchwf_dag__"
"""Where a workflow class keeps its graph."""


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


@attrs.frozen
class FromEach:
    """The value of a parameter is one item of what this step gave: its node runs once per item."""

    step: str


@attrs.frozen
class FromAll:
    """The value of a parameter are the results of all items of this step, in their order."""

    step: str


@attrs.frozen
class FromChild:
    """The value of a parameter is the output of a step of the run that this subflow started."""

    step: str
    output: str


Binding = FromStep | FromInput | FromContext | FromOutputs | FromEach | FromAll | FromChild


@attrs.frozen
class Argument:
    """
    One parameter of a body that a run fills in. A parameter left to its own default has none.

    `type` is the annotation, `UNKNOWN` if there is none or it cannot be resolved.
    """

    parameter: str
    binding: Binding
    positional_only: bool = False


@attrs.frozen(kw_only=True)
class ForSignal:
    """
    The node waits for a message and gives its payload.

    Attributes:
        type: What the payload is.
        timeout: How long it waits at most (seconds); None for no limit.
        default: What it gives if nothing came until then (encoded); None if it fails.
    """

    kind: ClassVar[str] = "signal"

    type: Any
    timeout: float | None = None
    default: str | None = None


@attrs.frozen(kw_only=True)
class ForTime:
    """
    The node waits until a time, and gives None.

    Attributes:
        until: Seconds from when it could begin; an aware datetime; or a function of the workflow's instance that gives
            either.
    """

    kind: ClassVar[str] = "sleep"

    until: "float | datetime | Callable[[Any], object]"


@attrs.frozen(kw_only=True)
class ForChild:
    """
    The body gives an instance of a workflow, and the node waits for the end of that run.

    Attributes:
        workflow: The class that it is annotated with; None if it cannot be resolved.
        name: What that is called, in a graph that was read from a store; else empty.
        on_parent_close: What becomes of that run when this one ends before it: `cancel` or `abandon`.
        max_depth: How many runs deep subflows may be nested at most, this one counted.
    """

    kind: ClassVar[str] = "subflow"

    workflow: type | None = None
    name: str = ""
    on_parent_close: Literal["cancel", "abandon"] = "cancel"
    max_depth: int = 50

    @property
    def steps(self) -> "Mapping[str, Node] | None":
        """The steps of that workflow, by their names; None if they are not known, or not compiled yet."""
        dag = None if self.workflow is None else vars(self.workflow).get(DAG_ATTRIBUTE)
        return None if dag is None else dag.nodes


Wait = ForSignal | ForTime | ForChild
"""What a node waits for outside."""


class Several(StrEnum):
    """How a node comes to have items, each with its own checkpoint."""

    EACH = "each"
    """It runs once per item of what another one gave."""
    LOOP = "loop"
    """Its output is its next input, until a predicate holds."""
    STREAM = "stream"
    """Its body is a generator: what it yields are its items."""


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
        waits: What it waits for outside: a signal, a time, another run; None for a plain step.
        several: How it comes to have items; None if it has none.
        carries: In a loop, the parameter that takes the output of the iteration before.
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
    waits: Wait | None = None
    several: Several | None = None
    carries: str = ""

    @property
    def needs(self) -> frozenset[str]:
        """Those dependencies that must complete for it to run (join "all"). The others may also be skipped."""
        return frozenset(self.dependencies) if self._needs is None else self._needs

    @property
    def kind(self) -> str:
        """What sort of node it is: `step`, `signal`, `sleep` or `subflow`."""
        return "step" if self.waits is None else self.waits.kind


@attrs.frozen
class Input:
    """One input of a workflow. `default` tells only whether and how it is shown: attrs fills it in."""

    name: str
    type: Any = UNKNOWN
    required: bool = True
    default: Any = None
