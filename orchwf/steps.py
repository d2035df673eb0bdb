"""What `@step` makes of a function: a reference for other steps, and still something to call."""

import inspect
import types
import warnings
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import attrs

from .context import running
from .core.dag import DAG_ATTRIBUTE, Dag
from .core.definition import FromAll, FromChild, FromEach, FromInput, FromStep, Node
from .core.limits import Mutex, Queue
from .core.options import Duration, Retry, StepOptions
from .core.parsing import compensation_options, step_options
from .core.references import Ref, Source
from .errors import DefinitionError, MissingArgumentError, OrchwfWarning, Problem
from .introspection import takes_self

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Q = ParamSpec("Q")
C = TypeVar("C", bound=Coroutine[Any, Any, None] | None)
S_contra = TypeVar("S_contra", contravariant=True)
C_co = TypeVar("C_co", bound=Coroutine[Any, Any, None] | None, covariant=True)

CREATED = "__orchwf_created__"
"""Where the body of a class remembers the steps that were made in it."""


class Free:
    """Stands, for type checkers, where a step has no instance to be called on."""


class UndoneByKey(Protocol[S_contra, C_co]):
    """How a step is undone of which nothing has to be known but its key."""

    def __call__(self, instance: S_contra, /, *, ctx: Any) -> C_co: ...


@attrs.frozen(eq=False)
class Compensation:
    """How a step is undone, as it was written; `problems` is what is wrong with its options."""

    function: Any
    options: StepOptions
    problems: tuple[Problem, ...] = ()


class Declared(Ref[T_co]):
    """
    What the body of a workflow class declares: a step, a signal, a sleep, a subflow.

    Attributes:
        name: Its name in the workflow.
        options: What it was given, checked.
        problems: What is wrong with that; reported when the class is compiled.
        compensation: How it is undone; None if it is not.
        attribute: What the class calls it; empty if it belongs to none.
        owner: The class in whose body it stands; None if there is none.
        is_static: Whether it has no use for an instance.
        is_compiled: Whether a workflow was made with it: from then on it must not change.
    """

    is_static = True

    def __init__(self, name: str, options: StepOptions, problems: tuple[Problem, ...] = ()) -> None:
        self.options = options
        self.problems = problems
        self.compensation: Compensation | None = None
        self.attribute = ""
        self.owner: type | None = None
        self.is_compiled = False
        self.name = options.name or name

    def __set_name__(self, owner: type, attribute: str) -> None:
        # The first class that has it is its owner; another one may have it under a second name.
        if self.owner is None:
            self.owner, self.attribute = owner, attribute
            self.name = self.options.name or attribute

    def copy(self) -> "Declared[T_co]":
        """The same once more, for another place."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: the step with what it waits for, and what waits for it, once that is known."""
        dag = vars(self.owner).get(DAG_ATTRIBUTE) if self.owner is not None else None
        if not isinstance(dag, Dag) or self.name not in dag.nodes:
            return {"text/plain": repr(self)}
        from . import drawing  # Only wanted by who looks.

        return drawing.mimebundle(dag.around(self))


class Step(Declared[T_co], Generic[S, P, R, T_co]):
    """
    A step as it was written: what `@step` gives, and `Fulfilment.charge` is.

    Called, it runs the body and nothing else.

    Attributes:
        function: The body.
    """

    def __init__(
        self,
        function: "Callable[..., R] | staticmethod[..., R]",
        options: StepOptions,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self.is_static = isinstance(function, staticmethod)
        self.function: Callable[..., R] = function.__func__ if isinstance(function, staticmethod) else function
        super().__init__(str(getattr(self.function, "__name__", "")), options, problems)
        # What tools look for in a function.
        self.__name__ = self.name
        self.__qualname__ = getattr(self.function, "__qualname__", self.name)
        self.__module__ = str(getattr(self.function, "__module__", __name__))
        self.__wrapped__ = self.function
        self.__doc__: str | None = self.function.__doc__
        if getattr(function, "__isabstractmethod__", False):
            self.__isabstractmethod__ = True

    def __set_name__(self, owner: type, attribute: str) -> None:
        if self.owner is None:
            super().__set_name__(owner, attribute)
            self.__name__, self.__qualname__ = attribute, f"{owner.__qualname__}.{attribute}"

    def with_function(self, function: Any) -> "Step[Any, ..., Any, Any]":
        """The same step with another body, for a class that overrides it."""
        return type(self)(function, self.options, self.problems)

    def copy(self) -> "Step[S, P, R, T_co]":
        again = type(self)(self.function, self.options, self.problems)
        again.compensation = self.compensation
        return again

    def __repr__(self) -> str:
        return f"<Step {self.__qualname__}>"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, R]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else BoundStep(self, instance)

    @overload
    def __call__(self: "Step[Free, P, R, Any]", /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, instance: S, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.call(args, kwargs, None)

    # A method fits what is said of functions, too: the first that fits is meant.
    @overload
    def compensate(
        self: "Step[Free, P, R, T]", function: Callable[Concatenate[T, Q], C], /
    ) -> Callable[Concatenate[T, Q], C]: ...
    @overload
    def compensate(self, function: Callable[Concatenate[S, T_co, Q], C], /) -> Callable[Concatenate[S, T_co, Q], C]: ...
    @overload
    def compensate(self, function: Callable[[S], C], /) -> Callable[[S], C]: ...
    @overload
    def compensate(self, function: UndoneByKey[S, C], /) -> Callable[Concatenate[S, ...], C]: ...
    @overload
    def compensate(
        self,
        /,
        *,
        retries: int | Retry = ...,
        timeout: Duration | None = ...,
        total_timeout: Duration | None = ...,
        queue: str | Queue | None = ...,
        mutex: str | Mutex | Callable[[Any], str] | None = ...,
    ) -> "CompensationDecorator[S, T_co]": ...
    def compensate(self, function: Any = None, /, **options: Any) -> Any:
        """
        Declare how this step is undone: `@charge.compensate`, or `@charge.compensate(retries=3, timeout="10s")`.

        When the run fails or is cancelled it is called with what the step returned, or None if it cannot be known:
        for each step whose effect may have happened, the one that ended last first. What is decorated stays as it is.

        Args:
            retries: How often to try again: a number, or a `Retry`.
            timeout, total_timeout: The limits of one attempt, and of all together: durations.
            queue, mutex: As of `@step`; those of the step do not count for undoing it.

        Raises:
            DefinitionError: the step belongs to a workflow that is compiled already.
        """
        if self.is_compiled:
            message = f"{self.__qualname__} is compiled already: how it is undone stands below it, before it is used"
            hint = f"In a class that inherits it, override {self.name!r} and declare how that one is undone."
            raise DefinitionError(self.name, [Problem("bad-compensation", self.name, message, hint=hint)])
        if function is None:
            return CompensationDecorator(self, options)
        return self._compensated_by(function, options)

    def _compensated_by(self, function: Any, options: Mapping[str, Any]) -> Any:
        checked, problems = compensation_options(options)
        if self.compensation is not None:
            problems = (*problems, Problem("bad-compensation", "", "stands here a second time", hint="Keep one."))
        self.compensation = Compensation(function, checked, problems)
        return function

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature of the body, `self` included."""
        return inspect.signature(self.function)

    def takes_self_of(self, instance: object) -> bool:
        """Whether the body is called with this instance first: those of `make_workflow` are not."""
        node = self.node_in(instance)
        if node is not None:
            return node.takes_self
        return not self.is_static and takes_self(self.function, list(self.signature.parameters.values()))

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object], instance: object) -> R:
        """
        Run the body with these arguments.

        Args:
            instance: The workflow it is called on, if there is one: it knows where a run would take values from.

        Raises:
            MissingArgumentError: an argument is missing that a run would have filled in.
        """
        _warn_of_a_call_in_a_step(self.name)
        try:
            bound = self.signature.bind_partial(*args, **kwargs)
        except TypeError:
            # Python's own error for the call is the better one: it names the function.
            return self.function(*args, **kwargs)
        missing = [
            each.name
            for each in self.signature.parameters.values()
            if each.name not in bound.arguments and _must_be_given(each)
        ]
        if missing:
            raise self._missing_argument(missing, instance)
        return self.function(*args, **kwargs)

    def _missing_argument(self, missing: list[str], instance: object) -> MissingArgumentError:
        owner = f"{type(instance).__name__}." if instance is not None else ""
        source = self._origin(missing[0], instance)
        return MissingArgumentError(f"{owner}{self.name}", missing[0], source, [f"{name}=..." for name in missing])

    def node_in(self, instance: object) -> Node | None:
        """This step in the graph of a workflow instance; None if it is not there, or not compiled yet."""
        dag = getattr(type(instance), DAG_ATTRIBUTE, None)
        return dag.nodes.get(self.name) if isinstance(dag, Dag) else None

    def _origin(self, parameter: str, instance: object) -> str:
        node = self.node_in(instance)
        for argument in node.arguments if node is not None else ():
            if argument.parameter == parameter:
                match argument.binding:
                    case FromEach(name):
                        return f"one item of the output of step {name!r}"
                    case FromAll(name):
                        return f"the results of all items of step {name!r}"
                    case FromChild(name, output):
                        return f"the output of step {output!r} of the run that {name!r} starts"
                    case FromStep(names):
                        return f"the output of step {' | '.join(names)!r}"
                    case FromInput(name):
                        return f"the input {name!r}"
                    case _:
                        return "its StepContext"
        given = self.signature.parameters.get(parameter)
        source = given.default if given is not None else None
        return f"the output of step {source.ref.name!r}" if isinstance(source, Source) else ""


def _must_be_given(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return False
    return parameter.default is parameter.empty or isinstance(parameter.default, Source)


class CompensationDecorator(Generic[S, T_co]):
    """What `@charge.compensate(...)` with options gives: it takes the function below it."""

    def __init__(self, step: Step[S, ..., Any, T_co], options: Mapping[str, Any]) -> None:
        self._step = step
        self._options = options

    # As above.
    @overload
    def __call__(
        self: "CompensationDecorator[Free, T]", function: Callable[Concatenate[T, Q], C], /
    ) -> Callable[Concatenate[T, Q], C]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, T_co, Q], C], /) -> Callable[Concatenate[S, T_co, Q], C]: ...
    @overload
    def __call__(self, function: Callable[[S], C], /) -> Callable[[S], C]: ...
    @overload
    def __call__(self, function: UndoneByKey[S, C], /) -> Callable[Concatenate[S, ...], C]: ...
    def __call__(self, function: Any, /) -> Any:
        return self._step._compensated_by(function, self._options)


def _warn_of_a_call_in_a_step(called: str) -> None:
    """What a body calls directly is no step of its run: it is lost with the body, and tried again with it."""
    context = running()
    # A step that overrides another one may well call that.
    if context is None or context.step == called:
        return
    text = (
        f"step {context.step!r} calls step {called!r}: its body runs, but as a plain function, without a checkpoint or "
        f"retries of its own. Take its output as a parameter (x = {called}.result), "
        "or let both call a function that is no step"
    )
    # Above are this function, Step.call, and what calls that.
    warnings.warn(text, OrchwfWarning, stacklevel=4)


class BoundStep(Generic[R]):
    """A step of one workflow instance: `Fulfilment(order_id="A1").charge`. Called, it runs the body."""

    def __init__(self, step: Step[Any, Any, R, Any], instance: object) -> None:
        self.__wrapped__ = step.function
        self.__self__ = instance
        self.__name__, self.__qualname__ = step.__name__, step.__qualname__
        self.step = step

    @property
    def __signature__(self) -> inspect.Signature:
        signature = self.step.signature
        return signature.replace(
            parameters=list(signature.parameters.values())[self.step.takes_self_of(self.__self__) :]
        )

    def __repr__(self) -> str:
        return f"<bound {self.step!r} of {self.__self__!r}>"

    def __call__(self, *args: object, **kwargs: object) -> R:
        first = (self.__self__,) if self.step.takes_self_of(self.__self__) else ()
        return self.step.call((*first, *args), kwargs, self.__self__)


def make_step(
    function: Any, given: Mapping[str, object], frame: types.FrameType | None = None
) -> Step[Any, ..., Any, Any]:
    """
    A step of this function.

    Args:
        given: The options as they were given.
        frame: Where it is made: if that is the body of a class, the class remembers it, since a second step of the
            same name would replace it there without a trace.
    """
    step: Step[Any, ..., Any, Any]
    if isinstance(function, Step):
        problem = Problem("not-a-function", "", "is a step already", hint="Decorate it once.")
        step = Step(function.function, function.options, (*function.problems, problem))
    else:
        step = Step(function, *step_options(given))
    remember(step, frame)
    return step


def remember(declared: Declared[Any], frame: types.FrameType | None) -> None:
    """Note, in the body of a class, what was declared there."""
    if frame is not None and _is_class_body(frame):
        frame.f_locals.setdefault(CREATED, []).append(declared)


def _is_class_body(frame: types.FrameType) -> bool:
    # Of a function all local names would be copied to tell.
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return False
    names = frame.f_locals
    return names is not frame.f_globals and "__module__" in names and "__qualname__" in names
