"""A picture of many steps as one of few: alike steps of one level become one shape that counts them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

import attrs

from ..labels import counted, shorten, stem, visible
from .graph import Graph, earliest_levels, implied_edges, make_graph, topological_order
from .picture import LOOKS, Arrow, Picture, Shape, distinct_arrows

MAX_SHAPES = 300
"""Up to so many steps each is drawn by itself."""

_MAX_ARROWS = 1_500
_MAX_GROUPS = 120
_MAX_BANDS = 24
_NAMED = 8
_WORST_FIRST = (
    *("failed", "cancelled", "retrying", "running", "waiting", "pending", "skipped", "completed"),
    *("removed", "added", "changed", "reached"),
)


class HasStatus(Protocol):
    """What may have a status: a shape, a lane."""

    @property
    def status(self) -> str:
        """One of `LOOKS`, or empty."""
        ...


@attrs.frozen
class GroupShape(Shape):
    """
    One shape for many steps; its `detail` says how they fare.

    `counts` holds how many have which status, the worst first, and `names` some of what they are called where the label
    does not say it.
    """

    counts: tuple[tuple[str, int], ...] = ()
    names: tuple[str, ...] = ()


@attrs.frozen
class Group:
    """Steps of one level, or of several that follow each other, which are shown as one. `members` are vertices."""

    level: int
    name: str
    members: list[int]


def indexed(picture: Picture, arrows: Sequence[Arrow]) -> Graph:
    """The graph of a picture; its vertices are the places of the shapes."""
    place = {shape.id: at for at, shape in enumerate(picture.shapes)}
    return make_graph(len(place), [(place[arrow.source], place[arrow.target]) for arrow in arrows])


def summarise(picture: Picture, *, splits: bool = False) -> Picture:
    """
    The picture itself if it is small, with distinct arrows; else one of its groups, whose note says so.

    Args:
        splits: Whether steps that nothing tells apart are several groups, for who wants to look into them.
    """
    found = _division(picture, splits=splits)
    if isinstance(found, Picture):
        return found
    size = f"{counted(len(picture.shapes), 'step')} and {counted(len(found.arrows), 'arrow')}"
    note = f"{size} on {counted(found.levels, 'level')}, drawn as groups: {found.how}."
    return _group_picture(picture, indexed(picture, found.arrows), found.groups, note)


def opened(picture: Picture, path: Sequence[int]) -> Picture:
    """
    What a group stands for, of the picture that `summarise` makes of this one if it splits.

    That is the steps in it, and the arrows between them.

    Args:
        path: The number of the group, of a group within what that stands for, and so on. Where there is none of such a
            number it ends.
    """
    for at in path:
        found = _division(picture, splits=True)
        if isinstance(found, Picture) or not 0 <= at < len(found.groups):
            break
        picture = _part(picture, found.groups[at])
    return picture


def _part(picture: Picture, group: Group) -> Picture:
    shapes = [picture.shapes[vertex] for vertex in group.members]
    inside = {shape.id for shape in shapes}
    arrows = [arrow for arrow in picture.arrows if arrow.source in inside and arrow.target in inside]
    return Picture(f"{picture.title}: {group_label(group)}", shapes, arrows)


@attrs.frozen
class _Division:
    """How a picture is taken apart: into which groups, by what, with which arrows, and on how many levels it is."""

    groups: list[Group]
    how: str
    arrows: Sequence[Arrow]
    levels: int


def _division(picture: Picture, *, splits: bool) -> "Picture | _Division":
    """The picture itself with distinct arrows, if it is small; else how it is taken apart."""
    arrows = distinct_arrows(picture)
    if len(picture.shapes) <= MAX_SHAPES:
        drawn = thinned(attrs.evolve(picture, arrows=tuple(arrows)))
        if len(drawn.arrows) <= _MAX_ARROWS:
            return drawn
    graph = indexed(picture, arrows)
    levels = earliest_levels(graph, topological_order(graph))
    bands = min(_MAX_BANDS, max(levels) + 1) if max(levels) >= _MAX_GROUPS // 2 else 0
    groups = _banded(levels, bands) if bands else _grouped(picture, levels)
    how = "one for levels that follow each other" if bands else "one for the steps of a level whose names are alike"
    if splits and len(groups) == 1:
        groups, how = _in_order(picture), "one for steps that follow each other in their definition"
    return _Division(groups, how, arrows, max(levels) + 1)


def _in_order(picture: Picture) -> list[Group]:
    """Steps that nothing tells apart, so many to a group that there are not too many of these."""
    count = len(picture.shapes)
    parts = min(_MAX_BANDS, -(-count // MAX_SHAPES))
    bounds = [at * count // parts for at in range(parts + 1)]
    return [
        Group(0, f"{shorten(visible(picture.shapes[first].label), 60, len)} …", list(range(first, end)))
        for first, end in pairwise(bounds)
    ]


def thinned(picture: Picture) -> Picture:
    """The picture without the arrows that others imply, if it has so many arrows that they would hide each other."""
    if len(picture.arrows) <= 2 * len(picture.shapes) + 100:
        return picture
    implied = implied_edges(indexed(picture, picture.arrows))
    if not implied:
        return picture
    place = {shape.id: at for at, shape in enumerate(picture.shapes)}
    kept = tuple(arrow for arrow in picture.arrows if (place[arrow.source], place[arrow.target]) not in implied)
    left_out = len(picture.arrows) - len(kept)
    note = f"Left out: {counted(left_out, 'arrow')} implied by others."
    return attrs.evolve(picture, arrows=kept, note=_joined(picture.note, note))


def level_groups(picture: Picture, levels: Sequence[int]) -> list[Group]:
    """The steps by level and name stem, in the order in which they come."""
    members: dict[tuple[int, str], list[int]] = {}
    for vertex, shape in enumerate(picture.shapes):
        members.setdefault((levels[vertex], stem(shape.label)), []).append(vertex)
    return [Group(level, name, vertices) for (level, name), vertices in sorted(members.items(), key=_by_level)]


def _by_level(item: tuple[tuple[int, str], list[int]]) -> int:
    return item[0][0]


def _grouped(picture: Picture, levels: Sequence[int]) -> list[Group]:
    """The groups of each level; where they are too many, the small ones of a level become one."""
    groups = level_groups(picture, levels)
    if len(groups) <= _MAX_GROUPS:
        return groups
    room = max(1, _MAX_GROUPS // (max(levels) + 1) - 1)
    kept: list[Group] = []
    for level, own in _by_levels(groups).items():
        ranked = sorted(own, key=lambda group: -len(group.members))
        large = [group for group in ranked[:room] if len(group.members) > 1]
        rest = [vertex for group in own if group not in large for vertex in group.members]
        kept += [group for group in own if group in large]
        if rest:
            kept.append(Group(level, "", rest))
    return kept


def _by_levels(groups: Sequence[Group]) -> dict[int, list[Group]]:
    levels: dict[int, list[Group]] = {}
    for group in groups:
        levels.setdefault(group.level, []).append(group)
    return levels


def _banded(levels: Sequence[int], bands: int) -> list[Group]:
    depth = max(levels) + 1
    members: list[list[int]] = [[] for _ in range(bands)]
    for vertex, level in enumerate(levels):
        members[level * bands // depth].append(vertex)
    # The first level of a band is the smallest that the division above puts there.
    firsts = [-(-band * depth // bands) for band in range(bands)] + [depth]
    return [
        Group(band, f"levels {firsts[band] + 1:,} to {firsts[band + 1]:,}", vertices)
        for band, vertices in enumerate(members)
    ]


def _group_picture(picture: Picture, graph: Graph, groups: Sequence[Group], note: str) -> Picture:
    group_of = [0] * graph.size
    for at, group in enumerate(groups):
        for vertex in group.members:
            group_of[vertex] = at
    between = Counter((group_of[source], group_of[target]) for source, target in graph.edges)
    arrows = tuple(Arrow(str(one), str(other)) for one, other in sorted(between) if one != other)
    shapes = tuple(_group_shape(picture, str(at), group) for at, group in enumerate(groups))
    return thinned(Picture(picture.title, shapes, arrows, _joined(note, picture.note)))


def _group_shape(picture: Picture, group_id: str, group: Group) -> Shape:
    members = [picture.shapes[vertex] for vertex in group.members]
    if len(members) == 1:
        return attrs.evolve(members[0], id=group_id)
    counts = status_counts(members)
    names = tuple(shorten(visible(shape.label), 60, len) for shape in members[:_NAMED])
    more = f" and {len(members) - _NAMED:,} more" if len(members) > _NAMED else ""
    return GroupShape(
        group_id,
        group_label(group),
        kind=_shared([shape.kind for shape in members], "step"),
        several=_shared([shape.several for shape in members], ""),
        required=any(shape.required for shape in members),
        condition=members[0].condition if all(shape.condition for shape in members) else "",
        tooltip=", ".join(names) + more,
        status=worst(counts),
        detail=counts_text(counts),
        counts=tuple(counts.items()),
        names=() if group.name else names,
    )


def _shared(words: Sequence[str], otherwise: str) -> str:
    """The word, if all are the same."""
    return words[0] if len(set(words)) == 1 else otherwise


def group_label(group: Group) -> str:
    """`blast × 40`, or `57 steps` for a group of many names."""
    count = f"{len(group.members):,}"
    return f"{group.name} × {count}" if group.name else f"{count} steps"


def status_counts(shapes: Iterable[HasStatus]) -> dict[str, int]:
    """Status -> how many shapes have it, the worst first; what has none is not counted."""
    counts = Counter(shape.status for shape in shapes if shape.status)
    known = {status: counts.pop(status) for status in _WORST_FIRST if status in counts}
    return known | dict(sorted(counts.items()))


def worst(counts: dict[str, int]) -> str:
    """The status that is to be seen first; empty if there is none."""
    return next((status for status in counts if status in LOOKS), "")


def counts_text(counts: dict[str, int]) -> str:
    """`1 failed, 39 completed`."""
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
