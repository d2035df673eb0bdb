"""The shop of the web examples: its workflow, what opens its orchestrator, and with what status errors are answered."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from http import HTTPStatus

from pydantic import BaseModel, Field

from orchwf import (
    Orchestrator,
    OrchwfError,
    RunFailed,
    RunInterruptedError,
    RunNotFoundError,
    StepContext,
    StoreError,
    UsageError,
    WaitTimeoutError,
    step,
    workflow,
)


class Order(BaseModel):
    """What a customer orders: the body of a request, and the input of a run."""

    item: str = Field(min_length=1)
    quantity: int = Field(default=1, gt=0, le=100)


class Receipt(BaseModel):
    """What was paid."""

    number: str
    amount: Decimal


class Parcel(BaseModel):
    """What is on its way."""

    receipt: Receipt
    days: int


@workflow
class Fulfilment:
    """Take an order to the doorstep of a customer."""

    order: Order

    @step
    async def price(self) -> Decimal:
        return Decimal("4.50") * self.order.quantity

    @step(retries=3, timeout="30s")
    async def charge(self, price: Decimal, *, ctx: StepContext) -> Receipt:
        await asyncio.sleep(0.1)  # A bank that knows such keys takes the money once, however often it is asked.
        return Receipt(number=ctx.idempotency_key, amount=price)

    @step
    def ship(self, charge: Receipt) -> Parcel:
        return Parcel(receipt=charge, days=3)


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, Orchestrator]]:
    """
    One orchestrator for the life of an application, which finds it in the state of each request.

    Told to end, by the signals that end the server, it lets go of its runs, and of those who wait for them, at once.
    """
    async with Orchestrator(workflows=[Fulfilment], stop_on=[signal.SIGTERM, signal.SIGINT]) as orchestrator:
        yield {"orchestrator": orchestrator}


_STATUSES: dict[type[OrchwfError], HTTPStatus] = {
    RunNotFoundError: HTTPStatus.NOT_FOUND,
    # It goes on: ask again.
    WaitTimeoutError: HTTPStatus.ACCEPTED,
    RunFailed: HTTPStatus.CONFLICT,
    RunInterruptedError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    UsageError: HTTPStatus.BAD_REQUEST,
}


def status_of(error: OrchwfError) -> HTTPStatus:
    """With which status a request is answered that ended so."""
    found = (status for kind, status in _STATUSES.items() if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)
