"""The store that forgets: everything in this process's memory, for tests and for trying things out."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import attrs

from ..core.events import Event, RunCancelled, RunFailed, SignalReceived
from ..core.state import RunStatus
from ..errors import ConflictError, RunExistsError, RunNotFoundError, StoreError
from ..ports import Append, Message, RunQuery, RunRecord
from .labels import decode_labels, encode_labels, numbering_error


class MemoryStore:
    """
    A `Store` that lives as long as the object does, and is shared by sharing the object.

    Like the others it keeps metadata and tags as JSON has them: a tuple comes back as a list.

    Args:
        now: The clock for leases, in seconds from any instant on.
    """

    url = "memory:"

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._leases: dict[str, tuple[float, float]] = {}
        self._runs: dict[str, _Run] = {}
        self._definitions: dict[str, str] = {}
        self._last_number = 0
        self._last_message = 0
        self._is_closed = False

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        self._check_open()
        return [self._append(append) for append in appends]

    def _append(self, append: Append) -> Exception | None:
        if error := numbering_error(append) or self._refusal(append):
            return error
        if append.create is not None:
            try:
                self._create(append.create)
            except StoreError as error:
                return error
        self._write(self._runs[append.run_id], append)
        return None

    def _refusal(self, append: Append) -> Exception | None:
        run = self._runs.get(append.run_id)
        if append.create is not None:
            return RunExistsError(append.run_id) if run else None
        if run is None:
            return RunNotFoundError(append.run_id, self.url)
        is_foreign = append.owner is not None and run.record.owner != append.owner
        if is_foreign or len(run.events) != append.expected:
            return ConflictError(append.run_id, append.expected)
        return None

    def _create(self, record: RunRecord) -> None:
        metadata, tags = decode_labels(*encode_labels(record))
        self._last_number += 1
        record = attrs.evolve(record, metadata=metadata, tags=tags, number=self._last_number)
        self._runs[record.id] = _Run(record, fingerprints={record.fingerprint})

    def _write(self, run: "_Run", append: Append) -> None:
        run.events.extend(append.events)
        for event in append.events:
            if isinstance(event, SignalReceived):
                run.seen.add(event.message_id)
                run.inbox.pop(event.message_id, None)
        if (summary := append.summary) is not None:
            run.record = attrs.evolve(
                run.record, status=summary.status, fingerprint=summary.fingerprint, ended_at=summary.ended_at,
                error=summary.error,
            )  # fmt: skip
        if append.releases:
            run.record = attrs.evolve(run.record, owner=None)
        if append.definition is not None:
            run.fingerprints.add(run.record.fingerprint)
            if run.record.fingerprint not in self._definitions:
                self._definitions[run.record.fingerprint] = append.definition()

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        self._check_open()
        run = self._runs.get(run_id)
        if run is None:
            return []
        start = max(after, 0)
        return run.events[start:] if limit is None else run.events[start : start + limit]

    async def get(self, run_id: str) -> RunRecord | None:
        self._check_open()
        run = self._runs.get(run_id)
        return self._copy(run.record) if run else None

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        self._check_open()
        matching = (run.record for run in reversed(self._runs.values()) if _matches(run, query))
        return [self._copy(record) for record in islice(matching, query.limit)]

    async def definition(self, fingerprint: str) -> str | None:
        self._check_open()
        return self._definitions.get(fingerprint)

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        self._check_open()
        run = self._runs.get(run_id)
        if run is None or run.record.owner != previous:
            return False
        run.record = attrs.evolve(run.record, owner=owner)
        return True

    async def renew(self, owner: str, lease: float) -> bool:
        self._check_open()
        is_live = not self._has_lapsed(owner)
        if lease:
            self._leases[owner] = (self._now(), lease)
        else:
            self._leases.pop(owner, None)
        return is_live

    async def release(self, owner: str) -> None:
        self._check_open()
        self._leases.pop(owner, None)
        for run in self._runs.values():
            if run.record.owner == owner:
                run.record = attrs.evolve(run.record, owner=None)

    def _has_lapsed(self, owner: str) -> bool:
        renewed_at, lease = self._leases.get(owner, (0.0, 0.0))
        # A clock that began anew, as after a reboot, shows a renewal in the future.
        return not 0 <= self._now() - renewed_at < lease

    async def owners(self) -> dict[str | None, bool]:
        self._check_open()
        running = {run.record.owner for run in self._runs.values() if run.record.status is RunStatus.RUNNING}
        return {owner: owner is not None and self._has_lapsed(owner) for owner in running}

    async def facts(self) -> dict[str, str]:
        self._check_open()
        counts = Counter(run.record.status for run in self._runs.values())
        return {"kind": "memory", "integrity": "ok"} | {f"runs.{status}": str(n) for status, n in counts.items()}

    def _copy(self, record: RunRecord) -> RunRecord:
        metadata, tags = decode_labels(*encode_labels(record))
        has_lapsed = record.owner is not None and self._has_lapsed(record.owner)
        return attrs.evolve(record, metadata=metadata, tags=tags, has_lapsed=has_lapsed)

    async def send(self, message: Message) -> None:
        self._check_open()
        run = self._runs.get(message.run_id)
        if run is None:
            raise RunNotFoundError(message.run_id, self.url)
        if message.id not in run.seen:
            self._last_message += 1
            run.seen.add(message.id)
            run.inbox[message.id] = (self._last_message, message)

    async def inbox(self, owner: str) -> list[Message]:
        self._check_open()
        waiting = [entry for run in self._runs.values() if run.record.owner == owner for entry in run.inbox.values()]
        return [message for _, message in sorted(waiting, key=lambda entry: entry[0])]

    async def delete(self, run_ids: Sequence[str]) -> int:
        self._check_open()
        deleted = [run for run_id in run_ids if (run := self._runs.pop(run_id, None))]
        unused = {fingerprint for run in deleted for fingerprint in run.fingerprints}
        unused.difference_update(*(run.fingerprints for run in self._runs.values()))
        for fingerprint in unused:
            self._definitions.pop(fingerprint, None)
        return len(deleted)

    async def close(self) -> None:
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("the store memory: is closed; open another one")


@attrs.define(eq=False)
class _Run:
    """One run: `seen` has the ids of all messages it ever got, `inbox` those not folded in: id -> (order, message)."""

    record: RunRecord
    events: list[Event] = attrs.field(factory=list)
    fingerprints: set[str] = attrs.field(factory=set)
    seen: set[str] = attrs.field(factory=set)
    inbox: dict[str, tuple[int, Message]] = attrs.field(factory=dict)

    @property
    def compensation(self) -> str:
        ends = (event for event in reversed(self.events) if isinstance(event, RunFailed | RunCancelled))
        return next((event.compensation for event in ends), "")


def _matches(run: _Run, query: RunQuery) -> bool:
    record = run.record
    return (
        (query.workflow is None or record.workflow == query.workflow)
        and (query.statuses is None or record.status in query.statuses)
        and all(record.tags.get(key) == value for key, value in query.tags.items())
        and (query.since is None or record.created_at >= query.since)
        and (query.until is None or record.created_at < query.until)
        and (query.id_prefix is None or record.id.startswith(query.id_prefix))
        and (query.owners is None or record.owner in query.owners)
        and (query.asked is None or any(message.signal in query.asked for _, message in run.inbox.values()))
        and (query.compensation is None or run.compensation == query.compensation)
        and (query.before is None or record.number < query.before)
    )
