"""When which step was at work, and what took longest."""

import pytest

from orchwf import make_workflow, step, workflow
from orchwf.cli import execute
from orchwf.core.dag import dag_of
from orchwf.core.history import AttemptRecord, StepRecord
from orchwf.core.state import StepStatus
from orchwf.views import SlowPath, Timeline, slow_path
from tests.cli.console import Shell

DONE = StepStatus.COMPLETED


@workflow
class Flow:
    @step
    def extract(self) -> int:
        return 1

    @step(depends_on=[extract])
    def audit(self) -> int:
        return 2

    @step(depends_on=[extract])
    def load(self) -> int:
        return 3


def record(name: str, *attempts: tuple[float, float], status: StepStatus = DONE) -> StepRecord:
    """A step with attempts from when to when."""
    made = [AttemptRecord(number, begun, ended, DONE) for number, (begun, ended) in enumerate(attempts, 1)]
    return StepRecord(name, status, made, started_at=attempts[0][0], ended_at=attempts[-1][1])


STEPS = {
    "extract": record("extract", (100.0, 104.0)),
    "audit": record("audit", (104.0, 105.0)),
    "load": record("load", (104.0, 105.0), (109.0, 110.0), status=StepStatus.FAILED),
}


def timeline(width: int | None = 56, **changes: StepRecord) -> list[str]:
    steps = STEPS | changes
    path = slow_path(dag_of(Flow), steps)
    lines = Timeline(steps=list(steps.values()), path=path, begun_at=100.0, ended_at=110.0, width=width).lines()
    return [line.text for line in lines]


def test_bars():
    """An attempt is a bar, what lies between two is waiting, and the steps that took longest are marked."""
    assert [
        "  + extract * |########          | 4.0 s",
        "  + audit     |       ###        | 1.0 s",
        "  x load    * |       ###......##| 6.0 s, failed",
    ] == timeline()[:3]


def test_a_step_that_runs():
    """What has not ended goes on to the present."""
    running = StepRecord("load", StepStatus.RUNNING, [AttemptRecord(1, 104.0)], started_at=104.0)

    assert "6.0 s, running" in timeline(load=running)[2]


def test_no_step_has_begun():
    """A run in which nothing has begun says so."""
    empty = Timeline(steps=[StepRecord("a")], path=SlowPath(()), begun_at=1.0, ended_at=1.0)

    assert ["  no step has begun"] == [line.text for line in empty.lines()]


def test_many_steps():
    """Of many the longest are shown, and how many more there are."""
    dag = dag_of(make_workflow("Many", {f"s{at}": step(_one, name=f"s{at}") for at in range(5_000)}))
    steps = {name: record(name, (0.0, 1.0 + at)) for at, name in enumerate(dag.nodes)}

    made = Timeline(steps=list(steps.values()), path=slow_path(dag, steps), begun_at=0.0, ended_at=5_000.0)

    texts = [line.text for line in made.lines()]
    assert 42 == len(texts)
    assert "  and 4,960 steps more: --all" == texts[-2]
    assert any("s4999 *" in text for text in texts)
    assert 5_001 == len(made.lines(everything=True))


def test_hostile_names():
    """Nothing of a name reaches the terminal as it is."""
    hostile = "\x1b[2J\u202e" + "x" * 1_000_000
    lines = Timeline(
        steps=[record(hostile, (0.0, 1.0))], path=SlowPath(((hostile, 1.0), ("b", 1.0))), begun_at=0.0, ended_at=1.0
    ).lines()

    assert all("\x1b" not in line.text and "\u202e" not in line.text and len(line.text) < 200 for line in lines)
    assert "\x1b" not in str(SlowPath(((hostile, 1.0),)))


def test_the_longest_path():
    """It names each step with its time; of many those that took longest."""
    path = SlowPath(tuple((f"s{at}", float(at)) for at in range(1, 8)))

    assert 28.0 == path.duration
    assert "s3 3.0 s > s4 4.0 s > s5 5.0 s > s6 6.0 s > s7 7.0 s and 2 steps more" == str(path)


def test_show_timeline(shell: Shell):
    """`show` draws it instead of the steps, and says what took longest."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("show", "--timeline")

    assert any(line.startswith("  + extract  * |#") for line in said.lines)
    assert any(line.startswith("  longest   extract TIME > audit TIME > validate TIME ") for line in said.lines)


def _one() -> int:
    return 1


def test_a_long_run_ends_with_what_took_longest(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """After a run that took long it is told below the headline."""
    monkeypatch.setattr(execute, "LONG", 0.0)

    said = shell("run", "sales.py", "--run-id", "bad")

    at = next(at for at, line in enumerate(said.lines) if line.startswith("x DailySales run bad failed"))
    assert said.lines[at + 1].startswith("  longest: extract TIME > audit TIME > validate TIME   (")
