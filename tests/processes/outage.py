"""Processes that share a PostgreSQL server: two at a time are killed at random moments, and so is the server."""

import asyncio
import math
import random
import signal
import time
from collections import Counter
from typing import Protocol

import attrs

from orchwf import Client, RunStatus
from orchwf.core.events import RunCompleted, StepCompleted
from tests.postgres import Cluster
from tests.processes.flows import LINKS, Chain
from tests.processes.ledger import Ledger
from tests.processes.place import Command, Place, check_ended

SAFE = {"fsync": "on", "full_page_writes": "on"}
"""What a server is configured with that is to lose nothing."""
LEASE = 3.0
_KILLED_AT_ONCE = 2
_LONGEST = 60.0
"""Seconds that something has time to happen between two rounds of kills."""
_STALLED = 5 * _LONGEST
"""Seconds after which nothing will happen any more, however busy the machine is."""


class Working(Protocol):
    """A process that executes runs."""

    @property
    def has_ended(self) -> bool: ...

    def kill(self) -> None:
        """Kill it; it is dead when this returns."""
        ...

    def ended(self) -> int:
        """The exit code, once it has ended."""
        ...

    def leave(self) -> int:
        """Let it leave in good order, and its exit code."""
        ...


class Program(Protocol):
    """What the processes run."""

    @property
    def lost(self) -> int:
        """Its exit code where there is no server."""
        ...

    def prepare(self) -> None:
        """What is done once, before any of them begins."""
        ...

    def begin(self, share: int) -> Working:
        """A process that begins; it looks after these runs, and after whatever others leave."""
        ...


@attrs.frozen
class Sharing:
    """Processes with an orchestrator, each of which starts its share of the runs."""

    place: Place
    size: int
    runs: int
    lost: int = 1

    def prepare(self) -> None:
        """Nothing."""

    def begin(self, share: int) -> Working:
        worker = self.place.worker(lease=LEASE, max_takeovers=1_000_000)
        worker.send("enter")
        worker.send("chains", share, self.size, self.runs)
        return worker


@attrs.frozen
class Serving:
    """The command `orchwf worker`; all runs are started before."""

    place: Place
    runs: int
    lost: int = 4

    def prepare(self) -> None:
        async def start() -> None:
            async with Client(self.place.url) as client:
                for number in range(self.runs):
                    await client.start(Chain(), run_id=f"r{number}")

        asyncio.run(start())

    def begin(self, share: int) -> Working:
        return Command(self.place, "worker", "tests.processes.flows:Chain", "--quiet")


@attrs.define(kw_only=True)
class Outage:
    """
    So many processes, and so many runs of ten steps, which they share.

    Attributes:
        place: Where the store is, on the server.
        program: What the processes run.
        cluster: The server.
        pause: Seconds from one round of kills to the next: at least, and at most.
        most_notes: By how many notes of bodies at most that is cut short; None if it is not.
    """

    place: Place
    program: Program
    cluster: Cluster
    draw: random.Random
    size: int
    runs: int
    pause: tuple[float, float] = (2.0, 4.0)
    most_notes: int | None = None
    ledger: Ledger = attrs.field()
    _workers: dict[int, Working] = attrs.field(factory=dict)

    @ledger.default
    def _empty(self) -> Ledger:
        return Ledger(self.place.effects)

    @property
    def counts(self) -> Counter[str]:
        """What happened so far."""
        return self.ledger.counts

    @property
    def ended(self) -> int:
        """How many runs have completed, as far as is known."""
        return sum(isinstance(log[-1], RunCompleted) for log in self.ledger.logs.values())

    def live(self, restarts: int) -> None:
        """
        Let all runs end, while processes are killed, and the server so many times, and see that all is as it should be.
        """
        self.program.prepare()
        for share in range(self.size):
            self._begin(share)
        for number in range(1, restarts + 1):
            self._until(self.runs * number // (restarts + 1))
            self.cluster.restart()
            self.counts["restarts of the server"] += 1
        self._until(self.runs)
        for worker in self._workers.values():
            # One that has only just begun ends as any program does.
            assert worker.leave() in (0, -signal.SIGTERM)
        self._check_ended()

    def _begin(self, share: int) -> None:
        self._workers[share] = self.program.begin(share)

    def _until(self, ended: int) -> None:
        """Kill processes until so many runs have completed."""
        last, changed_at = -1, time.monotonic()
        while self.ended < ended:
            self._rest()
            for share, worker in self._workers.items():
                if worker.has_ended:
                    # It was to enter while there was no server.
                    assert self.program.lost == worker.ended()
                    self.counts["processes without a server"] += 1
                    self._begin(share)
            for share in self.draw.sample(range(self.size), _KILLED_AT_ONCE):
                self._workers[share].kill()
                self.counts["kills"] += 1
                self._begin(share)
            self.check()
            events = sum(self.ledger.known(self.ledger.logs).values())
            if events != last:
                last, changed_at = events, time.monotonic()
            assert time.monotonic() - changed_at < _STALLED, (
                f"nothing happens any more, and {self.ended} have completed"
            )

    def _rest(self) -> None:
        now = time.monotonic()
        until, latest, notes = now + self.draw.uniform(*self.pause), now + _LONGEST, 0
        most = math.inf if self.most_notes is None else self.draw.randint(1, self.most_notes)
        # What is noted comes through a pipe, too, and whoever writes to a full one waits. Where nothing has happened
        # yet the machine is busy: who is killed again and again before it begins does not get anywhere.
        while notes < most and (left := (until if notes else latest) - time.monotonic()) > 0:
            notes += len(self.place.hear(left))
            self.place.seen.clear()

    def check(self) -> None:
        """See that logs only grow, no body begins again that is kept as completed, and all completions took effect."""
        names = [f"r{number}" for number in range(self.runs)]
        self.ledger.take(self.place.store.grown(self.ledger.known(names)))

    def _check_ended(self) -> None:
        self.check()
        assert "ok" == self.place.store.integrity()
        assert self.runs == self.ended
        for run, log in self.ledger.logs.items():
            record, read = self.place.read(run)
            assert log == read, f"the log of {run} has changed"
            assert RunStatus.COMPLETED is record.status
            check_ended(record, log)
            completed = Counter(event.step for event in log if isinstance(event, StepCompleted))
            assert {f"s{link}": 1 for link in range(LINKS)} == completed
            self.ledger.close(run)
