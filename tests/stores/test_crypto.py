"""Codecs: encryption, compression, and one after the other."""

import os
import subprocess
import sys
import zlib

import pytest
from cryptography.fernet import Fernet, InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from orchwf import PayloadCodec, UsageError
from orchwf.crypto import ChainedCodec, CompressionCodec, EncryptionCodec
from tests.slowness import without_slowness

KEY, OLDER_KEY = EncryptionCodec.generate_key(), EncryptionCodec.generate_key()
CODECS: list[PayloadCodec] = [
    EncryptionCodec(KEY),
    CompressionCodec(),
    ChainedCodec(CompressionCodec(), EncryptionCodec(KEY)),
    ChainedCodec(EncryptionCodec(KEY), CompressionCodec(), CompressionCodec()),
]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@given(data=st.binary() | st.text().map(lambda text: text.encode(errors="replace") * 50))
def test_what_is_encoded_is_decoded(codec: PayloadCodec, data: bytes):
    """Whatever it is."""
    assert data == codec.decode(codec.encode(data))


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("data", [zlib.compress(b""), zlib.compress(b"twice" * 100), b"\x78\x9c", b""])
def test_what_looks_as_if_it_was_compressed(codec: PayloadCodec, data: bytes):
    """It comes back as it was, and is not taken for what it looks like."""
    assert data == codec.decode(codec.encode(data))


def test_encrypted_twice_is_never_the_same():
    """Nobody sees that two values are equal."""
    codec = EncryptionCodec(KEY)

    assert codec.encode(b"secret") != codec.encode(b"secret")
    assert b"secret" not in codec.encode(b"secret")


def test_the_first_key_encrypts_and_all_decrypt():
    """So keys can be changed."""
    old, rotated, new = EncryptionCodec(OLDER_KEY), EncryptionCodec(KEY, OLDER_KEY), EncryptionCodec(KEY)

    assert b"x" == rotated.decode(old.encode(b"x"))
    assert b"x" == new.decode(rotated.encode(b"x"))
    with pytest.raises(InvalidToken):
        new.decode(old.encode(b"x"))


def test_what_was_changed_is_not_decrypted():
    """It is sealed."""
    codec = EncryptionCodec(KEY)
    data = bytearray(codec.encode(b"pay 10"))
    data[30] ^= 1

    with pytest.raises(InvalidToken):
        codec.decode(bytes(data))


def test_a_key_may_be_bytes():
    """As Fernet makes them."""
    assert b"x" == EncryptionCodec(KEY.encode()).decode(EncryptionCodec(KEY).encode(b"x"))
    Fernet(EncryptionCodec.generate_key())


def test_only_what_becomes_smaller_is_compressed():
    """The rest stays as it is."""
    codec = CompressionCodec()

    assert b"short" == codec.encode(b"short")
    assert len(codec.encode(b"long" * 1000)) < 100


@pytest.mark.parametrize("keys", [("nonsense",), (KEY, "nonsense"), (KEY, 7), (b"\xff",)])
def test_a_key_that_is_none_is_not_shown(keys: tuple[str, ...]):
    """The error says which, and how to make one; what was given may be a secret all the same."""
    with pytest.raises(UsageError, match="32 bytes") as caught:
        EncryptionCodec(*keys)

    text = repr(caught.value) + repr(caught.value.__context__) + repr(caught.value.__cause__)
    assert "nonsense" not in text
    assert KEY not in text
    assert ("key 2 of 2" in text) == (len(keys) == 2)
    assert "generate_key()" in text


@pytest.mark.parametrize(("make", "complaint"), [(EncryptionCodec, "at least one key"), (ChainedCodec, "at least one")])
def test_nothing_given(make: type, complaint: str):
    """A codec of nothing would encode nothing."""
    with pytest.raises(UsageError, match=complaint):
        make()


def test_nobody_shows_a_key():
    """Not in a log, not in a debugger's line."""
    shown = repr(ChainedCodec(CompressionCodec(), EncryptionCodec(KEY, OLDER_KEY)))

    assert "<ChainedCodec of <CompressionCodec>, <EncryptionCodec with 2 keys>>" == shown
    assert "<EncryptionCodec with 1 key>" == repr(EncryptionCodec(KEY))


def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """With commas between them, and blanks wherever."""
    monkeypatch.setenv("ORCHWF_KEYS", f" {KEY} ,{OLDER_KEY},\n")
    monkeypatch.setenv("SHOP_KEYS", OLDER_KEY)

    codec = EncryptionCodec.from_environment()

    assert b"x" == codec.decode(EncryptionCodec.from_environment("SHOP_KEYS").encode(b"x"))
    assert b"x" == EncryptionCodec(KEY).decode(codec.encode(b"x"))


@pytest.mark.parametrize("value", [None, "", " , "])
def test_no_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str | None):
    """To go on without would be to write what was to be secret."""
    monkeypatch.delenv("ORCHWF_KEYS", raising=False)
    if value is not None:
        monkeypatch.setenv("ORCHWF_KEYS", value)

    with pytest.raises(UsageError, match=r"\bORCHWF_KEYS holds no keys"):
        EncryptionCodec.from_environment()


def test_without_the_extra():
    """All but encryption is there, and that says on one line what to install."""
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import orchwf\n"
        "from orchwf.crypto import ChainedCodec, CompressionCodec, EncryptionCodec\n"
        "assert b'x' == ChainedCodec(CompressionCodec()).decode(b'x')\n"
        "for use in (EncryptionCodec.generate_key, lambda: EncryptionCodec('key'), EncryptionCodec):\n"
        "    try: use()\n"
        "    except orchwf.UsageError as error: print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)

    assert "" == without_slowness(done.stderr)
    assert [
        "EncryptionCodec needs the package cryptography: pip install 'orchwf[crypto]'"
    ] * 3 == done.stdout.splitlines()
