"""A timeline for a terminal."""

from textwrap import wrap

from ..labels import cells, shorten, visible
from .lanes import Chart, Lane, stacked, summarised
from .picture import STATUSES
from .scale import Scale, make_scale
from .text import encodable
from .timeline_svg import busy_times

_WIDTH = 100
_MOST_LABEL = 28
_MOST_DETAIL = 30
_WORK, _WAIT = "━", "┄"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {_WORK: "=", _WAIT: ".", "…": "~", "×": "x", **{each: str(at) for at, each in enumerate(_HEIGHTS, 1)}}
)


def timeline_text(chart: Chart, *, encoding: str = "utf-8") -> str:
    """
    The timeline as lines of at most 100 columns: a line for what was done, dots for waits, a mark for each end.

    A `*` stands before the steps of the critical path. What `encoding` (that of the terminal) lacks is shown by other
    means.
    """
    shown = summarised(chart)
    scale = make_scale(busy_times(chart), chart.length)
    labels = [shorten(visible(lane.label), _MOST_LABEL, cells) for lane in shown.lanes]
    details = [shorten(visible(lane.detail), _MOST_DETAIL, cells) for lane in shown.lanes]
    longest = max(map(cells, labels), default=0)
    columns = _WIDTH - longest - 4 - 2 - max(map(cells, details), default=0)
    lines = [shorten(visible(chart.title), _WIDTH, cells)] if chart.title else []
    lines += wrap(" ".join(filter(None, (visible(shown.note), _pauses(scale)))), _WIDTH)
    for lane, label, detail in zip(shown.lanes, labels, details, strict=True):
        mark = STATUSES[lane.status].mark if lane.status in STATUSES else " "
        name = f"{'*' if lane.is_critical else ' '}{mark} {label}{' ' * (longest - cells(label))}"
        lines.append(f"{name} {''.join(_row(lane, scale, columns))}  {detail}".rstrip())
    axis = _axis(scale, columns)
    lines += [f"{' ' * (longest + 4)}{axis}"] if axis and shown.lanes else []
    return encodable("\n".join(lines) + "\n", encoding, _ASCII)


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
