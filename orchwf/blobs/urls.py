"""From a URL to a blob store, and which one belongs to a store."""

from pathlib import Path
from urllib.parse import quote, unquote

import attrs

from ..errors import StoreError, UsageError
from ..ports import BlobStore, SharedBlobStore
from .folder import FolderBlobStore

NO_BLOBS = "none"
"""What is given instead of a URL to keep large values in the store itself."""
_OPTION = "blobs="
_WAYS = (
    "it is the URL of a folder, file:///var/blobs, or of a bucket, s3://bucket/prefix, that of Google (gs://) or Azure "
    f"(az://); or {NO_BLOBS!r}"
)


@attrs.frozen
class Split:
    """The URL of a store in two: what is the store's own, and where its `blobs` are; None if it does not say."""

    url: str
    blobs: str | None


def split_url(url: str) -> Split:
    """The URL of a store without the option `blobs`, and what that says."""
    location, mark, query = url.partition("?")
    parts = query.split("&")
    said = [unquote(part.removeprefix(_OPTION)) for part in parts if part.startswith(_OPTION)]
    if not said:
        return Split(url, None)
    kept = "&".join(part for part in parts if not part.startswith(_OPTION))
    return Split(f"{location}{mark * bool(kept)}{kept}", said[-1])


def joined_url(url: str, blobs: str) -> str:
    """The URL of a store with the option `blobs`."""
    return f"{url}{'&' if '?' in url else '?'}{_OPTION}{quote(blobs, safe='/:')}"


def open_blobs(given: str, *, syncs: bool = True) -> SharedBlobStore | None:
    """
    The blob store that this URL names; None for none.

    Raises:
        StoreError: there is no such kind of blob store, or what it needs is not installed.
    """
    scheme, colon, rest = given.partition("://")
    if given == NO_BLOBS:
        return None
    # A key or a password may stand before the @, so the URL is not repeated.
    if colon and "@" in rest.partition("/")[0]:
        raise StoreError("the URL of a blob store holds no credentials: they come from the environment, as AWS_… or so")
    match scheme.lower():
        case "file" if rest.startswith("/") and rest.strip("/"):
            return FolderBlobStore(_path(rest), syncs=syncs)
        case "file":
            raise StoreError(f"{given!r} is no blob store: file:// is followed by an absolute path; {_WAYS}")
        case _ if colon:
            return _opened_objects(given)
        case _:
            raise StoreError(f"{given!r} is no blob store: {_WAYS}")


def _path(rest: str) -> Path:
    path = unquote(rest)
    # On Windows it is file:///C:/blobs.
    return Path(path[1:] if path[2:3] == ":" else path)


def _opened_objects(url: str) -> SharedBlobStore:
    try:
        # Here, because it is an extra, and heavy.
        from .objects import open_objects
    except ImportError as error:
        raise StoreError(
            f"a blob store such as {url} needs obstore: pip install 'orchwf[s3]' (Python says: {error})"
        ) from error
    return open_objects(url)


def folder_beside(file: Path, *, syncs: bool) -> FolderBlobStore:
    """The blob store that belongs to the file of a store, whatever link leads to that."""
    file = file.resolve()
    return FolderBlobStore(file.with_name(f"{file.name}.blobs"), syncs=syncs)


def checked_blobs(blobs: str | BlobStore | None) -> str | BlobStore | None:
    """
    What was given as a blob store.

    Raises:
        UsageError: it is none.
    """
    is_one = all(callable(getattr(blobs, name, None)) for name in ("put", "get", "ages", "delete", "close"))
    if blobs is None or isinstance(blobs, str) or (is_one and not isinstance(blobs, type)):
        return blobs
    raise UsageError(f"blobs takes a BlobStore, or its URL, not {blobs!r}: {_WAYS}")


def checked_threshold(threshold: int) -> int:
    """
    The number of bytes over which a value is large.

    Raises:
        UsageError: it is none.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < 0:
        raise UsageError(f"blob_threshold takes a number of bytes, not {threshold!r}")
    return threshold
