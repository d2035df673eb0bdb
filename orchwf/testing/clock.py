"""Time for tests: it moves when a test says so, or leaps over waits by itself."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import attrs

from ..core.options import Duration, seconds
from ..errors import UsageError
from ..ports import Clock, Store
from .relay import Held

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

_QUIET = 0.001
"""Seconds of the real loop in which nothing may happen before time leaps."""

_TURNS = 10
"""Turns of the loop after that in which nothing may happen: what was ready when it was over goes first."""

_PATIENCE = 50
"""
Looks in which something has to happen, or `advance` takes what is under way for something that waits.

It rests for `_QUIET` before each. So on a machine that has to do with others it waits for longer, as all do there.
"""

_LONGEST = 2_000
"""Looks that `advance` gives all that it has set off to come to rest."""

LONG = 30_000
"""Looks that it gives what comes to its end by itself, whatever a test does: an answer of a store, for one."""


@attrs.define(eq=False)
class _Timer:
    """
    A callback that is due `when` (epoch seconds).

    Attributes:
        is_awaited: Whether a run waits for it, so that time leaps to it.
        is_passed: Whether time, on a leap to another one, passes over it: it is called late then.
    """

    when: float
    callback: Callable[[], None]
    is_awaited: bool
    is_passed: bool = False
    is_over: bool = False


class FakeClock:
    """
    A `Clock` whose time is not that of the machine.

    By itself it stands still, and `advance` moves it. With `auto` it flows as time does, and leaps to the next timer as
    soon as nothing real is under way: then a back-off of two days takes a millisecond, while a body that takes a real
    second takes a second. It never leaps while a step of a `TestOrchestrator` runs, an orchestrator that goes by it
    waits for its store, or somebody holds it, and only after a quiet moment of about a millisecond, in which a test may
    act.

    It belongs to one event loop at a time.

    Args:
        at: What time it is at first: an aware datetime or epoch seconds.
        auto: Whether it flows and leaps by itself.

    Raises:
        UsageError: the datetime is naive.
    """

    def __init__(self, at: datetime | float = _BEGINNING, *, auto: bool = False) -> None:
        if isinstance(at, datetime) and at.tzinfo is None:
            raise UsageError(f"FakeClock takes an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC), not {at!r}")
        self._at = at.timestamp() if isinstance(at, datetime) else float(at)
        self._mark = time.monotonic()
        self._leaps = self._flows = auto
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()
        self._alarm: asyncio.Handle | None = None
        self._look: asyncio.Handle | None = None
        self._stirs = 0
        self._holds = 0
        self._is_advancing = False
        self._calls = 0
        self._busy = [_Busy(lambda: self._calls > 0, LONG)]
        self.planned: Clock = _View(self, is_passed=False)
        self.aside: Clock = _View(self, is_passed=True)

    def __repr__(self) -> str:
        return f"<FakeClock {datetime.fromtimestamp(self.now(), UTC):%Y-%m-%d %H:%M:%S}>"

    def now(self) -> float:
        return self._at + (time.monotonic() - self._mark if self._flows else 0.0)

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self.set_timer(_Timer(when, callback, is_awaited=True))

    async def advance(self, duration: Duration) -> None:
        """
        Move time on by so much: what becomes due on the way happens in order, each at its own time.

        Whatever that sets off comes to rest before time goes on, and before this returns. What a store is asked is
        waited for. Otherwise it is not if nothing happens for 50 real milliseconds, as a body waits for something else,
        say, or if it goes on for two seconds; both last longer on a machine that is busy.

        Raises:
            BadOptionError: this is no duration.
        """
        target = self.now() + seconds(duration, "advance")
        self._is_advancing = True
        try:
            await self._rest()
            while (due_at := self._next_due()) is not None and due_at <= target:
                self._leap(due_at)
                await self._rest()
            self._leap(target)
            await self._rest()
        finally:
            self._is_advancing = False
            self._stir()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """
        Keep time from leaping in the block: something real is under way that the clock does not know of.

        It flows on if it flows. For use on the loop only.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._stir()

    def watched(self, store: Store) -> Store:
        """This store for those who go by this clock: time does not leap while it is asked; its rates go by it, too."""
        return Held(store, now=self.now, calling=self._call)

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._stir()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let time flow as it does outside, in the block, also if it stands still otherwise."""
        before = self._flows
        self._set_flow(True)
        try:
            yield
        finally:
            self._set_flow(before)

    def follow(self, is_busy: Callable[[], bool], *, patience: int = _PATIENCE) -> Callable[[], None]:
        """
        Never leap while this says that something is under way. Returns what ends that.

        Args:
            patience: How many looks, each after a millisecond of rest, `advance` gives it to come to rest.
        """
        followed = _Busy(is_busy, patience)
        self._busy.append(followed)
        return partial(self._busy.remove, followed)

    def set_timer(self, timer: _Timer) -> Callable[[], None]:
        """Call back as this timer says. Returns what revokes that."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Of the loop before nothing is waited for any more.
            self._loop, self._timers, self._alarm, self._look = loop, [], None, None
        heapq.heappush(self._timers, (timer.when, next(self._numbers), timer))
        if self._timers[0][2] is timer:
            self._arm()
        self._stir()
        return partial(setattr, timer, "is_over", True)

    # Time that flows.

    def _set_flow(self, flows: bool) -> None:
        self._at, self._mark, self._flows = self.now(), time.monotonic(), flows
        if self._loop is not None:
            self._arm()

    def _head(self) -> _Timer | None:
        while self._timers and self._timers[0][2].is_over:
            heapq.heappop(self._timers)
        return self._timers[0][2] if self._timers else None

    def _arm(self) -> None:
        """See to it that the next timer is heard."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        head = self._head()
        if head is None or self._loop is None:
            return
        wait = head.when - self.now()
        if wait <= 0:
            self._alarm = self._loop.call_soon(self._fire)
        elif self._flows:
            self._alarm = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        now = self.now()
        while (head := self._head()) is not None and head.when <= now:
            head.is_over = True
            head.callback()
        self._arm()

    # Time that leaps.

    def _stir(self) -> None:
        """Something happens: only after a quiet moment may time leap."""
        self._stirs += 1
        # A loop that is closed is that of somebody before: the next timer comes with its own.
        if self._leaps and self._look is None and self._loop is not None and not self._loop.is_closed():
            self._look = self._loop.call_later(_QUIET, self._look_around, self._stirs, _TURNS)

    def _look_around(self, seen: int, turns: int) -> None:
        self._look = None
        loop = asyncio.get_running_loop()
        if seen != self._stirs:
            self._look = loop.call_later(_QUIET, self._look_around, self._stirs, _TURNS)
        elif turns:
            self._look = loop.call_soon(self._look_around, seen, turns - 1)
        elif not self._is_advancing and not self._is_held() and (due_at := self._next_leap()) is not None:
            self._leap(due_at)
            # There may be more that is waited for, though this one sets nothing off.
            self._stir()

    def _is_held(self) -> bool:
        return self._holds > 0 or any(followed.is_busy() for followed in self._busy)

    def _next_leap(self) -> float | None:
        """Where time leaps by itself: to what comes first, if a run waits for anything; None if none does."""
        due_at = self._next_due()
        return due_at if any(timer.is_awaited for _, _, timer in self._timers) else None

    def _next_due(self) -> float | None:
        """When the first timer is due that time does not pass over; None if there is none."""
        self._timers = [entry for entry in self._timers if not entry[2].is_over]
        heapq.heapify(self._timers)
        return min((timer.when for _, _, timer in self._timers if not timer.is_passed), default=None)

    def _leap(self, when: float) -> None:
        self._at, self._mark = max(when, self.now()), time.monotonic()
        self._fire()

    async def _rest(self) -> None:
        """Return when nothing happens any more, or does for too long."""
        looks = stood = 0
        while self._has_patience(looks, stood):
            seen = self._stirs
            for _ in range(2 * _TURNS):
                await asyncio.sleep(0)
            if seen == self._stirs and not self._is_held():
                return
            await asyncio.sleep(_QUIET)
            looks += 1
            stood = stood + 1 if seen == self._stirs else 0

    def _has_patience(self, waited: int, stood: int) -> bool:
        if stood < _PATIENCE and waited < _LONGEST:
            return True
        return any(waited < each.patience and each.is_busy() for each in self._busy)


@attrs.frozen(eq=False)
class _Busy:
    """Somebody who says whether something is under way, and for how many looks that is waited for."""

    is_busy: Callable[[], bool]
    patience: int


class _View:
    """
    The same time, for timers that come round again and again, and so are no reason to leap.

    Args:
        is_passed: Whether time that leaps to something else passes over them; else it stops at each.
    """

    def __init__(self, clock: FakeClock, *, is_passed: bool) -> None:
        self._clock = clock
        self._is_passed = is_passed

    def now(self) -> float:
        return self._clock.now()

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self._clock.set_timer(_Timer(when, callback, is_awaited=False, is_passed=self._is_passed))
