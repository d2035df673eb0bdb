"""What `--json` prints: the documents that programs can rely on. Names are only ever added to them."""

import json

import attrs

from ..core.dag import Dag
from ..core.events import ErrorInfo, Event, RunStarted, SignalReceived, StepCompleted, StepHeartbeat
from ..core.history import History, StepRecord
from ..errors import Problem
from ..ports import RunRecord
from ..runtime.stored import stored_json
from ..views import iso_time

Document = dict[str, object]
"""What becomes a JSON object."""


def run_document(record: RunRecord, *, interruption: str | None, owner: str | None) -> Document:
    """
    A run as JSON-able values.

    Instants are ISO 8601 in UTC; `duration` is in seconds, None until it ended; `interrupted` says that it has not
    ended and nobody executes it, and `interruption` why: `shutdown`, `died` or `lapsed`; `owner` is who executes it.
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
        "tags": dict(record.tags),
        "metadata": dict(record.metadata),
        "entrypoint": record.entrypoint,
    }


def step_document(record: StepRecord) -> Document:
    """A step of a run as JSON-able values; instants and duration as of `run_document`."""
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
    }


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


def result_document(run: Document, history: History, steps: list[StepRecord], unknown: list[str]) -> Document:
    """
    What `show` prints, and the last line of `run`, `resume` and `fork`: the run, its inputs, and its `steps` in order.

    `pause` is the kind of the reason for which it is paused: `request`, `unknown`, `exhausted` or `takeovers`.
    `unknown` names the steps of which nobody knows whether they took effect; `compensation` says what came of undoing.
    """
    return {
        **run,
        "inputs": json.loads(history.inputs),
        "pause": history.pause or None,
        "unknown": unknown,
        "compensation": history.compensation,
        "forked_from": history.origin or None,
        "steps": [step_document(record) for record in steps],
    }


def event_document(run_id: str, event: Event) -> Document:
    """
    One line of `events`, and of `run` while it runs.

    `run`, `seq` (from 1), `at`, `kind`, then what the kind has: `step` and `attempt`, `output`, `error`, `reason`, …
    """
    details = attrs.asdict(event, filter=lambda field, _: field.name not in ("seq", "at"))
    match event:
        case StepCompleted():
            details["output"] = stored_json(event.output, f"the output of step {event.step!r} of run {run_id!r}")
        case StepHeartbeat():
            details["progress"] = stored_json(event.progress, f"the progress of step {event.step!r} of run {run_id!r}")
        case RunStarted():
            details["inputs"] = json.loads(event.inputs)
        case SignalReceived(signal="cancel" | "terminate" | "pause"):
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
