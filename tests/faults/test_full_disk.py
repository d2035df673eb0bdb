"""Disks that are full, and files that may not grow."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchwf.core.events import StepCompleted
from tests.faults.victims import integrity, kept_steps, log_in, run_again, whole

_FULL = "the disk is full; make room, then go on: what was acknowledged is safe"
_STUCK = "nothing more can be written: the disk is full, or a quota or the limit for the size of a file (ulimit -f)"


EVENTS = (8, 20, 32)
"""How many events there is room for, about; the whole run has some fifty."""


def twin(path: Path, events: int) -> dict[str, int]:
    """How much an equal run needs for its first events: bytes by the end of the file's name, and `pages`."""
    folder = path.with_name("twin") / "store"
    folder.mkdir(parents=True)
    twin_path = folder / "runs.db"
    whole(twin_path, "--harm", "die", "--after", events)
    sizes = {end: twin_path.with_name("runs.db" + end).stat().st_size for end in ("", "-wal", "-shm")}
    with closing(sqlite3.connect(twin_path)) as db:
        sizes["pages"] = db.execute("PRAGMA page_count").fetchone()[0]
    shutil.rmtree(folder.parent)
    return sizes


def check_interrupted(path: Path, said: str, reason: str) -> None:
    """See that the run was interrupted for this reason, and that all that was acknowledged is in the store."""
    lines = said.splitlines()
    assert lines[0].startswith("RunInterruptedError: run 'r' of Harvest was interrupted before it ended")
    assert lines[1].startswith(f"StoreError: the store {path} cannot be used: {reason}")
    assert "make room, then go on: what was acknowledged is safe" in lines[1]
    log = asyncio.run(log_in(path))
    completed = [event.step for event in log if isinstance(event, StepCompleted)]
    assert completed
    assert sorted(kept_steps(path)) == sorted(completed)


def check_goes_on(path: Path) -> None:
    """See that the run ends right now that there is room, and that nothing was done twice."""
    assert (0, "completed") == whole(path)
    assert set() == run_again(path)
    assert "ok" == integrity(path)


@pytest.mark.parametrize("events", EVENTS)
def test_a_limit_of_file_sizes(path: Path, events: int):
    """Also a quota is met like this: the system refuses to let the file grow."""
    limit = twin(path, events)["-wal"] + 1000

    _, said = whole(path, "--limit", limit)

    check_interrupted(path, said, _STUCK)
    check_goes_on(path)


@pytest.mark.parametrize("events", EVENTS)
def test_a_limit_of_pages(path: Path, events: int):
    """SQLite itself finds that the database is full."""
    pages = twin(path, events)["pages"]

    _, said = whole(path, "--pragma", f"max_page_count={pages}")

    check_interrupted(path, said, _FULL)
    check_goes_on(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file system of 1 MB, as only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"a small file system cannot be mounted here: {error}")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Let this file take all the room that is left."""
    with file.open("wb", buffering=0) as growing:
        try:
            while growing.write(bytes(1024)):
                pass
        except OSError:
            return


@pytest.mark.parametrize("events", EVENTS)
def test_a_small_disk(small_disk: Path, events: int):
    """The run stops, nobody can open the store for work while the disk is full, and with room all goes on."""
    path, ballast = small_disk / "runs.db", small_disk / "ballast"
    needed = twin(small_disk, events)
    ballast.write_bytes(bytes(2**20 - needed[""] - needed["-wal"] - needed["-shm"] - 8192))

    _, said = whole(path)
    fill(small_disk / "rest")
    _, said_again = whole(path)

    assert said_again.startswith(f"StoreError: the store {path} cannot be used: ")
    assert "make room, then go on: what was acknowledged is safe" in said_again
    ballast.unlink()
    check_interrupted(path, said, _FULL)
    check_goes_on(path)


def test_opening_a_store_on_a_full_disk(small_disk: Path):
    """SQLite needs some room beside the file even to read: the error says that it lacks."""
    path = small_disk / "runs.db"
    whole(path)
    fill(small_disk / "ballast")

    _, said = whole(path)

    assert said.startswith(f"StoreError: the store {path} cannot be used: nothing more can be written")
    (small_disk / "ballast").unlink()
    assert (0, "completed") == whole(path)
