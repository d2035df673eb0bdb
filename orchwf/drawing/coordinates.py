"""
Where each vertex stands on its level, so that long edges run straight and parents over the middle of their children.

Source: Brandes and Köpf 2001, "Fast and simple horizontal coordinate assignment"; the compaction as a longest path
over blocks is that of dagre, which avoids the known fault in the paper's.
"""

from collections.abc import Sequence
from itertools import pairwise

import attrs

from .layering import Layers
from .tightening import edge_length, tighten

_WORTH = 0.9
"""An uneven layout is taken instead of the balanced one if its edges are shorter by that factor."""


def assign(layers: Layers, sizes: Sequence[float], gap: float) -> list[float]:
    """Vertex -> the middle of it across the levels; 0 is where the first one begins. Neighbours are `gap` apart."""
    marked = _bent_edges(layers)
    candidates = []
    for upwards in (True, False):
        for mirrored in (False, True):
            rows = [row[::-1] if mirrored else row for row in layers.rows]
            neighbours = layers.above if upwards else layers.below
            places = _ranks(rows, len(layers.levels))
            roots = _align(rows if upwards else rows[::-1], neighbours, places, marked)
            middles = _compact(rows, roots, sizes, gap)
            candidates.append([-middle for middle in middles] if mirrored else middles)
    balanced = tighten(layers, _balance(candidates, sizes), sizes, gap)
    tightened = [tighten(layers, middles, sizes, gap) for middles in candidates]
    shortest = min(tightened, key=lambda middles: edge_length(layers, middles))
    is_worth = edge_length(layers, shortest) < _WORTH * edge_length(layers, balanced)
    return shortest if is_worth else balanced


def _ranks(rows: Sequence[Sequence[int]], size: int) -> list[int]:
    places = [0] * size
    for row in rows:
        for place, vertex in enumerate(row):
            places[vertex] = place
    return places


def _bent_edges(layers: Layers) -> set[tuple[int, int]]:
    """The edges (upper, lower) that cross a part of a long edge, or branch off it: it stays straight, they bend."""
    places = _ranks(layers.rows, len(layers.levels))
    marked = _branches(layers)
    for upper, row in pairwise(layers.rows):
        start, left = 0, 0
        for at, vertex in enumerate(row):
            straight = [end for end in layers.above[vertex] if layers.is_place(vertex) and layers.is_place(end)]
            if not straight and at < len(row) - 1:
                continue
            right = min(places[end] for end in straight) if straight else len(upper)
            for lower in row[start : at + 1]:
                for end in layers.above[lower]:
                    is_part = layers.is_place(lower) and layers.is_place(end)
                    if not is_part and not left <= places[end] <= right:
                        marked.add((end, lower))
            start, left = at + 1, max((places[end] for end in straight), default=left)
    return marked


def _branches(layers: Layers) -> set[tuple[int, int]]:
    marked: set[tuple[int, int]] = set()
    for vertex in range(layers.size, len(layers.levels)):
        for ends, is_upper in ((layers.below[vertex], True), (layers.above[vertex], False)):
            if any(map(layers.is_place, ends)):
                marked.update((vertex, end) if is_upper else (end, vertex) for end in ends if not layers.is_place(end))
    return marked


def _align(
    rows: Sequence[Sequence[int]],
    neighbours: Sequence[Sequence[int]],
    places: Sequence[int],
    marked: set[tuple[int, int]],
) -> list[int]:
    """Vertex -> the first vertex of the block it belongs to: what is to stand in one straight line."""
    roots = list(range(len(places)))
    taken = [False] * len(places)
    for row in rows:
        last = -1
        for vertex in row:
            ends = [end for end in neighbours[vertex] if (end, vertex) not in marked and (vertex, end) not in marked]
            ends.sort(key=places.__getitem__)
            for end in ends[(len(ends) - 1) // 2 : len(ends) // 2 + 1]:
                if not taken[end] and last < places[end]:
                    taken[end] = True
                    roots[vertex] = roots[end]
                    last = places[end]
                    break
    return roots


@attrs.define
class _Block:
    """What stands left and right of a block -> how far apart the middles must be."""

    left: dict[int, float] = attrs.field(factory=dict)
    right: dict[int, float] = attrs.field(factory=dict)


def _compact(rows: Sequence[Sequence[int]], roots: Sequence[int], sizes: Sequence[float], gap: float) -> list[float]:
    """Vertex -> its middle: blocks as far left as can be, then towards what stands right of them."""
    blocks = {root: _Block() for root in roots}
    for row in rows:
        for one, other in pairwise(row):
            distance = (sizes[one] + sizes[other]) / 2 + gap
            left, right = roots[one], roots[other]
            distance = max(distance, blocks[right].left.get(left, 0.0))
            blocks[right].left[left] = blocks[left].right[right] = distance
    order = _left_to_right(blocks)
    middles = dict.fromkeys(blocks, 0.0)
    for block in order:
        middles[block] = max((middles[near] + by for near, by in blocks[block].left.items()), default=0.0)
    for block in reversed(order):
        bound = min((middles[near] - by for near, by in blocks[block].right.items()), default=middles[block])
        middles[block] = max(middles[block], bound)
    return [middles[root] for root in roots]


def _left_to_right(blocks: dict[int, _Block]) -> list[int]:
    waiting = {root: len(block.left) for root, block in blocks.items()}
    order = [root for root, count in waiting.items() if not count]
    for root in order:  # It grows while it is read.
        for near in blocks[root].right:
            waiting[near] -= 1
            if not waiting[near]:
                order.append(near)
    return order


def _balance(candidates: Sequence[Sequence[float]], sizes: Sequence[float]) -> list[float]:
    """The mean of the two middle ones of the four layouts, which are first pushed over the narrowest."""
    spans = [_span(middles, sizes) for middles in candidates]
    low, high = min(spans, key=lambda span: span[1] - span[0])
    shifts = [low - span[0] if at % 2 == 0 else high - span[1] for at, span in enumerate(spans)]
    shifted = [[middle + by for middle in middles] for middles, by in zip(candidates, shifts, strict=True)]
    balanced = [sum(sorted(four)[1:3]) / 2 for four in zip(*shifted, strict=True)]
    start = _span(balanced, sizes)[0]
    return [middle - start for middle in balanced]


def _span(middles: Sequence[float], sizes: Sequence[float]) -> tuple[float, float]:
    edges = [(middle - size / 2, middle + size / 2) for middle, size in zip(middles, sizes, strict=True)]
    return min(low for low, _ in edges), max(high for _, high in edges)
