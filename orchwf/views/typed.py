"""From the text that a person types to a value of a type, and what such text looks like."""

import json
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from ..core.codec import Codec
from ..core.definition import UNKNOWN
from ..core.options import seconds
from ..core.values.hints import unwrapped
from ..errors import EncodingError, OrchwfError
from .samples import sample

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = ("null", "none")


def _boolean(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("it is neither true nor false") from None


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=seconds(text, "it"))
    except OrchwfError:
        raise ValueError("it is no duration") from None


_RULES: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    bool: (_boolean, "true"),
    int: (int, "3"),
    float: (float, "2.5"),
    complex: (complex, "1+2j"),
    datetime: (datetime.fromisoformat, "2026-11-02T08:30:00+00:00"),
    date: (date.fromisoformat, "2026-11-02"),
    time: (time.fromisoformat, "08:30"),
    timedelta: (_duration, "1h30m"),
    Decimal: (Decimal, "9.99"),
    UUID: (UUID, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ZoneInfo: (ZoneInfo, "Europe/Zurich"),
}
"""Type -> how its values are made of text, and what such text looks like."""

_COLLECTIONS = (list, tuple, set, frozenset)
_UNIONS = (Union, types.UnionType)
# ArithmeticError is what Decimal raises, LookupError ZoneInfo; OrchwfError the codec and our durations.
NO_VALUE = (ValueError, ArithmeticError, LookupError, TypeError, OrchwfError)
"""What `from_text` raises for text that is no value of a type."""


def example(hint: Any) -> str:
    """What a value of this type looks like on the command line."""
    hint = unwrapped(hint)
    origin = get_origin(hint)
    if origin in _UNIONS:
        return example(next(each for each in get_args(hint) if each is not types.NoneType))
    if origin is Literal:
        return str(get_args(hint)[0])
    if hint in _RULES:
        return _RULES[hint][1]
    kind = origin or hint
    if not isinstance(kind, type):
        return "value"
    if issubclass(kind, Enum):
        return next(iter(kind)).name if len(kind) else "value"
    if issubclass(kind, PurePath):
        return "path/to/file"
    if issubclass(kind, _COLLECTIONS) and not hasattr(kind, "_fields"):
        return '["a", "b"]' if str in get_args(hint) else "[1, 2]"
    if issubclass(kind, dict):
        return '{"key": 1}'
    return sample(kind) or "value"


def from_text(text: str, hint: Any, codec: Codec) -> object:
    """
    The value of this type that a person means by this text.

    Text stays text; a type of which a simple rule makes values of text does that; everything else is JSON.

    Raises:
        ValueError, ArithmeticError, LookupError, TypeError, OrchwfError: it is no such text.
    """
    hint = unwrapped(hint)
    if hint is UNKNOWN or hint in (Any, object):
        return json_or_text(text)
    if get_origin(hint) in _UNIONS:
        return _one_of(text, get_args(hint), codec)
    if get_origin(hint) is Literal:
        return _choice(text, {str(each): each for each in get_args(hint)})
    if hint is types.NoneType:
        return _choice(text.lower(), dict.fromkeys(_NOTHING))
    if hint in _RULES:
        return _RULES[hint][0](text)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(text, {str(each.value): each for each in hint} | dict(hint.__members__))
    if isinstance(hint, type) and issubclass(hint, PurePath):
        return hint(text)
    return codec.decode(text, hint)


def value_of(text: str, hint: Any, codec: Codec) -> object:
    """
    The value of this type that is meant by JSON, or by text as on the command line: that need not stand in quotes.

    Raises:
        ValueError, ArithmeticError, LookupError, TypeError, OrchwfError: it is neither.
    """
    try:
        json.loads(text)
        return codec.decode(text, hint)
    except (ValueError, EncodingError):
        pass
    return from_text(text, hint, codec)


def _choice(text: str, choices: Mapping[str, object]) -> object:
    if text not in choices:
        raise ValueError(f"it is not one of {', '.join(choices)}")
    return choices[text]


def _one_of(text: str, hints: Sequence[Any], codec: Codec) -> object:
    """The first of several types that the text fits; text, which everything fits, comes last."""
    # For an input that may be None and is no text, `none` says so.
    ranked = sorted(hints, key=lambda hint: 2 if unwrapped(hint) is str else 0 if hint is types.NoneType else 1)
    first: Exception | None = None
    for hint in ranked:
        if hint is types.NoneType and ranked[-1] is str:
            continue
        try:
            return from_text(text, hint, codec)
        except NO_VALUE as error:
            first = error if hint is not types.NoneType and first is None else first
    raise first or ValueError("nothing fits")


def json_or_text(text: str) -> object:
    """The JSON value of a text, or the text itself if it is none."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
