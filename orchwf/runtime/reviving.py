"""A run that rests is resumed by somebody who has not its code: that is written, and whoever serves it goes on."""

from ..core.dag import Dag
from ..core.events import RunResumed
from ..core.outcome import TakenUp
from ..core.plan import Plan
from ..core.state import RunStatus
from ..errors import ConflictError, NotResumableError, RunOwnedError, StoreError
from ..ports import Append, RunRecord, Summary
from .answers import Answers
from .ledger import Ledger
from .owner import is_abandoned, parse_owner
from .stored import stored_dag
from .takeover import replayed


async def revive(ledger: Ledger, run_id: str, answers: Answers) -> None:
    """
    Let a failed or paused run go on: it is due from now on, and whoever serves its workflow takes it up.

    One append says so, which nobody can have made twice: the log has to end where it was read. Nothing is written for a
    run that goes on by itself.

    Raises:
        RunNotFoundError, RunOwnedError, NotResumableError: as they say.
        UsageError: a step is named that is not in question, or one that is in question is not.
        StoreError: its definition is lost, or its log is damaged.
    """
    while True:
        record = await ledger.record(run_id)
        if record.status is RunStatus.COMPLETED:
            raise NotResumableError(run_id, record.status)
        if record.owner is not None and not is_abandoned(record):
            raise RunOwnedError(run_id, parse_owner(record.owner).label)
        if record.status is RunStatus.RUNNING:
            return
        dag = await stored_dag(ledger.store, record.fingerprint)
        if dag is None:
            raise StoreError(
                f"{ledger.store.url} has lost the definition of run {run_id!r}: resume it where its code is, "
                f"orchwf resume {run_id}"
            )
        append = await _resumption(ledger, record, dag, answers)
        trouble = None if append is None else (await ledger.store.append([append]))[0]
        if append is not None and trouble is None:
            ledger.poked.set()
            return
        if trouble is not None and not isinstance(trouble, ConflictError):
            raise trouble
        # Somebody else was faster, and maybe with the same: look again.


async def _resumption(ledger: Ledger, record: RunRecord, dag: Dag, answers: Answers) -> Append | None:
    """That somebody resumes this run, as its log leaves it; None if it goes on since its summary was read."""
    now = ledger.clock.now()
    execution = await replayed(ledger.store, record, dag, Plan(dag))
    if execution.machine.run.status is RunStatus.RUNNING:
        return None
    taken = answers.applied(TakenUp(fingerprint=dag.fingerprint, was_released=True), execution)
    # What follows from it is for whoever executes the run, who may have another definition.
    resumed = next(each for each in execution.machine.turn([taken], now).events if isinstance(each, RunResumed))
    # It sleeps, and is due: so it is taken up as one that was executed before, whose definition may have changed since.
    summary = Summary(status=RunStatus.RUNNING, fingerprint=dag.fingerprint, wake_at=now, slept_at=now)
    return Append(run_id=record.id, expected=execution.written, events=[resumed], summary=summary, releases=True)
