"""What it takes to go on with a run that somebody else executed before: its log, its definition, and what was asked."""

import asyncio
from collections.abc import Collection
from functools import partial

from ..core.adoption import changed_inputs, obstacle
from ..core.dag import Dag
from ..core.events import Event, RunStarted
from ..core.options import OnChange
from ..core.outcome import Asked, TakenUp
from ..core.plan import Plan
from ..core.state import RunStatus, StepStatus
from ..core.types import describe_type, holds
from ..errors import (
    EncodingError,
    IllegalTransitionError,
    InputError,
    NotResumableError,
    RunNotFoundError,
    WorkflowChangedError,
)
from ..ports import Message, RunRecord, Store, Trace
from .execution import Execution, decode_inputs
from .large import Large
from .stored import damaged_log, empty_log, light_pages, stored_dag, stored_json

ENDING = ("cancel", "terminate")
"""The signals for which a run that nobody executes is taken up."""

_BEGUN = frozenset({StepStatus.COMPLETED, StepStatus.WAITING, StepStatus.RETRYING})

_LARGE = 100_000
"""How long inputs may be (characters) that are read on the loop."""

REQUESTS = (*ENDING, "pause")
"""The signals that no node waits for; their payload is a reason."""


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


async def replayed(store: Store, record: RunRecord, dag: Dag, plan: Plan, trace: Trace | None = None) -> Execution:
    """
    The run as its log leaves it.

    Args:
        trace: What traces it from now on; it hears of what was before.

    Raises:
        StoreError: it has no log, or one that makes no sense.
        RunNotFoundError: it was deleted meanwhile.
    """
    execution: Execution | None = None
    large = Large(store)
    async for page in light_pages(store, record.id):
        events = await large.looked_into(record.id, plan, page)
        if execution is None:
            execution = _begun(record, dag, plan, events[0])
            execution.trace = trace
        if trace is not None:
            trace.recall(events)
        try:
            execution.machine.replay(events)
        except IllegalTransitionError as error:
            raise damaged_log(store, record.id, error) from error
    if execution is None:
        raise (
            RunNotFoundError(record.id, store.url)
            if await store.get(record.id) is None
            else empty_log(store, record.id)
        )
    execution.written = execution.machine.run.seq
    if record.fingerprint != dag.fingerprint:
        execution.definition = dag.to_json
    return execution


def _begun(record: RunRecord, dag: Dag, plan: Plan, first: Event) -> Execution:
    if not isinstance(first, RunStarted):
        return Execution(record, dag, plan, "{}")
    execution = Execution(record, dag, plan, first.inputs, first.use_cache)
    execution.depth = first.depth
    if first.parent:
        execution.parent = (first.parent, first.parent_step, first.parent_item)
    return execution


def begun_among(names: Collection[str], execution: Execution) -> tuple[str, ...]:
    """Those of these steps that have completed, or that wait for something, such as their items, in order."""
    run = execution.machine.run
    known = [(name, run.plan.index[name]) for name in sorted(names) if name in run.plan.index]
    return tuple(name for name, step in known if run.statuses[step] in _BEGUN or step in run.rows)


def check_goes_on(execution: Execution, taken: TakenUp) -> None:
    """
    See that a run which is taken up by itself still goes on by itself.

    Raises:
        NotResumableError: since its summary was read it has ended, or somebody let it pause.
    """
    status = execution.machine.run.status
    is_to_end = any(each.signal in ENDING for each in taken.asked)
    may_go_on = {RunStatus.RUNNING: True, RunStatus.SCHEDULED: taken.is_due or is_to_end, RunStatus.PAUSED: is_to_end}
    if not may_go_on.get(status, False):
        raise NotResumableError(execution.record.id, status)


async def refusal(execution: Execution) -> str:
    """Why a run that somebody else has written cannot begin: its inputs are none of its workflow. Empty if it can."""
    if execution.written > 1:
        return ""
    work = partial(_refusal, execution.dag, execution.inputs)
    return work() if len(execution.inputs) < _LARGE else await asyncio.to_thread(work)


def _refusal(dag: Dag, inputs: str) -> str:
    values: dict[str, object] = {}
    problems = []
    for name, field in dag.inputs.items():
        try:
            values |= decode_inputs(dag, dag.codec, inputs, [name])
        except EncodingError as error:
            problems.append(f"input {name!r} takes {describe_type(field.type)}: {error}")
            continue
        if name in values and not holds(field.type, values[name]):
            kind = describe_type(type(values[name]))
            problems.append(f"input {name!r} takes {describe_type(field.type)}, not a value of type {kind}")
        elif name not in values and field.required:
            problems.append(f"input {name!r} ({describe_type(field.type)}) is missing")
    try:
        if not problems and dag.workflow is not None:
            dag.workflow(**values)
    # Foreign code: validators and converters of the user.
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    return f"{InputError.__name__}: {InputError(dag.name, problems)}" if problems else ""


def asked_by(message: Message) -> Asked:
    """
    What a message asks of its run.

    Raises:
        StoreError: it cannot be read.
    """
    payload = stored_json(message.payload, f"the message {message.id!r} to run {message.run_id!r}")
    is_request = message.signal in REQUESTS
    return Asked(message.signal, message.id, str(payload) if is_request else message.payload)
