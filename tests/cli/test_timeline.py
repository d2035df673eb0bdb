"""When which step was at work, and what took longest, in a terminal."""

import pytest

from orchwf.cli import execute
from tests.cli.console import Shell

MANY = """
from orchwf import make_workflow, step


def one() -> int:
    return 1


Many = make_workflow("Many", {f"part_{at}": step(one, name=f"part_{at}") for at in range(70)})
"""


def test_show_timeline(shell: Shell):
    """`show` draws it instead of the steps, a line each, and says what took longest."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("show", "--timeline")

    assert any(line.startswith("*+ extract ") for line in said.lines)
    assert any(line.startswith("*x validate ") for line in said.lines)
    assert any(line.startswith("  longest   extract TIME > audit TIME > validate TIME ") for line in said.lines)


def test_alike_steps_of_many_share_a_line(shell: Shell):
    """Of more than 60 alike ones are one line, which says how many there are, and how to see each; `--all` does."""
    shell.write("many.py", MANY)
    shell("run", "many.py", "--run-id", "many")

    brief, full = shell("show", "--timeline"), shell("show", "--timeline", "--all")

    assert any(" part × 40 " in line for line in brief.lines)
    assert "each step by itself: --all" in brief.lines
    assert 70 == sum(" part_" in line for line in full.lines if line[:2].strip() in ("+", "*+"))
    assert "each step by itself: --all" not in full.lines


def test_a_run_in_which_nothing_has_begun(shell: Shell):
    """It says so, instead of an empty picture."""
    shell.write("many.py", MANY)
    shell("run", "many.py", "--run-id", "later", "--detach")

    said = shell("show", "later", "--timeline")

    assert "  no step has begun" in said.lines


def test_a_long_run_ends_with_what_took_longest(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """After a run that took long it is told below the headline."""
    monkeypatch.setattr(execute, "LONG", 0.0)

    said = shell("run", "sales.py", "--run-id", "bad")

    at = next(at for at, line in enumerate(said.lines) if line.startswith("x DailySales run bad failed"))
    assert said.lines[at + 1].startswith("  longest: extract TIME > audit TIME > validate TIME   (")
