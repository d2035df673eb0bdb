"""A timeline for a terminal."""

from textwrap import wrap

from ..labels import cells, shorten, visible
from .lanes import Chart, Lane, stacked, summarised
from .picture import STATUSES
from .scale import Scale, make_scale
from .text import encodable
from .timeline_svg import busy_times

_WIDTH, _LEAST = 100, 40
_MOST_LABEL = 28
_MOST_DETAIL = 30
_WORK, _WAIT = "━", "┄"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {_WORK: "=", _WAIT: ".", "…": "~", "×": "x", **{each: str(at) for at, each in enumerate(_HEIGHTS, 1)}}
)


def timeline_rows(
    chart: Chart, *, encoding: str = "utf-8", width: int | None = None, everything: bool = False
) -> list[tuple[str, str]]:
    """
    The timeline as lines: a stroke for what was done, dots for waits, a mark for each end; each with its status.

    A `*` stands before the steps of the critical path. What `encoding` (that of the terminal) lacks is shown by other
    means.

    Args:
        width: The columns of a line; None for 100.
        everything: Whether each lane has a line, however many there are.
    """
    whole = max(_LEAST, _WIDTH if width is None else width)
    shown = chart if everything else summarised(chart)
    scale = make_scale(busy_times(chart), chart.length)
    labels = [shorten(visible(lane.label), min(_MOST_LABEL, whole // 3), cells) for lane in shown.lanes]
    details = [shorten(visible(lane.detail), min(_MOST_DETAIL, whole // 3), cells) for lane in shown.lanes]
    longest = max(map(cells, labels), default=0)
    columns = max(1, whole - longest - 4 - 2 - max(map(cells, details), default=0))
    rows = [(shorten(visible(chart.title), whole, cells), "")] if chart.title else []
    rows += [(line, "") for line in wrap(" ".join(filter(None, (visible(shown.note), _pauses(scale)))), whole)]
    for lane, label, detail in zip(shown.lanes, labels, details, strict=True):
        mark = STATUSES[lane.status].mark if lane.status in STATUSES else " "
        name = f"{'*' if lane.is_critical else ' '}{mark} {label}{' ' * (longest - cells(label))}"
        rows.append((f"{name} {''.join(_row(lane, scale, columns))}  {detail}".rstrip(), lane.status))
    axis = _axis(scale, columns)
    rows += [(f"{' ' * (longest + 4)}{axis}", "")] if axis and shown.lanes else []
    # Of all lines at once: they look alike, also those that have nothing but what the encoding has.
    texts = encodable("\n".join(text for text, _ in rows), encoding, _ASCII).split("\n")
    return [(text, status) for text, (_, status) in zip(texts, rows, strict=False)]


def _pauses(scale: Scale) -> str:
    return "Long pauses, in which nothing was done, are cut short." if scale.cuts else ""


def _row(lane: Lane, scale: Scale, columns: int) -> list[str]:
    row = [" "] * columns
    if lane.is_stacked:
        pieces = stacked(lane.spans, [scale.time(at / columns) for at in range(columns + 1)])
        heights = [sum(piece.values()) for piece in pieces]
        highest = max(heights, default=0.0)
        return [_HEIGHTS[min(int(each / highest * 8), 7)] if each else " " for each in heights]
    for span in lane.spans:
        first = min(int(scale.place(span.start) * columns + 1e-6), columns - 1)
        last = min(max(int(scale.place(span.end) * columns - 1e-6), first), columns - 1)
        for at in range(first, last + 1):
            # The mark of the attempt before stands where the wait begins.
            if not span.is_wait or row[at] == " ":
                row[at] = _WAIT if span.is_wait else _WORK
        if not span.is_wait:
            row[last] = STATUSES[span.status].mark if span.status in STATUSES else _WORK
    return row


def _axis(scale: Scale, columns: int) -> str:
    """The times below, as many as there is room for; nothing where pauses were cut."""
    if scale.cuts:
        return ""
    row = ""
    for at, text in scale.ticks(5):
        column = int(scale.place(at) * columns)
        if column >= len(row) and column + len(text) <= columns + 6:
            row = f"{row:<{column}}{text} "
    return row.rstrip()
