"""What a simulation is made of: what happens when, places that are taken, a log that is synced."""

import heapq
from collections import deque
from collections.abc import Callable

Then = Callable[[], None]


class Agenda:
    """What happens when, and what time it is (seconds)."""

    def __init__(self) -> None:
        """Nothing is to happen, and it is 0."""
        self.now = 0.0
        self._entries: list[tuple[float, int, Then]] = []
        self._number = 0

    def after(self, seconds: float, then: Then) -> None:
        """Let this happen; what is to happen at one instant does so in the order in which it was said."""
        self._number += 1
        heapq.heappush(self._entries, (self.now + seconds, self._number, then))

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, then = heapq.heappop(self._entries)
        then()


class Places:
    """
    Places that are taken for a while, first come, first served: the cores of a machine, the connections of a server.

    Attributes:
        busy: For how many seconds places were taken, over all of them.
    """

    def __init__(self, agenda: Agenda, count: int) -> None:
        """So many places."""
        self.busy = 0.0
        self.count = count
        self._agenda = agenda
        self._taken = 0
        self._since = 0.0
        self._waiting: deque[Then] = deque()

    def take(self, then: Then) -> None:
        """Call this as soon as a place is free, which is its own then, until `leave`."""
        if self._taken == self.count:
            self._waiting.append(then)
            return
        self._note()
        self._taken += 1
        then()

    def leave(self) -> None:
        """Give a place back."""
        self._note()
        self._taken -= 1
        if self._waiting:
            self._taken += 1
            self._waiting.popleft()()

    def work(self, seconds: float, then: Then) -> None:
        """Take a place for so long; then this happens."""

        def done() -> None:
            self.leave()
            then()

        self.take(lambda: self._agenda.after(seconds, done))

    def until_now(self) -> float:
        """`busy`, up to this instant."""
        self._note()
        return self.busy

    def _note(self) -> None:
        self.busy += self._taken * (self._agenda.now - self._since)
        self._since = self._agenda.now


class Log:
    """The log of a server: one sync at a time, and with it is done whatever waits when it begins."""

    def __init__(self, agenda: Agenda, sync: float) -> None:
        """One that takes so many seconds for a sync."""
        self._agenda = agenda
        self._sync = sync
        self._waiting: list[Then] = []
        self._is_syncing = False

    def sync(self, then: Then) -> None:
        """Call this when all that was written before is on the disk."""
        self._waiting.append(then)
        if not self._is_syncing:
            self._begin()

    def _begin(self) -> None:
        group, self._waiting = self._waiting, []
        self._is_syncing = True

        def done() -> None:
            self._is_syncing = False
            if self._waiting:
                self._begin()
            for then in group:
                then()

        self._agenda.after(self._sync, done)
