"""The schedules of the store, and when they fire next."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from itertools import islice

import attrs
from starlette.requests import Request
from starlette.responses import Response

from ..core.schedules import ScheduleRecord, run_id_of
from ..core.timetable import Timetable
from ..errors import BadOptionError, UsageError
from ..runtime.backfill import ScheduledRun
from ..runtime.backfill import told as with_statuses
from ..runtime.schedules import Schedules, table_of
from ..views import TimeRow, schedule_row, time_rows, utc_time, zone_time
from .site import Site

_TIMES = 10
_DAYS = 7
_MOST_PAST = 200
"""How many times that have been are shown at once: each is looked up in the store."""


async def show(site: Site, request: Request) -> Response:
    """All schedules; of one of them that is chosen, or the only one, also the times that come next."""
    records = await Schedules(site.store, site.clock).all()
    chosen = request.query_params.get("name", "")
    rows, told = [], ""
    times: Sequence[TimeRow] = ()
    for record in records:
        try:
            table = table_of(record)
        except (BadOptionError, UsageError) as error:
            told = str(error)
            continue
        last = await site.store.get(record.last_run) if record.last_run else None
        rows.append((record, schedule_row(record, table, last)))
        if record.name == chosen or len(records) == 1:
            chosen, times = record.name, _next(record, table, site.clock.now())
    found = next((record for record, _ in rows if record.name == chosen), None)
    return site.page(
        request, "schedules.html", rows=rows, chosen=chosen, times=times, told=told, zone_time=zone_time,
        utc_time=utc_time, past=None if found is None else await past_of(site, found, request.query_params),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class Past:
    """
    Times of a schedule that have been, or are to be made up for, each with its run.

    Attributes:
        times: In order, at most a page of them.
        start, end: The days of the range, on the clocks of the schedule: the last one counts.
        next: The day with which the rest begins; empty if that is all.
        counts: Status of a run, or `no run` -> how many of these times have it.
        unfinished: The ids of the runs that have not ended.
        problem: What cannot be understood of the range, for people.
    """

    times: Sequence[ScheduledRun] = ()
    start: str = ""
    end: str = ""
    next: str = ""
    counts: Sequence[tuple[str, int]] = ()
    unfinished: Sequence[str] = ()
    problem: str = ""


async def past_of(site: Site, record: ScheduleRecord, query: Mapping[str, str]) -> Past:
    """
    The times of a range of days, the last week if none is named, and what became of each.

    Args:
        query: `from` and `to`, as `2026-11-02`.
    """
    table = table_of(record)
    today = datetime.fromtimestamp(site.clock.now(), table.zone).date()
    try:
        first = date.fromisoformat(query.get("from") or str(today - timedelta(days=_DAYS)))
        last = date.fromisoformat(query.get("to") or str(today))
        begin, end = (_midnight(day, table) for day in (first, last + timedelta(days=1)))
        until = min(end, site.clock.now())
        instants = await asyncio.to_thread(lambda: list(islice(table.between(begin, until), _MOST_PAST + 1)))
    except (ValueError, OverflowError, OSError) as error:
        return Past(problem=f"the range takes days, such as {today}: {error}")
    named = [ScheduledRun(at=table.local(at), run_id=run_id_of(record.name, table, at)) for at in instants]
    times = await with_statuses(site.store, named[:_MOST_PAST])
    counts = Counter("no run" if each.status is None else str(each.status) for each in times)
    is_open = [each.run_id for each in times if each.status is not None and not each.status.is_final]
    more = str(named[-1].at.date()) if len(named) > _MOST_PAST else ""
    return Past(
        times=times, start=str(first), end=str(last), next=more if more != str(first) else "",
        counts=sorted(counts.items()), unfinished=is_open,
    )  # fmt: skip


def _midnight(day: date, table: Timetable) -> float:
    return datetime.combine(day, clock_time(), table.zone).timestamp()


def _next(record: ScheduleRecord, table: Timetable, now: float) -> Sequence[TimeRow]:
    """The times that come next; of a paused schedule those that would."""
    instants = [max(record.next_at, table.after(now)) if record.is_paused else record.next_at]
    while len(instants) < _TIMES:
        instants.append(table.after(instants[-1]))
    return time_rows(record.name, table, instants)
