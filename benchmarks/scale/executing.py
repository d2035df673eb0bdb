"""
What 1, 2 and 4 processes execute on one server, on this machine: workers and server have its cores together.

Each process is one orchestrator with a hundred runs under way; see `working`. They begin together, and the time is from
the first beginning to the last end. Each step is looked for in the store, with its start and its completion. How long a
step takes is the time between these two, as the events say it: to write the start, to run the body, which does nothing,
and to come to the next turn of the loop.
"""

import json
import subprocess
import sys
from typing import Any

from ..rows import Row, emit
from .common import Asked, Schema, Watch, asked, emit_cpu, own_schema
from .names import CONNECTIONS, LATE, MEDIAN, SERVER_CPU, STEPS, TOGETHER, WORKER_CPU, executed

PROCESSES = (1, 2, 4)
_TOLD = """
    WITH told AS (
        SELECT log.*, log.xmin::text AS transaction FROM log JOIN runs ON runs.no = log.run
        WHERE runs.id LIKE 'work-%' AND log.kind IN ('step.started', 'step.completed')
    ),
    steps AS (SELECT max(at) - min(at) AS took FROM told GROUP BY run, step HAVING count(DISTINCT kind) = 2)
    SELECT
        count(*), (SELECT count(DISTINCT transaction) FROM told),
        percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY took)
    FROM steps
"""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'"


def begun(url: str, name: str, seconds: float) -> "subprocess.Popen[str]":
    """A process that is ready to work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scale.working", url, name, str(seconds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    heard(process)
    return process


def heard(process: "subprocess.Popen[str]") -> str:
    """The next line that it prints."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError("a process that was to work has ended")
    return line


def tell(process: "subprocess.Popen[str]") -> None:
    """Let it go on."""
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.flush()


def worked(ask: Asked, schema: Schema, count: int, name: str = "work") -> tuple[list[dict[str, Any]], float, float]:
    """What each of so many processes did; the CPU of the server (seconds), and the connections of each."""
    processes = [begun(schema.url, f"{name}-{number}", ask.seconds) for number in range(count)]
    try:
        with Watch(ask.postmaster) as watch:
            for process in processes:
                tell(process)
            for process in processes:
                heard(process)
        connections = schema.number(_CONNECTIONS.format(schema.name)) / count
        for process in processes:
            tell(process)
        return [json.loads(heard(process)) for process in processes], watch.server, connections
    finally:
        for process in processes:
            process.communicate(timeout=60)


def measure(ask: Asked, schema: Schema, count: int) -> None:
    """Print the rows of so many processes."""
    done, server, connections = worked(ask, schema, count)
    seconds = max(each["ended"] for each in done) - min(each["began"] for each in done)
    runs, steps = sum(each["runs"] for each in done), sum(each["steps"] for each in done)
    ((durable, commits, (median, late)),) = schema.query(_TOLD)
    if durable != steps:
        raise RuntimeError(f"{durable} of {steps} steps are durable")
    emit(Row(executed(count, STEPS), steps / seconds, "a second", better="higher"))
    emit(Row(executed(count, "runs"), runs / seconds, "a second", better="higher"))
    emit(Row(executed(count, MEDIAN), median * 1e3, "ms"))
    emit(Row(executed(count, LATE), late * 1e3, "ms"))
    emit(Row(executed(count, WORKER_CPU), sum(each["cpu"] for each in done) / steps * 1e6, "us a step"))
    emit_cpu(ask, executed(count, SERVER_CPU), server / steps, "us a step")
    emit(Row(executed(count, TOGETHER), steps / commits, "", better="higher"))
    if count == 1:
        emit(Row(CONNECTIONS, connections, ""))


if __name__ == "__main__":
    ask = asked(__doc__)
    for count in PROCESSES:
        with own_schema(ask.url) as schema:
            measure(ask, schema, count)
