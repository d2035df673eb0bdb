"""Processes that are killed in the midst of storing a large value."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from orchwf import Orchestrator, open_store
from orchwf.blobs.folder import FolderBlobStore
from orchwf.stores.offloading import OffloadingStore
from orchwf.stores.sqlite import open_sqlite
from tests.faults.large import INSTANTS, Large


async def left_over(path: Path) -> int:
    """How many files are deleted that nothing refers to, however young."""
    inner = await open_sqlite(path)
    store = OffloadingStore(inner, FolderBlobStore(path.with_name(f"{path.name}.blobs")), grace=-60.0)
    try:
        return await store.sweep()
    finally:
        await store.close()


@pytest.mark.parametrize("instant", INSTANTS)
async def test_a_large_value_outlives_its_process(tmp_path: Path, instant: str):
    """
    What is stored can be read at every instant, the run goes on, and what was left by the dead is swept.

    No step runs again whose completion was stored.
    """
    path, notes = tmp_path / "a.db", tmp_path / "notes"
    url = f"sqlite:///{path}"
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.large", url, str(notes), instant,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert -signal.SIGKILL == await victim.wait()
    store = await open_store(url)
    assert await store.read("r")
    await store.close()
    leftovers = await left_over(path)

    async with Orchestrator(url, workflows=[Large]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    ran = notes.read_text(encoding="utf-8").split()
    assert ["x" * 1_000] * 800 == result["double"]
    assert {"written": 1, "named": 1, "committed": 0}[instant] == leftovers
    assert (["load"] if instant == "committed" else ["load", "load"]) == [each for each in ran if each == "load"]
    assert 0 == await left_over(path)
