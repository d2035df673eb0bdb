"""What a type checker knows of workflows: each `assert_type` is held by mypy and pyright. It is imported, too."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, assert_type

import attrs

import orchwf
from orchwf import (
    Orchestrator,
    Retry,
    RunHandle,
    RunResult,
    StepContext,
    compile_workflow,
    make_workflow,
    step,
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
    assert_type(first(), int)
    assert_type(third(n=3, x=1), bytes)


def instances() -> None:
    """A workflow is a plain value, and its steps are plain callables."""
    flights = Flights(folder="x")
    assert_type(flights, Flights)
    assert_type(flights.limit, int)
    assert_type(Nightly(folder="x", limit=3, hour=4).tags, list[str])
    assert_type(flights.weather([]), float)
    assert_type(flights.judge(Flight("UA", 1.0)), Literal["late", "fine"])
    assert_type(Flights.double(3), int)
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


async def orchestrate(flights: Flights) -> None:
    """So does a handle."""
    async with Orchestrator("memory:", workflows=[Flights, Nightly, Made]) as orchestrator:
        handle = await orchestrator.start(flights)
        assert_type(handle, RunHandle[Flights])
        assert_type((await handle.result())[Flights.load], list[Flight])


compile_workflow(Flights)
