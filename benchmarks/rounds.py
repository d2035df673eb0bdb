"""Round after round, everything once, each in a process and a folder of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .catalogue import CONTENDERS, MEASURES, ONCE, SIZES, Contender
from .environments import EnvironmentMissingError, peer_python
from .places import ROOT, prepared_place
from .rows import Gap, Row, parsed

PATIENCE = {"contender": 180.0, "measure": 900.0}
GRACE = 10.0
"""Seconds in which a process that is told to end may end what it has started."""


@dataclass(frozen=True)
class Plan:
    """
    What is asked for.

    Attributes:
        rounds: How many.
        only: The names of what is run: of contenders or their modules, of shapes, of measures; everything if empty.
        is_quick: Whether sizes are a tenth.
        has_peers: Whether the peers are run.
    """

    rounds: int = 3
    only: frozenset[str] = frozenset()
    is_quick: bool = False
    has_peers: bool = True

    def wants(self, *names: str) -> bool:
        """Whether something that has these names is run."""
        return not self.only or not self.only.isdisjoint(names)


@dataclass
class Results:
    """
    What came of it.

    Attributes:
        shapes: Shape, contender -> what the contender printed, one a round.
        rows: The name of a row -> the row, one a round in which it was measured.
        gaps: What is not there, and why.
    """

    shapes: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)

    def add_gap(self, gap: Gap) -> None:
        """Note what is not there, once."""
        self.gaps.setdefault(gap.name, gap)


class FailedError(Exception):
    """A process did not do what it was to do; the text says why, on one line. `lines` is what it printed before."""

    def __init__(self, reason: str, lines: Sequence[str]) -> None:
        super().__init__(reason)
        self.lines = lines


def run_all(plan: Plan) -> Results:
    """All rounds; says on standard error what has just been done."""
    results = Results()
    contenders = list(_contenders(plan, results))
    for number in range(1, plan.rounds + 1):
        for shape in SIZES:
            for contender, python in contenders:
                if plan.wants(contender.name, contender.module, contender.peer or contender.module, shape):
                    _run_contender(plan, results, number, shape, contender, python)
        for measure in MEASURES:
            if plan.wants(measure) and (number == 1 or measure not in ONCE):
                _run_measure(plan, results, number, measure)
    return results


def _contenders(plan: Plan, results: Results) -> Iterator[tuple[Contender, str]]:
    """Those that can be run, with the Python that each needs."""
    missing: set[str] = set()
    for contender in CONTENDERS:
        if not contender.peer:
            yield contender, sys.executable
        elif plan.has_peers and plan.wants(contender.name, contender.module, contender.peer, *SIZES):
            try:
                if contender.peer not in missing:
                    yield contender, str(peer_python(contender.peer))
            except EnvironmentMissingError as error:
                missing.add(contender.peer)
                results.add_gap(Gap(contender.peer, f"it cannot be installed: {error}"))
                _say(f"{contender.peer} is left out: {error}")
    if not plan.has_peers:
        results.add_gap(Gap("DBOS, LangGraph, Prefect", "left out on request"))


def _run_contender(plan: Plan, results: Results, number: int, shape: str, contender: Contender, python: str) -> None:
    size = str(contender.size(shape, is_quick=plan.is_quick))
    label, began = f"round {number}: {shape}, {contender.name}", time.monotonic()
    try:
        lines = in_folder(
            [python, "-m", f"benchmarks.contenders.{contender.module}", shape, size, ".", *contender.arguments],
            PATIENCE["contender"],
        )
        found = json.loads(lines[-1])
    except FailedError as error:
        results.add_gap(Gap(f"{shape}, {contender.name}, round {number}", str(error)))
        _say(f"{label}: {error}")
        return
    results.shapes.setdefault((shape, contender.name), []).append(found | {"round": number})
    rate = found["steps"] / found["seconds"]
    _say(f"{label}: {rate:,.0f} steps/s ({time.monotonic() - began:.1f} s)")


def _run_measure(plan: Plan, results: Results, number: int, measure: str) -> None:
    scale = ["--quick"] if plan.is_quick else ["--short"] if number > 1 else []
    label, began = f"round {number}: {measure}", time.monotonic()
    try:
        lines = in_folder([sys.executable, "-m", f"benchmarks.measures.{measure}", *scale], PATIENCE["measure"])
    except FailedError as error:
        lines = list(error.lines)
        results.add_gap(Gap(f"the rest of {measure}, round {number}", str(error)))
        _say(f"{label}: {error}")
    for item in map(parsed, lines):
        if isinstance(item, Gap):
            results.add_gap(item)
        else:
            results.rows.setdefault(item.name, []).append(item)
    _say(f"{label}: {len(lines)} rows ({time.monotonic() - began:.1f} s)")


def in_folder(command: Sequence[str], patience: float) -> list[str]:
    """
    The lines that a command prints, run in an empty folder on a disk.

    Raises:
        FailedError: it failed, or it took too long.
    """
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=prepared_place()))
    # What is set for the person who runs it, such as a store, is not for these.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHWF_")}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        printed, complaints = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired as late:
        before = late.stdout or b""  # Bytes, although text was asked for.
        lines = before.decode(errors="replace").splitlines() if isinstance(before, bytes) else before.splitlines()
        raise FailedError(f"it took more than {patience:.0f} s", lines) from None
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    if process.returncode or not printed.strip():
        raise FailedError((complaints.strip() or "it printed nothing").splitlines()[-1], printed.splitlines())
    return printed.splitlines()


def _end(process: "subprocess.Popen[str]") -> None:
    """End it, if it has not ended, and all that it started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
