"""The body of a step once more, by itself, with what a run recorded; nothing is written anywhere."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import attrs

from ..core.dag import Dag
from ..core.definition import ForSignal, ForTime, FromAll, FromChild, FromEach, FromStep, Several
from ..core.failures import item_name
from ..core.history import StepRecord
from ..core.lines import names_text
from ..core.outcome import Outcome, Returned
from ..core.plan import Plan
from ..core.state import StepStatus
from ..errors import IllegalTransitionError, UnknownStepError, UsageError
from ..ports import RunRecord, Store
from .arguments import dag_of_instance
from .attempt import Attempt, Ending, Host
from .execution import Execution, encode_inputs
from .remote import ending_of
from .stored import damaged_log, pages


@attrs.define(eq=False)
class Again:
    """
    A body that can be run once more.

    Attributes:
        attempt: What calls it.
        given: What a generator gave so far, encoded.
        beats: How far the body said that it is.
    """

    attempt: Attempt
    given: list[str] = attrs.field(factory=list)
    beats: list[object] = attrs.field(factory=list)

    def run(self) -> Ending:
        """Run it to its end, on this thread, which has no event loop."""
        self.attempt.host = attrs.evolve(self.attempt.host, give=self._give)
        return ending_of(self.attempt)

    def _give(self, attempt: Attempt, position: int, text: str) -> "Future[None]":
        self.given.append(text)
        taken: Future[None] = Future()
        taken.set_result(None)
        return taken


async def again(store: Store, run: RunRecord, inputs: str, dag: Dag, record: StepRecord) -> Again:
    """
    The body of a step, or of one of its items, with the arguments that it had in a run, or would have had.

    Args:
        inputs: Those of the run, encoded.
        dag: The workflow with its present code.
        record: What became of the step or item in the run.

    Raises:
        UnknownStepError: the code has no such step.
        UsageError: it has no body, runs once per item and none is named, or the run has not what it needs.
    """
    node = dag.nodes.get(record.name)
    if node is None:
        raise UnknownStepError(record.name, dag.name, "The run is of an older definition.")
    if isinstance(node.waits, ForSignal | ForTime):
        raise UsageError(f"{record.name!r} of {dag.name} is a {node.kind}: it has no body that could run")
    if record.item is None and node.several in (Several.EACH, Several.LOOP):
        raise UsageError(f"step {record.name!r} runs once per item; name one: {_example(record)}")
    execution = Execution(run, dag, Plan(dag), inputs)
    await _replay(store, execution)
    number = execution.plan.index[record.name]
    if record.item is not None:
        number = _number_of_item(record, execution, number)
    outputs = execution.outputs_for(number)
    attempt = Attempt(_host(execution), node, number, max(1, record.attempt), outputs, item=execution.item(number))
    _check(execution, attempt)
    found = Again(attempt)
    context = execution.context_for(number, attempt.number)
    context.listen(found.beats.append, None if record.progress is None else dag.codec.decode(record.progress))
    attempt.know(context)
    return found


async def _replay(store: Store, execution: Execution) -> None:
    """Let the machine know what happened."""
    run_id = execution.record.id
    async for page in pages(store, run_id):
        try:
            execution.machine.replay(page)
        except IllegalTransitionError as error:
            raise damaged_log(store, run_id, error) from error


def _number_of_item(record: StepRecord, execution: Execution, step: int) -> int:
    row, item = execution.machine.run.rows.get(step), record.item or 0
    if row is None or not len(row.dropped) <= item < len(row.dropped) + len(row.items):
        raise UsageError(f"with the present code the run has no {item_name(record.name, record.item)}")
    return row.find(item)


def _example(record: StepRecord) -> str:
    """An item that somebody may want, the first that failed if one did."""
    items = record.present
    if not items:
        return "but the run did not come to any"
    wanted = next((item for item in items if item.status is StepStatus.FAILED), items[0])
    last = f" of {item_name(record.name, 0)} to {item_name(record.name, items[-1].item)}" if len(items) > 1 else ""
    return f"{item_name(record.name, wanted.item)!r}{last}"


def _check(execution: Execution, attempt: Attempt) -> None:
    """See that all is there that the body takes."""
    for names in _taken(attempt):
        if not any(name in attempt.outputs or _has_item(attempt, name) for name in names):
            statuses, index = execution.machine.run.statuses, execution.plan.index
            states = names_text(f"{name} is {statuses[index[name]]}" for name in names)
            what = " or ".join(map(repr, names))
            raise UsageError(
                f"step {attempt.node.name!r} takes the output of {what}, "
                f"which run {execution.record.id!r} does not have: {states}"
            )


def _taken(attempt: Attempt) -> Iterator[tuple[str, ...]]:
    """Of which steps the body takes an output that has to be there: for each argument the choices."""
    for argument in attempt.node.arguments:
        match argument.binding:
            case FromStep(steps, maybe=False):
                yield steps
            case FromAll(step) | FromChild(step) | FromEach(step):
                yield (step,)
            case _:
                pass


def _has_item(attempt: Attempt, step: str) -> bool:
    """Whether the item of another step is there that this one is for."""
    if attempt.item is None or not any(each.binding == FromEach(step) for each in attempt.node.arguments):
        return False
    try:
        attempt.item.text(step)
    except LookupError:
        return False
    return True


def _host(execution: Execution) -> Host:
    return Host(
        codec=execution.codec, input_size=len(execution.inputs), instance=execution.instance,
        node=execution.dag.nodes.__getitem__, type_of=execution.type_of, child=execution.child, spawn=_spawned,
        context_for=execution.context_for,
        # No time is watched, and nobody is told.
        give=_never, later=_never, soon=_never, report=_never, pulse=_never,
    )  # fmt: skip


def _spawned(attempt: Attempt, value: object) -> Outcome:
    """Of a subflow: the inputs of the run that it would start."""
    return Returned(encode_inputs(dag_of_instance(value), value))


def _never(*_: object) -> Any:
    raise NotImplementedError
