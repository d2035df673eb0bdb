"""Blob stores for tests."""

from collections.abc import AsyncIterator, Callable

from orchwf.errors import StoreError


class MemoryBlobStore:
    """
    A `BlobStore` in memory, by a clock that a test sets.

    Attributes:
        kept: Key -> its bytes, and when they were put last.
        is_full: Whether nothing can be put.
        puts: How often a value was put.
    """

    url = "blobs:"

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}
        self.now = 0.0
        self.is_full = False
        self.is_closed = False
        self.puts = 0
        self.before_put: Callable[[], None] = lambda: None

    async def put(self, key: str, data: bytes) -> None:
        if self.is_full:
            raise StoreError("blobs: is full")
        self.before_put()
        self.puts += 1
        self.kept[key] = (data, self.now)

    async def get(self, key: str) -> bytes | None:
        found = self.kept.get(key)
        return found and found[0]

    async def ages(self) -> AsyncIterator[tuple[str, float]]:
        for key, (_, at) in list(self.kept.items()):
            yield key, self.now - at

    async def delete(self, key: str, *, older_than: float) -> bool:
        if key not in self.kept or self.now - self.kept[key][1] <= older_than:
            return False
        del self.kept[key]
        return True

    async def close(self) -> None:
        self.is_closed = True
