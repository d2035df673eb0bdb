"""The loop that begins the runs of schedules when their times have come."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from ..core.schedules import Due, Missed, Overlap, Phase, ScheduleRecord, due_of, run_id_of, turn_of
from ..core.timetable import Timetable
from ..errors import OrchwfError, RunNotFoundError, StoreError, UsageError
from ..ports import Clock, Hint, HintKind
from .runs import Runs
from .scheduled import begin
from .schedules import Schedules, table_of

_LOGGER = logging.getLogger("orchwf")


class Scheduler:
    """
    Serves the schedules of the workflows that an orchestrator was given, and those that were declared here.

    Any number of them may serve the same: the id of a run is that of its time, so one of them creates it, and then the
    schedule is moved on by a compare-and-set. Who dies between the two is followed by one that finds the run.

    Args:
        clock: What time of day it is.
        period: Seconds after which it looks for what others have changed.
        spawn: Makes a task of a coroutine, and owns it.
    """

    def __init__(
        self, runs: Runs, clock: Clock, period: float, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.schedules = Schedules(runs.store, clock)
        self.runs = runs
        self._period = period
        self._spawn = spawn
        self._woken = asyncio.Event()
        self._declared: dict[str, ScheduleRecord] = {}
        self._watched: set[str] = set()
        self._told: set[str] = set()
        self._is_looking = False
        runs.hearing.hearers.append(self._hear)

    def _hear(self, hint: Hint) -> None:
        """Look at once if something was changed, or may have been without that it was told."""
        if hint.kind in (HintKind.SCHEDULE, HintKind.BEGUN, HintKind.LOST):
            self.wake()

    def wake(self) -> None:
        """Look at once: something was changed here, or the orchestrator closes."""
        self._woken.set()

    async def declare(self, workflow: type, draft: ScheduleRecord, *, is_named: bool) -> ScheduleRecord:
        """
        The schedule of this draft, served here from now on.

        Raises:
            UsageError: two different ones were to have the name of their workflow, or it is one of another workflow.
        """
        other = self._declared.get(draft.name)
        if other is not None and not is_named and other != draft.definition:
            raise UsageError(
                f"two schedules would be called {draft.name!r}, as their workflow is; give each a name of its own: "
                "schedule(..., name=...)"
            )
        record = await self.schedules.declare(draft)
        self.runs.registry.replace(workflow)
        self._declared[record.name] = draft.definition
        self.wake()
        return record

    def is_served(self, record: ScheduleRecord) -> bool:
        """Whether its runs are begun here."""
        registry = self.runs.registry
        return registry.serves(record) or (record.name in self._declared and registry.find(record) is not None)

    @property
    def is_busy(self) -> bool:
        """Whether it looks, or is about to."""
        return not self._is_closing and (self._is_looking or self._woken.is_set())

    @property
    def _is_closing(self) -> bool:
        return self.runs.engine.is_draining or self.runs.engine.is_stopped

    @property
    def _serves_any(self) -> bool:
        return bool(self._declared) or self.runs.registry.serves_any

    # The loop.

    async def serve(self) -> None:
        """Begin what is due, and wait for what comes next, until the engine takes no new work."""
        while not self._is_closing:
            self._woken.clear()
            self._is_looking = True
            due_at = await self._look() if self._serves_any else None
            self._is_looking = False
            await self._rest(due_at)

    async def _rest(self, due_at: float | None) -> None:
        """Until a time comes, or others may have changed something; if nothing is served here, until somebody calls."""
        if self._is_closing:
            return
        clock, revokes = self.runs.clock, list[Callable[[], None]]()

        def look_or_wait() -> None:
            # The clock on the wall may have been set meanwhile.
            if not self._is_told or (due_at is not None and due_at <= self.schedules.clock.now()):
                self._woken.set()
            else:
                revokes.append(clock.call_at(clock.now() + self._period, look_or_wait))

        if self._serves_any:
            revokes.append(clock.call_at(clock.now() + self._period, look_or_wait))
        if due_at is not None:
            revokes.append(self.schedules.clock.call_at(due_at, self._woken.set))
        await self._woken.wait()
        for revoke in revokes:
            revoke()

    @property
    def _is_told(self) -> bool:
        """Whether nothing has to be looked for: what others change is told, and no run is waited for, nor the store."""
        return self.runs.hearing.is_told and not self._watched and not self._told

    async def _look(self) -> float | None:
        """Do all that is due. Returns when the next time comes that is served here; None if none is known."""
        try:
            records = await self.schedules.all()
        except StoreError as error:
            self._tell("", error)
            return None
        self._told.discard("")
        dues = [await self._tolerant(record) for record in records if self.is_served(record)]
        return min((due_at for due_at in dues if due_at is not None), default=None)

    async def _tolerant(self, record: ScheduleRecord) -> float | None:
        """Serve one schedule; trouble with it keeps no other from its times, and is told once."""
        try:
            due_at = await self._serve(record)
        except OrchwfError as error:
            self._tell(record.name, error)
            return None
        self._told.discard(record.name)
        return due_at

    def _tell(self, name: str, error: OrchwfError) -> None:
        if not self._is_closing and name not in self._told:
            self._told.add(name)
            _LOGGER.warning("%s", error)

    # One schedule.

    async def _serve(self, record: ScheduleRecord | None) -> float | None:
        """Do what is due. Returns when there will be more to do; None if that is not known."""
        if record is not None and record.asked:
            for run_id, at in record.asked.items():
                await begin(self.runs, record, run_id, at)
            record = await self._put(record.answered(record.asked))
        while record is not None and record.is_acting and not self._is_closing:
            # Nearly always nothing is due, and then no expression has to be read.
            due_at, now = due_of(record), self.schedules.clock.now()
            if now < due_at:
                return due_at
            table = table_of(record)
            changed = await self._changed(record, table, turn_of(record, table, now))
            if changed is None:
                return None
            record = await self._put(changed)
        return None

    async def _put(self, changed: ScheduleRecord) -> ScheduleRecord | None:
        """The schedule as it is now, by us or by somebody who was faster; None if it was deleted."""
        stored = await self.runs.store.put_schedule(changed)
        return stored or next(iter(await self.runs.store.schedules(changed.name)), None)

    async def _changed(self, record: ScheduleRecord, table: Timetable, turn: Due | Missed) -> ScheduleRecord | None:
        """
        What the schedule becomes, after the next thing was done of what is due; None if its time has to wait.
        """
        run_id = run_id_of(record.name, table, record.next_at)
        # Somebody has begun it, and died before the schedule was moved on; or it was run as a part of a range.
        if await self.runs.store.get(run_id) is not None:
            return record.fired(table, run_id)
        if isinstance(turn, Missed):
            _LOGGER.warning("schedule %r missed its times from %s on", record.name, table.text(record.next_at))
            return record.missed(table, turn.until)
        if record.phase is Phase.BEGUN:
            await begin(self.runs, record, run_id, record.next_at)
            return record.fired(table, run_id)
        # What is made up for was not to be skipped, nor the time before it to be cancelled: each has its turn.
        return await self._decided(record, table, run_id, Overlap.QUEUE if turn.is_late else record.overlap)

    async def _decided(
        self, record: ScheduleRecord, table: Timetable, run_id: str, overlap: Overlap
    ) -> ScheduleRecord | None:
        """The schedule with its time being begun, skipped or waiting, as `overlap` says; None if it waits already."""
        if await self._has_ended(record.last_run):
            return record.in_phase(Phase.BEGUN)
        match overlap:
            case Overlap.SKIP:
                _LOGGER.info("schedule %r skips %s: %s has not ended", record.name, run_id, record.last_run)
                return record.overlapped(table)
            case Overlap.QUEUE if record.phase is Phase.WAITING:
                self._watch(record.last_run)
                return None
            case Overlap.QUEUE:
                return record.in_phase(Phase.WAITING)
            case Overlap.CANCEL:
                # It may be deleted at this moment.
                with contextlib.suppress(RunNotFoundError):
                    await self.runs.ask(record.last_run, "cancel", f"{run_id} begins")
                return record.in_phase(Phase.BEGUN)
            case _:
                assert_never(overlap)

    async def _has_ended(self, run_id: str) -> bool:
        run = await self.runs.store.get(run_id) if run_id else None
        return run is None or run.status.is_final

    def _watch(self, run_id: str) -> None:
        """Look again as soon as this run has ended here; the end of one that others execute is seen in time."""
        if run_id not in self._watched:
            self._watched.add(run_id)
            self._spawn(self._wake_after(run_id))

    async def _wake_after(self, run_id: str) -> None:
        engine, has_ended = self.runs.engine, False
        while not engine.is_stopped and not has_ended:
            # It may sleep now and then. Looked up first: what happens before the store has answered is not missed.
            execution = engine.executions.get(run_id)
            ended = engine.arrivals.setdefault(run_id, asyncio.Event()) if execution is None else execution.left
            with contextlib.suppress(StoreError):
                has_ended = await self._has_ended(run_id)
            if not has_ended:
                await ended.wait()
        self._watched.discard(run_id)
        self.wake()
