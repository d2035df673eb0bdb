"""Steps that need not run, as an earlier run has computed their output."""

from orchwf.core import events as ev
from orchwf.core.history import History
from orchwf.core.options import Retry
from orchwf.core.outcome import Asked, Ended, Found, Returned, TakenUp
from orchwf.core.state import StepStatus
from tests.kernel.graphs import Life, node


def ready_after(life: Life, name: str) -> list[int]:
    """What becomes ready when this step returns, and is not started."""
    step = life.number(name)
    return life.bare_turn(Ended(step, life.machine.run.attempts[step], Returned("1")))


def test_a_hit_completes_the_step_without_an_attempt():
    """What waits for it goes on."""
    life = Life(node("a"), node("b", "a"), node("c", "b"))
    assert [1] == ready_after(life, "a")

    told = life.turn(Found(1, "key", "R0", '"8"'))

    assert ["cache.hit b", "step.completed b", "step.started c"] == told
    hit, completed = life.log[-3:-1]
    assert ev.CacheHit(seq=hit.seq, at=100.0, step="b", key="key", run="R0") == hit
    assert ev.StepCompleted(seq=hit.seq + 1, at=100.0, step="b", attempt=0, output='"8"') == completed
    assert 0 == life.machine.run.attempts[1]


def test_a_hit_comes_instead_of_another_attempt():
    """Another run has computed it meanwhile: the budget is left as it is."""
    life = Life(node("a", retry=Retry(2, initial=5, jitter=None)))
    life.fails("a")
    life.now = 105.0
    assert [0] == life.bare_turn()

    told = life.turn(Found(0, "key", "R0", "8"))

    assert ["cache.hit a", "step.completed a", "run.completed"] == told
    record = History("r").extend(life.log).steps["a"]
    assert (StepStatus.COMPLETED, "8", "R0", 1) == (record.status, record.output, record.cached_from, record.attempt)


def test_a_hit_is_not_undone():
    """Nothing was done."""
    life = Life(node("a"), node("b", "a", undo={}), node("c", "b"))
    ready_after(life, "a")
    life.turn(Found(1, "key", "R0", "8"))

    told = life.fails("c")

    assert ["step.failed c", "run.failed"] == told


def test_a_step_whose_process_died_is_undone_though_it_was_found():
    """Nobody knows what its attempt did."""
    life = Life(node("a", undo={}), node("b", "a"))
    life.machine = life.new_machine()
    life.machine.replay(life.log)
    life.bare_turn(TakenUp(fingerprint="f"))
    life.turn(Found(0, "key", "R0", "8"))

    assert ["step.failed b", "compensation.started a"] == life.fails("b")


def test_a_hit_that_is_to_run_again_is_not_undone_for_that():
    """It had no effect here, and has none until it has run."""
    life = Life(node("a"), node("b", "a", undo={}), node("c", "b"))
    ready_after(life, "a")
    life.turn(Found(1, "key", "R0", "8"))
    life.machine = life.new_machine()
    life.machine.replay(life.log)
    life.bare_turn(TakenUp(fingerprint="f", reset=("b",)))
    life.turn(Found(1, "key", "R1", "9"))

    assert ["step.failed c", "run.failed"] == life.fails("c")


def test_a_hit_that_comes_too_late_changes_nothing():
    """The run was cancelled meanwhile, or the step was started."""
    life = Life(node("a"), node("b", "a"))
    ready_after(life, "a")
    life.turn(Asked("cancel", "m1"))

    assert [] == life.turn(Found(1, "key", "R0", "8"))
    other = Life(node("a"))
    assert [] == other.turn(Found(0, "key", "R0", "8"))
    assert "running" == other.status("a")


def test_a_hit_while_the_run_is_to_pause_is_asked_for_again():
    """The step is ready again once it goes on."""
    life = Life(node("a"), node("b"), node("c", "a"))
    ready_after(life, "a")
    life.turn(Asked("pause", "m1", "lunch"))

    assert [] == life.turn(Found(2, "key", "R0", "8"))
    assert "pending" == life.status("c")
    assert ["step.completed b", "run.paused"] == life.returns("b")
    assert "step.started c" in life.crashes(by_hand=True)


def test_a_step_that_is_to_run_again_forgets_where_its_output_was_from():
    """A new attempt has its own."""
    life = Life(node("a"), node("b", "a"), node("c", "a"))
    ready_after(life, "a")
    life.turn(Found(1, "key", "R0", "8"))
    history = History("r").extend(life.log)
    resumed = ev.RunResumed(seq=len(life.log) + 1, at=101.0, reason="takeover", fingerprint="f", reset=("b",))

    assert "R0" == history.steps["b"].cached_from
    assert "" == history.extend([resumed]).steps["b"].cached_from


def test_a_run_says_whether_it_takes_outputs_of_others():
    """It is the same after a crash."""
    life = Life(node("a"), begun={"use_cache": False})

    assert not life.log[0].use_cache  # type: ignore[attr-defined]
    assert ev.from_row(ev.to_row(life.log[0])) == life.log[0]
    assert "use_cache" not in str(ev.to_row(Life(node("a")).log[0]))
