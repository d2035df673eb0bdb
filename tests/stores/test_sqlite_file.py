"""What may be wrong with the file of a SQLite store: one clear error each, and the file stays as it was."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from orchwf.errors import StoreBusyError, StoreError
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from orchwf.stores.sqlite_errors import store_error
from orchwf.stores.sqlite_file import APPLICATION_ID, migrations, use_wal

from .samples import FAILED, completed, creation, more, record, started, written


async def make_store(path: Path) -> None:
    """A store with some runs, closed."""
    store = await open_sqlite(path)
    await written(store, *(creation(f"R{number}", *(started(seq) for seq in range(1, 50))) for number in range(50)))
    await store.close()


def make_database(path: Path, *statements: str) -> None:
    """Some SQLite database."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def foreign(path: Path) -> None:
    make_database(path, "PRAGMA application_id = 7", "PRAGMA user_version = 1", "CREATE TABLE runs (id)")


def foreign_wal(path: Path) -> None:
    make_database(path, "PRAGMA journal_mode = WAL", "CREATE TABLE customers (id)")


def empty_of_another(path: Path) -> None:
    make_database(path, "PRAGMA application_id = 7")


def newer(path: Path) -> None:
    make_database(path, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 99", "CREATE TABLE t (x)")


def text(path: Path) -> None:
    path.write_text("Dear diary,\n" * 1000)


def broken_schema(path: Path) -> None:
    asyncio.run(make_store(path))
    content = bytearray(path.read_bytes())
    content[100:4000] = b"\xa5" * 3900
    path.write_bytes(content)


def truncated(path: Path) -> None:
    asyncio.run(make_store(path))
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("make", "reason", "way_out"),
    [
        (foreign, "another application", "another path"),
        (foreign_wal, "another application", "another path"),
        (empty_of_another, "another application", "another path"),
        (newer, "schema 99, made by a newer orchwf", "upgrade orchwf"),
        (text, "not a SQLite database", "another path"),
        (broken_schema, "damaged", "restore a backup"),
        (truncated, "damaged", "restore a backup"),
    ],
)
def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, make: Callable[[Path], None], reason: str, way_out: str):
    """The error names path, reason and way out, and not a byte is changed."""
    path = tmp_path / "orders.db"
    make(path)
    before = path.read_bytes()

    with pytest.raises(StoreError) as caught:
        asyncio.run(open_sqlite(path))

    assert f"the store {path} cannot be used" in str(caught.value)
    assert reason in str(caught.value)
    assert way_out in str(caught.value)
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/orders.db", "missing does not exist"),
        ("file/orders.db", "file is not a folder"),
        ("folder", "it is a folder"),
        ("pipe", "not an ordinary file"),
    ],
)
async def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str, reason: str):
    """Nothing is made there."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(StoreError, match=reason) as caught:
        await open_sqlite(tmp_path / name)

    assert str(tmp_path / name) in str(caught.value)
    assert ["file", "folder", "pipe"] == sorted(os.listdir(tmp_path))


async def test_a_missing_file_is_not_made_for_who_only_looks(tmp_path: Path):
    """With `must_exist` the error says that there is no store."""
    with pytest.raises(StoreError, match="there is no store") as caught:
        await open_sqlite(tmp_path / "orders.db", must_exist=True)

    assert str(tmp_path / "orders.db") in str(caught.value)
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("must_exist", [True, False])
async def test_an_empty_file_becomes_a_store(tmp_path: Path, must_exist: bool):
    """It is what `mktemp` makes, and a new database to SQLite."""
    path = tmp_path / "orders.db"
    path.touch()

    store = await open_sqlite(path, must_exist=must_exist)
    await written(store, creation("A1"))

    assert record(number=1) == await store.get("A1")
    await store.close()


async def test_a_store_is_marked_as_ours(tmp_path: Path):
    """The header says whose it is and which schema it has; the journal is a write-ahead log."""
    path = tmp_path / "orders.db"
    await make_store(path)

    with closing(sqlite3.connect(path)) as db:
        marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]

    assert [APPLICATION_ID, len(migrations())] == marks
    assert "wal" == mode


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path):
    """A database of ours that holds another table in the way: the schema stays at its version, without a trace."""
    path = tmp_path / "orders.db"
    make_database(path, f"PRAGMA application_id = {APPLICATION_ID}", "CREATE TABLE inbox (x)")

    with pytest.raises(StoreError, match="already exists"):
        await open_sqlite(path)

    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT name FROM sqlite_master").fetchall()
        version = db.execute("PRAGMA user_version").fetchone()[0]
    assert [("inbox",)] == tables
    assert 0 == version


async def test_damage_that_shows_later_is_a_clear_error(tmp_path: Path):
    """A page of the log that is garbage is met by whoever reads it."""
    path = tmp_path / "orders.db"
    await make_store(path)
    content = bytearray(path.read_bytes())
    # Before that is the schema, which is read when the store is opened.
    whole = len(content) * 3 // 4
    content[whole:] = b"\xa5" * (len(content) - whole)
    path.write_bytes(content)
    store = await open_sqlite(path)

    reads = await asyncio.gather(*(store.read(f"R{number}") for number in range(50)), return_exceptions=True)

    errors = [each for each in reads if isinstance(each, BaseException)]
    assert {StoreError} == {type(error) for error in errors}
    assert all(f"the store {path} cannot be used: it is damaged" in str(error) for error in errors)
    await store.close()


@pytest.mark.parametrize(
    ("column", "value"), [("kind", "step.dreamt"), ("data", "{"), ("data", '{"surprise":1}')], ids=str
)
async def test_an_event_that_cannot_be_read_is_a_clear_error(tmp_path: Path, column: str, value: str):
    """It names the run."""
    path = tmp_path / "orders.db"
    store = await open_sqlite(path)
    await written(store, creation("A1", started(1), attrs.evolve(FAILED, seq=2)))
    await store._connection.call(lambda db: db.execute(f"UPDATE log SET {column} = ? WHERE seq = 2", (value,)))

    with pytest.raises(StoreError, match="run 'A1' has an event that cannot be read"):
        await store.read("A1")

    assert [started(1)] == await store.read("A1", limit=1)
    await store.close()


async def set_pragma(store: SQLiteStore, pragma: str) -> None:
    """Change a setting of the store's connection."""
    await store._connection.call(lambda db: db.execute(f"PRAGMA {pragma}").fetchall())


async def test_a_lock_held_by_another_process_is_worth_another_try(tmp_path: Path):
    """The error says so by its class; afterwards the same call goes through."""
    path = tmp_path / "orders.db"
    store = await open_sqlite(path)
    await set_pragma(store, "busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusyError, match="another process") as caught:
            await store.append([creation("A1")])

        assert str(path) in str(caught.value)
        assert await store.get("A1") is None
        other.execute("COMMIT")
    await written(store, creation("A1"))
    await store.close()


async def test_a_full_disk_loses_nothing(tmp_path: Path):
    """What does not fit is not written; with room the store goes on."""
    store = await open_sqlite(tmp_path / "orders.db")
    await written(store, creation("A1", started(1)))
    await set_pragma(store, "max_page_count = 40")

    with pytest.raises(StoreError, match="the disk is full; make room"):
        await store.append([more("A1", *(completed(seq, output=f'"{"x" * 9000}"') for seq in range(2, 60)))])

    assert [started(1)] == await store.read("A1")
    await set_pragma(store, "max_page_count = 100000")
    await written(store, more("A1", completed(2)))
    await store.close()


async def test_a_file_that_is_deleted_while_open_is_noticed(tmp_path: Path):
    """SQLite would go on writing, and all of that would be lost with the process."""
    path = tmp_path / "orders.db"
    store = await open_sqlite(path)
    await written(store, creation("A1"))

    path.unlink()

    with pytest.raises(StoreError, match="deleted while it was open"):
        await store.append([creation("A2")])
    await store.close()


async def test_a_file_that_is_replaced_while_open_is_noticed(tmp_path: Path):
    """What is written would not be in the file that is there now."""
    path = tmp_path / "orders.db"
    store = await open_sqlite(path)
    shutil.copy(path, tmp_path / "copy.db")

    (tmp_path / "copy.db").replace(path)

    with pytest.raises(StoreError, match="replaced by another"):
        await store.claim("A1", "me", previous=None)
    await store.close()


async def test_a_store_without_a_write_ahead_log_gets_one(tmp_path: Path):
    """As after `VACUUM INTO`, or when somebody switched it off: its log is there before anybody looks after it."""
    path = tmp_path / "orders.db"
    await make_store(path)
    make_database(path, "PRAGMA journal_mode = DELETE")

    store = await open_sqlite(path)
    try:
        await written(store, creation("new"))
        found = await store.get("new")
    finally:
        await store.close()

    assert found is not None


def test_an_error_that_nobody_foresaw_says_what_sqlite_says():
    """Path and text are there."""
    error = store_error(Path("/data/orders.db"), sqlite3.OperationalError("no such table: moons"))

    assert "the store /data/orders.db cannot be used: SQLite says: no such table: moons" == str(error)


def test_a_write_to_a_read_only_database_is_explained(tmp_path: Path):
    """SQLite's own error gets path and way out."""
    path = tmp_path / "orders.db"
    make_database(path, "CREATE TABLE t (x)")
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db,
        pytest.raises(sqlite3.OperationalError) as caught,
    ):
        db.execute("INSERT INTO t VALUES (1)")

    error = store_error(path, caught.value)

    assert f"the store {path} cannot be used: it is read-only; make the file" in str(error)


def test_two_that_open_a_new_file_wait_for_each_other(tmp_path: Path):
    """While another one reads the file its journal mode cannot be changed, which SQLite says without waiting."""
    path = tmp_path / "orders.db"
    make_database(path, "PRAGMA user_version = 0", "CREATE TABLE t (x)")
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as db,
    ):
        other.execute("BEGIN")
        other.execute("SELECT * FROM t")
        tries: list[str] = []

        def traced(statement: str) -> None:
            tries.append(statement)
            if len(tries) == 3:
                other.execute("COMMIT")

        db.set_trace_callback(traced)
        use_wal(db, path)

    assert ["PRAGMA journal_mode = WAL"] * len(tries) == tries
    assert len(tries) >= 3


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path):
    """There SQLite stays with another journal mode, as it does for a database in memory."""
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(StoreError, match="put it on a local disk"):
        use_wal(db, tmp_path / "orders.db")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder to which everybody has a way, as there is none under pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
        Path(folder).chmod(0o777)


_OPEN_UNPRIVILEGED = """
import asyncio, os, sys
from orchwf.errors import StoreError
from orchwf.stores.sqlite import open_sqlite

async def main(path):
    try:
        store = await open_sqlite(path)
    except StoreError as error:
        print(error)
    else:
        await store.close()

# Once before: Python's own files may be in a folder of root's, and some are imported at their first use.
asyncio.run(main(sys.argv[2]))
if os.geteuid() == 0:
    # Permissions do not hold root.
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "reason"),
    [
        (0o444, 0o777, "it is read-only; make the file writable"),
        (0o000, 0o777, "it is read-only; make the file writable"),
        (0o666, 0o555, "its folder {folder} is read-only, and SQLite keeps files beside"),
        (None, 0o555, "its folder {folder} is read-only; make it writable"),
    ],
    ids=["file", "unreadable", "folder", "new in folder"],
)
def test_missing_permissions_are_named(
    open_folder: Path, tmp_path: Path, file_mode: int | None, folder_mode: int, reason: str
):
    """File and folder must be writable; the error says which is not."""
    path = open_folder / "orders.db"
    if file_mode is not None:
        asyncio.run(make_store(path))
        path.chmod(file_mode)
    open_folder.chmod(folder_mode)
    before = sorted(each.name for each in open_folder.iterdir())

    command = [sys.executable, "-c", _OPEN_UNPRIVILEGED, str(path), str(tmp_path / "trial.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert f"the store {path} cannot be used: " + reason.format(folder=open_folder) in ended.stdout
    assert before == sorted(each.name for each in open_folder.iterdir())
