"""The commands that study runs: what they take, and what their help says."""

import asyncio
from typing import Annotated

from cyclopts import App, Parameter

from . import explain as explaining
from .common import DEFAULTS, Common

Run = Annotated[str, Parameter(help="Which run.")]


def add_to(app: App) -> None:
    """Let the program have these commands, too."""
    app.command(explain, sort_key=8.1)


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
    return asyncio.run(explaining.told(common.output, common.place, run, step))
