"""A store that stands before another one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from ..core.census import Census
from ..core.events import Event
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Occupancy, Slot, SlotRequest
from ..ports import Append, Hint, Message, Renewal, RunQuery, RunRecord, Store, Taken, Wanted

T = TypeVar("T")


class Relay:
    """A `Store` that passes every call on to another one, through `passed`."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.url = inner.url

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make this call of the other store."""
        return await call()

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        return await self.passed(lambda: self.inner.append(appends))

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self.passed(lambda: self.inner.read(run_id, after, limit))

    async def get(self, run_id: str) -> RunRecord | None:
        return await self.passed(lambda: self.inner.get(run_id))

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self.passed(lambda: self.inner.runs(query))

    async def definition(self, fingerprint: str) -> str | None:
        return await self.passed(lambda: self.inner.definition(fingerprint))

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        return await self.passed(lambda: self.inner.claim(run_id, owner, previous=previous))

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        return await self.passed(lambda: self.inner.take(owner, wanted))

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        return await self.passed(lambda: self.inner.renew(owner, lease, near=near))

    async def release(self, owner: str) -> None:
        await self.passed(lambda: self.inner.release(owner))

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        return await self.passed(lambda: self.inner.take_slots(owner, requests, frees=frees, now=now))

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        return await self.passed(lambda: self.inner.occupancy(beginning, limit))

    async def forget_expired(self, now: float) -> int:
        return await self.passed(lambda: self.inner.forget_expired(now))

    async def mentioned(self, marker: str, length: int) -> set[str]:
        return await self.passed(lambda: self.inner.mentioned(marker, length))

    async def next_wake(self, after: float) -> float | None:
        return await self.passed(lambda: self.inner.next_wake(after))

    async def census(self, now: float) -> Census:
        return await self.passed(lambda: self.inner.census(now))

    async def facts(self) -> dict[str, str]:
        return await self.passed(self.inner.facts)

    async def send(self, message: Message) -> None:
        await self.passed(lambda: self.inner.send(message))

    async def inbox(self, owner: str) -> list[Message]:
        return await self.passed(lambda: self.inner.inbox(owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        return await self.passed(lambda: self.inner.delete(run_ids))

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        return await self.passed(lambda: self.inner.schedules(name))

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return await self.passed(lambda: self.inner.put_schedule(schedule))

    async def delete_schedule(self, name: str) -> bool:
        return await self.passed(lambda: self.inner.delete_schedule(name))

    async def publish(self, definitions: Mapping[str, str]) -> None:
        await self.passed(lambda: self.inner.publish(definitions))

    async def published(self, workflow: str) -> str | None:
        return await self.passed(lambda: self.inner.published(workflow))

    async def published_names(self) -> list[str]:
        return await self.passed(self.inner.published_names)

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        # No call that ends, so it does not pass.
        await self.inner.listen(heard)

    async def watch(self, run_id: str) -> bool:
        return await self.passed(lambda: self.inner.watch(run_id))

    async def close(self) -> None:
        await self.passed(self.inner.close)
