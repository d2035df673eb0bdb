"""Reads from a SQLite store, each a function to be called on the connection's thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from ..core.events import Event, Row
from ..core.state import RunStatus
from ..ports import Message, RunQuery, RunRecord
from .damage import readable
from .records import after_all_with, definition_text, events, messages, run_record

_Value = str | int | float | None

COLUMNS = """
    runs.no, runs.id, runs.workflow, runs.version, runs.fingerprint, runs.entrypoint, runs.status, runs.metadata,
    runs.tags, runs.created_at, runs.ended_at, runs.error, runs.owner,
    runs.wake_at, runs.slept_at, runs.owner IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM owners WHERE owners.id = runs.owner AND lease_clock() - renewed_at BETWEEN 0 AND lease
    )
"""
"""A run as `run_record` reads it."""
_GET = f"SELECT {COLUMNS} FROM runs WHERE id = ?"  # noqa: S608 - all of the text is ours
_READ = """
    SELECT seq, at, kind, step, attempt, item, data FROM log
    WHERE run = (SELECT no FROM runs WHERE id = ?) AND seq > ? ORDER BY seq LIMIT ?
"""
_DEFINITION = "SELECT data FROM definitions WHERE fingerprint = ?"
# CROSS JOIN keeps the order of the tables: from the few messages that wait to their runs.
_INBOX = """
    SELECT runs.id, inbox.id, inbox.signal, inbox.payload FROM inbox CROSS JOIN runs ON runs.no = inbox.run
    WHERE inbox.folded = 0 AND runs.owner = ? ORDER BY inbox.no
"""
# Left to itself SQLite looks for the first by going through all runs.
_FIRST_SINCE = "SELECT min(no) FROM runs INDEXED BY runs_by_creation WHERE created_at >= ?"
_LAST_UNTIL = "SELECT max(no) FROM runs INDEXED BY runs_by_creation WHERE created_at < ?"
_NEXT_WAKE = "SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND wake_at > ?"
# Each of the two has an index of its own; one look for either would go through all runs.
_DUE = """
    SELECT no FROM runs WHERE wake_at <= ? UNION SELECT no FROM runs WHERE slept_at > ? AND wake_at IS NOT NULL
"""
_ASKED = "SELECT run FROM inbox WHERE folded = 0"
# The index has the few runs of which anything was undone.
_COMPENSATED = """
    SELECT DISTINCT run FROM log INDEXED BY log_compensations
    WHERE kind IN ('compensation.started', 'compensation.completed', 'compensation.failed')
"""
_COMPENSATION = """
    SELECT json_extract(ended.data, '$.compensation') FROM log AS ended
    WHERE ended.run = runs.no AND ended.kind IN ('run.failed', 'run.cancelled') ORDER BY ended.seq DESC LIMIT 1
"""
_NO_LIMIT = -1
_MOST_READ = 16_000_000
"""How many characters of outputs are held at once when a log is read."""
_ROWS_AT_ONCE = 100


def read_events(connection: sqlite3.Connection, run_id: str, after: int, limit: int | None) -> list[Event]:
    """What `Store.read` says."""
    rows: list[Row] = []
    size = 0
    with closing(connection.execute(_READ, (run_id, after, _NO_LIMIT if limit is None else limit))) as cursor:
        while size < _MOST_READ and (piece := cursor.fetchmany(_ROWS_AT_ONCE)):
            rows += piece
            size += sum([len(row[-1]) for row in piece if row[-1]])
    return events(run_id, rows, after)


def get_run(connection: sqlite3.Connection, run_id: str) -> RunRecord | None:
    """What `Store.get` says."""
    row = connection.execute(_GET, (run_id,)).fetchone()
    return run_record(row) if row else None


def get_definition(connection: sqlite3.Connection, fingerprint: str) -> str | None:
    """What `Store.definition` says."""
    return definition_text(fingerprint, connection.execute(_DEFINITION, (fingerprint,)).fetchone())


def get_inbox(connection: sqlite3.Connection, owner: str) -> list[Message]:
    """What `Store.inbox` says."""
    return messages(connection.execute(_INBOX, (owner,)).fetchall())


def get_next_wake(connection: sqlite3.Connection, after: float) -> float | None:
    """What `Store.next_wake` says."""
    (wake_at,) = connection.execute(_NEXT_WAKE, (after,)).fetchone()
    with readable("when a run goes on that sleeps cannot be read"):
        return None if wake_at is None else float(wake_at)


def list_runs(connection: sqlite3.Connection, query: RunQuery) -> list[RunRecord]:
    """What `Store.runs` says."""
    rows = [row for sql, values in selects(query) for row in connection.execute(sql, values)]
    rows.sort(key=lambda row: -row[0])
    return [run_record(row) for row in rows[: query.limit]]


def selects(query: RunQuery) -> list[tuple[str, list[_Value]]]:
    """
    The statements whose rows together are the answer, each with its values; each gives the newest first.

    None of them sorts, and none looks at more rows than it must: an index has the rows of one workflow, status or tag
    in the order of creation. Of several statuses no index has, so there is a statement for each.
    """
    if query.statuses is None:
        return [_select(query, ())]
    statuses = list(dict.fromkeys(query.statuses))
    if query.tags or query.id_prefix:
        return [_select(query, statuses)] if statuses else []
    return [_select(query, [status]) for status in statuses]


def _select(query: RunQuery, statuses: Sequence[RunStatus]) -> tuple[str, list[_Value]]:
    source, number = "runs", "runs.no"
    terms: list[str] = []
    values: list[_Value] = []

    def add(term: str, *parameters: _Value) -> None:
        terms.append(term)
        values.extend(parameters)

    for position, (key, value) in enumerate(query.tags.items()):
        if position == 0:
            source, number = "run_tags CROSS JOIN runs ON runs.no = run_tags.run", "run_tags.run"
            add("run_tags.key = ? AND run_tags.value = ?", key, value)
        else:
            add("EXISTS (SELECT 1 FROM run_tags WHERE key = ? AND value = ? AND run = runs.no)", key, value)
    if query.workflow is not None:
        add("runs.workflow = ?", query.workflow)
    if statuses:
        add(f"runs.status IN ({_places(statuses)})", *statuses)
    # Creation is nearly in the order of the numbers, so from a bound of the time follows one of the numbers.
    if query.since is not None:
        add("runs.created_at >= ?", query.since)
        add(f"{number} >= ({_FIRST_SINCE})", query.since)
    if query.until is not None:
        add("runs.created_at < ?", query.until)
        add(f"{number} <= ({_LAST_UNTIL})", query.until)
    if query.id_prefix:
        add("runs.id >= ?", query.id_prefix)
        if (end := after_all_with(query.id_prefix)) is not None:
            add("runs.id < ?", end)
    for term, parameters in (*_terms_of_owners(query), *_terms_of_the_log(query)):
        add(term, *parameters)
    if query.before is not None:
        add(f"{number} < ?", query.before)
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    values.append(_NO_LIMIT if query.limit is None else query.limit)
    # All of the text is ours: what the caller gave is among the values.
    return f"SELECT {COLUMNS} FROM {source} {where} ORDER BY {number} DESC LIMIT ?", values  # noqa: S608


def _terms_of_owners(query: RunQuery) -> Iterator[tuple[str, Sequence[_Value]]]:
    if query.owners is not None:
        named = [owner for owner in query.owners if owner is not None]
        or_free = " OR runs.owner IS NULL" if len(named) < len(query.owners) else ""
        yield f"(runs.owner IN ({_places(named)}){or_free})", named
    if query.is_asleep is not None:
        yield f"runs.wake_at IS {'NOT ' * query.is_asleep}NULL", ()
    if query.due_by is not None:
        yield f"runs.no IN ({_DUE})", [query.due_by, query.due_by]
    if query.has_mail is not None:
        yield f"runs.no {'' if query.has_mail else 'NOT '}IN ({_ASKED})", ()
    if query.asked is not None:
        yield f"runs.no IN ({_ASKED} AND signal IN ({_places(query.asked)}))", list(query.asked)


def _terms_of_the_log(query: RunQuery) -> Iterator[tuple[str, Sequence[_Value]]]:
    if query.compensation is not None:
        yield f"runs.no IN ({_COMPENSATED}) AND ({_COMPENSATION}) = ?", [query.compensation]


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
