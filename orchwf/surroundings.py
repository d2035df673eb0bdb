"""What surrounds a body besides its own context: the trace that it belongs to, and what its log lines say."""

import sys
from collections.abc import Mapping
from typing import Any, TypedDict


class Carried(TypedDict, total=False):
    """Which span something belongs to, as W3C trace context writes it; empty outside of any trace."""

    traceparent: str
    tracestate: str


LOG_VARIABLES = "structlog.contextvars"
"""The module by which log lines say of which attempt they are, where it is loaded; else nothing is spent on that."""

LOG_NAMES = ("run_id", "workflow", "step", "item", "attempt", "trace_id", "span_id")
"""What a log line may say of where it was written."""


def carried() -> Carried:
    """Which span this belongs to, for others to go on with. Nothing is imported for that."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(found)
    if "traceparent" not in found:
        return {}
    return {"traceparent": found["traceparent"], "tracestate": found.get("tracestate", "")}


def process_provider() -> Any:
    """The `TracerProvider` that this process has set up; None if it has not. Nothing is imported for that."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, get_tracer_provider

    provider = get_tracer_provider()
    return None if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider) else provider


def take(what: Carried) -> None:
    """Belong to this span from now on, in the context variables of here, if OpenTelemetry is installed."""
    if not what:
        return
    try:
        from opentelemetry.context import attach
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return
    attach(TraceContextTextMapPropagator().extract(what))


def trace_ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the span that this belongs to, in hexadecimal; empty outside of any."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return {"trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"} if found.is_valid else {}


def log_values(run_id: str, workflow: str, step: str, attempt: int, item: str | None) -> dict[str, object]:
    """What a log line says of the attempt in which it was written; `item` only if it is that of one."""
    bound: dict[str, object] = {"run_id": run_id, "workflow": workflow, "step": step, "attempt": attempt}
    return bound if item is None else {**bound, "item": item}


def bind(values: Mapping[str, object]) -> None:
    """
    Let structlog's `merge_contextvars` say this, and the trace, from now on, in the context variables of here, if it is
    in use.

    In whoever started the run other values may be bound, as by another step: what is not given here is unbound.
    """
    if LOG_VARIABLES not in sys.modules:
        return
    from structlog.contextvars import bind_contextvars, unbind_contextvars

    bound = {**values, **trace_ids()}
    unbind_contextvars(*[name for name in LOG_NAMES if name not in bound])
    bind_contextvars(**bound)
