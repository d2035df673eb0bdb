"""Two processes that want the same run at the same instant."""

from collections.abc import Iterator, Sequence

import pytest

from orchwf.core.events import RunResumed
from tests.processes.flows import Fragile
from tests.processes.place import Place, Refused, Worker, kinds

RACES = 50


@pytest.fixture
def racers(place: Place) -> Iterator[tuple[Worker, Worker]]:
    """Two processes on one store, which leave in good order."""
    one, other = place.entered({}, {})

    yield one, other

    assert (0, 0) == (one.leave(), other.leave())


def at_once(racers: Sequence[Worker], *command: object) -> list[object]:
    """What came of a command that both were told at the same time: a value, or the class of the error."""
    for racer in racers:
        racer.send(*command)
    return [_outcome(racer) for racer in racers]


def _outcome(racer: Worker) -> object:
    try:
        return racer.result()
    except Refused as refused:
        return refused.kind


def test_a_failed_run_that_two_resume_is_resumed_once(place: Place, racers: tuple[Worker, Worker]):
    """Each step runs once in all; whoever comes late is told that it is owned, or that it has completed."""
    mended = place.folder / "mended"
    names = [f"r{number}" for number in range(RACES)]
    for name in names:
        racers[0].start(Fragile, name, mended=str(mended))
        assert "failed" == racers[0].wait(name)["status"]
    mended.touch()

    for number, name in enumerate(names):
        outcomes = at_once(racers[:: -1 if number % 2 else 1], "resume", name, {})
        results = [racer.wait(name) for racer in racers]

        assert name in outcomes
        assert {*outcomes} <= {name, "RunOwnedError", "NotResumableError"}
        assert 1 == outcomes.count(name)
        assert results[0] == results[1]
        assert ("completed", 3) == (results[0]["status"], results[0]["outputs"]["third"])
        log = place.check(name)
        assert 1 == sum(isinstance(event, RunResumed) for event in log)
        assert [("first", 1), ("second", 1), ("second", 2), ("third", 1)] == place.noted("begin", name)


@pytest.mark.parametrize("on_duplicate", ["raise", "attach"])
def test_a_run_that_two_start_is_started_once(place: Place, racers: tuple[Worker, Worker], on_duplicate: str):
    """The other one is told that it exists, or gets the same run."""
    mended = place.folder / "mended"
    mended.touch()

    for number in range(RACES):
        name = f"r{number}"
        outcomes = at_once(
            racers[:: -1 if number % 2 else 1], "start", "Fragile", name, {"mended": str(mended)}, on_duplicate
        )
        results = [racer.wait(name) for racer in racers]

        assert sorted([name, "RunExistsError" if on_duplicate == "raise" else name]) == sorted(map(str, outcomes))
        assert results[0] == results[1]
        assert "completed" == results[0]["status"]
        log = place.check(name)
        assert 1 == kinds(log).count("run.started")
        assert "run.resumed" not in kinds(log)
        assert [("first", 1), ("second", 1), ("third", 1)] == place.noted("begin", name)
