"""How an orchestrator is, for whoever watches over its process."""

import attrs

from .measures import CommitTimes


@attrs.frozen(kw_only=True)
class Health:
    """
    How an orchestrator is.

    Attributes:
        worker: Who it is to others, for people: `process 4711 on myhost`, and which one of that process.
        since: When it began (epoch seconds).
        renewed_at: When its lease was renewed last (epoch seconds), so that it reached its store.
        is_alive: Whether it executes, and its lease lasts: if not, others take its runs up.
        is_ready: Whether it takes up runs: it lives, is not told to end, and reached its store the last time.
        is_draining: Whether it was told to end.
        runs: How many runs it executes.
        steps: How many attempts are in flight.
        lease_age: How many seconds ago its lease was renewed; others take its runs up once that is more than its lease.
        store_answers: Whether the store did what it was asked last, and nothing waits for it for long.
        loop_lag: How many seconds its event loop takes to do what it is asked to do at once; that is tried twice a
            second.
        commits: How long it takes to write.
    """

    worker: str
    since: float
    renewed_at: float
    is_alive: bool
    is_ready: bool
    is_draining: bool
    runs: int
    steps: int
    lease_age: float = 0.0
    store_answers: bool = True
    loop_lag: float = 0.0
    commits: CommitTimes = attrs.field(factory=CommitTimes)
