"""What a step that has to ask before it starts asks for, and what is kept of it for other runs."""

import json
from collections.abc import Iterator, Mapping, Sequence

from ..core.caching import CacheEntry, Lookup
from ..core.events import (
    CompensationCompleted,
    CompensationEvent,
    CompensationFailed,
    Event,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepSkipped,
)
from ..core.limits import Limit
from ..core.slots import SlotRequest
from .execution import Execution
from .gates import Ticket
from .queues import Queues

_ENDS = (
    StepCompleted, StepRetrying, StepFailed, StepSkipped, StepCancelled, CompensationCompleted, CompensationFailed
)  # fmt: skip
"""The events with which an attempt ends."""


def request_for(ticket: Ticket, queues: Queues, now: float) -> SlotRequest:
    """
    What a step asks for at this instant (epoch seconds).

    Raises:
        BadOptionError: a function of the user's gave no name, or no key.
        Exception: whatever such a function raises.
    """
    execution, step = ticket.execution, ticket.step
    run = execution.machine.run
    item = run.item_of(step)
    options, workflow = run.nodes[step].options, execution.instance()
    limits, lookup = [], None
    if options.cache is not None and ticket.key is not None and execution.use_cache:
        lookup = Lookup(key=ticket.key, since=options.cache.since(now))
        # Who computes the output holds this, so that nobody else does meanwhile.
        limits.append(Limit(name=json.dumps(["cache", ticket.key]), concurrency=1))
    if options.mutex is not None:
        limits.append(options.mutex.limit_for(workflow, run.run_id))
    if options.queue is not None:
        limits.append(queues.find(options.queue).limit_for(workflow))
    return SlotRequest(
        limits=limits, lookup=lookup, run_id=run.run_id, step=run.nodes[step].name,
        attempt=run.attempts[step] + 1, item=-1 if item is None else item, compensates=step in run.undone_by,
    )  # fmt: skip


def ended_steps(execution: Execution, events: Sequence[Event]) -> Iterator[int]:
    """The numbers of the steps, and compensations, of which an attempt has ended with one of these events."""
    run = execution.machine.run
    for event in events:
        if isinstance(event, _ENDS):
            number = run.number_of(event)
            yield run.undo[number] if isinstance(event, CompensationEvent) else number


def entries_of(execution: Execution, tickets: Mapping[int, Ticket], events: Sequence[Event]) -> Iterator[CacheEntry]:
    """
    The outputs among these events that are kept for other runs.

    Args:
        tickets: Step -> what it asked for, of those that have begun.
    """
    for event in events:
        # Without an attempt it is no output of this run.
        if isinstance(event, StepCompleted) and event.attempt:
            ticket = tickets.get(execution.machine.run.number_of(event))
            cache = execution.dag.nodes[event.step].options.cache
            if ticket is not None and ticket.key is not None and cache is not None:
                yield CacheEntry(
                    key=ticket.key, run_id=execution.record.id, step=event.step, output=event.output,
                    created_at=event.at, expires_at=cache.expires_at(event.at),
                )  # fmt: skip
