"""What is wrong with a definition is told all at once, with code, place and the way out."""

import enum
import os
from collections.abc import Callable
from typing import Any, Literal

import pytest

from orchwf import BadOptionError, DefinitionError, Problem, Quorum, compile_workflow, make_workflow, step, workflow
from orchwf.core.references import Named


def problems_of(define: Callable[[], object]) -> list[Problem]:
    """Everything that is wrong with what `define` defines."""
    with pytest.raises(DefinitionError) as caught:
        define()
    return list(caught.value.problems)


def only(define: Callable[[], object]) -> Problem:
    """The one problem that there is."""
    found = problems_of(define)
    assert len(found) == 1, found
    return found[0]


def place(thing: Any) -> str:
    """`file:line` of a function."""
    return f"{os.path.relpath(__file__)}:{getattr(thing, 'function', thing).__code__.co_firstlineno}"


@step
def first() -> int:
    """A step outside of any class."""
    return 1


class Elsewhere:
    """A class with a step that no workflow of these tests has."""

    @step
    def foreign(self) -> int:
        return 1


def test_all_problems_come_in_one_error():
    """The text names the workflow, counts, and numbers the problems."""

    def define() -> None:
        @workflow
        class Fulfil:
            @step
            def validate_order(self) -> str:
                return ""

            @step(depends_on="validate_ordr", retries=-1)
            def charge(self, amount: float) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        define()

    first_line = caught.value.problems[0].location
    line = int(first_line.rpartition(":")[2])
    assert isinstance(caught.value, TypeError)
    assert caught.value.workflow == "Fulfil"
    assert str(caught.value) == (
        "Fulfil cannot be compiled: 3 problems\n"
        "\n"
        "  1. [bad-option] step 'charge': retries takes a whole number of at least 0, or a Retry, not -1\n"
        f"     at {os.path.relpath(__file__)}:{line}\n"
        "     It counts the attempts after the first one.\n"
        "\n"
        "  2. [unknown-dependency] step 'charge' depends on 'validate_ordr', but Fulfil has no step of that name\n"
        f"     at {os.path.relpath(__file__)}:{line}\n"
        "     Did you mean 'validate_order'?\n"
        "\n"
        "  3. [unbound-parameter] step 'charge' has a parameter 'amount: float' that nothing gives a value\n"
        f"     at {os.path.relpath(__file__)}:{line}\n"
        "     Give it a source (amount: float = some_step.result) or a default, or make it an input of Fulfil."
    )


def test_unknown_dependency():
    """The nearest name is suggested; if none is near, the names that there are."""
    near = only(lambda: make_workflow("W", [first, step(name="b", depends_on=["FIRST"])(lambda: 1)]))
    far = only(lambda: make_workflow("W", [first, step(name="b", depends_on="zzz")(lambda: 1)]))
    as_input = only(lambda: make_workflow("W", [step(name="b", depends_on="n")(lambda: 1)], {"n": int}))

    assert (near.code, near.node) == ("unknown-dependency", "b")
    assert near.message == "step 'b' depends on 'FIRST', but W has no step of that name"
    assert near.hint == "Did you mean 'first'?"
    assert far.hint == "Known steps: first, b"
    assert as_input.hint == "'n' is an input of W: it is there from the start, nothing waits for it."


def test_cycle():
    """The shortest path is shown, each of its edges with its reason and its place."""

    def reserve(allocate: int) -> int:
        return 1

    def charge(r: int = first.result) -> int:
        return 1

    def allocate() -> int:
        return 1

    reserved = step(reserve)
    problem = only(
        lambda: make_workflow(
            "W",
            {
                "reserve": reserved,
                "charge": step(depends_on={"r": reserved.result})(charge),
                "allocate": step(depends_on=["charge"])(allocate),
                "after": step(depends_on=["charge"])(lambda: 1),
            },
        )
    )

    assert (problem.code, problem.node, problem.location) == ("cycle", "reserve", place(reserve))
    assert problem.message == (
        "these steps wait for each other, so none can start: reserve -> charge -> allocate -> reserve"
    )
    assert problem.hint.splitlines() == [
        f"charge needs reserve (parameter 'r', {place(charge)})",
        f"allocate needs charge (depends_on, {place(allocate)})",
        f"reserve needs allocate (parameter 'allocate', {place(reserve)})",
        "Remove one of these dependencies.",
    ]


def test_cycle_through_a_condition_names_it():
    """A condition makes an edge, too."""
    a = step(name="a", depends_on="b")(lambda: 1)

    problem = only(lambda: make_workflow("W", [a, step(name="b", when=a.is_(1))(lambda: 1)]))

    assert "b needs a (when, " in problem.hint
    assert "a needs b (depends_on, " in problem.hint


def test_step_that_depends_on_itself():
    """That is a cycle of length one, and the path is not shown."""

    def total(total: int) -> int:
        return total

    problem = only(lambda: make_workflow("W", [total]))

    assert problem.message == "step 'total' waits for itself, so it can never start"
    assert problem.hint == f"total needs total (parameter 'total', {place(total)})\nRemove this dependency."


def test_each_knot_is_told_once():
    """Two components are two problems; what hangs on them is none."""
    links = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c", "a"], "e": ["d"]}
    steps = [step(name=name, depends_on=links[name])(lambda: 1) for name in links]

    found = problems_of(lambda: make_workflow("W", steps))

    assert [problem.code for problem in found] == ["cycle", "cycle"]
    assert [problem.message.rpartition(": ")[2] for problem in found] == ["a -> b -> a", "c -> d -> c"]


def test_long_cycle_is_told_by_its_ends():
    """A ring of a thousand steps fits on the screen."""
    steps = [step(name=f"s{n}", depends_on=f"s{(n - 1) % 1000}")(lambda: 1) for n in range(1000)]

    problem = only(lambda: make_workflow("W", steps))

    assert "s8 -> s9 -> ... 980 more ... -> s990" in problem.message
    assert len(problem.hint.splitlines()) == 22


def test_unbound_parameter():
    """A parameter with no source, no namesake and no default is refused, with a near name if there is one."""

    def use(frist: int, *args: int, other: int = 3) -> None: ...

    problem = only(lambda: make_workflow("W", [first, use]))

    assert (problem.code, problem.node, problem.location) == ("unbound-parameter", "use", place(use))
    assert problem.message == "step 'use' has a parameter 'frist: int' that nothing gives a value"
    assert problem.hint.splitlines() == [
        "Did you mean 'first'?",
        "Give it a source (frist: int = some_step.result) or a default, or make it an input of W.",
    ]


def test_source_for_a_parameter_that_there_is_not():
    """A mapping in depends_on names parameters of the function."""
    problem = only(
        lambda: make_workflow("W", [first, step(name="b", depends_on={"roow": first.result})(lambda row=1: 1)])
    )

    assert problem.code == "unbound-parameter"
    assert problem.message == "step 'b' has no parameter 'roow', for which depends_on gives a source"
    assert problem.hint == "Did you mean 'row'?"


def test_positional_parameter_behind_a_default():
    """A positional-only parameter cannot be given while one before it keeps its default."""

    def use(a: int = 1, first: int = 2, /) -> None: ...

    problem = only(lambda: make_workflow("W", [first, use]))

    assert problem.message == "step 'use' cannot be given its positional parameter 'first'"


def test_self_in_a_function_of_make_workflow():
    """The hint says that nothing is called with self there."""

    def method(self) -> None: ...

    problem = only(lambda: make_workflow("W", [method]))

    assert problem.hint == "A step of make_workflow, and a static one, is called without self."


def test_type_mismatch():
    """Both types and both places are named."""

    def use(first: str) -> None: ...

    problem = only(lambda: make_workflow("W", [first, use]))

    assert (problem.code, problem.node, problem.location) == ("type-mismatch", "use", place(use))
    assert problem.message == f"step 'use': parameter 'first' is str, but first.result ({place(first)}) is int"
    assert problem.hint == "Change one of the two annotations, or add a step that makes str of int."


def test_type_mismatch_of_an_input():
    """An input has a type as well."""

    def use(n: list[str]) -> None: ...

    problem = only(lambda: make_workflow("W", [use], {"n": dict[str, int] | None}))

    assert problem.message == "step 'use': parameter 'n' is list[str], but the input 'n' is dict[str, int] | None"


def test_type_mismatch_of_a_branch():
    """Of a choice the branch that does not fit is named."""

    def text() -> str:
        return ""

    def use(value: int) -> None: ...

    other = step(text)
    problem = only(lambda: make_workflow("W", [first, other, step(depends_on={"value": (first | other).result})(use)]))

    assert problem.message == (
        f"step 'use': parameter 'value' is int, but (first | text).result ({place(first)}, {place(text)}) is int | str"
    )
    assert problem.hint == "Every branch of the value must fit: str does not."


def test_type_mismatch_of_none():
    """`.maybe` does not go where None may not, whatever the step gives."""

    def unknown():
        return 1

    def use(value: int, other: int) -> None: ...

    open_step = step(unknown, required=False)
    consumer = step(use, depends_on={"value": first.maybe, "other": open_step.maybe})
    found = problems_of(lambda: make_workflow("W", [first, open_step, consumer]))

    assert [problem.code for problem in found] == ["type-mismatch", "type-mismatch"]
    assert found[0].hint == "It may be None: annotate  value: int | None"
    assert "is ? | None" in found[1].message


def test_optional_result():
    """The result of a step that need not succeed is read by `.maybe`."""
    optional = step(name="risk", required=False)(first.function)

    def use(score: int | None, risk: int) -> None: ...

    found = problems_of(lambda: make_workflow("W", [optional, step(use, depends_on={"score": optional.result})]))

    assert [problem.code for problem in found] == ["optional-result", "optional-result"]
    assert found[0].message == (
        "step 'use' needs risk.result, but 'risk' may fail without failing the run (required=False)"
    )
    assert found[0].hint == "Accept that there may be none:  score: int | None = risk.maybe"
    assert found[1].hint == "Accept that there may be none:  risk: int | None = risk.maybe"


@pytest.mark.parametrize(("join", "text"), [("any", "any"), ("first", "first"), (Quorum(1), "quorum(1)")])
def test_result_of_one_of_several(join: Any, text: str):
    """A join that is content with some cannot promise the output of a certain one."""
    other = step(name="other")(first.function)
    both = [first, other]

    def use(x: int) -> None: ...

    problem = only(
        lambda: make_workflow("W", [*both, step(lambda x=first.result: 1, name="b", depends_on=both, join=join)])
    )
    make_workflow("W", [*both, step(lambda x=(first | other).result: 1, name="b", join=join)])
    make_workflow("W", [first, step(lambda x=first.result: 1, name="b", join=join)])

    assert problem.code == "optional-result"
    assert problem.message == f"step 'b' needs first.result, but it need not have completed with join={text!r}"
    assert problem.hint == "Take first.maybe."


def test_result_of_a_choice_with_settled():
    """After `settled` nothing need be there."""
    other = step(name="other")(first.function)

    problem = only(
        lambda: make_workflow("W", [first, other, step(lambda x=(first | other).result: 1, name="b", join="settled")])
    )

    assert problem.hint == "Take (first | other).maybe."


def test_quorum_that_covers_all_promises_each():
    """`Quorum(2)` of two is as good as "all"."""
    other = step(name="other")(first.function)

    made = make_workflow("W", [first, other, step(lambda x=first.result, y=other.result: 1, name="b", join=Quorum(2))])

    assert compile_workflow(made).nodes["b"].dependencies == ("first", "other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"join": Quorum(2)}, "step 'b' waits for 2 dependencies (join=quorum(2)), but has only 1"),
        (
            {"join": Quorum(2), "when": first.is_(1)},
            "step 'b' waits for 2 dependencies (join=quorum(2)), but has only 1",
        ),
    ],
)
def test_quorum_of_more_than_there_are(options: dict[str, Any], message: str):
    """The steps that only a condition names do not count."""
    other = step(name="other")(first.function)

    problem = only(lambda: make_workflow("W", [first, other, step(lambda: 1, name="b", depends_on="other", **options)]))

    assert (problem.code, problem.message) == ("bad-option", message)


def test_join_of_nothing():
    """A join needs something to join."""
    problem = only(lambda: make_workflow("W", [step(lambda: 1, name="b", join="any")]))

    assert problem.message == "step 'b' joins nothing: join='any' without a dependency"


def test_impossible_branch():
    """A condition asks for a value that the annotation does not have."""

    class Level(enum.Enum):
        LOW = "low"
        HIGH = "high"

    def text() -> Literal["approve", "review"]:
        return "review"

    def level() -> Level | None:
        return None

    # As Any: a type checker sees what is wrong here, too.
    a: Any = step(text)
    b: Any = step(level)
    c: Any = step(lambda: 1, name="c")
    found = problems_of(
        lambda: make_workflow(
            "W",
            [
                a, b, c,
                step(lambda: 1, name="x", when=a.is_("aprove")),
                step(lambda: 1, name="y", when=b.is_(Level.LOW) | ~b.is_(3)),
                step(lambda: 1, name="z", when=(a | b).is_("q") & c.is_("anything")),
            ],
        )
    )  # fmt: skip

    assert {problem.code for problem in found} == {"impossible-branch"}
    assert found[0].message == (
        "step 'x' runs only when 'text' gives 'aprove', but 'text' can only give 'approve', 'review'"
    )
    assert found[0].hint == "Did you mean 'approve'?"
    assert found[1].message == (
        "step 'y' runs only when 'level' gives 3, but 'level' can only give Level.LOW, Level.HIGH, None"
    )
    assert found[2].node == "z"


def test_value_that_cannot_be_compared_is_not_judged():
    """What raises when it is compared is left alone."""

    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

    def flag() -> bool:
        return True

    a: Any = step(flag)

    made = make_workflow("W", [a, step(lambda: 1, name="x", when=a.is_(Odd()))])

    assert "x" in compile_workflow(made).nodes


def test_foreign_step():
    """A step of another class cannot be read; the hint says what can be done."""

    def use(x: int = Elsewhere.foreign.result) -> None: ...

    found = problems_of(
        lambda: make_workflow(
            "W", [use, step(lambda: 1, name="b", depends_on=Elsewhere.foreign, when=Elsewhere.foreign.is_(1))]
        )
    )

    assert [problem.code for problem in found] == ["foreign-step"] * 3
    assert found[0].message == "step 'use' uses 'Elsewhere.foreign', which is not a step of W"
    assert found[0].location == place(use)
    assert found[0].hint == (
        "A workflow reads its own steps only: inherit from the one that has 'foreign', or add it here."
    )


def test_reference_that_is_no_step():
    """A name of another graph is foreign, too."""

    class W:
        a = step(lambda self: 1, depends_on=[Named("x")])

    assert only(lambda: workflow(W)).message == "step 'a' uses 'x', which is not a step of W"
    assert only(lambda: make_workflow("W", {"a": step(lambda: 1, depends_on=[Named("a")])})).code == "foreign-step"


def test_per_item_source_in_a_mapping():
    """It is refused for `**outputs` as well."""
    use = step(lambda **outputs: 1, name="b", depends_on={"x": first.all})

    assert only(lambda: make_workflow("W", [first, use])).code == "not-mapped"


def test_foreign_step_of_the_same_name():
    """In a class a step of another class is foreign, even if there is one of its name."""

    def define() -> None:
        @workflow
        class W:
            @step
            def foreign(self) -> int:
                return 1

            @step
            def use(self, x: int = Elsewhere.foreign.result) -> None: ...

    assert only(define).code == "foreign-step"


def test_duplicate_in_one_body():
    """The class would silently keep the second one only."""

    def define() -> None:
        @workflow
        class W:
            @step
            def load(self) -> int:
                return 1

            @step  # type: ignore[no-redef]
            def load(self) -> int:  # noqa: F811
                return 2

    problem = only(define)

    line = int(problem.location.rpartition(":")[2])
    assert (problem.code, problem.node) == ("duplicate-name", "load")
    assert problem.message == (
        f"W defines 'load' twice: the second definition at {os.path.relpath(__file__)}:{line + 4} replaces this step"
    )


def test_step_replaced_by_something_else():
    """A function, a value, or another decorator may take the place of a step as well."""

    def define() -> None:
        @workflow
        class W:
            @step
            def kept(self) -> int:
                return 1

            @step
            def gone(self) -> int:
                return 1

            gone = 3  # type: ignore[assignment]  # noqa: F811

            lost = (step(lambda self: 1, name="lost one"),)

    found = problems_of(define)

    assert [(problem.code, problem.node) for problem in found] == [
        ("duplicate-name", "gone"), ("duplicate-name", "lost one"),
    ]  # fmt: skip
    assert found[0].message == "W defines 'gone' twice: the second definition replaces this step"
    assert found[1].message == "step 'lost one' was made in W, but is no attribute of it"


def test_duplicate_name_option():
    """`name=` does not give two steps one name."""

    def define() -> None:
        @workflow
        class W:
            @step
            def load(self) -> int:
                return 1

            @step(name="load")
            def other(self) -> int:
                return 2

    problem = only(define)

    assert problem.code == "duplicate-name"
    assert problem.message.startswith("two steps are called 'load'; the other one is at ")


def test_two_steps_of_one_name_in_a_sequence():
    """A sequence with a name twice is refused, also with the very same step."""
    assert only(lambda: make_workflow("W", [first, first])).code == "duplicate-name"


def test_input_and_step_of_one_name():
    """A parameter of that name could mean either."""

    def define() -> None:
        @workflow
        class W:
            load: int = step(lambda self: 1)  # type: ignore[assignment]

    @workflow
    class Base:
        load: int

        @step
        def a(self) -> None: ...

    def define_in_subclass() -> None:
        @workflow
        class Sub(Base):
            @step  # type: ignore[misc]
            def load(self) -> int:  # type: ignore[override]
                return 1

    for each in (define, define_in_subclass, lambda: make_workflow("W", [first], {"first": int})):
        problem = next(one for one in problems_of(each) if one.code == "duplicate-name")
        assert "is both an input and a step of" in problem.message


def test_reserved_names():
    """What Python needs itself is no name of a step or an input."""

    def define() -> None:
        @workflow
        class W:
            @step
            def __call__(self) -> None: ...

            def __init__(self) -> None: ...

    steps = problems_of(define)
    inputs = problems_of(lambda: make_workflow("W", [first], {"self": int, "class": int, "__dict__": (int, 3)}))

    assert [problem.code for problem in steps + inputs] == ["reserved-name"] * 5
    assert steps[0].message == "a step cannot be called '__call__': Python calls it itself"
    assert steps[1].message == "W has an __init__, but a run makes the instance from its inputs"
    assert inputs[0].message == "'self' cannot be the name of an input: Python needs it itself"
    assert [problem.hint for problem in inputs] == ["For example: self_", "For example: class_", "For example: dict_"]


def test_no_steps():
    """A workflow without a step does nothing."""

    def define() -> None:
        @workflow
        class W:
            x: int

    problem = only(define)

    assert (problem.code, problem.message) == ("no-steps", "W has no steps")
    assert problem.hint == "Decorate at least one method with @step."
    assert problem.location.startswith(os.path.relpath(__file__) + ":")


def test_bad_inputs():
    """Defaults that runs would share, names that are no identifiers, declarations that make no sense."""
    declared: dict[Any, Any] = {
        "a": (list[int], []),
        "b": (dict[str, int], {"x": 1}),
        "c d": int,
        "e": (int, 1, 2),
        3: int,
    }
    found = problems_of(lambda: make_workflow("W", [first], declared))

    assert {problem.code for problem in found} == {"bad-option"}
    assert [problem.message for problem in found] == [
        "an input is name: type, or name: (type, default), not 'e': (<class 'int'>, 1, 2)",
        "an input is name: type, or name: (type, default), not 3: <class 'int'>",
        "the default of input 'a' of W is a list, which all runs would share",
        "the default of input 'b' of W is a dict, which all runs would share",
        "'c d' cannot be the name of an input: it is given as a keyword",
    ]


def test_shared_defaults():
    """A mutable default is refused with what to write instead."""

    def define() -> None:
        @workflow
        class W:
            a: list[int] = []  # noqa: RUF012
            b: dict[str, int] = {"x": 1}  # noqa: RUF012

            @step
            def x(self) -> None: ...

    found = problems_of(define)

    assert [problem.hint for problem in found] == [
        "Make one for each:  attrs.field(factory=list)",
        "Make one for each:  attrs.field(factory=lambda: {'x': 1})",
    ]
    assert found[0].message == "the default of input 'a' of W is a list, which all runs would share"


def test_input_without_a_type():
    """A field needs an annotation."""
    import attrs

    def define() -> None:
        @workflow
        class W:
            a = attrs.field(default=1)

            @step
            def x(self) -> None: ...

    problem = only(define)

    assert problem.code == "bad-option"
    assert problem.message.startswith("an input has no type: ")


def test_what_attrs_refuses_is_a_problem():
    """An error of attrs is told like any other."""

    def define() -> None:
        @workflow
        class W:
            __slots__ = ("x",)
            x: int

            def __setattr__(self, name: str, value: object) -> None: ...

            @step
            def a(self) -> None: ...

    assert only(define).message.startswith("attrs cannot make the inputs of W: ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "a name is not empty"),
        ("  ", "a name is not empty"),
        ("a\0b", "'a\\x00b' has a character that cannot be stored (NUL, or half of a pair)"),
        ("\ud800", "'\\ud800' has a character that cannot be stored (NUL, or half of a pair)"),
        ("x" * 256, "a name has at most 255 characters, not 256"),
    ],
)
def test_bad_names(name: str, reason: str):
    """Names of steps and workflows are text that any store can keep."""
    as_step = only(lambda: make_workflow("W", {name: first}))
    as_option = only(lambda: make_workflow("W", {"a": step(name=name)(first.function)}))
    as_workflow = only(lambda: make_workflow(name, [first]))

    assert (as_step.code, as_step.message) == ("bad-option", f"this cannot be the name of a step: {reason}")
    assert (as_workflow.code, as_workflow.message) == ("bad-option", f"this cannot be the name of a workflow: {reason}")
    assert as_option.message == f"step 'a': name={name!r} cannot be: {reason}"


def test_class_with_an_endless_name():
    """The name of a class is held to the same."""
    problem = only(lambda: workflow(type("W" * 256, (), {"a": step(lambda self: 1), "__module__": __name__})))

    assert problem.message == "this cannot be the name of a workflow: a name has at most 255 characters, not 256"


def test_names_that_are_no_text():
    """A key that is no text, and a name that is none, are refused."""
    key = only(lambda: make_workflow("W", {3: first}))  # type: ignore[dict-item]
    name = only(lambda: make_workflow(3, [first]))  # type: ignore[arg-type]

    assert key.message == "step '3': a name is text, not 3"
    assert name.message == "this cannot be the name of a workflow: a name is text, not 3"


@pytest.mark.parametrize("name", ["load orders", "Ä/ö", "1", "class", "a\nb", "x" * 255, "__init__", "mro", "result"])
def test_any_other_text_is_a_name(name: str):
    """Names of made workflows need not be identifiers."""
    made = make_workflow("W", {name: first})

    assert list(compile_workflow(made).nodes) == [name]


def test_a_thousand_problems_are_told():
    """Only the first ones are searched for similar names."""
    steps = [step(lambda: 1, name=f"s{n}", depends_on=f"t{n}") for n in range(1000)]

    found = problems_of(lambda: make_workflow("W", steps))

    assert len(found) == 1000
    assert sum(bool(problem.hint) for problem in found) == 20


def test_a_step_as_a_default_is_no_silent_value():
    """`.result` was forgotten: without it the body would get the step itself."""

    def define() -> None:
        @workflow
        class Forgetful:
            @step
            def load(self) -> int:
                return 1

            @step
            def parse(self, x: Any = load) -> Any:
                return x

            @step
            def join(self, x: Any = load | parse) -> Any:
                return x

            @step
            def check(self, x: Any = load.is_(1)) -> Any:
                return x

    found = problems_of(define)

    assert ["unbound-parameter"] * 3 == [problem.code for problem in found]
    assert ["parse", "join", "check"] == [problem.node for problem in found]
    assert [
        "Say what is taken of it:  x = load.result",
        "Say what is taken of it:  x = (load | parse).result",
        "A condition goes into when=...",
    ] == [problem.hint for problem in found]


def test_conditions_are_not_combined_with_words():
    """`and` would ask a condition for its truth, which only a run knows."""
    with pytest.raises(BadOptionError, match=r"Combine conditions with &, \| and ~"):
        bool(first.is_(1))


def test_a_bad_workflow_is_told_without_our_frames():
    """Whether it is a class or made of functions: one line of the caller, one of ours, and the problems."""

    @step(depends_on=["nope"])
    def late() -> int:
        return 1

    def of_functions() -> None:
        make_workflow("F", [late])

    def of_a_class() -> None:
        @workflow
        class F:
            @step(depends_on=["nope"])
            def late(self) -> int:
                return 1

    for define in (of_functions, of_a_class):
        with pytest.raises(DefinitionError) as caught:
            define()

        ours = [entry.name for entry in caught.traceback if str(entry.path) != __file__]
        assert ours in (["make_workflow", "_compiled"], ["workflow", "_compiled"])
