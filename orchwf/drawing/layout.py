"""
Where every box stands and every arrow runs.

Layers, order and coordinates are those of the drawing method of Sugiyama; parts that do not hang together are set in
rows like words. Deterministic: the same picture gives the same layout in every process.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import attrs

from .coordinates import assign
from .graph import Graph, components, make_graph
from .layering import Layers, make_layers
from .ordering import untangle

Point = tuple[float, float]

_PAGE_WIDTH = 1000.0
"""What a notebook shows without scaling a picture down."""

_PAGE_HEIGHT = 1000.0
_MIN_GAIN = 0.9
_PLACE_SIZE = 6.0
_PART_GAP = 28.0


@attrs.frozen
class Box:
    """A rectangle; x and y are of its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@attrs.frozen
class Layout:
    """
    A laid out graph.

    Attributes:
        is_across: Whether arrows lead from left to right; else from the top down.
        boxes: By vertex.
        routes: Edge -> its points, from the source's side to the target's. Curved from the first to the second,
            straight to the third, curved to the fourth, and so on.
        levels: By vertex.
    """

    is_across: bool
    width: float
    height: float
    boxes: list[Box]
    routes: dict[tuple[int, int], list[Point]]
    levels: list[int]


@attrs.frozen
class Spacing:
    """
    How far apart things stand: boxes on one level, and levels.

    `label` is how much room the longest label of an arrow needs between two levels.
    """

    beside: float
    between: float
    label: float


@attrs.frozen
class _Part:
    """One connected piece, and the vertices of the whole graph that its own stand for."""

    graph: Graph
    vertices: list[int]
    layers: Layers


@attrs.frozen
class _Piece:
    """A part with coordinates, in a direction not yet chosen: levels lie `along`, their vertices `across`."""

    along: float
    across: float
    starts: list[float]
    depths: list[float]
    middles: list[float]


def lay_out(graph: Graph, sizes: Sequence[Point], *, label: Point = (0.0, 0.0)) -> Layout:
    """
    The layout of a graph whose boxes have these sizes (width, height), in the direction that needs less scaling down.

    `label` is the size of the largest label of an arrow.
    """
    parts = [_make_part(graph, vertices) for vertices in components(graph)]
    is_across = _reads_better_across(parts, sizes)
    spacing = Spacing(14.0, 44.0, label[0]) if is_across else Spacing(22.0, 34.0, label[1])
    turned = list(sizes) if is_across else [(height, width) for width, height in sizes]
    parts.sort(key=lambda part: (len(part.vertices) == 1, -part.graph.size, part.vertices[0]))
    pieces = [_set_piece(part, turned, spacing) for part in parts]
    extents = [(piece.along, piece.across) if is_across else (piece.across, piece.along) for piece in pieces]
    corners, width, height = pack(extents)
    layout = Layout(is_across, width, height, [Box(0, 0, 0, 0)] * graph.size, {}, [0] * graph.size)
    for part, piece, corner in zip(parts, pieces, corners, strict=True):
        _place_part(layout, part, piece, turned, corner)
    return layout


def pack(extents: Sequence[Point]) -> tuple[list[Point], float, float]:
    """The upper left corners of rectangles set in rows like words, and the width and height of the whole."""
    page = max([_PAGE_WIDTH, *(width for width, _ in extents)])
    corners: list[Point] = []
    x = y = row_height = widest = 0.0
    for width, height in extents:
        if x and x + width > page:
            x, y, row_height = 0.0, y + row_height + _PART_GAP, 0.0
        corners.append((x, y))
        widest = max(widest, x + width)
        x += width + _PART_GAP
        row_height = max(row_height, height)
    return corners, widest, y + row_height


def _make_part(graph: Graph, vertices: list[int]) -> _Part:
    own = {vertex: at for at, vertex in enumerate(vertices)}
    edges = [(own[vertex], own[end]) for vertex in vertices for end in graph.successors[vertex]]
    part = make_graph(len(vertices), edges)
    layers = make_layers(part)
    untangle(layers)
    return _Part(part, vertices, layers)


def _reads_better_across(parts: Sequence[_Part], sizes: Sequence[Point]) -> bool:
    """Whether left to right is to be chosen; also if it makes hardly a difference."""
    across = [_estimate(part, sizes) for part in parts]
    down = [_estimate(part, [(height, width) for width, height in sizes]) for part in parts]
    return _scale(pack(across)) >= _MIN_GAIN * _scale(pack([(width, height) for height, width in down]))


def _estimate(part: _Part, sizes: Sequence[Point]) -> Point:
    """About how large a part becomes: along the levels, and across."""
    along = across = 0.0
    for row in part.layers.rows:
        own = [sizes[part.vertices[vertex]] for vertex in row if not part.layers.is_place(vertex)]
        along += max(size[0] for size in own) + 60.0
        across = max(across, sum(size[1] + 16.0 for size in own))
    return along, across


def _scale(packed: tuple[list[Point], float, float]) -> float:
    """How much of its size a picture keeps on a page; that it is long counts less than that it is wide."""
    _, width, height = packed
    return min(1.0, _PAGE_WIDTH / (width + 1.0)) * sqrt(min(1.0, _PAGE_HEIGHT / (height + 1.0)))


def _set_piece(part: _Part, sizes: Sequence[Point], spacing: Spacing) -> _Piece:
    layers = part.layers
    across = [sizes[vertex][1] for vertex in part.vertices]
    across += [_PLACE_SIZE] * (len(layers.levels) - layers.size)
    middles = [round(middle, 1) for middle in assign(layers, across, spacing.beside)]
    depths = [
        max(sizes[part.vertices[vertex]][0] for vertex in row if not layers.is_place(vertex)) for row in layers.rows
    ]
    starts, along = [], 0.0
    for row, depth in zip(layers.rows, depths, strict=True):
        starts.append(round(along, 1))
        along += depth + spacing.between + spacing.label + _slope_room(layers, middles, row)
    end = starts[-1] + depths[-1]
    extent = max(middle + size / 2 for middle, size in zip(middles, across, strict=True))
    return _Piece(end, round(extent, 1), starts, depths, middles)


def _slope_room(layers: Layers, middles: Sequence[float], row: Sequence[int]) -> float:
    """What is added between two levels so that edges which lead far to the side are not too steep."""
    farthest = max((abs(middles[end] - middles[vertex]) for vertex in row for end in layers.below[vertex]), default=0.0)
    return min(120.0, farthest * 0.1)


def _place_part(layout: Layout, part: _Part, piece: _Piece, sizes: Sequence[Point], corner: Point) -> None:
    levels = part.layers.levels
    for own, vertex in enumerate(part.vertices):
        depth, size = piece.depths[levels[own]], sizes[vertex][1]
        start, side = piece.starts[levels[own]], piece.middles[own] - size / 2
        layout.levels[vertex] = levels[own]
        if layout.is_across:
            layout.boxes[vertex] = Box(corner[0] + start, corner[1] + side, depth, size)
        else:
            layout.boxes[vertex] = Box(corner[0] + side, corner[1] + start, size, depth)
    for (source, target), passes in part.layers.passes.items():
        points = _route(piece, levels, [source, *passes, target])
        edge = part.vertices[source], part.vertices[target]
        layout.routes[edge] = [_turn(layout, point, corner) for point in points]


def _route(piece: _Piece, levels: Sequence[int], stops: Sequence[int]) -> list[Point]:
    points = []
    for one, other in pairwise(stops):
        leaves = piece.starts[levels[one]] + piece.depths[levels[one]]
        points += [(leaves, piece.middles[one]), (piece.starts[levels[other]], piece.middles[other])]
    return points


def _turn(layout: Layout, point: Point, corner: Point) -> Point:
    along, across = point
    x, y = (along, across) if layout.is_across else (across, along)
    return round(corner[0] + x, 1), round(corner[1] + y, 1)
