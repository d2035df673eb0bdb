"""Where on a timeline a time stands: long pauses, in which nothing was done, are cut short."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

import attrs

_LONG = 4.0
"""A pause is cut if it is longer than all work together by this factor: beside it nobody would see that."""

_SHARE = 0.12
"""The part of the work's length that is left of a pause."""

_NOTHING = 1e-9
"""Seconds so few that they are none."""

_STEPS = (1.0, 2.0, 5.0, 10.0)
_UNITS = ((86_400.0, "d", (1, 2, 7, 14)), (3600.0, "h", (1, 2, 6, 12)), (60.0, "min", (1, 2, 5, 10, 15, 30)))


@attrs.frozen
class Scale:
    """
    Times (seconds since the beginning) -> places from 0 to 1.

    Attributes:
        stops: The times at which the pace changes, the first and the last one among them.
        places: Where these stand.
        cuts: The pauses that were cut short.
    """

    stops: Sequence[float]
    places: Sequence[float]
    cuts: Sequence[tuple[float, float]] = ()

    def place(self, at: float) -> float:
        """Where a time stands; what is outside stands at the edge."""
        piece = min(max(bisect_right(self.stops, at) - 1, 0), len(self.stops) - 2)
        low, high = self.stops[piece], self.stops[piece + 1]
        share = (at - low) / (high - low) if high > low else 0.0
        return self.places[piece] + min(max(share, 0.0), 1.0) * (self.places[piece + 1] - self.places[piece])

    def time(self, place: float) -> float:
        """Which time stands at a place."""
        piece = min(max(bisect_right(self.places, place) - 1, 0), len(self.places) - 2)
        low, high = self.places[piece], self.places[piece + 1]
        share = (place - low) / (high - low) if high > low else 0.0
        return self.stops[piece] + share * (self.stops[piece + 1] - self.stops[piece])

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Round times with their texts, so many at most, none of them in a pause that was cut."""
        if self.cuts or self.stops[-1] <= _NOTHING:
            return [(0.0, "0 s")]
        step, unit, name = _pace(self.stops[-1] / most)
        count = math.floor(self.stops[-1] / step + 1e-9)
        return [(at * step, f"{_figure(at * step / unit)} {name}") for at in range(count + 1)]


def make_scale(busy: Iterable[tuple[float, float]], length: float) -> Scale:
    """
    The scale on which all work can be seen.

    Args:
        busy: When something was done: pairs of start and end.
    """
    merged = _merged(busy)
    work = sum(end - start for start, end in merged)
    ends, starts = [0.0, *(end for _, end in merged)], [*(start for start, _ in merged), length]
    pauses = [(end, start) for end, start in zip(ends, starts, strict=True) if work and start - end > _LONG * work]
    if not pauses:
        return Scale([0.0, max(length, _NOTHING)], [0.0, 1.0])
    stops = sorted({0.0, length, *(at for pause in pauses for at in pause)})
    kept = length - sum(end - start for start, end in pauses)
    widths = [kept * _SHARE if pair in pauses else pair[1] - pair[0] for pair in pairwise(stops)]
    places, total = [0.0], sum(widths)
    for width in widths:
        places.append(places[-1] + width / total)
    return Scale(stops, places, pauses)


def _merged(busy: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(busy):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _pace(least: float) -> tuple[float, float, str]:
    """The smallest round step of at least so many seconds; the unit in which it is told, in seconds; and its name."""
    if least > 30:
        for unit, name, counts in reversed(_UNITS):
            for count in counts:
                if count * unit >= least:
                    return count * unit, unit, name
        return math.ceil(least / (14 * 86_400)) * 14 * 86_400, 86_400.0, "d"
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step * power for step in _STEPS if step * power >= least * 0.999_999)
    return (step, 1.0, "s") if step >= 0.1 else (step, 0.001, "ms")


def _figure(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
