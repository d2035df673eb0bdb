"""The command `ui`: what it takes, and what its help says."""

from typing import Annotated

from cyclopts import Parameter

from . import options
from .common import DEFAULTS, Common
from .exits import CommandError

_LIMIT = 12.5
"""Seconds after which it is ended in any case, once it was told to end."""


def ui(
    *,
    host: Annotated[str, Parameter(help="Where to listen; elsewhere than here nobody may look without the token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Parameter(help="On which port; 0 for one that is free.")] = 8484,
    token: Annotated[
        str, Parameter(help="What to sign in with; otherwise $ORCHWF_UI_TOKEN, or a new one.", show_default=False)
    ] = "",
    read_only: Annotated[bool, Parameter(negative="", help="Nothing can be changed.", show_default=False)] = False,
    no_payloads: Annotated[
        bool, Parameter(negative="", help="Show neither inputs nor outputs.", show_default=False)
    ] = False,
    target: Annotated[
        list[str] | None,
        Parameter(negative="", show_default=False, help="A workflow whose runs are executed here, too. Repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        Parameter(negative="", show_default=False, help="A name by which browsers may call it. Repeatable."),
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Show runs in a browser, until Ctrl-C or SIGTERM.

    orchwf ui
    orchwf ui --store postgresql://db/orders --read-only
    orchwf ui --target flow.py               resume and retry runs of flow.py here
    orchwf ui --host 0.0.0.0 --allow-host runs.example.org

    Whoever wants to change something signs in with the token, which is printed
    here. Runs of workflows that are not named as a --target are resumed where
    their code is; what else can be done reaches whoever executes them.
    """
    if not 0 <= port < 65_536:
        raise CommandError(f"--port takes a number from 0 to 65535, not {port}")
    from .leaving import leave_threads_behind, run_in_time

    try:
        from .ui import Served, serve  # It comes with an extra that may not be installed.
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "orchwf":
            raise
        raise CommandError("the dashboard is not installed; install it with: pip install 'orchwf[dashboard]'") from None
    served = Served(
        host=host, port=port, token=token, is_read_only=read_only, shows_payloads=not no_payloads,
        names=allow_host or (),
    )  # fmt: skip
    stage = options.stage_for(common, None)
    code = run_in_time(lambda deadline: serve(stage(deadline), target or [], served), _LIMIT)
    leave_threads_behind(code)
    return code
