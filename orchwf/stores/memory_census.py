"""Counts the runs that have not ended, in a store in memory."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ..core.census import Census, CensusRow, Place, census_of
from ..core.events import RunPaused
from ..core.state import RunStatus
from .hints import RESTS
from .memory_runs import StoredRun


def counted(
    runs: Collection[StoredRun],
    leases: Iterable[str],
    slots: Mapping[str, int],
    *,
    now: float,
    is_live: Callable[[str], bool],
) -> Census:
    """What `Store.census` says, of these runs, owners that have or had a lease, and limit -> slots held."""
    busy = {run.record.owner for run in runs if run.record.status not in RESTS}
    return census_of([
        *_rows_of_runs(runs, now, is_live),
        *(("held", "", "", 1, None) for owner in leases if is_live(owner)),
        *(("lapsed", "", "", 1, None) for owner in leases if not is_live(owner) and owner in busy),
        *(("slots", limit, "", count, None) for limit, count in slots.items() if count),
    ])  # fmt: skip


def _rows_of_runs(runs: Iterable[StoredRun], now: float, is_live: Callable[[str], bool]) -> Iterator[CensusRow]:
    """One row for each of these runs that has not ended."""
    for run in runs:
        record = run.record
        if record.status is RunStatus.PAUSED:
            pauses = (event.cause for event in reversed(run.events) if isinstance(event, RunPaused))
            yield Place.PAUSED, record.workflow, next(pauses, "request"), 1, None
        elif not record.status.is_final:
            place = _place(run, now, is_live)
            yield place, record.workflow, "", 1, _waits_since(run) if place is Place.WAITING else None


def _place(run: StoredRun, now: float, is_live: Callable[[str], bool]) -> Place:
    record = run.record
    if record.owner is not None and is_live(record.owner):
        return Place.EXECUTED
    is_scheduled = record.status is RunStatus.SCHEDULED
    if record.wake_at <= now if record.wake_at is not None else not is_scheduled:
        return Place.WAITING
    return Place.SCHEDULED if is_scheduled else Place.ASLEEP


def _waits_since(run: StoredRun) -> float:
    record = run.record
    last_at = run.events[-1].at if run.events else record.created_at
    return next(at for at in (record.wake_at, record.slept_at, last_at) if at is not None)
