"""Runs that sleep, or begin later: made in this process, for the commands to find."""

import asyncio
from datetime import timedelta

import orchwf
from orchwf.cli.loading import load_one, parse_target
from orchwf.ports import RunRecord
from tests.cli.console import Shell

NAP = """\
from orchwf import signal, sleep, step, workflow


@workflow
class Nap:
    @step
    def before(self) -> int:
        return 1

    paid = signal(float, depends_on=before)
    pause = sleep("1h", depends_on=before)

    @step(depends_on=[pause])
    def after(self, paid: float = paid.result) -> float:
        return paid * 2
"""
"""A flow that waits for an hour, and for a signal."""

DEAF = """\
from orchwf import signal, step, workflow


@workflow
class Deaf:
    told = signal()

    @step(depends_on=[told])
    def after(self) -> int:
        return 1
"""
"""A flow that waits for a signal that holds nothing, and for nothing else."""

URL = "sqlite:///orchwf.db"


def fall_asleep(shell: Shell, source: str = NAP, *, run_id: str = "r", later: float | None = None) -> RunRecord:
    """
    Start a run of this flow in the folder of the shell, and leave it when it sleeps.

    Args:
        later: After how many seconds it begins, if not at once.
    """
    shell.write("nap.py", source)
    (flow,) = load_one(parse_target("nap.py")).workflows

    async def start() -> RunRecord:
        store = await orchwf.open_store(URL)
        async with orchwf.Orchestrator(store) as orchestrator:
            not_before = None if later is None else timedelta(seconds=later)
            await orchestrator.start(flow(), run_id=run_id, not_before=not_before)
            while (record := await store.get(run_id)) is None or record.wake_at is None:
                """Each look lets the orchestrator go on."""
        await store.close()
        return record

    return asyncio.run(start())
