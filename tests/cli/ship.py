"""The flow that is served by workers in tests."""

FLOW = """\
import asyncio
from pathlib import Path

from orchwf import step, workflow


@workflow
class Ship:
    order: str

    @step
    async def pack(self) -> str:
        while not Path(f"go-{self.order}").exists():
            await asyncio.sleep(0.01)
        return self.order

    @step
    def send(self, pack: str) -> str:
        return f"{pack} is sent"
"""
"""Its first step lasts until there is a file `go-ORDER`."""
