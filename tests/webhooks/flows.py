"""Workflows that others call, or that call others."""

from attrs import frozen

from orchwf import Retry, signal, step, workflow
from orchwf.webhooks import Delivery, Send, SigningSecret, post

SECRET = SigningSecret.generate()
HERE = ["127.0.0.0/8"]


@frozen
class Payment:
    amount: float


@workflow
class Invoice:
    """Waits to be paid."""

    number: str

    paid = signal(Payment)

    @step
    def book(self, paid: Payment) -> str:
        return f"{self.number}: {paid.amount}"


def paid(delivery: Delivery) -> Send:
    """What a bank tells: `{"invoice": "17", "amount": 99.5}`."""
    told = delivery.json()
    return Send(told["invoice"], Invoice.paid, Payment(float(told["amount"])))


@workflow
class Calling:
    """Tells somebody outside of an invoice, and tries again."""

    url: str

    @step(retries=Retry(3, initial="1s", max_interval="1s", jitter=None), timeout="60s")
    async def tell(self) -> str:
        answer = await post(self.url, {"invoice": "17", "amount": 99.5}, secret=SigningSecret(SECRET), networks=HERE)
        return f"{answer.status} {answer.id}"
