"""The reference of the command line, from its parser."""

import re
from collections.abc import Iterator

from cyclopts import App

from orchwf.cli.app import app

INTRODUCTION = """\
# Commands

This page is made from the parser: it is what `orchwf COMMAND --help` says. [Command line](../cli.md) has sessions, exit
codes and the JSON that scripts read.
"""


def commands_page() -> str:
    """The page, as Markdown: each command with its help and its options."""
    return "\n".join([INTRODUCTION, *(_entry(*each) for each in _commands("orchwf", app))])


def _commands(above: str, parent: App) -> Iterator[tuple[str, App]]:
    """What to type for each command, and the command; those of a group follow it."""
    for name in parent:
        if not name.startswith("-") and parent[name].show:
            yield f"{above} {name}", parent[name]
            yield from _commands(f"{above} {name}", parent[name])


def _entry(words: str, command: App) -> str:
    """A command: its usage, what it does, examples, arguments and options."""
    text = command.generate_docs(output_format="markdown", recursive=False, include_hidden=False).partition("\n## ")[0]
    options = text[match.start() :] if (match := re.search(r"^\*\*\w+\*\*:$", text, re.MULTILINE)) else ""
    # Everywhere the same, and said once, at the end of the page.
    options = re.sub(r"\*\*(Commands|Everywhere)\*\*:\n\n(\* .*\n?)+", "", options).strip()
    first, _, rest = (command.help or "").strip().partition("\n")
    parts = [f"## {words}", first, _examples(rest), options]
    return "\n\n".join(part for part in parts if part) + "\n"


def _examples(text: str) -> str:
    """What follows the first line of a help: command lines as blocks, all else as text."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in paragraph.splitlines()]
        is_shown = bool(lines) and lines[0].startswith("orchwf ")
        parts.append("```text\n" + "\n".join(lines) + "\n```" if is_shown else " ".join(lines))
    return "\n\n".join(part for part in parts if part)
