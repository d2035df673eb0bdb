"""What a workflow waits for outside: signals, times, other workflows."""

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    get_origin,
    overload,
)

from .core.children import ChildResult
from .core.codec import Codec
from .core.definition import ForChild, ForSignal, ForTime
from .core.limits import Mutex, Queue
from .core.options import Duration, Quorum, Retry, StepOptions, bad_option, checked_time, positive_seconds
from .core.parsing import checked_function, options_of
from .core.references import ChildOutput, Condition, Named, Ref, SignalRef
from .core.types import holds
from .errors import BadOptionError, EncodingError, Problem
from .introspection import place
from .steps import Declared, Free, Step, remember

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")
W = TypeVar("W")
V = TypeVar("V")
R = TypeVar("R")
V_contra = TypeVar("V_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)

_MISSING: Any = object()
_REQUESTS = ("cancel", "terminate", "pause", "finish", "child")
"""What messages to a run are called that are no signals."""


class WaitKeywords(TypedDict, total=False):
    """The options that `signal` and `sleep` share with `@step(...)`."""

    depends_on: Ref[Any] | str | Sequence[Ref[Any] | str] | None
    when: Condition | Callable[[Any], object] | None
    join: Literal["all", "any", "first", "settled"] | Quorum
    cancel_rest: bool
    required: bool
    tags: Sequence[str]
    name: str


_WAIT_OPTIONS = tuple(WaitKeywords.__annotations__)


class SubflowKeywords(TypedDict, total=False):
    """The options of `@subflow(...)`: those of `@step(...)` that make sense of another run, and its own."""

    depends_on: Ref[Any] | str | Sequence[Ref[Any] | str] | Mapping[str, Any] | None
    retries: int | Retry
    timeout: Duration | None
    required: bool
    priority: int
    when: Condition | Callable[[Any], object] | None
    join: Literal["all", "any", "first", "settled"] | Quorum
    cancel_rest: bool
    max_parallel: int | None
    tolerate: float | None
    need: int | None
    item_key: Callable[[Any], object] | None
    queue: Queue | str | None
    mutex: Mutex | str | Callable[[Any], str] | None
    tags: Sequence[str]
    name: str
    on_parent_close: Literal["cancel", "abandon"]
    max_depth: int


_OWN = ("on_parent_close", "max_depth")
_SUBFLOW_OPTIONS = tuple(SubflowKeywords.__annotations__)


class Signal(Declared[T_co], SignalRef[V, T_co], Generic[V, T_co]):
    """
    A node that waits for a message: `paid = signal(Payment)`, sent with `run.send(Invoice.paid, Payment(...))`.

    Attributes:
        type: What the message holds.
        returns: What the node gives: that, or the type of the default.
        location: Where it is declared: `file:line`.
    """

    def __init__(
        self, type_: Any, timeout: object, default: object, options: StepOptions, problems: tuple[Problem, ...],
        location: str,
    ) -> None:  # fmt: skip
        super().__init__("", options, problems)
        self.type = type_
        self.returns: Any = _with_default(type_, default)
        self.location = location
        self._timeout = timeout
        self._default = default

    def copy(self) -> "Signal[V, T_co]":
        return Signal(self.type, self._timeout, self._default, self.options, self.problems, self.location)

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"

    def waits(self, name: str, module: str) -> tuple[ForSignal, tuple[Problem, ...]]:
        """What the node, which is called so, waits for, and what is wrong with that; `module` is the workflow's."""
        problems: list[Problem] = []
        limit = default = None
        try:
            _check_name(name)
            _check_type(self.type)
            limit = None if self._timeout is None else positive_seconds(self._timeout, "timeout")
            if self._default is not _MISSING:
                default = _encoded(self._default, self.returns, module)
            if self._default is not _MISSING and self._timeout is None:
                hint = 'Say how long it waits for the signal, such as timeout="1d".'
                raise bad_option("default", "default goes with timeout, and without one it never counts", hint)
        except BadOptionError as error:
            problems += error.problems
        return ForSignal(type=self.type, timeout=limit, default=default), tuple(problems)


def _is_type(value: object) -> bool:
    """Whether this is what an annotation may be, such as `Payment`, `list[int]` or `int | None`."""
    is_form = get_origin(value) is not None or type(value).__module__ in ("typing", "typing_extensions")
    return value is None or isinstance(value, type) or is_form


def _check_type(type_: object) -> None:
    if not _is_type(type_):
        hint = "Give the class of what it holds, such as signal(Payment), or nothing if it holds nothing."
        raise bad_option("type_", f"signal takes a type, not {type_!r}", hint)


def _check_name(name: str) -> None:
    if name in _REQUESTS:
        message = "its name is that of one of orchwf's own messages to a run"
        raise bad_option("name", message, "Rename it, or give it another name=...")


def _with_default(type_: Any, default: object) -> Any:
    """The type of what a signal gives that has this default."""
    if default is _MISSING or not _is_type(type_) or holds(type_, default):
        return type_
    return Union[type_, type(default)]  # noqa: UP007  Made of values.


def _encoded(value: object, type_: Any, module: str) -> str:
    try:
        return Codec(module).encode(value, type_)
    except EncodingError as error:
        raise bad_option("default", f"the default of a signal has to be stored: {error}") from None


@overload
def signal(type_: type[V], /, *, timeout: Duration | None = ..., **options: Unpack[WaitKeywords]) -> Signal[V, V]: ...
@overload
def signal(
    type_: type[V], /, *, timeout: Duration, default: D, **options: Unpack[WaitKeywords]
) -> Signal[V, V | D]: ...
@overload
def signal(*, timeout: Duration | None = ..., **options: Unpack[WaitKeywords]) -> Signal[None, None]: ...
@overload
def signal(*, timeout: Duration, default: D, **options: Unpack[WaitKeywords]) -> Signal[None, D | None]: ...
# A type checker may not take `int | None`, or a Literal, for a type when it is given as a value.
@overload
def signal(
    type_: object, /, *, timeout: Duration | None = ..., **options: Unpack[WaitKeywords]
) -> Signal[Any, Any]: ...
@overload
def signal(
    type_: object, /, *, timeout: Duration, default: object, **options: Unpack[WaitKeywords]
) -> Signal[Any, Any]: ...
def signal(type_: Any = None, /, *, timeout: Any = None, default: Any = _MISSING, **options: Any) -> Signal[Any, Any]:
    """
    A node that waits for a message to the run, and gives what it holds.

    What is sent before the node waits counts; of several messages the first one does.

    Args:
        type_: What the message holds; a signal without it holds nothing.
        timeout: How long it waits at most, from when all that it depends on has ended: a duration. Then it gives the
            default, or fails if there is none.
        default: What it gives then.
        options: depends_on, when, join, cancel_rest, required, tags, name: as of `@step`.
    """
    checked, problems = options_of("a signal", (*_WAIT_OPTIONS, "timeout", "default"), options)
    frame = sys._getframe(1)
    location = place(frame.f_code.co_filename, frame.f_lineno)
    made: Signal[Any, Any] = Signal(type_, timeout, default, checked, problems, location)
    remember(made, frame)
    return made


class Sleep(Declared[None]):
    """
    A node that waits until a time: `pause = sleep("1h", depends_on=load)`.

    Attributes:
        returns: What it gives: nothing.
        location: Where it is declared: `file:line`.
    """

    returns = None

    def __init__(self, until: object, options: StepOptions, problems: tuple[Problem, ...], location: str) -> None:
        super().__init__("", options, problems)
        self.until = until
        self.location = location

    def copy(self) -> "Sleep":
        return Sleep(self.until, self.options, self.problems, self.location)

    def __repr__(self) -> str:
        return f"<Sleep {self.name}>"

    def waits(self, name: str, module: str) -> tuple[ForTime, tuple[Problem, ...]]:
        """What the node waits for, and what is wrong with that; arguments as of a signal."""
        until: Any = self.until
        try:
            if not callable(until) or isinstance(until, type | Ref):
                until = checked_time(until, "sleep")
            else:
                checked_function(until, "sleep", "the instance", "For example: sleep(lambda self: self.patience)")
        except BadOptionError as error:
            return ForTime(until=0.0), error.problems
        return ForTime(until=until), ()


def sleep(
    until: Duration | datetime | Callable[[Any], Duration | datetime], /, **options: Unpack[WaitKeywords]
) -> Sleep:
    """
    A node that waits until a time. It is in the store: also while no process runs it passes, and it is not waited anew.

    Args:
        until: How long from when all that it depends on has ended: a duration; or until when: an aware datetime; or a
            function of the workflow's instance that gives either.
        options: depends_on, when, join, cancel_rest, required, tags, name: as of `@step`.
    """
    checked, problems = options_of("a sleep", _WAIT_OPTIONS, options)
    frame = sys._getframe(1)
    made = Sleep(until, checked, problems, place(frame.f_code.co_filename, frame.f_lineno))
    remember(made, frame)
    return made


class Subflow(Step[S, P, W, ChildResult[W]]):
    """
    A step that starts a run of another workflow, and waits for its end: what `@subflow` gives.

    `ship[Shipping.book].result` is the output of a step of that run.
    """

    on_parent_close: Literal["cancel", "abandon"] = "cancel"
    max_depth: int = 50

    @overload
    def __getitem__(self, step: Ref[T]) -> ChildOutput[T]: ...
    @overload
    def __getitem__(self, step: str) -> ChildOutput[Any]: ...
    def __getitem__(self, step: Ref[Any] | str) -> ChildOutput[Any]:
        return ChildOutput(self, Named(step) if isinstance(step, str) else step)

    def copy(self) -> "Subflow[S, P, W]":
        again: Subflow[S, P, W] = Subflow(self.function, self.options, self.problems)
        again.on_parent_close, again.max_depth = self.on_parent_close, self.max_depth
        return again

    def with_function(self, function: Any) -> "Subflow[Any, ..., Any]":
        again: Subflow[Any, ..., Any] = Subflow(function, self.options, self.problems)
        again.on_parent_close, again.max_depth = self.on_parent_close, self.max_depth
        return again

    def waits(self, workflow: Any) -> ForChild:
        """What the node waits for, if its body is annotated with this workflow."""
        return ForChild(workflow=workflow, on_parent_close=self.on_parent_close, max_depth=self.max_depth)


class SubflowDecorator:
    """What `@subflow(...)` with options gives."""

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = options

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, W]], /
    ) -> Subflow[S, P, W]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], W], /) -> Subflow[S, P, W]: ...
    @overload
    def __call__(self, function: Callable[P, W], /) -> Subflow[Free, P, W]: ...
    def __call__(self, function: Any, /) -> Any:
        return _make_subflow(function, self._options, sys._getframe(1))


@overload
def subflow(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, W]], /
) -> Subflow[S, P, W]: ...
@overload
def subflow(function: Callable[Concatenate[S, P], W], /) -> Subflow[S, P, W]: ...
@overload
def subflow(function: Callable[P, W], /) -> Subflow[Free, P, W]: ...
@overload
def subflow(**options: Unpack[SubflowKeywords]) -> SubflowDecorator: ...
def subflow(function: Any = None, /, **options: Any) -> Any:
    """
    Make a step of a method that returns an instance of a workflow: it becomes a run of its own, with its own log.

    The run's id is derived from that of this one, `parent/step`. If the run fails, the step does; `retries` resume it.

    Args:
        options: As of `@step`: depends_on, retries, timeout, required, when, join, max_parallel, tolerate, need, tags,
            name; and `on_parent_close`: what becomes of the run if this one ends before it, `"cancel"` or `"abandon"`;
            `max_depth`: how many runs deep subflows may be nested (50).
    """
    return SubflowDecorator(options) if function is None else _make_subflow(function, options, sys._getframe(1))


def _make_subflow(function: Any, given: Mapping[str, object], frame: Any) -> Subflow[Any, ..., Any]:
    plain = {name: value for name, value in given.items() if name not in _OWN}
    options, problems = options_of("a subflow", _SUBFLOW_OPTIONS, plain)
    wrong = list(problems)
    policy, depth = given.get("on_parent_close", "cancel"), given.get("max_depth", 50)
    if policy not in ("cancel", "abandon"):
        wrong.append(Problem("bad-option", "", f"on_parent_close takes 'cancel' or 'abandon', not {policy!r}"))
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        wrong.append(Problem("bad-option", "", f"max_depth takes a whole number of at least 1, not {depth!r}"))
    made: Subflow[Any, ..., Any] = Subflow(function, options, tuple(wrong))
    if policy == "abandon":
        made.on_parent_close = "abandon"
    made.max_depth = depth if isinstance(depth, int) else 50
    remember(made, frame)
    return made
