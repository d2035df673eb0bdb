"""What can be the body of a step, and what is refused with a reason."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from orchwf import DefinitionError, compile_workflow, make_workflow, step, workflow
from orchwf.core.definition import UNKNOWN, FromStep, Node, Several


def node_of(function: Any, **options: Any) -> Node:
    """The node of a step that a class has under the name `it`."""
    namespace = {"__module__": __name__, "source": step(lambda self: 1), "it": step(**options)(function)}
    return compile_workflow(workflow(type("W", (), namespace))).nodes["it"]


def problem_of(function: Any) -> tuple[str, str, str]:
    """Code, message and hint of the one problem of this step."""
    with pytest.raises(DefinitionError) as caught:
        node_of(function)
    (problem,) = caught.value.problems
    return problem.code, problem.message, problem.hint


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that keeps the face of what it wraps."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Loader:
    """An object that can be called."""

    def __call__(self, source: int) -> str:
        return f"loaded {source}"


class AsyncLoader:
    """An object whose call is a coroutine."""

    async def __call__(self, source: int) -> str:
        return f"loaded {source}"


def test_wrapped_function_is_read_through():
    """`functools.wraps` keeps signature, place and types."""

    @logged
    def it(self, source: int) -> str:
        return str(source)

    node = node_of(it)

    assert (node.takes_self, node.is_async, node.returns) == (True, False, str)
    assert node.arguments[0].binding == FromStep(("source",))
    assert node.location.endswith(f":{it.__wrapped__.__code__.co_firstlineno}")  # type: ignore[attr-defined]


def test_wrapped_with_positional_arguments_only():
    """A wrapper that does not say what it wraps takes self and the rest as it comes."""

    def it(*args: Any, **kwargs: Any) -> int:
        return len(args) + len(kwargs)

    node = node_of(it, depends_on="source")

    assert node.takes_self is True
    assert [argument.parameter for argument in node.arguments] == ["kwargs"]


def test_callable_object():
    """It is called without self, as Python calls it when it is an attribute."""
    node = node_of(Loader())

    assert (node.takes_self, node.is_async, node.returns) == (False, False, str)
    assert [argument.parameter for argument in node.arguments] == ["source"]


def test_callable_object_with_an_async_call():
    """Its call gives a coroutine, which must be awaited."""
    assert node_of(AsyncLoader()).is_async is True


def test_bound_method():
    """It has its self already."""
    node = node_of(Loader().__call__)

    assert node.takes_self is False
    assert [argument.parameter for argument in node.arguments] == ["source"]


def test_partial():
    """A partial takes self only if its first parameter says so; one of a coroutine function is async."""

    async def load(path: str, source: int) -> int:
        return source

    def method(self, source: int, factor: int) -> int:
        return source * factor

    free, bound = node_of(functools.partial(load, "x")), node_of(functools.partial(method, factor=2))

    assert (free.takes_self, free.is_async, free.returns) == (False, True, int)
    assert (bound.takes_self, bound.is_async) == (True, False)
    assert free.location.endswith(f":{load.__code__.co_firstlineno}")


def test_partial_is_called_with_self_where_it_takes_it():
    """A direct call on an instance does what a run does."""

    @workflow
    class W:
        n: int
        twice = step(functools.partial(lambda self, x, factor: self.n * x * factor, factor=2, x=1))
        free = step(functools.partial(lambda x: x + 1, x=1))

    assert (W(n=3).twice(), W(n=3).free()) == (6, 2)


def test_lambda_and_builtin_with_a_name():
    """A lambda takes its name from the class; a builtin with a signature works."""

    @workflow
    class W:
        values = step(lambda self: [1, 2])
        total = step(sum, depends_on={"iterable": values.result})

    nodes = compile_workflow(W).nodes

    assert list(nodes) == ["values", "total"]
    assert nodes["total"].takes_self is False
    assert nodes["total"].arguments[0].positional_only is True


def test_cached_function():
    """What `functools.cache` makes is bound like a function."""

    @functools.cache
    def it(self, source: int) -> int:
        return source

    assert node_of(it).takes_self is True


def test_contextmanager_is_an_ordinary_function():
    """It wraps a generator, but what it gives is an object."""

    @contextlib.contextmanager
    def it(self) -> Iterator[int]:
        yield 1

    assert node_of(it).is_async is False


def test_plain_function_that_says_it_gives_a_coroutine():
    """By its annotation it is async, and the type of its output is what the coroutine gives."""

    def it(self) -> Coroutine[Any, Any, int]:
        return asyncio.sleep(0, 1)

    def other(self) -> Awaitable[str]:
        raise NotImplementedError

    assert (node_of(it).is_async, node_of(it).returns) == (True, int)
    assert (node_of(other).is_async, node_of(other).returns) == (True, str)


def test_module_level_function_becomes_a_method():
    """A function decorated elsewhere and assigned in a class takes self."""

    @step
    def outside(self) -> int:
        return int(self.n)

    @workflow
    class W:
        n: int
        inside = outside

    assert compile_workflow(W).nodes["inside"].takes_self is True
    assert W(n=4).inside() == 4


@pytest.mark.parametrize("kind", ["generator", "async generator", "call", "partial"])
def test_generators_give_lists_of_items(kind: str):
    """What it yields are its items; read as a whole it gives the list of them."""

    def generator(self) -> Iterator[int]:
        yield 1

    async def async_generator(self) -> AsyncIterator[int]:
        yield 1

    class Items:
        def __call__(self) -> Iterator[int]:
            yield 1

    function = {
        "generator": generator,
        "async generator": async_generator,
        "call": Items(),
        "partial": functools.partial(generator, None),
    }[kind]

    node = node_of(function)

    assert Several.STREAM is node.several
    assert (kind == "async generator", list[int]) == (node.is_async, node.returns)


@workflow
class Child:
    """A workflow that is used as a step."""

    @step
    def a(self) -> None: ...


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (property(lambda self: 1), "step 'it' is a property, not a function"),
        (classmethod(lambda cls: 1), "step 'it' is a class method, and there is an instance to call it on"),
        (functools.partialmethod(print), "step 'it' is a partialmethod, not a function"),
        (functools.cached_property(lambda self: 1), "step 'it' is a cached_property, not a function"),
        (Loader, "step 'it' is a class, not a function"),
        (Child, "step 'it' is a workflow, not a function"),
        (3, "step 'it' is int, not a function"),
        (lambda: 1, "step 'it' takes no self"),
        (lambda *, self: 1, "step 'it' takes no self"),
        (min, "step 'it' has no signature that Python knows"),
        (step(lambda self: 1), "step 'it': is a step already"),
    ],
)
def test_other_things_are_refused(thing: Any, message: str):
    """Each with a reason and a way out."""
    code, told, hint = problem_of(thing)

    assert (code, told) == ("not-a-function", message)
    assert hint != ""


def test_override_that_is_no_function():
    """A step cannot be overridden by a value."""

    class Base:
        @step
        def load(self) -> int:
            return 1

    with pytest.raises(DefinitionError, match="step 'load' is NoneType, not a function"):

        @workflow
        class W(Base):
            load = None  # type: ignore[assignment]


def test_no_name():
    """In a sequence a lambda, a partial and an object have no name to go by."""
    with pytest.raises(DefinitionError) as caught:
        make_workflow("W", [lambda: 1, functools.partial(print), Loader()])

    assert [problem.node for problem in caught.value.problems][:3] == ["<function>", "<partial>", "<Loader>"]
    assert {problem.message.partition(": ")[2] for problem in caught.value.problems[:2]} == {"its function has no name"}
    assert caught.value.problems[0].code == "not-a-function"


def test_unannotated():
    """Without annotations nothing is known of the types."""
    assert node_of(lambda self: 1).returns is UNKNOWN


def test_type_variables_are_known():
    """A generic function compiles; what it gives is open."""
    namespace: dict[str, Any] = {}
    code = "from typing import TypeVar\nT = TypeVar('T')\ndef it(self, source: T) -> list[T]:\n    return [source]\n"
    exec(code, namespace)

    assert str(node_of(namespace["it"]).returns) == "list[~T]"
