"""What can be started by its name, in a PostgreSQL store, each function to be called within a transaction."""

from collections.abc import Mapping

from .postgres_connection import Transaction
from .records import published_names, published_text

_PUT = """
    INSERT INTO workflows (name, data) SELECT name, data FROM unnest(%s::text[], %s::text[]) AS given (name, data)
    ON CONFLICT (name) DO UPDATE SET data = excluded.data WHERE workflows.data <> excluded.data
"""
_FIND = "SELECT data FROM workflows WHERE name = %s"
_NAMES = "SELECT name FROM workflows ORDER BY name"


async def publish(transaction: Transaction, definitions: Mapping[str, str]) -> None:
    """What `Store.publish` says."""
    # In order, so that of two who publish the same at once one waits for the other, and none for both.
    names = sorted(definitions)
    await transaction.send(_PUT, (names, [definitions[name] for name in names]))


async def get_published(transaction: Transaction, workflow: str) -> str | None:
    """What `Store.published` says."""
    return published_text(workflow, await transaction.row(_FIND, (workflow,)))


async def list_published(transaction: Transaction) -> list[str]:
    """What `Store.published_names` says."""
    return published_names(await transaction.rows(_NAMES))
