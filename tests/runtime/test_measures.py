"""What an orchestrator measures of itself."""

import asyncio
import time
from time import perf_counter

import pytest

from orchwf import Orchestrator, make_workflow
from orchwf.errors import StoreBusyError, StoreError
from orchwf.ports import Append
from orchwf.runtime.histograms import Histogram
from orchwf.runtime.measures import Commits, CommitTimes, Lag, Measures
from orchwf.stores import MemoryStore
from orchwf.stores.relay import Relay
from orchwf.testing import FakeClock


def append(events: int) -> Append:
    """One of so many events."""
    return Append(run_id="r", expected=0, events=[None] * events)  # type: ignore[list-item]


def test_a_histogram_counts_each_value_once():
    """In the class of the smallest bound that it does not exceed."""
    histogram = Histogram((1, 5))

    for value in (0.5, 1, 1.5, 5, 6, 100):
        histogram.add(value)

    assert [2, 2, 2] == histogram.counts
    assert (6, 114.0) == (histogram.count, histogram.sum)


def test_before_the_first_commit_all_is_nothing():
    """There is no mean of nothing."""
    assert CommitTimes() == Commits().times()


def test_of_many_commits_the_last_count():
    """Their number is that of all, and what they wrote; their times are those of the last 256."""
    commits, now = Commits(), perf_counter()
    for _ in range(10):
        commits.note(now - 1_000, [append(3)])
    for _ in range(255):
        commits.note(now, [append(1), append(1)])
    commits.note(now - 50, [append(2)])

    times = commits.times()

    assert 266 == times.count == commits.seconds.count
    assert 50 <= times.last < 60
    assert times.mean < 1
    # Two of a hundred would be five of these.
    assert times.p99 < 50
    assert (10 * 3 + 256 * 2) / 266 == times.size


def test_the_slowest_in_a_hundred():
    """Is the percentile."""
    commits, now = Commits(), perf_counter()
    for n in range(100):
        commits.note(now - 10 * (n == 50), [append(1)])

    assert 10 <= commits.times().p99 < 20


def test_a_loop_that_does_not_answer_grows_late():
    """Whoever asks before the answer is told how long it has been waited for."""
    lag = Lag()
    lag.note(lag.ask() - 0.25)
    before = lag.now
    lag.asked_at = perf_counter() - 3

    assert 0.25 <= before < 1
    assert 3 <= lag.now < 4
    assert 1 == lag.seconds.count


def test_a_late_answer_is_none_to_what_was_asked_since():
    """The loop is asked again, though it has not answered yet."""
    lag = Lag()
    first, second = lag.ask(), lag.ask()

    lag.note(first)
    is_waiting = lag.asked_at == second
    lag.note(second)

    assert is_waiting
    assert lag.asked_at is None


def test_a_store_that_takes_long_does_not_answer():
    """What is asked of it may never come back."""
    measures = Measures()
    measures.commits.began_at = perf_counter() - 5

    assert (False, True) == (measures.has_answer_within(4), measures.has_answer_within(60))


async def test_a_store_that_is_busy_does_not_answer():
    """Until what is asked of it is done."""

    tried = asyncio.Event()

    class Busy(Relay):
        async def append(self, appends):
            if not tried.is_set():
                tried.set()
                raise StoreBusyError("locked")
            return await super().append(appends)

    async def nothing() -> None: ...

    clock = FakeClock()
    async with Orchestrator(Busy(MemoryStore()), clock=clock) as orchestrator:
        started = asyncio.create_task(orchestrator.start(make_workflow("W", {"one": nothing})()))
        await tried.wait()
        busy = orchestrator.health()
        await clock.advance(1)
        await (await started).result()
        done = orchestrator.health()

    assert busy is not None
    assert done is not None
    assert (False, True) == (busy.store_answers, done.store_answers)


async def test_a_store_that_is_lost_does_not_answer():
    """The orchestrator has stopped, and says why it is not well."""

    class Lost(Relay):
        async def append(self, appends):
            raise StoreError("gone")

    async def nothing() -> None: ...

    async with Orchestrator(Lost(MemoryStore()), clock=FakeClock()) as orchestrator:
        with pytest.raises(StoreError, match="gone"):
            await orchestrator.start(make_workflow("W", {"one": nothing})())
        health = orchestrator.health()

    assert health is not None
    assert (False, False) == (health.is_alive, health.store_answers)


async def test_a_loop_that_is_blocked_shows():
    """It is asked from a thread, which goes on."""
    async with Orchestrator("memory:") as orchestrator:
        lag = orchestrator._measures.lag
        while lag.now < 0.2:
            time.sleep(0.01)  # noqa: ASYNC251 - so it is blocked
        health = orchestrator.health()

    assert health is not None
    assert health.loop_lag >= 0.2
