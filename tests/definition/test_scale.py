"""Large graphs: the work grows with the number of edges, and nothing calls itself as deep as the graph is long."""

import gc
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from orchwf import Dag, DefinitionError, compile_workflow, make_workflow, step


def work(**outputs: object) -> int:
    """What every step of these graphs does."""
    return len(outputs)


async def nothing() -> None:
    """What takes nothing."""


def ladder(size: int) -> Dag:
    """A graph in which each step waits for two others."""
    steps = [
        step(name=f"s{n}", depends_on=[f"s{before}" for before in (n - 1, n // 2) if 0 <= before < n])(work)
        for n in range(size)
    ]
    return compile_workflow(make_workflow("Ladder", steps))


def calls(action: Callable[[], Any]) -> int:
    """How many functions are called, in Python and in C."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def looked_at(dag: Dag) -> None:
    """Everything that is asked of a graph as a matter of course."""
    assert len(dag.fingerprint) == 64
    assert len(dag.edges) + len(dag.generations) + len(dag.children) > 0
    dag.critical_path({})
    dag.ancestors("s9")
    dag.descendants("s9")
    dag.diff(dag)


def wrong(size: int) -> None:
    """A ring of steps of which each also waits for one that there is not."""
    steps = [step(name=f"s{n}", depends_on=[f"s{(n + 1) % size}", f"t{n}"])(work) for n in range(size)]
    with pytest.raises(DefinitionError):
        make_workflow("Wrong", steps)


@pytest.mark.parametrize(
    "action",
    [ladder, lambda size: looked_at(ladder(size)), lambda size: wrong(200 + size)],
    ids=["compile", "look", "problems"],
)
def test_twice_the_steps_are_twice_the_work(action: Callable[[int], Any]):
    """Counted in calls, which do not depend on the machine."""
    action(50)

    once, twice = calls(lambda: action(1000)), calls(lambda: action(2000))

    assert twice < 2.2 * once


def test_long_chain():
    """A chain far longer than the stack is deep is compiled, sorted, measured and walked."""
    size = 20_000
    dag = compile_workflow(
        make_workflow("Chain", [step(name=f"s{n}", depends_on=[f"s{n - 1}"] if n else [])(work) for n in range(size)])
    )

    assert len(dag.generations) == size
    assert len(dag.ancestors(f"s{size - 1}")) == size - 1
    assert dag.critical_path({"s5": 2.0}).duration == 2.0
    assert len(next(dag.paths("s0", f"s{size - 1}"))) == size


def test_text_is_the_document():
    """However many parts a graph is written in, together they are its document."""
    dag = ladder(200)

    assert json.loads(dag.to_json()) == dag.to_dict()


def test_fingerprint_does_not_depend_on_the_order_of_many_steps():
    """Steps are sorted in parts, and the parts put in order."""
    steps = {f"s{n}": step(depends_on=[f"s{n - 1}"] if n else [])(nothing) for n in range(6000)}
    backwards = dict(reversed(steps.items()))

    fingerprints = {compile_workflow(make_workflow("Chain", each)).fingerprint for each in (steps, backwards)}

    assert len(fingerprints) == 1


def test_steps_that_take_nothing_keep_little():
    """A step of a large graph keeps no set or list of its own for what it waits for."""
    dag = compile_workflow(make_workflow("W", {"a": nothing, "b": step(depends_on=["a"])(nothing)}))
    node = dag.nodes["b"]

    assert node.dependencies == ("a",)
    assert node.needs == {"a"}
    assert node.dependencies is node.options.depends_on


def test_collector_is_as_it_was():
    """The garbage collector is on again after a compile, also after one that failed, and off where it was off."""
    with pytest.raises(DefinitionError):
        make_workflow("W", {"a": step(depends_on=["b"])(nothing)})
    after_failure = gc.isenabled()
    gc.disable()
    try:
        make_workflow("W", {"a": nothing})
        where_it_was_off = gc.isenabled()
    finally:
        gc.enable()

    assert (after_failure, where_it_was_off) == (True, False)


def test_wide_fan_in():
    """A step with thousands of dependencies."""
    size = 5000
    steps = [step(name=f"s{n}")(work) for n in range(size)]

    dag = compile_workflow(make_workflow("Fan", [*steps, step(name="all", depends_on=steps)(work)]))

    assert len(dag.nodes["all"].dependencies) == size
    assert len(dag.generations) == 2


def test_duplicate_dependencies_are_one_edge():
    """However often a dependency is written, it is waited for once."""
    a = step(name="a")(lambda: 1)
    b = step(lambda x=a.result, y=a.result: 1, name="b", depends_on=[a, "a", a], when=a.is_(1))

    dag = compile_workflow(make_workflow("W", [a, b]))

    assert dag.edges == (("a", "b"),)
