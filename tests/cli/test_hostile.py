"""Names and values that would do something to a terminal: whatever command shows them, nothing of it gets there."""

import pytest

from tests.cli.console import Said, Shell

FLOW = r"""
from orchwf import make_workflow, step

RED, TURNED, LONG = "\x1b[31mred\x07", "\u202egnp.exe", "x" * 2_000


def red() -> str:
    return "\x1b[2J" * 10


def turned() -> str:
    raise ValueError("\x1b]0;title\x07\u202e" + "y" * 1_000_000)


def last() -> int:
    return 1


Flow = make_workflow("\x1b[2JFlow", {
    RED: step(red, tags=["\x1b[5m"]), TURNED: step(turned, depends_on=[RED]), LONG: step(last, depends_on=[TURNED])
})
"""

COMMANDS = [
    ("check", "flow.py"),
    ("run", "flow.py", "--dry-run"),
    ("run", "flow.py", "--only", "nothing"),
    ("run", "flow.py", "--only", "tag:nothing"),
    ("show", "h1"),
    ("show", "h1", "--timeline"),
    ("show", "h1", "--graph"),
    ("events", "h1"),
    ("runs",),
    ("explain", "h1", "x" * 2_000),
    ("explain", "h1", "\u202egnp.exe"),
    ("explain", "h1", "\x1b[31mred\x07"),
    ("explain", "h1", "\x1b[2Jnothing"),
    ("step", "flow.py", "\u202egnp.exe", "--from", "h1"),
    ("step", "flow.py", "\x1b[31mnothing", "--from", "h1"),
    ("diff", "h1", "h1"),
    ("resume", "h1", "--skip", "nothing"),
    ("doctor",),
]


@pytest.fixture
def ran(shell: Shell) -> Shell:
    shell.write("flow.py", FLOW)
    assert_harmless(shell("run", "flow.py", "--run-id", "h1"))
    return shell


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:30].encode("ascii", "replace").decode())
def test_nothing_gets_to_the_terminal(ran: Shell, words: tuple[str, ...]):
    """Neither escape sequences nor what turns the direction of text, and no megabytes."""
    assert_harmless(ran(*words))


def assert_harmless(said: Said) -> None:
    text = said.out + said.err
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert len(text) < 100_000
