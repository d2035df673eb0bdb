"""What surrounds a body, where OpenTelemetry or structlog are not in use, or not even installed."""

import sys
from contextvars import copy_context

import pytest
import structlog

from orchwf import make_workflow, step
from orchwf.core.dag import dag_of
from orchwf.core.events import RunStarted, StepStarted
from orchwf.core.state import RunStatus
from orchwf.observers.tracing import RunTrace, Tracing
from orchwf.ports import RunRecord
from orchwf.surroundings import Carried, bind, carried, process_provider, take, trace_ids
from tests.telemetry.traces import Traces

WITHIN: Carried = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "vendor=x"}
BEGUN = StepStarted(seq=1, at=1.0, step="a", attempt=1)


def a_trace(traces: Traces) -> RunTrace:
    made = make_workflow("Flow", {"a": step(lambda: None)})
    record = RunRecord(
        id="r", workflow="Flow", version="1", fingerprint="f", entrypoint="", status=RunStatus.RUNNING, metadata={},
        tags={}, created_at=1.0,
    )  # fmt: skip
    return RunTrace(Tracing(traces.provider.get_tracer("orchwf")), record, dag_of(made))


def test_a_span_is_handed_on():
    """As it was; outside of any there is nothing to hand on."""

    def within() -> tuple[object, object]:
        take(WITHIN)
        return carried(), trace_ids()

    assert (WITHIN, {"trace_id": "ab" * 16, "span_id": "cd" * 8}) == copy_context().run(within)
    assert ({}, {}) == (carried(), trace_ids())


def test_what_is_not_loaded_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    """There is no trace then, and no line to say something in."""
    for name in ("opentelemetry.trace", "structlog.contextvars"):
        monkeypatch.delitem(sys.modules, name)

    bind({"step": "nobody sees this"})

    assert ({}, None, {}) == (carried(), process_provider(), trace_ids())
    assert "step" not in structlog.contextvars.get_contextvars()


def test_a_process_without_opentelemetry_takes_no_span(monkeypatch: pytest.MonkeyPatch):
    """A worker may have it where another one has not."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    take(WITHIN)
    take({})

    assert {} == carried()


def test_a_process_without_a_provider_has_none():
    """That of the API alone stands for none."""
    assert None is process_provider()


@pytest.mark.parametrize("is_read", [True, False])
def test_what_is_no_log_of_a_run_is_not_traced(is_read: bool):
    """Others tell of the damage."""
    traces = Traces()
    traced = a_trace(traces)

    if is_read:
        traced.recall([BEGUN])
    traced.told([BEGUN])
    traced.told([])
    traced.enter("a", None, undoes=False)

    assert (True, {}, []) == (traced.is_off, traced.parent_of("a", None), traces.spans)


def test_a_step_that_is_not_known_is_traced_all_the_same():
    """Its code may be gone from the definition that a run goes on with."""
    traces = Traces()
    traced = a_trace(traces)
    started = RunStarted(seq=1, at=1.0, workflow="Flow", version="1", fingerprint="f", inputs="{}")

    traced.told([started, StepStarted(seq=2, at=1.0, step="gone", attempt=1)])
    copy_context().run(lambda: traced.enter("gone", None, undoes=True))

    assert "traceparent" in traced.parent_of("gone", None)
    assert "traceparent" in traced.parent_of("other", None)
