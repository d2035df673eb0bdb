"""Whatever a step does: after Ctrl-C the command ends in time, says how to go on, and the run can be resumed."""

import signal
import sqlite3
import subprocess
import time

import pytest

from tests.cli.console import Shell, read_until
from tests.slowness import without_slowness

pytestmark = pytest.mark.slow

STUBBORN = """\
import asyncio
import threading
import time

from orchwf import RetryAfter, make_workflow, step


async def coroutine() -> None:
    print("begun", flush=True)
    await asyncio.Event().wait()


def thread() -> None:
    print("begun", flush=True)
    threading.Event().wait()


@step(retries=1)
def back_off() -> None:
    raise RetryAfter("1h")


async def ignores_cancellation() -> None:
    print("begun", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


async def ignores_everything() -> None:
    print("begun", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except BaseException:
            pass


async def blocks_the_loop() -> None:
    print("begun", flush=True)
    while True:
        time.sleep(0.01)


async def thread_of_asyncio() -> None:
    print("begun", flush=True)
    await asyncio.to_thread(threading.Event().wait)


def thread_of_its_own() -> None:
    threading.Thread(target=threading.Event().wait).start()
    print("begun", flush=True)


kept = []


async def task_of_its_own() -> None:
    kept.append(asyncio.create_task(ignores_everything()))
    await asyncio.Event().wait()


BODIES = (
    coroutine, thread, back_off, ignores_cancellation, ignores_everything, blocks_the_loop, thread_of_asyncio,
    thread_of_its_own, task_of_its_own,
)
for body in BODIES:
    name = getattr(body, "__name__", "back_off")
    steps = {"work": body, "later": step(depends_on=["work"])(coroutine)}
    globals()[f"Flow_{name}"] = make_workflow(f"Flow_{name}", steps)
"""
"""A workflow for each way not to end."""

BUSY = """\
from pathlib import Path

from orchwf import step, workflow


@workflow
class Busy:
    @step
    def work(self) -> int:
        print("begun", flush=True)
        while not Path("go").exists():
            pass
        print("returns", flush=True)
        return 1

    @step
    def later(self, work: int) -> int:
        return 2
"""

UNDO = """\
import threading

from orchwf import step, workflow


@workflow
class Undo:
    @step
    def book(self) -> int:
        return 1

    @book.compensate
    def free(self, book: int) -> None:
        threading.Event().wait()

    @step(depends_on=[book], on_exhausted="pause")
    def pay(self) -> int:
        raise ValueError("no")
"""

TOLD = "! Flow_{name} run s interrupted"
ENDED = "! ended without waiting any longer; all that is done is kept, go on with:  orchwf resume s"


def interrupted(process: "subprocess.Popen[str]") -> tuple[float, int, str, str]:
    """How many seconds after Ctrl-C it ended, its exit code, and what it still said."""
    at = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return time.monotonic() - at, process.returncode, out, without_slowness(err)


@pytest.mark.parametrize(
    ("name", "begun", "told"),
    [
        ("coroutine", "begun", TOLD),
        ("thread", "begun", TOLD),
        ("back_off", "failed, again in", TOLD),
        ("ignores_cancellation", "begun", TOLD),
        ("ignores_everything", "begun", ENDED),
        ("blocks_the_loop", "begun", ENDED),
        ("thread_of_asyncio", "begun", TOLD),
        ("thread_of_its_own", "> later", TOLD),
        ("task_of_its_own", "begun", TOLD),
    ],
)
def test_end_in_time(shell: Shell, name: str, begun: str, told: str):
    """Five seconds, code 130, nothing on standard error, and a run that is there to be resumed."""
    shell.write("stubborn.py", STUBBORN)
    process = shell.start("run", f"stubborn.py:Flow_{name}", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, begun)

    took, code, out, err = interrupted(process)
    shown = shell("show", "s", "--json").json

    assert took < 5
    assert (130, "") == (code, err)
    assert told.format(name=name) in out
    assert "orchwf resume s" in out.splitlines()[-1]
    assert ("running", True) == (shown["status"], shown["interrupted"])


def test_end_while_the_store_is_locked(shell: Shell):
    """Another process keeps the lock that a commit needs: what was acknowledged is there, and the rest runs again."""
    shell.write("busy.py", BUSY)
    process = shell.start("run", "busy.py", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, "begun")
    lock = sqlite3.connect(shell.folder / "orchwf.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    shell.write("go", "")
    read_until(process.stdout, "returns")

    took, code, out, err = interrupted(process)
    lock.execute("ROLLBACK")
    lock.close()
    resumed = shell("resume", "s")

    assert took < 5
    assert (130, "") == (code, err)
    assert ENDED in out
    assert (0, "  again  work   (interrupted)") == (resumed.code, resumed.lines[1])


def test_end_while_a_commit_goes_on(shell: Shell):
    """A lock that is let go in time is waited for, and what it kept from the store gets there."""
    shell.write("busy.py", BUSY)
    process = shell.start("run", "busy.py", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, "begun")
    lock = sqlite3.connect(shell.folder / "orchwf.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    shell.write("go", "")
    read_until(process.stdout, "returns")

    process.send_signal(signal.SIGINT)
    read_until(process.stdout, "! stopping")
    lock.execute("ROLLBACK")
    lock.close()
    _, err = process.communicate(timeout=30)
    work = shell("show", "s", "--json").json["steps"][0]

    assert ("", "completed") == (err, work["status"])


def test_second_interrupt_of_what_ignores_everything(shell: Shell):
    """Who asks twice waits for nothing."""
    shell.write("stubborn.py", STUBBORN)
    process = shell.start("run", "stubborn.py:Flow_ignores_everything", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, "begun")
    process.send_signal(signal.SIGINT)
    read_until(process.stdout, "! stopping")

    took, code, _, err = interrupted(process)

    assert took < 2
    assert (130, "\n! ended at once; all that is done is kept, go on with:  orchwf resume s\n") == (code, err)


def test_end_in_time_with_json(shell: Shell):
    """Each line of standard output is a document then, too: what else is said goes to standard error."""
    shell.write("stubborn.py", STUBBORN)
    process = shell.start("run", "stubborn.py:Flow_ignores_everything", "--run-id", "s", "--json")
    assert process.stdout is not None
    read_until(process.stdout, "step.started")

    took, code, out, err = interrupted(process)

    assert took < 5
    assert (130, "") == (code, out)
    assert ENDED in err


def test_end_of_a_cancellation_that_cleans_up(shell: Shell):
    """A run that is undone by the command itself is left in time as well, and undone by whoever takes it up."""
    shell.write("undo.py", UNDO)
    assert 1 == shell("run", "undo.py", "--run-id", "s").code
    process = shell.start("cancel", "s")
    assert process.stdout is not None
    read_until(process.stdout, "undoing")

    took, code, _, err = interrupted(process)
    shown = shell("show", "s")

    assert took < 5
    assert (130, "run 's' was asked to end, and will when it is taken up\n") == (code, err)
    assert "  ! book  was being undone" in shown.lines
