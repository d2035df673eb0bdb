"""Many orchestrators over one faulty store, in simulated time: thousands of schedules, each from its seed."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug, hunt, plant
from tests.simulation.world import simulate

CHUNKS = 16
SCHEDULES = int(os.environ.get("ORCHWF_TEST_SCHEDULES") or (400 if sys.flags.dev_mode else 2000))
"""
How many lives are simulated, over all chunks; many more with `python -m tests.simulation`.

Python's development mode takes five times as long for each.
"""


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

    assert {"busy", "lost", "stall", "crash"} == set(fired), "a kind of fault never fired"


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_each_bug_can_be_planted(bug: Bug, tmp_path: Path):
    """What it replaces is there; that the simulation finds it is shown by `python -m tests.simulation.planted`."""
    plant(bug, tmp_path)

    planted = (tmp_path / "orchwf" / bug.file).read_text(encoding="utf-8")

    assert bug.new in planted


def test_a_planted_bug_is_found():
    """One that shows early."""
    (bug,) = (each for each in BUGS if each.name == "a body starts before its start is written")

    assert "schedule" in hunt(bug)
