"""
The commands: what they take, and what their help says.

What a command does is imported when it is called: help, completion and a word that is wrong need none of it.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from .. import __version__
from ..core.names import LAST_FAILED
from . import options
from .common import DEFAULTS, Common
from .copy_command import copy
from .exits import CommandError
from .look_commands import add_to as add_look_commands
from .schedule_commands import add_to as add_schedule_commands
from .send_command import send
from .store_commands import add_to as add_store_commands
from .study_commands import add_to as add_study_commands
from .ui_command import ui
from .worker_command import worker

_HELP = """
Durable workflows: checked before they run, resumed where they were.

A TARGET is a workflow: file.py, file.py:Class or package.module:Class.
A RUN is the id of one, a prefix of it that no other has, last, or last-failed.

  orchwf check flow.py                   compile it, run nothing
  orchwf run flow.py -i day=monday       run it
  orchwf show                            how the last run went
  orchwf resume                          go on with what failed last
  orchwf doctor                          what waits for somebody, and why

Exit codes: 0 done, 1 run failed, cancelled or paused (of doctor: there
are findings), 2 definition or usage, 3 timed out, 4 store unavailable or
damaged, 5 not found, 130 and 143 interrupted (the run can be resumed).
"""

app = App(name="orchwf", help=_HELP, help_format="plaintext", version=__version__, version_format="plaintext")


@app.command(sort_key=1)
def check(*targets: options.Target, common: Common = DEFAULTS) -> int:
    """
    Compile workflows and report all that is wrong with them; nothing is run.

    orchwf check flow.py
    orchwf check flows/*.py --json
    """
    if not targets:
        raise CommandError("name at least one workflow: orchwf check file.py")
    from . import draw

    return draw.check(common.output, targets)


@app.command(sort_key=2)
def graph(
    target_or_run: Annotated[str, Parameter(help="A workflow, or a run: then with the state of each step.")],
    /,
    *,
    format: Annotated[  # noqa: A002  As the option is called.
        options.Format | None,
        Parameter(name=["--format", "-f"], help="Otherwise what the suffix of FILE says, or text."),
    ] = None,
    file: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write to this file.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Draw a workflow, or a run of one.

    orchwf graph flow.py
    orchwf graph last -o run.svg
    """
    from . import draw

    return draw.graph(common.output, common.place, target_or_run, form=format, file=file)


@app.command(sort_key=3)
def run(
    target: options.Target,
    /,
    *,
    input: Annotated[list[str] | None, options.Input] = None,  # noqa: A002  As the option is called.
    inputs: Annotated[str | None, options.Inputs] = None,
    run_id: Annotated[str | None, options.RunId] = None,
    tag: Annotated[list[str] | None, options.Tag] = None,
    jobs: Annotated[int | None, options.Jobs] = None,
    only: Annotated[list[str] | None, options.Only] = None,
    until: Annotated[str | None, options.Until] = None,
    dry_run: Annotated[bool, options.DryRun] = False,
    no_cache: Annotated[bool, options.NoCache] = False,
    detach: Annotated[bool, options.Detach] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Run a workflow and wait for it; or leave it to a worker.

    orchwf run flow.py -i day=2026-11-02 -i 'shops=["a", "b"]'
    orchwf run flow.py:Sales --inputs monday.json --run-id monday --tag team=eu -j 4
    orchwf run flow.py --detach -q              print the id, and return at once
    orchwf run flow.py --until validate         this step, and what it needs
    orchwf run flow.py --only tag:load --dry-run

    With --json it prints an event a line, and the whole run as the last line.
    """
    from ..core.dag import dag_of
    from . import execute, planning
    from .detach import detach as leave_to_worker
    from .inputs import make_instance
    from .leaving import run_in_time
    from .loading import load_one, parse_target

    output = common.output
    loaded = load_one(parse_target(target))
    for warning in loaded.warnings:
        output.warn(warning)
    (workflow,) = loaded.workflows
    instance = make_instance(dag_of(workflow), input or [], inputs)
    labels, stage = options.labels(tag), options.stage_for(common, jobs)
    chosen = planning.chosen(dag_of(workflow), only or [], until)
    if dry_run:
        return planning.tell_plan(output, dag_of(workflow), chosen)
    if detach:
        work = leave_to_worker(
            output, common.place, instance, target=target, run_id=run_id, tags=labels, use_cache=not no_cache,
            only=None if chosen is None else sorted(chosen),
        )  # fmt: skip
        return options.run_async(work)
    return run_in_time(
        lambda deadline: execute.run(
            stage(deadline), instance, run_id=run_id, tags=labels, use_cache=not no_cache, only=chosen
        )
    )


@app.command(sort_key=4)
def resume(
    run: Annotated[str, Parameter(help="Which run.")] = LAST_FAILED,
    /,
    *,
    rerun: Annotated[list[str] | None, options.Rerun] = None,
    skip: Annotated[list[str] | None, options.Skip] = None,
    value: Annotated[list[str] | None, options.Value] = None,
    adopt: Annotated[bool, options.Adopt] = False,
    target: Annotated[str | None, options.Class] = None,
    jobs: Annotated[int | None, options.Jobs] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Go on with a failed, paused or interrupted run: only what did not complete.

    orchwf resume
    orchwf resume 7f3a
    orchwf resume 7f3a --rerun charge           it did not take effect: run it again
    orchwf resume 7f3a --value charge='"R-17"'  it did, and this is what it returned
    orchwf resume 7f3a --skip notify            go on without it
    orchwf resume 7f3a --adopt                  with the graph that the code has now

    --rerun, --skip and --value are for steps that failed, that have no attempts
    left, or that run at most once and were in flight when their process died.
    Of a run that could not be undone, only that is tried again.
    """
    from . import execute
    from .answers import Given
    from .leaving import run_in_time

    given, stage = Given(rerun=rerun or [], skip=skip or [], values=value or []), options.stage_for(common, jobs)
    return run_in_time(lambda deadline: execute.resume(stage(deadline), run, target=target, given=given, adopt=adopt))


@app.command(sort_key=5)
def fork(
    run: Annotated[str, Parameter(help="The run to reuse.")],
    /,
    *,
    from_step: Annotated[str, Parameter(name="--from", help="The step that is to run anew, with all that needs it.")],
    input: Annotated[list[str] | None, options.Input] = None,  # noqa: A002  As the option is called.
    inputs: Annotated[str | None, options.Inputs] = None,
    run_id: Annotated[str | None, options.RunId] = None,
    target: Annotated[str | None, options.Class] = None,
    jobs: Annotated[int | None, options.Jobs] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Start a new run that reuses what another one did before a step, and wait for it.

    orchwf fork 7f3a --from report
    orchwf fork 7f3a --from load -i day=2026-11-03 --run-id again

    Kept is what completed or was skipped, but for this step and all that needs
    it; with other inputs, only what this step needs. What was undone runs again.
    """
    from . import execute
    from .leaving import run_in_time

    stage = options.stage_for(common, jobs)
    return run_in_time(
        lambda deadline: execute.fork(
            stage(deadline), run, step=from_step, pairs=input or [], file=inputs, run_id=run_id, target=target
        )
    )


@app.command(sort_key=9)
def cancel(
    run: Annotated[str, Parameter(help="Which run.")],
    /,
    *,
    reason: Annotated[str, options.Reason] = "",
    terminate: Annotated[
        bool, Parameter(negative="", help="End it at once: nothing is cleaned up or undone.", show_default=False)
    ] = False,
    target: Annotated[str | None, options.Class] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Ask a run to end, whoever executes it; what cleans up runs, and what it did is undone.

    orchwf cancel 7f3a --reason "wrong day"
    orchwf cancel 7f3a --terminate

    A paused or interrupted run is taken up here for that; with --terminate its
    code is not needed.
    """
    from . import ask
    from .leaving import run_in_time

    stage = options.stage_for(common, None)
    return run_in_time(
        lambda deadline: ask.cancel(stage(deadline), run, reason=reason, terminate=terminate, target=target)
    )


@app.command(sort_key=10)
def pause(
    run: Annotated[str, Parameter(help="Which run.")],
    /,
    *,
    reason: Annotated[str, options.Reason] = "",
    common: Common = DEFAULTS,
) -> int:
    """
    Ask a run to pause, whoever executes it: what runs may end, and nothing new starts until the run is resumed.

    orchwf pause 7f3a --reason "the bank is closed"
    orchwf resume 7f3a
    """
    from . import ask
    from .leaving import run_in_time

    stage = options.stage_for(common, None)
    return run_in_time(lambda deadline: ask.pause(stage(deadline), run, reason=reason))


app.command(send, sort_key=10.5)


@app.command(sort_key=11)
def doctor(
    *,
    app: Annotated[  # What is meant by it, as the option is called.
        list[str] | None,
        Parameter(name="--app", negative="", help="Workflows that there are now, as a TARGET. Repeatable."),
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Look whether all is well with a store and its runs, and say what to do where it is not.

    orchwf doctor
    orchwf doctor --app flows/sales.py --app shop.orders:Fulfil

    With --app also: which unfinished runs the code cannot go on with as it is
    now, and why.
    """
    from . import examine
    from .loading import load, parse_target

    loaded = [load(parse_target(text)) for text in app or []]
    for warning in [warning for each in loaded for warning in each.warnings]:
        common.output.warn(warning)
    apps = [workflow for each in loaded for workflow in each.workflows] if app else None
    return options.run_async(examine.doctor(common.output, common.place, apps))


add_schedule_commands(app)
add_look_commands(app)
add_study_commands(app)
add_store_commands(app)
app.command(worker, alias="serve", sort_key=14)
app.command(ui, sort_key=15)
app.command(copy, sort_key=15)
