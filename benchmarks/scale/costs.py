"""What a step and a transaction cost, made of what was measured. All costs are seconds."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .names import (
    CLIENT_CPU,
    CONNECTIONS,
    IDLE_CPU,
    IDLE_READS,
    IDLE_WRITES,
    ROUND_TRIP,
    SERVER_CPU,
    SYNC,
    TIME,
    TOGETHER,
    WORKER_CPU,
    executed,
    written,
)

Figures = Mapping[str, float]
"""The name of a figure -> its median, in the unit in which it was measured."""


class MissingError(Exception):
    """A figure is not there of which a cost is made; the text says which."""


@dataclass(frozen=True)
class Costs:
    """
    Seconds, but for the last three.

    Attributes:
        answer: A round trip to the server. A transaction that writes takes two, any other one.
        sync: A sync of the server's log; all commits that wait when it begins are done with it.
        stall: What a transaction takes beyond what is known: to wake the processes of both sides.
        worker_call: CPU of the worker for a transaction, whatever is in it.
        worker_step: CPU of the worker for a step.
        server_call: CPU of the server for a transaction, whatever is in it.
        server_step: CPU of the server for a step.
        server_look: CPU of the server for a transaction that a worker makes by the clock, not for a step.
        reads: Such transactions that only read, of each worker in a second.
        writes: Those that write.
        connections: How many connections a worker has.
    """

    answer: float
    sync: float
    stall: float
    worker_call: float
    worker_step: float
    server_call: float
    server_step: float
    server_look: float
    reads: float
    writes: float
    connections: float


def costs_of(figures: Figures) -> Costs:
    """
    The costs.

    What a transaction costs by itself is that of one event, less what an event costs, which is a 900th of what 1,000
    cost more than 100. A step costs what was measured while one process executed runs, less its part of a transaction.

    Raises:
        MissingError: a figure is missing.
    """

    def figure(name: str, unit: float) -> float:
        if name not in figures:
            raise MissingError(f"{name!r} was not measured: measure all, on a server that benchmarks.scale starts")
        return figures[name] * unit

    def call(side: str) -> float:
        one, some, many = (figure(written(events, side), 1e-6) for events in (1, 100, 1_000))
        return max(0.0, one - (many - some) / 900)

    worker_call, server_call = call(CLIENT_CPU), call(SERVER_CPU)
    together = figure(executed(1, TOGETHER), 1.0)
    answer, sync = figure(ROUND_TRIP, 1e-6), figure(SYNC, 1e-6)
    known = 2 * answer + sync + figure(written(1, CLIENT_CPU), 1e-6) + figure(written(1, SERVER_CPU), 1e-6)
    reads, writes = figure(IDLE_READS, 1 / 60), figure(IDLE_WRITES, 1 / 60)
    return Costs(
        answer=answer,
        sync=sync,
        stall=max(0.0, figure(written(1, TIME), 1e-6) - known),
        worker_call=worker_call,
        worker_step=max(0.0, figure(executed(1, WORKER_CPU), 1e-6) - worker_call / together),
        server_call=server_call,
        server_step=max(0.0, figure(executed(1, SERVER_CPU), 1e-6) - server_call / together),
        server_look=figure(IDLE_CPU, 1e-6) / max(reads + writes, 1e-9),
        reads=reads,
        writes=writes,
        connections=figure(CONNECTIONS, 1.0),
    )


def read_figures(file: Path) -> tuple[dict[str, str], dict[str, float]]:
    """What `benchmarks.scale --json` wrote: of the machine, and the medians."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = found["rows"]
    return found["machine"], {name: statistics.median(row["value"] for row in each) for name, each in rows.items()}
