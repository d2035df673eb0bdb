"""Forms made of types: the fields that ask for a value of a type, and the value that was typed into them."""

import ast
import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import attrs

from ..core.codec import Codec
from ..core.dag import Dag, dag_of
from ..core.definition import UNKNOWN
from ..core.types import TypeName, describe_type
from ..core.values.hints import unwrapped
from ..errors import UsageError
from ..views import NO_VALUE, example, json_or_text, value_of

_UNIONS = (typing.Union, types.UnionType)
_NUMBERS = {int: "1", float: "any"}
_PLAIN = {"str": str, "int": int, "float": float, "bool": bool, "None": type(None)}


@attrs.frozen(kw_only=True)
class Field:
    """
    One field of a form.

    Attributes:
        name: How the form calls it.
        label: What is written beside it.
        kind: `text`, `number`, `choice`, or `long` for JSON and texts of several lines.
        type: The type of its value, for people.
        choices: What can be chosen.
        step: Of a number, `1` or `any`.
        is_required: Whether it must not be left empty.
        hint: What such a value looks like.
    """

    name: str
    label: str
    kind: str
    type: str
    choices: tuple[str, ...] = ()
    step: str = ""
    is_required: bool = True
    hint: str = ""


def known_dags(workflows: Sequence[type]) -> dict[str, Dag]:
    """Name -> definition, of these classes."""
    return {dag.name: dag for dag in map(dag_of, workflows)}


def read_type(hint: Any) -> Any:
    """A type as it is in code; of one that is known by its text alone what can be told from that."""
    if hint is None:
        return type(None)
    if hint is Any or hint is object:
        return UNKNOWN
    if not isinstance(hint, TypeName):
        return unwrapped(hint)
    text = describe_type(hint)
    if text in _PLAIN:
        return _PLAIN[text]
    if text.startswith("Literal["):
        try:
            return Literal[ast.literal_eval(f"({text[8:-1]},)")]
        except (ValueError, SyntaxError):
            return hint
    return hint


def fields_of(name: str, label: str, hint: Any, *, is_required: bool = True) -> list[Field]:
    """
    The fields that ask for a value of this type: of a class one for each of its attributes, else one.

    Args:
        name: How the form calls the value.
    """
    shape = read_type(hint)
    parts = _attributes(shape)
    if not parts:
        return [_field(name, label, shape, hint, is_required=is_required)]
    return [
        _field(f"{name}.{each}", each, read_type(kind), kind, is_required=needed and is_required)
        for each, (kind, needed) in parts.items()
    ]


def _attributes(shape: Any) -> dict[str, tuple[Any, bool]]:
    """Name -> type, and whether it has to be given, of a class whose values are records; empty for any other type."""
    if not isinstance(shape, type):
        return {}
    if attrs.has(shape):
        given = {each.name: each.default is attrs.NOTHING for each in attrs.fields(shape) if each.init}
    elif hasattr(shape, "__dataclass_fields__"):
        given = {
            each.name: each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
            for each in dataclasses.fields(shape)
            if each.init
        }
    elif hasattr(shape, "model_fields"):
        given = {name: field.is_required() for name, field in shape.model_fields.items()}
    else:
        return {}
    try:
        hints = typing.get_type_hints(shape)
    # Foreign code: an annotation may name what is not there.
    except Exception:
        return {}
    return {name: (hints.get(name, UNKNOWN), needed) for name, needed in given.items()}


def _field(name: str, label: str, shape: Any, hint: Any, *, is_required: bool) -> Field:
    told = describe_type(hint)
    if get_origin(shape) in _UNIONS and type(None) in get_args(shape):
        is_required = False
        rest = [each for each in get_args(shape) if each is not type(None)]
        shape = unwrapped(rest[0]) if len(rest) == 1 else shape
    kind = "long"
    choices: tuple[str, ...] = ()
    if get_origin(shape) is Literal:
        kind, choices = "choice", tuple(map(str, get_args(shape)))
    elif shape is bool:
        kind, choices = "choice", ("true", "false")
    elif isinstance(shape, type) and issubclass(shape, Enum):
        kind, choices = "choice", tuple(str(each.value) for each in shape)
    elif shape in _NUMBERS:
        kind = "number"
    elif shape is type(None):
        kind = "nothing"
    elif isinstance(shape, type) and example(shape)[:1] not in ("[", "{") and example(shape) != "value":
        kind = "text"
    hint_text = "" if isinstance(shape, TypeName) or shape is UNKNOWN or kind == "choice" else example(shape)
    return Field(
        name=name, label=label, kind=kind, type=told, choices=choices, step=_NUMBERS.get(shape, ""),
        is_required=is_required and shape is not str and kind != "nothing", hint=hint_text,
    )  # fmt: skip


def value_from(form: Mapping[str, str], name: str, hint: Any, codec: Codec) -> object:
    """
    The value of this type that was typed into the fields that `fields_of` gave.

    Raises:
        UsageError: it is none of this type; the message says what such a value looks like.
    """
    shape = read_type(hint)
    parts = _attributes(shape)
    try:
        if not parts:
            return _value(form.get(name, ""), shape, codec)
        texts = {each: (form.get(f"{name}.{each}", ""), kind) for each, (kind, _) in parts.items()}
        given = {each: _encoded(text, kind, codec) for each, (text, kind) in texts.items() if text or kind is str}
        pairs = (f"{json.dumps(each)}:{text}" for each, text in given.items())
        return codec.decode("{" + ",".join(pairs) + "}", shape)
    except NO_VALUE as error:
        told = str(error).partition("\n")[0].replace("what is stored", "the value")
        raise UsageError(f"{name!r} takes {describe_type(hint) or 'JSON'}: {told}") from None


def _encoded(text: str, hint: Any, codec: Codec) -> str:
    return codec.encode(_value(text, read_type(hint), codec), hint)


def _value(text: str, shape: Any, codec: Codec) -> object:
    if shape is type(None):
        return None
    if shape is str:
        return text
    if isinstance(shape, TypeName) or shape is UNKNOWN:
        # Whoever executes the run knows the type.
        return json_or_text(text) if text else None
    if not text and get_origin(shape) in _UNIONS and type(None) in get_args(shape):
        return None
    return value_of(text, shape, codec)
