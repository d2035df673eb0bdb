"""Where runs are kept."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from ..crypto import KEYS, EncryptionCodec
from ..ports import PayloadCodec, Store
from ..stores import open_store
from ..stores.rehearsal import open_or_empty


@attrs.frozen(kw_only=True)
class Place:
    """The store of a command: its `url`; and `named`, the URL to repeat in commands that are shown, or empty."""

    url: str
    named: str


@asynccontextmanager
async def opened(url: str, *, must_exist: bool = True) -> AsyncIterator[Store]:
    """The store of this URL, closed after the block. Keys that the environment holds are used."""
    async with _closed(await open_store(url, must_exist=must_exist, codec=_codec())) as store:
        yield store


@asynccontextmanager
async def opened_or_empty(url: str) -> AsyncIterator[Store]:
    """Likewise; but if it is not there, one with nothing in it."""
    async with _closed(await open_or_empty(url, codec=_codec())) as store:
        yield store


def _codec() -> PayloadCodec | None:
    return EncryptionCodec.from_environment() if os.environ.get(KEYS) else None


@asynccontextmanager
async def _closed(store: Store) -> AsyncIterator[Store]:
    try:
        yield store
    finally:
        await store.close()
