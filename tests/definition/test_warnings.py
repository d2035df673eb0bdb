"""What compiles, but is probably not meant."""

import enum
import os
import warnings
from collections.abc import Callable
from typing import Any, Literal

import pytest

from orchwf import StepContext, compile_workflow, make_workflow, step, workflow
from orchwf.core.definition import UNKNOWN, FromContext
from orchwf.errors import OrchwfWarning


def warned(define: Callable[[], Any]) -> list[warnings.WarningMessage]:
    """The warnings while something is defined."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        define()
    assert all(each.category is OrchwfWarning for each in caught)
    return caught


@step
def decide() -> Literal["approve", "review", "refuse"]:
    """A step with three outcomes."""
    return "refuse"


@pytest.mark.parametrize("limit", ["timeout", "heartbeat_timeout"])
def test_sync_timeout(limit: str):
    """A thread cannot be stopped; the warning stands at the step. A coroutine can."""

    def slow() -> None: ...

    async def quick() -> None: ...

    (warning,) = warned(lambda: make_workflow("W", [step(slow, **{limit: 1}), step(quick, **{limit: 1})]))  # type: ignore[call-overload]

    assert str(warning.message).startswith("[sync-timeout] step 'slow' is a plain function with a timeout")
    assert (warning.filename, warning.lineno) == (os.path.relpath(__file__), slow.__code__.co_firstlineno)


def test_what_an_executor_runs_is_its_affair():
    """A process can be killed, and a step that names one is not warned of."""

    def slow() -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_workflow("W", [step(slow, timeout=1, executor="process")])


def test_steps_that_share_a_function_warn_once():
    """A generated graph does not flood the log."""

    def slow() -> None: ...

    assert len(warned(lambda: make_workflow("W", [step(slow, timeout=1, name=f"s{n}") for n in range(50)]))) == 1


def test_unhandled_branch():
    """If the conditions on a step leave a value of its type to nobody, that is told."""
    (warning,) = warned(
        lambda: make_workflow(
            "W",
            [
                decide,
                step(lambda: 1, name="yes", when=decide.is_("approve")),
                step(lambda: 1, name="perhaps", when=decide.is_("review")),
            ],
        )
    )

    assert str(warning.message) == (
        "[unhandled-branch] no step runs when 'decide' gives 'refuse'; add one with when=decide.is_(...)"
    )


@pytest.mark.parametrize(
    "conditions",
    [
        [decide.is_("approve"), decide.is_("review"), decide.is_("refuse")],
        [decide.is_("approve"), ~decide.is_("approve")],
        [decide.is_("approve") | decide.is_("review"), decide.is_("refuse")],
        [decide.is_("approve"), decide.where(lambda value: value != "approve")],
        [decide.where(bool)],
        [lambda self: True],
    ],
)
def test_handled_branches(conditions: list[Any]):
    """All values are taken, or nobody can tell."""
    steps = [step(lambda: 1, name=f"s{n}", when=when) for n, when in enumerate(conditions)]

    assert warned(lambda: make_workflow("W", [decide, *steps])) == []


def test_unhandled_branch_of_an_enum():
    """An Enum has values, too; of a bool an "if" without an "else" is common."""

    class Level(enum.Enum):
        LOW = 1
        HIGH = 2

    def level() -> Level:
        return Level.LOW

    def flag() -> bool:
        return True

    levels, flags = step(level), step(flag)
    found = warned(
        lambda: make_workflow(
            "W",
            [
                levels,
                flags,
                step(lambda: 1, name="a", when=levels.is_(Level.LOW)),
                step(lambda: 1, name="b", when=flags.is_(True)),
            ],
        )
    )

    assert [str(each.message) for each in found] == [
        "[unhandled-branch] no step runs when 'level' gives Level.HIGH; add one with when=level.is_(...)"
    ]


def test_unresolved_annotation_leaves_the_others():
    """A name that only a type checker knows skips the check of that edge, and of no other."""

    def define() -> Any:
        @workflow
        class W:
            when: "Missing"  # type: ignore[name-defined]  # noqa: F821
            n: "int" = 1

            @step
            def load(self) -> "Missing":  # type: ignore[name-defined]  # noqa: F821
                return 1

            @step
            def use(self, load: int, ctx: "elsewhere.StepContext | None", n: "float") -> "str":  # type: ignore[name-defined]  # noqa: F821
                return ""

        return W

    found = warned(define)
    with pytest.warns(OrchwfWarning):
        dag = compile_workflow(define())

    texts = [str(each.message) for each in found]
    assert len(texts) == 2
    assert texts[0].startswith("[unresolved-annotation] the type of input 'when' (NameError: name 'Missing'")
    assert texts[1] == (
        "[unresolved-annotation] step 'load': the annotation of what it returns cannot be resolved "
        "(NameError: name 'Missing' is not defined), so its type is not checked"
    )
    assert dag.inputs["when"].type is UNKNOWN
    assert dag.inputs["n"].type is int
    assert dag.nodes["load"].returns is UNKNOWN
    assert dag.nodes["use"].returns is str
    assert dag.nodes["use"].arguments[1].binding == FromContext()


def test_unresolved_parameter_is_named():
    """The warning names the parameter."""

    def use(n: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    (warning,) = warned(lambda: make_workflow("W", [use], {"n": int}))

    assert "the annotation of parameter 'n' cannot be resolved" in str(warning.message)


def test_local_types_are_resolved():
    """A class in a function finds the types of that function, also where annotations are text."""

    class Local:
        pass

    @workflow
    class W:
        x: "Local"

        class Inner:
            pass

        @step
        def a(self, ctx: "StepContext") -> "list[Local]":
            return []

        @step
        def b(self, a: "list[Local]") -> "Inner":
            return W.Inner()

    dag = compile_workflow(W)

    assert dag.inputs["x"].type is Local
    assert dag.nodes["a"].returns == list[Local]
    assert dag.nodes["b"].returns is W.Inner


def test_names_that_hide_types():
    """A step called `list` and an input `date: date` do not hide the types."""
    source = (
        "from __future__ import annotations\n"
        "from datetime import date\n"
        "from orchwf import step, workflow\n"
        "@workflow\n"
        "class W:\n"
        "    date: date = date(2020, 1, 1)\n"
        "    @step\n"
        "    def list(self) -> int: return 1\n"
        "    @step\n"
        "    def use(self, date: date) -> list[int]: return []\n"
    )
    namespace: dict[str, Any] = {"__name__": "orchwf_test_hidden"}

    found = warned(lambda: exec(source, namespace))
    dag = compile_workflow(namespace["W"])

    assert found == []
    assert dag.nodes["use"].returns == list[int]
