"""Runs and events for the tests of stores, told apart only by what a test is about."""

from collections.abc import Callable
from typing import Any

import attrs

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo, Event
from orchwf.core.schedules import Overlap, ScheduleRecord
from orchwf.core.state import RunStatus
from orchwf.ports import Append, RunRecord, Store, Summary

NOW = 1_790_000_000.25
"""When things happen in these tests: 2026-09-21 14:13:20.250 UTC."""


def record(run_id: str = "A1", **changes: object) -> RunRecord:
    """A run that was just started."""
    values: dict[str, Any] = {
        "workflow": "Orders",
        "version": "1",
        "fingerprint": "f1",
        "entrypoint": "shop.orders:Orders",
        "status": RunStatus.RUNNING,
        "metadata": {},
        "tags": {},
        "created_at": NOW,
        **changes,
    }
    return RunRecord(id=run_id, **values)


def creation(
    run_id: str = "A1", *events: Event, definition: Callable[[], str] | None = None, **changes: object
) -> Append:
    """The append that creates a run."""
    return Append(run_id=run_id, expected=0, events=events, create=record(run_id, **changes), definition=definition)


def schedule(name: str, **changes: object) -> ScheduleRecord:
    """A schedule, as it is before it is stored."""
    made = ScheduleRecord(
        name=name, workflow="Orders", version="1", entrypoint="shop:Orders", inputs='{"order_id":"A1"}',
        cron="0 6 * * *", tz="Europe/Berlin", overlap=Overlap.QUEUE, catchup=None, jitter=0.0, created_at=NOW,
        next_at=NOW + 60.25,
    )  # fmt: skip
    return attrs.evolve(made, **changes)  # type: ignore[arg-type]


def more(run_id: str, *events: Event, summary: Summary | None = None) -> Append:
    """The append that goes on with a run, at least one event."""
    return Append(run_id=run_id, expected=events[0].seq - 1, events=events, summary=summary)


def started(seq: int, step: str = "charge", attempt: int = 1) -> ev.StepStarted:
    return ev.StepStarted(seq=seq, at=NOW + seq, step=step, attempt=attempt)


def completed(seq: int, step: str = "charge", output: str = "null") -> ev.StepCompleted:
    return ev.StepCompleted(seq=seq, at=NOW + seq, step=step, attempt=1, output=output)


def received(seq: int, message_id: str, signal: str = "cancel") -> ev.SignalReceived:
    return ev.SignalReceived(seq=seq, at=NOW + seq, signal=signal, message_id=message_id)


def ended(seq: int, compensation: str) -> ev.RunFailed:
    return ev.RunFailed(seq=seq, at=NOW + seq, steps=("charge",), error="no", compensation=compensation)


ERROR = ErrorInfo("shop.errors.CardError", "declined\nby the bank", "Traceback ...", "shop.py:3 in charge", "raise ...")

FAILED = ev.StepFailed(seq=5, at=NOW + 4, step="charge", attempt=2, error=ERROR)

ALL_KINDS: tuple[Event, ...] = (
    ev.RunStarted(seq=1, at=NOW, workflow="Orders", version="1", fingerprint="f1", inputs='{"order_id":"A1"}'),
    ev.StepStarted(seq=2, at=NOW + 1, step="charge", attempt=1),
    ev.StepRetrying(seq=3, at=NOW + 2, step="charge", attempt=1, error=ERROR, delay=0.5, due_at=NOW + 2.5),
    ev.StepStarted(seq=4, at=NOW + 3, step="charge", attempt=2),
    FAILED,
    ev.StepSkipped(seq=6, at=NOW + 5, step="notify", reason="charge failed", cause="failure"),
    ev.StepCancelled(seq=7, at=NOW + 6, step="pack", attempt=0, reason="the run is failing", cause="failure"),
    ev.RunFailed(seq=8, at=NOW + 7, steps=("charge",), error="CardError: declined"),
    ev.RunResumed(seq=9, at=NOW + 8, reason="retry", fingerprint="f1"),
    ev.RunPaused(seq=10, at=NOW + 9, reason="lunch"),
    ev.SignalReceived(seq=11, at=NOW + 10, signal="cancel", message_id="m1", payload='"enough"'),
    ev.StepCompleted(seq=12, at=NOW + 11, step="risk", attempt=1, output='{"score":0.5}'),
    ev.RunCompleted(seq=13, at=NOW + 12),
    ev.StepHeartbeat(seq=14, at=NOW + 12, step="risk", attempt=1, progress='{"row":3}'),
    ev.CompensationStarted(seq=15, at=NOW + 13, step="risk", attempt=1),
    ev.CompensationFailed(seq=16, at=NOW + 14, step="risk", attempt=1, error=ERROR, delay=0.5, due_at=NOW + 14.5),
    ev.CompensationCompleted(seq=17, at=NOW + 15, step="risk", attempt=2),
    ev.RunCancelled(seq=18, at=NOW + 16, reason="enough", compensation="done"),
    ev.StepExpanded(seq=19, at=NOW + 17, step="pack", attempt=1, count=2, keys=("a", "b")),
    ev.StepCompleted(seq=20, at=NOW + 18, step="pack", attempt=1, item=1, output="7"),
    ev.TimerSet(seq=21, at=NOW + 19, step="pause", due_at=NOW + 79, delay=60.0),
    ev.TimerFired(seq=22, at=NOW + 79, step="pause"),
    ev.ChildStarted(seq=23, at=NOW + 80, step="ship", attempt=1, child="A1/ship", workflow="Shipping", inputs="{}"),
    ev.CacheHit(seq=24, at=NOW + 81, step="risk", key="k", run="R0"),
)
"""One event of each kind; as a log it is nonsense, which no store notices."""


async def written(store: Store, *appends: Append) -> None:
    """Append these, and see that all are written."""
    outcomes = await store.append(appends)
    assert [None] * len(appends) == outcomes, outcomes
