"""One run while it is executed here: its machine, its attempts, and who waits for it."""

import asyncio
import contextvars
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from ..context import StepContext
from ..core.checks import given_item
from ..core.codec import Codec
from ..core.dag import Dag, dag_of
from ..core.definition import (
    ForChild,
    ForTime,
    FromAll,
    FromChild,
    FromEach,
    FromOutputs,
    FromStep,
    Node,
    Several,
)
from ..core.events import ErrorInfo, Event, RunCancelled, RunCompleted, RunFailed, RunPaused, RunResumed, RunStarted
from ..core.machine import Machine, Verdict
from ..core.options import checked_time
from ..core.outcome import Happening, Split
from ..core.plan import Plan
from ..core.references import MISSING, Condition, Ref, alternatives
from ..core.splitting import split
from ..core.state import RunStatus
from ..core.values.pieces import is_large
from ..errors import EncodingError, UsageError
from ..ports import RunRecord, Summary, Trace
from .attempt import Attempt, Host, Item
from .failure import describe_error
from .lanes import Lane, Ready

NAP = 10.0
"""Seconds that a run has to wait for it to be worth to let go of it, and to read its log again after that."""

_FEW = 50
"""How many items may wait for one that is at work, twice over, if nothing else is said."""

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


async def inputs_of(dag: Dag, workflow: object) -> str:
    """What `encode_inputs` gives; of a large value in a thread, while the loop goes on."""
    if is_large(workflow):
        return await asyncio.to_thread(encode_inputs, dag, workflow)
    return encode_inputs(dag, workflow)


@attrs.define(eq=False)
class Execution:
    """
    One run while it is executed here.

    Attributes:
        record: Its summary, as the store has it.
        dag: Its definition.
        plan: Its graph, for counting.
        inputs: The encoded inputs (JSON object).
        use_cache: Whether it takes outputs of earlier runs.
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
        parent: The run whose step started it, the name of that step and which item of it; None if none did.
        depth: How many runs deep it is nested, itself counted.
        waiters: How many wait here for its end: it does not sleep meanwhile.
        seen: Step -> the number of the event by which it started a run, of those whose run is known to be there.
        strangers: The steps that would have started a run of an id that is another one's.
        hearing: The ids of the messages by which runs that it started say that they have ended, once they are read.
        parts: Step -> the encoded items of its output, of those that others run once per item of.
        gifts: Step -> what it gave last and waits for to be taken, of generators.
        resting: The generators among these that wait for others to catch up, and need no place meanwhile.
        age: How many runs were executed here before it, and itself; 0 before it is.
        trouble: Why it was given up here, if not because it ended.
        host: What its attempts have in common; None before the first one.
        trace: What traces it; None if nothing does.
        lane: Where its steps wait for a place, once it is executed.
        machine: What is true of it and what follows.
    """

    record: RunRecord
    dag: Dag
    plan: Plan
    inputs: str
    use_cache: bool = True
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
    parent: tuple[str, str, int | None] | None = None
    depth: int = 1
    waiters: int = 0
    seen: dict[int, int] = attrs.field(factory=dict)
    strangers: set[int] = attrs.field(factory=set)
    hearing: set[str] = attrs.field(factory=set)
    parts: dict[int, list[str]] = attrs.field(factory=dict)
    gifts: "dict[int, tuple[int, Future[None]]]" = attrs.field(factory=dict)
    resting: set[int] = attrs.field(factory=set)
    age: int = 0
    trouble: BaseException | None = None
    host: Host | None = None
    trace: Trace | None = None
    lane: Lane[Ready] = attrs.field(init=False)
    machine: Machine = attrs.field(init=False)
    codec: Codec = attrs.field(init=False)
    _changed: asyncio.Event | None = attrs.field(default=None, init=False)
    _shared: object = attrs.field(default=None, init=False)
    _raw_inputs: dict[str, Any] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.machine = Machine(self.record.id, self.plan, self.judge, due=self.due, settles=self.settles)
        self.codec = self.dag.codec

    def note_written(self, events: Sequence[Event], summary: Summary | None) -> None:
        """The store has it with these events, and this summary unless that is as before; who waits for it is told."""
        self.is_new = False
        self.definition = None
        if summary is not None:
            self.record = self.summarised(summary)
        if events:
            self.written = events[-1].seq
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
        self.machine.judge = self.machine.due = self.machine.settles = _no_more

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
        run = self.machine.run
        if step >= run.size and (item := run.undone_by.get(step)) is not None:
            return {run.nodes[step].name: run.outputs[item]} if item in run.outputs else _NO_OUTPUTS
        reads = self.plan.reads[step if step < run.size else run.row_of(step).step]
        if not reads:
            return _NO_OUTPUTS
        undone = self.plan.undone_by.get(step)
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
        node, item = run.nodes[step], run.item_of(step)
        left = max(0, node.options.retry.max_retries - run.failures[step])
        return StepContext(
            run_id=self.record.id, workflow=self.record.workflow, step=node.name, attempt=number,
            max_attempts=number + left, metadata=self.record.metadata, compensates=step in run.undone_by,
            item=None if item is None else str(item),
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

    def due(self, node: Node, now: float) -> float | ErrorInfo:
        """When (epoch seconds) a node is due that waits for a time, if it could begin now; or what that raised."""
        until = node.waits.until if isinstance(node.waits, ForTime) else 0.0
        try:
            moment = checked_time(until(self.instance()), "sleep") if callable(until) else until
        # Foreign code: a function of the user's.
        except Exception as error:
            self.raised[self.plan.index[node.name]] = error
            return describe_error(error)
        return moment.timestamp() if isinstance(moment, datetime) else now + moment

    def settles(self, node: Node, output: str) -> bool | ErrorInfo:
        """Whether a loop ends with this output; or what the predicate raised."""
        until = node.options.until
        try:
            return until is None or bool(until(self.codec.decode(output, node.returns)))
        # Foreign code, as above.
        except Exception as error:
            self.raised[self.plan.index[node.name]] = error
            return describe_error(error)

    # Items.

    def split(self, step: int) -> Split:
        """How many items there are for this step, which runs once for each; told by keys if that is asked for."""
        node, (_, source) = self.plan.nodes[step], self.plan.eaches[step][0]
        texts = self.parts_of(source)
        if node.options.item_key is None:
            return Split(len(texts))
        type_ = given_item(self.plan.nodes[source])
        keys = [str(node.options.item_key(self.codec.decode(text, type_))) for text in texts]
        if len(set(keys)) < len(keys):
            twice = next(key for key, count in Counter(keys).items() if count > 1)
            raise UsageError(f"step {node.name!r}: item_key gives {twice!r} for two items; it has to tell all of them")
        return Split(len(texts), tuple(keys))

    def parts_of(self, source: int) -> list[str]:
        """The encoded items of the output of this step."""
        parts = self.parts.get(source)
        if parts is None:
            text, type_ = self.machine.run.output_of(source), self.plan.nodes[source].returns
            parts = self.parts[source] = split("[]" if text is None else text, self.codec, type_)
        return parts

    def item(self, step: int) -> Item | None:
        """Which item of its step this is; None if it is none, or undoes one."""
        run = self.machine.run
        if step < run.size or step in run.undone_by:
            return None
        row = run.row_of(step)
        position = run.positions[step - run.size] - len(row.dropped)
        if self.plan.several[row.step] is Several.LOOP:
            carried = run.outputs.get(row.items[position - 1]) if position else None
            return Item(str, carried)
        sources = dict(self.plan.eaches[row.step])
        is_near = all(source in self.parts or source in run.rows for source in sources.values())
        outputs = {name: text for name, source in sources.items() if (text := self._row_text(source, position))}
        return Item(partial(self._item_text, sources, position), None, is_near, outputs)

    def _row_text(self, source: int, position: int) -> str | None:
        """The encoded output of this item of a step whose items have outputs of their own; None if there is none."""
        run = self.machine.run
        if self.plan.several.get(source) not in (Several.EACH, Several.STREAM) or source not in run.rows:
            return None
        items = run.rows[source].items
        return run.outputs.get(items[position]) if position < len(items) else None

    def _item_text(self, sources: Mapping[str, int], position: int, name: str) -> str:
        run, source = self.machine.run, sources[name]
        if self.plan.several.get(source) in (Several.EACH, Several.STREAM):
            return run.outputs[run.rows[source].items[position]]
        return self.parts_of(source)[position]

    def child(self, step: str) -> Dag | None:
        """The workflow whose runs this subflow starts; None if it is not known."""
        waits = self.dag.nodes[step].waits
        return dag_of(waits.workflow) if isinstance(waits, ForChild) and waits.workflow is not None else None

    def wanted_of(self, step: int) -> frozenset[str] | None:
        """Which outputs of the run that this subflow started are read; None for all."""
        name, wanted = self.plan.nodes[step].name, set[str]()
        for child in self.plan.children[step]:
            for argument in self.plan.nodes[child].arguments:
                match argument.binding:
                    case FromChild(source, output) if source == name:
                        wanted.add(output)
                    case FromStep(steps) | FromOutputs(steps) if name in steps:
                        return None
                    case FromAll(source) | FromEach(source) if source == name:
                        return None
                    case _:
                        pass
        return frozenset(wanted) if wanted else None

    # Generators.

    def backlog(self, step: int) -> bool:
        """Whether those that follow this generator have enough to do, so that it waits."""
        run = self.machine.run
        # Nothing of them begins while the run is about to pause, for which this one has to end.
        if run.pausing() is not None:
            return False
        followers = [run.rows[chain] for chain in self.plan.chains.get(step, ()) if self._may_hold(step, chain)]
        behind = run.count_of(step) - min((row.ended for row in followers), default=run.count_of(step))
        most = max((run.nodes[row.step].options.max_parallel or _FEW for row in followers), default=_FEW)
        return behind > 2 * most

    def _may_hold(self, step: int, chain: int) -> bool:
        """Whether this generator waits for the one that follows it: not if that has ended, or may wait for it."""
        run, own, other = self.machine.run, self.plan.nodes[step].options, self.plan.nodes[chain].options
        if chain not in run.rows or run.statuses[chain].is_final:
            return False
        # What it holds the other one may need.
        return (own.mutex is None or other.mutex is None) and (own.queue is None or own.queue != other.queue)

    def stored_gifts(self) -> list[int]:
        """The generators of which what they gave last is stored, so that they could go on."""
        return [step for step, (position, _) in self.gifts.items() if self.machine.run.count_of(step) > position]

    def take_gift(self, step: int) -> None:
        """Let this generator go on."""
        _, taken = self.gifts.pop(step)
        if not taken.done():
            taken.set_result(None)

    def _lookup(self, ref: Ref[Any]) -> object:
        for alternative in alternatives(ref):
            text = self.machine.run.output_of(self.machine.run.plan.index[alternative.name])
            if text is not None:
                return self.codec.decode(text, self.type_of(alternative.name))
        return MISSING

    def wake_at(self, now: float) -> float | None:
        """When it is to go on (epoch seconds), if it may sleep until then; infinity until a message comes."""
        run = self.machine.run
        if self.attempts or self.happened or self.waiters or not run.only_waits() or self._has_kin_to_see_to():
            return None
        due_at = run.next_due()
        if due_at is None:
            return math.inf
        return due_at if due_at - now >= NAP else None

    def _has_kin_to_see_to(self) -> bool:
        """Whether a run for which it waits may not be there, or what one has said was not told to the machine."""
        run = self.machine.run
        if self.hearing:
            self.hearing = {each for each in self.hearing if each not in run.received}
        if self.hearing or not run.children:
            return bool(self.hearing)
        return any(self.seen.get(step) != run.children[step].seq for step in run.waiting if step in run.children)

    def summarised(self, summary: Summary) -> RunRecord:
        """Its record with this summary; without an owner if nobody has to execute it any more."""
        return attrs.evolve(
            self.record, status=summary.status, fingerprint=summary.fingerprint, ended_at=summary.ended_at,
            error=summary.error, wake_at=summary.wake_at, slept_at=summary.slept_at,
            owner=None if self.is_over or summary.wake_at is not None else self.record.owner,
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


def _no_more(*asked: object) -> Any:
    """The answer of a run that is executed here no longer."""
    return None


def decode_inputs(dag: Dag, codec: Codec, text: str, names: Iterable[str] | None = None) -> dict[str, object]:
    """
    Input name -> its value, of the inputs that the workflow has now; one that it had not then takes its default.

    Args:
        names: Of which inputs; None for all.

    Raises:
        EncodingError: a stored value does not fit its type now.
    """
    raw = json.loads(text)
    values = {}
    for name in dag.inputs if names is None else names:
        if name in raw:
            values[name] = codec.decode(json.dumps(raw[name], ensure_ascii=False), dag.inputs[name].type)
    return values
