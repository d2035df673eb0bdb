"""Processes on one store that are killed at random moments and replaced, many times; more with `tests.processes`."""

import random

from tests.processes.place import Place
from tests.processes.pool import Pool

KILLS = 50
KILLS_ON_POSTGRES = 15


def test_a_pool_outlives_kills_at_random_moments(place: Place):
    """
    Every run ends as it should, the store stays sound, logs only grow, no body begins after its completion was stored,
    what completed has taken effect, and each log holds.
    """
    outlive(place, KILLS)


def test_a_pool_outlives_kills_on_one_server(schema_place: Place):
    """The same in a PostgreSQL database."""
    outlive(schema_place, KILLS_ON_POSTGRES)


def outlive(place: Place, kills: int) -> None:
    """Kill so many."""
    pool = Pool(place, random.Random())
    pool.open()

    for _ in range(kills):
        pool.kill()
    pool.finish()

    assert kills == pool.counts["kills"]
    assert pool.counts["takeovers"] > 0
    assert pool.counts["bodies run again"] > 0
