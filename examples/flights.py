"""
A week of flights from New York: from five dirty tables to one report.

Reads the tables of `examples/data`, puts aside the rows that cannot be counted, joins the rest with carriers, airports,
aircraft and weather, and writes `flights-report.md`. On the way one step fails and is retried, one fails and is not
missed, and of two branches one runs. Kill it at any moment, resume it, and nothing that was done is done again.
"""

import argparse
import asyncio
import csv
import gzip
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

import orchwf
from orchwf import Retry, StepContext, step, workflow

MISSING = "NA"


@frozen
class Flight:
    """A row of the table; `trouble` says why it cannot be counted. Delays are in minutes, 0 if nobody knows."""

    line: int
    carrier: str
    origin: str
    dest: str
    tail: str
    hour: str
    distance: int
    dep_delay: int
    arr_delay: int
    trouble: str


@frozen
class Checked:
    """The flights that took off and landed as planned, and those put aside."""

    flown: list[Flight]
    quarantined: list[Flight]

    @property
    def rows(self) -> list[Flight]:
        return [*self.flown, *self.quarantined]


@frozen
class Carrier:
    """How one carrier did; `late` is more than 15 minutes."""

    name: str
    scheduled: int
    cancelled: int
    flown: int
    sum_arr_delay: int
    late: int

    @property
    def mean_arr_delay(self) -> float:
        return self.sum_arr_delay / self.flown if self.flown else 0.0


@frozen
class Routes:
    """The ten busiest, and how many flights went to airports that the table of airports lacks."""

    busiest: list[tuple[str, int]]
    unknown: dict[str, int]


@frozen
class Rain:
    """Flights and the minutes they left late, in wet and in dry hours; `unmatched` ones have no weather."""

    wet: int
    dry: int
    unmatched: int
    sum_dep_delay_wet: int
    sum_dep_delay_dry: int


@workflow
class Flights:
    """What became of a week of flights, and whether the rain was to blame."""

    data: Path = Path(__file__).resolve().parent / "data"
    report_to: Path = Path("flights-report.md")
    slow: float = 0.0

    def table(self, pattern: str) -> list[dict[str, str]]:
        """The rows of a table, after a pause for those who want to kill the run in the middle."""
        time.sleep(self.slow)
        return read_table(self.data, pattern)

    @step
    def check(self) -> Checked:
        """Sort the rows into flights and quarantine."""
        rows = [flight(line, row) for line, row in enumerate(self.table("flights*"), 2)]
        return Checked([row for row in rows if not row.trouble], [row for row in rows if row.trouble])

    @step(retries=Retry(3, initial=0.05), timeout="30s")
    async def weather(self, *, ctx: StepContext) -> dict[str, float]:
        """Inches of rain by airport and hour. The first call is always lost, as calls to services sometimes are."""
        await asyncio.sleep(self.slow)
        if ctx.attempt == 1:
            raise ConnectionError("the weather service hung up")
        rows = read_table(self.data, "weather*")
        return {f"{row['origin']} {row['time_hour']}": float(row["precip"]) for row in rows}

    @step(required=False)
    def notice(self) -> str:
        """What the newsroom wants on top, if it left a note; mostly it did not."""
        return (self.data / "notice.txt").read_text().strip()

    @step
    def carriers(self, checked: Checked = check.result) -> dict[str, Carrier]:
        """Flights, cancellations and delays of each carrier, by its code."""
        names = {row["carrier"]: row["name"] for row in self.table("airlines*")}
        scheduled = Counter(row.carrier for row in checked.rows)
        cancelled = Counter(row.carrier for row in checked.quarantined if row.trouble == "cancelled")
        found = {}
        for code, flights in scheduled.items():
            delays = [flown.arr_delay for flown in checked.flown if flown.carrier == code]
            late = sum(delay > 15 for delay in delays)
            found[code] = Carrier(names.get(code, code), flights, cancelled[code], len(delays), sum(delays), late)
        return found

    @step
    def routes(self, checked: Checked = check.result) -> Routes:
        """Where the flights went."""
        airports = {row["faa"] for row in self.table("airports*")}
        flights = Counter(f"{row.origin}-{row.dest}" for row in checked.rows)
        unknown = Counter(row.dest for row in checked.rows if row.dest not in airports)
        return Routes(sorted(flights.items(), key=lambda item: (-item[1], item[0]))[:10], dict(unknown))

    @step
    def untraceable(self, checked: Checked = check.result) -> int:
        """How many rows name an aircraft that the register does not have."""
        register = {row["tailnum"] for row in self.table("planes*")}
        return sum(row.tail not in register and row.tail != MISSING for row in checked.rows)

    @step
    def rain(self, checked: Checked = check.result, inches: dict[str, float] = weather.result) -> Rain:
        """Join each flight with the weather of its hour."""
        fallen = [(inches.get(f"{flown.origin} {flown.hour}"), flown.dep_delay) for flown in checked.flown]
        wet = [delay for amount, delay in fallen if amount]
        dry = [delay for amount, delay in fallen if amount == 0]
        return Rain(len(wet), len(dry), len(fallen) - len(wet) - len(dry), sum(wet), sum(dry))

    @step
    def assess(self, rain: Rain) -> Literal["wet", "dry"]:
        """Whether it rained on anyone."""
        return "wet" if rain.wet else "dry"

    @step(when=assess.is_("wet"))
    def blame_rain(self, rain: Rain) -> str:
        wet, dry = rain.sum_dep_delay_wet / rain.wet, rain.sum_dep_delay_dry / rain.dry
        return f"In the rain they left {wet:.1f} minutes late on average, in dry hours {dry:.1f}."

    @step(when=assess.is_("dry"))
    def acquit_rain(self, rain: Rain) -> str:
        return f"It never rained, and still they left {rain.sum_dep_delay_dry / rain.dry:.1f} minutes late on average."

    @step
    async def report(
        self,
        checked: Checked = check.result,
        carriers: dict[str, Carrier] = carriers.result,
        routes: Routes = routes.result,
        untraceable: int = untraceable.result,
        verdict: str = (blame_rain | acquit_rain).result,
        notice: str | None = notice.maybe,
    ) -> str:
        """Write it all down, as Markdown."""
        await asyncio.sleep(self.slow)
        ranking = sorted(carriers.values(), key=lambda carrier: -carrier.scheduled)
        table = "\n".join(
            f"| {c.name} | {c.scheduled} | {c.cancelled} | {c.late} | {c.mean_arr_delay:.1f} |" for c in ranking
        )
        text = f"""\
# Flights from New York

{notice or "A week in January."}

{len(checked.flown):,} of {len(checked.rows):,} flights took off and landed as planned. {verdict}

| carrier | flights | cancelled | over 15 min late | mean delay |
|:---|---:|---:|---:|---:|
{table}

- Busiest: {counted(routes.busiest[:3])}
- Put aside: {counted(Counter(row.trouble for row in checked.quarantined).items())}
- Not in the tables: {untraceable} aircraft; airports {counted(routes.unknown.items())}
"""
        self.report_to.write_text(text)
        return text


def read_table(folder: Path, pattern: str) -> list[dict[str, str]]:
    """The rows of the one table whose file matches, plain or gzipped."""
    (path,) = folder.glob(pattern)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return list(csv.DictReader(lines))


def trouble(row: dict[str, str]) -> str:
    """Why a flight cannot be counted; empty if it can."""
    if row["dep_time"] == MISSING:
        return "cancelled"
    if row["arr_time"] == MISSING:
        return "never arrived"
    return "no delay known" if MISSING in (row["dep_delay"], row["arr_delay"], row["air_time"]) else ""


def flight(line: int, row: dict[str, str]) -> Flight:
    names = row["carrier"], row["origin"], row["dest"], row["tailnum"], row["time_hour"]
    left, came = (0 if row[delay] == MISSING else int(row[delay]) for delay in ("dep_delay", "arr_delay"))
    return Flight(line, *names, int(row["distance"]), left, came, trouble(row))


def counted(items: Iterable[tuple[str, int]]) -> str:
    """`a 3, b 1`"""
    return ", ".join(f"{name} {count}" for name, count in items)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A week of flights from New York, as a durable workflow.")
    parser.add_argument("--store", metavar="URL", help="where runs are kept (default: $ORCHWF_STORE, or orchwf.db)")
    parser.add_argument("--run-id", metavar="ID", help="a name for this run")
    parser.add_argument("--report", metavar="FILE", type=Path, default=Path("flights-report.md"))
    parser.add_argument("--slow", metavar="SECONDS", type=float, default=0.0, help="a pause inside the steps")
    options = parser.parse_args(arguments)
    flights = Flights(report_to=options.report.resolve(), slow=options.slow)
    result = orchwf.run(flights, store=options.store, run_id=options.run_id)
    print(result[Flights.report])
    print(f"The report is in {options.report}. Look at the run with")
    print(f"  orchwf show {result.run_id}\n  orchwf graph {result.run_id} --format svg -o flights.svg")


if __name__ == "__main__":
    main()
