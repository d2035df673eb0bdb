"""
What an orchestrator measures of itself: how long commits take, how large they are, how late its loop is.

All of it is kept in numbers that do not grow, and written down where it happens; health and metrics only read it. Times
are by the performance counter: a clock of a test stands still while something is written.
"""

import asyncio
from array import array
from collections.abc import Sequence
from time import perf_counter

import attrs

from ..ports import Append, Clock, Store
from .histograms import Histogram
from .tally import Tally

_WINDOW = 256
"""How many commits the mean and the percentile are of."""

SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""The bounds by which what should be quick is sorted."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
"""Those by which numbers of events are sorted."""


@attrs.frozen(kw_only=True)
class CommitTimes:
    """
    How long the last commits took, at most 256 of them; all is 0 before the first one.

    Attributes:
        count: How many there were since the orchestrator began.
        last, mean, p99: Seconds of the last one, on the average, and of the slowest in a hundred.
        size: How many events one wrote, on the average of all.
    """

    count: int = 0
    last: float = 0.0
    mean: float = 0.0
    p99: float = 0.0
    size: float = 0.0


class Commits:
    """
    The commits of an engine.

    Attributes:
        began_at: When the one at hand began, by the performance counter; None while none is.
        seconds, sizes: How long they took, and how many events they wrote.
    """

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.seconds = Histogram(SECONDS)
        self.sizes = Histogram(SIZES)
        self._count = 0
        self._recent = array("d", bytes(8 * _WINDOW))

    def note(self, began_at: float, appends: Sequence[Append]) -> None:
        """These are written; that began at `began_at`."""
        seconds, size = perf_counter() - began_at, 0
        for append in appends:
            size += len(append.events)
        self.began_at = None
        self._recent[self._count % _WINDOW] = seconds
        self._count += 1
        self.seconds.add(seconds)
        self.sizes.add(size)

    def times(self) -> CommitTimes:
        """How long the last ones took."""
        if not self._count:
            return CommitTimes()
        recent = sorted(self._recent[: min(self._count, _WINDOW)])
        return CommitTimes(
            count=self._count, last=self._recent[(self._count - 1) % _WINDOW], mean=sum(recent) / len(recent),
            p99=recent[len(recent) * 99 // 100], size=self.sizes.sum / self._count,
        )  # fmt: skip


class Lag:
    """
    How late the loop is: how long it takes until it does what it was asked to do at once.

    Attributes:
        asked_at: Since when an answer is waited for, by the performance counter; None while none is.
        last: Seconds, as of the last answer.
        seconds: All of them.
    """

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self.last = 0.0
        self.seconds = Histogram(SECONDS)

    def ask(self) -> float:
        """The loop is asked now; what `note` is to be given. May be called from any thread."""
        self.asked_at = asked_at = perf_counter()
        return asked_at

    def note(self, asked_at: float) -> None:
        """The loop answers what it was asked then."""
        self.last = perf_counter() - asked_at
        self.seconds.add(self.last)
        if self.asked_at == asked_at:
            self.asked_at = None

    @property
    def now(self) -> float:
        """Seconds, as of the last answer, or longer if one is waited for. May be asked from any thread."""
        asked_at = self.asked_at
        return self.last if asked_at is None else max(self.last, perf_counter() - asked_at)


@attrs.frozen(eq=False)
class Opened:
    """
    What there is to look into once an orchestrator has opened.

    Attributes:
        loop: On which everything happens.
        store: Where its runs are; it can be asked on the loop.
        clock: What time it is.
    """

    loop: asyncio.AbstractEventLoop
    store: Store
    clock: Clock


class Measures:
    """
    What an orchestrator measures of itself.

    Attributes:
        commits: What its engine writes.
        lag: How late its loop is.
        is_answered: Whether the store did what it was asked last, as far as that is known.
        tally: What happens to runs and steps; None while nobody wants to know.
        opened: What is looked into beside; None before the orchestrator has opened.
    """

    def __init__(self) -> None:
        self.commits = Commits()
        self.lag = Lag()
        self.is_answered = True
        self.tally: Tally | None = None
        self.opened: Opened | None = None

    def has_answer_within(self, patience: float) -> bool:
        """Whether the store did what it was asked last, and has not been asked for longer than so many seconds."""
        began_at = self.commits.began_at
        return self.is_answered and (began_at is None or perf_counter() - began_at < patience)
