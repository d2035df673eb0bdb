"""The command `send`: what it takes, and what its help says."""

from typing import Annotated

from cyclopts import Parameter

from . import options
from .common import DEFAULTS, Common


def send(
    run: Annotated[str, Parameter(help="Which run.")],
    signal: Annotated[str, Parameter(help="The signal, by the name of the node that waits for it.")],
    payload: Annotated[
        str | None,
        Parameter(help="What it holds: JSON, or text; - for what is on standard input.", allow_leading_hyphen=True),
    ] = None,
    /,
    *,
    id: Annotated[  # noqa: A002  As the option is called.
        str | None, Parameter(help="What is sent again with the same id counts once.", show_default=False)
    ] = None,
    target: Annotated[str | None, options.Class] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Send a signal to a run, whoever executes it, and be it asleep.

    orchwf send 7f3a approved
    orchwf send 7f3a paid '{"amount": 9.99}' --id invoice-17
    curl https://bank.example/17 | orchwf send 7f3a paid -

    When the command returns it is in the store. It counts also if no step waits
    for it yet; of several of one name the first does.
    """
    from . import sending

    work = sending.send(common.output, common.place, run, signal, payload, given_id=id, target=target)
    return options.run_async(work)
