"""
Replay a recorded workflow: the same graph, each step sleeping as long as its task once took, times a scale.

Reads instances in WfFormat (https://wfcommons.org/format), schema 1.0 to 1.6, plain or gzipped, and a compact form:
`{"name": ..., "tasks": {id: {"parents": [id, ...], "runtime": seconds or null}}}`.

    python examples/replay.py montage.json.gz --scale 0.01 --limit 8
"""

import argparse
import asyncio
import gzip
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from orchwf import DefinitionError, Orchestrator, Step, compile_workflow, make_workflow, step

SCHEMAS = ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6")
UNLIMITED = 1_000_000


class InstanceError(ValueError):
    """A file is not an instance; the message names the file and everything that is wrong with it."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{path} cannot be replayed:", *(f"  {problem}" for problem in problems)]))


@frozen
class Task:
    """What a task waits for, and how long it took (seconds); None if nobody wrote that down."""

    parents: tuple[str, ...]
    runtime: float | None


@frozen
class Instance:
    """A recorded execution of a workflow."""

    name: str
    tasks: dict[str, Task]

    @property
    def runtimes(self) -> dict[str, float]:
        """Task -> seconds; a runtime that is not known counts as 0."""
        return {name: task.runtime or 0.0 for name, task in self.tasks.items()}


@frozen
class Entry:
    """One task as the file has it, unchecked."""

    id: Any
    parents: Any
    runtime: Any

    def problems(self) -> Iterator[str]:
        """What is wrong with this task by itself."""
        if not (isinstance(self.id, str) and self.id):
            yield f"a task has the id {self.id!r}: an id is a text that is not empty"
        if not (isinstance(self.parents, list) and all(isinstance(parent, str) for parent in self.parents)):
            yield f"task {self.id!r} has the parents {self.parents!r}: parents are a list of ids"
        if self.runtime is not None and not _is_duration(self.runtime):
            yield f"task {self.id!r} has the runtime {self.runtime!r}: a runtime is a number of seconds, at least 0"


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def load_instance(path: str | Path) -> Instance:
    """
    The instance in a file, checked as far as it is not a matter of the graph.

    Only the lists of parents say what the edges are: in published files those of children are at times wrong. Cycles
    and parents that do not exist are left to the compiler, which explains them better.

    Raises:
        InstanceError: the file is not JSON, not in a known schema, or a task in it makes no sense.
    """
    path = Path(path)
    document = _read_json(path)
    compact = "schemaVersion" not in document and "tasks" in document
    if not compact and (version := document.get("schemaVersion")) not in SCHEMAS:
        raise InstanceError(path, [f"its schema version is {version!r}; known are {', '.join(SCHEMAS)}"])
    try:
        entries = list(_entries(document, compact=compact))
    except (KeyError, TypeError, AttributeError) as error:
        raise InstanceError(path, [f"it is not laid out as its schema says: {error!r}"]) from error
    problems = [problem for entry in entries for problem in entry.problems()]
    counts = Counter(entry.id for entry in entries if isinstance(entry.id, str))
    problems += [f"the id {name!r} is given to {count} tasks" for name, count in counts.items() if count > 1]
    if problems:
        # The compiler will not see this graph, so what it would have said must be said here.
        raise InstanceError(path, problems + list(_unknown_parents(entries, counts)))
    tasks = {entry.id: Task(tuple(entry.parents), entry.runtime) for entry in entries}
    return Instance(str(document.get("name") or path.name), tasks)


def _read_json(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        text = (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("utf-8-sig")
        document = json.loads(text)
    except UnicodeDecodeError as error:
        raise InstanceError(path, [f"it is not UTF-8: {error}"]) from error
    except (json.JSONDecodeError, OSError, EOFError) as error:
        raise InstanceError(path, [f"it is not JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise InstanceError(path, [f"it holds a {type(document).__name__} where an object is expected"])
    return document


def _entries(document: dict[str, Any], *, compact: bool) -> Iterator[Entry]:
    """The tasks of a document, whichever layout it has."""
    if compact:
        for name, task in document["tasks"].items():
            yield Entry(name, task.get("parents"), task.get("runtime"))
        return
    workflow = document["workflow"]
    if "specification" in workflow:
        executed = workflow.get("execution", {}).get("tasks", [])
        seconds = {task["id"]: task.get("runtimeInSeconds") for task in executed}
        for task in workflow["specification"]["tasks"]:
            yield Entry(task["id"], task.get("parents"), seconds.get(task["id"]))
        return
    # Up to 1.4 a task may have an id, too, but parents go by name; up to 1.2 tasks are called jobs.
    for task in workflow["tasks"] if "tasks" in workflow else workflow["jobs"]:
        yield Entry(task["name"], task.get("parents"), task.get("runtimeInSeconds", task.get("runtime")))


def _unknown_parents(entries: Iterable[Entry], known: Counter[str]) -> Iterator[str]:
    for entry in entries:
        for parent in entry.parents if isinstance(entry.parents, list) else []:
            if parent not in known:
                yield f"task {entry.id!r} has the parent {parent!r}, which is not in the file"


def replay_workflow(instance: Instance, scale: float = 1.0) -> type:
    """
    The instance as a workflow whose steps sleep.

    Raises:
        DefinitionError: tasks wait for each other, or for one that does not exist; or there are none.
    """
    return make_workflow(instance.name, [_sleeping(name, task, scale) for name, task in instance.tasks.items()])


def _sleeping(name: str, task: Task, scale: float) -> Step[Any, ..., Any, Any]:
    duration = (task.runtime or 0.0) * scale

    async def rest() -> None:
        await asyncio.sleep(duration)

    return step(name=name, depends_on=task.parents)(rest)


@frozen
class Timing:
    """How long a replay took and what theory says: all in seconds. `limit` is how many steps ran at once; 0 for any."""

    wall: float
    critical_path: float
    total: float
    limit: int

    @property
    def bounds(self) -> tuple[float, float]:
        """
        Between what a schedule lies that is never idle while something is ready.

        Source: Graham, Bounds on multiprocessing timing anomalies (1969).
        """
        if not self.limit:
            return self.critical_path, self.critical_path
        share = self.total / self.limit
        return max(self.critical_path, share), share + (1 - 1 / self.limit) * self.critical_path


async def replay(instance: Instance, *, scale: float, limit: int = 0, store: str = "memory:") -> Timing:
    """Run an instance once and take the time."""
    workflow = replay_workflow(instance, scale)
    critical_path = compile_workflow(workflow).critical_path(instance.runtimes).duration
    total = sum(instance.runtimes.values())
    async with Orchestrator(store, workflows=[workflow], max_concurrency=limit or UNLIMITED) as orchestrator:
        begin = time.perf_counter()
        await orchestrator.run(workflow())
        wall = time.perf_counter() - begin
    return Timing(wall, critical_path * scale, total * scale, limit)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Replay a recorded workflow; each step sleeps its recorded runtime.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--scale", type=float, default=0.01, help="by what runtimes are multiplied (default: 0.01)")
    parser.add_argument("--limit", type=int, default=0, help="how many steps at once (default: any number)")
    parser.add_argument("--store", default="memory:", metavar="URL", help="where the run is kept (default: memory:)")
    options = parser.parse_args(arguments)

    try:
        instance = load_instance(options.file)
        timing = asyncio.run(replay(instance, scale=options.scale, limit=options.limit, store=options.store))
    except (InstanceError, DefinitionError) as error:
        print(error, file=sys.stderr)
        return 2

    low, high = timing.bounds
    print(f"{instance.name}: {len(instance.tasks)} tasks, {timing.total:.2f} s of sleep")
    print(f"  wall time      {timing.wall:8.2f} s")
    print(f"  critical path  {timing.critical_path:8.2f} s")
    print(f"  Graham bounds  {low:8.2f} s to {high:.2f} s" + (f" with {timing.limit} at once" if timing.limit else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
