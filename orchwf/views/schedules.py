"""Schedules in a listing, and their times, for people."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs

from ..core.schedules import Phase, ScheduleRecord, run_id_of
from ..core.timetable import Timetable
from ..core.wording import duration_text
from ..labels import visible
from ..ports import RunRecord


def zone_time(at: datetime) -> str:
    """`Fri 2026-11-27 06:00 CET`"""
    return f"{at:%a %Y-%m-%d %H:%M} {at.tzname()}"


def utc_time(at: datetime) -> str:
    """`2026-11-27 05:00`, the same instant in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


@attrs.frozen(kw_only=True)
class ScheduleRow:
    """One schedule of a listing. All texts are fit to be shown; `state` is empty if it just goes on."""

    name: str
    workflow: str
    cron: str
    tz: str
    state: str
    next: str
    utc: str
    last: str
    last_run: str


def schedule_row(record: ScheduleRecord, table: Timetable, last: RunRecord | None) -> ScheduleRow:
    """
    The row of a schedule.

    Args:
        last: The run that was begun last by the clock; None if there is none, or it was deleted.
    """
    at = table.local(record.next_at)
    state = "paused" if record.is_paused else "waiting" if record.phase is Phase.WAITING else ""
    return ScheduleRow(
        name=visible(record.name), workflow=visible(record.workflow), cron=record.cron, tz=record.tz, state=state,
        next="" if record.is_paused else zone_time(at), utc="" if record.is_paused else utc_time(at),
        last="" if last is None else str(last.status), last_run=visible(record.last_run),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class TimeRow:
    """
    One time of a schedule.

    Attributes:
        at: The time, on the clocks of its zone.
        run_id: The id that its run has.
        shift: By how much the clocks were set forward since the time before; negative for back, zero for not at all.
        is_moved: Whether it stands for a time that the clocks went over.
    """

    at: datetime
    run_id: str
    shift: timedelta = timedelta()
    is_moved: bool = False

    @property
    def note(self) -> str:
        """What daylight saving has to do with it, for people; empty if nothing."""
        if not self.shift:
            return "the clocks go over the time that was meant" if self.is_moved else ""
        span = duration_text(abs(self.shift.total_seconds())).replace(" 00 min", "")
        beside = ", over the time that was meant" if self.is_moved else ""
        return f"the clocks went {'forward' if self.shift > timedelta() else 'back'} {span}{beside}"


def time_rows(name: str, table: Timetable, times: Iterable[float]) -> list[TimeRow]:
    """The rows of these times (epoch seconds) of a schedule, which are in order."""
    rows: list[TimeRow] = []
    for instant in times:
        at = table.local(instant)
        before = rows[-1].at if rows else at
        rows.append(
            TimeRow(
                at=at, run_id=run_id_of(name, table, instant), is_moved=table.is_moved(instant),
                shift=(at.utcoffset() or timedelta()) - (before.utcoffset() or timedelta()),
            )
        )  # fmt: skip
    return rows
