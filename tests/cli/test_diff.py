"""`orchwf diff`: two runs of one workflow, side by side."""

import re

import pytest

from orchwf import make_workflow, step
from orchwf.core import events as ev
from orchwf.core.dag import Dag, dag_of
from orchwf.core.history import History, StepRecord
from orchwf.views.comparing import Side, _change, compare
from tests.cli.console import SALES, Shell, steady


@pytest.fixture
def two(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in whose store one run went well and one did not."""
    shell("run", "sales.py", "--run-id", "bad", "-q")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good", "-i", "day=monday", "-q")
    return shell


def test_diff(two: Shell):
    """It says what is other, and what is the same."""
    said = two("diff", "good", "bad")

    assert 0 == said.code
    assert [
        "DailySales good completed -> bad failed   (TIME -> TIME)",
        "  inputs",
        '    ~ day  "monday" -> "today"',
        "  definition  the same",
        "  steps",
        "      extract   + TIME -> TIME  the same output",
        "      audit     + TIME -> TIME  the same output",
        "    ~ validate  completed TIME -> failed TIME  ValueError: row 2: 'amount' is negative (-12.5)",
        "    ~ load      completed TIME -> skipped",
    ] == [re.sub(r"(?<=TIME) +(?=the|V)", "  ", line) for line in said.lines]


def test_diff_json(two: Shell):
    """The document has both runs, and all steps of both."""
    document = two("diff", "good", "bad", "--json").json

    assert ["good", "bad"] == [run["id"] for run in document["runs"]]
    assert {"day": {"path": "$", "first": '"monday"', "second": '"today"'}} == document["inputs"]
    named = {"same", "added", "removed", "rewired", "retyped", "changed", "inputs", "lines"}
    assert named == set(document["definition"])
    validate = document["steps"][2]
    assert {"name", "statuses", "durations", "errors", "same_output", "output"} == set(validate)
    assert ["completed", "failed"] == validate["statuses"]
    assert [True, True, None, None] == [step["same_output"] for step in document["steps"]]


def test_diff_of_a_changed_definition(two: Shell):
    """What differs in the code is told by step."""
    two.write("newer.py", SALES.replace("return 7", "return 8"))
    two("run", "newer.py", "--run-id", "new", "-q")

    said = two("diff", "good")

    assert "    * step 'audit' has other code" in said.lines
    assert "output 7 -> 8" in steady(said.out)


def test_diff_of_two_workflows(two: Shell):
    """They cannot be compared."""
    two.write("other.py", SALES.replace("DailySales", "Other"))
    two("run", "other.py", "--run-id", "o1", "-q")

    said = two("diff", "good", "o1")

    assert 2 == said.code
    assert "only runs of one workflow can be compared" in said.err


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (1, 1, None),
        (1, 2, "1 -> 2"),
        (1, True, "1 -> true"),
        ([1, 2], [1, 3], "$[1]: 2 -> 3"),
        ([1], [1, 3], "$[1]: nothing -> 3"),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, "$.a.b[0]: 1 -> 2"),
        ({"a": 1}, {}, "$.a: 1 -> nothing"),
        ([], {}, "[] -> {}"),
        ("\x1b[31m", "b", r'"\u001b[31m" -> "b"'),
        ("x" * 100, "", f'"{"x" * 59}… -> ""'),
    ],
)
def test_the_first_difference(first: object, second: object, told: str | None):
    """It is named by its path, with what is there on both sides, and nothing of it is shown as it is."""
    change = _change(first, second)

    assert told == (None if change is None else str(change))


def side(run_id: str, dag: Dag | None, ended: int) -> Side:
    """A run of which so many steps have completed."""
    begun = ev.RunStarted(seq=1, at=0.0, workflow="Many", version="1", fingerprint="f", inputs="{}")
    log = [ev.StepCompleted(seq=2 + at, at=1.0, step=f"s{at}", output="1") for at in range(ended)]
    history = History(run_id).extend([begun, *log])
    names = history.steps if dag is None else dag.nodes
    return Side(run_id, dag, history, {name: history.steps.get(name) or StepRecord(name) for name in names})


def test_many_steps():
    """Of many steps only those that differ are told, and how many there are."""
    dag = dag_of(make_workflow("Many", {f"s{at}": step(_one, name=f"s{at}") for at in range(1_000)}))

    comparison = compare(side("a", dag, 1_000), side("b", dag, 998))

    assert [
        "Many a running -> b running   (not ended -> not ended)",
        "  inputs      the same",
        "  definition  the same",
        "  steps",
        "    ~ s998  completed -> pending",
        "    ~ s999  completed -> pending",
        "    and 998 steps more: --all",
    ] == [line.text for line in comparison.lines()]
    assert 1_004 == len(comparison.lines(everything=True))


def test_a_lost_definition():
    """Without one of the definitions the rest is compared all the same."""
    lines = [line.text for line in compare(side("a", None, 1), side("b", None, 2)).lines()]

    assert "  definition  not in the store any more" in lines
    assert "    ~ s1  not there -> completed" in lines


def _one() -> int:
    return 1


def test_diff_of_a_fork(two: Shell):
    """What a fork reused it did not run."""
    two("fork", "good", "--from", "load", "--run-id", "again", "-q")

    lines = two("diff", "good", "again").lines

    assert any(line.startswith("      audit     + TIME -> not run") for line in lines)
