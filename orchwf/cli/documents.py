"""What `--json` prints: the documents that programs can rely on. Names are only ever added to them."""

import json

import attrs

from ..blobs.references import reference
from ..core.dag import Dag
from ..core.events import (
    CacheHit,
    ChildStarted,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepCompleted,
    StepHeartbeat,
)
from ..core.failures import failed_items
from ..core.history import History, StepRecord
from ..core.progress import tally_of
from ..core.rows import ITEMS
from ..core.schedules import Phase, ScheduleRecord
from ..core.timelines import SlowPath
from ..errors import Problem
from ..moving import CopyReport
from ..ports import RunRecord
from ..runtime.stored import stored_json
from ..views import TimeRow, iso_time

Document = dict[str, object]
"""What becomes a JSON object."""

_MOST_FAILED = 100


def run_document(record: RunRecord, *, interruption: str | None, owner: str | None) -> Document:
    """
    A run as JSON-able values.

    Instants are ISO 8601 in UTC; `duration` is in seconds, None until it ended; `interrupted` says that it has not
    ended and nobody executes it, and `interruption` why: `shutdown`, `died` or `lapsed`; `owner` is who executes it.
    `asleep` says that it goes on by itself, at `wake_at` or, if that is None, when a message comes; `queued` that
    nobody has executed it yet, and that whoever serves its workflow will.
    """
    return {
        "id": record.id,
        "workflow": record.workflow,
        "version": record.version,
        "status": str(record.status),
        "interrupted": interruption is not None,
        "interruption": interruption,
        "created_at": iso_time(record.created_at),
        "ended_at": iso_time(record.ended_at),
        "duration": None if record.ended_at is None else round(record.ended_at - record.created_at, 6),
        "error": record.error,
        "owner": owner,
        "asleep": record.wake_at is not None,
        "wake_at": iso_time(record.wake_at),
        "queued": record.is_queued,
        "tags": dict(record.tags),
        "metadata": dict(record.metadata),
        "entrypoint": record.entrypoint,
    }


def step_document(record: StepRecord) -> Document:
    """
    A step of a run as JSON-able values; instants and duration as of `run_document`.

    `due_at` is when it goes on, of one that waits, `child` the run that it started, and `items` how far its items are.
    """
    return {
        "name": record.name,
        "status": str(record.status),
        "started_at": iso_time(record.started_at),
        "ended_at": iso_time(record.ended_at),
        "duration": None if record.duration is None else round(record.duration, 6),
        "reason": record.reason,
        "cause": record.cause,
        "error": error_document(record.error),
        "progress": None if record.progress is None else json.loads(record.progress),
        "attempts": _attempt_documents(record),
        "compensation": _compensation_document(record.compensation),
        "cached_from": record.cached_from or None,
        "due_at": iso_time(record.due_at),
        "child": record.child or None,
        "items": _items_document(record),
    }


def _items_document(record: StepRecord) -> Document | None:
    """How many items a step has, how many of them are where, and those that failed, the first ones."""
    tally = tally_of(record)
    if tally is None:
        return None
    counts = {str(status): count for status, count in tally.counts.items() if count}
    failed = failed_items(record)[:_MOST_FAILED]
    return {
        "count": tally.total,
        "statuses": counts,
        "failed": [{"item": item.item, "error": error_document(item.error)} for item in failed],
    }


def item_document(record: StepRecord) -> Document:
    """An item of a step: as a step, with its number, which counts from 0."""
    document = step_document(record)
    return {"item": record.item, **document}


def _attempt_documents(record: StepRecord) -> list[Document]:
    return [
        {
            "number": attempt.number,
            "status": str(attempt.status),
            "started_at": iso_time(attempt.started_at),
            "ended_at": iso_time(attempt.ended_at),
            "error": error_document(attempt.error),
        }
        for attempt in record.attempts
    ]


def _compensation_document(record: StepRecord | None) -> Document | None:
    """What became of undoing a step."""
    if record is None:
        return None
    error = error_document(record.error)
    return {"status": str(record.status), "error": error, "attempts": _attempt_documents(record)}


def error_document(error: ErrorInfo | None) -> dict[str, str] | None:
    """What a body raised, as JSON-able values."""
    return None if error is None else attrs.asdict(error)


def result_document(
    run: Document, history: History, steps: list[StepRecord], unknown: list[str], *, path: SlowPath,
    everything: bool = False,
) -> Document:  # fmt: skip
    """
    What `show` prints, and the last line of `run`, `resume` and `fork`: the run, its inputs, and its `steps` in order.

    `pause` is the kind of the reason for which it is paused: `request`, `unknown`, `exhausted` or `takeovers`.
    `unknown` names the steps of which nobody knows whether they took effect; `compensation` says what came of undoing.
    `parent` is the run whose step started it. `critical_path` has the `steps` that took longest one after the other, by
    name, and how long they took. With `everything` there are also `items`, those of all steps.
    """
    items = [item_document(item) for record in steps for item in record.present] if everything else []
    return {
        **run,
        "inputs": json.loads(history.inputs),
        "pause": history.pause or None,
        "unknown": unknown,
        "compensation": history.compensation,
        "forked_from": history.origin or None,
        "parent": history.parent or None,
        "critical_path": {"steps": [name for name, _ in path.steps], "duration": round(path.duration, 6)},
        "steps": [step_document(record) for record in steps],
        **({"items": items} if everything else {}),
    }


def event_document(run_id: str, event: Event) -> Document:
    """
    One line of `events`, and of `run` while it runs.

    `run`, `seq` (from 1), `at`, `kind`, then what the kind has: `step` and `attempt`, `output`, `error`, `reason`, …
    """
    details = attrs.asdict(event, filter=lambda field, _: field.name not in ("seq", "at"))
    match event:
        case StepCompleted() if event.output == ITEMS:
            # They are in the events of the items.
            details["output"] = None
        case StepCompleted() if (large := reference(event.output)) is not None:
            # It is told as it happens, and nobody waits here for what it takes to fetch a large value.
            details |= {"output": None, "blob": large.key, "size": large.size}
        case StepCompleted():
            details["output"] = stored_json(event.output, f"the output of step {event.step!r} of run {run_id!r}")
        case CacheHit():
            # `run` is the one whose event it is.
            details["cached_from"] = details.pop("run")
        case StepHeartbeat():
            details["progress"] = stored_json(event.progress, f"the progress of step {event.step!r} of run {run_id!r}")
        case RunStarted():
            details["inputs"] = json.loads(event.inputs)
        case ChildStarted():
            details["inputs"] = json.loads(event.inputs or "{}")
        case SignalReceived(signal="cancel" | "terminate" | "pause" | "finish"):
            # Of these it is the reason, as plain text.
            details["reason"] = details.pop("payload")
        case SignalReceived():
            details["payload"] = stored_json(event.payload, f"the message {event.message_id!r} to run {run_id!r}")
        case _:
            pass
    return {"run": run_id, "seq": event.seq, "at": iso_time(event.at), "kind": event.kind, **details}


def dag_document(dag: Dag, target: str, warnings: list[str]) -> Document:
    """One of the `workflows` that `check` prints."""
    return {
        "name": dag.name,
        "version": dag.version,
        "target": target,
        "fingerprint": dag.fingerprint,
        "steps": len(dag.nodes),
        "edges": len(dag.edges),
        "generations": len(dag.generations),
        "warnings": warnings,
    }


def problem_document(problem: Problem) -> Document:
    """One of the `problems` of a definition."""
    return attrs.asdict(problem)


def schedule_document(record: ScheduleRecord, last: RunRecord | None) -> Document:
    """
    A schedule as JSON-able values.

    Instants are ISO 8601 in UTC, `catchup` and `jitter` seconds; `next_at` is None while it is paused. `waiting` says
    that the time `next_at` has come, and waits for the run before it to end. `last_status` is that of the last run,
    None if that was deleted; `asked` has the ids of runs that somebody asked for and that are not begun yet.
    """
    return {
        "name": record.name,
        "workflow": record.workflow,
        "version": record.version,
        "entrypoint": record.entrypoint,
        "inputs": json.loads(record.inputs),
        "cron": record.cron,
        "tz": record.tz,
        "overlap": str(record.overlap),
        "catchup": record.catchup,
        "jitter": record.jitter,
        "paused": record.is_paused,
        "waiting": record.phase is Phase.WAITING,
        "created_at": iso_time(record.created_at),
        "next_at": None if record.is_paused else iso_time(record.next_at),
        "last_at": iso_time(record.last_at),
        "last_run": record.last_run or None,
        "last_status": None if last is None else str(last.status),
        "skipped_at": iso_time(record.skipped_at),
        "skipped": record.skipped or None,
        "asked": list(record.asked),
    }


def time_document(row: TimeRow) -> Document:
    """
    One time of a schedule: `at` on the clocks of its zone, `utc`, and the `run` that it has.

    `shift` is by how many seconds the clocks were set forward since the time before, and `moved` says that it stands
    for a time which they went over.
    """
    return {
        "at": row.at.isoformat(),
        "utc": iso_time(row.at.timestamp()),
        "run": row.run_id,
        "shift": round(row.shift.total_seconds()),
        "moved": row.is_moved,
    }


def copied_document(report: CopyReport) -> Document:
    """
    How many runs and schedules were `copied`, of which `going_on` had not ended, and were `there` already.

    `problems` has an object each for those that were not: `run` or `schedule`, `outcome` (`left` or `conflict`) and
    `reason`.
    """
    return {
        "copied": report.copied,
        "going_on": report.going_on,
        "there": report.there,
        "problems": [
            {"schedule" if each.is_schedule else "run": each.id, "outcome": str(each.outcome), "reason": each.reason}
            for each in report.problems
        ],
    }
