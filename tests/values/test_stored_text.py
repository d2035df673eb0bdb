"""Stored text is not trusted: what is damaged or made up is refused, and nothing is run."""

import json
import subprocess
import sys
from datetime import date, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.errors import EncodingError
from tests.values import shop

SHOP = "tests.values.shop"


def refusal(text: str, hint: Any = UNKNOWN) -> str:
    """The message with which a text is refused."""
    with pytest.raises(EncodingError) as caught:
        Codec(SHOP).decode(text, hint)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("", UNKNOWN, "what is stored cannot be read, as it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"a":', int, "what is stored cannot be read, as it is not JSON: Expecting value: line 1 column 6 (char 5)"),
        ("NaN", float, "what is stored cannot be read, as it is not JSON: NaN is not standard JSON"),
        ("[" * 100_000, UNKNOWN, "what is stored cannot be read: it is nested too deeply; flatten it"),
    ],
    ids=["empty", "truncated", "not-a-number", "deep"],
)
def test_what_is_no_json_is_refused(text: str, hint: Any, message: str):
    """A text may be cut off."""
    assert message == refusal(text, hint)


@pytest.mark.parametrize(
    ("text", "hint", "path", "reason"),
    [
        ('"5"', int, "$", "'5' is no int (ValueError: only hexadecimal integers are written as text)"),
        ("5.0", int, "$", "expected int, found a number: 5.0"),
        ("true", int, "$", "expected int, found a boolean: True"),
        ("5", str, "$", "expected str, found an integer: 5"),
        ("null", str, "$", "expected str, found null: None"),
        ('"yes"', bool, "$", "expected bool, found a text: 'yes'"),
        ('"1.5"', float, "$", "expected float or int, found a text: '1.5'"),
        ("0", None, "$", "expected None, found an integer: 0"),
        ("1.5", int | str, "$", "expected int or str, found a number: 1.5"),
        ('"c"', Literal["a", "b"], "$", "expected one of 'a', 'b', found a text: 'c'"),
        ("[1,2]", date, "$", "expected date, found an array: [1, 2]"),
        ('"today"', date, "$", "'today' is no date (ValueError: "),
        ('["!"]', str, "$", "['!'] is no str (Error: "),
        ('["YQ==","YQ=="]', str, "$", "['YQ==', 'YQ=='] is no str (ValueError: too many values"),
        (
            '{"at":"2026-01-01T00:00:00"}',
            datetime,
            "$",
            "{'at': '2026-01-01T00:00:00'} is no datetime (KeyError: 'fold')",
        ),
        ('{"a":1}', list[int], "$", "expected list, found an object: {'a': 1}"),
        ('[1,"2"]', list[int], "$[1]", "'2' is no int (ValueError: only hexadecimal integers are written as text)"),
        ("[1]", tuple[int, int], "$", "expected a tuple of 2, found an array: [1]"),
        ('"ab"', tuple[int, int], "$", "expected tuple, found a text: 'ab'"),
        ("5", dict[str, int], "$", "expected dict, found an integer: 5"),
        ("[[1,2,3]]", dict[int, int], "$", "expected dict, found an array: [[1, 2, 3]]"),
        ('{"a":"x"}', dict[str, float], "$.a", "expected float or int, found a text: 'x'"),
        (
            '{"1":5}',
            dict[int, int],
            "$['1']",
            "'1' is no int (ValueError: only hexadecimal integers are written as text)",
        ),
        ("[[[],1]]", dict, "$", "[] cannot be a key (TypeError: unhashable type: 'list')"),
        ("[[]]", set[list[int]], "$", "this is no set (TypeError: unhashable type: 'list')"),
        ('[{"size":1}]', set[shop.Unhashable], "$", "this is no set (RuntimeError: no hash today)"),
        ("[1]", shop.Item, "$", "expected the fields of tests.values.shop.Item, found an array: [1]"),
        ("[1]", shop.Person, "$", "expected the fields of tests.values.shop.Person, found an array: [1]"),
        ('{"name":"x","colour":1}', shop.Item, "$.colour", "tests.values.shop.Item has no such field"),
        ('{"name":"x","colour":1}', shop.Person, "$.colour", "tests.values.shop.Person has no such field"),
        ('{"other":{"$":"x"}}', shop.Open, "$.other", "it is tagged 'x', which this version of orchwf does not know"),
        ('{"size":1,"__unset__":[1]}', shop.Open, "$", "expected names of fields in '__unset__', found an array: [1]"),
        ('{"size":1,"__unset__":1}', shop.Open, "$", "expected names of fields in '__unset__', found an integer: 1"),
        (
            "{}",
            shop.Item,
            "$",
            (
                "tests.values.shop.Item cannot be built from what is stored "
                "(TypeError: Item.__init__() missing 1 required positional argument: 'name')"
            ),
        ),
        (
            '{"size":101}',
            shop.Picky,
            "$",
            "tests.values.shop.Picky cannot be built from what is stored (ValueError: too large)",
        ),
        ("{}", shop.Pair, "$", "tests.values.shop.Pair cannot be built from what is stored (KeyError: 'left')"),
        ('"BLUE"', shop.Color, "$", "expected a member of tests.values.shop.Color, found a text: 'BLUE'"),
        ("1", shop.Color, "$", "expected a member of tests.values.shop.Color, found an integer: 1"),
        ('"READ"', list[shop.Color], "$", "expected list, found a text: 'READ'"),
        ("99", shop.Right, "$", "99 is no tests.values.shop.Right (ValueError: "),
        ("99", shop.Conforming, "$", "99 is no tests.values.shop.Conforming (ValueError: no member has these bits)"),
        ("true", shop.Right, "$", "expected a member of tests.values.shop.Right, found a boolean: True"),
        ('{"$":5}', UNKNOWN, "$", "expected the name of a type as the tag, found an integer: 5"),
        ('{"$":["a"]}', int | str, "$", "expected the name of a type as the tag, found an array: ['a']"),
        (
            '[{"$":"pickle","v":"gASVBQAA"}]',
            UNKNOWN,
            "$[0]",
            "it is tagged 'pickle', which this version of orchwf does not know",
        ),
        ('{"$":"date"}', UNKNOWN, "$", "a tagged date has the keys '$' and 'v', not '$'"),
        (
            '{"$":"date","v":"2026-01-01","w":1}',
            UNKNOWN,
            "$",
            "a tagged date has the keys '$' and 'v', not '$', 'v', 'w'",
        ),
        ('{"\\u0024":"date"}', UNKNOWN, "$", "a tagged date has the keys '$' and 'v', not '$'"),
        (
            '{"$":"float","v":"1e5"}',
            UNKNOWN,
            "$",
            "'1e5' is no float (ValueError: only nan, inf and -inf are written as text)",
        ),
        (
            '{"$":"range","v":[1,2,0]}',
            UNKNOWN,
            "$",
            "[1, 2, 0] is no range (ValueError: range() arg 3 must not be zero)",
        ),
        ('{"$":"ZoneInfo","v":"../../etc/passwd"}', UNKNOWN, "$", "'../../etc/passwd' is no ZoneInfo (ValueError: "),
        ('{"$":"WindowsPath","v":"a"}', UNKNOWN, "$", "'a' is no WindowsPath ("),
        ('{"$":"deque","v":5}', UNKNOWN, "$", "expected deque, found an integer: 5"),
        (
            '{"$":"deque","v":{"maxlen":-1,"items":[]}}',
            UNKNOWN,
            "$",
            "expected a deque with maxlen and items, found an object",
        ),
        (
            '{"$":"deque","v":{"maxlen":99999999999999999999,"items":[]}}',
            UNKNOWN,
            "$",
            "expected a deque with maxlen and items, found an object",
        ),
        (
            '{"$":"defaultdict","v":[]}',
            UNKNOWN,
            "$",
            "expected a defaultdict with factory and items, found an array: []",
        ),
        (
            '{"$":"defaultdict","v":{"factory":"eval","items":{}}}',
            UNKNOWN,
            "$",
            "expected the name of a built-in type or null as the factory, found a text: 'eval'",
        ),
        (
            '{"$":"defaultdict","v":{"factory":5,"items":{}}}',
            UNKNOWN,
            "$",
            "expected the name of a built-in type or null as the factory, found an integer: 5",
        ),
        ('{"$":":Nothing"}', UNKNOWN, "$", "there is no class ':Nothing'; was it renamed or moved?"),
        ('{"$":":Color.RED"}', UNKNOWN, "$", "there is no class ':Color.RED'; was it renamed or moved?"),
        ('{"$":":Color.RED.name"}', UNKNOWN, "$", "there is no class ':Color.RED.name'; was it renamed or moved?"),
        ('{"$":"os:system","v":"true"}', UNKNOWN, "$", "there is no class 'os:system'; was it renamed or moved?"),
        (
            '{"$":"no.such.module:Order"}',
            UNKNOWN,
            "$",
            "the module of class 'no.such.module:Order' cannot be imported (ModuleNotFoundError: No module named 'no')",
        ),
    ],
)
def test_what_does_not_fit_is_refused(text: str, hint: Any, path: str, reason: str):
    """The message says where, what was expected and what was found; nothing is converted."""
    assert refusal(text, hint).startswith(f"what is stored at {path} cannot be read: {reason}")


@pytest.mark.parametrize(
    "name", [":Rude", ":Rude.Inner", "subprocess:Popen", "builtins:int", "builtins:list", ":Text", ":Words"]
)
def test_only_classes_that_are_data_are_made(name: str):
    """No other class is called, whatever the text says."""
    text = f'{{"$":"{name}","v":["touch","/tmp/x"],"args":"x"}}'

    assert (
        f"what is stored at $ cannot be read: it is tagged {name!r}, which is not "
        "an attrs class, dataclass, pydantic model, named tuple or enum" == refusal(text)
    )


def test_a_relative_name_needs_a_module():
    """A codec of no workflow cannot know what is meant."""
    with pytest.raises(EncodingError) as caught:
        Codec().decode('{"$":":Item","name":"x"}')

    assert (
        "what is stored at $ cannot be read: "
        "the module of class ':Item' cannot be imported (ValueError: Empty module name)" == str(caught.value)
    )


def test_the_cause_is_kept():
    """What a constructor raised is the cause of the error."""
    with pytest.raises(EncodingError) as caught:
        Codec(SHOP).decode('{"$":":Picky","size":500}')

    assert "too large" == str(caught.value.__cause__)


def test_neither_cattrs_nor_pydantic_nor_numpy_is_imported_to_know_a_value():
    """Also a data class and a refused value need none of them."""
    code = (
        "import sys\n"
        "from decimal import Decimal\n"
        "from orchwf.core.codec import Codec\n"
        "from orchwf.errors import EncodingError\n"
        "print(Codec().encode([Decimal(1), {1: 2}]))\n"
        "try: Codec().encode(object())\n"
        "except EncodingError: pass\n"
        "print({'cattrs', 'pydantic', 'numpy', 'networkx'} & set(sys.modules))\n"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert ['[{"$":"Decimal","v":"1"},{"$":"dict","v":[[1,2]]}]', "set()"] == output.splitlines()


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    | st.sampled_from(["$", "v", "items", "maxlen", "2026-01-01", "0x1", ":Item", ":Color", "RED"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$", "v", "items", "maxlen", "name", "size", "at", "zone", "fold"]), inner)
        | st.tuples(
            st.sampled_from(
                ["int", "str", "float", "date", "datetime", "time", "deque", "set", "dict", "tuple", "bytes", "Path",
                 "range", "timedelta", "timezone", "complex", "Decimal", "defaultdict", "Counter", ":Item", ":Order",
                 ":Color", ":Right", ":Pair", ":Person", ":Open", ":Point", ":Guarded", ":Rude", "numpy", "UUID"]
            ), inner,
        ).map(lambda pair: {"$": pair[0], "v": pair[1]})
        | st.tuples(st.sampled_from([":Item", ":Order", ":Pair", ":Person", ":Open", ":Point"]), inner).map(
            lambda pair: {"$": pair[0], **(pair[1] if isinstance(pair[1], dict) else {"name": pair[1]})}
        )
    ),
    max_leaves=10,
)  # fmt: skip


@given(SCRAPS, st.sampled_from([UNKNOWN, int, datetime | None, shop.Item, list[shop.Order], dict[str, int], str | int]))
def test_any_text_gives_a_value_or_an_encoding_error(scraps: Any, hint: Any):
    """And nothing else."""
    text = json.dumps(scraps)

    try:
        outcome = f"a {type(Codec(SHOP).decode(text, hint)).__name__}"
    except EncodingError as error:
        outcome = str(error)

    assert outcome.startswith(("a ", "what is stored"))
