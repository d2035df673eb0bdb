"""Large values on their way into a blob store, and out of it."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from ..errors import StoreError
from ..ports import BlobStore
from .references import Reference, checked_text, content, reference

R = TypeVar("R")

_AT_ONCE = 8
"""How many values are put, or fetched, at a time."""
_LARGE = 50_000
"""How much is done with values on the loop in one go, in characters: that takes about a millisecond."""


class LargeValues:
    """The large values that a blob store keeps: texts under references. Belongs to one event loop."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def put(self, text: str) -> Reference:
        """What refers to this text, which is kept, durably, when this returns."""
        async with self._places:
            found, data = await computed(len(text), partial(content, text))
            await self._blobs.put(found.key, data)
            return found

    async def get(self, wanted: Reference, where: str) -> str:
        """
        The text that is meant.

        Args:
            where: What the error calls the thing that refers to it.

        Raises:
            StoreError: it is missing or damaged, or cannot be reached.
        """
        async with self._places:
            data = await self._blobs.get(wanted.key)
            text = None if data is None else await computed(len(data), partial(checked_text, data, wanted.key))
        if text is None:
            state = "is missing" if data is None else "is damaged: it is not what was put"
            raise StoreError(
                f"{where} cannot be read, as blob {wanted.key} {state} in {self._blobs.url}: "
                "bring it back from a backup, or delete what needs it and begin that anew"
            )
        return text

    async def get_all(self, references: Iterable[str], where: str) -> dict[str, str]:
        """
        Reference -> the text that is meant, of all of these.

        Raises:
            StoreError: as of `get`.
        """
        wanted = {text: found for text in references if (found := reference(text)) is not None}
        tasks = {}
        try:
            async with asyncio.TaskGroup() as group:
                for text, found in wanted.items():
                    tasks[text] = group.create_task(self.get(found, where))
        except* StoreError as errors:
            raise _first(errors) from None
        return {text: task.result() for text, task in tasks.items()}


def _first(errors: BaseExceptionGroup[StoreError]) -> StoreError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def computed(size: int, work: Callable[[], R]) -> R:
    """What this gives; where it takes long, for so many characters, others have the loop meanwhile."""
    return work() if size < _LARGE else await asyncio.to_thread(work)
