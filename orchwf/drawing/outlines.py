"""The outline of a box, by which the kinds of steps are told apart: what else says so is a word and an icon."""

from collections.abc import Iterator

from .layout import Box, Point
from .picture import Shape

_SLANT = 5.0
"""How far the sides of what waits for a signal lean."""

_ROUND = 18.0
_FRAME = 3.0
_STACK = 3.0
_COPIES = 2
_INDENT = 12.0


def outline(shape: Shape, box: Box) -> Iterator[str]:
    """
    The elements of the outline, the lowest first.

    What waits for a signal is slanted, as what comes from outside is in flow charts; what sleeps is round; what starts
    a run has a double line, and what runs once per item is a stack.
    """
    if shape.several == "each":
        for at in range(_COPIES, 0, -1):
            yield _box(shape, Box(box.x + at * _STACK, box.y + at * _STACK, box.width, box.height))
    yield _box(shape, box)
    if shape.kind == "subflow":
        yield _rectangle("frame", _inside(box, _FRAME), 4)


def bar(shape: Shape, box: Box) -> str:
    """The bar at the left side, in the colour of the status."""
    match shape.kind:
        case "signal":
            return f'<path class="bar" d="{_slanted(Box(box.x + 4, box.y + 5, 4, box.height - 10), box)}"/>'
        case "sleep":
            return _rectangle("bar", Box(box.x + 4, box.y + 9, 4, box.height - 18), 2)
        case "subflow":
            return _rectangle("bar", Box(box.x + 6, box.y + 7, 4, box.height - 14), 2)
        case _:
            return _rectangle("bar", Box(box.x + 3, box.y + 4, 4, box.height - 8), 2)


def progress(shape: Shape, box: Box) -> Iterator[str]:
    """A bar at the bottom as long as the share of the step that is done, on one for all of it."""
    if shape.share is None:
        return
    whole = Box(box.x + _INDENT, box.y + box.height - 7, box.width - 2 * _INDENT, 3)
    yield _rectangle("bar track", whole, 1.5)
    if shape.share > 0:
        yield _rectangle("bar", Box(whole.x, whole.y, whole.width * min(shape.share, 1.0), whole.height), 1.5)


def _box(shape: Shape, box: Box) -> str:
    if shape.kind == "signal":
        return f'<path class="box" d="{_slanted(box, box)}"/>'
    return _rectangle("box", box, min(box.height / 2, _ROUND) if shape.kind == "sleep" else 6)


def _inside(box: Box, by: float) -> Box:
    return Box(box.x + by, box.y + by, box.width - 2 * by, box.height - 2 * by)


def _slanted(box: Box, whole: Box) -> str:
    """The path of a box whose sides lean as those of the whole one do, which arrows reach where it is half as high."""

    def lean(y: float) -> float:
        return _SLANT * (1 - 2 * (y - whole.y) / whole.height)

    left, right, top, bottom = box.x, box.x + box.width, box.y, box.y + box.height
    upper, lower = lean(top), lean(bottom)
    corners: list[Point] = [(left + upper, top), (right + upper, top), (right + lower, bottom), (left + lower, bottom)]
    return f"M{'L'.join(f'{number(x)} {number(y)}' for x, y in corners)}z"


def _rectangle(css: str, box: Box, radius: float) -> str:
    x, y, width, height = map(number, (box.x, box.y, box.width, box.height))
    return f'<rect class="{css}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{number(radius)}"/>'


def number(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel allows."""
    return f"{value:.1f}".removesuffix(".0")
