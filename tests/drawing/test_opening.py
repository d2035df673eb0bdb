"""Looking into the groups of a large picture."""

import re

from orchwf.drawing import opened, to_svg
from orchwf.drawing.picture import Arrow, Picture, Shape
from orchwf.drawing.summary import MAX_SHAPES, GroupShape, summarise


def chain(count: int) -> Picture:
    """Steps that follow each other."""
    shapes = [Shape(f"s{at}", f"s{at}") for at in range(count)]
    return Picture("p", shapes, [Arrow(f"s{at}", f"s{at + 1}") for at in range(count - 1)])


def test_a_group_is_opened():
    """It is a picture of its steps, and of the arrows between them."""
    picture = chain(480)

    first = opened(picture, [0])

    assert len(summarise(picture).shapes) == 24
    assert [shape.id for shape in first.shapes] == [f"s{at}" for at in range(20)]
    assert len(first.arrows) == 19
    assert first.title.startswith("p: levels 1 to 20")


def test_groups_within_groups_come_to_an_end():
    """However many steps there are, and though nothing tells them apart: at last each is drawn by itself."""
    shapes = [Shape(f"part_{at}", f"part_{at}") for at in range(8_000)]
    picture = Picture("p", shapes, [])
    seen, path = [], [0]
    for _ in range(9):
        part = opened(picture, path)
        seen.append(len(part.shapes))
        path.append(0)

    assert seen[0] == 333
    assert seen[-1] <= MAX_SHAPES
    assert all(len(summarise(opened(picture, path[:depth]), splits=True).shapes) > 1 for depth in range(4))
    ids = [shape.id for at in range(24) for shape in opened(picture, [at]).shapes]
    assert ids == [shape.id for shape in shapes]


def test_a_group_that_there_is_not():
    """The picture is as it was."""
    picture = chain(400)

    assert opened(picture, [999]) == opened(picture, [-1]) == picture
    assert opened(chain(3), [0]) == chain(3)


def test_groups_lead_to_what_they_stand_for():
    """Only where that is asked for; what they are called is no way out of the address."""
    hostile = [Shape(f"{at}", '"><script>alert(1)</script>') for at in range(400)]

    plain = to_svg(Picture("p", hostile, []), link=str)
    opening = to_svg(Picture("p", hostile, []), link=str, opens=lambda at: f'?group={at}&x=<"')

    assert "<a" not in plain
    assert len(re.findall(r'<a class="group" href="\?group=\d+&amp;x=&lt;&quot;">', opening)) == 2
    assert "<script" not in opening
    assert all(isinstance(shape, GroupShape) for shape in summarise(Picture("p", hostile, []), splits=True).shapes)
