"""How the runs of a longer time fared: how many began when, how they ended, and how long half of them took."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

import attrs

from ..core.wording import duration_text, plural
from ..ports import RunRecord
from ..views import iso_time, local_time
from .looks import look_of
from .rendering import link

MOST = 1_000
"""How many runs are looked at: the newest."""
_BARS = 60
_HEIGHT, _STEP, _WIDTH = 40.0, 10, 8
_LEAST = 1.5
_ORDER = ("completed", "skipped", "running", "waiting", "pending", "cancelled", "retrying", "failed")


@attrs.frozen(kw_only=True)
class Bar:
    """
    The runs that began within one part of the time.

    Attributes:
        x: Where it stands.
        parts: From the top to the bottom: where each begins, how high it is, and how it looks.
        dot: How high the point stands that says how long half of the runs took; None if none has ended.
        href: The listing of these runs, without the prefix of the dashboard.
        title: What it shows, for people.
    """

    x: int
    parts: tuple[tuple[float, float, str], ...]
    dot: float | None
    href: str
    title: str


@attrs.frozen(kw_only=True)
class Trend:
    """Bars by time, the oldest first, what they show in words, and the line through the points of durations."""

    bars: tuple[Bar, ...]
    said: str
    line: str
    width: int = _BARS * _STEP


def trend_of(records: Sequence[RunRecord], text: str) -> Trend | None:
    """
    How these runs fared over the time in which they began; None if that is no time.

    Args:
        records: The newest first.
        text: What was looked for, so that each bar leads to its runs.
    """
    if not records or (length := records[0].created_at - (first := records[-1].created_at)) <= 0:
        return None
    part = length / _BARS
    groups: list[list[RunRecord]] = [[] for _ in range(_BARS)]
    for record in records:
        # Numbers are given one after the other, times by the clocks of several machines.
        groups[max(0, min(_BARS - 1, int((record.created_at - first) / part)))].append(record)
    most = max(map(len, groups))
    longest = max((_took(group) or 0.0 for group in groups), default=0.0)
    bars = tuple(
        _bar(at, group, first + at * part, part, most=most, longest=longest, text=text)
        for at, group in enumerate(groups) if group
    )  # fmt: skip
    points = [f"{bar.x + _WIDTH / 2:g},{bar.dot:g}" for bar in bars if bar.dot is not None]
    whole = _took(records)
    half = "" if whole is None else f"; half of those that ended took up to {duration_text(whole)}"
    said = f"{plural(len(records), 'run')} from {local_time(first)} to {local_time(records[0].created_at)}{half}"
    return Trend(bars=bars, said=said, line=" ".join(points))


def _took(records: Sequence[RunRecord]) -> float | None:
    """How long (seconds) half of these took at most, of those that have ended."""
    spans = [max(0.0, record.ended_at - record.created_at) for record in records if record.ended_at is not None]
    return median(spans) if spans else None


def _bar(
    at: int, group: Sequence[RunRecord], begin: float, length: float, *, most: int, longest: float, text: str
) -> Bar:
    counts = Counter(look_of(record.status) for record in group)
    parts, top = [], _HEIGHT
    for look in _ORDER:
        if counts[look]:
            # So much is seen of one in a thousand.
            height = max(_LEAST, (_HEIGHT - 6) * counts[look] / most)
            top -= height
            parts.append((round(top, 1), round(height, 1), look))
    took = _took(group)
    # By a logarithmic scale, as of the bars of single runs.
    dot = None if took is None else round(_HEIGHT - 2 - 36 * math.log1p(10 * took) / (math.log1p(10 * longest) or 1), 1)
    told = ", ".join(f"{count:,} {status}" for status, count in Counter(str(each.status) for each in group).items())
    half = "" if took is None else f"; half of them took up to {duration_text(took)}"
    since, until = iso_time(begin), iso_time(begin + length)
    # The last one goes to the end of the time, which belongs to it.
    span = f"since:{since}" if at == _BARS - 1 else f"since:{since} until:{until}"
    return Bar(
        x=at * _STEP, parts=tuple(parts), dot=dot, href=link("/", q=f"{text} {span}".strip()),
        title=f"{local_time(begin)}: {told}{half}",
    )  # fmt: skip
