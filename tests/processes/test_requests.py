"""Requests to cancel, terminate or pause a run, from another process than the one that executes it."""

from typing import Any

import pytest

from orchwf.core import events as ev
from orchwf.core.events import Event
from tests.processes.flows import Patient
from tests.processes.place import Place, Worker, check_ended, kinds

ENDS = {
    "cancel": ["step.completed tidy", "compensation.started first", "compensation.completed first", "run.cancelled"],
    "terminate": ["step.cancelled tidy", "run.cancelled"],
    "pause": ["run.paused"],
}
"""What is asked -> how the log ends then."""

STATUSES = {"cancel": "cancelled", "terminate": "cancelled", "pause": "paused"}

_HERE: dict[str, object] = {"lease": 5.0}
_ELSEWHERE: dict[str, object] = {**_HERE, "workflows": []}
"""Of one that has not the code."""

asked = pytest.mark.parametrize("signal", ENDS)


def begun(place: Place, *others: dict[str, object]) -> list[Worker]:
    """A process that executes a run, which is in its second step, and others with these options."""
    workers = place.entered(_HERE, *others)
    workers[0].start(Patient)
    place.until("wait", 1, "begin")
    return workers


def check_one_outcome(place: Place, signal: str, *workers: Worker) -> list[Event]:
    """The log, which ends as was asked, once, and says the same as the summary and as every process."""
    results = [worker.wait() for worker in workers]
    record, log = place.read()
    last = log[-1]
    assert isinstance(last, ev.RunCancelled | ev.RunPaused)
    told: list[dict[str, Any]] = [{**result, "outputs": None} for result in results]
    assert [{"status": STATUSES[signal], "error": "enough", "outputs": None}] * len(workers) == told
    assert (STATUSES[signal], "enough") == (str(record.status), record.error)
    assert "enough" == last.reason
    assert ENDS[signal] == kinds(log)[-len(ENDS[signal]) :]
    assert 1 == sum(isinstance(event, ev.SignalReceived) for event in log)
    assert 1 == sum(isinstance(event, ev.RunCancelled | ev.RunPaused) for event in log)
    assert record.owner is None
    if signal != "pause":
        check_ended(record, log)
    return log


@asked
def test_a_run_that_another_process_executes(place: Place, signal: str):
    """Its owner does it."""
    owner, other = begun(place, _HERE)

    other.do("ask", signal, "r", "enough")
    if signal == "pause":
        # What runs may end.
        place.until("pause", 0, "heard")
        owner.do("open", "wait")

    log = check_one_outcome(place, signal, owner, other)
    assert "run.resumed" not in kinds(log)
    assert (0, 0) == (owner.leave(), other.leave())


@asked
def test_a_run_that_nobody_executes(place: Place, signal: str):
    """Whoever asks takes it up for that, or finds it taken up already."""
    owner, other = begun(place, _HERE)
    other.do("open", "wait")

    owner.kill()
    other.do("ask", signal, "r", "enough")

    log = check_one_outcome(place, signal, other)
    assert ["takeover"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]
    assert 0 == other.leave()


@asked
def test_a_run_that_nobody_executes_and_whose_code_is_elsewhere(place: Place, signal: str):
    """A termination needs no code; for the others the next process that has it takes the run up, and heeds them."""
    owner, other = begun(place, _ELSEWHERE)
    owner.kill()

    other.do("ask", signal, "r", "enough")
    following = place.worker(**_HERE).enter()

    log = check_one_outcome(place, signal, other, following)
    assert ["takeover"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]
    assert 1 == kinds(log).count("step.started wait")
    assert (0, 0) == (other.leave(), following.leave())


@pytest.mark.parametrize("signal", ["cancel", "terminate"])
def test_a_paused_run(place: Place, signal: str):
    """It is taken up for that, also where the process that asks has not the code."""
    owner, other = begun(place, _ELSEWHERE)
    owner.do("ask", "pause", "r", "first")
    place.until("pause", 0, "heard")
    owner.do("open", "wait")
    assert "paused" == owner.wait()["status"]

    other.do("ask", signal, "r", "enough")
    if signal == "cancel":
        # Those that have the code look for such requests every third of their lease, and when they enter.
        assert 0 == owner.leave()
        owner = place.worker(**_HERE).enter()

    results = [owner.wait(), other.wait()]
    record, log = place.read()
    assert ["cancelled"] * 2 == [result["status"] for result in results]
    assert ["enough"] * 2 == [result["error"] for result in results]
    assert ("cancelled", "enough") == (str(record.status), record.error)
    assert ENDS[signal] == kinds(log)[-len(ENDS[signal]) :]
    assert ["cancel"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]
    check_ended(record, log)
    assert (0, 0) == (owner.leave(), other.leave())


def test_a_pause_of_a_paused_run_changes_nothing(place: Place):
    """It goes on, once resumed, to its end."""
    owner, other = begun(place, _HERE)
    other.do("ask", "pause", "r", "enough")
    place.until("pause", 0, "heard")
    owner.do("open", "wait")
    before = check_one_outcome(place, "pause", owner, other)

    other.do("ask", "pause", "r", "again")
    assert before == place.read()[1]
    other.do("resume", "r", {})

    assert "completed" == owner.wait()["status"] == other.wait()["status"]
    assert ["retry"] == [event.reason for event in place.check() if isinstance(event, ev.RunResumed)]
    assert (0, 0) == (owner.leave(), other.leave())


def test_requests_that_come_at_once_have_one_outcome(place: Place):
    """Whatever the order in which they were heard; and nothing is asked of what has ended."""
    owner, *others = begun(place, *[_HERE] * 3)

    for other, signal in zip(others, ["pause", "cancel", "terminate"], strict=True):
        other.send("ask", signal, "r", signal)
    assert [None] * 3 == [other.result() for other in others]
    results = [worker.wait() for worker in (owner, *others)]

    record, log = place.read()
    assert [results[0]] * 4 == results
    assert results[0]["status"] == "cancelled" == str(record.status)
    assert results[0]["error"] == record.error
    assert record.error in ("cancel", "terminate")
    check_ended(record, log)
    for worker in (owner, *others):
        worker.do("ask", "cancel", "r", "late")
    assert log == place.read()[1]
    assert [0] * 4 == [worker.leave() for worker in (owner, *others)]
