"""Schedules in a PostgreSQL store, each function to be called within a transaction; a list is one question, too."""

import json

import attrs

from ..core.schedules import ScheduleRecord
from ..ports import Hint, HintKind
from .hints import hint_text
from .postgres_connection import Reader, Transaction
from .postgres_hints import tell
from .records import SCHEDULE_COLUMNS, schedule_record

_LIST = f"SELECT revision, {', '.join(SCHEDULE_COLUMNS)} FROM schedules"  # noqa: S608 - all of the text is ours
_LIST_ALL = f"{_LIST} ORDER BY name"
_FIND = f"{_LIST} WHERE name = %s"
_VALUES = f"nextval('revisions'), {', '.join(['%s'] * len(SCHEDULE_COLUMNS))}"
_MAKE = f"""
    INSERT INTO schedules (revision, {", ".join(SCHEDULE_COLUMNS)}) VALUES ({_VALUES})
    ON CONFLICT (name) DO NOTHING RETURNING revision
"""  # noqa: S608
_CHANGE = f"""
    UPDATE schedules SET (revision, {", ".join(SCHEDULE_COLUMNS)}) = ROW ({_VALUES})
    WHERE name = %s AND revision = %s RETURNING revision
"""  # noqa: S608
_CHANGED = hint_text(Hint(HintKind.SCHEDULE))
_DELETE = "DELETE FROM schedules WHERE name = %s RETURNING name"


async def list_schedules(reader: Reader, name: str | None) -> list[ScheduleRecord]:
    """What `Store.schedules` says."""
    rows = await (reader.rows(_LIST_ALL) if name is None else reader.rows(_FIND, (name,)))
    return [schedule_record(row) for row in rows]


async def put_schedule(transaction: Transaction, schedule: ScheduleRecord) -> ScheduleRecord | None:
    """What `Store.put_schedule` says."""
    asked = json.dumps(dict(schedule.asked), ensure_ascii=False)
    values = [*(getattr(schedule, column) for column in SCHEDULE_COLUMNS[:-1]), asked]
    if schedule.revision == 0:
        row = await transaction.row(_MAKE, values)
    else:
        row = await transaction.row(_CHANGE, [*values, schedule.name, schedule.revision])
    if row is None:
        return None
    await tell(transaction, [_CHANGED])
    return attrs.evolve(schedule, revision=row[0], asked=dict(schedule.asked))


async def is_put(schedule: ScheduleRecord | None, transaction: Transaction) -> bool:
    """Whether it is there as it was put."""
    return schedule is None or await list_schedules(transaction, schedule.name) == [schedule]


async def delete_schedule(transaction: Transaction, name: str) -> bool:
    """What `Store.delete_schedule` says."""
    is_there = await transaction.row(_DELETE, (name,)) is not None
    if is_there:
        await tell(transaction, [_CHANGED])
    return is_there
