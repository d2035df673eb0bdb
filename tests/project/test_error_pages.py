"""Every error that a user may meet has an entry: its cause, its cure, and an example that raises it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchwf import errors
from orchwf.testing import CrashError
from tests.conftest import ROOT
from tests.project.pages import BLOCK, entries

PACKAGE = Path(errors.__file__).parent
OVERVIEW = ROOT / "docs" / "errors.md"
FOUND = [(heading, text) for page in (ROOT / "docs" / "errors").glob("*.md") for heading, text in entries(page).items()]
ENTRIES = dict(FOUND)


def classes() -> Iterator[str]:
    """What each public class of errors and warnings is called."""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            yield name
    yield CrashError.__name__


def codes() -> list[str]:
    """The codes that the compiler gives, to a problem or to a warning."""
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    codes = {*re.findall(r"""Problem\(\s*"([a-z-]+)\"""", sources), *re.findall(r"\"\[([a-z-]+)\] ", sources)}
    table = re.findall(r"^\| \[`([a-z-]+)`\]", OVERVIEW.read_text(encoding="utf-8"), re.MULTILINE)
    return sorted(codes | set(table))


@pytest.mark.parametrize("name", [*classes(), *codes()])
def test_each_has_an_entry(name: str):
    """With a cause, a cure, and a program in which it comes up; the tests run that program."""
    entry = ENTRIES[name]

    assert re.search(r"^\*\*Cause\.\*\* \S", entry, re.MULTILINE)
    assert re.search(r"^\*\*Cure\.\*\* \S", entry, re.MULTILINE)
    assert any(name in block["text"] for block in BLOCK.finditer(entry) if block["language"] == "python")


@pytest.mark.parametrize("name", [*classes(), *codes()])
def test_each_is_in_the_overview(name: str):
    """The page about errors names them all, each with a link to its entry."""
    assert f"`{name}`](errors/" in OVERVIEW.read_text(encoding="utf-8").replace("orchwf.testing.", "")


def test_no_entry_is_left_over():
    """What is gone from the code is gone from the pages, and nothing is explained twice."""
    named = [heading for heading, _ in FOUND if " " not in heading]

    assert sorted({*classes(), *codes()}) == sorted(named)
