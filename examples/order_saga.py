"""
An order that takes days: goods and money are taken at once, and given back if somebody says no.

A large order waits up to two days for an approval; every order then waits a while, in which it can be cancelled. Both
waits are in the store: no process has to live so long. Whatever goes wrong, what was done is undone, the last first.

`python examples/order_saga.py` plays four orders in about a second. `orchwf graph examples/order_saga.py` draws one.
"""

import asyncio
from collections.abc import Sequence

from attrs import field, frozen

from orchwf import Orchestrator, Retry, RunHandle, StepContext, signal, sleep, step, workflow

PRICES = {"cup": 12, "desk": 480}
LARGE = 1000


@frozen
class Order:
    """What is bought, and for how much."""

    product: str
    count: int
    total: int


def is_large(order: Order) -> bool:
    return order.total >= LARGE


@frozen
class Approval:
    """What somebody says about a large order."""

    by: str
    is_granted: bool


class Rejected(Exception):
    """The order is not to be: what was done for it is undone."""


@frozen
class World:
    """Shelf, bank and carrier outlive our process. They know each request by its key: asked twice, they act once."""

    reserved: dict[str, int] = field(factory=dict)
    charged: dict[str, int] = field(factory=dict)
    shipped: dict[str, str] = field(factory=dict)

    def clear(self) -> None:
        for known in (self.reserved, self.charged, self.shipped):
            known.clear()


WORLD = World()


@workflow
class Purchase:
    """An order on its way from the cart to the door."""

    product: str
    count: int = 1
    grace: float = 1800.0

    @step
    def validate(self) -> Order:
        if self.product not in PRICES:
            raise Rejected(f"there is no {self.product!r}")
        return Order(self.product, self.count, PRICES[self.product] * self.count)

    @step
    def reserve(self, order: Order = validate.result, *, ctx: StepContext) -> int:
        return WORLD.reserved.setdefault(ctx.idempotency_key, order.count)

    @reserve.compensate
    def put_back(self, *, ctx: StepContext) -> None:
        WORLD.reserved.pop(ctx.step_key, None)

    @step(depends_on=reserve, retries=Retry(4, initial=0.05, retry_on=ConnectionError), timeout="30s")
    async def charge(self, order: Order = validate.result, *, ctx: StepContext) -> int:
        """The bank never answers at once; the key tells it that the next attempt means the same payment."""
        if ctx.attempt == 1:
            raise ConnectionError("the bank does not answer")
        return WORLD.charged.setdefault(ctx.idempotency_key, order.total)

    @charge.compensate(retries=10)
    async def refund(self, *, ctx: StepContext) -> None:
        WORLD.charged.pop(ctx.step_key, None)

    approval = signal(Approval, timeout="2d", default=None, depends_on=charge, when=validate.where(is_large))

    @step(depends_on=charge)
    def decide(self, order: Order = validate.result, approval: Approval | None = approval.maybe) -> str:
        """Who lets the order go. Of a small one nobody is asked."""
        if not is_large(order):
            return "nobody was asked"
        if approval is None:
            raise Rejected("nobody approved it within two days")
        if not approval.is_granted:
            raise Rejected(f"{approval.by} said no")
        return f"{approval.by} said yes"

    regret = sleep(lambda self: self.grace, depends_on=decide)

    @step(depends_on=regret)
    def ship(self, order: Order = validate.result, *, ctx: StepContext) -> str:
        return WORLD.shipped.setdefault(ctx.idempotency_key, f"{order.count} x {order.product}")


async def until_asleep(run: RunHandle[Purchase]) -> None:
    """Until the customer has the time to regret."""
    async for event in run.events(follow=True):
        if event.kind == "timer.set":
            return


async def sell(store: str) -> Sequence[str]:
    """Four orders, and what became of them."""
    async with Orchestrator(store, workflows=[Purchase]) as orchestrator:
        small = await orchestrator.start(Purchase(product="cup", count=4, grace=0.1))

        granted = await orchestrator.start(Purchase(product="desk", count=3, grace=0.1))
        await granted.send(Purchase.approval, Approval(by="Ada", is_granted=True))

        rejected = await orchestrator.start(Purchase(product="desk", count=9, grace=0.1))
        await rejected.send(Purchase.approval, Approval(by="Bob", is_granted=False))

        regretted = await orchestrator.start(Purchase(product="cup", count=99))
        await until_asleep(regretted)
        await regretted.cancel("the customer does not want cups")

        results = [await run.wait() for run in (small, granted, rejected, regretted)]
    return [
        f"{result.status}: {result.outputs.get('ship') or result.error}"
        + (f" (undoing: {result.compensation})" if result.compensation else "")
        for result in results
    ]


def main(store: str = "memory:") -> Sequence[str]:
    ends = asyncio.run(sell(store))
    print("\n".join(ends))
    return ends


if __name__ == "__main__":
    main()
