"""What follows for steps that start other runs, and wait for them."""

from orchwf.core import events as ev
from orchwf.core.history import History
from orchwf.core.options import Join, Retry
from orchwf.core.outcome import Asked, ChildEnded, Finished, Raised, Returned, Spawned
from tests.kernel.graphs import BROKEN, Life, each, gathering, node, reading, subflow

FAILED = Raised(error=BROKEN, retryable=True, spread=1.0)


def test_a_step_starts_a_run_and_waits_for_its_end():
    """What the run gave is the output; what waits for that goes on in the same turn."""
    life = Life(subflow(node("ship")), reading(node("end", "ship")))

    started = life.spawns("ship")
    ended = life.child_ends("ship", Returned('{"run":"r/ship","outputs":{}}'))

    assert ["run.started", "step.started ship"] == life.spoken
    assert ["child.started ship"] == started
    assert ["signal.received", "step.completed ship", "step.started end"] == ended
    assert [
        ev.ChildStarted(seq=3, at=100.0, step="ship", attempt=1, child="r/ship", workflow="Child", version="1",
                        inputs="{}", depth=2),
        ev.SignalReceived(seq=4, at=100.0, signal="child", message_id="m1", payload="{}"),
        ev.StepCompleted(seq=5, at=100.0, step="ship", attempt=1, output='{"run":"r/ship","outputs":{}}'),
    ] == life.log[2:5]  # fmt: skip


def test_nothing_is_in_flight_while_a_step_waits_for_a_run():
    """So this run may sleep until it hears of it."""
    life = Life(subflow(node("ship")))
    life.spawns("ship")

    assert ([], True, None) == (life.running, life.machine.run.only_waits(), life.machine.run.next_due())


def test_a_run_that_has_not_ended_is_waited_for():
    """Though somebody has looked at it."""
    life = Life(subflow(node("ship")))
    life.spawns("ship")

    assert ["signal.received"] == life.child_ends("ship", None)
    assert "waiting" == life.status("ship")


def test_that_a_run_has_ended_may_be_found_out_twice():
    """By its message, and by looking; only the first changes anything."""
    life = Life(subflow(node("ship")), node("end", "ship"))
    life.spawns("ship")
    found_out = ChildEnded(life.number("ship"), "r/ship", Returned("1"))

    first, second = life.turn(found_out), life.child_ends("ship", Returned("1"))

    assert ["step.completed ship", "step.started end"] == first
    assert ["signal.received"] == second


def test_what_is_said_of_a_run_is_noted_once():
    """Its message may be read twice."""
    life = Life(subflow(node("ship")), node("end"))
    life.spawns("ship")
    said = ChildEnded(life.number("ship"), "r/ship", Returned("1"), Asked("child", "m", "{}"))

    assert ["signal.received", "step.completed ship"] == life.turn(said)
    assert [] == life.turn(said)


def test_what_is_said_of_a_run_after_the_end_changes_nothing():
    """Nobody waits for it any more."""
    life = Life(subflow(node("ship")))
    life.spawns("ship")
    life.asked("cancel")

    assert [] == life.child_ends("ship", Returned("1"))


def test_a_run_that_fails_fails_the_step():
    """With its error, if there are no retries."""
    life = Life(subflow(node("ship")), node("end", "ship"))
    life.spawns("ship")

    followed = life.child_ends("ship", FAILED)

    assert ["signal.received", "step.failed ship", "step.skipped end", "run.failed"] == followed
    assert "ValueError: broken" == getattr(life.log[-1], "error", "")


def test_a_retry_goes_on_with_the_same_run():
    """It is told of again, without what it began with: that is said once."""
    life = Life(subflow(node("ship", retry=Retry(1, initial=10.0, jitter=None))))
    life.spawns("ship")

    failed = life.child_ends("ship", FAILED)
    retried = life.at(110.0)
    again = life.ends("ship", Spawned(child="r/ship"))
    completed = life.child_ends("ship", Returned("1"))

    assert (["signal.received", "step.retrying ship"], ["step.started ship"]) == (failed, retried)
    assert ["child.started ship"] == again
    assert ev.ChildStarted(seq=7, at=110.0, step="ship", attempt=2, child="r/ship") == life.log[6]
    assert ["signal.received", "step.completed ship", "run.completed"] == completed
    first = life.machine.run.children[life.number("ship")]
    assert ("Child", "{}", 2, 110.0) == (first.workflow, first.inputs, first.depth, first.at)


def test_a_resume_goes_on_with_the_same_run():
    """The one that failed; with a fresh budget of attempts."""
    life = Life(subflow(node("ship", retry=Retry(1, initial=0.0))))
    life.spawns("ship")
    life.child_ends("ship", FAILED)
    life.ends("ship", Spawned(child="r/ship"))
    life.child_ends("ship", FAILED)

    resumed = life.crashes(by_hand=True)
    life.ends("ship", Spawned(child="r/ship"))

    assert ["run.resumed", "step.started ship"] == resumed
    assert ["signal.received", "step.retrying ship", "step.started ship"] == life.child_ends("ship", FAILED)


def test_a_run_may_take_so_long():
    """Then the step fails, whatever retries it has: nobody waits for that run any longer."""
    life = Life(subflow(node("ship", timeout=30.0, retry=Retry(3))))
    life.spawns("ship")

    followed = life.at(130.0)

    assert ["timer.fired ship", "step.failed ship", "run.failed"] == followed
    message = "the run that step 'ship' waits for took longer than 30 s"
    failed = life.last("ship")
    assert isinstance(failed, ev.StepFailed)
    assert ("orchwf.errors.StepTimeoutError", message) == (failed.error.type_name, failed.error.message)
    assert [] == life.child_ends("ship", Returned("1"))


def test_a_body_that_raises_starts_no_run():
    """It is tried again, as of any step."""
    life = Life(subflow(node("ship", retry=Retry(1, initial=0.0))))

    assert ["step.retrying ship", "step.started ship"] == life.fails("ship")
    assert {} == life.machine.run.children


def test_a_step_waits_on_for_its_run_after_a_crash():
    """Nothing is started a second time."""
    life = Life(subflow(node("ship", timeout=30.0)))
    life.spawns("ship")
    life.now = 120.0

    assert ["run.resumed"] == life.crashes()
    assert 130.0 == life.machine.run.next_due()
    assert ["signal.received", "step.completed ship", "run.completed"] == life.child_ends("ship", Returned("1"))


def test_a_process_that_died_before_the_run_was_started_starts_it():
    """The body runs again."""
    life = Life(subflow(node("ship")))

    assert ["run.resumed", "step.started ship"] == life.crashes()


def test_a_cancelled_run_does_not_wait_for_those_it_started():
    """Nor does one past its deadline, one that is terminated, or finished."""
    ends = {}
    for name in ("cancel", "terminate"):
        life = Life(subflow(node("ship")))
        life.spawns("ship")
        ends[name] = life.asked(name)
    late = Life(subflow(node("ship")), deadline=60.0)
    late.spawns("ship")
    finished = Life(subflow(node("ship")), node("end"))
    finished.spawns("ship")

    assert ["signal.received", "step.cancelled ship", "run.cancelled"] == ends["cancel"] == ends["terminate"]
    assert ["step.cancelled ship", "run.failed"] == late.at(160.0)
    assert ["step.completed end", "signal.received", "step.cancelled ship", "run.completed"] == finished.ends(
        "end", Finished("1")
    )


def test_a_run_that_nobody_needs_is_waited_for_no_longer():
    """Another step was there first."""
    life = Life(subflow(node("ship")), node("fast"), node("end", "ship", "fast", join=Join.FIRST, cancel_rest=True))
    life.spawns("ship")

    assert ["step.completed fast", "step.cancelled ship", "step.started end"] == life.returns("fast")


def test_runs_of_items_that_nobody_needs_are_waited_for_no_longer():
    """Each of them is told."""
    life = Life(
        node("load"), node("fast"), subflow(each("ship", "load")),
        node("end", "fast", "ship", join=Join.FIRST, cancel_rest=True),
    )  # fmt: skip
    life.returns("load")
    life.splits("ship", 1)
    life.spawns("ship[0]")

    assert [
        "step.completed fast", "step.cancelled ship[0]", "step.cancelled ship", "step.started end",
    ] == life.returns("fast")  # fmt: skip


def test_each_item_may_start_a_run():
    """So many at once as is said: also one that only waits has its place."""
    life = Life(node("load"), subflow(each("ship", "load", max_parallel=1)), gathering("all", "ship"))
    life.returns("load")
    life.splits("ship", 2)

    first = life.spawns("ship[0]")
    second = life.child_ends("ship[0]", Returned("1"))
    life.spawns("ship[1]")

    assert ["child.started ship[0]"] == first
    assert ["signal.received", "step.completed ship[0]", "step.started ship[1]"] == second
    assert ["signal.received", "step.completed ship[1]", "step.completed ship", "step.started all"] == life.child_ends(
        "ship[1]", Returned("2")
    )
    assert "[1,2]" == life.output("ship")


def test_items_wait_on_for_their_runs_after_a_crash():
    """Each has its place among those at work."""
    life = Life(node("load"), subflow(each("ship", "load", max_parallel=1)))
    life.returns("load")
    life.splits("ship", 2)
    life.spawns("ship[0]")

    taken_up = life.crashes()

    assert ["run.resumed"] == taken_up
    assert ["signal.received", "step.completed ship[0]", "step.started ship[1]"] == life.child_ends(
        "ship[0]", Returned("1")
    )


def test_a_run_of_an_item_may_take_so_long():
    """The others go on; their step fails once they have ended."""
    life = Life(node("load"), subflow(each("ship", "load", timeout=30.0, max_parallel=2)))
    life.returns("load")
    life.splits("ship", 2)
    life.spawns("ship[0]")
    life.now = 110.0
    life.spawns("ship[1]")

    late = life.at(130.0)
    ended = life.child_ends("ship[1]", Returned("1"))

    assert ["timer.fired ship[0]", "step.failed ship[0]"] == late
    assert ["signal.received", "step.completed ship[1]", "step.failed ship", "run.failed"] == ended


def test_the_history_tells_which_run_is_waited_for():
    """And until when at most."""
    life = Life(subflow(node("ship", timeout=30.0)))
    life.spawns("ship")

    record = History("r").extend(life.log).steps["ship"]

    assert ("waiting", "r/ship", 130.0, 100.0) == (record.status, record.child, record.due_at, record.started_at)


def test_the_history_tells_when_a_step_began_that_waits_anew():
    """At its first attempt."""
    life = Life(subflow(node("ship", retry=Retry(1, initial=10.0, jitter=None))))
    life.spawns("ship")
    life.child_ends("ship", FAILED)
    life.at(110.0)
    life.spawns("ship")

    record = History("r").extend(life.log).steps["ship"]

    assert (100.0, "waiting", [1, 2]) == (record.started_at, record.status, [each.number for each in record.attempts])


def test_a_run_knows_which_one_started_it():
    """And how deep it is nested."""
    life = Life(node("a"), begun={"parent": "p", "parent_step": "ship", "parent_item": 3, "depth": 2})

    started = life.log[0]

    assert isinstance(started, ev.RunStarted)
    assert ("p", "ship", 3, 2) == (started.parent, started.parent_step, started.parent_item, started.depth)
    assert "p" == History("r").extend(life.log).parent


def test_the_time_of_an_attempt_before_is_not_that_of_this_one():
    """However late a turn comes that is due for both."""
    life = Life(subflow(node("ship", retry=Retry(1, initial=10.0, jitter=None), timeout=30.0)))
    life.spawns("ship")
    life.now = 105.0
    life.child_ends("ship", FAILED)
    life.at(115.0)
    # The first one had time until 130.
    life.spawns("ship")

    assert [] == life.at(144.0)
    assert ["timer.fired ship", "step.failed ship", "run.failed"] == life.at(145.0)


def test_one_of_several_runs_that_fails_lets_the_others_end():
    """So a resume has only the failed one to do again, and loses nothing."""
    life = Life(node("load"), subflow(each("ship", "load")))
    life.returns("load")
    life.splits("ship", 2)
    life.spawns("ship[0]")
    life.spawns("ship[1]")

    failed = life.child_ends("ship[0]", FAILED)
    ended = life.child_ends("ship[1]", Returned("2"))
    resumed = life.crashes(by_hand=True)
    life.spawns("ship[0]")
    completed = life.child_ends("ship[0]", Returned("1"))

    assert ["signal.received", "step.failed ship[0]"] == failed
    assert ["signal.received", "step.completed ship[1]", "step.failed ship", "run.failed"] == ended
    assert ["run.resumed", "step.started ship[0]"] == resumed
    assert ["signal.received", "step.completed ship[0]", "step.completed ship", "run.completed"] == completed


def test_enough_of_several_runs_end_the_others():
    """Nobody waits for them any longer."""
    life = Life(node("load"), subflow(each("ship", "load", need=1)), gathering("all", "ship"))
    life.returns("load")
    life.splits("ship", 2)
    life.spawns("ship[0]")
    life.spawns("ship[1]")

    followed = life.child_ends("ship[1]", Returned("2"))

    assert [
        "signal.received", "step.completed ship[1]", "step.cancelled ship[0]", "step.completed ship",
        "step.started all",
    ] == followed  # fmt: skip
    assert ("rest", "no longer needed") == life.why("ship[0]")
    assert "[null,2]" == life.output("ship")


def test_a_cancelled_run_waits_for_none_of_several_runs():
    """Each of them is told, and it ends at once."""
    life = Life(node("load"), subflow(each("ship", "load")))
    life.returns("load")
    life.splits("ship", 2)
    life.spawns("ship[0]")
    life.spawns("ship[1]")

    followed = life.asked("cancel", "changed my mind")

    assert [
        "signal.received", "step.cancelled ship[0]", "step.cancelled ship[1]", "step.cancelled ship", "run.cancelled",
    ] == followed  # fmt: skip
    assert ("run", "the run was cancelled: changed my mind") == life.why("ship[1]")


def test_a_failing_run_lets_the_runs_it_started_end():
    """What is at work may end, and that is work for others, too."""
    life = Life(node("bad"), subflow(node("ship")))
    life.spawns("ship")

    failed, ended = life.fails("bad"), life.child_ends("ship", Returned("1"))

    assert ["step.failed bad"] == failed
    assert ["signal.received", "step.completed ship", "run.failed"] == ended


def test_a_failing_run_that_is_cancelled_waits_no_longer():
    """Neither for a run that it started, nor for one of several."""
    life = Life(node("bad"), node("load"), subflow(node("ship")), subflow(each("parcel", "load")))
    life.returns("load")
    life.splits("parcel", 1)
    life.spawns("ship")
    life.spawns("parcel[0]")
    life.fails("bad")

    followed = life.asked("cancel")

    assert [
        "signal.received", "step.cancelled ship", "step.cancelled parcel[0]", "step.cancelled parcel", "run.failed",
    ] == followed  # fmt: skip


def test_a_failing_run_that_a_step_finishes_waits_no_longer():
    """There is nothing more to do."""
    life = Life(node("bad"), node("last"), subflow(node("ship")))
    life.spawns("ship")
    life.fails("bad")

    assert ["step.completed last", "signal.received", "step.cancelled ship", "run.failed"] == life.ends(
        "last", Finished("1")
    )


def test_a_failing_run_whose_deadline_passes_waits_no_longer():
    """As if somebody had cancelled it."""
    life = Life(node("bad"), subflow(node("ship")), deadline=60.0)
    life.spawns("ship")
    life.fails("bad")

    followed = life.at(160.0)

    assert ["step.cancelled ship", "run.failed"] == followed
    assert ("deadline", "the run passed its deadline of 60 s") == life.why("ship")
