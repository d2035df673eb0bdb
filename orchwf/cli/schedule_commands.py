"""The commands about schedules: what they take, and what their help says."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from . import options
from .common import DEFAULTS, Common

Name = Annotated[str, Parameter(help="Which schedule.")]

schedules_app = App(name="schedules", sort_key=12)


def add_to(app: App) -> None:
    """Let the program have these commands, too."""
    app.command(schedules_app)
    app.command(backfill, sort_key=13)


@schedules_app.default
def list_schedules(*, common: Common = DEFAULTS) -> int:
    """
    List schedules, or make, change and delete them.

    orchwf schedules
    orchwf schedules add flow.py --cron "0 6 * * MON-FRI" --tz Europe/Berlin

    Their runs are begun by processes that serve the workflow: orchwf worker flow.py
    """
    from . import schedules

    return options.run_async(schedules.listed(common.output, common.place))


@schedules_app.command(sort_key=1)
def add(
    target: options.Target,
    /,
    *,
    cron: Annotated[str, Parameter(help='When: "0 6 * * MON-FRI" (minute, hour, day, month, weekday), or @daily.')],
    tz: Annotated[str, Parameter(help="On the clocks of which time zone, such as Europe/Berlin.")] = "UTC",
    input: Annotated[list[str] | None, options.Input] = None,  # noqa: A002  As the option is called.
    inputs: Annotated[str | None, options.Inputs] = None,
    name: Annotated[str | None, Parameter(help="A name for the schedule; otherwise that of the workflow.")] = None,
    overlap: Annotated[
        Literal["skip", "queue", "cancel"], Parameter(help="What to do if the run of the time before has not ended.")
    ] = "skip",
    catchup: Annotated[
        str | None, Parameter(help="Make up for missed times that are no longer ago: 1h, 2d.", show_default=False)
    ] = None,
    jitter: Annotated[
        str | None, Parameter(help="Begin each run later, by less than this: 30s.", show_default=False)
    ] = None,
    replace: Annotated[
        bool, Parameter(negative="", help="Change the schedule if there is one of this name.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Make a schedule of a workflow.

    orchwf schedules add flow.py --cron "0 6 * * MON-FRI" --tz Europe/Berlin
    orchwf schedules add flow.py:Sales --cron @hourly -i shop=eu --name sales-eu --overlap queue --catchup 1d
    """
    from . import schedules

    work = schedules.add(
        common.output, common.place, target, pairs=input or [], file=inputs, cron=cron, tz=tz, overlap=overlap,
        catchup=catchup, jitter=jitter, name=name, replace=replace,
    )  # fmt: skip
    return options.run_async(work)


@schedules_app.command(sort_key=2)
def pause(name: Name, /, *, common: Common = DEFAULTS) -> int:
    """Begin nothing by the clock until the schedule is resumed; times that come meanwhile are not made up for."""
    from . import schedules

    return options.run_async(schedules.pause(common.output, common.place, name))


@schedules_app.command(sort_key=3)
def resume(name: Name, /, *, common: Common = DEFAULTS) -> int:
    """Go on with the first time that is to come."""
    from . import schedules

    return options.run_async(schedules.resume(common.output, common.place, name))


@schedules_app.command(sort_key=4)
def trigger(name: Name, /, *, common: Common = DEFAULTS) -> int:
    """Ask for a run at once, of whoever serves the schedule; its times stay as they are."""
    from . import schedules

    return options.run_async(schedules.trigger(common.output, common.place, name))


@schedules_app.command(sort_key=5)
def remove(name: Name, /, *, common: Common = DEFAULTS) -> int:
    """Delete a schedule; its runs stay."""
    from . import schedules

    return options.run_async(schedules.remove(common.output, common.place, name))


@schedules_app.command(name="next", sort_key=6)
def upcoming(
    name: Name,
    /,
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"], help="How many.")] = 10,
    common: Common = DEFAULTS,
) -> int:
    """Tell the times that come next, and where summer time begins or ends between them."""
    from . import schedules

    return options.run_async(schedules.upcoming(common.output, common.place, name, count=count))


def backfill(
    name: Name,
    /,
    *,
    start: Annotated[str, Parameter(name="--from", help="The first time: 2026-11-02, or 2026-11-02T08:30.")],
    end: Annotated[str | None, Parameter(name="--to", help="Times before this; otherwise before now.")] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only tell which times there are.", show_default=False)
    ] = False,
    at_once: Annotated[int, Parameter(help="How many runs may be under way at once.")] = 1,
    target: Annotated[str | None, options.Class] = None,
    jobs: Annotated[int | None, options.Jobs] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Execute, here, the runs of a schedule that belong to a range of time.

    orchwf backfill nightly --from 2026-11-01 --to 2026-11-08 --dry-run
    orchwf backfill nightly --from 2026-11-01 --to 2026-11-08 --at-once 4

    Times are on the clocks of the schedule's zone. What was run before is not
    run again, however it ended; so the same command goes on with a backfill
    that was interrupted.
    """
    from .backfill import backfill as execute_backfill
    from .leaving import run_in_time

    stage = options.stage_for(common, jobs)
    return run_in_time(
        lambda deadline: execute_backfill(
            stage(deadline), name, start=start, end=end, dry_run=dry_run, at_once=at_once, target=target
        )
    )
