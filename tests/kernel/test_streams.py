"""What follows in steps whose items come one after the other: generators, and loops."""

from typing import Any

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo
from orchwf.core.history import History
from orchwf.core.machine import Machine
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Ended, Returned, SkippedItself, Stopped
from tests.kernel.graphs import Life, each, gathering, loop, node, reading, spoken, stream

# Generators.


def rows(**options: Any) -> Life:
    """A generator, and a step that runs for each item that it gives."""
    return Life(stream("rows"), each("pay", "rows", **options), reading(node("all", "rows")), gathering("paid", "pay"))


def test_what_a_generator_gives_is_stored_one_by_one():
    """What follows it begins with the first; the output is the list of all."""
    life = rows()

    assert ["run.started", "step.started rows"] == life.spoken
    assert ["step.completed rows[0]", "step.expanded pay", "step.started pay[0]"] == life.gives("rows", 0, "10")
    assert ["step.completed pay[0]"] == life.returns("pay[0]", "20")
    assert ["step.completed rows[1]", "step.expanded pay", "step.started pay[1]"] == life.gives("rows", 1, "11")
    assert ["step.completed rows", "step.started all"] == life.is_exhausted("rows")
    assert "[10,11]" == life.output("rows")
    assert ["step.completed pay[1]", "step.completed pay", "step.started paid"] == life.returns("pay[1]", "21")
    assert "[20,21]" == life.output("pay")
    assert ev.StepCompleted(seq=3, at=100.0, step="rows", item=0, output="10") == life.log[2]


def test_a_generator_may_give_nothing():
    """Then there are no items."""
    life = rows()

    followed = life.is_exhausted("rows")

    assert [
        "step.completed rows", "step.expanded pay", "step.completed pay", "step.started all", "step.started paid",
    ] == followed  # fmt: skip
    assert "[]" == life.output("rows")


def test_another_attempt_of_a_generator_goes_on_where_the_one_before_was():
    """What is known already is not stored again, and nobody is told of it a second time."""
    life = Life(stream("rows", retry=Retry(1, initial=0.0)), each("pay", "rows"))
    life.gives("rows", 0, "10")
    life.gives("rows", 1, "11")

    failed = life.fails("rows")
    known = [*life.gives("rows", 0, "99"), *life.gives("rows", 1, "99")]
    new = life.gives("rows", 2, "12")

    assert ["step.retrying rows", "step.started rows"] == failed
    assert [] == known
    assert ["step.completed rows[2]", "step.expanded pay", "step.started pay[2]"] == new


def test_a_generator_goes_on_after_a_crash_where_it_was():
    """And so do those that follow it: what completed does not run again."""
    life = rows()
    life.gives("rows", 0)
    life.gives("rows", 1)
    life.returns("pay[0]")

    taken_up = life.crashes()

    assert ["run.resumed", "step.started rows", "step.started pay[1]"] == taken_up
    assert [] == life.gives("rows", 1)


def test_what_a_generator_gave_in_an_attempt_that_is_over_changes_nothing():
    """It came too late."""
    life = Life(stream("rows", retry=Retry(1, initial=10.0)))
    life.fails("rows")

    assert [] == life.gives("rows", 0)


def test_a_failed_generator_goes_on_when_it_is_resumed():
    """What it had given is kept, and so is what was done with it."""
    life = rows()
    life.gives("rows", 0)

    failed, ended = life.fails("rows"), life.returns("pay[0]")
    resumed = life.crashes(by_hand=True)

    assert ["step.failed rows", "step.skipped all", "step.cancelled paid"] == failed
    assert ["step.completed pay[0]", "step.cancelled pay", "run.failed"] == ended
    assert ["run.resumed", "step.started rows"] == resumed
    assert ["step.completed rows[1]", "step.expanded pay", "step.started pay[1]"] == life.gives("rows", 1)


def test_a_generator_whose_inputs_have_changed_gives_other_items():
    """Their numbers were not used before."""
    life = Life(stream("rows"), each("pay", "rows"))
    life.gives("rows", 0)
    life.gives("rows", 1)

    life.crashes(reset=("rows", "pay"))

    assert ["step.completed rows[2]", "step.expanded pay", "step.started pay[2]"] == life.gives("rows", 0)


def test_what_a_generator_gave_is_kept_though_a_step_has_changed_that_is_gone():
    """Of which an adopted definition knows nothing."""
    life = Life(stream("rows"), each("pay", "rows"))
    life.gives("rows", 0)

    life.crashes(reset=("gone",))

    assert [] == life.gives("rows", 0)


def test_a_share_of_items_is_one_of_all_that_come():
    """The first one that fails is all of them, so far."""
    life = Life(stream("rows"), each("pay", "rows", tolerate=0.5))
    life.gives("rows", 0)

    failed = life.fails("pay[0]")
    life.gives("rows", 1)
    life.returns("pay[1]")

    assert ["step.failed pay[0]"] == failed
    assert ["step.completed rows", "step.completed pay", "run.completed"] == life.is_exhausted("rows")


def test_a_generator_of_unknown_fate_lets_the_run_pause():
    """It runs at most once, and nobody knows what it did after it had given something."""
    life = Life(stream("rows", delivery="at_most_once"), each("pay", "rows"))
    life.gives("rows", 0)

    assert ["run.resumed", "run.paused"] == life.crashes()
    assert ["run.resumed", "step.started rows", "step.started pay[0]"] == life.crashes(
        by_hand=True, rerun=(life.number("rows"),)
    )


def test_a_generator_is_undone_as_a_whole():
    """Not item by item."""
    life = Life(stream("rows", undo={}), node("end", "rows"))
    life.gives("rows", 0)
    life.is_exhausted("rows")

    assert ["step.failed end", "compensation.started rows"] == life.fails("end")
    assert ["compensation.completed rows", "run.failed"] == life.undoing("rows")


def test_a_generator_that_nobody_needs_is_stopped():
    """What it has given is stored, and of no use."""
    life = Life(stream("rows"), node("fast"), node("end", "rows", "fast", join=Join.FIRST, cancel_rest=True))
    life.gives("rows", 0)
    life.returns("fast")

    assert ["rows"] == life.unwanted
    assert ["step.cancelled rows"] == life.ends("rows", Stopped())


def test_a_generator_that_fails_lets_nobody_go_on_as_if_it_had_ended():
    """What follows it item by item is skipped, though all that it gave is done."""
    life = Life(stream("rows"), each("score", "rows"), gathering("total", "score"), fail_fast=False)
    life.gives("rows", 0)
    life.returns("score[0]")

    followed = life.fails("rows")

    assert ["step.failed rows", "step.skipped score", "step.skipped total", "run.failed"] == followed


# Loops.


def test_a_loop_runs_until_it_has_settled():
    """Each iteration is an item; the output is that of the last one."""
    life = Life(loop("draft"), reading(node("end", "draft")))

    assert ["run.started", "step.expanded draft", "step.started draft[0]"] == life.spoken
    assert ["step.completed draft[0]", "step.expanded draft", "step.started draft[1]"] == life.returns("draft[0]", "2")
    assert ["step.completed draft[1]", "step.expanded draft", "step.started draft[2]"] == life.returns("draft[1]", "1")
    assert ["step.completed draft[2]", "step.completed draft", "step.started end"] == life.returns("draft[2]", "0")
    assert "0" == life.output("draft")
    assert ["expanded 1", "expanded 2", "expanded 3"] == [
        f"expanded {event.count}" for event in life.log if isinstance(event, ev.StepExpanded)
    ]


def test_a_loop_that_does_not_settle_fails():
    """After so many iterations, with an error that says so."""
    life = Life(loop("draft", max_iterations=2))
    life.returns("draft[0]")

    followed = life.returns("draft[1]")

    assert ["step.completed draft[1]", "step.failed draft", "run.failed"] == followed
    failed = life.last("draft")
    assert isinstance(failed, ev.StepFailed)
    assert "orchwf.errors.LoopLimitError" == failed.error.type_name
    assert "step 'draft' did not settle in 2 iterations (max_iterations)" == failed.error.message


def test_a_loop_ends_though_no_limit_is_said():
    """A predicate that never holds would go on for ever."""
    life = Life(loop("draft"))
    for iteration in range(999):
        life.returns(f"draft[{iteration}]")

    assert ["step.completed draft[999]", "step.failed draft", "run.failed"] == life.returns("draft[999]")
    assert "did not settle in 1,000 iterations" in getattr(life.log[-1], "error", "")


def test_a_predicate_that_raises_fails_the_loop():
    """With what it raised; resumed, it is asked again, and no iteration is repeated."""
    answers: list[bool | ErrorInfo] = [True, ErrorInfo("KeyError", "score")]
    life = Life(loop("draft"), settles=lambda _: answers.pop())

    failed = life.returns("draft[0]")
    resumed = life.crashes(by_hand=True)

    assert ["step.completed draft[0]", "step.failed draft", "run.failed"] == failed
    assert "KeyError: score" == getattr(life.log[5], "error", "")
    assert ["run.resumed", "step.completed draft", "run.completed"] == resumed


def test_a_loop_whose_code_is_not_known_runs_once():
    """Such as where a run is only to be ended."""
    life = Life(loop("draft"))
    machine = Machine("r", life.plan, lambda _: None)
    machine.replay(life.log)

    turn = machine.turn([Ended(life.number("draft[0]"), 1, Returned("5"))], 100.0)

    assert ["step.completed draft[0]", "step.completed draft", "run.completed"] == list(map(spoken, turn.events))


def test_an_iteration_that_fails_fails_the_loop():
    """Resumed, that one is tried again, with what the one before gave."""
    life = Life(loop("draft", retry=Retry(1, initial=0.0)))
    life.returns("draft[0]", "5")

    retried, failed = life.fails("draft[1]"), life.fails("draft[1]")
    resumed = life.crashes(by_hand=True)

    assert ["step.retrying draft[1]", "step.started draft[1]"] == retried
    assert ["step.failed draft[1]", "step.failed draft", "run.failed"] == failed
    assert ["run.resumed", "step.started draft[1]"] == resumed
    assert "5" == life.machine.run.outputs[life.number("draft[0]")]


def test_an_iteration_that_skips_itself_skips_the_loop():
    """There is nothing to go on with."""
    life = Life(loop("draft"), node("end", "draft"))
    life.returns("draft[0]")

    followed = life.ends("draft[1]", SkippedItself("enough"))

    assert ["step.skipped draft[1]", "step.skipped draft", "step.skipped end", "run.completed"] == followed
    assert ("body", "its last iteration skipped itself") == life.why("draft")


def test_a_loop_goes_on_after_a_crash_with_the_iteration_in_flight():
    """Those before are not repeated."""
    life = Life(loop("draft"))
    life.returns("draft[0]")

    assert ["run.resumed", "step.started draft[1]"] == life.crashes()


def test_iterations_are_undone_from_the_last_to_the_first():
    """Each of them may have done something."""
    life = Life(loop("draft", undo={}), node("end", "draft"))
    life.returns("draft[0]")
    life.returns("draft[1]", "0")

    assert ["step.failed end", "compensation.started draft[1]"] == life.fails("end")
    assert ["compensation.completed draft[1]", "compensation.started draft[0]"] == life.undoing("draft[1]")


def test_what_iterations_gave_is_kept_for_the_next_one():
    """And let go once the loop has ended, if nobody reads it."""
    life = Life(loop("draft"), node("end", "draft"))
    life.returns("draft[0]", "2")
    before = life.machine.run.outputs[life.number("draft[0]")]

    life.returns("draft[1]", "0")

    assert "2" == before
    assert {} == life.machine.run.outputs


def test_a_cancelled_loop_begins_no_other_iteration():
    """The one at work is stopped."""
    life = Life(loop("draft"))
    life.asked("cancel")

    assert ["draft[0]"] == life.unwanted
    assert ["step.completed draft[0]", "step.cancelled draft", "run.cancelled"] == life.returns("draft[0]")


def test_the_history_counts_what_a_generator_gave():
    """Though nobody said before how many there would be."""
    life = rows()
    life.gives("rows", 0, "10")
    life.gives("rows", 1, "11")

    record = History("r").extend(life.log).steps["rows"]

    assert ("running", 2, None) == (record.status, record.count, record.result)
    assert ["10", "11"] == [each.output for each in record.present]
