"""
A saga: what was booked is given back if the rest of the trip fails.

`pay` fails for a trip that is too dear; then the flight and the hotel are cancelled, the last one first.
"""

import asyncio

from orchwf import Orchestrator, Retry, StepContext, step, workflow

PRICES = {"hotel": 240, "flight": 310}


@workflow
class Trip:
    """A hotel and a flight, paid together."""

    traveller: str
    budget: int

    @step
    async def hotel(self) -> str:
        print(f"{self.traveller}: a room is booked")
        return "room 12"

    @hotel.compensate
    async def leave_hotel(self, hotel: str | None, traveller: str) -> None:
        print(f"{traveller}: {hotel or 'the room'} is given back")

    @step(depends_on=hotel)
    async def flight(self) -> str:
        print(f"{self.traveller}: a flight is booked")
        return "seat 7A"

    @flight.compensate(retries=Retry(3, initial=0.01))
    async def leave_flight(self, flight: str | None, traveller: str, *, ctx: StepContext) -> None:
        """Fails on its first attempt: the airline is slow to give money back."""
        if ctx.attempt == 1:
            print(f"{traveller}: the airline does not answer")
            raise ConnectionError("the airline does not answer")
        print(f"{traveller}: {flight or 'the seat'} is given back")

    @step
    async def pay(self, room: str = hotel.result, seat: str = flight.result) -> int:
        price = sum(PRICES.values())
        if price > self.budget:
            raise ValueError(f"{price} is more than the {self.budget} there are")
        print(f"{self.traveller}: {room} and {seat} are paid")
        return price


async def book(store: str) -> list[str]:
    async with Orchestrator(store, workflows=[Trip]) as orchestrator:
        ends = []
        for traveller, budget in (("Ada", 600), ("Bob", 500)):
            run = await orchestrator.start(Trip(traveller=traveller, budget=budget))
            result = await run.wait()
            if result.status == "completed":
                end = f"{traveller} travels for {result[Trip.pay]}"
            else:
                end = f"{traveller} stays at home: {result.error} (undoing: {result.compensation})"
            print(end)
            ends.append(end)
    return ends


def main(store: str = "memory:") -> list[str]:
    return asyncio.run(book(store))


if __name__ == "__main__":
    main()
