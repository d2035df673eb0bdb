"""What it takes to go on with a run that somebody else executed before: its log, its definition, and what was asked."""

from collections.abc import Collection

from ..core.adoption import changed_inputs, obstacle
from ..core.dag import Dag
from ..core.events import Event, RunStarted
from ..core.options import OnChange
from ..core.outcome import Asked, TakenUp
from ..core.plan import Plan
from ..core.state import RunStatus, StepStatus
from ..errors import IllegalTransitionError, NotResumableError, WorkflowChangedError
from ..ports import Message, RunRecord, Store
from .execution import Execution
from .stored import damaged_log, empty_log, pages, stored_dag, stored_json

ENDING = ("cancel", "terminate")
"""The signals for which a run that nobody executes is taken up."""


async def changes_since(store: Store, record: RunRecord, dag: Dag, on_change: OnChange | None) -> set[str]:
    """
    The steps whose inputs have changed since the run was started, if that is adopted.

    Raises:
        WorkflowChangedError: it is not, or it cannot be.
    """
    if record.fingerprint == dag.fingerprint:
        return set()
    before = await stored_dag(store, record.fingerprint)
    if before is None:
        return set()
    if found := obstacle(before, dag, on_change):
        difference, lacking = found
        raise WorkflowChangedError(record.id, dag.name, str(difference), lacking)
    return changed_inputs(before, dag)


async def replayed(store: Store, record: RunRecord, dag: Dag, plan: Plan) -> Execution:
    """
    The run as its log leaves it.

    Raises:
        StoreError: it has no log, or one that makes no sense.
    """
    execution: Execution | None = None
    async for events in pages(store, record.id):
        if execution is None:
            execution = Execution(record, dag, plan, _inputs_of(events[0]))
        try:
            execution.machine.replay(events)
        except IllegalTransitionError as error:
            raise damaged_log(store, record.id, error) from error
    if execution is None:
        raise empty_log(store, record.id)
    execution.written = execution.machine.run.seq
    if record.fingerprint != dag.fingerprint:
        execution.definition = dag.to_json
    return execution


def _inputs_of(first: Event) -> str:
    return first.inputs if isinstance(first, RunStarted) else "{}"


def completed_among(names: Collection[str], execution: Execution) -> tuple[str, ...]:
    """Those of these steps that have completed, in order."""
    run = execution.machine.run
    return tuple(name for name in sorted(names) if run.statuses[run.plan.index[name]] is StepStatus.COMPLETED)


def check_goes_on(execution: Execution, taken: TakenUp) -> None:
    """
    See that a run which is taken up by itself still goes on by itself.

    Raises:
        NotResumableError: since its summary was read it has ended, or somebody let it pause.
    """
    status = execution.machine.run.status
    is_to_end = status is RunStatus.PAUSED and any(each.signal in ENDING for each in taken.asked)
    if status is not RunStatus.RUNNING and not is_to_end:
        raise NotResumableError(execution.record.id, status)


def asked_by(message: Message) -> Asked:
    """
    What a message asks of its run.

    Raises:
        StoreError: it cannot be read.
    """
    payload = stored_json(message.payload, f"the message {message.id!r} to run {message.run_id!r}")
    return Asked(message.signal, message.id, str(payload))
