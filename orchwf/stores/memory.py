"""The store that forgets: everything in this process's memory, for tests and for trying things out."""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import attrs

from ..blobs.references import following
from ..core.caching import CacheEntry, Lookup
from ..core.census import Census
from ..core.events import Event, SignalReceived, to_row
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from ..errors import ConflictError, RunEndedError, RunExistsError, RunNotFoundError, StoreError
from ..ports import Append, Hint, HintKind, Message, Renewal, RunQuery, RunRecord, Taken, Wanted
from .hints import RESTS
from .labels import decode_labels, encode_labels, numbering_error
from .memory_census import counted
from .memory_hints import Hints
from .memory_runs import StoredRun, matches, wanted_in_turn
from .memory_slots import Slots


class MemoryStore:
    """
    A `Store` that lives as long as the object does, and is shared by sharing the object.

    Like the others it keeps metadata and tags as JSON has them: a tuple comes back as a list.

    Args:
        now: The clock for leases and rates, in seconds from any instant on.
    """

    url = "memory:"

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._leases: dict[str, tuple[float, float]] = {}
        self._cache: dict[str, CacheEntry] = {}
        self._slots = Slots(now, self._is_live, self._find)
        self._runs: dict[str, StoredRun] = {}
        self._definitions: dict[str, str] = {}
        self._schedules: dict[str, ScheduleRecord] = {}
        self._published: dict[str, str] = {}
        self._last_revision = 0
        self._last_number = 0
        self._last_message = 0
        # What the appends of a call say: it counts after all that is written with it.
        self._said: list[Message] = []
        self._hints = Hints()
        self._is_closed = False

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        self._check_open()
        outcomes = [self._append(append) for append in appends]
        if self._said:
            said, self._said = self._said, []
            for message in said:
                with contextlib.suppress(RunNotFoundError, RunEndedError):
                    self._send(message)
        return outcomes

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
        self._runs[record.id] = StoredRun(record, fingerprints={record.fingerprint})

    def _write(self, run: StoredRun, append: Append) -> None:
        run.events.extend(append.events)
        for event in append.events:
            if isinstance(event, SignalReceived):
                run.seen.add(event.message_id)
                run.inbox.pop(event.message_id, None)
        if (summary := append.summary) is not None:
            run.record = attrs.evolve(
                run.record, status=summary.status, fingerprint=summary.fingerprint, ended_at=summary.ended_at,
                error=summary.error, wake_at=summary.wake_at, slept_at=summary.slept_at,
            )  # fmt: skip
        for entry in append.caches:
            self._cache[entry.key] = entry
        if append.releases:
            run.record = attrs.evolve(run.record, owner=None)
        if append.definition is not None:
            run.fingerprints.add(run.record.fingerprint)
            if run.record.fingerprint not in self._definitions:
                self._definitions[run.record.fingerprint] = append.definition()
        if append.messages:
            self._said += append.messages
        if append.summary is not None or append.create is not None or append.releases:
            self._hints.appended(append)

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
        matching = (run.record for run in reversed(self._runs.values()) if matches(run, query))
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
        if owner is None:
            self._hints.freed([run.record])
        return True

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        self._check_open()
        free = [run for run in self._runs.values() if run.record.owner != owner and self._is_free(run.record, wanted)]
        taken = list(islice(dict.fromkeys(wanted_in_turn(free, wanted)), wanted.limit))
        before = [self._copy(run.record) for run in taken]
        for run in taken:
            run.record = attrs.evolve(run.record, owner=owner)
        return Taken(sorted(before, key=lambda record: record.number), len(taken) < wanted.limit)

    def _is_free(self, record: RunRecord, wanted: Wanted) -> bool:
        is_free = record.owner is None or record.owner in wanted.gone or self._has_lapsed(record.owner)
        return is_free and record.id not in wanted.but

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        self._check_open()
        is_live = not self._has_lapsed(owner)
        if lease:
            self._leases[owner] = (self._now(), lease)
            if not is_live:
                self._slots.clean()
        else:
            self._leases.pop(owner, None)
            self._hints.tell(Hint(HintKind.FREE))
        busy = {run.record.owner for run in self._runs.values() if run.record.status not in RESTS}
        lapsed = [each for each in self._leases if each != owner and each in busy and self._has_lapsed(each)]
        living = [each for each in self._leases if each != owner and not self._has_lapsed(each)]
        nearby = [each for each in living if near is not None and each.startswith(near)]
        return Renewal(was_live=is_live, lapsed=sorted(lapsed), near=sorted(nearby))

    async def release(self, owner: str) -> None:
        self._check_open()
        self._leases.pop(owner, None)
        self._slots.release(owner)
        owned = [run for run in self._runs.values() if run.record.owner == owner]
        for run in owned:
            run.record = attrs.evolve(run.record, owner=None)
        self._hints.freed(run.record for run in owned)

    def _is_live(self, owner: str) -> bool:
        return not self._has_lapsed(owner)

    def _has_lapsed(self, owner: str) -> bool:
        renewal = self._leases.get(owner)
        if renewal is None:
            return True
        renewed_at, lease = renewal
        # A clock that began anew, as after a reboot, shows a renewal in the future.
        return not 0 <= self._now() - renewed_at <= lease

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        self._check_open()
        return self._slots.take(owner, requests, frees, now)

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        self._check_open()
        return self._slots.occupancy(beginning, limit)

    async def forget_expired(self, now: float) -> int:
        self._check_open()
        expired = [key for key, entry in self._cache.items() if (entry.expires_at or math.inf) <= now]
        for key in expired:
            del self._cache[key]
        return len(expired)

    async def mentioned(self, marker: str, length: int) -> set[str]:
        self._check_open()
        texts = [text for run in self._runs.values() for event in run.events if (text := to_row(event)[-1])]
        texts += [message.payload for run in self._runs.values() for _, message in run.inbox.values()]
        texts += [entry.output for entry in self._cache.values()]
        texts += [schedule.inputs for schedule in self._schedules.values()]
        return following(texts, marker, length)

    def _find(self, lookup: Lookup) -> CacheEntry | None:
        entry = self._cache.get(lookup.key)
        return entry if entry is not None and entry.created_at > lookup.since else None

    async def next_wake(self, after: float) -> float | None:
        self._check_open()
        wakes = [run.record.wake_at for run in self._runs.values() if run.record.wake_at is not None]
        return min((wake_at for wake_at in wakes if after < wake_at), default=None)

    async def census(self, now: float) -> Census:
        self._check_open()
        return counted(self._runs.values(), self._leases, self._slots.held, now=now, is_live=self._is_live)

    async def facts(self) -> dict[str, str]:
        self._check_open()
        counts = Counter(run.record.status for run in self._runs.values())
        facts = {"kind": "memory", "integrity": "ok", "slots": str(self._slots.count)}
        return facts | {f"runs.{status}": str(n) for status, n in counts.items()}

    def _copy(self, record: RunRecord) -> RunRecord:
        metadata, tags = decode_labels(*encode_labels(record))
        has_lapsed = record.owner is not None and self._has_lapsed(record.owner)
        return attrs.evolve(record, metadata=metadata, tags=tags, has_lapsed=has_lapsed)

    async def send(self, message: Message) -> None:
        self._check_open()
        self._send(message)

    def _send(self, message: Message) -> None:
        run = self._runs.get(message.run_id)
        if run is None:
            raise RunNotFoundError(message.run_id, self.url)
        if run.record.status.is_final:
            raise RunEndedError(message.run_id, run.record.status)
        if message.id not in run.seen:
            self._last_message += 1
            run.seen.add(message.id)
            run.inbox[message.id] = (self._last_message, message)
            self._hints.said(message, run.record.owner)

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
        for run in deleted:
            self._hints.rests(run.record.id)
        return len(deleted)

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        self._check_open()
        return [self._schedules[each] for each in sorted(self._schedules) if name in (None, each)]

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        self._check_open()
        known = self._schedules.get(schedule.name)
        if schedule.revision != (known.revision if known else 0):
            return None
        self._last_revision += 1
        stored = attrs.evolve(schedule, asked=dict(schedule.asked), revision=self._last_revision)
        self._schedules[schedule.name] = stored
        self._hints.tell(Hint(HintKind.SCHEDULE))
        return stored

    async def delete_schedule(self, name: str) -> bool:
        self._check_open()
        is_there = self._schedules.pop(name, None) is not None
        if is_there:
            self._hints.tell(Hint(HintKind.SCHEDULE))
        return is_there

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        self._check_open()
        await self._hints.listen(heard)

    async def watch(self, run_id: str) -> bool:
        self._check_open()
        run = self._runs.get(run_id)
        return self._hints.watch(run.record if run else None)

    async def publish(self, definitions: Mapping[str, str]) -> None:
        self._check_open()
        self._published.update(definitions)

    async def published(self, workflow: str) -> str | None:
        self._check_open()
        return self._published.get(workflow)

    async def published_names(self) -> list[str]:
        self._check_open()
        return sorted(self._published)

    async def close(self) -> None:
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("the store memory: is closed; open another one")
