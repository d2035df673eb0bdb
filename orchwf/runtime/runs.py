"""Runs of one orchestrator: started, forked, taken up, resumed."""

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import attrs

from ..core.adoption import kept_by_fork, known_items
from ..core.dag import Dag, dag_of
from ..core.events import RunStarted
from ..core.lineage import first_span
from ..core.options import OnChange
from ..core.outcome import Begun, TakenUp
from ..core.selection import skipped_by
from ..core.state import RunStatus
from ..errors import (
    ConflictError,
    NotResumableError,
    RunExistsError,
    RunNotFoundError,
    RunOwnedError,
    StoreError,
    UnknownWorkflowError,
    UsageError,
    WorkflowChangedError,
)
from ..ports import Clock, Message, RunRecord, Store
from ..surroundings import Carried, carried
from .answers import Answers
from .arguments import checked_metadata, checked_run_id, checked_tags, dag_of_instance
from .children import CHILD
from .engine import Engine, closed
from .execution import Execution, inputs_of
from .ledger import Ledger
from .owner import Owner, is_abandoned, parse_owner
from .registry import Registry
from .stored import stored_dag, stored_history
from .takeover import ENDING, asked_by, begun_among, changes_since, check_goes_on, refusal, replayed

_LOGGER = logging.getLogger("orchwf")
_SOON = 0.5


class Runs:
    """
    Brings runs into the engine: new ones, and those that nobody executes.

    Attributes:
        ledger: The runs of the store, whoever executes them.
        store: Where they are kept.
        engine: What executes them.
        clock: Where time comes from.
        owner: Who this orchestrator is to others.
        registry: The workflows that it knows.
        poked: Is set when somebody should look for messages at once.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        clock: Clock,
        owner: Owner,
        registry: Registry,
        *,
        most_takeovers: int,
        most: float = math.inf,
    ) -> None:
        self.ledger = ledger = Ledger(store, clock, registry, engine)
        self.store = store
        self.engine = engine
        self.owner = owner
        self.clock = clock
        self.registry = registry
        self.poked = ledger.poked
        self.record, self.ask = ledger.record, ledger.ask
        ledger.heed = self._heed
        self._most_takeovers = most_takeovers
        self._most = most
        # A lock is there as long as anybody holds it, or waits for it.
        self._taking_up: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._told: set[str] = set()
        # What is done about runs that others started.
        self.look_after: Callable[[Execution, list[Message]], object] = _nothing_to_do
        self.hear: Callable[[Execution, Message], object] = _nothing_to_do
        # What is done if a run waits for somebody who has room for it.
        self.note_free: Callable[[], object] = _nothing_to_do
        # What is done if a run may be ours that is not executed here.
        self.note_stray: Callable[[], object] = _nothing_to_do
        self.hearing = ledger.hearing
        engine.know = registry.replace
        engine.note_messages = self.poked.set

    def poke_soon(self) -> None:
        """Look for messages again, and for what was not done, after a moment: the store is in trouble now."""
        self.clock.call_at(self.clock.now() + _SOON, self.poked.set)

    @property
    def room(self) -> float:
        """How many runs may be executed here besides those that are."""
        return self._most - len(self.engine.executions)

    # Looking.

    def is_orphan(self, record: RunRecord) -> bool:
        """Whether nobody executes this run, which goes on by itself."""
        if record.status is not RunStatus.RUNNING or record.id in self.engine.executions or record.wake_at is not None:
            return False
        # Ours, and not executed here: it was let go in trouble.
        return record.owner == str(self.owner) or is_abandoned(record)

    # Starting.

    async def start(
        self,
        workflow: object,
        run_id: str | None,
        metadata: Mapping[str, object] | None,
        tags: Mapping[str, str] | None,
        *,
        not_before: float | None = None,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
        within: Carried | None = None,
    ) -> "Execution | str":
        """
        A new run, which is in the store when this returns; only its id if it begins later, at `not_before`.

        Args:
            within: The span within which it begins; None for none.

        Raises:
            RunExistsError: there is a run of this id.
            UsageError: something given makes no sense.
        """
        dag = dag_of_instance(workflow)
        self.registry.replace(type(workflow))
        await self.registry.prepare(dag)
        run_id, metadata = checked_run_id(run_id), checked_metadata(metadata)
        labels = dict.fromkeys(dag.options.tags, "") | checked_tags(tags)
        inputs = await inputs_of(dag, workflow)
        self._check_engine()
        if (other := self.engine.executions.get(run_id)) is not None:
            # Whoever attaches to it looks for it in the store.
            await other.until_written()
            raise RunExistsError(run_id)
        skipped = [] if only is None else skipped_by(dag, only, begins_later=not_before is not None)
        is_for_later = not_before is not None and not_before > self.engine.clock.now()
        begun = Begun(
            dag.name, dag.version, dag.fingerprint, inputs, not_before=not_before if is_for_later else None,
            use_cache=use_cache, reused=skipped, **(within or {}),
        )  # fmt: skip
        if is_for_later:
            await self.leave(dag, run_id, begun, metadata, labels)
            return run_id
        return await self.create(dag, run_id, begun, metadata, labels)

    async def create(
        self, dag: Dag, run_id: str, begun: Begun, metadata: Mapping[str, object], tags: Mapping[str, str]
    ) -> Execution:
        """
        A run that begins so, and none of this id is executed here; it is in the store when this returns.

        Raises:
            RunExistsError: there is a run of this id.
        """
        # The orchestrator may have begun to close while we looked.
        self._check_engine()
        record = self.ledger.new_record(dag, run_id, metadata, tags, str(self.owner))
        execution = Execution(record, dag, self.registry.plan(dag), begun.inputs, begun.use_cache)
        if self.engine.tracer is not None:
            execution.trace = self.engine.tracer.follow(record, dag)
        execution.depth = begun.depth
        if begun.parent:
            execution.parent = (begun.parent, begun.parent_step, begun.parent_item)
        execution.is_new = True
        execution.definition = dag.to_json
        self.engine.admit(execution, begun)
        await execution.until_written()
        return execution

    async def leave(
        self, dag: Dag, run_id: str, begun: Begun, metadata: Mapping[str, object], tags: Mapping[str, str]
    ) -> None:
        """
        A run that others execute, or that begins later: nobody executes it when this returns.

        Raises:
            RunExistsError: there is a run of this id.
        """
        self._check_engine()
        record, events = await self.ledger.put(dag, run_id, begun, metadata, tags)
        self.engine.announce(record, events)
        if begun.not_before is None:
            self.note_free()
        else:
            self.engine.note_sleep()

    async def fork(
        self,
        run_id: str,
        from_step: str,
        inputs: Mapping[str, object],
        new_id: str | None,
        metadata: Mapping[str, object] | None,
        tags: Mapping[str, str] | None,
        *,
        workflow: type | None = None,
    ) -> Execution:
        """
        A new run of the same workflow that reuses what came before a step of another run.

        Args:
            workflow: The class of its workflow, if it is not known yet.

        Raises:
            RunNotFoundError, UnknownStepError, UnknownWorkflowError, RunExistsError, EncodingError: as they say.
            UsageError: the workflow has no such input.
        """
        self._check_engine()
        if workflow is not None:
            self.registry.add(workflow)
        record = await self.record(run_id)
        dag = self._known(record)
        await self.registry.prepare(dag)
        history = await stored_history(self.store, run_id)
        before = await stored_dag(self.store, record.fingerprint)
        begun = Begun(
            dag.name, dag.version, dag.fingerprint, _overlaid(dag, history.inputs, inputs), origin=run_id,
            reused=kept_by_fork(dag, before, history, from_step, with_inputs=bool(inputs)),
            known=known_items(dag, history), linked=await self._span_of(run_id), **carried(),
        )  # fmt: skip
        return await self.create(
            dag, checked_run_id(new_id), begun, record.metadata if metadata is None else checked_metadata(metadata),
            record.tags if tags is None else checked_tags(tags),
        )  # fmt: skip

    async def _span_of(self, run_id: str) -> str:
        """The `traceparent` of a run, if runs are traced here; else nothing."""
        first = [] if self.engine.tracer is None else await self.store.read(run_id, limit=1)
        return "".join(str(first_span(run_id, event)) for event in first if isinstance(event, RunStarted))

    def _check_engine(self) -> None:
        if self.engine.failure is not None:
            raise StoreError(f"the orchestrator has stopped: {self.engine.failure}") from self.engine.failure
        if self.engine.is_draining:
            raise closed()

    # Taking up.

    async def take_up_if_possible(self, record: RunRecord, dag: Dag | None = None) -> None:
        """Execute a run that nobody does; if somebody else is faster, or its graph has changed, it stays as it is."""
        try:
            await self.take_up(record, dag=dag)
        except (WorkflowChangedError, StoreError, UsageError) as error:
            self._tell_of(record, error)

    def _tell_of(self, record: RunRecord, error: Exception) -> None:
        """Tell once that a run could not be taken up: that must not keep all others from it."""
        is_overtaken = isinstance(error, RunOwnedError | RunNotFoundError | NotResumableError | ConflictError)
        if not is_overtaken and not self.engine.is_draining and record.id not in self._told:
            self._told.add(record.id)
            _LOGGER.warning("%s", error)

    async def attach(self, workflow: object, run_id: str) -> None:
        """
        See to it that a run which there is already goes on: it is taken up if nobody executes it any more.

        Args:
            workflow: An instance of its workflow.

        Raises:
            UsageError: it is a run of another workflow.
            WorkflowChangedError, StoreError: as they say.
        """
        record = await self.ledger.record_of(run_id, dag_of(type(workflow)).name)
        if self.is_orphan(record):
            # Somebody else may be faster.
            with contextlib.suppress(RunOwnedError, NotResumableError):
                await self.take_up(record)

    async def take_up(
        self,
        record: RunRecord,
        *,
        dag: Dag | None = None,
        answers: Answers | None = None,
        on_change: OnChange | None = None,
    ) -> Execution:
        """
        Execute a run from where its log ends; written when this returns.

        Args:
            dag: Its definition, if it is not to be looked up.
            answers: What somebody said who resumes it by hand; None if nobody does.
            on_change: What is to be done if its graph is another one now; None for what its workflow says.

        Raises:
            UnknownWorkflowError, WorkflowChangedError, RunOwnedError, StoreError: as they say.
            NotResumableError, UsageError: by hand, and that cannot be.
        """
        async with self._lock_of(record.id):
            # Whoever asked at the same time may have been served meanwhile.
            execution = self.engine.executions.get(record.id)
            if execution is not None:
                return execution
            record = await self._free(record.id)
            if answers is None and record.status.is_final:
                raise NotResumableError(record.id, record.status)
            return await self._take_up(record, dag or self._known(record), answers, on_change)

    def _lock_of(self, run_id: str) -> asyncio.Lock:
        """Whoever brings this run into the engine holds it."""
        return self._taking_up.setdefault(run_id, asyncio.Lock())

    def _known(self, record: RunRecord) -> Dag:
        dag = self.registry.find(record)
        if dag is None:
            raise UnknownWorkflowError(record.workflow, self.registry.names)
        return dag

    async def _free(self, run_id: str) -> RunRecord:
        """The summary as it is now of a run that nobody executes: the one that was read before may be an old one."""
        record = await self.record(run_id)
        if record.owner != str(self.owner) and not is_abandoned(record):
            raise await self._owned(run_id)
        return record

    async def _take_up(
        self, record: RunRecord, dag: Dag, answers: Answers | None, on_change: OnChange | None
    ) -> Execution:
        self._check_engine()
        await self.registry.prepare(dag)
        changed = await self._changed(record, dag, on_change)
        try:
            is_claimed = await self.store.claim(record.id, str(self.owner), previous=record.owner)
        except BaseException:
            self.note_stray()
            raise
        if not is_claimed:
            raise await self._owned(record.id)
        async with self._giving_back(record):
            prepared = await self._prepared(record, dag, changed, answers)
        return await self._execute(*prepared)

    async def _changed(self, record: RunRecord, dag: Dag, on_change: OnChange | None) -> set[str]:
        """What `changes_since` says; where nothing has happened yet nothing can have changed meanwhile."""
        is_fresh = record.is_queued or record.status is RunStatus.SCHEDULED
        # Steps may have been left out when it was started: that is written, and of the graph that it was started with.
        if is_fresh and (
            record.fingerprint == dag.fingerprint or not await self.store.read(record.id, after=1, limit=1)
        ):
            return set()
        return await changes_since(self.store, record, dag, on_change)

    async def go_on_if_possible(self, record: RunRecord) -> Exception | None:
        """
        Execute a run that was taken for this orchestrator; if that cannot be, it is given back.

        Args:
            record: Its summary as it was before it was taken.

        Returns:
            Why it is not executed now; None if it is.
        """
        try:
            async with self._lock_of(record.id):
                if record.id in self.engine.executions:
                    # Somebody here was faster. Or the store has heard that we let go of it, and we not yet that it did.
                    self.note_stray()
                else:
                    await self._go_on(record)
        except (WorkflowChangedError, StoreError, UsageError) as error:
            self._tell_of(record, error)
            return error
        return None

    async def _go_on(self, record: RunRecord) -> None:
        async with self._giving_back(record):
            self._check_engine()
            dag = self._known(record)
            await self.registry.prepare(dag)
            changed = await self._changed(record, dag, None)
            prepared = await self._prepared(record, dag, changed, None)
        await self._execute(*prepared)

    async def _prepared(
        self, record: RunRecord, dag: Dag, changed: set[str], answers: Answers | None
    ) -> tuple[Execution, TakenUp, list[Message]]:
        """
        A run that is ours, as its log leaves it; how it goes on, and what it was told of runs that it started.

        Args:
            record: Its summary as it was before it was ours.
            changed: The steps whose inputs have changed since it was started.
        """
        owned = attrs.evolve(record, owner=str(self.owner))
        tracer = self.engine.tracer
        trace = None if tracer is None else tracer.follow(owned, dag)
        execution = await replayed(self.store, owned, dag, self.registry.plan(dag), trace)
        inbox = await self.store.inbox(str(self.owner))
        messages = [each for each in inbox if each.run_id == record.id]
        told = [each for each in messages if each.signal == CHILD]
        execution.hearing.update(each.id for each in told)
        taken = TakenUp(
            fingerprint=dag.fingerprint, was_released=record.owner is None,
            asked=tuple(asked_by(each) for each in messages if each.signal != CHILD),
            most_takeovers=self._most_takeovers, reset=begun_among(changed, execution),
            is_due=record.wake_at is not None or record.is_queued,
            refused=await refusal(execution) if record.slept_at is not None else "",
        )  # fmt: skip
        if answers is None:
            check_goes_on(execution, taken)
        else:
            taken = answers.applied(taken, execution)
        # The orchestrator may have begun to close meanwhile, and then nobody would execute it.
        self._check_engine()
        if record.id in self.engine.executions:
            # Somebody here is starting one of this id, and is about to hear that it is there already.
            raise ConflictError(record.id, execution.written)
        return execution, taken, told

    async def _execute(self, execution: Execution, taken: TakenUp, told: list[Message]) -> Execution:
        """Execute it; written when this returns. Nobody else has had a turn since it was found that this can be."""
        self.engine.admit(execution, taken)
        # What was said since the inbox was read was told to nobody.
        self.poked.set()
        await execution.until_written()
        self.look_after(execution, told)
        return execution

    @asynccontextmanager
    async def _giving_back(self, record: RunRecord) -> AsyncIterator[None]:
        """Give this run, which is ours, back to whom it had before, if the block fails before it is executed."""
        try:
            yield
        except BaseException:
            await self._give_back(record)
            raise

    async def let_go_of(self, record: RunRecord) -> None:
        """Let go of a run that is ours, unless it is executed here by now."""
        async with self._lock_of(record.id):
            if record.id not in self.engine.executions:
                await self._give_back(attrs.evolve(record, owner=None))

    async def _give_back(self, record: RunRecord) -> None:
        """Give a run, which is ours and is not executed here, back to whom it had before."""
        try:
            await self.store.claim(record.id, record.owner, previous=str(self.owner))
        except BaseException:
            self.note_stray()
            raise

    async def _owned(self, run_id: str) -> Exception:
        record = await self.store.get(run_id)
        if record is None:
            return RunNotFoundError(run_id, self.store.url)
        return RunOwnedError(run_id, parse_owner(record.owner).label if record.owner else "another process")

    async def resume(
        self, run_id: str, workflow: type | None, answers: Answers, *, on_change: OnChange | None = None
    ) -> Execution:
        """
        Execute a failed, paused or orphaned run again, only what did not complete.

        Args:
            workflow: The class of its workflow, if it is not known yet.
            on_change: What is to be done if its graph is another one now; None for what its workflow says.

        Raises:
            RunNotFoundError, NotResumableError, RunOwnedError, and what `take_up` raises.
        """
        self._check_engine()
        if workflow is not None:
            self.registry.add(workflow)
        if run_id in self.engine.executions:
            if answers.is_given or on_change is not None:
                raise UsageError(f"run {run_id!r} is being executed here: wait until it has ended, failed or paused")
            return self.engine.executions[run_id]
        record = await self.record(run_id)
        if record.status is RunStatus.COMPLETED:
            raise NotResumableError(run_id, record.status)
        return await self.take_up(record, answers=answers, on_change=on_change)

    # Messages.

    async def _heed(self, record: RunRecord, signal: str) -> None:
        """A run that nobody executes is taken up to be ended, if somebody asks for that."""
        is_at_rest = record.status in (RunStatus.PAUSED, RunStatus.SCHEDULED) or record.wake_at is not None
        if signal in ENDING and (is_at_rest or self.is_orphan(record)):
            dag = self.registry.find(record)
            if dag is None and signal == "terminate":
                # Nothing more of it runs, so its code is not needed.
                dag = await stored_dag(self.store, record.fingerprint)
            if dag is not None:
                await self.take_up_if_possible(record, dag)

    async def deliver(self) -> None:
        """Fetch the messages to the runs executed here."""
        for message in await self.store.inbox(str(self.owner)):
            execution = self.engine.executions.get(message.run_id)
            if execution is None:
                continue
            if message.signal == CHILD:
                self.hear(execution, message)
                continue
            # One that cannot be read must not keep the others from their runs; whoever takes its run up is told.
            with contextlib.suppress(StoreError):
                self.engine.tell_run(execution, asked_by(message))

    async def let_lost_ones_go(self) -> None:
        """Execute no longer what somebody else has taken, as our lease had run out."""
        for execution in list(self.engine.executions.values()):
            record = await self.store.get(execution.record.id)
            is_taken = record is None or record.owner != str(self.owner)
            if record is not None and record.owner is None and (execution.is_over or record.wake_at is not None):
                # It was let go with what has just been written.
                is_taken = False
            if is_taken and not execution.is_new and execution.record.id in self.engine.executions:
                self.engine.let_go(execution, ConflictError(execution.record.id, execution.written))

    async def release(self) -> None:
        """Let go of all runs that have not ended, so that anyone may take them up at once, and of our lease."""
        await self.store.release(str(self.owner))


def _nothing_to_do(*about: object) -> None:
    pass


def _overlaid(dag: Dag, stored: str, inputs: Mapping[str, object]) -> str:
    """The encoded inputs of a run, with some of them replaced."""
    texts = json.loads(stored)
    codec = dag.codec
    for name, value in inputs.items():
        if name not in dag.inputs:
            raise UsageError(f"{dag.name} has no input {name!r}; it has {', '.join(dag.inputs) or 'none'}")
        texts[name] = json.loads(codec.encode(value, dag.inputs[name].type))
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
