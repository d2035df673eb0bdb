"""Where runs are kept."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from ..crypto import KEYS, EncryptionCodec
from ..ports import Store
from ..stores import open_store


@attrs.frozen(kw_only=True)
class Place:
    """The store of a command: its `url`; and `named`, the URL to repeat in commands that are shown, or empty."""

    url: str
    named: str


@asynccontextmanager
async def opened(url: str, *, must_exist: bool = True) -> AsyncIterator[Store]:
    """The store of this URL, closed after the block. Keys that the environment holds are used."""
    codec = EncryptionCodec.from_environment() if os.environ.get(KEYS) else None
    store = await open_store(url, must_exist=must_exist, codec=codec)
    try:
        yield store
    finally:
        await store.close()
