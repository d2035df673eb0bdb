"""
A batch: one run per item, at most ten steps at a time, and one bad item does not stop the others.

Each run has an id of its own that derives from the item, so a batch that was cut short can be started again.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from orchwf import Orchestrator, Retry, step, workflow

VALUES = [*(10 * n for n in range(1, 51)), -1]


@frozen
class Batch:
    """How many runs ended how, and the sum of what the completed ones gave."""

    ended: dict[str, int]
    total: Decimal


@workflow
class Item:
    """One value: checked, then raised by a tenth."""

    value: int

    @step(retries=Retry(1, initial=0.01))
    async def check(self) -> int:
        if self.value < 0:
            raise ValueError(f"{self.value} is negative")
        return self.value

    @step
    async def raised(self, value: int = check.result) -> Decimal:
        return value * Decimal("1.1")


async def process(values: Iterable[int], store: str) -> Batch:
    async with Orchestrator(store, workflows=[Item], max_concurrency=10) as orchestrator:
        runs = [
            await orchestrator.start(Item(value=value), run_id=f"item-{value}", on_duplicate="attach")
            for value in values
        ]
        results = [await run.wait() for run in runs]
    good = [result for result in results if result.status == "completed"]
    ended = Counter(result.status.value for result in results)
    return Batch(dict(ended), sum((result[Item.raised] for result in good), Decimal()))


def main(store: str = "memory:") -> Batch:
    batch = asyncio.run(process(VALUES, store))
    print(f"{batch.ended}, total {batch.total:.2f}")
    return batch


if __name__ == "__main__":
    main()
