"""Traces of OpenTelemetry: a span for each run, step and attempt, made of what was written."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from importlib.metadata import version
from typing import Any

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from ..core.dag import Dag
from ..core.definition import Node, Several
from ..core.events import ErrorInfo, Event, RunStarted
from ..core.lineage import Lineage, SpanKind, Traceparent, read_traceparent
from ..core.spans import Attribute, Deaf, End, Note, Span, Spans
from ..ports import RunRecord, TracerProvider
from ..surroundings import Carried

_LOGGER = logging.getLogger("orchwf")


def tracing_of(provider: TracerProvider) -> "Tracing | None":
    """What traces runs for this provider; None if it is switched off, or fails, which is logged."""
    try:
        tracer = provider.get_tracer("orchwf", version("orchwf"))
    # Foreign code: providers are the user's.
    except Exception:
        _LOGGER.exception("runs are not traced: the provider %r has failed", provider)
        return None
    return None if isinstance(tracer, NoOpTracer) else Tracing(tracer)


class Tracing:
    """
    Traces the runs of one orchestrator.

    The ids of spans follow from the log where the provider lets them be given, as that of the SDK does; another one
    chooses them itself, and then those of a process that died are not found again.

    Args:
        tracer: That of a provider.
    """

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self._ids: _GivenIds | None = None
        if hasattr(tracer, "id_generator"):
            # Whoever asks the provider for the same tracer gets it as it was.
            self._tracer = copy(tracer)
            self._ids = self._tracer.id_generator = _GivenIds()
        self._has_failed = False

    def follow(self, run: RunRecord, dag: Dag) -> "RunTrace":
        """The trace of a run that is about to be executed here."""
        return RunTrace(self, run, dag)

    def start(
        self, span: Span, above: Context, trace: int, attributes: Mapping[str, Attribute], links: Sequence[Link]
    ) -> Any:
        """A span of OpenTelemetry for this one; where it has none above, one of this trace."""
        if self._ids is not None:
            self._ids.trace, self._ids.span = trace, span.id
        elif not above:
            # It is within a span that nobody ever sees: then it is at least in this trace.
            above = _within(Traceparent(trace, span.id), "")
        return self._tracer.start_span(
            span.name, context=above, attributes=attributes, links=links, start_time=_nanoseconds(span.at)
        )

    @property
    def gives_ids(self) -> bool:
        """Whether a span has the id that follows from the log."""
        return self._ids is not None

    @contextmanager
    def harmless(self, trace: "RunTrace") -> Iterator[None]:
        """What fails in the block ends this trace, and not its run. The first one is told."""
        try:
            yield
        # Foreign code: samplers, processors, exporters and whole providers are the user's.
        except Exception:
            trace.is_off = True
            if not self._has_failed:
                self._has_failed = True
                _LOGGER.exception("tracing has failed, and goes on without run %r", trace.run_id)


class _GivenIds:
    """The ids that the next span gets, for a tracer of the SDK."""

    def __init__(self) -> None:
        self.trace = self.span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span

    def is_trace_id_random(self) -> bool:
        """Whether it can be sampled by its bits: it is a digest."""
        return True


class RunTrace:
    """
    One run as it is traced while it is executed here.

    It begins the spans that are under way, with the instants of the log, and only who writes their ends ends them: so
    each is exported once, by whichever process. A run that is not sampled has no span but its own: for that it is the
    current one in its bodies, so that what these trace is left out, too.

    Attributes:
        run_id: The run.
        is_off: Whether it is not traced any more, as something failed.
    """

    def __init__(self, tracing: Tracing, run: RunRecord, dag: Dag) -> None:
        self.run_id = run.id
        self.is_off = False
        self._tracing = tracing
        self._dag = dag
        self._spans: Spans | None = None
        self._started: RunStarted | None = None
        self._whole: Any = None
        self._is_live = False

    def recall(self, events: Sequence[Event]) -> None:
        """These events were written before it was executed here."""
        self._fold(events, Deaf())

    def told(self, events: Sequence[Event]) -> None:
        """These are in the store now."""
        if self.is_off or not events:
            return
        with self._tracing.harmless(self):
            if not self._is_live:
                self._go_on(events[0].at)
            self._fold(events, self)

    @property
    def _is_left_out(self) -> bool:
        """Whether it is not sampled."""
        return self._whole is not None and not self._whole.is_recording()

    def _fold(self, events: Sequence[Event], hearer: "Deaf | RunTrace") -> None:
        for event in events:
            if self._spans is None:
                if not isinstance(event, RunStarted):
                    # It is no log of a run, as others will say.
                    self.is_off = True
                    return
                split = frozenset(
                    name for name, node in self._dag.nodes.items() if node.several is Several.EACH
                )  # fmt: skip
                self._spans, self._started = Spans(self.run_id, event, split), event
            if self._is_left_out:
                return
            self._spans.apply(event, hearer)

    def _go_on(self, at: float) -> None:
        """Begin what is under way already, as others have begun it."""
        self._is_live = True
        if self._spans is None:
            return
        if self._spans.run is not None:
            # One that was to begin later may be taken up before that, to be ended.
            self._spans.run.at = min(self._spans.run.at, at)
        for span in self._spans.under_way:
            self.begun(span)
            if self._is_left_out:
                return
            notes, span.notes = span.notes, []
            for note in notes:
                self.noted(span, note)

    # What the bodies see of it.

    def enter(self, step: str, item: int | None, *, undoes: bool) -> None:
        """Make the attempt that is under way what the context variables of here belong to."""
        span = None if self._spans is None else self._spans.of((undoes, step, item))
        told = self._whole if span is None else span.told
        if told is not None and not self.is_off:
            with self._tracing.harmless(self):
                attach(set_span_in_context(told))

    def parent_of(self, step: str, item: int | None) -> Carried:
        """The span within which a run begins that this step starts."""
        span = None if self._spans is None else self._spans.step((False, step, item))
        told = self._whole if span is None else span.told
        if told is None or self.is_off:
            return {}
        found: SpanContext = told.get_span_context()
        text = str(Traceparent(found.trace_id, found.span_id, found.trace_flags))
        return {"traceparent": text, "tracestate": found.trace_state.to_header()}

    # What is heard of its spans.

    def begun(self, span: Span) -> None:
        """It has begun, after all within which it lies."""
        if self._spans is None or self._started is None:
            return
        above = Context() if span.parent is None else set_span_in_context(span.parent.told, Context())
        links: list[Link] = []
        if span.parent is None:
            traceparent = read_traceparent(self._started.traceparent)
            above = above if traceparent is None else _within(traceparent, self._started.tracestate)
            if (linked := read_traceparent(self._started.linked)) is not None:
                links.append(Link(_context_of(linked), {"orchwf.link": "origin"}))
        attributes, trace = span.attributes, 0
        if span.parent is None:
            trace = self._spans.lineage.trace
        elif span.kind is SpanKind.ATTEMPT and (name := _code_of(self._dag.nodes.get(span.step), span)):
            attributes["code.function.name"] = name
        span.told = self._tracing.start(span, above, trace, attributes, links)
        if span.parent is None:
            self._whole = span.told
        if span.follows and self._tracing.gives_ids and span.told.is_recording():
            self._link(span, span.follows, "resumed")

    def noted(self, span: Span, note: Note) -> None:
        """This happened in it."""
        span.told.add_event(note.name, note.attributes, _nanoseconds(note.at))
        if note.child and self._tracing.gives_ids and span.told.is_recording():
            own: SpanContext = span.told.get_span_context()
            lineage = Lineage.of_child(note.child, Traceparent(own.trace_id, own.span_id))
            self._link(span, lineage.span(SpanKind.RUN, 1), "child")

    def _link(self, span: Span, span_id: int, why: str) -> None:
        """Link to another span of the same trace."""
        own: SpanContext = span.told.get_span_context()
        context = _context_of(Traceparent(own.trace_id, span_id, own.trace_flags))
        span.told.add_link(context, {"orchwf.link": why})

    def ended(self, span: Span, end: End) -> None:
        """It has ended, after all that lie in it."""
        told = span.told
        if told.is_recording():
            told.set_attribute(f"orchwf.{span.kind}.status", end.status)
            if end.reason:
                told.set_attribute(f"orchwf.{span.kind}.reason", end.reason)
            if end.error is not None:
                told.set_attribute("error.type", end.error.type_name)
                if not span.has_tried:
                    # Of what was tried the last attempt has told it.
                    told.add_event("exception", _exception(end.error), _nanoseconds(end.at))
            if end.trouble:
                told.set_status(Status(StatusCode.ERROR, end.trouble))
        told.end(end_time=_nanoseconds(max(end.at, span.at)))


def _nanoseconds(at: float) -> int:
    return int(at * 1_000_000_000)


def _context_of(parent: Traceparent, tracestate: str = "") -> SpanContext:
    flags, state = TraceFlags(parent.flags), TraceState.from_header([tracestate]) if tracestate else None
    return SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=flags, trace_state=state)


def _within(parent: Traceparent, tracestate: str) -> Context:
    """A context within a span of another process."""
    return set_span_in_context(NonRecordingSpan(_context_of(parent, tracestate)), Context())


def _exception(error: ErrorInfo) -> dict[str, str]:
    """The attributes of an event that tells of an exception, as `record_exception` gives them."""
    return {
        "exception.type": error.type_name,
        "exception.message": error.message,
        "exception.stacktrace": error.traceback,
    }


def _code_of(node: Node | None, span: Span) -> str:
    """Where the body of an attempt stands: `module.Class.function`; empty if that is not known."""
    if node is not None and span.undoes:
        node = node.compensation
    function: Callable[..., object] | None = None if node is None else node.function
    name = getattr(function, "__qualname__", "")
    return f"{getattr(function, '__module__', '')}.{name}" if name else ""
