"""
Builds the site from `docs/`.

Pages link to files beside `docs/`, such as tests. Those are no pages, so a copy is built in which each of them is one,
that shows its text. So all links lead somewhere, also without a network.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STAGE = ROOT / "build" / "site"
"""Where the copy is: `docs` in it is what is built."""
OUTPUT = ROOT / "site"

LINK = re.compile(r"(?<=\]\()(?!https?:|#)(?P<target>[^)#\s]+)(?=[)#])")
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown", ".sql": "sql"}


def build() -> int:
    """
    Build the site into `site/`; any warning fails it.

    Returns:
        The exit code.
    """
    shutil.rmtree(STAGE, ignore_errors=True)
    stage(STAGE / "docs")
    shutil.copy(ROOT / "mkdocs.yml", STAGE / "mkdocs.yml")
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=STAGE, env=environment, capture_output=True, text=True, check=False)
    told = readable(done.stdout + done.stderr)
    print(told)
    if done.returncode or re.search("warning|^griffe:", told, re.IGNORECASE | re.MULTILINE):
        return done.returncode or 1
    shutil.rmtree(OUTPUT, ignore_errors=True)
    shutil.move(STAGE / "site", OUTPUT)
    print(f"the site is in {OUTPUT}")
    return 0


def readable(told: str) -> str:
    """What zensical says, without colours and without the traceback that follows its own words."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told)
    return re.sub(r"^Traceback .*?(?=^\S+Error: )", "", plain, flags=re.DOTALL | re.MULTILINE).strip()


def stage(folder: Path) -> None:
    """Copy `docs/` here, with a page for each file outside that its pages link to."""
    shutil.copytree(DOCS, folder)
    linked: dict[Path, Path] = {}
    for page in sorted(DOCS.rglob("*.md")):
        copy = folder / page.relative_to(DOCS)
        copy.write_text(_pointed(page, copy, folder, linked), encoding="utf-8")
    for source, copy in linked.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_source_page(source), encoding="utf-8")


def _pointed(page: Path, copy: Path, folder: Path, linked: dict[Path, Path]) -> str:
    """The text of a page whose links to files outside `docs/` lead to pages that show them."""

    def pointed(match: re.Match[str]) -> str:
        target = (page.parent / match["target"]).resolve()
        if target.is_relative_to(DOCS):
            return match["target"]
        linked[target] = folder / "source" / f"{target.relative_to(ROOT).as_posix()}.md"
        return Path(os.path.relpath(linked[target], copy.parent)).as_posix()

    return LINK.sub(pointed, page.read_text(encoding="utf-8"))


def _source_page(source: Path) -> str:
    """A page that shows a file, or lists a folder."""
    title = f"# {source.relative_to(ROOT).as_posix()}\n\n"
    if source.is_dir():
        names = sorted(path.name for path in source.iterdir() if not path.name.startswith(("_", ".")))
        return title + "\n".join(f"- `{name}`" for name in names) + "\n"
    # The longest fence of a page is one of three, so that one of four holds it.
    language = LANGUAGES.get(source.suffix, "text")
    return f"{title}````{language}\n{source.read_text(encoding='utf-8').rstrip()}\n````\n"
