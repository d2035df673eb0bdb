"""The store in a PostgreSQL database: what is acknowledged is on the server's disk, and any machine may work at it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..core.census import Census
from ..core.events import Event
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from ..core.state import RunStatus
from ..errors import RunEndedError, RunNotFoundError, StoreError
from ..ports import Append, Hint, Message, Renewal, RunQuery, RunRecord, Taken, Wanted
from .postgres_append import are_written, write_one_by_one, write_together
from .postgres_census import get_census
from .postgres_connection import LAST_PATIENCE, PostgresConnections, Transaction
from .postgres_delete import delete_runs
from .postgres_errors import ROW_ERRORS, unusable
from .postgres_facts import get_facts
from .postgres_hints import FREED, TELL_SAID, listen, watch
from .postgres_owners import release, renew
from .postgres_query import (
    get_definition,
    get_inbox,
    get_mentioned,
    get_next_wake,
    get_run,
    list_runs,
    read_events,
)
from .postgres_schedules import delete_schedule, is_put, list_schedules, put_schedule
from .postgres_schema import prepare
from .postgres_slots import get_occupancy, is_taken, slots_lock, take_slots
from .postgres_take import are_ours, take
from .postgres_url import Address, parse_url
from .postgres_workflows import get_published, list_published, publish
from .urls import Durability

_CLAIM = "UPDATE runs SET owner = %s WHERE id = %s AND owner IS NOT DISTINCT FROM %s RETURNING no"
_LET_GO = f"""
    WITH freed AS (
        UPDATE runs SET owner = NULL WHERE id = %s AND owner IS NOT DISTINCT FROM %s RETURNING status, wake_at
    )
    {FREED}
"""  # noqa: S608 - all of the text is ours
_OWNER = "SELECT owner FROM runs WHERE id = %s"
# The lock keeps the run from being deleted, and from nothing else.
_STATUS = "SELECT status, no FROM runs WHERE id = %s FOR KEY SHARE"
_SEND = """
    INSERT INTO inbox (run, id, signal, payload, folded) VALUES (%s, %s, %s, %s, false)
    ON CONFLICT (run, id) DO NOTHING
"""
_FORGET = "DELETE FROM cache WHERE expires_at <= %s RETURNING 1"
_ENDS = frozenset(status.value for status in RunStatus if status.is_final)
_RUNS_PER_DELETE = 100


async def open_postgres(url: str, *, durability: Durability | None = None, must_exist: bool = False) -> "PostgresStore":
    """
    The store in the database that this URL names, in a schema of its own, which is made if it is not there.

    Args:
        url: `postgresql://user:password@host:port/database`, with the options of libpq, and `?schema=`.
        durability: As of `open_store`.
        must_exist: Whether a schema that is not there is an error.

    Raises:
        StoreError: the server cannot be reached, or the schema cannot be used; it is as it was.
    """
    address = parse_url(url)
    connections = PostgresConnections(address, durability or address.durability or "power")
    try:
        await connections.once(partial(prepare, address=address, must_exist=must_exist))
    except BaseException:
        await connections.close()
        raise
    return PostgresStore(connections, address)


class PostgresStore:
    """A `Store` in a schema of a PostgreSQL database; made by `open_postgres`."""

    def __init__(self, connections: PostgresConnections, address: Address) -> None:
        self.url = address.url
        self._connections = connections
        self._address = address
        self._schema = address.schema

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if not appends:
            return []
        confirm = partial(are_written, appends=appends)
        work = partial(write_together, appends=appends, url=self.url)
        try:
            return await self._connections.write(work, confirm=confirm)
        except StoreError as error:
            if not isinstance(error.__cause__, ROW_ERRORS):
                raise
        # The rows of all are rolled back with the bad one: once more, each append by itself.
        work = partial(write_one_by_one, appends=appends, url=self.url)
        return await self._connections.write(work, confirm=confirm, batched=False)

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._connections.ask(partial(read_events, run_id=run_id, after=after, limit=limit))

    async def get(self, run_id: str) -> RunRecord | None:
        return await self._connections.ask(partial(get_run, run_id=run_id))

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self._connections.ask(partial(list_runs, query=query))

    async def definition(self, fingerprint: str) -> str | None:
        return await self._connections.ask(partial(get_definition, fingerprint=fingerprint))

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        async def claim(transaction: Transaction) -> bool:
            if owner is None:
                row = await transaction.row(_LET_GO, (run_id, previous))
                return bool(row and row[-1])
            return await transaction.row(_CLAIM, (owner, run_id, previous)) is not None

        async def is_ours(claimed: bool, transaction: Transaction) -> bool:
            return not claimed or await transaction.row(_OWNER, (run_id,)) == (owner,)

        return await self._connections.write(claim, confirm=is_ours)

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        work = partial(take, owner=owner, wanted=wanted)
        return await self._connections.write(work, confirm=partial(are_ours, owner=owner))

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        work = partial(renew, owner=owner, lease=lease, near=near, lock=slots_lock(self._schema))
        return await self._connections.write(work)

    async def release(self, owner: str) -> None:
        # A moment before the time-out: psycopg asks the server to stop what is cancelled, and waits 10 seconds for it.
        abandoned = asyncio.get_running_loop().call_later(LAST_PATIENCE, self._connections.abandon)
        try:
            async with asyncio.timeout(LAST_PATIENCE):
                await self._connections.write(partial(release, owner=owner, lock=slots_lock(self._schema)))
        except TimeoutError as error:
            raise unusable(
                self.url, f"its server did not answer within {LAST_PATIENCE:g} seconds; the lease runs out by itself"
            ) from error
        finally:
            abandoned.cancel()

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        work = partial(take_slots, owner=owner, requests=requests, frees=frees, now=now, schema=self._schema)
        return (await self._connections.write(work, confirm=is_taken)).answers

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        return await self._connections.ask(partial(get_occupancy, beginning=beginning, limit=limit))

    async def forget_expired(self, now: float) -> int:
        async def forget(transaction: Transaction) -> int:
            return len(await transaction.rows(_FORGET, (now,)))

        return await self._connections.write(forget)

    async def mentioned(self, marker: str, length: int) -> set[str]:
        return await self._connections.ask(partial(get_mentioned, marker=marker, length=length))

    async def next_wake(self, after: float) -> float | None:
        return await self._connections.ask(partial(get_next_wake, after=after))

    async def census(self, now: float) -> Census:
        return await self._connections.ask(partial(get_census, now=now))

    async def facts(self) -> dict[str, str]:
        return await self._connections.read(partial(get_facts, schema=self._schema))

    async def send(self, message: Message) -> None:
        async def send(transaction: Transaction) -> RunNotFoundError | RunEndedError | None:
            row = await transaction.row(_STATUS, (message.run_id,))
            if row is None:
                return RunNotFoundError(message.run_id, self.url)
            if row[0] in _ENDS:
                return RunEndedError(message.run_id, row[0])
            await transaction.send(_SEND, (row[1], message.id, message.signal, message.payload))
            await transaction.send(TELL_SAID, ([message.run_id],))
            return None

        if (error := await self._connections.write(send)) is not None:
            raise error

    async def inbox(self, owner: str) -> list[Message]:
        return await self._connections.ask(partial(get_inbox, owner=owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        ids = list(dict.fromkeys(run_ids))
        # Each run goes at once or not at all. Many runs go in portions, so that nobody waits for long.
        portions = [ids[start : start + _RUNS_PER_DELETE] for start in range(0, len(ids), _RUNS_PER_DELETE)]
        return sum([await self._connections.write(partial(delete_runs, run_ids=portion)) for portion in portions])

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        return await self._connections.ask(partial(list_schedules, name=name))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return await self._connections.write(partial(put_schedule, schedule=schedule), confirm=is_put)

    async def delete_schedule(self, name: str) -> bool:
        return await self._connections.write(partial(delete_schedule, name=name))

    async def publish(self, definitions: Mapping[str, str]) -> None:
        await self._connections.write(partial(publish, definitions=dict(definitions)))

    async def published(self, workflow: str) -> str | None:
        return await self._connections.read(partial(get_published, workflow=workflow))

    async def published_names(self) -> list[str]:
        return await self._connections.read(list_published)

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        await listen(self._address, heard)

    async def watch(self, run_id: str) -> bool:
        return await self._connections.write(partial(watch, run_id=run_id))

    async def close(self) -> None:
        await self._connections.close()
