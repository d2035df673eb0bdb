"""
A process that takes up runs which others have started, and prints when the body of each began: what `waking` waits for.

It prints that it is ready, and ends when it is told a line.
"""

import asyncio
import sys
import time

from orchwf import Orchestrator, step, workflow


@workflow
class Noted:
    """A run whose body says when it began, by a clock that all processes of the machine have in common."""

    @step
    async def note(self) -> None:
        at = time.perf_counter()
        print(at, flush=True)


async def serve(url: str) -> None:
    """Take up what there is until a line comes."""
    async with Orchestrator(url, workflows=[Noted]):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    # The class has to be that of the module which others import, and not of the one that is run.
    from benchmarks.scale.noting import serve as serve_by_its_name

    asyncio.run(serve_by_its_name(sys.argv[1]))
