"""
An example as it is served to a test: its steps say over a connection what they do, and `charge` waits for a word.

    EXAMPLE=fastapi_app BANK=4711 uvicorn tests.web.site:app
"""

import asyncio
import importlib
import os
from contextlib import ExitStack
from decimal import Decimal

from starlette.types import ASGIApp

from examples.web.orders import Fulfilment, Receipt
from orchwf import current
from orchwf.testing import override


async def asked() -> str:
    """What the test says to this attempt."""
    ctx = current()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["BANK"]))
    try:
        writer.write(f"{ctx.step} {ctx.attempt} {ctx.idempotency_key} {os.getpid()}\n".encode())
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


async def price() -> Decimal:
    return Decimal(await asked())


async def charge(price: Decimal) -> Receipt:
    return Receipt(number=await asked(), amount=price)


# For the life of the process.
OVERRIDDEN = ExitStack()
OVERRIDDEN.enter_context(override(Fulfilment.price, price))
OVERRIDDEN.enter_context(override(Fulfilment.charge, charge))

app: ASGIApp = importlib.import_module(f"examples.web.{os.environ['EXAMPLE']}").app
