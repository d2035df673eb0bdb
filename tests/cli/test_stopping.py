"""What a command says whose run comes to grief while it is executed, told to stop or not; all in this process."""

from typing import NoReturn

import pytest

from orchwf.cli.exits import Exit
from tests.cli.console import Said, Shell

FLOW = '''\
import asyncio
import contextlib
import signal
import sqlite3

from orchwf import StepContext, step, workflow
from orchwf.stores.sqlite import open_sqlite


@workflow
class Grief:
    """Its first step meets with this, and may be interrupted then."""

    what: str = ""
    interrupted: bool = False

    @step
    async def work(self, *, ctx: StepContext) -> int:
        if self.what == "deleted":
            store = await open_sqlite("orchwf.db")
            await store.delete([ctx.run_id])
            await store.close()
        if self.what == "broken":
            with contextlib.closing(sqlite3.connect("orchwf.db")) as db:
                db.execute("DROP TABLE log")
        if self.interrupted:
            signal.raise_signal(signal.SIGINT)
            # Until the command has heard of it.
            for _ in range(100):
                await asyncio.sleep(0)
        return 1

    @step(depends_on=[work])
    def later(self) -> int:
        return 2

'''


@pytest.fixture(autouse=True)
def no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: this process is not one to be ended."""

    def end(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr("orchwf.cli.leaving.LIMIT", 1e6)
    monkeypatch.setattr("orchwf.cli.leaving._MOMENT", 1e6)
    monkeypatch.setattr("orchwf.runtime.interrupts.os._exit", end)


@pytest.fixture
def grief(shell: Shell) -> Shell:
    """A shell in whose folder there is the flow above."""
    shell.write("grief.py", FLOW)
    return shell


STOPPING = "! stopping: what runs has TIME to end; Ctrl-C again ends it at once"


def run(grief: Shell, what: str = "", *, interrupted: bool) -> Said:
    inputs = (f"what={what}", f"interrupted={str(interrupted).lower()}")
    return grief("run", "grief.py", "--run-id", "s", *(word for each in inputs for word in ("--input", each)))


def test_what_runs_may_end(grief: Shell):
    """And is kept; nothing more begins, and the way on is told."""
    said = run(grief, interrupted=True)

    assert (130, "") == (said.code, said.err)
    assert [
        "> Grief run s   2 steps",
        "  > work",
        STOPPING,
        "  + work   TIME",
        "! Grief run s interrupted after TIME   (1 done, 1 to do)",
        "  Go on with:  orchwf resume s      (keeps work)",
    ] == said.lines


@pytest.mark.parametrize(
    ("what", "code", "told"),
    [
        ("deleted", Exit.NOT_FOUND, "there is no run 's' in sqlite:///"),
        ("broken", Exit.STORE, "cannot be used: SQLite says: no such table: log"),
    ],
)
def test_a_run_that_is_lost_ends_the_command(grief: Shell, what: str, code: int, told: str):
    """Its code says whether the run is gone, or the store cannot be used."""
    said = run(grief, what, interrupted=False)

    assert code == said.code
    assert told in said.err
    assert ["> Grief run s   2 steps", "  > work"] == said.lines


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("deleted", "run 's' is not in sqlite:///"),
        ("broken", "cannot be used: SQLite says: no such table: log"),
    ],
)
def test_a_run_that_is_lost_while_the_command_stops(grief: Shell, what: str, told: str):
    """The code is that of the signal, as whoever sent it expects; what became of the run is said all the same."""
    said = run(grief, what, interrupted=True)

    assert 130 == said.code
    assert told in said.err
    assert ["> Grief run s   2 steps", "  > work", STOPPING] == said.lines


def test_a_run_that_cannot_begin(grief: Shell):
    """Nothing is shown of it."""
    run(grief, "broken", interrupted=False)

    said = grief("run", "grief.py")

    assert (Exit.STORE, "") == (said.code, said.out)
    assert "cannot be used: SQLite says: no such table: log" in said.err
