"""Large values in a bucket: S3, and what else the package obstore knows."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from ..errors import StoreError

_YOUNG = 60.0
"""What was put so many seconds ago need not be put once more to be young."""


class ObjectBlobStore:
    """
    A `BlobStore` in a bucket, or in a part of one.

    Who deletes looks at the age first, and cannot do both at once there: between the two lie some milliseconds. What is
    put once more in them, as a value that nothing referred to for longer than the grace, is lost.

    Args:
        objects: The store of obstore in which they are kept; all that is in it is taken for ours.
        url: How a person would name it.
    """

    def __init__(self, objects: ObjectStore, url: str) -> None:
        self.url = url
        self._objects = objects

    async def put(self, key: str, data: bytes) -> None:
        with self._usable():
            age = await self._age(_path(key))
            if age is None or age > _YOUNG:
                # What is there has the same bytes, and is replaced at once or not at all.
                await self._objects.put_async(_path(key), data)

    async def get(self, key: str) -> bytes | None:
        with self._usable():
            try:
                found = await self._objects.get_async(_path(key))
            except FileNotFoundError:
                return None
            return bytes(await found.bytes_async())

    async def has(self, key: str) -> bool:
        with self._usable():
            return await self._age(_path(key)) is not None

    async def prepare(self) -> None:
        # A bucket is made by others.
        return

    async def is_there(self) -> bool:
        # A bucket is the same from everywhere; what is put into none fails.
        return True

    async def ages(self) -> AsyncIterator[tuple[str, float]]:
        # The errors of obstore, not those of whoever takes these.
        pages = self._objects.list()
        while True:
            with self._usable():
                try:
                    page = await anext(pages)
                except StopAsyncIteration:
                    return
            for each in page:
                yield each["path"].rpartition("/")[2], time.time() - each["last_modified"].timestamp()

    async def delete(self, key: str, *, older_than: float) -> bool:
        with self._usable():
            age = await self._age(_path(key))
            if age is None or age <= older_than:
                return False
            await self._objects.delete_async(_path(key))
            return True

    async def close(self) -> None:
        # Nothing of it has to be given back.
        return

    async def _age(self, path: str) -> float | None:
        """How many seconds ago it was put; None if it is not there."""
        try:
            found = await self._objects.head_async(path)
        except FileNotFoundError:
            return None
        return time.time() - found["last_modified"].timestamp()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise _unusable(self.url, error) from error


def open_objects(url: str) -> ObjectBlobStore:
    """
    The blob store in the bucket that this URL names. Credentials come from the environment.

    Raises:
        StoreError: there is no such kind of store.
    """
    try:
        return ObjectBlobStore(from_url(url), url)
    except BaseError as error:
        raise _unusable(url, error) from error


def _unusable(url: str, error: Exception) -> StoreError:
    # What follows the first line is for those who work on obstore.
    reason = str(error).partition("\n")[0].rstrip(". ")
    return StoreError(
        f"the blob store {url} cannot be used: {reason}; see that it is there, and that the environment has the "
        "credentials and the region"
    )


def _path(key: str) -> str:
    return f"{key[:2]}/{key}"
