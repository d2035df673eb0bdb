"""From `7f3a`, `last` or `last-failed` to a run of the store, and what there is to know of it."""

import re
import time

import attrs

from ..core.history import StepRecord
from ..core.names import LAST, LAST_FAILED
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..ports import RunQuery, RunRecord, Store
from ..views import Found, interruption, interruption_kind, is_interrupted, owner_label, run_row
from .documents import Document, result_document, run_document
from .exits import CommandError, Exit

_ITEM = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)
_MOST_CANDIDATES = 10
_PAGE = 100
_LONGEST_PARENT = 160
"""How much of the id of a long one is in those of the runs that it starts."""


def document_of(record: RunRecord) -> Document:
    """The run as JSON-able values."""
    return run_document(record, interruption=interruption_kind(record), owner=owner_label(record))


async def find_run(store: Store, text: str) -> RunRecord:
    """
    The run that is meant: by its id, a prefix that no other has, `last`, or `last-failed`.

    Raises:
        CommandError: there is none, or there are several.
    """
    if text in (LAST, LAST_FAILED):
        return await _last(store, text)
    record = await store.get(text)
    if record is not None:
        return record
    candidates = await store.runs(RunQuery(id_prefix=text, limit=_MOST_CANDIDATES + 1)) if text else []
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        hint = "orchwf runs lists them" if await store.runs(RunQuery(limit=1)) else "it has none yet"
        raise CommandError(f"there is no run {text!r} in {store.url}; {hint}", Exit.NOT_FOUND)
    more = ["  ..."] if len(candidates) > _MOST_CANDIDATES else []
    listed = [_candidate(record) for record in candidates[:_MOST_CANDIDATES]]
    raise CommandError("\n".join([f"several runs begin with {text!r}:", *listed, *more]))


def _candidate(record: RunRecord) -> str:
    row = run_row(record, time.time(), interruption=interruption(record))
    return f"  {row.id}  {row.workflow}  {row.status}  {row.started}"


async def _last(store: Store, which: str) -> RunRecord:
    query = RunQuery(limit=_PAGE)
    if which == LAST_FAILED:
        query = attrs.evolve(query, statuses=[RunStatus.FAILED, RunStatus.PAUSED, RunStatus.RUNNING])
    while page := await store.runs(query):
        for record in page:
            is_wanted = which == LAST or record.status is not RunStatus.RUNNING or is_interrupted(record)
            if is_wanted and not _is_child(record):
                return record
        query = attrs.evolve(query, before=page[-1].number)
    what = "no run" if which == LAST else "no failed, paused or interrupted run"
    raise CommandError(f"there is {what} in {store.url}", Exit.NOT_FOUND)


def _is_child(record: RunRecord) -> bool:
    """Whether a step of another run started it: of that run, not of this one, somebody thinks who says `last`."""
    parent = record.tags.get("parent", "")
    return bool(parent) and record.id.rpartition("/")[0].startswith(parent[:_LONGEST_PARENT])


def found_document(found: Found, *, everything: bool = False) -> Document:
    """A run with its steps as JSON-able values; with `everything` also each item of its steps."""
    unknown = list(dict.fromkeys(record.name for record in found.report().unknown))
    steps = list(found.result.steps.values())
    return result_document(
        document_of(found.record), found.history, steps, unknown, path=found.path(time.time()), everything=everything
    )


def step_of(found: Found, text: str) -> StepRecord:
    """
    What became of the step, or of the item `parse[3]`, that is meant by this text.

    Raises:
        CommandError: there is none.
    """
    steps = found.result.steps
    match = _ITEM.fullmatch(text) if text not in steps else None
    name = match[1] if match is not None else text
    if name not in steps:
        hint = did_you_mean(name, list(steps), "steps")
        raise CommandError(f"{found.record.workflow} has no step {name!r}. {hint}".rstrip(), Exit.NOT_FOUND)
    if match is None:
        return steps[name]
    number = int(match[2])
    item = steps[name].items.get(number) or next((each for each in steps[name].present if each.item == number), None)
    if item is None:
        count = steps[name].count
        what = "has no items" if not count else f"has the items {name}[0] to {name}[{count - 1}]"
        raise CommandError(f"step {name!r} of run {found.record.id!r} {what}, and no {text}", Exit.NOT_FOUND)
    return item
