"""
Predicts what many workers on one PostgreSQL do, or on several, of costs that `python -m benchmarks.scale --json FILE`
measured: first what was measured, with the error of the prediction beside it, then what nobody has measured.

It simulates, and looks at no clock: the same file gives the same tables. What is simulated is said in
`benchmarks/scale/model.py`.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from .scale.costs import Costs, MissingError, costs_of, read_figures
from .scale.executing import PROCESSES
from .scale.model import Prediction, System, simulate
from .scale.names import LATE, MEDIAN, STEPS, executed
from .scale.page import PREDICTED, PRELIMINARY, SMALL, write
from .scale.working import LANES
from .table import Table, markdown, number, text

COSTS = {
    "answer": "an answer of the server, on its machine",
    "sync": "a sync of the server's log",
    "stall": "a transaction: beyond all that is known",
    "worker_call": "a transaction: CPU of the worker",
    "server_call": "a transaction: CPU of the server",
    "worker_step": "a step: CPU of the worker",
    "server_step": "a step: CPU of the server",
    "server_look": "a look by the clock: CPU of the server",
}
Cells = Sequence[str]


def arguments() -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="what benchmarks.scale --json wrote")
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1_000], metavar="N")
    parser.add_argument("--durations", type=float, nargs="+", default=[0.0, 0.01, 1.0, 60.0], metavar="SECONDS")
    parser.add_argument("--databases", type=int, default=4, metavar="N", help="how many, beside one; 4 unless given")
    parser.add_argument("--lanes", type=int, default=16, metavar="N", help="steps under way in each worker; 16")
    parser.add_argument("--cores", type=int, default=8, metavar="N", help="of each server; 8 unless given")
    parser.add_argument("--connections", type=int, default=100, metavar="N", help="of each server; 100 unless given")
    parser.add_argument("--network", type=float, default=0.5, metavar="MS", help="to the server and back; 0.5")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    return parser.parse_args()


def costs_table(costs: Costs) -> Table:
    """What everything is made of."""
    values = asdict(costs)
    rows = [(name, number(values[field] * 1e6), "us") for field, name in COSTS.items()]
    looks = (costs.reads + costs.writes) * 60
    rows += [("looks by the clock, of each worker", number(looks), "a minute")]
    rows += [("connections of each worker", number(costs.connections), "")]
    return Table("Costs, as they follow from what was measured", ("cost", "value", "unit"), rows)


def checks(costs: Costs, figures: Mapping[str, float], cores: int) -> Iterator[Cells]:
    """What was measured on one machine, beside what is predicted for it."""
    for processes in PROCESSES:
        system = System(workers=processes, lanes=LANES, shared_cores=cores, connections=1_000)
        found = simulate(costs, system)
        for figure, value, unit in (
            (STEPS, found.rate, "a second"), (MEDIAN, found.median * 1e3, "ms"), (LATE, found.late * 1e3, "ms"),
        ):  # fmt: skip
            name = executed(processes, figure)
            if name in figures:
                error = f"{(value / figures[name] - 1) * 100:+.0f} %"
                yield name, number(figures[name]), number(value), unit, error


def predictions(costs: Costs, given: argparse.Namespace) -> Iterator[Cells]:
    """What is predicted, with one database and with several."""
    for duration in given.durations:
        for workers in given.workers:
            system = System(
                workers=workers, lanes=given.lanes, duration=duration, cores=given.cores,
                connections=given.connections,
            )  # fmt: skip
            cells = [_duration(duration), f"{workers:,}"]
            for databases in (1, given.databases):
                cells += _cells(simulate(costs, replace(system, databases=databases)), duration)
            yield cells


def _cells(found: Prediction, duration: float) -> list[str]:
    bound = "the wait for commits" if found.median > duration else "the bodies"
    return [number(found.rate), number(found.late * 1e3), found.saturated or bound]


def _duration(seconds: float) -> str:
    if not seconds:
        return "nothing"
    return f"{seconds * 1e3:g} ms" if seconds < 1 else f"{seconds:g} s"


def tables_of(given: argparse.Namespace, head: Mapping[str, str], figures: Mapping[str, float]) -> list[Table]:
    """All tables."""
    costs = costs_of(figures)
    far = replace(costs, answer=max(costs.answer, given.network / 1e3))
    many = f"{given.databases} databases"
    columns = (
        "body", "workers", "steps/s", "p99 ms", "bound by", f"{many}: steps/s", "p99 ms", "bound by",
    )  # fmt: skip
    return [
        costs_table(costs),
        Table(
            f"The prediction beside what was measured: one machine of {head['cores']} cores, the server on it",
            ("figure", "measured", "predicted", "unit", "error"),
            list(checks(costs, figures, int(head["cores"]))),
        ),
        Table(
            f"Predicted: {given.lanes} steps under way in each worker, servers of {given.cores} cores and "
            f"{given.connections} connections, {given.network:g} ms away",
            columns,
            list(predictions(far, given)),
        ),
    ]


def main() -> None:
    """Print the tables."""
    given = arguments()
    try:
        head, figures = read_figures(given.file)
        tables = tables_of(given, head, figures)
    except (MissingError, OSError) as error:
        sys.exit(f"benchmarks.predict: {error}")
    if given.write:
        write(PREDICTED, f"{PRELIMINARY * (SMALL in head['rounds'])}{markdown(tables)}")
    sys.stdout.write(text(tables))


if __name__ == "__main__":
    main()
