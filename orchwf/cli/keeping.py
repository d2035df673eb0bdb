"""`prune` and `migrate`: what keeps a store in order."""

from collections.abc import Sequence

from ..core.lines import Line, brief
from ..core.options import seconds
from ..core.state import RunStatus
from ..core.wording import plural
from ..errors import BadOptionError
from ..orchestrator import Orchestrator
from .exits import CommandError, Exit
from .output import Output
from .places import Place, opened


async def prune(output: Output, place: Place, older_than: str, statuses: Sequence[RunStatus]) -> int:
    """Delete runs that ended longer ago than that."""
    try:
        seconds(older_than, "--older-than")
    except BadOptionError:
        raise CommandError(
            f"--older-than takes how long ago they ended, such as 12h or 30d, not {brief(older_than)!r}"
        ) from None
    async with opened(place.url) as store, Orchestrator(store) as orchestrator:
        deleted = await orchestrator.prune(older_than=older_than, status=list(statuses) or None)
    if output.json:
        output.document({"deleted": deleted})
    output.lines(
        [Line(f"+ {plural(deleted, 'run')} deleted that ended more than {brief(older_than)} ago", "completed")]
    )
    return Exit.DONE


async def migrate(output: Output, place: Place) -> int:
    """See that the store has the newest schema."""
    async with opened(place.url, must_exist=False) as store:
        url, facts = store.url, await store.facts()
    schema = facts.get("schema")
    if output.json:
        output.document({"store": url, "schema": None if schema is None else int(schema)})
    told = "needs no schema" if schema is None else f"has schema {schema}, the newest one"
    output.lines([Line(f"+ {brief(url)} {told}", "completed")])
    return Exit.DONE
