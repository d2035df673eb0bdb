"""The commands that study runs: what they take, and what their help says."""

from typing import Annotated

from cyclopts import App, Parameter

from ..core.names import LAST
from . import options
from .common import DEFAULTS, Common

Run = Annotated[str, Parameter(help="Which run.")]


def add_to(app: App) -> None:
    """Let the program have these commands, too."""
    app.command(explain, sort_key=8.1)
    app.command(step, sort_key=8.2)
    app.command(diff, sort_key=8.3)


def explain(
    run: Run,
    step: Annotated[str, Parameter(help="The step, or an item of it: parse, 'parse[3]'.")],
    /,
    *,
    common: Common = DEFAULTS,
) -> int:
    """
    Say in one sentence why a step is where it is: why it waits, was skipped, is tried again, and when.

    orchwf explain last report
    orchwf explain 7f3a 'parse[3]' --json
    """
    from . import explain as explaining

    return options.run_async(explaining.told(common.output, common.place, run, step))


def step(
    target: options.Target,
    step: Annotated[str, Parameter(help="The step, or an item of it: parse, 'parse[3]'.")],
    /,
    *,
    from_run: Annotated[str, Parameter(name="--from", help="The run that says what its body is called with.")],
    pdb: Annotated[
        bool, Parameter(negative="", help="Let pdb show where the body raises.", show_default=False)
    ] = False,
    trace: Annotated[
        bool, Parameter(negative="", help="Let pdb stop at the first line of the body.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Run the body of one step again, here, with the arguments that a run recorded; nothing is written.

    orchwf step flow.py validate --from last-failed --pdb
    orchwf step flow.py 'parse[3]' --from 7f3a --trace

    What the body does outside, such as a payment, it does again.
    """
    import asyncio

    from . import step_command

    output = common.output
    wanted = step_command.Wanted(target=target, step=step, run=from_run, post_mortem=pdb, trace=trace)
    found, record, body = asyncio.run(step_command.prepared(output, common.place, wanted))
    return step_command.run_body(output, found, record, body, wanted)


def diff(
    first: Annotated[str, Parameter(help="The run that is compared with, such as one that went well.")],
    second: Annotated[str, Parameter(help="The run that is looked at.")] = LAST,
    /,
    *,
    all: Annotated[  # noqa: A002  As the option is called.
        bool, Parameter(negative="", help="All steps, however many.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Say in what two runs of one workflow differ: inputs, definition, states, durations and outputs.

    orchwf diff 7f3a last
    orchwf diff monday tuesday --json
    """
    from . import diff_command

    return options.run_async(diff_command.diff(common.output, common.place, first, second, everything=all))
