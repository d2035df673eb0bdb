"""The forms of containers: arrays, and objects where every key is written as a text."""

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from .form import MAX_DEPTH, Json, Trouble, shown, too_deep, unexpected
from .leaves import are_plain
from .shapes import TAG, Shape, dumps

_TEXT = frozenset({str})


def _write_each(items: Iterable[object], shapes: Iterable[Shape], depth: int, container: object) -> list[Json]:
    if depth > MAX_DEPTH:
        raise too_deep(container)
    result: list[Json] = []
    try:
        for item, shape in zip(items, shapes, strict=False):
            result.append(shape.write(item, depth + 1))
    except Trouble as trouble:
        trouble.at(f"[{len(result)}]", container)
        raise
    return result


def _read_each(json: Json, shapes: Iterable[Shape], expected: str) -> list[Any]:
    if type(json) is not list:
        raise unexpected(expected, json)
    result: list[Any] = []
    try:
        for item, shape in zip(json, shapes, strict=False):
            result.append(shape.read(item))
    except Trouble as trouble:
        trouble.at(f"[{len(result)}]")
        raise
    return result


class Items:
    """The form of a list, tuple, set, frozenset or deque of like items: an array."""

    is_record = False

    def __init__(self, cls: type, item: Shape) -> None:
        self.cls = cls
        self.tag = cls.__name__
        self._item = item
        self._plain = item.plain
        self._is_set = issubclass(cls, set | frozenset)

    def write(self, value: Collection[object], depth: int) -> Json:
        plain = are_plain(value, self._plain)
        items = list(value) if plain else _write_each(value, repeat(self._item), depth, value)
        # Equal sets may be in different orders, and their texts are to be equal.
        return sorted(items, key=dumps) if self._is_set else items

    def read(self, json: Json) -> Any:
        if type(json) is list and set(map(type, json)) <= self._plain:
            items = json
        else:
            items = _read_each(json, repeat(self._item), self.tag)
        try:
            return items if self.cls is list else self.cls(items)
        # The items of a set are hashed and compared, maybe by code of the user.
        except Exception as error:
            raise Trouble(f"this is no {self.tag} ({type(error).__name__}: {error})") from error


class Deque:
    """The form of a deque: an array, or `{"maxlen": n, "items": array}` if it is bounded."""

    is_record = False
    cls = deque
    tag = "deque"

    def __init__(self, item: Shape) -> None:
        self._items = Items(deque, item)

    def write(self, value: "deque[object]", depth: int) -> Json:
        items = self._items.write(value, depth)
        return items if value.maxlen is None else {"maxlen": value.maxlen, "items": items}

    def read(self, json: Json) -> Any:
        if type(json) is not dict:
            return self._items.read(json)
        longest = json.get("maxlen")
        if json.keys() != {"maxlen", "items"} or type(longest) is not int or not 0 <= longest <= sys.maxsize:
            raise unexpected("a deque with maxlen and items", json)
        return deque(self._items.read(json["items"]), longest)


class Row:
    """The form of a tuple with a type for each place: an array; `{"items": array}` if it is of another length."""

    is_record = False
    cls = tuple
    tag = "tuple"

    def __init__(self, places: Sequence[Shape], other: Shape) -> None:
        self._places = places
        self._other = other

    def write(self, value: tuple[object, ...], depth: int) -> Json:
        if len(value) == len(self._places):
            return _write_each(value, self._places, depth, value)
        return {"items": _write_each(value, repeat(self._other), depth, value)}

    def read(self, json: Json) -> Any:
        if type(json) is dict and json.keys() == {"items"}:
            return tuple(_read_each(json["items"], repeat(self._other), "tuple"))
        if type(json) is list and len(json) != len(self._places):
            raise unexpected(f"a tuple of {len(self._places)}", json)
        return tuple(_read_each(json, self._places, "tuple"))


class Entries:
    """
    The form of a mapping: an object if all its keys are written as texts, else an array of pairs.

    `named` are the shapes of the values of certain keys: a TypedDict has them.
    """

    is_record = False

    def __init__(self, cls: type, key: Shape, value: Shape, named: Mapping[str, Shape] | None = None) -> None:
        self.cls = cls
        self.tag = cls.__name__
        self._key = key
        self._value = value
        self._named = named or {}

    def write(self, value: Mapping[Any, object], depth: int) -> Json:
        if depth > MAX_DEPTH:
            raise too_deep(value)
        keys = self._write_keys(value, depth)
        items = self._write_values(value, depth)
        return dict(zip(keys, items, strict=True)) if _are_names(keys) else [*map(list, zip(keys, items, strict=True))]

    def _write_keys(self, value: Mapping[Any, object], depth: int) -> list[Json]:
        if are_plain(value, _TEXT & self._key.plain):
            return list(value)
        keys: list[Json] = []
        for key in value:
            try:
                keys.append(self._key.write(key, depth + 1))
            except Trouble as trouble:
                trouble.at(f"<key {shown(key)}>", value)
                raise
        return keys

    def _write_values(self, value: Mapping[Any, object], depth: int) -> list[Json]:
        if not self._named and are_plain(value.values(), self._value.plain):
            return list(value.values())
        items: list[Json] = []
        key = None
        try:
            for key, item in value.items():
                items.append(self._shape_of(key).write(item, depth + 1))
        except Trouble as trouble:
            trouble.at(_step_to(key), value)
            raise
        return items

    def _shape_of(self, key: object) -> Shape:
        return self._named.get(key, self._value) if type(key) is str else self._value

    def read(self, json: Json) -> Any:
        if type(json) is dict:
            pairs: Iterable[Any] = json.items()
        elif type(json) is list and all(type(pair) is list and len(pair) == 2 for pair in json):
            pairs = json
        else:
            raise unexpected(self.tag, json)
        result: dict[Any, Any] = {}
        for stored_key, stored_item in pairs:
            try:
                key = self._key.read(stored_key)
                item = self._shape_of(key).read(stored_item)
            except Trouble as trouble:
                trouble.at(_step_to(stored_key))
                raise
            _put(result, key, item)
        return result if self.cls is dict else self.cls(result)


def _put(result: dict[Any, Any], key: Any, item: Any) -> None:
    try:
        result[key] = item
    # Keys are hashed and compared, maybe by code of the user.
    except Exception as error:
        raise Trouble(f"{shown(key)} cannot be a key ({type(error).__name__}: {error})") from error


def _are_names(keys: list[Json]) -> bool:
    """Whether an object can have these keys: distinct texts, without the reserved one."""
    return set(map(type, keys)) <= _TEXT and TAG not in keys and len(set(keys)) == len(keys)


def _step_to(key: object) -> str:
    """How a path goes on to the value of a key."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{shown(key)}]"


_FACTORIES: dict[str, type] = {
    cls.__name__: cls for cls in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)
}


class Defaults:
    """The form of a defaultdict, whose factory is a built-in type: `{"factory": name, "items": entries}`."""

    is_record = False
    cls = defaultdict
    tag = "defaultdict"

    def __init__(self, key: Shape, value: Shape) -> None:
        self._entries = Entries(dict, key, value)

    def write(self, value: "defaultdict[Any, object]", depth: int) -> Json:
        factory = value.default_factory
        name = getattr(factory, "__name__", "") if factory else None
        if name is not None and _FACTORIES.get(name) is not factory:
            raise Trouble("it is a defaultdict whose factory is no built-in type; convert it with dict(...)")
        return {"factory": name, "items": self._entries.write(value, depth)}

    def read(self, json: Json) -> Any:
        if type(json) is not dict or json.keys() != {"factory", "items"}:
            raise unexpected("a defaultdict with factory and items", json)
        name = json["factory"]
        if name is not None and (type(name) is not str or name not in _FACTORIES):
            raise unexpected("the name of a built-in type or null as the factory", name)
        return defaultdict(_FACTORIES[name] if name else None, self._entries.read(json["items"]))


ARRAYS: tuple[type, ...] = (list, tuple, set, frozenset)
"""The classes that `Items` is the form of."""

OBJECTS: tuple[type, ...] = (dict, OrderedDict, Counter)
"""The classes that `Entries` is the form of."""
