"""Where items may fail, the list of all results has gaps, and its reader has to say so."""

from collections.abc import Sequence
from typing import Any

import pytest

from orchwf import DefinitionError, compile_workflow, make_workflow, step, subflow, workflow


def numbers() -> list[int]:
    return [1, 2, 3]


def double(number: int) -> int:
    return 2 * number


def total_of_all(results: list[int]) -> int:
    return sum(results)


def total_of_some(results: Sequence[int | None]) -> int:
    return sum(result or 0 for result in results)


def made(total: Any, *, first: Any = None, second: Any = None) -> type:
    """Numbers, doubled twice, item by item, with these options; and their total."""
    source = step(numbers, name="numbers")
    once = step(**(first or {}), name="once", depends_on={"number": source.each})(double)
    twice = step(**(second or {}), name="twice", depends_on={"number": once.each})(double)
    return make_workflow("Sums", [source, once, twice, step(total, depends_on={"results": twice.all})])


@pytest.mark.parametrize(
    "options",
    [{"second": {"tolerate": 0.5}}, {"second": {"need": 2}}, {"first": {"tolerate": 1}}, {"first": {"need": 1}}],
)
def test_a_list_with_gaps_is_no_list_without(options: Any):
    """Also if the gaps are those of the items that the step follows."""
    with pytest.raises(DefinitionError) as caught:
        made(total_of_all, **options)

    (problem,) = caught.value.problems
    assert "type-mismatch" == problem.code
    assert "twice.all" in problem.message
    assert "list[int | None]" in problem.message
    assert "Items that do not complete give None: annotate  results: Sequence[int | None]" == problem.hint


@pytest.mark.parametrize("options", [{"second": {"tolerate": 0.5}}, {"first": {"need": 1}}])
def test_gaps_may_be_declared(options: Any):
    """A sequence of numbers or None takes them, and a list without gaps as well."""
    with_gaps, without = made(total_of_some, **options), made(total_of_some)

    assert "twice" in compile_workflow(with_gaps).nodes
    assert "twice" in compile_workflow(without).nodes


def test_there_are_no_gaps_where_none_may_fail():
    """A list of numbers it is."""
    assert "twice" in compile_workflow(made(total_of_all)).nodes


def test_what_is_not_known_may_have_gaps():
    """Of a body that does not say what it returns nothing is said."""

    def anything(number: int):
        return number

    source = step(numbers, name="numbers")
    some = step(tolerate=1, name="some", depends_on={"number": source.each})(anything)
    flow = make_workflow("Any", [source, some, step(total_of_all, depends_on={"results": some.all})])

    assert "some" in compile_workflow(flow).nodes


def test_what_does_not_fit_anyway_is_told_as_such():
    """The gaps are not to blame for a number that is no text."""

    def joined(results: list[str]) -> str:
        return "".join(results)

    with pytest.raises(DefinitionError) as caught:
        made(joined, second={"tolerate": 0.5})

    assert "Change one of the two annotations" in caught.value.problems[0].hint


@workflow
class Single:
    """What a run for one number does."""

    number: int

    @step
    def double(self) -> int:
        return 2 * self.number


def of_runs(total: Any, **options: Any) -> type:
    """The total of what one run per number gives."""

    def single(number: int) -> Single:
        return Single(number=number)

    source = step(numbers, name="numbers")
    runs = subflow(**options, name="runs", depends_on={"number": source.each})(single)
    return make_workflow("Runs", [source, runs, step(total, depends_on={"results": runs[Single.double].all})])


def test_runs_that_may_fail_leave_gaps_as_well():
    """In the list of what one of their steps gave."""
    with pytest.raises(DefinitionError) as caught:
        of_runs(total_of_all, tolerate=1)

    assert "runs[double] is list[int | None]" in caught.value.problems[0].message
    assert "annotate  results: Sequence[int | None]" in caught.value.problems[0].hint
    assert "runs" in compile_workflow(of_runs(total_of_some, tolerate=1)).nodes
    assert "runs" in compile_workflow(of_runs(total_of_all)).nodes
