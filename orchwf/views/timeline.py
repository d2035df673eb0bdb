"""When which step of a run was at work: bars of text, and the path that took longest."""

import math
from collections.abc import Iterator, Mapping, Sequence

import attrs

from ..core.dag import Dag
from ..core.history import StepRecord
from ..core.lines import LONGEST_NAME, Line, padded
from ..core.progress import told_status
from ..core.wording import MARKS, duration_text, plural
from ..labels import cells, shorten, visible

_WIDTH = 100
"""The columns of a line where no terminal has any."""

_NAME = 24
_SAID = 22
"""The columns for what is said behind a bar."""

_LEAST = 10
_MOST_STEPS = 40
_MOST_NAMED = 5

Span = tuple[float, float]
"""From one instant to another one (epoch seconds)."""


@attrs.frozen
class SlowPath:
    """
    The path of steps that took longest, one after the other.

    Attributes:
        steps: (name, seconds) of those on it that took any time, in their order.
    """

    steps: tuple[tuple[str, float], ...]

    @property
    def duration(self) -> float:
        """How long all of it took, in seconds."""
        return math.fsum(seconds for _, seconds in self.steps)

    def __str__(self) -> str:
        """`extract 812 ms > validate 1.2 s`: of a long one the steps that took longest."""
        longest = sorted(self.steps, key=lambda step: -step[1])[:_MOST_NAMED]
        shown = [step for step in self.steps if step in longest][:_MOST_NAMED]
        told = " > ".join(f"{padded(name, 0)} {duration_text(seconds)}" for name, seconds in shown)
        left = len(self.steps) - len(shown)
        return f"{told} and {plural(left, 'step')} more" if left else told


def slow_path(dag: Dag | None, steps: Mapping[str, StepRecord]) -> SlowPath:
    """The path of steps that took longest, waits included; empty without the definition."""
    if dag is None:
        return SlowPath(())
    taken = {name: max(0.0, steps[name].duration or 0.0) for name in dag.nodes if name in steps}
    found = dag.critical_path(taken).steps
    return SlowPath(tuple((name, taken[name]) for name in found if taken.get(name)))


@attrs.frozen(kw_only=True)
class Timeline:
    """
    When which step was at work, for people.

    Attributes:
        steps: What became of the steps.
        path: Those that took longest, one after the other: they are marked.
        begun_at, ended_at: From when to when it goes (epoch seconds).
        width: The columns of a line; None for any.
    """

    steps: Sequence[StepRecord]
    path: SlowPath
    begun_at: float
    ended_at: float
    width: int | None = None

    def lines(self, *, everything: bool = False) -> list[Line]:
        """
        A bar for each step that began: `#` where an attempt, or an item, was at work, `.` where it waited.

        Of many those that took longest; with `everything` all.
        """
        begun = [record for record in self.steps if record.started_at is not None]
        shown = begun if everything else _longest(begun, {name for name, _ in self.path.steps})
        shown.sort(key=lambda record: record.started_at or 0.0)
        width = max((min(_NAME, cells(visible(record.name[:LONGEST_NAME]))) for record in shown), default=0)
        room = max(_LEAST, (self.width or _WIDTH) - width - _SAID - 9)
        lines = [self._line(record, width, room) for record in shown]
        if len(shown) < len(begun):
            lines.append(Line(f"  and {plural(len(begun) - len(shown), 'step')} more: --all", weight="faint"))
        scale = duration_text(self.ended_at - self.begun_at)
        legend = f"  {' ' * width}      0{' ' * max(1, room - 1 - cells(scale))}{scale}"
        return [*lines, Line(legend, weight="faint")] if shown else [Line("  no step has begun", weight="faint")]

    def _line(self, record: StepRecord, width: int, room: int) -> Line:
        name = shorten(visible(record.name), width, cells)
        is_slow = any(record.name == each for each, _ in self.path.steps)
        took = duration_text(max(0.0, (record.ended_at or self.ended_at) - (record.started_at or 0.0)))
        status = told_status(record)
        said = took if status == "completed" else f"{took}, {status}"
        bar = self._bar(record, room)
        return Line(
            f"  {MARKS[status]} {name}{' ' * (width - cells(name))} {'*' if is_slow else ' '} |{bar}| {said}", status
        )

    def _bar(self, record: StepRecord, room: int) -> str:
        columns = [" "] * room
        whole = (record.started_at or 0.0, record.ended_at or self.ended_at)
        for mark, spans in ((".", [whole]), ("#", self._at_work(record))):
            for begun, ended in spans:
                first, last = self._place(begun, room), self._place(ended, room)
                columns[first : last + 1] = mark * (last + 1 - first)
        return "".join(columns)

    def _at_work(self, record: StepRecord) -> Iterator[Span]:
        for each in (record, *record.begun):
            for attempt in each.attempts:
                # Of one whose process died nobody knows how long it lived.
                is_known = attempt.ended_at is not None or attempt is each.attempts[-1]
                ended = attempt.ended_at if attempt.ended_at is not None else record.ended_at or self.ended_at
                yield attempt.started_at, ended if is_known else attempt.started_at

    def _place(self, at: float, room: int) -> int:
        """The column of an instant."""
        length = self.ended_at - self.begun_at
        part = (at - self.begun_at) / length if length > 0 else 0.0
        return min(room - 1, max(0, int(part * room)))


def _longest(records: Sequence[StepRecord], kept: set[str]) -> list[StepRecord]:
    """At most so many as anyone looks at: those to be kept, then those that took longest; in their order."""
    ranked = sorted(records, key=lambda record: (record.name not in kept, -(record.duration or math.inf)))
    chosen = {record.name for record in ranked[:_MOST_STEPS]}
    return [record for record in records if record.name in chosen]
