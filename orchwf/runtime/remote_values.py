"""The large values of a body where it runs elsewhere: fetched before it begins, and put before its end is told."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from ..blobs.references import CODED, filled, is_large, reference, references_in
from ..blobs.urls import open_blobs
from ..blobs.values import LargeValues
from ..errors import StoreError
from ..ports import Shared, SharedBlobStore


class UnreadError(Exception):
    """
    What a body takes cannot be read here; the text says why.

    `is_apart` tells whether this is another place than that of whoever sent it, under the same URL.
    """

    def __init__(self, reason: str, *, is_apart: bool) -> None:
        super().__init__(reason)
        self.is_apart = is_apart


def with_large_values(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    What was sent for an attempt, with all large values that it refers to.

    Raises:
        UnreadError: one cannot be had.
    """
    if request["shared"] is None:
        return request
    texts = [request["inputs"], *request["outputs"].values(), *request["items"].values()]
    texts += [each for each in (request["carried"], request["last_heartbeat"]) if each is not None]
    wanted = list({each: None for text in texts for each in references_in(text)})
    try:
        blobs = _opened(request["shared"]["url"])
    except StoreError as error:
        raise UnreadError(str(error), is_apart=True) from error
    if not wanted:
        return request
    found = asyncio.run(_fetched(blobs, wanted, f"what step {request['context']['step']!r} takes"))

    def whole(text: str | None) -> str | None:
        return None if text is None else filled(text, found)

    return {
        **request, "inputs": whole(request["inputs"]),
        "outputs": {name: whole(text) for name, text in request["outputs"].items()},
        "items": {name: whole(text) for name, text in request["items"].items()},
        "carried": whole(request["carried"]), "last_heartbeat": whole(request["last_heartbeat"]),
    }  # fmt: skip


def kept(output: str, shared: Shared | None) -> str:
    """
    What is told of an output: itself, or what refers to it, if that is large; then it is there, durably.

    Raises:
        StoreError: it cannot be put.
    """
    if shared is None or not is_large(output, shared.threshold):
        return output
    return asyncio.run(_put(_opened(shared.url), output))


# A function of this process, and no state of ours: whoever opens one again gets the same.
@cache
def _opened(url: str) -> SharedBlobStore:
    """
    The blob store of this URL, one for all bodies of this process.

    Raises:
        StoreError: it cannot be opened.
    """
    blobs = open_blobs(url)
    if blobs is None:
        raise NotImplementedError
    return blobs


async def _fetched(blobs: SharedBlobStore, wanted: Sequence[str], where: str) -> dict[str, str]:
    try:
        found = await LargeValues(blobs).get_all(wanted, where)
    except StoreError as error:
        missing = await _missing(blobs, wanted)
        reason = f"blob {missing[0]} is not in {blobs.url} as they see it" if missing else str(error)
        raise UnreadError(reason, is_apart=bool(missing)) from error
    if any(text.startswith(CODED) for text in found.values()):
        raise UnreadError(f"{where} was written with a codec, which workers do not have", is_apart=False)
    return found


async def _missing(blobs: SharedBlobStore, wanted: Sequence[str]) -> list[str]:
    """The keys of those of these that are not there, instead of being damaged or out of reach."""
    keys = [found.key for each in wanted if (found := reference(each)) is not None]
    with suppress(StoreError):
        return [key for key in keys if not await blobs.has(key)]
    return []


async def _put(blobs: SharedBlobStore, output: str) -> str:
    # Where it would have to be made it is not that of the orchestrator, which is there.
    return (await LargeValues(blobs).put(output)).text if await blobs.is_there() else output
