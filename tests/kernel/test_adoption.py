"""What of a run can be kept when its definition has changed, or when it is forked."""

from typing import Any

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.adoption import changed_inputs, kept_by_fork, known_items, obstacle, reusable
from orchwf.core.dag import Dag
from orchwf.core.definition import Argument, FromInput, Input, Node
from orchwf.core.history import History
from orchwf.core.options import Retry
from orchwf.core.outcome import Asked, Raised, SkippedItself, Stopped
from orchwf.core.plan import Plan
from orchwf.errors import UnknownStepError
from tests.kernel.graphs import (
    BROKEN,
    Life,
    dag_of,
    each,
    loop,
    node,
    pause,
    reading,
    signal,
    stream,
    subflow,
)


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


SHAPES: dict[str, Node] = {
    "step": reading(node("b", "a")),
    "each": each("b", "a"),
    "loop": loop("b", "a"),
    "stream": stream("b", "a"),
    "signal": signal("b", "a"),
    "sleep": pause("b", "a", until=5.0),
    "subflow": subflow(node("b", "a")),
    "subflow per item": subflow(each("b", "a")),
}


@pytest.mark.parametrize("before", SHAPES)
@pytest.mark.parametrize("after", SHAPES)
def test_what_runs_otherwise_has_changed(before: str, after: str):
    """Though it takes the same, and gives the same: what was stored of it means something else."""
    expected = set() if before == after else {"b"}

    assert expected == changed_inputs(dag_of(node("a"), SHAPES[before]), dag_of(node("a"), SHAPES[after]))


def lived(shape: str) -> Life:
    """A run in the middle of a step of this shape: as much of that as can be is known."""
    life = Life(node("a"), SHAPES[shape])
    life.returns("a", "[1,2]")
    if shape in ("each", "subflow per item"):
        life.splits("b", 2)
        life.returns("b[0]") if shape == "each" else life.spawns("b[0]")
    elif shape == "loop":
        life.returns("b[0]")
    elif shape == "stream":
        life.gives("b", 0)
    elif shape == "subflow":
        life.spawns("b")
    return life


@pytest.mark.parametrize("before", SHAPES)
@pytest.mark.parametrize("after", SHAPES)
def test_a_run_goes_on_though_a_step_runs_otherwise(before: str, after: str):
    """What its log says of the step as it was hinders nothing: it begins anew, as it is now."""
    life = lived(before)
    life.plan = Plan(dag_of(node("a"), SHAPES[after]))

    followed = life.crashes(reset=("b",))

    begins = {"loop": ["step.expanded b", "step.started b["], "signal": ["timer.set b"], "sleep": ["timer.set b"]}
    assert ["run.resumed", *begins.get(after, ["step.started b"])] == [each.rstrip("0123456789]") for each in followed]
    assert life.machine.run.rows.keys() <= life.plan.several.keys()
    # To start a run anew would be to start the same one.
    assert (before == after == "subflow") is (life.number("b") in life.machine.run.children)


def test_what_was_undone_per_item_is_no_more_if_its_step_has_none():
    """The log can be read with the step as it is now."""
    life = Life(node("a"), each("b", "a", undo={}), node("c", "b"))
    life.returns("a")
    life.splits("b", 2)
    life.returns("b[0]")
    life.returns("b[1]")
    life.fails("c")
    life.undoing("b[1]")
    life.plan = Plan(dag_of(node("a"), node("b", "a", undo={}), node("c", "b")))

    followed = life.crashes()

    assert ["run.resumed", "compensation.started b"] == followed


# Items.


def of_items(*others: Node, **options: Any) -> Life:
    """A run in which a step ran for each of three items: one failed, one was skipped."""
    life = Life(node("load"), each("pay", "load", tolerate=1, **options), *others)
    life.returns("load", "[1,2,3]")
    life.splits("pay", 3, *(("a", "b", "c") if options.get("item_key") else ()))
    life.returns("pay[0]", "10")
    life.ends("pay[1]", SkippedItself("paid already"))
    life.fails("pay[2]")
    return life


def test_items_are_kept_with_their_step():
    """Each as it ended, so that what follows item by item does, too."""
    life = of_items(item_key=str)

    assert [
        ev.StepCompleted(seq=0, at=0.0, step="load", output="[1,2,3]"),
        ev.StepExpanded(seq=0, at=0.0, step="pay", count=3, keys=("a", "b", "c")),
        ev.StepCompleted(seq=0, at=0.0, step="pay", item=0, output="10"),
        ev.StepSkipped(seq=0, at=0.0, step="pay", item=1, reason="paid already", cause="body"),
        ev.StepFailed(seq=0, at=0.0, step="pay", item=2, error=BROKEN),
        ev.StepCompleted(seq=0, at=0.0, step="pay", output="@items"),
    ] == kept(life)


def test_items_that_were_not_needed_are_kept_as_skipped():
    """Those that were stopped, and those that never began."""
    life = Life(node("load"), each("pay", "load", need=1, max_parallel=2))
    life.returns("load")
    life.splits("pay", 3)
    life.returns("pay[1]", "11")
    life.ends("pay[0]", Stopped())

    assert [
        ev.StepSkipped(seq=0, at=0.0, step="pay", item=0, reason="no longer needed", cause="upstream"),
        ev.StepCompleted(seq=0, at=0.0, step="pay", item=1, output="11"),
        ev.StepSkipped(seq=0, at=0.0, step="pay", item=2, reason="it gave nothing", cause="upstream"),
    ] == [event for event in kept(life, "load", "pay") if event.item is not None]


def test_an_item_that_skipped_itself_is_kept_so():
    """Though it had failed before, and was tried again."""
    life = Life(node("load"), each("pay", "load", retry=Retry(1, initial=0.0)))
    life.returns("load")
    life.splits("pay", 1)
    life.fails("pay[0]")
    life.ends("pay[0]", SkippedItself("paid already"))

    assert ev.StepSkipped(seq=0, at=0.0, step="pay", item=0, reason="paid already", cause="body") in kept(life)


def test_what_a_generator_gave_is_kept():
    """Nobody says before how many there are."""
    life = Life(stream("rows"))
    life.gives("rows", 0, "10")
    life.gives("rows", 1, "11")
    life.is_exhausted("rows")

    assert [
        ev.StepCompleted(seq=0, at=0.0, step="rows", item=0, output="10"),
        ev.StepCompleted(seq=0, at=0.0, step="rows", item=1, output="11"),
        ev.StepCompleted(seq=0, at=0.0, step="rows", output="@items"),
    ] == kept(life)


def test_a_loop_is_kept_by_what_it_gave():
    """Its iterations are of no use any more."""
    life = Life(loop("draft"))
    life.returns("draft[0]")
    life.returns("draft[1]", "0")

    assert [ev.StepCompleted(seq=0, at=0.0, step="draft", output="0")] == kept(life)


def test_a_fork_goes_on_item_by_item_with_what_is_kept():
    """What follows those items begins with them."""
    life = of_items(each("ship", "pay"))
    reused = kept(life, "load", "pay")

    fork = Life(node("load"), each("pay", "load", tolerate=1), each("ship", "pay"), begun={"reused": reused})

    assert [
        "run.started", "step.completed load", "step.expanded pay", "step.completed pay[0]", "step.skipped pay[1]",
        "step.failed pay[2]", "step.completed pay", "step.expanded ship", "step.skipped ship[1]",
        "step.skipped ship[2]", "step.started ship[0]",
    ] == fork.spoken  # fmt: skip
    assert "[10,null,null]" == fork.output("pay")


def test_what_was_undone_per_item_is_not_kept():
    """The fork would go on as if it were still done."""
    life = Life(node("load"), each("pay", "load", undo={}, item_key=str), node("end", "pay"))
    life.returns("load")
    life.splits("pay", 1, "a")
    life.returns("pay[0]")
    life.fails("end")
    life.undoing("pay[0]")

    dag = dag_of(*life.plan.nodes[: len(life.plan)])

    assert ["load"] == [event.step for event in kept(life)]
    assert "" == known_items(dag, History("r").extend(life.log))


def test_a_fork_knows_what_is_told_by_its_content():
    """Of the steps that ask for that, and of the items that gave something."""
    life = of_items(each("ship", "pay"), item_key=str)
    life.returns("ship[0]", "20")
    dag = dag_of(*life.plan.nodes[: len(life.plan)])
    without = dag_of(node("load"), each("pay", "load"))

    assert '{"pay":{"a":"10"}}' == known_items(dag, History("r").extend(life.log))
    assert "" == known_items(without, History("r").extend(life.log))
    assert "" == known_items(dag_of(node("load")), History("r").extend(life.log))
    assert "" == known_items(dag, History("r"))


def test_a_fork_keeps_what_came_before_a_step():
    """All of it; with other inputs only what the step depends on, and nothing whose inputs have changed."""
    life = Life(node("a"), node("other"), reading(node("b", "a")), reading(node("c", "b")))
    for name in ("a", "other", "b", "c"):
        life.returns(name)
    dag, history = dag_of(*life.plan.nodes), History("r").extend(life.log)
    before = dag_of(with_input(node("a"), "day"), node("other"), reading(node("b", "a")), reading(node("c", "b")))

    def names(before: Dag | None, *, with_inputs: bool = False) -> list[str]:
        return [event.step for event in kept_by_fork(dag, before, history, "c", with_inputs=with_inputs)]

    assert ["a", "other", "b"] == names(None) == names(dag)
    assert ["a", "b"] == names(None, with_inputs=True)
    assert ["other"] == names(before)
    with pytest.raises(UnknownStepError, match="'d'"):
        kept_by_fork(dag, None, history, "d", with_inputs=False)


def test_what_keeps_a_run_from_going_on_with_another_graph():
    """A change of the graph that is not adopted, or an input that has no value."""
    before = dag_of(node("a"))
    other = dag_of(node("a"), node("b"))
    body = dag_of(attrs.evolve(node("a"), digest=lambda: "other"))
    adopts = dag_of(node("a"), node("b"), on_change="adopt")
    needs = attrs.evolve(adopts, inputs={"day": Input("day", str)})
    has = attrs.evolve(before, inputs={"day": Input("day", str)})
    defaults = attrs.evolve(adopts, inputs={"day": Input("day", str, required=False)})

    refused, lacking = obstacle(before, other), obstacle(before, needs)

    assert obstacle(before, before) is None
    assert obstacle(before, body) is None
    assert obstacle(before, adopts) is None
    assert obstacle(before, other, "adopt") is None
    assert obstacle(has, needs) is None
    assert obstacle(before, defaults) is None
    assert refused is not None
    assert (("b",), []) == (refused[0].added, refused[1])
    assert lacking is not None
    assert ["day"] == lacking[1]
    assert obstacle(before, adopts, "refuse") is not None
