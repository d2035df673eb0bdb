"""What is ready for a place, what becomes of a place that comes too late, and what is asked of conditions meanwhile."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.definition import Node
from orchwf.core.machine import Machine
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Asked, Ended, Raised, Returned, Stopped, TakenUp
from orchwf.core.plan import Plan
from tests.kernel.graphs import BEGUN, BROKEN, UNDONE, Granted, Life, dag_of, node, reading, turned

RETURNS = Returned("1")
FAILS = Raised(error=BROKEN, retryable=False)


def test_nothing_is_ready_while_the_run_is_to_pause():
    """Nor what waited for another attempt, nor what is to be undone."""
    life = Life(
        node("a", undo={}), node("b"), node("c", "b"), node("d"), node("e", retry=Retry(1, initial=5, jitter=None))
    )
    life.returns("a")
    life.fails("e")
    life.turn(Asked("pause", "m"))
    life.now += 10

    assert [] == life.bare_turn(Ended(life.number("b"), 1, RETURNS))
    assert [] == life.bare_turn()


def test_a_clean_up_whose_place_came_during_a_pause_begins_after_it():
    """The place is not taken, and not forgotten: the cancellation ends the pause."""
    life = Life(node("a"), node("b"), node("tidy", "a", join=Join.SETTLED))
    assert [2] == life.bare_turn(Ended(0, 1, RETURNS))
    life.bare_turn(Asked("pause", "m"))
    assert [] == life.bare_turn(Granted(2))

    assert [2] == life.bare_turn(Asked("cancel", "n"))


def test_a_pause_comes_before_a_compensation_that_has_no_place_yet():
    """Nothing runs, so the run is paused at once; as nothing is undone yet, a resume tries again what failed."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a")
    undo = life.plan.undo[0]
    assert [undo] == life.bare_turn(Ended(1, 1, FAILS))
    life.bare_turn(Asked("pause", "m"))

    assert ([], "run.paused") == (life.bare_turn(Granted(undo)), life.log[-1].kind)
    assert ["run.resumed", "step.started b"] == life.crashes(by_hand=True)


def test_what_is_ready_is_said_once():
    """A step and a compensation, until it has begun."""
    life = Life(node("a", undo={}), node("b", "a"), node("c"))
    assert [1] == life.bare_turn(Ended(0, 1, RETURNS))
    assert [] == life.bare_turn()
    life.turn(Granted(1))
    life.returns("c")
    undo = life.plan.undo[0]

    assert [undo] == life.bare_turn(Ended(1, 1, FAILS))
    assert [] == life.bare_turn()


def test_a_compensation_that_waits_for_its_next_attempt_is_ready_when_it_is_due():
    """However many turns come before."""
    life = Life(node("a", undo={"retry": Retry(1, initial=5, jitter=None)}), node("b", "a"))
    life.returns("a")
    life.fails("b")
    undo = life.plan.undo[0]

    assert [] == life.bare_turn(Ended(undo, 1, Raised(error=BROKEN, retryable=True)))
    assert [] == life.bare_turn()
    life.now += 5
    assert [undo] == life.bare_turn()
    assert [] == life.bare_turn()


def test_a_place_is_not_taken_after_the_step_was_ended():
    """As by a failure of the run, while it waited for it."""
    life = Life(node("a"), node("bad"), node("b", "a"))
    assert [2] == life.bare_turn(Ended(0, 1, RETURNS))

    assert [] == life.bare_turn(Ended(1, 1, FAILS))
    assert "cancelled" == life.status("b")
    assert [] == life.turn(Granted(2))


class Asking:
    """A run whose conditions are asked one by one, which is noted."""

    def __init__(self, *nodes: Node, verdict: Any = None, **options: Any) -> None:
        self.asked: list[str] = []
        self.verdict = verdict
        self.machine = Machine("r", Plan(dag_of(*nodes, **options)), self.judge)
        self.turn(BEGUN)

    def judge(self, each: Node) -> Any:
        self.asked.append(each.name)
        return self.verdict

    def turn(self, *happened: Any) -> list[str]:
        """The kinds of the events, and whatever is ready is granted."""
        turn = turned(self.machine, happened, 1.0)
        kinds = [event.kind for event in turn.events]
        return kinds + (self.turn(*map(Granted, turn.ready)) if turn.ready else [])


def test_only_steps_with_a_condition_are_asked():
    """When what they wait for allows them to run."""
    asking = Asking(node("a"), node("b", "a", when=lambda _: True), node("c", "b", when=lambda _: True))
    assert [] == asking.asked

    asking.turn(Ended(0, 1, RETURNS))

    assert ["b"] == asking.asked


def test_a_condition_is_asked_once():
    """Also if more of what a join counts completes while the step waits for its place."""
    asking = Asking(node("a"), node("b"), node("j", "a", "b", join=Join.FIRST, when=lambda _: True))
    asking.machine.turn([Ended(0, 1, RETURNS)], 1.0)

    asking.machine.turn([Ended(1, 1, RETURNS)], 1.0)

    assert ["j"] == asking.asked


def test_a_condition_is_not_asked_of_a_step_that_is_not_to_start():
    """The run fails, and the step is cancelled for that."""
    asking = Asking(node("a"), node("bad"), node("b", "a", when=lambda _: True))

    followed = asking.turn(Ended(1, 1, FAILS), Ended(0, 1, RETURNS))

    assert [] == asking.asked
    assert ["step.failed", "step.completed", "step.cancelled", "run.failed"] == followed


def test_a_condition_is_asked_of_a_clean_up_of_a_failing_run():
    """It is to start."""
    asking = Asking(node("bad"), node("tidy", "bad", join=Join.SETTLED, when=lambda _: False), verdict="no need")

    followed = asking.turn(Ended(0, 1, FAILS))

    assert ["tidy"] == asking.asked
    assert ["step.failed", "step.skipped", "run.failed"] == followed


def test_a_clean_up_that_waits_for_somebody_takes_no_place():
    """The cancellation that comes with it is no word about what has failed."""
    life = Life(node("a"), node("b"), node("tidy", "a", join=Join.SETTLED, on_exhausted="pause"))
    life.returns("a")
    life.fails("tidy")

    followed = life.turn(Asked("cancel", "m"), Granted(2))

    assert ["signal.received", "step.cancelled tidy"] == followed


def test_a_compensation_takes_no_place_in_a_run_that_is_terminated():
    """Nothing more is undone."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a")
    (undo,) = life.bare_turn(Ended(1, 1, FAILS))

    assert ["signal.received", "run.cancelled"] == life.turn(Asked("terminate", "m"), Granted(undo))


def test_a_place_that_comes_before_the_next_attempt_is_due():
    """It is not taken, and the step is ready once, when it is due."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None)))
    life.fails("a")
    assert [] == life.bare_turn(Granted(0))
    assert [] == life.bare_turn()

    life.now += 5

    assert [0] == life.bare_turn()
    assert [] == life.bare_turn()


def test_the_next_attempt_is_ready_once():
    """Though something else that its step waited for ends meanwhile."""
    life = Life(node("a"), node("b"), node("j", "a", "b", join=Join.FIRST, retry=Retry(1, initial=5, jitter=None)))
    life.returns("a")
    life.fails("j")
    life.now += 5
    assert [2] == life.bare_turn()

    assert [] == life.bare_turn(Ended(1, 1, RETURNS))


def test_a_run_that_has_not_begun_is_never_due():
    """Nor does anything of it wait."""
    machine = Life(node("a"), deadline=60.0).new_machine()

    assert (None, None) == (machine.run.next_due(), machine.run.closing())


@pytest.mark.parametrize("order", ["abc", "cab", "bca"])
def test_each_wait_is_over_when_it_is_due(order: str):
    """Whichever began first."""
    waits = {"a": 5, "b": 10, "c": 20}
    life = Life(*(node(name, retry=Retry(1, initial=wait, jitter=None)) for name, wait in waits.items()))
    for name in order:
        life.fails(name)

    ready = {}
    while (due := life.machine.run.next_due()) is not None:
        life.now = due
        ready[due] = life.bare_turn()
        life.turn(*map(Granted, ready[due]))

    assert {105.0: [0], 110.0: [1], 120.0: [2]} == ready


def test_a_wait_that_was_taken_up_is_over_once():
    """However often, and though the clock was set back in between."""
    life = Life(node("a", retry=Retry(1, initial=5, jitter=None)))
    life.fails("a")
    life.crashes()
    life.now -= 3
    life.crashes()
    life.crashes()

    life.now += 5

    assert [0] == life.bare_turn()
    life.now += 3
    assert [] == life.bare_turn()


def test_a_wait_that_nobody_needs_is_no_alarm():
    """Its step was cancelled."""
    life = Life(
        node("a"), node("b", retry=Retry(1, initial=20, jitter=None)),
        node("j", "a", "b", join=Join.FIRST, cancel_rest=True),
    )  # fmt: skip
    life.fails("b")
    assert 120.0 == life.machine.run.next_due()

    life.returns("a")

    assert life.machine.run.next_due() is None


@pytest.mark.parametrize(
    ("waited", "expected"), [(0.0, (5.0, False)), (55.0, (5.0, False)), (56.0, (4.0, True)), (70.0, (0.0, True))]
)
def test_the_shorter_of_both_time_outs_holds(waited: float, expected: tuple[float, bool]):
    """That of the attempt, or what is left for all of them."""
    life = Life(node("a", timeout=5.0, total_timeout=60.0))

    assert expected == life.machine.run.time_left(0, life.now + waited)


# Time.


def test_a_deadline_that_has_passed_stays_so():
    """Though the clock is set back."""
    life = Life(node("a"), deadline=60.0)
    life.now += 60
    life.turn()
    life.now -= 30

    life.turn()

    assert [0] == life.machine.run.unwanted()


def test_a_wait_that_ends_with_the_total_timeout_is_not_begun():
    """There would be no time for the attempt after it."""
    life = Life(node("a", retry=Retry(1, initial=30, jitter=None), total_timeout=30.0))

    assert ["step.failed a", "run.failed"] == life.fails("a")


def test_a_step_that_is_taken_up_begins_though_its_time_is_used_up():
    """It may have done its work: only its body can tell. Nothing is left for it but to be quick."""
    life = Life(node("a", total_timeout=60.0))
    life.now += 100

    assert ["run.resumed", "step.started a"] == life.crashes()
    assert (0.0, True) == life.machine.run.time_left(0, life.now)


def test_what_waits_for_somebody_has_all_its_time_again_by_hand():
    """And all its attempts."""
    life = Life(node("a", on_exhausted="pause", retry=Retry(1, initial=0), total_timeout=60.0))
    life.fails("a")
    life.fails("a")
    life.now += 100

    assert ["run.resumed", "step.started a"] == life.crashes(by_hand=True)
    assert (60.0, True) == life.machine.run.time_left(0, life.now)
    assert ["step.retrying a", "step.started a"] == life.fails("a")


def test_a_step_that_runs_again_has_all_its_time_again():
    """It had ended."""
    life = Life(node("a", total_timeout=60.0), node("b"))
    life.returns("a")
    life.now += 100

    life.crashes(reset=("a",))

    assert (60.0, True) == life.machine.run.time_left(0, life.now)


def test_a_clock_that_was_set_back_delays_no_attempt_that_was_to_come_at_once():
    """It has no wait that could be as long as was said."""
    life = Life(node("a", retry=Retry(1, initial=0)))
    assert [0] == life.bare_turn(Ended(0, 1, Raised(error=BROKEN, retryable=True)))
    life.now -= 3600

    assert ["run.resumed", "step.started a"] == life.crashes()


def test_nothing_is_kept_of_the_attempts_of_a_step_that_ended():
    """Whatever its end."""
    life = Life(*(node(name, required=False, retry=Retry(1, initial=5, jitter=None)) for name in "abc"))
    for name in "abc":
        life.fails(name)
    life.now += 5
    life.turn()
    life.returns("a")
    life.fails("b")
    life.ends("c", Stopped())

    run = life.machine.run
    assert [{}] * 6 == [run.running, run.due, run.waits, run.first_start, run.unknown, run.exhausted]
    assert set() == run.offered


def test_what_is_tried_again_by_hand_can_still_be_read():
    """By what failed, and by what never began for that."""
    life = Life(node("a"), node("b"), reading(node("bad", "a")), node("slow", "b"), reading(node("next", "b", "slow")))
    life.returns("a")
    life.returns("b")

    life.fails("bad")

    assert "cancelled" == life.status("next")
    assert {0: "1", 1: "1"} == life.machine.run.outputs


# Owners and definitions.


def test_a_run_that_was_terminated_is_not_parked():
    """However often its owners died: it ends."""
    life = Life(node("a"))
    for _ in range(5):
        life.crashes()

    followed = life.crashes(asked=(Asked("terminate", "m"),))

    assert ["signal.received", "run.resumed", "step.cancelled a", "run.cancelled"] == followed


def test_how_many_owners_may_die_is_said_by_the_next_one():
    """So many, and no more."""
    life = Life(node("a"))

    assert ["run.resumed", "step.started a"] == life.crashes(most_takeovers=1)
    assert ["run.resumed", "run.paused"] == life.crashes(most_takeovers=1)


def test_a_machine_that_lived_may_take_its_run_up_itself():
    """What it had offered, held back and closed means nothing any more."""
    life = Life(node("bad"), node("slow"), node("next", "slow"), node("last", "next"))
    life.fails("bad")
    assert "run.failed" == life.returns("slow")[-1]

    assert [0, 2] == life.bare_turn(TakenUp(fingerprint="f", by_hand=True))
    assert [0, 2] == life.bare_turn(TakenUp(fingerprint="f"))
    life.turn(Asked("pause", "m"))
    life.turn(TakenUp(fingerprint="f", by_hand=True))
    life.turn(Granted(0), Granted(2), Asked("pause", "n"))
    assert [] == life.bare_turn(Granted(3))
    assert ["run.resumed", "step.started bad", "step.started next"] == life.turn(TakenUp(fingerprint="f", by_hand=True))
    assert ["step.failed bad", "step.cancelled last"] == life.fails("bad")


def test_a_machine_that_lived_may_take_up_what_it_undoes():
    """What was ready when it was due, and had no place yet, is ready."""
    life = Life(node("a", undo={"retry": Retry(1, initial=5, jitter=None)}), node("b", "a"))
    life.returns("a")
    life.fails("b")
    life.undoing("a", Raised(error=BROKEN, retryable=True))
    life.now += 5
    (undo,) = life.bare_turn()

    assert [undo] == life.bare_turn(TakenUp(fingerprint="f"))


@pytest.mark.parametrize(("verdict", "kind"), [("it is false now", "step.skipped"), (BROKEN, "step.failed")])
def test_a_condition_is_asked_again_of_a_step_that_runs_again(verdict: Any, kind: str):
    """It ended in no attempt, and the last one is that of before."""
    life = Life(node("a", when=lambda _: True), node("b"))
    life.returns("a")
    life.verdicts["a"] = verdict

    assert f"{kind} a" == life.crashes(reset=("a",))[1]
    assert 1 == getattr(life.last("a"), "attempt", None)


def test_a_run_that_was_late_completes_when_it_is_resumed():
    """Nothing is left of its deadline but the log."""
    life = Life(node("a"), node("b", "a"), deadline=60.0)
    life.now += 60
    life.turn()
    life.ends("a", Stopped())

    life.crashes(by_hand=True)

    assert ["step.completed a", "step.started b"] == life.returns("a")
    assert ["step.completed b", "run.completed"] == life.returns("b")


def test_a_step_that_waits_for_another_attempt_has_begun():
    """A need that a changed definition adds keeps it from nothing: it is cancelled with the run, and not skipped."""
    before = Life(node("x", required=False), node("a", retry=Retry(1, initial=60)), node("bad"))
    before.fails("x")
    before.fails("a")
    after = Life(node("x", required=False), node("a", "x", retry=Retry(1, initial=60)), node("bad"))
    after.machine = after.new_machine()
    after.machine.replay(before.log)
    after.log = before.log
    after.turn(TakenUp(fingerprint="g"))

    assert ["step.failed bad", "step.cancelled a", "run.failed"] == after.fails("bad")


@pytest.mark.parametrize("late", [Ended(2, 1, UNDONE), Granted(2)])
def test_a_compensation_is_a_step_of_its_own(late: Any):
    """Nothing happens to it before its turn."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a")

    assert [] == life.turn(late)
    assert attrs.evolve(life.log[-1], seq=1, at=0.0) == ev.StepStarted(seq=1, at=0.0, step="b", attempt=1)
