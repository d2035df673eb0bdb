"""Forms made of types."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import attrs
import pydantic
import pytest

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.core.types import TypeName
from orchwf.dashboard.forms import fields_of, value_from
from orchwf.errors import UsageError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Point:
    x: int
    y: float = 0.0


@dataclass
class Named:
    name: str
    tags: list[str] = field(default_factory=list)
    note: str | None = None


class Model(pydantic.BaseModel):
    size: int
    colour: Literal["red", "blue"] = "red"


@attrs.frozen
class Broken:
    one: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("hint", "kinds"),
    [
        (int, ["number"]),
        (float, ["number"]),
        (str, ["text"]),
        (bool, ["choice"]),
        (None, ["nothing"]),
        (Colour, ["choice"]),
        (Literal["a", "b"], ["choice"]),
        (int | None, ["number"]),
        (list[int], ["long"]),
        (dict[str, int], ["long"]),
        (UNKNOWN, ["long"]),
        (Any, ["long"]),
        (Point, ["number", "number"]),
        (Named, ["text", "long", "text"]),
        (Model, ["number", "choice"]),
        (Broken, ["long"]),
        (TypeName("int"), ["number"]),
        (TypeName("Literal['a', 'b']"), ["choice"]),
        (TypeName("Literal[Colour.RED]"), ["long"]),
        (TypeName("Order"), ["long"]),
    ],
)
def test_fields(hint: Any, kinds: list[str]):
    """A type is asked for by what fits it; a record by a field for each part."""
    assert [each.kind for each in fields_of("a", "a", hint)] == kinds


def test_what_may_be_left_empty():
    """What has a default, or may be None, need not be given; nor is text ever missing."""
    fields = {each.label: each.is_required for each in (*fields_of("a", "a", Point), *fields_of("a", "b", int | None))}

    assert fields == {"x": True, "y": False, "b": False}


@pytest.mark.parametrize(
    ("hint", "form", "value"),
    [
        (int, {"a": "3"}, 3),
        (str, {"a": "3"}, "3"),
        (str, {}, ""),
        (bool, {"a": "true"}, True),
        (None, {}, None),
        (Colour, {"a": "blue"}, Colour.BLUE),
        (int | None, {"a": ""}, None),
        (list[int], {"a": "[1, 2]"}, [1, 2]),
        (UNKNOWN, {"a": '{"b": 1}'}, {"b": 1}),
        (TypeName("Order"), {"a": "words"}, "words"),
        (TypeName("Order"), {"a": ""}, None),
        (Point, {"a.x": "1", "a.y": ""}, Point(1)),
        (Point, {"a.x": "1", "a.y": "2.5"}, Point(1, 2.5)),
        (Named, {"a.name": "n", "a.tags": '["t"]', "a.note": ""}, Named("n", ["t"])),
        (Model, {"a.size": "2", "a.colour": "blue"}, Model(size=2, colour="blue")),
    ],
)
def test_values(hint: Any, form: dict[str, str], value: object):
    """What is typed becomes a value of the type."""
    assert value_from(form, "a", hint, Codec()) == value


@pytest.mark.parametrize(
    ("hint", "form"),
    [(int, {"a": "x"}), (int, {}), (Colour, {"a": "green"}), (Point, {"a.y": "1"}), (list[int], {"a": '["x"]'})],
)
def test_wrong_values(hint: Any, form: dict[str, str]):
    """What is no value of the type is told in one line that names it."""
    with pytest.raises(UsageError, match="'a' takes ") as caught:
        value_from(form, "a", hint, Codec())

    assert "\n" not in str(caught.value)
