"""What must be true of a log, found out without the machine that wrote it."""

from collections.abc import Sequence

from orchwf.core import events as ev
from orchwf.core.events import Event
from orchwf.core.options import Join, Quorum
from orchwf.core.plan import Plan

_ENDS = ev.StepCompleted | ev.StepFailed | ev.StepSkipped | ev.StepCancelled


def check_start(plan: Plan, started: ev.StepStarted, before: Sequence[Event]) -> None:
    """Invariants 2 and 3: a step that starts has not completed before, and what it needs has."""
    completed = set(outputs_of(before))
    node = plan.nodes[plan.index[started.step]]
    assert started.step not in completed, f"{started.step} had completed"
    if node.options.join is Join.ALL:
        assert node.needs <= completed, f"{started.step} started too early"
        assert all(set(group) & completed for group in node.choices)
    elif node.options.join is not Join.SETTLED:
        wanted = node.options.join.count if isinstance(node.options.join, Quorum) else 1
        assert len((set(node.dependencies) - node.asked) & completed) >= wanted


def outputs_of(log: Sequence[Event]) -> dict[str, str]:
    """Step -> its output, of those that have completed and are not to run again."""
    outputs: dict[str, str] = {}
    for event in log:
        if isinstance(event, ev.StepCompleted):
            outputs[event.step] = event.output
        elif isinstance(event, ev.RunResumed):
            for step in event.reset:
                outputs.pop(step, None)
    return outputs


def check_fates(plan: Plan, log: Sequence[Event]) -> None:
    """Invariant 8: a step that runs at most once is not run again while nobody knows its fate."""
    for node in plan.nodes[: len(plan)]:
        if node.options.delivery == "at_least_once":
            continue
        in_flight, unknown = False, False
        for event in log:
            if isinstance(event, ev.RunResumed):
                unknown = (unknown or in_flight) and node.name not in event.rerun
                in_flight = False
            elif isinstance(event, ev.StepEvent) and event.step == node.name:
                assert not (isinstance(event, ev.StepStarted) and unknown), f"{event} though its fate was unknown"
                in_flight = _is_in_flight(event, in_flight)
                # Somebody said what became of it.
                unknown = unknown and not isinstance(event, _ENDS)


def _is_in_flight(event: ev.StepEvent, before: bool) -> bool:
    return isinstance(event, ev.StepStarted) or (before and isinstance(event, ev.StepHeartbeat))


def check_effects(plan: Plan, log: Sequence[Event]) -> None:
    """Invariant 9: undone is just what may have had its effect, in the reverse order of the ends."""
    ends = {event.step: event for event in log if isinstance(event, _ENDS)}
    expected = [
        name
        for name, event in sorted(ends.items(), key=lambda item: -item[1].seq)
        if plan.index[name] in plan.undo
        and ((isinstance(event, ev.StepCompleted) and event.attempt > 0) or _is_doubtful(plan, log, name))
    ]
    undone = list(dict.fromkeys(event.step for event in log if isinstance(event, ev.CompensationStarted)))
    if isinstance(log[-1], ev.RunCompleted):
        assert [] == undone
    elif any(isinstance(event, ev.SignalReceived) and event.signal == "terminate" for event in log):
        assert expected[: len(undone)] == undone
    else:
        assert expected == undone


def _is_doubtful(plan: Plan, log: Sequence[Event], name: str) -> bool:
    """Whether an attempt of this step may have had its effect though it did not complete."""
    own = [event for event in log if isinstance(event, ev.RunResumed) or getattr(event, "step", None) == name]
    if any(getattr(event, "runs_on", False) for event in own):
        return True
    # It completed, and was to run again.
    if any(isinstance(event, ev.RunResumed) and name in event.reset for event in own) and any(
        isinstance(event, ev.StepCompleted) and event.attempt > 0 for event in own
    ):
        return True
    if plan.nodes[plan.index[name]].options.delivery == "at_most_once":
        return False
    in_flight = False
    for event in own:
        if isinstance(event, ev.RunResumed) and in_flight:
            return True
        in_flight = isinstance(event, ev.StepEvent) and _is_in_flight(event, in_flight)
    return False


def check_end(log: Sequence[Event]) -> None:
    """Invariant 6: the run ends once, and its log with it; after a resume by hand it may end again."""
    ends = [event for event in log if isinstance(event, ev.RunCompleted | ev.RunFailed | ev.RunCancelled)]
    resumes = [event for event in log if isinstance(event, ev.RunResumed) and event.reason in ("retry", "undo")]
    assert ends, "the run did not end"
    assert log[-1] is ends[-1], f"{log[-1]} comes after the end"
    assert len(ends) <= 1 + len(resumes)
    assert list(range(1, len(log) + 1)) == [event.seq for event in log]
