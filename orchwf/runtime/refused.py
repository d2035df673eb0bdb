"""Runs that could not be taken up, and when that is tried again."""

from ..errors import StoreError

_MOST = 600.0


class Refused:
    """
    Leaves each of them alone for a while, for longer each time if it is not the store that was in trouble.

    Args:
        first: For how long (seconds) at first.
    """

    def __init__(self, first: float) -> None:
        self._first = first
        self._runs: dict[str, tuple[float, float]] = {}

    def add(self, run_id: str, error: Exception, now: float) -> None:
        """It was tried at this instant (epoch seconds), in vain, for this error."""
        _, before = self._runs.get(run_id, (0.0, 0.0))
        wait = self._first if isinstance(error, StoreError) else min(2 * before, _MOST) or self._first
        self._runs[run_id] = (now + wait, wait)

    def left_alone(self, now: float) -> list[str]:
        """Those that are not to be tried at this instant; who was not tried again for long is forgotten."""
        self._runs = {run_id: (until, wait) for run_id, (until, wait) in self._runs.items() if now < until + _MOST}
        return [run_id for run_id, (until, _) in self._runs.items() if now < until]

    def next_at(self, now: float) -> float | None:
        """When (epoch seconds) the next one may be tried again; None if none is left alone."""
        return min((until for until, _ in self._runs.values() if now < until), default=None)

    def forget(self) -> None:
        """Let all be tried again: what was in the way may be so no more."""
        self._runs.clear()
