"""What follows in steps that have items: one per item of a list, loops, generators."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo
from orchwf.core.history import History
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Ended, Finished, Raised, Returned, SkippedItself, Split, Stopped
from orchwf.core.rows import ITEMS
from tests.kernel.graphs import BROKEN, Granted, Life, each, gathering, node, of_items

FAILS = Raised(error=BROKEN, retryable=False)

# One per item.


def test_a_step_runs_once_per_item_in_any_order():
    """It is found out first how many there are; the results are in the order of the items."""
    life = Life(node("load"), each("pay", "load"), gathering("all", "pay"))

    assert ["run.started", "step.started load"] == life.spoken
    assert ["step.completed load", "step.started pay"] == life.returns("load")
    assert ["step.expanded pay", "step.started pay[0]", "step.started pay[1]"] == life.splits("pay", 2)
    assert ["step.completed pay[1]"] == life.returns("pay[1]", "11")
    assert ["step.completed pay[0]", "step.completed pay", "step.started all"] == life.returns("pay[0]", "10")
    assert "[10,11]" == life.output("pay")
    assert ["step.completed all", "run.completed"] == life.returns("all")
    assert [
        ev.StepExpanded(seq=5, at=100.0, step="pay", attempt=1, count=2),
        ev.StepStarted(seq=6, at=100.0, step="pay", attempt=1, item=0),
        ev.StepStarted(seq=7, at=100.0, step="pay", attempt=1, item=1),
        ev.StepCompleted(seq=8, at=100.0, step="pay", attempt=1, item=1, output="11"),
        ev.StepCompleted(seq=9, at=100.0, step="pay", attempt=1, item=0, output="10"),
        ev.StepCompleted(seq=10, at=100.0, step="pay", attempt=1, output=ITEMS),
    ] == life.log[4:10]


def test_a_step_without_items_completes_at_once():
    """With an empty list, and what follows goes on."""
    life = Life(node("load"), each("pay", "load"), gathering("all", "pay"))
    life.returns("load", "[]")

    followed = life.splits("pay", 0)

    assert ["step.expanded pay", "step.completed pay", "step.started all"] == followed
    assert "[]" == life.output("pay")


def test_a_value_that_cannot_be_taken_apart_fails_the_step():
    """Before any item is known; resumed, it is taken apart again."""
    life = Life(node("load"), each("pay", "load"))
    life.returns("load", "7")

    failed = life.fails("pay", retryable=False)
    resumed = life.crashes(by_hand=True)

    assert ["step.failed pay", "run.failed"] == failed
    assert ["run.resumed", "step.started pay"] == resumed
    assert ["step.expanded pay", "step.started pay[0]"] == life.splits("pay", 1)


def test_a_process_that_dies_while_a_value_is_taken_apart_leaves_nothing_unknown():
    """Nothing has happened outside, though the step runs at most once; it is taken apart again."""
    life = Life(node("load"), each("pay", "load", delivery="at_most_once"))
    life.returns("load")

    assert ["run.resumed", "step.started pay"] == life.crashes()
    assert ["step.expanded pay", "step.started pay[0]"] == life.splits("pay", 1)


def test_so_many_items_are_at_work_at_once():
    """The next one starts as one ends, in order; one that waits for its retry leaves its place to another."""
    life = of_items(4, max_parallel=2, retry=Retry(1, initial=10.0, jitter=None))

    assert ["pay[0]", "pay[1]"] == life.running
    assert ["step.retrying pay[0]", "step.started pay[2]"] == life.fails("pay[0]")
    assert ["step.completed pay[2]", "step.started pay[3]"] == life.returns("pay[2]")
    assert [] == life.at(110.0)
    assert ["step.completed pay[1]", "step.started pay[0]"] == life.returns("pay[1]")
    assert ["pay[3]", "pay[0]"] == life.running


def test_a_limit_is_said_or_high():
    """What is made ready takes memory, though there may be no place for it."""
    life = of_items(1_500)

    assert 1_000 == len(life.running)
    assert ["step.completed pay[7]", "step.started pay[1000]"] == life.returns("pay[7]")


def test_a_turn_looks_at_so_many_items():
    """The others are looked at in the next one."""
    life = Life(node("load"), each("pay", "load"), glance=2)
    life.returns("load")
    life.splits("pay", 5)

    has_more, starts = True, 0
    while has_more:
        turn = life.machine.turn([], life.now)
        starts, has_more = starts + len(turn.ready), turn.has_more
        assert len(turn.ready) <= 2

    assert 5 == starts + len(life.running)


def test_items_wait_for_a_place_in_their_order():
    """An item that was offered holds its place until it begins."""
    life = Life(node("load"), each("pay", "load", max_parallel=2))
    life.returns("load")

    ready = life.bare_turn(Ended(life.number("pay"), 1, Split(3)))

    assert [life.number("pay[0]"), life.number("pay[1]")] == ready
    assert [] == life.bare_turn()
    assert [] == life.bare_turn(Granted(ready[0]))


def test_an_item_that_waits_for_a_place_is_offered_once():
    """Though what it follows has ended, for which all that follow are looked at."""
    life = Life(node("load"), each("a", "load"), each("b", "a"))
    life.returns("load")
    life.splits("a", 2)

    first = life.bare_turn(Ended(life.number("a[0]"), 1, Returned("1")))
    second = life.bare_turn(Ended(life.number("a[1]"), 1, Returned("1")))

    assert ([life.number("b[0]")], [life.number("b[1]")]) == (first, second)
    assert "completed" == life.status("a")


# Failures.


def test_an_item_that_fails_fails_the_step_once_the_others_have_ended():
    """Those at work may end; no other begins. The step fails with the error of the item."""
    life = of_items(3, max_parallel=2)

    failed, ended = life.fails("pay[0]"), life.returns("pay[1]")

    assert ["step.failed pay[0]"] == failed
    assert ["step.completed pay[1]", "step.failed pay", "run.failed"] == ended
    assert ["completed", "pending"] == [life.status("pay[1]"), life.status("pay[2]")]
    assert ev.RunFailed(seq=11, at=100.0, steps=("pay",), error="ValueError: broken") == life.log[-1]


def test_an_item_is_tried_again_by_itself():
    """With its own attempts and waits."""
    life = of_items(2, retry=Retry(1, initial=10.0, jitter=None))

    assert ["step.retrying pay[1]"] == life.fails("pay[1]")
    assert ["step.completed pay[0]"] == life.returns("pay[0]")
    assert ["step.started pay[1]"] == life.at(110.0)
    assert 2 == life.machine.run.attempts[life.number("pay[1]")]
    assert ["step.failed pay[1]", "step.failed pay", "run.failed"] == life.fails("pay[1]")


def test_an_item_is_not_tried_again_once_the_step_fails():
    """It would be for nothing."""
    life = of_items(2, retry=Retry(5))
    life.fails("pay[0]", retryable=False)

    assert ["step.failed pay[1]", "step.failed pay", "run.failed"] == life.fails("pay[1]")


@pytest.mark.parametrize(
    ("tolerate", "count", "failures", "expected"),
    [
        (0, 2, 1, "failed"), (1, 2, 1, "completed"), (1, 3, 2, "failed"), (2, 2, 2, "completed"),
        (0.5, 4, 2, "completed"), (0.5, 4, 3, "failed"), (0.25, 3, 1, "failed"), (1.0, 2, 2, "completed"),
        (0.0, 2, 1, "failed"),
    ],
)  # fmt: skip
def test_so_many_failures_are_borne(tolerate: float, count: int, failures: int, expected: str):
    """As a number, or as a share of all items; no more."""
    life = of_items(count, tolerate=tolerate)

    for item in range(count):
        life.ends(f"pay[{item}]", FAILS if item < failures else Returned("1"))

    assert expected == life.status("pay")


def test_results_of_items_that_failed_are_missing():
    """The others are in their places."""
    life = of_items(3, gathering("all", "pay"), tolerate=1)
    life.fails("pay[1]")
    life.returns("pay[0]", "5")

    followed = life.returns("pay[2]", "6")

    assert ["step.completed pay[2]", "step.completed pay", "step.started all"] == followed
    assert "[5,null,6]" == life.output("pay")


def test_one_more_failure_than_is_borne_stops_what_is_left():
    """As soon as it is certain."""
    life = of_items(4, tolerate=1, max_parallel=1)

    assert ["step.failed pay[0]", "step.started pay[1]"] == life.fails("pay[0]")
    assert ["step.failed pay[1]", "step.failed pay", "run.failed"] == life.fails("pay[1]")


def test_a_share_is_one_of_all_items():
    """So it is known as soon as those are; a failing step is not looked at as a share of what has ended."""
    life = of_items(4, tolerate=0.5, max_parallel=1)

    assert ["step.failed pay[0]", "step.started pay[1]"] == life.fails("pay[0]")
    assert ["step.failed pay[1]", "step.started pay[2]"] == life.fails("pay[1]")
    assert ["step.failed pay[2]", "step.failed pay", "run.failed"] == life.fails("pay[2]")


def test_a_skipped_item_is_no_failure():
    """It gave nothing."""
    life = of_items(2, gathering("all", "pay"))
    life.ends("pay[0]", SkippedItself("paid already"))

    followed = life.returns("pay[1]", "3")

    assert ["step.completed pay[1]", "step.completed pay", "step.started all"] == followed
    assert ("body", "paid already") == life.why("pay[0]")
    assert "[null,3]" == life.output("pay")


def test_an_optional_step_whose_items_fail_lets_the_run_complete():
    """As one without items does."""
    life = Life(node("load"), each("pay", "load", required=False), node("end", "pay", absorbs=["pay"]))
    life.returns("load")
    life.splits("pay", 1)

    assert ["step.failed pay[0]", "step.failed pay", "step.started end"] == life.fails("pay[0]")
    assert ["step.completed end", "run.completed"] == life.returns("end")


# Enough.


def test_so_many_results_suffice():
    """The step has completed with them; what is at work is stopped, and nothing else begins."""
    life = of_items(4, gathering("all", "pay"), need=1, max_parallel=2)

    followed = life.returns("pay[1]", "8")

    assert ["step.completed pay[1]"] == followed
    assert ["pay[0]"] == life.unwanted
    assert ["step.cancelled pay[0]", "step.completed pay", "step.started all"] == life.ends("pay[0]", Stopped())
    assert ("rest", "no longer needed") == life.why("pay[0]")
    assert "[null,8,null,null]" == life.output("pay")


def test_an_item_that_is_not_needed_any_more_is_not_tried_again():
    """The step waits for what is at work alone."""
    life = of_items(3, need=1, max_parallel=3, retry=Retry(1, jitter=None))
    life.fails("pay[0]")
    before = life.machine.run.can_start(life.number("pay[0]"), 200.0)

    life.returns("pay[1]", "8")

    assert before
    assert not life.machine.run.can_start(life.number("pay[0]"), 200.0)


def test_what_completes_though_it_is_not_needed_counts():
    """It was not stopped in time."""
    life = of_items(2, gathering("all", "pay"), need=1)
    life.returns("pay[1]", "8")

    followed = life.returns("pay[0]", "7")

    assert ["step.completed pay[0]", "step.completed pay", "step.started all"] == followed
    assert "[7,8]" == life.output("pay")


def test_too_few_that_may_complete_fail_the_step():
    """As soon as that is certain; if nothing failed, the error says what is lacking."""
    life = of_items(3, need=2, max_parallel=1)
    life.ends("pay[0]", SkippedItself("no"))

    followed = life.ends("pay[1]", SkippedItself("no"))

    assert ["step.skipped pay[1]", "step.failed pay", "run.failed"] == followed
    failed = life.last("pay")
    assert isinstance(failed, ev.StepFailed)
    assert "orchwf.errors.TooFewItemsError" == failed.error.type_name
    assert "step 'pay' needs 2 results of items, and only 0 of 3 completed" == failed.error.message


def test_fewer_items_than_are_needed_fail_the_step():
    """None of them begins."""
    life = Life(node("load"), each("pay", "load", need=3))
    life.returns("load")

    assert ["step.expanded pay", "step.failed pay", "run.failed"] == life.splits("pay", 2)


def test_failures_do_not_matter_if_enough_complete():
    """Unless it is said how many are borne."""
    life, strict = of_items(3, need=1), of_items(3, need=1, tolerate=1)
    for each_life in (life, strict):
        each_life.fails("pay[0]")

    first, second = life.fails("pay[1]"), strict.fails("pay[1]")

    assert (["step.failed pay[1]"], ["step.failed pay[1]"]) == (first, second)
    assert ["step.completed pay[2]", "step.completed pay", "run.completed"] == life.returns("pay[2]")
    assert ["step.completed pay[2]", "step.failed pay", "run.failed"] == strict.returns("pay[2]")


def test_too_few_because_of_failures_fail_with_the_first_of_them():
    """That is more to the point than how many are lacking."""
    life = of_items(2, need=2)
    life.ends("pay[0]", Raised(error=ErrorInfo("OSError", "gone"), retryable=False))

    followed = life.returns("pay[1]")

    assert ["step.completed pay[1]", "step.failed pay", "run.failed"] == followed
    assert "OSError: gone" == getattr(life.log[-1], "error", "")


# Chains.


def chain(**options: Any) -> Life:
    """Two steps that follow one another item by item, for two items, and one that takes all."""
    life = Life(node("load"), each("a", "load", **options), each("b", "a"), gathering("all", "b"))
    life.returns("load")
    life.splits("a", 2)
    return life


def test_items_go_on_without_waiting_for_the_others():
    """There is no barrier between steps that follow one another item by item."""
    life = Life(node("load"), each("a", "load"), each("b", "a"), gathering("all", "b"))
    life.returns("load")

    assert ["step.expanded a", "step.expanded b", "step.started a[0]", "step.started a[1]"] == life.splits("a", 2)
    assert ["step.completed a[1]", "step.started b[1]"] == life.returns("a[1]")
    assert ["step.completed b[1]"] == life.returns("b[1]", "21")
    assert ["step.completed a[0]", "step.completed a", "step.started b[0]"] == life.returns("a[0]")
    assert ["step.completed b[0]", "step.completed b", "step.started all"] == life.returns("b[0]", "20")
    assert "[20,21]" == life.output("b")


def test_a_chain_of_no_items_completes():
    """Each step of it, with an empty list."""
    life = Life(node("load"), each("a", "load"), each("b", "a"))
    life.returns("load")

    followed = life.splits("a", 0)

    assert ["step.expanded a", "step.completed a", "step.expanded b", "step.completed b", "run.completed"] == followed


def test_an_item_that_fails_has_none_that_follows():
    """It is skipped, and the others go on; a share that is borne is one of each step by itself."""
    life = chain(tolerate=1)

    failed = life.fails("a[0]")
    life.returns("a[1]")
    ended = life.returns("b[1]", "21")

    assert ["step.failed a[0]", "step.skipped b[0]"] == failed
    assert ("failure", "a failed for it") == life.why("b[0]")
    assert ["step.completed b[1]", "step.completed b", "step.started all"] == ended
    assert "[null,21]" == life.output("b")


def test_what_follows_a_step_that_had_enough_is_skipped_for_the_rest():
    """For items that were stopped, and for those that never began."""
    life = Life(node("load"), each("a", "load", need=1, max_parallel=2), each("b", "a"), gathering("all", "b"))
    life.returns("load")
    life.splits("a", 3)
    life.returns("a[0]")
    life.returns("b[0]", "20")

    followed = life.ends("a[1]", Stopped())

    assert [
        "step.cancelled a[1]", "step.completed a", "step.skipped b[1]", "step.skipped b[2]", "step.completed b",
        "step.started all",
    ] == followed  # fmt: skip
    assert ("failure", "a was cancelled for it") == life.why("b[1]")
    assert ("upstream", "a did without it") == life.why("b[2]")
    assert "[20,null,null]" == life.output("b")


def test_a_step_that_follows_two_goes_on_when_both_have_completed():
    """Item by item."""
    both = attrs.evolve(
        each("c", "a", "b"),
        arguments=(*each("c", "a").arguments, *each("c", "b").arguments),
        several=each("c", "a").several,
    )
    life = Life(node("load"), each("a", "load"), each("b", "a"), both)
    life.returns("load")
    life.splits("a", 2)
    life.returns("a[0]")

    assert ["step.completed b[0]", "step.started c[0]"] == life.returns("b[0]")


def test_what_follows_items_waits_for_what_else_it_needs():
    """No item of it begins before."""
    life = Life(node("load"), node("model"), each("a", "load"), each("b", "a", "model"))
    life.returns("load")
    life.splits("a", 1)

    first, second = life.returns("a[0]"), life.returns("model")

    assert ["step.completed a[0]", "step.completed a"] == first
    assert ["step.completed model", "step.expanded b", "step.started b[0]"] == second


def test_what_nobody_reads_is_let_go_at_once():
    """Not what is needed to undo it."""
    life, undone = of_items(2), of_items(2, undo={})
    for each_life in (life, undone):
        each_life.returns("pay[0]", "10")

    assert life.number("pay[0]") not in life.machine.run.outputs
    assert "10" == undone.machine.run.outputs[undone.number("pay[0]")]


def test_what_follows_items_is_skipped_with_what_it_follows():
    """Of which no item is known."""
    life = Life(node("load"), each("a", "load"), each("b", "a"))

    assert ["step.skipped load", "step.skipped a", "step.skipped b", "run.completed"] == life.ends(
        "load", SkippedItself("nothing")
    )


def test_what_follows_items_fails_with_the_run():
    """Its items at work may end; of those that have begun and not ended the resume makes the rest."""
    life = chain()
    life.returns("a[0]")

    failed, ended = life.fails("a[1]"), life.returns("b[0]")
    resumed = life.crashes(by_hand=True)

    assert ["step.failed a[1]", "step.failed a", "step.cancelled all"] == failed
    assert ["step.completed b[0]", "step.cancelled b", "run.failed"] == ended
    assert ("failure", "the run fails: a failed") == life.why("b")
    assert ["run.resumed", "step.started a[1]"] == resumed
    assert ["step.completed a[1]", "step.completed a", "step.started b[1]"] == life.returns("a[1]")


def test_outputs_that_were_followed_are_let_go():
    """As soon as nobody reads them any more, also if that is after a crash."""
    life = chain()
    life.returns("a[0]", "10")
    life.returns("b[0]", "20")
    before = dict(life.machine.run.outputs)
    life.crashes()

    after = dict(life.machine.run.outputs)

    assert life.number("a[0]") not in before
    assert life.number("b[0]") in before
    assert before == after


# Stopping in the midst of items.


def test_a_pause_lets_items_end_and_begins_no_others():
    """Resumed, it goes on with those that are left."""
    life = of_items(3, max_parallel=2)

    asked = life.asked("pause", "lunch")
    first, second = life.returns("pay[0]"), life.returns("pay[1]")
    resumed = life.crashes(by_hand=True)

    assert ["signal.received"] == asked
    assert ["step.completed pay[0]"] == first
    assert ["step.completed pay[1]", "run.paused"] == second
    assert ["run.resumed", "step.started pay[2]"] == resumed


def test_a_cancelled_run_stops_its_items():
    """They are cancelled, and so is their step; those that never began have no event of their own."""
    life = of_items(3, max_parallel=1)

    asked = life.asked("cancel", "enough")
    unwanted = life.unwanted
    stopped = life.ends("pay[0]", Stopped())

    assert (["signal.received"], ["pay[0]"]) == (asked, unwanted)
    assert ["step.cancelled pay[0]", "step.cancelled pay", "run.cancelled"] == stopped
    assert ("run", "the run was cancelled: enough") == life.why("pay[0]") == life.why("pay")


def test_a_deadline_stops_items_and_a_resume_goes_on_with_them():
    """What they have done is kept."""
    life = Life(node("load"), each("pay", "load"), deadline=60.0)
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[0]", "5")

    late = life.at(160.0)
    stopped = life.ends("pay[1]", Stopped())
    resumed = life.crashes(by_hand=True)
    completed = life.returns("pay[1]", "6")

    assert ([], ["step.cancelled pay[1]", "step.cancelled pay", "run.failed"]) == (late, stopped)
    assert ("deadline", "the run passed its deadline of 60 s") == life.why("pay[1]")
    assert ["run.resumed", "step.started pay[1]"] == resumed
    assert ["step.completed pay[1]", "step.completed pay", "run.completed"] == completed


def test_terminated_items_end_at_once():
    """Those at work, those that wait for another attempt, and their step."""
    life = of_items(3, max_parallel=2, retry=Retry(1, initial=10.0, jitter=None))
    life.fails("pay[0]")

    followed = life.asked("terminate", "now")

    assert [
        "signal.received", "step.cancelled pay[1]", "step.cancelled pay[2]", "step.cancelled pay[0]",
        "step.cancelled pay", "run.cancelled",
    ] == followed  # fmt: skip
    assert ("run", "the run was terminated: now") == life.why("pay[0]")


def test_a_failing_run_lets_items_end_and_begins_no_others():
    """Their step is cancelled then, and its items go on when the run is resumed."""
    life = Life(node("load"), node("bad"), each("pay", "load", max_parallel=1))
    life.returns("load")
    life.splits("pay", 2)

    failed, ended = life.fails("bad"), life.returns("pay[0]")
    resumed = life.crashes(by_hand=True)

    assert ["step.failed bad"] == failed
    assert ["step.completed pay[0]", "step.cancelled pay", "run.failed"] == ended
    assert ("failure", "the run fails: bad failed") == life.why("pay")
    assert ["run.resumed", "step.started bad", "step.started pay[1]"] == resumed


def test_an_item_that_finishes_the_run_ends_the_others():
    """What it gave is stored; its step is cancelled with the rest, and the run has completed."""
    life = of_items(2, gathering("all", "pay"))

    finished = life.ends("pay[0]", Finished("9"))
    stopped = life.ends("pay[1]", Stopped())

    assert ["step.completed pay[0]", "signal.received", "step.cancelled all"] == finished
    assert ["step.cancelled pay[1]", "step.cancelled pay", "run.completed"] == stopped
    assert ("finish", "pay finished the run") == life.why("pay")


def test_an_attempt_that_is_over_finishes_nothing():
    """It came too late."""
    life = Life(node("a", retry=Retry(1, initial=10.0)))
    life.fails("a")

    assert [] == life.ends("a", Finished("1"))


def test_a_run_that_fails_stays_finished():
    """What a step said then counts still when somebody resumes it."""
    life = Life(node("bad"), node("a"), node("end", "a"))
    life.fails("bad")

    finished = life.ends("a", Finished("1"))
    resumed = life.crashes(by_hand=True)

    assert ["step.completed a", "signal.received", "run.failed"] == finished
    assert ["run.resumed", "step.cancelled bad", "step.cancelled end", "run.completed"] == resumed


def test_items_of_a_step_that_nobody_needs_are_stopped():
    """It was to be there first, and another one was."""
    life = Life(
        node("load"), node("fast"), each("slow", "load", retry=Retry(1, initial=10.0, jitter=None)),
        node("end", "fast", "slow", join=Join.FIRST, cancel_rest=True),
    )  # fmt: skip
    life.returns("load")
    life.splits("slow", 2)
    life.fails("slow[1]")

    followed = life.returns("fast")
    unwanted = life.unwanted
    stopped = life.ends("slow[0]", Stopped())

    assert (["step.completed fast", "step.started end"], ["slow[0]"]) == (followed, unwanted)
    assert ["step.cancelled slow[0]", "step.cancelled slow[1]", "step.cancelled slow"] == stopped


def test_a_step_that_nobody_needs_ends_though_its_items_only_wait():
    """None of them is at work."""
    life = Life(
        node("load"), node("fast"), each("slow", "load", retry=Retry(1, initial=10.0, jitter=None)),
        node("end", "fast", "slow", join=Join.FIRST, cancel_rest=True),
    )  # fmt: skip
    life.returns("load")
    life.splits("slow", 1)
    life.fails("slow[0]")

    assert [
        "step.completed fast", "step.cancelled slow[0]", "step.cancelled slow", "step.started end",
    ] == life.returns("fast")  # fmt: skip


# What people see of it.


def test_the_history_of_a_step_has_its_items():
    """With their own attempts; that the value was taken apart is none."""
    life = of_items(2, retry=Retry(1, initial=0.0))
    life.fails("pay[1]")
    life.returns("pay[1]", "6")
    life.returns("pay[0]", "5")

    record = History("r").extend(life.log).steps["pay"]

    assert ("completed", 2, "[5,6]", 0) == (record.status, record.count, record.result, record.attempt)
    assert [(0, 1, "5"), (1, 2, "6")] == [(each.item, each.attempt, each.output) for each in record.present]


def test_items_that_never_began_are_pending_in_the_history():
    """So that each has its place."""
    life = of_items(2, max_parallel=1)

    record = History("r").extend(life.log).steps["pay"]

    assert ["running", "pending"] == [str(each.status) for each in record.present]
    assert 1 == record.present[1].item


def test_the_history_tells_other_items_from_those_of_before():
    """It shows those that the step has now."""
    life = Life(node("load"), each("pay", "load"))
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[0]", "10")
    life.crashes(reset=("load", "pay"))
    life.returns("load")
    life.splits("pay", 1)
    life.returns("pay[2]", "12")

    record = History("r").extend(life.log).steps["pay"]

    assert ("completed", 1, "[12]") == (record.status, record.count, record.result)
    assert [2] == [each.item for each in record.present]
    assert "10" == record.items[0].output
