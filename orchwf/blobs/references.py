"""What stands in a store in place of a large value: its size, and the key under which a blob store has it."""

import hashlib
import re
from collections.abc import Iterable, Mapping

import attrs

MARKER = "u006frchwf.blob:"
"""What is in each reference, also where it stands within another text, as in the details of an event."""
KEY_LENGTH = 64

_BEGIN = f'"\\{MARKER}'
"""
What a reference begins with: a JSON string, whatever was stored.

Nothing of ours writes an `o` into JSON in this way: so no value that a user gives or a step returns looks like that,
nor does any part of it.
"""
CODED = '"\\u006frchwf.coded:'
"""What a text begins with that a codec has encoded: a JSON string, too, that no value looks like."""

_BEGINNINGS = (_BEGIN, '{"":' + _BEGIN)
_REFERENCE = re.compile(r'(\{"":)?"\\u006frchwf\.blob:([0-9a-f]{64}):([0-9]{1,15})"(?(1)\})')
_WIDEST = 4
"""Bytes that a character takes at most in UTF-8."""


@attrs.frozen
class Reference:
    """
    A large value: its `key`, the SHA-256 of its text in UTF-8, and how many bytes that has.

    `text` is what is stored in its place, JSON like itself; `object_text` the same where an object has to stand.
    """

    key: str
    size: int

    @property
    def text(self) -> str:
        return f'{_BEGIN}{self.key}:{self.size}"'

    @property
    def object_text(self) -> str:
        return f'{{"":{self.text}}}'


def reference(text: str) -> Reference | None:
    """The reference that this text is; None if it is a value."""
    if not text.startswith(_BEGINNINGS):
        return None
    found = _REFERENCE.fullmatch(text)
    return Reference(found[2], int(found[3])) if found else None


def references_in(text: str) -> list[str]:
    """The references that this text is made of, or that stand in it where values would, each as it stands there."""
    return [found[0] for found in _REFERENCE.finditer(text)] if MARKER in text else []


def filled(text: str, texts: Mapping[str, str]) -> str:
    """This text with what each of its references stands for; `texts` has that of all of them."""
    return _REFERENCE.sub(lambda found: texts[found[0]], text) if MARKER in text else text


def is_large(text: str, threshold: int) -> bool:
    """Whether this text takes more bytes than that."""
    if len(text) > threshold:
        return True
    return not text.isascii() and len(text) * _WIDEST > threshold and len(text.encode()) > threshold


def content(text: str) -> tuple[Reference, bytes]:
    """The reference to this text, and the bytes to be kept. Takes a while: other threads run meanwhile."""
    data = text.encode()
    return Reference(hashlib.sha256(data).hexdigest(), len(data)), data


def checked_text(data: bytes, key: str) -> str | None:
    """The text that was put under this key; None if these are not its bytes. Takes a while, too."""
    return data.decode() if hashlib.sha256(data).hexdigest() == key else None


def following(texts: Iterable[str], marker: str, length: int) -> set[str]:
    """What stands, so many characters of it, behind each occurrence of the marker in these texts."""
    return {part[:length] for text in texts for part in text.split(marker)[1:]}
