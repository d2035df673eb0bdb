"""The workflow that `benchmarks.large` measures: in a module of its own, which workers can import."""

import numpy as np

from orchwf import step, workflow


@workflow
class Passing:
    """As many large arrays as are asked for, each made by one body and taken by another one."""

    steps: int
    floats: int

    @step
    def seeds(self) -> list[int]:
        return list(range(self.steps))

    @step(executor="there")
    def made(self, seed: int = seeds.each) -> np.ndarray:
        # Not what compresses, and not what another one gives.
        return np.random.default_rng(seed).random(self.floats)

    @step(executor="there")
    def taken(self, array: np.ndarray = made.each) -> float:
        return float(array.sum())

    @step
    def count(self, found: list[float] = taken.all) -> int:
        return len(found)
