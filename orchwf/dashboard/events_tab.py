"""The log of a run, page by page."""

from collections.abc import Mapping

import attrs

from ..core.events import Event, SignalReceived, StepEvent, StepHeartbeat
from ..core.lines import Line
from ..ports import Store
from ..views import event_line
from .site import Site

_PAGE = 200
_MOST_READ = 5_000


@attrs.frozen
class EventPage:
    """
    Some entries of a log.

    Attributes:
        rows: The number of each, and what is told of it.
        step: The step that they are about; empty for all.
        after: Behind which entry they begin.
        next: Behind which the next page begins; None if there is none.
    """

    rows: tuple[tuple[int, Line], ...]
    step: str
    after: int
    next: int | None


async def events_of(site: Site, run_id: str, query: Mapping[str, str], *, last: int | None) -> EventPage:
    """
    A page of the log.

    Args:
        query: `after`, and `only`: the step that is of interest.
        last: The number of the last entry that is shown; None for all.
    """
    text, step = query.get("after", ""), query.get("only", "")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    rows: list[tuple[int, Line]] = []
    at, read = after, 0
    while page := await _read(site.store, run_id, at, last):
        for event in page:
            at, read = event.seq, read + 1
            if not step or (isinstance(event, StepEvent) and event.step == step):
                rows.append((event.seq, event_line(_without_payload(event, site.shows_payloads))))
            if len(rows) == _PAGE or read == _MOST_READ:
                return EventPage(tuple(rows), step, after, at)
    return EventPage(tuple(rows), step, after, None)


async def _read(store: Store, run_id: str, after: int, last: int | None) -> list[Event]:
    events = await store.read(run_id, after=after, limit=_PAGE)
    return [event for event in events if last is None or event.seq <= last]


def _without_payload(event: Event, shows_payloads: bool) -> Event:
    """The event, without what users put into it if that is not to be shown."""
    if shows_payloads:
        return event
    if isinstance(event, SignalReceived):
        return attrs.evolve(event, payload="null")
    return attrs.evolve(event, progress="null") if isinstance(event, StepHeartbeat) else event
