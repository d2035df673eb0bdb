"""Runs of one orchestrator: started, forked, taken up, resumed."""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Mapping

import attrs

from ..core.adoption import kept_by_fork
from ..core.dag import Dag, dag_of
from ..core.options import OnChange
from ..core.outcome import Begun, TakenUp
from ..core.state import RunStatus
from ..core.values.pieces import is_large
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
from .answers import Answers
from .arguments import checked_metadata, checked_run_id, checked_tags
from .engine import Engine, closed
from .execution import Execution, encode_inputs
from .owner import Owner, is_abandoned, parse_owner
from .registry import Registry
from .stored import stored_dag, stored_history
from .takeover import ENDING, asked_by, changes_since, check_goes_on, completed_among, replayed

_LOGGER = logging.getLogger("orchwf")


class Runs:
    """
    Brings runs into the engine: new ones, and those that nobody executes.

    Attributes:
        store: Where they are kept.
        engine: What executes them.
        clock: Where time comes from.
        owner: Who this orchestrator is to others.
        registry: The workflows that it knows.
        poked: Is set when somebody should look for messages at once.
    """

    def __init__(
        self, store: Store, engine: Engine, clock: Clock, owner: Owner, registry: Registry, *, most_takeovers: int
    ) -> None:
        self.store = store
        self.engine = engine
        self.owner = owner
        self.clock = clock
        self.registry = registry
        self.poked = asyncio.Event()
        self._most_takeovers = most_takeovers
        self._taking_up = asyncio.Lock()
        self._told: set[str] = set()

    # Looking.

    async def record(self, run_id: str) -> RunRecord:
        """
        The summary of a run.

        Raises:
            RunNotFoundError: there is none of this id.
        """
        record = await self.store.get(run_id)
        if record is None:
            raise RunNotFoundError(run_id, self.store.url)
        return record

    async def dag_to_show(self, record: RunRecord) -> Dag | None:
        """The definition for pictures and results: the one known here, else the one in the store, without code."""
        execution = self.engine.executions.get(record.id)
        dag = execution.dag if execution is not None else self.registry.find(record)
        return dag if dag is not None else await self.stored_dag(record.fingerprint)

    async def stored_dag(self, fingerprint: str) -> Dag | None:
        """The definition that the store keeps under this fingerprint, without code."""
        return await stored_dag(self.store, fingerprint)

    def is_orphan(self, record: RunRecord) -> bool:
        """Whether nobody executes this run, which goes on by itself."""
        if record.status is not RunStatus.RUNNING or record.id in self.engine.executions:
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
    ) -> Execution:
        """
        A new run, which is in the store when this returns.

        Raises:
            RunExistsError: there is a run of this id.
            UsageError: something given makes no sense.
        """
        if isinstance(workflow, type):
            name = workflow.__name__
            raise UsageError(f"start() takes an instance with its inputs, {name}(...), not the class {name}")
        dag = dag_of(type(workflow))
        self.registry.replace(type(workflow))
        await self.registry.prepare(dag)
        run_id, metadata = checked_run_id(run_id), checked_metadata(metadata)
        labels = dict.fromkeys(dag.options.tags, "") | checked_tags(tags)
        if is_large(workflow):
            inputs = await asyncio.to_thread(encode_inputs, dag, workflow)
        else:
            inputs = encode_inputs(dag, workflow)
        self._check_engine()
        if (other := self.engine.executions.get(run_id)) is not None:
            # Whoever attaches to it looks for it in the store.
            await other.until_written()
            raise RunExistsError(run_id)
        begun = Begun(dag.name, dag.version, dag.fingerprint, inputs)
        return await self._create(dag, run_id, begun, metadata, labels)

    async def _create(
        self, dag: Dag, run_id: str, begun: Begun, metadata: Mapping[str, object], tags: Mapping[str, str]
    ) -> Execution:
        # The orchestrator may have begun to close while we looked.
        self._check_engine()
        record = RunRecord(
            id=run_id, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint,
            entrypoint=dag.entrypoint, status=RunStatus.RUNNING, metadata=metadata, tags=tags,
            created_at=self.clock.now(), owner=str(self.owner),
        )  # fmt: skip
        execution = Execution(record, dag, self.registry.plan(dag), begun.inputs)
        execution.is_new = True
        execution.definition = dag.to_json
        self.engine.admit(execution, begun)
        await execution.until_written()
        return execution

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
        before = await self.stored_dag(record.fingerprint)
        begun = Begun(
            dag.name, dag.version, dag.fingerprint, _overlaid(dag, history.inputs, inputs), origin=run_id,
            reused=kept_by_fork(dag, before, history, from_step, with_inputs=bool(inputs)),
        )  # fmt: skip
        return await self._create(
            dag, checked_run_id(new_id), begun, record.metadata if metadata is None else checked_metadata(metadata),
            record.tags if tags is None else checked_tags(tags),
        )  # fmt: skip

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
            # One run that cannot go on must not keep all others from it. It is told of once.
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
        record, name = await self.record(run_id), dag_of(type(workflow)).name
        if record.workflow != name:
            raise UsageError(f"run {run_id!r} is one of {record.workflow}, not of {name}; choose another run_id")
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
        async with self._taking_up:
            # Whoever asked at the same time may have been served meanwhile.
            execution = self.engine.executions.get(record.id)
            return execution or await self._take_up(record, dag or self._known(record), answers, on_change)

    def _known(self, record: RunRecord) -> Dag:
        dag = self.registry.find(record)
        if dag is None:
            raise UnknownWorkflowError(record.workflow, self.registry.names)
        return dag

    async def _take_up(
        self, record: RunRecord, dag: Dag, answers: Answers | None, on_change: OnChange | None
    ) -> Execution:
        self._check_engine()
        await self.registry.prepare(dag)
        changed = await changes_since(self.store, record, dag, on_change)
        if not await self.store.claim(record.id, str(self.owner), previous=record.owner):
            raise await self._owned(record.id)
        try:
            owned = attrs.evolve(record, owner=str(self.owner))
            execution = await replayed(self.store, owned, dag, self.registry.plan(dag))
            messages = [each for each in await self.store.inbox(str(self.owner)) if each.run_id == record.id]
            taken = TakenUp(
                fingerprint=dag.fingerprint, was_released=record.owner is None,
                asked=tuple(map(asked_by, messages)), most_takeovers=self._most_takeovers,
                reset=completed_among(changed, execution),
            )  # fmt: skip
            if answers is None:
                check_goes_on(execution, taken)
            else:
                taken = answers.applied(taken, execution)
            # The orchestrator may have begun to close meanwhile, and then nobody would execute it.
            self._check_engine()
        except BaseException:
            await self.store.claim(record.id, record.owner, previous=str(self.owner))
            raise
        self.engine.admit(execution, taken)
        await execution.until_written()
        return execution

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
        if record.owner != str(self.owner) and not is_abandoned(record):
            raise await self._owned(run_id)
        return await self.take_up(record, answers=answers, on_change=on_change)

    # Messages.

    async def ask(self, run_id: str, signal: str, reason: str) -> None:
        """
        Ask whoever executes the run to cancel, terminate or pause it; nothing happens if it has ended.

        Durable when this returns.
        """
        record = await self.record(run_id)
        if record.status.is_final or (signal == "pause" and record.status is RunStatus.PAUSED):
            return
        message_id = f"{signal}-{secrets.token_hex(8)}"
        await self.store.send(Message(run_id=run_id, id=message_id, signal=signal, payload=json.dumps(reason)))
        if signal in ENDING and (record.status is RunStatus.PAUSED or self.is_orphan(record)):
            dag = self.registry.find(record)
            if dag is None and signal == "terminate":
                # Nothing more of it runs, so its code is not needed.
                dag = await self.stored_dag(record.fingerprint)
            if dag is not None:
                await self.take_up_if_possible(record, dag)
        self.poked.set()

    async def deliver(self) -> None:
        """Fetch the messages to the runs executed here."""
        for message in await self.store.inbox(str(self.owner)):
            execution = self.engine.executions.get(message.run_id)
            if execution is not None:
                # One that cannot be read must not keep the others from their runs; whoever takes its run up is told.
                with contextlib.suppress(StoreError):
                    self.engine.tell_run(execution, asked_by(message))

    async def let_lost_ones_go(self) -> None:
        """Execute no longer what somebody else has taken, as our lease had run out."""
        for execution in list(self.engine.executions.values()):
            record = await self.store.get(execution.record.id)
            is_taken = record is None or record.owner != str(self.owner)
            if is_taken and not execution.is_new and execution.record.id in self.engine.executions:
                self.engine.let_go(execution, ConflictError(execution.record.id, execution.written))

    async def release(self) -> None:
        """Let go of all runs that have not ended, so that anyone may take them up at once, and of our lease."""
        await self.store.release(str(self.owner))


def _overlaid(dag: Dag, stored: str, inputs: Mapping[str, object]) -> str:
    """The encoded inputs of a run, with some of them replaced."""
    texts = json.loads(stored)
    codec = dag.codec
    for name, value in inputs.items():
        if name not in dag.inputs:
            raise UsageError(f"{dag.name} has no input {name!r}; it has {', '.join(dag.inputs) or 'none'}")
        texts[name] = json.loads(codec.encode(value, dag.inputs[name].type))
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
