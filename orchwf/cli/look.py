"""`runs`, `show` and `events`: what only reads a store."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from ..core.events import EVENT_TYPES, Event, StepEvent
from ..core.history import StepRecord
from ..core.lines import Line, brief, name_width
from ..core.progress import told_status
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..core.wording import count_steps, counts_text, plural
from ..drawing import to_text
from ..errors import StoreError
from ..labels import visible
from ..ports import RunQuery, RunRecord, Store
from ..runtime.result import run_picture
from ..runtime.stored import stored_dag, stored_json
from ..views import (
    Found,
    attempt_lines,
    event_line,
    interruption,
    is_interrupted,
    item_lines,
    local_time,
    mark_of,
    past_instant,
    read_run,
    run_row,
    step_line,
    steps_to_show,
    tags_text,
)
from .documents import event_document
from .exits import CommandError, Exit
from .finding import document_of, find_run, found_document
from .output import Output, table
from .places import Place, opened

_TITLES = ("", "status", "workflow", "run", "started", "took", "tags", "error")
_DROPPED = ("tags", "took", "error", "started", "workflow")
_LEAST_ERROR = 16
_MOST_STEPS = 40
_POLL = 0.2


def since_epoch(text: str) -> float:
    """
    The instant meant by `2d` (so long ago) or `2026-11-02T08:30` (local time, unless it names a zone): epoch seconds.

    Raises:
        CommandError: it is neither.
    """
    try:
        return past_instant(text, time.time())
    except ValueError:
        raise CommandError(
            f"--since takes how long ago (30m, 12h, 2d) or when (2026-11-02T08:30), not {brief(text)!r}"
        ) from None


# All runs.


async def runs(
    output: Output,
    place: Place,
    *,
    statuses: Sequence[RunStatus],
    workflow: str | None,
    tags: Mapping[str, str],
    since: str | None,
    limit: int,
) -> int:
    """List runs, newest first."""
    if limit < 1:
        raise CommandError(f"--limit takes a number of at least 1, not {limit}")
    query = RunQuery(
        workflow=workflow, statuses=list(statuses) or None, tags=tags,
        since=None if since is None else since_epoch(since), limit=limit + 1,
    )  # fmt: skip
    async with opened(place.url) as store:
        found = await store.runs(query)
        is_empty = not found and not await store.runs(RunQuery(limit=1))
    shown = found[:limit]
    if output.json:
        output.document({"runs": [document_of(record) for record in shown], "more": len(found) > limit})
        return Exit.DONE
    if not shown:
        output.lines([Line("no run matches" if not is_empty else "there are no runs yet: orchwf run file.py")])
        return Exit.DONE
    output.lines(runs_table(shown, time.time(), output.width))
    if len(found) > limit:
        output.lines([Line(f"and more: --limit {2 * limit}", weight="faint")])
    return Exit.DONE


def runs_table(records: Sequence[RunRecord], now: float, width: int | None) -> list[Line]:
    """
    Runs as the lines of a table.

    Args:
        width: The columns of the terminal: what does not fit is left out, the id never. None for no bound.
    """
    rows = [run_row(record, now, interruption=interruption(record)) for record in records]
    cells_of = [
        (mark_of(row.status), row.status, row.workflow, row.id, row.started, row.took, row.tags, row.error)
        for row in rows
    ]
    lines = table(cells_of, titles=_TITLES, width=width, drop=_DROPPED, least=_LEAST_ERROR)
    head = Line(lines[0], weight="faint")
    return [head, *(Line(line, row.status) for line, row in zip(lines[1:], rows, strict=True))]


# One run.


async def show(output: Output, place: Place, run: str, *, step: str | None, graph: bool, everything: bool) -> int:
    """Tell how a run went: the error first, then its steps."""
    async with opened(place.url) as store:
        found = await read_run(store, await find_run(store, run))
    if step is not None:
        return _show_output(output, found, step)
    if output.json:
        output.document(found_document(found, everything=everything))
        return Exit.DONE
    output.lines(found.report(store=place.named, verbose=output.verbose).lines())
    if graph and found.dag is not None:
        picture = run_picture(found.dag, found.result.steps)
        output.lines([Line(""), *map(Line, to_text(picture, encoding=output.encoding).rstrip().splitlines())])
    elif not output.quiet:
        output.lines([Line(""), *_steps(found, None if everything else _MOST_STEPS)])
    if not output.quiet:
        output.lines([Line(""), *_facts(found)])
    return Exit.DONE


def _steps(found: Found, limit: int | None) -> list[Line]:
    steps = list(found.result.steps.values())
    shown = steps if limit is None else steps_to_show(steps, limit)
    interrupted = is_interrupted(found.record)
    width, now, lines = name_width(record.name for record in shown), time.time(), []
    for record in shown:
        lines += [step_line(record, found.dag, width, now, interrupted=interrupted), *attempt_lines(record)]
        lines += item_lines(record, found.dag, now, everything=limit is None)
    if len(shown) < len(steps):
        names = {record.name for record in shown}
        rest = counts_text(count_steps(told_status(record) for record in steps if record.name not in names))
        lines.append(Line(f"  and {plural(len(steps) - len(shown), 'step')} more ({rest}): --all", weight="faint"))
    return lines


def _facts(found: Found) -> list[Line]:
    record, inputs = found.record, json.loads(found.history.inputs)
    told = {
        "forked": f"from {found.history.origin}" if found.history.origin else "",
        "for": f"run {found.history.parent}" if found.history.parent else "",
        "inputs": ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in inputs.items()),
        "tags": tags_text(record.tags),
        "metadata": json.dumps(dict(record.metadata), ensure_ascii=False) if record.metadata else "",
        "started": local_time(record.created_at),
        "ended": "" if record.ended_at is None else local_time(record.ended_at),
        "workflow": f"{record.entrypoint} version {record.version}",
    }
    return [Line(f"  {name:<9} {brief(text)}", weight="faint") for name, text in told.items() if text]


def _show_output(output: Output, found: Found, step: str) -> int:
    record = _record_of(found, step)
    text = record.result
    if text is None:
        raise CommandError(
            f"step {step!r} of run {found.record.id!r} has no output: it is {told_status(record)}", Exit.NOT_FOUND
        )
    value = stored_json(text, f"the output of step {step!r} of run {found.record.id!r}")
    if output.json:
        output.document({"run": found.record.id, "step": step, "output": value})
    elif isinstance(value, str):
        output.text(_harmless(value) if output.is_terminal else value)
    else:
        output.text(json.dumps(value, indent=2, ensure_ascii=not output.encoding.lower().startswith("utf")))
    return Exit.DONE


_ITEM = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)


def _record_of(found: Found, text: str) -> StepRecord:
    """What became of the step, or of the item `parse[3]`, that is meant by this text."""
    steps = found.result.steps
    match = _ITEM.fullmatch(text) if text not in steps else None
    name = match[1] if match is not None else text
    if name not in steps:
        hint = did_you_mean(name, list(steps), "steps")
        raise CommandError(f"{found.record.workflow} has no step {name!r}. {hint}".rstrip(), Exit.NOT_FOUND)
    if match is None:
        return steps[name]
    item = steps[name].items.get(int(match[2]))
    if item is None:
        count = steps[name].count
        what = "has no items" if not count else f"has the items {name}[0] to {name}[{count - 1}]"
        raise CommandError(f"step {name!r} of run {found.record.id!r} {what}, and no {text}", Exit.NOT_FOUND)
    return item


def _harmless(text: str) -> str:
    """The text for a terminal: with its lines and tabs, but nothing that could move the cursor."""
    return "\n".join(visible(line.replace("\t", "    ")) for line in text.split("\n"))


# Its log.


async def events(output: Output, place: Place, run: str, *, step: str | None, since: str | None, follow: bool) -> int:
    """Print the log of a run."""
    begin = 0.0 if since is None else since_epoch(since)
    async with opened(place.url) as store:
        record = await find_run(store, run)
        wanted = None if step is None else _record_of(await read_run(store, record), step)
        width = await _kind_width(store, record)
        async for event in log_of(store, record.id, follow=follow):
            if event.at < begin or (wanted is not None and not _is_about(event, wanted)):
                continue
            if output.json:
                output.document(event_document(record.id, event), indent=None)
            else:
                output.lines([event_line(event, width)])
            if output.is_broken:
                break
    return Exit.DONE


async def _kind_width(store: Store, record: RunRecord) -> int:
    """The columns for the kinds of events; the longest are those of compensations, which few workflows have."""
    try:
        dag = await stored_dag(store, record.fingerprint)
    except StoreError:
        # The log can be read without it.
        dag = None
    undoes = dag is not None and any(node.compensation is not None for node in dag.nodes.values())
    return max(len(kind) for kind in EVENT_TYPES if undoes or not kind.startswith("compensation."))


def _is_about(event: Event, record: StepRecord) -> bool:
    """Whether something happened to this step, or one of its items; or to this item."""
    if not isinstance(event, StepEvent) or event.step != record.name:
        return False
    return record.item is None or event.item == record.item


async def log_of(store: Store, run_id: str, *, follow: bool) -> AsyncIterator[Event]:
    """The events of a run; with `follow` also those to come, until it has ended or nobody executes it."""
    after = 0
    while True:
        record = await store.get(run_id)
        is_over = record is None or record.status.is_final or is_interrupted(record)
        while page := await store.read(run_id, after=after, limit=1000):
            for event in page:
                yield event
            after = page[-1].seq
        if is_over or not follow:
            return
        # Another process writes it; SQLite tells nobody of that.
        await asyncio.sleep(_POLL)
