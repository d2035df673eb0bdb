"""
Looks at rows of a store before they are believed.

SQLite keeps no checksums of what is in its tables, so a disk that errs may hand out a row that nobody wrote; and in any
database somebody may have changed one by hand. What is neither text nor number where it should be, has another place in
the log, or is no JSON, is found here; one letter for another within a text is not.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..core.events import Row

_LATEST = 253_370_764_800.0
"""The year 9999 (epoch seconds): later instants cannot be shown."""


class UnreadableError(Exception):
    """The database gives a row, and what is in it cannot be what was written there; the text says which and why."""


@contextmanager
def readable(complaint: str) -> Iterator[None]:
    """
    A block that reads rows.

    Raises:
        UnreadableError: it met one that it cannot read; the text begins with the complaint.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{complaint} ({type(error).__name__}: {error})") from error


def check_events(rows: Sequence[Row], first: int) -> None:
    """
    See that these rows are events, and numbered from `first` on without gaps.

    Raises:
        ValueError, KeyError, TypeError: they are not.
    """
    for wanted, row in enumerate(rows, first):
        seq, at, kind, step, attempt, item, data = row
        # Nearly all are about a step, and whole: that is seen without a call.
        is_whole = (
            seq == wanted
            and type(at) is float
            and 0 <= at < _LATEST
            and type(kind) is str
            and type(step) is str
            and type(attempt) is int
            and attempt >= 0
            and item is None
            and (data is None or type(data) is str)
        )
        if not is_whole:
            _check_event(row, wanted)


def _check_event(row: Row, wanted: int) -> None:
    seq, at, kind, step, attempt, item, data = row
    if seq != wanted:
        raise ValueError(f"number {seq} stands where {wanted} should")
    check_instants([at])
    if type(attempt) is not int or attempt < 0:
        raise ValueError(f"{attempt!r} is no attempt")
    if item is not None and (type(item) is not int or item < 0):
        raise ValueError(f"{item!r} is no item")
    check_texts([kind] if step is None else [kind, step])
    if step is None and kind.startswith(("step.", "cache.")):
        raise ValueError(f"{kind} of no step")
    if data is not None:
        check_texts([data])
    if kind == "run.started":
        check_object(json.loads(json.loads(data or "")["inputs"]))


def check_texts(values: Iterable[object]) -> None:
    """
    See that each of these is text.

    Raises:
        ValueError: one is not.
    """
    for value in values:
        if type(value) is not str:
            raise ValueError(f"{value!r} is no text")


def check_instants(values: Iterable[object]) -> None:
    """
    See that each of these is an instant (epoch seconds) that can be shown.

    Raises:
        ValueError: one is not.
    """
    for value in values:
        if type(value) is not float or not 0 <= value < _LATEST:
            raise ValueError(f"{value!r} is no instant")


def check_object(value: object) -> None:
    """
    See that this is what a JSON object is read as.

    Raises:
        ValueError: it is not.
    """
    if type(value) is not dict:
        raise ValueError(f"{value!r} is no JSON object")
