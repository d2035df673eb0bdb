"""Processes that execute orders on one store, are killed at random moments, and are replaced."""

import random
import time
from collections import Counter
from collections.abc import Sequence

import attrs

from orchwf import RunStatus
from orchwf.core import events as ev
from orchwf.core.events import Event
from tests.processes.ledger import Ledger
from tests.processes.place import Place, Worker, check_ended

SIZE = 3
ORDERS = 50
LEASE = 1.5
_SPARES = 2
_MOST_NOTES = 60
"""How many notes there are at most from one kill to the next, of those that fall into the midst of bodies."""
_LONGEST = 0.2
"""Seconds from one kill to the next at most, of those that hit whatever is done: entering, or taking up."""


@attrs.define
class Pool:
    """
    Three processes, and orders for them: so many at a time.

    Attributes:
        ledger: The logs of the orders at hand, and what bodies did for them.
    """

    place: Place
    draw: random.Random
    ledger: Ledger = attrs.field()
    _first: int = 0
    _workers: list[Worker] = attrs.field(factory=list)
    _spares: list[Worker] = attrs.field(factory=list)

    @ledger.default
    def _empty(self) -> Ledger:
        return Ledger(self.place.effects)

    @property
    def counts(self) -> Counter[str]:
        """What happened so far."""
        return self.ledger.counts

    def _orders(self) -> list[str]:
        return [f"r{number}" for number in range(self._first, self._first + ORDERS)]

    # Killing.

    def open(self) -> None:
        """Let the first processes begin; they have entered when this returns."""
        self._spares = [self._spare() for _ in range(_SPARES)]
        self._workers = [self._spare().enter() for _ in range(SIZE)]
        for worker in self._workers:
            worker.send("orders", self._first, ORDERS)

    def _spare(self) -> Worker:
        # A run whose processes are killed by chance is no dead letter.
        return self.place.worker(lease=LEASE, max_takeovers=1_000_000)

    def kill(self) -> None:
        """Kill one of the processes at some moment, start another one in its place, and see that all is well."""
        self._wait()
        victim = self.draw.choice(self._workers)
        victim.kill()
        self.counts["kills"] += 1
        self._workers.remove(victim)
        fresh = self._spares.pop(0)
        self._spares.append(self._spare())
        fresh.send("enter")
        fresh.send("orders", self._first, ORDERS)
        self._workers.append(fresh)
        self.check()
        if self._is_over():
            self._next()

    def _wait(self) -> None:
        """Until so much has been noted, or so much time has passed, which is drawn."""
        is_busy = self.draw.random() < 0.7
        notes, until = self.draw.randint(1, _MOST_NOTES), time.monotonic() + self.draw.uniform(0, _LONGEST)
        while notes > 0 and (heard := self.place.hear(LEASE if is_busy else until - time.monotonic())):
            self.place.seen.clear()
            notes -= len(heard) if is_busy else 0

    def _is_over(self) -> bool:
        logs = self.ledger.logs
        return len(logs) == ORDERS and all(_has_ended(log) for log in logs.values())

    def _next(self) -> None:
        """All orders are done: see that they are as they should be, and let others begin."""
        self.check_ended()
        self._first += ORDERS
        self.ledger.logs.clear()
        for worker in self._workers:
            worker.send("orders", self._first, ORDERS)

    def finish(self) -> None:
        """Let the orders at hand end, and the processes leave in good order."""
        last = self.place.worker(lease=LEASE, max_takeovers=1_000_000).enter()
        last.do("orders", self._first, ORDERS)
        for run in self._orders():
            last.wait(run)
        self.check()
        assert self._is_over(), "not all runs have ended"
        self.check_ended()
        for worker in [*self._workers, *self._spares, last]:
            assert 0 == worker.leave()

    # Checking.

    def check(self) -> None:
        """
        See that the store is sound, logs only grow, no body begins again whose completion was stored, and every
        completed step has taken effect.
        """
        self.counts["integrity checks"] += 1
        assert "ok" == self.place.store.integrity()
        self.ledger.take(self.place.store.grown(self.ledger.known(self._orders())))

    def check_ended(self) -> None:
        """See that the logs of all orders hold, and that each body that began had been told to by its log."""
        for run, before in self.ledger.logs.items():
            record, log = self.place.read(run)
            assert before == log, f"the log of {run} has changed"
            assert record.status is (RunStatus.FAILED if int(run[1:]) % 5 == 0 else RunStatus.COMPLETED)
            check_ended(record, log)
            self.ledger.close(run)


def _has_ended(log: Sequence[Event]) -> bool:
    return isinstance(log[-1], ev.RunCompleted | ev.RunFailed | ev.RunCancelled)
