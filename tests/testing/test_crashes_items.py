"""Processes that die in the midst of items, generators, and runs that were started by others."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import orchwf
from orchwf import NonRetryable, RunResult, StepContext, make_workflow, step, subflow, workflow
from orchwf.testing import CrashError, crash_everywhere

EFFECTS: Counter[str] = Counter()
CLOSED: list[str] = []


def reset() -> None:
    EFFECTS.clear()
    CLOSED.clear()


@workflow
class Shelf:
    """Counts what is on a shelf, thing by thing."""

    size: int = 3

    @step
    def things(self) -> list[int]:
        return list(range(self.size))

    @step
    async def count(self, thing: int = things.each, *, ctx: StepContext) -> int:
        EFFECTS[ctx.idempotency_key] += 1
        return thing

    @count.compensate
    async def uncount(self, count: int | None, *, ctx: StepContext) -> None:
        EFFECTS.pop(ctx.step_key, None)

    @step
    def total(self, counts: list[int] = count.all) -> int:
        if self.size == 2:
            raise NonRetryable("two are too few")
        return sum(counts)


def test_items_are_places_of_their_own():
    """Each has bodies before and after which the process dies; none runs again that was stored."""
    report = crash_everywhere(Shelf(), reset=reset, check=lambda result: len(EFFECTS) == 3)

    for item in range(3):
        assert f"before item {item} of the body of 'count' (attempt 1) ran" in report.deaths
        assert f"after item {item} of the body of 'count' (attempt 1) returned, before that was stored" in report.deaths


def test_items_are_undone_wherever_the_process_dies():
    """Nothing is left of any of them."""
    report = crash_everywhere(Shelf(size=2), reset=reset, check=lambda result: not EFFECTS, ends="failed")

    assert "before item 1 of the compensation of 'count' (attempt 1) ran" in report.deaths


def test_a_second_effect_of_an_item_is_told_with_its_number():
    """Also in the log, and among what ran then."""
    with pytest.raises(CrashError) as caught:
        crash_everywhere(Shelf(), reset=reset, check=lambda result: max(EFFECTS.values()) == 1)

    text = str(caught.value)
    assert "died after item 0 of the body of 'count' (attempt 1) returned, before that was stored" in text
    assert "step.started count (item 0, attempt 1)" in text
    assert "count (item 0, attempt 2)" in text


def once(number: int) -> int:
    """Nobody knows whether it took effect if its process dies."""
    return number


def test_items_of_unknown_fate_pause_the_run():
    """They are told of by the name of their step, once."""
    source = step(lambda: [1, 2], name="numbers")
    at_most = step(delivery="at_most_once", depends_on={"number": source.each})(once)

    report = crash_everywhere(make_workflow("Rarely", [source, at_most])())

    assert ("once",) == report.doubted
    assert report.paused > 1


def numbers() -> Iterator[int]:
    """On a thread."""
    try:
        yield from range(3)
    finally:
        CLOSED.append("numbers")


async def async_numbers() -> AsyncIterator[int]:
    """On the loop."""
    try:
        for number in range(3):
            yield number
    finally:
        CLOSED.append("async_numbers")


def broken() -> Iterator[int]:
    """Gives one, and no more."""
    yield 1
    raise NonRetryable("out of numbers")


async def async_broken() -> AsyncIterator[int]:
    """The same on the loop."""
    yield 1
    raise NonRetryable("out of numbers")


def double(number: int) -> int:
    return 2 * number


def doubled(source: Any) -> type[Any]:
    stream = step(source, name="numbers")
    return make_workflow("Doubled", [stream, step(double, depends_on={"number": stream.each})])


@pytest.mark.parametrize("source", [numbers, async_numbers])
def test_generators_die_like_other_bodies(source: Any):
    """Before and after, and whenever what they gave is written; what is `finally` in them does not run by that."""
    closed_at_the_end: list[int] = []

    def is_closed_once(result: Any) -> bool:
        closed_at_the_end.append(CLOSED.count(source.__name__))
        return bool(result.outputs["double"] == [0, 2, 4])

    report = crash_everywhere(doubled(source)(), reset=reset, check=is_closed_once)

    assert "before the body of 'numbers' (attempt 1) ran" in report.deaths
    assert "after the body of 'numbers' (attempt 1) returned, before that was stored" in report.deaths
    assert any(death.startswith("before the write of step.completed numbers") for death in report.deaths)
    assert max(closed_at_the_end) <= 2


@pytest.mark.parametrize("source", [numbers, async_numbers])
def test_runs_of_others_are_left_alone(source: Any):
    """Of the same workflow, while its processes die: the check may start one."""
    flow = doubled(source)

    def has_another(result: RunResult[Any]) -> bool:
        return orchwf.run(flow(), store="memory:").outputs == result.outputs

    assert crash_everywhere(flow(), steps="numbers", check=has_another).deaths


@pytest.mark.parametrize("source", [broken, async_broken])
def test_generators_that_fail_die_as_well(source: Any):
    """After what they raised, before that was stored."""
    report = crash_everywhere(doubled(source)(), ends="failed")

    assert "after the body of 'numbers' (attempt 1) raised NonRetryable, before that was stored" in report.deaths


@workflow
class Shop:
    """Has two shelves, each counted by a run of its own."""

    @step
    def sizes(self) -> list[int]:
        return [1, 3]

    @subflow
    def shelf(self, size: int = sizes.each) -> Shelf:
        return Shelf(size=size)

    @step
    def total(self, totals: list[int] = shelf[Shelf.total].all) -> int:
        return sum(totals)


def test_runs_that_are_started_die_with_those_that_started_them():
    """In the midst of the bodies of both; steps of one name are told apart."""

    def is_counted(result: RunResult[Shop]) -> bool:
        return result[Shop.total] == 3 and len(EFFECTS) == 4

    report = crash_everywhere(Shop(), reset=reset, check=is_counted, steps=["shelf", "total"])

    assert "before the body of 'total' (attempt 1) ran" in report.deaths
    assert "before the body of 'total' (attempt 1) in run 'crash-everywhere/shelf/1' ran" in report.deaths
