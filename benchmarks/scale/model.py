"""
Workers and databases, simulated: events in the order of their times, no clock, no chance but that of a seed.

A worker is what an orchestrator is: it has so many runs under way, decides about all steps that have ended in one turn
of its loop, writes that in one transaction, and only then lets the next ones begin; what ends meanwhile waits for the
next turn. The start of a run is a turn by itself. A transaction takes a connection of its database, two answers, CPU of
the server, and the next sync of its log, which it has in common with all others that wait for it then. Beside that each
worker looks into the store by the clock.
"""

import random
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .costs import Costs
from .resources import Agenda, Log, Places, Then

AT_ONCE = 500
"""Of how many steps an orchestrator writes at once, at most."""

SATURATED = 0.8
WORKERS, SERVERS, CONNECTIONS = "the workers' own CPU", "the server's CPU", "the server's connections"


@dataclass(frozen=True)
class System:
    """
    What is simulated.

    Attributes:
        workers: How many orchestrators, each on a core of its own.
        databases: How many servers; worker i writes to number i modulo this.
        lanes: How many runs each worker has under way, one after the other in each lane, each with one step at a time.
        run: Of how many steps a run is.
        duration: How long (seconds) a body waits for something outside; it takes no CPU.
        cores: How many cores each server has.
        connections: How many transactions each server serves at a time.
        shared_cores: How many cores workers and servers have together, if they are on one machine; else 0.
    """

    workers: int
    databases: int = 1
    lanes: int = 16
    run: int = 10
    duration: float = 0.0
    cores: int = 8
    connections: int = 100
    shared_cores: int = 0


@dataclass(frozen=True)
class Prediction:
    """
    What comes of it.

    Attributes:
        rate: Steps a second.
        median: How long a step takes beyond its body (seconds): from the decision to start it to the decision that it
            has ended.
        late: What one in a hundred exceeds of that.
        busy: Name of what may be saturated -> which share of the time it is busy.
    """

    rate: float
    median: float
    late: float
    busy: dict[str, float]

    @property
    def saturated(self) -> str:
        """What is busy for more than four fifths of the time, and most of all; empty if nothing is."""
        name = max(self.busy, key=self.busy.__getitem__)
        return name if self.busy[name] >= SATURATED else ""


class Database:
    """One server: its connections, its cores, its log."""

    def __init__(self, agenda: Agenda, costs: Costs, cores: Places, connections: int) -> None:
        """An idle one."""
        self.cores = cores
        self.connections = Places(agenda, connections)
        self._agenda = agenda
        self._costs = costs
        self._log = Log(agenda, costs.sync)

    def write(self, steps: int, then: Then) -> None:
        """A transaction that writes what became of so many steps, in two answers."""
        agenda, costs, half = self._agenda, self._costs, self._costs.server_call / 2

        def begun() -> None:
            agenda.after(costs.answer, lambda: self.cores.work(half, locked))

        def locked() -> None:
            agenda.after(costs.answer, lambda: self.cores.work(half + steps * costs.server_step, committing))

        def committing() -> None:
            self._log.sync(committed)

        def committed() -> None:
            self.connections.leave()
            then()

        self.connections.take(begun)

    def look(self, *, writes: bool) -> None:
        """A transaction that is made by the clock."""
        ended = self.connections.leave

        def done() -> None:
            if writes:
                self._log.sync(ended)
            else:
                ended()

        self.connections.take(
            lambda: self._agenda.after(self._costs.answer, lambda: self.cores.work(self._costs.server_look, done))
        )


@dataclass
class Lane:
    """Where one run is: the number of the step under way, counted from 1, or 0 before the start; and when it began."""

    step: int
    began: float = 0.0


class Worker:
    """An orchestrator. `told` is given how long each step took beyond its body, when it has ended."""

    def __init__(
        self, agenda: Agenda, costs: Costs, cores: Places, database: Database, system: System,
        told: Callable[[float], None],
    ) -> None:  # fmt: skip
        """One that has nothing to do yet."""
        self.cores = cores
        self._agenda = agenda
        self._costs = costs
        self._database = database
        self._system = system
        self._told = told
        self._stirred: deque[Lane] = deque()
        self._is_busy = False

    def stir(self, lane: Lane) -> None:
        """The body of a step has ended, or a run is to be started."""
        self._stirred.append(lane)
        if not self._is_busy:
            self._is_busy = True
            # At the same instant others may end, too.
            self._agenda.after(0.0, self._turn)

    def _turn(self) -> None:
        batch = [self._stirred.popleft() for _ in range(min(len(self._stirred), AT_ONCE))]
        now, steps = self._agenda.now, 0
        for lane in batch:
            if lane.step:
                self._told(now - lane.began - self._system.duration)
                steps += 1
            lane.step, lane.began = (lane.step + 1) % (self._system.run + 1), now
        cpu = self._costs.worker_call + steps * self._costs.worker_step
        self.cores.work(cpu, lambda: self._agenda.after(self._costs.stall, lambda: self._write(batch, steps)))

    def _write(self, batch: list[Lane], steps: int) -> None:
        def written() -> None:
            for lane in batch:
                self._agenda.after(self._system.duration if lane.step else 0.0, partial(self.stir, lane))
            if self._stirred:
                self._agenda.after(0.0, self._turn)
            else:
                self._is_busy = False

        self._database.write(steps, written)


def simulate(costs: Costs, system: System, *, steps: int = 20_000, seed: int = 7) -> Prediction:
    """
    What these workers do.

    Args:
        steps: Over how many of them it is counted, at least; twice as many as are under way, if that is more. As many
            as are under way go before.
    """
    agenda, draw = Agenda(), random.Random(seed)
    shared = Places(agenda, system.shared_cores) if system.shared_cores else None
    databases = [
        Database(agenda, costs, shared or Places(agenda, system.cores), system.connections)
        for _ in range(system.databases)
    ]
    took: list[float] = []
    workers = [
        Worker(
            agenda, costs, shared or Places(agenda, 1), databases[number % system.databases], system,
            took.append,
        )
        for number in range(system.workers)
    ]  # fmt: skip
    for number, worker in enumerate(workers):
        _begin(agenda, draw, system, costs, worker, databases[number % system.databases])
    under_way = system.workers * system.lanes
    while len(took) < under_way:
        agenda.step()
    took.clear()
    since, before = agenda.now, _busy(workers, databases)
    while len(took) < max(steps, 2 * under_way):
        agenda.step()
    seconds = agenda.now - since
    busy = {name: (now - before[name]) / seconds for name, now in _busy(workers, databases).items()}
    late = statistics.quantiles(took, n=100, method="inclusive")[-1]
    return Prediction(len(took) / seconds, statistics.median(took), late, busy)


def _begin(
    agenda: Agenda, draw: random.Random, system: System, costs: Costs, worker: Worker, database: Database
) -> None:
    """Let all lanes of a worker be under way, each somewhere in its body, and let it look by the clock."""
    for _ in range(system.lanes):
        # What is told of the first steps is passed over, so when they began is of no matter.
        lane = Lane(draw.randint(1, system.run))
        agenda.after(draw.random() * (system.duration or 0.001), partial(worker.stir, lane))
    looks = costs.reads + costs.writes
    if not looks:
        return

    def look() -> None:
        database.look(writes=draw.random() * looks < costs.writes)
        agenda.after(1 / looks, look)

    agenda.after(draw.random() / looks, look)


def _busy(workers: Sequence[Worker], databases: Sequence[Database]) -> dict[str, float]:
    """Name -> for how many seconds it was busy so far, on average over all of its places."""
    return {
        WORKERS: _mean_busy([each.cores for each in workers]),
        SERVERS: _mean_busy([each.cores for each in databases]),
        CONNECTIONS: _mean_busy([each.connections for each in databases]),
    }


def _mean_busy(places: Sequence[Places]) -> float:
    return sum(each.until_now() for each in places) / sum(each.count for each in places)
