"""`--health`: says over HTTP whether a worker is alive, and whether it takes up runs."""

from collections.abc import Callable, Mapping

from ..runtime.health import Health
from ..views import iso_time
from .documents import Document
from .serving import Answer, Page, answer_with


def health_pages(look: Callable[[], Health | None]) -> Mapping[str, Page]:
    """
    What is answered to those who ask how a worker is.

    Args:
        look: How it is now; None before it has begun.
    """

    async def lives() -> Answer:
        health = look()
        # Who has not begun yet lives: it answers, and nobody waits for its lease.
        return _answer(health, is_well=health is None or health.is_alive)

    async def is_ready() -> Answer:
        health = look()
        return _answer(health, is_well=health is not None and health.is_ready)

    return {"/healthz": lives, "/readyz": is_ready}


def _answer(health: Health | None, *, is_well: bool) -> Answer:
    return answer_with("200 OK" if is_well else "503 Service Unavailable", health_document(health))


def health_document(health: Health | None) -> Document:
    """
    How a worker is, as JSON-able values: `status` is `starting`, `ready`, `draining` or `unwell`.
    """
    if health is None:
        return {"status": "starting"}
    status = "ready" if health.is_ready else "draining" if health.is_draining and health.is_alive else "unwell"
    return {
        "status": status,
        "worker": health.worker,
        "since": iso_time(health.since),
        "renewed_at": iso_time(health.renewed_at),
        "runs": health.runs,
        "steps": health.steps,
        "lease_age": round(health.lease_age, 3),
        "store_answers": health.store_answers,
        "loop_lag": round(health.loop_lag, 6),
        "commits": {
            "count": health.commits.count,
            **{name: round(getattr(health.commits, name), 6) for name in ("last", "mean", "p99")},
            "size": round(health.commits.size, 1),
        },
    }
