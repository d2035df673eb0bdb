"""
The table of `docs/patterns.md`: made of the tests, so that it cannot say what they do not show.

Of the docstring of each test the first line is the name of the pattern, and the rest says how it is written.
"""

import ast
import re
from pathlib import Path

import attrs

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "patterns.md"
BEGIN, END = "<!-- The table is made by `python -m tests.patterns`. -->", "<!-- End of the table. -->"
_NAME = re.compile(r"test_wcp_(\d\d)_\w+")


@attrs.frozen
class Pattern:
    """One of the 43: its number, its name, how it is written, and the file and the name of its test."""

    number: int
    name: str
    how: str
    file: Path
    test: str

    @property
    def row(self) -> str:
        """The line of the table."""
        link = f"[`{self.file.stem}`](../{self.file.relative_to(ROOT).as_posix()}) `{self.test}`"
        how = self.how.replace("|", "\\|")
        return f"| {self.number} | {self.name} | {how} | {link} |"


def patterns() -> list[Pattern]:
    """All that there are tests of, by number."""
    found = [pattern for file in sorted(Path(__file__).parent.glob("test_*.py")) for pattern in _patterns_of(file)]
    return sorted(found, key=lambda pattern: pattern.number)


def _patterns_of(file: Path) -> list[Pattern]:
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match = _NAME.fullmatch(node.name) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
        if match is not None and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name, _, how = (ast.get_docstring(node) or "").partition("\n")
            found.append(Pattern(int(match[1]), name, " ".join(how.split()), file, match[0]))
    return found


def table() -> str:
    """The lines of the table, with a line break after each."""
    head = ["| | pattern | how it is written | `tests/` |", "|---|---|---|---|"]
    return "".join(f"{line}\n" for line in [*head, *(pattern.row for pattern in patterns())])


def rewritten(page: str) -> str:
    """
    The text of the page with the table as it is to be.

    Raises:
        ValueError: it does not say where the table stands.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no line {BEGIN!r}, or none {END!r} after it")
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"
