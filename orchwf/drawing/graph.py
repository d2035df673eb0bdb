"""A picture as integers: who points at whom, in which order, on which level. Nothing here recurses."""

from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Graph:
    """Vertices 0 to size - 1; the distinct edges between them, and for each vertex the ends of those it has."""

    edges: list[tuple[int, int]]
    successors: list[list[int]]
    predecessors: list[list[int]]

    @property
    def size(self) -> int:
        """How many vertices there are."""
        return len(self.successors)


def make_graph(size: int, edges: Iterable[tuple[int, int]]) -> Graph:
    """The graph of these edges, which are distinct."""
    graph = Graph(list(edges), [[] for _ in range(size)], [[] for _ in range(size)])
    for source, target in graph.edges:
        graph.successors[source].append(target)
        graph.predecessors[target].append(source)
    return graph


def topological_order(graph: Graph) -> list[int]:
    """
    Every vertex after all that point at it; among those that are free, in the order of their numbers.

    Raises:
        ValueError: The edges form a circle.
    """
    waiting = [len(sources) for sources in graph.predecessors]
    order = [vertex for vertex in range(graph.size) if not waiting[vertex]]
    for vertex in order:  # It grows while it is read.
        for target in graph.successors[vertex]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < graph.size:
        raise ValueError("The arrows form a circle: there is no order in which to draw them.")
    return order


def earliest_levels(graph: Graph, order: Sequence[int]) -> list[int]:
    """Vertex -> the number of edges on the longest path that leads to it. Counted from 0."""
    levels = [0] * graph.size
    for vertex in order:
        below = levels[vertex] + 1
        for target in graph.successors[vertex]:
            levels[target] = max(levels[target], below)
    return levels


def components(graph: Graph) -> list[list[int]]:
    """The vertices that hang together, each part ascending; parts by their first vertex."""
    seen = [False] * graph.size
    parts = []
    for start in range(graph.size):
        if seen[start]:
            continue
        seen[start] = True
        part = [start]
        for vertex in part:  # It grows while it is read.
            for ends in (graph.successors[vertex], graph.predecessors[vertex]):
                for end in ends:
                    if not seen[end]:
                        seen[end] = True
                        part.append(end)
        parts.append(sorted(part))
    return parts


def implied_edges(graph: Graph) -> set[tuple[int, int]]:
    """The edges that other paths stand for (a -> c beside a -> b -> c). Quadratic in bits: for small graphs."""
    order = topological_order(graph)
    reach = [0] * graph.size
    implied = set()
    rank = {vertex: place for place, vertex in enumerate(order)}
    for vertex in reversed(order):
        for target in sorted(graph.successors[vertex], key=rank.__getitem__):
            if reach[vertex] >> target & 1:
                implied.add((vertex, target))
            reach[vertex] |= reach[target] | 1 << target
    return implied
