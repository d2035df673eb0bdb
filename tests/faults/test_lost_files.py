"""Files that are deleted, replaced or emptied while a process works on them."""

import asyncio
from pathlib import Path

import pytest

from orchwf import Orchestrator, StoreError
from orchwf.core.events import StepCompleted
from orchwf.stores.sqlite import open_sqlite
from tests.faults.harvest import HARMS, harvest
from tests.faults.victims import integrity, kept_steps, log_in, run_again, whole


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("delete", "its file was deleted while it was open; open the store again"),
        ("remove-folder", "its file was deleted while it was open; open the store again"),
        ("replace", "its file was replaced by another while it was open; open the store again"),
        ("delete-wal", "runs.db-wal, which belongs to it, was deleted while it was open; open the store again"),
        ("delete-shm", "runs.db-shm, which belongs to it, was deleted while it was open; open the store again"),
    ],
)
def test_a_file_that_goes_stops_the_run(path: Path, harm: str, reason: str):
    """Whoever waits is told that the run was interrupted, and why."""
    asyncio.run(harvest(path.with_name("other.db"), "theirs"))

    code, said = whole(path, "--harm", harm, "--after", 30)

    lines = said.splitlines()
    assert (0, harm) == (code, lines[0])
    assert lines[1].startswith("RunInterruptedError: run 'r' of Harvest was interrupted before it ended")
    assert [f"StoreError: the store {path} cannot be used: {reason}"] == lines[2:]


@pytest.mark.parametrize("harm", ["delete-wal", "delete-shm"])
def test_what_was_acknowledged_outlives_the_files_beside(path: Path, harm: str):
    """On its way out the process brings it into the database; the run goes on from there."""
    whole(path, "--harm", harm, "--after", 30)
    kept = set(kept_steps(path))
    log = asyncio.run(log_in(path))

    code, said = whole(path)

    assert (0, "completed") == (code, said)
    assert len(log) >= 30
    assert kept <= {event.step for event in log if isinstance(event, StepCompleted)}
    assert set() == run_again(path)
    assert "ok" == integrity(path)


_ORPHANS = ["runs.db-shm-orphaned", "runs.db-wal-orphaned"]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_is_put_aside_makes_the_old_file_whole(path: Path):
    """Where that was only moved away, nothing that was acknowledged is lost."""
    old = path.with_name("old.db")
    path.touch()
    old.hardlink_to(path)
    whole(path, "--harm", "delete", "--after", 30)

    path.with_name("runs.db-wal-orphaned").rename(path.with_name("old.db-wal"))

    log = asyncio.run(log_in(old))
    assert 30 <= len(log)
    assert set(kept_steps(path)) <= {event.step for event in log if isinstance(event, StepCompleted)}
    assert "ok" == integrity(old)


def test_nothing_is_written_to_a_file_that_took_the_place(path: Path):
    """
    Its bytes and its runs are those that it had: what SQLite kept beside the old file, and would play into the new one,
    is put aside.
    """
    other = path.with_name("other.db")
    asyncio.run(harvest(other, "theirs"))
    content = other.read_bytes()

    whole(path, "--harm", "replace", "--after", 30)

    assert content == path.read_bytes()
    assert ["runs.db", *_ORPHANS] == names_in(path.parent)
    assert [] == asyncio.run(log_in(path))
    assert 50 < len(asyncio.run(log_in(path, "theirs")))
    assert "ok" == integrity(path)


def test_nothing_is_written_where_a_file_was(path: Path):
    """A deleted store does not come back as an empty one."""
    whole(path, "--harm", "delete", "--after", 30)

    assert _ORPHANS == names_in(path.parent)


async def test_a_store_without_its_file_answers_nothing(path: Path):
    """Also who only looks is told, instead of seeing for ever what was true then."""
    await harvest(path)
    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        run = await orchestrator.get("r")
        HARMS["delete"](path)

        for ask in (run.status, run.wait, run.steps, orchestrator.list_runs):
            with pytest.raises(StoreError, match=f"the store {path} cannot be used: its file was deleted"):
                await ask()


async def test_a_way_that_is_barred_is_a_clear_error(path: Path):
    """The folder has become a file: nothing beyond it can be reached."""
    store = await open_sqlite(path)
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.touch()

    with pytest.raises(StoreError, match=f"the store {path} cannot be used: .* cannot be reached any more"):
        await store.get("r")

    await store.close()


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/runs.db"])
async def test_a_name_that_is_too_long_is_refused(tmp_path: Path, name: str):
    """With one clear error, as any other path that cannot be used."""
    with pytest.raises(StoreError, match="cannot be reached: File name too long; give another path"):
        await open_sqlite(tmp_path / name)


def test_a_write_ahead_log_that_is_emptied_is_noticed(path: Path):
    """SQLite meets the end of the file where it has written before."""
    code, said = whole(path, "--harm", "empty-wal", "--after", 30, "--pragma", "cache_size=0")

    lines = said.splitlines()
    assert (0, "empty-wal") == (code, lines[0])
    assert lines[1].startswith("RunInterruptedError: ")
    assert lines[2].startswith(f"StoreError: the store {path} cannot be used: the disk or the file system reported")


def test_each_harm_is_done_by_some_test():
    """But for the kill, which others use, and the emptied database, of which everything is in the log beside it."""
    assert {"die", "empty", "empty-wal", "delete", "delete-wal", "delete-shm", "replace", "remove-folder"} == set(HARMS)
