"""What an orchestrator tells OpenTelemetry: a span for each run, step and attempt, in one trace."""

import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from orchwf import (
    Client,
    NonRetryable,
    Orchestrator,
    Retry,
    RunStatus,
    Skip,
    StepContext,
    UsageError,
    current,
    make_workflow,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)
from orchwf.core.events import RunStarted
from orchwf.executors import ProcessExecutor
from orchwf.testing import FakeClock, TestOrchestrator
from tests.runtime.flows import Gate, log_of, until
from tests.telemetry.traces import Traces, check_whole, paths


def span_of_here() -> str:
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


def trace_of_here() -> str:
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


@workflow
class Report:
    @step
    def load(self) -> str:
        return span_of_here()

    @step(retries=Retry(1, initial=0))
    async def total(self, loaded: str = load.result, *, ctx: StepContext) -> str:
        if ctx.attempt == 1:
            raise ConnectionError("no route to the shop")
        return span_of_here()


async def test_a_run_is_a_trace_of_its_steps_and_attempts():
    """Each step lies in the run, each attempt in its step; a retry is another attempt."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(Report(), run_id="r1")

    assert [
        "Report / load / load attempt: completed",
        "Report / load: completed",
        "Report / total / total attempt: completed",
        "Report / total / total attempt: retrying",
        "Report / total: completed",
        "Report: completed",
    ] == paths(traces.spans)


async def test_instants_are_those_of_the_log():
    """In nanoseconds: whoever reads the log and the trace sees the same."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        run = await orchestrator.start(Report(), run_id="r1")
        await run.wait()
        log = await log_of(run)

    (whole,) = traces.named("Report")
    assert (log[0].at * 1e9, log[-1].at * 1e9) == pytest.approx((whole.begun, whole.ended), abs=1000)
    (load,) = traces.named("load")
    assert load.begun <= load.ended <= whole.ended


async def test_what_a_body_traces_lies_within_its_attempt():
    """The attempt is current while its body runs: of coroutines and of plain functions, which run in threads."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        result = await orchestrator.run(Report())

    (load,), (_, total) = traces.named("load attempt"), traces.named("total attempt")
    assert [load.id, total.id] == [result[Report.load], result[Report.total]]


async def test_an_error_is_told_with_the_frames_of_the_user():
    """Its class, its message, and where it was raised; the step and the attempt have the status ERROR."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(Report())

    failed, _ = traces.named("total attempt")
    assert ("ERROR", "ConnectionError: no route to the shop") == (failed.status, failed.described)
    assert ("ConnectionError", ["exception"]) == (failed.attributes["error.type"], failed.notes)
    raw = next(each for each in traces.exporter.get_finished_spans() if each.status.description == failed.described)
    told = dict(raw.events[0].attributes or {})
    assert "no route to the shop" == told["exception.message"]
    assert "test_tracing.py" in str(told["exception.stacktrace"])
    assert "attempt.py" not in str(told["exception.stacktrace"])


async def test_attributes_say_which_run_step_and_attempt_it_is():
    """And where the code is; never inputs or outputs."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(Report(), run_id="r1")

    _, total = traces.named("total attempt")
    assert {
        "orchwf.run.id": "r1", "orchwf.step.name": "total", "orchwf.step.attempt": 2,
        "code.function.name": f"{__name__}.Report.total", "orchwf.attempt.status": "completed",
    } == total.attributes  # fmt: skip
    (whole,) = traces.named("Report")
    assert {
        "orchwf.run.id": "r1", "orchwf.workflow.name": "Report", "orchwf.workflow.version": "1",
        "orchwf.run.status": "completed",
    } == whole.attributes  # fmt: skip


async def test_a_run_lies_within_the_span_in_which_it_was_started():
    """Its trace is that of the caller, which its log says."""
    traces = Traces()
    tracer = traces.provider.get_tracer("shop")

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        with tracer.start_as_current_span("checkout") as checkout:
            run = await orchestrator.start(Report())
        await run.wait()
        started = (await log_of(run))[0]

    assert isinstance(started, RunStarted)
    own = checkout.get_span_context()
    assert f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}" == started.traceparent
    assert "checkout / Report: completed" in paths(traces.spans)


async def test_a_run_that_a_client_starts_lies_within_its_span(tmp_path: Path):
    """Whoever executes it goes on with the trace; what vendors say in `tracestate` is handed on."""
    traces, url = Traces(), f"sqlite:///{tmp_path / 'r.db'}"
    state = trace.TraceState([("vendor", "x")])
    above = trace.SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), True, trace.TraceFlags(1), state)

    async with Client(url) as client, Orchestrator(url, workflows=[Report], telemetry=traces.provider):
        with trace.use_span(trace.NonRecordingSpan(above)):
            run = await client.start(Report())
        await run.wait()

    (whole,) = traces.named("Report")
    assert ("ab" * 16, "cd" * 8) == (whole.trace, whole.parent)
    states = {str(span.get_span_context().trace_state) for span in traces.exporter.get_finished_spans()}  # type: ignore[union-attr]
    assert 1 == len(states)
    assert "vendor" in states.pop()
    check_whole(traces.spans)


async def test_runs_of_one_id_are_two_traces():
    """A run that is deleted and begun anew is another one."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider, clock=FakeClock()) as orchestrator:
        await orchestrator.run(Report(), run_id="r1")
        await orchestrator.delete("r1")
        orchestrator_clock: Any = orchestrator._clock
        await orchestrator_clock.advance(1)
        await orchestrator.run(Report(), run_id="r1")

    first, second = traces.named("Report")
    assert first.trace != second.trace
    assert first.id != second.id


async def test_each_item_has_a_span():
    """It lies in that of its step, and its attempts in it; that the step was taken apart is no attempt."""
    traces = Traces()

    @step
    async def source() -> list[int]:
        return [1, 2]

    @step(retries=Retry(1, initial=0))
    async def each(source: int = source.each, *, ctx: StepContext) -> int:
        if ctx.attempt == 1 and source == 2:
            raise ValueError("two")
        return source

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(make_workflow("Items", [source, each])())

    assert [
        "Items / each / each item / each item attempt: completed",
        "Items / each / each item / each item attempt: completed",
        "Items / each / each item / each item attempt: retrying",
        "Items / each / each item: completed",
        "Items / each / each item: completed",
        "Items / each: completed",
    ] == [path for path in paths(traces.spans) if "each" in path]
    assert [0, 1] == sorted(span.attributes["orchwf.step.item"] for span in traces.named("each item"))  # type: ignore[type-var]


async def test_what_is_undone_is_in_the_trace():
    """With its attempts, in the run."""
    traces = Traces()

    @workflow
    class Undone:
        @step
        def charge(self) -> str:
            return "receipt"

        @charge.compensate(retries=Retry(1, initial=0))
        def refund(self, charge: str) -> None:
            if current().attempt == 1:
                raise ConnectionError("away")

        @step(depends_on=charge)
        def ship(self) -> None:
            raise NonRetryable("no such address")

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await (await orchestrator.start(Undone())).wait()

    assert [
        "Undone / charge / charge attempt: completed",
        "Undone / charge: completed",
        "Undone / ship / ship attempt: failed",
        "Undone / ship: failed",
        "Undone / undo charge / undo charge attempt: completed",
        "Undone / undo charge / undo charge attempt: retrying",
        "Undone / undo charge: completed",
        "Undone: failed",
    ] == paths(traces.spans)
    assert traces.named("undo charge attempt")[0].attributes["code.function.name"].endswith("Undone.refund")  # type: ignore[attr-defined]
    (whole,) = traces.named("Undone")
    assert ("ERROR", "NonRetryable: no such address") == (whole.status, whole.described)


async def test_waits_skips_and_cancellations_are_in_the_trace():
    """A wait takes the time that it takes, and what did not begin none; both say why."""
    traces, gate = Traces(), Gate()

    @workflow
    class Waits:
        paid = signal(int)
        pause = sleep(60)

        @step
        def skips(self) -> None:
            raise Skip("nothing to do")

        @step(when=lambda self: False)
        def never(self) -> None: ...

        @step(depends_on=paid)
        async def hangs(self) -> None:
            await gate.pass_through()

    async with Orchestrator("memory:", telemetry=traces.provider, clock=FakeClock()) as orchestrator:
        run = await orchestrator.start(Waits())
        await run.send("paid", 5)
        await gate.came.get()
        await run.cancel("changed my mind")
        await run.wait()

    assert [
        "Waits / hangs / hangs attempt: cancelled",
        "Waits / hangs: cancelled",
        "Waits / never: skipped",
        "Waits / paid: completed",
        "Waits / pause: cancelled",
        "Waits / skips / skips attempt: skipped",
        "Waits / skips: skipped",
        "Waits: cancelled",
    ] == paths(traces.spans)
    assert ["timer.set"] == traces.named("paid")[0].notes
    assert "nothing to do" == traces.named("skips")[0].attributes["orchwf.step.reason"]
    assert "changed my mind" == traces.named("Waits")[0].attributes["orchwf.run.reason"]
    assert ["signal.received", "signal.received"] == traces.named("Waits")[0].notes
    assert {"UNSET"} == {span.status for span in traces.spans}


async def test_a_child_run_lies_in_the_step_that_started_it():
    """One trace; the step links to the run, too."""
    traces = Traces()

    @workflow
    class Inner:
        @step
        def book(self) -> str:
            return trace_of_here()

    @workflow
    class Outer:
        @subflow
        def ship(self) -> Inner:
            return Inner()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(Outer(), run_id="r1")

    assert [
        "Outer / ship / Inner / book / book attempt: completed",
        "Outer / ship / Inner / book: completed",
        "Outer / ship / Inner: completed",
        "Outer / ship / ship attempt: waiting",
        "Outer / ship: completed",
        "Outer: completed",
    ] == paths(traces.spans)
    (ship,), (inner,) = traces.named("ship"), traces.named("Inner")
    assert ([inner.id], ["child.started"]) == (ship.links, ship.notes)
    assert "r1" == inner.attributes["orchwf.run.parent"]


async def test_a_fork_links_to_its_origin():
    """It is a trace of its own, without what it took over."""
    traces = Traces()

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await orchestrator.run(Report(), run_id="r1")
        before = len(traces.spans)
        await (await orchestrator.fork("r1", Report.total, new_id="r2")).wait()

    origin, fork = traces.named("Report")
    assert ([origin.id], "r1") == (fork.links, fork.attributes["orchwf.run.origin"])
    assert origin.trace != fork.trace
    assert "Report / load: completed" not in paths(traces.spans[before:])


async def test_a_run_that_is_resumed_after_its_end_links_to_what_it_was():
    """It goes on in the same trace, with another span, and nothing is exported twice."""
    traces, broken = Traces(), [True]

    @workflow
    class Mended:
        @step
        def load(self) -> int:
            return 1

        @step(depends_on=load)
        def total(self) -> None:
            if broken:
                raise ValueError("not yet")

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        await (await orchestrator.start(Mended(), run_id="r1")).wait()
        broken.clear()
        await (await orchestrator.resume("r1")).wait()

    check_whole(traces.spans, roots=2)
    first, second = traces.named("Mended")
    assert (first.trace, [first.id], ["run.resumed"]) == (second.trace, second.links, second.notes)
    assert (["failed", "completed"], 1) == ([span.told for span in traces.named("total")], len(traces.named("load")))


@workflow
class Paid:
    @step
    def ask(self) -> int:
        return 1

    paid = signal(int, depends_on=ask)

    @step
    async def thank(self, paid: int) -> int:
        return paid


async def test_another_orchestrator_goes_on_with_the_trace(tmp_path: Path):
    """The one that ends a span exports it: together it is one trace, as if one had executed it."""
    first, second, url = Traces(), Traces(), f"sqlite:///{tmp_path / 'r.db'}"
    async with Orchestrator(url, workflows=[Paid], telemetry=first.provider) as orchestrator:
        await orchestrator.start(Paid(), run_id="r1")
        async for event in (await orchestrator.get("r1")).events(follow=True):
            if event.kind == "timer.set":
                break
    async with Client(url) as client:
        await (await client.get("r1")).send("paid", 5)

    async with Orchestrator(url, workflows=[Paid], telemetry=second.provider) as orchestrator:
        await (await orchestrator.get("r1")).result()

    assert ["ask", "ask attempt"] == sorted(span.name for span in first.spans)
    assert [
        "Paid / ask / ask attempt: completed",
        "Paid / ask: completed",
        "Paid / paid: completed",
        "Paid / thank / thank attempt: completed",
        "Paid / thank: completed",
        "Paid: completed",
    ] == paths([*first.spans, *second.spans])
    assert ["timer.set"] == second.named("paid")[0].notes
    assert ["run.resumed", "signal.received"] == sorted(second.named("Paid")[0].notes)


async def test_a_run_that_sleeps_goes_on_in_its_trace():
    """It is let go of meanwhile: nothing is held for it, and nothing is exported twice."""
    traces, clock = Traces(), FakeClock()

    @workflow
    class Sleepy:
        @step
        def before(self) -> int:
            return 1

        night = sleep("8h", depends_on=before)

        @step(depends_on=night)
        def after(self) -> int:
            return 2

    async with Orchestrator("memory:", workflows=[Sleepy], telemetry=traces.provider, clock=clock) as orchestrator:
        run = await orchestrator.start(Sleepy())

        async def is_asleep() -> bool:
            return (await orchestrator.list_runs())[0].wake_at is not None

        await until(is_asleep)
        before = [span.name for span in traces.spans]
        await clock.advance(9 * 3600)
        await run.wait()

    assert ["before attempt", "before"] == before
    assert "Sleepy / night: completed" in paths(traces.spans)
    assert 6 == len(traces.spans)
    (night,) = traces.named("night")
    assert 8 * 3600 == pytest.approx((night.ended - night.begun) / 1e9, abs=3600)


async def test_an_attempt_that_was_interrupted_is_told_by_who_resumes(tmp_path: Path):
    """It ends then, as an error, and the next attempt links to it."""
    first, second, url, gate = Traces(), Traces(), f"sqlite:///{tmp_path / 'r.db'}", Gate()

    @step
    async def hangs(ctx: StepContext) -> str:
        await gate.pass_through()
        return span_of_here()

    made = make_workflow("Left", [hangs])
    async with Orchestrator(url, workflows=[made], telemetry=first.provider, grace=0) as orchestrator:
        await orchestrator.start(made(), run_id="r1")
        await gate.came.get()
    gate.open()

    async with Orchestrator(url, workflows=[made], telemetry=second.provider) as orchestrator:
        await (await orchestrator.get("r1")).result()

    assert [] == first.spans
    lost, again = second.named("hangs attempt")
    assert ("lost", "ERROR", "its process let go of it") == (lost.told, lost.status, lost.described)
    assert [lost.id] == again.links
    check_whole(second.spans)


async def test_nothing_is_traced_if_it_is_off():
    """Nor where no provider is set: the body sees the span of its caller, or none."""
    traces = Traces()
    tracer = traces.provider.get_tracer("shop")

    with tracer.start_as_current_span("checkout") as checkout:
        async with Orchestrator("memory:", telemetry="off") as orchestrator:
            result = await orchestrator.run(Report())

    assert ["checkout"] == [span.name for span in traces.spans]
    assert f"{checkout.get_span_context().span_id:016x}" == result[Report.load]


@pytest.mark.parametrize("telemetry", [True, "on", None, TracerProvider, 5])
def test_what_is_no_provider_is_refused(telemetry: Any):
    """The message says what is taken."""
    with pytest.raises(UsageError, match="telemetry takes a TracerProvider of OpenTelemetry, 'auto' or 'off', not"):
        Orchestrator("memory:", telemetry=telemetry)


async def test_what_is_not_sampled_is_not_exported():
    """But its ids are there for what the bodies call."""
    traces = Traces(ALWAYS_OFF)

    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        result = await orchestrator.run(Report())

    assert [] == traces.spans
    assert "0" * 16 != result[Report.load]


async def test_all_who_execute_a_run_sample_alike(tmp_path: Path):
    """What samples by the id of the trace comes to the same: a trace is whole, or not there."""
    url = f"sqlite:///{tmp_path / 'r.db'}"
    first, second = (Traces(ParentBased(TraceIdRatioBased(0.5))) for _ in range(2))
    ids = [f"r{number}" for number in range(20)]
    async with Orchestrator(url, workflows=[Paid], telemetry=first.provider) as orchestrator:
        for run_id in ids:
            run = await orchestrator.start(Paid(), run_id=run_id)
            async for event in run.events(follow=True):
                if event.kind == "timer.set":
                    break
            await run.send("paid", 5)
            await run.pause()

    async with Orchestrator(url, workflows=[Paid], telemetry=second.provider) as orchestrator:
        for run_id in ids:
            run = await orchestrator.get(run_id)
            if await run.status() is RunStatus.PAUSED:
                run = await orchestrator.resume(run_id)
            await run.result()

    by_trace: dict[str, list[Any]] = {}
    for span in [*first.spans, *second.spans]:
        by_trace.setdefault(span.trace, []).append(span)
    assert 0 < len(by_trace) < len(ids)
    assert {6} == {len(spans) for spans in by_trace.values()}


class Failing(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None: ...

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("the collector is on fire")


async def test_what_fails_in_tracing_hurts_no_run(caplog: pytest.LogCaptureFixture):
    """It is told once, and the run goes on untraced."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Failing())

    async with Orchestrator("memory:", telemetry=provider) as orchestrator:
        results = [await orchestrator.run(Report()) for _ in range(3)]

    assert [RunStatus.COMPLETED] * 3 == [result.status for result in results]
    told = [record for record in caplog.records if "tracing has failed" in record.getMessage()]
    assert [logging.ERROR] == [record.levelno for record in told]


class Broken:
    """A provider that gives no tracer."""

    def get_tracer(self, name: str, version: str | None = None) -> Any:
        raise RuntimeError("no configuration")


async def test_a_provider_that_fails_hurts_nothing(caplog: pytest.LogCaptureFixture):
    """That is logged, and nothing is traced."""
    async with Orchestrator("memory:", telemetry=Broken()) as orchestrator:
        result = await orchestrator.run(Report())

    assert RunStatus.COMPLETED is result.status
    assert 1 == sum("runs are not traced" in record.getMessage() for record in caplog.records)


async def test_an_sdk_that_is_switched_off_traces_nothing(monkeypatch: pytest.MonkeyPatch):
    """Bodies are in no trace then, not in one that nobody ever sees."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    async with Orchestrator("memory:", telemetry=TracerProvider(shutdown_on_exit=False)) as orchestrator:
        result = await orchestrator.run(Report())

    assert "0" * 16 == result[Report.load]


class Foreign:
    """A provider whose tracer chooses all ids itself."""

    def __init__(self, traces: Traces) -> None:
        self._tracer = traces.provider.get_tracer("foreign")

    def get_tracer(self, name: str, version: str | None = None) -> Any:
        return self

    def start_span(self, *args: Any, **options: Any) -> Any:
        return self._tracer.start_span(*args, **options)


async def test_a_provider_that_chooses_ids_keeps_the_trace_together(tmp_path: Path):
    """The id of the trace follows from the log also there, so that another process goes on with it."""
    first, second, url = Traces(), Traces(), f"sqlite:///{tmp_path / 'r.db'}"
    async with Orchestrator(url, workflows=[Paid], telemetry=Foreign(first)) as orchestrator:
        run = await orchestrator.start(Paid(), run_id="r1")
        async for event in run.events(follow=True):
            if event.kind == "timer.set":
                break
        await run.send("paid", 5)
        await run.pause()

    async with Orchestrator(url, workflows=[Paid], telemetry=Foreign(second)) as orchestrator:
        await (await orchestrator.resume("r1")).result()

    assert 1 == len({span.trace for span in [*first.spans, *second.spans]})


class Counting(SpanProcessor):
    """Knows how many spans are open."""

    def __init__(self) -> None:
        self.open = self.most = self.ended = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.open += 1
        self.most = max(self.most, self.open)

    def on_end(self, span: ReadableSpan) -> None:
        self.open -= 1
        self.ended += 1


async def test_only_what_is_in_flight_is_held():
    """Of thousands of items each is told when it has ended."""
    provider, counting = TracerProvider(shutdown_on_exit=False), Counting()
    provider.add_span_processor(counting)

    @step
    async def source() -> list[int]:
        return list(range(1000))

    @step
    async def each(source: int = source.each) -> int:
        return source

    async with Orchestrator("memory:", telemetry=provider, max_concurrency=10) as orchestrator:
        await orchestrator.run(make_workflow("Many", [source, each])())

    assert (0, 2 * 1000 + 4) == (counting.open, counting.ended)
    assert 2 * 10 + 2 >= counting.most


@workflow
class Away:
    @step(executor="process")
    def where(self) -> str:
        return f"{trace_of_here()} {span_of_here()}"

    @step(executor="process")
    async def there(self) -> str:
        return f"{trace_of_here()} {span_of_here()}"


async def test_a_body_in_another_process_belongs_to_its_attempt():
    """What it traces there lies within it."""
    traces = Traces()

    async with Orchestrator(
        "memory:", telemetry=traces.provider, executors={"process": ProcessExecutor(1)}
    ) as orchestrator:
        result = await orchestrator.run(Away())

    spans = [*traces.named("where attempt"), *traces.named("there attempt")]
    assert [f"{span.trace} {span.id}" for span in spans] == [result[Away.where], result[Away.there]]


async def test_what_a_schedule_starts_is_a_trace_of_its_own():
    """Whatever the span in which the orchestrator was opened."""
    traces = Traces()
    tracer = traces.provider.get_tracer("service")

    with tracer.start_as_current_span("service"):
        async with TestOrchestrator(workflows=[Report], telemetry=traces.provider) as orchestrator:
            schedule = await orchestrator.schedule(Report(), cron="0 6 * * *", name="daily")
            await (await schedule.trigger()).wait()

    (service,), (whole,) = traces.named("service"), traces.named("Report")
    assert ("", True) == (whole.parent, whole.trace != service.trace)
