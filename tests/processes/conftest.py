"""What the tests over real processes begin with."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.place import Place

if not hasattr(signal, "SIGSTOP"):
    # This system knows no such signals.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder for a store, and for the processes on it, which are killed in the end; none has told of an error."""
    place = Place(tmp_path)
    try:
        yield place
    finally:
        place.close()
    assert "Traceback" not in place.errors.read_text()
