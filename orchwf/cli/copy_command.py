"""The command `copy`: what it takes, and what its help says."""

from typing import Annotated

from cyclopts import Parameter

from ..core.state import RunStatus
from . import options
from .common import DEFAULTS, Common
from .exits import Exit


def copy(
    *runs: Annotated[str, Parameter(help="Which runs; otherwise all.")],
    source: Annotated[
        str | None, Parameter(name="--from", help="The store they are in; otherwise that of --store.")
    ] = None,
    target: Annotated[str, Parameter(name="--to", help="The store they are copied to; made if it is not there.")],
    workflow: Annotated[str | None, Parameter(help="Only those of this workflow, by name.")] = None,
    status: Annotated[list[RunStatus] | None, Parameter(negative="", help="Only runs that are so. Repeatable.")] = None,
    move: Annotated[
        bool, Parameter(negative="", help="Delete from the first store what is in the other.", show_default=False)
    ] = False,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only tell what would become of them.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Copy runs, with all that belongs to them, from one store to another.

    orchwf copy --from sqlite:///orchwf.db --to postgresql://app@db.example/orders
    orchwf copy --to sqlite:///failed.db --status failed
    orchwf copy 7f3a --to sqlite:///other.db --move
    orchwf copy --to sqlite:///other.db --dry-run

    A run that has not ended goes on in the other store, where it was; in the first
    it is cancelled, or deleted with --move. One that a living process executes is
    left alone: stop that first. What is there already is passed over, so the same
    command goes on with what was interrupted. Outputs that are kept for other runs
    stay where they are: in the other store they are computed anew.
    """
    from . import copying

    work = copying.copy(
        common.output, source or common.place.url, target, runs, workflow=workflow, statuses=status, move=move,
        dry_run=dry_run,
    )  # fmt: skip
    try:
        return options.run_async(work)
    except KeyboardInterrupt:
        common.output.error("interrupted: what is copied is kept, and the same command goes on from here")
        return Exit.INTERRUPTED
