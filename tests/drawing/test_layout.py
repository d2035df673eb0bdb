"""Where boxes stand and arrows run."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings

from orchwf.drawing import Arrow, Picture, Shape
from orchwf.drawing.graph import components, implied_edges, make_graph, topological_order
from orchwf.drawing.layering import compact_levels, make_layers
from orchwf.drawing.layout import Box, Layout, lay_out, pack
from orchwf.drawing.ordering import crossings, untangle
from orchwf.drawing.picture import distinct_arrows
from orchwf.drawing.summary import indexed
from tests.costs.calls import Calls

from .pictures import CHAIN, DIAMOND, chain, chart, charts, complete, fan


def laid_out(picture: Picture, size: tuple[float, float] = (100.0, 31.0)) -> Layout:
    return lay_out(indexed(picture, picture.arrows), [size] * len(picture.shapes))


def overlap(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not beside and not (one.y + one.height <= other.y or other.y + other.height <= one.y)


@given(charts())
def test_no_two_boxes_overlap(picture: Picture):
    """However the steps hang together, each box has its own place, inside the picture."""
    layout = laid_out(picture)

    assert not [pair for pair in combinations(layout.boxes, 2) if overlap(*pair)]
    assert all(box.x >= -0.2 and box.x + box.width <= layout.width + 0.2 for box in layout.boxes)
    assert all(box.y >= -0.2 and box.y + box.height <= layout.height + 0.2 for box in layout.boxes)


@given(charts())
def test_arrows_point_in_one_direction(picture: Picture):
    """Every arrow leads to a later level, and never turns back on its way."""
    layout = laid_out(picture)

    for (source, target), points in layout.routes.items():
        along = [x if layout.is_across else y for x, y in points]
        assert layout.levels[source] < layout.levels[target]
        assert along == sorted(along)


@given(charts())
def test_arrows_run_from_box_to_box(picture: Picture):
    """Every arrow has a route that starts at the side of its source and ends at that of its target."""
    layout = laid_out(picture)
    place = {shape.id: at for at, shape in enumerate(picture.shapes)}

    assert {(place[arrow.source], place[arrow.target]) for arrow in picture.arrows} == set(layout.routes)
    for (source, target), points in layout.routes.items():
        first, last = layout.boxes[source], layout.boxes[target]
        if layout.is_across:
            ends = (first.x + first.width, first.y + first.height / 2), (last.x, last.y + last.height / 2)
        else:
            ends = (first.x + first.width / 2, first.y + first.height), (last.x + last.width / 2, last.y)
        assert pytest.approx(ends[0] + ends[1], abs=0.2) == points[0] + points[-1]


@given(charts())
def test_arrows_pass_no_box(picture: Picture):
    """On the levels between its ends an arrow runs beside the boxes, not behind them."""
    layout = laid_out(picture)

    for points in layout.routes.values():
        for (x1, y1), (x2, y2) in list(pairwise(points))[1::2]:
            line = Box(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))
            assert not any(overlap(line, box) for box in layout.boxes)


@given(charts())
def test_the_same_picture_has_the_same_layout(picture: Picture):
    """Nothing is left to chance."""
    assert laid_out(picture) == laid_out(picture)


@given(charts())
def test_levels_are_as_many_as_the_longest_path_needs(picture: Picture):
    """Steps may move to a later level, but no level is added, and none is left empty."""
    graph = indexed(picture, picture.arrows)
    longest = [1] * graph.size
    for vertex in topological_order(graph):
        for target in graph.successors[vertex]:
            longest[target] = max(longest[target], longest[vertex] + 1)

    assert set(range(max(longest))) >= set(compact_levels(graph))
    assert max(longest) == max(compact_levels(graph)) + 1


def test_a_root_stands_before_what_needs_it():
    """What is needed late, and by one step only, is drawn late: its arrow is short."""
    graph = make_graph(5, [(0, 1), (1, 2), (2, 3), (4, 3)])

    assert compact_levels(graph) == [0, 1, 2, 3, 2]


def test_a_step_moves_where_more_of_its_arrows_are_short():
    """Two long arrows out are dearer than one in, and the other way round."""
    late = make_graph(7, [(0, 1), (1, 2), (2, 3), (0, 4), (4, 3), (4, 5), (2, 5), (0, 6)])

    assert compact_levels(late)[4] == 2


def test_long_arrows_of_one_step_share_their_way():
    """A step that many levels read is drawn as one line that branches."""
    layers = make_layers(make_graph(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 2), (0, 3), (0, 4)]))

    assert {(0, 2): 1, (0, 3): 2, (0, 4): 3} == {edge: len(way) for edge, way in layers.passes.items() if way}
    assert layers.passes[0, 4][:2] == layers.passes[0, 3]
    assert len(layers.levels) == 5 + 3


def test_long_arrows_to_one_step_share_their_way():
    """What many levels feed is reached by one line that they join."""
    layers = make_layers(make_graph(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 4), (2, 4)]))

    assert layers.passes[0, 4][1:] == layers.passes[1, 4]
    assert len(layers.levels) == 5 + 3


def test_long_arrows_without_end_are_drawn_directly():
    """The number of places is bounded: above it a long arrow has none."""
    layers = make_layers(indexed(complete(140), complete(140).arrows))

    assert len(layers.levels) < 140 + 6_200
    assert [edge for edge, way in layers.passes.items() if not way and edge[1] - edge[0] > 1]


def test_crossed_arrows_are_untangled():
    """Two pairs that are defined crosswise are drawn side by side."""
    layers = make_layers(make_graph(6, [(0, 3), (1, 2), (4, 0), (4, 1), (2, 5), (3, 5)]))

    untangle(layers)

    assert crossings(layers) == 0


def test_a_complete_bipartite_graph_keeps_its_crossings():
    """Where crossings cannot be avoided, the search ends."""
    layers = make_layers(make_graph(6, [(one, other) for one in range(3) for other in range(3, 6)]))

    untangle(layers)

    assert crossings(layers) == 9


def test_a_chain_is_one_straight_line():
    """All boxes of a chain stand on one axis."""
    layout = laid_out(CHAIN)

    assert len({box.y for box in layout.boxes}) == 1
    assert layout.is_across


def test_a_long_chain_leads_down():
    """What would be too wide for a page is drawn from the top."""
    layout = laid_out(chain(20))

    assert not layout.is_across
    assert len({box.x for box in layout.boxes}) == 1


def test_a_wide_fan_leads_across():
    """Many steps side by side are stacked rather than put in a row that no page holds."""
    assert laid_out(fan(40)).is_across


def test_a_diamond_is_symmetric():
    """The ends of a diamond stand in the middle of its sides."""
    a, b, c, d = laid_out(DIAMOND).boxes

    assert a.y == d.y == (b.y + c.y) / 2


def test_parts_stand_beside_each_other():
    """What does not hang together is set in rows, the largest part first, single steps last."""
    layout = laid_out(chart({"lone": [], "a": [], "b": ["a"], "other": []}))
    lone, a, b, other = layout.boxes

    assert a.x < b.x < lone.x < other.x


def test_rows_break_at_the_width_of_a_page():
    """Rectangles that do not fit into a row begin the next one."""
    corners, width, height = pack([(600.0, 50.0), (500.0, 80.0), (300.0, 20.0)])

    assert corners == [(0.0, 0.0), (0.0, 78.0), (528.0, 78.0)]
    assert (width, height) == (828.0, 158.0)


def test_an_empty_picture_has_a_layout():
    """Nothing to draw is no error."""
    assert laid_out(Picture("Nothing", (), ())).boxes == []


@pytest.mark.parametrize(
    ("small", "large"),
    [(chain(150), chain(300)), (fan(149), fan(298)), (complete(30), complete(42))],
    ids=["chain", "fan", "complete"],
)
def test_twice_as_much_is_laid_out_at_little_more_than_twice_the_cost(small: Picture, large: Picture):
    """In calls, which a busy machine does not change; a picture of 300 steps takes far less than a reader notices."""
    with Calls() as few:
        laid_out(small)
    with Calls() as many:
        laid_out(large)

    assert many.count < 2.2 * few.count


@settings(max_examples=50)
@given(charts())
def test_what_is_implied_can_be_reached_otherwise(picture: Picture):
    """Without the implied edges the same steps follow from each."""
    graph = indexed(picture, picture.arrows)
    implied = implied_edges(graph)
    thin = make_graph(graph.size, [edge for edge in graph.edges if edge not in implied])

    assert components(graph) == components(thin)
    assert reached(graph.successors) == reached(thin.successors)


def reached(successors: list[list[int]]) -> list[set[int]]:
    ends: list[set[int]] = [set() for _ in successors]
    for vertex in reversed(range(len(successors))):  # In `charts` edges lead to higher numbers.
        for target in successors[vertex]:
            ends[vertex] |= {target} | ends[target]
    return ends


def test_a_circle_is_refused():
    """A picture of what cannot be ordered is the caller's mistake."""
    with pytest.raises(ValueError, match="circle"):
        laid_out(chart({"a": ["b"], "b": ["a"]}))


def test_an_arrow_to_nowhere_is_refused():
    """An arrow must end at a shape of the picture."""
    with pytest.raises(ValueError, match="'a' -> 'b' ends at no shape"):
        distinct_arrows(Picture("p", (Shape("a", "a"),), (Arrow("a", "b"),)))


def test_two_shapes_of_one_id_are_refused():
    """Arrows find their ends by id."""
    with pytest.raises(ValueError, match="same id"):
        distinct_arrows(Picture("p", (Shape("a", "a"), Shape("a", "b")), ()))


def test_arrows_of_the_same_ends_become_one():
    """It bears the labels of all, and is solid if one of them is."""
    shapes = (Shape("a", "a"), Shape("b", "b"))
    arrows = [Arrow("a", "b", "x", True), Arrow("a", "b", "y"), Arrow("a", "b", "x", True)]

    assert distinct_arrows(Picture("p", shapes, tuple(arrows))) == [Arrow("a", "b", "x, y")]
