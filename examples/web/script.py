"""
An order from a plain script, on the store of the web examples, with or without a server beside it.

    python -m examples.web.script tea 2
"""

import asyncio
import sys

from examples.web.orders import Fulfilment, Order, Parcel
from orchwf import Orchestrator


async def fulfilled(order: Order, store: str | None = None) -> Parcel:
    async with Orchestrator(store, workflows=[Fulfilment]) as orchestrator:
        run = await orchestrator.start(Fulfilment(order=order))
        print("started:", run.id)
        return (await run.result())[Fulfilment.ship]


def main(item: str = "tea", quantity: str = "1", store: str | None = None) -> Parcel:
    parcel = asyncio.run(fulfilled(Order(item=item, quantity=int(quantity)), store))
    print(f"paid {parcel.receipt.amount}, arrives in {parcel.days} days")
    return parcel


if __name__ == "__main__":
    main(*sys.argv[1:3])
