"""`run`, `resume` and `cancel`: what starts and ends runs."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from ..core.dag import Dag, dag_of
from ..core.report import Line
from ..core.state import RunStatus, StepStatus
from ..core.wording import age_text
from ..errors import RunExistsError, RunInterruptedError, StoreError, resume_command
from ..labels import visible
from ..orchestrator import Orchestrator
from ..ports import RunRecord, Store
from ..runtime.handle import RunHandle
from ..runtime.interrupts import Interrupt, listening
from ..views import resume_lines
from .documents import Document
from .exits import CommandError, Exit, exit_of
from .finding import LAST, LAST_FAILED, Found, document_of, find_run, is_interrupted, owner_label, read_run
from .live import Beginning, Display, display_for
from .loading import Loaded, load, load_one, parse_target
from .output import Output
from .places import Place, opened

GRACE = 5.0
PATIENCE = 5.0
_JOBS = 256
_STOP_ON = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS = "! ended at once; all that is done is kept, go on with:  orchwf resume"

Begin = Callable[[Orchestrator], Awaitable[RunHandle[Any]]]


async def run(
    output: Output, place: Place, workflow: object, *, run_id: str | None, tags: Mapping[str, str], jobs: int | None
) -> int:
    """Start a run, show it, and tell how it ended."""
    if run_id in (LAST, LAST_FAILED):
        raise CommandError(f"{run_id!r} stands for a run already; choose another --run-id")
    dag = dag_of(type(workflow))

    async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
        try:
            return await orchestrator.start(workflow, run_id, tags=tags)
        except RunExistsError as error:
            again = resume_command(error.run_id, place.named)
            raise CommandError(
                f"run {error.run_id!r} exists already; choose another --run-id, or go on with it: {again}"
            ) from error

    async with opened(place.url, must_exist=False) as store:
        return await _execute(output, place, store, Beginning(dag=dag), begin, jobs=jobs)


async def resume(output: Output, place: Place, run_text: str, *, target: str | None, jobs: int | None) -> int:
    """Go on with a run, tell before what of it is kept, show it, and tell how it ended."""
    async with opened(place.url) as store:
        record = await find_run(store, run_text)
        found = await read_run(store, record)
        _check_resumable(record)
        workflow = workflow_of(output, record, target)
        dag = dag_of(workflow)

        async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
            return await orchestrator.resume(record.id, workflow=workflow)

        beginning = _resumed(found, dag)
        return await _execute(output, place, store, beginning, begin, jobs=jobs, since=time.time())


def _resumed(found: Found, dag: Dag) -> Beginning:
    """What is true of a run that is going to be resumed."""
    steps = found.history.steps.values()
    is_renewed = found.history.status is RunStatus.FAILED
    changed = found.dag.diff(dag).changed if found.dag is not None else ()
    return Beginning(
        dag=dag,
        completed=frozenset(record.name for record in steps if record.status is StepStatus.COMPLETED),
        spent={record.name: record.attempt if is_renewed else record.spent for record in steps},
        opening=resume_lines(found.report(), changed),
    )


def _check_resumable(record: RunRecord) -> None:
    """A run that cannot be resumed is refused before its file is loaded."""
    if record.status in (RunStatus.COMPLETED, RunStatus.CANCELLED):
        ago = "" if record.ended_at is None else f" {age_text(time.time() - record.ended_at)}"
        raise CommandError(f"run {record.id!r} was {record.status}{ago}: there is nothing to resume")
    owner = owner_label(record)
    if owner is not None:
        raise CommandError(f"run {record.id!r} is being executed by {owner}; cancel it, or wait until it has ended")


def workflow_of(output: Output, record: RunRecord, target: str | None) -> type:
    """
    The class of the workflow that a run belongs to.

    Args:
        target: Where it is now, if not where it was when the run was started.

    Raises:
        CommandError: it is not there.
    """
    if target is not None:
        loaded = _loaded_for(record, target)
    else:
        loaded = _recorded(record)
    for warning in loaded.warnings:
        output.warn(warning)
    return loaded.workflows[0]


def _loaded_for(record: RunRecord, text: str) -> Loaded:
    """Of several workflows in one file the one of this name is meant."""
    loaded = load(parse_target(text))
    own = [workflow for workflow in loaded.workflows if dag_of(workflow).name == record.workflow]
    if own:
        return attrs.evolve(loaded, workflows=(own[0],))
    names = ", ".join(dag_of(workflow).name for workflow in loaded.workflows)
    raise CommandError(f"run {record.id!r} is of the workflow {record.workflow!r}, and {text} has {names}")


def _recorded(record: RunRecord) -> Loaded:
    where = record.entrypoint
    way_out = "say where it is now: --target file.py:Class"
    if where.startswith("__main__:") or "<locals>" in where:
        raise CommandError(f"run {record.id!r} was started by code that no file is known of; {way_out}")
    try:
        return load_one(parse_target(where))
    except CommandError as error:
        if error.code is Exit.NOT_FOUND:
            raise CommandError(
                f"the workflow of run {record.id!r} is not where it was, {where}: {error}\n{way_out}", Exit.NOT_FOUND
            ) from error
        raise


async def _execute(
    output: Output,
    place: Place,
    store: Store,
    beginning: Beginning,
    begin: Begin,
    *,
    jobs: int | None,
    since: float | None = None,
) -> int:
    """Let a run begin, show it to its end, and tell how it ended. Durations count from `since` (epoch seconds)."""
    display = display_for(output, beginning)
    with listening(_STOP_ON, _LAST_WORDS) as interrupt, output.reserved():
        orchestrator = Orchestrator(store, max_concurrency=jobs or _JOBS, grace=GRACE, observers=[display])
        run_id = await _watched(orchestrator, display, begin, interrupt)
    record = await store.get(run_id)
    if record is None:
        raise CommandError(f"run {run_id!r} was deleted meanwhile", Exit.NOT_FOUND)
    found = await read_run(store, record)
    return _conclude(output, place, found, interrupt, since)


def _stopping() -> Line:
    text = f"! stopping: what runs has {GRACE:.0f} s to end; Ctrl-C again ends it at once"
    return Line(text, "paused", "strong")


async def _watched(orchestrator: Orchestrator, display: Display, begin: Begin, interrupt: Interrupt) -> str:
    """The id of the run, after it has ended here, for whatever reason."""
    try:
        async with display, orchestrator:
            handle = await begin(orchestrator)
            await _until_over(handle, interrupt)
            if interrupt.number:
                # No await until the orchestrator closes: once this is read, nothing more begins.
                display.say(_stopping())
    except RunInterruptedError as error:
        # Without a reason, the run was left because we were told to.
        if isinstance(error.__cause__, StoreError):
            raise
        return error.run_id
    return handle.id


async def _until_over(handle: RunHandle[Any], interrupt: Interrupt) -> None:
    """Return when the run has ended, or when a signal came."""
    over, asked = asyncio.ensure_future(handle.wait()), asyncio.ensure_future(interrupt.asked.wait())
    try:
        await asyncio.wait([over, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not over.done():
            over.cancel()
    if over.done() and not over.cancelled():
        over.result()


def _conclude(output: Output, place: Place, found: Found, interrupt: Interrupt, since: float | None) -> int:
    """Tell how it ended, and give the exit code."""
    if output.json:
        output.document(found.document(), indent=None)
    report = found.report(store=place.named, since=since, verbose=output.verbose)
    if not found.history.status.is_final:
        began = since if since is not None else found.record.created_at
        report = attrs.evolve(report, interrupted=True, duration=time.time() - began)
    if place.url.startswith("memory:"):
        report = attrs.evolve(report, resume="")
    output.lines(report.lines())
    if not found.history.status.is_final:
        return interrupt.exit_code if interrupt.number else Exit.FAILED
    return exit_of(found.result)


# Cancelling.


async def cancel(output: Output, place: Place, run_text: str, *, reason: str, target: str | None) -> int:
    """Ask that a run ends; one that nobody executes is taken up for that."""
    async with opened(place.url) as store:
        record = await find_run(store, run_text)
        if record.status.is_final:
            return _told(output, record, f"run {visible(record.id)} has ended already: it is {record.status}")
        if is_interrupted(record):
            await _cancel_here(output, store, record, reason, target)
        else:
            await _ask_owner(store, record, reason)
        after = await find_run(store, record.id)
    if after.status.is_final:
        return _told(output, after, f"run {visible(record.id)} is {after.status}")
    owner = owner_label(after) or "whoever takes it up"
    return _told(output, after, f"run {visible(record.id)} was asked to end; {owner} will do so")


def _told(output: Output, record: RunRecord, text: str) -> int:
    if output.json:
        document: Document = document_of(record)
        output.document(document)
    tone = str(record.status) if record.status.is_final else "running"
    mark = {"cancelled": "/", "failed": "x", "completed": "+"}.get(tone, ">")
    output.lines([Line(f"{mark} {text}", tone)])
    return Exit.DONE


async def _ask_owner(store: Store, record: RunRecord, reason: str) -> None:
    async with Orchestrator(store) as orchestrator:
        handle = await orchestrator.get(record.id)
        await handle.cancel(reason)
        try:
            await handle.wait(PATIENCE)
        except TimeoutError:
            # It was asked; its steps may take their time to end.
            return


async def _cancel_here(output: Output, store: Store, record: RunRecord, reason: str, target: str | None) -> None:
    workflow = workflow_of(output, record, target)
    async with Orchestrator(store) as orchestrator:
        handle = await orchestrator.get(record.id)
        # First the wish, then the run: so none of its steps begins again.
        await handle.cancel(reason)
        handle = await orchestrator.resume(record.id, workflow=workflow)
        await handle.wait()
