"""Bodies that kill their process, and what the next process does about it."""

import signal
from typing import Any

import pytest

from orchwf.core import events as ev
from tests.processes.flows import Once, Poison, Saga
from tests.processes.place import Place, Refused, Worker, kinds

MOST = 2
"""How many owners may die in a row."""


def dies_on_entry(worker: Worker) -> None:
    """Let it take up what there is, which kills it."""
    worker.send("enter")
    assert -signal.SIGKILL == worker.ended()


def dies_of(worker: Worker, workflow: type, **inputs: object) -> None:
    """Let it start a run, which kills it."""
    worker.enter().send("start", workflow.__name__, "r", inputs, "raise")
    assert -signal.SIGKILL == worker.ended()


def test_a_run_that_kills_its_processes_is_parked_until_somebody_resumes_it(place: Place):
    """The next process finds it among the paused runs, with the reason; mended and resumed it completes."""
    mended = place.folder / "mended"
    victims = [place.worker(max_takeovers=MOST) for _ in range(MOST + 1)]
    worker, later, last = (place.worker(max_takeovers=MOST) for _ in range(3))
    dies_of(victims[0], Poison, mended=str(mended))
    for victim in victims[1:]:
        dies_on_entry(victim)

    result = worker.enter().wait()
    assert "paused" == result["status"]
    assert result["error"].startswith(f"dead letter: {MOST + 1} times in a row")
    assert {"r": result["error"]} == worker.do("listed", "paused") == later.enter().do("listed", "paused")
    _, log = place.read()
    assert ev.RunPaused(seq=len(log), at=log[-1].at, reason=result["error"], cause="takeovers") == log[-1]
    assert 0 == worker.leave()

    later.send("resume", "r", {})
    assert -signal.SIGKILL == later.ended()
    mended.touch()
    result = last.enter().wait()

    assert ("completed", {"first": 1, "drink": 2}) == (result["status"], result["outputs"])
    assert [("first", 1), *(("drink", attempt) for attempt in range(1, MOST + 4))] == place.noted("begin")
    log = place.check()
    reasons = [event.reason for event in log if isinstance(event, ev.RunResumed)]
    assert [*["takeover"] * (MOST + 1), "retry", "takeover"] == reasons
    assert 1 == kinds(log).count("run.paused")
    assert 0 == last.leave()


@pytest.mark.parametrize(
    ("answers", "charged", "told"),
    [
        ({"rerun": ["charge"]}, {"charge": 2}, 102),
        ({"skip": ["charge"]}, {}, 100),
        ({"values": {"charge": 7}}, {"charge": 7}, 107),
    ],
    ids=["rerun", "skip", "values"],
)
def test_a_step_that_runs_at_most_once_is_not_run_again(
    place: Place, answers: dict[str, Any], charged: dict[str, int], told: int
):
    """The run pauses in the next process and says why; yet another one resumes it with what became of the step."""
    victim, worker, later = (place.worker() for _ in range(3))
    dies_of(victim, Once)
    result = worker.enter().wait()

    assert "paused" == result["status"]
    assert "the process died while charge was in flight, which runs at most once" in result["error"]
    assert [("prepare", 1), ("charge", 1)] == place.noted("begin")
    with pytest.raises(Refused, match="UsageError: nobody knows whether step 'charge'"):
        worker.do("resume", "r", {})
    assert 0 == worker.leave()

    later.enter().do("resume", "r", answers)
    result = later.wait()

    assert ("completed", {"prepare": 1, "tell": told, **charged}) == (result["status"], result["outputs"])
    again = [("charge", 2)] if "rerun" in answers else []
    assert [("prepare", 1), ("charge", 1), *again, ("tell", 1)] == place.noted("begin")
    place.check()
    assert 0 == later.leave()


def test_a_death_while_something_is_undone_leaves_the_rest_to_the_next_process(place: Place):
    """What is undone stays so, the one in flight is done again, then what came before it, in the reverse order."""
    victim, worker = place.worker(), place.worker()
    dies_of(victim, Saga)
    result = worker.enter().wait()

    assert ("failed", "ValueError: it was to fail") == (result["status"], result["error"])
    begun = [("a", 1), ("b", 1), ("c", 1), ("fail", 1), ("c~", 1), ("b~", 1), ("b~", 2), ("a~", 1)]
    assert begun == place.noted("begin")
    log = place.check()
    assert [
        "step.failed fail", "compensation.started c", "compensation.completed c", "compensation.started b",
        "run.resumed", "compensation.started b", "compensation.completed b", "compensation.started a",
        "compensation.completed a", "run.failed",
    ] == kinds(log)[-10:]  # fmt: skip
    failed = log[-1]
    assert isinstance(failed, ev.RunFailed)
    assert "done" == failed.compensation
    with pytest.raises(Refused, match="NotResumableError"):
        worker.do("resume", "r", {})
    assert 0 == worker.leave()
