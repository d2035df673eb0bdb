"""Executors to test with."""

import importlib
import importlib.util
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from orchwf import Orchestrator
from orchwf.executors import DaskExecutor, ProcessExecutor, RayExecutor
from orchwf.ports import Executor, Observer
from orchwf.stores import MemoryStore
from orchwf.testing.recorder import Recorder

NEEDS_DASK = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")
NEEDS_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")

KINDS = [
    pytest.param("process", id="process"),
    pytest.param("dask", id="dask", marks=NEEDS_DASK),
    pytest.param("ray", id="ray", marks=[NEEDS_RAY, pytest.mark.slow]),
]


def executor_of(kind: str) -> Executor:
    """One of this kind with one worker."""
    match kind:
        case "process":
            return ProcessExecutor(max_workers=1)
        case "dask":
            return DaskExecutor(max_workers=1)
        case _:
            return RayExecutor(init_options={"num_cpus": 1, "object_store_memory": 100_000_000})


@attrs.frozen
class Place:
    """
    An orchestrator whose executor `there` is of some kind.

    Attributes:
        kind: Which.
        orchestrator: It is open, and shared by all tests of a module: workers cost time.
        recorder: What it told.
    """

    kind: str
    orchestrator: Orchestrator
    recorder: Recorder


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place of each kind, one after the other."""
    recorder = Recorder()
    observers: Sequence[Observer] = [recorder]
    executors = {"there": executor_of(request.param)}
    async with Orchestrator(MemoryStore(), executors=executors, observers=observers, grace=0) as orchestrator:
        yield Place(request.param, orchestrator, recorder)
    if request.param == "ray":
        importlib.import_module("ray").shutdown()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file for what bodies write down."""
    return tmp_path / "notes.txt"
