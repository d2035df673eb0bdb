"""
A report of every night: a run of its own for each region, two at a time, and one report of all.

A region that fails is missing in the report. If two do, the report fails, and `orchwf resume` reads those two again.
While the books are read they are closed, and whatever comes between, a failure, a cancellation or a crash, they are
opened again: that is what `join="settled"` is for.

`python examples/nightly_report.py` reports on one night.
"""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from signal import SIGINT, SIGTERM

from attrs import field, frozen

from orchwf import Orchestrator, Retry, StepContext, step, subflow, workflow


@frozen
class Books:
    """What was sold in each region. Nobody can write there while there are readers: runs for which it is closed."""

    sales: dict[str, list[Decimal]]
    readers: set[str] = field(factory=set)


BOOKS = Books({"north": [Decimal(12), Decimal("7.5")], "south": [Decimal(30)], "east": [], "west": [Decimal(-3)]})


@frozen
class Summary:
    """A region and its turnover."""

    region: str
    sales: int
    turnover: Decimal


@workflow
class RegionOfANight:
    """What one region sold."""

    region: str
    night: date

    @step(retries=Retry(3, initial=0.01, retry_on=ConnectionError), timeout="1m")
    async def load(self, *, ctx: StepContext) -> list[Decimal]:
        """The line to the south is bad: the first call is always lost."""
        if self.region == "south" and ctx.attempt == 1:
            raise ConnectionError("no answer from the south")
        return BOOKS.sales[self.region]

    @step
    def check(self, sales: list[Decimal] = load.result) -> list[Decimal]:
        if any(amount < 0 for amount in sales):
            raise ValueError(f"{self.region} sold something for {min(sales)}")
        return sales

    @step
    def sum_up(self, sales: list[Decimal] = check.result) -> Summary:
        return Summary(self.region, len(sales), sum(sales, Decimal()))


@workflow
class NightlyReport:
    """What all regions sold in a night; one of them may be missing."""

    night: date | None = None

    @step
    def pick_night(self, *, ctx: StepContext) -> date:
        """The night that was asked for, or the one before the time for which a schedule began the run."""
        if self.night is not None:
            return self.night
        return datetime.fromisoformat(str(ctx.metadata["scheduled_for"])).date() - timedelta(days=1)

    @step
    def close_books(self, *, ctx: StepContext) -> list[str]:
        """The regions that there are."""
        BOOKS.readers.add(ctx.run_id)
        return sorted(BOOKS.sales)

    @subflow(max_parallel=2, tolerate=1)
    def region(self, name: str = close_books.each, night: date = pick_night.result) -> RegionOfANight:
        return RegionOfANight(region=name, night=night)

    @step
    def report(
        self,
        night: date = pick_night.result,
        regions: list[str] = close_books.result,
        summaries: Sequence[Summary | None] = region[RegionOfANight.sum_up].all,
    ) -> str:
        lines = [
            f"{name}: {summary.turnover} by {summary.sales} sales" if summary else f"{name}: missing"
            for name, summary in zip(regions, summaries, strict=True)
        ]
        total = sum((summary.turnover for summary in summaries if summary), Decimal())
        return "\n".join([f"{night}: {total}", *lines])

    @step(depends_on=report, join="settled")
    def open_books(self, *, ctx: StepContext) -> None:
        BOOKS.readers.discard(ctx.run_id)


async def report_on(night: date, store: str) -> str:
    async with Orchestrator(store, workflows=[NightlyReport]) as orchestrator:
        result = await orchestrator.run(NightlyReport(night=night), run_id=f"report-{night}")
        for run in await orchestrator.list_runs(workflow=RegionOfANight, status="failed"):
            print(f"{run.id}: {run.error}")
    return result[NightlyReport.report]


async def serve(store: str) -> None:
    """Report on each night at six in the morning, in as many processes as run this, until one gets SIGTERM."""
    async with Orchestrator(store, workflows=[NightlyReport], stop_on=[SIGTERM, SIGINT]) as orchestrator:
        await orchestrator.schedule(NightlyReport(), cron="0 6 * * *", tz="Europe/Berlin", catchup="12h")
        await orchestrator.until_closed()


def main(store: str = "memory:") -> str:
    report = asyncio.run(report_on(date(2026, 11, 26), store))
    print(report)
    return report


if __name__ == "__main__":
    main()
