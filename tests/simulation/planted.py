"""
Plants bugs in a copy of orchwf, one at a time, and sees that the simulation finds each.

python -m tests.simulation.planted
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

import orchwf

_SOURCE = Path(orchwf.__file__).parent
_TESTS = Path(__file__).resolve().parents[1]
_MOST_SCHEDULES = 3000


@attrs.frozen
class Bug:
    """
    One bug.

    Attributes:
        name: What it does.
        file: Where it is planted, below `orchwf/`.
        old: What stands there, once.
        new: What stands there with the bug.
    """

    name: str
    file: str
    old: str
    new: str


BUGS = (
    Bug(
        "a run ends though a step is still open", "core/machine.py",
        "if run.open == 0 and undo is None:", "if run.open <= 1 and undo is None:",
    ),
    Bug(
        "a wait is forgotten", "core/standing.py",
        "        heapq.heappush(self._timers, (due_at, step))", "        pass",
    ),
    Bug(
        "a late compensation is taken for the next one", "core/effects.py",
        "return self.undo[self.order[-1]] if self.order else None",
        "return self.undo[self.order[0]] if self.order else None",
    ),
    Bug(
        "a step that runs at most once runs again after a crash", "core/standing.py",
        'if self.plan.nodes[step].options.delivery == "at_most_once":', "if False:",
    ),
    Bug(
        "a step starts while one of its dependencies runs", "core/standing.py",
        "            unmet[child] -= 1", "            unmet[child] = max(0, unmet[child] - 2)",
    ),
    Bug(
        "a completed step runs again after a takeover", "core/state.py",
        "if status is StepStatus.RUNNING or step in resumed.reset:",
        "if status in (StepStatus.RUNNING, StepStatus.COMPLETED) or step in resumed.reset:",
    ),
    Bug(
        "a body starts before its start is written", "runtime/engine.py",
        "                self._free -= 1\n",
        "                self._free -= 1\n"
        "                if isinstance(event, StepStarted):\n"
        "                    self._start(execution, execution.plan.index[event.step], event.attempt)\n",
    ),
    Bug(
        "a batch that could not be written is taken for written", "runtime/engine.py",
        "                await pause(self.clock, wait)", "                return [None] * len(appends)",
    ),
    Bug(
        "a refused append is taken for written",
        "runtime/engine.py",
        "            if trouble is not None:\n                self.let_go(execution, trouble)",
        "            if False:\n                self.let_go(execution, trouble)",
    ),
    Bug(
        "a place that was taken is never free again", "runtime/engine.py",
        "        del execution.attempts[attempt.step]\n        self._free += 1",
        "        del execution.attempts[attempt.step]",
    ),
    Bug(
        "a run that has ended is taken up by an old summary", "runtime/runs.py",
        "            if answers is None:\n                check_goes_on(execution, taken)\n            else:\n",
        "            if answers is not None:\n",
    ),
    Bug(
        "a stale owner overwrites what the new one wrote", "stores/sqlite_append.py",
        "if is_foreign or end.seq != append.expected else None", "if False else None",
    ),
    Bug(
        "the end of a run is not in its summary", "stores/sqlite_append.py",
        "if (summary := append.summary) is not None:",
        "if (summary := append.summary) is not None and summary.ended_at is None:",
    ),
    Bug(
        "an event is read twice", "stores/sqlite_query.py",
        "AND seq > ? ORDER BY seq", "AND seq >= ? ORDER BY seq",
    ),
)  # fmt: skip
"""What is planted; each breaks an invariant, or keeps a run from ending."""


def plant(bug: Bug, folder: Path) -> None:
    """Put a copy of orchwf with this bug, and the tests, into a folder."""
    for source in (_SOURCE, _TESTS):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / _SOURCE.name / bug.file
    text = file.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise LookupError(f"{bug.file} does not have once what {bug.name!r} replaces: {bug.old!r}")
    changed = text.replace(bug.old, bug.new)
    if bug.file == "runtime/engine.py" and "self._start(execution, execution.plan.index[event.step]" in bug.new:
        changed = changed.replace(
            "                case StepStarted():\n", "                case StepStarted() if False:\n"
        )
    if bug.name.startswith("a stale owner"):
        changed = changed.replace("INSERT INTO log (", "INSERT OR REPLACE INTO log (")
    file.write_text(changed, encoding="utf-8")


def hunt(bug: Bug) -> str:
    """How the simulation finds this bug: the schedule and its error; empty if it does not."""
    with tempfile.TemporaryDirectory(prefix="orchwf-planted-") as name:
        folder = Path(name)
        plant(bug, folder)
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--first", str(_MOST_SCHEDULES)],
            cwd=folder, capture_output=True, text=True, check=False,
            # What runs there is no code of this tree, so nobody measures its coverage.
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return done.stdout.strip() if done.returncode == 1 else ""


def main() -> int:
    """Hunt all bugs; how many were not found."""
    missed = 0
    for bug in BUGS:
        found = hunt(bug)
        missed += not found
        print(f"{'found ' if found else 'MISSED'}  {bug.file}: {bug.name}\n          {found}", flush=True)
    print(f"{len(BUGS) - missed} of {len(BUGS)} bugs found")
    return missed


if __name__ == "__main__":
    sys.exit(main())
