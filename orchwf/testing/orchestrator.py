"""An orchestrator for tests: in memory, with a clock that waits for nothing."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from ..core.options import Duration
from ..orchestrator import Orchestrator
from ..ports import Observer, Store
from ..runtime.runs import Runs
from ..stores import MemoryStore
from .clock import FakeClock
from .recorder import Recorder
from .relay import Held


class TestOrchestrator(Orchestrator):
    """
    An `Orchestrator` over a store in memory, whose time leaps over all waits.

    ::

        async with TestOrchestrator() as orchestrator:
            result = await orchestrator.run(Fulfilment(order_id="A1"))

    While a step runs or the store is asked, time flows as it does outside; as soon as nothing is under way it leaps to
    the next thing that a run waits for: a back-off, a deadline. Leases are not touched by that: they go by the clock of
    the store.

    Args:
        store: A URL or a store; by default a new `MemoryStore`.
        clock: Where time comes from; by default `FakeClock(auto=True)`. Those who share a store share a clock, too.
        workflows, max_concurrency, grace, lease, max_takeovers, observers: As of `Orchestrator`.

    Attributes:
        clock: Where time comes from.
        recorder: Keeps all events that were told here.
    """

    __test__ = False  # Its name looks to pytest as if it was a class of tests.

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        workflows: Sequence[type] = (),
        max_concurrency: int = 256,
        grace: Duration = 5.0,
        lease: Duration = 15.0,
        max_takeovers: int = 5,
        observers: Sequence[Observer] = (),
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock(auto=True)
        self.recorder = Recorder()
        super().__init__(
            MemoryStore() if store is None else store, workflows=workflows, max_concurrency=max_concurrency,
            grace=grace, lease=lease, max_takeovers=max_takeovers, observers=(self.recorder, *observers),
            clock=self.clock,
        )  # fmt: skip
        # No run waits for a lease to be renewed: a leap is not for that, and passes over it.
        self._periodic = self.clock.aside

    async def _open(self, store: Store, stack: AsyncExitStack) -> None:
        stack.callback(self.clock.follow(self._is_busy))
        await super()._open(Held(store, self.clock), stack)

    def _is_busy(self) -> bool:
        return self._entered is not None and self._entered.engine.is_busy

    async def _end(self, runs: Runs) -> None:
        # Whoever moved time on has left, and the steps in flight have no more than `grace`.
        with self.clock.flowing():
            await super()._end(runs)
