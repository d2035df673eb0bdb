"""How workflows are written: `@step`, `@workflow`, `make_workflow`."""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, TypedDict, TypeVar, Unpack, dataclass_transform, overload

import attrs

from .collection import compile_class, compile_functions
from .core.caching import Cache
from .core.dag import Dag, dag_of
from .core.limits import Mutex, Queue
from .core.options import Duration, OnChange, Quorum, Retry
from .core.references import Condition, Ref
from .errors import DefinitionError, Problem
from .steps import Declared, Free, make_step
from .steps import Step as Step

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

Dependencies = Ref[Any] | str | Sequence[Ref[Any] | str] | Mapping[str, Any]
"""A node, its name, several of them, or `{parameter: up.result}`."""


Buildable = Callable[..., Any] | Declared[Any]
"""What `make_workflow` takes for a node."""


class StepKeywords(TypedDict, total=False):
    """The options of `@step(...)`; what each means is on the reference page."""

    depends_on: Dependencies | None
    retries: int | Retry
    timeout: Duration | None
    total_timeout: Duration | None
    required: bool
    priority: int
    when: Condition | Callable[[Any], object] | None
    join: Literal["all", "any", "first", "settled"] | Quorum
    cancel_rest: bool
    max_parallel: int | None
    tolerate: float | None
    need: int | None
    item_key: Callable[[Any], object] | None
    until: Callable[[Any], object] | None
    max_iterations: int | None
    executor: str
    resources: Mapping[str, float]
    heartbeat_timeout: Duration | None
    delivery: Literal["at_least_once", "at_most_once"]
    on_exhausted: Literal["fail", "pause"]
    tags: Sequence[str]
    name: str
    queue: str | Queue | None
    mutex: str | Mutex | Callable[[Any], str] | None
    cache: Cache | None


class WorkflowKeywords(TypedDict, total=False):
    """The options of `@workflow(...)`; what each means is on the reference page."""

    name: str
    version: str
    deadline: Duration | None
    fail_fast: bool
    on_change: OnChange
    tags: Sequence[str]


class MadeKeywords(TypedDict, total=False):
    """The options of `make_workflow(...)` beside those it names."""

    description: str
    deadline: Duration | None
    fail_fast: bool
    on_change: OnChange
    tags: Sequence[str]


# What an overload gives holds no Any: of a step that does mypy would take `.each` for Any, too.


class StepDecorator:
    """What `@step(...)` with options gives: it makes a step of the function below it."""

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = options

    # A method fits what is said of functions, too, and a coroutine, or a generator, is a value: the first that fits is
    # meant. What a generator gives is a list to who reads all of it.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /
    ) -> Step[S, P, Coroutine[object, None, T], T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], Iterator[T]], /
    ) -> Step[S, P, Iterator[T], list[T]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], AsyncIterator[T]], /
    ) -> Step[S, P, AsyncIterator[T], list[T]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], T], /) -> Step[S, P, T, T]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Step[Free, P, Coroutine[object, None, T], T]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /) -> Step[Free, P, Iterator[T], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Step[Free, P, AsyncIterator[T], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Step[Free, P, T, T]: ...
    def __call__(self, function: Any, /) -> Any:
        return make_step(function, self._options, sys._getframe(1))


# As above.
@overload
def step(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /, **options: Unpack[StepKeywords]
) -> Step[S, P, Coroutine[object, None, T], T]: ...
@overload
def step(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], Iterator[T]], /, **options: Unpack[StepKeywords]
) -> Step[S, P, Iterator[T], list[T]]: ...
@overload
def step(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], AsyncIterator[T]], /, **options: Unpack[StepKeywords]
) -> Step[S, P, AsyncIterator[T], list[T]]: ...
@overload
def step(function: Callable[Concatenate[S, P], T], /, **options: Unpack[StepKeywords]) -> Step[S, P, T, T]: ...
@overload
def step(
    function: Callable[P, Coroutine[Any, Any, T]], /, **options: Unpack[StepKeywords]
) -> Step[Free, P, Coroutine[object, None, T], T]: ...
@overload
def step(
    function: Callable[P, Iterator[T]], /, **options: Unpack[StepKeywords]
) -> Step[Free, P, Iterator[T], list[T]]: ...
@overload
def step(
    function: Callable[P, AsyncIterator[T]], /, **options: Unpack[StepKeywords]
) -> Step[Free, P, AsyncIterator[T], list[T]]: ...
@overload
def step(function: Callable[P, T], /, **options: Unpack[StepKeywords]) -> Step[Free, P, T, T]: ...
@overload
def step(**options: Unpack[StepKeywords]) -> StepDecorator: ...
def step(function: Any = None, /, **options: Any) -> Any:
    """
    Make a step of a method, or of a function for `make_workflow`: `@step`, or `@step(retries=3, timeout="30s")`.

    The step can still be called: on an instance it runs just that body. Options that make no sense are reported with
    everything else that is wrong when the class is compiled.

    Raises:
        DefinitionError: an option is given by position, where the function belongs.
    """
    if function is not None and not callable(function) and not hasattr(function, "__get__"):
        # What is made of it would be called with the function below, before anything could be reported.
        hint = "Options are given by keyword, such as @step(name=...) or @step(depends_on=[...])."
        problem = Problem("not-a-function", "", f"@step decorates a function, not {function!r}", hint=hint)
        raise DefinitionError("@step", [problem])
    return StepDecorator(options) if function is None else make_step(function, options, sys._getframe(1))


@overload
def workflow(cls: type[T], /) -> type[T]: ...
@overload
def workflow(**options: Unpack[WorkflowKeywords]) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field,))
def workflow(cls: Any = None, /, **options: Any) -> Any:
    """
    Make a workflow of a class and compile it: `@workflow`, or `@workflow(version="2", deadline="1h")`.

    Its annotated attributes become the inputs of a run: it is a frozen attrs class whose constructor takes them by
    keyword.

    Raises:
        DefinitionError: with everything that is wrong with the class.
    """
    if cls is not None:
        return _compiled(compile_class, cls, options, sys._getframe(1))

    def decorate(cls: type[Any]) -> type[Any]:
        return _compiled(compile_class, cls, options, sys._getframe(1))

    return decorate


def _compiled(compiling: Callable[P, type[Any]], *args: P.args, **kwargs: P.kwargs) -> type[Any]:
    try:
        return compiling(*args, **kwargs)
    except DefinitionError as error:
        # What lies between a definition and its problem is ours, and tells nobody anything: problems name the places.
        raise error.with_traceback(None)  # noqa: B904 - it is the same error


def make_workflow(
    name: str,
    steps: Sequence[Buildable] | Mapping[str, Buildable],
    inputs: Mapping[str, Any] | None = None,
    version: str = "1",
    **options: Unpack[MadeKeywords],
) -> type[Any]:
    """
    The workflow class of these steps, for graphs that a program makes.

    Args:
        name: The name of the class.
        steps: Steps, functions, signals and sleeps, or name -> any of these. Their functions take no `self`, and their
            names need not be identifiers.
        inputs: Name -> type, or name -> (type, default).
        version: As of `@workflow`, and so are the options; `description` is the docstring.

    Raises:
        DefinitionError: with everything that is wrong.
    """
    declared = {} if inputs is None else inputs
    return _compiled(
        compile_functions, name, steps, declared, {"version": version, **options}, sys._getframe(1)
    )  # fmt: skip


def compile_workflow(workflow: type) -> Dag:
    """
    The graph of a workflow class; made when the class was.

    Raises:
        UsageError: it is no class decorated with `@workflow`.
    """
    return dag_of(workflow)
