"""The room that executors have, and the steps that wait for some."""

import heapq
from collections.abc import Iterable, Iterator

from .execution import Execution
from .executors import Executors
from .gates import Entry


class Seats:
    """
    Lets steps start for which their executor has room. Those that wait here take no place from others.

    Nothing of it is in the store: it is about workers that belong to this orchestrator alone.

    Attributes:
        waiting: Name of an executor -> the steps that wait for room there, as a heap; empty if none ever did.
    """

    def __init__(self, executors: Executors) -> None:
        self._executors = executors
        self._taken: dict[str, set[tuple[int, int]]] = {}
        self.waiting: dict[str, list[Entry]] = {}

    def admits(self, execution: Execution, step: int, rank: float) -> bool:
        """Whether this ready step may start; then it has its seat. If not, it is called when there is room."""
        name = execution.machine.run.nodes[step].options.executor
        room = None if name is None else self._executors.workers(name).room
        if name is None or room is None:
            return True
        taken = self._taken.setdefault(name, set())
        if len(taken) >= room:
            heapq.heappush(self.waiting.setdefault(name, []), (rank, step, execution.age))
            return False
        taken.add((execution.age, step))
        return True

    def leave(self, execution: Execution, steps: Iterable[int]) -> None:
        """These steps need their seats no longer, if they have any."""
        for taken in self._taken.values():
            taken.difference_update([(execution.age, step) for step in steps])

    def left(self, execution: Execution) -> None:
        """A run is not executed here any more: what it did not begin needs no seat."""
        for taken in self._taken.values():
            taken -= {each for each in taken if each[0] == execution.age and each[1] not in execution.attempts}

    def called(self) -> Iterator[Entry]:
        """Those that waited, as many as there is room for: they are ready again, and are asked about once more."""
        for name, waiting in self.waiting.items():
            room = self._executors.workers(name).room or 0
            for _ in range(min(len(waiting), room - len(self._taken[name]))):
                yield heapq.heappop(waiting)
