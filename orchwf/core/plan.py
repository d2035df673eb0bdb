"""The graph as integers, in definition order: what the machine counts with."""

from collections.abc import Iterator, Sequence

from .dag import Dag
from .definition import FromOutputs, FromStep, Node
from .options import Join, Quorum
from .references import Condition, alternatives

_NONE: tuple[int, ...] = ()


class Plan:
    """
    A compiled graph, prepared for counting. Steps are numbered in definition order, so that smaller is earlier.

    Attributes:
        nodes: Number -> the step. After the last step come the compensations: they have numbers, too.
        index: Name -> number, of steps.
        undo: Number of a step -> that of its compensation.
        undone_by: The other way round.
        order: All numbers, dependencies before dependents.
        parents: Number -> the numbers of all it waits for.
        children: Number -> the numbers of all that wait for it.
        sources: Number -> the numbers of those whose output it reads, as arguments or in its condition.
        reader_count: Number -> how many steps read its output.
        reads: Number -> (name, number) of those whose output it takes as arguments.
        gates: Number -> those of its dependencies that only its condition names: they have no vote in a join that
            counts votes.
        voted: The numbers of the steps whose join may be decided before all they wait for has ended.
        sparing: The numbers of the steps that cancel the rest of what they wait for.
        totalled: The numbers of those, and of the compensations, all of whose attempts have a limit together.
    """

    __slots__ = (
        "children", "deadline", "fail_fast", "gates", "index", "nodes", "order", "parents", "reader_count", "reads",
        "sources", "sparing", "totalled", "undo", "undone_by", "voted",
    )  # fmt: skip

    def __init__(self, dag: Dag) -> None:
        by_position = sorted(dag.nodes.values(), key=lambda node: node.position)
        undoing = [(number, node.compensation) for number, node in enumerate(by_position) if node.compensation]
        self.nodes: list[Node] = [*by_position, *(compensation for _, compensation in undoing)]
        self.undo = {step: len(by_position) + place for place, (step, _) in enumerate(undoing)}
        self.undone_by = {number: step for step, number in self.undo.items()}
        self.index = {node.name: number for number, node in enumerate(by_position)}
        self.order = [self.index[name] for name in dag.nodes]
        self.parents = [self._numbers(node.dependencies) for node in by_position]
        self.sources = [
            self._numbers(dict.fromkeys(source_steps(node))) if _may_read(node) else _NONE for node in by_position
        ]
        self.children = self._reversed(self.parents)
        # A compensation reads the output of its step, whatever becomes of the others.
        self.reader_count = [
            len(readers) + (number in self.undo) for number, readers in enumerate(self._reversed(self.sources))
        ]
        self.gates: dict[int, frozenset[int]] = {
            number: frozenset(self._numbers(tuple(node.asked))) for number, node in enumerate(by_position) if node.asked
        }
        self.reads = [
            tuple((name, self.index[name]) for name in argument_steps(node)) if node.arguments else ()
            for node in self.nodes
        ]
        self.voted = frozenset(number for number, node in enumerate(by_position) if _counts_votes(node.options.join))
        self.sparing = frozenset(number for number, node in enumerate(by_position) if node.options.cancel_rest)
        self.totalled = frozenset(
            number for number, node in enumerate(self.nodes) if node.options.total_timeout is not None
        )
        self.deadline = dag.options.deadline
        self.fail_fast = dag.options.fail_fast

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.order)

    def _numbers(self, names: "Sequence[str] | dict[str, None]") -> tuple[int, ...]:
        return tuple([self.index[name] for name in names]) if names else _NONE

    def _reversed(self, edges: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        rows: list[list[int] | None] = [None] * len(edges)
        # The numbers of the index, not new ones: an integer is an object of 32 bytes.
        for number, targets in zip(self.index.values(), edges, strict=True):
            for target in targets:
                row = rows[target]
                if row is None:
                    rows[target] = [number]
                else:
                    row.append(number)
        # A tuple of integers takes less than a list, and the garbage collector passes it by.
        return [tuple(row) if row else _NONE for row in rows]


def _may_read(node: Node) -> bool:
    return bool(node.arguments) or node.options.when is not None


def _counts_votes(join: Join | Quorum) -> bool:
    return join is Join.FIRST or isinstance(join, Quorum)


def condition_steps(node: Node) -> Iterator[str]:
    """The names of the steps whose outputs the condition of this one asks for."""
    if isinstance(node.options.when, Condition):
        for test in node.options.when.tests():
            yield from (ref.name for ref in alternatives(test.ref))


def argument_steps(node: Node) -> Iterator[str]:
    """The names of the steps whose outputs this one takes as arguments."""
    for argument in node.arguments:
        if isinstance(argument.binding, FromStep | FromOutputs):
            yield from argument.binding.steps


def source_steps(node: Node) -> Iterator[str]:
    """The names of the steps whose outputs this one reads, as arguments or in its condition."""
    yield from argument_steps(node)
    yield from condition_steps(node)
