"""Owners that stand still for longer than their lease, and then go on."""

import os

import pytest

from orchwf.core import events as ev
from orchwf.core.events import Event
from tests.processes.flows import Stalled
from tests.processes.place import Place, Refused, Worker

LEASE = 2.0
_LONG_LEASE = 6.0
"""Of the one that takes over, and looks for what to take every third of it: a busy disk must not end it."""


def two(place: Place) -> list[Worker]:
    """The one that will stand still, and the one that will take over."""
    return place.entered({"lease": LEASE}, {"lease": _LONG_LEASE})


def check_taken_over_once(log: list[Event], *in_flight: str) -> None:
    """One takeover, in which just these steps ran again; nothing is there twice."""
    resumed = [event for event in log if isinstance(event, ev.RunResumed)]
    started = [(event.step, event.attempt) for event in log if isinstance(event, ev.StepStarted)]
    completed = [(event.step, event.attempt) for event in log if isinstance(event, ev.StepCompleted)]
    assert ["takeover"] == [event.reason for event in resumed]
    assert [(step, 1) for step in in_flight] + [(step, 2) for step in in_flight] + [("last", 1)] == started
    assert sorted([(step, 2) for step in in_flight] + [("last", 1)]) == sorted(completed)


def check_outputs(first: Worker, other: Worker) -> None:
    """Both say the same, and all of it is of the other one."""
    result = other.wait()
    assert result == first.wait()
    assert "completed" == result["status"]
    assert {other.pid} == set(result["outputs"].values())


def test_an_owner_that_stood_still_lets_go_of_what_was_taken(place: Place):
    """
    Its late results are refused, its coroutines are cancelled, and it goes on with other runs and ends in good order.
    """
    first, other = two(place)
    first.start(Stalled)
    for step in ("late", "endless", "threaded"):
        place.until(step, 1, "begin")
        other.do("open", step)

    first.stop()
    assert "completed" == other.wait()["status"]
    ended = place.check()
    # The first thing that it does when it goes on is to let two of its bodies return.
    first.send("open", "late")
    first.send("open", "threaded")
    first.go_on()
    assert [None, None] == [first.result(), first.result()]
    place.until("late", 1, "end")
    place.until("threaded", 1, "end")
    place.until("endless", 1, "cancelled")

    check_outputs(first, other)
    assert ended == place.check()
    check_taken_over_once(ended, "late", "endless", "threaded")
    assert 0 == other.leave()
    first.do("open", "endless")
    first.start(Stalled, "next")
    assert {first.pid} == set(first.wait("next")["outputs"].values())
    assert 0 == first.leave()


def test_an_owner_that_stood_still_between_its_steps_lets_go(place: Place):
    """A run that was taken, and has not ended, is not taken back."""
    first, other = two(place)
    first.start(Stalled)
    for step in ("late", "endless", "threaded"):
        place.until(step, 1, "begin")

    first.stop()
    for step in ("late", "endless", "threaded"):
        place.until(step, 2, "begin")
    first.go_on()
    place.until("endless", 1, "cancelled")
    place.until("late", 1, "cancelled")
    with pytest.raises(Refused, match=f"RunOwnedError.*process {other.pid} on"):
        first.do("resume", "r", {})
    for step in ("late", "endless", "threaded"):
        other.do("open", step)

    check_outputs(first, other)
    check_taken_over_once(place.check(), "late", "endless", "threaded")
    assert (0, 0) == (first.leave(), other.leave())


def test_an_owner_whose_loop_was_blocked_lets_go_of_what_was_taken(place: Place):
    """The same for a body that blocks the loop for longer than the lease, which nothing then renews."""
    fifo = place.folder / "fifo"
    os.mkfifo(fifo)
    first, other = two(place)
    first.send("start", "Blocked", "r", {"fifo": str(fifo)}, "raise")
    place.until("beside", 1, "begin")
    place.until("block", 1, "begin")

    assert "completed" == other.wait()["status"]
    ended = place.check()
    fifo.write_bytes(b"go on")
    place.until("block", 1, "end")
    place.until("beside", 1, "cancelled")

    assert "r" == first.result()
    check_outputs(first, other)
    assert ended == place.check()
    check_taken_over_once(ended, "beside", "block")
    assert (0, 0) == (first.leave(), other.leave())
