"""From `7f3a`, `last` or `last-failed` to a run of the store, and what there is to know of it."""

import os
import re
import time

import attrs

from ..core.dag import Dag
from ..core.history import History, StepRecord
from ..core.report import Report
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..core.wording import duration_text
from ..ports import RunQuery, RunRecord, Store
from ..runtime.owner import is_abandoned, is_dead, parse_owner
from ..runtime.result import RunResult
from ..runtime.stored import stored_dag, stored_history
from ..views import SlowPath, Timeline, run_row, sleep_text, slow_path
from .documents import Document, result_document, run_document
from .exits import CommandError, Exit

LAST, LAST_FAILED = "last", "last-failed"
_ITEM = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)
_MOST_CANDIDATES = 10
_PAGE = 100
_LONGEST_PARENT = 160
"""How much of the id of a long one is in those of the runs that it starts."""


def is_interrupted(record: RunRecord) -> bool:
    """Whether a run has not ended, and nobody executes it any more; one that sleeps or is queued goes on by itself."""
    if record.status is not RunStatus.RUNNING or is_asleep(record) or record.is_queued:
        return False
    return is_abandoned(record)


def is_asleep(record: RunRecord) -> bool:
    """Whether a run waits, or is yet to begin, and nobody has to execute it until then."""
    return record.wake_at is not None and record.owner is None


def interruption(record: RunRecord) -> str:
    """Why nobody executes a run that has not ended, for people; empty if somebody does, or if it has ended."""
    match interruption_kind(record), record.owner:
        case "died", str() as owner:
            return f"{parse_owner(owner).label} died"
        case "lapsed", str() as owner:
            return f"{parse_owner(owner).label} gives no sign of life any more"
        case "shutdown", _:
            return "it was shut down before its end"
        case _:
            return ""


def interruption_kind(record: RunRecord) -> str | None:
    """
    Why nobody executes a run that has not ended: `shutdown` (it was let go in good order), `died` or `lapsed`.

    None if somebody executes it, or if it has ended.
    """
    if not is_interrupted(record):
        return None
    if record.owner is None:
        return "shutdown"
    return "died" if is_dead(parse_owner(record.owner)) else "lapsed"


def owner_label(record: RunRecord) -> str | None:
    """Who executes a run now; None if nobody does."""
    if record.status is not RunStatus.RUNNING or record.owner is None or is_interrupted(record):
        return None
    return parse_owner(record.owner).label


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


@attrs.frozen
class Found:
    """
    A run and its log, read from the store.

    Attributes:
        record: Its summary.
        history: What became of it.
        dag: The definition it was started with, without code; None if the store lost it.
    """

    record: RunRecord
    history: History
    dag: Dag | None

    @property
    def result(self) -> "RunResult[object]":
        """It as a result."""
        return RunResult(self.record, self.history, self.dag)

    @property
    def path(self) -> SlowPath:
        """The path of steps that took longest."""
        return slow_path(self.dag, self.history.steps)

    def longest(self) -> str:
        """`extract 2 ms > load 1.2 s   (1.2 s of 2.1 s)`: what took longest, one after the other; empty if nothing."""
        path, begun_at, ended_at = self.path, self.history.started_at, self.history.ended_at
        if len(path.steps) < 2 or begun_at is None or ended_at is None:
            return ""
        return f"{path}   ({duration_text(path.duration)} of {duration_text(ended_at - begun_at)})"

    def timeline(self, width: int | None) -> Timeline:
        """
        When which of its steps was at work.

        Args:
            width: The columns of a line; None for any.
        """
        begun_at, ended_at = self.history.started_at, self.history.ended_at
        ended_at = time.time() if ended_at is None else ended_at
        return Timeline(
            steps=list(self.result.steps.values()), path=self.path, begun_at=ended_at if begun_at is None else begun_at,
            ended_at=ended_at, width=width,
        )  # fmt: skip

    def report(self, *, store: str | None = "", since: float | None = None, verbose: bool = False) -> Report:
        """
        What there is to tell of it.

        Args:
            store: The URL to name in the commands that are told; empty if it is found without, None for no commands.
            since: Count the duration from here (epoch seconds), not from the beginning of the run.
        """
        named = None if self.record.id in (LAST, LAST_FAILED) else store
        report = self.result.report(store=named, folder=os.getcwd())
        began = since if since is not None else self.history.started_at
        ended = self.history.ended_at if self.history.ended_at is not None else time.time()
        # The log was read after the summary, and may know more.
        reason = interruption(self.record) if self.history.status is RunStatus.RUNNING else ""
        is_left = (
            bool(reason) or self.record.is_queued or self.history.status in (RunStatus.PAUSED, RunStatus.SCHEDULED)
        )
        duration = None if began is None or (is_left and since is None) else ended - began
        is_open = self.history.status in (RunStatus.RUNNING, RunStatus.SCHEDULED)
        rest = sleep_text(self.record, time.time()) if is_open else ""
        return attrs.evolve(
            report, duration=duration, interrupted=bool(reason), reason=reason or rest or report.reason,
            verbose=verbose,
        )  # fmt: skip

    def document(self, *, everything: bool = False) -> Document:
        """It as JSON-able values; with `everything` also each item of its steps."""
        unknown = list(dict.fromkeys(record.name for record in self.report().unknown))
        steps = list(self.result.steps.values())
        return result_document(
            document_of(self.record), self.history, steps, unknown, path=self.path, everything=everything
        )


async def read_run(store: Store, record: RunRecord) -> Found:
    """
    The run with all that its log says.

    Raises:
        StoreError: it has no log, or one that cannot be read.
    """
    history = await stored_history(store, record.id)
    return Found(record, history, await stored_dag(store, record.fingerprint))


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
