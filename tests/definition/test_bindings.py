"""Where parameters take their values from, and what a step waits for."""

from typing import Any

import pytest

from orchwf import DefinitionError, Quorum, StepContext, compile_workflow, make_workflow, step, workflow
from orchwf.core.definition import Argument, FromContext, FromInput, FromOutputs, FromStep, Node
from orchwf.core.references import MISSING, Condition


@step
def a() -> int:
    """The first of the steps that others read."""
    return 1


@step
def b() -> int:
    """The second one."""
    return 2


@step(required=False)
def c() -> int:
    """One that may fail."""
    return 3


def bound(function: Any, inputs: dict[str, Any] | None = None, **options: Any) -> Node:
    """The node of a step beside `a`, `b` and `c`."""
    made = make_workflow("W", [a, b, c, step(function, name="it", **options)], inputs)
    return compile_workflow(made).nodes["it"]


def test_sources_in_defaults():
    """`.result`, `.maybe` and a choice of several."""
    node = bound(lambda x=a.result, y=b.maybe, z=(a | c).result, w=(b | c).maybe: 1)

    assert node.arguments == (
        Argument("x", FromStep(("a",))),
        Argument("y", FromStep(("b",), maybe=True)),
        Argument("z", FromStep(("a", "c"))),
        Argument("w", FromStep(("b", "c"), maybe=True)),
    )
    assert node.dependencies == ("a", "b", "c")
    assert node.needs == {"a"}
    assert node.choices == (("a", "c"),)


def test_by_name():
    """A step comes before an input, that before the context, that before an ordinary default."""

    def it(a: int, n: int, context: StepContext, b: int = 9, m: int = 9, k: int = 9, *rest: int) -> None: ...

    node = bound(it, {"n": int, "m": int})

    assert node.arguments == (
        Argument("a", FromStep(("a",))),
        Argument("n", FromInput("n")),
        Argument("context", FromContext()),
        Argument("b", FromStep(("b",))),
        Argument("m", FromInput("m")),
    )
    assert node.needs == {"a", "b"}


def test_context_may_be_optional():
    """A parameter annotated `StepContext | None` gets the context, too."""

    def it(ctx: StepContext | None = None, *, other: "StepContext") -> None: ...

    assert [argument.binding for argument in bound(it).arguments] == [FromContext(), FromContext()]


def test_positional_only():
    """It is told, so that it can be called so."""

    def it(a: int, /, b: int) -> None: ...

    assert [argument.positional_only for argument in bound(it).arguments] == [True, False]


def test_outputs():
    """`**outputs` takes what the other dependencies gave."""

    def it(x: int = a.result, **outputs: object) -> None: ...

    node = bound(it, depends_on=["c", a, "b"])

    assert node.arguments == (Argument("x", FromStep(("a",))), Argument("outputs", FromOutputs(("c", "b"))))
    assert node.needs == {"a", "b"}


def test_outputs_takes_what_a_mapping_names():
    """A source for a parameter that the function does not name goes into `**outputs`."""

    def it(**outputs: object) -> None: ...

    node = bound(it, depends_on={"first": a.result, "second": c.maybe})

    assert node.arguments == (
        Argument("first", FromStep(("a",))),
        Argument("second", FromStep(("c",), maybe=True)),
        Argument("outputs", FromOutputs(())),
    )


def test_outputs_leaves_what_a_parameter_takes():
    """A source that the mapping gives to a parameter goes there, and nowhere else."""

    def it(x: int, **outputs: object) -> None: ...

    node = compile_workflow(make_workflow("W", [a, step(it, depends_on={"x": a.result})])).nodes["it"]

    assert node.arguments == (Argument("x", FromStep(("a",))), Argument("outputs", FromOutputs(())))


def test_outputs_cannot_hold_the_name_of_a_parameter():
    """A call cannot give one name twice."""

    def it(b: int = a.result, **outputs: object) -> None: ...

    with pytest.raises(DefinitionError, match="has a parameter 'b', which \\*\\*outputs would hold as well") as caught:
        bound(it, depends_on="b")

    assert caught.value.problems[0].code == "duplicate-name"


def test_mapping_binds_parameters():
    """For generated graphs the sources are given beside the function."""

    def it(x: int, y: int | None) -> None: ...

    node = bound(it, depends_on={"x": (a | b).result, "y": c.maybe})

    assert node.dependencies == ("a", "b", "c")
    assert node.choices == (("a", "b"),)


def test_order_only():
    """`depends_on` takes nodes and names, one or many; twice the same is one edge."""
    assert bound(lambda: 1, depends_on=a).dependencies == ("a",)
    assert bound(lambda: 1, depends_on="b").dependencies == ("b",)
    assert bound(lambda: 1, depends_on=(b, "a", a, "b")).dependencies == ("b", "a")
    assert bound(lambda: 1, depends_on={"b", "a"}).dependencies == ("a", "b")
    assert bound(lambda: 1, depends_on={b, a}).dependencies == ("a", "b")
    assert bound(lambda: 1, depends_on=(name for name in "ab")).dependencies == ("a", "b")
    assert bound(lambda: 1, depends_on=[]).dependencies == ()


def test_choice_of_order():
    """`depends_on=[a | b]` waits for both, and one of them must complete."""
    node = bound(lambda: 1, depends_on=[a | b])

    assert (node.dependencies, node.needs, node.choices) == (("a", "b"), frozenset(), (("a", "b"),))


@pytest.mark.parametrize(
    ("options", "function", "needs", "asked"),
    [
        ({"depends_on": [a]}, lambda: 1, {"a"}, set()),
        ({"depends_on": [c]}, lambda: 1, {"c"}, set()),
        ({"depends_on": [c]}, lambda **outputs: 1, set(), set()),
        ({"depends_on": [a]}, lambda x=a.maybe: 1, set(), set()),
        ({"depends_on": [a]}, lambda x=a.maybe, y=a.result: 1, {"a"}, set()),
        ({"when": a.is_(1)}, lambda: 1, set(), {"a"}),
        ({"when": a.is_(1)}, lambda x=a.result: 1, {"a"}, set()),
        ({"when": a.is_(1)}, lambda x=a.maybe: 1, set(), set()),
        ({"when": a.is_(1) | (b | c).is_(2)}, lambda: 1, set(), {"a", "b", "c"}),
        ({"when": a.is_(1), "depends_on": "a"}, lambda: 1, {"a"}, set()),
        ({"join": "any", "depends_on": [a, b]}, lambda: 1, set(), set()),
        ({"join": Quorum(1), "depends_on": [a, b], "when": c.is_(1)}, lambda: 1, set(), {"c"}),
    ],
)  # fmt: skip
def test_needs(options: dict[str, Any], function: Any, needs: frozenset[str], asked: frozenset[str]):
    """What must complete is what is read by `.result` or listed; what is absorbed, or only asked for, need not."""
    node = bound(function, **options)

    assert (node.needs, node.asked) == (needs, asked)


def test_condition_asks_by_the_names_of_the_graph():
    """Whatever object was written, the condition of the node names the nodes."""
    again = step(name="x")(a.function)
    made = make_workflow("W", {"p": again, "q": b, "it": step(lambda: 1, when=again.is_(1) & (again | b).is_(2))})

    condition = compile_workflow(made).nodes["it"].options.when

    assert isinstance(condition, Condition)
    assert str(condition) == "(p is 1 & p | q is 2)"
    assert condition.answer(lambda ref: 1 if ref.name == "p" else 2) is True
    assert condition.answer(lambda ref: MISSING) is None


def test_condition_on_the_inputs():
    """A function of the instance is kept as it is."""

    @workflow
    class W:
        express: bool

        @step(when=lambda self: self.express)
        def fly(self) -> None: ...

    when = compile_workflow(W).nodes["fly"].options.when

    assert callable(when)
    assert when(W(express=True)) is True


def test_mapping_key_names_a_step():
    """The same step may stand under many names; a reference then means the first one."""
    made = make_workflow("W", {"one": a, "two": a, "it": step(lambda x=a.result: x)})

    dag = compile_workflow(made)

    assert list(dag.nodes) == ["one", "two", "it"]
    assert dag.nodes["it"].dependencies == ("one",)


def test_reference_to_a_step_made_of_the_same_name():
    """In a made workflow names count: what was built twice means the same."""

    def build(name: str) -> Any:
        return step(name=name)(a.function)

    made = make_workflow("W", [build("x"), step(lambda x=build("x").result: x, name="it")])

    assert compile_workflow(made).nodes["it"].dependencies == ("x",)


def test_deep_condition_is_refused():
    """A condition nested deeper than anyone reads is refused rather than overflowing the stack."""
    deep: Condition = a.is_(1)
    for _ in range(3000):
        deep = ~deep

    with pytest.raises(DefinitionError, match="nested 3001 deep"):
        bound(lambda: 1, when=deep)


def test_long_condition_is_flat():
    """A row of thousands of tests is one level."""
    row: Condition = a.is_(0)
    for number in range(1, 3000):
        row = row | a.is_(number)

    condition = bound(lambda: 1, when=row).options.when

    assert isinstance(condition, Condition)
    assert condition.depth == 2
    assert condition.answer(lambda ref: 2999) is True
