"""A picture for a terminal: lanes like those of `git log --graph`, or a list by level."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from ..labels import cells, common_prefix, counted, shorten, visible
from .graph import Graph, earliest_levels, topological_order
from .picture import LOOKS, Arrow, Picture, Shape, distinct_arrows
from .summary import Group, counts_text, group_label, indexed, level_groups, status_counts, worst

_WIDTH = 100
_MAX_STEPS = 30
_MAX_LANES = 24
_FIRST_LEVELS, _LAST_LEVELS = 60, 20
_GROUPS_PER_LEVEL = 12
_MARK = "o"
_ASCII = str.maketrans({"│": "|", "─": "-", "├": "+", "┬": "+", "┴": "+", "┐": ".", "┘": "'", "…": "~", "×": "x"})


def to_text(picture: Picture, *, encoding: str = "utf-8") -> str:
    """
    The picture as lines of at most 100 columns, a step a line after all that it waits for, its arrows as lanes.

    Of more than about 30 steps it is a list by level, with a note. What `encoding` (that of the terminal) lacks is
    shown by other means.
    """
    arrows = distinct_arrows(picture)
    picture = _naming_items(picture, arrows)
    graph = indexed(picture, arrows)
    lanes = _lanes(picture, graph) if len(picture.shapes) <= _MAX_STEPS else None
    body = lanes if lanes is not None else _listed(picture, graph)
    heading = [visible(picture.title)] if picture.title else []
    heading += [visible(picture.note)] if picture.note else []
    return encodable("\n".join(_fitted(line) for line in [*heading, *body]) + "\n", encoding, _ASCII)


def encodable(text: str, encoding: str, plain: Mapping[int, str | int]) -> str:
    """
    The text, if this encoding has all of it; else with other characters for those that it lacks.

    Args:
        plain: Character -> what is written instead of it.
    """
    if _has_all(text, encoding):
        return text
    return text.translate(plain).encode(encoding, "backslashreplace").decode(encoding)


def _naming_items(picture: Picture, arrows: Sequence[Arrow]) -> Picture:
    """The picture in which a step says of which others it takes one item each: lanes have no heads to show that."""
    labels = {shape.id: shape.label for shape in picture.shapes}
    sources: dict[str, list[str]] = {}
    for arrow in arrows:
        if arrow.each:
            sources.setdefault(arrow.target, []).append(labels[arrow.source])
    if not sources:
        return picture
    shapes = [
        attrs.evolve(shape, several=f"each of {' and '.join(sources[shape.id])}") if shape.id in sources else shape
        for shape in picture.shapes
    ]
    return attrs.evolve(picture, shapes=shapes)


def _has_all(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _fitted(line: str) -> str:
    return shorten(line, _WIDTH, cells).rstrip()


def _lanes(picture: Picture, graph: Graph) -> list[str] | None:
    """The lines with lanes; None if there are too many lanes to follow."""
    lines: list[str] = []
    lanes: list[int | None] = []
    ended = -1
    for vertex in _chains_first(graph):
        lane = _join(lanes, vertex, lines)
        if lane is None:
            # Right below the end of another path it would look like a part of that.
            if lines and not lanes:
                lines.append("")
            lane = _free_lane(lanes, ended + 1 if lanes else 0)
            lanes[lane] = vertex
        row = ["│ " if awaited is not None else "  " for awaited in lanes]
        row[lane] = f"{_mark(picture.shapes[vertex].status)} "
        lines.append(_named("".join(row), picture.shapes[vertex]))
        _branch(lanes, lane, graph.successors[vertex], lines)
        ended = -1 if graph.successors[vertex] else lane
        if len(lanes) > _MAX_LANES:
            return None
    return lines


def _chains_first(graph: Graph) -> list[int]:
    """A topological order that stays on a path as long as it can, so that few lanes are open at a time."""
    waiting = [len(sources) for sources in graph.predecessors]
    order = []
    ready = [vertex for vertex in reversed(range(graph.size)) if not waiting[vertex]]
    while ready:
        vertex = ready.pop()
        order.append(vertex)
        for target in reversed(graph.successors[vertex]):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return order


def _join(lanes: list[int | None], vertex: int, lines: list[str]) -> int | None:
    """The lane that leads to the vertex; if several do, a line that brings them together is added."""
    own = [lane for lane, awaited in enumerate(lanes) if awaited == vertex]
    if len(own) > 1:
        lines.append(_connection(lanes, own[0], own[1:], inner="┴", outer="┘"))
    for lane in own[1:]:
        lanes[lane] = None
    _trim(lanes)
    return own[0] if own else None


def _branch(lanes: list[int | None], lane: int, targets: Sequence[int], lines: list[str]) -> None:
    """Let the lane lead to the first target, and open lanes right of it for the others, with a line that shows it."""
    lanes[lane] = targets[0] if targets else None
    opened = []
    for target in targets[1:]:
        opened.append(_free_lane(lanes, lane + 1))
        lanes[opened[-1]] = target
    if opened:
        lines.append(_connection(lanes, lane, sorted(opened), inner="┬", outer="┐"))
    _trim(lanes)


def _free_lane(lanes: list[int | None], start: int) -> int:
    for lane in range(start, len(lanes)):
        if lanes[lane] is None:
            return lane
    lanes.append(None)
    return len(lanes) - 1


def _trim(lanes: list[int | None]) -> None:
    while lanes and lanes[-1] is None:
        lanes.pop()


def _connection(lanes: Sequence[int | None], first: int, others: Sequence[int], *, inner: str, outer: str) -> str:
    """The line between two steps where lanes part or meet. A lane that is only crossed goes through as `│`."""
    last = others[-1]
    marks = []
    for lane, awaited in enumerate(lanes):
        through = "│" if awaited is not None else "─" if first < lane < last else " "
        mark = "├" if lane == first else outer if lane == last else inner if lane in others else through
        marks.append(mark + ("─" if first <= lane < last else " "))
    return "".join(marks)


def _mark(status: str) -> str:
    return LOOKS[status].mark if status in LOOKS else _MARK


def _named(lanes: str, shape: Shape) -> str:
    """The lanes, then the name, which is shortened first if the line is too long, and what is said of the step."""
    traits = ", ".join(map(visible, shape.traits))
    outcome = " ".join(filter(None, (visible(shape.status), visible(shape.detail))))
    said = "  ".join(filter(None, (f"({traits})" if traits else "", outcome)))
    name = visible(shape.label)
    said = shorten(said, max(_WIDTH // 3, _WIDTH - cells(lanes) - cells(name) - 2), cells)
    name = shorten(name, _WIDTH - cells(lanes) - (cells(said) + 2 if said else 0), cells)
    return f"{lanes}{name}  {said}" if said else f"{lanes}{name}"


def _listed(picture: Picture, graph: Graph) -> Iterator[str]:
    """A few lines for each level, on which alike steps are counted."""
    levels = earliest_levels(graph, topological_order(graph))
    groups: dict[int, list[Group]] = {}
    for group in level_groups(picture, levels):
        groups.setdefault(group.level, []).append(group)
    prefix = common_prefix([visible(shape.label) for shape in picture.shapes])
    figures = (len(picture.shapes), "step"), (len(graph.edges), "arrow"), (len(groups), "level")
    size = ", ".join(counted(count, noun) for count, noun in figures)
    yield f"{size}: a list by level, as lanes are drawn up to {_MAX_STEPS} steps."
    if totals := counts_text(status_counts(picture.shapes)):
        yield totals
    if prefix:
        yield shorten(f"All names begin with {prefix}", _WIDTH, cells)
    digits = len(str(len(groups)))
    for level in range(len(groups)):
        if _FIRST_LEVELS <= level < len(groups) - _LAST_LEVELS:
            if level == _FIRST_LEVELS:
                yield f"{'…':>{digits}}  {counted(len(groups) - _FIRST_LEVELS - _LAST_LEVELS, 'more level')}"
            continue
        lead = f"{level + 1:>{digits}}  "
        yield from _wrapped(lead, _entries(picture, groups[level], prefix))


def _entries(picture: Picture, groups: Sequence[Group], prefix: str) -> list[str]:
    shown = groups if len(groups) <= _GROUPS_PER_LEVEL else groups[: _GROUPS_PER_LEVEL - 1]
    entries = [_entry(picture, group, prefix) for group in shown]
    if rest := [vertex for group in groups[len(shown) :] for vertex in group.members]:
        entries.append(_entry(picture, Group(0, "", rest), prefix))
    return entries


def _entry(picture: Picture, group: Group, prefix: str) -> str:
    members = [picture.shapes[vertex] for vertex in group.members]
    counts = status_counts(members)
    name = visible(members[0].label if len(members) == 1 else group_label(group)).removeprefix(prefix)
    text = shorten(name, _WIDTH // 2, cells)
    if not counts:
        return text
    said = next(iter(counts)) if len(members) == 1 else counts_text(counts)
    return f"{_mark(worst(counts))} {text} ({said})"


def _wrapped(lead: str, entries: Sequence[str]) -> Iterator[str]:
    """The entries with commas between, in lines that are indented below the first."""
    line = lead
    for at, entry in enumerate(entries):
        piece = entry if at == len(entries) - 1 else f"{entry},"
        if line != lead and cells(line) + 1 + cells(piece) > _WIDTH:
            yield line
            line = lead = " " * cells(lead)
        line += piece if line == lead else f" {piece}"
    yield line
