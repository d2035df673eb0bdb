"""Pulling together what a first assignment of coordinates left far apart, without bending what runs straight."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import attrs

from .layering import Layers

_ROUNDS = 12
_NEAR = 0.05


@attrs.frozen
class _Field:
    """Vertices with their middles, which move; the distances to the neighbours on their level do not get smaller."""

    layers: Layers
    middles: list[float]
    distance: list[float]
    left: list[int]
    right: list[int]

    def room(self, vertex: int) -> tuple[float, float]:
        """How far the vertex may move to the left (negative) and to the right."""
        left, right = self.left[vertex], self.right[vertex]
        low = self.middles[left] + self.distance[vertex] - self.middles[vertex] if left >= 0 else -1e9
        high = self.middles[right] - self.distance[right] - self.middles[vertex] if right >= 0 else 1e9
        return min(low, 0.0), max(high, 0.0)

    def ends(self, vertex: int) -> list[int]:
        """All that edges join to the vertex, on both sides."""
        return self.layers.above[vertex] + self.layers.below[vertex]


def tighten(layers: Layers, middles: Sequence[float], sizes: Sequence[float], gap: float) -> list[float]:
    """
    The middles after moves that each make the edges shorter in sum, or leave that as it is.

    In turns single vertices (with all places of their line, if they are places) and everything that is joined straight
    are moved to the median of what they are joined to, as far as their neighbours let them.
    """
    field = _make_field(layers, middles, sizes, gap)
    lines = _units(field, lambda one, other: layers.is_place(one) and layers.is_place(other))
    for _ in range(_ROUNDS):
        moved = [_move(field, unit) for unit in lines]
        straight = _units(field, lambda one, other: abs(field.middles[one] - field.middles[other]) < _NEAR)
        moved += [_move(field, unit) for unit in straight]
        if not any(moved):
            break
    for unit in lines:
        if len(unit) == 1:
            _centre(field, unit[0])
    start = min(middle - size / 2 for middle, size in zip(field.middles, sizes, strict=True))
    return [middle - start for middle in field.middles]


def edge_length(layers: Layers, middles: Sequence[float]) -> float:
    """How far edges lead to the side, in sum."""
    return sum(abs(middles[vertex] - middles[end]) for vertex, ends in enumerate(layers.below) for end in ends)


def _make_field(layers: Layers, middles: Sequence[float], sizes: Sequence[float], gap: float) -> _Field:
    count = len(layers.levels)
    field = _Field(layers, list(middles), [0.0] * count, [-1] * count, [-1] * count)
    for row in layers.rows:
        for one, other in pairwise(row):
            field.right[one], field.left[other] = other, one
            field.distance[other] = (sizes[one] + sizes[other]) / 2 + gap
    return field


def _units(field: _Field, is_joined: Callable[[int, int], bool]) -> list[list[int]]:
    """The vertices in groups that hang together by edges of which the predicate holds."""
    seen = [False] * len(field.middles)
    units = []
    for start in range(len(seen)):
        if seen[start]:
            continue
        seen[start] = True
        unit = [start]
        for vertex in unit:  # It grows while it is read.
            for end in field.ends(vertex):
                if not seen[end] and is_joined(vertex, end):
                    seen[end] = True
                    unit.append(end)
        units.append(unit)
    return units


def _move(field: _Field, unit: Sequence[int]) -> bool:
    """Move a unit to where the edges that leave it are shortest in sum; whether it did move."""
    own = set(unit)
    pulls = sorted(
        field.middles[end] - field.middles[vertex] for vertex in unit for end in field.ends(vertex) if end not in own
    )
    if not pulls:
        return False
    # Between the two middle pulls every place is as good: it stays, or goes to the nearer one.
    low, high = pulls[(len(pulls) - 1) // 2], pulls[len(pulls) // 2]
    return _shift(field, unit, min(max(0.0, low), high))


def _shift(field: _Field, unit: Sequence[int], by: float) -> bool:
    own = set(unit)
    for vertex in unit:
        low, high = field.room(vertex)
        if by < low and field.left[vertex] not in own:
            by = low
        elif by > high and field.right[vertex] not in own:
            by = high
    if abs(by) < _NEAR:
        return False
    for vertex in unit:
        field.middles[vertex] += by
    return True


def _centre(field: _Field, vertex: int) -> None:
    """Put a vertex in the middle of the shapes it branches to, or that meet in it; lines come second."""
    sides = [side for side in (field.layers.above[vertex], field.layers.below[vertex]) if len(side) > 1]
    if field.layers.is_place(vertex) or len(sides) != 1:
        return
    shapes = [end for end in sides[0] if not field.layers.is_place(end)] or sides[0]
    others = [end for end in field.ends(vertex) if end not in sides[0]]
    if len(shapes) > 1 and not any(_is_straight(field, vertex, others)):
        middles = sorted(field.middles[end] for end in shapes)
        centre = (middles[(len(middles) - 1) // 2] + middles[len(middles) // 2]) / 2
        _shift(field, [vertex], centre - field.middles[vertex])


def _is_straight(field: _Field, vertex: int, ends: Sequence[int]) -> Iterator[bool]:
    return (abs(field.middles[vertex] - field.middles[end]) < _NEAR for end in ends)
