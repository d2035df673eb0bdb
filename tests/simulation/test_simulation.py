"""Many orchestrators over one faulty store, in simulated time: thousands of schedules, each from its seed."""

import ast
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug, hunt, plant
from tests.simulation.world import simulate

CHUNKS = 16
SCHEDULES = int(os.environ.get("ORCHWF_TEST_SCHEDULES") or (120 if sys.flags.dev_mode else 800))
"""
How many lives are simulated, over all chunks; many more with `python -m tests.simulation`.

Python's development mode takes five times as long for each.
"""
ON_POSTGRESQL = 2 if sys.flags.dev_mode else 5


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_invariants_hold_whatever_happens(chunk: int):
    """Invariants 1 to 10, over crashes, stalls, lost answers, wrong clocks, and whatever callers ask for."""
    fired: Counter[str] = Counter()

    for seed in range(chunk, SCHEDULES, CHUNKS):
        try:
            world = simulate(seed)
        except BaseException as error:
            error.add_note(f"schedule {seed}: python -m tests.simulation --seed {seed}")
            raise
        fired.update(world.faults.counts)
        fired["crash"] += world.crashes

    assert {"busy", "lost", "stall", "crash"} <= set(fired), "a kind of fault never fired"


@pytest.mark.slow
def test_the_invariants_hold_on_postgresql(postgres_server: str):
    """The same lives, with its SQL: of what several connections do at once they say nothing."""
    from tests.simulation.postgres import on_server  # here, because the others need no driver

    with on_server(postgres_server) as opens:
        for seed in range(ON_POSTGRESQL):
            try:
                simulate(seed, opens=opens)
            except BaseException as error:
                error.add_note(f"schedule {seed}: python -m tests.simulation --postgres --seed {seed}")
                raise


def test_some_lives_have_all_there_is():
    """Middleware that refuses a body, a codec, and a schedule that begins runs."""
    lives = (simulate(seed) for seed in range(300))

    assert any(world.is_coded and {"refused", "scheduled"} <= set(world.faults.counts) for world in lives)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_each_bug_can_be_planted(bug: Bug, tmp_path: Path):
    """
    What it replaces is there, and what comes of that is Python. That the simulation finds it is shown by
    `python -m tests.simulation.planted`.
    """
    plant(bug, tmp_path)

    planted = (tmp_path / "orchwf" / bug.file).read_text(encoding="utf-8")

    assert bug.new in planted
    assert ast.parse(planted).body


@pytest.mark.slow
def test_a_planted_bug_is_found():
    """One that shows early."""
    (bug,) = (each for each in BUGS if each.name == "a body starts before its start is written")

    assert "schedule" in hunt(bug)
