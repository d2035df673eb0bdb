"""
A matrix of heavy steps on each executor that is installed: what a step costs beside its own work, and what is lost.

    python -m benchmarks.executors [--steps 1000] [--size 200] [--workers 2] [--only process,dask,ray]

Three tables, each verified: the whole matrix; the same with a worker killed in the middle of it; the same, cancelled in
the middle. Overhead is the time beyond what the bodies themselves took, per step and worker.
"""

import argparse
import asyncio
import importlib.util
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from orchwf import Orchestrator, RunHandle
from orchwf.executors import DaskExecutor, ProcessExecutor, RayExecutor
from orchwf.ports import Executor

from .matrix import Matrix

PACKAGES = {"process": "subprocess", "dask": "distributed", "ray": "ray"}


@attrs.frozen
class Row:
    """One line of the table; times in seconds."""

    executor: str
    case: str
    status: str
    whole: float
    bodies: float
    attempts: int
    overhead: float | None

    def __str__(self) -> str:
        overhead = f"{1000 * self.overhead:9.2f} ms" if self.overhead is not None else f"{'-':>12}"
        return (
            f"{self.executor:8} {self.case:12} {self.status:10} {self.whole:8.1f} s {self.bodies:8.1f} s "
            f"{self.attempts:9} {overhead}"
        )


def executor_of(name: str, workers: int) -> Executor:
    """One that has so many workers, all of this machine."""
    match name:
        case "process":
            return ProcessExecutor(max_workers=workers)
        case "dask":
            return DaskExecutor(max_workers=workers)
        case _:
            return RayExecutor(init_options={"num_cpus": workers})


async def attempts_of(run: RunHandle[Any]) -> int:
    """How many attempts there were of all bodies."""
    return sum(len(item.attempts) for item in (await run.steps())["determinant"].items.values())


async def half_done(run: RunHandle[Any], steps: int) -> None:
    """Until half of the bodies have ended."""
    ended = 0
    async for event in run.events(follow=True):
        ended += event.kind == "step.completed" and getattr(event, "item", None) is not None
        if ended >= steps // 2:
            return


async def measured(name: str, given: argparse.Namespace, folder: str) -> Sequence[Row]:
    """The three cases on one executor. Its workers are warm: they have run one body each before."""
    rows = []
    executors: Mapping[str, Executor] = {"there": executor_of(name, given.workers)}
    async with Orchestrator(f"sqlite:///{folder}/runs.db", executors=executors) as orchestrator:
        await orchestrator.run(Matrix(steps=4 * given.workers, size=given.size, folder=folder))
        for case in ("whole", "worker killed", "cancelled"):
            flow = Matrix(steps=given.steps, size=given.size, folder=folder, kills=case == "worker killed")
            began = time.perf_counter()
            run = await orchestrator.start(flow)
            if case == "cancelled":
                await half_done(run, given.steps)
                began = time.perf_counter()
                await run.cancel("measured")
            result = await run.wait()
            whole = time.perf_counter() - began
            count, bodies = (0, 0.0) if case == "cancelled" else result[Matrix.total]
            assert case == "cancelled" or count == given.steps, (case, count)
            overhead = None if case == "cancelled" else whole * given.workers / given.steps - bodies / given.steps
            rows.append(Row(name, case, str(result.status), whole, bodies, await attempts_of(run), overhead))
    return rows


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=200, help="of each matrix")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="process,dask,ray")
    given = parser.parse_args()
    # Each worker is to use one processor.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    print(f"{'executor':8} {'case':12} {'status':10} {'time':>10} {'bodies':>10} {'attempts':>9} {'overhead':>12}")
    for name in given.only.split(","):
        if importlib.util.find_spec(PACKAGES[name]) is None:
            print(f"{name:8} is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in asyncio.run(measured(name, given, folder)):
                print(row, flush=True)


if __name__ == "__main__":
    main()
