"""`init`: a small project that runs."""

import shlex
from pathlib import Path
from typing import Literal

from ..core.lines import Line, names_text
from .exits import CommandError, Exit
from .output import Output

Kind = Literal["small", "example"]

_IGNORED = """\
orchwf.db*
__pycache__/
"""

_SMALL = '''\
"""A workflow: its attributes are the inputs, its methods the steps."""

from orchwf import step, workflow


@workflow
class Hello:
    """Greet somebody."""

    name: str = "world"

    @step
    def think(self) -> str:
        return f"Hello, {self.name}!"

    @step(retries=2)
    def say(self, text: str = think.result) -> int:
        print(text)
        return len(text)
'''

_SMALL_TEST = '''\
"""The workflow, run as a whole, and one of its steps by itself."""

import orchwf
from flow import Hello


def test_whole() -> None:
    result = orchwf.run(Hello(name="you"), store="memory:")

    assert 11 == result[Hello.say]


def test_one_step() -> None:
    assert "Hello, you!" == Hello(name="you").think()
'''

_EXAMPLE = '''\
"""Add up what was sold. One shop writes a decimal comma, so the first run fails: mend `check`, and resume."""

import csv
from pathlib import Path

from orchwf import step, workflow

FOLDER = Path(__file__).parent


@workflow
class Sales:
    """Read the sales of a day, check each of them, and write a report."""

    day: str = "monday"

    @step
    def read(self) -> list[dict[str, str]]:
        with open(FOLDER / f"{self.day}.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @step(retries=1)
    def check(self, row: dict[str, str] = read.each) -> float:
        """Runs once per row; each has a checkpoint of its own."""
        return float(row["amount"])

    @step
    def total(self, amounts: list[float] = check.all) -> float:
        return round(sum(amounts), 2)

    @step
    def report(self, total: float = total.result) -> str:
        text = f"Sold on {self.day}: {total}"
        (FOLDER / "report.txt").write_text(text, encoding="utf-8")
        return text
'''

_EXAMPLE_DATA = """\
shop,amount
north,12.5
south,"7,25"
west,30.0
"""

_EXAMPLE_TEST = '''\
"""One step by itself."""

from flow import Sales


def test_an_amount_is_read() -> None:
    assert 12.5 == Sales().check({"shop": "north", "amount": "12.5"})
'''

_FILES: dict[Kind, dict[str, str]] = {
    "small": {"flow.py": _SMALL, "test_flow.py": _SMALL_TEST, ".gitignore": _IGNORED},
    "example": {
        "flow.py": _EXAMPLE, "monday.csv": _EXAMPLE_DATA, "test_flow.py": _EXAMPLE_TEST, ".gitignore": _IGNORED
    },
}  # fmt: skip


def write_project(output: Output, folder: Path, kind: Kind) -> int:
    """
    Write a project into a folder.

    Raises:
        CommandError: one of its files is there already, or it cannot be written.
    """
    files = _FILES[kind]
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise CommandError(f"{folder} has {names_text(there)} already; name another folder: orchwf init FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"the project cannot be written to {folder}: {error.strerror}") from error
    steps = _next_steps(folder, kind)
    if output.json:
        output.document({"folder": str(folder), "files": list(files), "next": steps})
    output.lines([Line(f"+ {names_text(files)} written to {folder}", "completed"), Line("  Now type:")])
    output.lines(Line(f"    {step}") for step in steps)
    return Exit.DONE


def _next_steps(folder: Path, kind: Kind) -> list[str]:
    go = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    if kind == "small":
        return [*go, "orchwf run flow.py --input name=you", "orchwf show --timeline"]
    mend = """# It fails. Mend check() in flow.py: return float(row["amount"].replace(",", "."))"""
    return [*go, "orchwf run flow.py", mend, "orchwf resume"]
