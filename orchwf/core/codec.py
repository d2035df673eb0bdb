"""Values as JSON text, and back exactly as they were."""

import math
from collections import Counter, abc, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from io import IOBase
from json.encoder import encode_basestring
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, is_typeddict

from ..errors import EncodingError
from .definition import UNKNOWN
from .values.arrays import ARRAY_LEAVES, ARRAY_MODULES, array_leaf
from .values.containers import ARRAYS, OBJECTS, Defaults, Deque, Entries, Items, Row
from .values.form import Form, Json, Trouble, type_name, unexpected
from .values.hints import attribute_hints, unwrapped
from .values.leaves import LEAVES, NATIVE_LEAVES
from .values.names import check_findable, class_tag, find_class
from .values.numpy_scalars import is_numpy_scalar, numpy_leaf
from .values.pieces import dumps_in_pieces, loads_in_pieces
from .values.records import class_form
from .values.shapes import TAG, Exact, Later, Maybe, OneLiteral, OneOf, Shape, tag, untag

_STANDS_FOR: dict[type, type] = {
    Path: type(Path()), PurePath: type(PurePath()),
    abc.Sequence: list, abc.MutableSequence: list, abc.Collection: list, abc.Iterable: list,
    abc.Mapping: dict, abc.MutableMapping: dict, abc.Set: set, abc.MutableSet: set,
}  # fmt: skip
"""An annotation that no value is exactly of -> the class that most of its values have."""

_SCALARS: dict[type, Callable[[Any], str | None]] = {
    NoneType: lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: lambda value: repr(value) if -(2**63) <= value < 2**63 else None,
    float: lambda value: repr(value) if math.isfinite(value) else None,
    str: lambda value: encode_basestring(value) if value.isascii() else None,
}
"""A shortcut for the most frequent values: their text, or None if it takes the long way."""

_NESTED_TOO_DEEPLY = "it is nested too deeply; flatten it"


class Codec:
    """
    Writes values as JSON text and reads them back: equal, and of the same types.

    A value of just the type that is expected is written plainly, any other one with a tag that names its class; so
    nothing is ever converted. Equal values of equal types give equal texts.

    Args:
        module: The name of the workflow's module. Its classes are stored without it, so that they are found again
            after a script ran as `__main__`.
        max_bytes: The size of the longest text to write.
    """

    def __init__(self, module: str = "", *, max_bytes: int | None = None) -> None:
        self._module = module
        self._max_bytes = max_bytes
        self._shapes: dict[Any, Shape] = {}
        self._any = nothing = OneOf(NATIVE_LEAVES, self)
        containers: list[Form] = [
            *(Items(cls, nothing) for cls in ARRAYS), *(Entries(cls, nothing, nothing) for cls in OBJECTS),
            Deque(nothing), Defaults(nothing, nothing),
        ]  # fmt: skip
        self._forms: dict[type, Form] = {form.cls: form for form in (*LEAVES, *containers)}
        self._forms_by_tag: dict[str, Form] = {
            form.tag: form for form in (*LEAVES, *containers, numpy_leaf(object), *ARRAY_LEAVES)
        }
        self._any.add(self._forms[list])
        self._any.add(self._forms[dict])

    def encode(self, value: object, type_: Any = UNKNOWN) -> str:
        """
        The value as JSON text, in UTF-8 and standard JSON.

        Args:
            type_: The type that it should have; what it really has is kept.

        Raises:
            EncodingError: part of the value cannot be stored; the message says where it is, and the way out.
        """
        kind = type(value)
        if (type_ is UNKNOWN or type_ is kind) and kind in _SCALARS and (text := _SCALARS[kind](value)) is not None:
            return self._sized(text)
        try:
            return self._sized(dumps_in_pieces(self.shape(type_).write(value, 0)))
        except Trouble as trouble:
            reason = f"the value at {trouble.path} cannot be stored: {trouble.reason}"
            raise EncodingError(reason) from trouble.__cause__
        except RecursionError:
            raise EncodingError(f"the value cannot be stored: {_NESTED_TOO_DEEPLY}") from None
        except RuntimeError as error:
            # A dict, set or deque that another thread works on.
            raise EncodingError(f"the value cannot be stored, as it changed meanwhile: {error}") from error

    def decode(self, text: str, type_: Any = UNKNOWN) -> Any:
        """
        The value that `encode` wrote with this type.

        The text is not trusted: it can make values only, of types that are data; but the module of a class named in
        it is imported.

        Raises:
            EncodingError: the text is not JSON, or not what a value of this type is written as.
        """
        try:
            json = loads_in_pieces(text, _refuse_constant)
        except ValueError as error:
            raise EncodingError(f"what is stored cannot be read, as it is not JSON: {error}") from error
        except RecursionError:
            raise EncodingError(f"what is stored cannot be read: {_NESTED_TOO_DEEPLY}") from None
        shape = self.shape(type_)
        # Without a tag all is as JSON has it: nothing to look for.
        if shape is self._any and f'"{TAG}"' not in text and "\\u0024" not in text:
            return json
        try:
            return shape.read(json)
        except Trouble as trouble:
            reason = f"what is stored at {trouble.path} cannot be read: {trouble.reason}"
            raise EncodingError(reason) from trouble.__cause__
        except RecursionError:
            raise EncodingError(f"what is stored cannot be read: {_NESTED_TOO_DEEPLY}") from None

    def _sized(self, text: str) -> str:
        if self._max_bytes is not None:
            size = len(text) if text.isascii() else len(text.encode())
            if size > self._max_bytes:
                raise EncodingError(
                    f"the value takes {size:,} bytes as JSON, more than the limit of {self._max_bytes:,}; "
                    "keep large values elsewhere (a file, a bucket) and return where they are"
                )
        return text

    @property
    def any(self) -> Shape:
        """The shape where nothing is expected."""
        return self._any

    def tagged(self, value: Any, depth: int) -> Json:
        """The value with its class, so that it can be read where anything is expected."""
        form = self._class(type(value), ())
        if form is None:
            raise Trouble(_refusal(value))
        if ":" in form.tag:
            check_findable(form.cls, form.tag, self._module)
        return tag(form, form.write(value, depth))

    def untagged(self, json: dict[str, Json]) -> tuple[Form, Json]:
        """The form of the class that a tagged value names, and the JSON to read with it."""
        name = json[TAG]
        if type(name) is not str:
            raise unexpected("the name of a type as the tag", name)
        form = self._class_named(name)
        return form, untag(form, json)

    def shape(self, hint: Any) -> Shape:
        """The shape where this type is expected."""
        try:
            return self._shapes[hint]
        except KeyError:
            shape = self._shapes[hint] = self._new_shape(hint)
            return shape
        except TypeError:  # An Annotated or a Literal may hold what cannot be a key.
            return self._new_shape(hint)

    def _new_shape(self, hint: Any) -> Shape:
        hint = unwrapped(hint)
        if type(hint).__name__ == "TypeAliasType":
            return Later(hint.__value__, self)
        origin, args = get_origin(hint), get_args(hint)
        if origin is Union or origin is UnionType:
            return self._union(args)
        if origin is Literal:
            return OneLiteral(args, self)
        # Where a float is annotated, an int is as good (PEP 484).
        if hint is float:
            return OneOf((self._forms[float], self._forms[int]), self)
        cls = origin or hint
        form = self._expected(cls, args) if isinstance(cls, type) or cls is None else None
        return Exact(form, self) if form else self._any

    def _union(self, hints: Sequence[Any]) -> Shape:
        shapes = [self.shape(hint) for hint in hints if hint is not NoneType]
        shape = shapes[0] if len(shapes) == 1 else self._choice(shapes)
        return shape if shape is self._any or len(shapes) == len(hints) else Maybe(shape)

    def _choice(self, shapes: Iterable[Shape]) -> Shape:
        forms: list[Form] = []
        for shape in shapes:
            if isinstance(shape, Exact):
                forms.append(shape.form)
            elif isinstance(shape, OneOf) and shape is not self._any:
                forms += shape.forms
            else:
                return self._any
        return OneOf(forms, self)

    def _expected(self, annotated: type | None, args: tuple[Any, ...]) -> Form | None:
        """The form of the values that an annotation with this class foretells; None if it foretells nothing."""
        if annotated is None:
            return self._forms[NoneType]
        cls = _STANDS_FOR.get(annotated, annotated)
        if is_typeddict(cls):
            # Later, as it may hold itself.
            named = {name: Later(hint, self) for name, hint in attribute_hints(cls).items()}
            return Entries(dict, self._any, self._any, named)
        return self._container(cls, args) if cls in _CONTAINERS and args else self._class(cls, args)

    def _container(self, cls: type, args: tuple[Any, ...]) -> Form:
        shapes = [self.shape(arg) for arg in args if arg is not Ellipsis]
        if cls is tuple and Ellipsis not in args:
            return Row(shapes, self._any)
        # Nothing holds anybody to give as many arguments as there should be.
        first, second, *_ = [*shapes, self._any, self._any]
        if cls in ARRAYS:
            return Items(cls, first)
        if cls is deque:
            return Deque(first)
        if cls is defaultdict:
            return Defaults(first, second)
        return Entries(cls, first, self.shape(int) if cls is Counter else second)

    def _class(self, cls: type, args: tuple[Any, ...]) -> Form | None:
        """The form of one class; without `args`, that in which its values are tagged."""
        if cls.__module__ in ARRAY_MODULES and (array := array_leaf(cls)) is not None:
            # Also with arguments: shape and dtype stand with each value.
            return array
        if args:
            return class_form(cls, class_tag(cls, self._module), args, self)
        if form := self._forms.get(cls):
            return form
        form = numpy_leaf(cls) if is_numpy_scalar(cls) else class_form(cls, class_tag(cls, self._module), (), self)
        if form:
            self._forms[cls] = form
        return form

    def _class_named(self, name: str) -> Form:
        if ":" not in name:
            if form := self._forms_by_tag.get(name):
                return form
            raise Trouble(f"it is tagged {name!r}, which this version of orchwf does not know")
        form = self._class(find_class(name, self._module), ())
        if form is None or ":" not in form.tag:
            raise Trouble(f"it is tagged {name!r}, which is not {_KINDS}")
        return form


_CONTAINERS: frozenset[type] = frozenset({*ARRAYS, *OBJECTS, deque, defaultdict})

_KINDS = "an attrs class, dataclass, pydantic model, named tuple or enum"

_REFUSED: tuple[tuple[Any, str], ...] = (
    (abc.Awaitable, "it is a {type}, not yet a value; await it and return its result"),
    (IOBase, "it is an open file ({type}); return its path or its content"),
    ((abc.Iterator, abc.AsyncIterator), "it is a {type}, which gives its items only once; return a list of them"),
    (BaseException, "it is an exception ({type}); raise it, or return its text"),
    (type, "it is a class; return an instance, or its name"),
    (abc.Callable, "it is a {type}, which is code and not a value; return what it gives"),
)


def _refusal(value: object) -> str:
    """Why a value of this class cannot be stored, and the way out."""
    cls = type(value)
    for classes, reason in _REFUSED:
        if isinstance(value, classes):
            return reason.format(type=type_name(cls))
    for base in (*ARRAYS, *OBJECTS, *(leaf.cls for leaf in LEAVES)):
        if isinstance(value, base):
            return (
                f"it is of type {type_name(cls)}, a kind of {base.__name__} of which orchwf does not know "
                f"what else it holds; convert it with {base.__name__}(...), or use {_KINDS}"
            )
    ways = [f"return its {name}()" for name in ("to_arrow", "tolist") if hasattr(value, name)]
    way_out = ways[0] if ways else f"return JSON-able values, or an instance of {_KINDS}"
    return f"it is of type {type_name(cls)}; {way_out}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not standard JSON")
