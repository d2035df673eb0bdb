"""`orchwf worker`, in a process of its own: it fires, executes, takes up, and ends when it is told to."""

import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from io import StringIO
from typing import Any

import pytest

from orchwf.cli.output import Output
from orchwf.cli.worker import RunDisplay
from orchwf.core import events as ev
from orchwf.core.state import RunStatus
from orchwf.ports import RunRecord
from tests.cli.console import Shell, read_until, steady
from tests.cli.sleepers import NAP
from tests.slowness import without_slowness
from tests.stores.samples import record

FLOW = """\
import asyncio
from pathlib import Path

from orchwf import StepContext, step, workflow


@workflow
class Nightly:
    wait: bool = False

    @step
    async def write(self, ctx: StepContext) -> str:
        while self.wait and not Path("go").exists():
            await asyncio.sleep(0.01)
        return str(ctx.metadata["scheduled_for"])
"""
"""What is served: with `wait` it lasts until there is a file `go`."""


@pytest.fixture
def shop(shell: Shell) -> Shell:
    """A shell with the flow above, and a schedule of it that comes once a year."""
    shell.write("nightly.py", FLOW)
    assert 0 == shell("schedules", "add", "nightly.py", "--cron", "@yearly").code
    return shell


def serve(shell: Shell, *words: str) -> "subprocess.Popen[str]":
    """The program, ready."""
    process = shell.start("worker", "nightly.py", *words)
    assert process.stdout is not None
    read_until(process.stdout, "serving")
    return process


def read(process: "subprocess.Popen[str]", text: str) -> str:
    """What it prints up to the line with this text."""
    assert process.stdout is not None
    return read_until(process.stdout, text)


def stop(process: "subprocess.Popen[str]") -> tuple[int, list[str], str]:
    """Tell it to end: its exit code, what it printed after that, and its errors."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    return process.returncode, steady(out).splitlines(), without_slowness(err)


def let_it_wait(shell: Shell) -> None:
    """Let the run of the schedule last until there is a file."""
    assert 0 == shell("schedules", "add", "nightly.py", "--cron", "@yearly", "-i", "wait=true", "--replace").code


def make_due(shell: Shell) -> None:
    """Let the next time of the schedule have come some seconds ago."""
    with closing(sqlite3.connect(shell.folder / "orchwf.db")) as db:
        db.execute("UPDATE schedules SET next_at = ?", (time.time() // 1 - 5.0,))
        db.commit()


def test_serve_a_trigger_from_another_process(shop: Shell):
    """It is begun there, and what becomes of it is printed; told to end, all is in good order."""
    process = serve(shop)

    triggered = shop("schedules", "trigger", "Nightly")
    run_id = triggered.lines[0].split()[2]
    printed = read(process, "completed")
    code, out, err = stop(process)
    shown = shop("show", run_id, "--json").json

    assert f"> run {run_id} has begun" == triggered.lines[0]
    assert f"  See it with:  orchwf show {run_id}" == triggered.lines[1]
    assert f"> Nightly run {run_id} started\n" in printed
    assert (0, "") == (code, err)
    assert ["! stopping: what runs has TIME to end; a second signal ends it at once", "o stopped"] == out
    assert ("completed", "Nightly") == (shown["status"], shown["tags"]["schedule"])


def test_serve_what_is_due(shop: Shell):
    """The run has the id of its time; the table tells it. What the compiler warns of is told, too."""
    shop.write("nightly.py", FLOW + "\n    @step(timeout=1)\n    def slow(self) -> int:\n        return 1\n")
    make_due(shop)

    process = shop.start("worker", "nightly.py", "nightly.py:Nightly")
    printed = read(process, "completed")
    code, _, err = stop(process)
    listed = shop("schedules")

    assert "> serving Nightly from sqlite:///" in printed
    assert ", 1 schedule\n" in printed
    assert "> Nightly run Nightly@" in printed
    assert 0 == code
    assert err.startswith("warning: [sync-timeout]")
    assert "completed  Nightly@" in listed.lines[1]


def test_what_runs_has_its_grace(shop: Shell):
    """It may end, and then the process does."""
    let_it_wait(shop)
    make_due(shop)
    process = shop.start("worker", "nightly.py", "--grace", "1m")
    read(process, "started")

    process.send_signal(signal.SIGTERM)
    read(process, "stopping: what runs has 1 min 00 s to end")
    shop.write("go", "")
    out, err = process.communicate(timeout=30)

    assert (0, "") == (process.returncode, without_slowness(err))
    assert "completed in" in out
    assert "o stopped" == out.splitlines()[-1]


def test_what_does_not_end_goes_on_elsewhere(shop: Shell):
    """It is left in good order, counted, and taken up by the next one that serves."""
    let_it_wait(shop)
    make_due(shop)
    process = shop.start("worker", "nightly.py", "--grace", "0s")
    read(process, "started")

    code, out, _ = stop(process)
    shop.write("go", "")
    after = shop.start("worker", "nightly.py")
    printed = read(after, "completed")
    stop(after)

    assert (0, "o stopped; 1 run goes on when another worker takes over") == (code, out[-1])
    assert "goes on\n" in printed
    assert 1 == len(shop("runs", "--json").json["runs"])


def test_what_fell_asleep_is_not_counted(shell: Shell):
    """It was let go of when it did, and goes on when it is due, also if it was the last one that was executed here."""
    shell.write("nap.py", NAP)
    process = shell.start("worker", "nap.py")
    read(process, "serving")
    assert 0 == shell("run", "nap.py", "--detach", "--run-id", "r").code
    read(process, "started")
    while "sleeps until" not in shell("runs").out:
        """Each look lets the worker go on."""

    code, out, _ = stop(process)

    assert (0, "o stopped") == (code, out[-1])


def test_a_second_signal_ends_at_once(shop: Shell):
    """Whatever grace there is."""
    let_it_wait(shop)
    make_due(shop)
    process = shop.start("worker", "nightly.py", "--grace", "1h")
    read(process, "started")

    process.send_signal(signal.SIGINT)
    read(process, "stopping")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)

    assert 143 == process.returncode
    assert "! ended at once; what runs goes on when it is taken up" in err


def test_serve_for_programs(shop: Shell):
    """A line of JSON for what is served, and for each change of a run."""
    make_due(shop)
    process = shop.start("worker", "nightly.py", "--json")
    printed = read(process, '"completed"')
    code, out, err = stop(process)

    first, *runs = [json.loads(line) for line in printed.splitlines()]
    assert (["Nightly"], 1) == (first["serving"], first["schedules"])
    assert ["running", "completed"] == [run["status"] for run in runs]
    assert (0, [], "") == (code, out, err)


def test_quiet(shop: Shell):
    """Nothing is said, and all is done."""
    make_due(shop)
    process = shop.start("worker", "nightly.py", "-q")
    while "completed" not in shop("runs").out:
        time.sleep(0.05)
    code, out, err = stop(process)

    assert (0, [], "") == (code, out, err)


def test_what_goes_wrong_is_told(shop: Shell):
    """Whoever operates it sees why a schedule is not begun."""
    shop("schedules", "add", "nightly.py", "--cron", "@yearly", "-i", "wait=true", "--replace")
    shop.write("nightly.py", FLOW.replace("wait: bool = False", "wait: int = 0"))
    make_due(shop)
    process = shop.start("worker", "nightly.py")
    assert process.stderr is not None
    told = without_slowness(read_until(process.stderr, "does not take its inputs any more"))
    code, _, _ = stop(process)

    assert told.startswith("warning: schedule 'Nightly' cannot be begun: Nightly does not take its inputs any more")
    assert 0 == code


def test_a_store_that_is_lost(shop: Shell):
    """The process ends by itself, and says why: whoever watches it may start it anew."""
    let_it_wait(shop)
    make_due(shop)
    process = shop.start("worker", "nightly.py")
    read(process, "started")
    (shop.folder / "orchwf.db").unlink()
    shop.write("go", "")

    _, err = process.communicate(timeout=30)

    assert 4 == process.returncode
    assert "was deleted while it was open; open the store again" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "name at least one workflow: orchwf worker file.py"),
        (["nightly.py", "--grace", "long"], 2, "--grace takes a duration, not 'long'"),
        (["nightly.py", "-j", "0"], 2, "--concurrency takes a number of at least 1"),
        (["nightly.py", "--max-runs", "0"], 2, "--max-runs takes a number of at least 1"),
        (["nobody.py"], 5, "nobody.py does not exist"),
        (["nightly.py", "again.py"], 2, "two workflows are called 'Nightly', version '1'"),
        (["nightly.py", "--store", "sqlite:////nowhere/x.db"], 4, "its folder /nowhere does not exist"),
    ],
)
def test_what_cannot_be_served(shop: Shell, words: list[str], code: int, told: str):
    """One error, and it ends."""
    shop.write("again.py", FLOW)

    said = shop("worker", *words)

    assert (code, True) == (said.code, told in said.err)


# Lines.


def told_lines(run: RunRecord, *events: ev.Event) -> list[str]:
    """What is printed when this happens to a run."""
    output = Output(color=False)
    output.console.file = StringIO()
    RunDisplay(output).told(run, events)
    return steady(output.console.file.getvalue()).splitlines()


@pytest.mark.parametrize(
    ("status", "event", "line"),
    [
        (RunStatus.RUNNING, ev.RunStarted(seq=1, at=5.0, workflow="W", version="1", fingerprint="f", inputs="{}"),
         "> Orders run A1 started"),
        (RunStatus.RUNNING, ev.RunResumed(seq=1, at=5.0, reason="takeover", fingerprint="f"),
         "> Orders run A1 goes on"),
        (RunStatus.COMPLETED, ev.RunCompleted(seq=1, at=5.0), "+ Orders run A1 completed in TIME"),
        (RunStatus.FAILED, ev.RunFailed(seq=1, at=5.0, steps=("a",), error="ValueError: no"),
         "x Orders run A1 failed after TIME: ValueError: no"),
        (RunStatus.CANCELLED, ev.RunCancelled(seq=1, at=5.0, reason="enough"),
         "/ Orders run A1 cancelled after TIME: enough"),
        (RunStatus.CANCELLED, ev.RunCancelled(seq=1, at=5.0, reason=""), "/ Orders run A1 cancelled after TIME"),
        (RunStatus.PAUSED, ev.RunPaused(seq=1, at=5.0, reason="lunch"), "o Orders run A1 paused: lunch"),
        (RunStatus.PAUSED, ev.RunPaused(seq=1, at=5.0, reason=""), "o Orders run A1 paused"),
    ],
)  # fmt: skip
def test_lines_of_runs(status: RunStatus, event: ev.Event, line: str):
    """One for each change that concerns a run as a whole."""
    assert [line] == told_lines(record(status=status, created_at=2.9, owner="me"), event)


def test_a_run_that_is_left_to_others_has_not_begun():
    """Whoever takes it says that it has."""
    started = ev.RunStarted(seq=1, at=5.0, workflow="W", version="1", fingerprint="f", inputs="{}")

    assert [] == told_lines(record(status=RunStatus.RUNNING), started)


def test_lines_of_steps():
    """There are none."""
    step: Any = ev.StepStarted(seq=2, at=1.0, step="a", attempt=1)

    assert [] == told_lines(record(), step)
