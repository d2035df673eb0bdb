"""Which arguments of a cached step count, wherever they come from: items, loops, runs of other workflows."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pytest

from orchwf import Cache, ChildResult, NonRetryable, StepContext, make_workflow, step, subflow, workflow
from orchwf.stores import MemoryStore
from orchwf.testing import TestOrchestrator
from tests.runtime.flows import Gate

T = TypeVar("T")

CALLS: list[dict[str, Any]] = []
"""With what the cached bodies were called."""

ASKED: list[dict[str, Any]] = []
"""With what the function was called that gives the keys."""


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    CALLS.clear()
    ASKED.clear()


def all_arguments(self: object, **arguments: Any) -> object:
    """A key that is made of all arguments, and notes them."""
    ASKED.append(arguments)
    return [f"{name} {value}" for name, value in arguments.items()]


BY_ARGUMENTS = pytest.mark.parametrize("key", [None, all_arguments], ids=["as stored", "by a function"])


def noted(**arguments: T) -> T:
    """The only argument."""
    CALLS.append(arguments)
    (value,) = arguments.values()
    return value


async def run_each(*workflows: object) -> list[Any]:
    """The results of these runs, one after the other."""
    async with TestOrchestrator() as orchestrator:
        return [await orchestrator.run(each) for each in workflows]


@workflow
class Shipping:
    """What is started by others; of its outputs one tells the address, and one the weight."""

    address: str
    weight: int = 1

    @step
    def book(self) -> str:
        if self.address == "nowhere":
            raise NonRetryable("no way")
        return f"van to {self.address}"

    @step
    def weigh(self) -> int:
        return self.weight


# All of them.


def own_steps(key: Callable[..., object] | None) -> Any:
    """Cached steps that take their arguments from others of their kinds; no two bodies are called with the same."""
    cache = Cache(key=key)

    @workflow
    class OwnSteps:
        start: int = 3

        @step
        def rows(self) -> list[int]:
            return [1, 2]

        @step
        def given(self) -> Iterator[str]:
            yield from ("a", "b")

        @step(cache=cache)
        def each_row(self, row: int = rows.each) -> int:
            return noted(row=row) * 10

        @step(cache=cache)
        def each_given(self, text: str = given.each) -> str:
            return noted(text=text) * 2

        @step(cache=cache)
        def all_rows(self, tens: list[int] = each_row.all) -> int:
            return sum(noted(tens=tens))

        @step(cache=cache)
        def all_given(self, doubles: list[str] = each_given.all) -> str:
            return "".join(noted(doubles=doubles))

        @step(cache=cache, until=lambda up: up == 32)
        def up(self, up: int = all_rows.result, *, ctx: StepContext) -> int:
            return noted(up=up) + 1

        @step(cache=cache, until=lambda down: down == 0)
        def down(self, start: int) -> int:
            return noted(start=start) - 1

        @step(cache=cache, depends_on=[each_row, up])
        def rest(self, **outputs: object) -> int:
            CALLS.append(outputs)
            return len(outputs)

    return OwnSteps


def other_runs(key: Callable[..., object] | None) -> Any:
    """The same of steps that take outputs of other runs."""
    cache = Cache(key=key)

    @workflow
    class OtherRuns:
        @subflow
        def ship(self) -> Shipping:
            return Shipping(address="Rome")

        @step
        def addresses(self) -> list[str]:
            return ["Bonn", "nowhere"]

        @subflow(tolerate=1)
        def parcels(self, address: str = addresses.each) -> Shipping:
            return Shipping(address=address)

        @step(cache=cache)
        def van(self, van: str = ship[Shipping.book].result) -> str:
            return noted(van=van).upper()

        @step(cache=cache)
        def vans(self, vans: Sequence[str | None] = parcels[Shipping.book].all) -> int:
            return len(noted(vans=vans))

    return OtherRuns


async def test_a_key_is_asked_with_what_the_body_gets():
    """Wherever the arguments come from; but for the context, which is of one run only."""
    own, others = await run_each(own_steps(all_arguments)(), other_runs(all_arguments)())

    expected: list[dict[str, Any]] = [
        {"row": 1}, {"row": 2}, {"text": "a"}, {"text": "b"}, {"tens": [10, 20]}, {"doubles": ["aa", "bb"]},
        {"up": 30}, {"up": 31}, {"start": 3}, {"start": 2}, {"start": 1},
        {"each_row": [10, 20], "up": 32}, {"van": "van to Rome"}, {"vans": ["van to Bonn", None]},
    ]  # fmt: skip
    assert sorted(map(str, expected)) == sorted(map(str, ASKED)) == sorted(map(str, CALLS))
    assert [30, "aabb", 32, 0, 2] == [own[name] for name in ("all_rows", "all_given", "up", "down", "rest")]
    assert ["VAN TO ROME", 2] == [others[name] for name in ("van", "vans")]


@BY_ARGUMENTS
async def test_what_gets_the_same_is_taken(key: Any):
    """Items, iterations, and what reads other runs: in the second run no cached body runs."""
    own, others = own_steps(key), other_runs(key)

    first, _, second, _ = await run_each(own(), others(), own(), others())

    assert 14 == len(CALLS)
    assert first.outputs["up"] == second.outputs["up"]
    assert [first.run_id] * 2 == [item.cached_from for item in second.steps["each_row"].present]


async def test_items_of_a_run_that_is_taken_up_are_found_as_well():
    """What is stored of it is read again for their keys, which takes a thread."""
    store, gate = MemoryStore(), Gate()

    async def work(row: int) -> int:
        await gate.pass_through()
        return noted(row=row) * 10

    rows = step(lambda given: given, name="rows")
    each = step(work, cache=Cache(key=lambda self, row: row), max_parallel=1, depends_on={"row": rows.each})
    flow = make_workflow("Items", [rows, each], inputs={"given": list[int]})
    gate.open()
    async with TestOrchestrator(store, grace=0) as orchestrator:
        await orchestrator.run(flow(given=[2]), run_id="before")
        gate.close()
        await orchestrator.start(flow(given=[1, 2]), run_id="r")
        await gate.came.get()
        await gate.came.get()
    gate.open()

    async with TestOrchestrator(store, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert [10, 20] == result["work"]
    assert ["", "before"] == [item.cached_from for item in result.steps["work"].present]
    assert [{"row": 2}, {"row": 1}] == CALLS


@BY_ARGUMENTS
async def test_one_iteration_does_not_stand_for_another(key: Any):
    """A loop that begins elsewhere goes its own way, as far as it gets what no other run got."""

    def half(n: int) -> int:
        return noted(n=n) // 2

    flow = make_workflow(
        "Halves", {"half": step(cache=Cache(key=key), until=lambda n: n == 1)(half)}, inputs={"n": int}
    )

    results = await run_each(flow(n=8), flow(n=12), flow(n=8))

    assert [1, 1, 1] == [result["half"] for result in results]
    assert [8, 4, 2, 12, 6, 3] == [call["n"] for call in CALLS]


# Runs of other workflows.


def labels(key: Callable[..., object] | None = None) -> Any:
    """Reads one output of a run that gets its address and its weight from another step."""

    @workflow(name="Labels")
    class Labels:
        @step
        def order(self) -> tuple[str, int]:
            return ORDERS.pop(0)

        @subflow
        def ship(self, order: tuple[str, int] = order.result) -> Shipping:
            return Shipping(address=order[0], weight=order[1])

        @step(cache=Cache(key=key))
        def label(self, van: str = ship[Shipping.book].result) -> str:
            return noted(van=van).upper()

        @step
        def weighed(self, weight: int = ship[Shipping.weigh].result) -> int:
            return weight

    return Labels


ORDERS: list[tuple[str, int]] = []


@BY_ARGUMENTS
async def test_of_a_run_only_the_output_counts_that_the_step_takes(key: Any):
    """Neither which run it was nor what else it gave: who gets the same as before need not run again."""
    ORDERS[:] = [("Rome", 1), ("Rome", 2), ("Oslo", 2)]

    results = await run_each(*(labels(key)() for _ in range(3)))

    assert ["VAN TO ROME", "VAN TO ROME", "VAN TO OSLO"] == [result["label"] for result in results]
    assert [{"van": "van to Rome"}, {"van": "van to Oslo"}] == CALLS


@workflow
class Whole:
    """Takes what runs gave as a whole, by a key that looks at one output of each."""

    @step
    def addresses(self) -> list[str]:
        return ["Rome", "Oslo"]

    @subflow
    def ship(self, address: str = addresses.each) -> Shipping:
        return Shipping(address=address)

    @step(cache=Cache(key=lambda self, child: child[Shipping.book]))
    def label(self, child: ChildResult[Shipping] = ship.each) -> str:
        return noted(van=child[Shipping.book]).upper()

    @step(cache=Cache(key=lambda self, children: [child["book"] for child in children]))
    def count(self, children: list[ChildResult[Shipping]] = ship.all) -> int:
        return len(noted(vans=[child[Shipping.book] for child in children]))

    @step(cache=Cache())
    def ids(self, children: list[ChildResult[Shipping]] = ship.all) -> list[str]:
        return [child.run_id for child in noted(children=children)]


async def test_what_a_run_gave_as_a_whole_is_of_that_run():
    """It has the id of the run, so no other one gives the same; a key may say that this does not count."""
    first, second = await run_each(Whole(), Whole())

    kinds = Counter(name for call in CALLS for name in call)
    assert {"van": 2, "vans": 1, "children": 2} == kinds
    assert ["VAN TO ROME", "VAN TO OSLO"] == list(first[Whole.label]) == list(second[Whole.label])
    assert [f"{second.run_id}/ship/0", f"{second.run_id}/ship/1"] == second[Whole.ids]
