"""What becomes of items when the process dies, when somebody resumes the run, and when it is undone."""

from orchwf.core import events as ev
from orchwf.core.history import History
from orchwf.core.options import Retry
from orchwf.core.outcome import Asked, Raised, SkippedItself, Stopped, TakenUp
from orchwf.core.state import StepStatus
from tests.kernel.graphs import BROKEN, Life, each, gathering, loop, node, of_items, signal

# Ends of steps and what becomes of items.


def test_what_is_undone_is_not_stopped_as_its_step_had_enough():
    """Only attempts of its items are wanted no longer then, not their compensations."""
    life = Life(node("load"), each("pay", "load", need=1, undo={}), node("ship", "pay"))
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[0]")
    life.ends("pay[1]", Stopped())

    followed = life.fails("ship")

    assert ["step.failed ship", "compensation.started pay[0]"] == followed
    assert [] == life.unwanted
    assert ["compensation.completed pay[0]", "run.failed"] == life.undoing("pay[0]")


def test_an_item_whose_process_died_is_undone_though_its_step_has_enough():
    """It may have had its effect; so it ends, and in its place among the others it is undone."""
    life = Life(node("load"), each("pay", "load", need=1, undo={}), node("ship", "pay"))
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[0]")

    taken_up = life.crashes()
    life.fails("ship")

    assert ["run.resumed", "step.cancelled pay[1]", "step.completed pay", "step.started ship"] == taken_up
    assert ("rest", "no longer needed") == life.why("pay[1]")
    assert ["compensation.completed pay[1]", "compensation.started pay[0]"] == life.undoing("pay[1]")
    assert ["compensation.completed pay[0]", "run.failed"] == life.undoing("pay[0]")


def test_an_item_whose_process_died_is_undone_though_its_step_fails():
    """What was to end in peace after another item had failed never will."""
    life = Life(node("load"), each("pay", "load", undo={}))
    life.returns("load")
    life.splits("pay", 2)
    life.fails("pay[1]")

    taken_up = life.crashes()

    assert ["run.resumed", "step.cancelled pay[0]", "step.failed pay", "compensation.started pay[0]"] == taken_up
    assert ("failure", "pay failed") == life.why("pay[0]")


def test_an_item_that_waits_for_another_attempt_ends_with_its_step():
    """And runs again when somebody resumes the run, as the one does that failed."""
    life = Life(node("load"), each("pay", "load", retry=Retry(1, initial=50.0, jitter=None)))
    life.returns("load")
    life.splits("pay", 3)
    life.fails("pay[0]")
    life.returns("pay[1]")

    failed = life.fails("pay[2]", retryable=False)
    resumed = life.crashes(by_hand=True)

    assert ["step.failed pay[2]", "step.cancelled pay[0]", "step.failed pay", "run.failed"] == failed
    assert ["run.resumed", "step.started pay[0]", "step.started pay[2]"] == resumed


def test_an_item_that_waits_for_a_person_ends_with_its_step():
    """Nobody has to say how it goes on once there are enough others."""
    life = Life(node("load"), each("pay", "load", need=1, on_exhausted="pause"))
    life.returns("load")
    life.splits("pay", 2)
    life.fails("pay[0]")

    followed = life.returns("pay[1]")

    assert ["step.completed pay[1]", "step.cancelled pay[0]", "step.completed pay", "run.completed"] == followed


def test_items_that_a_step_has_no_more_are_undone():
    """Also one that was in flight when its process died: the resume with which it went was its end."""
    life = Life(node("load"), each("pay", "load", undo={}), node("ship", "pay"))
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[1]")
    life.crashes(reset=("load", "pay"))
    life.returns("load")
    life.splits("pay", 1)
    life.returns("pay[2]")

    failed = life.fails("ship")

    assert ["step.failed ship", "compensation.started pay[2]"] == failed
    assert ["compensation.completed pay[2]", "compensation.started pay[0]"] == life.undoing("pay[2]")
    assert ["compensation.completed pay[0]", "compensation.started pay[1]"] == life.undoing("pay[0]")
    assert ["compensation.completed pay[1]", "run.failed"] == life.undoing("pay[1]")


def test_an_item_of_unknown_fate_that_a_step_has_no_more_still_needs_somebody():
    """It runs at most once, and perhaps did; once somebody has said to go on, nobody is asked again."""
    life = Life(node("load"), each("pay", "load", delivery="at_most_once"))
    life.returns("load")
    life.splits("pay", 2)

    taken_up = life.crashes(reset=("load", "pay"))
    resumed = life.crashes(by_hand=True, rerun=(life.number("pay"),))

    assert ["run.resumed", "run.paused"] == taken_up
    assert ["run.resumed", "step.started load"] == resumed
    assert ["step.completed load", "step.started pay"] == life.returns("load")


def test_items_of_unknown_fate_run_again_if_somebody_says_so():
    """All that were in flight of a step that runs at most once, and no others."""
    life = Life(node("load"), each("pay", "load", delivery="at_most_once", max_parallel=2))
    life.returns("load")
    life.splits("pay", 3)
    life.returns("pay[0]")

    taken_up = life.crashes()
    resumed = life.crashes(by_hand=True, rerun=(life.number("pay"),))

    assert ["run.resumed", "run.paused"] == taken_up
    assert ["run.resumed", "step.started pay[1]", "step.started pay[2]"] == resumed


def test_items_of_unknown_fate_are_skipped_if_somebody_says_so():
    """The step goes on with the others; what those have done is kept."""
    life = Life(node("load"), each("pay", "load", delivery="at_most_once", max_parallel=2), gathering("all", "pay"))
    life.returns("load")
    life.splits("pay", 4)
    life.returns("pay[0]", "5")
    life.crashes()

    resumed = life.crashes(by_hand=True, skipped=(life.number("pay"),))
    life.returns("pay[3]", "8")

    assert ["run.resumed", "step.skipped pay[1]", "step.skipped pay[2]", "step.started pay[3]"] == resumed
    assert ("person", "somebody said so when the run was resumed") == life.why("pay[2]")
    assert "[5,null,null,8]" == life.output("pay")


def test_items_that_wait_for_a_person_are_skipped_if_one_says_so():
    """Those that have no attempts left."""
    life = Life(node("load"), each("pay", "load", on_exhausted="pause"))
    life.returns("load")
    life.splits("pay", 2)
    life.fails("pay[0]")

    paused = life.returns("pay[1]")
    resumed = life.crashes(by_hand=True, skipped=(life.number("pay"),))

    assert ["step.completed pay[1]", "run.paused"] == paused
    assert ["run.resumed", "step.skipped pay[0]", "step.completed pay", "run.completed"] == resumed


def test_a_failed_step_is_skipped_with_all_its_items_if_somebody_says_so():
    """Nothing of it runs again."""
    life = Life(node("load"), each("pay", "load"), node("ship", "pay"))
    life.returns("load")
    life.splits("pay", 1)
    life.fails("pay[0]")

    resumed = life.crashes(by_hand=True, skipped=(life.number("pay"),))

    assert ["run.resumed", "step.skipped pay", "step.skipped ship", "run.completed"] == resumed


# After a crash, and resumed by hand.


def test_items_in_flight_run_again_after_a_crash():
    """Those that completed do not, and the limit is kept."""
    life = of_items(4, max_parallel=2)
    life.returns("pay[0]", "5")

    taken_up = life.crashes()
    ended = life.returns("pay[2]", "7")

    assert ["run.resumed", "step.started pay[1]", "step.started pay[2]"] == taken_up
    assert ["step.completed pay[2]", "step.started pay[3]"] == ended


def test_an_item_waits_for_its_retry_though_its_process_died():
    """No longer than it was told to, also if the clock was set back."""
    life = of_items(2, retry=Retry(1, initial=10.0, jitter=None))
    life.fails("pay[0]")
    life.returns("pay[1]")
    life.now = 95.0

    assert ["run.resumed"] == life.crashes()
    assert [] == life.at(104.0)
    assert ["step.started pay[0]"] == life.at(105.0)


def test_a_resume_runs_only_the_items_again_that_failed():
    """With a fresh budget of attempts."""
    life = of_items(3, gathering("all", "pay"), retry=Retry(1, initial=0.0))
    life.returns("pay[0]", "5")
    life.fails("pay[1]")
    life.fails("pay[1]")
    life.ends("pay[2]", SkippedItself("no"))

    resumed = life.crashes(by_hand=True)
    again, failed = life.fails("pay[1]"), life.fails("pay[1]")
    life.crashes(by_hand=True)
    completed = life.returns("pay[1]", "6")

    assert ["run.resumed", "step.started pay[1]"] == resumed
    assert ["step.retrying pay[1]", "step.started pay[1]"] == again
    assert ["step.failed pay[1]", "step.failed pay", "step.skipped all", "run.failed"] == failed
    assert ["step.completed pay[1]", "step.completed pay", "step.started all"] == completed
    assert "[5,6,null]" == life.output("pay")
    assert 5 == life.machine.run.attempts[life.number("pay[1]")]


def test_the_history_tells_which_items_a_resume_runs_again():
    """As the kernel has it: the others are as they were."""
    life = of_items(3, retry=Retry(1, initial=0.0))
    life.returns("pay[0]", "5")
    life.ends("pay[2]", SkippedItself("no"))
    life.fails("pay[1]")
    life.fails("pay[1]")
    before = [str(each.status) for each in History("r").extend(life.log).steps["pay"].present]
    life.machine = life.new_machine()
    life.machine.replay(life.log)

    life.bare_turn(TakenUp(fingerprint="f", by_hand=True))

    record = History("r").extend(life.log).steps["pay"]
    assert ["completed", "failed", "skipped"] == before
    assert ["completed", "pending", "skipped"] == [str(each.status) for each in record.present]
    assert ("waiting", None, "5") == (record.status, record.output, record.present[0].output)


def test_a_resume_leaves_items_as_they_are_of_a_step_that_bore_their_failure():
    """It completed; another step failed."""
    life = Life(node("load"), each("pay", "load", tolerate=1), gathering("all", "pay"))
    life.returns("load")
    life.splits("pay", 1)
    life.fails("pay[0]")
    life.fails("all")

    assert ["run.resumed", "step.started all"] == life.crashes(by_hand=True)
    assert "failed" == life.status("pay[0]")


def test_an_item_without_attempts_left_lets_the_run_pause():
    """Once the others have ended; a resume tries it again."""
    life = of_items(2, on_exhausted="pause")

    failed, ended = life.fails("pay[0]"), life.returns("pay[1]")
    resumed = life.crashes(by_hand=True)

    assert (["step.retrying pay[0]"], ["step.completed pay[1]", "run.paused"]) == (failed, ended)
    assert "pay has no attempts left: ValueError: broken" == getattr(life.log[9], "reason", "")
    assert ["run.resumed", "step.started pay[0]"] == resumed


def test_items_keep_all_their_attempts_within_a_time():
    """Each has its own: from its first attempt on."""
    life = of_items(2, retry=Retry(9, initial=20.0, jitter=None), total_timeout=30.0, max_parallel=1)
    life.fails("pay[0]")
    life.now = 125.0

    assert (5.0, True) == life.machine.run.time_left(life.number("pay[0]"), life.now)
    assert (30.0, True) == life.machine.run.time_left(life.number("pay[1]"), 100.0)


# Items that are told by their content.


def test_results_are_known_by_their_keys_when_the_list_has_changed():
    """Items that were there before need not run again, wherever they are now; those at work do."""
    life = Life(node("load"), each("pay", "load", item_key=str), gathering("all", "pay"))
    life.returns("load")
    life.splits("pay", 3, "a", "b", "c")
    life.returns("pay[0]", "10")
    life.returns("pay[1]", "11")
    life.crashes(reset=("load", "pay"))
    life.returns("load")

    followed = life.splits("pay", 3, "x", "b", "c")

    assert ["step.expanded pay", "step.completed pay[4]", "step.started pay[3]", "step.started pay[5]"] == followed
    assert ev.StepCompleted(seq=16, at=100.0, step="pay", attempt=0, item=4, output="11") == life.last("pay[4]")
    life.returns("pay[3]", "9")
    life.returns("pay[5]", "12")
    assert "[9,11,12]" == life.output("pay")


def test_results_are_known_by_their_keys_over_several_changes():
    """Also of items that were not there in between."""
    life = Life(node("load"), each("pay", "load", item_key=str), gathering("end", "pay"))
    life.returns("load")
    life.splits("pay", 2, "a", "b")
    life.returns("pay[0]", "10")
    life.returns("pay[1]", "11")
    life.crashes(reset=("load", "pay"))
    life.returns("load")
    life.splits("pay", 1, "b")
    life.crashes(reset=("load", "pay"))
    life.returns("load")

    followed = life.splits("pay", 1, "a")

    assert ["step.expanded pay", "step.completed pay[3]", "step.completed pay", "step.started end"] == followed
    assert "[10]" == life.output("pay")


def test_without_keys_nothing_is_known_of_a_changed_list():
    """All of it runs again, with numbers that were not used before."""
    life = Life(node("load"), each("pay", "load"))
    life.returns("load")
    life.splits("pay", 2)
    life.returns("pay[0]", "10")
    life.crashes(reset=("load", "pay"))
    life.returns("load")

    assert ["step.expanded pay", "step.started pay[2]", "step.started pay[3]"] == life.splits("pay", 2)


def test_a_fork_knows_results_by_their_keys():
    """What the run knew from which it was made."""
    known = '{"pay":{"a":"10"},"gone":{"a":"1"}}'
    life = Life(node("load"), each("pay", "load", item_key=str), begun={"known": known})
    life.returns("load")

    followed = life.splits("pay", 2, "b", "a")

    assert ["step.expanded pay", "step.completed pay[1]", "step.started pay[0]"] == followed


def test_what_is_known_is_not_undone():
    """Another run did it, or it is undone with what was there before."""
    life = Life(
        node("load"), each("pay", "load", item_key=str, undo={}), node("end", "pay"),
        begun={"known": '{"pay":{"a":"10"}}'},
    )  # fmt: skip
    life.returns("load")
    life.splits("pay", 1, "a")

    assert ["step.failed end", "run.failed"] == life.fails("end")


# Undoing.


def test_items_are_undone_in_the_reverse_order_of_their_ends():
    """One after the other, with what each gave; those that failed, or gave nothing, are not."""
    life = of_items(4, node("end", "pay"), undo={}, tolerate=1)
    for item in (2, 0):
        life.returns(f"pay[{item}]", str(item))
    life.fails("pay[1]")
    life.ends("pay[3]", SkippedItself("no"))

    failed = life.fails("end")
    outputs = {item: life.machine.run.outputs[life.number(f"pay[{item}]")] for item in (0, 2)}

    assert ["step.failed end", "compensation.started pay[0]"] == failed
    assert {0: "0", 2: "2"} == outputs
    assert ["compensation.completed pay[0]", "compensation.started pay[2]"] == life.undoing("pay[0]")
    assert ["compensation.completed pay[2]", "run.failed"] == life.undoing("pay[2]")


def test_undoing_an_item_is_tried_again():
    """By its own rules; and once more when somebody resumes the run, if it could not be undone."""
    life = of_items(1, node("end", "pay"), undo={"retry": Retry(1, initial=10.0, jitter=None)})
    life.returns("pay[0]")
    life.fails("end")

    retrying = life.undoing("pay[0]", Raised(error=BROKEN, retryable=True))
    again = life.at(110.0)
    failed = life.undoing("pay[0]", Raised(error=BROKEN, retryable=True))
    resumed = life.crashes(by_hand=True)

    assert (["compensation.failed pay[0]"], ["compensation.started pay[0]"]) == (retrying, again)
    assert ["compensation.failed pay[0]", "run.failed"] == failed
    assert ["run.resumed", "compensation.started pay[0]"] == resumed
    assert ["compensation.completed pay[0]", "run.failed"] == life.undoing("pay[0]")


def test_what_undoes_an_item_runs_again_after_a_crash():
    """It was not known whether it was done."""
    life = of_items(1, node("end", "pay"), undo={})
    life.returns("pay[0]")
    life.fails("end")

    assert ["run.resumed", "compensation.started pay[0]"] == life.crashes()


def test_what_follows_items_that_are_others_now_waits_for_them():
    """None of those of before counts, and nobody takes it that there are none."""
    life = Life(node("load"), each("a", "load"), each("b", "a"), gathering("all", "b"))
    life.returns("load")
    life.splits("a", 2)
    life.returns("a[0]")
    life.returns("b[0]")

    taken_up = life.crashes(reset=("load", "a", "b"))
    life.returns("load")
    expanded = life.splits("a", 1)

    assert ["run.resumed", "step.started load"] == taken_up
    assert ["step.expanded a", "step.expanded b", "step.started a[2]"] == expanded
    assert ["step.completed a[2]", "step.completed a", "step.started b[2]"] == life.returns("a[2]")


def test_no_other_item_begins_while_a_step_before_runs_again():
    """What had begun goes on once that has ended; what waits outside begins to wait anew."""
    life = Life(node("a"), node("load"), each("pay", "load", "a", max_parallel=1), signal("paid", "a", timeout=60.0))
    life.returns("load")
    life.returns("a")
    life.splits("pay", 2)
    life.returns("pay[0]")
    life.now = 150.0

    taken_up = life.crashes(reset=("a",))
    followed = life.returns("a")

    assert ["run.resumed", "step.started a"] == taken_up
    assert ["step.completed a", "timer.set paid", "step.started pay[1]"] == followed
    assert 210.0 == life.machine.run.next_due()


def changed_after_it_failed() -> Life:
    """A run that goes on after a loop has failed, whose process died, and of which the loop has other inputs now."""
    life = Life(
        node("load"), loop("settle", "load"), node("after", "settle"), node("a"), node("b", "a"), fail_fast=False
    )
    life.returns("load")
    life.fails("settle[0]")
    life.crashes(reset=("settle",))
    return life


def test_a_step_that_failed_does_not_run_again_as_its_inputs_changed():
    """Else it would complete in a run that fails for it; it has other items when somebody resumes that."""
    life = changed_after_it_failed()

    in_vain = (life.status("settle"), life.running)
    ended = [*life.returns("a"), *life.returns("b")]
    resumed = life.crashes(by_hand=True)

    assert ("failed", ["a"]) == in_vain
    assert ["step.completed a", "step.started b", "step.completed b", "run.failed"] == ended
    assert ["run.resumed", "step.expanded settle", "step.started settle[1]"] == resumed
    assert ["step.completed settle[1]", "step.completed settle", "step.started after"] == life.returns("settle[1]", "0")
    assert ["step.completed after", "run.completed"] == life.returns("after")


def test_a_step_that_failed_has_other_items_when_the_run_was_paused():
    """The view for people says the same."""
    life = changed_after_it_failed()
    life.turn(Asked("pause", "m"))
    life.returns("a")
    before = History("r").extend(life.log).steps["settle"]

    resumed = life.crashes(by_hand=True)

    assert (StepStatus.FAILED, []) == (before.status, before.present)
    assert ["run.resumed", "step.expanded settle", "step.started b", "step.started settle[1]"] == resumed


def test_an_item_that_its_step_has_no_more_keeps_its_end_when_what_failed_runs_again():
    """So it is undone, if it may have had its effect."""
    life = Life(node("load"), each("pay", "load", undo={}), node("other"), fail_fast=False)
    life.returns("load")
    life.splits("pay", 1)
    life.ends("pay[0]", Raised(error=BROKEN, retryable=False, runs_on=True))
    life.crashes(reset=("pay",))
    life.turn(Asked("pause", "m"))
    life.returns("other")

    resumed = life.crashes(by_hand=True)

    assert ["run.resumed", "step.started pay"] == resumed
    assert "failed" == life.status("pay[0]")
    life.splits("pay", 1)
    failed = life.fails("pay[1]")
    assert ["step.failed pay[1]", "step.failed pay", "compensation.started pay[0]"] == failed
