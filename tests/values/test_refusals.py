"""What would not come back is refused at once, with where it is, what it is and the way out."""

import asyncio
import enum
import io
import re
import threading
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import attrs
import pytest

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.errors import EncodingError
from tests.values import shop

KINDS = "an attrs class, dataclass, pydantic model, named tuple or enum"


def refusal(value: object, hint: Any = UNKNOWN) -> str:
    """The message with which a value is refused."""
    with pytest.raises(EncodingError) as caught:
        Codec("tests.values.shop").encode(value, hint)
    return str(caught.value)


async def coroutine() -> None:
    """Never awaited here."""


class Elsewhere(tzinfo):
    """A time zone of one's own."""

    def utcoffset(self, at: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, at: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, at: datetime | None) -> str:
        return "Elsewhere"


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (print, "it is a builtin_function_or_method, which is code and not a value; return what it gives"),
        (lambda: 1, "it is a function, which is code and not a value; return what it gives"),
        ([].append, "it is a builtin_function_or_method, which is code and not a value; return what it gives"),
        (generator(), "it is a generator, which gives its items only once; return a list of them"),
        (async_generator(), "it is a async_generator, which gives its items only once; return a list of them"),
        (map(str, []), "it is a map, which gives its items only once; return a list of them"),
        (ValueError("x"), "it is an exception (ValueError); raise it, or return its text"),
        (shop.Failure(3), "it is an exception (tests.values.shop.Failure); raise it, or return its text"),
        (int, "it is a class; return an instance, or its name"),
        (shop.Item, "it is a class; return an instance, or its name"),
        (io.StringIO(), "it is an open file (_io.StringIO); return its path or its content"),
        (threading.Lock(), f"it is of type _thread.lock; return JSON-able values, or an instance of {KINDS}"),
        (object(), f"it is of type object; return JSON-able values, or an instance of {KINDS}"),
        (memoryview(b""), "it is of type memoryview; return its tolist()"),
        (
            types.SimpleNamespace(),
            f"it is of type types.SimpleNamespace; return JSON-able values, or an instance of {KINDS}",
        ),
        (
            shop.Text("x"),
            (
                "it is of type tests.values.shop.Text, a kind of str of which orchwf does not know what else it holds; "
                f"convert it with str(...), or use {KINDS}"
            ),
        ),
        (
            shop.Words("x"),
            (
                "it is of type tests.values.shop.Words, a kind of list of which orchwf does not know what else it "
                "holds; "
                f"convert it with list(...), or use {KINDS}"
            ),
        ),
        (defaultdict(lambda: 5), "it is a defaultdict whose factory is no built-in type; convert it with dict(...)"),
        (
            datetime(2026, 1, 1, tzinfo=Elsewhere()),
            (
                "its time zone is a test_refusals.Elsewhere that has no name to find it by; "
                "use datetime.timezone or zoneinfo.ZoneInfo(name)"
            ),
        ),
        (
            shop.Odd(7),
            "it is no member of tests.values.shop.Odd that its name ('MADE_UP') leads to",
        ),
        (
            shop.FIRST_REPLACED(),
            (
                "it is of the class tests.values.shop.Replaced, but that name does not lead to the class (any more); "
                "define the class at the top level of a module under its own name"
            ),
        ),
        (
            attrs.make_class("Unbound", ["x"])(1),
            (
                "it is of the class test_refusals.Unbound, but that name does not lead to the class (any more); "
                "define the class at the top level of a module under its own name"
            ),
        ),
        (
            shop.OwnConstructor(width=1, height=2),
            (
                "tests.values.shop.OwnConstructor could not be built again from its fields "
                "(missing a required argument: 'width'); "
                "give its constructor a parameter for each field, and defaults for all others"
            ),
        ),
        (
            shop.NeedsMore(1, 2),
            (
                "tests.values.shop.NeedsMore could not be built again from its fields "
                "(missing a required argument: 'scale'); "
                "give its constructor a parameter for each field, and defaults for all others"
            ),
        ),
        (
            shop.OwnModel(3),
            (
                "tests.values.shop.OwnModel could not be built again from its fields "
                "(missing a required argument: 'width'); "
                "give its constructor a parameter for each field, and defaults for all others"
            ),
        ),
        (shop.Aliased(), "tests.values.shop.Aliased has an alias that is no plain name (field 'size')"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_value_that_would_not_come_back_is_refused(value: object, reason: str):
    """The reason names its type, and what to return instead."""
    message = refusal(value).replace("tests.values.test_refusals", "test_refusals")

    assert f"the value at $ cannot be stored: {reason}" == message


def test_a_coroutine_is_refused():
    """It was forgotten to await it."""
    forgotten = coroutine()

    message = refusal(forgotten)
    forgotten.close()

    assert (
        "the value at $ cannot be stored: it is a coroutine, not yet a value; await it and return its result" == message
    )


async def test_a_future_is_refused():
    """Whatever can be awaited is."""
    message = refusal({"job": asyncio.get_running_loop().create_future()})

    assert message.startswith("the value at $.job cannot be stored: it is a _asyncio.Future, not yet a value; await it")


@pytest.mark.parametrize(
    ("value", "hint", "path"),
    [
        ({"items": [1, 2, {"owner": print}]}, UNKNOWN, "$.items[2].owner"),
        ({"a b": (print,)}, UNKNOWN, "$['a b'][0]"),
        ({5: print}, UNKNOWN, "$[5]"),
        ({10**5000: print}, UNKNOWN, "$[int]"),
        ({print: 5}, UNKNOWN, "$<key <built-in function print>>"),
        (shop.Order("A1", [shop.Item(print)]), shop.Order, "$.items[0].name"),  # type: ignore[arg-type]
        (shop.Pair(1, print), UNKNOWN, "$.right"),  # type: ignore[arg-type]
        (shop.Open.model_validate({"other": print}), UNKNOWN, "$.other"),
        ((1, print), tuple[int, int], "$[1]"),
        ([1, print], list[int], "$[1]"),
        ([1, print], list[int | str] | None, "$[1]"),
        (OrderedDict(a=print), UNKNOWN, "$.a"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_the_path_leads_to_the_culprit(value: object, hint: Any, path: str):
    """As one would write it down."""
    assert refusal(value, hint).startswith(f"the value at {path} cannot be stored: it is a builtin_function")


def test_what_would_be_lost_is_refused():
    """Attributes that no field holds."""
    child: Any = shop.LooseChild(1)
    child.colour = "red"
    pair: Any = shop.TaggedPair(1, 2)
    pair.colour = "red"

    messages = [refusal(child), refusal(pair)]

    assert [
        (
            "the value at $ cannot be stored: tests.values.shop.LooseChild is a subclass of a data class, but no data "
            "class itself, and has attributes that would be lost (colour); decorate it, too"
        ),
        "the value at $ cannot be stored: it is a named tuple with attributes that would be lost (colour)",
    ] == messages


def test_a_field_that_is_not_set_is_refused():
    """Unless the constructor does not take it anyway."""
    order = shop.Order("A1")
    del order.items

    assert "the value at $.items cannot be stored: this field is not set" == refusal(order)


def test_a_converter_that_does_not_take_its_own_value_is_refused():
    """Now, when the step ends, not when the run is resumed."""
    assert (
        "the value at $.words cannot be stored: the converter of this field does not take the value it made itself "
        "(AttributeError: 'list' object has no attribute 'split'), so the object could not be built again; "
        "let it return a value of the right type as it is" == refusal(shop.Stubborn("a b"))
    )


def test_an_extra_field_with_a_reserved_name_is_refused():
    """It would be taken for a mark of ours."""
    messages = [refusal(shop.Open.model_validate({name: 1})) for name in ("$", "__unset__")]

    assert [
        "the value at $.$ cannot be stored: this name of an extra field is taken",
        "the value at $.__unset__ cannot be stored: this name of an extra field is taken",
    ] == messages


def test_local_classes_are_refused_without_an_annotation():
    """No other process could find them."""

    @attrs.define
    class Local:
        pass

    class Mood(enum.Enum):
        GOOD = 1

    messages = [refusal([Local()]), refusal(Mood.GOOD)]

    for name, message in zip(["Local", "Mood"], messages, strict=True):
        assert re.fullmatch(
            rf"the value at \$(\[0\])? cannot be stored: it is of the local class [\w.]*<locals>\.{name}, which no "
            "other process can find; define the class at the top level of a module, or annotate what returns it with "
            "the class",
            message,
        )


def test_of_two_local_classes_of_one_name_only_the_first_is_known():
    """They could not be told apart when they are read."""

    def local() -> Any:
        @attrs.define
        class Local:
            size: int = 1

        return Local

    first, second = local(), local()

    assert first() == Codec().decode(Codec().encode(first(), first | second), first | second)
    assert "it is of the local class" in refusal(second(), first | second)


def itself_list() -> object:
    value: list[object] = [1]
    value.append({"a": value})
    return value


def itself_tuple() -> object:
    inner: list[object] = []
    value = {"deep": ([inner],)}
    inner.append(inner)
    return value


def itself_record() -> object:
    order = shop.Order("A1")
    order.parent = order
    return [order]


def itself_model() -> object:
    person = shop.Person(name="x")
    person.friends.append(person)
    return person


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (itself_list(), r"\$(\[1\])?"),
        (itself_tuple(), r"\$\.deep\[0\]\[0\]"),
        (itself_record(), r"\$\[0\]"),
        (itself_model(), r"\$(\.friends)?"),
    ],
    ids=["list", "tuple", "record", "model"],
)
def test_what_contains_itself_is_refused(value: object, path: str):
    """The path leads to the first of the parts that contain themselves."""
    reason = "it contains itself; refer to parts by an id or a key instead"

    assert re.fullmatch(f"the value at {path} cannot be stored: {reason}", refusal(value))


def test_deep_nesting_is_refused():
    """Before Python's stack ends."""
    value: Any = []
    record = shop.Box(1)
    for _ in range(900):
        value = [value]
        record = shop.Box(record)  # type: ignore[arg-type]
    ends = "[0]" * 10

    messages = [refusal(value), refusal(record)]

    assert (
        f"the value at ${ends} ... {ends} cannot be stored: it is nested more than 100 levels deep; flatten it"
        == messages[0]
    )
    assert messages[1].endswith(" cannot be stored: it is nested more than 100 levels deep; flatten it")


def messages_at_every_depth(call: Callable[[], object]) -> set[str]:
    """What the call says from the end of the stack up to here, an empty text where it succeeds or cannot begin."""
    try:
        messages = messages_at_every_depth(call)
    except RecursionError:
        return set()
    try:
        call()
    except EncodingError as error:
        return messages | {str(error)}
    except RecursionError:
        pass
    return messages | {""}


def test_a_stack_that_is_nearly_full_is_no_accident():
    """Also where the caller has left little room the error is one of ours."""
    value: Any = 1
    for _ in range(99):
        value = [value]
    text = Codec().encode(value)

    codec = Codec()
    calls: list[Callable[[], object]] = [lambda: codec.encode(value), lambda: codec.decode(text, list[Any])]

    assert {
        "",
        "the value cannot be stored: it is nested too deeply; flatten it",
        "what is stored cannot be read: it is nested too deeply; flatten it",
    } == {message for call in calls for message in messages_at_every_depth(call)}


def test_a_value_that_changes_meanwhile_is_refused():
    """Another thread may still work on it."""

    value: dict[str, object] = {}
    busy = attrs.make_class("Busy", {"size": attrs.field(converter=lambda size: value.update(more=1) or size)})
    value["a"] = busy(1)
    del value["more"]

    assert (
        "the value cannot be stored, as it changed meanwhile: dictionary changed size during iteration"
        == refusal(value, dict[str, busy])  # type: ignore[valid-type]
    )


@pytest.mark.parametrize("value", ["x" * 11, "ü" * 6, ["x" * 10], Decimal(1234567890)])
def test_a_value_over_the_limit_is_refused(value: object):
    """The message says both sizes."""
    codec = Codec(max_bytes=12)

    with pytest.raises(EncodingError) as caught:
        codec.encode(value)

    size = len(Codec().encode(value).encode())
    assert (
        f"the value takes {size} bytes as JSON, more than the limit of 12; "
        "keep large values elsewhere (a file, a bucket) and return where they are" == str(caught.value)
    )


def test_sizes_are_written_for_people():
    """In bytes of UTF-8, with separators; the limit itself is allowed."""
    codec = Codec(max_bytes=1_000_002)

    with pytest.raises(EncodingError, match=r"takes 1,000,004 bytes as JSON, more than the limit of 1,000,002;"):
        codec.encode("ü" * 500_001)

    assert 1_000_002 == len(codec.encode("x" * 1_000_000))
