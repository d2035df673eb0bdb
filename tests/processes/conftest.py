"""What the tests over real processes begin with."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kinds import KINDS, named_store
from tests.processes.place import Place
from tests.processes.shared import Shared, SharedFile, SharedSchema

if not hasattr(signal, "SIGSTOP"):
    # This system knows no such signals.
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They are slow, all of them: each waits for processes to begin, and mostly for a lease to run out."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)
            # By far less than that on a machine that does nothing else.
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(params=[kind for kind in KINDS if kind != "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A store, and a folder for the processes on it, which are killed in the end; none has told of an error."""
    with guarded(shared(request.param, request, tmp_path), tmp_path) as place:
        yield place


@pytest.fixture
def schema_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The same, always on PostgreSQL."""
    with guarded(shared("postgres", request, tmp_path), tmp_path) as place:
        yield place


def shared(kind: str, request: pytest.FixtureRequest, folder: Path) -> Shared:
    """An empty store of this kind."""
    url = str(named_store(kind, request, folder))
    return SharedSchema(url) if kind == "postgres" else SharedFile(folder / "runs.db")


@contextmanager
def guarded(store: Shared, folder: Path) -> Iterator[Place]:
    place = Place(folder, store)
    try:
        yield place
    finally:
        place.close()
    assert "Traceback" not in place.errors.read_text()
