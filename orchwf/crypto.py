"""
Codecs for payloads: they encrypt and compress what is stored.

Encryption needs the extra `orchwf[crypto]`; the rest of this module does not.
"""

import base64
import os
import zlib
from types import ModuleType

from .errors import UsageError
from .ports import PayloadCodec

KEYS = "ORCHWF_KEYS"
"""The environment variable from which commands take the keys."""

_NEW_KEY = 'python -c "from orchwf.crypto import EncryptionCodec; print(EncryptionCodec.generate_key())"'
_ZLIB = b"\x78\x9c"
"""What zlib begins with at its usual level. No text in UTF-8 does."""


class EncryptionCodec:
    """
    Encrypts payloads and seals them against change, by Fernet: AES-128-CBC and HMAC-SHA256.

    The first key encrypts, all of them decrypt. To change the key, put a new one in front and keep the others for as
    long as there are runs that were written with them.

    Args:
        keys: At least one, as `generate_key` makes them.

    Raises:
        UsageError: there is no key, or one that is none; or the package `cryptography` is missing.
    """

    def __init__(self, *keys: str | bytes) -> None:
        fernet = _fernet()
        if not keys:
            raise UsageError(f"EncryptionCodec takes at least one key; this makes one: {_NEW_KEY}")
        self._count = len(keys)
        self._fernet = fernet.MultiFernet([_one(fernet, key, at, len(keys)) for at, key in enumerate(keys, 1)])

    @staticmethod
    def generate_key() -> str:
        """
        A new key. Keep it apart from the store: who has both can read all, and without it nobody can read anything.

        Raises:
            UsageError: the package `cryptography` is missing.
        """
        key: bytes = _fernet().Fernet.generate_key()
        return key.decode()

    @classmethod
    def from_environment(cls, name: str = KEYS) -> "EncryptionCodec":
        """
        A codec with the keys that an environment variable holds, with commas between them.

        Raises:
            UsageError: it holds none, or one that is none; or the package `cryptography` is missing.
        """
        keys = [key for part in os.environ.get(name, "").split(",") if (key := part.strip())]
        if not keys:
            raise UsageError(f"the environment variable {name} holds no keys; this makes one: {_NEW_KEY}")
        return cls(*keys)

    def __repr__(self) -> str:
        return f"<EncryptionCodec with {self._count} key{'' if self._count == 1 else 's'}>"

    def encode(self, data: bytes, /) -> bytes:
        """The data encrypted with the first key."""
        # Without the Base64 of Fernet: what a store keeps is written in that anyway.
        return base64.urlsafe_b64decode(self._fernet.encrypt(data))

    def decode(self, data: bytes, /) -> bytes:
        """
        The data that was encrypted.

        Raises:
            cryptography.fernet.InvalidToken: with another key, or it was changed.
        """
        plain: bytes = self._fernet.decrypt(base64.urlsafe_b64encode(data))
        return plain


def _fernet() -> ModuleType:
    try:
        # Here, as it belongs to an extra.
        from cryptography import fernet
    except ImportError:
        raise UsageError("EncryptionCodec needs the package cryptography: pip install 'orchwf[crypto]'") from None
    return fernet


def _one(fernet: ModuleType, key: str | bytes, number: int, count: int) -> object:
    try:
        return fernet.Fernet(key)
    # What it raises may quote the key, which is a secret even where it is none that can be used.
    except (TypeError, ValueError):
        pass
    which = "the key" if count == 1 else f"key {number} of {count}"
    raise UsageError(
        f"{which} given to EncryptionCodec is none: it takes 32 bytes in URL-safe Base64; this makes one: {_NEW_KEY}"
    )


class CompressionCodec:
    """
    Compresses payloads that lose a third by it (zlib), and leaves the others as they are.

    A store reads what is only compressed without any codec, too: so it can be left out again.
    """

    def __repr__(self) -> str:
        return "<CompressionCodec>"

    def encode(self, data: bytes, /) -> bytes:
        """The data, compressed if that is worth it."""
        compressed = zlib.compress(data)
        # What looks as if it was compressed has to be.
        return compressed if 3 * len(compressed) < 2 * len(data) or data.startswith(_ZLIB) else data

    def decode(self, data: bytes, /) -> bytes:
        """
        The data that was encoded; what was not compressed as it is.

        Raises:
            zlib.error: it looks as if it was compressed, and was not.
        """
        return zlib.decompress(data) if data.startswith(_ZLIB) else data


class ChainedCodec:
    """
    Several codecs, one after the other: `ChainedCodec(CompressionCodec(), EncryptionCodec(key))`.

    The first is the first to encode and the last to decode: compress before you encrypt, as what is encrypted cannot be
    compressed. How long a value is then tells a little of what is in it.

    Raises:
        UsageError: there is no codec.
    """

    def __init__(self, *codecs: PayloadCodec) -> None:
        if not codecs:
            raise UsageError("ChainedCodec takes at least one codec")
        self._codecs = codecs

    def __repr__(self) -> str:
        return f"<ChainedCodec of {', '.join(map(repr, self._codecs))}>"

    def encode(self, data: bytes, /) -> bytes:
        """The data, encoded by each."""
        for codec in self._codecs:
            data = codec.encode(data)
        return data

    def decode(self, data: bytes, /) -> bytes:
        """The data that was encoded. Raises what the codecs raise."""
        for codec in reversed(self._codecs):
            data = codec.decode(data)
        return data
