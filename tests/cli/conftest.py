"""A shell for the tests of the command line."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchwf
from tests.cli.console import SALES, Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell in an empty folder but for `sales.py`; what its commands import is forgotten afterwards."""
    for name in ("ORCHWF_STORE", "ORCHWF_KEYS", "NO_COLOR", "FORCE_COLOR", "LENIENT"):
        monkeypatch.delenv(name, raising=False)
    # For the processes that a test starts: the same orchwf as here, installed or not.
    monkeypatch.setenv("PYTHONPATH", str(Path(orchwf.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    shell = Shell(tmp_path, capsys)
    shell.write("sales.py", SALES)
    yield shell
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
