"""The runs of a schedule for a range of time."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import attrs

from ..core.schedules import ScheduleRecord, run_id_of
from ..core.state import RunStatus
from ..errors import NotResumableError, RunNotFoundError, RunOwnedError, UnknownWorkflowError, UsageError
from ..ports import Store
from .handle import RunHandle
from .runs import Runs
from .scheduled import begin
from .schedules import table_of

_MOST = 100_000


@attrs.frozen(kw_only=True)
class ScheduledRun:
    """
    A time of a schedule, and its run.

    Attributes:
        at: The time, on the clocks of the schedule's zone.
        run_id: The id of its run.
        status: Where that is; None if there is none.
    """

    at: datetime
    run_id: str
    status: RunStatus | None = None


def checked_range(start: datetime, end: datetime, latest: float | None) -> tuple[float, float]:
    """
    A range as epoch seconds.

    Args:
        latest: When it has to end at the latest; None for no bound.

    Raises:
        UsageError: it is none.
    """
    for name, value in (("start", start), ("end", end)):
        if not isinstance(value, datetime) or value.tzinfo is None:
            example = "datetime(2026, 11, 2, tzinfo=UTC)"
            raise UsageError(f"{name} takes an aware datetime, such as {example}, not {value!r}")
    if start >= end:
        raise UsageError(f"the range is empty: it begins {start.isoformat()} and ends {end.isoformat()}")
    if latest is not None and end.timestamp() > latest:
        raise UsageError(f"the range ends in the future, {end.isoformat()}: its times will come by themselves")
    return start.timestamp(), end.timestamp()


async def planned(schedule: ScheduleRecord, start: float, end: float) -> list[ScheduledRun]:
    """
    The times of a schedule from `start` on and before `end`, in order, without what became of them.

    Raises:
        UsageError: there are more than anyone can mean.
    """
    table = table_of(schedule)
    # Of many it takes seconds.
    times = await asyncio.to_thread(lambda: list(islice(table.between(start, end), _MOST + 1)))
    if len(times) > _MOST:
        raise UsageError(f"there are more than {_MOST:,} times in this range; take a shorter one")
    return [ScheduledRun(at=table.local(at), run_id=run_id_of(schedule.name, table, at)) for at in times]


async def told(store: Store, times: Sequence[ScheduledRun]) -> list[ScheduledRun]:
    """These, with where each run is now."""
    found = [await store.get(each.run_id) for each in times]
    return [
        attrs.evolve(each, status=None if run is None else run.status)
        for each, run in zip(times, found, strict=True)
    ]  # fmt: skip


async def execute_all(
    runs: Runs, schedule: ScheduleRecord, times: Sequence[ScheduledRun], concurrency: int
) -> list[ScheduledRun]:
    """
    Execute the runs of these times, begun in order, and wait until each has ended, or waits for somebody.

    Args:
        concurrency: How many may be unfinished at a time.

    Raises:
        UsageError: the concurrency makes no sense.
        UnknownWorkflowError: the workflow is not known here.
    """
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise UsageError(f"concurrency takes a whole number of at least 1, not {concurrency!r}")
    if runs.registry.find(schedule) is None:
        raise UnknownWorkflowError(schedule.workflow, runs.registry.names)
    left = iter(times)

    async def work() -> None:
        for each in left:
            await _execute(runs, schedule, each)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(times))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        # What kept one of them from going on kept all of them.
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    return await told(runs.store, times)


async def _execute(runs: Runs, schedule: ScheduleRecord, each: ScheduledRun) -> None:
    run = await runs.store.get(each.run_id)
    if run is None:
        await begin(runs, schedule, each.run_id, each.at.timestamp())
    elif run.status.is_final or run.status is RunStatus.PAUSED:
        return
    elif runs.is_orphan(run):
        # Somebody else may be faster.
        with contextlib.suppress(RunOwnedError, NotResumableError):
            await runs.take_up(run)
    # It may be deleted before its end.
    with contextlib.suppress(RunNotFoundError):
        await RunHandle(runs.ledger, each.run_id).wait()
