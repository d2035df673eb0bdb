"""Reads from a SQLite store, each a function to be called on the connection's thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from ..core.events import Event, Row, from_row
from ..core.state import RunStatus
from ..ports import Message, RunQuery, RunRecord
from .labels import decode_labels
from .sqlite_damage import check_events, check_instants, check_object, check_texts, readable

_Value = str | int | float | None

_COLUMNS = """
    runs.no, runs.id, runs.workflow, runs.version, runs.fingerprint, runs.entrypoint, runs.status, runs.metadata,
    runs.tags, runs.created_at, runs.ended_at, runs.error, runs.owner,
    runs.owner IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM owners WHERE owners.id = runs.owner AND lease_clock() - renewed_at BETWEEN 0 AND lease
    )
"""
_GET = f"SELECT {_COLUMNS} FROM runs WHERE id = ?"  # noqa: S608 - all of the text is ours
_READ = """
    SELECT seq, at, kind, step, attempt, data FROM log
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
_OWNERS = """
    SELECT running.owner, running.owner IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM owners WHERE owners.id = running.owner AND lease_clock() - renewed_at BETWEEN 0 AND lease
    )
    FROM (SELECT DISTINCT owner FROM runs WHERE status = 'running') AS running
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
    with readable(f"the log of run {run_id!r} has an event that cannot be read"):
        check_events(rows, max(after, 0) + 1)
        return [from_row(row) for row in rows]


def get_run(connection: sqlite3.Connection, run_id: str) -> RunRecord | None:
    """What `Store.get` says."""
    row = connection.execute(_GET, (run_id,)).fetchone()
    return _record(row) if row else None


def get_definition(connection: sqlite3.Connection, fingerprint: str) -> str | None:
    """What `Store.definition` says."""
    row = connection.execute(_DEFINITION, (fingerprint,)).fetchone()
    with readable(f"the definition {fingerprint} cannot be read"):
        check_texts(row or ())
    return row[0] if row else None


def get_inbox(connection: sqlite3.Connection, owner: str) -> list[Message]:
    """What `Store.inbox` says."""
    rows = connection.execute(_INBOX, (owner,)).fetchall()
    for row in rows:
        with readable(f"a message to run {row[0]!r} cannot be read"):
            check_texts(row)
    return [Message(run_id=run_id, id=id_, signal=signal, payload=payload) for run_id, id_, signal, payload in rows]


def get_owners(connection: sqlite3.Connection) -> dict[str | None, bool]:
    """What `Store.owners` says."""
    return {owner: bool(has_lapsed) for owner, has_lapsed in connection.execute(_OWNERS)}


def list_runs(connection: sqlite3.Connection, query: RunQuery) -> list[RunRecord]:
    """What `Store.runs` says."""
    rows = [row for sql, values in selects(query) for row in connection.execute(sql, values)]
    rows.sort(key=lambda row: -row[0])
    return [_record(row) for row in rows[: query.limit]]


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
        if (end := _after_all_with(query.id_prefix)) is not None:
            add("runs.id < ?", end)
    for term, parameters in (*_terms_of_owners(query), *_terms_of_the_log(query)):
        add(term, *parameters)
    if query.before is not None:
        add(f"{number} < ?", query.before)
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    values.append(_NO_LIMIT if query.limit is None else query.limit)
    # All of the text is ours: what the caller gave is among the values.
    return f"SELECT {_COLUMNS} FROM {source} {where} ORDER BY {number} DESC LIMIT ?", values  # noqa: S608


def _terms_of_owners(query: RunQuery) -> Iterator[tuple[str, Sequence[_Value]]]:
    if query.owners is not None:
        named = [owner for owner in query.owners if owner is not None]
        or_free = " OR runs.owner IS NULL" if len(named) < len(query.owners) else ""
        yield f"(runs.owner IN ({_places(named)}){or_free})", named
    if query.asked is not None:
        yield f"runs.no IN ({_ASKED} AND signal IN ({_places(query.asked)}))", list(query.asked)


def _terms_of_the_log(query: RunQuery) -> Iterator[tuple[str, Sequence[_Value]]]:
    if query.compensation is not None:
        yield f"runs.no IN ({_COMPENSATED}) AND ({_COMPENSATION}) = ?", [query.compensation]


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _after_all_with(prefix: str) -> str | None:
    """The first text after all that begin so, in the order of code points, which is SQLite's; None if nothing is."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    # Surrogates are no text.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


_Row = tuple[int, str, str, str, str, str, str, str, str, float, float | None, str, str | None, int]


def _record(row: _Row) -> RunRecord:
    no, run_id, workflow, version, fingerprint, entrypoint, status, *_ = row
    metadata, tags, created_at, ended_at, error, owner, has_lapsed = row[7:]
    with readable(f"run {run_id!r} cannot be read"):
        check_texts([run_id, workflow, version, fingerprint, entrypoint, error, owner or ""])
        check_instants([created_at] if ended_at is None else [created_at, ended_at])
        decoded_metadata, decoded_tags = decode_labels(metadata, tags)
        check_object(decoded_metadata)
        check_object(decoded_tags)
        check_texts(decoded_tags.values())
        known_status = RunStatus(status)
    return RunRecord(
        id=run_id, workflow=workflow, version=version, fingerprint=fingerprint, entrypoint=entrypoint,
        status=known_status, metadata=decoded_metadata, tags=decoded_tags, created_at=created_at,
        ended_at=ended_at, error=error, owner=owner, has_lapsed=bool(has_lapsed), number=no,
    )  # fmt: skip
