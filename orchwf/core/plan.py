"""The graph as integers, in definition order: what the machine counts with."""

from collections.abc import Iterator, Sequence

from .dag import Dag
from .definition import FromAll, FromChild, FromEach, FromOutputs, FromStep, Node, Several
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
        several: Number -> how it comes to have items, of those that have.
        eaches: Number -> (name, number) of those of whose items it takes one each.
        chained: Number of a step that goes on item by item -> the numbers of those whose items it follows.
        chains: The other way round.
        passing: The numbers of those whose items nobody but the one that follows them reads.
        elsewhere: Whether any of its bodies runs on an executor.
        looked_into: The numbers of those whose outputs are looked into between the bodies: by a condition, to see
            whether a loop ends, or to take them apart into items.
        guarded: The numbers of those, and of the compensations, that have to ask before they start.
    """

    __slots__ = (
        "chained", "chains", "children", "deadline", "eaches", "elsewhere", "fail_fast", "gates", "guarded", "index",
        "looked_into", "nodes", "order", "parents", "passing", "reader_count", "reads", "several", "sources", "sparing",
        "totalled", "undo", "undone_by", "voted",
    )  # fmt: skip

    def __init__(self, dag: Dag) -> None:
        by_position = sorted(dag.nodes.values(), key=lambda node: node.position)
        self.several = {number: node.several for number, node in enumerate(by_position) if node.several is not None}
        undoing = [
            (number, node.compensation)
            for number, node in enumerate(by_position)
            # Of a step that runs per item, the items are undone.
            if node.compensation and (not self.several or self.several.get(number) in (None, Several.STREAM))
        ]
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
        self.eaches, self.chained, self.chains = self._items(by_position)
        self.passing = frozenset(
            source
            for source, chain in self.chains.items()
            if len(chain) == 1 == self.reader_count[source] and self.nodes[source].compensation is None
        )
        self.voted = self.chained.keys() | {
            number for number, node in enumerate(by_position) if _counts_votes(node.options.join)
        }
        self.sparing = frozenset(number for number, node in enumerate(by_position) if node.options.cancel_rest)
        self.totalled = frozenset(
            number for number, node in enumerate(self.nodes) if node.options.total_timeout is not None
        )
        # A set that is made at once costs no call for each of them, as a generator does.
        self.guarded = frozenset(
            {
                number
                for number, node in enumerate(self.nodes)
                if (options := node.options).queue is not None or options.mutex is not None or options.cache is not None
            }
        )
        self.elsewhere = bool([node for node in by_position if node.options.executor is not None])
        self.looked_into = self._looked_into(by_position)
        self.deadline = dag.options.deadline
        self.fail_fast = dag.options.fail_fast

    def _items(
        self, nodes: Sequence[Node]
    ) -> tuple[dict[int, tuple[tuple[str, int], ...]], dict[int, tuple[int, ...]], dict[int, tuple[int, ...]]]:
        """What `eaches`, `chained` and `chains` are."""
        eaches, chained, chains = {}, {}, dict[int, tuple[int, ...]]()
        for number in self.several:
            names = dict.fromkeys(item_steps(nodes[number]))
            if names:
                eaches[number] = tuple((name, self.index[name]) for name in names)
                # Of a step that a condition asks of, all has to be known first.
                asked = {self.index[name] for name in condition_steps(nodes[number])}
                sources = tuple(
                    source
                    for _, source in eaches[number]
                    if self.several.get(source) not in (None, Several.LOOP) and source not in asked
                )
                if sources:
                    chained[number] = sources
                for source in sources:
                    chains[source] = (*chains.get(source, ()), number)
        return eaches, chained, chains

    def _looked_into(self, nodes: Sequence[Node]) -> frozenset[int]:
        asked = [self.index[name] for node in nodes if node.options.when is not None for name in condition_steps(node)]
        # That a step is a loop, and by which key it knows its items, is said of one without its functions, too.
        loops = [number for number, several in self.several.items() if several is Several.LOOP]
        # The items of a step are known one by one, unless their content says which is which.
        apart = [
            source
            for number, sources in self.eaches.items()
            for _, source in sources
            if source not in self.chained.get(number, ()) or nodes[number].options.item_key is not None
        ]
        return frozenset([*asked, *loops, *apart])

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
        match argument.binding:
            case FromStep(steps) | FromOutputs(steps):
                yield from steps
            case FromAll(step) | FromChild(step):
                yield step
            case _:
                pass


def item_steps(node: Node) -> Iterator[str]:
    """The names of the steps of whose items this one takes one each."""
    return (argument.binding.step for argument in node.arguments if isinstance(argument.binding, FromEach))


def source_steps(node: Node) -> Iterator[str]:
    """The names of the steps whose outputs this one reads, as arguments or in its condition."""
    yield from argument_steps(node)
    yield from item_steps(node)
    yield from condition_steps(node)
