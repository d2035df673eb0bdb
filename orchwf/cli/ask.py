"""`cancel` and `pause`: what asks a run for something, whoever executes it."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..core.adoption import obstacle
from ..core.dag import Dag, dag_of
from ..core.lines import Line, brief
from ..core.options import Join
from ..core.state import RunStatus
from ..errors import command_line
from ..labels import visible
from ..orchestrator import Orchestrator
from ..ports import RunRecord, Store
from ..runtime.handle import RunHandle
from ..views import Found, is_asleep, is_interrupted, owner_label, read_run
from .beginnings import taken_up
from .classes import workflow_of
from .execute import Stage, watch
from .exits import CommandError, Exit
from .finding import document_of, find_run
from .live import SilentDisplay, display_for
from .output import Output

PATIENCE = 5.0
"""Seconds to wait for whoever executes the run to do what was asked."""

Ask = Callable[[RunHandle[Any]], Awaitable[None]]


async def cancel(stage: Stage, run_text: str, *, reason: str, terminate: bool, target: str | None) -> int:
    """Ask that a run ends; one that nobody executes is taken up for that."""
    begun = time.time()

    async def ask(handle: RunHandle[Any]) -> None:
        await (handle.terminate(reason) if terminate else handle.cancel(reason))

    async with stage.opened() as store:
        record = await find_run(store, run_text)
        if record.status.is_final:
            return _told(stage.output, record, f"has ended already: it is {record.status}")
        goes_on = is_asleep(record) or record.is_queued
        is_free = record.status is RunStatus.PAUSED or is_interrupted(record) or goes_on
        if goes_on and not _has_code(stage.output, record, target):
            # Whoever serves it wakes it up for that.
            is_free = False
        if is_free and not terminate:
            await _cancel_here(stage, store, await read_run(store, record), ask, target)
        else:
            await _ask(store, record, ask)
        found = await read_run(store, await find_run(store, record.id))
    if not found.record.status.is_final:
        if is_free:
            raise CommandError(
                f"run {record.id!r} could not be taken up: try again, or see: orchwf doctor", Exit.FAILED
            )
        return _told(stage.output, found.record, f"was asked to end; {_owner(found.record)} will do so")
    if not found.history.compensation:
        return _told(stage.output, found.record, f"is {found.record.status}")
    if stage.output.json:
        stage.output.document(document_of(found.record))
    stage.output.lines(found.report(store=stage.place.named, since=begun, verbose=stage.output.verbose).lines())
    return Exit.FAILED if found.history.compensation == "failed" else Exit.DONE


def _has_code(output: Output, record: RunRecord, target: str | None) -> bool:
    """Whether the workflow of a run is here; what was named as its place has to be."""
    try:
        workflow_of(output, record, target)
    except CommandError as error:
        if target is not None or error.code is not Exit.NOT_FOUND:
            raise
        return False
    return True


async def pause(stage: Stage, run_text: str, *, reason: str) -> int:
    """Ask that a run pauses."""

    async def ask(handle: RunHandle[Any]) -> None:
        await handle.pause(reason)

    async with stage.opened() as store:
        record = await find_run(store, run_text)
        if record.status.is_final:
            return _told(stage.output, record, f"has ended already: it is {record.status}")
        if record.status is RunStatus.PAUSED:
            return _told(stage.output, record, f"is paused already{_because(record)}")
        await _ask(store, record, ask)
        after = await find_run(store, record.id)
    if after.status is RunStatus.PAUSED:
        code = _told(stage.output, after, f"is paused{_because(after)}")
        resume = command_line("resume", after.id, stage.place.named)
        stage.output.lines([Line(f"  Go on with:  {resume}")])
        return code
    if after.status.is_final:
        return _told(stage.output, after, f"ended before it could pause: it is {after.status}")
    when = "when what runs has ended" if owner_label(after) else "when it does"
    return _told(stage.output, after, f"was asked to pause; {_owner(after)} will do so {when}")


def _because(record: RunRecord) -> str:
    return f": {brief(record.error)}" if record.error else ""


def _owner(record: RunRecord) -> str:
    return owner_label(record) or "whoever takes it up"


def _told(output: Output, record: RunRecord, text: str) -> int:
    if output.json:
        output.document(document_of(record))
    is_still = record.status.is_final or record.status is RunStatus.PAUSED
    tone = str(record.status) if is_still else "running"
    mark = {"cancelled": "/", "failed": "x", "completed": "+", "paused": "o"}.get(tone, ">")
    output.lines([Line(f"{mark} run {visible(record.id)} {text}", tone)])
    return Exit.DONE


async def _ask(store: Store, record: RunRecord, ask: Ask) -> None:
    async with Orchestrator(store) as orchestrator:
        handle = await orchestrator.get(record.id)
        await ask(handle)
        after = await find_run(store, record.id)
        if is_interrupted(after) or after.status is RunStatus.SCHEDULED:
            # Nobody is there who would do it now.
            return
        try:
            await handle.wait(PATIENCE)
        except TimeoutError:
            # It was asked; its steps may take their time to end.
            return


async def _cancel_here(stage: Stage, store: Store, found: Found, ask: Ask, target: str | None) -> None:
    """Take the run up with the wish that it ends, so that none of its steps begins again; what cleans up is shown."""
    record = found.record
    workflow = workflow_of(stage.output, record, target)
    dag = dag_of(workflow)
    if found.dag is not None and (differs := obstacle(found.dag, dag)):
        end = command_line("cancel", record.id, stage.place.named, ["--terminate"])
        raise CommandError(
            f"run {record.id!r} was started with another graph of {dag.name}, so it cannot be undone with this one:\n"
            f"{differs[0]}\nRestore that graph, or end the run without undoing anything:  {end}"
        )

    async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
        handle = await orchestrator.get(record.id, workflow=workflow)
        await ask(handle)
        if record.status is RunStatus.RUNNING and await handle.status() is RunStatus.PAUSED:
            # This was one owner too many, so it was parked. Now somebody wants it to end, whoever died before.
            await ask(handle)
        return handle

    is_shown = _cleans_up(dag) and not stage.output.json
    display = display_for(stage.output, taken_up(found, dag)) if is_shown else SilentDisplay(stage.output)
    _, interrupt = await watch(stage, store, record.id, display, begin)
    if interrupt.number:
        raise CommandError(
            f"run {record.id!r} was asked to end, and will when it is taken up", Exit(interrupt.exit_code)
        )


def _cleans_up(dag: Dag) -> bool:
    """Whether anything may run in a run that is cancelled."""
    return any(node.compensation is not None or node.options.join is Join.SETTLED for node in dag.nodes.values())
