"""
Measures orchwf beside sqlite3 alone and beside its peers, in one run, and prints tables of ratios.

All rounds go through everything once, so that a slow minute of the machine hits all alike; each figure is made by a
process of its own. What takes minutes is measured in the first round only. Every result of the four shapes is verified:
the durable rows are counted through another connection.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .catalogue import CONTENDERS, GAPS, MEASURES, SIZES
from .machine import machine
from .rounds import Plan, Results, run_all
from .table import markdown, text
from .tables import tables_of


def arguments() -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how many; 3 unless given")
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help="only these contenders, shapes or measures")
    parser.add_argument("--no-peers", action="store_true", help="without DBOS, LangGraph and Prefect")
    parser.add_argument("--quick", action="store_true", help="one round with sizes of a tenth, to try things out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    given = parser.parse_args()
    names = {*SIZES, *MEASURES}.union(*({each.name, each.module, each.peer} for each in CONTENDERS)) - {""}
    given.only = frozenset(filter(None, given.only.split(",")))
    if unknown := given.only - names:
        parser.error(f"--only {', '.join(sorted(unknown))}: there are {', '.join(sorted(names))}")
    return given


def write_json(file: Path, head: dict[str, str], results: Results) -> None:
    """Everything that was measured."""
    found = {
        "machine": head,
        "shapes": [
            {"shape": shape, "contender": contender, "measured": measured}
            for (shape, contender), measured in results.shapes.items()
        ],
        "rows": {name: [asdict(row) for row in rows] for name, rows in results.rows.items()},
        "gaps": [asdict(gap) for gap in results.gaps.values()],
    }
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is asked for."""
    given = arguments()
    began, head = time.monotonic(), machine()
    rounds = 1 if given.quick else given.rounds
    plan = Plan(rounds=rounds, only=given.only, is_quick=given.quick, has_peers=not given.no_peers)
    results = run_all(plan)
    for gap in GAPS:
        results.add_gap(gap)
    head["rounds"] = f"{rounds}{' of a tenth of the sizes' if given.quick else ''}, {time.monotonic() - began:.0f} s"
    if given.json:
        write_json(given.json, head, results)
    tables = tables_of(head, results)
    if given.markdown:
        given.markdown.write_text(markdown(tables), encoding="utf-8")
    sys.stdout.write(text(tables))


if __name__ == "__main__":
    main()
