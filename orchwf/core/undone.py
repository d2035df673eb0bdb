"""What came of undoing what a run did: of its steps, and of their items."""

from collections.abc import Iterable, Iterator

from .events import ErrorInfo
from .failures import Failures, item_name
from .history import StepRecord
from .lines import STOPPED, Line, brief, name_width, names_text, padded
from .state import StepStatus
from .wording import plural

_MOST = 10


def undoings(record: StepRecord) -> Iterator[tuple[str, StepRecord]]:
    """What became of undoing a step, and of undoing its items: with the name of what is undone."""
    if record.compensation is not None:
        yield record.name, record.compensation
    for item in record.items.values():
        if item.compensation is not None:
            yield item_name(record.name, item.item), item.compensation


def undoing_lines(steps: Iterable[StepRecord], failures: Failures, *, is_over: bool) -> list[Line]:
    """
    What was undone, what could not be, and what nobody is undoing any more.

    Args:
        failures: Tells where an error was raised, and whether all is to be told.
        is_over: Whether nothing is being undone now.
    """
    records = list(steps)
    undone = _undone(records)
    lines = [Line(f"  undone: {names_text(undone)}")] if undone else []
    undoing = sorted((pair for record in records for pair in undoings(record)), key=_began)
    left = [(name, undo) for name, undo in undoing if undo.status is StepStatus.FAILED or (is_over and _is_open(undo))]
    shown = left if failures.verbose else left[:_MOST]
    width = name_width(name for name, _ in shown)
    for name, undo in shown:
        lines += _line(padded(name, width), undo, failures)
    if len(shown) < len(left):
        lines.append(Line(f"  x and {len(left) - len(shown):,} more", StepStatus.FAILED))
    return lines


def _is_open(undo: StepRecord) -> bool:
    return undo.status is not StepStatus.COMPLETED


def _line(name: str, undo: StepRecord, failures: Failures) -> Iterator[Line]:
    if undo.status is not StepStatus.FAILED:
        yield Line(f"  ! {name}  was being undone", STOPPED)
        return
    error = undo.error or ErrorInfo("Exception", "")
    tries = f" in {plural(undo.attempt, 'attempt')}" if undo.attempt > 1 else ""
    yield Line(f"  x {name}  could not be undone{tries}: {brief(error.headline)}", StepStatus.FAILED)
    yield from failures.place(error)


def _began(pair: tuple[str, StepRecord]) -> float:
    return pair[1].started_at or 0.0


def _undone(records: Iterable[StepRecord]) -> list[str]:
    """What is undone, in the order in which that began: `charge`, `48 items of parse`."""
    found: list[tuple[float, str]] = []
    for record in records:
        done = [(name, undo) for name, undo in undoings(record) if undo.status is StepStatus.COMPLETED]
        items = [pair for pair in done if pair[1] is not record.compensation]
        found += [(_began(pair), pair[0]) for pair in done if pair[1] is record.compensation]
        if items:
            found.append((min(map(_began, items)), f"{plural(len(items), 'item')} of {record.name}"))
    return [name for _, name in sorted(found, key=lambda each: each[0])]
