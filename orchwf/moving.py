"""`orchwf.copy_runs`: from one store to another."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import attrs

from .core.state import RunStatus
from .errors import UsageError
from .ports import RunQuery, Store
from .runtime.clock import SystemClock
from .runtime.copying import CopiedRun, Copying, Outcome
from .runtime.copying_schedules import copy_schedules
from .runtime.owner import this_process
from .stores import open_store
from .stores.rehearsal import Rehearsal, open_or_empty


@attrs.frozen(kw_only=True)
class CopyReport:
    """
    What became of runs and schedules that were to be copied, or would become of them.

    Attributes:
        copied: How many were.
        there: How many were there already.
        going_on: How many of the copied had not ended, and go on in the target.
        problems: Those that were not copied, and why.
    """

    copied: int = 0
    there: int = 0
    going_on: int = 0
    problems: tuple[CopiedRun, ...] = ()


async def copy_runs(
    source: str | Store,
    target: str | Store,
    run_ids: Sequence[str] | None = None,
    *,
    workflow: str | None = None,
    status: Sequence[RunStatus] | None = None,
    move: bool = False,
    dry_run: bool = False,
    tell: Callable[[CopiedRun], object] = lambda copied: None,
) -> CopyReport:
    """
    Copy runs from one store to another, with their logs, definitions, tags, metadata, messages and large values.

    A run that has not ended goes on in the target, just where it was, and is cancelled in the source: it is never
    executed in both. It goes with the runs that it started. One that a living process executes is left alone, and so is
    one in whose place another one is. What is there already is passed over: so the same call goes on with what was
    interrupted, wherever that was. Schedules are copied, too, unless runs are chosen by id or status: they act in the
    target from then on. Outputs kept for other runs are not copied.

    Args:
        source, target: URLs, or open stores. The target is made if it is not there.
        run_ids: Only these.
        workflow: Only runs and schedules of this workflow, by name.
        status: Only runs that are so.
        move: Whether to delete from the source what is in the target.
        dry_run: Only tell what would become of each: both stores stay as they are, and none is made.
        tell: Is called with each run and schedule, after it is durable in the target.

    Raises:
        UsageError: both are the same store.
        RunNotFoundError: there is no run of an id in the source.
        StoreError: one of the stores cannot be used; what was copied before is.
    """
    counts: Counter[str] = Counter()
    problems: list[CopiedRun] = []
    async with AsyncExitStack() as stack:
        one = _closed_by(stack, source, await open_store(source, must_exist=True))
        opening = open_or_empty(target) if dry_run else open_store(target)
        other = _closed_by(stack, target, await opening)
        if one is other or (one.url == other.url and not one.url.startswith("memory:")):
            raise UsageError(f"both stores are {one.url}: there is nothing to copy")
        if dry_run:
            other, one = Rehearsal(other, one), Rehearsal(one)
        async for copied in _all(one, other, run_ids, workflow, status, move=move):
            tell(copied)
            counts[copied.outcome] += 1
            counts["going on"] += copied.goes_on
            problems += [copied] if copied.reason else []
    return CopyReport(
        copied=counts[Outcome.COPIED], there=counts[Outcome.THERE], going_on=counts["going on"],
        problems=tuple(problems),
    )  # fmt: skip


def _closed_by(stack: AsyncExitStack, given: str | Store, opened: Store) -> Store:
    """The store; closed with the stack if it was opened here."""
    if opened is not given:
        stack.push_async_callback(opened.close)
    return opened


async def _all(
    source: Store,
    target: Store,
    run_ids: Sequence[str] | None,
    workflow: str | None,
    status: Sequence[RunStatus] | None,
    *,
    move: bool,
) -> AsyncIterator[CopiedRun]:
    owner = str(this_process(secrets.token_hex(4)))
    copying = Copying(source, target, owner=owner, clock=SystemClock(), move=move)
    query = RunQuery(workflow=workflow, statuses=status)
    async for copied in copying.matching(query) if run_ids is None else copying.named(run_ids):
        yield copied
    if run_ids is None and status is None:
        async for copied in copy_schedules(source, target, workflow, move=move):
            yield copied
