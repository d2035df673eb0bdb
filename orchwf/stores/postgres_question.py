"""Questions to a PostgreSQL server: the cheapest way to read."""

from collections.abc import Sequence
from typing import Any

import attrs

from .postgres_line import Line

Rows = list[tuple[Any, ...]]
PREPARE_TO_READ = "SELECT set_config('search_path', %s, true)"


@attrs.frozen
class Question:
    """What asks the server one thing at a time, each in one answer of it, and as of a moment of its own."""

    line: Line
    path: str

    async def rows(self, sql: str, values: Sequence[object] = ()) -> Rows:
        """What this gives."""
        # What goes to the server together is one transaction, to which alone the path applies: without BEGIN and COMMIT
        # there is nothing to wait for twice.
        await self.line.send(PREPARE_TO_READ, (self.path,))
        cursor = await self.line.send(sql, values)
        await self.line.settle()
        return await cursor.fetchall() if cursor.description else []

    async def row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row that this gives."""
        return next(iter(await self.rows(sql, values)), None)
