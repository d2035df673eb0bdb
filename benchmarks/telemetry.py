"""
What traces cost: a step that does nothing, without OpenTelemetry, with its API alone, and with the SDK.

    python -m benchmarks.telemetry [--steps 5000] [--rounds 5]

One run of steps that wait for nobody, in a SQLite file; the CPU time of the process, least of all rounds, as a ratio to
that without OpenTelemetry. The ways take turns, each in a process of its own. What is exported is dropped at once.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time

from orchwf import Orchestrator, make_workflow, step

WAYS = ("absent", "api", "unsampled", "sampled")


async def nothing() -> None:
    """The body of all steps."""


def prepare(way: str) -> None:
    """Set up as much of OpenTelemetry as that says."""
    if way == "absent":
        return
    from opentelemetry import trace

    if way == "api":
        return
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider, sampling

    provider = TracerProvider(sampler=sampling.ALWAYS_ON if way == "sampled" else sampling.ALWAYS_OFF)
    provider.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(provider)


async def measured(way: str, steps: int) -> float:
    """Microseconds of CPU that a step costs."""
    prepare(way)
    fan = make_workflow("Fan", {f"s{number}": step(nothing) for number in range(steps)})
    warm = make_workflow("Warm", {f"s{number}": step(nothing) for number in range(steps // 10)})
    with tempfile.TemporaryDirectory() as folder:
        async with Orchestrator(f"sqlite:///{folder}/runs.db", workflows=[fan, warm]) as orchestrator:
            await orchestrator.run(warm())
            began = time.process_time()
            await orchestrator.run(fan())
            return (time.process_time() - began) / steps * 1e6


def main() -> None:
    """Measure all ways by turns, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help="only this way, in this process")
    given = parser.parse_args()
    if given.way:
        print(asyncio.run(measured(given.way, given.steps)))
        return
    least = dict.fromkeys(WAYS, float("inf"))
    for _ in range(given.rounds):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.telemetry", "--steps", str(given.steps), "--way", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            least[way] = min(least[way], float(done.stdout))
    print(f"{'way':10} {'a step':>10} {'ratio':>7}")
    for way, cost in least.items():
        print(f"{way:10} {cost:7.1f} us {cost / least['absent']:7.2f}")


if __name__ == "__main__":
    main()
