"""How values are written where a type is expected."""

from collections.abc import Callable, Collection, Iterable, Sequence
from json import JSONEncoder
from types import NoneType
from typing import Any, Protocol

import attrs

from .form import Form, Json, Trouble, type_name, unexpected
from .leaves import NATIVE_LEAVES

TAG = "$"
"""The key that marks an object as a tagged value: `{"$": tag, "v": JSON}`, or `{"$": tag, field: JSON, ...}`."""

NATIVE_SCALARS = frozenset(leaf.cls for leaf in NATIVE_LEAVES)

dumps: Callable[[Json], str] = JSONEncoder(
    # The depth is limited before: what contains itself does not get here.
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False,
).encode  # fmt: skip


class Shape(Protocol):
    """How any value is written where a certain type is expected, and read back there, exactly."""

    @property
    def plain(self) -> frozenset[type]:
        """The native scalar types whose values stand as themselves here."""
        ...

    def write(self, value: Any, depth: int) -> Json:
        """The value as JSON: plain if it is what is expected here, else tagged."""
        ...

    def read(self, json: Json) -> Any:
        """The value that was written so."""
        ...


class Types(Protocol):
    """What shapes and forms need to know of all the others."""

    @property
    def any(self) -> Shape:
        """The shape where nothing is expected."""
        ...

    def shape(self, hint: Any) -> Shape:
        """The shape where this type is expected."""
        ...

    def tagged(self, value: Any, depth: int) -> Json:
        """The value with its class, so that it can be read where anything is expected."""
        ...

    def untagged(self, json: dict[str, Json]) -> tuple[Form, Json]:
        """The form of the class that a tagged value names, and the JSON to read with it."""
        ...


def tag(form: Form, payload: Json) -> dict[str, Json]:
    """The tagged value of which this is the JSON."""
    return {TAG: form.tag, **payload} if form.is_record else {TAG: form.tag, "v": payload}


def untag(form: Form, json: dict[str, Json]) -> Json:
    """The JSON that `tag` was given."""
    if form.is_record:
        return {key: part for key, part in json.items() if key != TAG}
    if json.keys() != {TAG, "v"}:
        raise Trouble(f"a tagged {form.tag} has the keys '{TAG}' and 'v', not {', '.join(map(repr, json))}")
    return json["v"]


@attrs.frozen
class Exact:
    """Values of one class are expected."""

    form: Form
    types: Types

    @property
    def plain(self) -> frozenset[type]:
        return NATIVE_SCALARS & {self.form.cls}

    def write(self, value: Any, depth: int) -> Json:
        if type(value) is self.form.cls:
            return self.form.write(value, depth)
        return self.types.tagged(value, depth)

    def read(self, json: Json) -> Any:
        form = self.form
        if type(json) is dict and TAG in json:
            form, json = self.types.untagged(json)
        return form.read(json)


class OneOf:
    """
    Values of several classes are expected.

    Those that JSON has itself stand there as they are; all others are tagged. With the natives as members, it is the
    shape where nothing is expected.
    """

    def __init__(self, forms: Iterable[Form], types: Types) -> None:
        self._by_class: dict[type, Form] = {}
        self._by_tag: dict[str, Form] = {}
        self._types = types
        for form in forms:
            self.add(form)
        self.plain = NATIVE_SCALARS & self._by_class.keys()

    def add(self, form: Form) -> None:
        """Add a member. Of two of one class, or of one name, only the first counts: else reading could mistake them."""
        if form.cls not in self._by_class and form.tag not in self._by_tag:
            self._by_class[form.cls] = form
            self._by_tag[form.tag] = form

    @property
    def forms(self) -> Collection[Form]:
        """The forms of the members."""
        return self._by_class.values()

    def write(self, value: Any, depth: int) -> Json:
        cls = type(value)
        form = self._by_class.get(cls)
        if form is None:
            return self._types.tagged(value, depth)
        json = form.write(value, depth)
        return json if type(json) is cls else tag(form, json)

    def read(self, json: Json) -> Any:
        cls = type(json)
        if cls is dict and TAG in json:
            form = self._by_tag.get(json[TAG]) if isinstance(json[TAG], str) else None
            form, json = (form, untag(form, json)) if form else self._types.untagged(json)
        else:
            form = self._by_class.get(cls)
        if form is None:
            raise unexpected(" or ".join(type_name(cls) for cls in self._by_class), json)
        return form.read(json)


@attrs.frozen
class Maybe:
    """None, or what another shape expects."""

    shape: Shape

    @property
    def plain(self) -> frozenset[type]:
        return self.shape.plain | {NoneType}

    def write(self, value: Any, depth: int) -> Json:
        return None if value is None else self.shape.write(value, depth)

    def read(self, json: Json) -> Any:
        return None if json is None else self.shape.read(json)


@attrs.frozen
class OneLiteral:
    """One of several constants is expected."""

    constants: Sequence[object]
    types: Types

    @property
    def plain(self) -> frozenset[type]:
        return frozenset()

    def _has(self, value: object) -> bool:
        return any(type(value) is type(constant) and value == constant for constant in self.constants)

    def write(self, value: Any, depth: int) -> Json:
        return self.types.any.write(value, depth) if self._has(value) else self.types.tagged(value, depth)

    def read(self, json: Json) -> Any:
        value = self.types.any.read(json)
        if self._has(value) or (type(json) is dict and TAG in json):
            return value
        raise unexpected("one of " + ", ".join(map(repr, self.constants)), json)


class Later:
    """A shape that is looked up when it is needed: that of a type which may refer to itself."""

    plain: frozenset[type] = frozenset()

    def __init__(self, hint: Any, types: Types) -> None:
        self._hint = hint
        self._types = types

    def write(self, value: Any, depth: int) -> Json:
        return self._types.shape(self._hint).write(value, depth)

    def read(self, json: Json) -> Any:
        return self._types.shape(self._hint).read(json)
