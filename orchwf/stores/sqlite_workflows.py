"""What can be started by its name, in a SQLite store, each function to be called on the connection's thread."""

import sqlite3
from collections.abc import Mapping

from .records import published_names, published_text
from .sqlite_file import transaction

_PUT = """
    INSERT INTO workflows (name, data) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET data = excluded.data WHERE data <> excluded.data
"""
_FIND = "SELECT data FROM workflows WHERE name = ?"
_NAMES = "SELECT name FROM workflows ORDER BY name"


def publish(connection: sqlite3.Connection, definitions: Mapping[str, str]) -> None:
    """What `Store.publish` says."""
    # Nearly always they are there, and then nobody who writes has to be waited for.
    changed = [each for each in definitions.items() if connection.execute(_FIND, each[:1]).fetchone() != each[1:]]
    if changed:
        with transaction(connection):
            connection.executemany(_PUT, changed)


def get_published(connection: sqlite3.Connection, workflow: str) -> str | None:
    """What `Store.published` says."""
    return published_text(workflow, connection.execute(_FIND, (workflow,)).fetchone())


def list_published(connection: sqlite3.Connection) -> list[str]:
    """What `Store.published_names` says."""
    return published_names(connection.execute(_NAMES).fetchall())
