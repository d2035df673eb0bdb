"""What there is to know of a SQLite store itself, for whoever operates it."""

import sqlite3
from pathlib import Path

_MOST_PROBLEMS = 5
_SLOTS = """
    SELECT count(*) FROM slots
    WHERE owner IN (SELECT id FROM owners WHERE lease_clock() - renewed_at BETWEEN 0 AND lease)
"""


def get_facts(connection: sqlite3.Connection, path: Path) -> dict[str, str]:
    """What `Store.facts` says."""
    counts = connection.execute("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status")
    problems = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_MOST_PROBLEMS})")]
    size = sum(each.stat().st_size for each in (path, Path(f"{path}-wal")) if each.exists())
    return {
        "kind": "sqlite",
        "file": str(path),
        "size": str(size),
        "schema": str(_pragma(connection, "user_version")),
        "sqlite": sqlite3.sqlite_version,
        "journal": str(_pragma(connection, "journal_mode")),
        "synchronous": {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}[int(str(_pragma(connection, "synchronous")))],
        "integrity": "; ".join(problems),
        "slots": str(connection.execute(_SLOTS).fetchone()[0]),
    } | {f"runs.{status}": str(count) for status, count in counts}


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
