"""Pictures of more steps than can be drawn."""

import re

import pytest

from orchwf.drawing import Arrow, Picture, Shape, to_mermaid, to_svg, to_text
from orchwf.drawing.picture import STATUSES
from orchwf.drawing.summary import MAX_SHAPES, GroupShape, summarise

from .pictures import chain, chart, complete, fan


def labels(picture: Picture) -> list[str]:
    return [shape.label for shape in summarise(picture).shapes]


def test_a_small_picture_is_its_own_summary():
    """Up to the limit nothing is left out."""
    picture = fan(MAX_SHAPES - 2)

    assert picture == summarise(picture)


def test_alike_steps_of_a_level_become_one_shape():
    """The shape counts them, names some when pointed at, and the note says what was done."""
    summary = summarise(fan(400))

    assert [shape.label for shape in summary.shapes] == ["split", "work × 400", "join"]
    assert summary.arrows == (Arrow("0", "1"), Arrow("1", "2"))
    assert summary.note == (
        "402 steps and 800 arrows on 3 levels, drawn as groups: one for the steps of a level whose names are alike."
    )
    assert re.fullmatch("work_0, work_1, .*, work_7 and 392 more", summary.shapes[1].tooltip)


def test_a_group_counts_statuses_and_shows_the_worst():
    """One failed step among hundreds is seen."""
    shapes = [Shape(str(at), f"work_{at}", status="completed") for at in range(400)]
    shapes[7] = Shape("7", "work_7", status="failed")
    shapes[8] = Shape("8", "work_8", status="dreaming")
    (group,) = summarise(Picture("p", tuple(shapes), ())).shapes

    assert isinstance(group, GroupShape)
    assert (group.status, group.detail) == ("failed", "1 failed, 398 completed, 1 dreaming")
    assert "398 completed" in to_svg(Picture("p", tuple(shapes), ()))


def test_a_group_has_the_traits_that_all_its_steps_have():
    """Optional and conditional are only what is so as a whole."""
    shapes = tuple(Shape(str(at), f"work_{at}", required=False, condition="self.full") for at in range(400))

    (group,) = summarise(Picture("p", shapes, ())).shapes
    (mixed,) = summarise(Picture("p", (Shape("x", "work"), *shapes), ())).shapes

    assert (False, "self.full") == (group.required, group.condition)
    assert (True, "") == (mixed.required, mixed.condition)


def test_a_group_is_of_the_kind_that_all_its_steps_are():
    """Hundreds of subflows are drawn as one; among them one step makes it a group of steps."""
    shapes = tuple(Shape(str(at), f"ship_{at}", kind="subflow", several="each") for at in range(400))

    (group,) = summarise(Picture("p", shapes, ())).shapes
    (mixed,) = summarise(Picture("p", (Shape("x", "ship"), *shapes), ())).shapes

    assert ("subflow", "each") == (group.kind, group.several)
    assert ("step", "") == (mixed.kind, mixed.several)


def word(number: int) -> str:
    """A name of letters only: no two numbers share it, nor a stem."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:03}")


def test_many_different_names_become_one_group_a_level():
    """Where names tell nothing the large groups stay, and the other steps of a level are counted together."""
    parents = {**{word(at): [] for at in range(400)}, **{f"twin_{at}": [] for at in range(5)}, "sum": [word(3)]}

    assert labels(chart(parents)) == ["twin × 5", "400 steps", "sum"]
    assert "aaa, aab, aac" in to_svg(chart(parents))


def test_a_deep_workflow_is_drawn_in_bands_of_levels():
    """Levels that follow each other become one shape, each level in exactly one."""
    summary = summarise(chain(1_000))

    spans = [re.fullmatch(r"levels ([\d,]+) to ([\d,]+) × ([\d,]+)", shape.label) for shape in summary.shapes]
    figures = [[int(number.replace(",", "")) for number in span.groups()] for span in spans if span]

    assert len(figures) == len(summary.shapes) == 24
    assert all(last - first + 1 == count for first, last, count in figures)
    assert [first for first, _, _ in figures] == [1, *(last + 1 for _, last, _ in figures[:-1])]
    assert figures[-1][1] == 1_000
    assert len(summary.arrows) == 23


def test_implied_arrows_are_left_out_where_they_are_many():
    """A picture with thousands of arrows shows those from which the others follow, and says so."""
    summary = summarise(complete(40))

    assert len(summary.arrows) == 39
    assert summary.note == "Left out: 741 arrows implied by others."


def test_arrows_that_nothing_implies_stay():
    """Many arrows alone are no reason to leave one out."""
    picture = chart(
        {**{f"a{at}": [] for at in range(20)}, **{f"b{at}": [f"a{n}" for n in range(20)] for at in range(20)}}
    )

    assert picture == summarise(picture)


def test_a_blot_of_arrows_is_summarised():
    """Few steps with more arrows than can be told apart are drawn as groups, too."""
    ends = [f"a{n}" for n in range(60)]

    assert labels(chart({**{name: [] for name in ends}, **{f"b{at}": ends for at in range(60)}})) == [
        "a × 60",
        "b × 60",
    ]


def wide(width: int, depth: int) -> Picture:
    """Levels of many steps, each of which waits for two."""
    parents = {
        f"level{chr(97 + level)}_{at}": [f"level{chr(96 + level)}_{(at + by) % width}" for by in (0, 1)]
        if level
        else []
        for level in range(depth)
        for at in range(width)
    }
    status = {name: list(STATUSES)[at % len(STATUSES)] for at, name in enumerate(parents)}
    return chart(parents, status=status)


@pytest.mark.slow
@pytest.mark.parametrize("picture", [chain(100_000), fan(100_000), wide(5_000, 20)], ids=["chain", "fan", "levels"])
def test_a_hundred_thousand_steps_are_a_small_picture(picture: Picture):
    """However large the workflow is, a page holds it; nobody waits for it for minutes."""
    drawn = to_svg(picture), to_text(picture), to_mermaid(picture)

    assert all(len(text) < 200_000 for text in drawn)
