"""Commands on an encrypted store: the keys come from the environment."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchwf.crypto import EncryptionCodec
from tests.cli.console import Shell

KEY, OTHER_KEY = EncryptionCodec.generate_key(), EncryptionCodec.generate_key()


@pytest.fixture
def encrypted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A store with one failed run in it, written with the key that the environment holds."""
    monkeypatch.setenv("ORCHWF_KEYS", KEY)
    shell("run", "sales.py", "--run-id", "bad", "--input", "day=SECRET")
    return shell


def read_file(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("orchwf.db*"))


def log_length() -> int:
    with closing(sqlite3.connect("orchwf.db")) as db:
        return int(db.execute("SELECT count(*) FROM log").fetchone()[0])


def test_commands_read_and_write_with_the_keys(encrypted: Shell, monkeypatch: pytest.MonkeyPatch):
    """All of them work as on any store, and what they write is encrypted, too."""
    shown = encrypted("show", "bad")
    listed = encrypted("runs")
    events = encrypted("events", "bad")
    doctor = encrypted("doctor")
    monkeypatch.setenv("LENIENT", "1")
    resumed = encrypted("resume", "bad")

    assert [0, 0, 0, 0, 0] == [said.code for said in (shown, listed, events, doctor, resumed)]
    assert "  x validate  attempt 1/1  ValueError: row 2: 'amount' is negative (-12.5)" in shown.lines
    assert '  inputs    day="SECRET"' in shown.lines
    assert "ValueError: row 2" in events.out
    assert any(line.split() == ["codec", "EncryptionCodec"] for line in doctor.lines)
    assert "42.5" == encrypted("show", "bad", "--output", "load").out.strip()
    stored = read_file(encrypted.folder)
    assert b"SECRET" not in stored
    assert b"is negative" not in stored


@pytest.mark.parametrize("command", [["show"], ["runs"], ["doctor"], ["events"], ["resume"], ["run", "sales.py"]])
@pytest.mark.parametrize("keys", [None, OTHER_KEY], ids=["none", "other"])
def test_commands_without_the_key(
    encrypted: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str], keys: str | None
):
    """Each says on one line what it lacks, and leaves the store as it is; the exit code is that of a store."""
    monkeypatch.delenv("ORCHWF_KEYS") if keys is None else monkeypatch.setenv("ORCHWF_KEYS", keys)
    before = log_length()

    said = encrypted(*command)

    assert (4, "") == (said.code, said.out)
    assert "run 'bad'" in said.err
    assert ("$ORCHWF_KEYS" if keys is None else "all keys") in said.err
    assert 1 == len(said.err.splitlines())
    assert OTHER_KEY not in said.err
    assert before == log_length()


def test_keys_that_are_none(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """They are not shown."""
    monkeypatch.setenv("ORCHWF_KEYS", f"{KEY},oops")

    said = shell("runs", "--store", "memory:")

    assert 2 == said.code
    assert "key 2 of 2 given to EncryptionCodec is none" in said.err
    assert "oops" not in said.err


def test_keys_without_the_extra(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The command says what to install."""
    monkeypatch.setenv("ORCHWF_KEYS", KEY)
    monkeypatch.setitem(sys.modules, "cryptography", None)

    said = shell("runs", "--store", "memory:")

    assert (2, 1) == (said.code, len(said.err.splitlines()))
    assert "pip install 'orchwf[crypto]'" in said.err


PROGRAM = """\
import orchwf
from orchwf.crypto import CompressionCodec

@orchwf.workflow
class Wordy:
    @orchwf.step
    def speak(self) -> str:
        return "long " * 500

orchwf.run(Wordy(), codec=CompressionCodec())
"""


def test_a_compressed_store_needs_no_keys(shell: Shell):
    """Commands read what is only compressed."""
    shell.write("wordy.py", PROGRAM)
    subprocess.run([sys.executable, "wordy.py"], cwd=shell.folder, check=True)

    said = shell("show", "--output", "speak")

    assert "long long" in said.out
    assert b"long long" not in read_file(shell.folder)
