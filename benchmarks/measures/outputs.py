"""A chain of steps, each of which reads the text that the one before returned, and returns it."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from orchwf import Orchestrator, make_workflow, step

from ..contenders.raw import commit, opened
from ..rows import Row, emit
from .common import Scale, asked_scale, seconds_of

SIZES = (("1 KB", 1_000, 100), ("100 KB", 100_000, 50), ("5 MB", 5_000_000, 6))
"""What the table calls it, the length of the text, how many steps."""


def texts_in_turn(length: int, steps: int) -> type[Any]:
    """The workflow."""

    async def first() -> str:
        return "x" * length

    async def onward(text: str) -> str:
        return text

    body: Callable[..., Any] = onward
    made: dict[str, Any] = {"s0": step(first)}
    for number in range(1, steps):
        made[f"s{number}"] = step(depends_on={"text": made[f"s{number - 1}"].result})(body)
    return make_workflow("Texts", made)


def raw_seconds(connection: sqlite3.Connection, length: int, steps: int, run: int) -> float:
    """How long the same texts take in SQLite, one per commit."""
    data = f'"{"x" * length}"'

    def insert() -> None:
        for number in range(steps):
            commit(connection, range(run, run + 1), (number,), data=data)

    return seconds_of(insert)


async def measure(folder: Path, scale: Scale) -> None:
    """Print the rows."""
    with closing(opened(folder / "raw.db", "FULL")) as connection:
        async with Orchestrator(f"sqlite:///{folder / 'orchwf.db'}") as orchestrator:
            for run, (name, length, most) in enumerate(SIZES):
                steps = max(3, most // 10) if scale is Scale.QUICK else most
                workflow = texts_in_turn(length, steps)
                began = time.perf_counter()
                await (await orchestrator.start(workflow())).wait()
                seconds = (time.perf_counter() - began) / steps
                raw = raw_seconds(connection, length, steps, run) / steps
                emit(Row(f"outputs of {name}: a step", seconds * 1e3, "ms", "raw commit of the same", raw * 1e3))
                emit(Row(f"outputs of {name}: throughput", length / seconds / 1e6, "MB/s", better="higher"))


def main() -> None:
    """Print the rows."""
    scale = asked_scale(__doc__)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asyncio.run(measure(Path(folder).resolve(), scale))


if __name__ == "__main__":
    main()
