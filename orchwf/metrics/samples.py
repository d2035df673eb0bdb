"""From what was read and counted to the values of metrics."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from ..core.schedules import ScheduleRecord, delay_of
from ..runtime.health import Health
from ..runtime.histograms import Histogram
from ..runtime.measures import Measures
from ..runtime.tally import OTHER, Tally
from . import catalogue as all_of
from .catalogue import Metric
from .reading import Reading

Sample = tuple[Metric, tuple[str, ...], "float | Histogram"]
"""A metric, the values of its labels, its value."""

_MOST = 200
"""How many workflows, and how many schedules, are told apart."""


def of_store(reading: Reading | None, now: float) -> Iterator[Sample]:
    """The values of a store; of one that could not be read, that."""
    yield all_of.STORE_UP, (), float(reading is not None)
    if reading is None:
        return
    census = reading.census
    yield all_of.STORE_READ, (), reading.seconds
    yield all_of.STORE_AGE, (), max(0.0, now - reading.at)
    names = {workflow for workflow, _ in census.runs}
    for labels, count in _summed(census.runs.items(), names):
        yield all_of.OPEN_RUNS, labels, count
    for labels, count in _summed(census.paused.items(), names):
        yield all_of.PAUSED_RUNS, labels, count
    for workflow, since in _least(census.waiting_since, names):
        yield all_of.OLDEST_WAITING, (workflow,), max(0.0, reading.at - since)
    yield all_of.LEASES, ("held",), census.held
    yield all_of.LEASES, ("lapsed",), census.lapsed
    for labels, count in _summed((((queue,), count) for queue, count in census.slots.items()), set(census.slots)):
        yield all_of.SLOTS, labels, count
    yield from _of_schedules(reading)


def _of_schedules(reading: Reading) -> Iterator[Sample]:
    active = [record for record in reading.schedules if record.is_acting]
    yield all_of.SCHEDULES, ("active",), len(active)
    yield all_of.SCHEDULES, ("paused",), len(reading.schedules) - len(active)
    due = {record.name: _due_at(record) for record in active}
    for name, due_at in _least(due, set(due)):
        yield all_of.SCHEDULE_LATE, (name,), max(0.0, reading.at - due_at)


def _due_at(record: ScheduleRecord) -> float:
    return record.next_at + delay_of(record, record.next_at)


def _summed(
    counts: Iterable[tuple[tuple[str, ...], int]], names: Collection[str]
) -> Iterable[tuple[tuple[str, ...], int]]:
    """These; what is about names of which there are too many is one sum."""
    known = _told_apart(names)
    sums = Counter[tuple[str, ...]]()
    for (name, *rest), count in counts:
        sums[name if name in known else OTHER, *rest] += count
    return sums.items()


def _least(values: Mapping[str, float], names: Collection[str]) -> Iterable[tuple[str, float]]:
    """These; of those about names of which there are too many only the least."""
    known = _told_apart(names)
    least: dict[str, float] = {}
    for name, value in values.items():
        label = name if name in known else OTHER
        least[label] = min(value, least.get(label, math.inf))
    return least.items()


def _told_apart(names: Collection[str]) -> set[str]:
    return set(sorted(names)[:_MOST])


def of_process(measures: Measures, health: Health | None) -> Iterator[Sample]:
    """The values of a process; None of how it is before it has opened. May be asked from any thread."""
    if health is not None:
        yield all_of.ALIVE, (), float(health.is_alive)
        yield all_of.READY, (), float(health.is_ready)
        yield all_of.LEASE_AGE, (), health.lease_age
        yield all_of.EXECUTED_RUNS, (), health.runs
        yield all_of.IN_FLIGHT, (), health.steps
    yield all_of.LOOP_LAG_NOW, (), measures.lag.now
    yield all_of.LOOP_LAG, (), measures.lag.seconds
    yield all_of.COMMIT_SECONDS, (), measures.commits.seconds
    yield all_of.COMMIT_EVENTS, (), measures.commits.sizes
    if measures.tally is not None:
        yield from _of_tally(measures.tally)


def _of_tally(tally: Tally) -> Iterator[Sample]:
    # Each of these is taken at once: the loop goes on to count meanwhile.
    for metric, by_one in ((all_of.EVENTS, tally.events), (all_of.RUNS_STARTED, tally.started)):
        for label, count in list(by_one.items()):
            yield metric, (label,), count
    for metric, by_two in (
        (all_of.RUNS_ENDED, tally.ended), (all_of.RUN_PAUSES, tally.paused), (all_of.RUN_RESUMPTIONS, tally.resumed),
    ):  # fmt: skip
        for labels, count in list(by_two.items()):
            yield metric, labels, count
    for metric, of_steps in (
        (all_of.STEPS, tally.steps), (all_of.ITEMS, tally.items), (all_of.COMPENSATIONS, tally.compensations),
    ):  # fmt: skip
        for (step, outcome), count in list(of_steps.items()):
            yield metric, (*step, outcome), count
    for workflow, histogram in list(tally.run_seconds.items()):
        yield all_of.RUN_SECONDS, (workflow,), histogram
    for step, histogram in list(tally.attempt_seconds.items()):
        yield all_of.ATTEMPT_SECONDS, step, histogram
