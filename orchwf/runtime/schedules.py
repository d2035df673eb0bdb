"""The schedules of a store: made, found, changed, without anything being begun."""

import asyncio
import secrets
from collections.abc import Callable

from ..core.dag import dag_of
from ..core.options import Duration, bad_option, seconds
from ..core.schedules import Overlap, ScheduleRecord
from ..core.suggestions import did_you_mean
from ..core.timetable import Timetable, timetable
from ..core.values.pieces import is_large
from ..errors import ScheduleNotFoundError, UsageError
from ..ports import Clock, Store
from .execution import encode_inputs

_LONGEST_NAME = 200


def table_of(record: ScheduleRecord) -> Timetable:
    """
    The times of a schedule.

    Raises:
        BadOptionError, UsageError: on this machine they cannot be read.
    """
    return timetable(record.cron, record.tz)


class Schedules:
    """
    The schedules of a store.

    Args:
        clock: What time of day it is.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def drafted(
        self,
        workflow: object,
        *,
        cron: str,
        tz: str,
        overlap: str,
        catchup: Duration | None,
        jitter: Duration | None,
        name: str | None,
    ) -> ScheduleRecord:
        """
        A schedule as it is asked for, which is not stored yet.

        Raises:
            BadOptionError, UsageError: something given makes no sense.
            EncodingError: an input cannot be stored.
        """
        if isinstance(workflow, type):
            given = workflow.__name__
            raise UsageError(f"schedule() takes an instance with its inputs, {given}(...), not the class {given}")
        dag, now = dag_of(type(workflow)), self.clock.now()
        table = timetable(cron, tz)
        if is_large(workflow):
            inputs = await asyncio.to_thread(encode_inputs, dag, workflow)
        else:
            inputs = encode_inputs(dag, workflow)
        return ScheduleRecord(
            name=_checked_name(dag.name if name is None else name), workflow=dag.name, version=dag.version,
            entrypoint=dag.entrypoint, inputs=inputs, cron=cron, tz=tz, overlap=_overlap(overlap),
            catchup=None if catchup is None else seconds(catchup, "catchup"),
            jitter=0.0 if jitter is None else seconds(jitter, "jitter"),
            created_at=now, next_at=table.after(now),
        )  # fmt: skip

    async def declare(self, draft: ScheduleRecord) -> ScheduleRecord:
        """
        The schedule of this draft, which is made or changed, or stays as it is if nothing differs.

        Raises:
            UsageError: there is one of this name of another workflow.
        """
        while True:
            known = await self._get(draft.name)
            if known is not None and known.workflow != draft.workflow:
                raise UsageError(
                    f"schedule {known.name!r} is one of {known.workflow}, not of {draft.workflow}; "
                    "choose another name, or delete that one first"
                )
            if known is not None and known.definition == draft.definition:
                return known
            stored = await self.store.put_schedule(draft if known is None else known.redefined(draft))
            if stored is not None:
                return stored

    async def all(self) -> list[ScheduleRecord]:
        """All of them, by name."""
        return await self.store.schedules()

    async def find(self, name: str) -> ScheduleRecord:
        """
        The schedule of this name.

        Raises:
            ScheduleNotFoundError: there is none.
        """
        record = await self._get(name)
        if record is None:
            names = [each.name for each in await self.all()]
            raise ScheduleNotFoundError(name, self.store.url, did_you_mean(name, names, "schedules"))
        return record

    async def pause(self, name: str) -> ScheduleRecord:
        """It, and nothing is begun by its times from now on; errors as of `find`."""
        return await self.change(name, ScheduleRecord.paused)

    async def resume(self, name: str) -> ScheduleRecord:
        """It, going on with the first time that is to come; errors as of `find`."""
        return await self.change(name, lambda record: record.resumed(table_of(record), self.clock.now()))

    async def ask(self, name: str) -> tuple[str, ScheduleRecord]:
        """
        Ask for a run at once, of whoever serves the schedule; durable when this returns. Errors as of `find`.

        Returns:
            The id that the run will have, and the schedule.
        """
        run_id, now = asked_id(name), self.clock.now()
        return run_id, await self.change(name, lambda record: record.asked_for(run_id, now))

    async def delete(self, name: str) -> None:
        """Delete it; its runs stay. Errors as of `find`."""
        if not await self.store.delete_schedule(name):
            await self.find(name)

    async def change(self, name: str, change: Callable[[ScheduleRecord], ScheduleRecord]) -> ScheduleRecord:
        """It, as this makes it of what the store has; nothing is written if that is the same. Errors as of `find`."""
        while True:
            record = await self.find(name)
            changed = change(record)
            if changed == record:
                return record
            stored = await self.store.put_schedule(changed)
            if stored is not None:
                return stored

    async def _get(self, name: str) -> ScheduleRecord | None:
        return next(iter(await self.store.schedules(name)), None)


def asked_id(name: str) -> str:
    """The id of a run that somebody asked for."""
    return f"{name}@asked-{secrets.token_hex(4)}"


def _checked_name(name: object) -> str:
    is_text = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()
    if isinstance(name, str) and is_text:
        return name
    raise UsageError(
        f"the name of a schedule takes text of 1 to {_LONGEST_NAME} printable characters without blanks around, "
        f"not {name!r}"
    )


def _overlap(value: object) -> Overlap:
    try:
        return Overlap(str(value))
    except ValueError:
        known = ", ".join(repr(str(each)) for each in Overlap)
        raise bad_option("overlap", f"overlap takes one of {known}, not {value!r}") from None
