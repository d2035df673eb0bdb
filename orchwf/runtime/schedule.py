"""A schedule in the hand: what can be asked of it, and done to it."""

from datetime import datetime
from typing import Any

from ..core.schedules import ScheduleRecord
from ..core.timetable import Timetable
from ..errors import UsageError
from .backfill import ScheduledRun, checked_range, execute_all, planned, told
from .handle import RunHandle
from .scheduled import begin
from .scheduler import Scheduler
from .schedules import asked_id, table_of


class Schedule:
    """
    A schedule, by its name.

    Attributes:
        name: Its name.
        record: It as it was when this handle was got, or changed it last; for news, get it again.
    """

    def __init__(self, scheduler: Scheduler, record: ScheduleRecord) -> None:
        self.name = record.name
        self.record = record
        self._scheduler = scheduler

    def __repr__(self) -> str:
        state = "paused" if self.record.is_paused else f"next {self._table.text(self.record.next_at)}"
        return f"<schedule {self.name}: {self.record.cron} {self.record.tz}, {state}>"

    @property
    def _table(self) -> Timetable:
        return table_of(self.record)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is begun until somebody resumes it."""
        return self.record.is_paused

    @property
    def next_at(self) -> datetime | None:
        """The time that comes next, on the clocks of its zone; None if it is paused."""
        return None if self.record.is_paused else self._table.local(self.record.next_at)

    @property
    def last_at(self) -> datetime | None:
        """The time of the run that was begun last by the clock, on the clocks of its zone; None if none was."""
        return None if self.record.last_at is None else self._table.local(self.record.last_at)

    def next_times(self, count: int = 10) -> list[datetime]:
        """
        The times that come next, on the clocks of its zone; if it is paused, those that would.

        They are those that the expression names: a run begins later by its jitter.

        Raises:
            UsageError: the count is no whole number of at least 1.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"next_times takes a whole number of at least 1, not {count!r}")
        table, at = self._table, self.record.next_at
        times: list[datetime] = []
        if self.record.is_paused:
            at = max(at, table.after(self._scheduler.schedules.clock.now()))
        while len(times) < count:
            times.append(table.local(at))
            at = table.after(at)
        return times

    async def pause(self) -> None:
        """
        Begin nothing by the clock from now on: times that come meanwhile are not made up for. Runs go on.

        Raises:
            ScheduleNotFoundError: it was deleted.
        """
        self.record = await self._scheduler.schedules.pause(self.name)

    async def resume(self) -> None:
        """
        Go on with the first time that is to come; nothing happens if it is not paused.

        Raises:
            ScheduleNotFoundError: it was deleted.
        """
        self.record = await self._scheduler.schedules.resume(self.name)
        self._scheduler.wake()

    async def trigger(self) -> RunHandle[Any]:
        """
        Begin a run now, also if the schedule is paused, and whatever `overlap` says; its times stay as they are.

        The run has an id of its own, and this instant as its `scheduled_for`. If this orchestrator does not know the
        workflow, it is begun by one that does, within seconds; until then there is no run of this id.

        Raises:
            ScheduleNotFoundError: it was deleted.
            UsageError: the inputs of the schedule are none of the workflow, as it is now.
        """
        scheduler = self._scheduler
        self.record = await scheduler.schedules.find(self.name)
        if scheduler.runs.registry.find(self.record) is None:
            run_id, self.record = await scheduler.schedules.ask(self.name)
        else:
            run_id = asked_id(self.name)
            await begin(scheduler.runs, self.record, run_id, scheduler.schedules.clock.now())
        return RunHandle(scheduler.runs.ledger, run_id)

    async def delete(self) -> None:
        """
        Delete the schedule; its runs stay, and go on.

        Raises:
            ScheduleNotFoundError: it was deleted before.
        """
        await self._scheduler.schedules.delete(self.name)

    async def backfill(
        self, start: datetime, end: datetime, *, dry_run: bool = False, concurrency: int = 1
    ) -> list[ScheduledRun]:
        """
        Execute the runs of the times from `start` on and before `end`, in order, and wait for them to end.

        Each has the id that the schedule would have given it: what was run before is not run again, however it ended,
        and what was interrupted goes on. So a backfill that was interrupted is gone on with by the same call. It lives
        here: if this process dies, what has been begun is taken up as any run, and nothing more is begun.

        Args:
            start, end: Aware datetimes.
            dry_run: Only tell which times there are, and what became of them.
            concurrency: How many of the runs may be unfinished at a time.

        Returns:
            The times in order, each with its run and where that is now. A run that failed is no error.

        Raises:
            UsageError: a datetime is naive, the range is empty, or it ends in the future; a count makes no sense.
            UnknownWorkflowError: the workflow is not known here.
            ScheduleNotFoundError: it was deleted.
        """
        scheduler = self._scheduler
        self.record = await scheduler.schedules.find(self.name)
        latest = None if dry_run else scheduler.schedules.clock.now()
        times = await planned(self.record, *checked_range(start, end, latest))
        if dry_run:
            return await told(scheduler.runs.store, times)
        return await execute_all(scheduler.runs, self.record, times, concurrency)
