"""The programs of the comparison: ours does what the page says, and the counts of all are those of the page."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.project.pages import commands

PROGRAMS = ROOT / "benchmarks" / "first_run"
PAGE = ROOT / "docs" / "comparison.md"
FILES = {
    "orchwf": ["ours"],
    "Prefect": ["prefect_first"],
    "Dagster": ["dagster_first"],
    "LangGraph": ["langgraph_first"],
    "DBOS": ["dbos_first"],
    "Hamilton": ["hamilton_first", "hamilton_steps"],
}
"""A column of the table -> the files of its program."""


def row(beginning: str) -> list[str]:
    """The cells of the row of the table that begins so, without the first one."""
    found = re.search(rf"^\| {re.escape(beginning)}[^|\n]*\|(.+)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return [cell.strip() for cell in found[1].split("|")]


def lines(name: str) -> int:
    return sum(bool(line.strip()) for line in (PROGRAMS / f"{name}.py").read_text(encoding="utf-8").splitlines())


def test_the_lines_of_the_programs_are_those_of_the_table():
    """Whoever changes a program counts it again."""
    counted = [str(sum(map(lines, names))) for names in FILES.values()]

    assert counted == row("lines of the program")
    assert f"and {lines('dagster_again')} more lines" in " ".join(row("commands to mended"))


def test_ours_fails_is_drawn_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the commands of the page, which are as many as it says, and with as many lines."""
    shutil.copy(PROGRAMS / "ours.py", tmp_path)
    monkeypatch.delenv("ORCHWF_STORE", raising=False)
    typed = list(commands(PAGE))

    done = [run(line.split()[1:], tmp_path) for line in typed[1:3]]
    monkeypatch.setenv("LENIENT", "1")
    resumed = run(typed[3].split()[2:], tmp_path)

    assert [1, 0] == [each.returncode for each in done]
    assert row("lines that the failed run tells")[0] == str(len(done[0].stdout.splitlines()))
    assert "<svg" in (tmp_path / "run.svg").read_text(encoding="utf-8")
    assert (0, False) == (resumed.returncode, "extract runs" in resumed.stdout)
    assert row("commands to mended")[0] == str(len(typed))


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from orchwf.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
