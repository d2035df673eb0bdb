"""
Measures what one PostgreSQL holds: on a server of its own, whose commits reach the disk, or on one that is named.

All rounds go through everything once, each measure in a process and a schema of its own; what takes minutes is measured
in the first round only. `python -m benchmarks.predict FILE` makes predictions of what `--json FILE` wrote.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from tests.postgres import NoServerError

from ..machine import machine
from ..rounds import FailedError, in_folder
from ..rows import Gap, Row, parsed
from ..table import Table, markdown, number, text
from ..tables import spread
from .page import MEASURED, PRELIMINARY, SMALL, write
from .server import Server, described, serving

MEASURES = {
    "executing": "Executing: runs of ten steps that do nothing, a hundred under way in each process",
    "appending": "Writing: transactions of events, one after the other",
    "growing": "With a history: what finished runs in the store cost",
    "waking": "Waking: a run is started in one process, and executed in another one",
    "idling": "Idling: what the server is asked while nothing happens",
    "sizing": "Sizes: what is left of each step and each run",
    "probing": "The server itself, without orchwf",
}
"""The modules in this folder -> the titles of their tables."""
ONCE = ("growing", "idling")
PATIENCE = 1_800.0


@dataclass
class Found:
    """
    What came of it.

    Attributes:
        rows: Measure -> the name of a row -> the row, as often as it was measured.
        gaps: What is not there, and why.
    """

    rows: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)


def arguments() -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store", default="", metavar="URL", help="a server, instead of one of our own; schemas are made there"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how many; 3 unless given")
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help=f"of {', '.join(MEASURES)}")
    parser.add_argument(
        "--history", type=int, nargs="+", default=[0, 100_000, 1_000_000], metavar="N", help="numbers of finished runs"
    )
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="how many starts are timed; 200")
    parser.add_argument("--quick", action="store_true", help="one round with small sizes, to try things out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    given = parser.parse_args()
    given.only = frozenset(filter(None, given.only.split(","))) or frozenset(MEASURES)
    if unknown := given.only - MEASURES.keys():
        parser.error(f"--only {', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    return given


def run_measure(given: argparse.Namespace, server: Server, name: str, label: str, found: Found) -> None:
    """Run one measure, and note what it printed."""
    words = [*server.words, "--trials", str(given.trials), "--history", *map(str, given.history)]
    began = time.monotonic()
    try:
        lines = in_folder(
            [sys.executable, "-m", f"benchmarks.scale.{name}", *words, *["--quick"] * given.quick], PATIENCE
        )
    except FailedError as error:
        lines = [*error.lines]
        found.gaps.setdefault(f"the rest of {name}", Gap(f"the rest of {name}", str(error)))
    for item in map(parsed, lines):
        if isinstance(item, Gap):
            found.gaps.setdefault(item.name, item)
        else:
            found.rows.setdefault(name, {}).setdefault(item.name, []).append(item)
    print(f"bench: {label}: {name}, {len(lines)} rows ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


def tables_of(head: dict[str, str], found: Found) -> list[Table]:
    """All tables that have rows."""
    columns = ("measure", "median", "spread", "unit")
    tables = [Table("The machine", ("", "value"), list(head.items()))]
    for name, title in MEASURES.items():
        tables.append(Table(title, columns, [_line(rows) for rows in found.rows.get(name, {}).values()]))
    tables.append(Table("Not measured", ("what", "why"), [(gap.name, gap.reason) for gap in found.gaps.values()]))
    return [table for table in tables if table.rows]


def _line(rows: Sequence[Row]) -> Sequence[str]:
    values = [row.value for row in rows]
    return rows[0].name, number(statistics.median(values)), spread(values), rows[0].unit


def measured(given: argparse.Namespace) -> tuple[dict[str, str], Found]:
    """Of the machine and the server, for the head of the tables; and what was measured on them."""
    began, found = time.monotonic(), Found()
    rounds = 1 if given.quick else given.rounds
    with serving(given.store) as server:
        here = machine()
        head = {name: here[name] for name in ("orchwf", "Python", "cores")} | described(server)
        for round_ in range(1, rounds + 1):
            for name in MEASURES:
                if name in given.only and (round_ == 1 or name not in ONCE):
                    run_measure(given, server, name, f"round {round_}", found)
    return head | {"rounds": f"{rounds}{SMALL * given.quick}, {time.monotonic() - began:.0f} s"}, found


def write_json(file: Path, head: dict[str, str], found: Found) -> None:
    """Everything that was measured."""
    rows = {name: [asdict(each) for each in every] for rows in found.rows.values() for name, every in rows.items()}
    everything = {"machine": head, "rows": rows, "gaps": [asdict(gap) for gap in found.gaps.values()]}
    file.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is asked for."""
    given = arguments()
    try:
        head, found = measured(given)
    except (NoServerError, psycopg.Error) as error:
        sys.exit(f"benchmarks.scale: there is no server to measure: {error}")
    if given.json:
        write_json(given.json, head, found)
    tables = tables_of(head, found)
    if given.write:
        write(MEASURED, f"{PRELIMINARY * given.quick}{markdown(tables)}")
    sys.stdout.write(text(tables))


if __name__ == "__main__":
    main()
