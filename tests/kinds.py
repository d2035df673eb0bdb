"""The stores that a test is run with, by their kinds. ORCHWF_TEST_STORE=postgres adds PostgreSQL where that is slow."""

import os
from pathlib import Path

import pytest

from orchwf.ports import Store
from orchwf.stores import MemoryStore, open_store

KINDS = ["memory", "sqlite", *(["postgres"] if os.environ.get("ORCHWF_TEST_STORE") == "postgres" else [])]


def named_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store | str:
    """What an orchestrator can be given: one for one after the other, in which nothing is yet."""
    match kind:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return f"sqlite:///{folder / 'runs.db'}"
        case _:
            return str(request.getfixturevalue("postgres_url"))


async def opened_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    """An open store in which nothing is yet."""
    return await open_store(named_store(kind, request, folder))
