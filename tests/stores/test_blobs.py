"""Where large values are kept: in folders and in buckets."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore, from_url
from obstore.store import MemoryStore as ObjectsInMemory

from orchwf import StoreError
from orchwf.blobs import folder
from orchwf.blobs.folder import FolderBlobStore
from orchwf.blobs.objects import ObjectBlobStore, open_objects
from orchwf.ports import BlobStore, SharedBlobStore

KEY, OTHER = "ab" * 32, "cd" * 32
DAY = 86_400.0


@pytest.fixture(params=["folder", "objects in memory", "objects in files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> SharedBlobStore:
    """An empty blob store of each kind."""
    match request.param:
        case "folder":
            return FolderBlobStore(tmp_path / "blobs")
        case "objects in memory":
            return ObjectBlobStore(ObjectsInMemory(), "memory:///")
        case _:
            return ObjectBlobStore(LocalStore(tmp_path), f"file://{tmp_path}")


async def ages(blobs: BlobStore) -> dict[str, float]:
    return {key: age async for key, age in blobs.ages()}


async def test_what_is_put_can_be_got(blobs: BlobStore):
    """Whatever its size; what is not there is None."""
    await blobs.put(KEY, b"")
    await blobs.put(OTHER, bytes(range(256)) * 40_000)

    assert b"" == await blobs.get(KEY)
    assert bytes(range(256)) * 40_000 == await blobs.get(OTHER)
    assert await blobs.get("ef" * 32) is None
    await blobs.close()
    await blobs.close()


async def test_an_empty_one(blobs: BlobStore):
    """Nothing is made by looking."""
    assert {} == await ages(blobs)
    assert await blobs.get(KEY) is None
    assert not await blobs.delete(KEY, older_than=0)


async def test_putting_twice_is_harmless(blobs: BlobStore):
    """Also at the same time."""
    await asyncio.gather(*(blobs.put(KEY, b"x" * 100_000) for _ in range(20)))

    assert b"x" * 100_000 == await blobs.get(KEY)
    assert {KEY} == set(await ages(blobs))


async def test_only_what_is_old_is_deleted(blobs: BlobStore):
    """The others are not touched."""
    await blobs.put(KEY, b"1")
    await blobs.put(OTHER, b"2")

    found = await ages(blobs)

    assert all(-1 < age < DAY / 2 for age in found.values())
    assert not await blobs.delete(KEY, older_than=DAY)
    assert await blobs.delete(KEY, older_than=-DAY)
    assert not await blobs.delete(KEY, older_than=-DAY)
    assert {OTHER} == set(await ages(blobs))
    assert b"2" == await blobs.get(OTHER)


async def test_others_can_see_that_it_is_there(blobs: SharedBlobStore):
    """Once it is prepared; and what is in it, without reading that."""
    await blobs.prepare()
    await blobs.put(KEY, b"1")

    assert await blobs.is_there()
    assert (True, False) == (await blobs.has(KEY), await blobs.has(OTHER))


# Folders.


async def test_a_folder_is_there_when_it_is_prepared(tmp_path: Path):
    """Also one that was; but no file of its name."""
    blobs = FolderBlobStore(tmp_path / "blobs")

    before = await blobs.is_there()
    await blobs.prepare()
    await blobs.prepare()

    assert (False, True) == (before, await blobs.is_there())
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        await FolderBlobStore(tmp_path / "file").prepare()


def file_of(folder: Path, key: str = KEY) -> Path:
    return folder / key[:2] / key


def make_old(path: Path, seconds: float = 2 * DAY) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_value_that_is_put_again_is_young(tmp_path: Path):
    """Somebody is about to refer to it."""
    blobs = FolderBlobStore(tmp_path)
    await blobs.put(KEY, b"1")
    make_old(file_of(tmp_path))

    await blobs.put(KEY, b"1")

    assert not await blobs.delete(KEY, older_than=DAY)
    assert b"1" == await blobs.get(KEY)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Who deletes stops in the midst of it: tells when that is so, and goes on when it is told."""
    renamed, goes_on = threading.Event(), threading.Event()
    real = folder._doomed

    def doomed(path: Path) -> list[Path]:
        found = real(path)
        if threading.current_thread() is not threading.main_thread() and not renamed.is_set():
            renamed.set()
            goes_on.wait(60)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_doomed", doomed)
        yield renamed, goes_on
        goes_on.set()


@pytest.mark.parametrize("is_old", [True, False])
async def test_a_value_that_is_put_while_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_old: bool):
    """Whatever becomes of what was there, it is there afterwards."""
    blobs = FolderBlobStore(tmp_path)
    await blobs.put(KEY, b"1")
    if is_old:
        make_old(file_of(tmp_path))

    with held(monkeypatch) as (renamed, goes_on):
        deleting = asyncio.create_task(blobs.delete(KEY, older_than=DAY))
        await asyncio.to_thread(renamed.wait, 60)
        await blobs.put(KEY, b"1")
        goes_on.set()
        deleted = await deleting

    assert is_old == deleted
    assert b"1" == await blobs.get(KEY)
    assert [KEY] == names(tmp_path)


async def test_a_value_can_be_got_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It has another name for a moment."""
    blobs = FolderBlobStore(tmp_path)
    await blobs.put(KEY, b"1")

    with held(monkeypatch) as (renamed, goes_on):
        deleting = asyncio.create_task(blobs.delete(KEY, older_than=DAY))
        await asyncio.to_thread(renamed.wait, 60)
        found = await blobs.get(KEY)
        goes_on.set()
        assert not await deleting

    assert b"1" == found
    assert [KEY] == names(tmp_path)


async def test_two_that_delete_do_not_lose_what_is_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each has its own name for what it looks at."""
    blobs = FolderBlobStore(tmp_path)
    await blobs.put(KEY, b"1")
    make_old(file_of(tmp_path))

    with held(monkeypatch) as (renamed, goes_on):
        first = asyncio.create_task(blobs.delete(KEY, older_than=DAY))
        await asyncio.to_thread(renamed.wait, 60)
        await blobs.put(KEY, b"1")
        second = await blobs.delete(KEY, older_than=DAY)
        goes_on.set()
        await first

    # The second finds both: what is old, and what was put meanwhile.
    assert second
    assert b"1" == await blobs.get(KEY)


async def test_many_that_put_and_delete(tmp_path: Path):
    """What was put last is there, however the others delete."""
    blobs = FolderBlobStore(tmp_path, syncs=False)
    for _ in range(40):
        await blobs.put(KEY, b"1")
        make_old(file_of(tmp_path))
        await asyncio.gather(blobs.put(KEY, b"1"), *(blobs.delete(KEY, older_than=DAY) for _ in range(4)))

        assert b"1" == await blobs.get(KEY)


async def test_what_a_process_left_that_died(tmp_path: Path):
    """Half written, or about to be deleted: it counts as what it is, and goes when it is old."""
    blobs = FolderBlobStore(tmp_path)
    await blobs.put(KEY, b"1")
    file_of(tmp_path).rename(file_of(tmp_path).with_name(f"{KEY}.0123.doomed"))
    half = file_of(tmp_path).with_name(f"{KEY}.4567.new")
    half.write_bytes(b"")

    assert {KEY, half.name} == set(await ages(blobs))
    assert b"1" == await blobs.get(KEY)
    make_old(half)
    assert await blobs.delete(half.name, older_than=DAY)
    assert not await blobs.delete(KEY, older_than=DAY)
    assert [KEY] == names(tmp_path)


async def test_what_is_put_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file before it has its name, then the folders that name it; not so if only the process may die."""
    calls: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix or "folder")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        calls.append("named")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)

    await FolderBlobStore(tmp_path / "a").put(KEY, b"1")
    synced, calls[:] = list(calls), []
    await FolderBlobStore(tmp_path / "b", syncs=False).put(KEY, b"1")

    assert ["folder", "folder", ".new", "named", "folder"] == synced
    assert ["named"] == calls


async def test_no_half_of_a_value_is_left_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error says what to do."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    blobs = FolderBlobStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StoreError, match="No space left on device; see that there is room") as caught:
        await blobs.put(KEY, b"1")

    assert f"file://{tmp_path}" in str(caught.value)
    assert [] == names(tmp_path)


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path):
    """It is one clear error, whatever is asked."""
    (tmp_path / "blobs").write_text("mine")
    blobs = FolderBlobStore(tmp_path / "blobs")

    for call in (blobs.put(KEY, b"1"), blobs.get(KEY), ages(blobs)):
        with pytest.raises(StoreError, match=r"blob store file://.* cannot be used"):
            await call


# Buckets.


class Aged:
    """Objects in memory that are old, or young."""

    def __init__(self, age: float) -> None:
        self._objects = ObjectsInMemory()
        self._age = age
        self.puts = 0

    async def put_async(self, path: str, data: bytes) -> None:
        self.puts += 1
        await self._objects.put_async(path, data)

    async def head_async(self, path: str) -> Any:
        return {
            **await self._objects.head_async(path),
            "last_modified": datetime.now(UTC) - timedelta(seconds=self._age),
        }


@pytest.mark.parametrize(("age", "puts"), [(10.0, 1), (2 * DAY, 2)])
async def test_an_old_object_is_put_again(age: float, puts: int):
    """So it is young; one that is young already need not travel again."""
    objects: Any = Aged(age)
    blobs = ObjectBlobStore(objects, "memory:///")

    await blobs.put(KEY, b"1")
    await blobs.put(KEY, b"1")

    assert puts == objects.puts


async def test_a_bucket_that_cannot_be_reached():
    """One line says so, and what to look for."""
    objects = from_url(
        "http://127.0.0.1:9/bucket", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    blobs = ObjectBlobStore(objects, "s3://bucket/prefix")

    for call in (blobs.put(KEY, b"1"), blobs.get(KEY), ages(blobs), blobs.delete(KEY, older_than=0)):
        with pytest.raises(StoreError, match="the blob store s3://bucket/prefix cannot be used: ") as caught:
            await call
        assert "\n" not in str(caught.value)
        assert "credentials" in str(caught.value)


def test_a_url_of_a_bucket():
    """Nothing is asked of it before it is used."""
    assert "s3://bucket/prefix" == open_objects("s3://bucket/prefix").url
