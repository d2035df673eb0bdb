"""Exit codes for what the library raises, and for what cannot be waited for."""

import pytest

from orchwf.cli.exits import Exit, as_command_error
from orchwf.errors import (
    DefinitionError,
    OrchwfError,
    Problem,
    RunInterruptedError,
    RunNotFoundError,
    StoreError,
    UnknownStepError,
    UsageError,
)
from tests.cli.console import Shell, read_until

STUBBORN = """\
import threading

from orchwf import step, workflow


@workflow
class Stubborn:
    @step
    def work(self) -> bool:
        return threading.Event().wait()
"""
"""Its step is a thread that waits for ever, and cannot be stopped."""


def lost_store() -> RunInterruptedError:
    error = RunInterruptedError("r", "W")
    error.__cause__ = StoreError("the disk is full")
    return error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DefinitionError("W", [Problem("cycle", "a", "no")]), Exit.USAGE, "W cannot be compiled: 1 problem"),
        (StoreError("it is read-only"), Exit.STORE, "it is read-only"),
        (lost_store(), Exit.STORE, "the disk is full"),
        (RunNotFoundError("r", "memory:"), Exit.NOT_FOUND, "there is no run 'r' in memory:"),
        (UnknownStepError("s", "W"), Exit.NOT_FOUND, "W has no step 's'."),
        (UsageError("not so"), Exit.USAGE, "not so"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_codes(error: OrchwfError, code: Exit, message: str):
    """Who has to act decides the code."""
    told = as_command_error(error)

    assert (code, message) == (told.code, told.message.splitlines()[0])


def test_cancel_does_not_wait_for_ever(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A run whose step takes its time is asked, and who will end it is told."""
    monkeypatch.setattr("orchwf.cli.ask.PATIENCE", 0.05)
    shell.write("stubborn.py", STUBBORN)
    process = shell.start("run", "stubborn.py", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, "> work")

    said = shell("cancel", "s")
    out, _ = process.communicate(timeout=30)

    assert 0 == said.code
    assert [True] == [line.startswith("> run s was asked to end; process ") for line in said.lines] or (
        ["/ run s is cancelled"] == said.lines
    )
    assert 1 == process.returncode
    assert "/ Stubborn run s cancelled" in out


def test_jobs_bound_what_runs_at_once(shell: Shell):
    """With -j 1 a step starts when the one before has ended; a number below 1 makes no sense."""
    shell.write(
        "wide.py",
        "from orchwf import make_workflow\ndef a() -> int:\n    return 1\ndef b() -> int:\n    return 2\n"
        "Wide = make_workflow('Wide', [a, b])\n",
    )

    said, wrong = shell("run", "wide.py", "-j", "1"), shell("run", "wide.py", "-j", "0")

    assert ["  > a", "  + a  TIME", "  > b", "  + b  TIME"] == said.lines[1:5]
    assert (0, 2) == (said.code, wrong.code)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resume", "a", "b"), "there is no place for 'b'; see: orchwf resume --help"),
        (("--store", "sqlite:///x.db"), "the command is missing; see: orchwf --help"),
        (("--store=sqlite:///x.db",), "the command is missing; see: orchwf --help"),
        (("runs", "--limt", "3"), "unknown option: --limt. Did you mean --limit?; see: orchwf runs --help"),
    ],
    ids=["too much", "no command", "no command after =", "misspelled"],
)
def test_command_line_that_is_wrong(shell: Shell, words: tuple[str, ...], told: str):
    """One line says what is wrong, and where to look."""
    said = shell(*words)

    assert (2, f"{told}\n") == (said.code, said.err)


def test_a_misspelt_command(shell: Shell):
    """It gets the command that was meant, without a list of all."""
    said = shell("rnu", "sales.py")

    assert (2, 'unknown command "rnu". Did you mean "run"?; see: orchwf --help\n') == (said.code, said.err)
