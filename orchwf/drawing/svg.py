"""
A picture as SVG that stands alone: no script, no reference, no fonts of its own.

It is legible on any page: it brings its background, and follows the reader's choice of light or dark.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, repeat

from ..labels import common_prefix, counted, pixels, shorten, visible
from .boxes import LINE, SMALL_SIZE, Line, lines_of, margin_of, size_of, tooltip
from .canvas import MARGIN, Drawn, Frame, Spot, drawn_line, escaped, heading, linked
from .layout import Box, Layout, Point, lay_out
from .outlines import bar, number, outline, progress
from .picture import LOOKS, Arrow, Picture, Shape
from .summary import GroupShape, indexed, summarise

_HEAD = 6.0
_MAX_ARROW_LABEL = 110.0


def to_svg(
    picture: Picture, *, link: Callable[[str], str] | None = None, opens: Callable[[int], str] | None = None
) -> str:
    """
    The picture as an SVG document; of more than 300 steps a summary, with a note that says so.

    Colours follow the reader's preference for light or dark, statuses are shown by word and icon, too. A name too long
    for its box is shortened in the middle; pointing at the box shows all of it.

    Args:
        link: The address to which the box of the step of this label leads. The picture is then a part of a page that
            has the rules of `themed_stylesheet`, and brings none of its own.
        opens: The address to which the box of the group of this number leads, as `opened` counts them.
    """
    return draw(picture, link=link, opens=opens).svg


def draw(
    picture: Picture, *, link: Callable[[str], str] | None = None, opens: Callable[[int], str] | None = None
) -> Drawn:
    """The picture as `to_svg` gives it, with what it says where somebody points at it."""
    drawn = summarise(picture, splits=opens is not None)
    prefix = common_prefix([visible(shape.label) for shape in drawn.shapes])
    lines = [lines_of(shape, prefix) for shape in drawn.shapes]
    sizes = [size_of(shape, own) for shape, own in zip(drawn.shapes, lines, strict=True)]
    layout = lay_out(indexed(drawn, drawn.arrows), sizes, label=_largest_label(drawn.arrows))
    note = " ".join(filter(None, (drawn.note, f"All names begin with {prefix}" if prefix else "")))
    frame = Frame(
        title=visible(picture.title) or "Workflow",
        text=description(picture, drawn),
        above=heading(visible(picture.title), visible(note)),
        legend=_legend(picture.shapes),
        styled={arrow.status for arrow in drawn.arrows if arrow.status},
        is_part=link is not None,
    )
    shown = map(_drawn_shape, drawn.shapes, layout.boxes, lines)
    boxes = map(_linked, drawn.shapes, shown, repeat(link), repeat(opens))
    body = [*_drawn_arrows(drawn, layout), *boxes]
    spots = [
        Spot(x=box.x, y=box.y, width=box.width, height=box.height, text=tooltip(shape))
        for shape, box in zip(drawn.shapes, layout.boxes, strict=True)
    ]
    width = max(layout.width, frame.width) + 2 * MARGIN
    return frame.around(body, width, frame.top + layout.height + frame.bottom, spots)


def _largest_label(arrows: Sequence[Arrow]) -> Point:
    widths = [pixels(_arrow_label(arrow), SMALL_SIZE) for arrow in arrows if arrow.label]
    return (max(widths) + 8.0, 16.0) if widths else (0.0, 0.0)


def _arrow_label(arrow: Arrow) -> str:
    return shorten(visible(arrow.label), _MAX_ARROW_LABEL, partial(pixels, size=SMALL_SIZE))


def description(picture: Picture, drawn: Picture) -> str:
    """What the picture shows, in words, for those who do not see it."""
    parts = [f"{counted(len(picture.shapes), 'step')} and {counted(len(picture.arrows), 'arrow')} between them."]
    counts = Counter(visible(shape.status) for shape in picture.shapes if shape.status)
    if counts:
        parts.append(", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())) + ".")
    if drawn.note:
        parts.append(visible(drawn.note))
    return " ".join(parts)


def _linked(
    shape: Shape, drawn: str, link: Callable[[str], str] | None, opens: Callable[[int], str] | None
) -> str:  # fmt: skip
    """A box that leads somewhere: that of a step to it, that of a group to what it stands for."""
    if isinstance(shape, GroupShape):
        return drawn if opens is None else f'<a class="group" href="{escaped(opens(int(shape.id)))}">{drawn}</a>'
    return linked(drawn, link, shape.label)


def _drawn_shape(shape: Shape, box: Box, lines: Sequence[Line]) -> str:
    classes = ["step", *filter(None, (shape.status if shape.status in LOOKS else "",))]
    classes += ["when"] * bool(shape.condition or shape.status == "skipped") + ["optional"] * (not shape.required)
    parts = [f'<g class="{" ".join(classes)}"><title>{escaped(tooltip(shape))}</title>', *outline(shape, box)]
    if shape.status in LOOKS:
        parts += [bar(shape, box), *progress(shape, box)]
    baseline = box.y + (box.height - LINE * len(lines)) / 2 + 11.5
    # Beside the bar of a status the text starts at the left; without one it stands in the middle.
    x, css = (box.x + margin_of(shape), "") if shape.status in LOOKS else (box.x + box.width / 2, " mid")
    for line in lines:
        parts.append(drawn_line(line, x, baseline, css))
        baseline += LINE
    return "".join([*parts, "</g>"])


def _drawn_arrows(picture: Picture, layout: Layout) -> Iterator[str]:
    """Lines first, dashed below solid; then one head per shape that is pointed at; then the labels."""
    place = {shape.id: at for at, shape in enumerate(picture.shapes)}
    heads: dict[Point, None] = {}
    labels = []
    for arrow in sorted(picture.arrows, key=lambda arrow: not arrow.optional):
        points = layout.routes[place[arrow.source], place[arrow.target]]
        css = " ".join(["arrow", *["dashed"] * arrow.optional, *[arrow.status] * (arrow.status in LOOKS)])
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
    return f'<text class="on" x="{number(x)}" y="{number(y + 4)}">{escaped(_arrow_label(arrow))}</text>'


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


def _legend(shapes: Sequence[Shape]) -> list[tuple[str, int]]:
    counts = Counter(shape.status for shape in shapes)
    return [(status, counts[status]) for status in LOOKS if counts[status]]


def _pair(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
