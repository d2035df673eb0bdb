"""What must be true of a log, found out without the machine that wrote it."""

from collections.abc import Iterable, Sequence

from orchwf.core import events as ev
from orchwf.core.definition import ForSignal, Several
from orchwf.core.events import Event
from orchwf.core.options import Join, Quorum
from orchwf.core.plan import Plan

Key = tuple[str, int | None]
"""A step, or an item of it as its events name it."""

_ENDS = ev.StepCompleted | ev.StepFailed | ev.StepSkipped | ev.StepCancelled
_RUN_ENDS = ev.RunCompleted | ev.RunFailed | ev.RunCancelled


def check_start(plan: Plan, started: ev.StepStarted, before: Sequence[Event]) -> None:
    """Invariants 2 and 3: what starts has not completed before, and what it needs has."""
    completed = set(outputs_of(before))
    node, step = plan.nodes[plan.index[started.step]], plan.index[started.step]
    assert started.step not in completed, f"{started.step} had completed"
    assert started.item is None or (started.step, started.item) not in completed_items(before)
    # What follows items goes on before the step has ended that has them.
    needs = node.needs - {plan.nodes[source].name for source in plan.chained.get(step, ())}
    if node.options.join is Join.ALL:
        assert needs <= completed or started.item is not None, f"{started.step} started too early"
        assert all(set(group) & completed for group in node.choices)
    elif node.options.join is not Join.SETTLED:
        wanted = node.options.join.count if isinstance(node.options.join, Quorum) else 1
        assert len((set(node.dependencies) - node.asked) & completed) >= wanted


def outputs_of(log: Sequence[Event]) -> dict[str, str]:
    """Step -> its output, of those that have completed and are not to run again."""
    outputs: dict[str, str] = {}
    for event in log:
        if isinstance(event, ev.StepCompleted) and event.item is None:
            outputs[event.step] = event.output
        elif isinstance(event, ev.RunResumed):
            for step in event.reset:
                outputs.pop(step, None)
    return outputs


def completed_items(log: Sequence[Event]) -> set[Key]:
    """The items that have completed; no other one ever gets their numbers."""
    return {(event.step, event.item) for event in log if isinstance(event, ev.StepCompleted) and event.item is not None}


def check_fates(plan: Plan, log: Sequence[Event]) -> None:
    """Invariant 8: what runs at most once is not run again while nobody knows its fate."""
    for key in _keys(log):
        node, step = plan.nodes[plan.index[key[0]]], plan.index[key[0]]
        # While a value is taken apart, nothing happens outside.
        if node.options.delivery == "at_least_once" or (key[1] is None and step in plan.eaches):
            continue
        in_flight, unknown = False, False
        for event in log:
            if isinstance(event, ev.RunResumed):
                unknown = (unknown or in_flight) and node.name not in event.rerun
                in_flight = False
            elif isinstance(event, ev.StepEvent) and _key(event) == key:
                assert not (isinstance(event, ev.StepStarted) and unknown), f"{event} though its fate was unknown"
                in_flight = _is_in_flight(event, in_flight)
                # Somebody said what became of it.
                unknown = unknown and not isinstance(event, _ENDS)


def _keys(log: Iterable[Event]) -> list[Key]:
    return list(dict.fromkeys(_key(event) for event in log if isinstance(event, ev.StepEvent)))


def _key(event: ev.StepEvent | ev.CompensationEvent) -> Key:
    return event.step, event.item


def _is_in_flight(event: ev.StepEvent, before: bool) -> bool:
    return isinstance(event, ev.StepStarted) or (before and isinstance(event, ev.StepHeartbeat))


def check_effects(plan: Plan, log: Sequence[Event]) -> None:
    """Invariant 9: undone is just what may have had its effect, in the reverse order of the ends."""
    ends = _ends(log)
    expected = [key for key in ends if _can_be_undone(plan, key) and _may_have_happened(plan, log, key, ends[key])]
    undone = list(dict.fromkeys(_key(event) for event in log if isinstance(event, ev.CompensationStarted)))
    # Several may have ended at once, as their step got other items.
    order = [ends[key].seq for key in undone]
    assert sorted(order, reverse=True) == order
    if isinstance(log[-1], ev.RunCompleted):
        assert [] == undone
    elif any(isinstance(event, ev.SignalReceived) and event.signal == "terminate" for event in log):
        assert set(undone) <= set(expected)
        assert sorted((ends[key].seq for key in expected), reverse=True)[: len(order)] == order
    else:
        assert set(expected) == set(undone)
        # What has no end has no place in that order.
        endless = [key for key in _keys(log) if key not in ends and _can_be_undone(plan, key)]
        assert not any(_is_doubtful(plan, log, key) for key in endless)


def _ends(log: Sequence[Event]) -> dict[Key, Event]:
    """What was begun -> how it ended last: by an event of its own, or as its step got other items."""
    ends: dict[Key, Event] = {}
    begun: set[Key] = set()
    for event in log:
        if isinstance(event, ev.StepEvent):
            begun.add(_key(event))
            if isinstance(event, _ENDS):
                ends[_key(event)] = event
        elif isinstance(event, ev.RunResumed):
            gone = [key for key in begun if key[1] is not None and key[0] in event.changed]
            ends |= {key: event for key in gone if key not in ends}
    return ends


def _can_be_undone(plan: Plan, key: Key) -> bool:
    number = plan.index[key[0]]
    if plan.several.get(number) in (Several.EACH, Several.LOOP):
        return key[1] is not None and plan.nodes[number].compensation is not None
    return key[1] is None and number in plan.undo


def _may_have_happened(plan: Plan, log: Sequence[Event], key: Key, end: Event) -> bool:
    return (isinstance(end, ev.StepCompleted) and end.attempt > 0) or _is_doubtful(plan, log, key)


def _is_doubtful(plan: Plan, log: Sequence[Event], key: Key) -> bool:
    """Whether an attempt may have had its effect though it did not complete."""
    own = [
        event
        for event in log
        if isinstance(event, ev.RunResumed) or (isinstance(event, ev.StepEvent) and _key(event) == key)
    ]
    if any(getattr(event, "runs_on", False) for event in own):
        return True
    # It completed, and was to run again.
    is_step = key[1] is None
    if any(isinstance(event, ev.RunResumed) and is_step and key[0] in event.reset for event in own) and any(
        isinstance(event, ev.StepCompleted) and event.attempt > 0 for event in own
    ):
        return True
    if plan.nodes[plan.index[key[0]]].options.delivery == "at_most_once":
        return False
    in_flight = False
    for event in own:
        if isinstance(event, ev.RunResumed) and in_flight:
            return True
        in_flight = isinstance(event, ev.StepEvent) and _is_in_flight(event, in_flight)
    return False


def check_signals(plan: Plan, log: Sequence[Event]) -> None:
    """A node that waits for a signal gives the first one that came while the run had not ended, else its default."""
    first: dict[str, str] = {}
    has_ended = False
    is_fork = isinstance(log[0], ev.RunStarted) and bool(log[0].origin)
    for event in log:
        match event:
            case ev.SignalReceived() if not has_ended:
                first.setdefault(event.signal, event.payload)
            case ev.StepCompleted():
                waits = plan.nodes[plan.index[event.step]].waits
                # What a fork reuses came to another run.
                if isinstance(waits, ForSignal) and (event.step in first or not is_fork):
                    assert first.get(event.step, waits.default) == event.output
            case ev.StepFailed():
                assert not isinstance(plan.nodes[plan.index[event.step]].waits, ForSignal) or event.step not in first
            case ev.RunResumed():
                has_ended = False
            case ev.RunCompleted() | ev.RunFailed() | ev.RunCancelled():
                has_ended = True
            case _:
                pass


def check_end(log: Sequence[Event]) -> None:
    """Invariant 6: the run ends once, and its log with it; after a resume by hand it may end again."""
    ends = [event for event in log if isinstance(event, _RUN_ENDS)]
    resumes = [event for event in log if isinstance(event, ev.RunResumed) and event.reason in ("retry", "undo")]
    assert ends, "the run did not end"
    assert log[-1] is ends[-1], f"{log[-1]} comes after the end"
    assert len(ends) <= 1 + len(resumes)
    assert list(range(1, len(log) + 1)) == [event.seq for event in log]
