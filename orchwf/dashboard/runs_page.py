"""The first page: the runs of the store, the newest first."""

import math
from collections.abc import Sequence

import attrs
from starlette.requests import Request
from starlette.responses import Response

from ..core.state import RunStatus
from ..core.wording import duration_text
from ..ports import RunRecord
from ..views import RunRow, interruption, run_row
from .live import mark_of_listing
from .looks import look_of
from .rendering import link
from .search import PAGE, find_runs, parse_search
from .site import Site
from .trend import MOST, trend_of

_STRIP_HEIGHT = 40


@attrs.frozen
class Bar:
    """One run in the strip of history: where its bar stands, how high it is, and what it leads to."""

    x: int
    y: int
    height: int
    look: str
    href: str
    title: str


async def show(site: Site, request: Request) -> Response:
    """The runs that are looked for."""
    query = request.query_params
    search = parse_search(query.get("q", ""), site.clock.now())
    before = query.get("before", "")
    cursor = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    listing = await find_runs(site.store, search, before=cursor, limit=PAGE)
    progresses = await site.progresses.of(site.store, listing.runs)
    now = site.clock.now()
    trend = None
    is_looked_through = bool(search.words) or search.query.id_prefix is not None
    if cursor is None and listing.cursor is not None and not is_looked_through:
        # There are more than a page shows, and the newest of them are found at once.
        trend = trend_of(await site.store.runs(attrs.evolve(search.query, limit=MOST)), search.text)
    return site.page(
        request, "runs.html", search=search, listing=listing, rows=rows_of(listing.runs, now),
        bars=() if trend else strip(listing.runs, now), trend=trend, before=cursor, statuses=list(RunStatus),
        progresses=progresses, seen=mark_of_listing(listing.runs, progresses),
        is_chosen=lambda status: search.query.statuses == [status],
    )  # fmt: skip


def rows_of(records: Sequence[RunRecord], now: float) -> list[tuple[RunRecord, RunRow]]:
    """The runs, each with what is written of it."""
    return [(record, run_row(record, now, interruption=interruption(record))) for record in records]


def strip(records: Sequence[RunRecord], now: float) -> list[Bar]:
    """The runs as bars, the oldest first: higher is longer, by a logarithmic scale."""
    bars = []
    for at, record in enumerate(reversed(records)):
        row = run_row(record, now, interruption=interruption(record))
        took = max(0.0, (record.ended_at or now) - record.created_at)
        height = min(_STRIP_HEIGHT, max(4, round(4 + 8 * math.log10(1 + took * 10))))
        bars.append(
            Bar(
                at * 8, _STRIP_HEIGHT - height, height, look_of(row.status), link("/run", id=record.id),
                f"{row.workflow} {row.id}: {row.status}, {duration_text(took)}",
            )
        )  # fmt: skip
    return bars
