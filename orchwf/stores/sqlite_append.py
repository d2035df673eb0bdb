"""Appends to the logs in a SQLite store: a whole batch in one transaction, in one call on the connection's thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

from ..core.events import Row, SignalReceived, to_row
from ..errors import StoreError
from ..ports import Append, RunRecord
from .fence import End, refusal
from .labels import encode_labels
from .sqlite_cache import keep
from .sqlite_file import transaction

T = TypeVar("T")

_FIND_RUNS = "SELECT id, no, owner, (SELECT max(seq) FROM log WHERE run = runs.no) FROM runs WHERE id IN ({})"
_CREATE_RUN = """
    INSERT INTO runs (id, workflow, version, fingerprint, entrypoint, status, metadata, tags, created_at, ended_at,
        error, owner, wake_at, slept_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TAG_RUN = "INSERT INTO run_tags (key, value, run) VALUES (?, ?, ?)"
_SUMMARISE = """
    UPDATE runs SET status = ?, fingerprint = ?, ended_at = ?, error = ?, wake_at = ?, slept_at = ? WHERE no = ?
"""
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

_TELL = """
    INSERT INTO inbox (run, id, signal, payload, folded)
    SELECT no, ?, ?, ?, 0 FROM runs WHERE id = ? AND status NOT IN ('completed', 'failed', 'cancelled')
    ON CONFLICT (run, id) DO NOTHING
"""

_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?)"
# A few statements of fixed sizes stay in the cache of prepared statements, and each row costs less than its own
# execution. The first is of 1,024 parameters, of which SQLite allows 32,766 since 3.32 (2020).
_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
_INSERT_EVENTS = {
    size: f"INSERT INTO log (run, seq, at, kind, step, attempt, item, data) VALUES {', '.join([_PLACES] * size)}"  # noqa: S608
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
            return _say(connection, appends, _write(connection, appends, url))
    except _ROW_ERRORS:
        # The rows of all are rolled back with the bad one: once more, each append by itself.
        with transaction(connection):
            return _say(connection, appends, [_write_alone(connection, append, url) for append in appends])


def _write_alone(connection: sqlite3.Connection, append: Append, url: str) -> Exception | None:
    connection.execute("SAVEPOINT alone")
    try:
        outcome = _write(connection, [append], url)[0]
        for message in append.messages:
            # They are written later: here is told whether they can be.
            connection.execute("SELECT ?, ?, ?, ?", (message.id, message.signal, message.payload, message.run_id))
    except _ROW_ERRORS as error:
        connection.execute("ROLLBACK TO alone")
        outcome = StoreError(f"what run {append.run_id!r} should have been given cannot be stored in {url}: {error}")
        outcome.__cause__ = error
    connection.execute("RELEASE alone")
    return outcome


def _say(
    connection: sqlite3.Connection, appends: Sequence[Append], outcomes: list[Exception | None]
) -> list[Exception | None]:
    """Put what is said by these appends, as far as they were written, into the inboxes; gives the outcomes on."""
    for append, outcome in zip(appends, outcomes, strict=True):
        if append.messages and outcome is None:
            for message in append.messages:
                connection.execute(_TELL, (message.id, message.signal, message.payload, message.run_id))
    return outcomes


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


def _accept(connection: sqlite3.Connection, append: Append, ends: dict[str, End], url: str) -> Exception | None:
    """Create the run if that is asked for. What is returned says why nothing of this append may be written."""
    end = ends.get(append.run_id)
    if error := refusal(append, end, url):
        return error
    if append.create is not None:
        try:
            end = End(_create(connection, append.create), append.create.owner, 0)
        except StoreError as unstorable:
            return unstorable
    if end is not None:
        end.accept(append)
        ends[append.run_id] = end
    return None


def _find_ends(connection: sqlite3.Connection, run_ids: Sequence[str]) -> dict[str, End]:
    rows = [row for size, ids in _pieces(run_ids) for row in connection.execute(_FIND_SO_MANY[size], ids)]
    return {run_id: End(run, owner, last or 0) for run_id, run, owner, last in rows}


def _pieces(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """These items in pieces of the sizes for which there are statements, each with its size."""
    start = 0
    for size in _SIZES:
        while len(items) - start >= size:
            yield size, items[start : start + size]
            start += size


def _create(connection: sqlite3.Connection, record: RunRecord) -> int:
    metadata, tags = encode_labels(record)
    values = (
        record.id, record.workflow, record.version, record.fingerprint, record.entrypoint, record.status, metadata,
        tags, record.created_at, record.ended_at, record.error, record.owner, record.wake_at,
        record.slept_at,
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
        values = (
            summary.status, summary.fingerprint, summary.ended_at, summary.error, summary.wake_at, summary.slept_at,
            run,
        )  # fmt: skip
        connection.execute(_SUMMARISE, values)
    if append.releases:
        connection.execute(_RELEASE, (run,))
    if append.definition is not None:
        if connection.execute(_IS_DEFINED, (run,)).fetchone() is None:
            connection.execute(_DEFINE, (append.definition(), run))
        connection.execute(_USE_DEFINITION, (run,))
    for entry in append.caches:
        keep(connection, entry)
    for event in append.events:
        if isinstance(event, SignalReceived):
            connection.execute(_FOLD_MESSAGE, (run, event.message_id, event.signal, event.payload))
