"""Processes that die wherever they can, with a PostgreSQL store instead of one in memory."""

import asyncio
from collections.abc import Iterator

import pytest

from orchwf import NonRetryable, StepContext, step, workflow
from orchwf.stores.postgres import PostgresStore, open_postgres
from orchwf.stores.postgres_connection import PostgresConnections
from orchwf.stores.postgres_url import parse_url
from orchwf.testing import crash_everywhere, trials
from tests.postgres import Emptied
from tests.testing import test_crashes as orders

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def opened(
    postgres_emptied: Emptied, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[PostgresStore]]:
    """The stores of the trials that there were, each of which began with an empty one."""
    stores: list[PostgresStore] = []

    async def made() -> None:
        await (await open_postgres(postgres_url)).close()

    def empty() -> PostgresStore:
        address = parse_url(postgres_emptied.empty())
        stores.append(PostgresStore(PostgresConnections(address, "power"), address))
        return stores[-1]

    async def closed() -> None:
        for store in stores:
            await store.close()

    asyncio.run(made())
    monkeypatch.setattr(trials, "MemoryStore", empty)
    yield stores
    asyncio.run(closed())


def test_an_order_survives(opened: list[PostgresStore]):
    """Its attempts, and a charge that is safe to repeat."""
    report = crash_everywhere(
        orders.Order(),
        steps=orders.Order.charge,
        reset=orders.reset,
        check=lambda result: [*orders.CHARGES.values()] == ["A1"],
    )

    assert 10 < len(report.deaths) < len(opened)


BOOKED: list[str] = []


@workflow
class Booking:
    """There is a room, and no money for it."""

    @step
    async def book(self, ctx: StepContext) -> str:
        BOOKED.append(ctx.idempotency_key)
        return "room 7"

    @book.compensate
    async def cancel(self, room: str | None) -> None:
        BOOKED.clear()

    @step(depends_on=[book])
    async def pay(self) -> None:
        raise NonRetryable("no money")


def test_what_was_done_is_undone(opened: list[PostgresStore]):
    """Nothing is left of it, wherever the process dies."""
    report = crash_everywhere(Booking(), reset=BOOKED.clear, check=lambda result: not BOOKED, ends="failed")

    assert 10 < len(report.deaths) < len(opened)
