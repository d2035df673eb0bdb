"""Schedules in a SQLite store, each function to be called on the connection's thread."""

import json
import sqlite3

import attrs

from ..core.schedules import ScheduleRecord
from .records import SCHEDULE_COLUMNS, schedule_record
from .sqlite_file import transaction

_LIST = f"SELECT revision, {', '.join(SCHEDULE_COLUMNS)} FROM schedules"  # noqa: S608 - all of the text is ours
_LIST_ALL = f"{_LIST} ORDER BY name"
_FIND = f"{_LIST} WHERE name = ?"
_REVISION = "SELECT revision FROM schedules WHERE name = ?"
_PUT = f"""
    INSERT OR REPLACE INTO schedules ({", ".join(SCHEDULE_COLUMNS)})
    VALUES ({", ".join("?" * len(SCHEDULE_COLUMNS))})
"""  # noqa: S608
_DELETE = "DELETE FROM schedules WHERE name = ?"


def list_schedules(connection: sqlite3.Connection, name: str | None) -> list[ScheduleRecord]:
    """What `Store.schedules` says."""
    rows = connection.execute(_LIST_ALL) if name is None else connection.execute(_FIND, (name,))
    return [schedule_record(row) for row in rows]


def put_schedule(connection: sqlite3.Connection, schedule: ScheduleRecord) -> ScheduleRecord | None:
    """What `Store.put_schedule` says."""
    values = [getattr(schedule, column) for column in SCHEDULE_COLUMNS[:-1]]
    with transaction(connection):
        known = connection.execute(_REVISION, (schedule.name,)).fetchone()
        if schedule.revision != (known[0] if known else 0):
            return None
        asked = json.dumps(dict(schedule.asked), ensure_ascii=False)
        revision = connection.execute(_PUT, (*values, asked)).lastrowid
    return attrs.evolve(schedule, revision=revision or 0)


def delete_schedule(connection: sqlite3.Connection, name: str) -> bool:
    """What `Store.delete_schedule` says."""
    with transaction(connection):
        return connection.execute(_DELETE, (name,)).rowcount == 1
