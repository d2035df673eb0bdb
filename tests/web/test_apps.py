"""The web examples answer alike, whatever they are made with."""

import importlib
from decimal import Decimal

import pytest
from starlette.applications import Starlette

from examples.web import script
from examples.web.orders import Fulfilment, Order, Parcel, Receipt
from orchwf import NonRetryable
from orchwf.testing import crash_everywhere, override
from tests.web.clients import served

TEA = {"item": "tea", "quantity": 2}
KEY = {"Idempotency-Key": "A1"}


@pytest.fixture(params=["fastapi_app", "starlette_app", "django_app"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """The application of an example, with a store in memory."""
    monkeypatch.setenv("ORCHWF_STORE", "memory:")
    application: Starlette = importlib.import_module(f"examples.web.{request.param}").app
    return application


async def test_an_order_is_placed_once(app: Starlette):
    """Asked again with the same key the run is the same; what comes of it has the types of the workflow."""
    async with served(app) as client:
        placed = [await client.post("/orders", json=TEA, headers=KEY) for _ in range(2)]
        parcel = await client.get("/orders/A1/parcel")
        steps = await client.get("/orders/A1")

    assert [(202, {"id": "A1"})] * 2 == [(each.status_code, each.json()) for each in placed]
    assert {"receipt": {"number": "A1/charge", "amount": "9.00"}, "days": 3} == parcel.json()
    assert {"price": "completed", "charge": "completed", "ship": "completed"} == steps.json()


async def test_what_is_wrong_is_told(app: Starlette):
    """With its status, and in words: no such run, a body that its model refuses, a bad key, a run that failed."""
    with override(Fulfilment.charge, NonRetryable("the card is stolen")):
        async with served(app) as client:
            answers = [
                await client.get("/orders/A2"),
                await client.post("/orders", json={"item": "", "quantity": 2}),
                await client.post("/orders", json=TEA, headers={"Idempotency-Key": "A" * 300}),
            ]
            await client.post("/orders", json=TEA, headers=KEY)
            answers.append(await client.get("/orders/A1/parcel"))

    assert [404, 422, 400, 409] == [answer.status_code for answer in answers]
    words = ["no run 'A2'", "at least 1 character", "run_id", "the card is stolen"]
    assert [word for word, answer in zip(words, answers, strict=True) if word not in answer.text] == []


def test_a_script_does_the_same(capsys: pytest.CaptureFixture[str]):
    """It starts a run and waits for it."""
    parcel = script.main("tea", "3", "memory:")

    assert Parcel(receipt=Receipt(number=parcel.receipt.number, amount=Decimal("13.50")), days=3) == parcel
    assert capsys.readouterr().out.splitlines()[-1] == "paid 13.50, arrives in 3 days"


def test_an_order_survives_crashes():
    """Models of pydantic, the input and all outputs, are the same after each death."""
    report = crash_everywhere(Fulfilment(order=Order(item="tea")), patience="60s")

    assert not report.problems
