"""The queues that an orchestrator knows: those it was given, and those that steps bring along."""

from collections.abc import Iterable

from ..core.dag import Dag
from ..core.definition import Node
from ..core.limits import Queue
from ..core.suggestions import did_you_mean
from ..errors import UsageError


class Queues:
    """
    Finds the queue that a step names.

    Raises:
        UsageError: what was given are no queues, or two of them have one name.
    """

    def __init__(self, given: Iterable[Queue] = ()) -> None:
        found: list[object] = list(given) if isinstance(given, Iterable) else [given]
        each = [queue for queue in found if isinstance(queue, Queue)]
        if len(each) < len(found):
            raise UsageError(f"queues takes a list of Queue('name', ...), not {given!r}")
        self._given = {queue.name: queue for queue in each}
        if len(self._given) < len(each):
            names = [queue.name for queue in each]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"queues has two that are called {twice!r}; give one of them another name")
        self._brought: dict[str, tuple[Queue, str]] = {}

    def check(self, dag: Dag) -> None:
        """
        See that there is a queue wherever a step of this definition names one; queues of its own are known from now on.

        Raises:
            UsageError: there is none, or another one of that name.
        """
        for node in dag.nodes.values():
            for each in (node, node.compensation):
                if each is not None and each.options.queue is not None and each.function is not None:
                    self._check(each, dag)

    def _check(self, node: Node, dag: Dag) -> None:
        queue, where = node.options.queue, f"step {node.name!r} of {dag.name}"
        if isinstance(queue, Queue):
            known, owner = self._brought.setdefault(queue.name, (queue, where))
            if known != queue and queue.name not in self._given:
                raise UsageError(
                    f"{where} has another queue of the name {queue.name!r} than {owner}: {queue} and {known}; "
                    "share one, or give them different names"
                )
        elif queue is not None and queue not in self._given and queue not in self._brought:
            known_names = [*self._given, *self._brought]
            hint = did_you_mean(queue, known_names, "queues")
            raise UsageError(
                f"{where} is of the queue {queue!r}, which this orchestrator does not have (it has: "
                f"{', '.join(map(repr, known_names)) or 'none'}). {f'{hint} ' if hint else ''}"
                f"Give it, Orchestrator(..., queues=[Queue({queue!r}, concurrency=4)]), "
                f"or on the command line, orchwf worker --queues {queue}=4, "
                f"or give it to the step itself, queue=Queue({queue!r}, concurrency=4)"
            )

    def find(self, queue: Queue | str) -> Queue:
        """The queue that a checked step means: that which the orchestrator was given, if there is one of the name."""
        name = queue.name if isinstance(queue, Queue) else queue
        return self._given[name] if name in self._given else self._brought[name][0]
