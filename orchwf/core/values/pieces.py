"""
Large values, piece by piece.

A call of Python's JSON module is one step for all threads: while it writes or reads some megabytes, the event loop
stands still, whichever thread it runs on. So no call is given more than a piece, or it calls back now and then.
"""

import json as jsonlib
from collections import deque
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any

from .arrays import ARRAY_MODULES, array_leaf
from .form import Json
from .shapes import dumps

LARGE = 200_000
"""How long a text is (characters) that is not read in one go."""

_MOST = 2_000
"""How many values, or hundreds of characters, are written in one go."""

_AT_ONCE = 500
"""How many items are looked at together."""


_SMALL = frozenset({int, float, bool, NoneType})


def is_large(value: object) -> bool:
    """Whether writing this value may take longer than some tenths of a millisecond. Looks at a part of it only."""
    if type(value) in _SMALL:
        return False
    left = _MOST
    waiting: list[Any] = [value]
    while waiting and left > 0:
        each = waiting.pop()
        cls = type(each)
        if cls is dict:
            inner = each.values()
        elif isinstance(each, str | bytes | bytearray):
            left -= len(each) // 100
            continue
        elif cls.__module__ in ARRAY_MODULES and array_leaf(cls) is not None:
            return True
        else:
            inner = _inside(each)
        left -= len(inner)
        if left > 0:
            waiting += [
                item for item in inner if type(item) not in _SMALL and (type(item) is not str or len(item) > 100)
            ]
    return left <= 0


def _inside(value: object) -> Any:
    """The values of which this one is made, as far as that is known without asking it."""
    if isinstance(value, list | tuple | set | frozenset | deque):
        return value
    if isinstance(value, dict):
        # Also of a class derived from it.
        return value.values()
    slots = getattr(type(value), "__slots__", ())
    named = [getattr(value, name, None) for name in slots] if isinstance(slots, tuple | list) else []
    return [*named, *getattr(value, "__dict__", {}).values()]


def dumps_in_pieces(json: Json) -> str:
    """What `dumps` gives."""
    if type(json) is list and is_large(json):
        return f"[{','.join(_items(json))}]"
    if type(json) is dict and is_large(json):
        return "{" + ",".join([f"{dumps(key)}:{dumps_in_pieces(value)}" for key, value in json.items()]) + "}"
    return dumps(json)


def _items(json: list[Json]) -> Iterator[str]:
    for start in range(0, len(json), _AT_ONCE):
        piece = json[start : start + _AT_ONCE]
        if is_large(piece):
            yield from map(dumps_in_pieces, piece)
        else:
            yield dumps(piece)[1:-1]


def loads_in_pieces(text: str, refuse_constant: Callable[[str], Any]) -> Json:
    """What `json.loads` gives; of a long text it is asked to call back for each number and object."""
    if len(text) < LARGE:
        return jsonlib.loads(text, parse_constant=refuse_constant)
    return jsonlib.loads(text, parse_constant=refuse_constant, parse_int=_int, parse_float=_float, object_hook=_same)


# Written in Python, where other threads may take over.


def _int(text: str) -> int:
    return int(text)


def _float(text: str) -> float:
    return float(text)


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value
