"""`backfill`: executes the runs of a schedule for a range of time, here."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from ..core.lines import STOPPED, Line, brief
from ..core.schedules import ScheduleRecord
from ..core.state import RunStatus
from ..core.wording import plural
from ..errors import resume_command
from ..labels import visible
from ..orchestrator import Orchestrator
from ..runtime.backfill import ScheduledRun, checked_range, planned, told
from ..runtime.clock import WallClock
from ..runtime.interrupts import Interrupt
from ..runtime.schedules import Schedules, table_of
from ..views import iso_time, mark_of, utc_time, zone_time
from .classes import workflow_of
from .documents import Document
from .execute import GRACE, Stage
from .exits import CommandError, Exit
from .output import Output, table
from .worker import RunDisplay, told_to_stop, until_told

_JOBS = 256
_TITLES = ("time", "UTC", "status", "run")
_MOST_TOLD = 5


async def backfill(
    stage: Stage, name: str, *, start: str, end: str | None, dry_run: bool, at_once: int, target: str | None
) -> int:
    """Execute the runs of these times, or tell which they are."""
    if at_once < 1:
        raise CommandError(f"--at-once takes a number of at least 1, not {at_once}")
    async with stage.opened() as store:
        schedules = Schedules(store, WallClock())
        record = await schedules.find(name)
        zone, now = table_of(record).zone, schedules.clock.now()
        first = _instant("--from", start, zone)
        last = _instant("--to", end, zone) if end is not None else datetime.fromtimestamp(now, zone)
        times = await planned(record, *checked_range(first, last, None if dry_run else now))
        before = await told(store, times)
        if dry_run or not times:
            return _listed(stage.output, record, before)
        workflow = workflow_of(stage.output, record, target)
        _tell_begin(stage.output, name, before)
        orchestrator = Orchestrator(
            store, max_concurrency=stage.jobs or _JOBS, grace=GRACE, observers=[RunDisplay(stage.output)]
        )
        async with told_to_stop(stage, orchestrator, "type it again to go on", GRACE) as interrupt:
            schedule = await orchestrator.get_schedule(name, workflow=workflow)
            await until_told(schedule.backfill(first, last, concurrency=at_once), interrupt)
        return _conclude(stage, await told(store, times), interrupt)


def _tell_begin(output: Output, name: str, times: Sequence[ScheduledRun]) -> None:
    kept = sum(each.status is not None for each in times)
    beside = f", {kept:,} of them run before" if kept else ""
    if not output.quiet:
        text = f"> backfill of {visible(name)}, {plural(len(times), 'time')}{beside}"
        output.lines([Line(text, "running", "strong")])


def _listed(output: Output, schedule: ScheduleRecord, times: Sequence[ScheduledRun]) -> int:
    """Tell the times, and what became of each."""
    if output.json:
        output.document({"schedule": schedule.name, "times": _documents(times)})
    elif not times:
        output.lines([Line(f"{visible(schedule.name)} has no time in this range")])
    else:
        cells = [
            (zone_time(each.at), utc_time(each.at), str(each.status or ""), visible(each.run_id)) for each in times
        ]
        head, *lines = table(cells, titles=_TITLES, width=output.width, drop=("UTC",), least=len(cells[0][-1]))
        output.lines([Line(head, weight="faint"), *map(Line, lines)])
    return Exit.DONE


def _documents(times: Sequence[ScheduledRun]) -> list[Document]:
    return [
        {
            "at": each.at.isoformat(),
            "utc": iso_time(each.at.timestamp()),
            "run": each.run_id,
            "status": None if each.status is None else str(each.status),
        }
        for each in times
    ]


def _conclude(stage: Stage, times: Sequence[ScheduledRun], interrupt: Interrupt) -> int:
    """Tell what became of all of it, and give the exit code."""
    counts = Counter(str(each.status or "to do") for each in times)
    is_whole = counts.keys() == {str(RunStatus.COMPLETED)}
    told_counts = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    if stage.output.json:
        stage.output.document({"times": _documents(times)}, indent=None)
    tone = "completed" if is_whole else STOPPED if interrupt.number else "failed"
    lines = [Line(f"{mark_of(tone)} backfill: {told_counts}", tone, "strong")]
    if interrupt.number and not is_whole:
        lines.append(Line("  Go on with it:  type the same again"))
    else:
        left = [each for each in times if each.status in (RunStatus.FAILED, RunStatus.PAUSED)][:_MOST_TOLD]
        ways_on = [(mark_of(str(each.status)), resume_command(each.run_id, stage.place.named)) for each in left]
        lines += [Line(f"  {mark} {way_on}") for mark, way_on in ways_on]
    stage.output.lines(lines)
    if interrupt.number and not is_whole:
        return interrupt.exit_code
    return Exit.DONE if is_whole else Exit.FAILED


def _instant(option: str, text: str, zone: ZoneInfo) -> datetime:
    """The instant meant by `2026-11-02` or `2026-11-02T08:30`, on the clocks of the zone unless it names another."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{option} takes a day or a time, such as 2026-11-02 or 2026-11-02T08:30, not {brief(text)!r}"
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
