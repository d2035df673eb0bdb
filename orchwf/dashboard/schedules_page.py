"""The schedules of the store, and when they fire next."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from ..core.schedules import ScheduleRecord
from ..core.timetable import Timetable
from ..errors import BadOptionError, UsageError
from ..runtime.schedules import Schedules, table_of
from ..views import TimeRow, schedule_row, time_rows, utc_time, zone_time
from .site import Site

_TIMES = 10


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
    return site.page(
        request, "schedules.html", rows=rows, chosen=chosen, times=times, told=told, zone_time=zone_time,
        utc_time=utc_time,
    )  # fmt: skip


def _next(record: ScheduleRecord, table: Timetable, now: float) -> Sequence[TimeRow]:
    """The times that come next; of a paused schedule those that would."""
    instants = [max(record.next_at, table.after(now)) if record.is_paused else record.next_at]
    while len(instants) < _TIMES:
        instants.append(table.after(instants[-1]))
    return time_rows(record.name, table, instants)
