"""
Whether a value of one annotated type may go where another is wanted.

The rules are those of type checkers, with two liberties: containers are covariant, since values are not changed on
their way from step to step, and what cannot be judged is allowed. So a "no" is certain.

Source: assignability, https://typing.python.org/en/latest/spec/concepts.html
"""

import collections.abc
import enum
import types
import typing
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import attrs

from .definition import UNKNOWN


@attrs.frozen
class TypeName:
    """A type of which only the text is known, such as in a graph that was read from a store."""

    text: str


_UNIONS = (Union, types.UnionType)
_QUALIFIERS = (Annotated, typing.ClassVar, typing.Final)
_PROMOTIONS: dict[object, tuple[type, ...]] = {float: (int,), complex: (int, float), bytes: (bytearray, memoryview)}
"""type -> what else, with its subclasses, may go where it is wanted"""

_ONE_ITEM = (
    list, set, frozenset, collections.deque, type,
    collections.abc.Iterable, collections.abc.Iterator, collections.abc.Collection, collections.abc.Container,
    collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Set, collections.abc.MutableSet,
    collections.abc.Reversible, collections.abc.KeysView, collections.abc.ValuesView,
    collections.abc.AsyncIterable, collections.abc.AsyncIterator, collections.abc.Awaitable,
)  # fmt: skip
_TWO_ITEMS = (
    dict, collections.OrderedDict, collections.defaultdict, types.MappingProxyType,
    collections.abc.Mapping, collections.abc.MutableMapping, collections.abc.ItemsView,
)  # fmt: skip
_TEXTS: dict[object, type] = {str: str, bytes: int, bytearray: int, range: int}
"""types that are sequences without saying so in brackets -> what they hold"""


def is_assignable(source: Any, target: Any) -> bool:
    """Whether a value of type `source` is acceptable where `target` is wanted. True when unsure."""
    source, target = _plain(source), _plain(target)
    if source is target or _is_open(source) or _is_open(target):
        return True
    if get_origin(source) in _UNIONS:
        return all(is_assignable(member, target) for member in get_args(source))
    if source in (typing.Never, typing.NoReturn):
        return True
    values = _literals(source) if _wants_literals(target) or get_origin(source) is Literal else None
    if values is not None:
        return all(_accepts_literal(value, target) for value in values)
    if get_origin(target) in _UNIONS:
        return any(is_assignable(source, member) for member in get_args(target))
    if get_origin(target) is Literal:
        return False
    return _is_assignable_nominally(source, target)


def _plain(annotation: Any) -> Any:
    # At most as many layers as anyone writes; an alias that names itself is left as it is.
    for _ in range(20):
        if annotation is None:
            return types.NoneType
        if type(annotation).__name__ == "TypeAliasType":
            try:
                annotation = annotation.__value__
            except Exception:  # An alias is evaluated here, which is user code; what fails stays unknown.
                return UNKNOWN
        elif get_origin(annotation) in _QUALIFIERS:
            annotation = get_args(annotation)[0]
        elif annotation is getattr(typing, "LiteralString", None):
            return str
        else:
            return annotation
    return UNKNOWN


def _is_open(annotation: Any) -> bool:
    """Whether nothing certain can be said of it."""
    if annotation in (UNKNOWN, Any, object):
        return True
    if isinstance(annotation, TypeVar | str | TypeName | typing.ForwardRef | typing.ParamSpec):
        return True
    if isinstance(annotation, typing.NewType):
        return False
    origin = get_origin(annotation) or annotation
    is_special = origin not in (*_UNIONS, Literal, typing.Never, typing.NoReturn) and not isinstance(origin, type)
    return is_special or (getattr(origin, "_is_protocol", False) is True and origin.__module__ == "typing")


def _literals(annotation: Any) -> list[object] | None:
    """Every value of a type that has few: a Literal, an Enum, bool, None."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if annotation is bool:
        return [True, False]
    if annotation is types.NoneType:
        return [None]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum) and not issubclass(annotation, enum.Flag):
        return list(annotation)
    return None


def _wants_literals(target: Any) -> bool:
    members = get_args(target) if get_origin(target) in _UNIONS else (target,)
    return any(get_origin(_plain(member)) is Literal for member in members)


def _accepts_literal(value: object, target: Any) -> bool:
    target = _plain(target)
    if get_origin(target) in _UNIONS:
        return any(_accepts_literal(value, member) for member in get_args(target))
    if get_origin(target) is Literal:
        return any(type(value) is type(allowed) and value == allowed for allowed in get_args(target))
    # Not the literal itself but its type: a bool is no longer taken apart, so this ends.
    kind = type(value)
    return _is_open(target) or _is_assignable_nominally(kind, target)


def _is_assignable_nominally(source: Any, target: Any) -> bool:
    if isinstance(source, typing.NewType):
        return source is target or is_assignable(source.__supertype__, target)
    if isinstance(target, typing.NewType):
        return False
    kind, wanted = get_origin(source) or source, get_origin(target) or target
    if not (isinstance(kind, type) and isinstance(wanted, type)):
        return True
    if issubclass(kind, _PROMOTIONS.get(wanted, ())) or _is_loose(wanted):
        return True
    if typing.is_typeddict(kind) or typing.is_typeddict(wanted):
        return _fits_dict(kind, wanted)
    try:
        is_subclass = issubclass(kind, wanted)
    except TypeError:
        return True
    return is_subclass and _arguments_fit(source, target, kind, wanted)


def _is_loose(wanted: type) -> bool:
    """
    Whether `issubclass` does not tell who fits.

    Protocols are matched by their members, which instances may have without their class; the classes of `typing`,
    such as `TextIO`, stand for others that do not inherit from them; a `tuple` of a subclass may be named.
    """
    return getattr(wanted, "_is_protocol", False) is True or wanted.__module__ == "typing"


def _fits_dict(kind: Any, wanted: Any) -> bool:
    if typing.is_typeddict(kind) and typing.is_typeddict(wanted):
        needed: frozenset[str] = wanted.__required_keys__
        has: frozenset[str] = kind.__required_keys__ | kind.__optional_keys__
        return needed <= has
    other = wanted if typing.is_typeddict(kind) else kind
    try:
        return issubclass(dict, other) or issubclass(other, collections.abc.Mapping)
    except TypeError:
        return True


def _arguments_fit(source: Any, target: Any, kind: type, wanted: type) -> bool:
    """Whether what is in the brackets fits: position by position where both sides mean the same by it."""
    wanted_items = get_args(target)
    if not wanted_items:
        return True
    if kind is tuple and wanted is tuple:
        return _tuples_fit(get_args(source), wanted_items)
    if wanted in _ONE_ITEM:
        item = _item(source, kind)
        return item is None or is_assignable(item, wanted_items[0])
    if (wanted in _TWO_ITEMS and kind in _TWO_ITEMS) or (kind is wanted and _is_covariant(kind)):
        items = get_args(source)
        return len(items) != len(wanted_items) or all(map(is_assignable, items, wanted_items))
    return True


def _item(source: Any, kind: type) -> Any:
    """What one gets by iterating over it; None if that is not known."""
    items = get_args(source)
    if kind in _TEXTS:
        return _TEXTS[kind]
    if not items or any(item is ... or get_origin(item) is typing.Unpack for item in items[:1]):
        return None
    if kind is tuple:
        members = tuple(item for item in items if item is not ...)
        return Union[members] if not any(map(_is_unpacked, members)) else None  # noqa: UP007  Made of values.
    if kind in _ONE_ITEM or (kind in _TWO_ITEMS and kind is not collections.abc.ItemsView):
        return items[0]
    is_generator = kind in (collections.abc.Generator, collections.abc.AsyncGenerator)
    return items[0] if is_generator else None


def item_type(annotation: Any) -> Any:
    """
    What one gets by iterating over values of a type: UNKNOWN if that is not known, None if they have no items.
    """
    annotation = _plain(annotation)
    if get_origin(annotation) in _UNIONS:
        members = [item_type(member) for member in get_args(annotation)]
        if any(member is None for member in members):
            return None
        return UNKNOWN if UNKNOWN in members else Union[tuple(members)]  # noqa: UP007  Made of values.
    if _is_open(annotation):
        return UNKNOWN
    if isinstance(annotation, typing.NewType):
        return item_type(annotation.__supertype__)
    kind = get_origin(annotation) or annotation
    if kind in (str, bytes, bytearray):
        # A text has letters, but who says "each" means something else.
        return None
    if not isinstance(kind, type):
        return None
    found = _item(annotation, kind)
    return (UNKNOWN if found is None else found) if issubclass(kind, collections.abc.Iterable) else None


def holds(annotation: Any, value: object) -> bool:
    """Whether a value is one of this type, as far as its class tells; True if that cannot be said."""
    annotation = _plain(annotation)
    if get_origin(annotation) in _UNIONS:
        return any(holds(member, value) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return _accepts_literal(value, annotation)
    if _is_open(annotation) or typing.is_typeddict(annotation) or isinstance(annotation, typing.NewType):
        return True
    return is_assignable(type(value), get_origin(annotation) or annotation)


def list_type(item: Any) -> Any:
    """The type of a list of values of this type."""
    return UNKNOWN if item is UNKNOWN else list[item]


def list_of_results(item: Any) -> Any:
    """The type of a list of results, some of which may be missing."""
    return UNKNOWN if item is UNKNOWN else list[Union[item, None]]  # noqa: UP007  Made of values.


def _is_unpacked(item: Any) -> bool:
    return get_origin(item) is typing.Unpack or getattr(item, "__unpacked__", False) is True


def _tuples_fit(items: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    if not items or any(map(_is_unpacked, (*items, *wanted))):
        return True
    if wanted[-1] is ...:
        return all(is_assignable(item, wanted[0]) for item in items if item is not ...)
    if items[-1] is ...:
        return all(is_assignable(items[0], each) for each in wanted)
    return len(items) == len(wanted) and all(map(is_assignable, items, wanted))


def _is_covariant(generic: Any) -> bool:
    """Whether the brackets of a class of the user may be compared: no parameter of it may be turned around."""
    parameters = getattr(generic, "__parameters__", ())
    return bool(parameters) and all(
        isinstance(each, TypeVar) and not each.__contravariant__ and not getattr(each, "__infer_variance__", False)
        for each in parameters
    )


def possible_values(annotation: Any) -> list[object] | None:
    """Every value that a type allows, if they can be counted: Literals, Enums, bool, None and unions of these."""
    annotation = _plain(annotation)
    if get_origin(annotation) not in _UNIONS:
        return _literals(annotation)
    values: list[object] = []
    for member in get_args(annotation):
        some = possible_values(member)
        if some is None:
            return None
        values += some
    return values


def describe_type(annotation: Any) -> str:
    """A type as a person would write it: `list[Order]`, `Literal['a', 'b']`, `float | None`. Empty if unknown."""
    match annotation:
        case None | types.NoneType:
            return "None"
        case TypeName(text):
            return text
        case str():
            return annotation
        case typing.ForwardRef():
            return annotation.__forward_arg__
    if annotation is UNKNOWN:
        return ""
    if annotation is ...:
        return "..."
    return _describe_generic(annotation)


def _describe_generic(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _last_name(annotation)
    if origin in _UNIONS:
        # None last, as people write it.
        members = sorted(arguments, key=lambda member: member is types.NoneType)
        return " | ".join(map(describe_type, members))
    if origin is Literal:
        return f"Literal[{', '.join(map(_describe_literal, arguments))}]"
    if origin is Annotated:
        return describe_type(arguments[0])
    if origin is collections.abc.Callable:
        return _describe_callable(arguments)
    return f"{_last_name(origin)}[{', '.join(map(describe_type, arguments))}]"


def _describe_literal(value: object) -> str:
    return str(value) if isinstance(value, enum.Enum) else repr(value)


def _describe_callable(arguments: tuple[Any, ...]) -> str:
    *takes, gives = arguments
    inside = f"[{', '.join(map(describe_type, takes[0]))}]" if isinstance(takes[0], list) else describe_type(takes[0])
    return f"Callable[{inside}, {describe_type(gives)}]"


def _last_name(annotation: Any) -> str:
    name: str | None = getattr(annotation, "__qualname__", None) or getattr(annotation, "__name__", None)
    return name.rsplit(".", 1)[-1] if isinstance(name, str) else str(annotation).removeprefix("typing.")
