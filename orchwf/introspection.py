"""Reads functions and classes: what they take and give, where they are, what they say of themselves."""

import builtins
import collections.abc
import functools
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from .context import StepContext
from .core.definition import UNKNOWN
from .core.drafts import Body, Parameter
from .core.references import MISSING, Ref
from .digest import code_digest
from .errors import Problem

PROGRAM = "__orchwf_program__"
"""A module that has this name was loaded from its file, as a program is: it cannot be counted on to be importable."""

Namespace = Mapping[str, object]
"""name -> what it stands for"""


class Reader:
    """
    Reads the bodies of the steps of one class; one that is shared is read once.

    Args:
        cls: The class; None for functions that belong to none.
        extra: What names in annotations may mean besides what module and class know.
    """

    def __init__(self, cls: type | None, extra: Namespace | None = None) -> None:
        self._class = cls
        self._names = {**(extra or {}), **(class_names(cls) if cls is not None else {})}
        self._bodies: dict[tuple[int, bool], Body] = {}

    def body(self, function: Callable[..., object], *, is_method: bool) -> Body:
        """
        What there is to know of a function.

        Args:
            is_method: Whether it is called with the workflow's instance first, if it can be.
        """
        key = (id(function), is_method)
        if key not in self._bodies:
            self._bodies[key] = self._read(function, is_method)
        return self._bodies[key]

    def _read(self, function: Callable[..., object], is_method: bool) -> Body:
        location = location_of(function)
        reason = why_not_a_step(function)
        if reason is not None:
            return _refused(function, location, *reason)
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return _refused(function, location, "has no signature that Python knows", "Wrap it in a function.")
        parameters = list(signature.parameters.values())
        has_self = is_method and takes_self(function, parameters)
        if has_self and not _has_place_for_self(parameters):
            return _refused(function, location, "takes no self", _GIVE_SELF)
        if has_self and (other := self._not_self(function, parameters[0])):
            return _refused(function, location, f"takes no self, but {other} first", _GIVE_SELF)
        named = parameters[1:] if has_self and not _is_variadic(parameters[0]) else parameters
        hints = Hints(function, self._names)
        read = tuple(_parameter(each, hints) for each in named if not _is_variadic(each))
        returns = hints.resolve("return", signature.return_annotation)
        is_async, is_stream = gives_coroutine(function), is_generator(function)
        if is_stream:
            is_async, returns = inspect.isasyncgenfunction(_called(function)), _list_of_items(returns)
        if typing.get_origin(returns) in (collections.abc.Coroutine, collections.abc.Awaitable):
            is_async, returns = True, typing.get_args(returns)[-1]
        return Body(
            function=function,
            takes_self=has_self,
            is_async=is_async,
            is_stream=is_stream,
            parameters=read,
            gathers=next((each.name for each in named if each.kind is each.VAR_KEYWORD), ""),
            returns=returns,
            description=inspect.getdoc(function) or "" if not isinstance(function, functools.partial) else "",
            location=location,
            digest=functools.cache(functools.partial(code_digest, function, self._class)),
            unresolved=tuple(hints.unresolved.items()),
            mutable=tuple(each.name for each in read if isinstance(each.default, list | dict | set | bytearray)),
        )

    def _not_self(self, function: Callable[..., object], first: inspect.Parameter) -> str:
        """What the first parameter of a method is, if it cannot be meant for the instance; else empty."""
        if first.name == "self" or _is_variadic(first):
            return ""
        annotation = Hints(function, self._names).resolve(first.name, first.annotation)
        kind = typing.get_origin(annotation) or annotation
        is_plain = isinstance(kind, type) and kind.__module__ == "builtins" and kind is not object
        is_known = self._class is not None and first.name in {
            *vars(self._class), *vars(self._class).get("__annotations__", {})
        }  # fmt: skip
        return repr(first.name) if is_plain or is_known or first.default is not first.empty else ""


_GIVE_SELF = "Give it self, or decorate it with @staticmethod."


def _refused(function: Callable[..., object], location: str, reason: str, hint: str) -> Body:
    problem = Problem("not-a-function", "", reason, location, hint)
    return Body(function=function, location=location, problems=(problem,))


def _is_variadic(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def takes_self(function: Callable[..., object], parameters: list[inspect.Parameter]) -> bool:
    """Whether a callable with these parameters is called with the instance of the class it is in."""
    # What Python binds to an instance when it is read from one is a method; other callables are if they say so.
    is_bound_by_python = hasattr(type(function), "__get__") and not isinstance(function, types.BuiltinFunctionType)
    if isinstance(function, functools.partial | types.MethodType):
        # The one is bound by Python from 3.14 on only, the other is bound already.
        is_bound_by_python = False
    return is_bound_by_python or (bool(parameters) and parameters[0].name == "self")


def _has_place_for_self(parameters: list[inspect.Parameter]) -> bool:
    if not parameters:
        return False
    first = parameters[0]
    return first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD, first.VAR_POSITIONAL)


def _parameter(parameter: inspect.Parameter, hints: "Hints") -> Parameter:
    annotation = hints.resolve(parameter.name, parameter.annotation)
    takes_context = _names_context(annotation) or (
        annotation is UNKNOWN and isinstance(parameter.annotation, str) and _is_context_text(parameter.annotation)
    )
    if takes_context:
        hints.unresolved.pop(parameter.name, None)
    return Parameter(
        name=parameter.name,
        default=MISSING if parameter.default is parameter.empty else parameter.default,
        type=annotation,
        takes_context=takes_context,
        is_positional_only=parameter.kind is parameter.POSITIONAL_ONLY,
    )


def _names_context(annotation: object) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, StepContext) if not typing.get_args(annotation) else False
    return any(map(_names_context, typing.get_args(annotation)))


def _is_context_text(annotation: str) -> bool:
    # Imported for type checkers only, it cannot be resolved; its name is clear enough.
    return annotation.split("|")[0].strip().rpartition(".")[2] == StepContext.__name__


def why_not_a_step(function: object) -> tuple[str, str] | None:
    """Why something cannot be the body of a step, and the way out; None if it can."""
    match function:
        case type():
            if hasattr(function, "__orchwf_dag__"):
                return "is a workflow, not a function", "Return an instance of it from a method with @subflow."
            return "is a class, not a function", "Decorate a method, or a function that makes the instance."
        case property():
            return "is a property, not a function", "Drop @property: in a run its value comes as an output."
        case classmethod():
            return "is a class method, and there is an instance to call it on", "Drop @classmethod and take self."
        case functools.partialmethod() | functools.cached_property():
            return f"is a {type(function).__name__}, not a function", "Wrap it in a function."
    if not callable(function):
        return f"is {type(function).__name__}, not a function", "Decorate a function."
    return None


def _called(function: Any) -> Any:
    """The function that runs when something is called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004  It is looked up as Python does when it calls.


def is_generator(function: Callable[..., object]) -> bool:
    """Whether calling it gives a generator, plain or asynchronous."""
    called = _called(function)
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def _list_of_items(annotation: Any) -> Any:
    """The list of what a generator with this annotation gives."""
    arguments = typing.get_args(annotation)
    return list[arguments[0]] if arguments else UNKNOWN  # type: ignore[valid-type]


def gives_coroutine(function: Callable[..., object]) -> bool:
    """Whether calling it gives a coroutine: also of partials, objects with an async `__call__`, and plain wrappers."""
    called = _called(function)
    return any(map(inspect.iscoroutinefunction, (function, called, inspect.unwrap(called))))


class Hints:
    """The annotations of one function, each resolved by itself: one that fails leaves the others."""

    def __init__(self, function: object, names: Namespace) -> None:
        inner = inspect.unwrap(_called(function))
        self._globals: dict[str, Any] = getattr(inner, "__globals__", {})
        parameters = {each.__name__: each for each in getattr(inner, "__type_params__", ())}
        self._names = {**names, **closure_names(inner), **parameters}
        self.unresolved: dict[str, str] = {}

    def resolve(self, name: str, annotation: object) -> Any:
        """The type that is meant, with its `Annotated`; UNKNOWN if there is none or it cannot be resolved."""
        if annotation is inspect.Parameter.empty:
            return UNKNOWN
        if type(annotation) is type:
            return annotation
        found, reason = resolve_annotation(annotation, self._globals, self._names)
        if reason:
            self.unresolved[name] = reason
        return found


def resolve_annotation(annotation: object, module: dict[str, Any], names: Namespace) -> tuple[Any, str]:
    """A type from what was written, and why it cannot be resolved, or an empty text."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, module, dict(names), include_extras=True)["it"], ""
    except Exception as error:  # An annotation is any expression, so evaluating it may raise anything.
        return UNKNOWN, f"{type(error).__name__}: {error}"


def closure_names(function: object) -> dict[str, object]:
    """What the free variables of a function stand for now."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    names: dict[str, object] = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # It is not bound yet.
            continue
    return names


def class_names(cls: type) -> dict[str, object]:
    """
    What the body of a class adds to the names in its annotations.

    Inputs and steps are left out: in `date: date` and beside a step called `list` the type is meant.
    """
    names: dict[str, object] = {}
    for base in reversed(cls.__mro__[:-1]):
        inputs = inspect.get_annotations(base)
        names |= {
            name: value
            for name, value in vars(base).items()
            if name not in inputs and not isinstance(value, Ref | types.FunctionType | staticmethod | property)
        }
        names[base.__name__] = base
    return names


def frame_names(frame: types.FrameType | None) -> dict[str, object]:
    """The local names of the function in which a class is being defined; none at the top of a module."""
    if frame is None or frame.f_locals is frame.f_globals or "__module__" in frame.f_locals:
        return {}
    return {name: value for name, value in frame.f_locals.items() if not hasattr(builtins, name)}


def location_of(thing: object) -> str:
    """Where a function or a class is written, as `file:line`; empty if that is not known."""
    if isinstance(thing, type):
        return _class_location(thing)
    inner = inspect.unwrap(_called(thing)) if callable(thing) else getattr(thing, "__func__", thing)
    if isinstance(thing, property):
        inner = thing.fget
    code = getattr(inner, "__code__", None)
    return place(code.co_filename, code.co_firstlineno) if code is not None else ""


def _class_location(cls: type) -> str:
    module = sys.modules.get(cls.__module__)
    filename = getattr(module, "__file__", None) or ""
    if "__firstlineno__" in vars(cls) and filename:  # Python 3.13 and later.
        return place(filename, vars(cls)["__firstlineno__"])
    # Finding its source means parsing the file; the first of its functions is near enough.
    for value in vars(cls).values():
        inner = getattr(value, "function", value)
        code = getattr(inspect.unwrap(inner) if callable(inner) else inner, "__code__", None)
        if code is not None and getattr(inner, "__module__", "") == cls.__module__:
            return place(code.co_filename, code.co_firstlineno)
    return shown_path(filename)


def place(filename: str, line: int, *, full: bool = False) -> str:
    """`file:line`, or `cell In[7], line 3` in a notebook. `full` keeps the path as it is."""
    cell = _notebook_cell(filename)
    return f"{cell}, line {line}" if cell else f"{filename if full else shown_path(filename)}:{line}"


def _notebook_cell(filename: str) -> str:
    if "IPython" not in sys.modules or not ("ipykernel_" in filename or filename.startswith("<ipython-input-")):
        return ""
    shell = getattr(sys.modules["IPython"], "get_ipython", lambda: None)()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", lambda name: None)
    named: tuple[str, str] | None = name_of(filename)
    return f"cell {named[1]}" if named else ""


def shown_path(filename: str) -> str:
    """A path as short as it can be: relative to the working directory if it is below it."""
    if not filename or filename.startswith("<"):
        return filename
    try:
        relative = os.path.relpath(filename)
    except (OSError, ValueError):  # Another drive, or the working directory is gone.
        return filename
    return filename if relative.startswith(os.pardir) else relative


def entrypoint_of(cls: type) -> str:
    """Where a class can be imported from: `module:Class`, or `/path/file.py:Class` for a program's own file."""
    module = sys.modules.get(cls.__module__)
    if cls.__module__ != "__main__" and not hasattr(module, PROGRAM):
        return f"{cls.__module__}:{cls.__qualname__}"
    path = getattr(module, "__file__", None)
    return f"{os.path.abspath(path) if path else '__main__'}:{cls.__qualname__}"
