"""What of a run can be kept when its definition has changed, or when it is forked."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.adoption import changed_inputs, reusable
from orchwf.core.dag import Dag
from orchwf.core.definition import Argument, FromInput, Node
from orchwf.core.history import History
from orchwf.core.outcome import Asked, Raised, SkippedItself, Stopped
from tests.kernel.graphs import BROKEN, Life, dag_of, node, reading


def with_input(each: Node, name: str) -> Node:
    """The step, which takes this input, too."""
    return attrs.evolve(each, arguments=(*each.arguments, Argument(name, FromInput(name))))


BEFORE = dag_of(node("a"), reading(node("b", "a")), reading(node("c", "b")), node("d", "c"), node("e"))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, set()),
        (dag_of(with_input(node("a"), "day"), reading(node("b", "a")), node("c", "b"), node("e")), {"a", "b", "c"}),
        (dag_of(attrs.evolve(node("a"), returns=int), reading(node("b", "a")), node("d"), node("e")), {"a", "b"}),
        (dag_of(node("a"), node("new"), reading(node("b", "a", "new")), reading(node("c", "b"))), {"b", "c"}),
        (dag_of(node("a"), node("b", "a"), reading(node("c", "b")), node("d", "c")), {"b", "c"}),
        (dag_of(node("e"), node("a", priority=5), reading(node("b", "a", "e"))), {"b"}),
        (dag_of(node("z"), node("a", "z"), reading(node("b", "a")), reading(node("c", "b"))), set()),
    ],
)  # fmt: skip
def test_what_takes_its_values_from_elsewhere_has_changed(after: Dag, expected: set[str]):
    """And so has what reads that, in both graphs; order, options and bodies are no inputs."""
    assert expected == changed_inputs(BEFORE, after)


def kept(life: Life, *names: str) -> list[ev.StepEvent]:
    """What a fork keeps of this run, of these steps, or of all."""
    dag = dag_of(*life.plan.nodes[: len(life.plan)])
    return list(reusable(dag, History("r").extend(life.log), frozenset(names or dag.nodes)))


def test_what_completed_or_was_skipped_is_kept():
    """With its output, or with the reason."""
    life = Life(
        node("a"), node("b", "a", when=lambda _: False), node("c", "b"), node("d"), verdicts={"b": "it is false"}
    )
    life.returns("a", "[1]")
    life.ends("d", SkippedItself("nothing to do"))

    assert [
        ev.StepCompleted(seq=0, at=0.0, step="a", output="[1]"),
        ev.StepSkipped(seq=0, at=0.0, step="b", reason="it is false", cause="when"),
        ev.StepSkipped(seq=0, at=0.0, step="c", reason="b was skipped", cause="upstream"),
        ev.StepSkipped(seq=0, at=0.0, step="d", reason="nothing to do", cause="body"),
    ] == kept(life)


def test_an_optional_failure_is_kept_and_a_required_one_is_not():
    """The other run did not fail for it; what was skipped for a failure is to run."""
    life = Life(node("a", required=False), node("b"), node("c", "b"), node("e", "a", absorbs=["a"]))
    life.fails("a")
    life.returns("e")
    life.fails("b")

    assert [
        ev.StepFailed(seq=0, at=0.0, step="a", error=BROKEN), ev.StepCompleted(seq=0, at=0.0, step="e", output="1"),
    ] == kept(life)  # fmt: skip


def test_what_was_skipped_for_a_failure_is_not_kept_where_that_is_none():
    """The step may bear it now, as what failed is optional in the other definition."""
    life = Life(node("a"), node("b", "a"))
    life.fails("a")
    dag = dag_of(node("a", required=False), node("b", "a", absorbs=["a"]))

    assert ["a"] == [each.step for each in reusable(dag, History("r").extend(life.log), frozenset(dag.nodes))]


def test_what_needs_something_that_is_not_kept_is_not_kept_either():
    """It could read what comes of it now."""
    life = Life(node("a"), node("b", "a"), node("c", "b"), node("d"))
    for name in "abcd":
        life.returns(name)

    assert ["a", "d"] == [event.step for event in kept(life, "a", "c", "d")]
    assert ["d"] == [event.step for event in kept(life, "b", "c", "d")]


def test_what_was_stopped_is_not_kept():
    """Nor what has not ended, nor what never began."""
    life = Life(node("a"), node("b"), node("c", "b"))
    assert [] == kept(life)
    life.turn(Asked("cancel", "m"))
    life.ends("a", Stopped())

    assert [] == kept(life)


def test_what_was_undone_is_not_kept():
    """Its effect is gone; neither is what may be undone in part."""
    life = Life(node("a", undo={}), node("b", "a", undo={}), node("c", "b"))
    life.returns("a")
    life.returns("b")
    life.fails("c")

    assert ["a"] == [event.step for event in kept(life)]
    life.undoing("b", Raised(error=BROKEN, retryable=False))
    life.undoing("a")
    assert [] == kept(life)


def test_what_is_new_in_the_graph_is_not_kept():
    """There is nothing to keep; it has no record in the other run."""
    life = Life(node("a"))
    life.returns("a")
    dag: Any = dag_of(node("a"), node("new"), node("b", "a", "new"))

    assert ["a"] == [each.step for each in reusable(dag, History("r").extend(life.log), frozenset(dag.nodes))]
