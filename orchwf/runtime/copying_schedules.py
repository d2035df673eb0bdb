"""Copying schedules from one store to another, so that one of the two begins their runs."""

from collections.abc import AsyncIterator

import attrs

from ..core.schedules import Phase, ScheduleRecord, run_id_of
from ..ports import Store
from .copying import CopiedRun, Outcome
from .schedules import table_of


async def copy_schedules(
    source: Store, target: Store, workflow: str | None, *, move: bool = False
) -> AsyncIterator[CopiedRun]:
    """
    Copy the schedules, or those of this workflow.

    One that acts is paused in the source before it acts in the target. Who dies in between leaves it paused in both.
    """
    for record in await source.schedules():
        if workflow in (None, record.workflow):
            outcome, reason = await _copy(source, target, record)
            if move and outcome in (Outcome.COPIED, Outcome.THERE):
                await source.delete_schedule(record.name)
            yield CopiedRun(id=record.name, outcome=outcome, reason=reason, is_schedule=True)


async def _copy(source: Store, target: Store, record: ScheduleRecord) -> tuple[Outcome, str]:
    there = next(iter(await target.schedules(record.name)), None)
    if there is not None and there.definition != record.definition:
        return Outcome.CONFLICT, "a schedule of this name is there, which is another one"
    if there is not None and record.is_paused:
        return Outcome.THERE, ""
    if there is not None and not there.is_paused:
        return Outcome.CONFLICT, "it is there, and acts in both: pause it in one of them"
    if record.phase is Phase.BEGUN:
        run_id = run_id_of(record.name, table_of(record), record.next_at)
        if await source.get(run_id) is not None and await target.get(run_id) is None:
            return Outcome.LEFT, f"its run {run_id!r} has just begun; copy it again"
    revision = 0 if there is None else there.revision
    waiting = await target.put_schedule(attrs.evolve(record, is_paused=True, revision=revision))
    if waiting is None:
        return Outcome.LEFT, "somebody has just changed it there; copy it again"
    if record.is_paused:
        return Outcome.COPIED, ""
    if await source.put_schedule(attrs.evolve(record, is_paused=True)) is None:
        return Outcome.LEFT, "somebody has just changed it; copy it again"
    if await target.put_schedule(attrs.evolve(waiting, is_paused=False)) is None:
        return Outcome.LEFT, "somebody has just changed it there; it is paused in both"
    return Outcome.COPIED, ""
