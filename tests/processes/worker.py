"""
A process with an orchestrator that does what it is told, one line of JSON each way.

Called as `python -m tests.processes.worker STORE OPTIONS`. It says `ready`, and enters its orchestrator at the first
line it gets; then each line is a command, and its answer is `{"value": ...}` or `{"error": class, "text": ...}`. When
no more lines come it leaves in good order.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

from orchwf import Orchestrator, RunExistsError, StoreError
from orchwf.core.events import Event, SignalReceived, StepCompleted
from orchwf.ports import RunRecord
from tests.processes.flows import GATES, WORKFLOWS, Chain, Order, note_heard, note_kept


@attrs.frozen
class Witness:
    """Notes which steps are kept, and what was asked, once that is in the store."""

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, StepCompleted):
                note_kept(run.id, event.step, event.item, event.attempt)
            elif isinstance(event, SignalReceived):
                note_heard(run.id, event.signal)


@attrs.frozen
class Commands:
    """What a worker can be told. What is returned is the value of the answer."""

    orchestrator: Orchestrator

    async def start(self, workflow: str, run_id: str, inputs: Mapping[str, object], on_duplicate: Any) -> str:
        run = await self.orchestrator.start(WORKFLOWS[workflow](**inputs), run_id=run_id, on_duplicate=on_duplicate)
        return run.id

    async def orders(self, first: int, count: int) -> int:
        """Start the orders of these numbers that are not there; how many were started here."""
        orders = {f"r{number}": Order(number=number) for number in range(first, first + count)}
        return await self._start_missing(orders, count)

    async def chains(self, first: int, each: int, count: int) -> int:
        """Start each so many-th of so many chains that is not there; how many were started here."""
        return await self._start_missing({f"r{number}": Chain() for number in range(first, count, each)}, count)

    async def _start_missing(self, wanted: Mapping[str, object], newest: int) -> int:
        """Start what is not among the newest runs."""
        known = {record.id for record in await self.orchestrator.list_runs(limit=newest)}
        started = 0
        for run_id, workflow in wanted.items():
            if run_id not in known:
                try:
                    await self.orchestrator.start(workflow, run_id=run_id)
                except RunExistsError:
                    continue
                started += 1
        return started

    async def resume(self, run_id: str, answers: Mapping[str, Any]) -> str:
        return (await self.orchestrator.resume(run_id, **answers)).id

    async def wait(self, run_id: str) -> dict[str, object]:
        result = await (await self.orchestrator.get(run_id)).wait()
        return {"status": result.status, "error": result.error, "outputs": dict(result.outputs)}

    async def ask(self, signal: str, run_id: str, reason: str) -> None:
        run = await self.orchestrator.get(run_id)
        asking = {"cancel": run.cancel, "pause": run.pause, "terminate": run.terminate}
        await asking[signal](reason)

    async def send(self, run_id: str, signal: str, payload: object) -> None:
        await (await self.orchestrator.get(run_id)).send(signal, payload)

    async def listed(self, status: str) -> dict[str, str]:
        """Run id -> its error, of the runs with this status."""
        return {record.id: record.error for record in await self.orchestrator.list_runs(status=status)}

    async def open(self, gate: str) -> None:
        GATES[gate].open()


@asynccontextmanager
async def _told() -> AsyncIterator[asyncio.StreamReader]:
    """What is told to this process, line by line."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        yield reader
    finally:
        transport.close()


async def _answer(command: Callable[..., Awaitable[object]], words: Sequence[object]) -> dict[str, object]:
    try:
        return {"value": await command(*words)}
    # Whatever it is, whoever told us is told; the tests see whether it is what it should be.
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}


def _say(word: object) -> None:
    os.write(1, json.dumps(word, default=repr).encode() + b"\n")


async def main(store: str, options: Mapping[str, Any]) -> None:
    async with _told() as lines:
        _say("ready")
        if not await lines.readline():
            return
        async with Orchestrator(
            store, **{"workflows": list(WORKFLOWS.values()), "observers": [Witness()], **options}
        ) as orchestrator:
            _say("entered")
            commands = Commands(orchestrator)
            while line := await lines.readline():
                name, *words = json.loads(line)
                _say(await _answer(getattr(commands, name), words))
        _say("left")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
    except StoreError as lost:
        sys.exit(str(lost))
