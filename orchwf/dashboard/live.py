"""
Tells browsers that something has changed, by server-sent events: then they ask for their page again.

What is asked of the store meanwhile is one look by an index: at once when the store tells something, else the less
often the longer nothing happens. Of a run that has ended nothing is asked.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from .search import find_runs, parse_search
from .site import Site

SHORTEST, LONGEST = 0.5, 10.0
"""Seconds between two looks: while something happens, and after nothing has for long."""
_PING = 30

Look = Callable[[], Awaitable[object]]
"""What is seen now: two values that are equal say that nothing has changed; None that nothing ever will."""


async def tell(site: Site, request: Request) -> Response:
    """A stream with a `changed` for each change of a run, `of=run`, or of a listing of runs."""
    query = request.query_params
    if query.get("of") == "run":
        look = run_look(site, query.get("id", ""))
    else:
        look = listing_look(site, query.get("q", ""))
    return EventSourceResponse(_events(site, look), ping=_PING)


async def _events(site: Site, look: Look) -> AsyncIterator[dict[str, str]]:
    async for what in changes(site, look):
        yield {"event": what, "data": "1"}


def run_look(site: Site, run_id: str) -> Look:
    """Looks at a run: at its last event, and who executes it."""
    seq = 0

    async def look() -> object:
        nonlocal seq
        record = await site.store.get(run_id)
        if record is None:
            return None
        # What is known need not be read again.
        known = await site.history(run_id)
        seq = known.seq
        is_over = known.status.is_final and record.status.is_final
        return None if is_over else (seq, record.owner, record.has_lapsed)

    return look


def listing_look(site: Site, text: str) -> Look:
    """Looks at the newest runs that are looked for."""

    async def look() -> object:
        search = parse_search(text, site.clock.now())
        found = await find_runs(site.store, search, before=None, limit=50)
        return tuple((record.id, record.status, record.owner, record.has_lapsed) for record in found.runs)

    return look


async def changes(site: Site, look: Look) -> AsyncIterator[str]:
    """`changed` after each change, and at last `over` if there will be none any more."""
    seen, wait = await look(), SHORTEST
    told = asyncio.Event()
    with site.waking(told.set):
        while not site.is_closing:
            if seen is None:
                yield "over"
                return
            told.clear()
            await _rest(site, told, wait)
            now = await look()
            if now != seen:
                seen, wait = now, SHORTEST
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
