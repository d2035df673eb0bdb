"""Where runs are kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from ..ports import Store
from ..stores import open_store


@attrs.frozen(kw_only=True)
class Place:
    """The store of a command: its `url`; and `named`, the URL to repeat in commands that are shown, or empty."""

    url: str
    named: str


@asynccontextmanager
async def opened(url: str, *, must_exist: bool = True) -> AsyncIterator[Store]:
    """The store of this URL, closed after the block."""
    store = await open_store(url, must_exist=must_exist)
    try:
        yield store
    finally:
        await store.close()
