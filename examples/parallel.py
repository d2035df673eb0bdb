"""
Steps that do not wait for each other run at the same time.

Three fetches overlap; `summary` starts when the last of them is done. Nothing says so but the parameters.
"""

import asyncio

from attrs import frozen

import orchwf
from orchwf import step, workflow


@frozen
class Dashboard:
    user: str
    orders: list[int]
    total: int
    rating: float


@workflow
class LoadDashboard:
    """Everything the first page of a shop shows to one customer."""

    customer: int

    @step
    async def user(self) -> str:
        await asyncio.sleep(0.03)
        return f"customer {self.customer}"

    @step
    async def orders(self) -> list[int]:
        await asyncio.sleep(0.01)
        return [30, 12]

    @step
    async def rating(self) -> float:
        await asyncio.sleep(0.02)
        return 4.5

    @step
    def summary(
        self, user: str = user.result, orders: list[int] = orders.result, rating: float = rating.result
    ) -> Dashboard:
        return Dashboard(user=user, orders=orders, total=sum(orders), rating=rating)


def main(store: str = "memory:") -> Dashboard:
    dashboard = orchwf.run(LoadDashboard(customer=7), store=store)[LoadDashboard.summary]
    print(dashboard)
    return dashboard


if __name__ == "__main__":
    main()
