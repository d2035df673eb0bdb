"""A codec for the store of a simulation, and what nobody may read there."""

import random

from orchwf.stores import MemoryStore
from tests.simulation.stores import Database

SECRET = 7_777_700_000_000_000
"""
Added to each number that a body gives: so it is recognised wherever it stands.

A multiple of 20, as bodies and loops go by the remainders; and JSON has it as a plain number.
"""
_SECRETS = (str(SECRET)[:9], "bad luck", "for good", "nothing to do", "cannot be undone", "simulated")


class Reversing:
    """A codec that turns texts round, and adds a key to each byte. Each process has its own key, and knows all."""

    def __init__(self, process: str) -> None:
        self._key = random.Random(process).randrange(1, 256)

    def encode(self, data: bytes, /) -> bytes:
        return bytes([self._key]) + data[::-1].translate(_TABLES[self._key])

    def decode(self, data: bytes, /) -> bytes:
        return data[1:].translate(_TABLES[256 - data[0]])[::-1]


_TABLES = [bytes((byte + key) % 256 for byte in range(256)) for key in range(257)]


def check_secrets(store: MemoryStore | Database) -> None:
    """Nothing that bodies gave, and nothing that was said of them, is in clear in this store."""
    text = repr(vars(store)) if isinstance(store, MemoryStore) else store.text()
    found = [secret for secret in _SECRETS if secret in text]
    assert not found, f"in clear: {found}"
