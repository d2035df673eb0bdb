"""What is written in the box of a shape, how large that is, and what is said when somebody points at it."""

from collections.abc import Iterator, Sequence
from functools import partial

import attrs

from ..labels import pixels, shorten, visible
from .picture import KINDS, LOOKS, Shape
from .summary import GroupShape, counts_text

_LABEL_SIZE, SMALL_SIZE = 13.0, 11.0
_MAX_TEXT = 240.0
_MOST_SAID = 300
_MIN_WIDTH = 76.0
PADDING = 12.0
_ROOM = {"subflow": 4.0, "signal": 3.0}
"""Kind -> what it has beside the padding: for an inner line, or as its sides lean."""

LINE = 15.0
ICON_ROOM = 15.0


@attrs.frozen
class Line:
    """One line of text in a box, and the status or kind whose icon stands before it."""

    text: str
    css: str
    size: float
    icon: str = ""

    @property
    def width(self) -> float:
        return pixels(self.text, self.size) + (ICON_ROOM if self.icon else 0.0)


def lines_of(shape: Shape, prefix: str) -> list[Line]:
    """What is written in a box: the name; the status and what came of it; what is special about the step."""
    label = visible(shape.label).removeprefix(prefix)
    lines = [Line(_fitted(label, _LABEL_SIZE), "name", _LABEL_SIZE)]
    if isinstance(shape, GroupShape):
        lines += _counted(shape)
    elif outcome := _outcome(shape):
        icon = shape.status if shape.status in LOOKS else ""
        lines.append(Line(_fitted(outcome, SMALL_SIZE), "state", SMALL_SIZE, icon))
    if traits := _traits(shape):
        icon = next((word for word in (shape.kind, shape.several) if word in KINDS), "")
        lines.append(Line(_fitted(traits, SMALL_SIZE), "trait", SMALL_SIZE, icon))
    return lines


def _counted(shape: GroupShape) -> Iterator[Line]:
    """How many steps of a group have which status, two on a line, or some of their names."""
    counts = [counts_text(dict(shape.counts[at : at + 2])) for at in range(0, len(shape.counts), 2)]
    for at, text in enumerate(counts):
        icon = shape.status if not at else ""
        yield Line(_fitted(visible(text), SMALL_SIZE), "state" if not at else "trait", SMALL_SIZE, icon)
    if shape.names:
        yield Line(_some_of(shape.names), "trait", SMALL_SIZE)


def _some_of(names: Sequence[str]) -> str:
    """As many of the names as fit on a line, at least a part of the first."""
    text = _fitted(names[0], SMALL_SIZE)
    for name in names[1:]:
        if pixels(f"{text}, {name}, …", SMALL_SIZE) > _MAX_TEXT:
            return f"{text}, …"
        text = f"{text}, {name}"
    return text


def _outcome(shape: Shape) -> str:
    status = "" if isinstance(shape, GroupShape) else visible(shape.status)
    return " · ".join(filter(None, (status, visible(shape.detail))))


def _traits(shape: Shape) -> str:
    return " · ".join(map(visible, shape.traits))


def _fitted(text: str, size: float) -> str:
    return shorten(text, _MAX_TEXT, partial(pixels, size=size))


def margin_of(shape: Shape) -> float:
    """How far the text of a shape stands from its sides."""
    return PADDING + _ROOM.get(shape.kind, 0.0)


def size_of(shape: Shape, lines: Sequence[Line]) -> tuple[float, float]:
    """The width and height of a box with these lines."""
    width = max(line.width for line in lines) + 2 * margin_of(shape)
    return max(_MIN_WIDTH, round(width)), 16.0 + LINE * len(lines)


def tooltip(shape: Shape) -> str:
    """The full name, then all that the box says, and what else is said of it, a line each."""
    rows = [visible(shape.label), _outcome(shape), _traits(shape)]
    rows += [shorten(visible(row), _MOST_SAID, len) for row in shape.tooltip.splitlines()]
    return "\n".join(filter(None, rows))
