"""Who executes runs, and how the store is."""

from collections import Counter

import attrs
from starlette.requests import Request
from starlette.responses import Response

from ..core.failures import item_name
from ..core.state import RunStatus
from ..ports import RunQuery, RunRecord
from ..runtime.owner import has_died, parse_owner
from ..views import findings_about_code, findings_of, limit_rows, sleep_text, waiting_text
from .runs_page import rows_of
from .site import Site

_MOST = 1_000
"""How many unfinished runs, and how many places within limits, are looked at."""
_MOST_LIMITS = 50
_MOST_HOLDERS = 10


@attrs.frozen(kw_only=True)
class Worker:
    """A process that executes runs: its name, the text that tells it, whether it lives, and how many runs it has."""

    label: str
    text: str
    state: str
    runs: int


async def show_workers(site: Site, request: Request) -> Response:
    """Who holds the places within limits, who executes runs, and which runs wait for somebody, or for something."""
    running = await site.store.runs(RunQuery(statuses=[RunStatus.RUNNING], limit=_MOST))
    scheduled = await site.store.runs(RunQuery(statuses=[RunStatus.SCHEDULED], limit=_MOST))
    now = site.clock.now()
    limits = limit_rows(await site.store.occupancy(limit=_MOST))
    waiting = [record for record in [*running, *scheduled] if sleep_text(record, now)]
    return site.page(
        request, "workers.html", workers=workers_of(running), waiting=rows_of(waiting[:100], now),
        count=len(waiting), is_all=len(running) < _MOST, most=_MOST, limits=limits[:_MOST_LIMITS],
        more_limits=max(0, len(limits) - _MOST_LIMITS), shown=_MOST_HOLDERS, item_name=item_name,
        waiting_text=waiting_text,
    )  # fmt: skip


def workers_of(running: list[RunRecord]) -> list[Worker]:
    """Who executes these runs, by their names."""
    counts = Counter((record.owner, record.has_lapsed) for record in running if record.owner is not None)
    workers = []
    for (text, has_lapsed), count in counts.items():
        state = "dead" if has_died(text) else "lapsed" if has_lapsed else "alive"
        workers.append(Worker(label=parse_owner(text).label, text=text, state=state, runs=count))
    return sorted(workers, key=lambda worker: (worker.state, worker.label))


async def show(site: Site, request: Request) -> Response:
    """How the store is: what waits for somebody, and, if that is asked for, what all of it says."""
    unfinished = await site.store.runs(
        RunQuery(statuses=[status for status in RunStatus if not status.is_final], limit=_MOST)
    )
    not_undone = await site.store.runs(
        RunQuery(statuses=[RunStatus.FAILED, RunStatus.CANCELLED], compensation="failed", limit=_MOST)
    )
    named = "" if site.store.url.startswith("memory:") else site.store.url
    findings = findings_of(unfinished, not_undone, {}, named)
    if site.types:
        apps = [dag.workflow for dag in site.types.values() if dag.workflow is not None]
        findings += await findings_about_code(site.store, unfinished, apps, named)
    facts = await site.store.facts() if request.query_params.get("facts") else {}
    return site.page(
        request, "system.html", findings=findings[:200], count=len(findings), facts=facts, url=site.store.url,
        is_all=len(unfinished) < _MOST, most=_MOST,
    )  # fmt: skip
