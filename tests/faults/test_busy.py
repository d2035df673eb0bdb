"""Another process that holds the lock of the file, for shorter and for longer than SQLite waits."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import Orchestrator, RunHandle, RunStatus, StepContext, make_workflow, step
from orchwf.errors import StoreBusyError
from orchwf.ports import Append
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from orchwf.stores.sqlite_errors import BUSY_TIMEOUT
from tests.conftest import ROOT
from tests.runtime.flows import Gate, kinds_of

PROGRAM = ROOT / "tests" / "faults" / "locking.py"


@attrs.define
class Counting:
    """The store in a file, which counts how often it was busy, and how long the longest append took (seconds)."""

    inner: SQLiteStore
    busy: int = 0
    longest: float = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        began = time.monotonic()
        try:
            return await self.inner.append(appends)
        except StoreBusyError:
            self.busy += 1
            raise
        finally:
            self.longest = max(self.longest, time.monotonic() - began)


async def lock(path: Path, seconds: float) -> "subprocess.Popen[str]":
    """A process that has the lock of the file, and keeps it for so long."""
    command = [sys.executable, str(PROGRAM), str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - it goes on beside
    assert process.stdout is not None
    assert "locked\n" == await asyncio.to_thread(process.stdout.readline)
    return process


async def released(process: "subprocess.Popen[str]") -> float:
    """When the process let go of the lock, by the steady clock of the machine."""
    said, _ = await asyncio.to_thread(process.communicate)
    word, instant = said.split()
    assert "released" == word
    return float(instant)


def three_steps(gates: Mapping[str, Gate], bodies: Counter[str]) -> Any:
    """A workflow whose second step waits at the gate of its run."""

    async def first(ctx: StepContext) -> str:
        bodies[f"{ctx.run_id} {ctx.step}"] += 1
        return "1"

    one = step(first)

    async def second(ctx: StepContext, before: str = one.result) -> str:
        bodies[f"{ctx.run_id} {ctx.step}"] += 1
        await gates[ctx.run_id].pass_through()
        return before + "2"

    two = step(second)

    async def third(ctx: StepContext, before: str = two.result) -> str:
        bodies[f"{ctx.run_id} {ctx.step}"] += 1
        return before + "3"

    return make_workflow("Three", {"first": one, "second": two, "third": step(third)})


LOG = [
    "run.started", "step.started first", "step.completed first", "step.started second", "step.completed second",
    "step.started third", "step.completed third", "run.completed",
]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "least"), [(3.0, 0), pytest.param(60.0, 3, marks=pytest.mark.slow)], ids=["3 s", "60 s"]
)
async def test_runs_wait_for_a_lock(path: Path, seconds: float, least: int):
    """
    They go on as soon as the lock is free, and nothing is lost or done twice.

    A request to cancel meanwhile says that the store is busy, or is in the store when the call returns. `least` is how
    often at least the wait for the lock was given up and begun again.
    """
    gates, bodies = {"r": Gate(), "other": Gate()}, Counter[str]()
    flow, store = three_steps(gates, bodies), Counting(await open_sqlite(path))
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        run, other = [await orchestrator.start(flow(), run_id=run_id) for run_id in gates]
        for gate in gates.values():
            await gate.came.get()
        process = await lock(path, seconds)

        gates["r"].open()
        refusals = await cancelled(other)
        result, cancelled_result = await run.wait(), await other.wait()

        ended, free = time.monotonic(), await released(process)
        kinds = await kinds_of(run)
    await store.inner.close()
    assert free < ended
    assert min(seconds, BUSY_TIMEOUT) / 2 < store.longest
    assert least <= store.busy
    assert bool(least) == bool(refusals)
    assert (RunStatus.COMPLETED, "123") == (result.status, result["third"])
    assert (RunStatus.CANCELLED, "not wanted") == (cancelled_result.status, cancelled_result.error)
    assert LOG == kinds
    assert {"r first": 1, "r second": 1, "r third": 1, "other first": 1, "other second": 1} == bodies


async def cancelled(run: RunHandle[Any]) -> int:
    """How often a request to cancel was refused before it was durable."""
    refusals = 0
    while True:
        try:
            await run.cancel("not wanted")
        except StoreBusyError:
            refusals += 1
        else:
            return refusals
