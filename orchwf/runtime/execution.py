"""One run while it is executed here: its machine, its attempts, and who waits for it."""

import asyncio
import contextvars
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ..context import StepContext
from ..core.codec import Codec
from ..core.dag import Dag
from ..core.definition import Node
from ..core.events import Event, RunCancelled, RunCompleted, RunFailed, RunPaused, RunResumed, RunStarted
from ..core.machine import Machine, Verdict
from ..core.outcome import Happening
from ..core.plan import Plan
from ..core.references import MISSING, Condition, Ref, alternatives
from ..core.state import RunStatus
from ..errors import EncodingError
from ..ports import RunRecord, Summary
from .attempt import Attempt, Host
from .failure import describe_error

_NO_OUTPUTS: Mapping[str, str] = {}
_SCALARS = (str, int, float, bool, type(None))


def encode_inputs(dag: Dag, workflow: object) -> str:
    """
    The inputs of this instance as a JSON object: input name -> encoded value.

    Raises:
        EncodingError: a value cannot be stored; the message names the input.
    """
    codec, texts = dag.codec, []
    for name, field in dag.inputs.items():
        try:
            text = codec.encode(getattr(workflow, name), field.type)
        except EncodingError as error:
            raise EncodingError(f"input {name!r} of {dag.name} cannot be stored: {error}") from error.__cause__
        texts.append(f"{json.dumps(name, ensure_ascii=False)}:{text}")
    return "{" + ",".join(texts) + "}"


@attrs.define(eq=False)
class Execution:
    """
    One run while it is executed here.

    Attributes:
        record: Its summary, as the store has it.
        dag: Its definition.
        plan: Its graph, for counting.
        inputs: The encoded inputs (JSON object).
        written: The number of the last event that is in the store.
        is_new: Whether the store does not have it yet.
        definition: Gives the JSON text of the definition, if the store may not have it yet.
        happened: What the machine is to be told in the next turn.
        attempts: Step number -> the attempt in flight.
        raised: Step, or compensation -> what its last attempt raised, for `__cause__`. They are numbers of the plan.
        variables: The context variables its bodies see: those of whoever started it.
        decided: Is set once the store has it, or never will.
        refusal: Why it never will.
        left: Is set once it is not executed here any more, whatever the reason.
        age: How many runs were executed here before it, and itself; 0 before it is.
        trouble: Why it was given up here, if not because it ended.
        host: What its attempts have in common; None before the first one.
        machine: What is true of it and what follows.
    """

    record: RunRecord
    dag: Dag
    plan: Plan
    inputs: str
    written: int = 0
    is_new: bool = False
    definition: Callable[[], str] | None = None
    happened: list[Happening] = attrs.field(factory=list)
    attempts: dict[int, Attempt] = attrs.field(factory=dict)
    raised: dict[int, BaseException] = attrs.field(factory=dict)
    variables: contextvars.Context = attrs.field(factory=contextvars.copy_context)
    decided: asyncio.Event = attrs.field(factory=asyncio.Event)
    refusal: BaseException | None = None
    left: asyncio.Event = attrs.field(factory=asyncio.Event)
    age: int = 0
    trouble: BaseException | None = None
    host: Host | None = None
    machine: Machine = attrs.field(init=False)
    codec: Codec = attrs.field(init=False)
    _changed: asyncio.Event | None = attrs.field(default=None, init=False)
    _shared: object = attrs.field(default=None, init=False)
    _raw_inputs: dict[str, Any] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.machine = Machine(self.record.id, self.plan, self.judge)
        self.codec = self.dag.codec

    def note_created(self) -> None:
        """The store has it, and whoever waits for that is told."""
        self.is_new = False
        self.decided.set()

    @property
    def changed(self) -> asyncio.Event:
        """What is set at the next commit, or when the run is executed here no longer."""
        if self._changed is None:
            self._changed = asyncio.Event()
        return self._changed

    def note_changed(self) -> None:
        """Something was written, or nothing will be any more: whoever waits for that is told."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    @property
    def is_over(self) -> bool:
        """Whether nobody has to execute it: it has ended, or waits for somebody to resume it."""
        status = self.machine.run.status
        return status.is_final or status is RunStatus.PAUSED

    def not_created(self, error: BaseException) -> None:
        """Tell whoever waits that the store has it that it never will; nothing happens if it does."""
        if not self.decided.is_set():
            self.refusal = error
            self.decided.set()

    def leave(self, trouble: BaseException | None) -> None:
        """It is executed here no longer: it has ended or pauses, or there was trouble."""
        self.trouble = trouble
        self.not_created(trouble or asyncio.CancelledError())
        self.left.set()
        self.note_changed()
        # These lead back here: nothing of a run is to wait for the garbage collector.
        self.host = None
        self.machine.judge = _no_more

    async def until_written(self) -> None:
        """Return when the store has it; raises what kept it from that."""
        await self.decided.wait()
        if self.refusal is not None:
            raise self.refusal

    def instance(self) -> object:
        """
        The workflow with its inputs, decoded from what is stored.

        It is made anew for each use, so that no step sees what another did to it, unless all inputs are immutable.
        """
        if self._shared is not None:
            return self._shared
        values = decode_inputs(self.dag, self.codec, self.inputs)
        made = (self.dag.workflow or dict)(**values)
        if all(type(value) in _SCALARS for value in values.values()):
            self._shared = made
        return made

    def type_of(self, step: str) -> object:
        """The type of the output of a step."""
        return self.dag.nodes[step].returns

    def outputs_for(self, step: int) -> Mapping[str, str]:
        """Step name -> its encoded output, of those that this step takes as arguments and that completed."""
        reads = self.plan.reads[step]
        if not reads:
            return _NO_OUTPUTS
        run, undone = self.machine.run, self.plan.undone_by.get(step)
        found = {}
        for name, source in reads:
            # A compensation undoes also what its step did before it was to run again.
            text = run.outputs.get(source) if source == undone else run.output_of(source)
            if text is not None:
                found[name] = text
        return found

    def context_for(self, step: int, number: int) -> StepContext:
        """What the body of this attempt of a step, or compensation, may know of itself."""
        run = self.machine.run
        node = run.plan.nodes[step]
        left = max(0, node.options.retry.max_retries - run.failures[step])
        return StepContext(
            run_id=self.record.id, workflow=self.record.workflow, step=node.name, attempt=number,
            max_attempts=number + left, metadata=self.record.metadata, compensates=step in run.plan.undone_by,
        )  # fmt: skip

    def judge(self, node: Node) -> Verdict:
        """Answer the condition of a step: None to run it, a reason to skip it, or the error that it raised."""
        when = node.options.when
        try:
            if isinstance(when, Condition):
                answer = when.answer(self._lookup)
                if answer is None:
                    return f"runs only when {when}, which cannot be known"
                return None if answer else f"runs only when {when}"
            return None if when is None or when(self.instance()) else "runs only for other inputs"
        # Foreign code: a predicate of the user's.
        except Exception as error:
            self.raised[self.plan.index[node.name]] = error
            return describe_error(error)

    def _lookup(self, ref: Ref[Any]) -> object:
        for alternative in alternatives(ref):
            text = self.machine.run.output_of(self.machine.run.plan.index[alternative.name])
            if text is not None:
                return self.codec.decode(text, self.type_of(alternative.name))
        return MISSING

    def summarised(self, summary: Summary) -> RunRecord:
        """Its record with this summary; without an owner if nobody has to execute it any more."""
        return attrs.evolve(
            self.record, status=summary.status, fingerprint=summary.fingerprint, ended_at=summary.ended_at,
            error=summary.error, owner=None if self.is_over else self.record.owner,
        )  # fmt: skip

    def summary_of(self, events: list[Event]) -> Summary | None:
        """What these events change in the summary; None if nothing."""
        for event in reversed(events):
            status, fingerprint = self.machine.run.status, self.record.fingerprint
            match event:
                case RunCompleted():
                    return Summary(status=status, fingerprint=fingerprint, ended_at=event.at)
                case RunFailed(error=error):
                    return Summary(status=status, fingerprint=fingerprint, ended_at=event.at, error=error)
                case RunCancelled(reason=reason):
                    return Summary(status=status, fingerprint=fingerprint, ended_at=event.at, error=reason)
                case RunPaused(reason=reason):
                    return Summary(status=status, fingerprint=fingerprint, error=reason)
                case RunStarted(fingerprint=fingerprint) | RunResumed(fingerprint=fingerprint):
                    return Summary(status=RunStatus.RUNNING, fingerprint=fingerprint)
                case _:
                    pass
        return None


def _no_more(node: Node) -> Verdict:
    """The answer of a run that is executed here no longer."""
    return None


def decode_inputs(dag: Dag, codec: Codec, text: str) -> dict[str, object]:
    """
    Input name -> its value, of the inputs that the workflow has now; one that it had not then takes its default.

    Raises:
        EncodingError: a stored value does not fit its type now.
    """
    raw = json.loads(text)
    values = {}
    for name, field in dag.inputs.items():
        if name in raw:
            values[name] = codec.decode(json.dumps(raw[name], ensure_ascii=False), field.type)
    return values
