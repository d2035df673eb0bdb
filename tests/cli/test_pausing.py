"""Runs that wait for somebody: why, what to type, and what the answers do."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

import orchwf
from orchwf.core.events import RunResumed
from orchwf.ports import Append
from tests.cli.console import Shell, read_until, steady
from tests.cli.test_interrupts import end, start

PAY = """\
import os
import signal

from orchwf import step, workflow


@workflow
class Pay:
    @step
    def validate(self) -> int:
        return 7

    @step(delivery="at_most_once", depends_on=[validate])
    def charge(self) -> str:
        if "DIE" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        return "R-17"

    @step
    def receipt(self, charge: str) -> str:
        return f"paid {charge}"
"""
"""Its second step runs at most once, and takes its process with it if DIE is in the environment."""

BANK = """\
import os

from orchwf import step, workflow


@workflow
class Bank:
    @step
    def validate(self) -> int:
        return 7

    @step(on_exhausted="pause", depends_on=[validate])
    def charge(self) -> list[int]:
        if "OPEN" not in os.environ:
            raise ConnectionError("the bank is closed")
        return [1]

    @step
    def receipt(self, charge: list[int]) -> int:
        return sum(charge)
"""
"""Its second step waits for somebody, unless OPEN is in the environment."""

TAKE_UP = """\
import asyncio
import sys

import orchwf
from {module} import {name}


async def main() -> None:
    async with orchwf.Orchestrator(workflows=[{name}], max_takeovers=1) as orchestrator:
        await (await orchestrator.get("r")).wait()


asyncio.run(main())
"""
"""An orchestrator that takes up what is left."""

QUESTIONS = """\
  ? charge  attempt 1 was in flight when its process died, and it runs at most once
  Find out whether charge took effect, and say so:
    orchwf resume r --rerun charge        it did not: run it again
    orchwf resume r --value charge=JSON   it did, and returned this
    orchwf resume r --skip charge         go on without it
"""

EXHAUSTED = """\
> Bank run r   3 steps
  > validate
  + validate  TIME
  > charge
  ~ charge    attempt 1/1 failed, again when the run is resumed: ConnectionError: the bank is closed
o Bank run r paused after TIME   (1 done, 2 to do)
  ~ charge  attempt 1/1  ConnectionError: the bank is closed
      bank.py:15 in charge
        raise ConnectionError("the bank is closed")
  Mend what is wrong, then:  orchwf resume r      (keeps validate)
  Or go on without charge:  orchwf resume r --skip charge
"""


def take_up(shell: Shell, module: str, name: str) -> None:
    """Let an orchestrator of another process take up what is left."""
    shell.write("take_up.py", TAKE_UP.format(module=module, name=name))
    subprocess.run([sys.executable, "take_up.py"], cwd=shell.folder, check=False)


@pytest.fixture
def unknown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose run `r` died while a step was in flight that runs at most once."""
    shell.write("pay.py", PAY)
    monkeypatch.setenv("DIE", "1")
    shell.start("run", "pay.py", "--run-id", "r").communicate(timeout=30)
    monkeypatch.delenv("DIE")
    return shell


def test_step_of_unknown_fate(unknown: Shell):
    """Nothing goes on before somebody says what became of it; all that can be said is there to be pasted."""
    shown, refused, listed = unknown("show"), unknown("resume", "r"), unknown("runs")
    document = unknown("show", "--json").json

    assert "! Pay run r interrupted   (1 done, 2 to do)" == shown.lines[0]
    assert shown.lines[1].endswith(" died")
    assert QUESTIONS.splitlines() == shown.lines[2:7]
    assert (2, True) == (refused.code, QUESTIONS in refused.err)
    assert listed.lines[1].endswith(" died")
    assert (True, "died", None, ["charge"]) == tuple(
        document[name] for name in ("interrupted", "interruption", "pause", "unknown")
    )


def test_paused_for_a_step_of_unknown_fate(unknown: Shell):
    """An orchestrator that takes it up lets it pause, with the same questions."""
    take_up(unknown, "pay", "Pay")

    shown, document = unknown("show"), unknown("show", "--json").json

    assert "o Pay run r paused   (1 done, 2 to do)" == shown.lines[0]
    assert QUESTIONS.splitlines() == shown.lines[1:6]
    assert "  ! charge    interrupted in attempt 1" in shown.lines
    assert ("paused", "unknown", ["charge"]) == (document["status"], document["pause"], document["unknown"])
    assert "run.paused unknown the process died" in " ".join(unknown("events").out.split())


@pytest.mark.parametrize(
    ("answer", "opening", "after", "receipt"),
    [
        (["--rerun", "charge"], "  again  charge   (as you say)", "  + charge    TIME, attempt 2/2", '"paid R-17"'),
        (["--value", 'charge="R-9"'], "  takes  charge   (its value is given)", "  + charge    its value was given",
         '"paid R-9"'),
        (["--value", "charge=R-9"], "  takes  charge   (its value is given)", "  + charge    its value was given",
         '"paid R-9"'),
        (["--skip", "charge"], "  skips  charge   (as you say)",
         "  - charge    skipped: somebody said so when the run was resumed", None),
    ],
    ids=["rerun", "value", "text", "skip"],
)  # fmt: skip
def test_answers(unknown: Shell, answer: list[str], opening: str, after: str, receipt: str | None):
    """Each is told before the run goes on, and done."""
    said = unknown("resume", "r", *answer)
    output = unknown("show", "--output", "receipt", "--json")

    assert 0 == said.code
    assert "  keeps  validate   (completed)" == said.lines[1]
    assert opening == said.lines[2]
    assert "  then   receipt   (not begun yet)" == said.lines[3]
    assert after in said.lines
    assert receipt == (json.dumps(output.json["output"]) if "output" in output.json else None)


def test_given_value_is_shown(unknown: Shell):
    """Whoever looks later sees that no attempt returned it."""
    unknown("resume", "r", "--value", "charge=R-9", "-q")

    assert "  + charge    its value was given" in unknown("show").lines


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--skip", "validate"], 2, "nothing is said of charge, which may have taken effect, too"),
        (["--skip", "chrge"], 5, "Pay has no step 'chrge'. Did you mean 'charge'?"),
        (["--value", "charge"], 2, "--value takes STEP=JSON, not 'charge'"),
        (["--rerun", "charge", "--skip", "charge"], 2, "is named more than once in rerun, skip and values"),
    ],
)
def test_wrong_answers(unknown: Shell, options: list[str], code: int, told: str):
    """They are refused with the reason, and nothing has changed."""
    said = unknown("resume", "r", *options)

    assert (code, True) == (said.code, told in said.err)
    assert unknown("show", "--json").json["interrupted"]


def test_value_of_another_type(shell: Shell):
    """A value is checked against what the step returns."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "r")

    said = shell("resume", "r", "--value", "charge=much")

    assert 2 == said.code
    assert "step 'charge' returns list[int], such as --value charge='[1, 2]': " in said.err


def test_no_attempts_left(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The run pauses with what is wrong and both ways on; a resume gives fresh attempts."""
    shell.write("bank.py", BANK)

    paused = shell("run", "bank.py", "--run-id", "r")
    shown, listed, document = shell("show"), shell("runs"), shell("show", "--json").json
    monkeypatch.setenv("OPEN", "1")
    resumed = shell("resume")

    assert (1, "") == (paused.code, paused.err)
    assert EXHAUSTED.splitlines() == paused.lines
    assert (
        "  ~ charge    no attempts left, again when the run is resumed: ConnectionError: the bank is closed"
        in shown.lines
    )
    assert listed.lines[1].startswith("o  paused  Bank      r")
    assert listed.lines[1].endswith("charge has no attempts left: ConnectionError: the bank is closed")
    assert ("paused", "exhausted", []) == (document["status"], document["pause"], document["unknown"])
    assert "  again  charge   (ConnectionError: the bank is closed)" in resumed.lines
    assert "  > charge    attempt 2/2" in resumed.lines
    assert 0 == resumed.code


def test_cancel_of_a_paused_run(shell: Shell):
    """It is taken up for that, here, and none of its steps begins again."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "r")

    said, document = shell("cancel", "r", "--reason", "enough"), shell("show", "--json").json

    assert (0, ["/ run r is cancelled"]) == (said.code, said.lines)
    assert ("cancelled", "enough", None) == (document["status"], document["error"], document["pause"])


def test_cancel_of_a_run_with_a_step_of_unknown_fate(unknown: Shell):
    """Nobody has to say what became of it."""
    take_up(unknown, "pay", "Pay")

    said = unknown("cancel", "r")

    assert (0, ["/ run r is cancelled"]) == (said.code, said.lines)


def test_cancel_with_another_graph(shell: Shell):
    """What would undo is not the code that did: nothing is changed, and the way out is told."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "r")
    del sys.modules["bank"]
    shell.write("bank.py", BANK + "\n    @step\n    def more(self) -> int:\n        return 1\n")

    said = shell("cancel", "r")

    assert 2 == said.code
    assert "+ step 'more' is new" in said.err
    assert "orchwf cancel r --terminate" in said.err
    assert "paused" == shell("show", "--json").json["status"]


@pytest.mark.parametrize("is_paused", [True, False], ids=["paused", "interrupted"])
def test_terminate_without_the_code(unknown: Shell, is_paused: bool):
    """The file may be gone: nothing of it runs any more."""
    if is_paused:
        take_up(unknown, "pay", "Pay")
    (unknown.folder / "pay.py").unlink()

    said, again = unknown("cancel", "r", "--terminate", "--reason", "hopeless"), unknown("cancel", "r", "--json")
    events = unknown("events", "--json").json_lines

    assert (0, ["/ run r is cancelled"]) == (said.code, said.lines)
    assert ("cancelled", "hopeless") == (again.json["status"], again.json["error"])
    assert ["terminate"] == [event["signal"] for event in events if event["kind"] == "signal.received"]


def test_terminate_a_run_of_a_living_process(shell: Shell):
    """It is asked, and ends."""
    process = start(shell)

    said = shell("cancel", "s", "--terminate")
    code, out, _ = end(process)

    assert (0, ["/ run s is cancelled"]) == (said.code, said.lines)
    assert (1, True) == (code, "/ Slow run s cancelled in TIME   (1 done, 2 cancelled)" in out)


def test_dead_letter(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A run that takes its processes down again and again is parked, and says where it died."""
    shell.write("pay.py", PAY.replace('delivery="at_most_once", ', ""))
    monkeypatch.setenv("DIE", "1")
    shell.start("run", "pay.py", "--run-id", "r").communicate(timeout=30)
    for _ in range(2):
        take_up(shell, "pay", "Pay")
    shown, document = shell("show"), shell("show", "--json").json
    monkeypatch.delenv("DIE")
    resumed = shell("resume")

    assert [
        "o Pay run r paused   (1 done, 2 to do)",
        "  dead letter: 2 times in a row its process died before any step had ended",
        "  ! charge  was in flight, attempt 2",
        "  Find out why, then:  orchwf resume r      (keeps validate)",
    ] == shown.lines[:4]
    assert "      attempt 1  its process died" in shown.lines
    assert "takeovers" == document["pause"]
    assert "  again  charge   (interrupted)" in resumed.lines
    assert 0 == resumed.code


def test_cancel_of_a_run_that_would_be_parked(shell: Shell):
    """Its owners died so often that the next one parks it; who cancels it wants it to end all the same."""
    process = start(shell)
    process.kill()
    end(process)

    async def let_owners_die() -> None:
        store = await orchwf.open_store("sqlite:///orchwf.db")
        end = len(await store.read("s"))
        events = [RunResumed(seq=end + at, at=time.time(), reason="takeover", fingerprint="f") for at in range(1, 7)]
        assert [None] == await store.append([Append(run_id="s", expected=end, events=events)])
        await store.close()

    asyncio.run(let_owners_die())

    said = shell("cancel", "s")

    assert (0, ["/ run s is cancelled"]) == (said.code, said.lines)
    assert "run.paused" in shell("events").out


def test_pause_of_a_run_of_a_living_process(shell: Shell):
    """What runs may end, nothing more begins; both sides say so, and it goes on when it is resumed."""
    process = start(shell)
    assert process.stdout is not None
    pausing = shell.start("pause", "s", "--reason", "lunch")
    asked = shell.start("events", "s", "--follow")
    assert asked.stdout is not None
    read_until(asked.stdout, "signal.received")
    shell.write("go", "")

    code, out, err = end(process)
    paused, told, _ = end(pausing)
    again = shell("pause", "s")
    resumed = shell("resume", "s")
    asked.kill()
    end(asked)

    assert (1, "") == (code, err)
    assert [
        "o Slow run s paused after TIME   (2 done, 1 to do)",
        "  lunch",
        "  Go on with:  orchwf resume s      (keeps first, second)",
    ] == out.splitlines()[-3:]
    assert (0, ["o run s is paused: lunch", "  Go on with:  orchwf resume s"]) == (paused, told.splitlines())
    assert (0, ["o run s is paused already: lunch"]) == (again.code, again.lines)
    assert ["> Slow run s resumed", "  keeps  first, second   (completed)", "  then   third   (not begun yet)"] == (
        resumed.lines[:3]
    )
    assert 0 == resumed.code


def test_pause_that_takes_its_time(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Who is asked and does not pause at once is named."""
    monkeypatch.setattr("orchwf.cli.ask.PATIENCE", 0.01)
    process = start(shell)

    said = shell("pause", "s")
    process.kill()
    end(process)

    assert 0 == said.code
    assert said.lines[0].startswith("> run s was asked to pause; process ")
    assert said.lines[0].endswith(" will do so when what runs has ended")


def test_pause_of_a_run_that_nobody_executes(shell: Shell):
    """Whoever takes it up hears of it first."""
    process = start(shell)
    process.kill()
    end(process)

    said = shell("pause", "s")

    assert (0, ["> run s was asked to pause; whoever takes it up will do so when it does"]) == (said.code, said.lines)


def test_pause_of_a_run_that_has_ended(shell: Shell):
    """It stays as it is, and that is said."""
    shell("run", "sales.py", "--run-id", "bad")

    said, document = shell("pause", "bad"), shell("pause", "bad", "--json").json

    assert (0, ["x run bad has ended already: it is failed"]) == (said.code, said.lines)
    assert ("bad", "failed") == (document["id"], document["status"])


def test_run_that_was_shut_down(shell: Shell):
    """An interrupted run says whether it was left in good order or its process died."""
    process = start(shell)
    process.terminate()
    end(process)

    shown, listed, document = shell("show"), shell("runs"), shell("runs", "--json").json["runs"][0]

    assert ["! Slow run s interrupted   (1 done, 2 to do)", "  it was shut down before its end"] == shown.lines[:2]
    assert listed.lines[1].endswith("it was shut down before its end")
    assert (True, "shutdown") == (document["interrupted"], document["interruption"])


def test_progress_is_shown(shell: Shell):
    """What a body said of how far it is stands beside the step, also when its process has died."""
    shell.write(
        "rows.py",
        "import asyncio\nfrom orchwf import StepContext, step, workflow\n@workflow\nclass Rows:\n"
        "    @step\n    async def parse(self, *, ctx: StepContext) -> int:\n"
        "        ctx.heartbeat({'row': 3, 'of': 'ten'})\n        await asyncio.Event().wait()\n        return 1\n",
    )
    process = shell.start("run", "rows.py", "--run-id", "r")
    following = (
        shell.start("events", "r", "--follow") if process.stdout and read_until(process.stdout, "> parse") else None
    )
    assert following is not None
    assert following.stdout is not None
    heard = read_until(following.stdout, "step.heartbeat")

    alive = shell("show", "r")
    process.kill()
    end(process)
    end(following)
    dead, document = shell("show", "r"), shell("show", "r", "--json").json

    assert heard.split()[-3:] == ["parse", "row=3", "of=ten"]
    assert any(
        line.startswith("  > parse  for TIME, progress: row=3 of=ten, ") for line in steady(alive.out).splitlines()
    )
    assert "  ! parse  interrupted in attempt 1, progress: row=3 of=ten" in dead.lines
    assert {"row": 3, "of": "ten"} == document["steps"][0]["progress"]
