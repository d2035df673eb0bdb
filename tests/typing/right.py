"""What a type checker knows of workflows: each `assert_type` is held by mypy and pyright. It is imported, too."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, assert_type

import attrs

import orchwf
from orchwf import (
    Cache,
    ChildResult,
    Mutex,
    Orchestrator,
    PayloadCodec,
    Queue,
    Retry,
    RunContext,
    RunHandle,
    RunRecord,
    RunResult,
    RunStatus,
    Signal,
    StepContext,
    compile_workflow,
    make_workflow,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)


@dataclass
class Flight:
    """One flight."""

    carrier: str
    delay: float


@workflow
class Trip:
    """Steps that can be undone."""

    user: str

    @step(delivery="at_most_once", on_exhausted="pause", heartbeat_timeout="5s")
    async def hotel(self, *, ctx: StepContext) -> Flight:
        ctx.heartbeat(3)
        return Flight("H", 0.0)

    @hotel.compensate
    async def cancel_hotel(self, hotel: Flight | None, *, ctx: StepContext) -> None: ...

    @step
    def flight(self) -> str:
        return "F"

    @flight.compensate(retries=3, timeout="10s")
    def cancel_flight(self, flight: str) -> None: ...

    @step
    def seat(self) -> int:
        return 1

    @seat.compensate
    def leave(self) -> None: ...

    @step
    def meal(self) -> int:
        return 1

    @meal.compensate
    async def skip_meal(self, *, ctx: StepContext) -> None: ...

    @step
    def drink(self) -> int:
        return 1

    @drink.compensate(retries=1)
    def pour_away(self, *, ctx: StepContext) -> None: ...


async def steering(orchestrator: Orchestrator) -> None:
    """What can be done to a run."""
    run = await orchestrator.start(Trip(user="x"))
    await run.pause("lunch")
    await run.terminate()
    again = await orchestrator.resume(run.id, rerun=[Trip.hotel], skip="flight", values={Trip.seat: 3})
    forked = await orchestrator.fork(run.id, Trip.flight, inputs={"user": "y"})
    assert_type(forked, RunHandle[Any])
    assert_type((await again.wait()).compensation, str)
    await orchestrator.shutdown()


@workflow(version="2", deadline="1h")
class Flights:
    """Reads flights and reports."""

    folder: str
    limit: int = 10
    tags: list[str] = attrs.field(factory=list)

    @step
    async def load(self) -> list[Flight]:
        return [Flight("UA", 3.0)] * self.limit

    @step(retries=Retry(3, initial="1s"), timeout=30, tags=["cpu"])
    async def worst(self, flights: list[Flight] = load.result, *, ctx: StepContext) -> Flight:
        ctx.log.info("worst")
        return max(flights, key=lambda flight: flight.delay)

    @step(required=False)
    def weather(self, load: list[Flight]) -> float:
        return 20.0

    @step
    def judge(self, flight: Flight = worst.result) -> Literal["late", "fine"]:
        return "late" if flight.delay > 1 else "fine"

    @step(when=judge.is_("late"))
    def complain(self) -> str:
        return "!"

    @step(when=judge.is_("fine") & ~judge.contains("x"))
    def praise(self) -> int:
        return 1

    @step(depends_on=[worst, "weather"], priority=1)
    async def report(
        self,
        text: str | int = (complain | praise).result,
        temperature: float | None = weather.maybe,
    ) -> str:
        return f"{text} {temperature}"

    @step
    @staticmethod
    def double(limit: int) -> int:
        return limit * 2


@workflow
class Nightly(Flights):
    """Inherits inputs and steps."""

    hour: int = 3

    @step
    def after(self, report: str = Flights.report.result) -> bytes:
        return report.encode()


@workflow
class Shelves:
    """Items, and what is waited for."""

    @step
    def numbers(self) -> Iterator[int]:
        yield from range(3)

    @step(tags=["slow"])
    async def names(self) -> AsyncIterator[str]:
        yield "a"

    @step(tolerate=0.5)
    def fetch(self, number: int = numbers.each) -> Flight:
        return Flight("UA", number)

    @step
    def late(self, flight: Flight = fetch.each) -> float:
        return flight.delay

    @step
    def total(self, delays: Sequence[float | None] = late.all, names: list[str] = names.result) -> float:
        return sum(delay or 0 for delay in delays)

    agreed = signal(Flight, timeout="2d", default=None, depends_on=total)
    stopped = signal(depends_on=total)
    pause = sleep("1h", depends_on=agreed)

    @subflow(depends_on=pause)
    def trip(self, agreed: Flight | None) -> Trip:
        return Trip(user="x")

    @subflow
    async def trips(self, name: str = names.each) -> Trip:
        return Trip(user=name)

    @step
    def end(
        self,
        seat: int = trip[Trip.seat].result,
        one: ChildResult[Trip] = trip.result,
        seats: list[int] = trips[Trip.seat].all,
    ) -> int:
        return seat + one[Trip.seat] + sum(seats)


@step
def counted() -> Iterator[int]:
    """A stream of a made workflow."""
    yield 1


@step(retries=1)
async def heard() -> AsyncIterator[int]:
    """Another one."""
    yield 1


async def sending(run: RunHandle[Shelves]) -> None:
    """A signal knows what it holds."""
    await run.send(Shelves.agreed, Flight("UA", 3.0), id="1")
    await run.send(Shelves.stopped, None)
    await run.send("agreed", Flight("UA", 3.0))


@step
def first() -> int:
    """A step of a made workflow."""
    return 1


@step(retries=1)
async def second(value: int = first.result) -> str:
    """Another one."""
    return str(value)


@step(depends_on=[first])
def third(*, n: int = 1, **outputs: object) -> bytes:
    """One that takes what the others gave."""
    return b""


Made = make_workflow("Made", [first, second, third], inputs={"n": int, "m": (str, "x")}, tags=["made"])


@workflow
class Limited:
    """Steps with limits."""

    customer: str

    @step(queue="api", mutex="m")
    def named(self) -> int:
        return 1

    @step(queue=Queue("api", concurrency=4, rate="10/second", key=lambda flow: flow.customer))
    async def given(self, n: int = named.result) -> int:
        return n

    @given.compensate(queue="api", mutex=lambda self: self.customer)
    async def undo(self, given: int | None) -> None: ...

    @step(mutex=Mutex(lambda flow: flow.customer, scope="run"))
    def computed(self) -> None: ...

    @step(cache=Cache(ttl="1d", key=lambda self, **args: args, version="2", name="shared"))
    def kept(self) -> int:
        return 1

    @step(queue=None, mutex=lambda self: self.customer, cache=None)
    def neither(self) -> None: ...


@step
def numbers() -> Iterator[int]:
    """A generator of a made workflow."""
    yield 1


@step(retries=1)
async def letters(n: int = numbers.each) -> AsyncIterator[str]:
    """Another one."""
    yield str(n)


Waits = make_workflow("Waits", {"go": signal(int), "late": sleep(1, depends_on="go"), "first": first})


@dataclass
class Receipt:
    """What a signal holds."""

    amount: float


@workflow
class Shipping:
    """A workflow that others start."""

    address: str

    @step
    def book(self) -> int:
        return 1

    @step
    def labels(self) -> list[str]:
        return ["a"]

    @step
    def printed(self, label: str = labels.each) -> bytes:
        return label.encode()


@workflow
class Orders:
    """Lists, generators, loops, signals, times, and other workflows."""

    patience: float = 60.0

    @step
    def load(self) -> list[Flight]:
        return []

    @step(max_parallel=4, tolerate=0.1, item_key=lambda flight: flight.carrier)
    async def price(self, flight: Flight = load.each) -> float:
        return flight.delay

    @step
    def rounded(self, price: float = price.each) -> int:
        return round(price)

    @step
    def total(self, prices: Sequence[float | None] = price.all, whole: Sequence[int | None] = rounded.all) -> float:
        return sum(filter(None, prices)) + sum(filter(None, whole))

    @step
    def rows(self) -> Iterator[str]:
        yield "a"

    @step
    def more(self) -> Generator[bytes, None, None]:
        yield b"a"

    @step(retries=2)
    async def pages(self) -> AsyncIterator[Flight]:
        yield Flight("UA", 1.0)

    @step
    def read(self, row: str = rows.each, page: list[Flight] = pages.result) -> int:
        return len(page)

    @step(until=lambda draft: len(draft) > 3, max_iterations=10)
    def refine(self, draft: list[str] = rows.result) -> list[str]:
        return [*draft, "x"]

    paid = signal(Receipt, timeout="30d", default=None, depends_on=load)
    approved = signal(bool)
    poked = signal()
    hurried = signal(timeout="1h", default=None)
    answer = signal(Literal["yes", "no"])
    pause = sleep("1h", depends_on=[paid])
    until = sleep(datetime(2030, 1, 1, tzinfo=UTC))
    patient = sleep(lambda self: self.patience)

    @subflow(on_parent_close="abandon", max_depth=3)
    def ship(self, receipt: Receipt | None = paid.result) -> Shipping:
        return Shipping(address=str(receipt))

    @subflow
    async def parcels(self, flight: Flight = load.each) -> Shipping:
        return Shipping(address=flight.carrier)

    @step
    def end(
        self,
        booked: int = ship[Shipping.book].result,
        all_booked: list[int] = parcels[Shipping.book].all,
        shipped: ChildResult[Shipping] = ship.result,
        many: list[ChildResult[Shipping]] = parcels.all,
        by_name: list[bytes] = ship["printed"].all,
        go: bool = approved.result,
    ) -> int:
        return booked + sum(all_booked) + shipped[Shipping.book] + sum(each[Shipping.book] for each in many)


def items() -> None:
    """An item has the type of what is in the list, or of what a step per item gives."""
    assert_type(Orders.load.each, Flight)
    assert_type(Orders.price.each, float)
    assert_type(Orders.price.all, list[float])
    assert_type(Orders.rows.each, str)
    assert_type(Orders.rows.result, list[str])
    assert_type(Orders.more.result, list[bytes])
    assert_type(Orders.pages.each, Flight)
    assert_type(numbers.result, list[int])
    assert_type(letters.each, str)
    assert_type(Orders.refine.result, list[str])
    assert_type(Orders().rows(), Iterator[str])
    assert_type(next(iter(numbers())), int)


def waits() -> None:
    """What waits has the type of what came, or is there instead."""
    assert_type(Orders.paid, Signal[Receipt, Receipt | None])
    assert_type(Orders.paid.result, Receipt | None)
    assert_type(Orders.approved.result, bool)
    assert_type(Orders.poked.result, None)
    assert_type(Orders.hurried.result, None)
    assert_type(Orders.pause.result, None)
    assert_type(Orders.ship.result, ChildResult[Shipping])
    assert_type(Orders.ship[Shipping.book].result, int)
    assert_type(Orders.parcels[Shipping.labels].all, list[list[str]])
    assert_type(Orders.ship["book"].result, Any)


async def sending_payloads(run: RunHandle[Orders]) -> None:
    """A signal takes what it holds."""
    await run.send(Orders.paid, Receipt(3.0))
    await run.send(Orders.approved, True, id="once")
    await run.send(Orders.poked, None)
    await run.send("approved", True)
    result = await run.result()
    assert_type(result[Orders.total], float)
    assert_type(result[Orders.paid], Receipt | None)
    assert_type(result[Orders.ship][Shipping.labels], list[str])


def references() -> None:
    """Steps are references to what they give."""
    assert_type(Flights.load.result, list[Flight])
    assert_type(Flights.worst.result, Flight)
    assert_type(Flights.weather.maybe, float | None)
    assert_type((Flights.complain | Flights.praise).result, str | int)
    assert_type((Flights.complain | Flights.praise).maybe, str | int | None)
    assert_type(Flights.double.result, int)
    assert_type(first.result, int)
    assert_type(second.result, str)
    assert_type(third.result, bytes)
    assert_type(Shelves.numbers.each, int)
    assert_type(Shelves.numbers.result, list[int])
    assert_type(Shelves.names.each, str)
    assert_type(Shelves.names.result, list[str])
    assert_type(Shelves.fetch.each, Flight)
    assert_type(Shelves.fetch.all, list[Flight])
    assert_type(Flights.load.each, Flight)
    assert_type(counted.each, int)
    assert_type(heard.result, list[int])
    assert_type(Shelves.agreed.result, Flight | None)
    assert_type(Shelves.trip.result, ChildResult[Trip])
    assert_type(Shelves.trip[Trip.flight].result, str)
    assert_type(Shelves.trips[Trip.flight].all, list[str])
    assert_type(first(), int)
    assert_type(third(n=3, x=1), bytes)


def instances() -> None:
    """A workflow is a plain value, and its steps are plain callables."""
    flights = Flights(folder="x")
    assert_type(flights, Flights)
    assert_type(flights.limit, int)
    assert_type(Nightly(folder="x", limit=3, hour=4).tags, list[str])
    assert_type(flights.weather([]), float)
    Trip(user="x").pour_away(ctx=StepContext())
    assert_type(flights.judge(Flight("UA", 1.0)), Literal["late", "fine"])
    assert_type(Flights.double(3), int)
    assert_type(Shelves().numbers(), Iterator[int])
    assert_type(Shelves().names(), AsyncIterator[str])
    assert_type(Shelves().trip(None), Trip)
    assert_type(Nightly(folder="x").after("text"), bytes)


def bodies(flights: Flights) -> Callable[[], Coroutine[Any, Any, list[Flight]]]:
    """A bound step has the signature of its body."""
    return flights.load


async def awaited(flights: Flights) -> None:
    """Bodies that are coroutines are awaited."""
    assert_type(await flights.load(), list[Flight])
    assert_type(await flights.worst([], ctx=StepContext(run_id="r")), Flight)
    assert_type(await flights.report("x", temperature=None), str)


def run(flights: Flights) -> None:
    """A result knows the types of the outputs."""
    result = orchwf.run(flights, run_id="r", tags={"a": "b"})
    assert_type(result, RunResult[Flights])
    assert_type(result[Flights.report], str)
    assert_type(result[Flights.worst], Flight)
    assert_type(result[Nightly.after], bytes)


class Traced:
    """A middleware around both."""

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        return await call()

    async def around_run(self, call: Callable[[], Awaitable[RunRecord]], context: RunContext) -> None:
        assert_type((await call()).status, RunStatus)


class Timed:
    """A middleware around steps alone."""

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        return await call()


async def failed(run: RunHandle[Any]) -> None:
    """Who is told of a failure."""


async def accompanied(codec: PayloadCodec) -> None:
    """Middleware, hooks and codecs need no class of ours."""
    async with Orchestrator(
        "memory:", middleware=[Traced(), Timed()], on_failure=failed, on_success=print, codec=codec
    ) as orchestrator:
        await orchestrator.run(Trip(user="ada"))


async def orchestrate(flights: Flights) -> None:
    """So does a handle."""
    async with Orchestrator("memory:", workflows=[Flights, Nightly, Made]) as orchestrator:
        handle = await orchestrator.start(flights)
        assert_type(handle, RunHandle[Flights])
        assert_type((await handle.result())[Flights.load], list[Flight])


compile_workflow(Flights)
