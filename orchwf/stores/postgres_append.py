"""
Appends to the logs in a PostgreSQL store: a whole batch in one transaction, in two answers of the server.

The first one locks the runs, in one order for everybody, and tells where their logs end. With the second one everything
is written and committed.
"""

from collections.abc import Sequence

import attrs
from psycopg import errors

from ..core.events import to_row
from ..errors import StoreError
from ..ports import Append, Message, RunRecord
from .fence import End
from .labels import encode_labels, numbering_error
from .postgres_batch import Batch, Labels, Start, columns, unnest
from .postgres_connection import Transaction
from .postgres_errors import ROW_ERRORS
from .postgres_hints import TELL_SAID

# Not FOR UPDATE: so others may refer to the run meanwhile, as those do that send it a message.
_LOCK = "SELECT no FROM runs WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
# A statement of its own, as one that had to wait for a lock goes on to see the log as it was before.
_ENDS = """
    SELECT id, no, owner, (SELECT max(seq) FROM log WHERE run = runs.no), fingerprint FROM runs WHERE id = ANY(%s)
"""
_NUMBERS = """
    SELECT id, nextval('run_numbers') FROM (
        SELECT id FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (id, position)
        WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = wanted.id) ORDER BY position
    ) AS new
"""
# With a lock, so that nobody deletes what is used from now on.
_DEFINED = "SELECT fingerprint FROM definitions WHERE fingerprint = ANY(%s) ORDER BY fingerprint FOR KEY SHARE"
_TELL = f"""
    INSERT INTO inbox (run, id, signal, payload, folded)
    SELECT runs.no, said.id, said.signal, said.payload, false
    FROM {unnest(["text", "text", "text", "text"])} WITH ORDINALITY AS said (run, id, signal, payload, position)
    JOIN runs ON runs.id = said.run
    WHERE runs.status NOT IN ('completed', 'failed', 'cancelled')
    ORDER BY position
    ON CONFLICT (run, id) DO NOTHING
"""  # noqa: S608
_ARE_WRITTEN = f"""
    SELECT count(*) FROM {unnest(["text", "bigint", "float8", "text", "text", "bigint", "bigint", "text"])}
        AS wanted (id, seq, at, kind, step, attempt, item, data)
    JOIN runs ON runs.id = wanted.id
    JOIN log ON log.run = runs.no AND log.seq = wanted.seq
    WHERE (log.at, log.kind, log.attempt) = (wanted.at, wanted.kind, wanted.attempt)
        AND log.step IS NOT DISTINCT FROM wanted.step
        AND log.item IS NOT DISTINCT FROM wanted.item
        AND log.data IS NOT DISTINCT FROM wanted.data
"""  # noqa: S608


_ARE_CREATED = "SELECT count(*) FROM runs WHERE id = ANY(%s)"
_STAND_SO = f"""
    SELECT count(*) FROM {unnest(["text", "text", "text"])} AS wanted (id, status, fingerprint)
    JOIN runs USING (id, status, fingerprint)
"""  # noqa: S608


async def write_together(transaction: Transaction, appends: Sequence[Append], url: str) -> list[Exception | None]:
    """What `Store.append` says. One row that cannot be stored makes all of it fail."""
    outcomes = await _write(transaction, appends, url)
    await _tell(transaction, _said(appends, outcomes))
    return outcomes


async def write_one_by_one(transaction: Transaction, appends: Sequence[Append], url: str) -> list[Exception | None]:
    """
    What `Store.append` says, where it is known that a row cannot be stored: that fails its own append.

    To be called where statements are not batched, as an error would end the batch.
    """
    # In one order, as above.
    await transaction.send(_LOCK, ([append.run_id for append in appends if _is_text(append.run_id)],))
    outcomes = [await _write_alone(transaction, append, url) for append in appends]
    await _tell(transaction, _said(appends, outcomes))
    return outcomes


async def _write_alone(transaction: Transaction, append: Append, url: str) -> Exception | None:
    await transaction.send("SAVEPOINT alone")
    try:
        [outcome] = await _write(transaction, [append], url)
        for message in append.messages:
            # They are written later: here is told whether they can be.
            await transaction.send("SELECT %s, %s, %s, %s", attrs.astuple(message))
    except ROW_ERRORS as error:
        await transaction.send("ROLLBACK TO alone")
        outcome = StoreError(f"what run {append.run_id!r} should have been given cannot be stored in {url}: {error}")
        outcome.__cause__ = error
    await transaction.send("RELEASE alone")
    return outcome


def _is_text(value: str) -> bool:
    """Whether PostgreSQL can keep it."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


async def are_written(
    outcomes: Sequence[Exception | None], transaction: Transaction, *, appends: Sequence[Append]
) -> bool:
    """Whether what the appends that have no other outcome wrote is there: their events, or else their runs."""
    written = [append for append, outcome in zip(appends, outcomes, strict=True) if outcome is None]
    rows = [(append.run_id, *to_row(event)) for append in written for event in append.events]
    created = {append.run_id for append in written if append.create is not None}
    summaries = {each.run_id: each.summary for each in written if each.summary is not None and not each.events}
    standing = [(run_id, summary.status.value, summary.fingerprint) for run_id, summary in summaries.items()]
    events = await transaction.row(_ARE_WRITTEN, columns(rows, 8))
    runs = await transaction.row(_ARE_CREATED, ([*created],))
    standings = await transaction.row(_STAND_SO, columns(standing, 3))
    return (events, runs, standings) == ((len(rows),), (len(created),), (len(standing),))


async def _write(transaction: Transaction, appends: Sequence[Append], url: str) -> list[Exception | None]:
    labels = {number: _labels(append.create) for number, append in enumerate(appends) if append.create is not None}
    start = await _start(transaction, appends, labels)
    batch = Batch(start)
    outcomes = [batch.accept(append, labels.get(number), url) for number, append in enumerate(appends)]
    before = ""
    for statement in batch.statements():
        if statement.sql is before:
            # What waits to be sent is moved in memory again and again: many megabytes of it would take minutes.
            await transaction.row("SELECT 1")
        before = statement.sql
        await transaction.send(statement.sql, columns(statement.rows))
    return outcomes


def _labels(record: RunRecord) -> Labels:
    try:
        return encode_labels(record)
    except StoreError as unstorable:
        return unstorable


async def _start(transaction: Transaction, appends: Sequence[Append], labels: dict[int, Labels]) -> Start:
    ids = [*dict.fromkeys(append.run_id for append in appends)]
    new = [
        append.run_id
        for number, append in enumerate(appends)
        if isinstance(labels.get(number), tuple) and numbering_error(append) is None
    ]
    explained = {_next_fingerprint(append) for append in appends if append.definition is not None}
    await transaction.send(_LOCK, (ids,))
    ends = await transaction.send(_ENDS, (ids,))
    numbers = await transaction.send(_NUMBERS, ([*dict.fromkeys(new)],)) if new else None
    defined = await transaction.send(_DEFINED, (sorted(explained),)) if explained else None
    rows = await ends.fetchall()
    start = Start(
        ends={run_id: End(run, owner, last or 0) for run_id, run, owner, last, _ in rows},
        numbers={row[0]: row[1] for row in await numbers.fetchall()} if numbers else {},
        fingerprints={row[0]: row[-1] for row in rows},
        defined={row[0] for row in await defined.fetchall()} if defined else set(),
    )
    if not {*new} <= start.numbers.keys() | start.ends.keys():
        # Somebody made it between the one statement and the other; so it is looked for once more.
        raise errors.UniqueViolation("a run was created meanwhile")
    return start


def _next_fingerprint(append: Append) -> str:
    """That of the definition with which the run goes on; empty if it stays what it was."""
    if append.summary is not None:
        return append.summary.fingerprint
    return append.create.fingerprint if append.create is not None else ""


def _said(appends: Sequence[Append], outcomes: Sequence[Exception | None]) -> list[Message]:
    return [
        message for append, outcome in zip(appends, outcomes, strict=True) if outcome is None
        for message in append.messages
    ]  # fmt: skip


async def _tell(transaction: Transaction, messages: Sequence[Message]) -> None:
    if messages:
        rows = [(message.run_id, message.id, message.signal, message.payload) for message in messages]
        await transaction.send(_TELL, columns(rows, 4))
        await transaction.send(TELL_SAID, ([*{message.run_id for message in messages}],))
