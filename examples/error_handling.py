"""
What a failure means is said per step: try again, do without, or fail the run.

`rates` fails twice and is tried again; `advert` never succeeds, but nobody needs it; `invoice` sees what there is.
"""

import orchwf
from orchwf import NonRetryable, Retry, StepContext, step, workflow


class RateLimited(Exception):
    """The bank is busy: worth another attempt."""


@workflow
class Billing:
    """An invoice in euros for an amount in dollars."""

    dollars: float

    @step(retries=Retry(4, initial=0.01, retry_on=RateLimited), timeout="5s")
    async def rates(self, *, ctx: StepContext) -> float:
        """Fails on its first two attempts."""
        if ctx.attempt < 3:
            raise RateLimited(f"attempt {ctx.attempt}: too many requests")
        return 0.9

    @step(required=False, retries=Retry(2, initial=0.01))
    async def advert(self) -> str:
        """Fails on all of its three attempts."""
        raise ConnectionError("the advertising service is down")

    @step(required=False, retries=Retry(5))
    async def voucher(self) -> float:
        """Fails once: it knows that another attempt would be in vain."""
        raise NonRetryable("this customer has no voucher")

    @step
    def invoice(
        self, rate: float = rates.result, advert: str | None = advert.maybe, voucher: float | None = voucher.maybe
    ) -> str:
        return f"{self.dollars * rate - (voucher or 0):.2f} EUR. {advert or 'Thank you.'}"


def main(store: str = "memory:") -> str:
    result = orchwf.run(Billing(dollars=100), store=store)
    print(result[Billing.invoice])
    return result[Billing.invoice]


if __name__ == "__main__":
    main()
