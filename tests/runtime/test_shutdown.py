"""Orchestrators that are shut down: by a call, and by signals."""

import asyncio
import signal
import time
from types import FrameType

import pytest

from orchwf import Orchestrator, RunInterruptedError, UsageError, make_workflow, step
from tests.runtime.flows import Gate


async def test_a_shutdown_interrupts_what_has_not_ended():
    """Whoever waits is told, and nothing can be started afterwards."""
    gate = Gate()
    flow = make_workflow("Waits", {"waits": step(gate.pass_through)})
    async with Orchestrator("memory:", grace=0) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()

        await orchestrator.shutdown()

        assert 0 == gate.waiting
        with pytest.raises(RunInterruptedError):
            await run.wait()
        with pytest.raises(UsageError, match="the orchestrator is closed"):
            await orchestrator.start(flow())


async def test_a_signal_shuts_down():
    """A handler that was there before is called, too, and is there again afterwards."""
    gate, told = Gate(), list[int]()

    def own(number: int, frame: FrameType | None) -> None:
        told.append(number)

    before = signal.signal(signal.SIGTERM, own)
    try:
        async with Orchestrator("memory:", stop_on=[signal.SIGTERM], grace=0) as orchestrator:
            run = await orchestrator.start(make_workflow("Waits", {"waits": step(gate.pass_through)})())
            await gate.came.get()
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(RunInterruptedError):
                await run.wait()
        assert own is signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert [signal.SIGTERM] == told


async def test_a_shutdown_ends_with_the_last_of_what_runs():
    """Nobody waits for what is left of the grace."""
    gate = Gate()
    flow = make_workflow("Waits", {"waits": step(gate.pass_through)})
    began = time.monotonic()
    async with Orchestrator("memory:", grace=60) as orchestrator:
        run = await orchestrator.start(flow())
        await gate.came.get()
        closing = asyncio.create_task(orchestrator.shutdown())
        await asyncio.sleep(0)
        gate.open()
        await closing
        result = await run.wait()

    assert "completed" == result.status
    assert time.monotonic() - began < 30
