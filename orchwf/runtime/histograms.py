"""Values sorted by their size, and counted."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """
    How many values were at most so large.

    Attributes:
        bounds: The largest value of each class but the last one, which has no bound.
        counts: How many values fell into each class.
        sum: Of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)
