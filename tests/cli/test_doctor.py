"""`orchwf doctor`: what it finds, and that all is well where nothing is to be found."""

import contextlib
import sqlite3
import sys
import time

import pytest

from orchwf.cli.examine import has_wal_fault
from orchwf.core.wording import size_text
from orchwf.stores.sqlite_file import migrations
from tests.cli.console import Shell
from tests.cli.test_interrupts import SLOW, end, start
from tests.cli.test_pausing import BANK, PAY, take_up
from tests.cli.test_undoing import TRIP


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ("3.40.1", True), ("3.44.5", True), ("3.44.6", False), ("3.45.0", True), ("3.50.6", True), ("3.50.7", False),
        ("3.51.2", True), ("3.51.3", False), ("3.52.0", False), ("4.0.0", False),
    ],
)  # fmt: skip
def test_versions_of_sqlite(version: str, has_it: bool):
    """The fault is in all before 3.51.3, but for two that were mended by themselves."""
    assert has_it is has_wal_fault(version)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (812, "812 B"), (1_000, "1.0 kB"), (123_456, "123 kB"), (1_234_567, "1.2 MB"), (90_378_240, "90 MB"),
     (40_000_000_000, "40 GB"), (5_000_000_000_000_000, "5000 TB")],
)  # fmt: skip
def test_sizes(size: int, text: str):
    """No more digits than mean something."""
    assert text == size_text(size)


def test_all_is_well(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """What there is to know of the store and its runs, and nothing to do. A failed run has said so itself."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    said, quiet = shell("doctor", "--app", "sales.py"), shell("doctor", "-q")

    assert (0, "") == (said.code, said.err)
    assert said.lines[0].startswith("sqlite:///")
    assert said.lines[1].startswith("  file       ")
    assert [
        f"  schema     {len(migrations())}",
        "  journal    wal, synchronous FULL",
        f"  SQLite     {sqlite3.sqlite_version}",
    ] == said.lines[2:5]
    assert [
        f"  schema     {len(migrations())}",
        "  journal    wal, synchronous FULL",
        f"  SQLite     {sqlite3.sqlite_version}",
    ] == (said.lines[2:5])
    assert "  integrity  ok" == said.lines[5]
    assert ["2 runs: 1 completed, 1 failed", "", "doctor: all is well"] == said.lines[-3:]
    assert ["doctor: all is well"] == quiet.lines


def test_slots_in_use(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """How many are held by living processes; nothing is said of none."""
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py")
    before = shell("doctor").out
    with contextlib.closing(sqlite3.connect("orchwf.db")) as db, db:
        db.execute("INSERT INTO owners VALUES ('me', ?, 1000, 0)", (time.monotonic(),))
        for owner in ("me", "gone"):
            db.execute("INSERT INTO slots VALUES ('[]', ?, 'r', 's', -1, 0, 1, 0)", (owner,))

    said, document = shell("doctor"), shell("doctor", "--json").json

    assert "in use" not in before
    assert "  slots      1 in use" in said.lines
    assert 1 == document["store"]["slots"]


def test_the_place_of_large_values_is_told_if_it_was_chosen(shell: Shell):
    """By itself it is beside the file."""
    elsewhere = f"file://{shell.folder}/elsewhere"

    said = shell("doctor", "--store", f"sqlite:///new.db?blobs={elsewhere}")

    assert 4 == said.code
    shell("run", "sales.py", "--store", f"sqlite:///new.db?blobs={elsewhere}")
    assert f"  blobs      {elsewhere}" in shell("doctor", "--store", f"sqlite:///new.db?blobs={elsewhere}").lines


def test_fault_of_sqlite_is_a_note(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """One plain sentence, and no finding."""
    monkeypatch.setattr("sqlite3.sqlite_version", "3.40.1")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py")

    said, document = shell("doctor"), shell("doctor", "--json").json

    note = (
        "SQLite 3.40.1 has a rare fault in resetting the write-ahead log, which needs two connections that write at "
        "the same moment; 3.51.3, 3.50.7 and 3.44.6 are without it"
    )
    assert (0, f"  note       {note}") == (said.code, said.lines[6])
    assert [note] == document["store"]["notes"]


def test_stuck(shell: Shell):
    """A run whose process died is found, with whose it was; one that is executed is not."""
    killed = start(shell)
    killed.kill()
    end(killed)
    shell.write("slow.py", SLOW)
    alive = start(shell, "run", "slow.py", "--run-id", "alive")

    said, document = shell("doctor"), shell("doctor", "--json").json
    alive.kill()
    end(alive)

    assert 1 == said.code
    assert f"  ! process {killed.pid} on " in said.out
    assert " died and left 1 run\n" in said.out
    assert f"  > process {alive.pid} on " in said.out
    assert " executes 1 run\n" in said.out
    assert "Stuck: they have not ended, and nobody executes them (1)" in said.lines
    assert "      orchwf resume s" in said.lines
    assert "doctor: 1 finding" == said.lines[-1]
    assert {"running": 2} == document["runs"]
    assert [("alive", 1), ("dead", 1)] == sorted((owner["state"], owner["runs"]) for owner in document["owners"])
    (finding,) = document["findings"]
    assert {"kind", "workflow", "runs", "message", "command"} == set(finding)
    assert ("stuck", "Slow", ["s"], "orchwf resume s") == tuple(
        finding[name] for name in ("kind", "workflow", "runs", "command")
    )


def test_shut_down(shell: Shell):
    """One that was let go in good order has no owner, and waits for somebody all the same."""
    process = start(shell)
    process.terminate()
    end(process)

    said = shell("doctor")

    assert 1 == said.code
    assert said.lines[-4].endswith("AGO  it was shut down before its end")


def test_lapsed(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """An owner of another machine, of which nobody can know whether it lives."""
    process = start(shell)
    process.kill()
    end(process)
    with sqlite3.connect("orchwf.db") as connection:
        connection.execute("UPDATE runs SET owner = 'away/machine/boot/space|12|1|key'")
    connection.close()

    said, document = shell("doctor"), shell("doctor", "--json").json

    assert "  ! process 12 on away did not renew its lease, and left 1 run" in said.lines
    assert "process 12 on away gives no sign of life any more" in said.out
    assert ["lapsed"] == [owner["state"] for owner in document["owners"]]


def test_waiting_for_somebody(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Paused runs and dead letters say why; what could not be undone says what it was."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "bank")
    shell.write("trip.py", TRIP.replace("RETRIES", "0"))
    monkeypatch.setenv("BROKEN", "1")
    shell("run", "trip.py", "--run-id", "trip")
    shell.write("pay.py", PAY.replace('delivery="at_most_once", ', ""))
    monkeypatch.setenv("DIE", "1")
    shell.start("run", "pay.py", "--run-id", "r").communicate(timeout=30)
    for _ in range(2):
        take_up(shell, "pay", "Pay")

    said, document = shell("doctor"), shell("doctor", "--json").json

    lines = said.lines
    assert 1 == said.code
    at = lines.index("Dead letters: their processes died again and again (1)")
    assert [
        "  ! Pay r  AGO  dead letter: 2 times in a row its process died before any step had ended",
        "      orchwf show r",
        "",
        "Paused: they wait for somebody (1)",
        "  ! Bank bank  AGO  charge has no attempts left: ConnectionError: the bank is closed",
        "      orchwf show bank",
        "",
        "Not undone: something that they did could not be undone (1)",
        "  ! Trip trip  AGO  flight could not be undone: ConnectionError: the airline does not answer",
        "      orchwf resume trip",
        "",
        "doctor: 3 findings",
    ] == lines[at + 1 :]
    assert ["dead-letter", "paused", "not-undone"] == [finding["kind"] for finding in document["findings"]]


def test_code_that_cannot_go_on(shell: Shell):
    """Unfinished runs of another graph are told with the difference, those of one definition together."""
    shell.write("bank.py", BANK)
    for name in ("b1", "b2"):
        shell("run", "bank.py", "--run-id", name)
    same = shell("doctor", "--app", "bank.py")
    del sys.modules["bank"]
    shell.write("bank.py", BANK + "\n    @step\n    def more(self) -> int:\n        return 1\n")

    said, document = shell("doctor", "--app", "bank.py"), shell("doctor", "--app", "bank.py", "--json").json

    assert "Changed" not in same.out
    at = said.lines.index("Changed: the present code cannot go on with them (1)")
    assert [
        "  ! Bank b2, b1  AGO  2 unfinished runs of another graph:",
        "      + step 'more' is new",
        "      orchwf resume b2 --adopt",
    ] == said.lines[at + 1 : at + 4]
    assert ["b2", "b1"] == document["findings"][-1]["runs"]


def test_code_that_adopts(shell: Shell):
    """A workflow that adopts a changed graph can go on; one with an input that the run has no value for cannot."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "b1")
    found = []
    for change in ("", "    shop: str\n"):
        del sys.modules["bank"]
        text = BANK.replace("@workflow", '@workflow(on_change="adopt")')
        text = text.replace("class Bank:\n", f"class Bank:\n{change}")
        shell.write("bank.py", text + "\n    @step\n    def more(self) -> int:\n        return 1\n")
        found.append(shell("doctor", "--app", "bank.py"))

    assert "Changed" not in found[0].out
    assert "      no value for the new shop: give it a default" in found[1].lines


def test_workflow_that_is_not_given(shell: Shell):
    """Unfinished runs of workflows that are not among the apps are told."""
    shell.write("bank.py", BANK)
    shell("run", "bank.py", "--run-id", "b1")

    said = shell("doctor", "--app", "sales.py")

    at = said.lines.index("Unknown: their workflow is not among those given (1)")
    assert (
        "  ! Bank b1  AGO  1 unfinished run, and it is not among the workflows given with --app" == said.lines[at + 1]
    )


def test_apps_that_are_none(shell: Shell):
    """As elsewhere; and a warning of the compiler is told."""
    shell("run", "sales.py")

    assert 5 == shell("doctor", "--app", "nothing.py").code


def test_many_findings_are_counted(shell: Shell):
    """Ten of a kind are shown; -v shows all."""
    process = start(shell)
    process.kill()
    end(process)
    with sqlite3.connect("orchwf.db") as connection:
        columns = "workflow, version, fingerprint, entrypoint, status, metadata, tags, created_at, error, owner"
        for at in range(11):
            copy = f"INSERT INTO runs (id, {columns}) SELECT ?, {columns} FROM runs WHERE id = 's'"
            connection.execute(copy, [f"s{at}"])
    connection.close()

    few, every = shell("doctor"), shell("doctor", "-v")

    assert "    and 2 more: -v" in few.lines
    assert "doctor: 12 findings" == few.lines[-1]
    assert 12 == sum(line.startswith("  ! Slow") for line in every.lines)


def test_damaged_store(shell: Shell):
    """A damaged file is one clear line, with the code of a store that cannot be used."""
    shell("run", "sales.py")
    with sqlite3.connect("orchwf.db") as connection:
        # The index has an entry that no row has.
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX runs_by_status ON runs (id)' WHERE name = 'runs_by_status'"
        )
    connection.close()

    said, document = shell("doctor"), shell("doctor", "--json").json

    assert (4, "", 1) == (said.code, said.out, len(said.err.splitlines()))
    assert "is damaged (" in said.err
    assert "restore a backup" in said.err
    assert 4 == document["error"]["exit_code"]


def test_no_store(shell: Shell):
    """There is nothing to examine, and none is made."""
    said = shell("doctor")

    assert 4 == said.code
    assert not (shell.folder / "orchwf.db").exists()


def test_store_in_memory(shell: Shell):
    """It has no file, and no runs."""
    said = shell("doctor", "--store", "memory:")

    assert (0, ["memory:", "  integrity  ok", "", "0 runs", "", "doctor: all is well"]) == (said.code, said.lines)
