"""Processes on one store that are killed at random moments and replaced, many times; more with `tests.processes`."""

import random

import pytest

from tests.processes.place import Place
from tests.processes.pool import Pool

KILLS = 50


@pytest.mark.slow
def test_a_pool_outlives_kills_at_random_moments(place: Place):
    """
    Every run ends as it should, the file stays sound, logs only grow, no body begins after its completion was stored,
    what completed has taken effect, and each log holds.
    """
    pool = Pool(place, random.Random())
    pool.open()

    for _ in range(KILLS):
        pool.kill()
    pool.finish()

    assert KILLS == pool.counts["kills"]
    assert pool.counts["takeovers"] > 0
    assert pool.counts["bodies run again"] > 0
