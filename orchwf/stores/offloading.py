"""The store that stands before another one and keeps large values elsewhere: there it keeps what refers to them."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import attrs

from ..blobs.references import KEY_LENGTH, MARKER, Reference, is_large, reference
from ..blobs.values import LargeValues
from ..core.caching import CacheEntry
from ..core.events import CompensationEvent, Event, StepCompleted, StepEvent
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Slot, SlotRequest
from ..errors import StoreError
from ..ports import Append, BlobStore, Message, Shared, SharedBlobStore, Store
from .payloads import Kind, changed

A = TypeVar("A", bound=attrs.AttrsInstance)
R = TypeVar("R")

THRESHOLD = 256 * 1024
"""How many bytes a value takes at most that is kept in the store itself."""
GRACE = 86_400.0
"""How old (seconds) a value has to be that is deleted because nothing refers to it: its event may be on its way."""
_KINDS = frozenset({Kind.JSON, Kind.OBJECT})
"""What may be large: what users give and steps return."""
_MOST_READ = 16_000_000
"""How many bytes of large values are held at once when a log is read, but for the last one."""


class OffloadingStore:
    """
    A `Store` that keeps large values in a `BlobStore`, and all else in another store.

    A large value is there before anything is stored that refers to it. Without a blob store all is kept in the other
    one, and what refers to a large value is known, and never taken for one.

    Args:
        inner: Where all else is kept. It is closed with this one.
        blobs: Where large values are kept. It is closed with this one, too.
        threshold: How many bytes a value takes at most that is kept in the other store.
        grace: How old (seconds) a value has to be to be deleted, as nothing refers to it.
        shared: The same blob store, if other processes open it by its URL.
    """

    def __init__(
        self, inner: Store, blobs: BlobStore | None, *, threshold: int = THRESHOLD, grace: float = GRACE,
        shared: SharedBlobStore | None = None,
    ) -> None:  # fmt: skip
        self.url = inner.url
        self._inner = inner
        self._blobs = blobs
        self._threshold = threshold
        self._grace = grace
        self._values = None if blobs is None else LargeValues(blobs)
        self._shared = shared
        self._is_prepared = False
        # What holds no value goes straight through.
        self.get, self.runs, self.delete = inner.get, inner.runs, inner.delete
        self.definition, self.claim, self.delete_schedule = inner.definition, inner.claim, inner.delete_schedule
        self.census = inner.census
        self.renew, self.release, self.take = inner.renew, inner.release, inner.take
        self.listen, self.watch = inner.listen, inner.watch
        self.next_wake, self.mentioned, self.occupancy = inner.next_wake, inner.mentioned, inner.occupancy
        self.publish, self.published, self.published_names = inner.publish, inner.published, inner.published_names
        # So does all that is written where large values have no other place.
        self.append = inner.append if blobs is None else self._append
        self.send = inner.send if blobs is None else self._send

    async def facts(self) -> dict[str, str]:
        facts = await self._inner.facts()
        return facts if self._blobs is None else {**facts, "blobs": self._blobs.url}

    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            if self._blobs is not None:
                await self._blobs.close()

    # Writing.

    async def _append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if not any(map(self._has_large, appends)):
            return await self._inner.append(appends)
        # What cannot be put keeps all from the store, as a disk that is full does: else the run would be taken up by
        # itself, and its body run again and again for nothing.
        lighter = _all_or_error(await _together([self._offloaded_append(append) for append in appends]))
        return await self._inner.append(lighter)

    def _has_large(self, append: Append) -> bool:
        # One for all: nearly everything that is written passes here.
        probe = _Probe(self._threshold)
        for event in append.events:
            changed(event, probe)
        for entry in append.caches:
            changed(entry, probe)
        for message in append.messages:
            changed(message, probe)
        return bool(probe.found)

    async def _offloaded_append(self, append: Append) -> Append | StoreError:
        try:
            return attrs.evolve(
                append, events=[await self._offloaded(event) for event in append.events],
                caches=[await self._offloaded(entry) for entry in append.caches],
                messages=[await self._offloaded(message) for message in append.messages],
            )  # fmt: skip
        except StoreError as error:
            return error

    async def _send(self, message: Message) -> None:
        await self._inner.send(await self._offloaded(message))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        stored = await self._inner.put_schedule(await self._offloaded(schedule))
        return stored and attrs.evolve(stored, inputs=schedule.inputs)

    async def _offloaded(self, thing: A) -> A:
        """This with references in place of its large values, which are put first."""
        if self._values is None:
            return thing
        changed(thing, probe := _Probe(self._threshold))
        # By identity: to look a large text up is to go through all of it.
        references = {id(text): await self._values.put(text) for text in probe.found}

        def lighter(kind: Kind, value: Any) -> Any:
            found = references.get(id(value))
            if found is None:
                return value
            return found.object_text if kind is Kind.OBJECT else found.text

        return changed(thing, lighter) if references else thing

    # Reading.

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._read(run_id, await self._inner.read(run_id, after, limit), _references)

    async def _read(
        self, run_id: str, events: list[Event], found: Callable[[Event], Sequence[Reference]]
    ) -> list[Event]:
        """These events, or the first of them, with the large values that are found in them."""
        sizes = [sum(each.size for each in found(event)) for event in events]
        if not any(sizes):
            return events
        # Fewer than there are, if they are large, as any store does; but one at least.
        count, held = 0, 0
        while count < len(events) and held < _MOST_READ:
            held += sizes[count]
            count += 1
        heavy = [each for each, size in enumerate(sizes[:count]) if size]
        whole = [self._whole(events[each], _place_of(run_id, events[each])) for each in heavy]
        found_whole = dict(zip(heavy, _all_or_error(await _together(whole)), strict=True))
        return [found_whole.get(each, event) for each, event in enumerate(events[:count])]

    async def inbox(self, owner: str) -> list[Message]:
        messages = await self._inner.inbox(owner)
        whole = [self._whole(each, f"a message {each.signal!r} to run {each.run_id!r}") for each in messages]
        return _all_or_error(await _together(whole))

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        found = await self._inner.schedules(name)
        return _all_or_error(await _together([self._whole(each, f"schedule {each.name!r}") for each in found]))

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        answers = await self._inner.take_slots(owner, requests, frees=frees, now=now)
        return [await self._entry(each) if isinstance(each, CacheEntry) else each for each in answers]

    async def _entry(self, entry: CacheEntry) -> CacheEntry:
        found = await self._whole(entry, f"what is kept of step {entry.step!r} of run {entry.run_id!r}")
        return _all_or_error([found])[0]

    async def _whole(self, thing: A, where: str) -> A | StoreError:
        """This with its large values; the error if one of them cannot be had."""
        texts: dict[str, str] = {}
        for each in _references(thing):
            try:
                texts[each.key] = await self._fetched(each, f"{where} in {self.url}")
            except StoreError as error:
                return error

        def heavier(kind: Kind, value: Any) -> Any:
            found = _reference(kind, value)
            return value if found is None else texts[found.key]

        return changed(thing, heavier) if texts else thing

    async def _fetched(self, wanted: Reference, where: str) -> str:
        if self._values is None:
            raise StoreError(
                f"{where} holds a large value, blob {wanted.key}, that is kept elsewhere: open the store "
                "with its blobs, Orchestrator(url, blobs=...), open_store(url, blobs=...) or the URL option ?blobs="
            )
        return await self._values.get(wanted, where)

    # Leaving what is large where it is.

    async def shared(self) -> Shared | None:
        if self._shared is None:
            return None
        if not self._is_prepared:
            await self._shared.prepare()
            self._is_prepared = True
        return Shared(self._shared.url, self._threshold)

    async def read_light(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        if self._values is None:
            # Whoever cannot fetch them is told at once.
            return await self.read(run_id, after, limit)
        return await self._read(run_id, await self._inner.read(run_id, after, limit), _references_but_outputs)

    async def fetch(self, references: Collection[str], where: str) -> dict[str, str]:
        if self._values is None:
            raise NotImplementedError
        return await self._values.get_all(references, f"{where} in {self.url}")

    async def put_large(self, texts: Collection[str]) -> dict[str, str]:
        if self._values is None:
            raise NotImplementedError
        return {text: (await self._values.put(text)).text for text in texts if is_large(text, self._threshold)}

    async def has(self, reference_text: str) -> bool:
        found = reference(reference_text)
        return found is not None and self._shared is not None and await self._shared.has(found.key)

    # Deleting.

    async def forget_expired(self, now: float) -> int:
        count = await self._inner.forget_expired(now)
        await self.sweep()
        return count

    async def sweep(self) -> int:
        """
        Delete the large values to which nothing refers any more; how many there were.

        Whatever refers to a value was stored after the value was put, or put once more: so of what is too young
        nothing is deleted, and what came to be referred to meanwhile is too young by then.
        """
        blobs = self._blobs
        if blobs is None:
            return 0
        old = [key async for key, age in blobs.ages() if age > self._grace]
        # To look through all that is stored may take long: not for nothing.
        wanted = await self._inner.mentioned(MARKER, KEY_LENGTH) if old else set()
        return sum([await blobs.delete(key, older_than=self._grace) for key in old if key not in wanted])


class _Probe:
    """Looks for large values, and changes nothing."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self.found: list[str] = []

    def __call__(self, kind: Kind, value: Any) -> Any:
        if kind in _KINDS and isinstance(value, str) and is_large(value, self._threshold):
            self.found.append(value)
        return value


def _references(thing: attrs.AttrsInstance) -> list[Reference]:
    found: list[Reference] = []

    def look(kind: Kind, value: Any) -> Any:
        if (each := _reference(kind, value)) is not None:
            found.append(each)
        return value

    changed(thing, look)
    return found


def _references_but_outputs(event: Event) -> list[Reference]:
    return [] if isinstance(event, StepCompleted) else _references(event)


def _place_of(run_id: str, event: Event) -> str:
    """How an error names an event."""
    step = f" of step {event.step!r}" if isinstance(event, StepEvent | CompensationEvent) else ""
    item = getattr(event, "item", None)
    return f"event {event.seq} ({event.kind}{step}{'' if item is None else f', item {item}'}) of run {run_id!r}"


def _reference(kind: Kind, value: Any) -> Reference | None:
    return reference(value) if kind in _KINDS and isinstance(value, str) else None


async def _together(calls: Iterable[Coroutine[Any, Any, R]]) -> list[R]:
    """What these calls return, none of which raises what is foreseen; they are made at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


def _all_or_error(found: Iterable[A | StoreError]) -> list[A]:
    """
    All of these.

    Raises:
        StoreError: the first that is among them.
    """
    whole: list[A] = []
    for each in found:
        if isinstance(each, StoreError):
            raise each
        whole.append(each)
    return whole
