"""What is told to those who listen to a PostgreSQL store: by NOTIFY, with the transaction that writes it."""

import asyncio
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from ..ports import Hint, HintKind
from .hints import read_hint
from .postgres_connection import Transaction
from .postgres_errors import POSTGRES_ERRORS
from .postgres_url import Address

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0

# The channel is called like the schema, which is the first one of the search path.
TELL = "SELECT pg_notify(current_schema(), hint) FROM unnest(%b::text[]) AS hint"
# A payload has less than 8,000 bytes. Of what has a longer name it is told without: so everybody looks.
_RUN = "CASE WHEN octet_length(runs.id) < 1500 THEN runs.id ELSE '' END"
_OWNER = "CASE WHEN octet_length(runs.owner) < 1500 THEN runs.owner END"
# Whoever begins to watch a run waits for those who write an end, and the other way round. Not by a lock of the run: who
# takes runs would pass it by. There are some, so that few wait for each other. The next statement sees who came before.
_LOCK = "hashtext('orchwf watches ' || current_schema()), (run %% 64)::int"
LOCK_RESTS = f"SELECT pg_advisory_xact_lock_shared({_LOCK}) FROM unnest(%b::bigint[]) AS run"  # noqa: S608 - all of the text is ours
TELL_RESTS = f"""
    WITH watched AS (DELETE FROM watches WHERE run = ANY(%b::bigint[]) RETURNING run)
    SELECT pg_notify(current_schema(), json_build_array('{HintKind.RESTS}', {_RUN}, NULL, '0')::text)
    FROM watched JOIN runs ON runs.no = watched.run
"""  # noqa: S608
TELL_SAID = f"""
    SELECT pg_notify(current_schema(), json_build_array('{HintKind.MESSAGE}', {_RUN}, {_OWNER}, '0')::text)
    FROM runs WHERE id = ANY(%b::text[])
"""  # noqa: S608
# What follows a statement that lets go of runs and gives status and wake_at of each.
FREED = f"""
    SELECT
        CASE WHEN bool_or(status = 'running' AND wake_at IS NULL)
            THEN pg_notify(current_schema(), '["{HintKind.FREE}", "", null, "0"]') END,
        CASE WHEN bool_or(wake_at IS NOT NULL)
            THEN pg_notify(
                current_schema(), json_build_array('{HintKind.ASLEEP}', '', NULL, min(wake_at)::text)::text
            ) END,
        count(*)
    FROM freed
"""  # noqa: S608
_LOCK_WATCH = f"SELECT pg_advisory_xact_lock({_LOCK}) FROM (SELECT no AS run FROM runs WHERE id = %s) AS run"  # noqa: S608
_WATCH = """
    INSERT INTO watches (run) SELECT no FROM runs WHERE id = %s AND status IN ('scheduled', 'running')
    ON CONFLICT (run) DO UPDATE SET run = excluded.run RETURNING run
"""


async def tell(transaction: Transaction, hints: Sequence[str]) -> None:
    """Tell this, if what is written is committed."""
    if hints:
        await transaction.send(TELL, (list(hints),))


async def watch(transaction: Transaction, run_id: str) -> bool:
    """What `Store.watch` says."""
    await transaction.send(_LOCK_WATCH, (run_id,))
    return await transaction.row(_WATCH, (run_id,)) is not None


async def listen(address: Address, heard: Callable[[Hint], None]) -> None:
    """
    What `Store.listen` says, over a connection of its own.

    Through a pooler that gives each transaction another connection nothing would be heard, so nothing is tried.
    """
    wait = _FIRST_WAIT
    while address.listens is not False:
        has_begun = False
        try:
            async with await psycopg.AsyncConnection.connect(address.conninfo, autocommit=True) as connection:
                if not address.listens and not await _is_direct(connection):
                    return
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(address.schema)))
                has_begun, wait = True, _FIRST_WAIT
                heard(Hint(HintKind.BEGUN))
                async for notice in connection.notifies():
                    if (hint := read_hint(notice.payload)) is not None:
                        heard(hint)
        except POSTGRES_ERRORS:
            # Whoever writes meets the same trouble, and reports it.
            if has_begun:
                heard(Hint(HintKind.LOST))
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


async def _is_direct(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
    """
    Whether nothing stands between us and the server that speaks for it.

    A pooler gives its clients numbers of its own, for their requests to cancel.
    """
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return row == (connection.info.backend_pid,)
