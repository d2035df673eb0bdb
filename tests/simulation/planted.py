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
        "        heapq.heappush(self.timers, (due_at, step))", "        pass",
    ),
    Bug(
        "a late compensation is taken for the next one", "core/effects.py",
        "return self.undo[self.order[-1]] if self.order else None",
        "return self.undo[self.order[0]] if self.order else None",
    ),
    Bug(
        "a step that runs at most once runs again after a crash", "core/standing.py",
        'if self.nodes[step].options.delivery == "at_most_once":', "if False:",
    ),
    Bug(
        "a step starts while one of its dependencies runs", "core/standing.py",
        "            unmet[child] -= 1", "            unmet[child] = max(0, unmet[child] - 2)",
    ),
    Bug(
        "a completed step runs again after a takeover", "core/transitions.py",
        "    if status is StepStatus.RUNNING:\n        return StepStatus.PENDING",
        "    if status in (StepStatus.RUNNING, StepStatus.COMPLETED):\n        return StepStatus.PENDING",
    ),
    Bug(
        "a body starts before its start is written", "runtime/engine.py",
        "            if type(event) in STARTS:\n                self._free -= 1\n",
        "            if type(event) in STARTS:\n                self._free -= 1\n"
        "                if isinstance(event, StepStarted) and event.item is None:\n"
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
        "            self._free += 1\n        if execution.plan.elsewhere:",
        "            pass\n        if execution.plan.elsewhere:",
    ),
    Bug(
        "more run at once than a limit allows", "stores/slots.py",
        "if sum(holders.values()) + len(before) >= limit.concurrency:",
        "if sum(holders.values()) + len(before) > limit.concurrency:",
    ),
    Bug(
        "who waits for a slot is forgotten", "runtime/admission.py",
        "            gate.open()\n            self._look_after([gate])", "            gate.open()",
    ),
    Bug(
        "an output that is found does not complete its step", "core/machine.py",
        "self._add(events, self._completed(found.step, found.output, now, attempt=0))",
        "run.hold(found.step)",
    ),
    Bug(
        "a run that has ended is taken up by an old summary", "runtime/runs.py",
        "        if answers is None:\n            check_goes_on(execution, taken)\n        else:\n",
        "        if answers is not None:\n",
    ),
    Bug(
        "a stale owner overwrites what the new one wrote", "stores/fence.py",
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
    Bug(
        "an item that completed runs again after a takeover", "core/standing.py",
        "            # Of the items only those run again that did not go well.\n",
        "            if resumed.reason == 'takeover' and status is _COMPLETED:\n                return _PENDING\n"
        "            # Of the items only those run again that did not go well.\n",
    ),
    Bug(
        "an item is passed by after a takeover", "core/standing.py",
        "for position, status in enumerate(statuses) if status is _PENDING)",
        "for position, status in enumerate(statuses) if status is _PENDING and not self.attempts[row.items[position]])",
    ),
    Bug(
        "the results of items come in the wrong order", "core/standing.py",
        'return assembled([self.outputs.get(item, "null") for item in items])',
        'return assembled([self.outputs.get(item, "null") for item in reversed(items)])',
    ),
    Bug(
        "a step completes before its last item", "core/machine.py",
        "        if run.is_complete(row) and row.ended == len(row.items):",
        "        if run.is_complete(row) and row.ended >= len(row.items) - 1:",
    ),
    Bug(
        "a message counts twice", "core/machine.py",
        "        if asked.message_id in self.run.received:", "        if False:",
    ),
    Bug(
        "the last signal counts, and not the first", "core/standing.py",
        "if step is not None and step not in self.mail and isinstance(",
        "if step is not None and isinstance(",
    ),
    Bug(
        "a timer fires before it is due after a takeover", "core/standing.py",
        "self._let_wait(step, min(due_at, now + self.waits[step]))", "self._let_wait(step, min(due_at, now))",
    ),
    Bug(
        "no timer is set again after a takeover", "core/standing.py",
        "        self._set_timers(resumed.at)\n", "        self.timers.clear()\n",
    ),
    Bug(
        "a run that sleeps is not woken when its time has come", "runtime/keeper.py",
        "asleep=self._in_turn(runs.registry.names) if Look.ASLEEP in looks and self._has_sleepers else ()",
        "asleep=()",
    ),
    Bug(
        "a run is not told of the end of another for which it waits", "runtime/children.py",
        "                messages.append(Message(run_id=parent, id=message_id, signal=CHILD, payload=said.text))",
        "                _ = Message(run_id=parent, id=message_id, signal=CHILD, payload=said.text)",
    ),
    Bug(
        "a run that was to be started is forgotten after a takeover", "runtime/family.py",
        "        for step in execution.machine.run.children:\n            self.see_to(execution, step)",
        "        pass",
    ),
    Bug(
        "a run that nobody waits for any more is not told to end", "runtime/children.py",
        '    return [Message(run_id=child.child, id=f"parent-{event.seq}", signal=signal, payload=payload)]',
        "    return []",
    ),
    Bug(
        "an output is taken from the cache for another step", "runtime/caching.py",
        "    identity = [*cache.identity(execution.dag.name, node.name), describe_type(node.returns)]",
        "    identity = [describe_type(node.returns)]",
    ),
    Bug(
        "middleware may call a body twice", "runtime/around.py",
        "        self._is_called = True\n", "",
    ),
    Bug(
        "a body runs outside of the middleware if it is a generator's", "runtime/around.py",
        "if depth < len(self._layers):", "if depth < len(self._layers) and attempt.node.several is None:",
    ),
    Bug(
        "a hook is not told of a failure", "runtime/hooks.py",
        "RunCompleted: on_success, RunFailed: on_failure}", "RunCompleted: on_success}",
    ),
    Bug(
        "an output is stored in clear", "stores/payloads.py",
        'ev.StepCompleted: {"output": JSON}', 'ev.StepCompleted: {"output": PLAIN}',
    ),
    Bug(
        "a large value is put after what refers to it is stored", "blobs/values.py",
        "            await self._blobs.put(found.key, data)",
        "            self.late = asyncio.ensure_future(self._blobs.put(found.key, data))",
    ),
    Bug(
        "a large value is deleted that something refers to", "stores/offloading.py",
        " for key in old if key not in wanted]", " for key in old]",
    ),
    Bug(
        "each process gives the time of a schedule a run of its own", "core/schedules.py",
        '    return f"{name}@{table.text(at)}"', '    return f"{name}@{table.text(at)}-{id(table)}"',
    ),
    Bug(
        "a schedule begins a run though the one before goes on", "runtime/scheduler.py",
        "        return run is None or run.status.is_final\n\n    def _watch",
        "        return run is None or run.status.is_final or run.wake_at is not None\n\n    def _watch",
    ),
    Bug(
        "a schedule that others were faster to move on is left alone", "runtime/scheduler.py",
        "            if changed is None:\n                return None\n            record = await self._put(changed)",
        "            if changed is None or changed.phase is Phase.BEGUN:\n                return None\n"
        "            record = await self._put(changed)",
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
    file.write_text(changed, encoding="utf-8")
    if bug.name.startswith("a stale owner"):
        # Beside the fence stands the index of the log, which refuses it, too.
        appends = folder / _SOURCE.name / "stores" / "sqlite_append.py"
        text = appends.read_text(encoding="utf-8")
        appends.write_text(text.replace("INSERT INTO log (", "INSERT OR REPLACE INTO log ("), encoding="utf-8")


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
    # One that cannot even be imported ends with 1 as well, and tells nothing.
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout):
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
