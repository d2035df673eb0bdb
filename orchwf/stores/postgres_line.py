"""A connection to a PostgreSQL server on which statements go together, and the moments at which it owes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import attrs
import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

Values = Sequence[object] | Mapping[str, object]


class Line:
    """
    A connection that is in pipeline mode from the first statement on that is sent here, for as long as it is open.

    To leave that mode psycopg sends a Flush after the Sync. A pooler may have answered the Sync by then, and given the
    server's connection to somebody else; it would take one more for the Flush, to which there is no answer, and keep it
    for whom nothing more comes from. With as many as the pooler has all others wait in vain.
    """

    def __init__(self, connection: AsyncConnection[tuple[Any, ...]]) -> None:
        self.connection = connection
        self._mode = AsyncExitStack()
        self._pipeline: AsyncPipeline | None = None

    async def send(self, sql: str, values: Values = ()) -> AsyncCursor[tuple[Any, ...]]:
        """Let this be done: it goes to the server with what follows; an error of it may come later."""
        await self._piped()
        return await self.connection.execute(sql.encode(), values)

    async def settle(self) -> None:
        """Return when all that was sent is done, and the server is as free as it was before; or raise its error."""
        pipeline = await self._piped()
        if self.connection.pgconn.flush():
            # It was more than the network takes at once: `sync` would wait for answers, and never send the rest.
            await (await self.connection.execute("SELECT 1")).fetchone()
        await pipeline.sync()

    async def close(self) -> None:
        """Let go of it, in whatever state it is."""
        await self.connection.close()
        # Who leaves the mode would have said so to the server.
        with suppress(psycopg.Error):
            await self._mode.aclose()

    async def _piped(self) -> AsyncPipeline:
        if self._pipeline is None:
            self._pipeline = await self._mode.enter_async_context(self.connection.pipeline())
        return self._pipeline


@attrs.frozen
class Stepwise:
    """A line on which each statement is done before the next one is sent: an error is that of one statement alone."""

    line: Line

    async def send(self, sql: str, values: Values = ()) -> AsyncCursor[tuple[Any, ...]]:
        """What was sent, and is done."""
        cursor = await self.line.send(sql, values)
        await self.line.settle()
        return cursor
