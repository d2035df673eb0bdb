"""The inputs of a workflow: annotated attributes of a class, made the fields of a frozen attrs class."""

import inspect
import keyword
import sys
from collections.abc import Mapping
from typing import Any

import attrs

from .core.definition import UNKNOWN, Input
from .core.references import Ref
from .errors import Problem
from .introspection import class_names, resolve_annotation

_RESERVED = ("self",)


def make_fields(cls: type, location: str) -> list[Problem]:
    """Make this class a frozen, keyword-only attrs class, in place; what keeps it from being one is returned."""
    problems = _check_fields(cls, location)
    if problems:
        return problems
    try:
        attrs.define(cls, slots=False, frozen=True, kw_only=True, auto_attribs=True, field_transformer=_with_own_names)
    except attrs.exceptions.UnannotatedAttributeError as error:
        hint = "Annotate every input: the annotation is how it is stored and checked."
        return [Problem("bad-option", "", f"an input has no type: {error}", location, hint)]
    except (TypeError, ValueError, SyntaxError) as error:
        return [Problem("bad-option", "", f"attrs cannot make the inputs of {cls.__name__}: {error}", location)]
    return []


def _with_own_names(cls: type, fields: "list[attrs.Attribute[Any]]") -> "list[attrs.Attribute[Any]]":
    # attrs drops leading underscores from the names of arguments, which type checkers do not know of us.
    own = inspect.get_annotations(cls)
    return [field.evolve(alias=field.name) if field.name in own else field for field in fields]


def _check_fields(cls: type, location: str) -> list[Problem]:
    problems = []
    for name in inspect.get_annotations(cls):
        value = vars(cls).get(name)
        if isinstance(value, Ref):
            message, hint = f"{name!r} is both an input and a step of {cls.__name__}", "Drop its annotation."
            problems.append(Problem("duplicate-name", name, message, location, hint))
        elif name in _RESERVED or keyword.iskeyword(name) or (name.startswith("__") and name.endswith("__")):
            message = f"{name!r} cannot be the name of an input: Python needs it itself"
            problems.append(Problem("reserved-name", "", message, location, f"For example: {name.strip('_')}_"))
        elif not name.isidentifier():
            message = f"{name!r} cannot be the name of an input: it is given as a keyword"
            problems.append(Problem("bad-option", "", message, location, "Take a Python identifier."))
        elif getattr(type(value), "__hash__", None) is None:
            # What is mutable would be shared by all runs; that a value cannot be hashed tells.
            problems.append(_mutable(cls, name, value, location))
    return problems


def _mutable(cls: type, name: str, value: object, location: str) -> Problem:
    kind = type(value).__name__
    factory = kind if isinstance(value, list | dict | set) and not value else f"lambda: {value!r}"
    message = f"the default of input {name!r} of {cls.__name__} is a {kind}, which all runs would share"
    return Problem("bad-option", "", message, location, f"Make one for each:  attrs.field(factory={factory})")


def inputs_of(cls: type, known: Mapping[str, object]) -> tuple[list[Input], list[str]]:
    """
    The inputs of an attrs class, inherited ones first, and the names of those whose types cannot be resolved.

    Args:
        known: What names in annotations may mean besides what the modules of the classes know.
    """
    inputs: list[Input] = []
    unresolved: list[str] = []
    for field in attrs.fields(cls):
        if not field.init:
            continue
        kind, reason = _type_of(cls, field, known)
        if reason:
            unresolved.append(f"{field.name!r} ({reason})")
        is_required = field.default is attrs.NOTHING
        shown = None if is_required or isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
        inputs.append(Input(field.alias or field.name, kind, is_required, shown))
    return inputs, unresolved


def _type_of(cls: type, field: "attrs.Attribute[Any]", known: Mapping[str, object]) -> tuple[Any, str]:
    if field.type is None:
        return UNKNOWN, ""
    owner = next((base for base in cls.__mro__ if field.name in inspect.get_annotations(base)), cls)
    module = sys.modules.get(owner.__module__)
    # What is known where the class is decorated helps where its module cannot be found, as of a file run by itself.
    names = {**known, **(vars(module) if module else {}), **class_names(owner)}
    return resolve_annotation(field.type, {}, names)
