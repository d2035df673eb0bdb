"""A store in which nothing is changed, and which answers as if it were: to see what would become of it."""

from collections.abc import Sequence

from ..core.schedules import ScheduleRecord
from ..errors import RunExistsError, StoreNotFoundError
from ..ports import Append, Message, PayloadCodec, Renewal, RunRecord, Store
from .memory import MemoryStore
from .relay import Relay
from .urls import open_store


async def open_or_empty(url: str | Store, *, codec: PayloadCodec | None = None) -> Store:
    """
    What `open_store` gives; where there is no store yet, one with nothing in it, and there none is made.

    Raises:
        StoreError: what is there cannot be used.
    """
    try:
        return await open_store(url, must_exist=True, codec=codec)
    except StoreNotFoundError:
        return MemoryStore()


class Rehearsal(Relay):
    """
    A `Store` for copying: it reads from another one, and keeps from that what whoever copies writes.

    It remembers which runs were created and deleted, by their ids, and nothing else of what it was told: who writes the
    rest of a log finds no trace of it. Who claims a run always gets it.

    Args:
        inner: What is read.
        source: Where the runs are that are created here; None if none are.
    """

    def __init__(self, inner: Store, source: Store | None = None) -> None:
        super().__init__(inner)
        self._source = source
        self._created: set[str] = set()
        self._deleted: set[str] = set()

    async def get(self, run_id: str) -> RunRecord | None:
        if run_id in self._created and self._source is not None:
            return await self._source.get(run_id)
        return None if run_id in self._deleted else await super().get(run_id)

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        return [await self._appended(append) for append in appends]

    async def _appended(self, append: Append) -> Exception | None:
        if append.create is None:
            return None
        if await self.get(append.run_id) is not None:
            return RunExistsError(append.run_id)
        self._created.add(append.run_id)
        return None

    async def delete(self, run_ids: Sequence[str]) -> int:
        self._created.difference_update(run_ids)
        self._deleted.update(run_ids)
        return len(run_ids)

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        return True

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        return Renewal(was_live=True)

    async def release(self, owner: str) -> None:
        pass

    async def send(self, message: Message) -> None:
        pass

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        return schedule

    async def delete_schedule(self, name: str) -> bool:
        return True
