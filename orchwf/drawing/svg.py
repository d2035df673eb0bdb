"""
A picture as SVG that stands alone: no script, no reference, no fonts of its own.

It is legible on any page: it brings its background, and follows the reader's choice of light or dark.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from itertools import pairwise, repeat

from ..labels import common_prefix, counted, pixels, shorten, visible
from .boxes import ICON_ROOM, LINE, SMALL_SIZE, Line, lines_of, margin_of, size_of, tooltip
from .layout import Box, Layout, Point, lay_out
from .outlines import bar, number, outline
from .picture import KINDS, STATUSES, Arrow, Picture, Shape
from .stylesheet import stylesheet
from .summary import GroupShape, indexed, summarise

_MARGIN = 16.0
_HEAD = 6.0
_MAX_ARROW_LABEL = 110.0
_NOTE_WIDTH = 640.0


def to_svg(picture: Picture, *, link: Callable[[str], str] | None = None) -> str:
    """
    The picture as an SVG document; of more than 300 steps a summary, with a note that says so.

    Colours follow the reader's preference for light or dark, statuses are shown by word and icon, too. A name too long
    for its box is shortened in the middle; pointing at the box shows all of it.

    Args:
        link: The address to which the box of the step of this label leads. The picture is then a part of a page that
            has the rules of `themed_stylesheet`, and brings none of its own.
    """
    drawn = summarise(picture)
    prefix = common_prefix([visible(shape.label) for shape in drawn.shapes])
    lines = [lines_of(shape, prefix) for shape in drawn.shapes]
    sizes = [size_of(shape, own) for shape, own in zip(drawn.shapes, lines, strict=True)]
    layout = lay_out(indexed(drawn, drawn.arrows), sizes, label=_largest_label(drawn.arrows))
    note = " ".join(filter(None, (drawn.note, f"All names begin with {prefix}" if prefix else "")))
    above = _heading(visible(picture.title), visible(note))
    legend = _legend(picture.shapes)
    top = _MARGIN + sum(line.size + 7.0 for line in above) + (6.0 if above else 0.0)
    width = max([layout.width, *(line.width for line in (*above, legend))]) + 2 * _MARGIN
    height = top + layout.height + _MARGIN + (26.0 if legend.text else 0.0)
    body = [
        f'<rect class="page" x=".5" y=".5" width="{number(width - 1)}" height="{number(height - 1)}" rx="8"/>',
        *_drawn_heading(above),
        f'<g transform="translate({number(_MARGIN)} {number(top)})">',
        *_drawn_arrows(drawn, layout),
        *map(_linked, drawn.shapes, map(_drawn_shape, drawn.shapes, layout.boxes, lines), repeat(link)),
        "</g>",
        *_drawn_legend(picture.shapes, height - 20.0),
    ]
    opening = _opening(picture, drawn, width, height, is_part=link is not None)
    return "\n".join([*opening, *body, "</svg>", ""])


def _largest_label(arrows: Sequence[Arrow]) -> Point:
    widths = [pixels(_arrow_label(arrow), SMALL_SIZE) for arrow in arrows if arrow.label]
    return (max(widths) + 8.0, 16.0) if widths else (0.0, 0.0)


def _arrow_label(arrow: Arrow) -> str:
    return shorten(visible(arrow.label), _MAX_ARROW_LABEL, partial(pixels, size=SMALL_SIZE))


def _heading(title: str, note: str) -> list[Line]:
    """The title, and the note in lines of a readable length."""
    lines = [Line(shorten(title, 480.0, partial(pixels, size=15.0)), "title", 15.0)] if title else []
    row = ""
    for word in note.split():
        if row and pixels(f"{row} {word}", SMALL_SIZE) > _NOTE_WIDTH:
            lines.append(Line(row, "trait", SMALL_SIZE))
            row = ""
        fitted = shorten(word, _NOTE_WIDTH, partial(pixels, size=SMALL_SIZE))
        row = f"{row} {fitted}" if row else fitted
    return [*lines, Line(row, "trait", SMALL_SIZE)] if row else lines


def _opening(picture: Picture, drawn: Picture, width: float, height: float, *, is_part: bool) -> Iterator[str]:
    title = visible(picture.title) or "Workflow"
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    role, style = ("group", "") if is_part else ("img", ' style="max-width:100%;height:auto"')
    said = f'role="{role}" aria-label="{_escaped(title)}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" class="orchwf" {said} {size}{style}>'
    yield f"<title>{_escaped(title)}</title>"
    yield f"<desc>{_escaped(description(picture, drawn))}</desc>"
    if not is_part:
        yield f"<style>{stylesheet(picture.shapes)}</style>"


def description(picture: Picture, drawn: Picture) -> str:
    """What the picture shows, in words, for those who do not see it."""
    parts = [f"{counted(len(picture.shapes), 'step')} and {counted(len(picture.arrows), 'arrow')} between them."]
    counts = Counter(visible(shape.status) for shape in picture.shapes if shape.status)
    if counts:
        parts.append(", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())) + ".")
    if drawn.note:
        parts.append(visible(drawn.note))
    return " ".join(parts)


def _drawn_heading(lines: Sequence[Line]) -> Iterator[str]:
    y = _MARGIN
    for line in lines:
        y += line.size
        yield f'<text class="{line.css}" x="{number(_MARGIN)}" y="{number(y)}">{_escaped(line.text)}</text>'
        y += 7.0


def _linked(shape: Shape, drawn: str, link: Callable[[str], str] | None) -> str:
    """A box that leads somewhere, if it is that of one step."""
    if link is None or isinstance(shape, GroupShape):
        return drawn
    return f'<a href="{_escaped(link(shape.label))}">{drawn}</a>'


def _drawn_shape(shape: Shape, box: Box, lines: Sequence[Line]) -> str:
    classes = ["step", *filter(None, (shape.status if shape.status in STATUSES else "",))]
    classes += ["when"] * bool(shape.condition or shape.status == "skipped") + ["optional"] * (not shape.required)
    parts = [f'<g class="{" ".join(classes)}"><title>{_escaped(tooltip(shape))}</title>', *outline(shape, box)]
    if shape.status in STATUSES:
        parts.append(bar(shape, box))
    baseline = box.y + (box.height - LINE * len(lines)) / 2 + 11.5
    # Beside the bar of a status the text starts at the left; without one it stands in the middle.
    x, css = (box.x + margin_of(shape), "") if shape.status in STATUSES else (box.x + box.width / 2, " mid")
    for line in lines:
        parts.append(_drawn_line(line, x, baseline, css))
        baseline += LINE
    return "".join([*parts, "</g>"])


def _drawn_line(line: Line, x: float, y: float, css: str = "") -> str:
    icon = ""
    if line.icon:
        left = x - line.width / 2 if css else x
        kind, path = ("icon", STATUSES[line.icon].icon) if line.icon in STATUSES else ("mark", KINDS[line.icon])
        icon = f'<path class="{kind}" transform="translate({number(left)} {number(y - 9)})" d="{path}"/>'
        x += ICON_ROOM / 2 if css else ICON_ROOM
    return f'{icon}<text class="{line.css}{css}" x="{number(x)}" y="{number(y)}">{_escaped(line.text)}</text>'


def _drawn_arrows(picture: Picture, layout: Layout) -> Iterator[str]:
    """Lines first, dashed below solid; then one head per shape that is pointed at; then the labels."""
    place = {shape.id: at for at, shape in enumerate(picture.shapes)}
    heads: dict[Point, None] = {}
    labels = []
    for arrow in sorted(picture.arrows, key=lambda arrow: not arrow.optional):
        points = layout.routes[place[arrow.source], place[arrow.target]]
        css = "arrow dashed" if arrow.optional else "arrow"
        yield f'<path class="{css}" d="{_curve(points, layout.is_across)}"/>'
        heads[points[-1]] = None
        if arrow.each:
            heads[_behind(points, layout.is_across)] = None
        if arrow.label:
            labels.append((arrow, points))
    if heads:
        yield f'<path class="head" d="{"".join(_head(point, layout.is_across) for point in heads)}"/>'
    leaving = Counter(arrow.source for arrow in picture.arrows)
    arriving = Counter(arrow.target for arrow in picture.arrows)
    for arrow, points in labels:
        at_source = leaving[arrow.source] >= arriving[arrow.target]
        yield _drawn_arrow_label(arrow, points[:2] if at_source else points[-2:], toward_end=at_source, layout=layout)


def _drawn_arrow_label(arrow: Arrow, points: Sequence[Point], *, toward_end: bool, layout: Layout) -> str:
    """The label on the middle of a curve, a little nearer to the end where arrows are apart."""
    (x1, y1), (x2, y2) = points
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    near = (x2, y2) if toward_end else (x1, y1)
    if layout.is_across:
        y = y + (near[1] - y) * 0.5
    else:
        x = x + (near[0] - x) * 0.5
    return f'<text class="on" x="{number(x)}" y="{number(y + 4)}">{_escaped(_arrow_label(arrow))}</text>'


def _curve(points: Sequence[Point], is_across: bool) -> str:
    """The path of an arrow: curves that start and end along the levels, and straight lines between."""
    *_, last = points
    shortened = (last[0] - _HEAD, last[1]) if is_across else (last[0], last[1] - _HEAD)
    stops = [*points[:-1], shortened]
    path = [f"M{_pair(stops[0])}"]
    for at, (one, other) in enumerate(pairwise(stops)):
        is_straight = at % 2 or one[is_across] == other[is_across]
        path.append(f"L{_pair(other)}" if is_straight else _bend(one, other, is_across))
    return "".join(path)


def _bend(one: Point, other: Point, is_across: bool) -> str:
    if is_across:
        middle = (one[0] + other[0]) / 2
        return f"C{_pair((middle, one[1]))} {_pair((middle, other[1]))} {_pair(other)}"
    middle = (one[1] + other[1]) / 2
    return f"C{_pair((one[0], middle))} {_pair((other[0], middle))} {_pair(other)}"


def _behind(points: Sequence[Point], is_across: bool) -> Point:
    """Where the second head of an arrow points to that has two."""
    x, y = points[-1]
    return (x - _HEAD, y) if is_across else (x, y - _HEAD)


def _head(point: Point, is_across: bool) -> str:
    x, y = point
    back = _HEAD + 1.0
    if is_across:
        return f"M{_pair(point)}L{_pair((x - back, y - 4))}L{_pair((x - back, y + 4))}z"
    return f"M{_pair(point)}L{_pair((x - 4, y - back))}L{_pair((x + 4, y - back))}z"


def _legend(shapes: Sequence[Shape]) -> Line:
    """All of the legend as one line, to measure it."""
    entries = _legend_entries(shapes)
    return Line("".join(f"{count:,} {status}      " for status, count in entries), "state", SMALL_SIZE)


def _legend_entries(shapes: Sequence[Shape]) -> list[tuple[str, int]]:
    counts = Counter(shape.status for shape in shapes)
    return [(status, counts[status]) for status in STATUSES if counts[status]]


def _drawn_legend(shapes: Sequence[Shape], y: float) -> Iterator[str]:
    x = _MARGIN
    for status, count in _legend_entries(shapes):
        line = Line(f"{count:,} {status}", "state", SMALL_SIZE, status)
        yield f'<g class="{status}">{_drawn_line(line, x, y + 4)}</g>'
        x += line.width + 14.0


def _escaped(text: str) -> str:
    return escape(text, quote=True)


def _pair(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
