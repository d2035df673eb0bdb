"""`orchwf step`: one body again, with what a run recorded."""

import io
import sqlite3
import sys

import pytest

from tests.cli.console import Shell

FLOW = """\
from orchwf import Finish, Skip, StepContext, signal, step, subflow, workflow


@workflow
class Inner:
    size: int

    @step
    def one(self) -> int:
        return self.size


@workflow
class Flow:
    day: str = "monday"

    @step
    def rows(self) -> list[int]:
        return [1, 2, 3]

    @step(tolerate=1)
    def parse(self, row: int = rows.each) -> int:
        if row == 2:
            raise ValueError(f"row {row} is bad")
        return row * 10

    @step
    async def total(self, parse: list[int | None], *, ctx: StepContext) -> str:
        ctx.heartbeat("half")
        found = [each for each in parse if each is not None]
        return f"{self.day} {sum(found)} {ctx.run_id} {ctx.attempt} {ctx.idempotency_key}"

    @step
    def seed(self) -> int:
        return 1

    @step(until=lambda size: size > 3, max_iterations=5)
    def grow(self, size: int = seed.result) -> int:
        return size * 2

    @step
    def stream(self) -> "Iterator[int]":
        yield 1
        yield 2

    @step
    def idle(self) -> int:
        raise Skip("nothing to do")

    @subflow
    def inner(self) -> Inner:
        return Inner(size=3)

    @step(depends_on=[total])
    def odd(self) -> object:
        return object()

    paid = signal(int, default=1, timeout=0.01)

    @step(depends_on=[total, inner, idle, odd], join="settled")
    def last(self) -> int:
        raise Finish(7)
"""
FLOW = FLOW.replace("from orchwf", "from collections.abc import Iterator\n\nfrom orchwf", 1)


@pytest.fixture
def ran(shell: Shell) -> Shell:
    """A shell in whose store run `f1` of `flow.py:Flow` has ended."""
    shell.write("flow.py", FLOW)
    shell("run", "flow.py:Flow", "--run-id", "f1", "-q")
    return shell


def again(shell: Shell, step: str) -> object:
    """What the document says of the step, but for how long it took."""
    document = shell("step", "flow.py:Flow", step, "--from", "f1", "--json").json
    assert isinstance(document.pop("duration"), float)
    assert ("f1", step.partition("[")[0]) == (document.pop("run"), document.pop("step"))
    return {name: value for name, value in document.items() if value is not None}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("rows", {"outcome": "returned", "output": [1, 2, 3]}),
        ("parse[2]", {"item": 2, "outcome": "returned", "output": 30}),
        ("total", {"outcome": "returned", "output": "monday 40 f1 1 f1/total"}),
        ("grow[1]", {"item": 1, "outcome": "returned", "output": 4}),
        ("stream", {"outcome": "returned", "output": [1, 2]}),
        ("idle", {"outcome": "skipped", "reason": "nothing to do"}),
        ("inner", {"outcome": "returned", "output": {"size": 3}}),
        ("last", {"outcome": "finished", "output": 7}),
    ],
)
def test_a_body_runs_again(ran: Shell, step: str, told: dict[str, object]):
    """Whatever kind of step it is, it gets what it got in the run."""
    assert told == again(ran, step)


def test_a_body_raises(ran: Shell):
    """What it raises is told as at the end of a run, and the command fails."""
    said = ran("step", "flow.py:Flow", "parse[1]", "--from", "f1")

    assert 1 == said.code
    assert [
        "x parse[1] raised after TIME: ValueError: row 2 is bad",
        "      flow.py:26 in parse",
        """        raise ValueError(f"row {row} is bad")""",
    ] == said.lines


def test_an_output_that_cannot_be_stored(ran: Shell):
    """It fails, as it did in the run."""
    said = ran("step", "flow.py:Flow", "odd", "--from", "f1")

    assert 1 == said.code
    assert "the output of step 'odd' cannot be stored" in said.out


def test_a_mended_body(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The code is that of now, the arguments are those of then; the run stays as it was."""
    shell("run", "sales.py", "--run-id", "bad", "-q")
    before = events(shell)
    monkeypatch.setenv("LENIENT", "1")

    said = shell("step", "sales.py", "validate", "--from", "bad")

    assert 0 == said.code
    assert ["+ validate returned after TIME", "[", "  12.5,", "  30.0", "]"] == said.lines[:5]
    assert before == events(shell)


def events(shell: Shell) -> object:
    connection = sqlite3.connect(shell.folder / "orchwf.db")
    try:
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("log", "runs")]
        return counts, connection.execute("SELECT * FROM runs").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("step", "code", "message"),
    [
        ("parse", 2, "step 'parse' runs once per item; name one: 'parse[1]' of parse[0] to parse[2]\n"),
        ("paid", 2, "'paid' of Flow is a signal: it has no body that could run\n"),
        ("prase[1]", 5, "Flow has no step 'prase'. Did you mean 'parse'?\n"),
        ("parse[9]", 5, "step 'parse' of run 'f1' has the items parse[0] to parse[2], and no parse[9]\n"),
    ],
)
def test_what_cannot_run(ran: Shell, step: str, code: int, message: str):
    """It says what is wrong, and what could be meant."""
    said = ran("step", "flow.py:Flow", step, "--from", "f1")

    assert (code, message) == (said.code, said.err)


def test_a_step_without_its_arguments(shell: Shell):
    """What the run does not have is named."""
    shell("run", "sales.py", "--run-id", "bad", "-q")

    said = shell("step", "sales.py", "load", "--from", "bad")

    assert "step 'load' takes the output of 'validate', which run 'bad' does not have: validate is failed\n" == said.err


def test_post_mortem(ran: Shell, monkeypatch: pytest.MonkeyPatch):
    """With --pdb a debugger shows the frame that raised."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("p row * 1000\nq\n"))

    said = ran("step", "flow.py:Flow", "parse[1]", "--from", "f1", "--pdb")

    assert 1 == said.code
    assert "2000" in said.out


@pytest.mark.parametrize(("step", "how"), [("parse[1]", "--pdb"), ("total", "--trace")])
@pytest.mark.parametrize("left_by", ["c", "q"])
def test_a_debugger_that_is_left_lets_others_trace(
    ran: Shell, monkeypatch: pytest.MonkeyPatch, step: str, how: str, left_by: str
):
    """What measures coverage, or another debugger, sees what follows as it saw what came before."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{left_by}\n"))
    before = sys.gettrace()

    def trace(*_: object) -> None: ...

    sys.settrace(trace)
    try:
        ran("step", "flow.py:Flow", step, "--from", "f1", how)
        after = sys.gettrace()
    finally:
        sys.settrace(before)

    assert trace is after


@pytest.mark.parametrize("step", ["parse[0]", "total"])
def test_trace(ran: Shell, monkeypatch: pytest.MonkeyPatch, step: str):
    """With --trace it stops at the first line of the body, be it a coroutine or not, and goes on."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("p self.day\nc\n"))

    said = ran("step", "flow.py:Flow", step, "--from", "f1", "--trace")

    assert 0 == said.code
    assert "'monday'" in said.out
    assert "--Call--" not in said.out


def test_the_debugger_is_left(ran: Shell, monkeypatch: pytest.MonkeyPatch):
    """Who leaves it before the body ended is told so."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))

    said = ran("step", "flow.py:Flow", "rows", "--from", "f1", "--trace")

    assert (1, "the debugger was left before the body ended\n") == (said.code, said.err)


def test_a_debugger_and_json(ran: Shell):
    """They do not go together."""
    said = ran("step", "flow.py:Flow", "rows", "--from", "f1", "--trace", "--json")

    assert 2 == said.code
    assert "leave out --json" in said.err
