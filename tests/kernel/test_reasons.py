"""What the log says about why: reasons, causes and errors that people read."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Asked, Beat, Ended, Raised, Returned, SkippedItself, Stopped
from tests.kernel.graphs import BROKEN, Life, node, reading


def why(life: Life, name: str) -> tuple[str, str]:
    """The cause and the reason of the end of this step."""
    last = life.last(name)
    assert isinstance(last, ev.StepSkipped | ev.StepCancelled)
    return last.cause, last.reason


def test_a_failing_run_names_what_failed():
    """What it cancels for that says so; what needs one of these is skipped, for the same cause."""
    life = Life(node("bad"), node("slow"), node("next", "slow"), node("after", "next"))
    life.fails("bad")

    assert ("failure", "the run fails: bad failed") == why(life, "next")
    assert ("failure", "next was cancelled") == why(life, "after")


def test_the_first_of_several_failures_is_named():
    """It is what the run fails for."""
    life = Life(node("b"), node("a"), node("slow"), node("next", "slow"))

    life.turn(*(Ended(life.number(name), 1, Raised(error=BROKEN, retryable=False)) for name in "ab"))

    assert "the run fails: a failed" == why(life, "next")[1]
    life.returns("slow")
    assert isinstance(end := life.log[-1], ev.RunFailed)
    assert ("a", "b") == end.steps


@pytest.mark.parametrize(("said", "told"), [("", ""), ("enough", ": enough")])
def test_a_cancelled_run_gives_its_reason(said: str, told: str):
    """If there is one."""
    life = Life(node("a"), node("b", "a"))
    life.turn(Asked("cancel", "m", said))
    life.ends("a", Stopped())

    reason = f"the run was cancelled{told}"
    assert [("run", reason)] * 2 == [why(life, name) for name in "ab"]
    assert isinstance(end := life.log[-1], ev.RunCancelled)
    assert (said, "") == (end.reason, end.compensation)


@pytest.mark.parametrize(("said", "told"), [("", ""), ("now", ": now")])
def test_a_terminated_run_gives_its_reason(said: str, told: str):
    """If there is one."""
    life = Life(node("a"), node("b", "a"))

    life.turn(Asked("terminate", "m", said))

    assert [("run", f"the run was terminated{told}")] * 2 == [why(life, name) for name in "ab"]
    assert isinstance(end := life.log[-1], ev.RunCancelled)
    assert said == end.reason


def test_a_run_that_is_late_says_by_which_deadline():
    """Of what was stopped, and of what never began."""
    life = Life(node("a"), node("b", "a"), deadline=90.0)
    life.now += 90

    life.turn()
    life.ends("a", Stopped())

    assert [("deadline", "the run passed its deadline of 90 s")] * 2 == [why(life, name) for name in "ab"]


def test_a_body_that_skips_itself_gives_the_reason():
    """And is the cause."""
    life = Life(node("a"))

    life.ends("a", SkippedItself("nothing to do"))

    assert ("body", "nothing to do") == why(life, "a")


def test_what_somebody_skips_says_so():
    """The next one to look knows that it was no decision of the workflow."""
    life = Life(node("a", delivery="at_most_once"))
    life.crashes()

    life.crashes(by_hand=True, skipped=(0,))

    assert ("person", "somebody said so when the run was resumed") == why(life, "a")


def test_several_steps_of_unknown_fate_are_all_named():
    """In the order of their starts, with what can be done."""
    life = Life(node("a", delivery="at_most_once"), node("b", delivery="at_most_once"))

    life.crashes()

    assert isinstance(pause := life.log[-1], ev.RunPaused)
    assert pause.reason == (
        "the process died while a, b was in flight, which runs at most once: "
        "resume the run with what became of it, as rerun, skip, or its value"
    )


def test_a_step_that_used_up_its_time_says_how_long_it_had():
    """As the time-out of an attempt does."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None), total_timeout=10.0))
    life.fails("a")
    life.now += 20

    life.turn()

    assert isinstance(failed := life.last("a"), ev.StepFailed)
    assert ErrorInfo(
        "orchwf.errors.StepTimeoutError", "step 'a' used up its total_timeout of 10 s"
    ) == failed.error  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "named"),
    [("fcs", "b failed"), ("csf", "d failed"), ("scs", "c was cancelled"), ("sss", "b was skipped")],
)
def test_the_worst_end_is_named_and_of_those_the_earliest(ends: str, named: str):
    """Failed before cancelled before skipped."""
    outcomes: dict[str, Any] = {
        "f": Raised(error=BROKEN, retryable=False), "c": Stopped(), "s": SkippedItself("no"),
    }  # fmt: skip
    life = Life(*(node(name, required=False) for name in "bcd"), node("e", "b", "c", "d"))

    life.turn(*(Ended(number, 1, outcomes[end]) for number, end in enumerate(ends)))

    assert named == why(life, "e")[1]


def test_a_resume_names_what_failed_in_a_run_that_had_not():
    """A run that has failed says that itself."""
    paused, failed = Life(node("a"), node("b"), node("c", "b")), Life(node("a"))
    paused.turn(Asked("pause", "m"))
    paused.fails("a")
    paused.returns("b")
    failed.fails("a")

    resumes = []
    for life in (paused, failed):
        life.crashes(by_hand=True)
        resumes.append(next(event for event in life.log if isinstance(event, ev.RunResumed)))

    assert [("a",), ()] == [resumed.reset for resumed in resumes]
    assert [(), ()] == [resumed.rerun for resumed in resumes]


def test_a_resume_names_what_is_to_run_again():
    """The answer is in the log, with the definition with which the run goes on."""
    life = Life(node("a", delivery="at_most_once"))
    life.crashes()

    life.crashes(by_hand=True, rerun=(0,))

    resumed = [event for event in life.log if isinstance(event, ev.RunResumed)][-1]
    assert (("a",), (), "f", "retry") == (resumed.rerun, resumed.reset, resumed.fingerprint, resumed.reason)


def test_what_a_fork_reuses_happened_now_and_without_an_attempt():
    """Whatever the other run did for it."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a", "[1]")
    ended = [event for event in life.log if isinstance(event, ev.StepCompleted)]

    fork = Life(node("a", undo={}), reading(node("b", "a")), begun={"reused": [attrs.evolve(ended[0], at=5.0)]})

    assert ev.StepCompleted(seq=2, at=100.0, step="a", attempt=0, output="[1]") == fork.log[1]
    assert ["step.failed b", "run.failed"] == fork.fails("b")


def test_a_failure_of_a_clean_up_names_the_first_failure_as_the_error():
    """All are named."""
    life = Life(node("a"), node("tidy", "a", join=Join.SETTLED))
    life.fails("a")
    life.ends("tidy", Raised(error=ErrorInfo("OSError", "full\ndisk"), retryable=False))

    assert isinstance(end := life.log[-1], ev.RunFailed)
    assert (("a", "tidy"), "ValueError: broken") == (end.steps, end.error)


def test_a_heartbeat_says_of_which_attempt_it_is():
    """And how far it is."""
    life = Life(node("a", retry=Retry(1, initial=0)))
    life.fails("a")

    life.turn(Beat(0, 2, "[7]"))

    assert isinstance(beat := life.log[-1], ev.StepHeartbeat)
    assert (2, "[7]") == (beat.attempt, beat.progress)
    assert ["step.completed a", "run.completed"] == life.ends("a", Returned("1"))
