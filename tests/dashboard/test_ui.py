"""The command that serves the dashboard."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import orchwf
from orchwf.cli import main
from orchwf.cli.ui import Served
from tests.dashboard.browsers import TOKEN

FLOW = """
import orchwf

@orchwf.workflow
class Flow:
    fails: bool = False

    @orchwf.step
    def one(self) -> int:
        if self.fails:
            raise ValueError("broken")
        return 1
"""


@contextmanager
def served(folder: Path, *words: str, token: str = TOKEN) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A dashboard in a process of its own, and what it said of itself when it began."""
    environment = {**os.environ, "PYTHONPATH": str(Path(orchwf.__file__).parents[1]), "ORCHWF_UI_TOKEN": token}
    command = [sys.executable, "-m", "orchwf", "ui", "--port", "0", "--json", *words]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def ask(url: str, path: str, data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url.rstrip("/") + path, data, {"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


def test_it_serves_and_ends_in_good_order(folder: Path):
    """It answers with the token of the environment, which it does not repeat, and ends with 0 when it is told to."""
    with served(folder, "--target", "flow.py") as (process, told):
        form = b"workflow=Flow&id=A1&input:fails=true"
        started = ask(told["url"], "/do/start", form)
        stream = urllib.request.urlopen(f"{told['url']}live", timeout=30)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)
        stream.close()

    assert told["token"] is None
    assert TOKEN not in json.dumps(told)
    assert started[0] == 200
    assert code == 0


def test_reading_only_without_payloads(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """It says what it is, and refuses to change anything."""
    monkeypatch.chdir(folder)
    assert main(["run", "flow.py", "--run-id", "A1", "-q"]) == 0
    with served(folder, "--read-only", "--no-payloads") as (_, told):
        refused = ask(told["url"], "/do/cancel", b"run=A1")
        value = ask(told["url"], "/value?id=A1")

    assert (refused[0], value[0]) == (403, 403)


def test_a_new_token_is_told_once(folder: Path):
    """Without a token there is a new one, which is printed where it was started, and in no address."""
    with served(folder, "--target", "flow.py", token="") as (_, told):
        again = told["token"]

    assert len(again) >= 32
    assert again not in told["url"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--port", "70000"], 2, "--port takes a number from 0 to 65535"),
        (["--host", "192.0.2.77", "--target", "flow.py"], 2, "nobody can listen on 192.0.2.77:8484"),
        (["--token", "short", "--target", "flow.py", "--port", "0"], 2, "at least 16 characters"),
        (["--store", "sqlite:///nowhere.db"], 4, "nowhere.db"),
        (["--target", "nowhere.py"], 5, "nowhere.py"),
    ],
)
def test_what_cannot_be(
    words: Sequence[str], code: int, told: str, folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    """What makes no sense is told in a line, with its exit code."""
    monkeypatch.chdir(folder)

    given = main(["ui", *words])

    assert (given, told in capsys.readouterr().err) == (code, True)


@pytest.mark.parametrize(
    ("host", "names", "is_read_only", "needs_one"),
    [
        ("127.0.0.1", [], False, True),
        ("127.0.0.1", [], True, False),
        ("0.0.0.0", [], True, True),
        ("::1", ["a.example"], True, True),
    ],
)
def test_who_needs_a_token(
    host: str, names: list[str], is_read_only: bool, needs_one: bool, monkeypatch: pytest.MonkeyPatch
):
    """Where nothing can be changed and nobody else can come there is none; everywhere else there is."""
    monkeypatch.delenv("ORCHWF_UI_TOKEN", raising=False)
    served = Served(host=host, port=1, token="", is_read_only=is_read_only, shows_payloads=True, names=names)

    assert (served.new_token() is not None) == needs_one


def test_without_its_extra():
    """Where the extra was not installed the command says on one line how to install it."""
    code = "import sys; sys.modules['starlette'] = None; from orchwf.cli import main; sys.exit(main(['ui']))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "pip install 'orchwf[dashboard]'" in done.stderr
