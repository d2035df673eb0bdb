"""Runs of one orchestrator: started, taken up, resumed."""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Mapping, Sequence

import attrs

from ..core.dag import Dag, dag_of
from ..core.events import Event, RunStarted
from ..core.outcome import Begun, CancelAsked, TakenUp
from ..core.plan import Plan
from ..core.state import RunStatus
from ..errors import (
    ConflictError,
    IllegalTransitionError,
    NotResumableError,
    RunExistsError,
    RunNotFoundError,
    RunOwnedError,
    StoreError,
    UnknownWorkflowError,
    UsageError,
    WorkflowChangedError,
)
from ..ports import Clock, Message, RunQuery, RunRecord, Store
from .engine import Engine
from .execution import Execution, encode_inputs
from .owner import Owner, is_dead, parse_owner
from .stored import damaged_log, empty_log, stored_dag

_LOGGER = logging.getLogger("orchwf")
_PAGE = 10_000
_RUNS = 1_000
_LISTEN_EVERY = 0.5


class Runs:
    """
    Brings runs into the engine: new ones, and those whose owner is gone.

    Attributes:
        store: Where they are kept.
        engine: What executes them.
        clock: Where time comes from.
        owner: Who this orchestrator is to others.
    """

    def __init__(self, store: Store, engine: Engine, clock: Clock, owner: Owner, workflows: Sequence[type]) -> None:
        self.store = store
        self.engine = engine
        self.owner = owner
        self.clock = clock
        self._plans: dict[Dag, Plan] = {}
        self._workflows: dict[str, Dag] = {}
        self._poked = asyncio.Event()
        self._taking_up = asyncio.Lock()
        for workflow in workflows:
            self._register(workflow)

    # Workflows.

    def _register(self, workflow: type) -> None:
        dag = dag_of(workflow)
        known = self._workflows.setdefault(dag.name, dag)
        if known is not dag:
            raise UsageError(
                f"two workflows are called {dag.name!r}: {known.entrypoint} and {dag.entrypoint}; "
                "give one of them another name with @workflow(name=...)"
            )

    def dag_for(self, record: RunRecord) -> Dag | None:
        """The definition with which this orchestrator would execute the run; None if it does not know the workflow."""
        execution = self.engine.executions.get(record.id)
        return execution.dag if execution is not None else self._workflows.get(record.workflow)

    async def dag_to_show(self, record: RunRecord) -> Dag | None:
        """The definition for pictures and results: the one known here, else the one in the store, without code."""
        dag = self.dag_for(record)
        return dag if dag is not None else await self.stored_dag(record.fingerprint)

    async def stored_dag(self, fingerprint: str) -> Dag | None:
        """The definition that the store keeps under this fingerprint, without code."""
        return await stored_dag(self.store, fingerprint)

    def _plan(self, dag: Dag) -> Plan:
        plan = self._plans.get(dag)
        if plan is None:
            plan = self._plans[dag] = Plan(dag)
        return plan

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
        # A class that was defined again, as in a notebook, is a new version of it from now on.
        self._workflows[dag.name] = dag
        record = RunRecord(
            id=checked_run_id(run_id), workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint,
            entrypoint=dag.entrypoint, status=RunStatus.RUNNING, metadata=checked_metadata(metadata),
            tags=dict.fromkeys(dag.options.tags, "") | checked_tags(tags),
            created_at=self.clock.now(), owner=str(self.owner),
        )  # fmt: skip
        self._check_engine()
        if (other := self.engine.executions.get(record.id)) is not None:
            # Whoever attaches to it looks for it in the store.
            await self._until_written(other)
            raise RunExistsError(record.id)
        inputs = encode_inputs(dag, workflow)
        execution = Execution(record, dag, self._plan(dag), inputs)
        execution.is_new = True
        execution.definition = _document(dag)
        self.engine.admit(execution, Begun(dag.name, dag.version, dag.fingerprint, inputs))
        await self._until_written(execution)
        return execution

    def _check_engine(self) -> None:
        if self.engine.failure is not None:
            raise StoreError(f"the orchestrator has stopped: {self.engine.failure}") from self.engine.failure
        if self.engine.is_draining:
            raise UsageError("the orchestrator is closed: nothing can be started or resumed with it")

    async def _until_written(self, execution: Execution) -> None:
        # Not the future itself: a caller who is cancelled here must not cancel it for everybody.
        await asyncio.wait([execution.created])
        execution.created.result()

    # Taking up.

    async def take_up_orphans(self) -> None:
        """Take up the unfinished runs of our workflows whose owner is gone."""
        query = RunQuery(statuses=[RunStatus.RUNNING], limit=_RUNS)
        while self._workflows:
            page = await self.store.runs(query)
            for record in page:
                if record.workflow in self._workflows and self.is_orphan(record):
                    await self._take_up_if_possible(record)
            if len(page) < _RUNS:
                return
            query = attrs.evolve(query, before=page[-1].number)

    async def _take_up_if_possible(self, record: RunRecord) -> None:
        try:
            await self.take_up(record)
        except WorkflowChangedError as error:
            # One run that cannot go on must not keep all others from it.
            _LOGGER.warning("%s", error)
        except (RunOwnedError, RunNotFoundError, ConflictError):
            # Somebody else was faster.
            pass

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
        if record.status is not RunStatus.RUNNING or not self.is_orphan(record):
            return
        # Somebody else may be faster.
        with contextlib.suppress(RunOwnedError):
            await self.take_up(record)

    def is_orphan(self, record: RunRecord) -> bool:
        """Whether nobody executes this unfinished run any more."""
        if record.status.is_final or record.id in self.engine.executions:
            return False
        # Ours, and not executed here: it was let go in trouble.
        return record.owner in (None, str(self.owner)) or is_dead(parse_owner(record.owner or ""))

    async def take_up(self, record: RunRecord, *, retry: bool = False) -> Execution:
        """
        Execute a run from where its log ends; written when this returns.

        Args:
            retry: Also try again what failed.

        Raises:
            UnknownWorkflowError, WorkflowChangedError, RunOwnedError, StoreError: as they say.
        """
        async with self._taking_up:
            # Whoever asked at the same time may have been served meanwhile.
            return self.engine.executions.get(record.id) or await self._take_up(record, retry=retry)

    async def _take_up(self, record: RunRecord, *, retry: bool) -> Execution:
        self._check_engine()
        dag = self._workflows.get(record.workflow)
        if dag is None:
            raise UnknownWorkflowError(record.workflow, list(self._workflows))
        await self._check_unchanged(record, dag)
        if not await self.store.claim(record.id, str(self.owner), previous=record.owner):
            raise await self._owned(record.id)
        execution = await self._replayed(attrs.evolve(record, owner=str(self.owner)), dag)
        requests = [m for m in await self.store.inbox(str(self.owner)) if m.run_id == record.id]
        self.engine.admit(
            execution, TakenUp(dag.fingerprint, retry=retry), *(_happening(message) for message in requests)
        )
        await self._until_written(execution)
        return execution

    async def _owned(self, run_id: str) -> Exception:
        record = await self.store.get(run_id)
        if record is None:
            return RunNotFoundError(run_id, self.store.url)
        return RunOwnedError(run_id, parse_owner(record.owner).label if record.owner else "another process")

    async def _check_unchanged(self, record: RunRecord, dag: Dag) -> None:
        if record.fingerprint == dag.fingerprint or dag.options.on_change == "adopt":
            return
        before = await self.stored_dag(record.fingerprint)
        if before is None:
            return
        difference = before.diff(dag)
        # Another body alone is no other graph: to mend a body and to go on is what a resume is for.
        if difference.is_structural:
            raise WorkflowChangedError(record.id, dag.name, str(difference))

    async def _replayed(self, record: RunRecord, dag: Dag) -> Execution:
        execution: Execution | None = None
        after = 0
        while events := await self.store.read(record.id, after=after, limit=_PAGE):
            if execution is None:
                execution = Execution(record, dag, self._plan(dag), _inputs_of(events))
            try:
                execution.machine.replay(events)
            except IllegalTransitionError as error:
                raise damaged_log(self.store, record.id, error) from error
            after = events[-1].seq
        if execution is None:
            raise empty_log(self.store, record.id)
        execution.written = after
        if record.fingerprint != dag.fingerprint:
            execution.definition = _document(dag)
        return execution

    async def resume(self, run_id: str, workflow: type | None = None) -> Execution:
        """
        Execute a failed, paused or orphaned run again, only what did not complete.

        Args:
            workflow: The class of its workflow, if it is not known yet.

        Raises:
            RunNotFoundError, NotResumableError, RunOwnedError, and what `take_up` raises.
        """
        self._check_engine()
        if workflow is not None:
            self._register(workflow)
        if run_id in self.engine.executions:
            return self.engine.executions[run_id]
        record = await self.record(run_id)
        if record.status in (RunStatus.COMPLETED, RunStatus.CANCELLED):
            raise NotResumableError(run_id, record.status)
        if record.status is RunStatus.RUNNING and not self.is_orphan(record):
            raise await self._owned(run_id)
        return await self.take_up(record, retry=record.status is RunStatus.FAILED)

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

    # Messages.

    async def ask_to_cancel(self, run_id: str, reason: str) -> None:
        """Ask whoever executes the run to cancel it; nothing happens if it has ended. Durable when this returns."""
        record = await self.record(run_id)
        if record.status.is_final:
            return
        await self.store.send(Message(run_id=run_id, id="cancel", signal="cancel", payload=json.dumps(reason)))
        if self.is_orphan(record) and record.workflow in self._workflows:
            await self._take_up_if_possible(record)
        self._poked.set()

    async def listen(self) -> None:
        """Fetch the messages to the runs executed here, until the engine is closed; without runs nothing is asked."""
        while not self.engine.is_stopped:
            self._poked.clear()
            revoke = self.clock.call_at(self.clock.now() + _LISTEN_EVERY, self._poked.set)
            await self._poked.wait()
            revoke()
            if self.engine.executions:
                await self._deliver()

    def poke(self) -> None:
        """Make `listen` look at once."""
        self._poked.set()

    async def _deliver(self) -> None:
        try:
            messages = await self.store.inbox(str(self.owner))
        except StoreError:
            # The next write meets the same trouble and reports it; a message is not lost by being read later.
            return
        for message in messages:
            execution = self.engine.executions.get(message.run_id)
            if execution is not None:
                # One that cannot be read must not keep the others from their runs; whoever takes its run up is told.
                with contextlib.suppress(StoreError):
                    self.engine.tell_run(execution, _happening(message))

    async def release(self) -> None:
        """Let go of all runs that have not ended, so that anyone may take them up at once."""
        for execution in list(self.engine.executions.values()):
            await self.store.claim(execution.record.id, None, previous=str(self.owner))


def _happening(message: Message) -> CancelAsked:
    try:
        return CancelAsked(message.id, str(json.loads(message.payload)))
    except ValueError as error:
        raise StoreError(
            f"the message {message.id!r} to run {message.run_id!r} cannot be read ({error}): the store is damaged"
        ) from error


def _document(dag: Dag) -> str:
    return json.dumps(dag.to_dict(), ensure_ascii=False, separators=(",", ":"))


def _inputs_of(events: Sequence[Event]) -> str:
    first = events[0]
    return first.inputs if isinstance(first, RunStarted) else "{}"


def checked_run_id(run_id: str | None) -> str:
    """
    The id itself, or a new one.

    Raises:
        UsageError: it is no text of 1 to 255 printable characters.
    """
    if run_id is None:
        return secrets.token_hex(6)
    if not (isinstance(run_id, str) and 0 < len(run_id) <= 255 and run_id.isprintable() and run_id == run_id.strip()):
        raise UsageError(f"run_id takes text of 1 to 255 printable characters without blanks around, not {run_id!r}")
    return run_id


def checked_metadata(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    """
    The metadata as it will be read back.

    Raises:
        UsageError: it is no mapping of text to JSON-able values.
    """
    try:
        values = dict(metadata or {})
        text = json.dumps(values, allow_nan=False)
        if all(isinstance(key, str) for key in values):
            restored: dict[str, object] = json.loads(text)
            return restored
    except (TypeError, ValueError) as error:
        raise UsageError(f"metadata takes a mapping of text to JSON-able values: {error}") from None
    raise UsageError(f"metadata takes a mapping of text to JSON-able values, not the keys {list(values)!r}")


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """
    The tags of a run, as they were given.

    Raises:
        UsageError: they are no mapping of text to text.
    """
    given = tags if tags is not None else {}
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for item in given.items() for text in item):
        raise UsageError(f"tags take a mapping of text to text, such as {{'shop': 'eu'}}, not {tags!r}")
    return dict(given)
