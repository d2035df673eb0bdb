"""Time that a test moves, and time that leaps."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from orchwf import BadOptionError, Orchestrator, UsageError
from orchwf.ports import Renewal
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock
from orchwf.testing.relay import Relay

DAY = 86_400.0


def test_time_stands_still():
    """Until somebody moves it."""
    clock = FakeClock(datetime(2026, 11, 2, 9, tzinfo=UTC))

    assert datetime(2026, 11, 2, 9, tzinfo=UTC).timestamp() == clock.now() == clock.now()
    assert "<FakeClock 2026-11-02 09:00:00>" == repr(clock)
    assert 5.0 == FakeClock(5).now()


def test_a_naive_datetime_is_refused():
    """Nobody knows which instant it means."""
    with pytest.raises(UsageError, match="aware datetime"):
        FakeClock(datetime(2026, 1, 1))


async def test_advance_fires_what_became_due_in_order():
    """Each at its own time, those that are set on the way included; what is later stays."""
    clock, fired = FakeClock(0), []

    def note(name: str) -> None:
        fired.append((name, clock.now()))

    def first() -> None:
        note("first")
        clock.call_at(15, lambda: note("set on the way"))

    clock.call_at(20, lambda: note("second"))
    clock.call_at(10, first)
    clock.call_at(61, lambda: note("later"))
    await clock.advance("1m")

    assert [("first", 10.0), ("set on the way", 15.0), ("second", 20.0)] == fired
    assert 60.0 == clock.now()


async def test_what_a_timer_sets_off_comes_before_the_next_timer():
    """A task that it wakes goes on at the time of the timer."""
    clock, woken, seen = FakeClock(0), asyncio.Event(), []

    async def wait() -> None:
        await woken.wait()
        seen.append(clock.now())

    waiting = asyncio.create_task(wait())
    clock.call_at(1, woken.set)
    clock.call_at(2, lambda: None)
    await clock.advance(3)

    assert [1.0] == seen
    await waiting


async def test_revoked_timers_are_not_called():
    """Before they are due, and by one that is due at the same time."""
    clock, fired = FakeClock(0), []
    revoke = clock.call_at(1, lambda: fired.append("revoked"))
    others: list[Callable[[], None]] = []

    def revoke_other() -> None:
        others.pop()()

    clock.call_at(2, revoke_other)
    others.append(clock.call_at(2, lambda: fired.append("revoked by another")))

    revoke()
    await clock.advance(5)

    assert [] == fired


async def test_what_is_due_already_is_called_soon():
    """Not at once, as with any clock: whoever asks is not in the midst of something then."""
    clock, called = FakeClock(100), asyncio.Event()

    clock.call_at(99, called.set)
    was_called = called.is_set()
    await called.wait()

    assert not was_called


async def test_advance_takes_durations():
    """And nothing else."""
    clock = FakeClock(0)

    await clock.advance("2d")

    assert 2 * DAY == clock.now()
    with pytest.raises(BadOptionError, match="advance takes a duration"):
        await clock.advance(-1)


async def test_automatic_time_leaps_to_the_next_timer():
    """Two days take some milliseconds, one after the other."""
    clock, first, second = FakeClock(0, auto=True), asyncio.Event(), asyncio.Event()

    clock.call_at(2 * DAY, first.set)
    clock.call_at(5 * DAY, second.set)
    await first.wait()
    at_first = clock.now()
    await second.wait()

    assert 2 * DAY == pytest.approx(at_first, abs=60)
    assert 5 * DAY == pytest.approx(clock.now(), abs=60)


async def test_automatic_time_flows_meanwhile():
    """A timer that is near comes in its own time while a leap is not allowed."""
    clock, rung = FakeClock(auto=True), asyncio.Event()
    before = clock.now()

    with clock.hold():
        clock.call_at(before + 0.01, rung.set)
        clock.call_at(before + DAY, lambda: None)
        await rung.wait()

    assert 0.01 <= clock.now() - before < 10


async def test_held_time_does_not_leap():
    """It does as soon as it is let go."""
    clock, rung = FakeClock(0, auto=True), asyncio.Event()
    clock.call_at(DAY, rung.set)

    with clock.hold():
        await asyncio.sleep(0.01)
        held = clock.now()
    await rung.wait()

    assert held < 10
    assert DAY <= clock.now()


async def test_a_task_that_is_about_to_act_is_not_overtaken():
    """As long as something stirs, time does not leap."""
    clock, fired = FakeClock(0, auto=True), []
    clock.call_at(DAY, lambda: fired.append("too early"))

    for _ in range(20):
        await asyncio.sleep(0.0003)
        clock.call_at(2 * DAY, lambda: None)()

    assert [] == fired


async def test_nothing_leaps_for_what_comes_round_again_and_again():
    """Such a timer fires when time has come so far, once for each time that it was set."""
    clock, rung, renewals = FakeClock(0, auto=True), asyncio.Event(), []

    def renew() -> None:
        renewals.append(clock.now())
        clock.aside.call_at(clock.aside.now() + 5, renew)

    renew()
    await asyncio.sleep(0.01)
    before = len(renewals)
    clock.call_at(DAY, rung.set)
    await rung.wait()

    assert 1 == before
    assert 2 == len(renewals)
    assert clock.now() == pytest.approx(DAY, abs=60)


async def test_nothing_leaps_for_what_is_planned():
    """But a leap to something else stops at each such time on its way."""
    clock, rung, came = FakeClock(0, auto=True), asyncio.Event(), []

    def come() -> None:
        came.append(round(clock.now()))
        clock.planned.call_at(clock.planned.now() + 3600, come)

    clock.planned.call_at(3600, come)
    await asyncio.sleep(0.01)
    before = len(came)
    clock.call_at(2.5 * 3600, rung.set)
    await rung.wait()

    assert 0 == before
    assert [3600, 7200] == came
    assert 9000 == pytest.approx(clock.now(), abs=60)


async def test_advance_stops_at_what_is_planned():
    """Each comes at its own time; what is set on the way as well."""
    clock, came = FakeClock(0), []

    def come() -> None:
        came.append(clock.now())
        clock.planned.call_at(clock.now() + 3600, come)

    revoke = clock.planned.call_at(1800, lambda: came.append(-1.0))
    clock.planned.call_at(3600, come)
    revoke()
    await clock.advance("1d")

    assert [3600.0 * hour for hour in range(1, 25)] == came


async def test_advance_of_automatic_time():
    """It moves on by so much at least, and leaps no further meanwhile."""
    clock, fired = FakeClock(0, auto=True), []

    with clock.hold():
        clock.call_at(60, lambda: fired.append(round(clock.now())))
        clock.call_at(DAY, lambda: fired.append(round(clock.now())))
        await clock.advance("2m")

    assert [60] == fired
    assert 120 == pytest.approx(clock.now(), abs=60)


async def test_standing_time_can_be_made_to_flow():
    """In a block; afterwards it stands where it has come to."""
    clock, rung = FakeClock(0), asyncio.Event()
    clock.call_at(0.005, rung.set)

    with clock.flowing():
        await rung.wait()
    after = clock.now()

    assert 0.005 <= after == clock.now() < 10


def test_a_clock_goes_on_on_another_loop():
    """What was set on a loop that is closed is forgotten; the time is not."""
    clock, fired = FakeClock(0), []

    async def once(name: str) -> None:
        clock.call_at(clock.now() + 100, lambda: fired.append(name))
        await clock.advance(60)

    asyncio.run(once("first"))
    asyncio.run(once("second"))

    assert [] == fired
    assert 120.0 == clock.now()


async def test_followers_keep_time_from_leaping():
    """For as long as they say so, and follow."""
    clock, rung = FakeClock(0, auto=True), asyncio.Event()
    unfollow = clock.follow(lambda: True)
    clock.call_at(DAY, rung.set)
    await asyncio.sleep(0.01)
    was_rung = rung.is_set()

    unfollow()
    clock.call_at(2 * DAY, lambda: None)
    await rung.wait()

    assert not was_rung


async def test_advance_waits_for_what_it_sets_off_but_not_for_ever():
    """Something that never comes to rest keeps it for some milliseconds."""
    clock = FakeClock(0)
    clock.follow(lambda: True)
    began = time.monotonic()

    await clock.advance(1)

    assert 1.0 == clock.now()
    assert 0.05 < time.monotonic() - began


async def test_advance_waits_as_long_as_something_happens():
    """One thing after the other, each of which takes a while: runs of a schedule that are made up for, say."""
    clock, left = FakeClock(0), 8
    clock.follow(lambda: left > 0)

    def happens() -> None:
        nonlocal left
        left -= 1
        with clock.hold():
            if left:
                asyncio.get_running_loop().call_later(0.02, happens)

    clock.call_at(1, happens)
    await clock.advance(1)

    assert 0 == left


class Distant(Relay):
    """Answers after a while: longer than `advance` waits for what does not stir."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.answered = 0

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        answer = asyncio.Event()
        asyncio.get_running_loop().call_later(0.15, answer.set)
        await answer.wait()
        renewal = await super().renew(owner, lease, near=near)
        self.answered += 1
        return renewal


async def test_advance_waits_for_the_store():
    """Whatever is asked on the way is answered at the time at which it was asked."""
    store, clock = Distant(), FakeClock()
    async with Orchestrator(store, clock=clock, lease=15) as orchestrator:
        await clock.advance(1)
        before = store.answered
        await clock.advance(10)
        after = store.answered
        health = orchestrator.health()

    assert 2 == after - before
    assert health is not None
    assert 1 == clock.now() - health.renewed_at


async def test_advance_waits_longer_for_those_who_end_for_sure():
    """As long as they say that something is under way, within their patience."""
    clock, ends_at = FakeClock(0), time.monotonic() + 0.15
    clock.follow(lambda: time.monotonic() < ends_at, patience=5_000)

    await clock.advance(1)

    assert ends_at <= time.monotonic()
