"""What may be wrong with the runs of a store, and what to do about it: found by the store's queries alone."""

import time
from collections.abc import Mapping, Sequence

import attrs

from ..core.adoption import obstacle
from ..core.lines import brief, names_text
from ..core.machine import DEAD_LETTER
from ..core.state import RunStatus, StepStatus
from ..core.wording import plural
from ..errors import command_line
from ..ports import RunQuery, RunRecord, Store
from ..runtime.registry import Registry
from ..runtime.stored import stored_dag
from .found import read_run
from .owners import interruption, is_asleep
from .runs import is_overdue, sleep_text

_PAGE = 1_000


@attrs.frozen(kw_only=True)
class Finding:
    """
    Something that waits for somebody.

    Attributes:
        kind: `stuck`, `dead-letter`, `paused`, `not-undone`, `changed` or `unknown-workflow`.
        workflow: The workflow of the runs it is about.
        runs: Their ids, the newest first.
        message: What is the matter.
        command: What to type.
        created_at: When the newest of the runs was started (epoch seconds).
    """

    kind: str
    workflow: str
    runs: tuple[str, ...]
    message: str
    command: str
    created_at: float


async def all_runs(store: Store, query: RunQuery) -> list[RunRecord]:
    """All that match, the newest first, read in pages."""
    found: list[RunRecord] = []
    query = attrs.evolve(query, limit=_PAGE)
    while page := await store.runs(query):
        found += page
        query = attrs.evolve(query, before=page[-1].number)
    return found


async def why_not_undone(store: Store, record: RunRecord) -> str:
    """`flight could not be undone: ConnectionError: ...`, of the first step of which that is so."""
    for step in (await read_run(store, record)).history.steps.values():
        undo = step.compensation
        if undo is not None and undo.status is StepStatus.FAILED and undo.error is not None:
            return f"{brief(step.name)} could not be undone: {brief(undo.error.headline)}"
    return ""


def findings_of(
    unfinished: Sequence[RunRecord], not_undone: Sequence[RunRecord], why: Mapping[str, str], store: str
) -> list[Finding]:
    """
    What the summaries of runs tell.

    Args:
        unfinished: All that run, are paused, or are yet to begin.
        not_undone: Those that ended so that something could not be undone.
        why: Id -> what is known of that.
        store: The URL to name in commands; empty if it is found without.
    """
    reasons = [(record, interruption(record) or _overdue(record)) for record in unfinished]
    paused = [record for record in unfinished if record.status is RunStatus.PAUSED]
    return [
        *(_of_run("stuck", record, reason, "resume", store) for record, reason in reasons if reason),
        *(_of_run("dead-letter", record, record.error, "show", store) for record in paused if _is_dead_letter(record)),
        *(_of_run("paused", record, record.error, "show", store) for record in paused if not _is_dead_letter(record)),
        *(_of_run("not-undone", record, why.get(record.id, ""), "resume", store) for record in not_undone),
    ]


def _is_dead_letter(record: RunRecord) -> bool:
    return record.error.startswith(DEAD_LETTER)


def _of_run(kind: str, record: RunRecord, message: str, command: str, store: str) -> Finding:
    return Finding(
        kind=kind, workflow=record.workflow, runs=(record.id,), message=message,
        command=command_line(command, record.id, store), created_at=record.created_at,
    )  # fmt: skip


async def findings_about_code(
    store: Store, unfinished: Sequence[RunRecord], apps: Sequence[type], named: str
) -> list[Finding]:
    """
    The unfinished runs that cannot go on with the code there is now, and why; those of one definition together.

    Args:
        apps: The workflows there are now.
        named: The URL to name in commands; empty if it is found without.
    """
    registry, found = Registry(apps), []
    for records in _by_definition(unfinished).values():
        newest = records[0]
        after = registry.find(newest)
        if after is None:
            message = f"{plural(len(records), 'unfinished run')}, and it is not among the workflows given with --app"
            command = command_line("show", newest.id, named)
            found.append(_of_runs("unknown-workflow", records, message, command))
            continue
        before = None if newest.fingerprint == after.fingerprint else await stored_dag(store, newest.fingerprint)
        refused = None if before is None else obstacle(before, after)
        if refused is not None:
            found.append(_changed(records, str(refused[0]), refused[1], named))
    return found


def _overdue(record: RunRecord) -> str:
    """Why a run that slept, or was to begin, still does not go on; empty if it is not due yet, or has an owner."""
    now = time.time()
    return sleep_text(record, now) if is_asleep(record) and is_overdue(record, now) else ""


def _by_definition(records: Sequence[RunRecord]) -> Mapping[tuple[str, str, str], list[RunRecord]]:
    groups: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        groups.setdefault((record.workflow, record.version, record.fingerprint), []).append(record)
    return groups


def _changed(records: Sequence[RunRecord], difference: str, lacking: Sequence[str], store: str) -> Finding:
    lines = [f"{plural(len(records), 'unfinished run')} of another graph:", *difference.splitlines()]
    if lacking:
        lines.append(f"no value for the new {names_text(lacking)}: give it a default")
        return _of_runs("changed", records, "\n".join(lines), command_line("show", records[0].id, store))
    return _of_runs("changed", records, "\n".join(lines), command_line("resume", records[0].id, store, ["--adopt"]))


def _of_runs(kind: str, records: Sequence[RunRecord], message: str, command: str) -> Finding:
    return Finding(
        kind=kind, workflow=records[0].workflow, runs=tuple(record.id for record in records), message=message,
        command=command, created_at=records[0].created_at,
    )  # fmt: skip
