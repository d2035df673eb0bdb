"""The pictures of the pages: what orchwf draws of the workflows that they speak of."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import attrs

from examples.flights import Flights
from orchwf import compile_workflow, drawing, step, workflow
from orchwf.core.history import StepRecord
from orchwf.runtime.result import RunResult, run_picture
from orchwf.testing import TestOrchestrator

ROOT = Path(__file__).resolve().parent.parent


class Clerk:
    """Whether the rows with negative amounts have been mended."""

    has_mended = False


@workflow
class DailySales:
    """What was sold on a day."""

    day: str

    @step
    def extract(self) -> list[float]:
        return [12.5, 12.5 if Clerk.has_mended else -12.5, 30.0]

    @step
    def audit(self, amounts: list[float] = extract.result) -> int:
        return len(amounts)

    @step
    def validate(self, amounts: list[float] = extract.result) -> list[float]:
        if not Clerk.has_mended:
            raise ValueError("row 2: 'amount' is negative (-12.5)")
        return amounts

    @step
    def load(self, amounts: list[float] = validate.result, rows: int = audit.result) -> float:
        return sum(amounts) / rows


def flights() -> str:
    """The graph of the example of the tutorial."""
    return compile_workflow(Flights).to_svg()


def flights_run() -> str:
    """A run of it."""
    with tempfile.TemporaryDirectory() as folder:
        return _drawn(Flights, asyncio.run(_run(Flights(report_to=Path(folder) / "report.md"))))


def sales_failed() -> str:
    """A run whose second row is bad."""
    Clerk.has_mended = False
    return _drawn(DailySales, asyncio.run(_run(DailySales(day="monday"))))


def sales_resumed() -> str:
    """The same run, after that was mended and it was resumed."""

    async def resumed() -> RunResult[Any]:
        async with TestOrchestrator(workflows=[DailySales]) as orchestrator:
            Clerk.has_mended = False
            run = await orchestrator.start(DailySales(day="monday"))
            await run.wait()
            Clerk.has_mended = True
            return await (await orchestrator.resume(run.id)).wait()

    return _drawn(DailySales, asyncio.run(resumed()))


async def _run(instance: object) -> RunResult[Any]:
    async with TestOrchestrator() as orchestrator:
        return await (await orchestrator.start(instance)).wait()


def _drawn(cls: type, result: RunResult[Any]) -> str:
    """The picture of a run, without what is another one each time, or on each machine: durations and folders."""
    steps = {name: _steady(record) for name, record in result.steps.items()}
    return drawing.to_svg(run_picture(compile_workflow(cls), steps, note=str(result.status)))


def _steady(record: StepRecord) -> StepRecord:
    error = record.error and attrs.evolve(record.error, message=record.error.message.replace(f"{ROOT}{os.sep}", ""))
    return attrs.evolve(record, started_at=None, ended_at=None, error=error)
