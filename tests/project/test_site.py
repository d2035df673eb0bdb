"""The site: what is made from the code is fresh, nothing is left out, and it builds without a warning."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import orchwf
from orchwf import errors, executors, testing
from tests.conftest import ROOT
from tests.project.pages import LINK, broken_links
from website.build import readable, stage

DOCS = ROOT / "docs"


def named(pattern: str, *files: Path) -> list[str]:
    return [name for file in files for name in re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)]


def makers() -> list[str]:
    """The files that are made from the code; none where the command line is not installed, from which one is made."""
    if find_spec("cyclopts") is None:
        return []
    from website.generated import MAKERS

    return list(MAKERS)


@pytest.mark.parametrize("name", makers())
def test_what_is_made_from_the_code_is_fresh(name: str):
    """If this fails, run `python -m website write`, and look at what has changed."""
    from website.generated import MAKERS

    made = MAKERS[name]()

    assert made == (DOCS / name).read_text(encoding="utf-8")


def test_each_page_is_in_the_navigation():
    """And each page of the navigation is there; none is in it twice."""
    pages = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))

    assert pages == sorted(named(r"^ +- (?:[^:\n]+: )?([\w/-]+\.md)$", ROOT / "mkdocs.yml"))


def test_each_public_name_is_in_the_reference():
    """Once, by its docstring; errors have a page of their own, which takes them all."""
    names = {f"orchwf.{name}" for name in orchwf.__all__ if not hasattr(errors, name)}
    names |= {f"orchwf.testing.{name}" for name in testing.__all__}
    names |= {f"orchwf.executors.{name}" for name in executors.__all__ if name != "DEFAULTS"}
    found = named(r"^::: (\S+)$", *(DOCS / "reference").glob("*.md"))

    assert len(found) == len(set(found))
    assert {*names, "orchwf.errors"} - set(found) == set()


def test_pictures_are_all_shown():
    """No picture is left over when a page no longer shows it."""
    shown = {
        Path(match["target"]).name for page in DOCS.rglob("*.md") for match in LINK.finditer(page.read_text("utf-8"))
    }

    assert {path.name for path in (DOCS / "pictures").iterdir()} <= shown


def test_links_that_leave_the_pages_lead_to_pages_that_show_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In what is built each relative link stays within it, and leads to something."""
    folder = tmp_path / "docs"
    monkeypatch.setattr("tests.project.pages.ROOT", folder)

    stage(folder)

    source = folder / "source" / "examples" / "flights.py.md"
    assert (ROOT / "examples" / "flights.py").read_text(encoding="utf-8").rstrip() in source.read_text(encoding="utf-8")
    own = [page for page in sorted(folder.rglob("*.md")) if not page.is_relative_to(folder / "source")]
    assert {page.name: broken for page in own if (broken := broken_links(page))} == {}


def test_what_a_failed_build_says_is_readable():
    """The words of zensical, without colours, and without the frames of its own code."""
    frames = "Traceback (most recent call last):\n  File x\n    y()"

    told = readable(f"\x1b[33mWarning:\x1b[0m page does not exist\n{frames}\nRuntimeError: strict")

    assert "Warning: page does not exist\nRuntimeError: strict" == told


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_spec("zensical") is None, reason="the extra `docs` is not installed")
@pytest.mark.skipif(not (ROOT / "orchwf").is_dir(), reason="the docstrings are read from the source, which is not here")
def test_the_site_builds_without_a_warning():
    """Also of zensical itself, which looks whether links lead somewhere."""
    done = subprocess.run(
        [sys.executable, "-m", "website"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (ROOT / "site" / "reference" / "defining" / "index.html").exists()
