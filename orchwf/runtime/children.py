"""What runs say to each other that started one another, and how a subflow comes to its run."""

import json
import random
from collections.abc import Callable, Sequence

import attrs

from ..core import events as ev
from ..core.children import child_id, encoded_child
from ..core.dag import dag_of
from ..core.definition import ForChild, Node
from ..core.events import ErrorInfo, Event, RunCancelled, RunCompleted, StepCancelled, StepEvent, StepFailed
from ..core.history import History
from ..core.outcome import Outcome, Raised, Returned, Spawned
from ..core.state import RunStatus, StepStatus
from ..errors import EncodingError, RunFailed, StoreError, UsageError
from ..ports import Message
from .execution import Execution, encode_inputs
from .failure import describe_error
from .stored import stored_json

CHILD = "child"
"""What the message is called by which a run says to the one that started it that it has ended."""


@attrs.frozen
class Said:
    """What that message says: which run has ended, and which step, or item of it, had started it."""

    run: str
    step: str
    item: int | None

    @property
    def text(self) -> str:
        """The payload."""
        return json.dumps({"run": self.run, "step": self.step, "item": self.item})

    def number_in(self, execution: Execution) -> int:
        """The number of that step or item in the run that started it; -1 if it has it no more."""
        run = execution.machine.run
        step = run.plan.index.get(self.step, -1)
        if self.item is not None and step in run.rows:
            row = run.rows[step]
            is_known = 0 <= self.item < len(row.dropped) + len(row.items)
            step = row.find(self.item) if is_known else -1
        return step if step in run.children and run.children[step].child == self.run else -1


def said_by(message: Message) -> Said:
    """
    What this message says.

    Raises:
        StoreError: it cannot be read.
    """
    what = f"the message {message.id!r} to run {message.run_id!r}"
    match stored_json(message.payload, what):
        case {"run": str(run), "step": str(step), "item": int() | None as item}:
            return Said(run, step, item)
        case _:
            raise StoreError(f"{what} cannot be read, as it says nothing of a run: the store is damaged")


def end_message_id(run_id: str, seq: int, at: float | None) -> str:
    """The id of the message that this run has ended, by the number and the instant (epoch seconds) of that event."""
    # The number alone does not tell: one that was deleted and begun anew ends by an event of the same number, and who
    # has heard of the first one would take that for heard.
    return f"{CHILD}-{run_id}-{seq}-{at}"


def spawned(execution: Execution, step: int, value: object, know: Callable[[type], None]) -> Outcome:
    """
    How an attempt of a subflow ends whose body gave this: with a run to start, or as a failure.

    Args:
        know: Is told of the workflow, so that it can be executed here.
    """
    run = execution.machine.run
    node, waits = run.nodes[step], run.nodes[step].waits
    try:
        if isinstance(value, type):
            raise UsageError(f"subflow {node.name!r} gave the class {value.__name__}: return an instance of it")
        dag = dag_of(type(value))
        depth = execution.depth + 1
        most = waits.max_depth if isinstance(waits, ForChild) else depth
        if depth > most:
            raise UsageError(
                f"subflow {node.name!r} would start a run {depth} deep, and max_depth is {most}: "
                "a workflow that starts itself has to end somewhere"
            )
        know(type(value))
        return Spawned(
            child=child_id(run.run_id, node.name, run.item_of(step)), workflow=dag.name, version=dag.version,
            inputs=encode_inputs(dag, value), depth=depth,
        )  # fmt: skip
    except (UsageError, EncodingError) as error:
        return Raised(error=describe_error(error), retryable=False)


def messages_of(execution: Execution, events: Sequence[Event]) -> list[Message]:
    """What these events say to the run that started this one, and to those that it started."""
    messages = []
    children = execution.machine.run.children
    for event in events:
        match event:
            case RunCompleted() | ev.RunFailed() | RunCancelled() if execution.parent is not None:
                parent, step, item = execution.parent
                said = Said(execution.record.id, step, item)
                message_id = end_message_id(said.run, event.seq, event.at)
                messages.append(Message(run_id=parent, id=message_id, signal=CHILD, payload=said.text))
            case StepCancelled() | StepFailed() if children:
                messages += _stop(execution, event)
            case _:
                pass
    return messages


def _stop(execution: Execution, event: StepEvent) -> list[Message]:
    """That the run which this step started is to end, as nobody waits for it any more."""
    run = execution.machine.run
    number = run.number_of(event)
    child = run.children.get(number)
    if child is None or number in execution.strangers or is_abandoning(execution, number):
        return []
    signal = "terminate" if run.is_terminated else "cancel"
    reason = event.reason if isinstance(event, StepCancelled) else f"step {event.step} failed"
    payload = json.dumps(f"run {run.run_id} waits for it no longer: {reason}")
    return [Message(run_id=child.child, id=f"parent-{event.seq}", signal=signal, payload=payload)]


def how_it_ended(execution: Execution, step: int, history: History) -> Returned | Raised | None:
    """How a step ends that waits for this run; None if that goes on."""
    node = execution.machine.run.nodes[step]
    match history.status:
        case RunStatus.COMPLETED:
            wanted = execution.wanted_of(execution.plan.index[node.name])
            return Returned(encoded_child(history.run_id, history.steps, wanted))
        case RunStatus.FAILED:
            return _failure(node, history)
        case RunStatus.CANCELLED:
            return Raised(error=_error_of(history), retryable=False)
        case _:
            return None


def _failure(node: Node, history: History) -> Raised:
    info = _error_of(history)
    error = RunFailed(history.run_id, history.workflow, history.failed_steps, info.message)
    try:
        # What is undone cannot be resumed.
        retryable = history.compensation != "done" and node.options.retry.allows(error)
    # Foreign code: retry_on and give_up_on may be predicates of the user's.
    except Exception as failure:
        failure.__cause__ = error
        return Raised(error=describe_error(failure), retryable=False)
    return Raised(error=info, retryable=retryable, spread=random.random())


def _error_of(history: History) -> ErrorInfo:
    """Why a run did not complete, as the error of the step that waited for it, with the trace of the first cause."""
    what = f"run {history.run_id!r} of {history.workflow} {history.status}"
    failed = [record for name, record in history.steps.items() if name in history.failed_steps]
    cause = next((record.error for record in failed if record.error is not None), None)
    name = "orchwf.errors.RunFailed" if history.status is RunStatus.FAILED else "orchwf.errors.RunCancelled"
    if cause is None:
        return ErrorInfo(name, f"{what}: {history.error or history.reason}".rstrip(": "))
    message = f"{what}: step {failed[0].name}: {cause.headline}"
    return ErrorInfo(name, message, cause.traceback, cause.location, cause.source)


def is_waiting(execution: Execution, step: int) -> bool:
    """Whether this step still waits for the run that it started."""
    return execution.machine.run.statuses[step] is StepStatus.WAITING


def is_abandoning(execution: Execution, step: int) -> bool:
    """Whether the run that this step starts goes on though the step has ended before it."""
    waits = execution.machine.run.nodes[step].waits
    return not isinstance(waits, ForChild) or waits.on_parent_close == "abandon"
