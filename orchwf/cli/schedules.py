"""`schedules` and what stands below it: what reads and changes schedules, and begins nothing."""

import asyncio
import shlex
from collections.abc import Sequence

from ..core.dag import dag_of
from ..core.lines import Line
from ..core.schedules import ScheduleRecord
from ..errors import command_line
from ..labels import visible
from ..ports import RunRecord, Store
from ..runtime.clock import WallClock
from ..runtime.schedules import Schedules, table_of
from ..views import schedule_row, time_rows, utc_time, zone_time
from .documents import schedule_document, time_document
from .exits import CommandError, Exit
from .inputs import make_instance
from .loading import load_one, parse_target
from .output import Output, table
from .places import Place, opened

PATIENCE = 7.0
"""Seconds to wait for whoever serves a schedule to begin a run: they look every five."""

_TITLES = ("name", "workflow", "cron", "zone", "state", "next", "next in UTC", "last", "last run")
_DROPPED = ("next in UTC", "zone", "workflow", "last run", "last", "cron")
_LEAST_RUN = 12
_TIME_TITLES = ("time", "UTC", "")
_POLL = 0.2


async def listed(output: Output, place: Place) -> int:
    """List the schedules."""
    async with opened(place.url) as store:
        records = await store.schedules()
        last = [await _last(store, record) for record in records]
    if output.json:
        documents = [schedule_document(record, run) for record, run in zip(records, last, strict=True)]
        output.document({"schedules": documents})
    elif not records:
        output.lines([Line("there are no schedules yet: orchwf schedules add file.py --cron '0 6 * * *'")])
    else:
        rows = [schedule_row(record, table_of(record), run) for record, run in zip(records, last, strict=True)]
        cells = [
            (row.name, row.workflow, row.cron, row.tz, row.state, row.next, row.utc, row.last, row.last_run)
            for row in rows
        ]
        head, *lines = table(cells, titles=_TITLES, width=output.width, drop=_DROPPED, least=_LEAST_RUN)
        output.lines([Line(head, weight="faint"), *map(Line, lines)])
    return Exit.DONE


async def _last(store: Store, record: ScheduleRecord) -> RunRecord | None:
    return await store.get(record.last_run) if record.last_run else None


async def add(
    output: Output,
    place: Place,
    target: str,
    *,
    pairs: Sequence[str],
    file: str | None,
    cron: str,
    tz: str,
    overlap: str,
    catchup: str | None,
    jitter: str | None,
    name: str | None,
    replace: bool,
) -> int:
    """Make a schedule, or change it."""
    loaded = load_one(parse_target(target))
    for warning in loaded.warnings:
        output.warn(warning)
    instance = make_instance(dag_of(loaded.workflows[0]), pairs, file)
    async with opened(place.url, must_exist=False) as store:
        schedules = Schedules(store, WallClock())
        draft = await schedules.drafted(
            instance, cron=cron, tz=tz, overlap=overlap, catchup=catchup, jitter=jitter, name=name
        )
        known = next(iter(await store.schedules(draft.name)), None)
        is_other = known is not None and known.definition != draft.definition
        if is_other and not replace:
            raise CommandError(
                f"there is a schedule {draft.name!r} already, which is another one; "
                "change it with --replace, or choose another --name"
            )
        record = await schedules.declare(draft)
    done = "is added" if known is None else "is changed" if is_other else "is there already, and stays as it is"
    _told(output, record, done)
    output.lines([Line(f"  Serve it with:  {command_line('worker', target, place.named)}", weight="faint")])
    return Exit.DONE


def _told(output: Output, record: ScheduleRecord, text: str) -> None:
    """Say what became of a schedule, and what comes next."""
    if output.json:
        output.document(schedule_document(record, None))
        return
    lines = [Line(f"+ schedule {visible(record.name)} {text}", "completed")]
    if not record.is_paused:
        at = table_of(record).local(record.next_at)
        lines.append(Line(f"  next  {zone_time(at)}   ({utc_time(at)} UTC)"))
    output.lines(lines)


async def pause(output: Output, place: Place, name: str) -> int:
    """Let a schedule begin nothing by the clock."""
    async with opened(place.url) as store:
        record = await Schedules(store, WallClock()).pause(name)
    _told(output, record, "is paused")
    words = [
        "resume",
        *(["--store", place.named] if place.named else []),
        *(["--"] if name.startswith("-") else []),
        name,
    ]
    output.lines([Line(f"  Go on with:  {shlex.join(['orchwf', 'schedules', *words])}", weight="faint")])
    return Exit.DONE


async def resume(output: Output, place: Place, name: str) -> int:
    """Let a schedule go on."""
    async with opened(place.url) as store:
        record = await Schedules(store, WallClock()).resume(name)
    _told(output, record, "goes on")
    return Exit.DONE


async def remove(output: Output, place: Place, name: str) -> int:
    """Delete a schedule."""
    async with opened(place.url) as store:
        schedules = Schedules(store, WallClock())
        record = await schedules.find(name)
        await schedules.delete(name)
    if output.json:
        output.document(schedule_document(record, None))
    output.lines([Line(f"+ schedule {visible(name)} is removed; its runs stay", "completed")])
    return Exit.DONE


async def trigger(output: Output, place: Place, name: str) -> int:
    """Ask whoever serves a schedule for a run at once, and wait a little to see it begin."""
    async with opened(place.url) as store:
        run_id, record = await Schedules(store, WallClock()).ask(name)
        is_begun = await _begun(store, run_id)
    if output.json:
        output.document({"schedule": name, "run": run_id, "begun": is_begun})
    elif is_begun:
        show = command_line("show", run_id, place.named)
        output.lines([Line(f"> run {run_id} has begun", "running"), Line(f"  See it with:  {show}", weight="faint")])
    else:
        worker = command_line("worker", record.entrypoint, place.named)
        output.lines(
            [
                Line(f"o run {run_id} is asked for, and begins as soon as somebody serves {visible(name)}", "paused"),
                Line(f"  Nobody seems to serve it:  {worker}", weight="faint"),
            ]
        )
    return Exit.DONE


async def _begun(store: Store, run_id: str) -> bool:
    """Whether this run begins within our patience."""
    for _ in range(round(PATIENCE / _POLL)):
        if await store.get(run_id) is not None:
            return True
        # Another process writes it; SQLite tells nobody of that.
        await asyncio.sleep(_POLL)
    return False


async def upcoming(output: Output, place: Place, name: str, *, count: int) -> int:
    """Tell the times of a schedule that come next."""
    if count < 1:
        raise CommandError(f"-n takes a number of at least 1, not {count}")
    async with opened(place.url) as store:
        schedules = Schedules(store, WallClock())
        record = await schedules.find(name)
    times = table_of(record)
    at = max(record.next_at, times.after(schedules.clock.now())) if record.is_paused else record.next_at
    instants = [at]
    while len(instants) < count:
        instants.append(times.after(instants[-1]))
    rows = time_rows(record.name, times, instants)
    if output.json:
        documents = [time_document(row) for row in rows]
        output.document({"schedule": name, "tz": record.tz, "paused": record.is_paused, "times": documents})
        return Exit.DONE
    if record.is_paused:
        output.lines([Line(f"o schedule {visible(name)} is paused; these would be its times:", "paused")])
    cells = [(zone_time(row.at), utc_time(row.at), row.note) for row in rows]
    head, *lines = table(cells, titles=_TIME_TITLES, width=None, drop=(), least=0)
    output.lines([Line(head, weight="faint"), *map(Line, lines)])
    return Exit.DONE
