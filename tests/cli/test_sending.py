"""`orchwf send`: what it takes, whom it reaches, and what it says."""

import io
import sys

import pytest

from orchwf.cli.exits import as_command_error
from orchwf.errors import RunEndedError, send_command
from orchwf.views.samples import sample
from tests.cli.console import Shell, read_until, steady
from tests.cli.sleepers import NAP, fall_asleep
from tests.slowness import without_slowness

TALK = """\
import attrs

from orchwf import signal, step, workflow


@attrs.frozen
class Payment:
    amount: float
    shop: str


@workflow
class Talk:
    paid = signal(Payment)
    note = signal(str)
    number = signal(int)
    go = signal()

    @step
    def tell(self, paid: Payment = paid.result, note: str = note.result, number: int = number.result) -> str:
        return f"{paid.shop} {paid.amount:g} {note!r} {number}"

    @step(depends_on=[go])
    def after(self) -> int:
        return 1
"""
"""A flow that waits for four signals of different types."""


def test_a_run_of_another_process(shell: Shell):
    """What is sent reaches the process that executes the run, and is decoded as the signal's type."""
    shell.write("talk.py", TALK)
    process = shell.start("run", "talk.py", "--run-id", "t")
    assert process.stdout is not None
    read_until(process.stdout, "= go")

    said = [
        shell("send", "t", "paid", '{"amount": 9.5, "shop": "eu"}'),
        shell("send", "t", "note", "42"),
        shell("send", "t", "number", "-7"),
        shell("send", "t", "go"),
    ]
    out, err = process.communicate(timeout=30)

    assert [0] * 4 == [each.code for each in said]
    assert said[0].lines[0].startswith("+ signal paid is sent to run t; ")
    assert (0, "") == (process.returncode, without_slowness(err))
    assert "+ Talk run t completed in TIME   (6 done)" == steady(out).splitlines()[-1]
    assert "eu 9.5 '42' -7\n" == shell("show", "t", "--output", "tell").out


def test_executed_by_a_living_process(shell: Shell):
    """Who executes the run is named."""
    source = TALK.replace("    @step(depends_on=[go])", "    @step\n    async def busy(self) -> None:\n        "
                          "import asyncio\n        await asyncio.sleep(600)\n\n    @step(depends_on=[go])")  # fmt: skip
    shell.write("talk.py", source)
    process = shell.start("run", "talk.py", "--run-id", "t")
    assert process.stdout is not None
    read_until(process.stdout, "> busy")

    said = shell("send", "t", "go")
    process.kill()
    process.communicate(timeout=30)
    died = shell("send", "t", "note", "hello")

    assert said.lines[0].startswith("+ signal go is sent to run t; process ")
    assert said.lines[0].endswith(" executes it")
    assert [
        "+ signal note is sent to run t; nobody executes it now, so it counts when the run goes on",
        "  Go on with:  orchwf resume t",
    ] == died.lines


def test_to_a_run_that_begins_later(shell: Shell):
    """It counts when that begins."""
    fall_asleep(shell, later=7200)

    said = shell("send", "r", "paid", "2.5")

    assert said.lines[0].startswith("+ signal paid is sent to run r; it begins at ")


def test_json(shell: Shell):
    """The document says what is in the store; without an id a new one is made."""
    fall_asleep(shell)

    first, second = shell("send", "r", "paid", "2.5", "--json").json, shell(
        "send", "r", "paid", "3", "--id", "invoice-7", "--json"
    ).json  # fmt: skip

    assert {"run": "r", "signal": "paid", "id": "invoice-7", "payload": 3.0} == second
    assert ("r", "paid", 2.5) == (first["run"], first["signal"], first["payload"])
    assert first["id"]


def test_the_same_id_counts_once(shell: Shell):
    """So a command can be repeated of which nobody knows whether it came through."""
    fall_asleep(shell)

    codes = [shell("send", "r", "paid", amount, "--id", "i").code for amount in ("2.5", "3", "4")]
    shell("cancel", "r")
    log = shell("events", "r", "--json").json_lines

    assert [0, 0, 0] == codes
    received = [(event["message_id"], event["payload"]) for event in log if event.get("signal") == "paid"]
    assert [("paid-i", 2.5)] == received


def test_from_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The end of the last line is none of it."""
    fall_asleep(shell, NAP.replace("float", "str").replace("paid * 2", "paid"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("first\nsecond\n"))

    said = shell("send", "r", "paid", "-", "--json")

    assert "first\nsecond" == said.json["payload"]


def test_without_the_code(shell: Shell):
    """Where only the store is, JSON is taken as it is, and text as text."""
    fall_asleep(shell)
    (shell.folder / "nap.py").unlink()

    payloads = [shell("send", "r", "paid", text, "--json").json["payload"] for text in ("2.5", "much", '{"a": [1]}')]
    unknown = shell("send", "r", "payd", "2.5")

    assert [2.5, "much", {"a": [1]}] == payloads
    assert (5, True) == (unknown.code, "Nap has no signal 'payd'. Did you mean 'paid'?" in unknown.err)


def test_code_that_is_elsewhere_now(shell: Shell):
    """`--target` says where; what is wrong there is told, instead of sending something unchecked."""
    fall_asleep(shell)
    (shell.folder / "nap.py").rename(shell.folder / "moved.py")

    moved, nowhere = shell("send", "r", "paid", "much", "--target", "moved.py"), shell(
        "send", "r", "paid", "2.5", "--target", "gone.py"
    )  # fmt: skip

    assert (2, True) == (moved.code, "signal 'paid' of Nap holds float" in moved.err)
    assert (5, True) == (nowhere.code, "gone.py" in nowhere.err)


def test_signal_that_the_code_has_no_more(shell: Shell):
    """What the run waits for counts, whatever its code has become."""
    fall_asleep(shell)
    shell.write("new.py", NAP.replace("paid", "payment"))

    said = shell("send", "r", "paid", "2.5", "--target", "new.py", "--json")

    assert (0, 2.5) == (said.code, said.json["payload"])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["payd", "1"], 5, "Nap has no signal 'payd'. Did you mean 'paid'?"),
        (["xyz", "1"], 5, "Nap has no signal 'xyz'. Known signals: paid"),
        (["pause"], 5, "'pause' of Nap is a sleep, and no signal. Known signals: paid"),
        (["before"], 5, "'before' of Nap is a step, and no signal."),
        (["paid"], 2, "signal 'paid' of Nap holds float, such as: orchwf send r paid 2.5"),
        (["paid", "much"], 2, "such as: orchwf send r paid 2.5: could not convert string to float: 'much'"),
        (["paid", "1", "--id", ""], 2, "--id takes a text that is not empty"),
        (["paid", "1", "2"], 2, "there is no place for '2'"),
    ],
)
def test_what_cannot_be_sent(shell: Shell, words: list[str], code: int, told: str):
    """It is refused with the reason and the way out, in one line, and nothing is sent."""
    fall_asleep(shell)

    said = shell("send", "r", *words)

    assert (code, "", 1, True) == (said.code, said.out, len(said.err.splitlines()), told in said.err)
    assert "signal.received" not in shell("events", "r").out


def test_signal_that_holds_nothing(shell: Shell):
    """What is given for it is not dropped in silence."""
    fall_asleep(shell, TALK)

    said = shell("send", "r", "go", "17")

    assert (2, "signal 'go' of Talk holds nothing, such as: orchwf send r go\n") == (said.code, said.err)


def test_what_a_class_looks_like(shell: Shell):
    """The fields that it has are in the example."""
    fall_asleep(shell, TALK)

    said = shell("send", "r", "paid", "17")

    assert 2 == said.code
    assert """such as: orchwf send r paid '{"amount": 2.5, "shop": "text"}': """ in said.err


def test_workflow_without_signals(shell: Shell):
    """Nothing can have been meant."""
    fall_asleep(shell, "from orchwf import sleep, workflow\n@workflow\nclass Quiet:\n    rest = sleep('1h')\n")

    said = shell("send", "r", "go")

    assert (5, "Quiet has no signal 'go'. It waits for none.\n") == (said.code, said.err)


def test_run_that_has_ended(shell: Shell):
    """It comes too late, and that has an exit code of its own."""
    fall_asleep(shell)
    shell("cancel", "r")

    said, document = shell("send", "r", "paid", "1"), shell("send", "r", "paid", "1", "--json")

    assert 1 == said.code
    assert "run 'r' was cancelled AGO: what is said to it now comes too late; nothing was sent" in steady(said.err)
    assert 1 == document.json["error"]["exit_code"]


def test_run_that_ends_meanwhile():
    """That only the store knows; it is the same to whoever sends."""
    error = as_command_error(RunEndedError("r", "completed"))

    assert (1, True) == (error.code, "comes too late" in error.message)


def test_run_that_there_is_not(shell: Shell):
    """It is not found."""
    fall_asleep(shell)

    assert 5 == shell("send", "zz", "paid", "1").code


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("r", "", "paid", "JSON"), "orchwf send r paid JSON"),
        (("r", "", "go", ""), "orchwf send r go"),
        (("a b", "sqlite:///x.db", "paid", "-5"), "orchwf send --store sqlite:///x.db -- 'a b' paid -5"),
        (("-r", "", "paid", "JSON"), "orchwf send -- -r paid JSON"),
    ],
)
def test_command_to_type(words: tuple[str, str, str, str], command: str):
    """It can be pasted into a shell, whatever the names."""
    assert command == send_command(*words)


def test_sample_of_a_class():
    """Its first fields, in the order in which they stand; of a class without any there is none."""

    class Many:
        a: int
        b: bool
        c: list[int]
        _hidden: int
        d: str
        e: str

    class Empty:
        pass

    assert '{"a": 3, "b": true, "c": "...", "d": "text"}' == sample(Many)
    assert "" == sample(Empty)
