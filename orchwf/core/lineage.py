"""Where the ids of a run's trace and spans come from, so that any process finds the same ones."""

import hashlib
import re
from enum import StrEnum

import attrs

from . import events as ev

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SpanKind(StrEnum):
    """What a span is of."""

    RUN = "run"
    STEP = "step"
    ATTEMPT = "attempt"


@attrs.frozen
class Traceparent:
    """Which span of which trace something belongs to, as W3C trace context writes it; `flags` are its 8 bits."""

    trace: int
    span: int
    flags: int = 1

    def __str__(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-{self.flags:02x}"


def read_traceparent(text: str) -> Traceparent | None:
    """What this text says; None if it is no `traceparent`."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    return Traceparent(trace, span, flags) if trace and span else None


@attrs.frozen
class Lineage:
    """
    Where the ids of a run's spans come from: its id, and what tells it from another run that had this id before.

    That is when it was started; of a run that a step started, the span of that step, so that it is known there, too.
    """

    run_id: str
    salt: str

    @classmethod
    def of(cls, run_id: str, started: ev.RunStarted) -> "Lineage":
        """That of a run that began so."""
        above = read_traceparent(started.traceparent) if started.parent else None
        return cls.of_child(run_id, above) if above is not None else cls(run_id, f"{started.at:.6f}")

    @classmethod
    def of_child(cls, run_id: str, above: Traceparent) -> "Lineage":
        """That of a run that is started by the step of this span."""
        return cls(run_id, f"{above.trace:032x}{above.span:016x}")

    @property
    def trace(self) -> int:
        """The id of its trace, if it has one of its own."""
        return self._digest("trace", 16)

    def span(self, kind: SpanKind, seq: int) -> int:
        """The id of the span of this kind that the event of this number began."""
        return self._digest(f"{kind}/{seq}", 8)

    def _digest(self, what: str, size: int) -> int:
        text = "\0".join((self.run_id, self.salt, what))
        # No trace and no span may have the id 0.
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest()) or 1


def first_span(run_id: str, started: ev.RunStarted) -> Traceparent:
    """The span that a run had first which began so, for those who link to it."""
    lineage, within = Lineage.of(run_id, started), read_traceparent(started.traceparent)
    trace, flags = (lineage.trace, 1) if within is None else (within.trace, within.flags)
    return Traceparent(trace, lineage.span(SpanKind.RUN, started.seq), flags)
