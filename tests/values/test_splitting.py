"""Stored values are taken apart into their items, each as if it had been stored by itself."""

import collections
import enum
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import attrs
import pytest

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.core.splitting import elements, split
from orchwf.core.types import item_type
from orchwf.errors import EncodingError

CODEC = Codec(__name__)


@attrs.frozen
class Row:
    """What a list of the user's may hold."""

    number: int


class Color(enum.Enum):
    """A choice."""

    RED = 1


class Pair(NamedTuple):
    """Two values that are told by their names."""

    left: int
    right: str


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ([1, 2], list[int]), ([], list[int]), ((1, "a"), tuple[int, str]), ((1, 2), tuple[int, ...]),
        ({1: "a", 2: "b"}, dict[int, str]), ({"a": 1}, dict[str, int]), ({Row(1): 2}, dict[Row, int]),
        ({"a": 1}, Mapping[str, int]), ([Row(1), Row(2)], list[Row]), ([Color.RED], Sequence[Color]),
        ([1, "a", None, Row(3)], list[int | str | Row | None]), ([Decimal("1.0")], Iterable[Decimal]),
        (["x,]["], list[str]), (['"', "\\", "\n", "ü"], list[str]), ([[1, [2]], {"a": [3]}], list[Any]),
        ([1, Row(2)], list[Row | int] | None), (Pair(1, "a"), Pair), (range(3), range),
        (collections.deque([1]), collections.deque[int]), (collections.Counter("ab"), collections.Counter[str]),
        ([1], Annotated[list[int], "some"]), ([1, [2]], UNKNOWN), ((1, 2), UNKNOWN), ({1: 2}, UNKNOWN), ([1], Any),
    ],
)  # fmt: skip
def test_items_are_those_of_a_loop(value: Any, type_: Any):
    """In their order, with their types; of a mapping its keys."""
    texts = split(CODEC.encode(value, type_), CODEC, type_)

    assert list(value) == [CODEC.decode(text, item_type(type_)) for text in texts]


@pytest.mark.parametrize("type_", [set[str], frozenset[str], UNKNOWN])
def test_items_of_sets_are_in_one_order(type_: Any):
    """Whoever asks, in whichever process: theirs is another one each time."""
    value = {"b", "a", "c"} if type_ is not frozenset[str] else frozenset({"b", "a", "c"})

    texts = split(CODEC.encode(value, type_), CODEC, type_)

    assert ['"a"', '"b"', '"c"'] == texts


@pytest.mark.parametrize(
    ("value", "type_", "named"),
    [("abc", str, "str"), (b"abc", bytes, "bytes"), (3, int, "int"), (None, UNKNOWN, "None"), (Row(1), Row, "Row")],
)
def test_values_without_items(value: Any, type_: Any, named: str):
    """A step that wants items says what it got."""
    with pytest.raises(EncodingError, match=f"a value of type {named} has no items to run once for; give a list"):
        split(CODEC.encode(value, type_), CODEC, type_)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []), ("[1]", ["1"]), ('["a,b","[c]"]', ['"a,b"', '"[c]"']),
        ('[1,[2,3],{"a":[4]}]', ["1", "[2,3]", '{"a":[4]}']),
        ("[ 1 ,\n 2 ]", ["1", "2"]), ("[ ]", []), ("[null,true]", ["null", "true"]),
    ],
)  # fmt: skip
def test_elements_of_an_array(text: str, expected: list[str]):
    """Each as it stands there, blanks between them left out."""
    assert expected == elements(text)
