"""In which order the vertices of a level stand, so that few edges cross."""

from bisect import bisect_right, insort
from collections.abc import Sequence

from .layering import Layers

_EFFORT = 20_000
"""Vertices and edges that are looked at from one beginning, about; it bounds the time."""

_EXCHANGE_COST = 3
_MAX_SWEEPS = 24
_PATIENCE = 6
_MAX_PASSES = 4


def untangle(layers: Layers) -> None:
    """
    Reorder the rows so that few edges cross: the best that is found from three beginnings.

    Source: sweeps by barycentre, Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical
    system structures"; the exchange of neighbours, Gansner et al. 1993, "A technique for drawing directed graphs".
    """
    best, fewest = layers.rows, -1
    for rows in (_walked(layers, layers.below), _walked(layers, layers.above), [list(row) for row in layers.rows]):
        layers.rows = rows
        count = _improve(layers)
        if fewest < 0 or count < fewest:
            best, fewest = layers.rows, count
        if not fewest:
            break
    layers.rows = best


def _improve(layers: Layers) -> int:
    """Sweep up and down as long as it helps. Returns the number of crossings that are left."""
    best, fewest = [list(row) for row in layers.rows], crossings(layers)
    work = sum(map(len, layers.below)) + len(layers.levels)
    is_small = work * _EXCHANGE_COST * _PATIENCE < _EFFORT
    affordable = _EFFORT // max(1, work * _EXCHANGE_COST if is_small else work)
    idle = 0
    for sweep in range(min(_MAX_SWEEPS, max(4, affordable))):
        if not fewest or idle > _PATIENCE:
            break
        _sweep(layers, downwards=sweep % 2 == 0, reverse_ties=sweep % 4 > 1)
        if is_small:
            _exchange_neighbours(layers)
        count = crossings(layers)
        idle += 1
        if count < fewest:
            best, fewest, idle = [list(row) for row in layers.rows], count, 0
    layers.rows = best
    return fewest


def crossings(layers: Layers) -> int:
    """How many pairs of edges between two levels cross."""
    places = _places(layers)
    return sum(_crossings_below([layers.below[vertex] for vertex in row], places) for row in layers.rows)


def _crossings_below(ends_in_order: Sequence[Sequence[int]], places: Sequence[int]) -> int:
    seen: list[int] = []
    count = 0
    for ends in ends_in_order:
        ranks = sorted(places[end] for end in ends)
        for rank in ranks:
            count += len(seen) - bisect_right(seen, rank)
        for rank in ranks:
            insort(seen, rank)
    return count


def _places(layers: Layers) -> list[int]:
    """Vertex -> its place in its row, counted from 0."""
    places = [0] * len(layers.levels)
    for row in layers.rows:
        for place, vertex in enumerate(row):
            places[vertex] = place
    return places


def _walked(layers: Layers, onwards: Sequence[Sequence[int]]) -> list[list[int]]:
    """The rows in the order in which a walk in depth first meets their vertices: what hangs together is together."""
    backwards = layers.above if onwards is layers.below else layers.below
    met: list[list[int]] = [[] for _ in layers.rows]
    seen = [False] * len(layers.levels)
    for start in range(layers.size):
        stack = [start] if not backwards[start] else []
        while stack:
            vertex = stack.pop()
            if not seen[vertex]:
                seen[vertex] = True
                met[layers.levels[vertex]].append(vertex)
                stack.extend(end for end in reversed(onwards[vertex]) if not seen[end])
    return met


def _sweep(layers: Layers, *, downwards: bool, reverse_ties: bool) -> None:
    rows = layers.rows if downwards else layers.rows[::-1]
    neighbours = layers.above if downwards else layers.below
    places = _places(layers)
    for row in rows:
        keys = {}
        for place, vertex in enumerate(row):
            ends = neighbours[vertex]
            centre = sum(places[end] for end in ends) / len(ends) if ends else float(place)
            keys[vertex] = (centre, -place if reverse_ties else place)
        row.sort(key=keys.__getitem__)
        for place, vertex in enumerate(row):
            places[vertex] = place


def _exchange_neighbours(layers: Layers) -> None:
    """Swap two that stand side by side wherever fewer edges cross then, a few times over."""
    places = _places(layers)
    for _ in range(_MAX_PASSES):
        gained = False
        for row in layers.rows:
            for at in range(len(row) - 1):
                one, other = row[at], row[at + 1]
                if _swap_gain(layers, places, one, other) > 0:
                    row[at], row[at + 1] = other, one
                    places[one], places[other] = at + 1, at
                    gained = True
        if not gained:
            break


def _swap_gain(layers: Layers, places: Sequence[int], one: int, other: int) -> int:
    gain = 0
    for neighbours in (layers.above, layers.below):
        gain += _crossings_below((neighbours[one], neighbours[other]), places)
        gain -= _crossings_below((neighbours[other], neighbours[one]), places)
    return gain
