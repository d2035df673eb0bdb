"""What callers give to a new run, checked."""

import json
import secrets
from collections.abc import Mapping

from ..errors import UsageError


def checked_run_id(run_id: str | None) -> str:
    """
    The id itself, or a new one.

    Raises:
        UsageError: it is no text of 1 to 255 printable characters.
    """
    if run_id is None:
        return secrets.token_hex(6)
    if not (isinstance(run_id, str) and 0 < len(run_id) <= 255 and run_id.isprintable() and run_id == run_id.strip()):
        raise UsageError(f"run_id takes text of 1 to 255 printable characters without blanks around, not {run_id!r}")
    return run_id


def checked_metadata(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    """
    The metadata as it will be read back.

    Raises:
        UsageError: it is no mapping of text to JSON-able values.
    """
    if not metadata:
        return {}
    try:
        values = dict(metadata)
        text = json.dumps(values, allow_nan=False)
        if all(isinstance(key, str) for key in values):
            restored: dict[str, object] = json.loads(text)
            return restored
    except (TypeError, ValueError) as error:
        raise UsageError(f"metadata takes a mapping of text to JSON-able values: {error}") from None
    raise UsageError(f"metadata takes a mapping of text to JSON-able values, not the keys {list(values)!r}")


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """
    The tags of a run, as they were given.

    Raises:
        UsageError: they are no mapping of text to text.
    """
    given = tags if tags is not None else {}
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for item in given.items() for text in item):
        raise UsageError(f"tags take a mapping of text to text, such as {{'shop': 'eu'}}, not {tags!r}")
    return dict(given)
