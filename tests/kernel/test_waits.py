"""What follows for nodes that wait: for signals and for times; and of runs that begin later."""

from datetime import UTC, datetime

import pytest

from orchwf.core import events as ev
from orchwf.core.definition import Node
from orchwf.core.events import ErrorInfo
from orchwf.core.history import History
from orchwf.core.options import Join
from orchwf.core.outcome import Asked, Finished, Stopped
from orchwf.core.state import RunStatus
from tests.kernel.graphs import Life, node, pause, reading, signal

# Signals.


def test_a_signal_lets_its_node_go_on():
    """With what it holds; what waits for that goes on in the same turn."""
    life = Life(node("a"), signal("paid", "a"), reading(node("ship", "paid")))

    waits = life.returns("a")
    followed = life.asked("paid", "3")

    assert ["step.completed a", "timer.set paid"] == waits
    assert ["signal.received", "step.completed paid", "step.started ship"] == followed
    assert [
        ev.TimerSet(seq=4, at=100.0, step="paid"),
        ev.SignalReceived(seq=5, at=100.0, signal="paid", message_id="m1", payload="3"),
        ev.StepCompleted(seq=6, at=100.0, step="paid", attempt=0, output="3"),
    ] == life.log[3:6]
    assert "3" == life.output("paid")


def test_a_signal_may_come_before_its_node_waits():
    """It counts, and the node does not wait at all."""
    life = Life(node("a"), signal("paid", "a"))

    early, followed = life.asked("paid", "3"), life.returns("a")

    assert ["signal.received"] == early
    assert ["step.completed a", "step.completed paid", "run.completed"] == followed


def test_the_first_of_several_signals_counts():
    """Also if none of them was waited for yet; all of them are in the log."""
    life = Life(node("a"), signal("paid", "a"), reading(node("end", "paid")))
    life.asked("paid", "1")
    life.asked("paid", "2")
    life.returns("a")

    assert ["signal.received"] == life.asked("paid", "3")
    assert "1" == life.output("paid")


def test_what_is_sent_again_with_the_same_id_counts_once():
    """It was delivered twice."""
    life = Life(node("a"), signal("paid", "a"))
    life.turn(Asked("paid", "m", "1"))

    assert [] == life.turn(Asked("paid", "m", "1"))


def test_a_signal_that_nobody_waits_for_changes_nothing():
    """Such as one for a node that the workflow has no more, or one with the name of a step."""
    life = Life(node("a"))

    assert (["signal.received"], ["signal.received"]) == (life.asked("gone"), life.asked("a"))
    assert ["step.completed a", "run.completed"] == life.returns("a")


def test_a_signal_that_does_not_come_fails_its_node():
    """When its time is up, with an error that says how long it waited."""
    life = Life(signal("paid", timeout=30.0), node("ship", "paid"))

    before, after = life.at(129.0), life.at(130.0)

    assert [] == before
    assert ["timer.fired paid", "step.failed paid", "step.skipped ship", "run.failed"] == after
    failed = life.last("paid")
    assert isinstance(failed, ev.StepFailed)
    assert ErrorInfo("orchwf.errors.StepTimeoutError", "no signal 'paid' came within 30 s") == failed.error


def test_a_signal_that_does_not_come_gives_its_default():
    """When its time is up."""
    life = Life(signal("paid", timeout=30.0, default="0"), reading(node("ship", "paid")))

    assert ["timer.fired paid", "step.completed paid", "step.started ship"] == life.at(130.0)
    assert "0" == life.output("paid")
    assert ["signal.received"] == life.asked("paid", "3")
    assert "0" == life.output("paid")


def test_a_signal_that_failed_is_waited_for_anew_when_it_is_resumed():
    """For as long as before."""
    life = Life(signal("paid", timeout=30.0))
    life.at(130.0)
    life.now = 200.0

    assert ["run.resumed", "timer.set paid"] == life.crashes(by_hand=True)
    assert 230.0 == life.machine.run.next_due()
    assert ["signal.received", "step.completed paid", "run.completed"] == life.asked("paid")


def test_a_signal_that_came_after_its_time_counts_when_the_run_is_resumed():
    """As the run had not ended when it came."""
    life = Life(signal("paid", timeout=30.0), node("b"))
    life.at(130.0)
    life.asked("paid", "3")
    life.returns("b")

    assert ["run.resumed", "step.completed paid", "run.completed"] == life.crashes(by_hand=True)


def test_an_optional_signal_that_does_not_come_lets_the_run_complete():
    """What bears its absence goes on."""
    life = Life(signal("paid", timeout=30.0, required=False), node("ship", "paid", absorbs=["paid"]))

    assert ["timer.fired paid", "step.failed paid", "step.started ship"] == life.at(130.0)


def test_a_signal_and_a_time_may_race():
    """Whichever is first; the other one is needed no longer."""
    race = node("end", "paid", "late", join=Join.FIRST, cancel_rest=True)
    signalled = Life(signal("paid"), pause("late", until=60.0), race)
    timed = Life(signal("paid"), pause("late", until=60.0), race)

    assert [
        "signal.received", "step.completed paid", "step.cancelled late", "step.started end",
    ] == signalled.asked("paid")  # fmt: skip
    assert [
        "timer.fired late", "step.completed late", "step.cancelled paid", "step.started end",
    ] == timed.at(160.0)  # fmt: skip
    assert ("rest", "no longer needed") == timed.why("paid")


def test_a_signal_counts_though_its_time_is_up_in_the_same_turn():
    """It is in the log already, so nobody may say that it did not come."""
    life = Life(signal("paid", timeout=10.0))
    life.now = 200.0

    followed = life.asked("paid", "3")

    assert ["signal.received", "step.completed paid", "run.completed"] == followed
    assert "3" == getattr(life.last("paid"), "output", "")


def test_a_signal_counts_that_came_while_no_process_ran():
    """Also if its time had been up for long when one took the run up."""
    life = Life(signal("paid", timeout=10.0))
    life.now = 200.0

    followed = life.crashes(asked=(Asked("paid", "m", "3"),))

    assert ["signal.received", "run.resumed", "step.completed paid", "run.completed"] == followed


def test_a_condition_may_keep_a_node_from_waiting():
    """As it keeps a step from running; or it raises."""
    skipped = Life(signal("paid", when=lambda _: False), verdicts={"paid": "it is false"})
    failed = Life(signal("paid", when=lambda _: False), verdicts={"paid": ErrorInfo("KeyError", "x")})

    assert ["run.started", "step.skipped paid", "run.completed"] == skipped.spoken
    assert ["run.started", "step.failed paid", "run.failed"] == failed.spoken


def test_nodes_that_need_what_is_not_there_are_skipped():
    """As steps are."""
    life = Life(node("a", required=False), signal("paid", "a"), pause("late", "a", until=1.0))

    assert ["step.failed a", "step.skipped paid", "step.skipped late", "run.completed"] == life.fails("a")


# Times.


def test_a_time_passes():
    """So long after the node could begin, and then what waits for it goes on."""
    life = Life(node("a"), pause("late", "a", until=60.0), node("end", "late"))
    life.now = 110.0

    waits = life.returns("a")
    before, after = life.at(169.0), life.at(170.0)

    assert (["step.completed a", "timer.set late"], []) == (waits, before)
    assert ["timer.fired late", "step.completed late", "step.started end"] == after
    assert [
        ev.TimerSet(seq=4, at=110.0, step="late", due_at=170.0, delay=60.0),
        ev.TimerFired(seq=5, at=170.0, step="late"),
        ev.StepCompleted(seq=6, at=170.0, step="late", output="null"),
    ] == life.log[3:6]


def test_a_time_that_has_passed_already_is_not_waited_for():
    """It is due at once."""
    moment = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    life = Life(pause("late", until=moment))

    assert ["run.started", "timer.set late"] == life.spoken
    assert 100.0 == life.machine.run.next_due()
    assert ["timer.fired late", "step.completed late", "run.completed"] == life.turn()


def test_a_moment_is_waited_for():
    """Whenever the node could begin."""
    life = Life(pause("late", until=datetime(1970, 1, 1, 0, 2, tzinfo=UTC)))

    assert 120.0 == life.machine.run.next_due()


def test_a_function_says_how_long():
    """What it raises fails the node, before it has begun to wait."""
    says = Life(pause("late", until=lambda _: 5), due=lambda _, now: now + 5.0)
    raises = Life(pause("late", until=lambda _: 5), due=lambda _, now: ErrorInfo("KeyError", "day"))
    unknown = Life(pause("late", until=lambda _: 5))

    assert 105.0 == says.machine.run.next_due()
    assert ["run.started", "step.failed late", "run.failed"] == raises.spoken
    # Where the code is not known, such as to end a run, there is nothing to wait for.
    assert 100.0 == unknown.machine.run.next_due()


def test_a_time_passes_while_no_process_runs():
    """It is not waited for anew."""
    life = Life(pause("late", until=60.0), node("end", "late"))
    life.now = 150.0

    early, late = life.crashes(), life.at(160.0)

    assert ["run.resumed"] == early
    assert ["timer.fired late", "step.completed late", "step.started end"] == late


def test_nobody_waits_longer_than_was_said():
    """Though the clock was set back since."""
    life = Life(pause("late", until=60.0))
    life.now = 50.0

    life.crashes()

    assert 110.0 == life.machine.run.next_due()


# Ends of the run.


@pytest.mark.parametrize("waits", [signal("waits"), pause("waits", until=60.0)])
def test_a_cancelled_run_waits_no_longer(waits: Node):
    """Nor does one past its deadline, one that fails, or one that is terminated or finished."""
    cancelled, terminated = Life(waits), Life(waits)
    late, failing, finished = Life(waits, deadline=10.0), Life(waits, node("bad")), Life(waits, node("end"))

    assert ["signal.received", "step.cancelled waits", "run.cancelled"] == cancelled.asked("cancel")
    assert ["signal.received", "step.cancelled waits", "run.cancelled"] == terminated.asked("terminate")
    assert ["step.cancelled waits", "run.failed"] == late.at(110.0)
    assert ["step.failed bad", "step.cancelled waits", "run.failed"] == failing.fails("bad")
    assert ["step.completed end", "signal.received", "step.cancelled waits", "run.completed"] == finished.ends(
        "end", Finished("1")
    )


def test_what_a_failing_run_did_not_wait_for_any_more_it_waits_for_again():
    """When it is resumed: a signal anew, and a time from then on."""
    life = Life(signal("paid"), pause("late", until=60.0), node("bad"))
    life.fails("bad")
    life.now = 200.0

    assert ["run.resumed", "timer.set paid", "timer.set late", "step.started bad"] == life.crashes(by_hand=True)
    assert 260.0 == life.machine.run.next_due()


def test_clean_up_may_wait_while_a_run_ends():
    """It runs whatever became of what it waits for."""
    life = Life(node("a"), pause("late", "a", until=60.0, join=Join.SETTLED))
    life.asked("cancel")

    stopped = life.ends("a", Stopped())

    assert ["step.cancelled a", "timer.set late"] == stopped
    assert ["timer.fired late", "step.completed late", "run.cancelled"] == life.at(160.0)


def test_a_pause_lets_nodes_wait_on():
    """As long as something else is in flight, a signal that comes counts; then the run pauses, and goes on with it."""
    life = Life(signal("paid"), node("a"), node("end", "paid", "a"))
    life.asked("pause")

    received, paused = life.asked("paid"), life.returns("a")

    assert ["signal.received", "step.completed paid"] == received
    assert ["step.completed a", "run.paused"] == paused
    assert ["run.resumed", "step.started end"] == life.crashes(by_hand=True)


def test_a_run_that_only_waits_may_sleep():
    """Nothing is in flight, ready, or to be undone; and it does not pause."""
    waits, works = Life(signal("paid")), Life(signal("paid"), node("a"))
    asked = Life(signal("paid"))
    asked.asked("pause")

    assert (True, False, False) == tuple(life.machine.run.only_waits() for life in (waits, works, asked))
    assert None is waits.machine.run.next_due()


def test_the_history_tells_what_is_waited_for():
    """Since when, and until when."""
    life = Life(pause("late", until=60.0))

    waiting = History("r").extend(life.log).steps["late"]
    life.at(160.0)
    ended = History("r").extend(life.log).steps["late"]

    assert ("waiting", 100.0, 160.0) == (waiting.status, waiting.started_at, waiting.due_at)
    assert ("completed", None, 60.0) == (ended.status, ended.due_at, ended.duration)


# Runs that begin later.


def test_a_run_that_begins_later_waits_for_that():
    """Nothing of it runs before somebody takes it up when it is due."""
    life = Life(node("a"), begun={"not_before": 200.0})

    assert ["run.started"] == life.spoken
    assert RunStatus.SCHEDULED is life.machine.run.status
    assert [] == life.at(500.0)
    assert ["run.resumed", "step.started a"] == life.crashes(is_due=True)
    assert "due" == getattr(life.log[1], "reason", "")


def test_the_deadline_counts_from_when_a_run_was_to_begin():
    """Not from when it was scheduled."""
    life = Life(node("a"), begun={"not_before": 200.0}, deadline=60.0)
    life.now = 210.0
    life.crashes(is_due=True)

    assert 260.0 == life.machine.run.next_due()


def test_a_run_that_has_not_begun_can_be_cancelled():
    """Nothing of it has run."""
    life = Life(node("a"), begun={"not_before": 200.0})

    followed = life.crashes(asked=(Asked("cancel", "m", "no need"),))

    assert ["signal.received", "run.resumed", "step.cancelled a", "run.cancelled"] == followed


def test_a_run_that_has_not_begun_can_be_begun_by_hand():
    """Somebody does not want to wait."""
    life = Life(node("a"), begun={"not_before": 200.0})

    assert ["run.resumed", "step.started a"] == life.crashes(by_hand=True)


def test_a_signal_to_a_run_that_has_not_begun_counts():
    """It is there when it begins."""
    life = Life(signal("paid"), begun={"not_before": 200.0})
    life.now = 200.0

    followed = life.crashes(asked=(Asked("paid", "m", "3"),), is_due=True)

    assert ["signal.received", "run.resumed", "step.completed paid", "run.completed"] == followed
