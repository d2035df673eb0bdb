"""The spans of a run are a view of its log: whoever has read the log goes on with them."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from orchwf import Orchestrator, Retry, StepContext, make_workflow, step
from orchwf.core import events as ev
from orchwf.core.lineage import Lineage, Traceparent, first_span, read_traceparent
from orchwf.core.spans import MOST_NOTES, Deaf, End, Note, Span, Spans
from tests.runtime.flows import log_of

STARTED = ev.RunStarted(seq=1, at=10.0, workflow="Flow", version="1", fingerprint="f", inputs="{}")
FAILED = ev.ErrorInfo("ValueError", "no")


@attrs.define
class Heard:
    """What was told of spans, as text."""

    begun_: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    ends: list[tuple[int, str, str, float, float]] = attrs.field(factory=list)

    def begun(self, span: Span) -> None:
        self.begun_.append(span.name)

    def noted(self, span: Span, note: Note) -> None:
        self.notes.append(f"{span.name}: {note.name}")

    def ended(self, span: Span, end: End) -> None:
        self.ends.append((span.id, span.name, end.status, span.at, end.at))

    @property
    def told(self) -> list[str]:
        return [f"{name}: {status}" for _, name, status, _, _ in self.ends]


def lived(log: Sequence[ev.Event], split: Sequence[str] = ()) -> tuple[Spans, Heard]:
    """What is told of a log that starts as `STARTED` or otherwise."""
    first = log[0]
    assert isinstance(first, ev.RunStarted)
    spans, heard = Spans("r", first, frozenset(split)), Heard()
    for event in log:
        spans.apply(event, heard)
    return spans, heard


async def a_log() -> list[ev.Event]:
    """Of a run with items, retries, a failure, what undoes it, and a resume."""
    broken = [True]

    @step
    def source() -> list[int]:
        return [1, 2]

    @step(retries=Retry(1, initial=0))
    async def each(source: int = source.each, *, ctx: StepContext) -> int:
        if ctx.attempt == 1 and source == 2:
            raise ValueError("two")
        return source

    @step(required=False)
    async def optional() -> None:
        raise ValueError("never")

    @step(depends_on=each)
    async def total() -> None:
        if broken:
            raise ValueError("not yet")

    made = make_workflow("Rich", [source, each, optional, total])
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(made(), run_id="r")
        await run.wait()
        broken.clear()
        await (await orchestrator.resume("r")).wait()
        return await log_of(run)


async def test_who_read_the_log_goes_on_as_who_lived():
    """Wherever one process ends and another goes on, the spans that end from then on are the same."""
    log = await a_log()
    _, whole = lived(log, ["each"])

    for cut in range(1, len(log)):
        first = log[0]
        assert isinstance(first, ev.RunStarted)
        spans, heard = Spans("r", first, frozenset(["each"])), Heard()
        for event in log[:cut]:
            spans.apply(event, Deaf())
        for event in log[cut:]:
            spans.apply(event, heard)
        _, before = lived(log[:cut], ["each"])

        assert whole.ends == before.ends + heard.ends


async def test_each_span_has_an_id_of_its_own():
    """Also what begins by the same event, and what begins again after a resume."""
    _, heard = lived(await a_log(), ["each"])

    ids = [span_id for span_id, *_ in heard.ends]
    assert len(ids) == len(set(ids))
    assert ["Rich: failed", "Rich: completed"] == [each for each in heard.told if each.startswith("Rich")]


def test_nothing_is_left_open_at_the_end_of_a_run():
    """What has no end of its own ends with the run."""
    spans, heard = lived(
        [STARTED, ev.StepStarted(seq=2, at=11, step="a", attempt=1), ev.RunCancelled(seq=3, at=12, reason="enough")]
    )

    assert ["a attempt: cancelled", "a: cancelled", "Flow: cancelled"] == heard.told
    assert [] == list(spans.under_way)


def test_what_was_in_flight_is_lost_with_its_process():
    """The attempt ends when the run is resumed, the step goes on, and the next attempt follows the lost one."""
    spans, heard = lived(
        [
            STARTED,
            ev.StepStarted(seq=2, at=11, step="a", attempt=1),
            ev.RunResumed(seq=3, at=30, reason="takeover", fingerprint="f"),
            ev.StepStarted(seq=4, at=31, step="a", attempt=2),
        ]
    )

    assert ["a attempt: lost"] == heard.told
    (lost, *_), attempt = heard.ends[0], spans.of((False, "a", None))
    assert attempt is not None
    assert lost == attempt.follows
    assert ["Flow", "a", "a attempt"] == [span.name for span in spans.under_way]


def test_items_that_are_dropped_end():
    """A changed definition gives the step other items, and those before come to nothing."""
    _, heard = lived(
        [
            STARTED,
            ev.StepStarted(seq=2, at=11, step="a", attempt=1),
            ev.StepExpanded(seq=3, at=11, step="a", attempt=1, count=1),
            ev.StepStarted(seq=4, at=11, step="a", attempt=1, item=0),
            ev.RunResumed(seq=5, at=12, reason="takeover", fingerprint="g", changed=("a",)),
        ],
        ["a"],
    )

    assert ["a item attempt: lost", "a item: cancelled"] == heard.told
    assert ["a: step.expanded", "Flow: run.resumed"] == heard.notes


@pytest.mark.parametrize(
    "event",
    [
        ev.StepCompleted(seq=2, at=10.0, step="a", output="1"),
        ev.StepSkipped(seq=2, at=10.0, step="a", reason="", cause="when"),
    ],
)
def test_what_a_fork_takes_over_is_no_part_of_its_trace(event: ev.StepEvent):
    """Neither outputs nor skips; of a run that is no fork they are, as they are its own."""
    fork = attrs.evolve(STARTED, origin="r0")

    assert [] == lived([fork, event])[1].told
    assert 1 == len(lived([STARTED, event])[1].told)
    assert 1 == len(lived([fork, attrs.evolve(event, at=11.0)])[1].told)


@pytest.mark.parametrize(
    "event",
    [
        ev.StepCompleted(seq=2, at=11, step="a", item=3, output="1"),
        ev.StepSkipped(seq=2, at=11, step="a", item=3, reason="", cause="upstream"),
        ev.StepCancelled(seq=2, at=11, step="a", item=3, reason="", cause="rest"),
        ev.StepSkipped(seq=2, at=11, step="a", reason="", cause="only"),
    ],
)
def test_what_never_began_is_left_out(event: ev.Event):
    """Items that did not begin, of which there may be many, and steps that the run was not started for."""
    assert [] == lived([STARTED, event])[1].told


def test_an_item_may_be_the_first_that_is_heard_of_its_step():
    """The span of the step begins with it."""
    spans, heard = lived([STARTED, ev.StepStarted(seq=2, at=11, step="a", attempt=1, item=0)], ["a"])

    assert ["Flow", "a", "a item", "a item attempt"] == heard.begun_
    assert 4 == len({span.id for span in spans.under_way})


def test_a_condition_that_fails_ends_its_step():
    """Without an attempt."""
    _, heard = lived([STARTED, ev.StepFailed(seq=2, at=11, step="a", error=FAILED)])

    assert ["a: failed"] == heard.told


def test_messages_and_pauses_are_noted():
    """But not that a run has ended which this one started: that is seen by its own span."""
    _, heard = lived(
        [
            STARTED,
            ev.SignalReceived(seq=2, at=11, signal="child", message_id="child-x"),
            ev.SignalReceived(seq=3, at=11, signal="paid", message_id="paid-x"),
            ev.RunPaused(seq=4, at=12),
        ]
    )

    assert ["Flow: signal.received", "Flow: run.paused"] == heard.notes


def test_what_comes_after_the_end_is_in_no_span():
    """A message to a run that has failed, which is told when it is resumed."""
    spans, heard = lived(
        [
            STARTED,
            ev.RunFailed(seq=2, at=11, steps=(), error=""),
            ev.SignalReceived(seq=3, at=12, signal="x", message_id=""),
        ]
    )

    assert ([], ["Flow: failed"]) == (heard.notes, heard.told)
    assert None is spans.run


def test_an_output_that_was_kept_is_noted():
    """With the run that computed it; there was no attempt."""
    _, heard = lived(
        [
            STARTED,
            ev.CacheHit(seq=2, at=11, step="a", key="k", run="r0"),
            ev.StepCompleted(seq=3, at=11, step="a", output="1"),
        ]
    )

    assert (["a: cache.hit"], ["a: completed"]) == (heard.notes, heard.told)


def test_the_notes_that_are_kept_are_bounded():
    """A run may be resumed as often as it likes."""
    spans = Spans("r", STARTED)
    spans.apply(STARTED, Deaf())
    for seq in range(2, MOST_NOTES + 10):
        spans.apply(ev.RunPaused(seq=seq, at=11), Deaf())

    assert spans.run is not None
    assert MOST_NOTES == len(spans.run.notes)


@pytest.mark.parametrize(
    "text", ["", "00", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01", "x" * 55]
)
def test_what_is_no_traceparent_is_none(text: str):
    """And does no harm: it is as if there was none."""
    assert read_traceparent(text) is None


def test_a_traceparent_is_read_as_it_was_written():
    """All of it."""
    written = Traceparent(5, 7, 1)

    assert f"00-{5:032x}-{7:016x}-01" == str(written)
    assert written == read_traceparent(str(written))


def test_ids_follow_from_the_run():
    """Another run, another start of it, or another parent gives others; the same one the same."""
    within = attrs.evolve(STARTED, traceparent=str(Traceparent(5, 7, 0)))
    child = attrs.evolve(within, parent="p", at=99.0)

    made: list[Any] = [
        first_span("r", STARTED), first_span("s", STARTED), first_span("r", attrs.evolve(STARTED, at=11.0)),
        first_span("r", within), first_span("r", child),
    ]  # fmt: skip

    assert first_span("r", STARTED) == made[0]
    assert 4 == len({each.span for each in made})
    assert [(5, 0)] * 2 == [(each.trace, each.flags) for each in made[3:]]
    assert made[4].span == Lineage.of_child("r", Traceparent(5, 7)).span(lived([child])[0].run.kind, 1)  # type: ignore[union-attr]
