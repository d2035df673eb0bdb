"""What was written comes back: equal, of the same types, whatever type it was written and read as."""

# Both spellings of a union are what users write.
# ruff: noqa: UP007, UP045

import dataclasses
import json
import math
import pathlib
import sqlite3
import struct
import sys
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Final, Literal, NewType, Optional, TypeVar, Union, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.core.values.form import shown
from orchwf.errors import EncodingError
from tests.values import shop

BERLIN = ZoneInfo("Europe/Berlin")
OrderId = NewType("OrderId", str)
T = TypeVar("T")


def made_special() -> shop.Guarded:
    guarded = shop.Guarded(secret=3, length=4, number="12", doubled=5)
    guarded.total = 99
    return guarded


def visited() -> shop.Person:
    person = shop.Person(name="Ann", years=7, friends=[shop.Person(name="Bob", born=datetime(2000, 1, 2))])
    person._visits = 5
    return person


CASES: list[tuple[object, Any]] = [
    (None, None),
    (None, type(None)),
    (True, bool),
    (0, int),
    (-(2**63), int),
    (2**53 + 1, int),
    (2**63, int),
    (-(2**70), int),
    (10**5000, int),
    (1.5, float),
    (3, float),
    (-0.0, float),
    (5e-324, float),
    (math.inf, float),
    (-math.inf, float),
    ("", str),
    ('Zürich ☃ 😀 \x00 " \\ \n', str),
    ("lone \ud800", str),
    ("two lone \ud83d\ude00", str),
    (b"\x00\xff", bytes),
    (bytearray(b"abc"), bytearray),
    (1 - 2.5j, complex),
    (complex(-0.0, math.inf), complex),
    (range(0, 10, 3), range),
    (range(2**70), range),
    (date(2026, 2, 28), date),
    (datetime(2026, 2, 28, 1, 2, 3, 4), datetime),
    (datetime(1, 1, 1, fold=1), datetime),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime),
    (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3, seconds=7), "HOME")), datetime),
    (datetime(2026, 7, 1, 12, tzinfo=BERLIN), datetime),
    (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), datetime),
    (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), datetime),
    (datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN), datetime),
    (datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), datetime),
    (time(1, 2, 3), time),
    (time(1, 2, fold=1, tzinfo=BERLIN), time),
    (time(1, 2, fold=1, tzinfo=UTC), time),
    (timedelta(days=-1, microseconds=1), timedelta),
    (timedelta.max, timedelta),
    (timezone(timedelta(hours=2)), timezone),
    (timezone(timedelta(hours=2), "X"), tzinfo),
    (BERLIN, ZoneInfo),
    (UUID(int=5), UUID),
    (Decimal("1.500"), Decimal),
    (Decimal("-Infinity"), Decimal),
    (Path("/tmp/a b"), Path),
    (PurePath("a"), PurePath),
    (PureWindowsPath("C:\\x"), PureWindowsPath),
    (PurePosixPath("caf\udce9"), PurePosixPath),
    ([], list),
    ([1, 2, 3], list[int]),
    ([1, None, 2], list[int | None]),
    ([1.5, 2.5], list[float]),
    ([1, 2.5], list[float]),
    ([2**70, 1], list[int]),
    ([math.inf, 1.0], list[float]),
    (["a", "\ud800"], list[str]),
    ([True, False], list[bool]),
    ([None, None], list[None]),
    (["5", 5, 5.0, True, None], list),
    ([[1], [2]], Sequence[Sequence[int]]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ((), tuple[()]),
    ((), tuple[int, str]),
    (({"a"},), tuple),
    ({3, 1, 2}, set[int]),
    (frozenset({(1, 2), (3,)}), frozenset[tuple[int, ...]]),
    (set(), set),
    (deque([1, 2]), deque[int]),
    (deque([1, 2], maxlen=2), deque[int]),
    (deque([1, 2], maxlen=5), deque),
    ({}, dict),
    ({"a": 1}, dict[str, int]),
    ({"a": 1, "b": None, "c": [1]}, dict[str, Any]),
    ({"b": 1, "a": 2}, Mapping[str, int]),
    ({"$": 1}, dict[str, int]),
    ({"$": "int", "v": 5}, dict),
    ({"a": {"$": "datetime", "v": "2026-01-01"}}, UNKNOWN),
    ({1: "a", "1": "b", None: "c", (1, 2): "d", 1.5: "e"}, dict),
    ({1: "a"}, dict[int, str]),
    ({"1": "a"}, dict[int, str]),
    ({"\ud800": 1}, dict[str, int]),
    ({date(2026, 1, 1): 1}, dict[date, int]),
    ({shop.Color.RED: 1}, dict[shop.Color, int]),
    ({UUID(int=1): {2: b"x"}}, dict[UUID, dict[int, bytes]]),
    (OrderedDict(b=1, a=2), OrderedDict[str, int]),
    (OrderedDict({1: 2}), OrderedDict),
    (Counter("abracadabra"), Counter[str]),
    (Counter({1: 2.5}), Counter),
    (defaultdict(list, a=[1]), defaultdict[str, list[int]]),
    (defaultdict(None, {1: 2}), defaultdict),
    (defaultdict(int), defaultdict),
    ({"street": "A", "since": datetime(2026, 1, 1), "next": {"street": "B"}}, shop.Address),
    ({"street": 5, "other": (1,)}, shop.Address),
    ({"street": "A", 5: 6}, shop.Address),
    (shop.Color.RED, shop.Color),
    (shop.Color.GREEN, shop.Color),
    (shop.Color.CRIMSON, shop.Color),
    (shop.Level.HIGH, shop.Level),
    (shop.Level.HIGH, int),
    (shop.Mood.BAD, shop.Mood),
    (shop.Mood.BAD, str),
    (shop.Right.READ | shop.Right.WRITE, shop.Right),
    (shop.Right(0), shop.Right),
    (shop.Color.RED, Literal[shop.Color.RED, "red"]),
    ("red", Literal[shop.Color.RED, "red"]),
    (1, Literal[1, 2]),
    (True, Literal[1, 2]),
    (["a", "b", "c"], list[Literal["a", "b"]]),
    ("other", Literal["a"]),
    (shop.Item("pen"), shop.Item),
    (shop.Special("pen", Decimal(1)), shop.Item),
    (shop.Order("A1", [shop.Item("a"), shop.Special("b")], datetime(2026, 1, 1), shop.Order("A0")), shop.Order),
    (shop.Order(5, (1,), "now", 3.5), shop.Order),  # type: ignore[arg-type]
    (made_special(), shop.Guarded),
    (shop.Box(5), shop.Box[int]),
    (shop.Box("5"), shop.Box[int]),
    (shop.Box(shop.Box(date(2026, 1, 1))), shop.Box[shop.Box[date]]),
    (shop.Box(datetime(2026, 1, 1)), shop.Box),
    (shop.Crate([date(2026, 1, 1)], "x", date(2026, 1, 2)), shop.Crate[date]),
    (shop.LooseChild(3), shop.Loose),
    (shop.Point(1, 2.5), shop.Point),
    (shop.Point("x", 2), shop.Point),  # type: ignore[arg-type]
    (shop.Sealed(at=datetime(2026, 1, 1), tags=frozenset({"b", "a"})), shop.Sealed),
    (shop.Derived(3, scale=5), shop.Derived),
    (shop.Picky(5), shop.Picky),
    (shop.Growing(["a"], {"b": 1}), shop.Growing),
    (shop.Named.FIRST, shop.Named),
    (shop.Roots([1, 2]), shop.Roots),
    (shop.Hyphened.model_validate({"the-size": 5}), shop.Hyphened),
    (shop.Pair(1), shop.Pair),
    (shop.OldPair(1, {2}), shop.OldPair),
    (shop.Pair(1), tuple),
    (visited(), shop.Person),
    (shop.Open.model_validate({"size": 3, "other": date(2026, 1, 1)}), shop.Open),
    (shop.Open(), shop.Open),
    (datetime(2026, 1, 1), datetime | str),
    ("2026-01-01T00:00:00", datetime | str),
    ("2026-01-01T00:00:00", datetime),
    ("5", int),
    ("None", Optional[str]),
    (None, Optional[str]),
    (None, str),
    (date(2026, 1, 1), date | None),
    (date(2026, 1, 1), Union[datetime, date, None]),
    ({"a": shop.Item("x")}, dict[str, shop.Item | shop.Point | None]),
    ([shop.Item("x")], list[shop.Item] | shop.Item),
    (shop.Item("x"), list[shop.Item] | shop.Item),
    ([1.5], list[int] | list[float]),
    (1, float | str),
    (b"x", int | Any),
    ("a", Literal["a"] | None),
    (5, Literal["a"] | date),
    ("id", OrderId),
    (OrderId("id"), Annotated[OrderId, "note"]),
    (5, Annotated[int, ["unhashable"]]),
    (5, Final[int]),
    (date(2026, 1, 1), T),
    (date(2026, 1, 1), "date"),
    (date(2026, 1, 1), object),
    ([date(2026, 1, 1)], list["date"]),
    (date(2026, 1, 1), [date]),
    ({"a": date(2026, 1, 1)}, dict[str]),  # type: ignore[misc]
]


def label(part: object) -> str:
    """How a case is called, the same in every process: the text of a set is not."""
    text = shown(part).encode("ascii", "backslashreplace").decode()
    return type(part).__name__ if "t({" in text else text


def same(a: Any, b: Any) -> bool:
    """Whether both are equal and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if attrs.has(type(a)):
        return all(same(getattr(a, f.name, None), getattr(b, f.name, None)) for f in attrs.fields(type(a)))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name, None), getattr(b, f.name, None)) for f in dataclasses.fields(a))
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(same(item, other) for other in b) for item in a)
    if isinstance(a, dict):
        factories = getattr(a, "default_factory", None) is getattr(b, "default_factory", None)
        return factories and len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and getattr(a, "maxlen", None) == getattr(b, "maxlen", None) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, datetime | time):
        return (a, a.fold, repr(a.tzinfo)) == (b, b.fold, repr(b.tzinfo))
    return repr(a) == repr(b) if isinstance(a, complex | Decimal | tzinfo) else bool(a == b)


@pytest.mark.parametrize(("value", "hint"), CASES, ids=label)
def test_a_value_comes_back_as_it_was(value: object, hint: Any):
    """With its annotation or without one, with any other one, in this process or a fresh one."""
    for type_ in (hint, UNKNOWN, int, str, list[int], dict[str, str], shop.Item, datetime | None, int | str, float):
        text = Codec().encode(value, type_)

        result = Codec().decode(text, type_)

        assert same(value, result), (type_, text, result)


@pytest.mark.parametrize(("value", "hint"), CASES, ids=label)
def test_the_text_is_standard_json_in_utf8(value: object, hint: Any):
    """SQLite's functions for JSON, which take nothing else, accept it."""
    database = sqlite3.connect(":memory:")

    valid = [
        database.execute("SELECT json_valid(?)", [Codec().encode(value, type_).encode().decode()]).fetchone()[0]
        for type_ in (hint, UNKNOWN)
    ]
    database.close()

    assert [1, 1] == valid


@pytest.mark.parametrize("value", [math.nan, complex(math.nan, -0.0), Decimal("NaN"), [math.nan], {"a": math.nan}])
def test_not_a_number_comes_back(value: object):
    """NaN equals nothing, but looks the same."""
    result = Codec().decode(Codec().encode(value))

    assert (type(value), repr(value)) == (type(result), repr(result))


def test_what_is_left_to_a_constructor_is_kept():
    """Fields that no constructor takes, private attributes and unset fields are as they were, not as by default."""
    derived = shop.Derived(3, scale=5)
    derived.note = "hello"

    results = [Codec().decode(Codec().encode(value)) for value in (derived, visited())]

    assert [15, "hello"] == [results[0].area, results[0].note]
    assert [5, {"name", "age", "friends"}] == [results[1]._visits, results[1].model_fields_set]


def test_a_named_tuple_and_a_subclass_without_decorator_are_of_their_class():
    """The class is that of the value, not that of the annotation."""
    text = Codec().encode([shop.LooseChild(1), shop.Pair(2)], list[shop.Loose])

    assert [shop.LooseChild, shop.Pair] == [type(item) for item in Codec().decode(text, list[shop.Loose])]


def test_a_new_field_gets_its_default():
    """What was stored before a class had the field can be read."""
    results = [Codec().decode('{"name":"pen"}', shop.Item), Codec().decode('{"left":1}', shop.Pair)]

    assert [shop.Item("pen"), shop.Pair(1)] == results


def test_local_classes_are_found_by_the_annotation():
    """A class that no name leads to works where the annotation, or one of its alternatives, is that class."""

    @attrs.define
    class Local:
        child: "Local | None" = None

    @attrs.define
    class Other:
        size: int = 1

    for value, hint in (
        (Local(Local()), Local),
        ([Local()], list[Local] | None),
        ({"a": Other(2), "b": Local()}, dict[str, Local | Other]),
    ):
        assert value == Codec().decode(Codec().encode(value, hint), hint)


def test_a_recursive_alias_is_followed():
    """A type alias may refer to itself."""
    extensions = pytest.importorskip("typing_extensions")
    tree = extensions.TypeAliasType("Tree", Union[date, "list[Tree]"])  # noqa: F821
    alias = extensions.TypeAliasType("Alias", list[date])
    value = [date(2026, 1, 1), [date(2026, 1, 2)]]

    texts = [Codec().encode(value, tree), Codec().encode([date(2026, 1, 1)], alias)]

    assert value == Codec().decode(texts[0], tree)
    assert '["2026-01-01"]' == texts[1]


def test_annotations_that_cannot_be_resolved_do_no_harm():
    """Then nothing is expected, and everything is tagged."""

    class Vague:
        __annotations__ = {"at": "Nowhere", "size": int}

    vague = attrs.make_class("Vague", {"at": attrs.field(type=cast(Any, "Nowhere")), "size": attrs.field(type=date)})
    vague.__annotations__ = Vague.__annotations__
    value = vague(date(2026, 1, 1), date(2026, 1, 2))

    text = Codec().encode(value, vague)

    assert '{"at":{"$":"date","v":"2026-01-01"},"size":"2026-01-02"}' == text
    assert value == Codec().decode(text, vague)


def test_a_parameter_specification_describes_no_value():
    """It is passed over among the type variables of a class."""
    parameters = typing.ParamSpec("parameters")

    class Function(typing.Generic[parameters, T]):
        """What a call is made to."""

    generic: Any = Function
    call: Any = attrs.make_class("Call", {"function": attrs.field(type=generic[parameters, T])})
    value = call(date(2026, 1, 1))

    assert value == Codec().decode(Codec().encode(value, call), call)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("$"), inner, max_size=4),
    max_leaves=20,
)
HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones()) | st.timedeltas() | st.uuids() | st.decimals(allow_nan=False)
    | st.sampled_from(shop.Color) | st.builds(shop.Item, st.text(max_size=3)) | st.builds(shop.Pair, st.integers()),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    JSON | HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(HASHABLE, inner, max_size=3) | st.sets(HASHABLE, max_size=3)
        | st.builds(shop.Box, inner) | st.builds(deque, st.lists(inner, max_size=3)) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)  # fmt: skip


def composed(hints: list[Any]) -> list[Any]:
    """Annotations that are made of these."""
    first, second = hints
    parameters: list[tuple[Any, Any]] = [
        (list, first), (set, first), (tuple, (first, ...)), (tuple, (first, second)), (dict, (first, second)),
        (Optional, first), (Union, (first, second)), (shop.Box, first),
    ]  # fmt: skip
    return [generic[parameter] for generic, parameter in parameters]


HINTS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([int, str, float, bool, bytes, date, datetime, shop.Item, shop.Box, shop.Color, Decimal, object]),
    lambda inner: st.tuples(inner, inner).flatmap(lambda pair: st.sampled_from(composed(list(pair)))),
    max_leaves=4,
)


@given(JSON)
def test_json_is_itself(value: Any):
    """What JSON can say needs no tag, but for the key that marks tags, huge numbers and lone surrogates."""
    text = Codec().encode(value)

    assert same(value, Codec().decode(text))
    assert ('"$"' in text) or value == json.loads(text)


@given(VALUES, HINTS)
def test_any_value_comes_back_with_any_annotation(value: Any, hint: Any):
    """Annotations only make the text shorter; they decide nothing."""
    text = Codec("tests.values.shop").encode(value, hint)

    assert same(value, Codec("tests.values.shop").decode(text, hint))
    assert text == Codec("tests.values.shop").encode(value, hint)


@given(st.sets(st.integers() | st.text(max_size=3) | st.tuples(st.booleans()), max_size=6), st.randoms())
def test_equal_sets_have_equal_texts(value: set[Any], random: Any):
    """The order of a set depends on how it came about; its text does not."""
    items = list(value)
    random.shuffle(items)

    assert Codec().encode(value) == Codec().encode(set(items))


@pytest.mark.parametrize(
    ("value", "hint", "text"),
    [
        (5, int, "5"),
        ("é", str, '"é"'),
        (True, int, '{"$":"bool","v":true}'),
        ("5", int, '{"$":"str","v":"5"}'),
        (2**64, int, '"0x10000000000000000"'),
        (2**64, UNKNOWN, '{"$":"int","v":"0x10000000000000000"}'),
        (math.inf, float, '{"$":"float","v":"inf"}'),
        (3, float, "3"),
        ((1, 2), tuple[int, int], "[1,2]"),
        ((1,), tuple[int, int], '{"items":[1]}'),
        ((1, 2), UNKNOWN, '{"$":"tuple","v":[1,2]}'),
        ({date(2026, 1, 2): 1}, dict[date, int], '{"2026-01-02":1}'),
        ({1: 2}, dict[int, int], "[[1,2]]"),
        ({"$": 1}, UNKNOWN, '{"$":"dict","v":[["$",1]]}'),
        (date(2026, 1, 2), date | None, '"2026-01-02"'),
        (date(2026, 1, 2), date | str, '{"$":"date","v":"2026-01-02"}'),
        ("x", date | str, '"x"'),
        (
            datetime(2026, 7, 1, tzinfo=BERLIN),
            datetime,
            '{"at":"2026-07-01T00:00:00+02:00","zone":"Europe/Berlin","fold":0}',
        ),
        (shop.Color.RED, shop.Color, '"RED"'),
        (shop.Item("pen"), shop.Item, '{"name":"pen","price":"1.50"}'),
        (shop.Item("pen"), UNKNOWN, '{"$":"tests.values.shop:Item","name":"pen","price":"1.50"}'),
        (
            shop.Special("pen"),
            shop.Item,
            '{"$":"tests.values.shop:Special","name":"pen","price":"1.50","reason":"sale"}',
        ),
        (shop.Guarded(secret=3), shop.Guarded, '{"_secret":3,"size":1,"number":7,"doubled":0,"total":10}'),
        (shop.Pair(1), shop.Pair, '{"left":1,"right":"r"}'),
    ],
    ids=repr,
)
def test_the_text_is_plain_where_the_annotation_foretells_it(value: object, hint: Any, text: str):
    """People and SQL can read it."""
    assert text == Codec().encode(value, hint)


def test_classes_of_the_workflow_s_module_are_stored_without_it():
    """So a class of a script is found under whatever name the script is loaded later."""
    text = Codec("tests.values.shop").encode(shop.Item("pen"))

    assert '{"$":":Item","name":"pen","price":"1.50"}' == text
    assert shop.Item("pen") == Codec("tests.values.shop").decode(text)


def test_a_module_is_imported_to_find_a_class():
    """A run may be read before its modules were imported."""
    sys.modules.pop("colorsys", None)
    with pytest.raises(EncodingError, match="there is no class 'colorsys:Nothing'"):
        Codec().decode('{"$":"colorsys:Nothing"}')

    assert "colorsys" in sys.modules


def test_an_instant_is_kept_when_the_rules_of_its_zone_have_changed():
    """The offset says when it was; the clock on the wall would be another now."""
    text = '{"at":"2026-07-01T12:00:00+05:00","zone":"Europe/Berlin","fold":0}'

    result = Codec().decode(text, datetime)

    assert (datetime(2026, 7, 1, 9, tzinfo=BERLIN), BERLIN) == (result, result.tzinfo)


def test_a_path_of_another_system_comes_back_pure():
    """A pure path needs no system."""
    value = pathlib.PureWindowsPath("C:/x")

    assert value == Codec().decode(Codec().encode(value))


def test_deep_values_come_back():
    """A hundred levels are for sure, of all kinds of containers, whether tagged or not."""
    for wrap in (lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, shop.Box, lambda v: deque([v])):
        value: Any = 1
        for _ in range(100):
            value = wrap(value)

        assert value == Codec().decode(Codec().encode(value))


def test_deep_models_come_back():
    """Also those that need most frames a level."""
    person = shop.Person(name="x")
    for _ in range(49):
        person = shop.Person(name="x", friends=[person])

    assert person == Codec().decode(Codec().encode(person, shop.Person), shop.Person)
