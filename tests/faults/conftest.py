"""What the tests of faults begin with."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.harvest import harvest
from tests.faults.victims import whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is to be, in a folder of its own."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder / "runs.db"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a run that is done, one whose process was killed, and a message to that; nothing beside it."""
    folder = tmp_path_factory.mktemp("sound") / "store"
    folder.mkdir()
    path = folder / "runs.db"
    asyncio.run(harvest(path, "done"))
    whole(path, "--harm", "die", "--after", 30)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO inbox (run, id, signal, payload, folded) VALUES (2, 'cancel', 'cancel', '\"enough\"', 0)"
        )
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
