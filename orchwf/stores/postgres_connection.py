"""
Connections to a PostgreSQL server, and transactions over them of which it is known what became of them.

Nothing outlives a transaction on the server's side: no setting, no prepared statement, no lock. So a pooler may stand
in between that gives each transaction another connection.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import attrs
import psycopg
from psycopg import AsyncConnection, AsyncCursor, errors

from .postgres_errors import POSTGRES_ERRORS, is_lost, is_passing, is_race, store_error, unusable
from .postgres_line import Line, Stepwise, Values
from .postgres_question import PREPARE_TO_READ, Question, Rows
from .postgres_url import Address
from .urls import Durability

T = TypeVar("T")

PATIENCE = 30.0
"""For how long (seconds) a server that is gone is looked for before it is given up."""
LAST_PATIENCE = 5.0
"""For how long (seconds) whoever leaves waits for it: that need not be told, as a lease runs out by itself."""
_MOST_CONNECTIONS = 8
_MOST_RACES = 10
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0
_LINGERING = 1.0
"""After how many seconds a transaction that was cut off is ended from outside, if the server still waits for it."""

_BEGIN = {
    "read": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "write": "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
}
# A client that vanished would keep its locks for as long as its connection seems to be there, which is two hours. The
# connection itself has to find out, as there is no time-out for who waits in the midst of a pipeline. What is
# acknowledged has to be on the disk whatever the default of the role is; and no weaker, where others replicate in step.
_PREPARE_TO_WRITE = """
    SELECT
        set_config('search_path', %s, true),
        set_config('lock_timeout', '10s', true),
        set_config('idle_in_transaction_session_timeout', '20s', true),
        set_config('tcp_keepalives_idle', '20', true),
        set_config('tcp_keepalives_interval', '5', true),
        set_config('tcp_keepalives_count', '3', true),
        set_config(
            'synchronous_commit',
            CASE WHEN %s THEN 'off' ELSE replace(current_setting('synchronous_commit'), 'off', 'on') END,
            true
        ),
        pg_current_xact_id()::text
"""
_FATE = "SELECT pg_xact_status(%s::text::xid8)"
_CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = %s::text::xid8::xid"


@attrs.frozen
class Transaction:
    """A transaction that is open. What is sent goes to the server with the next statement whose rows are wanted."""

    line: Line | Stepwise

    async def send(self, sql: str, values: Values = ()) -> AsyncCursor[tuple[Any, ...]]:
        """Let this be done; an error of it may come later."""
        return await self.line.send(sql, values)

    async def rows(self, sql: str, values: Values = ()) -> Rows:
        """What this gives."""
        return await (await self.send(sql, values)).fetchall()

    async def row(self, sql: str, values: Values = ()) -> tuple[Any, ...] | None:
        """The first row that this gives."""
        return await (await self.send(sql, values)).fetchone()


Reader = Transaction | Question
"""What gives rows."""
Work = Callable[[Transaction], Awaitable[T]]
"""What is done within a transaction. It may be called again, if the transaction came to nothing."""


class PostgresConnections:
    """
    The connections of a store: made when they are wanted, kept, and thrown away as soon as anything went wrong on one.

    Args:
        address: Of the database.
        durability: What is acknowledged survives.
    """

    def __init__(self, address: Address, durability: Durability) -> None:
        self._address = address
        self._is_lax = durability == "process"
        self._path = '"{}", pg_temp'.format(address.schema.replace('"', '""'))
        self._idle: list[Line] = []
        self._busy: set[Line] = set()
        self._places = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._is_closed = False
        # The driver warns of what is told by our errors. Without any handler Python would print that.
        driver = logging.getLogger("psycopg")
        if not driver.handlers:
            driver.addHandler(logging.NullHandler())

    async def ask(self, work: Callable[[Question], Awaitable[T]]) -> T:
        """What `work` reads by one question. It is tried again if the server is lost meanwhile."""

        async def attempt() -> T:
            async with self._line() as line:
                return await work(Question(line, self._path))

        return await self._insist(attempt)

    async def read(self, work: Work[T]) -> T:
        """The same by several questions, as of one moment; it takes twice as long."""
        return await self._insist(lambda: self._read(work))

    async def write(
        self, work: Work[T], *, confirm: Callable[[T, Transaction], Awaitable[bool]] | None = None, batched: bool = True
    ) -> T:
        """
        What `work` gives, when what it wrote is committed.

        Args:
            confirm: Whether what gave this is there, as far as that can be seen. It is asked if the server was lost in
                the midst of the commit, and says that it is committed: it may have been restored to a moment before.
            batched: Whether statements may go to the server together; an error then ends the transaction.

        Raises:
            StoreError: it could not be done, or nobody can tell whether it is. With a `StoreBusyError` nothing is.
        """

        async def attempt() -> T:
            commits: list[tuple[str, T]] = []
            try:
                return await self._write(work, commits, batched=batched)
            except POSTGRES_ERRORS as error:
                if not commits or not is_lost(error):
                    raise
            transaction, result = commits[0]
            if await self._is_committed(transaction) and (confirm is None or await self.read(partial(confirm, result))):
                return result
            raise errors.ConnectionException("the connection was lost before the commit")

        return await self._insist(attempt)

    async def once(self, work: Callable[[AsyncConnection[tuple[Any, ...]]], Awaitable[T]]) -> T:
        """
        What `work` gives with a connection; it may be called again.

        A server that has answered is waited for, if it is starting up or goes away; one that never did is an error at
        once, as it may be that there is none.
        """
        has_answered = False

        async def attempt() -> T:
            nonlocal has_answered
            try:
                async with self._line() as line:
                    has_answered = True
                    return await work(line.connection)
            except POSTGRES_ERRORS as error:
                has_answered |= is_passing(error)
                raise

        def comes_back(error: Exception) -> bool:
            # A standby is there, and stays one: it is the wrong address.
            return has_answered and is_lost(error) and not isinstance(error, errors.ReadOnlySqlTransaction)

        return await self._insist(attempt, comes_back=comes_back)

    def abandon(self) -> None:
        """Let go of connections at work, to a server that does not answer: who is cancelled then asks it no more."""
        for line in self._busy:
            line.connection.pgconn.finish()

    async def close(self) -> None:
        """Let go of all connections; those at work when they have done it."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _insist(
        self, attempt: Callable[[], Awaitable[T]], *, comes_back: Callable[[Exception], bool] = is_lost
    ) -> T:
        loop = asyncio.get_running_loop()
        deadline, wait, races = loop.time() + PATIENCE, _FIRST_WAIT, 0
        while True:
            try:
                return await attempt()
            except POSTGRES_ERRORS as error:
                races += is_race(error)
                is_hopeless = races > _MOST_RACES or not (comes_back(error) or is_race(error))
                if is_hopeless or loop.time() + wait > deadline:
                    raise store_error(self._address.url, error) from error
                if is_lost(error):
                    # Those that lie idle were lost with it.
                    await self._forget_idle()
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _forget_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _read(self, work: Work[T]) -> T:
        async with self._line() as line:
            transaction = Transaction(line)
            await transaction.send(_BEGIN["read"])
            await transaction.send(PREPARE_TO_READ, (self._path,))
            result = await work(transaction)
            await transaction.send("COMMIT")
            await line.settle()
        return result

    async def _write(self, work: Work[T], commits: list[tuple[str, T]], *, batched: bool) -> T:
        async with self._line() as line:
            result = await self._write_on(Transaction(line if batched else Stepwise(line)), work, commits)
            await line.settle()
        return result

    async def _write_on(self, transaction: Transaction, work: Work[T], commits: list[tuple[str, T]]) -> T:
        await transaction.send(_BEGIN["write"])
        prepared = await transaction.send(_PREPARE_TO_WRITE, (self._path, self._is_lax))
        result = await work(transaction)
        row = await prepared.fetchone()
        # From here on it may be committed, and this tells what to ask for then.
        commits.append((row[-1] if row else "", result))
        await transaction.send("COMMIT")
        return result

    async def _is_committed(self, transaction: str) -> bool:
        """
        What became of a transaction whose commit was not answered.

        Source: the use for which `pg_xact_status` was made, https://www.postgresql.org/docs/current/functions-info.html
        """
        loop = asyncio.get_running_loop()
        began_at, wait = loop.time(), _FIRST_WAIT
        while True:
            status = await self._insist(lambda: self._fate(transaction))
            if status != "in progress":
                return status == "committed"
            if loop.time() - began_at > PATIENCE:
                raise unusable(
                    self._address.url, "it was lost in the midst of a commit, and does not say what became of it"
                )
            if loop.time() - began_at > _LINGERING:
                await self._insist(lambda: self._cut_off(transaction))
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _fate(self, transaction: str) -> str:
        try:
            async with self._line() as line:
                row = await Question(line, self._path).row(_FATE, (transaction,))
        except errors.InvalidParameterValue:
            # It lies in the future: another server took over, to which it never came.
            return "aborted"
        return str(row[0]) if row else "aborted"

    async def _cut_off(self, transaction: str) -> None:
        try:
            async with self._line() as line:
                await Question(line, self._path).rows(_CUT_OFF, (transaction,))
        except errors.InsufficientPrivilege:
            # Then it ends by its time-out.
            return

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Line]:
        """A line for this block, outside of any transaction. Whatever leaves the block by an error closes it."""
        async with self._places:
            if self._is_closed:
                raise unusable(self._address.url, "it is closed; open it again")
            line = self._idle.pop() if self._idle else Line(await self._connected())
            self._busy.add(line)
            try:
                yield line
            except BaseException:
                # Nobody has to know in what state it is: it may be in the midst of a transaction.
                await line.close()
                raise
            finally:
                self._busy.discard(line)
            if self._is_closed:
                await line.close()
            else:
                self._idle.append(line)

    async def _connected(self) -> AsyncConnection[tuple[Any, ...]]:
        return await psycopg.AsyncConnection.connect(self._address.conninfo, autocommit=True, prepare_threshold=None)
