"""Processes that die where runs have items, wait, or start other runs, and what the next process does about it."""

import signal

from orchwf.core import events as ev
from tests.processes.flows import Heap, Mail, Quiet, Stream
from tests.processes.place import Place, Worker, kinds


def dies(worker: Worker) -> None:
    assert -signal.SIGKILL == worker.ended()


def name_of(event: ev.StepStarted | ev.StepCompleted) -> str:
    """As it is noted."""
    return event.step if event.item is None else f"{event.step}[{event.item}]"


def test_a_death_in_the_midst_of_items_costs_those_in_flight(place: Place):
    """What is stored of them does not run again; those that were in flight do, and what was never begun runs once."""
    victim, worker = place.worker(), place.worker()
    victim.enter().send("start", Heap.__name__, "r", {}, "raise")
    dies(victim)
    _, before = place.read()
    begun = place.noted("begin")
    result = worker.enter().wait()

    assert ("completed", sum(range(11, 21))) == (result["status"], result["outputs"]["total"])
    assert before == place.check()[: len(before)]
    stored = {name_of(event) for event in before if isinstance(event, ev.StepCompleted)}
    started = {name_of(event) for event in before if isinstance(event, ev.StepStarted)}
    every = {"load", "total", *(f"{step}[{item}]" for step in ("sift", "wash") for item in range(10))}
    again = place.noted("begin")[len(begun) :]
    assert sorted((name, 2 if name in started else 1) for name in every - stored) == sorted(again)
    assert ("sift[5]", 2) in again
    assert {(name, 1) for name in stored} <= set(begun)
    assert 0 == worker.leave()


def test_a_generator_that_dies_gives_what_is_not_stored(place: Place):
    """It begins anew, and what it had given stands: the items before that are not run again."""
    victim, worker = place.worker(), place.worker()
    victim.enter().send("start", Stream.__name__, "r", {}, "raise")
    for item in range(3):
        place.until(f"parse[{item}]", 1, "kept")
    victim.send("open", "lines")
    dies(victim)
    result = worker.enter().wait()

    assert ("completed", sum(range(1, 7))) == (result["status"], result["outputs"]["total"])
    assert [("lines", 1), ("lines", 2)] == [each for each in place.noted("begin") if each[0] == "lines"]
    parsed = [each for each in place.noted("begin") if each[0].startswith("parse")]
    assert sorted(parsed) == [(f"parse[{item}]", 1) for item in range(6)]
    place.check()
    assert 0 == worker.leave()


def test_a_run_that_waits_outlives_its_processes(place: Place):
    """A word counts that is sent by another process, and a timer goes on while nobody is there; it fires once."""
    first, second, third = (place.worker() for _ in range(3))
    first.enter().start(Quiet)
    place.until("first", 1, "kept")
    first.kill()
    second.enter().do("send", "r", "word", 7)
    place.until("word", 0, "heard")
    second.kill()
    result = third.enter().wait()

    assert ("completed", 7) == (result["status"], result["outputs"]["last"])
    assert [("first", 1), ("last", 1)] == place.noted("begin")
    log = place.check()
    (timer,) = (event for event in log if isinstance(event, ev.TimerSet) and event.step == "nap")
    (fired,) = (event for event in log if isinstance(event, ev.TimerFired))
    assert timer.due_at is not None
    assert fired.at >= timer.due_at
    assert 1 == kinds(log).count("signal.received")
    assert 0 == third.leave()


def test_a_run_that_kills_its_process_is_taken_up_with_the_one_that_started_it(place: Place):
    """Each of them goes on where it was; none is started twice, and the one that waits hears how they end."""
    victim, worker = place.worker(), place.worker()
    victim.enter().send("start", Mail.__name__, "r", {}, "raise")
    dies(victim)
    result = worker.enter().wait()

    assert ("completed", 1) == (result["status"], result["outputs"]["tell"])
    log = place.check()
    children = {event.item: event.child for event in log if isinstance(event, ev.ChildStarted)}
    assert {0, 1, 2} == set(children)
    for child in children.values():
        (done,) = (
            event for event in place.check(child) if isinstance(event, ev.StepCompleted) and event.step == "post"
        )
        posted = [attempt for step, attempt in place.noted("begin", child) if step == "post"]
        # One that was in flight, too, runs once more; what was noted of it before is up to when the process died.
        assert posted in ([1], [1, 2], [2])
        assert done.attempt == posted[-1]
    assert [("post", 1), ("post", 2)] == place.noted("begin", children[1])[-2:]
    assert 0 == worker.leave()
