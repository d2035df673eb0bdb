"""From text to the inputs of a workflow."""

import enum
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest

from orchwf import make_workflow
from orchwf.cli.exits import CommandError, Exit
from orchwf.cli.inputs import make_instance
from orchwf.core.codec import Codec
from orchwf.core.dag import Dag, dag_of
from orchwf.core.definition import UNKNOWN
from orchwf.views import example, from_text

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "r"
    BLUE = 2


@attrs.frozen
class Point:
    x: int
    y: int = 0


GIVEN = [
    (str, "5", "5"),
    (str, "", ""),
    (int, "-5", -5),
    (float, "2", 2.0),
    (bool, "true", True),
    (bool, "No", False),
    (complex, "1+2j", 1 + 2j),
    (Path, "a/b.csv", Path("a/b.csv")),
    (PurePosixPath, "a/b", PurePosixPath("a/b")),
    (datetime, "2026-11-02T08:30:00+00:00", datetime(2026, 11, 2, 8, 30, tzinfo=UTC)),
    (date, "2026-11-02", date(2026, 11, 2)),
    (time, "08:30", time(8, 30)),
    (timedelta, "1h30m", timedelta(hours=1.5)),
    (Decimal, "9.99", Decimal("9.99")),
    (UUID, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
    (ZoneInfo, "Europe/Zurich", ZoneInfo("Europe/Zurich")),
    (Colour, "RED", Colour.RED),
    (Colour, "2", Colour.BLUE),
    (Literal["fast", 3], "3", 3),
    (list[int], "[1, 2]", [1, 2]),
    (dict[str, float], '{"a": 1.5}', {"a": 1.5}),
    (set[int], "[1, 2]", {1, 2}),
    (list[str], '["a", "b"]', ["a", "b"]),
    (Point, '{"x": 1, "y": 2}', Point(1, 2)),
    (int | None, "none", None),
    (int | None, "7", 7),
    (None, "null", None),
    (str | None, "none", "none"),
    (int | str, "7", 7),
    (int | str, "seven", "seven"),
    (Annotated[int, "of it"], "7", 7),
    (UserId, "7", 7),
    (Any, "[1]", [1]),
    (UNKNOWN, "plain text", "plain text"),
]


@pytest.mark.parametrize(("hint", "text", "expected"), GIVEN, ids=lambda value: str(value)[:30])
def test_text_becomes_a_value_of_the_type(hint: Any, text: str, expected: object):
    """Text stays text, simple types follow simple rules, everything else is JSON."""
    value = from_text(text, hint, Codec(__name__))

    assert expected == value
    assert type(expected) is type(value)


# Of a class only the form is shown.
@pytest.mark.parametrize("hint", [hint for hint, _, _ in GIVEN if hint not in (Any, UNKNOWN, None, Point)], ids=str)
def test_examples_are_right(hint: Any):
    """What an error gives as an example can be given."""
    from_text(example(hint), hint, Codec(__name__))


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "5.5"), (float, "x"), (bool, "maybe"), (datetime, "today"), (Decimal, "x"), (UUID, "x"),
        (ZoneInfo, "Mars/X"),
        (timedelta, "long"), (Colour, "GREEN"), (Literal["a"], "b"), (list[int], '["x"]'), (list[int], "1,2"),
        (int | None, "x"), (Point, "{}"),
    ],
    ids=str,
)  # fmt: skip
def test_text_that_does_not_fit(hint: Any, text: str):
    """The error names the input, its type and an example."""
    dag = dag_of(make_workflow("Flow", [_body], inputs={"given": hint}))

    with pytest.raises(CommandError) as caught:
        make_instance(dag, [f"given={text}"], None)

    assert "input 'given' takes " in caught.value.message
    assert "such as given=" in caught.value.message
    assert Exit.USAGE is caught.value.code


@pytest.mark.parametrize(
    ("hint", "text", "reason"),
    [
        (timedelta, "long", "it is no duration"),
        (list[str], "a", "the value cannot be read, as it is not JSON"),
        (Point, '{"z": 1}', "the value at $.z cannot be read"),
    ],
    ids=["duration", "json", "field"],
)
def test_reason_is_about_what_was_typed(hint: Any, text: str, reason: str):
    """Nothing is said of definitions, nor of a store."""
    dag = dag_of(make_workflow("Flow", [_body], inputs={"given": hint}))

    with pytest.raises(CommandError) as caught:
        make_instance(dag, [f"given={text}"], None)

    assert f": {reason}" in caught.value.message
    assert "stored" not in caught.value.message
    assert "compiled" not in caught.value.message


def test_all_that_is_wrong_is_told_at_once():
    """Wrong, unknown, missing and misspelled inputs come in one error."""
    dag = dag_of(make_workflow("Flow", [_body], inputs={"day": date, "shop": str, "limit": int, "note": (str, "")}))

    with pytest.raises(CommandError) as caught:
        make_instance(dag, ["limit=many", "dya=1", "word"], None)

    assert [
        "Flow cannot be started:",
        "  input 'limit' takes int, such as limit=3: invalid literal for int() with base 10: 'many'",
        "  there is no input 'dya'. Did you mean 'day'?",
        "  an input is given as name=value, not 'word'",
        "  input 'day' (date) is missing: --input day=2026-11-02",
        "  input 'shop' (str) is missing: --input shop=text",
    ] == caught.value.message.splitlines()


def test_a_single_problem_is_one_line():
    """One problem needs no list."""
    dag = dag_of(make_workflow("Flow", [_body], inputs={"shops": list[int]}))

    with pytest.raises(CommandError) as caught:
        make_instance(dag, [], None)

    assert (
        "Flow cannot be started: input 'shops' (list[int]) is missing: --input shops='[1, 2]'" == caught.value.message
    )


def test_inputs_of_a_workflow_without_any():
    """A workflow that takes nothing says so."""
    dag = dag_of(make_workflow("Flow", [_body]))

    with pytest.raises(CommandError, match=r"there is no input 'x'\. It takes none\."):
        make_instance(dag, ["x=1"], None)


def test_inputs_of_a_file(tmp_path: Path):
    """A JSON file gives inputs as the store writes them, or as text like on the command line, which wins."""
    file = tmp_path / "in.json"
    file.write_text(json.dumps({"day": "2026-11-02", "wait": "1h", "sizes": [1], "note": "x"}))
    kinds = {"day": date, "wait": timedelta, "sizes": list[int], "note": str}
    dag = dag_of(make_workflow("Flow", [_body], inputs=kinds))

    instance: Any = make_instance(dag, ["note=y"], str(file))

    assert (date(2026, 11, 2), timedelta(hours=1), [1], "y") == (
        instance.day, instance.wait, instance.sizes, instance.note
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [("[1]", "has to hold a JSON object"), ("{", "cannot be read"), ('{"n": [1]}', "input 'n' takes int")],
)
def test_inputs_of_a_wrong_file(tmp_path: Path, text: str, told: str):
    """A file that is no JSON object, or has a wrong value, says so."""
    file = tmp_path / "in.json"
    file.write_text(text)
    dag = dag_of(make_workflow("Flow", [_body], inputs={"n": int}))

    with pytest.raises(CommandError, match=told):
        make_instance(dag, [], str(file))


def test_inputs_of_a_missing_file(tmp_path: Path):
    """A file that there is not is not found."""
    dag = dag_of(make_workflow("Flow", [_body]))

    with pytest.raises(CommandError) as caught:
        make_instance(dag, [], str(tmp_path / "no.json"))

    assert Exit.NOT_FOUND is caught.value.code


def test_validators_of_the_user():
    """What the workflow's own validators refuse is told as theirs."""
    kinds = {"n": (int, attrs.field(validator=attrs.validators.ge(3)))}
    dag = dag_of(make_workflow("Flow", [_body], inputs=kinds))

    with pytest.raises(CommandError, match="Flow refuses its inputs: ValueError"):
        make_instance(dag, ["n=1"], None)


def test_definition_without_its_class():
    """What was read from a store has no code to run."""
    with pytest.raises(CommandError, match="cannot be run"):
        make_instance(Dag(name="Flow"), [], None)


def _body() -> int:
    return 1
