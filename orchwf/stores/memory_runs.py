"""Runs in a store in memory: which of them somebody asks for, or wants."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

import attrs

from ..core.events import Event, RunCancelled, RunFailed
from ..core.state import RunStatus
from ..ports import Message, RunQuery, RunRecord, Wanted
from .turns import in_turn


@attrs.define(eq=False)
class StoredRun:
    """One run: `seen` has the ids of all messages it ever got, `inbox` those not folded in: id -> (order, message)."""

    record: RunRecord
    events: list[Event] = attrs.field(factory=list)
    fingerprints: set[str] = attrs.field(factory=set)
    seen: set[str] = attrs.field(factory=set)
    inbox: dict[str, tuple[int, Message]] = attrs.field(factory=dict)

    @property
    def compensation(self) -> str:
        ends = (event for event in reversed(self.events) if isinstance(event, RunFailed | RunCancelled))
        return next((event.compensation for event in ends), "")


def matches(run: StoredRun, query: RunQuery) -> bool:
    """Whether this run is asked for."""
    record = run.record
    return (
        (query.workflow is None or record.workflow == query.workflow)
        and (query.statuses is None or record.status in query.statuses)
        and all(record.tags.get(key) == value for key, value in query.tags.items())
        and (query.since is None or record.created_at >= query.since)
        and (query.until is None or record.created_at < query.until)
        and (query.id_prefix is None or record.id.startswith(query.id_prefix))
        and (query.owners is None or record.owner in query.owners)
        and (query.asked is None or any(message.signal in query.asked for _, message in run.inbox.values()))
        and (query.is_asleep is None or (record.wake_at is not None) is query.is_asleep)
        and (query.due_by is None or _is_due(record, query.due_by))
        and (query.has_mail is None or bool(run.inbox) is query.has_mail)
        and (query.compensation is None or run.compensation == query.compensation)
        and (query.before is None or record.number < query.before)
    )


def _is_due(record: RunRecord, now: float) -> bool:
    """Whether a run sleeps that is to go on now, or that began to sleep later than now."""
    return record.wake_at is not None and (record.wake_at <= now or (record.slept_at or 0.0) > now)


def wanted_in_turn(free: Sequence[StoredRun], wanted: Wanted) -> Iterator[StoredRun]:
    """Those of these runs, by age, that are wanted, in the order in which `Store.take` takes them; some twice."""
    now = wanted.due_by
    asleep = [run for run in free if run.record.wake_at is not None]
    awake = [run for run in free if run.record.wake_at is None]
    by_wake = sorted(asleep, key=attrgetter("record.wake_at"))
    return chain(
        _in_turn([run for run in awake if run.record.owner is not None], wanted.awake, _runs),
        _in_turn([run for run in awake if run.record.owner is None], wanted.awake, _runs),
        _in_turn(by_wake, wanted.asleep, lambda run: (run.record.wake_at or 0.0) <= now),
        _in_turn(by_wake, wanted.asleep, lambda run: _is_due(run.record, now)),
        _in_turn(asleep, wanted.asleep, lambda run: _runs(run) and bool(run.inbox)),
    )


def _runs(run: StoredRun) -> bool:
    return run.record.status is RunStatus.RUNNING


def _in_turn(
    runs: Sequence[StoredRun], workflows: Sequence[str], is_wanted: Callable[[StoredRun], bool]
) -> Iterator[StoredRun]:
    return in_turn([run for run in runs if run.record.workflow == name and is_wanted(run)] for name in workflows)
