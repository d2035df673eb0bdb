"""A graph as numbers: who waits for whom, and who reads what."""

from typing import Any

import attrs

from orchwf import compile_workflow, make_workflow, step
from orchwf.core.definition import Argument, Binding, FromContext, FromInput, FromOutputs, FromStep, Node
from orchwf.core.options import Join
from orchwf.core.outcome import SkippedItself
from orchwf.core.plan import Plan, argument_steps, condition_steps, source_steps
from tests.kernel.graphs import Life, dag_of, each, gathering, loop, node, reading, stream


def test_steps_are_numbered_as_they_were_defined_and_compensations_after_them():
    """Smaller is earlier; each knows its other half."""
    plan = Plan(dag_of(node("a", undo={}), node("b", "a"), node("c", "a", "b", undo={})))

    assert {"a": 0, "b": 1, "c": 2} == plan.index
    assert ({0: 3, 2: 4}, {3: 0, 4: 2}) == (plan.undo, plan.undone_by)
    assert ["a", "b", "c", "a", "c"] == [each.name for each in plan.nodes]
    assert (3, [0, 1, 2]) == (len(plan), plan.order)
    assert [(), (0,), (0, 1)] == plan.parents
    assert [[1, 2], [2], []] == [list(each) for each in plan.children]


def test_the_order_is_that_of_the_graph_and_the_numbers_are_those_of_the_definition():
    """They differ where a step is defined before what it waits for."""
    late = {"b": step(lambda a: a, name="b"), "a": step(lambda: 1, name="a")}

    plan = Plan(compile_workflow(make_workflow("Late", late)))

    assert ({"b": 0, "a": 1}, [1, 0]) == (plan.index, plan.order)


def test_arguments_and_conditions_are_read():
    """Of a choice all that are in it, in the order in which they stand there, also more than once."""
    a, b, c = (step(lambda: 1, name=name) for name in "abc")
    when: Any = a.is_(1) & ~b.is_(2)
    arguments: list[tuple[str, Binding]] = [
        ("x", FromInput("day")), ("y", FromStep(("b", "c"))), ("z", FromContext()), ("w", FromOutputs(("a", "b"))),
    ]  # fmt: skip
    reader = attrs.evolve(
        node("r", "a", "b", "c", when=when), arguments=tuple(Argument(name, binding) for name, binding in arguments)
    )
    chosen = attrs.evolve(node("s", "a", "c", when=(a | c).is_(1)))

    assert ["b", "c", "a", "b"] == list(argument_steps(reader))
    assert ["a", "b"] == list(condition_steps(reader))
    assert ["b", "c", "a", "b", "a", "b"] == list(source_steps(reader))
    assert ["a", "c"] == list(source_steps(chosen))
    assert [] == list(source_steps(node("t", "a", when=lambda _: True)))
    plan = Plan(dag_of(node("a"), node("b"), node("c"), reader, chosen))
    assert [(), (), (), (1, 2, 0), (0, 2)] == plan.sources
    assert [2, 1, 2, 0, 0] == plan.reader_count


def test_what_a_compensation_reads_is_kept_for_it():
    """However many steps read it before."""
    life = Life(node("a", undo={}), reading(node("b", "a")), reading(node("c", "a")), node("d", "b", "c"))
    life.returns("a", '"A"')
    life.returns("b")
    life.returns("c")

    assert {0: '"A"'} == life.machine.run.outputs
    assert ["step.failed d", "compensation.started a"] == life.fails("d")


def gated(join: Any) -> Node:
    """A step that waits for three others, of which only its condition asks for the last one."""
    return attrs.evolve(node("j", "a", "b", "flag", join=join, when=lambda _: True), asked=frozenset({"flag"}))


def test_what_only_a_condition_asks_for_has_no_vote():
    """Its completion is none, and it is no reason why nothing was left to vote for."""
    done = Life(node("a"), node("b"), node("flag"), gated(Join.FIRST))
    failed = Life(node("a"), node("b"), node("flag", required=False), gated(Join.FIRST))

    assert ["step.completed flag"] == done.returns("flag")
    assert ["step.completed a", "step.started j"] == done.returns("a")
    assert ["step.failed flag"] == failed.fails("flag")
    failed.ends("b", SkippedItself("no"))
    assert ["step.skipped a", "step.skipped j", "run.completed"] == failed.ends("a", SkippedItself("no"))
    assert "a was skipped" == getattr(failed.last("j"), "reason", "")


def test_a_vote_that_cannot_be_had_any_more_is_not_waited_for():
    """Once the condition can be answered, too."""
    life = Life(node("a"), node("b"), node("flag"), gated(Join.FIRST))
    life.ends("a", SkippedItself("no"))
    life.ends("b", SkippedItself("no"))

    assert ["step.completed flag", "step.skipped j", "run.completed"] == life.returns("flag")


def test_what_follows_items_is_chained():
    """To those of the steps that have items of their own: a list, also that of a loop, is taken apart first."""
    plan = Plan(
        dag_of(node("list"), stream("rows"), loop("draft"), each("a", "list"), each("b", "rows"), each("c", "draft"),
               each("d", "b"), gathering("all", "b"))
    )  # fmt: skip

    assert {"a": "list", "b": "rows", "c": "draft", "d": "b"} == {
        plan.nodes[number].name: source for number, ((source, _),) in plan.eaches.items()
    }
    assert {4: (1,), 6: (4,)} == plan.chained
    assert {1: (4,), 4: (6,)} == plan.chains
    assert plan.chained.keys() <= plan.voted
    # Of those of `b` there is another reader.
    assert {1} == plan.passing


def test_what_asks_of_all_items_does_not_follow_them_one_by_one():
    """Its condition cannot be answered before all are there."""
    rows: Any = step(lambda: 1, name="rows")
    plan = Plan(dag_of(stream("rows"), each("score", "rows", when=rows.contains(1))))

    assert ({}, {}) == (plan.chained, plan.chains)
    assert {1: (("rows", 0),)} == plan.eaches
