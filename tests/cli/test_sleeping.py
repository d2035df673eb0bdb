"""Runs that sleep, or that begin later: what the commands say of them, and do with them."""

import asyncio
import re
import time
from datetime import UTC, datetime

import attrs
import pytest

import orchwf
from orchwf.cli.look import runs_table
from orchwf.core.state import RunStatus
from orchwf.ports import RunRecord, Summary
from orchwf.runtime.owner import this_process
from orchwf.views import sleep_text
from orchwf.views.findings import findings_of
from tests.cli.console import Shell
from tests.cli.sleepers import DEAF, URL, fall_asleep
from tests.slowness import without_slowness

CLOCK = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"


def record(**changes: object) -> RunRecord:
    values: dict[str, object] = {
        "id": "r", "workflow": "Nap", "version": "1", "fingerprint": "f", "entrypoint": "nap:Nap",
        "status": RunStatus.RUNNING, "metadata": {}, "tags": {}, "created_at": 1000.0,
    }  # fmt: skip
    return RunRecord(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "wake_at", "text"),
    [
        (RunStatus.RUNNING, None, ""),
        (RunStatus.RUNNING, float("inf"), "sleeps until a message comes"),
        (RunStatus.RUNNING, 4600.0, rf"sleeps until {CLOCK}"),
        (RunStatus.SCHEDULED, 4600.0, rf"begins at {CLOCK}"),
        # For a while whoever serves it may be busy.
        (RunStatus.RUNNING, 990.0, rf"sleeps until {CLOCK}"),
        (RunStatus.RUNNING, 900.0, rf"was to go on at {CLOCK}, and nobody has taken it up"),
        (RunStatus.SCHEDULED, 900.0, rf"was to begin at {CLOCK}, and nobody has taken it up"),
    ],
)
def test_why_nobody_executes_it(status: RunStatus, wake_at: float | None, text: str):
    """It says until when it rests, or that it should not any more."""
    assert re.fullmatch(text, sleep_text(record(status=status, wake_at=wake_at), 1000.0))


def test_time_of_another_day_has_its_date():
    """Beyond today the clock alone would lie; beyond the calendar of Python there is its end."""
    assert re.fullmatch(r"sleeps until \d{4}-\d\d-\d\d .*", sleep_text(record(wake_at=1000.0 + 3e6), 1000.0))
    assert sleep_text(record(wake_at=1e14), 1000.0).startswith("sleeps until 9999-12-")


def test_listing(shell: Shell):
    """A run that sleeps is running, and says until when; one that begins later is scheduled, and says when."""
    fall_asleep(shell)
    fall_asleep(shell, run_id="later", later=7200)

    listed, document = shell("runs"), shell("runs", "--json").json["runs"]

    assert re.fullmatch(rf"o  scheduled  Nap       later  (AGO|TIME ago) +begins at {CLOCK}", listed.lines[1])
    assert re.fullmatch(rf">  running    Nap       r      .* sleeps until {CLOCK}", listed.lines[2])
    assert [("scheduled", True, False), ("running", True, False)] == [
        (run["status"], run["asleep"], run["interrupted"]) for run in document
    ]
    due_in = [(datetime.fromisoformat(run["wake_at"]) - datetime.now(UTC)).total_seconds() for run in document]
    assert [7200, 3600] == pytest.approx(due_in, abs=60)


def test_listing_of_a_run_that_only_a_message_wakes(shell: Shell):
    """Nobody knows when, and JSON has no infinity."""
    fall_asleep(shell, DEAF)

    listed, document = shell("runs"), shell("runs", "--json").json["runs"][0]

    assert listed.lines[1].endswith("sleeps until a message comes")
    assert (True, None) == (document["asleep"], document["wake_at"])


def test_scheduled_run_took_no_time_yet():
    """Since it was planned some passed, but it has not begun."""
    (_, line) = runs_table([record(status=RunStatus.SCHEDULED, wake_at=9e9)], 1060.0, None)

    assert "1 min ago  begins at" in line.text


def test_show_a_run_that_sleeps(shell: Shell):
    """It is not interrupted: it says until when it sleeps, why each step waits, and what to type to send a signal."""
    fall_asleep(shell)

    said, document = shell("show"), shell("show", "--json").json

    assert re.fullmatch(r"> Nap run r running after TIME   \(1 done, 2 waiting, 1 to do\)", said.lines[0])
    assert re.fullmatch(rf"  sleeps until {CLOCK}", said.lines[1])
    assert "  Send paid:  orchwf send r paid JSON" == said.lines[2]
    assert re.fullmatch(r"  = paid    for TIME, waits for a signal", said.lines[5])
    assert re.fullmatch(rf"  = pause   for TIME, waits until {CLOCK}, in (59 min \d\d s|1 h 00 min)", said.lines[6])
    waiting = {each["name"]: each["due_at"] for each in document["steps"] if each["status"] == "waiting"}
    assert (["paid", "pause"], None) == (list(waiting), waiting["paid"])
    assert waiting["pause"] == document["wake_at"]


def test_show_a_run_that_begins_later(shell: Shell):
    """All is to do, and it says when it begins."""
    fall_asleep(shell, later=7200)

    lines = shell("show").lines

    assert "o Nap run r scheduled   (4 to do)" == lines[0]
    assert re.fullmatch(rf"  begins at {CLOCK}", lines[1])


def test_it_is_no_failure(shell: Shell):
    """What is to be resumed is another one."""
    fall_asleep(shell)

    said = shell("resume")

    assert (5, True) == (said.code, "there is no failed, paused or interrupted run" in said.err)


def test_resume_of_a_run_that_sleeps(shell: Shell):
    """It is executed here from now on; what waits still waits, and the signal that came is heard."""
    fall_asleep(shell, DEAF)
    sent = shell("send", "r", "told")

    said = shell("resume", "r")

    assert (0, ["+ signal told is sent to run r; it sleeps, and whoever serves Deaf wakes it"]) == (
        sent.code, sent.lines
    )  # fmt: skip
    assert [
        "> Deaf run r resumed",
        "  waits  told   (as before)",
        "  then   after   (not begun yet)",
        "  + told   TIME",
        "  > after",
        "  + after  TIME",
        "+ Deaf run r completed in TIME   (2 done)",
    ] == said.lines
    assert 0 == said.code


def test_resume_of_a_run_that_begins_later(shell: Shell):
    """It begins now."""
    fall_asleep(shell, DEAF, later=7200)
    shell("send", "r", "told")

    said = shell("resume", "r")

    assert (0, "  then   told, after   (not begun yet)") == (said.code, said.lines[1])
    assert "+ Deaf run r completed in TIME   (2 done)" == said.lines[-1]


@pytest.mark.parametrize("later", [None, 7200.0], ids=["sleeps", "begins later"])
@pytest.mark.parametrize("options", [[], ["--terminate"]], ids=["cancel", "terminate"])
def test_cancel(shell: Shell, later: float | None, options: list[str]):
    """Nobody has to wake it up before: it is taken up here, and ends."""
    fall_asleep(shell, later=later)

    said, document = shell("cancel", "r", "--reason", "enough", *options), shell("show", "r", "--json").json

    assert (0, ["/ run r is cancelled"]) == (said.code, said.lines)
    assert ("cancelled", "enough", False) == (document["status"], document["error"], document["asleep"])
    assert {"completed", "cancelled"} >= {step["status"] for step in document["steps"]}


def test_cancel_without_the_code(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Where the workflow is served it is woken up for that; here nobody does, so it is asked, and no more."""
    monkeypatch.setattr("orchwf.cli.ask.PATIENCE", 0.01)
    fall_asleep(shell)
    (shell.folder / "nap.py").unlink()

    said, named = shell("cancel", "r"), shell("cancel", "r", "--target", "nap.py")
    terminated = shell("cancel", "r", "--terminate")

    assert (0, ["> run r was asked to end; whoever takes it up will do so"]) == (said.code, said.lines)
    assert 5 == named.code
    assert (0, ["/ run r is cancelled"]) == (terminated.code, terminated.lines)


def test_cancel_shows_what_is_undone(shell: Shell):
    """What was done before it fell asleep."""
    source = DEAF.replace(
        "    told = signal()",
        "    @step\n    def book(self) -> int:\n        return 1\n\n"
        "    @book.compensate\n    def unbook(self) -> None: ...\n\n    told = signal(depends_on=book)",
    )
    fall_asleep(shell, source)

    said = shell("cancel", "r")

    assert 0 == said.code
    assert "  / told   cancelled: the run was cancelled" in said.lines
    assert "  + book   undone" in said.lines


def test_pause_of_a_run_that_begins_later(shell: Shell):
    """There is nobody to wait for: it hears of it when it begins."""
    fall_asleep(shell, later=7200)

    said = shell("pause", "r")

    assert (0, ["> run r was asked to pause; whoever takes it up will do so when it does"]) == (said.code, said.lines)


def test_interrupted_while_it_waits(shell: Shell):
    """Ctrl-C leaves a run that waits as it was left by whoever started it."""
    fall_asleep(shell)
    process = shell.start("resume", "r")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]

    process.terminate()
    out, err = process.communicate(timeout=30)

    assert (143, "") == (process.returncode, without_slowness(err))
    assert "  waits  paid, pause   (as before)\n" in lines
    assert "(1 done, 2 waiting, 1 to do)" in out
    assert "Go on with:  orchwf resume r      (keeps before)" in out


def test_follow_a_run_that_sleeps(shell: Shell):
    """Its log goes on when it does; until then there is nothing to tell, and no end."""
    fall_asleep(shell, DEAF)
    following = shell.start("events", "r", "--follow")
    assert following.stdout is not None
    first = following.stdout.readline()

    shell("send", "r", "told")
    shell("resume", "r", "-q")
    out, _ = following.communicate(timeout=30)

    assert "run.started" in first
    assert "run.completed" in out.splitlines()[-1]


def test_doctor_finds_who_overslept(shell: Shell):
    """A run that was to go on, and that nobody took up, needs somebody; those that still sleep do not."""
    fall_asleep(shell, run_id="sleeps")
    fall_asleep(shell, run_id="late")

    async def oversleep() -> None:
        store = await orchwf.open_store(URL)
        record = await store.get("late")
        assert record is not None
        summary = Summary(status=record.status, fingerprint=record.fingerprint, wake_at=time.time() - 600)
        last = (await store.read("late"))[-1].seq
        event = orchwf.core.events.SignalReceived(seq=last + 1, at=time.time(), signal="x", message_id="x")
        append = orchwf.ports.Append(run_id="late", expected=last, events=[event], summary=summary)
        assert [None] == await store.append([append])
        await store.close()

    asyncio.run(oversleep())

    said, document = shell("doctor"), shell("doctor", "--json").json

    assert 1 == said.code
    assert "2 runs: 2 running" in said.lines
    assert ["stuck"] == [finding["kind"] for finding in document["findings"]]
    assert "      orchwf resume late" in said.lines
    assert re.search(rf"! Nap late  .*  was to go on at {CLOCK}, and nobody has taken it up", said.out)


def test_a_run_that_was_woken_is_not_late():
    """What has a living owner is executed, whatever its summary still says of its sleep."""
    sleeper = record(wake_at=1.0)
    woken = attrs.evolve(sleeper, owner=str(this_process("key")))

    assert [1, 0] == [len(findings_of([each], [], {}, "")) for each in (sleeper, woken)]


def test_code_that_cannot_go_on_with_what_begins_later(shell: Shell):
    """A run that is yet to begin needs a graph that fits, too."""
    fall_asleep(shell, later=7200)
    shell.write("new.py", DEAF.replace("Deaf", "Nap"))

    said = shell("doctor", "--app", "new.py", "--json").json

    assert ["changed"] == [finding["kind"] for finding in said["findings"]]
