"""The commands that only look at runs: what they take, and what their help says."""

from typing import Annotated

from cyclopts import App, Parameter

from ..core.names import LAST
from ..core.state import RunStatus
from . import options
from .common import DEFAULTS, Common
from .exits import Exit


def add_to(app: App) -> None:
    """Let the program have these commands, too."""
    app.command(runs, sort_key=6)
    app.command(show, sort_key=7)
    app.command(events, sort_key=8)


def runs(
    *,
    status: Annotated[list[RunStatus] | None, Parameter(negative="", help="Only runs that are so. Repeatable.")] = None,
    workflow: Annotated[str | None, Parameter(help="Only runs of this workflow, by name.")] = None,
    tag: Annotated[list[str] | None, options.Tag] = None,
    since: Annotated[str | None, Parameter(help="Only runs begun since: 30m, 2d, or 2026-11-02T08:30.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = 20,
    watch: Annotated[
        bool, Parameter(negative="", help="Draw the list anew each second, until Ctrl-C.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    List runs, newest first.

    orchwf runs --status failed --since 2d
    orchwf runs --workflow Sales --tag team=eu
    orchwf runs --status running --watch
    """
    from . import look, watching

    wanted = look.Wanted(statuses=status or [], workflow=workflow, tags=options.labels(tag), since=since, limit=limit)
    if not watch:
        return options.run_async(look.runs(common.output, common.place, wanted))
    try:
        return options.run_async(watching.watch(common.output, common.place, wanted))
    except KeyboardInterrupt:
        # It is how one leaves it.
        return Exit.DONE


def show(
    run: Annotated[str, Parameter(help="Which run.")] = LAST,
    /,
    *,
    output: Annotated[str | None, Parameter(help="Print what this step returned, and nothing else.")] = None,
    graph: Annotated[bool, Parameter(negative="", help="Draw the steps as a graph.", show_default=False)] = False,
    timeline: Annotated[
        bool, Parameter(negative="", help="Draw when which step was at work.", show_default=False)
    ] = False,
    all: Annotated[  # noqa: A002  As the option is called.
        bool, Parameter(negative="", help="All steps, however many.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Tell how a run went: what failed first, then each step.

    orchwf show
    orchwf show 7f3a --output report
    orchwf show last --timeline
    """
    from . import look

    as_: look.Form = "timeline" if timeline else "graph" if graph else "steps"
    return options.run_async(look.show(common.output, common.place, run, step=output, as_=as_, everything=all))


def events(
    run: Annotated[str, Parameter(help="Which run.")] = LAST,
    /,
    *,
    step: Annotated[str | None, options.Step] = None,
    attempt: Annotated[int | None, Parameter(help="Only what happened in this attempt, counted from 1.")] = None,
    since: Annotated[str | None, Parameter(help="Only what happened since: 30m, or 2026-11-02T08:30.")] = None,
    follow: Annotated[bool, Parameter(negative="", help="Go on until the run has ended.", show_default=False)] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Print the log of a run.

    orchwf events last --step validate --attempt 2
    orchwf events 7f3a --follow --json
    """
    from . import look

    return options.run_async(
        look.events(common.output, common.place, run, step=step, attempt=attempt, since=since, follow=follow)
    )
