"""Runs that wait for somebody, and what is asked of them: pause, cancel, terminate, and what a resume answers."""

from typing import Any

import pytest

from orchwf.core import events as ev
from orchwf.core.history import History
from orchwf.core.options import Join, Quorum, Retry
from orchwf.core.outcome import Asked, Beat, Ended, Raised, Returned, Stopped, TakenUp
from orchwf.core.state import RunStatus, StepStatus
from tests.kernel.graphs import BEGUN, BROKEN, Granted, Life, node, reading

ONCE: dict[str, Any] = {"delivery": "at_most_once"}


def paused(life: Life) -> tuple[str, str]:
    """The cause and the reason of the pause with which the log ends."""
    last = life.log[-1]
    assert isinstance(last, ev.RunPaused)
    assert RunStatus.PAUSED is life.machine.run.status
    return last.cause, last.reason


# Asked to pause.


def test_a_pause_lets_what_runs_end():
    """Nothing new starts meanwhile, and the run is paused when nothing runs."""
    life = Life(node("a"), node("b"), node("c", "a"))

    assert ["signal.received"] == life.turn(Asked("pause", "m", "lunch"))
    assert ["step.completed a"] == life.returns("a")
    assert ["step.completed b", "run.paused"] == life.returns("b")
    assert ("request", "lunch") == paused(life)


def test_the_first_who_asks_for_a_pause_gives_the_reason():
    """Until somebody resumes the run."""
    life = Life(node("a"), node("b", "a"), node("c", "b"))
    life.turn(Asked("pause", "m", "lunch"), Asked("pause", "n", "dinner"))
    life.returns("a")
    assert ("request", "lunch") == paused(life)
    life.crashes(by_hand=True)

    life.turn(Asked("pause", "o", "tea"))
    life.returns("b")

    assert ("request", "tea") == paused(life)


def test_a_pause_does_not_wait_for_a_retry():
    """The next attempt is made after the resume, when it is due."""
    life = Life(node("a", retry=Retry(1, initial=60, jitter=None)))
    life.fails("a")

    assert ["signal.received", "run.paused"] == life.turn(Asked("pause", "m"))
    life.now += 10
    assert ["run.resumed"] == life.crashes(by_hand=True)
    life.now += 60
    assert ["step.started a"] == life.turn()


def test_a_paused_run_goes_on_where_it_was():
    """With a fresh budget of attempts."""
    life = Life(node("a", retry=Retry(1, initial=0)), node("b", "a"))
    life.turn(Asked("pause", "m"))
    life.fails("a")

    assert ["run.resumed", "step.started a"] == life.crashes(by_hand=True)
    assert ["step.retrying a", "step.started a"] == life.fails("a")


def test_a_pause_that_comes_with_the_last_completion_is_too_late():
    """There is nothing to pause."""
    life = Life(node("a"))

    followed = life.turn(Asked("pause", "m"), Ended(0, 1, Returned("1")))

    assert ["signal.received", "step.completed a", "run.completed"] == followed


def test_a_failed_run_that_is_asked_to_pause_is_paused_first():
    """It has not failed yet; by hand what failed is tried again."""
    life = Life(node("a"), node("b"), node("c", "b"))
    life.turn(Asked("pause", "m"))
    life.fails("a")

    assert ["step.completed b", "run.paused"] == life.returns("b")
    assert ["run.resumed", "step.started a", "step.started c"] == life.crashes(by_hand=True)
    history = History("r").extend(life.log)
    assert [str(history.steps[name].status) for name in "abc"] == ["running", "completed", "running"]


def test_a_pause_outlives_its_owner():
    """Whoever takes the run up leaves it paused."""
    life = Life(node("a"))
    life.turn(Asked("pause", "m", "lunch"))

    assert ["run.resumed", "run.paused"] == life.crashes()
    assert ("request", "lunch") == paused(life)


def test_what_was_asked_while_nobody_had_the_run_is_heard_first():
    """A resume by hand comes after it; a takeover heeds it."""
    life = Life(node("a"))
    asked = (Asked("pause", "m"),)

    assert ["signal.received", "run.resumed", "run.paused"] == life.crashes(asked=asked)
    assert ["signal.received", "run.resumed", "step.started a"] == life.crashes(
        asked=(Asked("pause", "n"),), by_hand=True
    )


# Asked to end.


def test_each_message_is_folded_once():
    """Though it was read twice before it was."""
    life = Life(node("a"))

    assert ["signal.received"] == life.turn(Asked("cancel", "m", "one"), Asked("cancel", "m", "one"))
    assert ["signal.received"] == life.turn(Asked("cancel", "n", "two"))
    assert "one" == life.machine.run.cancel_reason


def test_each_message_is_folded_once_by_whoever_takes_the_run_up():
    """The owner before may have written it, and died before it took it from the inbox."""
    life = Life(node("a"))
    life.turn(Asked("paid", "m"))

    followed = life.crashes(asked=(Asked("paid", "m"), Asked("paid", "n"), Asked("paid", "n")))

    assert ["signal.received", "run.resumed", "step.started a"] == followed


def test_a_cancelled_run_is_not_paused():
    """The end is what was wanted, whichever came first."""
    life = Life(node("a"), node("b", "a"))
    life.turn(Asked("pause", "m"), Asked("cancel", "n"))

    assert ["step.cancelled a", "run.cancelled"] == life.ends("a", Stopped())


def test_a_paused_run_is_cancelled_when_it_is_taken_up():
    """Its clean-up runs."""
    life = Life(node("a"), node("b", "a"), node("tidy", "b", join=Join.SETTLED))
    life.turn(Asked("pause", "m"))
    life.returns("a")

    followed = life.crashes(asked=(Asked("cancel", "n", "enough"),), was_released=True)

    assert ["signal.received", "run.resumed", "step.cancelled b", "step.started tidy"] == followed
    assert "cancel" == next(event for event in life.log if isinstance(event, ev.RunResumed)).reason
    assert ["step.completed tidy", "run.cancelled"] == life.returns("tidy")


def test_a_cancellation_that_came_too_late_is_no_wish_of_a_resumed_run():
    """The run had failed when it came."""
    life = Life(node("a"))
    life.fails("a")

    followed = life.crashes(asked=(Asked("cancel", "m"),), by_hand=True)

    assert ["signal.received", "run.resumed", "step.started a"] == followed
    assert life.machine.run.cancel_reason is None


def test_a_termination_ends_everything_at_once():
    """What runs, what waits, and what would clean up."""
    life = Life(
        node("a", undo={}), node("b", "a"), node("c", "b"), node("r", retry=Retry(1, initial=9)),
        node("tidy", "c", join=Join.SETTLED),
    )  # fmt: skip
    life.returns("a")
    life.fails("r")

    followed = life.turn(Asked("terminate", "m", "now"))

    assert [
        "signal.received", "step.cancelled b", "step.cancelled r", "step.cancelled c", "step.cancelled tidy",
        "run.cancelled",
    ] == sorted(followed, key=["signal.received", "step.cancelled b", "step.cancelled r", "step.cancelled c",
                               "step.cancelled tidy", "run.cancelled"].index)  # fmt: skip
    last = life.log[-1]
    assert isinstance(last, ev.RunCancelled)
    assert ("now", "") == (last.reason, last.compensation)
    assert [] == life.ends("b", Returned("1"))


def test_a_termination_after_a_cancellation_keeps_its_reason():
    """The first wish is the one that is told."""
    life = Life(node("a"), node("b"))
    life.turn(Asked("cancel", "m", "one"))

    assert ["signal.received", "step.cancelled a", "step.cancelled b", "run.cancelled"] == life.turn(
        Asked("terminate", "n", "two")
    )
    assert "one" == History("r").extend(life.log).reason


def test_a_termination_of_a_run_that_nobody_has():
    """It ends with its first turn."""
    life = Life(node("a"))

    followed = life.crashes(asked=(Asked("terminate", "m"),))

    assert ["signal.received", "run.resumed", "step.cancelled a", "run.cancelled"] == followed


@pytest.mark.parametrize("signal", ["cancel", "terminate", "pause"])
def test_nothing_is_asked_of_a_run_that_has_ended(signal: str):
    """The log ends with the end."""
    life = Life(node("a"))
    life.returns("a")

    assert [] == life.turn(Asked(signal, "m"))


def test_another_signal_changes_nothing_by_itself():
    """It is in the log."""
    life = Life(node("a"))

    assert ["signal.received"] == life.turn(Asked("paid", "m", "7"))
    assert ["step.completed a", "run.completed"] == life.returns("a")


# Steps that run at most once.


def test_a_step_of_unknown_fate_is_not_run_again():
    """Invariant 8: the run pauses and says why."""
    life = Life(node("a"), node("once", "a", **ONCE))
    life.returns("a")

    assert ["run.resumed", "run.paused"] == life.crashes()
    cause, reason = paused(life)
    assert "unknown" == cause
    assert "the process died while once was in flight, which runs at most once" in reason


def test_nothing_else_starts_before_somebody_has_said_what_became_of_it():
    """The run is taken up again and again, and stays paused."""
    life = Life(node("once", **ONCE), node("b"), node("c", "b"))
    life.returns("b")

    assert ["run.resumed", "run.paused"] == life.crashes()
    assert [] == life.turn(Granted(0), Granted(2))


def test_it_is_run_again_if_somebody_says_so():
    """And fails or completes as ever."""
    life = Life(node("once", **ONCE))
    life.crashes()

    assert ["run.resumed", "step.started once"] == life.crashes(by_hand=True, rerun=(0,))
    assert ["step.completed once", "run.completed"] == life.returns("once")


def test_it_is_skipped_if_somebody_says_so():
    """And so is what needs it."""
    life = Life(node("once", **ONCE), node("b", "once"))
    life.crashes()

    followed = life.crashes(by_hand=True, skipped=(0,))

    assert ["run.resumed", "step.skipped once", "step.skipped b", "run.completed"] == followed
    skipped = life.log[-3]
    assert isinstance(skipped, ev.StepSkipped)
    assert ("person", 1) == (skipped.cause, skipped.attempt)


def test_it_has_the_value_that_somebody_gives():
    """What needs it goes on with that."""
    life = Life(node("once", **ONCE), node("b", "once"))
    life.crashes()

    assert ["run.resumed", "step.completed once", "step.started b"] == life.crashes(by_hand=True, given={0: '"v"'})


def test_an_answer_about_a_step_that_is_gone_says_nothing_of_others():
    """It was given for another definition."""
    life = Life(*(node(name, **ONCE) for name in "abc"))
    life.crashes()
    resumed = ev.RunResumed(seq=len(life.log) + 1, at=1.0, reason="retry", fingerprint="f", rerun=("gone",))

    life.machine.replay([resumed])

    assert [0, 1, 2] == list(life.machine.run.unknown)


def test_an_unanswered_step_keeps_a_run_paused_that_was_resumed():
    """Invariant 8 holds whoever resumes."""
    life = Life(node("one", **ONCE), node("two", **ONCE))
    life.crashes()

    followed = life.crashes(by_hand=True, rerun=(0,))

    assert ["run.resumed", "run.paused"] == followed
    assert "two" in paused(life)[1]


def test_a_run_with_a_step_of_unknown_fate_can_be_cancelled():
    """The step is not run, and the run ends."""
    life = Life(node("once", **ONCE), node("b", "once"))
    life.crashes()

    followed = life.crashes(asked=(Asked("cancel", "m"),))

    assert ["signal.received", "run.resumed", "step.cancelled once", "step.cancelled b", "run.cancelled"] == followed


def test_a_clean_up_of_unknown_fate_is_not_run_by_a_cancellation():
    """It may have been done, and runs at most once."""
    life = Life(node("a"), node("tidy", "a", join=Join.SETTLED, **ONCE))
    life.returns("a")
    life.crashes()

    followed = life.crashes(asked=(Asked("cancel", "m"),))

    assert ["signal.received", "run.resumed", "step.cancelled tidy", "run.cancelled"] == followed


def test_a_failure_waits_until_the_fate_is_known():
    """A run is not ended over the head of a step that may have had its effect."""
    life = Life(node("once", **ONCE), node("bad"))
    life.fails("bad")

    assert ["run.resumed", "run.paused"] == life.crashes()


def test_at_most_once_is_tried_again_after_a_known_failure():
    """It raised, so its fate is known."""
    life = Life(node("once", retry=Retry(1, initial=0), **ONCE))

    assert ["step.retrying once", "step.started once"] == life.fails("once")


def test_at_most_once_is_not_tried_again_while_its_thread_runs_on():
    """It may yet do it."""
    life = Life(node("once", retry=Retry(5, initial=0), **ONCE))

    followed = life.ends("once", Raised(error=BROKEN, retryable=True, runs_on=True))

    assert ["step.failed once", "run.failed"] == followed


# Steps that have no attempts left.


def test_a_step_without_attempts_left_lets_the_run_wait():
    """What runs may end; then somebody is to look."""
    life = Life(node("a", on_exhausted="pause", retry=Retry(1, initial=0)), node("b"), node("c", "b"))
    life.fails("a")

    assert ["step.retrying a"] == life.fails("a")
    assert ["step.completed b", "run.paused"] == life.returns("b")
    assert ("exhausted", "a has no attempts left: ValueError: broken") == paused(life)
    assert "retrying" == life.status("a")
    assert life.machine.run.next_due() is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, ["run.resumed", "step.started a"]),
        ({"skipped": (0,)}, ["run.resumed", "step.skipped a", "run.completed"]),
        ({"given": {0: "1"}}, ["run.resumed", "step.completed a", "run.completed"]),
    ],
)
def test_what_somebody_may_say_of_it(answer: dict[str, Any], expected: list[str]):
    """Without a word it is tried again, with a fresh budget."""
    life = Life(node("a", on_exhausted="pause"))
    life.fails("a")

    assert expected == life.crashes(by_hand=True, **answer)


def test_a_takeover_leaves_it_waiting():
    """Nobody has looked yet."""
    life = Life(node("a", on_exhausted="pause"), node("b"))
    life.fails("a")

    assert ["run.resumed", "run.paused"] == life.crashes()
    assert ["run.resumed", "step.started a", "step.started b"] == life.crashes(by_hand=True)


def test_it_fails_where_the_run_fails_anyway():
    """There is nothing to wait for."""
    life = Life(node("a", on_exhausted="pause"), node("b"))
    life.fails("b")

    assert ["step.failed a", "run.failed"] == life.fails("a")


def test_it_fails_where_nobody_needs_it():
    """Its join has what it wanted."""
    life = Life(node("a", on_exhausted="pause"), node("b"), node("c", "a", "b", join=Quorum(1), cancel_rest=True))
    life.returns("b")

    assert "step.failed a" == life.ends("a", Raised(error=BROKEN, retryable=False))[0]


def test_a_waiting_step_that_nobody_needs_any_more_is_cancelled():
    """The run goes on without anybody."""
    life = Life(node("a", on_exhausted="pause"), node("b"), node("c", "a", "b", join=Quorum(1), cancel_rest=True))
    life.fails("a")

    assert ["step.completed b", "step.cancelled a", "step.started c"] == sorted(
        life.returns("b"), key=["step.completed b", "step.cancelled a", "step.started c"].index
    )


def test_a_cancelled_run_does_not_wait():
    """Also if what waits is a clean-up."""
    life = Life(node("a", on_exhausted="pause"), node("b"), node("tidy", "b", join=Join.SETTLED, on_exhausted="pause"))
    life.returns("b")
    life.fails("a")
    life.fails("tidy")
    assert ["exhausted"] == [paused(life)[0]]

    followed = life.crashes(asked=(Asked("cancel", "m"),))

    assert ["signal.received", "run.resumed", "step.cancelled a", "step.cancelled tidy", "run.cancelled"] == followed


def test_no_time_left_for_the_next_attempt():
    """The total time-out is an end of the attempts as any other."""
    life = Life(node("a", on_exhausted="pause", retry=Retry(1, initial=5, jitter=None), total_timeout=10.0))
    life.fails("a")
    life.now += 20

    assert ["step.retrying a", "run.paused"] == life.turn()
    assert "used up its total_timeout" in paused(life)[1]


def test_what_became_ready_during_a_pause_starts_when_the_pause_is_over():
    """As when the step that waited for somebody is needed no longer."""
    life = Life(
        node("a", on_exhausted="pause"), node("b"), node("d"), node("e", "d"),
        node("c", "a", "b", join=Quorum(1), cancel_rest=True),
    )  # fmt: skip
    life.fails("a")
    assert ["step.completed d"] == life.returns("d")

    followed = life.returns("b")

    assert {"step.completed b", "step.cancelled a", "step.started c", "step.started e"} == set(followed)


def test_a_clean_up_that_was_ready_during_a_pause_runs_when_the_run_is_cancelled():
    """The cancellation ends the pause."""
    life = Life(node("a"), node("b"), node("tidy", "a", join=Join.SETTLED))
    life.turn(Asked("pause", "m"))
    assert ["step.completed a"] == life.returns("a")

    followed = life.turn(Asked("cancel", "n"))

    assert ["signal.received", "step.started tidy"] == followed


# Inputs that are none of the workflow.


def test_a_run_is_refused_before_anything_of_it_runs():
    """It fails without a step that failed; somebody may resume it, when its inputs are taken."""
    life = Life(node("a"))

    assert ["run.resumed", "run.failed"] == life.crashes(refused="InputError: no", is_due=True)
    failed = life.log[-1]
    assert isinstance(failed, ev.RunFailed)
    assert ((), "InputError: no") == (failed.steps, failed.error)
    assert ["run.resumed", "step.started a"] == life.crashes(by_hand=True)


@pytest.mark.parametrize("signal", ["cancel", "terminate"])
def test_a_run_that_is_to_end_is_not_refused(signal: str):
    """For that its inputs need not fit."""
    life = Life(node("a"))

    followed = life.crashes(refused="InputError: no", asked=(Asked(signal, "m", "enough"),))

    assert ["run.cancelled"] == followed[-1:]
    assert "run.failed" not in followed


# Owners that die.


def test_a_run_whose_owners_die_again_and_again_is_parked():
    """Without any step coming to its end; somebody may look and resume it."""
    life = Life(node("a"))

    for _ in range(5):
        assert ["run.resumed", "step.started a"] == life.crashes()
    assert ["run.resumed", "run.paused"] == life.crashes()
    assert ("takeovers", "dead letter: 6 times in a row its process died before any step had ended") == paused(life)
    assert ["run.resumed", "step.started a"] == life.crashes(by_hand=True)
    assert ["run.resumed", "step.started a"] == life.crashes()


def test_a_step_that_ends_shows_that_the_run_goes_on():
    """What counts is how often it died at one place."""
    life = Life(node("a"), node("b", "a"))

    for _ in range(5):
        life.crashes()
    life.returns("a")

    for _ in range(5):
        assert ["run.resumed", "step.started b"] == life.crashes()
    assert ["run.resumed", "run.paused"] == life.crashes()


@pytest.mark.parametrize("resumed", [{"by_hand": True}, {"was_released": True}])
def test_the_count_of_dead_owners_begins_anew(resumed: dict[str, Any]):
    """With an owner that somebody asked for, or that follows one which let go."""
    life = Life(node("a"))
    for _ in range(3):
        life.crashes()
    life.crashes(**resumed)

    followed = [life.crashes()[1] for _ in range(6)]

    assert [*["step.started a"] * 5, "run.paused"] == followed


def test_owners_that_let_go_are_not_counted():
    """They were told to."""
    life = Life(node("a"))

    for _ in range(20):
        assert ["run.resumed", "step.started a"] == life.crashes(was_released=True)
    assert "shutdown" == History("r").extend(life.log).resumed


def test_a_parked_run_can_be_terminated():
    """That is no takeover."""
    life = Life(node("a"))
    for _ in range(6):
        life.crashes()

    assert "run.cancelled" == life.crashes(asked=(Asked("terminate", "m"),))[-1]


def test_a_takeover_gives_no_more_time():
    """The deadline is that of the run, whoever executes it."""
    life = Life(node("a"), deadline=60.0)
    life.now += 30

    life.crashes()

    assert 160.0 == life.machine.run.next_due()


def test_a_takeover_gives_no_more_attempts():
    """What was tried again before counts; what died with its process does not."""
    life = Life(node("a", retry=Retry(1, initial=0)))
    life.fails("a")

    assert ["run.resumed", "step.started a"] == life.crashes()
    assert ["step.failed a", "run.failed"] == life.fails("a")


# Heartbeats.


def test_a_heartbeat_is_kept_for_the_next_attempt():
    """Of the attempt in flight; the last one counts."""
    life = Life(node("a", retry=Retry(1, initial=0)))

    assert ["step.heartbeat a", "step.heartbeat a"] == life.turn(Beat(0, 1, "1"), Beat(0, 1, "2"))
    life.fails("a")
    assert {0: "2"} == life.machine.run.heartbeats
    assert [] == life.turn(Beat(0, 1, "3"))
    life.crashes()
    assert {0: "2"} == life.machine.run.heartbeats
    assert "2" == History("r").extend(life.log).steps["a"].progress
    life.returns("a")
    assert {} == life.machine.run.heartbeats


def test_a_heartbeat_survives_a_failure_that_is_tried_again_by_hand():
    """The next attempt is the next attempt, whoever asked for it."""
    life = Life(node("a"))
    life.turn(Beat(0, 1, '"row 7"'))
    life.fails("a")

    life.crashes(by_hand=True)

    assert {0: '"row 7"'} == life.machine.run.heartbeats


# Forks and other definitions.


def test_a_fork_begins_with_what_it_reuses():
    """All ends that a step can have in the other run and keep."""
    reused = [
        ev.StepCompleted(seq=0, at=0.0, step="a", output="1"),
        ev.StepSkipped(seq=0, at=0.0, step="b", reason="no", cause="when"),
        ev.StepFailed(seq=0, at=0.0, step="c", error=BROKEN),
    ]

    life = Life(
        node("a"), node("b"), node("c", required=False), node("d", "a", "b", "c", absorbs=["b", "c"]),
        begun={"origin": "r0", "reused": reused},
    )  # fmt: skip

    assert ["run.started", "step.completed a", "step.skipped b", "step.failed c", "step.started d"] == life.spoken
    assert [1, 2, 3, 4, 5] == [event.seq for event in life.log]
    assert ["step.completed d", "run.completed"] == life.returns("d")


def test_a_step_whose_inputs_changed_runs_again():
    """It completed, and what needs it waits for it once more."""
    life = Life(node("a"), node("b", "a"), node("c", "b"))
    life.returns("a")
    life.returns("b")

    assert ["run.resumed", "step.started b"] == life.crashes(reset=("b",))
    assert ["step.completed b", "step.started c"] == life.returns("b")


def test_a_step_that_runs_again_reads_what_it_read_before():
    """Though nobody needed that any more before it was to run again, and however many owners read the log since."""
    life = Life(node("a"), reading(node("b", "a")), reading(node("c", "b")), node("d", "c"))
    for name, output in [("a", "[1]"), ("b", "[2]"), ("c", "[3]")]:
        life.returns(name, output)
    assert {} == life.machine.run.outputs

    life.crashes(reset=("b", "c"))
    first = life.machine.run.outputs[0]
    life.crashes()
    second = life.machine.run.outputs[0]
    life.returns("b", "[4]")

    assert ("[1]", "[1]") == (first, second)
    assert {1: "[4]"} == life.machine.run.outputs
    life.crashes()
    assert {1: "[4]"} == life.machine.run.outputs


def test_another_attempt_waits_for_what_runs_again_before_it():
    """As if it were the first one; its budget is that of before."""
    life = Life(node("a"), reading(node("b", "a", retry=Retry(1, initial=5, jitter=None))))
    life.returns("a")
    life.fails("b")

    assert ["run.resumed", "step.started a"] == life.crashes(reset=("a",))
    life.now += 5
    assert [] == life.turn()
    assert ["step.completed a", "step.started b"] == life.returns("a")
    assert ["step.failed b", "run.failed"] == life.fails("b")
    assert StepStatus.FAILED is History("r").extend(life.log).steps["b"].status


def test_another_attempt_waits_for_what_a_changed_definition_puts_before_it():
    """As if it were the first one."""
    before = Life(node("a", retry=Retry(1, initial=5, jitter=None)))
    before.fails("a")
    after = Life(node("x"), node("a", "x", retry=Retry(1, initial=5, jitter=None)))
    after.log = before.log

    assert ["run.resumed", "step.started x"] == after.crashes()
    after.now += 5
    assert [] == after.turn()
    assert ["step.completed x", "step.started a"] == after.returns("x")


@pytest.mark.parametrize(("again", "started"), [("a", []), ("b", ["step.started j"])])
def test_another_attempt_does_not_wait_for_votes_that_it_does_not_want(again: str, started: list[str]):
    """One that was given and is taken back has to be given again; one that nobody waited for has not."""
    life = Life(
        node("a"), node("b", retry=Retry(1, initial=60, jitter=None)),
        node("j", "a", "b", join=Join.FIRST, retry=Retry(1, initial=5, jitter=None)),
    )  # fmt: skip
    life.returns("a")
    life.fails("b")
    life.fails("j")

    life.crashes(reset=(again,))
    life.now += 5

    assert started == life.turn()


def test_the_output_of_before_is_none_while_a_step_runs_again():
    """What bears that it has none is not given the old one; what undoes it is."""
    life = Life(node("a", undo={}, required=False), reading(node("b", "a", absorbs=["a"])), node("c", "b"))
    life.returns("a", "[1]")
    life.returns("b")
    life.crashes(reset=("a", "b"))

    assert ["step.failed a", "step.started b"] == life.fails("a")

    assert life.machine.run.output_of(0) is None
    assert {0: "[1]"} == life.machine.run.outputs


@pytest.mark.parametrize("fail_fast", [True, False])
def test_a_step_whose_inputs_changed_stays_as_it_is_once_something_is_undone(fail_fast: bool):
    """It would be done again, only to be undone."""
    life = Life(node("a", undo={}), node("b", "a", undo={}), node("c", "b"), fail_fast=fail_fast)
    life.returns("a")
    life.returns("b")
    life.fails("c")
    life.undoing("b")

    assert ["run.resumed", "compensation.started a"] == life.crashes(reset=("a", "b"))
    assert ["compensation.completed a", "run.failed"] == life.undoing("a")


def test_beginning_again_is_no_beginning():
    """A run that was begun is taken up, not begun."""
    life = Life(node("a"))

    with pytest.raises(Exception, match="may not happen"):
        life.machine.turn([BEGUN], 1.0)


def test_a_run_that_is_not_running_decides_nothing():
    """Not even about a step that was granted a place."""
    life = Life(node("a"), node("b", "a"))
    life.turn(Asked("pause", "m"))
    life.returns("a")

    assert ([], []) == (life.turn(Granted(1)), life.machine.turn([], 9.9).ready)
    assert RunStatus.PAUSED is life.machine.run.status
    assert "run.resumed" == life.turn(TakenUp(fingerprint="f", by_hand=True))[0]
