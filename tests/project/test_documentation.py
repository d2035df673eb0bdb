"""What `README.md` and `docs/` show is true: their Python runs, their links lead somewhere, their commands exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import attrs
import pytest

from orchwf import Orchestrator, RunHandle, RunStatus, StepStatus, errors
from orchwf.core.events import EVENT_TYPES
from orchwf.decorators import StepKeywords, WorkflowKeywords
from orchwf.observers.log import _LEVELS
from tests.conftest import ROOT
from tests.slowness import without_slowness

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)")
ORCHWF = [sys.executable, "-c", "import sys; from orchwf.cli import main; sys.exit(main())"]
PROGRAMS = {"orchwf", "python", "python3", "bash", "pip", "sqlite3", "psql", "export"}


@attrs.frozen
class Block:
    """A fenced block of a page; `line` is that of its first line, counted from 1. `title` is a file name, or empty."""

    language: str
    title: str
    line: int
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        yield Block(match["language"], match["title"] or "", line, match["text"])


def program(page: Path) -> str:
    """The untitled Python blocks of a page as one module, in which each line has the number it has in the page."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "python" and not block.title:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n" if lines else ""


def commands(page: Path) -> Iterator[str]:
    """Everything that a page tells to type at a shell's prompt."""
    for block in blocks(page):
        if block.language == "console":
            yield from (line[2:] for line in block.text.splitlines() if line.startswith("$ "))


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def write_titled(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if program(page)], ids=ids)
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
    """Each relative link names a file or folder of the repository."""
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_each_error_is_explained():
    """The page about errors names every error that there is."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    names = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]

    assert [name for name in names if f"`{name}`" not in page] == []


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


def test_each_problem_is_explained():
    """The page about errors names every code that the compiler gives, to a problem or to a warning."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    package = Path(errors.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    codes = {*re.findall(r"""Problem\(\s*"([a-z-]+)\"""", sources), *re.findall(r"\"\[([a-z-]+)\] ", sources)}

    assert len(codes) > 3
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


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
