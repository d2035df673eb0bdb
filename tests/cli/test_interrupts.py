"""Runs that are interrupted, killed and cancelled, each in a process of its own."""

import signal
import subprocess

import pytest

from tests.cli.console import Shell, read_until, steady
from tests.slowness import without_slowness

SLOW = """\
import asyncio
from pathlib import Path

from orchwf import step, workflow


@workflow
class Slow:
    @step
    def first(self) -> int:
        with open("first.log", "a") as log:
            log.write("ran\\n")
        return 1

    @step
    async def second(self, first: int) -> int:
        while not Path("go").exists():
            await asyncio.sleep(0.01)
        return 2

    @step
    def third(self, second: int) -> int:
        return 3
"""
"""Its second step lasts until there is a file `go`."""


def start(shell: Shell, *words: str) -> "subprocess.Popen[str]":
    """The flow above, in a process of its own, in its second step."""
    shell.write("slow.py", SLOW)
    process = shell.start(*(words or ("run", "slow.py", "--run-id", "s")))
    assert process.stdout is not None
    read_until(process.stdout, "> second")
    return process


def end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, steady(out), without_slowness(err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_can_be_resumed(shell: Shell, number: signal.Signals, code: int):
    """What runs may end, nothing more begins; the run says how to go on, and goes on there."""
    process = start(shell)
    assert process.stdout is not None

    process.send_signal(number)
    read_until(process.stdout, "! stopping")
    shell.write("go", "")
    ended = end(process)
    resumed = shell("resume")

    assert (code, "") == (ended[0], ended[2])
    assert [
        "  + second  TIME",
        "! Slow run s interrupted after TIME   (2 done, 1 to do)",
        "  Go on with:  orchwf resume s      (keeps first, second)",
    ] == ended[1].splitlines()
    assert ["> Slow run s resumed", "  keeps  first, second   (completed)", "  then   third   (not begun yet)"] == (
        resumed.lines[:3]
    )
    assert 0 == resumed.code
    assert "ran\n" == (shell.folder / "first.log").read_text()


def test_second_interrupt_ends_at_once(shell: Shell):
    """Who asks twice does not wait; what was done is kept all the same."""
    process = start(shell)
    assert process.stdout is not None

    process.send_signal(signal.SIGINT)
    read_until(process.stdout, "! stopping")
    process.send_signal(signal.SIGINT)
    code, _, told = end(process)
    shown = shell("show", "--json").json

    assert 130 == code
    assert "\n! ended at once; all that is done is kept, go on with:  orchwf resume s\n" == told
    assert (True, "running", None) == (shown["interrupted"], shown["status"], shown["owner"])


def test_killed_run_is_resumed(shell: Shell):
    """After kill -9 the run shows as interrupted, and a resume keeps what was done."""
    process = start(shell)

    process.kill()
    end(process)
    listed, shown = shell("runs"), shell("show")
    shell.write("go", "")
    resumed = shell("resume")

    assert listed.lines[1].startswith("!  interrupted  Slow")
    assert "! Slow run s interrupted   (1 done, 2 to do)" == shown.lines[0]
    assert "  ! second  interrupted in attempt 1" in shown.lines
    assert 0 == resumed.code
    assert "  keeps  first   (completed)" in resumed.lines
    assert "  again  second   (interrupted)" in resumed.lines
    assert "ran\n" == (shell.folder / "first.log").read_text()


def test_run_of_a_living_process(shell: Shell):
    """A run that is executed elsewhere is not resumed; it can be followed, and cancelled from here."""
    process = start(shell)
    following = shell.start("events", "s", "--follow")
    assert following.stdout is not None
    read_until(following.stdout, "second")

    refused = shell("resume", "s")
    shown = shell("show", "s", "--json").json
    cancelled = shell("cancel", "s", "--reason", "enough")
    code, out, _ = end(process)
    followed = end(following)

    assert 2 == refused.code
    assert f"run 's' is being executed by process {process.pid} on " in refused.err
    assert shown["owner"].startswith(f"process {process.pid} on ")
    assert (0, ["/ run s is cancelled"]) == (cancelled.code, cancelled.lines)
    assert 1 == code
    assert "/ Slow run s cancelled in TIME   (1 done, 2 cancelled)" in out.splitlines()
    assert "  enough" in out.splitlines()
    assert (0, True) == (followed[0], "run.cancelled" in followed[1])


def test_cancel_of_a_run_that_nobody_executes(shell: Shell):
    """It is taken up for that, and none of its steps begins again."""
    process = start(shell)
    process.kill()
    end(process)

    cancelled = shell("cancel", "s", "--reason", "enough")
    again = shell("cancel", "s", "--json")
    kinds = [event["kind"] for event in shell("events", "s", "--json").json_lines]

    assert (0, ["/ run s is cancelled"]) == (cancelled.code, cancelled.lines)
    assert (0, "cancelled") == (again.code, again.json["status"])
    assert 2 == kinds.count("step.started")
    assert "run.cancelled" == kinds[-1]


def test_cancel_of_a_run_that_has_ended(shell: Shell):
    """It stays as it is, and that is said."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("cancel", "bad")

    assert (0, ["x run bad has ended already: it is failed"]) == (said.code, said.lines)


def test_cancel_where_the_file_is_gone(shell: Shell):
    """The class is needed to take a run up: where it is gone, the way out is told."""
    process = start(shell)
    process.kill()
    end(process)
    (shell.folder / "slow.py").rename(shell.folder / "moved.py")

    lost, found = shell("cancel", "s"), shell("cancel", "s", "--target", "moved.py")

    assert (5, 0) == (lost.code, found.code)
    assert "--target file.py:Class" in lost.err


def test_interrupt_of_a_command_that_only_looks(shell: Shell):
    """Ctrl-C ends it without a traceback."""
    process = start(shell)
    following = shell.start("events", "s", "--follow")
    assert following.stdout is not None
    read_until(following.stdout, "second")

    following.send_signal(signal.SIGINT)
    code, _, told = end(following)
    process.kill()
    end(process)

    assert (130, "") == (code, told)
