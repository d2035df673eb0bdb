"""Processes that execute orders on one store, are killed at random moments, and are replaced."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import attrs

from orchwf import RunStatus
from orchwf.core import events as ev
from orchwf.core.events import Event
from orchwf.stores.sqlite_query import read_events
from tests.processes.place import Noted, Place, Worker, check_ended, parse_noted

SIZE = 3
ORDERS = 50
LEASE = 1.5
_SPARES = 2
_MOST_NOTES = 60
"""How many notes there are at most from one kill to the next, of those that fall into the midst of bodies."""
_LONGEST = 0.2
"""Seconds from one kill to the next at most, of those that hit whatever is done: entering, or taking up."""

_Body = tuple[str, str]
"""Run, and step with its mark."""


@attrs.define
class Pool:
    """
    Three processes, and orders for them: so many at a time.

    Attributes:
        counts: What happened so far.
        logs: Run -> its log as it was seen last, of the orders at hand.
    """

    place: Place
    draw: random.Random
    counts: Counter[str] = attrs.field(factory=Counter)
    logs: dict[str, list[Event]] = attrs.field(factory=dict)
    _first: int = 0
    _workers: list[Worker] = attrs.field(factory=list)
    _spares: list[Worker] = attrs.field(factory=list)
    _read: int = 0
    _kept: set[_Body] = attrs.field(factory=set)
    _begun: Counter[_Body] = attrs.field(factory=Counter)
    _attempts: set[tuple[str, str, int]] = attrs.field(factory=set)
    _ended: set[tuple[str, str, int]] = attrs.field(factory=set)
    _over: set[str] = attrs.field(factory=set)

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
        return len(self.logs) == ORDERS and all(_has_ended(log) for log in self.logs.values())

    def _next(self) -> None:
        """All orders are done: see that they are as they should be, and let others begin."""
        self.check_ended()
        self._first += ORDERS
        self.logs.clear()
        for worker in self._workers:
            worker.send("orders", self._first, ORDERS)

    def finish(self) -> None:
        """Let the orders at hand end, and the processes leave in good order."""
        last = self.place.worker(lease=LEASE, max_takeovers=1_000_000).enter()
        last.do("orders", self._first, ORDERS)
        for number in range(self._first, self._first + ORDERS):
            last.wait(f"r{number}")
        self.check()
        assert self._is_over(), "not all runs have ended"
        self.check_ended()
        for worker in [*self._workers, *self._spares, last]:
            assert 0 == worker.leave()

    # Checking.

    def check(self) -> None:
        """
        See that the file is sound, logs only grow, no body begins again whose completion was stored, and every
        completed step has taken effect.
        """
        with closing(sqlite3.connect(self.place.path)) as db:
            self.counts["integrity checks"] += 1
            assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
            completed = [
                body for number in range(self._first, self._first + ORDERS) for body in _grown(db, number, self.logs)
            ]
        # What is noted from here on comes after what was read, so first what was noted, then what is known now.
        self._take_notes()
        for run, step, attempt in completed:
            assert (run, step, attempt) in self._ended, f"step {step} of {run} completed without its effect"
            self._kept.add((run, step))

    def _take_notes(self) -> None:
        if not self.place.effects.exists():
            return
        with self.place.effects.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        # A line that is being written is read the next time.
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            self._take(parse_noted(line))

    def _take(self, noted: Noted) -> None:
        body, attempt = (noted.run, noted.step), (noted.run, noted.step, noted.attempt)
        match noted.what:
            case "begin":
                assert noted.run not in self._over, f"{noted} after the end of the run"
                assert body not in self._kept, f"{noted} after its completion was stored"
                assert attempt not in self._attempts, f"{noted} for the second time"
                self._attempts.add(attempt)
                self._begun[body] += 1
                self.counts["bodies run"] += 1
                self.counts["bodies run again"] += self._begun[body] > 1
            case "end":
                self._ended.add(attempt)
            case "kept":
                self._kept.add(body)
            case _:
                raise AssertionError(f"{noted} is nothing that happens here")

    def check_ended(self) -> None:
        """See that the logs of all orders hold, and that each body that began had been told to by its log."""
        for run, before in self.logs.items():
            record, log = self.place.read(run)
            assert before == log, f"the log of {run} has changed"
            assert record.status is (RunStatus.FAILED if int(run[1:]) % 5 == 0 else RunStatus.COMPLETED)
            check_ended(record, log)
            orders = {body for event in log if (body := _order(run, event))}
            assert {attempt for attempt in self._attempts if attempt[0] == run} <= orders
            self._over.add(run)
            self.counts["runs"] += 1
            self.counts["events"] += len(log)
            self.counts.update(_fates(log))


def _has_ended(log: Sequence[Event]) -> bool:
    return isinstance(log[-1], ev.RunCompleted | ev.RunFailed | ev.RunCancelled)


def _grown(db: sqlite3.Connection, number: int, logs: dict[str, list[Event]]) -> list[tuple[str, str, int]]:
    """Add what is new to the log of this order; the completions in it: run, step with its mark, attempt."""
    run = f"r{number}"
    known = logs.get(run, [])
    new = read_events(db, run, after=len(known), limit=None)
    if not known and not new:
        return []
    logs[run] = [*known, *new]
    completed = []
    for event in new:
        match event:
            case ev.StepCompleted():
                completed.append((run, event.step, event.attempt))
            case ev.CompensationCompleted():
                completed.append((run, f"{event.step}~", event.attempt))
            case _:
                pass
    return completed


def _order(run: str, event: Event) -> tuple[str, str, int] | None:
    """The attempt that this event lets begin; None if it is another event."""
    match event:
        case ev.StepStarted():
            return run, event.step, event.attempt
        case ev.CompensationStarted():
            return run, f"{event.step}~", event.attempt
        case _:
            return None


def _fates(log: Sequence[Event]) -> Counter[str]:
    """What is worth counting in a log."""
    return Counter({
        "takeovers": sum(isinstance(event, ev.RunResumed) for event in log),
        "retries": sum(isinstance(event, ev.StepRetrying) for event in log),
        "compensations": sum(isinstance(event, ev.CompensationCompleted) for event in log),
    })  # fmt: skip
