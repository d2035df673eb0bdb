"""What the compiler makes of signals and sleeps, and what it says of those that cannot be."""

import os
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import attrs
import pytest

from orchwf import Dag, DefinitionError, compile_workflow, make_workflow, signal, sleep, step, workflow
from orchwf.core.definition import Argument, ForSignal, ForTime, FromStep


@attrs.frozen
class Payment:
    """What a signal may hold."""

    amount: int


def problems_of(define: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Code, message and hint of everything that is wrong with what `define` defines."""
    with pytest.raises(DefinitionError) as caught:
        define()
    return [(each.code, each.message, each.hint) for each in caught.value.problems]


def dag_with(wait: Any) -> Dag:
    return compile_workflow(make_workflow("W", {"a": wait}))


def refused(wait: Any) -> tuple[str, str]:
    """Message and hint of the one bad option of a node `a`."""
    ((code, message, hint),) = problems_of(lambda: dag_with(wait))
    assert "bad-option" == code
    return message, hint


@workflow
class Invoice:
    """Waits for what may be waited for."""

    patience: float = 60.0

    @step
    def send(self) -> None: ...

    paid = signal(Payment, depends_on=send, timeout="30d", default=None)
    pause = sleep("1h", depends_on=paid, tags=["calm"])
    patient = sleep(lambda self: self.patience)
    answer = signal(Literal["yes", "no"])
    poked = signal()

    @step(when=answer.is_("yes") | answer.is_("no"))
    def ship(self, paid: Payment | None, poked: None = poked.result) -> None: ...


def test_signals_and_sleeps_are_nodes():
    """Named like their attributes; what they wait for is in the graph."""
    nodes = compile_workflow(Invoice).nodes

    assert ForSignal(type=Payment, timeout=2_592_000.0, default="null") == nodes["paid"].waits
    assert (ForTime(until=3600.0), ("calm",)) == (nodes["pause"].waits, nodes["pause"].options.tags)
    assert ForSignal(type=None) == nodes["poked"].waits
    assert callable(getattr(nodes["patient"].waits, "until", None))
    assert ["step", "signal", "sleep", "sleep", "signal", "signal", "step"] == [node.kind for node in nodes.values()]
    assert (("send",), ("paid",)) == (nodes["paid"].dependencies, nodes["pause"].dependencies)


def test_they_are_read_as_steps_are():
    """By name, and by what they are."""
    node = compile_workflow(Invoice).nodes["ship"]

    assert (Argument("paid", FromStep(("paid",))), Argument("poked", FromStep(("poked",)))) == node.arguments


def test_they_say_where_they_are():
    """The line in which they are made."""
    line = sys._getframe().f_lineno
    wait, other = signal(int), sleep(1)

    assert f"{os.path.relpath(__file__)}:{line + 1}" == wait.location == other.location
    assert ("<Signal paid>", "<Sleep pause>") == (repr(Invoice.paid), repr(Invoice.pause))


@pytest.mark.parametrize(
    ("wait", "returns"),
    [
        (signal(int), int), (signal(), None), (signal(list[int], timeout=1, default=[1]), list[int]),
        (signal(Payment, timeout=1, default=None), Payment | None), (signal(int, timeout=1, default="x"), int | str),
        (signal(float, timeout=1, default=1), float), (signal(timeout=1, default=3), int | None),
        (signal(Annotated[int, "euros"]), Annotated[int, "euros"]), (sleep(1), None),
    ],
)  # fmt: skip
def test_what_they_give(wait: Any, returns: Any):
    """What the message holds, or what there is instead."""
    assert returns == dag_with(wait).nodes["a"].returns


@pytest.mark.parametrize(
    ("wait", "default"),
    [
        (signal(int, timeout=1), None), (signal(int, timeout=1, default=None), "null"),
        (signal(Payment, timeout=1, default=Payment(3)), '{"amount":3}'),
        (signal(Payment, timeout=1, default={"a": 1}), '{"a":1}'),
    ],
)  # fmt: skip
def test_defaults_are_stored_as_values_are(wait: Any, default: str | None):
    """None is one like any other."""
    waits = dag_with(wait).nodes["a"].waits

    assert isinstance(waits, ForSignal)
    assert default == waits.default


DURATIONS = "Give seconds (a number that is not negative), a timedelta, or text such as '30s', '1h30m', '2d'."
TIMES = f"{DURATIONS} Or an aware datetime."
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "expected"), [(0, 0.0), ("1h", 3600.0), (timedelta(days=1), 86_400.0), (MOMENT, MOMENT)]
)
def test_sleeps_last_so_long_or_until_then(until: Any, expected: object):
    """A duration, or an aware time."""
    assert ForTime(until=expected) == dag_with(sleep(until)).nodes["a"].waits  # type: ignore[arg-type]


def test_names_in_generated_graphs():
    """That of the mapping, or the one that was given."""
    named = make_workflow("W", [signal(int, name="paid"), sleep(1, name="late", depends_on="paid")])
    mapped = make_workflow("W", {"paid by": signal(int), "late": sleep(1, depends_on="paid by")})

    assert ["paid", "late"] == list(compile_workflow(named).nodes)
    assert ["paid by", "late"] == list(compile_workflow(mapped).nodes)


def test_a_class_that_inherits_waits_otherwise():
    """What stands there under the name counts; what read it still does."""

    @workflow
    class Patient(Invoice):
        paid = signal(Payment, timeout="60d", default=None)
        pause = sleep("2h", depends_on=Invoice.paid)

    waits = compile_workflow(Patient).nodes["paid"].waits

    assert isinstance(waits, ForSignal)
    assert 5_184_000.0 == waits.timeout
    assert ("paid",) == compile_workflow(Patient).nodes["pause"].dependencies
    assert isinstance(compile_workflow(Invoice).nodes["paid"].waits, ForSignal)


def test_a_class_that_inherits_may_know_already():
    """A method stands for the signal: it becomes a step, with its options."""

    @workflow
    class Known(Invoice):
        def paid(self) -> Payment | None:  # type: ignore[override]
            return None

    node = compile_workflow(Known).nodes["paid"]

    assert ("step", ("send",)) == (node.kind, node.dependencies)


def test_signals_of_a_class_that_is_no_workflow():
    """Its heirs have them."""

    class Payable:
        paid = signal(int)

    @workflow
    class Heir(Payable):
        @step
        def ship(self, paid: int) -> None: ...

    assert ["paid", "ship"] == list(compile_workflow(Heir).nodes)


# Where it cannot be.


@pytest.mark.parametrize(
    ("wait", "message", "hint"),
    [
        (signal(int, default=3), "signal 'a': default goes with timeout, and without one it never counts",  # type: ignore[call-overload]
         'Say how long it waits for the signal, such as timeout="1d".'),
        (signal(int, timeout=0), "signal 'a': timeout must be longer than 0 seconds", "Leave it out for no limit."),
        (signal(int, timeout="soon"), "signal 'a': timeout takes a duration, not 'soon'",
         DURATIONS),
        (signal(int, retries=3), "signal 'a': a signal has no option 'retries'",  # type: ignore[call-overload]
         "Known options: depends_on, when, join, cancel_rest, required, tags, name, timeout, default"),
        (signal(int, timeot=3), "signal 'a': a signal has no option 'timeot'", "Did you mean 'timeout'?"),  # type: ignore[call-overload]
        (signal(int, join="some"), "signal 'a': join takes 'all', 'any', 'first', 'settled' or Quorum(n), not 'some'",  # type: ignore[call-overload]
         ""),
        (signal(3), "signal 'a': signal takes a type, not 3",
         "Give the class of what it holds, such as signal(Payment), or nothing if it holds nothing."),
        (signal("Payment", timeout=1, default=None), "signal 'a': signal takes a type, not 'Payment'",
         "Give the class of what it holds, such as signal(Payment), or nothing if it holds nothing."),
        (signal(Payment(1)), "signal 'a': signal takes a type, not Payment(amount=1)",
         "Give the class of what it holds, such as signal(Payment), or nothing if it holds nothing."),
        (sleep(datetime(2030, 1, 1)),
         "sleep 'a': sleep takes an aware datetime, not the naive datetime.datetime(2030, 1, 1, 0, 0)",
         "Such as datetime.now(UTC) + timedelta(hours=1)."),
        (sleep(-1), "sleep 'a': sleep takes a duration or a time, not -1",
         TIMES),
        (sleep(int), "sleep 'a': sleep takes a duration or a time, not <class 'int'>",
         TIMES),
        (sleep(lambda: 1), "sleep 'a': sleep takes a function of the instance alone",  # type: ignore[arg-type,misc]
         "For example: sleep(lambda self: self.patience)"),
        (sleep(1, timeout=3), "sleep 'a': a sleep has no option 'timeout'",  # type: ignore[call-arg]
         "Known options: depends_on, when, join, cancel_rest, required, tags, name"),
    ],
)  # fmt: skip
def test_bad_options(wait: Any, message: str, hint: str):
    """Each with what is wrong and what would be right; what means nothing is refused, not ignored."""
    assert (message, hint) == refused(wait)


def test_a_time_that_a_coroutine_function_gives():
    """Nobody would await it."""

    async def until(instance: object) -> float:
        return 1.0

    assert (
        "sleep 'a': sleep takes a plain function of the instance, not a coroutine function"
        == (
            refused(sleep(until))[0]  # type: ignore[arg-type]
        )
    )


def test_a_default_that_cannot_be_stored():
    """It would be read back."""
    message, _ = refused(signal(int, timeout=1, default=object()))

    assert message.startswith("signal 'a': the default of a signal has to be stored: the value at $ cannot be stored")


@pytest.mark.parametrize("name", ["cancel", "terminate", "pause", "finish", "child"])
def test_names_of_requests(name: str):
    """A message of that name asks for something else."""
    message = f"signal {name!r}: its name is that of one of orchwf's own messages to a run"
    expected = ("bad-option", message, "Rename it, or give it another name=...")

    assert [expected] == problems_of(lambda: make_workflow("W", {name: signal(int)}))
    assert [expected] == problems_of(lambda: make_workflow("W", [signal(int, name=name)]))
    assert [name] == list(compile_workflow(make_workflow("W", {name: sleep(1)})).nodes)


def test_one_without_a_name():
    """A sequence needs names; a mapping gives them."""
    assert [
        ("bad-option", "signal '<signal>': it has no name",
         "Give it one:  signal(..., name='wait'), or use a mapping {name: signal(...)}."),
        ("bad-option", "sleep '<sleep>': it has no name",
         "Give it one:  sleep(..., name='wait'), or use a mapping {name: sleep(...)}."),
    ] == problems_of(lambda: make_workflow("W", [signal(int), sleep(1)]))  # fmt: skip


def test_two_of_one_name():
    """The second one replaces the first, which has no name then; and a step may have the same."""

    def replaced() -> None:
        @workflow
        class Twice:
            paid = signal(int)
            paid = sleep(1)  # type: ignore[assignment]  # noqa: PIE794

    def doubled() -> None:
        @workflow
        class Doubled:
            paid = signal(int, name="x")

            @step
            def x(self) -> None: ...

    assert [
        ("duplicate-name", "a signal was made in Twice, but is no attribute of it",
         "Assign it to a name of the class; of two of the same name the second one replaces the first."),
    ] == problems_of(replaced)  # fmt: skip
    assert problems_of(doubled)[0][1].startswith("two steps are called 'x'; the other one is at ")


def test_one_under_two_names():
    """It would be sent to one of them, and nobody could tell which."""

    def define() -> None:
        @workflow
        class Aliased:
            paid = signal(int)
            again = paid

    assert ("duplicate-name", "'again' is the signal 'paid' again", "Make it one of its own:  again = signal(...)") in (
        problems_of(define)
    )


def test_one_named_like_an_input():
    """A parameter of that name could mean either."""

    def define() -> None:
        @workflow
        class Both:
            paid: int
            paid = signal(int)  # type: ignore[assignment]  # noqa: PIE794

    assert "duplicate-name" in [code for code, _, _ in problems_of(define)]


def test_one_that_python_calls_itself():
    """Such a name is taken."""

    def define() -> None:
        @workflow
        class Dunder:
            __call__ = signal(int)

    assert ("reserved-name", "a step cannot be called '__call__': Python calls it itself", "Rename it.") in (
        problems_of(define)
    )


def test_what_may_have_been_meant():
    """Signals are among the names that are known."""

    def define() -> None:
        @workflow
        class Misspelt:
            payment = signal(int)

            @step(depends_on="paymnet")
            def ship(self) -> None: ...

    assert [
        ("unknown-dependency", "step 'ship' depends on 'paymnet', but Misspelt has no step of that name",
         "Did you mean 'payment'?")
    ] == problems_of(define)  # fmt: skip


def test_the_node_itself_as_a_default():
    """What is taken of it is not said."""

    def define() -> None:
        @workflow
        class Unsaid:
            paid = signal(int)

            @step
            def ship(self, amount: Any = paid) -> None: ...

    assert [
        ("unbound-parameter", "step 'ship' has <Signal paid> as the default of parameter 'amount'",
         "Say what is taken of it:  amount = paid.result")
    ] == problems_of(define)  # fmt: skip


def test_types_of_what_they_hold():
    """They are held to the annotation of who reads them."""

    def define() -> None:
        @workflow
        class Mistyped:
            paid = signal(Payment, timeout=1, default=None)
            late = sleep(1)

            @step
            def ship(self, paid: Payment = paid.result, late: int = late.result) -> None: ...  # type: ignore[assignment]

    problems = problems_of(define)

    assert ["type-mismatch", "type-mismatch"] == [code for code, _, _ in problems]
    assert "parameter 'paid' is Payment, but paid.result (" in problems[0][1]
    assert problems[0][1].endswith(") is Payment | None")
    assert problems[1][1].endswith(") is None")


def test_items_of_what_they_hold():
    """A signal may hold a list, and a step runs once per item of it."""

    @workflow
    class Listed:
        rows = signal(list[int])

        @step
        def double(self, row: int = rows.each) -> int:
            return row * 2

    assert "each" == compile_workflow(Listed).nodes["double"].several


def test_branches_on_what_they_hold():
    """A value that cannot be is refused; one that nobody takes is warned of."""

    def impossible() -> None:
        @workflow
        class Impossible:
            answer = signal(Literal["yes", "no"])

            @step(when=answer.is_("maybe"))
            def ship(self) -> None: ...

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        @workflow
        class Unhandled:
            answer = signal(Literal["yes", "no"])

            @step(when=answer.is_("yes"))
            def ship(self) -> None: ...

    assert [
        "step 'ship' runs only when 'answer' gives 'maybe', but 'answer' can only give 'yes', 'no'"
    ] == [message for _, message, _ in problems_of(impossible)]  # fmt: skip
    assert ["[unhandled-branch] no step runs when 'answer' gives 'no'; add one with when=answer.is_(...)"] == [
        str(each.message) for each in caught
    ]


def test_what_is_no_declaration():
    """A reference alone is nothing to run."""
    from orchwf.steps import Declared

    class Strange(Declared[int]):
        """Something that is neither."""

        def copy(self) -> "Strange":
            return self

    strange = Strange("a", step(lambda: 1, name="x").options)

    with pytest.raises(DefinitionError, match="a workflow has steps, signals and sleeps, not"):
        make_workflow("W", {"a": strange})


def test_a_changed_time_is_other_code():
    """Of a function that says when; a plain duration is a setting."""
    one, other = dag_with(sleep(lambda self: 1)), dag_with(sleep(lambda self: 2))
    short, long = dag_with(sleep(1)), dag_with(sleep(2))

    assert one.fingerprint != other.fingerprint
    assert short.fingerprint == long.fingerprint
