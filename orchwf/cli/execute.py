"""`run`, `resume` and `fork`: what starts runs, or goes on with them, and shows them to their end."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import attrs

from ..core.adoption import kept_by_fork
from ..core.dag import dag_of
from ..core.events import StepCompleted, StepFailed
from ..core.lines import Line
from ..core.names import LAST, LAST_FAILED
from ..core.state import RunStatus, StepStatus
from ..core.wording import age_text
from ..errors import (
    RunExistsError,
    RunInterruptedError,
    StoreError,
    WorkflowChangedError,
    command_line,
    resume_command,
)
from ..orchestrator import Orchestrator
from ..ports import Store
from ..runtime.arguments import checked_run_id
from ..runtime.handle import RunHandle
from ..runtime.interrupts import Interrupt, listening
from ..views import Found, fork_lines, is_asleep, owner_label, read_run, sleep_text
from .answers import Given
from .beginnings import resumed
from .classes import workflow_of
from .exits import CommandError, Exit, exit_of
from .finding import find_run, found_document
from .inputs import read_inputs
from .leaving import Deadline
from .live import Display, OneRun, display_for
from .output import Output
from .places import Place, opened
from .scene import Beginning

GRACE = 2.0
"""Seconds that the steps in flight have after the first Ctrl-C; a coroutine that does not end then gets one more."""

LONG = 30.0
"""Seconds that a run takes of which it is worth to tell at its end where they went."""

_JOBS = 256
_STOP_ON = (signal.SIGINT, signal.SIGTERM)

Begin = Callable[[Orchestrator], Awaitable[RunHandle[Any]]]


@attrs.frozen
class Stage:
    """
    Where a run is executed and shown.

    Attributes:
        jobs: How many steps may run at once; None for as many as there are.
    """

    output: Output
    place: Place
    deadline: Deadline
    jobs: int | None = None

    def opened(self, *, must_exist: bool = True) -> AbstractAsyncContextManager[Store]:
        """The store, closed after the block."""
        return opened(self.place.url, must_exist=must_exist)


async def run(
    stage: Stage, workflow: object, *, run_id: str | None, tags: Mapping[str, str], use_cache: bool = True,
    only: Collection[str] | None = None,
) -> int:  # fmt: skip
    """Start a run, of all steps or of these only, show it, and tell how it ended."""
    run_id = new_run_id(run_id)

    async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
        names = None if only is None else sorted(only)
        return await orchestrator.start(workflow, run_id, tags=tags, use_cache=use_cache, only=names)

    async with stage.opened(must_exist=False) as store:
        with naming_the_way_on(stage.place):
            dag = dag_of(type(workflow))
            kept = {} if only is None else {name: StepStatus.SKIPPED for name in dag.nodes if name not in only}
            return await execute(stage, store, run_id, Beginning(dag=dag, kept=kept), begin)


def new_run_id(given: str | None) -> str:
    """
    The id of a new run.

    Raises:
        CommandError, UsageError: it cannot be that.
    """
    if given in (LAST, LAST_FAILED):
        raise CommandError(f"{given!r} stands for a run already; choose another --run-id")
    return checked_run_id(given)


@contextmanager
def naming_the_way_on(place: Place) -> Iterator[None]:
    """Where a run cannot begin in the block, the command to type is told instead of the call."""
    try:
        yield
    except RunExistsError as error:
        again = resume_command(error.run_id, place.named)
        told = f"run {error.run_id!r} exists already; choose another --run-id, or go on with it: {again}"
        raise CommandError(told) from error
    except WorkflowChangedError as error:
        told = str(error).rpartition("\n")[0]
        adopt = command_line("resume", error.run_id, place.named, ["--adopt"])
        way_out = f"Restore that graph, or accept the change:  {adopt}"
        if error.lacking:
            names = ", ".join(map(repr, error.lacking))
            way_out = f"The run has no value for the new input {names}: give it a default, or fork the run."
        raise CommandError(f"{told}\n{way_out}") from error


async def resume(stage: Stage, run_text: str, *, target: str | None, given: Given, adopt: bool) -> int:
    """Go on with a run, tell before what of it is kept, show it, and tell how it ended."""
    async with stage.opened() as store:
        record = await find_run(store, run_text)
        found = await read_run(store, record)
        _check_resumable(found, stage.place)
        given.check(found.report(store=stage.place.named))
        workflow = workflow_of(stage.output, record, target)
        dag = dag_of(workflow)
        values = given.decoded(dag)

        async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
            return await orchestrator.resume(
                record.id, workflow=workflow, rerun=given.rerun, skip=given.skip, values=values,
                on_change="adopt" if adopt else None,
            )  # fmt: skip

        beginning = resumed(found, dag, given)
        with naming_the_way_on(stage.place):
            return await execute(stage, store, record.id, beginning, begin, since=time.time())


def _check_resumable(found: Found, place: Place) -> None:
    """A run that cannot be resumed is refused before its file is loaded."""
    record, compensation = found.record, found.history.compensation
    ago = "" if record.ended_at is None else f" {age_text(time.time() - record.ended_at)}"
    is_over = record.status is RunStatus.CANCELLED and compensation != "failed"
    if record.status is RunStatus.COMPLETED or is_over:
        raise CommandError(f"run {record.id!r} was {record.status}{ago}: there is nothing to resume")
    if compensation == "done":
        fork = command_line("fork", record.id, place.named, ["--from", "STEP"])
        raise CommandError(
            f"run {record.id!r} {record.status}{ago}, and what it did is undone: there is nothing to resume; "
            f"start a new run that reuses the rest of it: {fork}"
        )
    owner = owner_label(record)
    if owner is not None:
        raise CommandError(f"run {record.id!r} is being executed by {owner}; cancel it, or wait until it has ended")


async def fork(
    stage: Stage,
    run_text: str,
    *,
    step: str,
    pairs: Sequence[str],
    file: str | None,
    run_id: str | None,
    target: str | None,
) -> int:
    """Start a run that reuses what another one did before a step, show it, and tell how it ended."""
    new_id = new_run_id(run_id)
    async with stage.opened() as store:
        record = await find_run(store, run_text)
        found = await read_run(store, record)
        workflow = workflow_of(stage.output, record, target)
        dag = dag_of(workflow)
        inputs = read_inputs(dag, pairs, file)
        kept = kept_by_fork(dag, found.dag, found.history, step, with_inputs=bool(inputs))

        async def begin(orchestrator: Orchestrator) -> RunHandle[Any]:
            return await orchestrator.fork(record.id, step, inputs, workflow=workflow, new_id=new_id)

        ends = {StepCompleted.kind: StepStatus.COMPLETED, StepFailed.kind: StepStatus.FAILED}
        beginning = Beginning(
            dag=dag, kept={event.step: ends.get(event.kind, StepStatus.SKIPPED) for event in kept},
            opening=fork_lines(dag, kept, list(inputs)),
        )  # fmt: skip
        with naming_the_way_on(stage.place):
            return await execute(stage, store, new_id, beginning, begin)


# Executing.


async def execute(
    stage: Stage,
    store: Store,
    run_id: str,
    beginning: Beginning,
    begin: Begin,
    *,
    since: float | None = None,
) -> int:
    """Let a run begin, show it to its end, and tell how it ended. Durations count from `since` (epoch seconds)."""
    found, interrupt = await watch(stage, store, run_id, display_for(stage.output, beginning), begin)
    return _conclude(stage.output, stage.place, found, interrupt, since)


async def watch(stage: Stage, store: Store, run_id: str, display: Display, begin: Begin) -> tuple[Found, Interrupt]:
    """Let a run begin, and show it until it has ended here, for whatever reason. Returns what became of it."""
    way_on = "all that is done is kept"
    if not stage.place.url.startswith("memory:"):
        way_on = f"{way_on}, go on with:  {resume_command(run_id, stage.place.named)}"
    stage.deadline.words = f"! ended without waiting any longer; {way_on}"
    stage.deadline.stream = 2 if stage.output.json else 1
    with listening(_STOP_ON, f"! ended at once; {way_on}", stage.deadline.begin) as interrupt, stage.output.reserved():
        orchestrator = Orchestrator(
            store, max_concurrency=stage.jobs or _JOBS, grace=GRACE, observers=[OneRun(run_id, display)]
        )  # fmt: skip
        await _executed(orchestrator, display, begin, interrupt)
    try:
        return await _reread(store, run_id), interrupt
    except (CommandError, StoreError) as error:
        if not interrupt.number:
            raise
        raise CommandError(str(error), Exit(interrupt.exit_code)) from error


async def _reread(store: Store, run_id: str) -> Found:
    record = await store.get(run_id)
    if record is None:
        raise CommandError(f"run {run_id!r} is not in {store.url}", Exit.NOT_FOUND)
    return await read_run(store, record)


def _stopping() -> Line:
    text = f"! stopping: what runs has {GRACE:.0f} s to end; Ctrl-C again ends it at once"
    return Line(text, "paused", "strong")


async def _executed(orchestrator: Orchestrator, display: Display, begin: Begin, interrupt: Interrupt) -> None:
    """Return when the run has ended here, for whatever reason."""
    try:
        async with display, orchestrator:
            handle = await begin(orchestrator)
            await _until_over(handle, interrupt)
            if interrupt.number:
                # No await until the orchestrator closes: once this is read, nothing more begins.
                display.say(_stopping())
    except RunInterruptedError as error:
        # Without a reason, the run was left because we were told to.
        if isinstance(error.__cause__, StoreError) and not interrupt.number:
            raise
    except StoreError:
        # Who was told to stop does not wait for a store that is busy; what it has acknowledged is there.
        if not interrupt.number:
            raise


async def _until_over(handle: RunHandle[Any], interrupt: Interrupt) -> None:
    """Return when the run has ended or pauses, or when a signal came."""
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
        output.document(found_document(found), indent=None)
    store = None if place.url.startswith("memory:") else place.named
    began = since if since is not None else found.record.created_at
    report = found.report(store=store, since=began, verbose=output.verbose)
    is_over = found.history.status.is_final or found.history.status is RunStatus.PAUSED
    if not is_over:
        # Why is known to whoever sees it end.
        rest = sleep_text(found.record, time.time()) if is_asleep(found.record) else ""
        report = attrs.evolve(report, interrupted=True, reason=rest)
    headline, *rest_of_it = report.lines()
    longest = found.longest() if (report.duration or 0.0) >= LONG else ""
    output.lines([headline, *([Line(f"  longest: {longest}")] if longest else []), *rest_of_it])
    if not is_over:
        return interrupt.exit_code if interrupt.number else Exit.FAILED
    return exit_of(found.result)
