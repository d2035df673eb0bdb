"""Processes and their PostgreSQL server that die, all of them; more with `tests.processes --restarts`."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import Cluster, NoServerError, in_schema, own_server
from tests.processes.outage import SAFE, Outage, Program, Serving, Sharing
from tests.processes.place import Place
from tests.processes.shared import SharedSchema

RUNS = 40


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A server that loses nothing and may be killed."""
    try:
        with own_server(tmp_path, **SAFE) as cluster:
            yield cluster
    except NoServerError as error:
        pytest.skip(str(error))


PROGRAMS: dict[str, Callable[[Place], Program]] = {
    "orchestrators": lambda place: Sharing(place, size=4, runs=RUNS),
    "command": lambda place: Serving(place, runs=RUNS),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_run_outlives_its_processes_and_its_server(cluster: Cluster, tmp_path: Path, program: str):
    """Each ends, each of its steps is completed once, and what was completed is not run again."""
    place = Place(tmp_path, SharedSchema(in_schema(cluster.url, "orchwf")))
    outage = Outage(
        place=place, program=PROGRAMS[program](place), cluster=cluster, draw=random.Random(), size=4, runs=RUNS,
        pause=(2.0, 4.0), most_notes=400,
    )  # fmt: skip

    try:
        outage.live(restarts=2)
    finally:
        place.close()

    assert (RUNS, 2) == (outage.counts["runs"], outage.counts["restarts of the server"])
    assert RUNS * 10 == outage.counts["steps completed"]
    assert outage.counts["kills"] > 0
    assert "Traceback" not in place.errors.read_text()
