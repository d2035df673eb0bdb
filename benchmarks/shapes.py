"""The graphs that every contender executes: pure data, so that no contender needs another one's packages."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """
    Some runs of one graph of steps that do nothing.

    Attributes:
        name: What the table calls it.
        runs: How many runs are in flight at once.
        parents: Step -> the steps it waits for; steps are numbers in topological order.
    """

    name: str
    runs: int
    parents: tuple[tuple[int, ...], ...]

    @property
    def steps(self) -> int:
        """How many steps there are, over all runs."""
        return self.runs * len(self.parents)

    @property
    def waves(self) -> tuple[tuple[int, ...], ...]:
        """The steps of one run by their distance from the first ones: what an ideal engine commits together."""
        levels: list[int] = []
        for row in self.parents:
            levels.append(1 + max((levels[parent] for parent in row), default=-1))
        waves: list[list[int]] = [[] for _ in range(1 + max(levels))]
        for step, level in enumerate(levels):
            waves[level].append(step)
        return tuple(map(tuple, waves))


def chain(steps: int) -> Shape:
    """One run: each step waits for the one before."""
    return Shape("chain", 1, tuple((step - 1,) if step else () for step in range(steps)))


def many(runs: int) -> Shape:
    """So many runs at once, each a chain of ten steps."""
    return Shape("many", runs, chain(10).parents)


def fan(steps: int) -> Shape:
    """One run: all steps but the first one wait for that."""
    return Shape("fan", 1, tuple((0,) if step else () for step in range(steps)))


def layers(steps: int, width: int = 50) -> Shape:
    """One run: layers of `width` steps, each of which waits for three steps, drawn at random, of the layer before."""
    draw = random.Random(7)
    rows: list[tuple[int, ...]] = []
    for step in range(steps):
        before = step // width * width - width
        count = min(3, width)
        rows.append(() if before < 0 else tuple(sorted(draw.sample(range(before, before + width), count))))
    return Shape("layers", 1, tuple(rows))


SHAPES = {"chain": chain, "many": many, "fan": fan, "layers": layers}
"""Name -> the shape of a size: steps, or runs of ten steps."""
