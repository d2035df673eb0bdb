"""Stores that stand before another one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ..core.events import Event
from ..ports import Append, Message, RunQuery, RunRecord, Store
from .clock import FakeClock

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

    async def renew(self, owner: str, lease: float) -> bool:
        return await self.passed(lambda: self.inner.renew(owner, lease))

    async def release(self, owner: str) -> None:
        await self.passed(lambda: self.inner.release(owner))

    async def owners(self) -> dict[str | None, bool]:
        return await self.passed(self.inner.owners)

    async def facts(self) -> dict[str, str]:
        return await self.passed(self.inner.facts)

    async def send(self, message: Message) -> None:
        await self.passed(lambda: self.inner.send(message))

    async def inbox(self, owner: str) -> list[Message]:
        return await self.passed(lambda: self.inner.inbox(owner))

    async def delete(self, run_ids: Sequence[str]) -> int:
        return await self.passed(lambda: self.inner.delete(run_ids))

    async def close(self) -> None:
        await self.passed(self.inner.close)


class Held(Relay):
    """A store whose calls keep the time of a clock from leaping while they are in flight."""

    def __init__(self, inner: Store, clock: FakeClock) -> None:
        super().__init__(inner)
        self._clock = clock

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        with self._clock.hold():
            return await call()
