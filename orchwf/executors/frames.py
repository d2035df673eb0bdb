"""Messages between an orchestrator and a process of its own: a byte that says what it is, its length, its text."""

import os
import struct
from enum import Enum

_HEAD = struct.Struct("!cQ")
_MOST = 1 << 20
"""How many bytes are read or written in one call."""


class Kind(Enum):
    """What a message is."""

    READY = b"r"
    CALL = b"c"
    TAKEN = b"k"
    TOLD = b"t"
    SAID = b"s"
    ANSWER = b"a"
    BUG = b"b"


def write_frame(file: int, kind: Kind, text: str) -> None:
    """
    Write one message to a file descriptor.

    Raises:
        OSError: nobody reads there any more.
    """
    data = text.encode()
    left = memoryview(_HEAD.pack(kind.value, len(data)) + data)
    while left:
        left = left[os.write(file, left[:_MOST]) :]


def read_frame(file: int) -> tuple[Kind, str] | None:
    """The next message from a file descriptor; None if there is none and never will be."""
    head = _read(file, _HEAD.size)
    if head is None:
        return None
    kind, size = _HEAD.unpack(head)
    data = _read(file, size)
    return None if data is None else (Kind(kind), data.decode())


def _read(file: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            piece = os.read(file, min(_MOST, size - len(data)))
        except OSError:
            # On Windows the end of a pipe whose writer has died.
            return None
        if not piece:
            return None
        data += piece
    return bytes(data)
