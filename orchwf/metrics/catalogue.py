"""Which metrics there are: their names, labels and meanings, in one place."""

from enum import StrEnum

import attrs


class Kind(StrEnum):
    """What Prometheus takes a metric for."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """
    Where a metric comes from.

    - `STORE`: the store, at each scrape: the same from every process on it
    - `PROCESS`: the process that is scraped
    """

    STORE = "store"
    PROCESS = "process"


@attrs.frozen
class Metric:
    """
    One metric.

    Attributes:
        name: Its name; of a counter with `_total`.
        kind: What it is.
        source: Where it comes from.
        labels: The names of its labels.
        help: What it says, with the unit if that is not in the name.
    """

    name: str
    kind: Kind
    source: Source
    labels: tuple[str, ...]
    help: str


def _store(name: str, help: str, *labels: str) -> Metric:  # noqa: A002 - as Prometheus calls it
    return Metric(name, Kind.GAUGE, Source.STORE, labels, help)


def _process(name: str, kind: Kind, help: str, *labels: str) -> Metric:  # noqa: A002
    return Metric(name, kind, Source.PROCESS, labels, help)


STORE_UP = _store("orchwf_store_up", "Whether the store answered this scrape: 1 or 0.")
STORE_READ = _store("orchwf_store_read_seconds", "How long it took to read the store for this scrape.")
STORE_AGE = _store("orchwf_store_age_seconds", "How long ago that was: only a scrape on the event loop shows old ones.")
OPEN_RUNS = _store(
    "orchwf_open_runs",
    "Runs that have not ended: executed, waiting for a worker, asleep, scheduled or paused.",
    "workflow", "place",
)  # fmt: skip
OLDEST_WAITING = _store(
    "orchwf_oldest_waiting_run_seconds", "How long the run has waited that nobody executes, of the oldest.", "workflow"
)
PAUSED_RUNS = _store(
    "orchwf_paused_runs",
    "Paused runs by cause: request, unknown, exhausted, or takeovers, which are dead letters.",
    "workflow", "cause",
)  # fmt: skip
LEASES = _store("orchwf_leases", "Workers whose lease is held, and those whose has lapsed and that left runs.", "state")
SLOTS = _store("orchwf_queue_slots_held", "Attempts that hold a place in a queue, over all workers.", "queue")
SCHEDULES = _store("orchwf_schedules", "Schedules that are active, and that are paused.", "state")
SCHEDULE_LATE = _store("orchwf_schedule_late_seconds", "How long the next time of a schedule is overdue.", "schedule")

INFO = _process("orchwf_info", Kind.GAUGE, "Always 1; the version of orchwf.", "version")
ALIVE = _process("orchwf_worker_alive", Kind.GAUGE, "Whether it executes, and its lease lasts: 1 or 0.")
READY = _process("orchwf_worker_ready", Kind.GAUGE, "Whether it takes up runs: 1 or 0.")
LEASE_AGE = _process("orchwf_lease_age_seconds", Kind.GAUGE, "How long ago its lease was renewed.")
EXECUTED_RUNS = _process("orchwf_executed_runs", Kind.GAUGE, "Runs that are executed here.")
IN_FLIGHT = _process("orchwf_attempts_in_flight", Kind.GAUGE, "Attempts that have not ended here.")
LOOP_LAG_NOW = _process(
    "orchwf_loop_lag_current_seconds", Kind.GAUGE, "How late the event loop is: as of its last answer, or longer."
)
LOOP_LAG = _process("orchwf_loop_lag_seconds", Kind.HISTOGRAM, "How late the event loop was, asked twice a second.")
COMMIT_SECONDS = _process("orchwf_commit_seconds", Kind.HISTOGRAM, "How long it took to write a batch of events.")
COMMIT_EVENTS = _process("orchwf_commit_events", Kind.HISTOGRAM, "How many events a batch had.")
RUNS_STARTED = _process("orchwf_runs_started_total", Kind.COUNTER, "Runs that were started here.", "workflow")
RUNS_ENDED = _process(
    "orchwf_runs_ended_total", Kind.COUNTER, "Runs that ended here: completed, failed or cancelled.",
    "workflow", "outcome",
)  # fmt: skip
RUN_PAUSES = _process("orchwf_run_pauses_total", Kind.COUNTER, "How often a run was paused here.", "workflow", "cause")
RUN_RESUMPTIONS = _process(
    "orchwf_run_resumptions_total", Kind.COUNTER, "How often a run went on here, for a takeover, say.",
    "workflow", "reason",
)  # fmt: skip
RUN_SECONDS = _process(
    "orchwf_run_seconds", Kind.HISTOGRAM, "How long runs took from their start, what they waited included.", "workflow"
)
STEPS = _process(
    "orchwf_steps_total", Kind.COUNTER,
    "Steps by outcome: completed, failed, skipped, cancelled; retrying after a failed attempt; cached.",
    "workflow", "step", "outcome",
)  # fmt: skip
ITEMS = _process(
    "orchwf_items_total", Kind.COUNTER, "The same, of the items of steps that have several.",
    "workflow", "step", "outcome",
)  # fmt: skip
COMPENSATIONS = _process(
    "orchwf_compensations_total", Kind.COUNTER, "Steps that were undone: completed, failed, or retrying.",
    "workflow", "step", "outcome",
)  # fmt: skip
ATTEMPT_SECONDS = _process(
    "orchwf_attempt_seconds", Kind.HISTOGRAM, "How long attempts took from the moment at which they might begin.",
    "workflow", "step",
)  # fmt: skip
EVENTS = _process("orchwf_events_total", Kind.COUNTER, "Events that were told here, by kind.", "kind")

METRICS = (
    STORE_UP, STORE_READ, STORE_AGE, OPEN_RUNS, OLDEST_WAITING, PAUSED_RUNS, LEASES, SLOTS, SCHEDULES, SCHEDULE_LATE,
    INFO, ALIVE, READY, LEASE_AGE, EXECUTED_RUNS, IN_FLIGHT, LOOP_LAG_NOW, LOOP_LAG, COMMIT_SECONDS, COMMIT_EVENTS,
    RUNS_STARTED, RUNS_ENDED, RUN_PAUSES, RUN_RESUMPTIONS, RUN_SECONDS, STEPS, ITEMS, COMPENSATIONS, ATTEMPT_SECONDS,
    EVENTS,
)  # fmt: skip
"""All of them."""
