"""What `README.md` and `docs/` show is true: their Python runs, their links lead somewhere, their commands exist."""

import re
import shlex
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

from orchwf import Orchestrator, RunHandle, RunStatus, StepStatus
from orchwf.core.events import EVENT_TYPES
from orchwf.decorators import StepKeywords, WorkflowKeywords
from orchwf.observers.log import _LEVELS
from tests.conftest import ROOT
from tests.project.pages import PAGES, blocks, broken_links, commands, ids, program, write_titled
from tests.slowness import without_slowness

ORCHWF = [sys.executable, "-c", "import sys; from orchwf.cli import main; sys.exit(main())"]
PROGRAMS = {"orchwf", "python", "python3", "bash", "pip", "sqlite3", "psql", "export"}
SLOW = {"docs/errors/stores.md"}
"""Pages whose program takes long: this one waits for a lock as long as orchwf does."""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


PROGRAM_PAGES = [
    pytest.param(page, marks=pytest.mark.slow if ids(page) in SLOW else ()) for page in PAGES if program(page)
]


@pytest.mark.parametrize("page", PROGRAM_PAGES, ids=ids)
def test_python_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """The Python blocks of a page, one after the other, are a program that runs without a warning."""
    if page.name == "postgres.md":
        monkeypatch.setenv("ORCHWF_STORE", request.getfixturevalue("postgres_url"))
    write_titled(page, tmp_path)
    script = tmp_path / f"page_{page.stem}.py"  # A script `logging.py` would hide the module of that name.
    script.write_text(program(page), encoding="utf-8")

    done = run([sys.executable, "-W", "error", script.name], tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_each_block_has_a_language(page: Path):
    """A block whose language is not said would be neither coloured nor tested."""
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert fences[0::2] == [fence for fence in fences[0::2] if fence.strip()]
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path):
    """Each relative link names a file or folder of the repository, and a heading that is there."""
    assert [] == broken_links(page)


def test_each_guarantee_names_its_test():
    """The page of guarantees promises nothing that no test holds."""
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`tests/`" not in line]
    named = re.findall(r"\]\((\S+?\.py)\)\s+`(test_\w+)`", page)

    assert len(rows) > 20
    assert len(named) == len(rows) + 1
    for file, name in named:
        source = (ROOT / "docs" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file} has no {name}"


def named_in(page: str) -> set[str]:
    """What stands in backticks on a page."""
    return set(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / page).read_text(encoding="utf-8")))


def test_each_event_and_status_is_explained():
    """The page about running names every kind of event, and every place where a run or a step can be."""
    names = {*EVENT_TYPES, *map(str, RunStatus), *map(str, StepStatus)}

    assert names <= named_in("running.md")


def test_each_event_has_its_level():
    """The page about logs names every kind that is not told at the level of all others."""
    assert _LEVELS.keys() <= named_in("logging.md")


def test_each_option_is_explained():
    """The page about definitions names every option of a step and of a workflow."""
    options = {*StepKeywords.__annotations__, *WorkflowKeywords.__annotations__}

    assert options <= named_in("definition.md")


def test_each_way_to_steer_a_run_is_explained():
    """The page about running names every option of an orchestrator and of a resume, and every method of a handle."""
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    calls = (Orchestrator, Orchestrator.resume, Orchestrator.fork)
    names = {*vars(RunHandle), *(name for call in calls for name in signature(call).parameters)} - {"self"}

    assert [name for name in names if not name.startswith("_") and not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))], ids=ids)
def test_commands_are_known(page: Path):
    """Each command line can be taken apart by a shell and begins with a program that the page may expect."""
    for line in commands(page):
        words = [word for word in shlex.split(line.replace("$(", "").replace(')"', '"')) if "=" not in word[:8]]

        assert Path(words[0].split()[0]).name in PROGRAMS, line


def test_readme_fails_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The failure that the README shows is what is printed, and the resumed run keeps what was done."""
    readme = ROOT / "README.md"
    write_titled(readme, tmp_path)
    monkeypatch.delenv("ORCHWF_STORE", raising=False)
    shown = next(block.text for block in blocks(readme) if "orchwf run sales.py" in block.text).splitlines()
    arguments = shlex.split(shown[0])[2:]

    failed = run([*ORCHWF, *arguments], tmp_path)
    monkeypatch.setenv("LENIENT", "1")
    resumed = run([*ORCHWF, "resume", "monday"], tmp_path)

    assert failed.returncode == 1, failed.stderr
    assert (
        steady(shown[1:]) == steady((failed.stdout + without_slowness(failed.stderr)).splitlines())[-len(shown[1:]) :]
    )
    assert resumed.returncode == 0, resumed.stderr


def steady(lines: list[str]) -> list[str]:
    """The lines without what differs from run to run, and from console to console."""
    return [" ".join(re.sub(r"in \d+(\.\d+)? m?s", "in TIME", line).split()) for line in lines]


def test_session_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The session that the page about the command line shows goes through."""
    page = ROOT / "docs" / "cli.md"
    write_titled(page, tmp_path)
    monkeypatch.delenv("ORCHWF_STORE", raising=False)
    session = [shlex.split(line)[1:] for line in commands(page) if line.startswith("orchwf ")]

    done = [run([*ORCHWF, *arguments], tmp_path) for arguments in session]

    assert len(done) == 6
    assert [(each.returncode, each.stderr) for each in done if each.returncode] == []


def test_the_five_minutes_go_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each command of the page does what stands there: the run fails with these lines, and is resumed."""
    page = ROOT / "docs" / "start.md"
    write_titled(page, tmp_path)
    monkeypatch.delenv("ORCHWF_STORE", raising=False)
    shown = next(block.text for block in blocks(page) if block.language == "text").splitlines()
    done: dict[str, subprocess.CompletedProcess[str]] = {}

    for line in commands(page):
        words = shlex.split(line)
        if words[0].startswith("LENIENT"):
            monkeypatch.setenv("LENIENT", words.pop(0).partition("=")[2])
        if words[0] == "orchwf":
            done[" ".join(words[1:3])] = run([*ORCHWF, *words[1:]], tmp_path)

    codes = {command: each.returncode for command, each in done.items() if each.returncode}
    assert codes == {"run sales.py": 1}
    failed = done["run sales.py"]
    assert steady(shown) == steady((failed.stdout + without_slowness(failed.stderr)).splitlines())[-len(shown) :]
    assert "<svg" in (tmp_path / "monday.svg").read_text(encoding="utf-8")
    assert "completed" in done["show monday"].stdout
