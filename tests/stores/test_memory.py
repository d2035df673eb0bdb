"""The store in memory."""

from collections.abc import AsyncIterator

import pytest

from orchwf.stores import MemoryStore

from .contract import Ears, HintContract, StoreContract
from .samples import creation, written


class TestMemoryStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestMemoryHints(HintContract):
    """It tells what is written."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    async def ears(self, store: MemoryStore) -> AsyncIterator[Ears]:
        async with Ears(store).open() as ears:
            yield ears


async def test_two_stores_share_nothing():
    """A store in memory is shared by sharing the object only."""
    one, other = MemoryStore(), MemoryStore()

    await written(one, creation("A1"))

    assert await other.get("A1") is None
