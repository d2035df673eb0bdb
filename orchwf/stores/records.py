"""From the rows of a database to what a `Store` gives, each looked at before it is believed."""

import json
from collections.abc import Sequence

from ..core.caching import CacheEntry
from ..core.events import Event, Row, from_row
from ..core.schedules import Overlap, Phase, ScheduleRecord
from ..core.state import RunStatus
from ..ports import Message, RunRecord
from .damage import check_events, check_instants, check_object, check_texts, readable
from .labels import decode_labels

RunRow = tuple[
    int, str, str, str, str, str, str, str, str, float, float | None, str, str | None, float | None, float | None, int
]
"""
A run as a database keeps it: no, id, workflow, version, fingerprint, entrypoint, status, metadata (JSON), tags (JSON),
created_at, ended_at, error, owner, wake_at, slept_at, and whether its owner has let its lease run out.
"""
CacheRow = tuple[str, str, str, float, float | None, str]
"""A kept output as a database keeps it: key, run, step, created_at, expires_at, output."""

SCHEDULE_COLUMNS = (
    "name", "workflow", "version", "entrypoint", "inputs", "cron", "tz", "overlap", "catchup", "jitter", "created_at",
    "next_at", "phase", "is_paused", "last_at", "last_run", "skipped_at", "skipped", "asked",
)  # fmt: skip
"""The columns of a schedule but for its revision; all but the last, which is JSON, are named like its attributes."""
ScheduleRow = tuple[
    int, str, str, str, str, str, str, str, str, float | None, float, float, float, str, int, float | None, str,
    float | None, str, str,
]  # fmt: skip
"""A schedule as a database keeps it: its revision, then `SCHEDULE_COLUMNS`."""


def events(run_id: str, rows: Sequence[Row], after: int) -> list[Event]:
    """The part of the log of this run that follows event `after`."""
    with readable(f"the log of run {run_id!r} has an event that cannot be read"):
        check_events(rows, max(after, 0) + 1)
        return [from_row(row) for row in rows]


def messages(rows: Sequence[tuple[str, str, str, str]]) -> list[Message]:
    """The messages of an inbox, from run, id, signal and payload."""
    for row in rows:
        with readable(f"a message to run {row[0]!r} cannot be read"):
            check_texts(row)
    return [Message(run_id=run_id, id=id_, signal=signal, payload=payload) for run_id, id_, signal, payload in rows]


def definition_text(fingerprint: str, row: tuple[str] | None) -> str | None:
    """The definition with this fingerprint, if there is one."""
    with readable(f"the definition {fingerprint} cannot be read"):
        check_texts(row or ())
    return row[0] if row else None


def published_text(workflow: str, row: tuple[str] | None) -> str | None:
    """The definition that is published under this name, if there is one."""
    with readable(f"the published definition of {workflow!r} cannot be read"):
        check_texts(row or ())
    return row[0] if row else None


def published_names(rows: Sequence[tuple[str]]) -> list[str]:
    """The names under which definitions are published."""
    with readable("the name of a published definition cannot be read"):
        for row in rows:
            check_texts(row)
    return [name for (name,) in rows]


def cache_entry(row: CacheRow) -> CacheEntry:
    """The output that is kept in this row."""
    key, run_id, step, created_at, expires_at, output = row
    with readable(f"the output that is kept under {key} cannot be read"):
        check_texts((run_id, step, output))
        check_instants([created_at])
    return CacheEntry(key=key, run_id=run_id, step=step, output=output, created_at=created_at, expires_at=expires_at)


def run_record(row: RunRow) -> RunRecord:
    """The run in this row."""
    no, run_id, workflow, version, fingerprint, entrypoint, status, *_ = row
    metadata, tags, created_at, ended_at, error, owner, wake_at, slept_at, has_lapsed = row[7:]
    with readable(f"run {run_id!r} cannot be read"):
        check_texts([run_id, workflow, version, fingerprint, entrypoint, error, owner or ""])
        check_instants([created_at] if ended_at is None else [created_at, ended_at])
        decoded_metadata, decoded_tags = decode_labels(metadata, tags)
        check_object(decoded_metadata)
        check_object(decoded_tags)
        check_texts(decoded_tags.values())
        known_status = RunStatus(status)
        for instant in (wake_at, slept_at):
            if instant is not None and not (isinstance(instant, float) and instant >= 0):
                raise ValueError(f"{instant!r} is no instant")
    return RunRecord(
        id=run_id, workflow=workflow, version=version, fingerprint=fingerprint, entrypoint=entrypoint,
        status=known_status, metadata=decoded_metadata, tags=decoded_tags, created_at=created_at,
        ended_at=ended_at, error=error, owner=owner, has_lapsed=bool(has_lapsed), wake_at=wake_at,
        slept_at=slept_at,
        number=no,
    )  # fmt: skip


def schedule_record(row: ScheduleRow) -> ScheduleRecord:
    """The schedule in this row."""
    revision, name, workflow, version, entrypoint, inputs, cron, tz, overlap, catchup, jitter, created_at, *_ = row
    next_at, phase, is_paused, last_at, last_run, skipped_at, skipped, asked = row[12:]
    with readable(f"schedule {name!r} cannot be read"):
        check_texts([name, workflow, version, entrypoint, inputs, cron, tz, last_run, skipped])
        check_instants([each for each in (created_at, next_at, last_at, skipped_at) if each is not None])
        check_object(json.loads(inputs))
        wanted: dict[str, float] = json.loads(asked)
        check_object(wanted)
        check_instants(wanted.values())
        return ScheduleRecord(
            name=name, workflow=workflow, version=version, entrypoint=entrypoint, inputs=inputs, cron=cron, tz=tz,
            overlap=Overlap(overlap), catchup=None if catchup is None else float(catchup), jitter=float(jitter),
            created_at=created_at, next_at=next_at, phase=Phase(phase), is_paused=bool(is_paused),
            last_at=last_at, last_run=last_run, skipped_at=skipped_at, skipped=skipped, asked=wanted,
            revision=revision,
        )  # fmt: skip


LAST_TEXT = "\U0010ffff"
"""After all texts that somebody writes, in the order of code points."""


def after_all_with(prefix: str) -> str | None:
    """The first text after all that begin so, in the order of code points; None if nothing is."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    # Surrogates are no text.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)
