"""
How long a recorded workflow takes to replay, against what theory says.

These are the tests that measure time: an engine that works level by level, or that idles while something is ready,
gives the right results, too, and only shows in how long it takes.
"""

from pathlib import Path

import pytest

from examples.replay import Instance, Task, Timing, load_instance, main, replay, replay_workflow
from orchwf import compile_workflow

CRITICAL_PATH = 3.0
"""How long (seconds) the critical path takes in these tests."""

RECORDED = ["airrflow-dirt02-001.json.gz", "cutandrun-dirt02-001.json.gz"]

# A machine that is busy with something else is late once, not every time.
ATTEMPTS = 3


async def replayed(path: Path, store: Path, *, limit: int, allowed: float) -> Timing:
    """The timing of the first replay within `allowed` times its upper bound, else of the last one."""
    instance = load_instance(path)
    critical_path = compile_workflow(replay_workflow(instance)).critical_path(instance.runtimes).duration
    scale = CRITICAL_PATH / critical_path
    timings: list[Timing] = []
    while len(timings) < ATTEMPTS and not any(timing.wall <= allowed * timing.bounds[1] for timing in timings):
        url = f"sqlite:///{store / f'{len(timings)}.db'}"
        timings.append(await replay(instance, scale=scale, limit=limit, store=url))
    return timings[-1]


@pytest.mark.slow
@pytest.mark.parametrize("file", RECORDED)
async def test_without_a_limit_it_takes_as_long_as_its_critical_path(file: str, shared_data: Path, tmp_path: Path):
    """A step starts as soon as its own dependencies are done: 1.25 times the critical path; level by level is 1.7."""
    timing = await replayed(shared_data / "wfinstances" / file, tmp_path, limit=0, allowed=1.25)

    assert timing.critical_path == pytest.approx(CRITICAL_PATH)
    assert CRITICAL_PATH <= timing.wall <= 1.25 * CRITICAL_PATH


@pytest.mark.slow
@pytest.mark.parametrize("file", RECORDED)
async def test_with_a_limit_it_keeps_to_the_bound_of_graham(file: str, shared_data: Path, tmp_path: Path):
    """With four at once none of the four places is empty while a step is ready."""
    timing = await replayed(shared_data / "wfinstances" / file, tmp_path, limit=4, allowed=1.15)

    low, high = timing.bounds
    assert low <= timing.wall <= 1.15 * high


def test_bounds_of_graham():
    """Two bounds from below and one from above, as in the paper; without a limit the critical path is both."""
    limited = Timing(wall=0, critical_path=6, total=20, limit=4)
    free = Timing(wall=0, critical_path=6, total=20, limit=0)

    assert limited.bounds == (6, 5 + 0.75 * 6)
    assert free.bounds == (6, 6)


async def test_every_step_runs_once():
    """A replay runs the whole graph, whatever the scale."""
    instance = Instance("two", {"a": Task((), 1.0), "b": Task(("a",), None)})

    timing = await replay(instance, scale=0)

    assert timing.total == 0
    assert timing.wall > 0


def test_command_prints_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The script tells the wall time, the critical path and the bounds."""
    path = tmp_path / "chain.json"
    path.write_text('{"name": "chain", "tasks": {"a": {"parents": []}, "b": {"parents": ["a"], "runtime": 2}}}')

    code = main([str(path), "--scale", "0.001", "--limit", "2", "--store", f"sqlite:///{tmp_path / 'runs.db'}"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == "chain: 2 tasks, 0.00 s of sleep"
    assert [line.split()[0] for line in lines[1:]] == ["wall", "critical", "Graham"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("", "is not JSON"), ('{"tasks": {"a": {"parents": ["b"]}}}', "unknown-dependency")],
)
def test_command_explains_what_it_cannot_replay(
    content: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A file that is wrong, or holds a wrong graph, gives an explanation and the exit code 2."""
    path = tmp_path / "wrong.json"
    path.write_text(content)

    code = main([str(path)])

    assert code == 2
    assert complaint in capsys.readouterr().err
