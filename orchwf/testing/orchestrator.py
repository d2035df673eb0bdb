"""An orchestrator for tests: in memory, with a clock that waits for nothing."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal

from ..core.dag import Dag
from ..core.limits import Queue
from ..core.options import Duration
from ..orchestrator import Orchestrator
from ..ports import AroundRun, AroundStep, Executor, Observer, PayloadCodec, RunRecord, Store, TracerProvider
from ..runtime.hooks import Hook
from ..runtime.runs import Runs
from ..stores import CodedStore, MemoryStore
from .clock import LONG, FakeClock
from .recorder import Recorder


class TestOrchestrator(Orchestrator):
    """
    An `Orchestrator` over a store in memory, whose time leaps over all waits.

    ::

        async with TestOrchestrator() as orchestrator:
            result = await orchestrator.run(Fulfilment(order_id="A1"))

    While a step runs or the store is asked, time flows as it does outside; as soon as nothing is under way it leaps to
    the next thing that a run waits for: a back-off, a deadline. Leases are not touched by that: they go by the clock of
    the store; the rates of queues go by this one.

    Args:
        store: A URL or a store; by default a new `MemoryStore`.
        clock: Where time comes from; by default `FakeClock(auto=True)`. Those who share a store share a clock, too.
        workflows, max_concurrency, max_runs, grace, lease, max_takeovers, queues, executors, observers, middleware,
            on_success, on_failure, codec, telemetry: As of `Orchestrator`.

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
        max_runs: int | None = None,
        grace: Duration = 5.0,
        lease: Duration = 15.0,
        max_takeovers: int = 5,
        queues: Sequence[Queue] = (),
        executors: Mapping[str, Executor] | None = None,
        observers: Sequence[Observer] = (),
        middleware: Sequence[AroundStep | AroundRun] = (),
        on_success: Hook | None = None,
        on_failure: Hook | None = None,
        codec: PayloadCodec | None = None,
        telemetry: TracerProvider | Literal["auto", "off"] = "auto",
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock(auto=True)
        self.recorder = Recorder()
        if store is None:
            # It stays open on exit, as what is given.
            store, codec = MemoryStore() if codec is None else CodedStore(MemoryStore(), codec), None
        super().__init__(
            store, workflows=workflows, max_concurrency=max_concurrency, max_runs=max_runs, grace=grace, lease=lease,
            max_takeovers=max_takeovers, queues=queues, executors=executors, observers=(self.recorder, *observers),
            middleware=middleware, on_success=on_success, on_failure=on_failure, codec=codec, telemetry=telemetry,
            clock=self.clock,
        )  # fmt: skip
        # No run waits for a lease to be renewed: a leap is not for that, and passes over it.
        self._periodic = self.clock.aside
        # Nor for a schedule; but on its way to something else no leap passes over a time of one.
        self._planned = self.clock.planned

    async def _open(self, store: Store, stack: AsyncExitStack) -> None:
        stack.callback(self.clock.follow(self._is_busy))
        stack.callback(self.clock.follow(self._is_scheduling, patience=LONG))
        await super()._open(store, stack)

    def definition_of(self, run: RunRecord) -> Dag | None:
        """The definition with which a run is executed here; None if it is not known, or nothing was opened yet."""
        return None if self._entered is None else self._entered.registry.find(run)

    def _is_busy(self) -> bool:
        return self._entered is not None and (self._entered.engine.is_busy or self._hooks.is_busy)

    def _is_scheduling(self) -> bool:
        return self._entered is not None and self._scheduler.is_busy

    async def _end(self, runs: Runs) -> None:
        # Whoever moved time on has left, and the steps in flight have no more than `grace`.
        with self.clock.flowing():
            await super()._end(runs)
