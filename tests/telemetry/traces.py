"""What the tests of traces share: a provider whose spans stay in memory, and how they are told and checked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler


@attrs.frozen
class Seen:
    """A span that was exported."""

    trace: str
    id: str
    parent: str
    name: str
    begun: int
    ended: int
    attributes: Mapping[str, object]
    notes: Sequence[str]
    links: Sequence[str]
    status: str
    described: str

    @property
    def told(self) -> str:
        """How it ended, as its attribute says; of a span of the user's own nothing."""
        found = [value for name, value in self.attributes.items() if name.startswith("orchwf.") and "status" in name]
        return str(found[0]) if found else ""


def seen(span: ReadableSpan) -> Seen:
    """What is compared of a span."""
    context = span.get_span_context()
    assert context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return Seen(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent else "",
        span.name, span.start_time, span.end_time, dict(span.attributes or {}), [each.name for each in span.events],
        [f"{each.context.span_id:016x}" for each in span.links], span.status.status_code.name,
        span.status.description or "",
    )  # fmt: skip


@attrs.define
class Traces:
    """The spans that one process has exported, or several."""

    sampler: Sampler | None = None
    exporter: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    provider: TracerProvider = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[Seen]:
        return [seen(span) for span in self.exporter.get_finished_spans()]

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]


def paths(spans: Iterable[Seen]) -> list[str]:
    """`Run / step / attempt: how it ended` of each span, in order; and that the trace is whole is asserted."""
    spans = list(spans)
    by_id = check_whole(spans)
    return sorted(_path(span, by_id) for span in spans)


def _path(span: Seen, by_id: Mapping[str, Seen]) -> str:
    names, at = [span.name], span
    while at.parent in by_id:
        at = by_id[at.parent]
        names.insert(0, at.name)
    return " / ".join(names) + (f": {span.told}" if span.told else "")


def check_whole(spans: Iterable[Seen], roots: int = 1) -> dict[str, Seen]:
    """Assert that it is one trace, that no id is there twice, and each parent is; id -> its span."""
    spans = list(spans)
    assert 1 == len({span.trace for span in spans})
    assert [] == [span_id for span_id, count in Counter(span.id for span in spans).items() if count > 1]
    by_id = {span.id: span for span in spans}
    lost = [span.name for span in spans if span.parent not in by_id]
    assert roots == len(lost), lost
    for span in spans:
        assert span.begun <= span.ended
    return by_id
