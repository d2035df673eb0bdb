"""On what a run of the benchmarks was made."""

import os
import platform
import sqlite3
from datetime import UTC, datetime

import orchwf


def machine() -> dict[str, str]:
    """Name -> value, for the head of the table."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "orchwf": orchwf.__version__,
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0))),
    }
