"""`dev.py`, which must help where nothing is installed yet."""

import json
from pathlib import Path

import pytest

import dev


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment folder that is not there yet."""
    folder = tmp_path / "environment"
    monkeypatch.setattr(dev, "VENV", folder)
    monkeypatch.setattr(dev, "STAMP", folder / "orchwf-dev.json")
    return folder


@pytest.mark.parametrize("arguments", [[], ["tset"], ["test", "extra"]])
def test_wrong_command(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    """What is no command gets the list of commands, and exit code 2."""
    code = dev.main(arguments)

    assert code == 2
    assert "python3 dev.py test" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]):
    """To ask for help is no mistake."""
    code = dev.main(["--help"])

    assert code == 0
    assert "python3 dev.py demo" in capsys.readouterr().err


def test_python_too_old(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A Python that is too old is told so on one line."""
    monkeypatch.setattr("sys.version_info", (3, 9, 2))

    code = dev.main(["test"])

    assert code == 2
    assert capsys.readouterr().err.startswith("dev.py: Python 3.11 or newer is needed")


def test_folder_of_somebody_else(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A folder that `dev.py` did not make is left alone."""
    # The package may be installed, and not stand beside the tests.
    monkeypatch.setattr(dev, "_requirements_digest", lambda: "wanted")
    folder.mkdir()
    (folder / "precious").touch()

    code = dev.main(["venv"])

    assert code == 2
    assert "was not made by dev.py" in capsys.readouterr().err
    assert (folder / "precious").exists()


def test_interrupted_stamp(folder: Path):
    """A stamp that is not whole counts as none, so that the environment is made anew."""
    folder.mkdir()
    (folder / "orchwf-dev.json").write_text('{"digest": "12')

    assert dev._read_stamp() == {}


def test_stamp_is_read_back(folder: Path):
    """What was written last is what is read."""
    folder.mkdir()

    dev._write_stamp({"digest": "1", "extras": ["cli"]})

    assert dev._read_stamp() == {"digest": "1", "extras": ["cli"]}
    assert json.loads((folder / "orchwf-dev.json").read_text()) == {"digest": "1", "extras": ["cli"]}


@pytest.mark.parametrize(
    ("output", "beginning"),
    [
        ("ERROR: No matching distribution found for attrs", "pip cannot get the packages; is there a network"),
        ("error: no space left on device", "pip could not install the packages: error: no space left on device"),
        ("", "pip could not install the packages: it gave no reason"),
    ],
)
def test_failure_of_pip(output: str, beginning: str):
    """Whatever pip says in many lines becomes one that tells what to look at."""
    message = dev._pip_failure(output)

    assert message.startswith(beginning)
    assert "\n" not in message
