"""`prune`, `migrate`, `init`, `completion`, and `runs --watch`: what is done beside running."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Awaitable

import pytest
from rich.console import Console

from orchwf.cli.look import Wanted
from orchwf.cli.output import Output
from orchwf.cli.places import Place
from orchwf.cli.watching import watch
from tests.cli.console import Shell


def test_prune(shell: Shell):
    """Runs that ended so long ago, and so, are deleted."""
    shell("run", "sales.py", "--run-id", "bad", "-q")

    kept = shell("prune", "--older-than", "1h")
    other = shell("prune", "--older-than", "0s", "--status", "completed")
    gone = shell("prune", "--older-than", "0s", "--json")

    assert "+ 0 runs deleted that ended more than 1h ago\n" == kept.out
    assert "+ 0 runs deleted that ended more than 0s ago\n" == other.out
    assert {"deleted": 1} == gone.json
    assert {"runs": [], "more": False} == shell("runs", "--json").json


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--older-than", "soon"], "--older-than takes how long ago they ended, such as 12h or 30d, not 'soon'"),
        (["--older-than", "1h", "--status", "running"], "only runs that have ended can be pruned, not running ones"),
    ],
)
def test_what_cannot_be_pruned(shell: Shell, words: list[str], message: str):
    """It is refused, and nothing is deleted."""
    shell("run", "sales.py", "--run-id", "bad", "-q")

    said = shell("prune", *words)

    assert (2, f"{message}\n") == (said.code, said.err)
    assert 1 == len(shell("runs", "--json").json["runs"])


def test_migrate(shell: Shell):
    """A store gets its schema, and says which that is."""
    said = shell("migrate", "--json")

    assert 0 == said.code
    assert {"store", "schema"} == set(said.json)
    assert isinstance(said.json["schema"], int)
    assert "has schema" in shell("migrate").out


def test_init(shell: Shell):
    """The small project runs, and so does its test."""
    said = shell("init", "project", "--json")

    assert ["cd project", "orchwf run flow.py --input name=you", "orchwf show --timeline"] == said.json["next"]
    assert ["flow.py", "test_flow.py", ".gitignore"] == said.json["files"]
    assert 0 == shell("run", "project/flow.py", "-q").code
    assert_tested(shell)


def test_init_example(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The example fails, is mended as it says, and goes on without what it has done."""
    shell("init", "project", "--example")
    monkeypatch.chdir(shell.folder / "project")
    failed = shell("run", "flow.py", "--run-id", "r1")
    flow = shell.folder / "project" / "flow.py"
    mended = flow.read_text(encoding="utf-8").replace('float(row["amount"])', 'float(row["amount"].replace(",", "."))')
    flow.write_text(mended, encoding="utf-8")
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", "") == str(flow)]:
        del sys.modules[name]

    resumed = shell("resume")

    assert (1, 0) == (failed.code, resumed.code)
    assert "keeps  2 items of check   (items that completed)" in resumed.out
    assert "Sold on monday: 49.75" == shell("show", "r1", "--output", "report").out.rstrip()
    assert_tested(shell)


def assert_tested(shell: Shell) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=shell.folder / "project", capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_init_overwrites_nothing(shell: Shell):
    """Where a file is there already, nothing is written."""
    shell.write("project/flow.py", "mine")

    said = shell("init", "project")

    assert (2, "project has flow.py already; name another folder: orchwf init FOLDER\n") == (said.code, said.err)
    assert ["flow.py"] == [path.name for path in (shell.folder / "project").iterdir()]


def test_init_where_nothing_can_be_written(shell: Shell):
    """What keeps it from that is said."""
    shell.write("file", "")

    said = shell("init", "file/project")

    assert 2 == said.code
    assert said.err.startswith("the project cannot be written to file/project: ")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_completion(shell: Shell, name: str):
    """The script for a shell knows the commands."""
    said = shell("completion", name)

    assert 0 == said.code
    assert "explain" in said.out
    assert {"shell", "script"} == set(shell("completion", name, "--json").json)


def test_events_of_an_attempt(shell: Shell):
    """Only what happened in it is printed."""
    shell.write("twice.py", TWICE)
    shell("run", "twice.py", "-q")

    second = shell("events", "--attempt", "2", "--json").json_lines
    bad = shell("events", "--attempt", "0")

    assert ["step.started", "step.completed"] == [event["kind"] for event in second]
    assert (2, "--attempt takes a number of at least 1, not 0\n") == (bad.code, bad.err)


TWICE = """\
from orchwf import Retry, StepContext, step, workflow


@workflow
class Twice:
    @step(retries=Retry(1, initial=0.0))
    def once(self, ctx: StepContext) -> int:
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return 1
"""


def test_watch(shell: Shell):
    """The list is drawn anew each time, until somebody interrupts it."""
    shell("run", "sales.py", "--run-id", "bad", "-q")
    output, screen = Output(), io.StringIO()
    output.console = Console(file=screen, force_terminal=True, width=80, height=24, color_system=None)
    looks = 0

    async def pause() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(watch(output, Place(url=f"sqlite:///{shell.folder}/orchwf.db", named=""), Wanted(), pause))

    assert 2 <= screen.getvalue().count("DailySales")
    assert screen.getvalue().rstrip("\n").endswith("\x1b[?25h")


def drive(work: Awaitable[int]) -> int:
    async def awaited() -> int:
        return await work

    return asyncio.run(awaited())


def test_watch_wants_a_terminal(shell: Shell):
    """Elsewhere it says what to do instead."""
    said = shell("runs", "--watch")

    assert 2 == said.code
    assert said.err.startswith("--watch draws on a terminal")
