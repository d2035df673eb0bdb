"""What a run did is undone when it fails or is cancelled: which steps, in which order, once."""

from typing import Any

import pytest

from orchwf.core import events as ev
from orchwf.core.history import History
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Asked, Beat, Ended, Finished, Raised, Returned, SkippedItself, Stopped, TakenUp
from orchwf.core.state import RunStatus, StepStatus
from tests.kernel.graphs import BROKEN, Granted, Life, node

UNDO: dict[str, Any] = {}
FAILS = Raised(error=BROKEN, retryable=True)
TIMED_OUT_IN_A_THREAD = Raised(error=BROKEN, retryable=True, runs_on=True)


def saga(**last: Any) -> Life:
    """Two steps that can be undone, and one that fails."""
    life = Life(node("a", undo=UNDO), node("b", "a", undo=UNDO), node("c", "b", **last))
    life.returns("a", '"A"')
    life.returns("b", '"B"')
    return life


def ending(life: Life) -> tuple[RunStatus, str]:
    last = life.log[-1]
    assert isinstance(last, ev.RunFailed | ev.RunCancelled)
    return life.machine.run.status, last.compensation


def test_a_failed_run_is_undone_from_the_last_step_to_the_first():
    """One after the other, each once the one before has ended; then the run fails."""
    life = saga()

    assert ["step.failed c", "compensation.started b"] == life.fails("c")
    assert ["compensation.completed b", "compensation.started a"] == life.undoing("b")
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")
    assert (RunStatus.FAILED, "done") == ending(life)


def test_parallel_branches_are_undone_in_the_reverse_order_of_their_ends():
    """Whatever the order of definition or of the starts."""
    life = Life(*(node(name, undo=UNDO) for name in "abcd"), node("bad", *"abcd"))
    for name in "cadb":
        life.returns(name)

    followed = life.fails("bad")
    for name in "bdac":
        followed += life.undoing(name)

    undone = [event.step for event in life.log if isinstance(event, ev.CompensationStarted)]
    assert ["b", "d", "a", "c"] == undone
    assert "run.failed" == followed[-1]


def test_a_run_without_effects_ends_as_ever():
    """What failed, was skipped or never began has nothing to undo, and neither has a step without a compensation."""
    life = Life(node("plain"), node("bad", "plain", undo=UNDO), node("later", "bad", undo=UNDO))
    life.returns("plain")

    assert ["step.failed bad", "step.skipped later", "run.failed"] == life.fails("bad")
    assert (RunStatus.FAILED, "") == ending(life)


def test_a_completed_run_is_not_undone():
    """There is no reason to."""
    life = Life(node("a", undo=UNDO))

    assert ["step.completed a", "run.completed"] == life.returns("a")


def test_an_optional_failure_undoes_nothing():
    """The run goes on."""
    life = Life(node("a", undo=UNDO), node("b", "a", required=False))
    life.returns("a")

    assert ["step.failed b", "run.completed"] == life.fails("b")


def test_a_cancelled_run_is_undone_after_its_clean_up():
    """First what runs is stopped, then the clean-up, then the compensations, then the end."""
    life = Life(node("a", undo=UNDO), node("b", "a"), node("tidy", "b", join=Join.SETTLED))
    life.returns("a")

    life.turn(Asked("cancel", "m", "enough"))

    assert ["step.cancelled b", "step.started tidy"] == life.ends("b", Stopped())
    assert ["step.completed tidy", "compensation.started a"] == life.returns("tidy")
    assert ["compensation.completed a", "run.cancelled"] == life.undoing("a")
    assert (RunStatus.CANCELLED, "done") == ending(life)


def test_a_run_that_passed_its_deadline_is_undone():
    """And fails."""
    life = Life(node("a", undo=UNDO), node("b", "a"), deadline=10.0)
    life.returns("a")
    life.now = 111.0
    life.turn()

    assert ["step.cancelled b", "compensation.started a"] == life.ends("b", Stopped())
    life.undoing("a")
    assert (RunStatus.FAILED, "done") == ending(life)


def test_a_compensation_that_fails_does_not_stop_the_others():
    """The run ends with all that went wrong."""
    life = saga()
    life.fails("c")

    assert ["compensation.failed b", "compensation.started a"] == life.undoing("b", FAILS)
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")
    assert (RunStatus.FAILED, "failed") == ending(life)
    history = History("r").extend(life.log)
    undoing = history.steps["b"].compensation
    assert undoing is not None
    assert (StepStatus.FAILED, BROKEN) == (undoing.status, undoing.error)
    assert "failed" == history.compensation


def test_a_compensation_has_retries_of_its_own():
    """With their waits; nothing else is undone meanwhile."""
    life = Life(node("a", undo=UNDO), node("b", "a", undo={"retry": Retry(1, initial=5, jitter=None)}), node("c", "b"))
    life.returns("a")
    life.returns("b")
    life.fails("c")

    assert ["compensation.failed b"] == life.undoing("b", FAILS)
    failed = life.log[-1]
    assert isinstance(failed, ev.CompensationFailed)
    assert (5.0, 105.0) == (failed.delay, failed.due_at)
    assert [] == life.turn()
    life.now = 105.0
    assert ["compensation.started b"] == life.turn()
    assert ["compensation.completed b", "compensation.started a"] == life.undoing("b")


@pytest.mark.parametrize("outcome", [SkippedItself("nothing to do"), Stopped()])
def test_a_compensation_that_has_nothing_to_undo_has_undone_it(outcome: Any):
    """Skip is for that."""
    life = saga()
    life.fails("c")

    assert "compensation.completed b" == life.undoing("b", outcome)[0]


def test_a_crash_in_a_compensation_resumes_the_rest():
    """The one in flight runs again, what is undone stays undone, and the order is kept."""
    life = saga()
    life.fails("c")
    life.undoing("b")

    assert ["run.resumed", "compensation.started a"] == life.crashes()
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")
    assert (RunStatus.FAILED, "done") == ending(life)
    assert 2 == life.machine.run.attempts[life.plan.undo[0]]


def test_a_crash_between_failure_and_compensation():
    """What the log says is enough to go on."""
    life = saga()
    life.fails("c")
    life.log.pop()

    assert ["run.resumed", "compensation.started b"] == life.crashes()


def test_resumed_by_hand_in_the_midst_of_compensation_it_goes_on():
    """To try what failed again, when part of what it did is undone, would be wrong."""
    life = saga()
    life.fails("c")

    assert ["run.resumed", "compensation.started b"] == life.crashes(by_hand=True)
    resumed = life.log[-2]
    assert isinstance(resumed, ev.RunResumed)
    assert "undo" == resumed.reason


def test_what_could_not_be_undone_is_tried_again_by_hand():
    """In the same order; what is undone stays so, and the run ends as before."""
    life = saga()
    life.fails("c")
    life.undoing("b", FAILS)
    life.undoing("a", FAILS)

    assert ["run.resumed", "compensation.started b"] == life.crashes(by_hand=True)
    assert ["compensation.completed b", "compensation.started a"] == life.undoing("b")
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")
    assert (RunStatus.FAILED, "done") == ending(life)


def test_a_compensation_that_is_tried_again_by_hand_has_all_its_attempts():
    """However many it had before."""
    life = Life(node("a", undo={"retry": Retry(1, initial=0)}), node("b", "a"))
    life.returns("a")
    life.fails("b")
    life.undoing("a", FAILS)
    assert ["compensation.failed a", "run.failed"] == life.undoing("a", FAILS)
    life.crashes(by_hand=True)

    assert ["compensation.failed a", "compensation.started a"] == life.undoing("a", FAILS)
    assert ["compensation.failed a", "run.failed"] == life.undoing("a", FAILS)
    assert (RunStatus.FAILED, "failed") == ending(life)


def test_a_cancelled_run_whose_compensation_failed_is_tried_again_by_hand():
    """It stays cancelled."""
    life = saga()
    life.turn(Asked("cancel", "m"))
    life.ends("c", Stopped())
    life.undoing("b", FAILS)
    life.undoing("a")
    assert (RunStatus.CANCELLED, "failed") == ending(life)

    assert ["run.resumed", "compensation.started b"] == life.crashes(by_hand=True)
    assert ["compensation.completed b", "run.cancelled"] == life.undoing("b")
    assert (RunStatus.CANCELLED, "done") == ending(life)


# Steps of which nobody knows whether they had their effect.


def test_a_step_in_flight_when_its_process_died_may_have_had_its_effect():
    """If it does not complete afterwards, it is undone without its output."""
    life = Life(node("a", undo=UNDO), node("b"))
    life.crashes()
    life.fails("b")

    followed = life.fails("a", retryable=False)

    assert ["step.failed a", "compensation.started a"] == followed
    assert {} == life.machine.run.outputs


def test_a_step_in_flight_that_completes_afterwards_is_undone_once():
    """With its output."""
    life = Life(node("a", undo=UNDO), node("b", "a"))
    life.crashes()
    life.returns("a", '"A"')

    assert ["step.failed b", "compensation.started a"] == life.fails("b")
    assert {0: '"A"'} == life.machine.run.outputs
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")


def test_an_attempt_that_timed_out_in_a_thread_may_have_its_effect():
    """Its thread runs on."""
    life = Life(node("a", undo=UNDO))

    assert ["step.failed a", "compensation.started a"] == life.ends("a", TIMED_OUT_IN_A_THREAD)


def test_a_thread_that_timed_out_before_a_retry_counts_too():
    """The second attempt failed for certain, the first one did not."""
    life = Life(node("a", undo=UNDO, retry=Retry(1, initial=0)))
    life.ends("a", TIMED_OUT_IN_A_THREAD)

    assert ["step.failed a", "compensation.started a"] == life.fails("a")


def test_a_thread_that_was_stopped_may_have_its_effect():
    """As by a cancellation."""
    life = Life(node("a", undo=UNDO))
    life.turn(Asked("cancel", "m"))

    assert ["step.cancelled a", "compensation.started a"] == life.ends("a", Stopped(runs_on=True))


@pytest.mark.parametrize("outcome", [FAILS, SkippedItself("no")])
def test_an_attempt_that_ended_by_itself_had_no_effect(outcome: Any):
    """A body that raises has not done it."""
    life = Life(node("a", undo=UNDO, retry=Retry(0)), node("bad"))
    life.ends("a", outcome)
    if life.machine.run.status is RunStatus.RUNNING:
        life.fails("bad")

    assert not [event for event in life.log if isinstance(event, ev.CompensationEvent)]


@pytest.mark.parametrize("options", [{}, {"on_exhausted": "pause"}])
def test_what_failed_and_is_tried_again_by_hand_had_no_effect(options: dict[str, Any]):
    """No more than if it were not tried again."""
    life = Life(node("a", undo=UNDO, **options), node("b"), node("c", "b"))
    life.turn(Asked("pause", "m"))
    life.fails("a")
    life.returns("b")

    assert ["run.resumed", "step.started a", "step.started c"] == life.crashes(by_hand=True)
    life.turn(Asked("cancel", "n"))
    life.ends("a", Stopped())
    assert ["step.cancelled c", "run.cancelled"] == life.ends("c", Stopped())


def test_a_coroutine_that_was_stopped_had_no_effect():
    """It got CancelledError, and could do what it had to."""
    life = Life(node("a", undo=UNDO))
    life.turn(Asked("cancel", "m"))

    assert ["step.cancelled a", "run.cancelled"] == life.ends("a", Stopped())


def test_a_step_that_runs_at_most_once_and_is_skipped_by_hand_is_not_undone():
    """Somebody said what became of it."""
    life = Life(node("a", undo=UNDO, delivery="at_most_once"), node("b"))
    life.fails("b")
    life.crashes()

    life.crashes(by_hand=True, skipped=(0,))

    assert not [event for event in life.log if isinstance(event, ev.CompensationEvent)]


def test_a_step_whose_value_somebody_gave_is_undone():
    """It had its effect."""
    life = Life(node("a", undo=UNDO, delivery="at_most_once"), node("b", "a"))
    life.crashes()
    life.crashes(by_hand=True, given={0: '"A"'})

    assert ["step.failed b", "compensation.started a"] == life.fails("b")
    assert {0: '"A"'} == life.machine.run.outputs


def test_what_a_fork_reuses_is_not_undone_by_it():
    """It is the other run's."""
    life = Life(node("a", undo=UNDO), node("b", "a"))
    reused = [ev.StepCompleted(seq=0, at=0.0, step="a", output="1")]
    fork = Life(node("a", undo=UNDO), node("b", "a"), begun={"origin": "r0", "reused": reused})

    assert ["run.started", "step.completed a", "step.started b"] == fork.spoken
    assert ["step.failed b", "run.failed"] == fork.fails("b")
    assert "r0" == History("r").extend(fork.log).origin
    assert "" == History("r").extend(life.log).origin


def test_a_step_that_was_undone_has_no_other_end():
    """What comes late from its compensation changes nothing."""
    life = saga()
    life.fails("c")
    number = life.plan.undo[1]
    life.undoing("b")

    assert [] == life.turn(Ended(number, 1, Returned("null")), Beat(number, 1, "1"))


def test_compensations_wait_for_their_turn():
    """A place that is offered too early is not taken."""
    life = saga()
    first, second = life.plan.undo[0], life.plan.undo[1]

    assert [] == life.turn(Granted(first), Granted(second))
    life.fails("c")
    assert [] == life.turn(Granted(first))


def test_a_pause_holds_compensations():
    """What runs may end, and the rest waits for somebody."""
    life = saga()
    life.fails("c")
    life.turn(Asked("pause", "m", "look first"))

    assert ["compensation.completed b", "run.paused"] == life.undoing("b")
    assert ["run.resumed", "compensation.started a"] == life.crashes(by_hand=True)


def test_a_termination_undoes_nothing_more():
    """The rest of the compensations is left, and the run says so."""
    life = saga()
    life.fails("c")

    assert ["signal.received", "run.cancelled"] == life.turn(Asked("terminate", "m", "now"))
    assert (RunStatus.CANCELLED, "failed") == ending(life)


def test_a_compensation_of_a_step_that_is_gone_from_the_definition():
    """Its events mean nothing to the new graph."""
    life = saga()
    life.fails("c")
    other = Life(node("a", undo=UNDO), node("x", undo=UNDO), node("y", undo=UNDO))
    machine = other.new_machine()

    machine.replay(life.log)

    assert [0] == machine.run.effects.order
    assert {StepStatus.PENDING} == {machine.run.statuses[number] for number in other.plan.undone_by}


def test_a_step_that_ran_again_is_undone_once():
    """By what it ended with last, in the order of these ends."""
    life = Life(node("a", undo=UNDO), node("b", undo=UNDO), node("c", "a", "b"))
    life.returns("a", '"A"')
    life.returns("b")
    assert ["run.resumed", "step.started a"] == life.crashes(reset=("a",))
    life.returns("a", '"B"')

    assert ["step.failed c", "compensation.started a"] == life.fails("c")
    assert '"B"' == life.machine.run.outputs[0]
    assert ["compensation.completed a", "compensation.started b"] == life.undoing("a")
    assert ["compensation.completed b", "run.failed"] == life.undoing("b")


def test_a_step_that_runs_again_since_its_inputs_changed_may_have_had_its_effect():
    """If it does not complete again, it is undone all the same."""
    life = Life(node("a", undo=UNDO), node("b"))
    life.returns("a")
    assert ["run.resumed", "step.started a", "step.started b"] == life.crashes(reset=("a",))

    followed = life.fails("a")

    assert ["step.failed a"] == followed
    assert ["step.failed b", "compensation.started a"] == life.fails("b")


def test_the_turn_is_whole_for_a_taken_up_run():
    """Everything that follows from a resume is in its turn."""
    life = saga()
    machine = life.new_machine()
    machine.replay(life.log)

    turn = machine.turn([TakenUp(fingerprint="f")], life.now)

    assert ([event.kind for event in turn.events], [life.number("c")]) == (["run.resumed"], turn.ready)


def test_what_undoes_a_step_finishes_nothing():
    """`Finish` there means that it is done, as `Skip` does: the run failed, and still has."""
    life = saga()
    life.fails("c")

    followed = life.undoing("b", Finished("1"))

    assert ["compensation.completed b", "compensation.started a"] == followed
