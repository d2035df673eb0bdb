"""The store in memory."""

import pytest

from orchwf.stores import MemoryStore

from .contract import StoreContract
from .samples import creation, written


class TestMemoryStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


async def test_two_stores_share_nothing():
    """A store in memory is shared by sharing the object only."""
    one, other = MemoryStore(), MemoryStore()

    await written(one, creation("A1"))

    assert await other.get("A1") is None
