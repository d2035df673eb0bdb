"""The workflow that `benchmarks.executors` measures: in a module of its own, which workers can import."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from orchwf import Retry, WorkerDiedError, step, workflow


@workflow
class Matrix:
    """As many determinants as are asked for. One body, at first, kills the process that it is in, if it is told to."""

    steps: int
    size: int
    folder: str
    kills: bool = False

    @step
    def seeds(self) -> list[int]:
        return list(range(self.steps))

    @step(executor="there", retries=Retry(3, initial=0, retry_on=(WorkerDiedError,)))
    def determinant(self, seed: int = seeds.each) -> tuple[float, float]:
        """The logarithm of a determinant, and how long (seconds) that took."""
        began = time.perf_counter()
        once = Path(self.folder) / "killed"
        if self.kills and seed == self.steps // 2 and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        matrix = np.random.default_rng(seed).random((self.size, self.size))
        value = float(np.linalg.slogdet(matrix @ matrix.T + np.eye(self.size))[1])
        return value, time.perf_counter() - began

    @step
    def total(self, found: list[tuple[float, float]] = determinant.all) -> tuple[int, float]:
        """How many there are, and how long they took together."""
        return len(found), sum(taken for _, taken in found)
