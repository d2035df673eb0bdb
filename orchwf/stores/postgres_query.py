"""Reads from a PostgreSQL store, each a function that asks one question."""

import json
from collections.abc import Iterator, Sequence

from ..blobs.references import following
from ..core.events import Event
from ..ports import Message, RunQuery, RunRecord
from .postgres_question import Question
from .records import after_all_with, definition_text, events, messages, run_record

COLUMNS = """
    runs.no, runs.id, runs.workflow, runs.version, runs.fingerprint, runs.entrypoint, runs.status, runs.metadata,
    runs.tags, runs.created_at, runs.ended_at, runs.error, runs.owner, runs.wake_at, runs.slept_at,
    runs.owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM living WHERE living.id = runs.owner)
"""
"""A run as `run_record` reads it."""
_GET = f"SELECT {COLUMNS} FROM runs WHERE id = %s"  # noqa: S608 - all of the text is ours
# The size of a text is known without reading it.
_READ = """
    SELECT seq, at, kind, step, attempt, item, data FROM (
        SELECT *, sum(coalesce(octet_length(data), 0)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
            - coalesce(octet_length(data), 0) AS size_before
        FROM log WHERE run = (SELECT no FROM runs WHERE id = %s) AND seq > %s
        ORDER BY seq LIMIT %s
    ) AS page
    WHERE size_before < %s ORDER BY seq
"""
_DEFINITION = "SELECT data FROM definitions WHERE fingerprint = %s"
_INBOX = """
    SELECT runs.id, inbox.id, inbox.signal, inbox.payload FROM inbox JOIN runs ON runs.no = inbox.run
    WHERE NOT inbox.folded AND runs.owner = %s ORDER BY inbox.no
"""
_NEXT_WAKE = "SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND wake_at > %s"
_ASKED = "SELECT run FROM inbox WHERE NOT folded"
_COMPENSATED = """
    SELECT run FROM log WHERE kind IN ('compensation.started', 'compensation.completed', 'compensation.failed')
"""
# As text, as PostgreSQL's own JSON cannot have a NUL, which an error may. Within another text the quotes are escaped.
_COMPENSATION = """
    SELECT strpos(ended.data, %s) > 0 FROM log AS ended
    WHERE ended.run = runs.no AND ended.kind IN ('run.failed', 'run.cancelled') ORDER BY ended.seq DESC LIMIT 1
"""
_MENTIONED = """
    SELECT data FROM log WHERE strpos(data, %s) > 0 UNION ALL SELECT output FROM cache WHERE strpos(output, %s) > 0
    UNION ALL SELECT payload FROM inbox WHERE strpos(payload, %s) > 0
    UNION ALL SELECT inputs FROM schedules WHERE strpos(inputs, %s) > 0
"""
_MOST_READ = 16_000_000
"""How many bytes of outputs are held at once when a log is read."""


async def read_events(question: Question, run_id: str, after: int, limit: int | None) -> list[Event]:
    """What `Store.read` says."""
    return events(run_id, await question.rows(_READ, (run_id, after, limit, _MOST_READ)), after)


async def get_run(question: Question, run_id: str) -> RunRecord | None:
    """What `Store.get` says."""
    row = await question.row(_GET, (run_id,))
    return run_record(row) if row else None


async def get_definition(question: Question, fingerprint: str) -> str | None:
    """What `Store.definition` says."""
    return definition_text(fingerprint, await question.row(_DEFINITION, (fingerprint,)))


async def get_inbox(question: Question, owner: str) -> list[Message]:
    """What `Store.inbox` says."""
    return messages(await question.rows(_INBOX, (owner,)))


async def get_mentioned(question: Question, marker: str, length: int) -> set[str]:
    """What `Store.mentioned` says."""
    return following([text for (text,) in await question.rows(_MENTIONED, [marker] * 4)], marker, length)


async def get_next_wake(question: Question, after: float) -> float | None:
    """What `Store.next_wake` says."""
    row = await question.row(_NEXT_WAKE, (after,))
    return row[0] if row else None


async def list_runs(question: Question, query: RunQuery) -> list[RunRecord]:
    """What `Store.runs` says."""
    terms = [*_terms(query), *_terms_of_owners(query)]
    where = f"WHERE {' AND '.join(term for term, _ in terms)}" if terms else ""
    values = [value for _, parameters in terms for value in parameters]
    # All of the text is ours: what the caller gave is among the values.
    sql = f"SELECT {COLUMNS} FROM runs {where} ORDER BY runs.no DESC LIMIT %s"  # noqa: S608
    return [run_record(row) for row in await question.rows(sql, [*values, query.limit])]


_Term = tuple[str, Sequence[object]]


def _terms(query: RunQuery) -> Iterator[_Term]:
    for key, value in query.tags.items():
        yield "runs.no IN (SELECT run FROM run_tags WHERE key = %s AND value = %s)", [key, value]
    if query.workflow is not None:
        yield "runs.workflow = %s", [query.workflow]
    if query.statuses is not None:
        yield "runs.status = ANY(%s)", [[str(status) for status in query.statuses]]
    if query.since is not None:
        yield "runs.created_at >= %s", [query.since]
    if query.until is not None:
        yield "runs.created_at < %s", [query.until]
    if query.id_prefix:
        yield "runs.id >= %s", [query.id_prefix]
        if (end := after_all_with(query.id_prefix)) is not None:
            yield "runs.id < %s", [end]
    if query.compensation is not None:
        said = f'"compensation":{json.dumps(query.compensation, ensure_ascii=False)}'
        yield f"runs.no IN ({_COMPENSATED}) AND ({_COMPENSATION})", [said]
    if query.before is not None:
        yield "runs.no < %s", [query.before]


def _terms_of_owners(query: RunQuery) -> Iterator[_Term]:
    if query.owners is not None:
        named = [owner for owner in query.owners if owner is not None]
        or_free = " OR runs.owner IS NULL" if len(named) < len(query.owners) else ""
        yield f"(runs.owner = ANY(%s){or_free})", [named]
    if query.is_asleep is not None:
        yield f"runs.wake_at IS {'NOT ' * query.is_asleep}NULL", ()
    if query.due_by is not None:
        yield "runs.wake_at IS NOT NULL AND (runs.wake_at <= %s OR runs.slept_at > %s)", [query.due_by, query.due_by]
    if query.has_mail is not None:
        yield f"{'' if query.has_mail else 'NOT '}EXISTS ({_ASKED} AND inbox.run = runs.no)", ()
    if query.asked is not None:
        yield f"EXISTS ({_ASKED} AND inbox.run = runs.no AND signal = ANY(%s))", [list(query.asked)]
