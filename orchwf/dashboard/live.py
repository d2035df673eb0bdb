"""
Tells browsers that something has changed, by server-sent events: then they ask for their page again.

What is asked of the store meanwhile is one look by an index: at once when the store tells something, else the less
often the longer nothing happens. Of a run that has ended nothing is asked.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from ..errors import RunNotFoundError, StoreError
from ..ports import RunRecord
from .progress import Progress
from .search import PAGE, find_runs, parse_search
from .site import Site

SHORTEST, LONGEST = 0.5, 10.0
"""Seconds between two looks: while something happens, and after nothing has for long."""
_PING = 30

Look = Callable[[], Awaitable[str | None]]
"""A mark of what is seen now: the same one says that nothing has changed; None that nothing ever will."""


async def tell(site: Site, request: Request) -> Response:
    """A stream with a `changed` for each change of a run, `of=run`, or of a listing of runs."""
    query = request.query_params
    if query.get("of") == "run":
        look = run_look(site, query.get("id", ""))
    else:
        look = listing_look(site, query.get("q", ""))
    return EventSourceResponse(_events(site, look, query.get("seen", "")), ping=_PING)


async def _events(site: Site, look: Look, seen: str) -> AsyncIterator[dict[str, str]]:
    # Without the store nothing can be told, and the browser asks again after a while.
    with suppress(StoreError):
        async for what in changes(site, look, seen):
            yield {"event": what, "data": "1"}


def mark_of_run(record: RunRecord, seq: int) -> str:
    """What tells whether a run is as it was: the number of its last event, and who executes it."""
    return _mark((seq, record.owner, record.has_lapsed))


def mark_of_listing(records: Sequence[RunRecord], progresses: Mapping[int, Progress]) -> str:
    """What tells whether a listing is as it was, also how far its runs are."""
    said = {number: (each.text, each.error) for number, each in progresses.items()}
    return _mark(
        [(each.id, each.status, each.owner, each.has_lapsed, said.get(each.number)) for each in records]
    )  # fmt: skip


def _mark(seen: object) -> str:
    return f"{zlib.crc32(repr(seen).encode(errors='replace')):08x}"


def run_look(site: Site, run_id: str) -> Look:
    """Looks at a run."""

    async def look() -> str | None:
        record = await site.store.get(run_id)
        if record is None:
            return None
        try:
            # What is known of it need not be read again.
            history = await site.history(run_id)
        except RunNotFoundError:
            # It was deleted meanwhile.
            return None
        return None if history.status.is_final and record.status.is_final else mark_of_run(record, history.seq)

    return look


def listing_look(site: Site, text: str) -> Look:
    """Looks at the newest runs that are looked for."""

    async def look() -> str:
        search = parse_search(text, site.clock.now())
        found = await find_runs(site.store, search, before=None, limit=PAGE)
        return mark_of_listing(found.runs, await site.progresses.of(site.store, found.runs))

    return look


async def changes(site: Site, look: Look, seen: str = "") -> AsyncIterator[str]:
    """
    `changed` after each change, and at last `over` if there will be none any more.

    Args:
        seen: The mark of what the page shows; empty for what there is now.
    """
    before, wait = await look(), SHORTEST
    told = asyncio.Event()
    if seen and before not in (None, seen):
        # It was while the page was on its way.
        yield "changed"
    with site.waking(told.set):
        while not site.is_closing:
            if before is None:
                yield "over"
                return
            told.clear()
            await _rest(site, told, wait)
            now = await look()
            if now != before:
                before, wait = now, SHORTEST
                yield "changed"
            else:
                wait = min(LONGEST, wait * 1.5)


async def _rest(site: Site, told: asyncio.Event, seconds: float) -> None:
    """Return after so many seconds, or when the store tells something; but not before the shortest wait."""
    await _wait(site, asyncio.Event(), SHORTEST)
    await _wait(site, told, seconds - SHORTEST)


async def _wait(site: Site, told: asyncio.Event, seconds: float) -> None:
    revoke = site.clock.call_at(site.clock.now() + seconds, told.set)
    try:
        await told.wait()
    finally:
        revoke()
