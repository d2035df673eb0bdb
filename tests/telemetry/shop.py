"""
A process that executes a traced run, and dies in the middle of it if it is told to.

Called as `python -m tests.telemetry.shop STORE SPANS die|finish`. Each span that it exports is a line of the file
SPANS.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from orchwf import Orchestrator, StepContext, step, subflow, workflow

TRACER = trace.get_tracer("shop")


class ToFile(SpanExporter):
    """Writes each span as a line of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            file.writelines(f"{span.to_json(indent=None)}\n" for span in spans)
        return SpanExportResult.SUCCESS


def die_if_told() -> None:
    if sys.argv[-1] == "die":
        os.kill(os.getpid(), signal.SIGKILL)


@workflow
class Parcel:
    @step
    def label(self) -> int:
        with TRACER.start_as_current_span("print"):
            return 7

    @step
    async def carry(self, label: int, *, ctx: StepContext) -> int:
        with TRACER.start_as_current_span("drive"):
            pass
        die_if_told()
        return ctx.attempt


@workflow
class Shop:
    @step
    def orders(self) -> list[int]:
        return [1, 2]

    @step
    def check(self, order: int = orders.each) -> int:
        return order

    @subflow(depends_on=check)
    def ship(self) -> Parcel:
        return Parcel()

    @step(depends_on=ship)
    def thank(self) -> None:
        with TRACER.start_as_current_span("mail"):
            pass


async def main(store: str, spans: Path) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ToFile(spans)))
    trace.set_tracer_provider(provider)
    async with Orchestrator(store, workflows=[Shop, Parcel]) as orchestrator:
        with trace.use_span(TRACER.start_span("request"), end_on_exit=True):
            run = await orchestrator.start(Shop(), run_id="r1", on_duplicate="attach")
        await run.result()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
