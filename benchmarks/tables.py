"""Which tables are made of the results: medians, the spread from the least to the most, ratios, targets."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .catalogue import CONTENDERS, SIZES
from .rounds import Results
from .rows import Row, is_met
from .table import Table, number
from .targets import TARGETS, Target

NONE = "-"
REFERENCES = ("raw FULL", "raw NORMAL", "DBOS as shipped", "DBOS with WAL", "LangGraph", "Prefect")
FIGURES = {"rate": "steps/s", "cpu": "CPU us/step", "wall": "us/step"}

Measured = Mapping[str, Any]
"""What a contender printed."""


def tables_of(head: Mapping[str, str], results: Results) -> list[Table]:
    """All tables that have rows."""
    tables = [
        Table("The machine", ("", "value"), list(head.items())),
        Table(
            "Contenders: what is durable, and how",
            ("contender", "version", "journal mode", "synchronous"),
            list(_contenders(results)),
        ),
        Table(
            "The four shapes: steps that do nothing, medians (from least to most)",
            ("shape", "contender", "steps", "steps/s", "spread", "CPU us/step"),
            list(_shapes(results)),
        ),
        Table(
            "How many times as fast: medians of the ratios of each round",
            ("shape", "contender", *(f"/ {name}" for name in REFERENCES)),
            list(_ratios(results)),
        ),
        Table(
            "Targets of the four shapes",
            ("shape", "figure", "median", "spread", "target", "met"),
            list(_targets(results)),
        ),
        Table(
            "Measures",
            ("measure", "median", "spread", "unit", "reference", "its median", "ratio", "spread", "target", "met"),
            [_measure(rows) for rows in results.rows.values()],
        ),
        Table("Not measured", ("what", "why"), [(gap.name, gap.reason) for gap in results.gaps.values()]),
    ]
    return [table for table in tables if table.rows]


def _contenders(results: Results) -> Iterator[Sequence[str]]:
    for contender in CONTENDERS:
        found = [each for (_, name), many in results.shapes.items() if name == contender.name for each in many]
        if found:
            first = found[0]
            yield contender.name, first["version"], first["journal"], first["synchronous"]


def figure(measured: Measured, name: str) -> float:
    """Steps per second, or microseconds per step."""
    if name == "rate":
        return float(measured["steps"] / measured["seconds"])
    return float(measured["cpu" if name == "cpu" else "seconds"] / measured["steps"] * 1e6)


def _in_order(results: Results) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    for shape in SIZES:
        for contender in CONTENDERS:
            if found := results.shapes.get((shape, contender.name)):
                yield shape, contender.name, found


def _shapes(results: Results) -> Iterator[Sequence[str]]:
    for shape, name, found in _in_order(results):
        rates = [figure(each, "rate") for each in found]
        cpu = statistics.median(figure(each, "cpu") for each in found)
        yield shape, name, f"{found[0]['steps']:,}", number(statistics.median(rates)), spread(rates), number(cpu)


def _ratios(results: Results) -> Iterator[Sequence[str]]:
    for shape, name, _ in _in_order(results):
        if name.startswith("orchwf"):
            ratios = [_of_rounds(results, shape, name, reference) for reference in REFERENCES]
            yield shape, name, *(number(statistics.median(each)) if each else NONE for each in ratios)


def _of_rounds(results: Results, shape: str, name: str, reference: str) -> list[float]:
    """The ratios of the rates, of the rounds in which both were measured."""
    theirs = {each["round"]: figure(each, "rate") for each in results.shapes.get((shape, reference), ())}
    ours = {each["round"]: figure(each, "rate") for each in results.shapes.get((shape, name), ())}
    return [ours[number] / theirs[number] for number in ours if number in theirs]


def _targets(results: Results) -> Iterator[Sequence[str]]:
    for target in TARGETS:
        if (target.shape, target.contender) not in results.shapes:
            continue
        found = _found(results, target)
        compared = f" / {target.reference}" if target.reference else f", {FIGURES[target.figure]}"
        cells = (number(statistics.median(found)), spread(found)) if found else (NONE, NONE)
        verdict = _verdict(statistics.median(found), target.limit, target.better) if found else "not measured"
        yield target.shape, f"{target.contender}{compared}", *cells, _limit(target.limit, target.better), verdict


def _found(results: Results, target: Target) -> list[float]:
    if target.reference:
        return _of_rounds(results, target.shape, target.contender, target.reference)
    return [figure(each, target.figure) for each in results.shapes[target.shape, target.contender]]


def _measure(rows: Sequence[Row]) -> Sequence[str]:
    last, values = rows[-1], [row.value for row in rows]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    references = [row.reference_value for row in rows if row.reference_value is not None]
    limit, verdict = "", ""
    if last.limit is not None:
        limit = _limit(last.limit, last.better)
        verdict = _verdict(statistics.median(ratios or values), last.limit, last.better)
    reference = number(statistics.median(references)) if references else ""
    ratio = (number(statistics.median(ratios)), spread(ratios)) if ratios else ("", "")
    median = number(statistics.median(values))
    return last.name, median, spread(values), last.unit, last.reference, reference, *ratio, limit, verdict


def spread(values: Sequence[float]) -> str:
    """From the least of these to the greatest."""
    return NONE if len(values) == 1 else f"{number(min(values))} to {number(max(values))}"


def _limit(limit: float, better: str) -> str:
    return f"{'at most' if better == 'lower' else 'at least'} {number(limit)}"


def _verdict(value: float, limit: float, better: str) -> str:
    return "met" if is_met(value, limit, better) else "missed"
