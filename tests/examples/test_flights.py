"""The figures of the flights example are those that other programs computed from the same tables."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import orchwf
from examples.flights import Flights, main, read_table, trouble
from orchwf import Orchestrator, RunResult, StepContext
from orchwf.core.events import StepStarted

FACTS = json.loads((Path(__file__).parent / "facts_2013_01_01_07.json").read_text())
"""Computed from the tables without orchwf."""


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> RunResult[Flights]:
    """One run over the week; what it gave is looked at by several tests."""
    folder = tmp_path_factory.mktemp("flights")
    return orchwf.run(Flights(report_to=folder / "report.md"), store=f"sqlite:///{folder / 'runs.db'}")


def check_figures(result: RunResult[Flights], facts: Mapping[str, Any]) -> None:
    """Assert that every figure that the steps computed is the one of the facts."""
    flights, rain = facts["flights"], facts["flights"]["rain join (distinct weather key, complete flights)"]
    checked = result[Flights.check]
    reasons = Counter(row.trouble for row in checked.quarantined)

    assert len(checked.rows) == flights["rows"]
    assert len(checked.flown) == flights["complete rows (dep_delay, arr_delay, air_time all present)"]
    assert reasons["cancelled"] == flights["cancelled (dep_time missing)"]
    assert reasons["never arrived"] == flights["departed but no arr_time"]
    assert reasons["no delay known"] == flights["arr_time present but arr_delay missing (diverted/odd)"]
    assert sum(row.dep_delay for row in checked.flown) == flights["sum dep_delay over complete rows"]
    assert sum(row.arr_delay for row in checked.flown) == flights["sum arr_delay over complete rows"]
    assert sum(row.distance for row in checked.flown) == flights["sum distance over complete rows"]
    assert max(row.dep_delay for row in checked.flown) == flights["max dep_delay"]
    assert Counter(row.origin for row in checked.rows) == flights["per_origin"]
    assert {
        code: {
            "flights": carrier.scheduled,
            "cancelled": carrier.cancelled,
            "complete": carrier.flown,
            "sum_arr_delay": carrier.sum_arr_delay,
            "mean_arr_delay": round(carrier.mean_arr_delay, 6),
            "late_over_15": carrier.late,
        }
        for code, carrier in result[Flights.carriers].items()
    } == flights["per_carrier"]
    assert [list(route) for route in result[Flights.routes].busiest] == flights["top10_routes"]
    assert result[Flights.routes].unknown == flights["dest not in airports"]
    assert result[Flights.untraceable] == flights["tailnum present but not in planes"]
    joined = result[Flights.rain]
    assert (joined.wet, joined.dry) == (rain["wet"], rain["dry"])
    assert joined.unmatched == flights["no weather row for (origin, hour)"]
    assert (joined.sum_dep_delay_wet, joined.sum_dep_delay_dry) == (
        rain["sum_dep_delay_wet"],
        rain["sum_dep_delay_dry"],
    )
    assert len(result[Flights.weather]) == facts["weather"]["rows"]


def test_figures_of_the_week(week: RunResult[Flights]):
    """Every figure of the week is right."""
    check_figures(week, FACTS)


def test_report_says_what_was_found(week: RunResult[Flights]):
    """The report that is returned is the one that was written, and holds the figures."""
    report = week[Flights.report]

    assert "6,043 of 6,099 flights" in report
    assert "It never rained, and still they left 9.2 minutes late on average." in report
    assert "| JetBlue Airways | 1107 | 1 | 303 | 7.4 |" in report
    assert "- Busiest: JFK-LAX 219, LGA-ATL 197, JFK-SFO 159" in report
    assert "- Not in the tables: 979 aircraft; airports" in report


def test_weather_is_retried(week: RunResult[Flights]):
    """The first call of the weather service is lost, and the second attempt succeeds."""
    attempts = week.steps["weather"].attempts

    assert [attempt.status for attempt in attempts] == ["retrying", "completed"]
    assert attempts[0].error is not None
    assert attempts[0].error.headline == "ConnectionError: the weather service hung up"


def test_notice_is_not_missed(week: RunResult[Flights]):
    """The optional step fails for want of its file, and the run completes."""
    assert week.status == "completed"
    assert week.steps["notice"].status == "failed"


def test_one_branch_runs(week: RunResult[Flights]):
    """In a dry week one verdict is given and the other one is skipped, with the reason."""
    assert week[Flights.assess] == "dry"
    assert week.steps["acquit_rain"].status == "completed"
    assert week.steps["blame_rain"].status == "skipped"
    assert "wet" in week.steps["blame_rain"].reason


@pytest.mark.slow
def test_figures_of_the_month(shared_data: Path, tmp_path: Path):
    """Over the whole of January, when it rained, every figure is right, and the other branch runs."""
    folder = shared_data / "etl" / "nycflights13"
    facts = json.loads((folder / "facts_2013_01.json").read_text())

    result = orchwf.run(Flights(data=folder, report_to=tmp_path / "report.md"), store="memory:")

    check_figures(result, facts)
    assert result.steps["acquit_rain"].status == "skipped"
    assert "In the rain they left 18.2 minutes late on average, in dry hours 9.5." in result[Flights.report]


def test_notice_tops_the_report(tmp_path: Path):
    """What the newsroom left is on top of the report."""
    data = tmp_path / "data"
    shutil.copytree(Flights().data, data)
    (data / "notice.txt").write_text("Happy New Year!\n")

    result = orchwf.run(Flights(data=data, report_to=tmp_path / "report.md"), store="memory:")

    assert result[Flights.report].startswith("# Flights from New York\n\nHappy New Year!\n")


async def test_failed_run_goes_on_where_it_was(tmp_path: Path):
    """A report that could not be written is written by a resume, and none of the other steps runs again."""
    folder = tmp_path / "not yet there"
    async with Orchestrator("memory:", workflows=[Flights]) as orchestrator:
        run = await orchestrator.start(Flights(report_to=folder / "report.md"))
        failed = await run.wait()
        folder.mkdir()
        resumed = await (await orchestrator.resume(run.id)).result()
        events = [event async for event in run.events()]

    assert failed.steps["report"].status == "failed"
    assert resumed[Flights.report] == (folder / "report.md").read_text()
    after = events[1 + [event.kind for event in events].index("run.resumed") :]
    assert [event.step for event in after if isinstance(event, StepStarted)] == ["report"]


def test_bodies_are_plain_functions():
    """A step of an instance is called like any other function, for tests of it alone."""
    flights = Flights()

    inches = asyncio.run(flights.weather(ctx=StepContext(run_id="test", step="weather", attempt=2)))
    checked = flights.check()

    assert len(inches) == 498
    assert flights.rain(checked, inches).dry == 5991


def test_rows_know_what_is_wrong_with_them():
    """Of the first row nothing is wrong; without an arrival it cannot be counted."""
    first = read_table(Flights().data, "flights*")[0]

    assert trouble(first) == ""
    assert trouble({**first, "air_time": "NA"}) == "no delay known"


def test_script_tells_where_to_look_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The script prints the report and the commands that show its run."""
    report = tmp_path / "report.md"

    main(["--store", f"sqlite:///{tmp_path / 'runs.db'}", "--run-id", "week-1", "--report", str(report), "--slow", "0"])

    printed = capsys.readouterr().out
    assert report.read_text() in printed
    assert "orchwf show week-1" in printed
    assert "orchwf graph week-1" in printed
