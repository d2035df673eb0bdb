"""
What the Go package of the same name was seen to do wrong when workflows are defined.

The names of the tests have the numbers of our list of its bugs.
"""

from collections.abc import Mapping
from typing import Any

import pytest

import orchwf
from orchwf import (
    BadOptionError,
    DefinitionError,
    Orchestrator,
    OrchwfError,
    Retry,
    UsageError,
    compile_workflow,
    make_workflow,
    step,
    workflow,
)
from tests.behaviours.flows import (
    nothing,
    returning,
)


@pytest.mark.parametrize(
    ("dependencies", "code"),
    [
        ({"a": ["b"], "b": ["a"]}, "cycle"),
        ({"a": ["a"]}, "cycle"),
        ({"a": ["ghost"]}, "unknown-dependency"),
        ({}, "no-steps"),
    ],
)
def test_bug_04_impossible_graphs_do_not_compile(dependencies: Mapping[str, list[str]], code: str):
    """A cycle, a dependency that does not exist, and an empty workflow are errors before anything runs."""
    steps = {name: step(depends_on=parents)(nothing) for name, parents in dependencies.items()}

    with pytest.raises(DefinitionError) as caught:
        make_workflow("Impossible", steps)

    assert [problem.code for problem in caught.value.problems] == [code]


def test_bug_05_two_steps_of_one_name_do_not_compile():
    """A second step of the same name is an error, not a replacement."""
    with pytest.raises(DefinitionError, match="twice") as caught:
        make_workflow("Twice", [step(name="twice")(nothing), step(name="twice")(nothing)])

    assert [problem.code for problem in caught.value.problems] == ["duplicate-name"]


def test_bug_12_result_of_an_optional_step_does_not_compile():
    """Who reads the output of an optional step without saying what else is told so at once."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Careless:
            @step(required=False)
            async def extra(self) -> int:
                return 1

            @step
            async def reads(self, extra: int = extra.result) -> int:
                return extra

    assert [problem.code for problem in caught.value.problems] == ["optional-result"]


def test_bug_19_a_step_sees_its_dependencies_only():
    """All outputs that a step can take are those of the steps that it depends on."""
    flow = make_workflow(
        "Narrow", {"a": returning(1), "b": returning(2), "c": step(depends_on="a")(lambda **outputs: sorted(outputs))}
    )

    result = orchwf.run(flow(), store="memory:")

    assert result["c"] == ["a"]


def test_bug_19_a_parameter_that_nobody_gives_does_not_compile():
    """There are no silent inputs."""
    with pytest.raises(DefinitionError) as caught:
        make_workflow("Silent", {"a": lambda typo: typo})

    assert [problem.code for problem in caught.value.problems] == ["unbound-parameter"]


@pytest.mark.parametrize(
    "arguments",
    [{"max_retries": -1}, {"max_retries": 3, "multiplier": 0}, {"max_retries": 3, "initial": -1}],
)
def test_bug_25_retries_that_make_no_sense_are_refused(arguments: dict[str, Any]):
    """Wrong numbers fail at definition, not at the first failure."""
    with pytest.raises(BadOptionError):
        Retry(**arguments)


def test_bug_25_waits_never_overflow():
    """The seventieth wait, and the millionth, is the cap."""
    retry = Retry(10**6, initial=1, multiplier=2, max_interval=30, jitter=None)

    waits = [retry.delay(failures, 0.0) for failures in (1, 2, 3, 4, 5, 6, 70, 10**6)]

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_bug_27_definitions_are_frozen():
    """Neither an instance nor a compiled graph can be changed."""
    flow = make_workflow("Frozen", {"only": nothing}, inputs={"size": (int, 1)})
    instance, dag = flow(), compile_workflow(flow)

    with pytest.raises(AttributeError):
        instance.size = 2
    with pytest.raises(TypeError):
        dag.nodes["more"] = dag.nodes["only"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        dag.name = "Thawed"  # type: ignore[misc]


@pytest.mark.parametrize("body", [None, 3, "text", object()])
def test_bug_28_a_step_without_a_function_is_refused(body: Any):
    """What cannot be called is no step."""
    with pytest.raises(OrchwfError):
        make_workflow("Nothing", {"only": body})


def test_bug_28_steps_are_required_unless_said_otherwise():
    """However a step is made, it is required."""
    flow = make_workflow("Required", {"plain": nothing, "bare": step(nothing), "called": step()(nothing)})

    required = {name: node.options.required for name, node in compile_workflow(flow).nodes.items()}

    assert required == {"plain": True, "bare": True, "called": True}


async def test_bug_41_two_workflows_of_one_name_are_refused():
    """A second definition of the same name does not replace the first in silence."""
    first, second = (make_workflow("Same", {name: nothing}) for name in ("a", "b"))

    orchestrator = Orchestrator("memory:", workflows=[first, second])

    with pytest.raises(UsageError, match="Same"):
        await orchestrator.__aenter__()
