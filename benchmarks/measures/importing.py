"""
How long it takes until orchwf is there: of its import and its `--help` the seconds of CPU, each in a new process; of
`orchwf run` the time from the start of the process to the first body.

Everything is done once before, so that all modules are compiled. What a bare interpreter takes is in all figures. The
import is that of all names: each is loaded when it is used.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..rows import Row, emit
from .common import asked_scale

TIMES = 7
FLOW = """
import time

from orchwf import step, workflow


@workflow
class Hello:
    @step
    async def hello(self) -> None:
        print("begun", time.time(), flush=True)
"""


def cpu_of(command: list[str]) -> float:
    """Seconds of CPU of this command, once."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall_of(command: list[str]) -> float:
    """Seconds from the start of this command to its end, once."""
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def to_first_body(program: str) -> float:
    """Seconds from the start of `orchwf run` to the first statement of the body, once."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        (Path(folder) / "flow.py").write_text(FLOW)
        began = time.time()
        done = subprocess.run([program, "run", "flow.py"], check=True, capture_output=True, text=True, cwd=folder)
        return float(done.stdout.partition("begun ")[2].split()[0]) - began


def in_turn(*figures: Callable[[], float]) -> list[list[float]]:
    """Each figure so many times, in turn, after a first time that is not counted."""
    rounds = [[figure() for figure in figures] for _ in range(1 + TIMES)][1:]
    return [list(figure) for figure in zip(*rounds, strict=True)]


def main() -> None:
    """Print the rows."""
    asked_scale(__doc__)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python, program = sys.executable, str(Path(sys.executable).with_name("orchwf"))
    ours, theirs, bare, helping, body, start = in_turn(
        lambda: cpu_of([python, "-c", "from orchwf import *"]),
        lambda: cpu_of([python, "-c", "import attrs, structlog"]),
        lambda: cpu_of([python, "-c", "pass"]),
        lambda: cpu_of([program, "--help"]),
        lambda: to_first_body(program),
        lambda: wall_of([python, "-c", "pass"]),
    )
    reference, median = "import attrs, structlog", statistics.median
    emit(Row(f"import orchwf, best of {TIMES}", min(ours) * 1e3, "ms", reference, min(theirs) * 1e3, 1.5))
    emit(Row("import orchwf, median", median(ours) * 1e3, "ms", reference, median(theirs) * 1e3, 1.5))
    lean, lean_reference = (median(each) - median(bare) for each in (ours, theirs))
    emit(Row("import orchwf, less a bare interpreter", lean * 1e3, "ms", reference, lean_reference * 1e3))
    emit(Row("orchwf --help", median(helping), "s", limit=0.3))
    name = "orchwf run of one step, to its body"
    emit(Row(name, median(body) * 1e3, "ms", "start of a bare interpreter", median(start) * 1e3, 10.0))


if __name__ == "__main__":
    main()
