"""What stands in a store in place of a large value: its size, and the key under which a blob store has it."""

import hashlib
import re
from collections.abc import Iterable

import attrs

from .payloads import Kind

MARKER = "u006frchwf.blob:"
"""What is in each reference, also where it stands within another text, as in the details of an event."""
KEY_LENGTH = 64

_BEGIN = f'"\\{MARKER}'
"""
What a reference begins with: a JSON string, whatever was stored.

Nothing of ours writes an `o` into JSON in this way: so no value that a user gives or a step returns looks like that.
"""
_BEGIN_OF_OBJECT = '{"":' + _BEGIN
_KINDS = frozenset({Kind.JSON, Kind.OBJECT})
"""What may be large: what users give and steps return."""
_REFERENCE = re.compile(r'(?:\{"":)?"\\u006frchwf\.blob:([0-9a-f]{64}):([0-9]{1,15})"\}?')
_WIDEST = 4
"""Bytes that a character takes at most in UTF-8."""


@attrs.frozen
class Reference:
    """A large value: its `key`, the SHA-256 of its text in UTF-8, and how many bytes that has."""

    key: str
    size: int

    def text(self, kind: Kind) -> str:
        """What is stored in its place: JSON of the same kind."""
        text = f'{_BEGIN}{self.key}:{self.size}"'
        return f'{{"":{text}}}' if kind is Kind.OBJECT else text


def reference(kind: Kind, value: object) -> Reference | None:
    """The reference that stands in a field of this kind; None if there is a value."""
    if kind not in _KINDS or not isinstance(value, str) or not value.startswith((_BEGIN, _BEGIN_OF_OBJECT)):
        return None
    found = _REFERENCE.fullmatch(value)
    return Reference(found[1], int(found[2])) if found else None


def is_large(kind: Kind, value: object, threshold: int) -> bool:
    """Whether this value takes more bytes than that, and is of a kind that is kept elsewhere then."""
    if kind not in _KINDS or not isinstance(value, str):
        return False
    if len(value) > threshold:
        return True
    return not value.isascii() and len(value) * _WIDEST > threshold and len(value.encode()) > threshold


def content(text: str) -> tuple[Reference, bytes]:
    """The reference to this text, and the bytes to be kept. Takes a while: other threads run meanwhile."""
    data = text.encode()
    return Reference(hashlib.sha256(data).hexdigest(), len(data)), data


def following(texts: Iterable[str], marker: str, length: int) -> set[str]:
    """What stands, so many characters of it, behind each occurrence of the marker in these texts."""
    return {part[:length] for text in texts for part in text.split(marker)[1:]}
