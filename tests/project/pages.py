"""The pages of the repository, taken apart: their blocks, their headings, their links."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^(?P<level>#+) (?P<text>.+)$", re.MULTILINE)


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


def write_titled(page: Path, folder: Path) -> None:
    """Write the blocks that have the name of a file, those of Python and others, to files of that name."""
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks, in which `#` begins a comment and no heading."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def entries(page: Path) -> dict[str, str]:
    """Heading of a page -> all that stands below it, down to the next heading of any level."""
    text = page.read_text(encoding="utf-8")
    headings = [match for match in HEADING.finditer(text) if f"\n{match[0]}\n" in f"\n{prose(page)}"]
    ends = [match.start() for match in headings[1:]] + [len(text)]
    return {match["text"]: text[match.end() : end] for match, end in zip(headings, ends, strict=True)}


@cache
def anchors(page: Path) -> frozenset[str]:
    """What links to headings of a page may say after `#`."""
    return frozenset(anchor(match["text"]) for match in HEADING.finditer(prose(page)))


def anchor(heading: str) -> str:
    """
    What a heading is called in links.

    Source: slugify of https://python-markdown.github.io/extensions/toc/
    """
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file or folder, or to no heading of a page."""
    broken = []
    for match in LINK.finditer(prose(page)):
        target = (page.parent / match["target"]).resolve() if match["target"] else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (match["anchor"] and match["anchor"] not in anchors(target)):
            broken.append(match[0][2:-1])
    return broken
