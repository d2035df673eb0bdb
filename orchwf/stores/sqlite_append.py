"""Appends to the logs in a SQLite store: a whole batch in one transaction, in one call on the connection's thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

import attrs

from ..core.events import Row, SignalReceived, to_row
from ..errors import ConflictError, RunExistsError, RunNotFoundError, StoreError
from ..ports import Append, RunRecord
from .labels import encode_labels, numbering_error
from .sqlite_file import transaction

T = TypeVar("T")

_FIND_RUNS = "SELECT id, no, owner, (SELECT max(seq) FROM log WHERE run = runs.no) FROM runs WHERE id IN ({})"
_CREATE_RUN = """
    INSERT INTO runs (id, workflow, version, fingerprint, entrypoint, status, metadata, tags, created_at, ended_at,
        error, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TAG_RUN = "INSERT INTO run_tags (key, value, run) VALUES (?, ?, ?)"
_SUMMARISE = "UPDATE runs SET status = ?, fingerprint = ?, ended_at = ?, error = ? WHERE no = ?"
_RELEASE = "UPDATE runs SET owner = NULL WHERE no = ?"
_USE_DEFINITION = """
    INSERT OR IGNORE INTO run_definitions (run, fingerprint) SELECT no, fingerprint FROM runs WHERE no = ?
"""
_IS_DEFINED = "SELECT 1 FROM definitions WHERE fingerprint = (SELECT fingerprint FROM runs WHERE no = ?)"
_DEFINE = "INSERT INTO definitions (fingerprint, data) SELECT fingerprint, ? FROM runs WHERE no = ?"
_FOLD_MESSAGE = """
    INSERT INTO inbox (run, id, signal, payload, folded) VALUES (?, ?, ?, ?, 1)
    ON CONFLICT (run, id) DO UPDATE SET folded = 1
"""

_PLACES = "(?, ?, ?, ?, ?, ?, ?)"
# A few statements of fixed sizes stay in the cache of prepared statements, and each row costs less than its own
# execution. 128 rows of 7 columns stay below the 999 parameters that older SQLite allows.
_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
_INSERT_EVENTS = {
    size: f"INSERT INTO log (run, seq, at, kind, step, attempt, data) VALUES {', '.join([_PLACES] * size)}"  # noqa: S608
    for size in _SIZES
}
_FIND_SO_MANY = {size: _FIND_RUNS.format(", ".join("?" * size)) for size in _SIZES}

_ROW_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UnicodeEncodeError,
    OverflowError,
)
"""What is wrong with a value, not with the store: a number that is not finite or too big, text that is not Unicode."""


def write_appends(connection: sqlite3.Connection, appends: Sequence[Append], url: str) -> list[Exception | None]:
    """What `Store.append` says. To be called on the connection's thread."""
    try:
        with transaction(connection):
            return _write(connection, appends, url)
    except _ROW_ERRORS:
        # The rows of all are rolled back with the bad one: once more, each append by itself.
        with transaction(connection):
            return [_write_alone(connection, append, url) for append in appends]


def _write_alone(connection: sqlite3.Connection, append: Append, url: str) -> Exception | None:
    connection.execute("SAVEPOINT alone")
    try:
        outcome = _write(connection, [append], url)[0]
    except _ROW_ERRORS as error:
        connection.execute("ROLLBACK TO alone")
        outcome = StoreError(f"what run {append.run_id!r} should have been given cannot be stored in {url}: {error}")
        outcome.__cause__ = error
    connection.execute("RELEASE alone")
    return outcome


def _write(connection: sqlite3.Connection, appends: Sequence[Append], url: str) -> list[Exception | None]:
    ends = _find_ends(connection, [*dict.fromkeys([append.run_id for append in appends])])
    outcomes = [_accept(connection, append, ends, url) for append in appends]
    accepted = [
        (ends[append.run_id].run, append) for append, outcome in zip(appends, outcomes, strict=True) if outcome is None
    ]
    _insert_events(connection, [(run, *to_row(event)) for run, append in accepted for event in append.events])
    for run, append in accepted:
        _write_rest(connection, run, append)
    return outcomes


@attrs.define
class _End:
    """Where the log of a run will end after what was accepted in this batch: `run` is its number in the store."""

    run: int
    owner: str | None
    seq: int


def _accept(connection: sqlite3.Connection, append: Append, ends: dict[str, _End], url: str) -> Exception | None:
    """Create the run if that is asked for. What is returned says why nothing of this append may be written."""
    end = ends.get(append.run_id)
    if error := _refusal(append, end, url):
        return error
    if append.create is not None:
        try:
            end = _End(_create(connection, append.create), append.create.owner, 0)
        except StoreError as unstorable:
            return unstorable
    if end is not None:
        end.seq = append.expected + len(append.events)
        end.owner = None if append.releases else end.owner
        ends[append.run_id] = end
    return None


def _find_ends(connection: sqlite3.Connection, run_ids: Sequence[str]) -> dict[str, _End]:
    rows = [row for size, ids in _pieces(run_ids) for row in connection.execute(_FIND_SO_MANY[size], ids)]
    return {run_id: _End(run, owner, last or 0) for run_id, run, owner, last in rows}


def _pieces(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """These items in pieces of the sizes for which there are statements, each with its size."""
    start = 0
    for size in _SIZES:
        while len(items) - start >= size:
            yield size, items[start : start + size]
            start += size


def _refusal(append: Append, end: _End | None, url: str) -> Exception | None:
    if error := numbering_error(append):
        return error
    if append.create is not None:
        return RunExistsError(append.run_id) if end else None
    if end is None:
        return RunNotFoundError(append.run_id, url)
    is_foreign = append.owner is not None and end.owner != append.owner
    return ConflictError(append.run_id, append.expected) if is_foreign or end.seq != append.expected else None


def _create(connection: sqlite3.Connection, record: RunRecord) -> int:
    metadata, tags = encode_labels(record)
    values = (
        record.id, record.workflow, record.version, record.fingerprint, record.entrypoint, record.status, metadata,
        tags, record.created_at, record.ended_at, record.error, record.owner,
    )  # fmt: skip
    run = connection.execute(_CREATE_RUN, values).lastrowid
    connection.executemany(_TAG_RUN, [(key, value, run) for key, value in record.tags.items()])
    connection.execute(_USE_DEFINITION, (run,))
    return run or 0


def _insert_events(connection: sqlite3.Connection, rows: Sequence[tuple[int, *Row]]) -> None:
    for size, piece in _pieces(rows):
        connection.execute(_INSERT_EVENTS[size], tuple(chain.from_iterable(piece)))


def _write_rest(connection: sqlite3.Connection, run: int, append: Append) -> None:
    if (summary := append.summary) is not None:
        values = (summary.status, summary.fingerprint, summary.ended_at, summary.error, run)
        connection.execute(_SUMMARISE, values)
    if append.releases:
        connection.execute(_RELEASE, (run,))
    if append.definition is not None:
        if connection.execute(_IS_DEFINED, (run,)).fetchone() is None:
            connection.execute(_DEFINE, (append.definition(), run))
        connection.execute(_USE_DEFINITION, (run,))
    for event in append.events:
        if isinstance(event, SignalReceived):
            connection.execute(_FOLD_MESSAGE, (run, event.message_id, event.signal, event.payload))
