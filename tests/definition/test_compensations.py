"""How a step is undone, as it is written: what a compensation takes, and what is wrong with it."""

import re
from pathlib import Path
from typing import Any

import pytest

from orchwf import DefinitionError, Problem, Retry, StepContext, compile_workflow, make_workflow, step, workflow
from orchwf.core.dag import Dag
from orchwf.core.definition import FromContext, FromInput, FromStep, Node


class Booking:
    """What is undone."""


def compensation_of(cls: type, name: str = "book") -> Node:
    node = compile_workflow(cls).nodes[name].compensation
    assert node is not None
    return node


def place_of(location: str) -> str:
    """The name of the file, of `file:line`; of a class not every Python knows the line."""
    return re.sub(r":\d+$", "", Path(location).name)


def problems_of(caught: "pytest.ExceptionInfo[DefinitionError]") -> list[tuple[str, str]]:
    return [(problem.code, problem.message) for problem in caught.value.problems]


def test_a_compensation_takes_the_output_of_its_step():
    """By whatever name, inputs by theirs, and the context."""

    @workflow
    class Trip:
        user: str

        @step(priority=3)
        async def book(self) -> Booking:
            return Booking()

        @book.compensate(retries=Retry(2), timeout="5s", total_timeout=60)
        async def cancel(self, booking: Booking | None, user: str, *, ctx: StepContext, loud: bool = True) -> None: ...

    node = compensation_of(Trip)

    assert {
        "booking": FromStep(("book",), maybe=True), "user": FromInput("user"), "ctx": FromContext(),
    } == {argument.parameter: argument.binding for argument in node.arguments}  # fmt: skip
    assert (2, 5.0, 60.0, 3) == (
        node.options.retry.max_retries, node.options.timeout, node.options.total_timeout, node.options.priority,
    )  # fmt: skip
    assert (True, True, "book") == (node.is_async, node.takes_self, node.name)


def test_the_parameter_that_is_called_like_the_step_is_its_output():
    """Also if another one comes first; and so is one whose default says so."""

    @workflow
    class Trip:
        @step
        def book(self) -> int:
            return 1

        @book.compensate
        def cancel(self, book: int, why: str = "") -> None: ...

        @step
        def pay(self) -> int:
            return 1

        @pay.compensate
        def refund(self, amount: int | None = pay.maybe) -> None: ...

    assert ["book"] == [argument.parameter for argument in compensation_of(Trip).arguments]
    assert ["amount"] == [argument.parameter for argument in compensation_of(Trip, "pay").arguments]


def test_a_parameter_with_a_default_is_not_given_the_output():
    """The first one that has none is."""

    @workflow
    class Trip:
        @step
        def book(self) -> int:
            return 1

        @book.compensate  # type: ignore[arg-type]
        def cancel(self, loud: bool = True, *, booking: int) -> None: ...

    assert ["booking"] == [argument.parameter for argument in compensation_of(Trip).arguments]


def test_a_compensation_is_described_by_its_own_words():
    """And knows its code."""

    @workflow
    class Trip:
        @step
        def book(self) -> int:
            """Book a seat."""
            return 1

        @book.compensate
        def cancel(self) -> None:
            """Give the seat back."""

    node = compensation_of(Trip)

    assert "Give the seat back." == node.description
    assert "test_compensations.py" == place_of(node.location)
    assert node.digest() not in ("", compile_workflow(Trip).nodes["book"].digest())


def test_a_compensation_may_take_nothing():
    """What it needs it may know."""

    @workflow
    class Trip:
        @step
        def book(self) -> int:
            return 1

        @book.compensate
        def cancel(self) -> None: ...

    assert () == compensation_of(Trip).arguments


def test_a_compensation_stays_a_plain_method():
    """It can be called, as in a unit test."""
    cancelled: list[int] = []

    @workflow
    class Trip:
        @step
        def book(self) -> int:
            return 1

        @book.compensate
        def cancel(self, booking: int) -> None:
            cancelled.append(booking)

    Trip().cancel(7)

    assert [7] == cancelled


def test_compensations_are_inherited_and_overridden():
    """A method of the same name undoes in its place; a step that is overridden with @step has none."""

    @workflow
    class Base:
        @step
        def book(self) -> int:
            return 1

        @book.compensate
        def cancel(self, booking: int) -> None: ...

    @workflow
    class Louder(Base):
        def cancel(self, booking: int) -> None: ...

    @workflow
    class Plainly(Base):
        def book(self) -> int:
            return 2

    @workflow
    class Other(Base):
        @step
        def book(self) -> int:
            return 2

    assert Base.cancel is compensation_of(Base).function
    assert Louder.cancel is compensation_of(Louder).function
    assert Base.cancel is compensation_of(Plainly).function
    assert compile_workflow(Other).nodes["book"].compensation is None


def test_compensations_of_generated_workflows():
    """Their functions take no self; under another name the step is undone as well."""

    def book(x: int) -> int:
        return x

    booked = step(book)

    @booked.compensate
    def cancel(booking: int, x: int) -> None: ...

    flow = make_workflow("Made", {"seat": booked}, inputs={"x": int})

    assert ["booking", "x"] == [argument.parameter for argument in compensation_of(flow, "seat").arguments]
    assert not compensation_of(flow, "seat").takes_self


@pytest.mark.parametrize(
    ("function", "code", "message"),
    [
        (lambda self, booking, other: None, "bad-compensation",
         "the compensation of step 'book' has a parameter 'other' that nothing gives a value"),
        (lambda self, **outputs: None, "bad-compensation",
         "the compensation of step 'book' has a parameter '**outputs' that nothing gives a value"),
        (lambda self, why, book: None, "bad-compensation",
         "the compensation of step 'book' has a parameter 'why' that nothing gives a value"),
        (lambda self, book, why: None, "bad-compensation",
         "the compensation of step 'book' has a parameter 'why' that nothing gives a value"),
        (Booking, "bad-compensation", "the compensation of step 'book' is a class, not a function"),
        (int, "bad-compensation", "the compensation of step 'book' is a class, not a function"),
    ],
)  # fmt: skip
def test_compensations_that_cannot_be_called(function: Any, code: str, message: str):
    """With everything else that is wrong with the class; if they have no place, that of the step is told."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Trip:
            @step
            def book(self) -> int:
                return 1

            cancel = book.compensate(function)

    assert [(code, message)] == problems_of(caught)
    assert "test_compensations.py" == place_of(caught.value.problems[0].location)


def test_the_output_is_given_once():
    """A parameter whose default says so has it, and whatever else is wrong, no other one has."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Trip:
            @step
            def pay(self) -> int:
                return 1

            @pay.compensate
            def refund(self, amount: int | None = pay.maybe, *, why: str) -> None: ...

            @step
            def book(self) -> int:
                return 1

            @book.compensate
            def cancel(self, book: int, x: int = pay.result, *, why: str) -> None: ...

    lacking = [message.rpartition("has a parameter ")[2] for _, message in problems_of(caught)]
    assert [f"{name!r} that nothing gives a value" for name in ("why", "x", "why")] == lacking
    hint = "A compensation takes the output of its step, inputs of the workflow by name, and a StepContext."
    assert {hint} == {problem.hint for problem in caught.value.problems}


def test_types_have_to_fit():
    """The output and the inputs, where both ends are annotated; that there may be no output need not be said."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Trip:
            user: str

            @step
            def book(self) -> int:
                return 1

            @book.compensate  # type: ignore[arg-type]
            def cancel(self, booking: str, user: int) -> None: ...

    assert [
        ("type-mismatch", "the compensation of step 'book': parameter 'booking' is str, but the output is int"),
        ("type-mismatch", "the compensation of step 'book': parameter 'user' is int, but the input 'user' is str"),
    ] == problems_of(caught)
    assert {"Change one of the two annotations."} == {problem.hint for problem in caught.value.problems}


def test_the_output_of_another_step_is_not_given():
    """Whether that one has an output nobody knows."""
    with pytest.raises(DefinitionError, match="has a parameter 'x' that nothing gives a value"):

        @workflow
        class Trip:
            @step
            def pay(self) -> int:
                return 1

            @step
            def book(self) -> int:
                return 1

            @book.compensate
            def cancel(self, booking: int, x: int = pay.result) -> None: ...


def test_a_second_compensation_is_refused():
    """Nobody could tell which is meant."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Trip:
            @step
            def book(self) -> int:
                return 1

            @book.compensate
            def cancel(self, booking: int) -> None: ...

            @book.compensate
            def again(self, booking: int) -> None: ...

    assert [("bad-compensation", "the compensation of step 'book' stands here a second time")] == problems_of(caught)


def test_an_option_that_there_is_not():
    """With what was probably meant."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Trip:
            @step
            def book(self) -> int:
                return 1

            @book.compensate(retires=3)  # type: ignore[call-overload]
            def cancel(self, booking: int) -> None: ...

            @step
            def pay(self) -> int:
                return 1

            @pay.compensate(retries=-1)
            def refund(self, amount: int) -> None: ...

    bad = "has a bad option: retries takes a whole number of at least 0, or a Retry, not -1"
    assert [
        ("bad-compensation", "the compensation of step 'book' has no option 'retires'"),
        ("bad-compensation", f"the compensation of step 'pay' {bad}"),
    ] == problems_of(caught)
    assert "Did you mean 'retries'?" == caught.value.problems[0].hint
    assert {"test_compensations.py"} == {place_of(problem.location) for problem in caught.value.problems}


def test_a_step_that_is_compiled_is_not_changed():
    """A compensation that came too late would be forgotten."""

    @workflow
    class Base:
        @step
        def book(self) -> int:
            return 1

    made = step(lambda: 1, name="made")
    make_workflow("Made", [made])

    with pytest.raises(DefinitionError, match=r"Base\.book is compiled already") as caught:
        Base.book.compensate(lambda self, booking: None)
    with pytest.raises(DefinitionError, match="is compiled already"):
        made.compensate(lambda booking: None)

    assert isinstance(caught.value.problems[0], Problem)
    assert "override 'book'" in caught.value.problems[0].hint


def test_a_changed_compensation_is_changed_code():
    """And no other graph."""

    def flow(undo: Any) -> Dag:
        booked = step(lambda: 1, name="book")
        booked.compensate(undo)
        return compile_workflow(make_workflow("Trip", [booked]))

    one, two = flow(lambda booking: None), flow(lambda booking: [booking])
    difference = one.diff(two)

    assert ("book",) == difference.changed
    assert not difference.is_structural
    assert one.fingerprint != two.fingerprint


def test_a_graph_that_was_stored_knows_what_can_be_undone():
    """With its options; and whatever an older release did not write down is as it was then."""

    @workflow
    class Trip:
        @step(delivery="at_most_once", on_exhausted="pause", heartbeat_timeout=9)
        async def book(self) -> int:
            return 1

        @book.compensate(retries=2, timeout=5)
        def cancel(self, booking: int) -> None: ...

    document = compile_workflow(Trip).to_dict()
    stored = Dag.from_dict(document).nodes["book"]
    old = {key: value for key, value in document["steps"][0].items() if key not in _LATER}
    older = Dag.from_dict({**document, "steps": [old]}).nodes["book"]

    assert stored.compensation is not None
    assert (2, 5.0) == (stored.compensation.options.retry.max_retries, stored.compensation.options.timeout)
    assert ("at_most_once", "pause", 9.0) == (
        stored.options.delivery, stored.options.on_exhausted, stored.options.heartbeat_timeout,
    )  # fmt: skip
    assert (None, "at_least_once", "fail") == (
        older.compensation, older.options.delivery, older.options.on_exhausted,
    )  # fmt: skip


_LATER = {"compensation", "delivery", "on_exhausted", "heartbeat_timeout"}
