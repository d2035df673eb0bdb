"""
LangGraph on AsyncSqliteSaver: one node per step, one thread per run, `durability="sync"`.

A node returns 1 for a channel that adds up, since one that returns nothing and has no child leaves no row of its own.
Durable are the nodes with a row of `writes` for that channel: one for each node that has ended, committed by itself.
(`checkpoints` has one row for each wave, which says nothing of its single steps.)

The graph is compiled before the watch starts. The saver has one connection, with the WAL journal that it asks for.
"""

import asyncio
from importlib.metadata import version
from operator import add
from pathlib import Path
from typing import Annotated, TypeAlias, TypedDict

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from ..shapes import Shape
from .measuring import SYNCHRONOUS, Stopwatch, asked, counted, report

# The input of a run leaves such a row as well, of a node that LangGraph adds.
DURABLE = """
SELECT count(DISTINCT thread_id || task_path) FROM writes
WHERE channel = 'ended' AND thread_id LIKE 'run-%' AND task_path NOT LIKE '%__start__'
"""


class State(TypedDict):
    """
    What the checkpoints hold.

    Attributes:
        ended: How many steps have.
    """

    ended: Annotated[int, add]


Graph: TypeAlias = CompiledStateGraph[State, None, State, State]


async def step(state: State) -> State:
    """Nothing but that it has ended."""
    return {"ended": 1}


def compiled(shape: Shape, saver: AsyncSqliteSaver) -> Graph:
    """The graph of one run: a step with several parents joins them by one edge of a list."""
    graph = StateGraph(State)
    for number, parents in enumerate(shape.parents):
        graph.add_node(str(number), step)
        match parents:
            case ():
                graph.add_edge(START, str(number))
            case (parent,):
                graph.add_edge(str(parent), str(number))
            case _:
                graph.add_edge(list(map(str, parents)), str(number))
    return graph.compile(checkpointer=saver)


async def execute(graph: Graph, shape: Shape, name: str) -> None:
    """Start all runs at once and wait for them."""
    limit = len(shape.waves) + 1
    configs = [
        RunnableConfig(configurable={"thread_id": f"{name}-{run}"}, recursion_limit=limit) for run in range(shape.runs)
    ]
    await asyncio.gather(*(graph.ainvoke({"ended": 0}, config, durability="sync") for config in configs))


async def pragmas(connection: aiosqlite.Connection) -> tuple[str, str]:
    """The journal mode and what is synchronous, asked through the connection of the saver."""
    [[journal]] = await connection.execute_fetchall("PRAGMA journal_mode")
    [[synchronous]] = await connection.execute_fetchall("PRAGMA synchronous")
    return journal, SYNCHRONOUS[synchronous]


async def measured(shape: Shape, database: Path) -> tuple[Stopwatch, str, str]:
    """How long the shape took, the journal mode, what was synchronous."""
    async with AsyncSqliteSaver.from_conn_string(str(database)) as saver:
        first = Shape("warm-up", 1, shape.parents[:1])
        await execute(compiled(first, saver), first, "warm-up")
        graph = compiled(shape, saver)
        with Stopwatch() as watch:
            await execute(graph, shape, "run")
        return watch, *await pragmas(saver.conn)


def main() -> None:
    """Execute the shape that the command line names."""
    ask = asked(__doc__)
    database = ask.folder / "langgraph.sqlite"
    watch, journal, synchronous = asyncio.run(measured(ask.shape, database))
    durable = counted(database, DURABLE)
    report(
        "langgraph", version("langgraph"), ask.shape, watch, durable=durable, journal=journal, synchronous=synchronous
    )


if __name__ == "__main__":
    main()
