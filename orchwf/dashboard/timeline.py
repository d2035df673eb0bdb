"""When the steps of a run were at work: attempts as bars, waits between them hatched."""

from collections.abc import Collection, Mapping, Sequence

import attrs

from ..core.dag import Dag
from ..core.history import StepRecord
from ..core.progress import told_status
from ..core.wording import duration_text
from .looks import look_of

WIDTH = 1000
"""How wide a row is, in the units of its picture."""


@attrs.frozen
class Bar:
    """A part of a row: an attempt, or a wait."""

    x: float
    width: float
    look: str
    title: str


@attrs.frozen
class Row:
    """One step."""

    name: str
    status: str
    bars: tuple[Bar, ...]
    is_critical: bool
    took: str


@attrs.frozen
class Timeline:
    """Rows of steps that have begun, in the order in which they did; how long it is; and how many are left out."""

    rows: tuple[Row, ...]
    length: str
    left_out: int


def timeline_of(steps: Mapping[str, StepRecord], dag: Dag | None, *, now: float, most: int) -> Timeline:
    """
    The timeline of a run.

    Args:
        now: Where it ends, if the run has not (epoch seconds).
        most: How many rows it has at most: the longest steps.
    """
    begun = [record for record in steps.values() if record.started_at is not None]
    start = min((record.started_at or now for record in begun), default=now)
    end = max([start + 0.001, *(_end(record, now) for record in begun)])
    longest = sorted(begun, key=lambda record: (record.started_at or now) - _end(record, now))[:most]
    critical = critical_steps(steps, dag)
    ordered = sorted(longest, key=lambda record: record.started_at or now)
    scale = WIDTH / (end - start)
    rows = tuple(
        Row(
            record.name, told_status(record), tuple(_bars(record, start, scale, now)), record.name in critical,
            duration_text(_end(record, now) - (record.started_at or start)),
        )
        for record in ordered
    )  # fmt: skip
    return Timeline(rows, duration_text(end - start), len(begun) - len(longest))


def critical_steps(steps: Mapping[str, StepRecord], dag: Dag | None) -> Collection[str]:
    """The steps of the longest way through a run: without one of these it would have been shorter."""
    if dag is None:
        return frozenset()
    durations = {
        # Clocks are set back.
        name: max(0.0, record.duration)
        for name, record in steps.items()
        if record.duration is not None and name in dag.nodes
    }
    return durations.keys() & dag.critical_path(durations).steps if durations else frozenset()


def _end(record: StepRecord, now: float) -> float:
    return record.ended_at if record.ended_at is not None else now


def _bars(record: StepRecord, start: float, scale: float, now: float) -> Sequence[Bar]:
    began, ended = record.started_at or start, _end(record, now)
    whole = Bar((began - start) * scale, max(6.0, (ended - began) * scale), "wait", "waits")
    bars = []
    for attempt in record.attempts:
        until = attempt.ended_at if attempt.ended_at is not None else ended
        title = f"attempt {attempt.number}: {attempt.status}, {duration_text(max(0.0, until - attempt.started_at))}"
        bars.append(
            Bar(
                round((attempt.started_at - start) * scale, 1),
                round(max(6.0, (until - attempt.started_at) * scale), 1),
                look_of("failed" if attempt.error is not None else attempt.status), title,
            )
        )  # fmt: skip
    if not bars:
        return [attrs.evolve(whole, look=look_of(told_status(record)), title=str(told_status(record)))]
    return [whole, *bars]
