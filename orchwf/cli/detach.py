"""`run --detach`: starts a run that a worker executes."""

from collections.abc import Mapping, Sequence

from ..client import Client
from ..core.lines import Line
from ..errors import command_line
from ..labels import visible
from .execute import naming_the_way_on, new_run_id
from .exits import CommandError, Exit
from .finding import document_of, find_run
from .output import Output
from .places import Place, opened


async def detach(
    output: Output,
    place: Place,
    workflow: object,
    *,
    target: str,
    run_id: str | None,
    tags: Mapping[str, str],
    use_cache: bool,
    only: Sequence[str] | None,
) -> int:
    """Start a run, tell its id, and leave it to whoever serves its workflow."""
    if place.url.startswith("memory:"):
        raise CommandError("--detach takes a store that a worker can reach, such as --store sqlite:///orchwf.db")
    async with opened(place.url, must_exist=False) as store, Client(store) as client:
        with naming_the_way_on(place):
            run = await client.start(workflow, run_id=new_run_id(run_id), tags=tags, use_cache=use_cache, only=only)
        record = await find_run(store, run.id)
    if output.json:
        output.document(document_of(record))
    elif output.quiet:
        output.lines([Line(visible(record.id))])
    else:
        show, worker = command_line("show", record.id, place.named), command_line("worker", target, place.named)
        output.lines(
            [
                Line(f"> {visible(record.workflow)} run {visible(record.id)} waits for a worker", "running"),
                Line(f"  See it with:  {show}", weight="faint"),
                Line(f"  If there is no worker yet:  {worker}", weight="faint"),
            ]
        )
    return Exit.DONE
