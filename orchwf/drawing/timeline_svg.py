"""A timeline as SVG: bars for attempts, hatched ones for waits, and for many steps at once how many were at work."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from ..labels import counted, pixels, shorten, visible
from .boxes import SMALL_SIZE, Line
from .canvas import MARGIN, Drawn, Frame, Spot, drawn_line, escaped, heading, linked
from .lanes import Chart, Lane, Span, stacked, summarised
from .outlines import number
from .picture import STATUSES
from .scale import Scale, make_scale
from .stylesheet import TIMELINE

_ROW = 24.0
_BAR = 14.0
_AXIS = 18.0
_CHART = 560.0
_MIN_BAR = 2.0
_GAP = 10.0
_MOST_LABEL, _MOST_DETAIL = 200.0, 220.0
_PIECE = 4.0
_HATCH = 7.0
_TICKS = 8


def draw_timeline(chart: Chart, *, link: Callable[[str], str] | None = None) -> Drawn:
    """
    The timeline; of more than 60 steps alike ones are drawn together, and a note says so.

    Args:
        link: The address to which the lane of a step leads; see `to_svg`.
    """
    shown = summarised(chart)
    scale = make_scale(busy_times(chart), chart.length)
    labels = [_label(lane) for lane in shown.lanes]
    details = [_fitted(visible(lane.detail), _MOST_DETAIL) for lane in shown.lanes]
    left = max((line.width for line in labels), default=0.0) + _GAP
    right = max((pixels(text, SMALL_SIZE) for text in details), default=0.0)
    counts = Counter(lane.status for lane in chart.lanes)
    frame = Frame(
        title=visible(chart.title) or "Timeline",
        text=chart_text(chart),
        above=heading(visible(chart.title), visible(" ".join(filter(None, (shown.note, *_key(shown, scale)))))),
        legend=[(status, counts[status]) for status in STATUSES if counts[status]],
        styled={span.status for lane in chart.lanes for span in lane.spans},
        rules=TIMELINE,
        is_part=link is not None,
    )
    height = _AXIS + _ROW * len(shown.lanes)
    body = list(_grid(scale, left, height))
    spots: list[Spot] = []
    for at, lane in enumerate(shown.lanes):
        top = _AXIS + _ROW * at
        drawn = "".join(_drawn_lane(lane, labels[at], details[at], scale, (left, top)))
        body.append(linked(drawn, link, lane.step))
        spots += _spots(lane, scale, left, top)
    width = max(left + _CHART + _GAP + right, frame.width) + 2 * MARGIN
    return frame.around(body, width, frame.top + height + frame.bottom, spots)


def busy_times(chart: Chart) -> Iterator[tuple[float, float]]:
    """When something was done."""
    return ((span.start, span.end) for lane in chart.lanes for span in lane.spans if not span.is_wait)


def chart_text(chart: Chart) -> str:
    """What it shows, in words, for those who do not see it."""
    critical = [visible(lane.label) for lane in chart.lanes if lane.is_critical]
    path = f" The critical path: {', '.join(critical[:20])}{' and more' if len(critical) > 20 else ''}."
    return f"{counted(len(chart.lanes), 'step')} over time.{path if critical else ''} {visible(chart.note)}".strip()


def _key(chart: Chart, scale: Scale) -> Iterator[str]:
    """What the signs mean, of those that occur."""
    if any(span.is_wait for lane in chart.lanes for span in lane.spans):
        yield "Hatched: waits."
    if any(lane.is_stacked for lane in chart.lanes):
        yield "Areas: how many were at work."
    if any(lane.is_critical for lane in chart.lanes):
        yield "Bold and underlined: the critical path."
    if scale.cuts:
        yield f"Cut short: {counted(len(scale.cuts), 'long pause')}, in which nothing was done."


def _label(lane: Lane) -> Line:
    text = _fitted(visible(lane.label), _MOST_LABEL)
    css = "state strong" if lane.is_critical else "state"
    return Line(
        text, css, SMALL_SIZE * (1.08 if lane.is_critical else 1.0), lane.status if lane.status in STATUSES else ""
    )


def _fitted(text: str, limit: float) -> str:
    return shorten(text, limit, partial(pixels, size=SMALL_SIZE))


def _grid(scale: Scale, left: float, height: float) -> Iterator[str]:
    for at, text in scale.ticks(_TICKS):
        x = left + scale.place(at) * _CHART
        yield f'<path class="grid" d="M{number(x)} {number(_AXIS - 4)}V{number(height)}"/>'
        yield f'<text class="trait" x="{number(x + 2)}" y="{number(_AXIS - 7)}">{escaped(text)}</text>'
    for start, end in scale.cuts:
        for place in (scale.place(start), scale.place(end)):
            yield f'<path class="grid cut" d="M{number(left + place * _CHART)} 0V{number(height)}"/>'
        middle = left + (scale.place(start) + scale.place(end)) / 2 * _CHART
        yield f'<text class="trait mid" x="{number(middle)}" y="{number(_AXIS - 7)}">⋯</text>'


def _drawn_lane(lane: Lane, label: Line, detail: str, scale: Scale, at: tuple[float, float]) -> Iterator[str]:
    left, top = at
    status = lane.status if lane.status in STATUSES else ""
    # All of the row can be pointed at, and leads to its step.
    floor = f'<rect class="floor" y="{number(top)}" width="{number(left + _CHART)}" height="{number(_ROW)}"/>'
    said = f"<title>{escaped(_said(lane))}</title>"
    yield f'<g class="lane {status}">{said}{floor}{drawn_line(label, 0, top + 16)}</g>'
    if lane.is_stacked:
        yield from _areas(lane, scale, left, top)
    else:
        for span in lane.spans:
            yield _drawn_span(span, scale, left, top)
    if lane.is_critical and lane.spans:
        start, end = _extent(lane, scale, left)
        y = top + _BAR + 7
        yield f'<rect class="critical" x="{number(start)}" y="{number(y)}" width="{number(end - start)}" height="2"/>'
    if detail:
        yield f'<text class="trait" x="{number(left + _CHART + _GAP)}" y="{number(top + 16)}">{escaped(detail)}</text>'


def _extent(lane: Lane, scale: Scale, left: float) -> tuple[float, float]:
    start = left + scale.place(min(span.start for span in lane.spans)) * _CHART
    return start, max(left + scale.place(max(span.end for span in lane.spans)) * _CHART, start + _MIN_BAR)


def _drawn_span(span: Span, scale: Scale, left: float, top: float) -> str:
    x, width = _place(span, scale, left)
    y = top + 5
    status = span.status if span.status in STATUSES else ""
    said = f"<title>{escaped(_lines(span.said))}</title>" if span.said else ""
    if span.is_wait:
        return f'<g class="{status}">{said}<path class="hatch" d="{_hatching(x, y, width)}"/></g>'
    box = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(_BAR)}"'
    radius = 2 if width > 5 else 0
    return f'<g class="span {status}">{said}<rect class="box" {box} rx="{radius}"/>{_end_mark(span, x, width, y)}</g>'


def _end_mark(span: Span, x: float, width: float, y: float) -> str:
    """The icon of how it ended, where there is room for it: never told by colour alone."""
    if width < 14 or span.status not in STATUSES:
        box = f'x="{number(x)}" y="{number(y)}" width="{number(min(width, 3))}" height="{number(_BAR)}"'
        return f'<rect class="bar" {box}/>'
    return (
        f'<path class="icon" transform="translate({number(x + width - 12)} {number(y + 2)})" '
        f'd="{STATUSES[span.status].icon}"/>'
    )


def _place(span: Span, scale: Scale, left: float) -> tuple[float, float]:
    """The left edge of a span, and its width."""
    x = left + scale.place(span.start) * _CHART
    width = (scale.place(span.end) - scale.place(span.start)) * _CHART
    return min(x, left + _CHART - _MIN_BAR), max(width, _MIN_BAR)


def _hatching(x: float, y: float, width: float) -> str:
    """The frame of a wait, and slanted lines in it: as one path, since a pattern would have to be referred to."""
    y, height = y + 2, _BAR - 4
    frame = f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h{number(-width)}z"
    lines = []
    at = _HATCH
    while at < width + height:
        low, high = max(0.0, at - height), min(at, width)
        if high > low:
            lines.append(f"M{number(x + low)} {number(y + at - low)}L{number(x + high)} {number(y + at - high)}")
        at += _HATCH
    return frame + "".join(lines)


def _areas(lane: Lane, scale: Scale, left: float, top: float) -> Iterator[str]:
    """For each status an area as high as so many spans of it there are, the worst at the bottom."""
    count = int(_CHART / _PIECE)
    pieces = stacked(lane.spans, [scale.time(at / count) for at in range(count + 1)])
    highest = max((sum(piece.values()) for piece in pieces), default=0.0)
    base = top + 5 + _BAR
    done = [0.0] * count
    for status in dict.fromkeys(status for piece in pieces for status in piece):
        path = []
        for at, piece in enumerate(pieces):
            if height := piece.get(status, 0.0) / highest * _BAR:
                height = max(height, 1.0)
                x, y = left + at * _PIECE, base - done[at] - height
                path.append(f"M{number(x)} {number(y)}h{number(_PIECE)}v{number(height)}h{number(-_PIECE)}z")
                done[at] += height
        css = status if status in STATUSES else ""
        yield f'<g class="{css}"><path class="bar work" d="{"".join(path)}"/></g>'


def _spots(lane: Lane, scale: Scale, left: float, top: float) -> Iterator[Spot]:
    yield Spot(x=0.0, y=top, width=left + _CHART, height=_ROW, text=_said(lane))
    for span in lane.spans if not lane.is_stacked else ():
        if span.said:
            x, width = _place(span, scale, left)
            yield Spot(x=x, y=top + 2, width=max(width, 4.0), height=_BAR + 6, text=_lines(span.said))


def _said(lane: Lane) -> str:
    """What is told of a lane where somebody points."""
    return "\n".join(filter(None, (visible(lane.label), visible(lane.detail))))


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.splitlines()))
