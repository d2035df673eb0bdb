"""The picture for a terminal."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings

from orchwf.drawing import Arrow, Picture, Shape, to_text
from orchwf.labels import cells

from .pictures import (
    CHAIN,
    DIAMOND,
    EVERY_KIND,
    FORK_JOIN,
    TWO_PARTS,
    chain,
    chart,
    charts,
    complete,
    fan,
    hostile_pictures,
)


def drawn(picture: Picture) -> list[str]:
    return to_text(picture).splitlines()


def test_chain():
    """Steps that follow each other stand below each other."""
    assert ["Chain", "o extract", "o transform", "o load"] == drawn(CHAIN)


def test_diamond():
    """Lanes part after a step and meet before one."""
    assert drawn(DIAMOND) == [
        "Diamond",
        "o a",
        "├─┐",
        "o │ b",
        "│ o c",
        "├─┘",
        "o d",
    ]


def test_fork_and_join():
    """Many lanes part and meet on one line."""
    assert drawn(FORK_JOIN) == [
        "Chart",
        "o split",
        "├─┬─┬─┐",
        "o │ │ │ work1",
        "│ o │ │ work2",
        "│ │ o │ work3",
        "│ │ │ o work4",
        "├─┴─┴─┘",
        "o join",
    ]


def test_two_parts():
    """What does not hang together is set apart by an empty line."""
    assert drawn(TWO_PARTS) == ["Two parts", "o a", "o b", "", "o x", "o y"]


def test_a_crossed_lane_goes_through():
    """A line across another lane does not touch it; the place that a lane leaves is taken again."""
    picture = chart({"a": [], "b": ["a"], "c": ["b"], "d": ["b", "a"], "e": ["c", "d", "a"]})

    assert drawn(picture) == [
        "Chart",
        "o a",
        "├─┬─┐",
        "o │ │ b",
        "├─│─│─┐",
        "o │ │ │ c",
        "│ ├─│─┘",
        "│ o │ d",
        "├─┴─┘",
        "o e",
    ]


def test_a_new_root_does_not_continue_an_ended_path():
    """A step without arrows is not drawn below the end of another path: it would look like a part of that."""
    picture = chart({"a": [], "end": ["a"], "late": ["a", "root"], "root": []})

    assert drawn(picture) == [
        "Chart",
        "o a",
        "├─┐",
        "o │ end",
        "  │ o root",
        "  ├─┘",
        "  o late",
    ]


def test_statuses_have_marks_and_words():
    """A mark before the step and a word after it: no colour is needed."""
    statuses = ["completed", "failed", "skipped", "running", "retrying", "pending", "cancelled"]
    shapes = tuple(Shape(name, name, status=name) for name in statuses)
    lines = drawn(Picture("", shapes, tuple(Arrow(*pair) for pair in pairwise(statuses))))

    assert lines == [f"{mark} {name}  {name}" for mark, name in zip("+x->~o/", statuses, strict=True)]


def test_traits_and_detail_stand_after_the_name():
    """What is special about a step, and what came of it."""
    shape = Shape("a", "a", kind="signal", required=False, condition="x > 3", status="failed", detail="attempt 2")

    assert drawn(Picture("", (shape,), ())) == ["x a  (signal, optional, when x > 3)  failed attempt 2"]


@settings(max_examples=200)
@given(hostile_pictures())
def test_lines_are_at_most_100_columns_whatever_the_names(picture: Picture):
    """Names are shortened in the middle; nothing in them moves the cursor."""
    text = to_text(picture)

    assert max(map(cells, text.splitlines())) <= 100
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text)


@given(charts())
def test_every_step_is_named_once(picture: Picture):
    """Each step has one line, below all that it waits for."""
    lines = drawn(picture)

    place = {line.split()[-1 if not shape_status(line) else -2]: at for at, line in enumerate(lines) if "s" in line}

    assert {shape.label for shape in picture.shapes} == set(place)
    assert all(place[arrow.source] < place[arrow.target] for arrow in picture.arrows)


def shape_status(line: str) -> bool:
    return not line.split()[-1].removeprefix("s").isdigit()


def test_above_thirty_steps_it_is_a_list_by_level():
    """Alike steps of a level are counted, and a note says how."""
    assert drawn(fan(40)) == [
        "Chart",
        "42 steps, 80 arrows, 3 levels: a list by level, as lanes are drawn up to 30 steps.",
        "1  split",
        "2  work × 40",
        "3  join",
    ]


def test_the_list_counts_statuses():
    """Of many steps it says how many have which status, the worst first."""
    picture = fan(40)
    names = [shape.id for shape in picture.shapes]
    parents = {name: [arrow.source for arrow in picture.arrows if arrow.target == name] for name in names}
    statuses = {**dict.fromkeys(names, "completed"), "work_7": "failed", "join": "skipped"}

    assert drawn(chart(parents, status=statuses))[2:] == [
        "1 failed, 1 skipped, 40 completed",
        "1  + split (completed)",
        "2  x work × 40 (1 failed, 39 completed)",
        "3  - join (skipped)",
    ]


def test_the_list_names_some_groups_of_a_level():
    """Of a level with many different steps the first ones are named, the others counted; long lines go on below."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    lines = drawn(chart({f"pipeline.{letter * 12}": [] for letter in letters + letters.upper()}))

    assert lines[2] == "All names begin with pipeline."
    assert lines[3].startswith("1  aaaaaaaaaaaa, bbbbbbbbbbbb,")
    assert lines[4].startswith("   ")
    assert lines[-1].endswith(" 41 steps")
    assert max(map(cells, lines)) <= 100


def test_the_list_of_a_deep_workflow_leaves_out_its_middle():
    """100,000 levels do not give 100,000 lines."""
    lines = drawn(chain(1_000))

    assert len(lines) < 100
    assert " …  920 more levels" in lines or "   …  920 more levels" in lines


def test_too_many_lanes_give_a_list():
    """Lanes that nobody could follow are not drawn."""
    assert drawn(complete(30))[1].startswith("30 steps, 435 arrows, 30 levels: a list by level")


def test_a_terminal_without_lines_gets_ascii():
    """What the terminal's encoding lacks is shown by other means."""
    assert to_text(chart({"é": [], "b": ["é"], "c": ["é"]}, ""), encoding="ascii") == "o \\xe9\n+-.\no | b\n  o c\n"


@pytest.mark.parametrize("note", ["", "Some arrows are left out."])
def test_title_and_note_come_first(note: str):
    """The note stands below the title."""
    lines = drawn(Picture("Title", (Shape("a", "a"),), (), note))

    assert lines == ["Title", *([note] if note else []), "o a"]


def test_nothing_gives_an_empty_line():
    """A picture without shapes is no error."""
    assert to_text(Picture("", (), ())) == "\n"


def test_every_kind():
    """A word says what a step is; of one per item also whose items those are, as lanes have no heads to show it."""
    assert drawn(EVERY_KIND) == [
        "Every kind",
        "o lines  (stream)",
        "o parse  (each of lines)",
        "o settle  (until)",
        "├─┐",
        "o │ paid  (signal)",
        "o │ ship  (subflow, each of paid)",
        "  o night  (sleep)",
    ]


def test_a_step_that_waits():
    """It has a mark of its own, and says for what."""
    picture = Picture("", (Shape("p", "paid", kind="signal", status="waiting", detail="for a signal"),), ())

    assert ["= paid  (signal)  waiting for a signal"] == drawn(picture)
