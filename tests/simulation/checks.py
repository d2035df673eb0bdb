"""What must be true of the logs of a simulated life, one beside the other."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs

from orchwf.core import events as ev
from orchwf.core.events import Event
from orchwf.core.plan import Plan
from orchwf.core.rows import ITEMS

ENDS = (ev.StepCompleted, ev.StepFailed, ev.StepSkipped, ev.StepCancelled)
"""What ends a step, or an item."""

_HEARD_WITHIN = 200.0
"""Simulated seconds in which a run hears that it is to end, whoever dies or stalls meanwhile."""


@attrs.frozen
class Argument:
    """
    What a body was called with.

    Attributes:
        source: The step that gave it.
        position: Which item of what that gave, counted from 0; None if it gave no items.
    """

    source: str
    position: int | None
    value: Any


def check_argument(argument: Argument, log: Sequence[Event]) -> None:
    """It is what the source gave at this position, the last time or before."""
    given = []
    for event in log:
        if isinstance(event, ev.StepCompleted) and event.step == argument.source and event.output != ITEMS:
            output = json.loads(event.output)
            if event.item == argument.position:
                given.append(output)
            elif event.item is None and isinstance(output, list) and argument.position is not None:
                given += output[argument.position : argument.position + 1]
    # What did not complete gives nothing.
    assert argument.value in given or (argument.value is None and not given), f"{argument}, but {given} was given"


def check_rows(plan: Plan, log: Sequence[Event]) -> None:
    """A step that has items ends after all of them that began; it completes after all, if it needs all."""
    in_flight: set[tuple[str, int]] = set()
    ended: set[tuple[str, int]] = set()
    counts: dict[str, int] = {}
    for event in log:
        match event:
            case ev.StepEvent(item=None) if isinstance(event, ENDS):
                left = [item for step, item in in_flight if step == event.step]
                needs_all = plan.nodes[plan.index[event.step]].options.need is None
                if isinstance(event, ev.StepCompleted) and event.output == ITEMS and needs_all:
                    left += [item for item in range(counts.get(event.step, 0)) if (event.step, item) not in ended]
                assert not left, f"{event}, though items {left} have not ended"
            case ev.StepExpanded():
                counts[event.step] = event.count
            case ev.StepStarted(step=step, item=int() as item):
                in_flight.add((step, item))
            case ev.StepEvent(step=step, item=int() as item) if isinstance(event, ENDS):
                in_flight.discard((step, item))
                ended.add((step, item))
            case _:
                pass


def check_hits(log: Sequence[Event], logs: Mapping[str, Sequence[Event]]) -> None:
    """What was taken from another run is what that step gave there."""
    for hit, end in pairwise(log):
        if isinstance(hit, ev.CacheHit):
            assert isinstance(end, ev.StepCompleted)
            given = [each for each in logs[hit.run] if isinstance(each, ev.StepCompleted) and each.step == hit.step]
            assert end.output in {each.output for each in given if each.attempt}, f"{hit}, but {given} was given"


def forsaken_by(parent: Sequence[Event], started: ev.ChildStarted) -> Event | None:
    """By what the step ended that waited for a run, before that had ended; None if it still waits, or completed."""
    own = [each for each in parent if isinstance(each, ev.StepEvent) and each.step == started.step]
    last = next(each for each in reversed(own) if each.item == started.item)
    return last if isinstance(last, ev.StepCancelled | ev.StepFailed) else None


def check_forsaken(child: Sequence[Event], written: Mapping[int, float], at: float | None) -> None:
    """
    A run for which nobody waits any more begins no step, once it had the time to hear of it.

    Args:
        child: Its log.
        written: Number of an event in it -> the simulated second in which that was written.
        at: The second in which it was forsaken; None if it was not.
    """
    # Of what came to be, or was resumed by somebody, after that nothing is said.
    is_wanted = any(isinstance(each, ev.RunResumed) and each.reason == "retry" for each in child)
    if at is None or written[1] > at or is_wanted:
        return
    # Who has heard of it cleans up, however long that takes where everybody stalls or dies.
    heard = [each.seq for each in child if isinstance(each, ev.SignalReceived) and each.signal == "cancel"]
    starts = [
        each for each in child if isinstance(each, ev.StepStarted) and each.seq < min(heard, default=each.seq + 1)
    ]
    late = [each for each in starts if written[each.seq] > at + _HEARD_WITHIN]
    assert not late, f"nobody waits any more since {at}, and yet {late[0]} at {written[late[0].seq]}"
