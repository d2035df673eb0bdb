"""What follows from what happened, one case at a time."""

from typing import Any

import pytest

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo
from orchwf.core.machine import Machine, Turn
from orchwf.core.options import Join, Quorum, Retry
from orchwf.core.outcome import Asked, Ended, Happening, Raised, Returned, SkippedItself, Stopped, TakenUp
from orchwf.core.plan import Plan
from orchwf.core.standing import _STEP_CHANGES
from orchwf.core.state import RunStatus, StepStatus
from tests.kernel.graphs import BEGUN, BROKEN, Granted, Life, dag_of, node, reading, spoken, turned


def test_a_diamond_runs_in_the_order_of_its_edges():
    """A step starts as soon as all it waits for has completed, and the run ends with the last one."""
    life = Life(node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c"))

    followed = [*life.returns("a"), *life.returns("c"), *life.returns("b"), *life.returns("d")]

    assert ["run.started", "step.started a"] == [spoken(event) for event in life.log[:2]]
    assert [
        "step.completed a", "step.started b", "step.started c", "step.completed c", "step.completed b",
        "step.started d", "step.completed d", "run.completed",
    ] == followed  # fmt: skip


def test_no_level_barrier():
    """What follows a fast branch does not wait for a slow one beside it."""
    life = Life(node("fast"), node("slow"), node("after", "fast"))

    followed = life.returns("fast")

    assert ["step.completed fast", "step.started after"] == followed


def test_sequence_numbers_have_no_gaps():
    """Events count from 1."""
    life = Life(node("a"), node("b", "a"))

    life.returns("a")
    life.returns("b")

    assert list(range(1, len(life.log) + 1)) == [event.seq for event in life.log]


def test_a_failing_required_step_fails_the_run_and_skips_what_needs_it():
    """The run fails, names the step, and says of each other step what became of it."""
    life = Life(node("a"), node("b", "a"), node("c", "b"))

    followed = life.fails("a")

    assert ["step.failed a", "step.skipped b", "step.skipped c", "run.failed"] == followed
    assert ev.RunFailed(seq=6, at=100.0, steps=("a",), error="ValueError: broken") == life.log[-1]
    skipped = life.last("c")
    assert isinstance(skipped, ev.StepSkipped)
    assert ("b was skipped", "failure") == (skipped.reason, skipped.cause)


def test_failure_lets_running_steps_finish():
    """After a step gave up nothing new starts, but what runs may end."""
    life = Life(node("bad"), node("other"), node("next", "other"), node("far", "bad", "other"))

    after_failure, after_other = life.fails("bad"), life.returns("other")

    assert ["step.failed bad", "step.cancelled next", "step.skipped far"] == after_failure
    assert ["step.completed other", "run.failed"] == after_other


def test_without_fail_fast_all_that_can_still_run_runs():
    """Only what needs the failed step is skipped, and all failures are told at the end."""
    life = Life(node("bad"), node("other"), node("next", "other"), node("far", "bad"), fail_fast=False)

    life.fails("bad")
    life.returns("other")
    life.fails("next")

    end = life.log[-1]
    assert isinstance(end, ev.RunFailed)
    assert ("bad", "next") == end.steps
    assert ["failed", "completed", "failed", "skipped"] == [life.status(n) for n in ("bad", "other", "next", "far")]


def test_an_optional_failure_lets_the_run_complete():
    """A dependent that bears its absence runs, one that needs it is skipped."""
    life = Life(node("risk", required=False), node("bears", "risk", absorbs=["risk"]), node("needs", "risk"))

    followed = life.fails("risk")
    end = life.returns("bears")

    assert ["step.failed risk", "step.skipped needs", "step.started bears"] == followed
    assert "run.completed" == end[-1]
    skipped = life.last("needs")
    assert isinstance(skipped, ev.StepSkipped)
    assert ("risk failed", "upstream") == (skipped.reason, skipped.cause)


def test_the_worst_end_gives_the_reason():
    """Failed is told before cancelled before skipped, whichever came first."""
    life = Life(node("a"), node("b", required=False), node("c", "a", "b"))

    life.ends("a", SkippedItself("nothing to do"))
    life.fails("b")

    skipped = life.last("c")
    assert isinstance(skipped, ev.StepSkipped)
    assert "b failed" == skipped.reason


def test_retries_wait_longer_and_longer_and_then_give_up():
    """Bounds double, each attempt has its number, and after the last one the step fails."""
    life = Life(node("a", retry=Retry(2, initial=1, jitter=None)))

    delays: list[float | None] = []
    for _ in range(2):
        assert ["step.retrying a"] == life.fails("a")
        retrying = life.last("a")
        assert isinstance(retrying, ev.StepRetrying)
        assert retrying.due_at is not None
        delays.append(retrying.delay)
        assert life.machine.run.next_due() == retrying.due_at
        assert [] == life.turn()
        life.now = retrying.due_at
        assert ["step.started a"] == life.turn()

    assert [1.0, 2.0] == delays
    assert ["step.failed a", "run.failed"] == life.fails("a")
    assert 3 == life.machine.run.attempts[0]


def test_jitter_scales_the_wait_by_the_spread():
    """Randomness comes in as a value."""
    life = Life(node("a", retry=Retry(1, initial=8)))

    life.fails("a", spread=0.25)

    assert life.machine.run.next_due() == 102.0


def test_a_body_may_choose_the_wait():
    """RetryAfter replaces the wait and uses up one retry."""
    life = Life(node("a", retry=Retry(1, initial=8)))

    life.ends("a", Raised(error=BROKEN, retryable=True, retry_after=0.5, spread=0.5))
    assert 100.5 == life.machine.run.next_due()
    life.now = 100.5
    life.turn()

    assert ["step.failed a", "run.failed"] == life.ends("a", Raised(error=BROKEN, retryable=True, retry_after=0.5))


def test_what_is_not_retryable_fails_at_once():
    """Whatever retries are left."""
    life = Life(node("a", retry=Retry(5)))

    assert ["step.failed a", "run.failed"] == life.fails("a", retryable=False)


def test_total_timeout_ends_the_retries():
    """A wait that would outlast it is not begun."""
    life = Life(node("a", retry=Retry(5, initial=20, jitter=None), total_timeout=30.0))

    first = life.fails("a")
    life.now = 120.0
    life.turn()

    assert ["step.retrying a"] == first
    assert (10.0, True) == life.machine.run.time_left(0, life.now)
    assert ["step.failed a", "run.failed"] == life.fails("a")


def test_total_timeout_that_passed_while_nobody_looked():
    """A retry that is due after it fails the step instead of starting."""
    life = Life(node("a", retry=Retry(5, initial=20, jitter=None), total_timeout=30.0))

    life.fails("a")
    life.now = 500.0

    assert ["step.failed a", "run.failed"] == life.turn()


@pytest.mark.parametrize(
    ("timeout", "total", "expected"), [(None, None, (None, False)), (5.0, None, (5.0, False)), (5.0, 8.0, (5.0, False))]
)
def test_time_left(timeout: float | None, total: float | None, expected: tuple[float | None, bool]):
    """The time-out of an attempt, unless less is left in total."""
    life = Life(node("a", timeout=timeout, total_timeout=total))

    assert expected == life.machine.run.time_left(0, 100.0)


def test_a_condition_skips_with_its_reason():
    """The decision is stored, and what follows is skipped, too."""
    life = Life(node("a"), node("b", "a", when=lambda _: False), node("c", "b"), verdicts={"b": "it is false"})

    followed = life.returns("a")

    assert ["step.completed a", "step.skipped b", "step.skipped c", "run.completed"] == followed
    assert "when" == getattr(life.last("b"), "cause", "")


def test_a_condition_that_raises_fails_the_step():
    """Without an attempt."""
    life = Life(node("a", when=lambda _: 1 / 0), verdicts={"a": ErrorInfo("ZeroDivisionError", "by zero")})

    assert ["run.started", "step.failed a", "run.failed"] == [spoken(event) for event in life.log]


def test_a_true_condition_lets_the_step_run():
    """None is the verdict for that."""
    life = Life(node("a", when=lambda _: True))

    assert ["a"] == life.running


def test_a_choice_takes_whichever_branch_ran():
    """One of the branches has to complete; a skipped one is absorbed."""
    import attrs

    join = attrs.evolve(node("join", "x", "y", absorbs=["x", "y"]), choices=(("x", "y"),))
    life = Life(node("x"), node("y"), join)

    life.ends("x", SkippedItself(""))

    assert ["step.completed y", "step.started join"] == life.returns("y")


def test_a_choice_of_which_nothing_ran_skips():
    """The reason names the first of the worst."""
    import attrs

    join = attrs.evolve(node("join", "x", "y", absorbs=["x", "y"]), choices=(("x", "y"),))
    life = Life(node("x"), node("y"), join)

    life.ends("y", SkippedItself(""))
    followed = life.ends("x", SkippedItself(""))

    assert ["step.skipped x", "step.skipped join", "run.completed"] == followed
    assert "x was skipped" == getattr(life.last("join"), "reason", "")


def test_join_any_waits_for_all_and_needs_one():
    """All terminal, at least one completed."""
    life = Life(node("a", required=False), node("b"), node("j", "a", "b", join=Join.ANY))

    first, second = life.fails("a"), life.returns("b")

    assert (["step.failed a"], ["step.completed b", "step.started j"]) == (first, second)


def test_join_any_of_none_is_skipped():
    """If none completed."""
    life = Life(node("a", required=False), node("b"), node("j", "a", "b", join=Join.ANY))

    life.fails("a")

    assert ["step.skipped b", "step.skipped j", "run.completed"] == life.ends("b", SkippedItself(""))


def test_join_first_runs_at_once():
    """As soon as one completed; the rest goes on."""
    life = Life(node("a"), node("b"), node("j", "a", "b", join=Join.FIRST))

    first, second = life.returns("b"), life.returns("a")

    assert ["step.completed b", "step.started j"] == first
    assert ["step.completed a"] == second


def test_join_first_with_cancel_rest():
    """What is not needed any more is stopped, and is no failure."""
    life = Life(node("a"), node("b"), node("c", "b"), node("j", "a", "c", join=Join.FIRST, cancel_rest=True))

    followed = life.returns("a")
    unwanted = [life.plan.nodes[step].name for step in life.machine.run.unwanted()]
    stopped = life.returns("b")

    assert ["step.completed a", "step.cancelled c", "step.started j"] == followed
    assert [] == unwanted
    assert ["step.completed b"] == stopped
    assert "run.completed" == life.returns("j")[-1]


def test_cancel_rest_stops_running_ones():
    """Their attempts are unwanted, and end as cancelled."""
    life = Life(node("a"), node("b", retry=Retry(3)), node("j", "a", "b", join=Join.FIRST, cancel_rest=True))

    life.returns("a")
    unwanted = [life.plan.nodes[step].name for step in life.machine.run.unwanted()]
    followed = life.ends("b", Stopped())

    assert ["b"] == unwanted
    assert ["step.cancelled b"] == followed
    assert ("rest", "no longer needed") == (getattr(life.last("b"), "cause", ""), getattr(life.last("b"), "reason", ""))


def test_cancel_rest_ends_one_that_waits_for_its_retry():
    """It is not tried again."""
    life = Life(node("a"), node("b", retry=Retry(3)), node("j", "a", "b", join=Join.FIRST, cancel_rest=True))

    life.fails("b")

    assert ["step.completed a", "step.cancelled b", "step.started j"] == life.returns("a")


def test_cancel_rest_does_not_retry_what_fails_meanwhile():
    """A failure of what is not needed any more is still one, but there is no second try."""
    life = Life(
        node("a"), node("b", retry=Retry(3), required=False), node("j", "a", "b", join=Join.FIRST, cancel_rest=True)
    )

    life.returns("a")

    assert ["step.failed b"] == life.fails("b")


def test_cancel_rest_leaves_what_others_need():
    """Only what nobody else waits for is stopped; when they have ended nobody does."""
    life = Life(
        node("fast"), node("slow"), node("one", "fast", "slow", join=Join.FIRST, cancel_rest=True), node("two", "slow")
    )

    life.returns("fast")
    unwanted = life.machine.run.unwanted()
    followed = life.returns("slow")

    assert [] == unwanted
    assert ["step.completed slow", "step.started two"] == followed


def test_cancel_rest_stops_what_only_others_that_ended_waited_for():
    """They need it no more than the join does."""
    life = Life(
        node("fast"), node("slow"), node("x"), node("two", "slow", "x", join=Join.FIRST),
        node("one", "fast", "slow", join=Join.FIRST, cancel_rest=True),
    )  # fmt: skip
    life.returns("x")
    life.returns("two")

    life.returns("fast")

    assert [life.number("slow")] == life.machine.run.unwanted()


def test_cancel_rest_stops_what_others_waited_for_until_they_ended():
    """The join is content before they are; from their end on nobody needs it, and it is not begun again."""
    life = Life(
        node("fast"), node("slow"), node("x"), node("one", "fast", "slow", join=Join.FIRST, cancel_rest=True),
        node("two", "slow", "x", join=Join.FIRST),
    )  # fmt: skip
    life.returns("fast")
    life.returns("x")
    before = life.machine.run.unwanted()

    life.returns("two")

    assert ([], [life.number("slow")]) == (before, life.machine.run.unwanted())
    assert ["run.resumed", "step.cancelled slow", "step.started one"] == life.crashes()


def test_the_end_of_another_step_cancels_nothing_for_a_join_that_is_not_content():
    """Of those that cancel the rest, too, only such a one stops anything that has what it wanted."""
    life = Life(
        node("slow"), node("x"), node("y"), node("one", "slow", "y", join=Join.FIRST, cancel_rest=True),
        node("two", "slow", "x", join=Join.FIRST),
    )  # fmt: skip
    life.returns("x")

    life.returns("two")

    assert [] == life.machine.run.unwanted()


@pytest.mark.parametrize("join", [Join.ALL, Join.ANY, Join.FIRST, Join.SETTLED, Quorum(1)])
def test_other_joins_cancel_nothing(join: Any):
    """Not even if they have all that they wanted."""
    life = Life(
        node("a"), node("b", retry=Retry(1, initial=0)), node("c"), node("d", "c"), node("j", "a", "b", "d", join=join)
    )

    life.returns("a")

    assert [] == life.machine.run.unwanted()
    assert ["step.retrying b", "step.started b"] == life.fails("b")
    assert ["step.completed c", "step.started d"] == life.returns("c")


@pytest.mark.parametrize("join", [Join.FIRST, Quorum(1)])
def test_a_join_that_has_ended_cancels_nothing_either(join: Any):
    """Without cancel_rest the rest goes on, also while more of it completes."""
    life = Life(node("a"), node("b"), node("c"), node("d", "c"), node("e"), node("j", "a", "b", "d", "e", join=join))
    life.returns("a")
    life.returns("j")

    followed = life.returns("b")

    assert (["step.completed b"], []) == (followed, life.machine.run.unwanted())
    assert ["run.resumed", "step.started c", "step.started e"] == life.crashes()


def test_the_rest_stays_cancelled_when_the_process_dies():
    """What was to be stopped is not begun again; what is needed is."""
    life = Life(
        node("a"), node("b"), node("c"), node("d", "c"), node("e"),
        node("j", "a", "b", "c", join=Join.FIRST, cancel_rest=True), node("k", "a", "e", join=Join.FIRST),
    )  # fmt: skip
    life.returns("a")

    assert {"b"} == {life.plan.nodes[step].name for step in life.machine.run.unwanted()}
    assert [
        "run.resumed", "step.cancelled b", "step.started c", "step.started e", "step.started j", "step.started k"
    ] == life.crashes()  # fmt: skip


def test_quorum():
    """As soon as so many completed; skipped as soon as so many cannot."""
    life = Life(*(node(name, required=False) for name in "abc"), node("j", "a", "b", "c", join=Quorum(2)))
    other = Life(*(node(name, required=False) for name in "abc"), node("j", "a", "b", "c", join=Quorum(2)))

    assert ["step.completed a"] == life.returns("a")
    assert ["step.completed c", "step.started j"] == life.returns("c")
    assert ["step.failed a"] == other.fails("a")
    assert ["step.failed b", "step.skipped j"] == other.fails("b")


def test_a_join_that_counts_waits_for_what_only_its_condition_asks():
    """Such a dependency has no vote."""
    import attrs

    join = attrs.evolve(node("j", "a", "b", "flag", join=Join.FIRST, when=lambda _: True), asked=frozenset({"flag"}))
    life = Life(node("a"), node("b"), node("flag"), join)

    assert ["step.completed a"] == life.returns("a")
    assert ["step.completed flag", "step.started j"] == life.returns("flag")


def test_settled_runs_whatever_came_of_the_others():
    """Also while the run fails: it is the place for clean-up, and may be tried again."""
    life = Life(node("a"), node("b", "a"), node("tidy", "b", join=Join.SETTLED, retry=Retry(1, initial=0)))

    followed = life.fails("a")
    again = life.fails("tidy")
    end = life.returns("tidy")

    assert ["step.failed a", "step.skipped b", "step.started tidy"] == followed
    assert ["step.retrying tidy", "step.started tidy"] == again
    assert ["step.completed tidy", "run.failed"] == end


def test_cancel_ends_what_waits_and_stops_what_runs():
    """The request is in the log; the run is cancelled when the last attempt has ended."""
    life = Life(node("a"), node("b", "a"), node("tidy", "b", join=Join.SETTLED))

    asked = life.turn(Asked("cancel", "m", "enough"))
    unwanted = life.machine.run.unwanted()
    again = life.turn(Asked("cancel", "m", "enough"))
    stopped = life.ends("a", Stopped())
    end = life.returns("tidy")

    assert ["signal.received", "step.cancelled b", "step.started tidy"] == asked
    assert [life.number("a")] == unwanted
    assert [] == again
    assert ["step.cancelled a"] == stopped
    assert ["step.completed tidy", "run.cancelled"] == end
    assert "enough" == getattr(life.log[-1], "reason", "")


def test_cancel_without_a_reason_and_after_the_end():
    """An empty reason is one; after the end nothing follows."""
    life = Life(node("a"))

    life.turn(Asked("cancel", "m"))
    life.ends("a", Stopped())

    assert RunStatus.CANCELLED is life.machine.run.status
    assert [] == life.turn(Asked("cancel", "n"))


def test_cancel_in_the_tick_of_the_completion():
    """If nothing was left to cancel the run has completed: one outcome."""
    life = Life(node("a"))

    followed = life.turn(Asked("cancel", "m"), Ended(0, 1, Returned("1")))

    assert ["signal.received", "step.completed a", "run.completed"] == followed


def test_a_failure_during_the_cancellation_is_no_failure_of_the_run():
    """It was to end anyway, and is not tried again."""
    life = Life(node("a", retry=Retry(3)), node("b"))

    life.turn(Asked("cancel", "m"))
    assert ["step.failed a"] == life.fails("a")

    assert "run.cancelled" == life.ends("b", Stopped())[-1]


def test_the_deadline_ends_the_run():
    """What waits is cancelled, what runs is stopped, and the run has failed."""
    life = Life(node("a"), node("b", "a"), deadline=60.0)

    due = life.machine.run.next_due()
    life.now = 160.0
    followed = life.turn()
    unwanted = life.machine.run.unwanted()
    end = life.ends("a", Stopped())

    assert 160.0 == due
    assert ["step.cancelled b"] == followed
    assert [0] == unwanted
    assert ["step.cancelled a", "run.failed"] == end
    assert "the run passed its deadline of 60 s" == getattr(life.log[-1], "error", "")
    assert life.machine.run.next_due() is None


def test_the_earlier_of_deadline_and_retry_is_due():
    """One alarm serves both."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None)), deadline=60.0)

    life.fails("a")

    assert 105.0 == life.machine.run.next_due()


def test_late_endings_change_nothing():
    """An attempt that the log has done with, such as a thread that went on, is not heard."""
    life = Life(node("a"), node("b", "a"))
    life.returns("a", "1")

    late = life.turn(Ended(0, 1, Returned("2")))
    wrong = life.turn(Ended(1, 7, Returned("2")))

    assert ([], []) == (late, wrong)
    assert 4 == life.machine.run.seq


def test_a_place_for_what_cannot_start_is_not_taken():
    """Neither twice, nor after the end."""
    life = Life(node("a"))

    assert life.machine.start(0, 100.0) is None


def test_a_step_is_offered_once():
    """Even if more of what a join counts completes while it waits for a place."""
    life = Life(node("a"), node("b"), node("j", "a", "b", join=Join.FIRST))
    first = life.machine.turn([Ended(0, 1, Returned("1"))], life.now)

    second = life.machine.turn([Ended(1, 1, Returned("1"))], life.now)

    assert ([2], []) == (first.ready, second.ready)


def test_outputs_are_let_go_when_nobody_needs_them():
    """Memory holds only what a step may still read."""
    life = Life(node("a"), reading(node("b", "a")), node("c", "b"))

    life.returns("a", "[1]")
    held = dict(life.machine.run.outputs)
    life.returns("b", "[2]")

    assert {0: "[1]"} == held
    assert {} == life.machine.run.outputs


def test_taken_up_runs_what_was_in_flight_again():
    """With the next number, and without using up a retry; what completed stays."""
    life = Life(node("a"), node("b", "a", retry=Retry(1)))
    life.returns("a")

    followed = life.turn(TakenUp(fingerprint="f"))

    assert ["run.resumed", "step.started b"] == followed
    assert 2 == life.machine.run.attempts[life.number("b")]
    assert ["step.retrying b"] == life.fails("b")


def test_retry_of_a_failed_run_tries_only_what_did_not_complete():
    """With a fresh budget; what was skipped for the failure runs, too, and the decisions of conditions stay."""
    life = Life(
        node("ok"), node("no", when=lambda _: False), node("bad", "ok", retry=Retry(1, initial=0)),
        node("after", "bad"), node("side", "ok", "no", absorbs=["no"]), node("opt", required=False),
        verdicts={"no": "it is false"},
    )  # fmt: skip
    life.fails("opt")
    life.returns("ok")
    life.fails("bad")
    life.fails("bad")
    life.returns("side")

    resumed = life.turn(TakenUp(fingerprint="f", by_hand=True))
    again = life.fails("bad")
    done = [*life.returns("bad"), *life.returns("after")]

    assert ["run.resumed", "step.started bad"] == resumed
    assert ["step.retrying bad", "step.started bad"] == again
    assert ["step.completed bad", "step.started after", "step.completed after", "run.completed"] == done


def test_retry_after_a_deadline_has_a_new_deadline():
    """Counted from the resume."""
    life = Life(node("a"), deadline=60.0)
    life.now = 160.0
    life.turn()
    life.ends("a", Stopped())
    life.now = 1000.0

    followed = life.turn(TakenUp(fingerprint="f", by_hand=True))

    assert ["run.resumed", "step.started a"] == followed
    assert 1060.0 == life.machine.run.next_due()


def test_a_retry_that_was_due_during_the_downtime_starts_at_once():
    """Waits are absolute."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None)))
    life.fails("a")
    machine = life.new_machine()
    machine.replay(life.log)
    life.machine, life.now = machine, 900.0

    assert ["run.resumed", "step.started a"] == life.turn(TakenUp(fingerprint="f"))


def test_steps_that_a_changed_definition_has_no_more_are_passed_over():
    """Their events stay in the log and mean nothing to the new graph."""
    life = Life(node("a"), node("b"))
    life.returns("b")
    other = Life(node("a"))
    machine = other.new_machine()

    machine.replay(life.log)

    assert ["running"] == [str(status) for status in machine.run.statuses]


def test_every_event_of_a_step_changes_something():
    """None that a log may have is passed over."""
    of_steps = {cls for cls in ev.EVENT_TYPES.values() if issubclass(cls, ev.StepEvent)}

    assert of_steps == _STEP_CHANGES.keys()


def test_paused_runs_start_nothing():
    """The status alone says so."""
    life = Life(node("a"), node("b", "a"))
    life.machine.replay([ev.RunPaused(seq=life.machine.run.seq + 1, at=100.0)])

    assert not life.machine.run.can_start(life.number("b"), 100.0)


def test_a_clock_that_was_set_back_makes_nobody_wait_longer():
    """From the takeover on a step waits as long as was said, at most; and so it is with its total time-out."""
    life = Life(node("a", retry=Retry(2, initial=5, jitter=None), total_timeout=60.0))
    life.fails("a")
    life.now -= 3600

    assert ["run.resumed"] == life.crashes()
    assert life.now + 5 == life.machine.run.next_due()
    life.now += 5
    assert ["step.started a"] == life.turn()
    assert (60.0, True) == life.machine.run.time_left(0, life.now)


def test_a_clock_that_leapt_makes_a_retry_due():
    """It is made once."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None)))
    life.fails("a")
    life.now += 86_400

    assert ["run.resumed", "step.started a"] == life.crashes()
    assert [] == life.turn()


def turns(machine: Machine, *happened: Happening | Granted) -> list[Turn]:
    """This turn, and all those that follow from it by themselves."""
    found = [turned(machine, happened, 1.0)]
    while found[-1].has_more:
        found.append(machine.turn([], 1.0))
    return found


def test_a_turn_looks_at_so_many_steps_only():
    """However many are ready at once: the others are for the next turns, each once."""
    machine = Machine("r", Plan(dag_of(*map(node, "abcde"))), lambda _: None, glance=2)

    found = turns(machine, BEGUN)

    assert [[0, 1], [2, 3], [4]] == [turn.ready for turn in found]


@pytest.mark.parametrize("signal", ["cancel", "terminate"])
def test_a_turn_ends_so_many_steps_only(signal: str):
    """A large run is cancelled piece by piece, and ends with the last one."""
    machine = Machine("r", Plan(dag_of(node("a"), *(node(name, "a") for name in "bcde"))), lambda _: None, glance=2)
    turns(machine, BEGUN)

    found = turns(machine, Asked(signal, "m"))

    names = [[getattr(event, "step", event.kind) for event in turn.events] for turn in found]
    assert ["signal.received", "a", "b", "c", "d", "e", "run.cancelled"] == [name for turn in names for name in turn]
    assert all(len(turn) <= 3 for turn in names)


def test_what_fails_a_large_run_skips_the_rest_piece_by_piece():
    """The steps that could not start any more are looked at once, over several turns; what runs may end."""
    machine = Machine(
        "r", Plan(dag_of(node("a"), node("x"), *(node(n, "a") for n in "bcde"))), lambda _: None, glance=2
    )
    turns(machine, BEGUN)
    turns(machine, Granted(0), Granted(1))

    turns(machine, Ended(0, 1, Raised(error=ErrorInfo("ValueError", "no"), retryable=False)))
    assert "running" == machine.run.status
    turns(machine, Ended(1, 1, Returned("1")))

    assert "failed" == machine.run.status
    assert [StepStatus.SKIPPED] * 4 == machine.run.statuses[2:]
