"""From a URL to an open store."""

import difflib
import os
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..errors import StoreError
from ..ports import Store
from .memory import MemoryStore

Durability = Literal["power", "process"]
"""What an acknowledged write survives: a power cut, or only the death of the process."""

SCHEMES = ("memory", "sqlite")
_WAYS = "a store is one of: memory:  sqlite:///relative/path.db  sqlite:////absolute/path.db"


def default_store() -> str:
    """The URL of the store that is used where none is named: `$ORCHWF_STORE`, else `sqlite:///orchwf.db`."""
    return os.environ.get("ORCHWF_STORE") or "sqlite:///orchwf.db"


async def open_store(store: str | Store, *, durability: Durability | None = None, must_exist: bool = False) -> Store:
    """
    The store that a URL names, open; an object that is a store already comes back as it is.

    Args:
        store: `memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db` (on Windows `sqlite:///C:/path.db`).
            `%xx` stands for a character that has a meaning in URLs; `?durability=process` is as the argument.
        durability: `"power"` (what else is meant with None): what is acknowledged survives a power cut. `"process"`:
            only the death of the process; many times faster where one waits for each commit.
        must_exist: Whether a store that is not there is an error, instead of being made.

    Raises:
        StoreError: there is no such kind of store, or it cannot be used.
    """
    if isinstance(store, PurePath):
        raise StoreError(f"{str(store)!r} is a path and no URL of a store; write 'sqlite:///{quote(store.as_posix())}'")
    if not isinstance(store, str):
        if not hasattr(store, "append"):
            raise StoreError(f"{store!r} is no store; {_WAYS}")
        return store
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
        case _:
            raise _unknown(store, scheme.lower() if colon else "")


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
            case "durability", ("power" | "process") as durability:
                pass
            case "durability", _:
                raise StoreError(f"{url!r} is no store: durability is 'power' or 'process', not {value!r}")
            case _:
                raise StoreError(f"{url!r} is no store: it has the option {name!r}; the only one is 'durability'")
    return durability


def _unknown(url: str, scheme: str) -> StoreError:
    if scheme in ("postgresql", "postgres"):
        # The URL may hold a password, so it is not repeated.
        return StoreError(f"{scheme}:// stores come in a later release; {_WAYS}")
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
