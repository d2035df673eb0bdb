"""What a timeline shows: a lane for each step, and on it when something was done, and when awaited."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import attrs

from ..labels import counted, stem
from .picture import LOOKS
from .summary import Group, counts_text, group_label, status_counts, worst

MAX_LANES = 60
"""Up to so many lanes each is drawn by itself."""

_KEPT = 30
_MAX_GROUPS = 20
_TELLING = ("failed", "cancelled", "retrying")


@attrs.frozen(kw_only=True)
class Span:
    """
    A stretch of time.

    Attributes:
        start, end: Seconds since the timeline begins; equal for what took no time.
        status: One of `STATUSES`: how the attempt ended, or what was waited for.
        is_wait: Whether nothing was done meanwhile.
        said: What is told of it where somebody points.
    """

    start: float
    end: float
    status: str
    is_wait: bool = False
    said: str = ""


@attrs.frozen(kw_only=True)
class Lane:
    """
    One step, or several as one.

    Attributes:
        label: Its name; any text.
        status: One of `STATUSES`.
        step: The step of which it tells, if it is one.
        detail: What is written behind it, such as `1.2 s, attempt 2`.
        spans: In the order of their starts.
        is_stacked: Whether the spans may be many, and at the same time: of each moment it is shown how many.
        is_critical: Whether it is on the critical path.
    """

    label: str
    status: str
    step: str = ""
    detail: str = ""
    spans: Sequence[Span] = ()
    is_stacked: bool = False
    is_critical: bool = False

    @property
    def length(self) -> float:
        """Seconds from its first start to its last end."""
        return max((span.end for span in self.spans), default=0.0) - min((each.start for each in self.spans), default=0)


@attrs.frozen(kw_only=True)
class Chart:
    """
    Lanes over one time.

    Attributes:
        title, note: What stands above it.
        length: Seconds from its beginning to its end.
        lanes: From the top to the bottom.
    """

    title: str
    lanes: Sequence[Lane]
    length: float
    note: str = ""

    @property
    def is_large(self) -> bool:
        """Whether there are too many lanes to be drawn one by one."""
        return len(self.lanes) > MAX_LANES


def summarised(chart: Chart) -> Chart:
    """The chart itself if it is small; else one in which alike lanes are one, and whose note says so."""
    if not chart.is_large:
        return chart
    ranked = sorted(range(len(chart.lanes)), key=lambda at: _dullness(chart.lanes[at]))
    kept = set(ranked[:_KEPT])
    groups: dict[str, list[int]] = {}
    for at, lane in enumerate(chart.lanes):
        if at not in kept:
            groups.setdefault(stem(lane.label), []).append(at)
    if len(groups) > _MAX_GROUPS:
        largest = sorted(groups, key=lambda name: -len(groups[name]))[: _MAX_GROUPS - 1]
        rest = [at for name, own in groups.items() if name not in largest for at in own]
        groups = {name: groups[name] for name in groups if name in largest} | {"": sorted(rest)}
    merged = {own[0]: _group_lane(chart, name, own) for name, own in groups.items()}
    lanes = [
        chart.lanes[at] if at in kept else merged[at] for at in range(len(chart.lanes)) if at in kept | merged.keys()
    ]
    note = (
        f"{counted(len(chart.lanes), 'step')}: those that failed and those that took longest by themselves, "
        "the others together, as how many were at work."
    )
    return attrs.evolve(chart, lanes=lanes, note=" ".join(filter(None, (chart.note, note))))


def _dullness(lane: Lane) -> tuple[bool, bool, float]:
    return (lane.status not in _TELLING, not lane.is_critical, -lane.length)


def _group_lane(chart: Chart, name: str, members: list[int]) -> Lane:
    lanes = [chart.lanes[at] for at in members]
    if len(lanes) == 1:
        return lanes[0]
    counts = status_counts(lanes)
    spans = sorted((span for lane in lanes for span in lane.spans if not span.is_wait), key=lambda span: span.start)
    return Lane(
        label=group_label(Group(0, name, members)), status=worst(counts), detail=counts_text(counts), spans=spans,
        is_stacked=True, is_critical=any(lane.is_critical for lane in lanes),
    )  # fmt: skip


def stacked(spans: Sequence[Span], edges: Sequence[float]) -> list[dict[str, float]]:
    """
    For each piece of time between two edges (seconds): status -> how many spans of it there were, on average.

    The worst status first. A span without length counts as one where it is.
    """
    levels: dict[str, list[float]] = {}
    for span in spans:
        _add(levels.setdefault(span.status, [0.0] * len(edges)), span, edges)
    order = [*_TELLING, *LOOKS]
    rows = {status: list(accumulate(levels[status])) for status in sorted(levels, key=order.index)}
    return [{status: row[at] for status, row in rows.items() if row[at] > 1e-9} for at in range(len(edges) - 1)]


def _add(changes: list[float], span: Span, edges: Sequence[float]) -> None:
    """Add a span to the changes of the level from one piece to the next, of which the sums are the levels."""
    last = len(edges) - 2
    first = min(max(bisect_right(edges, span.start) - 1, 0), last)
    final = min(max(bisect_right(edges, span.end) - 1, first), last)
    for place in {first, final}:
        width = edges[place + 1] - edges[place]
        inside = min(span.end, edges[place + 1]) - max(span.start, edges[place])
        share = 1.0 if span.end == span.start or width <= 0 else inside / width
        changes[place] += share
        changes[place + 1] -= share
    if final > first + 1:
        changes[first + 1] += 1.0
        changes[final] -= 1.0
