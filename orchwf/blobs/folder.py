"""Large values in a folder, each a file that is there as a whole or not at all."""

import asyncio
import contextlib
import errno
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from ..errors import StoreError

T = TypeVar("T")

_DOOMED = ".doomed"
_NEW = ".new"


class FolderBlobStore:
    """
    A `BlobStore` in a folder, which is made when the first value is put. Any number of processes may share it.

    Args:
        folder: Its absolute path.
        syncs: Whether what is put survives a power cut; if not, only the death of the process.
    """

    def __init__(self, folder: Path, *, syncs: bool = True) -> None:
        # On Windows it is file:///C:/blobs.
        self.url = f"file:///{quote(folder.as_posix().lstrip('/'), safe='/:')}"
        self._folder = folder
        self._syncs = syncs

    async def put(self, key: str, data: bytes) -> None:
        await self._call(lambda: self._put(self._path(key), data))

    async def get(self, key: str) -> bytes | None:
        return await self._call(lambda: self._get(self._path(key)))

    async def has(self, key: str) -> bool:
        return await self._call(lambda: self._has(self._path(key)))

    async def prepare(self) -> None:
        await self._call(self._prepare)

    async def is_there(self) -> bool:
        return await self._call(self._folder.is_dir)

    async def ages(self) -> AsyncIterator[tuple[str, float]]:
        for folder in await self._call(self._folders):
            for found in await self._call(lambda folder=folder: _ages(folder)):  # type: ignore[misc]
                yield found

    async def delete(self, key: str, *, older_than: float) -> bool:
        return await self._call(lambda: self._delete(self._path(key), older_than))

    async def close(self) -> None:
        # Nothing is open between calls.
        return

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise StoreError(
                f"the blob store {self.url} cannot be used: {error.strerror or error}; see that there is room, that "
                "the folder may be written by this user, and that nothing else has its name"
            ) from error

    def _path(self, key: str) -> Path:
        # A folder of many thousand files is slow in some file systems.
        return self._folder / key[:2] / key

    def _prepare(self) -> None:
        self._make(self._folder)
        if not self._folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder")

    def _put(self, path: Path, data: bytes) -> None:
        try:
            # It is young from now on, before anything is stored that refers to it.
            os.utime(path)
        except FileNotFoundError:
            self._make(self._folder)
            self._make(path.parent)
            self._write(path, data)
        # Also if it was there: whoever put it may not have come so far yet.
        self._sync(path.parent)

    def _write(self, path: Path, data: bytes) -> None:
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_NEW}")
        try:
            with new.open("xb") as file:
                file.write(data)
                if self._syncs:
                    file.flush()
                    os.fsync(file.fileno())
            # If another one was faster it is the same.
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            self._sync(folder.parent)

    def _sync(self, folder: Path) -> None:
        """Let what is in a folder survive a power cut: without this its files have no names then."""
        # Windows cannot open a folder, and needs not.
        if not self._syncs or os.name == "nt":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _get(self, path: Path) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        # What is about to be deleted has another name, until it turns out whether it is; then it has its own again.
        for each in (*_doomed(path), path):
            with contextlib.suppress(FileNotFoundError):
                return each.read_bytes()
        return None

    def _has(self, path: Path) -> bool:
        # As above.
        return path.exists() or bool(_doomed(path)) or path.exists()

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []

    def _delete(self, path: Path, older_than: float) -> bool:
        """
        Delete a file if it is so old. Whoever puts the same meanwhile does not lose it.

        It is renamed first: who puts it before that makes it young, which is seen afterwards, and it gets its name
        back; who puts it later does not find it, and writes it anew. Each that deletes has a name of its own for it, so
        that none deletes what another one has just found to be young.
        """
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(f"{path.name}.{secrets.token_hex(8)}{_DOOMED}"))
        # Also what others left, who died in the midst of this.
        return sum([_is_deleted(doomed, path, older_than) for doomed in _doomed(path)]) > 0


def _doomed(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.*{_DOOMED}"))


def _is_deleted(doomed: Path, path: Path, older_than: float) -> bool:
    try:
        if time.time() - doomed.stat().st_mtime > older_than:
            doomed.unlink()
            return True
        doomed.replace(path)
    except FileNotFoundError:
        # Another one was faster.
        pass
    return False


def _ages(folder: Path) -> list[tuple[str, float]]:
    """Of each file in a folder its key and its age; what was left in the midst of being deleted counts as itself."""
    now = time.time()
    found: list[tuple[str, float]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            key = entry.name.rsplit(".", 2)[0] if entry.name.endswith(_DOOMED) else entry.name
            with contextlib.suppress(FileNotFoundError):
                found.append((key, now - entry.stat().st_mtime))
    return found
