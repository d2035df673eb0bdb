"""The SQL of the PostgreSQL store in a simulation: over one connection, whose answers take no simulated time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import attrs
import psycopg

from orchwf.stores.postgres import PostgresStore, open_postgres
from orchwf.stores.postgres_connection import Transaction
from orchwf.stores.postgres_errors import POSTGRES_ERRORS, store_error
from orchwf.stores.postgres_url import parse_url
from tests.postgres import TABLES, Emptied, prompt

T = TypeVar("T")

_CLOCK = """
    CREATE OR REPLACE FUNCTION lease_clock() RETURNS double precision LANGUAGE sql VOLATILE
    AS 'SELECT current_setting(''simulated.now'')::double precision'
"""


@contextmanager
def on_server(url: str) -> Iterator[Callable[[Callable[[], float]], "SimulatedPostgresStore"]]:
    """What makes stores on this server, one after the other: each is empty."""
    emptied = Emptied(url)

    async def made() -> None:
        await (await open_postgres(emptied.url)).close()

    asyncio.run(made())
    try:
        yield partial(SimulatedPostgresStore, emptied)
    finally:
        emptied.drop()


class SimulatedPostgresStore(PostgresStore):
    """
    The PostgreSQL store over such a connection. One at a time may use a schema, and what was in it is gone.

    The schema has to be there.
    """

    def __init__(self, emptied: Emptied, now: Callable[[], float]) -> None:
        self._prompt = prompt(emptied.empty())
        self.db = self._prompt.__enter__()
        self.db.execute(_CLOCK)
        # Nobody is told anything: what is told in the store in memory is simulated with that.
        address = attrs.evolve(parse_url(emptied.url), url="postgresql:simulated", listens=False)
        super().__init__(InlineConnections(self.db, now), address)  # type: ignore[arg-type]

    def text(self) -> str:
        return "\n".join(
            row for table in TABLES for (row,) in self.db.execute(f"SELECT row::text FROM {table} AS row".encode())
        )

    def view(self, name: str, columns: str, run_id: str) -> list[tuple[Any, ...]]:
        return self.db.execute(f"SELECT {columns} FROM {name} WHERE run = %s".encode(), [run_id]).fetchall()

    async def close(self) -> None:
        self._prompt.__exit__(None, None, None)


class InlineConnections:
    """Stands for the connections of a store: there is one, nobody else uses it meanwhile, and it is never lost."""

    def __init__(self, db: "psycopg.Connection[Any]", now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    async def read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await self._within("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work)

    ask = read
    """A transaction answers questions, too."""

    async def write(
        self, work: Callable[[Transaction], Awaitable[T]], *, confirm: object = None, batched: bool = True
    ) -> T:
        return await self._within("BEGIN", work)

    def abandon(self) -> None:
        """There is nothing that could not answer."""

    async def _within(self, begin: str, work: Callable[[Transaction], Awaitable[T]]) -> T:
        self._db.execute("SELECT set_config('simulated.now', %s, false)", [repr(self._now())])
        self._db.execute(begin.encode())
        try:
            # Nothing in it waits for the loop, so nobody comes in between.
            result = await work(Transaction(_Line(self._db)))  # type: ignore[arg-type]
        except POSTGRES_ERRORS as error:
            raise store_error("postgresql:simulated", error) from error
        else:
            self._db.execute("COMMIT")
            return result
        finally:
            if self._db.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
                self._db.execute("ROLLBACK")


class _Line:
    def __init__(self, db: "psycopg.Connection[Any]") -> None:
        self._db = db

    async def send(self, sql: str, values: Sequence[object]) -> "_Cursor":
        return _Cursor(self._db.execute(sql.encode(), values or None))


class _Cursor:
    def __init__(self, cursor: "psycopg.Cursor[Any]") -> None:
        self._cursor = cursor

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()
