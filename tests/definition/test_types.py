# Types are written here in every way there is.
# ruff: noqa: PYI030, PYI051, PYI061, UP007, UP044, UP045, E501
"""Whether one type may go where another is wanted: a no is certain."""

import collections
import enum
import io
import os
import typing
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Hashable,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
    Sized,
)  # fmt: skip
from datetime import date, datetime
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Generic,
    Literal,
    LiteralString,
    Never,
    NewType,
    Optional,
    ParamSpec,
    Protocol,
    TextIO,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
)  # fmt: skip

import pytest

from orchwf.core.definition import UNKNOWN
from orchwf.core.types import (
    TypeName,
    describe_type,
    holds,
    is_assignable,
    item_type,
    list_of_results,
    list_type,
    possible_values,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
P = ParamSpec("P")
UserId = NewType("UserId", str)
AdminId = NewType("AdminId", UserId)


class Animal:
    """A base."""


class Dog(Animal):
    """One of them."""


class Box(Generic[T]):
    """A generic class."""


class Giver(Generic[T_co]):
    """A covariant one."""


class Sink(Generic[T_contra]):
    """A contravariant one."""


class Names(list[str]):
    """A list whose items are told by its base only."""


class Quacks(Protocol):
    """Something with a method."""

    def quack(self) -> None: ...


class Meta(type):
    """A metaclass whose instances refuse to be asked."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise TypeError


class Refuses(metaclass=Meta):
    """A class that cannot be asked for its subclasses."""


class Point(TypedDict):
    """Two numbers."""

    x: int
    y: int


class Point3(Point):
    """Three."""

    z: int


class Partly(TypedDict, total=False):
    """Perhaps one."""

    x: int


class Color(enum.Enum):
    """Three values."""

    RED = 1
    GREEN = 2
    BLUE = 3


class Level(enum.IntEnum):
    """Numbers with names."""

    LOW = 1


class Bits(enum.Flag):
    """More values than members."""

    A = 1
    B = 2


FITS = [
    (int, int), (bool, int), (int, float), (int, complex), (float, complex), (bool, float), (Level, float), (Dog, Animal),
    (int, object), (int, Any), (Any, int), (object, int), (UNKNOWN, int), (int, UNKNOWN), (TypeName("X"), int),
    (None, None), (None, type(None)), (None, int | None), (int, Optional[int]), (int, Union[str, int]),
    (int | None, int | str | None), (bool | int, int), (Never, int), (int, Never), (Dog | None, Animal | None),
    (Literal["a"], str), (Literal["a"], Literal["a", "b"]), (Literal["a", 1], str | int), (Literal[1], float),
    (Literal["a", "b"], Literal["a"] | Literal["b"]), (Literal["a", 1], Literal["a"] | int), (Literal["a"], object),
    (bool, Literal[True, False]), (Color, Literal[Color.RED, Color.GREEN, Color.BLUE]), (Literal[Color.RED], Color),
    (None, Literal[None, "x"]), (Literal["a"], Annotated[str, 1]), (LiteralString, str), (Level, int),
    (Literal["a"], T), (Annotated[int, "x"], float), (int, Annotated[float, "x"]), (Final[int], int),
    (UserId, str), (UserId, UserId), (AdminId, UserId), (AdminId, str), (UserId, str | None), (UserId, object),
    (T, int), (int, T), ("Order", int), (int, ForwardRef("Order")), (int, P),
    (list[int], list[float]), (list[Dog], Sequence[Animal]), (list[int], list), (list, list[int]),
    (list[int], Iterable[float]), (set[int], Collection[int]), (dict[str, int], Mapping[str, float]),
    (dict[str, int], dict), (dict[str, int], Iterable[str]), (collections.OrderedDict[str, int], dict[str, int]),
    (collections.defaultdict[str, int], MutableMapping[str, int]), (str, Iterable[str]), (str, Sequence[str]),
    (bytes, Sequence[int]), (range, Sequence[int]), (range, Iterable[float]), (Names, list[str]), (Names, list[int]),
    (tuple[int, str], tuple[float, object]), (tuple[int, int], tuple[int, ...]), (tuple[int, ...], tuple[float, ...]),
    (tuple[Any, ...], tuple[int, str]), (tuple[int, ...], tuple[int, int]), (tuple, tuple[int, str]),
    (tuple[int, str], Sequence[int | str]), (tuple[int, ...], Iterable[int]), (tuple[int, Unpack[tuple[str, ...]]], tuple[int, str]),
    (tuple[()], tuple[()]), (tuple[int, Unpack[tuple[str, ...]]], Sequence[int]), (Generator[int, None, None], Iterator[int]),
    (Generator[int, None, None], Iterable[float]), (type[Dog], type[Animal]), (type[Dog], type), (Dog, Hashable),
    (ItemsView[str, int], Iterable[tuple[str, int]]), (collections.Counter[str], Mapping[str, int]),
    (list[int], Sized), (Dog, Quacks), (int, Quacks), (Quacks, Quacks), (io.TextIOWrapper, TextIO), (int, TextIO),
    (Callable[[int], str], Callable[..., Any]), (Callable[[int], str], Callable[[str], str]), (Dog, Refuses),
    (Box[int], Box[float]), (Box[int], Box), (Giver[Dog], Giver[Animal]), (Sink[Animal], Sink[Dog]),
    (Point, Point), (Point3, Point), (Point, dict), (Point, Mapping[str, object]), (dict[str, int], Point),
    (Partly, Mapping), (Point, Refuses), (datetime, date), (Path, os.PathLike), (bytearray, bytes),
    (int, typing.SupportsInt), (AsyncIterator[int], AsyncIterator[float]), (int, typing.Self), (Animal | T, Animal),
]  # fmt: skip

DOES_NOT_FIT = [
    (float, int), (str, int), (int, str), (Animal, Dog), (int | None, int), (None, int), (int | str, int),
    (str, Literal["a"]), (Literal["a", "c"], Literal["a", "b"]), (Literal[1], Literal[True]), (Literal["a"], int),
    (Literal["a", "c"], Literal["a"] | Literal["b"]), (bool, Literal[True]), (Color, Literal[Color.RED]),
    (Literal["a", 1], Literal["a"] | str), (str, UserId), (UserId, AdminId), (UserId, int), (UserId, Literal["a"]),
    (int, UserId), (Dog | None, Animal), (Bits, Literal[Bits.A]),
    (list[str], list[int]), (list[int], set[int]), (list[str], Sequence[int]), (list[int | None], list[int]),
    (dict[str, str], Mapping[str, int]), (dict[int, str], Iterable[str]), (str, Iterable[int]), (bytes, Iterable[str]),
    (range, Sequence[str]), (int, Iterable[int]), (tuple[int, str], tuple[int, int]), (tuple[int], tuple[int, int]),
    (tuple[int, str], tuple[int, ...]), (tuple[str, ...], tuple[int, int]), (tuple[int, str], Sequence[int]),
    (Generator[str, None, None], Iterator[int]), (type[Animal], type[Dog]), (list[int], Hashable),
    (int, Callable[..., Any]), (Box[str], Box[int]), (Giver[Animal], Giver[Dog]), (Point, int), (int, Point),
    (Point, Point3), (date, datetime), (str, os.PathLike), (str, bytes), (Annotated[str, 1], int),
    (Sequence[int], list[int]), (Mapping[str, int], dict[str, int]), (list[list[str]], list[list[int]]),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target"), FITS)
def test_fits(source: Any, target: Any):
    """A value of the first type may go where the second is wanted, or nobody can tell."""
    assert is_assignable(source, target) is True


@pytest.mark.parametrize(("source", "target"), DOES_NOT_FIT)
def test_does_not_fit(source: Any, target: Any):
    """No type checker would let this pass."""
    assert is_assignable(source, target) is False


class TypeAliasType:
    """What `type X = ...` makes from Python 3.12 on."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def __value__(self) -> Any:
        if self._value is None:
            raise NameError
        return self._value


def test_type_aliases_are_followed():
    """An alias means what it stands for; one that cannot be evaluated, or never ends, is unknown."""
    endless: Any = TypeAliasType(1)
    endless._value = endless

    assert is_assignable(TypeAliasType(int), float) is True
    assert is_assignable(TypeAliasType(str), int) is False
    assert is_assignable(TypeAliasType(None), int) is True
    assert is_assignable(endless, int) is True


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (Literal["a", 1], ["a", 1]), (bool, [True, False]), (None, [None]), (Color, list(Color)),
        (Literal["a"] | None, ["a", None]), (Annotated[Literal["a"], 1], ["a"]), (Bits, None), (str, None),
        (Literal["a"] | str, None), (Any, None), (UNKNOWN, None),
    ],
)  # fmt: skip
def test_possible_values(annotation: Any, values: Any):
    """Types that have few values are counted out."""
    assert possible_values(annotation) == values


@pytest.mark.parametrize(
    ("annotation", "item"),
    [
        (list[int], int), (tuple[int, ...], int), (tuple[int, str], Union[int, str]), (dict[str, int], str),
        (set[Dog], Dog), (Iterator[int], int), (Generator[int, None, None], int),
        (Union[list[int], set[str]], Union[int, str]), (Annotated[list[int], 1], int), (collections.deque[int], int),
        (range, int), (NewType("Rows", list[int]), int), (TypeAliasType(list[int]), int),
        (list, UNKNOWN), (Names, UNKNOWN), (Any, UNKNOWN), (UNKNOWN, UNKNOWN), (object, UNKNOWN), (T, UNKNOWN),
        (Point, UNKNOWN), (ItemsView[str, int], UNKNOWN), (Union[list[int], Any], UNKNOWN), (list[None], UNKNOWN),
        (int, None), (str, None), (bytes, None), (bytearray, None), (None, None), (Animal, None), (UserId, None),
        (Optional[list[int]], None), (Literal["a"], None), (Callable[[], int], None), (AsyncIterator[int], None),
    ],
)  # fmt: skip
def test_items(annotation: Any, item: Any):
    """What one gets by iterating; None if there are none for certain: a text is one thing to most."""
    assert item == item_type(annotation)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 1, True), (int, True, True), (int, "1", False), (int, None, False), (int | None, None, True),
        (float, 1, True), (None, None, True), (None, 1, False), (list[int], ["a"], True), (list[int], (1,), False),
        (Literal["a", 1], "a", True), (Literal["a", 1], "b", False), (Literal[1], True, False),
        (Animal, Dog(), True), (Dog, Animal(), False), (Any, object(), True), (UNKNOWN, 1, True), (T, 1, True),
        (Annotated[int, "euros"], 1, True), (Annotated[int, "euros"], "x", False), (UserId, 1, True),
        (Point, {"x": 1}, True), (Union[int, list[str]], [], True), (Union[int, list[str]], "x", False),
        (Iterable[int], [1], True), (Color, Color.RED, True), (Color, "RED", False),
    ],
)  # fmt: skip
def test_values_of_a_type(annotation: Any, value: Any, expected: bool):
    """As far as their class tells; what cannot be told is allowed."""
    assert expected is holds(annotation, value)


def test_lists_of_results():
    """With gaps, or without; of what is unknown nothing is known."""
    assert (list[int], UNKNOWN) == (list_type(int), list_type(UNKNOWN))
    assert (list[int | None], UNKNOWN) == (list_of_results(int), list_of_results(UNKNOWN))
    assert "list[None]" == describe_type(list_type(None)) == describe_type(list_of_results(None))


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"), (None, "None"), (type(None), "None"), (UNKNOWN, ""), (Any, "Any"), (Animal, "Animal"),
        (list[int], "list[int]"), (dict[str, list[Dog]], "dict[str, list[Dog]]"), (int | None, "int | None"),
        (Optional[Dog], "Dog | None"), (None | int, "int | None"), (Union[int, str], "int | str"),
        (Literal["a", 1, None], "Literal['a', 1, None]"), (Literal[Color.RED], "Literal[Color.RED]"),
        (Annotated[int, "metres"], "int"), (tuple[int, ...], "tuple[int, ...]"), (UserId, "UserId"),
        (Callable[[int, str], bool], "Callable[[int, str], bool]"), (Callable[..., Any], "Callable[..., Any]"),
        (T, "T"), ("Order", "Order"), (ForwardRef("Order"), "Order"), (TypeName("x[y]"), "x[y]"), (Point, "Point"),
        (typing.Iterable[int], "Iterable[int]"),
    ],
)  # fmt: skip
def test_description(annotation: Any, text: str):
    """A type as a person would write it."""
    assert describe_type(annotation) == text
