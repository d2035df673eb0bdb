"""What the compiler makes of steps that have items, and what it says of those that cannot."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from orchwf import Cache, Dag, DefinitionError, StepContext, compile_workflow, make_workflow, step, workflow
from orchwf.core.definition import Argument, FromAll, FromEach, FromOutputs, FromStep, Several


def problems_of(define: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Code, message and hint of everything that is wrong with what `define` defines."""
    with pytest.raises(DefinitionError) as caught:
        define()
    return [(each.code, each.message, each.hint) for each in caught.value.problems]


def load() -> list[int]:
    """Something to take items of."""
    return [1, 2]


def parse(row: int) -> str:
    return str(row)


def made(**steps: Any) -> Dag:
    return compile_workflow(make_workflow("W", steps))


LOAD = step(load, name="load")
EACH = step(parse, name="each", depends_on={"row": LOAD.each})


def refused(function: Any, *others: Any, **options: Any) -> tuple[str, str, str]:
    """What is wrong with a step `it` of this function, beside a list and a step that runs once per item of that."""
    steps = {"load": LOAD, "each": EACH, **{other.name: other for other in others}}
    (problem,) = problems_of(lambda: make_workflow("W", {**steps, "it": step(function, **{"name": "it", **options})}))
    return problem


# What is made of it.


@workflow
class Prices:
    """A list, what is done with each of its items, and with all of that."""

    @step
    def rows(self) -> list[int]:
        return [1, 2]

    @step(max_parallel=3, tolerate=0.5, need=1, item_key=str)
    def price(self, row: int = rows.each) -> float:
        return row / 2

    @step
    def rounded(self, price: float = price.each) -> int:
        return round(price)

    @step
    def total(self, prices: Sequence[float | None] = price.all, rounded: Sequence[int | None] = rounded.all) -> float:
        return sum(filter(None, prices))

    @step(until=lambda guess: guess > 10, max_iterations=5)
    def guess(self, start: float = total.result) -> float:
        return start * 2

    @step
    def lines(self, guess: float) -> Iterator[str]:
        yield str(guess)


def test_items_are_bound_where_they_are_taken():
    """A step that takes one item runs once for each; it waits for the step that gives them."""
    nodes = compile_workflow(Prices).nodes

    assert (Argument("row", FromEach("rows")),) == nodes["price"].arguments
    assert (Several.EACH, ("rows",), frozenset({"rows"})) == (
        nodes["price"].several, nodes["price"].dependencies, nodes["price"].needs,
    )  # fmt: skip
    assert (Argument("prices", FromAll("price")), Argument("rounded", FromAll("rounded"))) == nodes["total"].arguments
    assert [None, "each", "each", None, "loop", "stream"] == [node.several for node in nodes.values()]
    assert ("start", "") == (nodes["guess"].carries, nodes["lines"].carries)


def test_options_of_items_are_kept():
    """As they were given."""
    options = compile_workflow(Prices).nodes["price"].options

    assert (3, 0.5, 1, str) == (options.max_parallel, options.tolerate, options.need, options.item_key)
    assert (5, True) == (compile_workflow(Prices).nodes["guess"].options.max_iterations, callable(options.item_key))


def test_a_step_is_still_called_by_itself():
    """With one item; and a generator gives what it yields."""
    assert 1.5 == Prices().price(3)
    assert ["2.0"] == list(Prices().lines(2.0))


def test_a_forgotten_item_is_told_where_a_run_takes_it_from():
    """As any other argument."""
    with pytest.raises(TypeError, match="one item of the output of step 'rows'"):
        Prices().price()
    with pytest.raises(TypeError, match="the results of all items of step 'price'"):
        Prices().total()


def test_a_step_that_gathers_is_called_with_what_there_is():
    """Nothing of `**outputs` can be forgotten; a context can."""

    @workflow
    class Gathers:
        @step
        def all(self, ctx: StepContext, **outputs: object) -> int:
            return len(outputs)

    gathers: Any = Gathers().all

    with pytest.raises(TypeError, match="its StepContext"):
        gathers()
    assert (0, 2) == (gathers(StepContext(run_id="r")), gathers(StepContext(run_id="r"), a=1, b=2))


def test_a_parameter_named_like_a_step_takes_all_its_results():
    """Of one that runs once per item."""
    dag = made(load=LOAD, each=EACH, it=step(lambda each: each, name="it"))

    assert (Argument("each", FromAll("each")),) == dag.nodes["it"].arguments


def test_outputs_hold_all_results_of_a_step_with_items():
    """Under its name."""

    def gathers(**outputs: object) -> None: ...

    dag = made(load=LOAD, each=EACH, it=step(gathers, depends_on=["each"]))

    assert (Argument("outputs", FromOutputs(("each",))),) == dag.nodes["it"].arguments


def test_a_choice_between_a_list_and_a_generator_is_one_of_lists():
    """A generator gives the list of what it yields to who reads it as a whole."""

    def yields() -> Iterator[int]:
        yield 1

    def takes(rows: list[int]) -> None: ...

    rows = step(yields, name="rows")
    dag = made(load=LOAD, rows=rows, it=step(takes, depends_on={"rows": (LOAD | rows).result}))

    assert (Argument("rows", FromStep(("load", "rows"))),) == dag.nodes["it"].arguments
    assert list[int] == dag.nodes["rows"].returns


def plain() -> Generator[int, None, None]:
    yield 1


async def asynchronous() -> AsyncIterator[int]:
    yield 1


def bare():
    yield 1


@pytest.mark.parametrize(
    ("function", "is_async", "returns"),
    [(plain, False, list[int]), (asynchronous, True, list[int]), (bare, False, None)],
)
def test_generators_are_known_by_what_they_are(function: Any, is_async: bool, returns: Any):
    """Whatever they are annotated with; the type of their output is the list of what they give."""
    node = made(rows=step(function)).nodes["rows"]

    assert (Several.STREAM, is_async) == (node.several, node.is_async)
    assert returns is None or returns == node.returns


# Where it cannot be.


def test_one_result_of_many():
    """A step that runs once per item has no single result, and no single one that may be missing."""
    hint = "Use each.all for the list of all of them, or each.each to go on item by item."

    assert (
        "mapped-result",
        "step 'it' takes each.result, but 'each' runs once per item and has many results",
        hint,
    ) == (refused(lambda x: x, depends_on={"x": EACH.result}))
    assert (
        "mapped-result",
        "step 'it' takes each.maybe, but 'each' runs once per item and has many results",
        hint,
    ) == (refused(lambda x: x, depends_on={"x": EACH.maybe}))
    assert refused(lambda x: x, depends_on={"x": (LOAD | EACH).result})[1] == (
        "step 'it' takes (load | each).result, but 'each' runs once per item and has many results"
    )


def test_all_results_of_one():
    """A step that runs once has no list of results."""
    assert ("not-mapped", "step 'it' takes load.all, but 'load' runs only once", "Use load.result.") == refused(
        lambda x: x, depends_on={"x": LOAD.all}
    )


@pytest.mark.parametrize("mode", ["each", "all"])
def test_items_of_a_choice(mode: str):
    """Which step ran is not known before."""
    expected = (
        "mapped-result",
        f"step 'it' takes (load | each).{mode}: items are taken of one step, not of a choice",
        "Join them in a step of its own, and take the items of that one.",
    )

    assert expected == refused(lambda x: x, depends_on={"x": getattr(LOAD | EACH, mode)})


@pytest.mark.parametrize(
    ("returns", "given", "lack"),
    [
        (int, "int", "has no items"), (str, "str", "has no items"), (bytes, "bytes", "has no items"),
        (list[int] | None, "list[int] | None", "may have no items"), (None, "None", "has no items"),
    ],
)  # fmt: skip
def test_items_of_what_has_none(returns: Any, given: str, lack: str):
    """Only what is certain is told; a text has letters, but who says "each" means something else."""

    def gives() -> Any: ...

    def takes(x: int) -> None: ...

    gives.__annotations__["return"] = returns
    source = step(gives, name="gives")

    assert (
        "not-iterable",
        f"step 'it' runs once per item of 'gives', but 'gives' gives {given}, which {lack}",
        "Return a list from 'gives', or take the whole value:  x = gives.result",
    ) == refused(takes, source, depends_on={"x": source.each})


def test_items_of_another_type():
    """An item, a list of results, and one that may have gaps: each is held to the annotation."""

    def wants_text(x: str) -> None: ...

    def wants_numbers(x: list[int]) -> None: ...

    def wants_texts(x: list[str]) -> None: ...

    gappy = step(parse, name="gappy", depends_on={"row": LOAD.each}, tolerate=1)

    item = refused(wants_text, depends_on={"x": LOAD.each})
    results = refused(wants_numbers, depends_on={"x": EACH.all})
    gaps = refused(wants_texts, gappy, depends_on={"x": gappy.all})

    assert ("type-mismatch", True) == (item[0], item[1].startswith("step 'it': parameter 'x' is str, but load.each ("))
    assert item[1].endswith(") is int")
    assert results[1].endswith(") is list[str]")
    assert gaps[1].endswith(") is list[str | None]")
    assert "Items that do not complete give None: annotate  x: Sequence[str | None]" == gaps[2]


def test_results_with_gaps_fit_where_these_are_borne():
    """As a sequence, which type checkers accept, too."""

    def wants(x: Sequence[str | None]) -> None: ...

    gappy = step(parse, name="gappy", depends_on={"row": LOAD.each}, need=1)

    dag = made(load=LOAD, gappy=gappy, it=step(wants, depends_on={"x": gappy.all}))

    assert (Argument("x", FromAll("gappy")),) == dag.nodes["it"].arguments


def test_items_of_what_may_be_missing():
    """There is no way to take them, so the way out is another one."""
    optional = step(load, name="optional", required=False)
    each = step(parse, name="some", depends_on={"row": LOAD.each}, required=False)

    assert (
        "optional-result",
        "step 'it' needs optional.each, but 'optional' may fail without failing the run (required=False)",
        "Go on from a step that takes optional.maybe and gives a list, or make 'optional' required.",
    ) == refused(lambda x: x, optional, depends_on={"x": optional.each})
    assert (
        "optional-result",
        "step 'it' needs some.all, but 'some' may fail without failing the run (required=False)",
        "Make 'some' required, and say how many of its items may fail:  tolerate=...",
    ) == refused(lambda x: x, each, depends_on={"x": each.all})


def test_a_condition_on_items():
    """It would have many answers."""
    assert (
        "mapped-result",
        "step 'it' has a condition on 'each', which runs once per item",
        "Ask a step that takes each.all what you want to know.",
    ) == refused(lambda: 1, when=EACH.is_("1"))


@pytest.mark.parametrize(
    "option", [{"max_parallel": 2}, {"tolerate": 1}, {"tolerate": 0.5}, {"need": 1}, {"item_key": str}]
)
def test_options_of_items_without_items(option: dict[str, Any]):
    """They would mean nothing."""
    (name,) = option

    assert (
        "bad-option",
        f"step 'it' has {name}=..., but does not run once per item",
        "Take the items of another step:  item = load.each",
    ) == refused(lambda: 1, **option)


def test_items_that_do_not_belong_together():
    """Two lists need not be equally long; steps that follow one list are."""

    def two(a: int, b: int) -> None: ...

    other = step(load, name="other")

    assert (
        "mapped-result",
        "step 'it' takes items that do not belong together: those of 'load' and 'other'",
        "Make one step return the pairs, such as list(zip(...)), and take its items.",
    ) == refused(two, other, depends_on={"a": LOAD.each, "b": other.each})
    together = step(lambda a, b: 1, depends_on={"a": LOAD.each, "b": EACH.each}, name="it")
    assert "each" == made(load=LOAD, each=EACH, it=together).nodes["it"].several


def test_keys_of_items_that_follow_others():
    """They have no keys of their own."""
    assert (
        "bad-option",
        "step 'it' has item_key=..., but follows the items of another step",
        "Give it to the first of them, whose items it is that have keys.",
    ) == refused(lambda x: x, depends_on={"x": EACH.each}, item_key=str)


def test_a_join_of_a_step_that_runs_several_times():
    """Items need what they are taken of, and a loop what it begins with."""
    message = "step 'it' runs several times, and cannot join 'any'"

    assert ("bad-option", message, "Leave join out.") == refused(lambda x: x, depends_on={"x": LOAD.each}, join="any")
    assert message in [
        problem[1]
        for problem in problems_of(
            lambda: make_workflow(
                "W", {"load": LOAD, "it": step(lambda load: load, join="any", until=lambda x: True, name="it")}
            )
        )
    ]


def test_a_loop_per_item():
    """One of them at a time."""

    def loops(x: int, y: list[int]) -> list[int]:
        return [x, *y]

    assert (
        "bad-option",
        "step 'it' is a loop (until=...) and runs once per item: it can be one of them",
        "Put the loop into a workflow of its own, started by a @subflow that runs once per item.",
    ) == refused(loops, depends_on={"x": LOAD.each, "y": LOAD.result}, until=lambda x: True)


def test_a_generator_per_item_or_in_a_loop_or_cached():
    """It has items of its own, and ends by itself."""

    def yields(x: Any) -> Iterator[int]:
        yield x

    assert ("bad-option", "step 'it' is a generator and runs once per item", "Return a list instead.") == refused(
        yields, depends_on={"x": LOAD.each}
    )
    assert (
        "bad-option",
        "step 'it' is a generator, and cannot be a loop (until=...)",
        "A generator ends by itself: leave until out, or return what it gives.",
    ) == refused(yields, depends_on={"x": LOAD.result}, until=lambda x: True)
    assert (
        "bad-option",
        "step 'it' is a generator, of which nothing can be kept (cache=...)",
        "Cache the step that runs once for each of its items.",
    ) == refused(yields, depends_on={"x": LOAD.result}, cache=Cache())


def test_a_loop_that_takes_nothing():
    """There is no parameter for its own output."""
    assert (
        "bad-option",
        "step 'it' is a loop (until=...), but has no parameter that could take its own output",
        "Give it one that takes what the loop begins with, such as  draft: Draft = first.result",
    ) == refused(lambda: 1, until=lambda x: True)


def test_a_loop_whose_output_is_no_input_of_it():
    """It goes to the first parameter that takes a value."""

    def loops(rows: list[int]) -> int:
        return 1

    assert (
        "type-mismatch",
        "step 'it' is a loop: its output, int, is its next 'rows', which is list[int]",
        "It goes to the first parameter that takes a value: is that to be 'rows'?",
    ) == refused(loops, depends_on={"rows": LOAD.result}, until=lambda x: True)


def test_a_compensation_that_is_a_generator():
    """Nobody would run it."""

    def define() -> None:
        @workflow
        class Undone:
            @step
            def pay(self) -> int:
                return 1

            @pay.compensate
            def refund(self, pay: int) -> Any:
                yield pay

    (problem,) = problems_of(define)

    assert (
        "bad-compensation", "the compensation of step 'pay' is a generator: nobody would run it", "Make it a function."
    ) == problem  # fmt: skip


def test_a_cycle_through_items_is_told_by_the_parameter():
    """Where the step is that has to be changed."""

    @step(depends_on=["b"])
    def a() -> list[int]:
        return []

    def define() -> None:
        make_workflow("W", {"a": a, "b": step(lambda row: row, name="b", depends_on={"row": a.each})})

    (problem,) = problems_of(define)

    assert "cycle" == problem[0]
    assert "b needs a (parameter 'row'" in problem[2]
