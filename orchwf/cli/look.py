"""`runs`, `show` and `events`: what only reads a store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal

import attrs

from ..core.events import EVENT_TYPES, Event, StepEvent
from ..core.history import StepRecord
from ..core.lines import Line, brief, name_width
from ..core.progress import told_status
from ..core.state import RunStatus
from ..core.wording import count_steps, counts_text, plural
from ..drawing import to_text
from ..errors import StoreError
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
from .finding import document_of, find_run, found_document, step_of
from .output import Output, harmless, table
from .places import Place, opened

_TITLES = ("", "status", "workflow", "run", "started", "took", "tags", "error")
_DROPPED = ("tags", "took", "error", "started", "workflow")
_LEAST_ERROR = 16
_MOST_STEPS = 40
_POLL = 0.2

Form = Literal["steps", "graph", "timeline"]
"""As what the steps of a run are shown."""


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


@attrs.frozen(kw_only=True)
class Wanted:
    """
    Which runs are to be listed.

    Attributes:
        statuses, workflow, tags: Those that they have; empty, or None, for any.
        since: As `since_epoch` takes it; None for any.
        limit: How many at most.
    """

    statuses: Sequence[RunStatus] = ()
    workflow: str | None = None
    tags: Mapping[str, str] = attrs.field(factory=dict)
    since: str | None = None
    limit: int = 20

    async def listing(self, store: Store, width: int | None) -> tuple[list[RunRecord], bool, list[Line]]:
        """
        The runs, whether there are more, and the lines that tell of them.

        Raises:
            CommandError: they make no sense.
        """
        if self.limit < 1:
            raise CommandError(f"--limit takes a number of at least 1, not {self.limit}")
        query = RunQuery(
            workflow=self.workflow, statuses=list(self.statuses) or None, tags=self.tags,
            since=None if self.since is None else since_epoch(self.since), limit=self.limit + 1,
        )  # fmt: skip
        found = await store.runs(query)
        shown, has_more = found[: self.limit], len(found) > self.limit
        if not shown:
            is_empty = not await store.runs(RunQuery(limit=1))
            return [], False, [Line("there are no runs yet: orchwf run file.py" if is_empty else "no run matches")]
        more = [Line(f"and more: --limit {2 * self.limit}", weight="faint")] if has_more else []
        return shown, has_more, [*runs_table(shown, time.time(), width), *more]


async def runs(output: Output, place: Place, wanted: Wanted) -> int:
    """List runs, newest first."""
    async with opened(place.url) as store:
        shown, has_more, lines = await wanted.listing(store, output.width)
    if output.json:
        output.document({"runs": [document_of(record) for record in shown], "more": has_more})
    output.lines(lines)
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


async def show(
    output: Output, place: Place, run: str, *, step: str | None, as_: Form,
    everything: bool,
) -> int:  # fmt: skip
    """Tell how a run went: the error first, then its steps, as a tree, a picture or bars."""
    async with opened(place.url) as store:
        found = await read_run(store, await find_run(store, run))
    if step is not None:
        return _show_output(output, found, step)
    if output.json:
        output.document(found_document(found, everything=everything))
        return Exit.DONE
    output.lines(found.report(store=place.named, verbose=output.verbose).lines())
    if as_ == "timeline":
        output.lines([Line(""), *_timeline(found, output, everything=everything)])
    elif as_ == "graph" and found.dag is not None:
        picture = run_picture(found.dag, found.result.steps)
        output.lines([Line(""), *map(Line, to_text(picture, encoding=output.encoding).rstrip().splitlines())])
    elif not output.quiet:
        output.lines([Line(""), *_steps(found, None if everything else _MOST_STEPS)])
    if not output.quiet:
        output.lines([Line(""), *_facts(found)])
    return Exit.DONE


def _timeline(found: Found, output: Output, *, everything: bool) -> list[Line]:
    """The steps over time, a line each; of many that are alike one, unless there is to be `everything`."""
    drawn = found.timeline(time.time())
    if not any(lane.spans for lane in drawn.lanes):
        return [Line("  no step has begun", weight="faint")]
    rows = drawn.rows(encoding=output.encoding, width=output.width, everything=everything)
    lines = [Line(text, status, "" if status else "faint") for text, status in rows]
    return lines if everything or not drawn.is_large else [*lines, Line("each step by itself: --all", weight="faint")]


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
        "longest": found.longest(),
    }
    return [Line(f"  {name:<9} {brief(text)}", weight="faint") for name, text in told.items() if text]


def _show_output(output: Output, found: Found, step: str) -> int:
    record = step_of(found, step)
    text = record.result
    if text is None:
        raise CommandError(
            f"step {step!r} of run {found.record.id!r} has no output: it is {told_status(record)}", Exit.NOT_FOUND
        )
    value = stored_json(text, f"the output of step {step!r} of run {found.record.id!r}")
    if output.json:
        output.document({"run": found.record.id, "step": step, "output": value})
    elif isinstance(value, str):
        output.text(harmless(value) if output.is_terminal else value)
    else:
        output.text(json.dumps(value, indent=2, ensure_ascii=not output.encoding.lower().startswith("utf")))
    return Exit.DONE


# Its log.


async def events(
    output: Output, place: Place, run: str, *, step: str | None, attempt: int | None, since: str | None, follow: bool
) -> int:
    """Print the log of a run."""
    if attempt is not None and attempt < 1:
        raise CommandError(f"--attempt takes a number of at least 1, not {attempt}")
    begin = 0.0 if since is None else since_epoch(since)
    async with opened(place.url) as store:
        record = await find_run(store, run)
        wanted = None if step is None else step_of(await read_run(store, record), step)
        width = await _kind_width(store, record)
        async for event in log_of(store, record.id, follow=follow):
            if event.at < begin or (wanted is not None and not _is_about(event, wanted)):
                continue
            if attempt is not None and attempt != getattr(event, "attempt", None):
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
