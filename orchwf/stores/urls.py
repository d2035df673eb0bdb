"""From a URL to an open store."""

import difflib
import os
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..blobs.urls import checked_blobs, checked_threshold, folder_beside, joined_url, open_blobs, split_url
from ..errors import StoreError, UsageError
from ..ports import BlobStore, PayloadCodec, SharedBlobStore, Store
from .coded import CodedStore
from .memory import MemoryStore
from .offloading import THRESHOLD, OffloadingStore

Durability = Literal["power", "process"]
"""What an acknowledged write survives: a power cut, or only the death of the process."""

SCHEMES = ("memory", "sqlite", "postgresql")
_WAYS = (
    "a store is one of: memory:  sqlite:///relative/path.db  sqlite:////absolute/path.db  "
    "postgresql://user@host/database"
)


def default_store() -> str:
    """The URL of the store that is used where none is named: `$ORCHWF_STORE`, else `sqlite:///orchwf.db`."""
    return os.environ.get("ORCHWF_STORE") or "sqlite:///orchwf.db"


async def open_store(
    store: str | Store,
    *,
    durability: Durability | None = None,
    must_exist: bool = False,
    codec: PayloadCodec | None = None,
    blobs: str | BlobStore | None = None,
    blob_threshold: int = THRESHOLD,
) -> Store:
    """
    The store that a URL names, open; an object that is a store already comes back as it is.

    Args:
        store: `memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db` (on Windows `sqlite:///C:/path.db`),
            `postgresql://user@host/database` with all that libpq knows, and `?schema=`. `%xx` stands for a character
            that has a meaning in URLs; `?durability=process` and `?blobs=` are as the arguments.
        durability: `"power"` (what else is meant with None): what is acknowledged survives a power cut. `"process"`:
            only the death of the process; many times faster where one waits for each commit.
        must_exist: Whether a store that is not there is an error, instead of being made.
        codec: Encrypts or compresses what users give and steps return; see `orchwf.crypto`.
        blobs: Where values are kept that take more than `blob_threshold` bytes: the URL of a folder or a bucket
            (`file:///var/blobs`, `s3://bucket/prefix`), a `BlobStore`, which is closed with this store, or `"none"` for
            the store itself. By default in the folder `NAME.blobs` beside a SQLite file, and else in the store itself.
        blob_threshold: In bytes; a quarter of a mebibyte if nothing is said.

    Raises:
        StoreNotFoundError: it must exist, and does not.
        StoreError: there is no such kind of store, or it cannot be used; or it was written with another codec.
        UsageError: the codec or the blob store is none, or was not given when the store was opened.
    """
    if isinstance(store, PurePath):
        raise StoreError(f"{str(store)!r} is a path and no URL of a store; write 'sqlite:///{quote(store.as_posix())}'")
    if not isinstance(store, str):
        if not hasattr(store, "append"):
            raise StoreError(f"{store!r} is no store; {_WAYS}")
        check_is_url(store, codec, blobs)
        return store
    split, threshold = split_url(store), checked_threshold(blob_threshold)
    elsewhere = checked_blobs(split.blobs if blobs is None else blobs)
    shared = open_blobs(elsewhere) if isinstance(elsewhere, str) else None
    given = shared if elsewhere is None or isinstance(elsewhere, str) else elsewhere
    inner = await _opened(split.url, durability, must_exist=must_exist)
    if codec is None and given is None and isinstance(inner, MemoryStore):
        # Nobody can have written to it.
        return inner
    try:
        if elsewhere is None:
            given = shared = _blobs_beside(inner)
        offloading = OffloadingStore(inner, given, threshold=threshold, shared=shared)
        if isinstance(elsewhere, str):
            offloading.url = joined_url(inner.url, elsewhere)
        coded = CodedStore(offloading, codec)
        await coded.check()
    except BaseException:
        await inner.close()
        raise
    return coded


def _blobs_beside(store: Store) -> SharedBlobStore | None:
    """Where large values are if nothing is said: beside a file. Machines that share a server share no folder."""
    if not store.url.startswith("sqlite:"):
        return None
    path, durability = _sqlite_path(store.url, store.url.partition(":")[2])
    return folder_beside(Path(path), syncs=durability != "process")


def check_is_url(store: str | Store | None, codec: PayloadCodec | None, blobs: str | BlobStore | None = None) -> None:
    """
    See that neither a codec nor a blob store is given to a store that is open.

    Raises:
        UsageError: one is.
    """
    for name, given in (("codec", codec), ("blobs", blobs)):
        if given is not None and not (store is None or isinstance(store, str)):
            raise UsageError(f"{name} goes with the URL of a store; open this one with it: open_store(url, {name}=...)")


async def _opened(store: str, durability: Durability | None, *, must_exist: bool) -> Store:
    scheme, colon, rest = store.partition(":")
    match scheme.lower():
        case "memory" if colon:
            if rest:
                raise StoreError(f"{store!r} is no store: there is nothing to name after memory:")
            return MemoryStore()
        case "sqlite" if colon:
            # Here, because importing aiosqlite is what most of `import orchwf` would otherwise be spent on.
            from .sqlite import open_sqlite

            path, asked = _sqlite_path(store, rest)
            return await open_sqlite(path, durability=durability or asked or "power", must_exist=must_exist)
        case "postgresql" | "postgres" if store.partition(":")[2].startswith("//"):
            return await _opened_postgres(store, durability, must_exist=must_exist)
        case _:
            raise _unknown(store, scheme.lower() if colon else "")


async def _opened_postgres(url: str, durability: Durability | None, *, must_exist: bool) -> Store:
    try:
        # Here, because it is an extra, and heavy.
        from .postgres import open_postgres
    except ImportError as error:
        raise StoreError(
            f"a PostgreSQL store needs psycopg: pip install 'orchwf[postgres]' (Python says: {error})"
        ) from error
    return await open_postgres(url, durability=durability, must_exist=must_exist)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in ("postgresql", "postgres"):
        return url
    location, mark, query = rest.partition("?")
    credentials, at, hosts = location.rpartition("@")
    options = {part: unquote(part.partition("=")[0]) for part in query.split("&")}
    if any("@" in name for name in options.values()):
        # A password with a question mark in it, which nobody can tell from where the options begin.
        return f"{scheme}{separator}"
    shown = "&".join(part for part, name in options.items() if name not in ("password", "sslpassword"))
    return f"{scheme}{separator}{credentials.partition(':')[0]}{at}{hosts}{mark * bool(shown)}{shown}"


def sqlite_url(path: Path, durability: Durability) -> str:
    """The URL of this absolute path, as `open_store` takes it."""
    query = "" if durability == "power" else "?" + urlencode({"durability": durability})
    return f"sqlite:///{quote(path.as_posix(), safe='/:')}{query}"


def _sqlite_path(url: str, rest: str) -> tuple[str, Durability | None]:
    location, _, query = rest.partition("?")
    if not location.startswith("///"):
        name = location.lstrip("/") or "orchwf.db"
        raise StoreError(f"{url!r} is no store: after sqlite: come three slashes and the path; try 'sqlite:///{name}'")
    path = unquote(location[3:])
    if path == ":memory:":
        raise StoreError(f"{url!r} is no store: a store in memory is 'memory:'")
    if not path.strip("/") or "\0" in path:
        raise StoreError(f"{url!r} is no store: it names no file; try 'sqlite:///orchwf.db'")
    return path, _durability(url, query)


def _durability(url: str, query: str) -> Durability | None:
    durability: Durability | None = None
    for name, value in parse_qsl(query, keep_blank_values=True):
        match name, value:
            case "durability", _:
                durability = durability_option(f"{url!r}", value)
            case _:
                raise StoreError(f"{url!r} is no store: it has the option {name!r}; there are 'durability' and 'blobs'")
    return durability


def durability_option(url: str, value: str) -> Durability:
    """
    What this value of the option of this name means; `url` is what is shown of the URL.

    Raises:
        StoreError: nothing.
    """
    match value:
        case "power" | "process":
            return value
        case _:
            raise StoreError(f"{url} is no store: durability is 'power' or 'process', not {value!r}")


def _unknown(url: str, scheme: str) -> StoreError:
    if scheme in ("postgresql", "postgres"):
        # The URL may hold a password, so it is not repeated.
        return StoreError(f"after {scheme}: come two slashes; {_WAYS}")
    if "://" not in url:
        return StoreError(f"{url!r} is no URL of a store; {_path_hint(url)}{_WAYS}")
    near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return StoreError(f"there is no kind of store {scheme!r}; {hint}{_WAYS}")


def _path_hint(url: str) -> str:
    near = difflib.get_close_matches(url.partition(":")[0], SCHEMES, n=1, cutoff=0.7)
    if near and ":" in url:
        return f"did you mean '{near[0]}:'? "
    if url in SCHEMES:
        return f"did you mean '{url}:'? " if url == "memory" else "did you mean 'sqlite:///orchwf.db'? "
    return f"for a file write 'sqlite:///{quote(url.replace(chr(92), '/'), safe='/:')}'; " if url else ""
