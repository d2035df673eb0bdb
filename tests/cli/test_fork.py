"""`orchwf fork` and `resume --adopt`: what is reused where steps, inputs or the graph are others."""

import sys

import pytest

from tests.cli.console import SALES, Shell

FORKED = """\
> DailySales run again   4 steps, forked from bad
  keeps  extract, audit   (completed)
  runs   validate, load
  > validate
  + validate  TIME
  > load
  + load      TIME
+ DailySales run again completed in TIME   (4 done)
"""

OTHER = """\
from orchwf import step, workflow


@workflow
class DailySales:
    day: str = "today"

    @step
    def source(self) -> float:
        return 1.0

    @step
    def extract(self) -> list[float]:
        return [12.5, 30.0]

    @step(depends_on=[extract])
    def audit(self, source: float) -> int:
        return 8

    @step(depends_on=[audit])
    def validate(self, amounts: list[float] = extract.result) -> list[float]:
        return amounts
"""
"""The flow of these tests with a step more, one less, and one that takes its input from elsewhere."""


def test_fork(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """What came before the step is reused and not told again; the rest runs, and both know of each other."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")

    said = shell("fork", "bad", "--from", "validate", "--run-id", "again")
    shown, document, origin = shell("show"), shell("show", "--json").json, shell("show", "bad", "--json").json

    assert (0, "") == (said.code, said.err)
    assert FORKED.splitlines() == said.lines
    assert "  + extract   reused" in shown.lines
    assert "  forked    from bad" in shown.lines
    assert ("bad", None) == (document["forked_from"], origin["forked_from"])
    assert "DailySales version 1  forked from bad" in shell("events").out.splitlines()[0]


def test_fork_with_other_inputs(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Only what the step needs is reused then; inputs come from a file and from the command line."""
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")
    shell.write("in.json", '{"day": "monday"}')

    said = shell("fork", "good", "--from", "audit", "--inputs", "in.json", "-i", "day=tuesday", "--json")

    *_, run = said.json_lines
    assert 0 == said.code
    assert ({"day": "tuesday"}, "good") == (run["inputs"], run["forked_from"])
    assert [0, 1, 1, 1] == [len(step["attempts"]) for step in run["steps"]]


def test_other_inputs_are_named(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The opening says which."""
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    said = shell("fork", "good", "--from", "load", "-i", "day=tuesday")

    assert "  note   other inputs: day" in said.lines


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--from", "lod"], 5, "DailySales has no step 'lod'. Did you mean 'load'?"),
        (["--from", "load", "-i", "dya=x"], 2, "there is no input 'dya'. Did you mean 'day'?"),
        (["--from", "load", "--run-id", "bad"], 2, "run 'bad' exists already; choose another --run-id"),
        (["--from", "load", "--run-id", "last"], 2, "'last' stands for a run already"),
        (["--from", "load", "-j", "0"], 2, "--jobs takes a number of at least 1"),
        ([], 2, "see: orchwf fork --help"),
    ],
)
def test_wrong_forks(shell: Shell, options: list[str], code: int, told: str):
    """Each says what is wrong, and no run is begun."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("fork", "bad", *options)

    assert (code, True) == (said.code, told in said.err)
    assert 1 == len(shell("runs", "--json").json["runs"])


def test_fork_on_a_terminal_counts_what_it_keeps(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """With -q there is the summary alone, in which what is reused counts as done."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")

    said = shell("fork", "bad", "--from", "validate", "--run-id", "again", "-q")

    assert ["+ DailySales run again completed in TIME   (4 done)"] == said.lines


def test_adopt(shell: Shell):
    """A changed graph is refused with the command that accepts it once, and then says what runs and why."""
    shell("run", "sales.py", "--run-id", "bad")
    del sys.modules["sales"]
    shell.write("sales.py", OTHER)

    refused = shell("resume", "bad")
    adopted, shown = shell("resume", "bad", "--adopt"), shell("show")

    assert 2 == refused.code
    assert "Restore that graph, or accept the change:  orchwf resume bad --adopt\n" in refused.err
    assert [
        "> DailySales run bad resumed",
        "  keeps  extract   (completed)",
        "  again  audit   (other inputs in the changed workflow)",
        "  again  validate   (ValueError: row 2: 'amount' is negative (-12.5))",
        "  then   source   (new in the changed workflow)",
        "  note   extract: the code changed, but what it returned before is kept",
        "  note   load: no longer in the workflow",
    ] == adopted.lines[:7]
    assert 0 == adopted.code
    assert "+ DailySales run bad completed in TIME   (4 done)" == adopted.lines[-1]
    assert "load" not in shown.out


def test_adopt_without_a_value_for_a_new_input(shell: Shell):
    """That cannot be adopted, and the reason is told."""
    shell("run", "sales.py", "--run-id", "bad")
    del sys.modules["sales"]
    shell.write("sales.py", SALES.replace('    day: str = "today"', '    shop: str\n    day: str = "today"'))

    said = shell("resume", "bad", "--adopt")

    assert 2 == said.code
    assert "The run has no value for the new input 'shop': give it a default, or fork the run." in said.err
