"""What a person can see of a run: the fold of its log."""

import pytest

from orchwf.core import events as ev
from orchwf.core.history import AttemptRecord, History, StepRecord
from orchwf.core.options import Retry
from orchwf.core.outcome import Asked, Beat, Raised, SkippedItself, Stopped
from orchwf.core.state import RunStatus, StepStatus
from orchwf.errors import IllegalTransitionError
from tests.kernel.graphs import BROKEN, Life, node

FAILS = Raised(error=BROKEN, retryable=True)


def seen(life: Life) -> History:
    return History("r").extend(life.log)


def test_a_step_to_which_nothing_happened():
    """It has no attempt, no instant, no reason."""
    record = StepRecord("a")

    assert (0, None, StepStatus.PENDING) == (record.attempt, record.duration, record.status)
    assert ("", "", 0, [], None) == (record.reason, record.cause, record.spent, record.attempts, record.output)


def test_a_run_to_which_nothing_happened():
    """It is about to begin; no step has a record before its first event."""
    history = History("r")

    assert (RunStatus.SCHEDULED, {}, "{}", 0) == (history.status, history.steps, history.inputs, history.seq)
    assert {""} == {
        history.workflow, history.version, history.fingerprint, history.error, history.reason, history.compensation,
        history.origin, history.resumed,
    }  # fmt: skip
    assert (None, None, ()) == (history.started_at, history.ended_at, history.failed_steps)


def test_a_step_is_seen_from_its_first_start_to_its_end():
    """Its duration has the waits in it, each attempt has its own end, and the last error goes with the completion."""
    life = Life(node("a", retry=Retry(2, initial=5, jitter=None)))
    life.now = 101.0
    life.fails("a")
    waiting = seen(life).steps["a"]
    life.now = 106.0
    life.turn()
    running = seen(life).steps["a"]
    life.now = 108.0
    life.returns("a", "[1]")
    completed = seen(life).steps["a"]

    first = AttemptRecord(1, 100.0, 101.0, StepStatus.RETRYING, BROKEN)
    assert (StepStatus.RETRYING, 106.0, BROKEN) == (waiting.status, waiting.due_at, waiting.error)
    assert (1, [first], None, None) == (waiting.attempt, waiting.attempts, waiting.ended_at, waiting.duration)
    assert (2, [first, AttemptRecord(2, 106.0)], None) == (running.attempt, running.attempts, running.due_at)
    assert AttemptRecord(2, 106.0, 108.0, StepStatus.COMPLETED) == completed.attempts[-1]
    assert (100.0, 108.0, 8.0) == (completed.started_at, completed.ended_at, completed.duration)
    assert ("[1]", None, None) == (completed.output, completed.error, completed.due_at)


def test_a_step_that_failed_has_its_error():
    """And so has its last attempt."""
    life = Life(node("a"))
    life.now = 101.0
    life.fails("a")

    history = seen(life)

    assert [AttemptRecord(1, 100.0, 101.0, StepStatus.FAILED, BROKEN)] == history.steps["a"].attempts
    assert (BROKEN, 101.0) == (history.steps["a"].error, history.steps["a"].ended_at)
    assert (RunStatus.FAILED, ("a",), "ValueError: broken") == (history.status, history.failed_steps, history.error)
    assert (100.0, 101.0, len(life.log)) == (history.started_at, history.ended_at, history.seq)


@pytest.mark.parametrize(
    ("outcome", "status", "reason", "cause"),
    [
        (SkippedItself("no"), StepStatus.SKIPPED, "no", "body"),
        (Stopped(), StepStatus.CANCELLED, "the run was cancelled: enough", "run"),
    ],
)
def test_a_step_that_did_not_come_to_its_end_has_a_reason(outcome, status, reason, cause):
    """Its attempt ended so, and without an error."""
    life = Life(node("a"))
    life.turn(Asked("cancel", "m", "enough"))
    life.now = 103.0

    life.ends("a", outcome)

    record = seen(life).steps["a"]
    assert (status, reason, cause, 3.0) == (record.status, record.reason, record.cause, record.duration)
    assert [AttemptRecord(1, 100.0, 103.0, status)] == record.attempts


def test_a_step_that_never_began_has_an_end_and_no_duration():
    """It was skipped for the failure of another one."""
    life = Life(node("a"), node("b", "a"))
    life.fails("a")

    record = seen(life).steps["b"]

    assert (100.0, None, None, []) == (record.ended_at, record.started_at, record.duration, record.attempts)


def test_progress_is_seen_until_the_step_has_completed():
    """With the instant at which it was told."""
    life = Life(node("a"))
    life.now = 105.0
    life.turn(Beat(0, 1, "[7]"))
    beating = seen(life).steps["a"]
    life.returns("a")

    assert ("[7]", 105.0, StepStatus.RUNNING) == (beating.progress, beating.heartbeat_at, beating.status)
    assert seen(life).steps["a"].progress is None


def test_an_attempt_whose_process_died_has_no_end():
    """The step is to run again; the number goes on."""
    life = Life(node("a", undo={}), node("b"))
    life.returns("b")
    life.log.append(ev.RunResumed(seq=len(life.log) + 1, at=200.0, reason="takeover", fingerprint="g"))

    history = seen(life)

    assert StepStatus.PENDING is history.steps["a"].status
    assert [AttemptRecord(1, 100.0, None, StepStatus.PENDING)] == history.steps["a"].attempts
    assert StepStatus.COMPLETED is history.steps["b"].status
    assert (0, "takeover", "g") == (history.steps["a"].spent, history.resumed, history.fingerprint)


def test_a_resume_by_hand_begins_anew():
    """Nothing of the failure is left but the attempts, which are counted as spent; what completed has spent none."""
    life = Life(node("a", retry=Retry(1, initial=0)), node("ok"), node("b", "a"))
    life.returns("ok")
    life.fails("a")
    life.fails("a")

    life.crashes(by_hand=True)

    history = seen(life)
    assert (RunStatus.RUNNING, (), "", None) == (history.status, history.failed_steps, history.error, history.ended_at)
    assert {"a": 2, "ok": 0, "b": 0} == {name: record.spent for name, record in history.steps.items()}
    assert [StepStatus.FAILED, StepStatus.RUNNING] == [each.status for each in history.steps["a"].attempts][1:]
    b = history.steps["b"]
    assert (StepStatus.PENDING, "", "", None) == (b.status, b.reason, b.cause, b.ended_at)


def test_a_step_that_waited_for_somebody_waits_no_more():
    """Nor does one whose wait goes on count what it had tried: its budget is fresh."""
    life = Life(node("a", on_exhausted="pause"), node("b", retry=Retry(1, initial=20, jitter=None)))
    life.fails("a")
    life.fails("b")
    paused = seen(life)
    life.crashes(by_hand=True)
    resumed = seen(life)

    assert (RunStatus.PAUSED, "a has no attempts left: ValueError: broken") == (paused.status, paused.reason)
    assert (RunStatus.RUNNING, "", "retry") == (resumed.status, resumed.reason, resumed.resumed)
    assert (StepStatus.RUNNING, 1) == (resumed.steps["a"].status, resumed.steps["a"].spent)
    b = resumed.steps["b"]
    assert (StepStatus.RETRYING, 120.0, 1) == (b.status, b.due_at, b.spent)


def test_a_cancelled_run_has_its_reason():
    """And the instant at which it ended."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a")
    life.turn(Asked("cancel", "m", "enough"))
    life.ends("b", Stopped())
    life.now = 110.0

    life.undoing("a")

    history = seen(life)
    assert (RunStatus.CANCELLED, "enough", "done") == (history.status, history.reason, history.compensation)
    assert (110.0, ()) == (history.ended_at, history.failed_steps)


def test_a_completed_run_has_ended():
    """At the instant of its last event."""
    life = Life(node("a"), begun={"inputs": '{"x":1}', "version": "7", "workflow": "W", "fingerprint": "p"})
    life.now = 110.0
    life.returns("a")

    history = seen(life)

    assert (RunStatus.COMPLETED, 100.0, 110.0) == (history.status, history.started_at, history.ended_at)
    assert ("W", "7", "p", '{"x":1}') == (history.workflow, history.version, history.fingerprint, history.inputs)


def test_what_undoes_a_step_is_seen_beside_it():
    """As a step; the record of the step itself stays as it was."""
    life = Life(node("a", undo={"retry": Retry(1, initial=5, jitter=None)}), node("b", "a"))
    life.returns("a", "[1]")
    assert seen(life).steps["a"].compensation is None
    life.fails("b")
    life.undoing("a", FAILS)

    record = seen(life).steps["a"]

    undoing = record.compensation
    assert undoing is not None
    assert ("a", StepStatus.RETRYING, 105.0, BROKEN) == (undoing.name, undoing.status, undoing.due_at, undoing.error)
    assert (StepStatus.COMPLETED, "[1]") == (record.status, record.output)


def test_what_undoes_a_step_is_tried_again_when_its_process_died_or_somebody_says_so():
    """With a fresh budget only if it had failed."""
    life = Life(node("a", undo={}), node("b", undo={}), node("c", "a", "b"))
    life.returns("a")
    life.returns("b")
    life.fails("c")
    life.log.append(ev.RunResumed(seq=len(life.log) + 1, at=200.0, reason="takeover", fingerprint="f"))
    died = seen(life).steps["b"].compensation
    assert died is not None
    life.log.pop()
    life.undoing("b", FAILS)
    life.undoing("a")
    failed = seen(life).steps["b"].compensation
    assert failed is not None
    life.log.append(ev.RunResumed(seq=len(life.log) + 1, at=200.0, reason="undo", fingerprint="f"))
    again, undone = (seen(life).steps[name].compensation for name in "ba")
    assert again is not None
    assert undone is not None

    assert (StepStatus.PENDING, 0, StepStatus.PENDING) == (died.status, died.spent, died.attempts[-1].status)
    assert (StepStatus.FAILED, 0, 100.0) == (failed.status, failed.spent, failed.ended_at)
    assert (StepStatus.PENDING, 1, None) == (again.status, again.spent, again.ended_at)
    assert (StepStatus.COMPLETED, 0) == (undone.status, undone.spent)


def test_what_failed_to_be_undone_stays_so_when_the_run_is_taken_up():
    """Only somebody who asks for it has it tried again."""
    life = Life(node("a", undo={}), node("b", undo={}), node("c", "a", "b"))
    life.returns("a")
    life.returns("b")
    life.fails("c")
    life.undoing("b", FAILS)
    life.crashes()

    undoing = seen(life).steps["b"].compensation

    assert undoing is not None
    assert (StepStatus.FAILED, 0) == (undoing.status, undoing.spent)


def test_a_failed_run_says_what_came_of_undoing_it():
    """Until somebody has it tried again."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.returns("a")
    life.fails("b")
    life.undoing("a", FAILS)
    failed = seen(life)
    life.crashes(by_hand=True)

    resumed = seen(life)

    assert ("failed", ("b",)) == (failed.compensation, failed.failed_steps)
    assert ("", "undo") == (resumed.compensation, resumed.resumed)


def test_an_attempt_that_had_ended_stays_as_it_was():
    """Though its step is cancelled while it waits for the next one."""
    life = Life(node("a", retry=Retry(1, initial=20)))
    life.fails("a")
    life.now = 110.0

    life.turn(Asked("cancel", "m"))

    record = seen(life).steps["a"]
    assert [AttemptRecord(1, 100.0, 100.0, StepStatus.RETRYING, BROKEN)] == record.attempts
    assert (StepStatus.CANCELLED, 110.0, BROKEN) == (record.status, record.ended_at, record.error)


def test_only_the_last_attempt_died_with_its_process():
    """Those before had their ends."""
    life = Life(node("a", retry=Retry(1, initial=0)))
    life.fails("a")

    life.crashes()

    statuses = [each.status for each in seen(life).steps["a"].attempts]
    assert [StepStatus.RETRYING, StepStatus.PENDING, StepStatus.RUNNING] == statuses


def test_what_runs_again_has_no_output_meanwhile():
    """Nor after it has failed."""
    life = Life(node("a"), node("b", "a"))
    life.returns("a")
    life.crashes(reset=("a",))

    assert seen(life).steps["a"].output is None


def test_a_log_that_cannot_be_is_refused():
    """A run that ends before it began, and a step that completes twice."""
    life = Life(node("a"), node("b"))
    life.returns("a")
    twice = life.log[-1]

    with pytest.raises(IllegalTransitionError):
        History("r").extend([ev.RunCompleted(seq=1, at=0.0)])
    with pytest.raises(IllegalTransitionError):
        seen(life).extend([twice])
