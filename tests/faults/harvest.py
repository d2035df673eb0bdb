"""
A workflow for the tests of faults, and a program that runs it.

The program starts the run on the store in a file, or takes it up if it is there, and prints what became of it:
`completed`, or the classes and texts of what was raised. On the way it may do harm to itself or to the file.

The file that the environment variable EFFECTS names gets a line for what happens to each step: `begun a0` when the
body begins, `kept a0` when its completion is in the store. PACE is how long a step on the loop takes, in seconds.
"""

import argparse
import asyncio
import os
import resource
import shutil
import signal
from collections.abc import Callable, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

import attrs

from orchwf import Orchestrator, OrchwfError, StepContext, make_workflow, step
from orchwf.core.events import Event, StepCompleted
from orchwf.ports import RunRecord
from orchwf.stores.sqlite import open_sqlite

BRANCHES, LENGTH = 3, 8
_PAYLOAD = "." * 1500


def _note(what: str, step: str) -> None:
    if path := os.environ.get("EFFECTS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{what} {step}\n")


def _outcome(name: str, before: str) -> str:
    """What a step returns: its path through the graph, and some bulk."""
    return f"{before.partition(' ')[0]}>{name} {_PAYLOAD}"


async def _sow(ctx: StepContext) -> str:
    _note("begun", ctx.step)
    return _outcome(ctx.step, "")


def _on_the_loop(source: Any) -> Any:
    async def grow(ctx: StepContext, before: str = source.result) -> str:
        _note("begun", ctx.step)
        await asyncio.sleep(float(os.environ.get("PACE", "0")))
        return _outcome(ctx.step, before)

    return step(grow)


def _on_a_thread(source: Any) -> Any:
    def grow(ctx: StepContext, before: str = source.result) -> str:
        _note("begun", ctx.step)
        return _outcome(ctx.step, before)

    return step(grow)


def _steps() -> dict[str, Any]:
    steps = {"sow": step(_sow)}
    for branch in "abc"[:BRANCHES]:
        last = steps["sow"]
        for number in range(LENGTH):
            last = steps[f"{branch}{number}"] = (_on_a_thread if number % 3 == 2 else _on_the_loop)(last)
    return steps


Harvest = make_workflow("Harvest", _steps())
"""From one step three branches of eight, some of them on threads; outputs are of some 1,500 characters."""


def expected() -> dict[str, str]:
    """Step name -> what it returns."""
    outputs = {"sow": _outcome("sow", "")}
    for branch in "abc"[:BRANCHES]:
        last = outputs["sow"]
        for number in range(LENGTH):
            last = outputs[f"{branch}{number}"] = _outcome(f"{branch}{number}", last)
    return outputs


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


HARMS: dict[str, Callable[[Path], object]] = {
    "die": lambda path: os.kill(os.getpid(), signal.SIGKILL),
    "delete": Path.unlink,
    "delete-wal": lambda path: _beside(path, "-wal").unlink(),
    "delete-shm": lambda path: _beside(path, "-shm").unlink(),
    "empty": lambda path: os.truncate(path, 0),
    "empty-wal": lambda path: os.truncate(_beside(path, "-wal"), 0),
    "replace": lambda path: path.with_name("other.db").replace(path),
    "remove-folder": lambda path: shutil.rmtree(path.parent),
}
"""What may be done to the file of the store, or to the process, while the run is executed."""


@attrs.define
class Witness:
    """Notes what is in the store, and does harm to the file once so many events are."""

    path: Path
    harm: str | None = None
    after: int = 0
    count: int = 0

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, StepCompleted):
                _note("kept", event.step)
        before, self.count = self.count, self.count + len(events)
        if self.harm is not None and before < self.after <= self.count:
            print(self.harm, flush=True)
            HARMS[self.harm](self.path)


async def harvest(
    path: Path, run_id: str = "r", *, pragmas: Sequence[str] = (), harm: str | None = None, after: int = 0
) -> str:
    """Start or take up the run, and say what became of it."""
    try:
        store = await open_sqlite(path)
        try:
            for pragma in pragmas:
                await store._connection.call(methodcaller("execute", f"PRAGMA {pragma}"))
            async with Orchestrator(store, workflows=[Harvest], observers=[Witness(path, harm, after)]) as orchestrator:
                handle = await orchestrator.start(Harvest(), run_id=run_id, on_duplicate="attach")
                result = await handle.result()
                assert expected() == dict(result.outputs)
                return str(result.status)
        finally:
            await store.close()
    except OrchwfError as error:
        errors = [error] if error.__cause__ is None else [error, error.__cause__]
        return "\n".join(f"{type(each).__name__}: {each}" for each in errors)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--run-id", default="r")
    parser.add_argument("--limit", type=int, help="the size in bytes that no file may exceed")
    parser.add_argument("--pragma", action="append", default=[], help="a setting of the connection")
    parser.add_argument("--harm", choices=HARMS)
    parser.add_argument("--after", type=int, default=0, help="how many events are written before the harm is done")
    given = parser.parse_args()
    print("ready", flush=True)
    if given.limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.limit, resource.RLIM_INFINITY))
    said = harvest(given.path, given.run_id, pragmas=given.pragma, harm=given.harm, after=given.after)
    print(asyncio.run(said), flush=True)
    if given.limit is not None:
        # What measures the coverage of the tests writes at the end.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
