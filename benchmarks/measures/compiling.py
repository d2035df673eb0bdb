"""
How long it takes to compile a graph, in layers of 50 steps that have two parents each.

What is timed is `make_workflow` with all its checks; the calls of `step()` before have a row of their own. It is
compared with building a `networkx.DiGraph` of the same names and edges. Each size has a process of its own.
"""

import gc
import random

import networkx as nx

from orchwf import make_workflow

from ..rows import Row, emit
from ..workflows import steps_of
from .common import Scale, asked_scale, in_own_process, resident, seconds_of

SIZES = {
    Scale.FULL: (1_000, 10_000, 100_000, 1_000_000),
    Scale.SHORT: (1_000, 10_000, 100_000),
    Scale.QUICK: (1_000, 10_000),
}
TARGETS = {100_000: 3.0}
WIDTH = 50


def layers_of_two(steps: int) -> list[tuple[int, ...]]:
    """Step -> its two parents, of the layer before."""
    draw = random.Random(7)
    return [
        tuple(sorted(draw.sample(range(step // WIDTH * WIDTH - WIDTH, step // WIDTH * WIDTH), 2)))
        if step >= WIDTH
        else ()
        for step in range(steps)
    ]


def built(parents: list[tuple[int, ...]]) -> "nx.DiGraph[str]":
    """The same graph, of networkx."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(f"s{step}" for step in range(len(parents)))
    graph.add_edges_from((f"s{parent}", f"s{step}") for step, row in enumerate(parents) for parent in row)
    return graph


def measured(steps: int) -> list[Row]:
    """The rows of so many steps."""
    parents = layers_of_two(steps)
    gc.collect()
    reference = seconds_of(lambda: built(parents))
    gc.collect()
    made: dict[str, object] = {}
    declaring = seconds_of(lambda: made.update(steps_of(parents)))
    gc.collect()
    before, kept = resident(), []
    compiling = seconds_of(lambda: kept.append(make_workflow("Compiled", made)))  # type: ignore[arg-type]
    gc.collect()
    name = f"compile {steps:,} steps"
    return [
        Row(name, compiling, "s", "nx.DiGraph built of the same", reference, TARGETS.get(steps)),
        Row(f"{name}: the calls of step() before", declaring, "s"),
        Row(f"{name}: memory of each", (resident() - before) / steps, "bytes"),
    ]


def main() -> None:
    """Print the rows."""
    for steps in SIZES[asked_scale(__doc__)]:
        for row in in_own_process(measured, steps):
            emit(row)


if __name__ == "__main__":
    main()
