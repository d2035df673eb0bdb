"""A report of all regions, each of which is a run of its own; the books are open again, however it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples import nightly_report
from examples.nightly_report import BOOKS, NightlyReport, RegionOfANight, Summary
from orchwf import Orchestrator, RunResult, RunStatus
from orchwf.testing import TestOrchestrator, crash_everywhere, override

NIGHT = date(2026, 11, 26)
REPORT = """\
2026-11-26: 49.5
east: 0 by 0 sales
north: 19.5 by 2 sales
south: 30 by 1 sales
west: missing"""


@pytest.fixture(autouse=True)
def _open_books() -> Iterator[None]:
    """No test leaves the books closed."""
    yield
    left = set(BOOKS.readers)
    BOOKS.readers.clear()
    assert left == set()


@pytest.fixture
async def orchestrator() -> AsyncIterator[TestOrchestrator]:
    async with TestOrchestrator(workflows=[NightlyReport]) as orchestrator:
        yield orchestrator


async def test_a_region_may_be_missing(orchestrator: TestOrchestrator):
    """The report says so, and the run of that region says why."""
    run = await orchestrator.start(NightlyReport(night=NIGHT), run_id="n")
    result = await run.result()
    west = await (await orchestrator.get("n/region/3")).wait()

    assert result[NightlyReport.report] == REPORT
    assert west.status == "failed"
    assert west.error == "ValueError: west sold something for -3"


async def test_each_region_is_a_run(orchestrator: TestOrchestrator):
    """With a name, inputs, outputs and a parent of its own."""
    await orchestrator.run(NightlyReport(night=NIGHT), run_id="n")
    runs = await orchestrator.list_runs(workflow=RegionOfANight)
    south = await (await orchestrator.get("n/region/2")).result()

    assert {run.id: str(run.status) for run in runs} == {
        "n/region/0": "completed",
        "n/region/1": "completed",
        "n/region/2": "completed",
        "n/region/3": "failed",
    }
    assert south.outputs["sum_up"] == Summary("south", 1, Decimal(30))
    assert south.steps["load"].attempt == 2


async def test_two_regions_are_read_at_once(orchestrator: TestOrchestrator):
    """And no more: the third begins when one of the first two has ended."""
    at_once, most = 0, 0

    async def load(self: RegionOfANight) -> list[Decimal]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return []

    with override(RegionOfANight.load, load):
        await orchestrator.run(NightlyReport(night=NIGHT))

    assert most == 2


async def test_two_missing_regions_are_too_many(orchestrator: TestOrchestrator):
    """Then the report fails; the books are opened all the same, and after a resume only those two are read again."""
    read: list[str] = []

    async def lost(self: RegionOfANight) -> list[Decimal]:
        read.append(self.region)
        if self.region in ("north", "west"):
            raise OSError("the disk is full")
        return [Decimal(1)]

    async def mended(self: RegionOfANight) -> list[Decimal]:
        read.append(self.region)
        return [Decimal(2)]

    with override(RegionOfANight.load, lost):
        failed = await (await orchestrator.start(NightlyReport(night=NIGHT), run_id="n")).wait()
    readers, first = set(BOOKS.readers), sorted(read)
    read.clear()
    with override(RegionOfANight.load, mended):
        resumed = await (await orchestrator.resume("n")).result()

    assert failed.status == "failed"
    assert failed.steps["open_books"].status == "completed"
    assert (readers, first) == (set(), ["east", "north", "south", "west"])
    assert sorted(read) == ["north", "west"]
    assert resumed[NightlyReport.report].splitlines()[1:] == [
        "east: 1 by 1 sales",
        "north: 2 by 1 sales",
        "south: 1 by 1 sales",
        "west: 2 by 1 sales",
    ]


async def test_a_cancelled_report_opens_the_books(orchestrator: TestOrchestrator):
    """The runs of the regions are cancelled with it."""
    reading = asyncio.Event()

    async def load(self: RegionOfANight) -> list[Decimal]:
        reading.set()
        await asyncio.Event().wait()
        return []

    with override(RegionOfANight.load, load):
        run = await orchestrator.start(NightlyReport(night=NIGHT), run_id="n")
        await reading.wait()
        await run.cancel("not tonight")
        result = await run.wait()
        east = await (await orchestrator.get("n/region/0")).wait()

    assert (result.status, result.error) == ("cancelled", "not tonight")
    assert result.steps["open_books"].status == "completed"
    assert east.status == "cancelled"


async def test_a_schedule_says_which_night(orchestrator: TestOrchestrator):
    """A run that begins at six is for the night before, whenever it really begins."""
    metadata = {"scheduled_for": "2026-11-27T06:00:00+01:00"}

    result = await orchestrator.run(NightlyReport(), metadata=metadata)

    assert result[NightlyReport.pick_night] == NIGHT
    assert result[NightlyReport.report] == REPORT


def is_reported(result: RunResult[Any]) -> bool:
    return bool(result[NightlyReport.report] == REPORT) and not BOOKS.readers


@pytest.mark.slow
def test_the_report_survives_crashes():
    """Wherever the process dies, in the report or in a region, both come to their ends, and the books are open."""
    report = crash_everywhere(NightlyReport(night=NIGHT), reset=BOOKS.readers.clear, check=is_reported)

    assert any("in run 'crash-everywhere/region/2'" in death for death in report.deaths)
    assert len(report.deaths) > 80


async def test_a_report_goes_on_in_another_process(tmp_path: Path):
    """With the regions that were not done yet."""
    store, reading = f"sqlite:///{tmp_path / 'runs.db'}", asyncio.Event()

    async def stuck(self: RegionOfANight) -> list[Decimal]:
        if self.region == "south":
            reading.set()
            await asyncio.Event().wait()
        return BOOKS.sales[self.region]

    with override(RegionOfANight.load, stuck):
        async with Orchestrator(store, workflows=[NightlyReport], grace=0) as first:
            await first.start(NightlyReport(night=NIGHT), run_id="n")
            await reading.wait()
    async with Orchestrator(store, workflows=[NightlyReport]) as second:
        run = await second.get("n")
        assert await run.status() is RunStatus.RUNNING
        result = await run.result()

    assert result.outputs["report"] == REPORT


def test_the_script_reports(capsys: pytest.CaptureFixture[str]):
    """What is missing, why, and the report."""
    nightly_report.main()

    assert capsys.readouterr().out.splitlines() == [
        "report-2026-11-26/region/3: ValueError: west sold something for -3",
        *REPORT.splitlines(),
    ]
