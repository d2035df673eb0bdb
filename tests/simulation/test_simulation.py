"""Many orchestrators over one faulty store, in simulated time: thousands of schedules, each from its seed."""

import os
import sys
from collections import Counter

import pytest

from tests.simulation.world import simulate

CHUNKS = 16
SCHEDULES = int(os.environ.get("ORCHWF_TEST_SCHEDULES") or (400 if sys.flags.dev_mode else 2000))
"""
How many lives are simulated, over all chunks; many more with `python -m tests.simulation`.

Python's development mode takes five times as long for each.
"""


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
