"""On which level each vertex stands, and the places that long edges pass through on the levels between."""

from collections.abc import Sequence
from itertools import pairwise

import attrs

from .graph import Graph, earliest_levels, topological_order

_MAX_PLACES = 6_000
"""Above that long edges are drawn as one curve behind the boxes: a picture of so many would be a blot anyway."""


@attrs.define
class Layers:
    """
    A graph whose edges all lead to the next level.

    Numbers from `size` on are places where an edge passes a level. `rows` holds what stands on each level, in order;
    `above` and `below` the neighbours of each vertex on the levels beside its own; `passes` edge -> its places.
    """

    size: int
    levels: list[int]
    rows: list[list[int]]
    above: list[list[int]]
    below: list[list[int]]
    passes: dict[tuple[int, int], list[int]]

    def is_place(self, vertex: int) -> bool:
        """Whether only an edge stands there."""
        return vertex >= self.size


def make_layers(graph: Graph) -> Layers:
    """
    The graph on levels.

    The long edges of one vertex share their places, so that they are drawn as one line that branches.
    """
    levels = compact_levels(graph)
    layers = Layers(graph.size, levels, [[] for _ in range(max(levels, default=-1) + 1)], [], [], {})
    for level in levels:
        _add(layers, level)
    long_edges = [edge for edge in graph.edges if levels[edge[1]] - levels[edge[0]] > 1]
    ends = _shared_ends(graph.size, long_edges)
    lines: dict[tuple[int, int], list[int]] = {}
    joined: set[tuple[int, int]] = set()
    for source, target in graph.edges:
        if len(layers.levels) - graph.size > _MAX_PLACES and levels[target] - levels[source] > 1:
            layers.passes[source, target] = []
            continue
        passes = _places(layers, lines, source, target, ends.get((source, target), 0))
        layers.passes[source, target] = passes
        stops = [source, *passes, target]
        for one, other in pairwise(stops):
            if (one, other) not in joined:
                joined.add((one, other))
                layers.below[one].append(other)
                layers.above[other].append(one)
    return layers


def compact_levels(graph: Graph) -> list[int]:
    """
    Vertex -> its level, counted from 0: as early as can be, but for what is drawn with shorter edges later.

    The longest path sets the number of levels. What leads to one place only moves towards it with all before it; any
    other vertex moves where more of its edges get shorter than longer.
    """
    order = topological_order(graph)
    levels = earliest_levels(graph, order)
    for vertex in _free_to_wait(graph, order):
        if below := graph.successors[vertex]:
            levels[vertex] = min(levels[target] for target in below) - 1
    for _ in range(2):
        for vertex in reversed(order):
            below, above = graph.successors[vertex], graph.predecessors[vertex]
            if len(below) > len(above):
                levels[vertex] = min(levels[target] for target in below) - 1
        for vertex in order:
            below, above = graph.successors[vertex], graph.predecessors[vertex]
            if len(above) > len(below):
                levels[vertex] = max(levels[source] for source in above) + 1
    return levels


def _free_to_wait(graph: Graph, order: Sequence[int]) -> list[int]:
    """The vertices whose ancestors lead nowhere else, the last ones first."""
    free = [False] * graph.size
    for vertex in order:
        free[vertex] = all(free[source] and len(graph.successors[source]) == 1 for source in graph.predecessors[vertex])
    return [vertex for vertex in reversed(order) if free[vertex]]


def _add(layers: Layers, level: int) -> int:
    vertex = len(layers.above)
    layers.rows[level].append(vertex)
    layers.above.append([])
    layers.below.append([])
    return vertex


def _shared_ends(size: int, long_edges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Long edge -> that end of it which has more of them: with these it shares its line."""
    leaving, arriving = [0] * size, [0] * size
    for source, target in long_edges:
        leaving[source] += 1
        arriving[target] += 1
    return {
        (source, target): source if leaving[source] >= arriving[target] else target for source, target in long_edges
    }


def _places(layers: Layers, lines: dict[tuple[int, int], list[int]], source: int, target: int, end: int) -> list[int]:
    """The places of an edge, from its source on; those that the line of its `end` lacks are made."""
    levels = layers.levels
    between = range(levels[source] + 1, levels[target])
    if not between:
        return []
    if end == source:
        line = lines.setdefault((source, 0), [])
        for level in between[len(line) :]:
            levels.append(level)
            line.append(_add(layers, level))
        return line[: len(between)]
    line = lines.setdefault((target, 1), [])
    for level in between[::-1][len(line) :]:
        levels.append(level)
        line.append(_add(layers, level))
    return line[: len(between)][::-1]
