"""The runs of a store for whoever need not execute them: found, told something, and written for others to begin."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from ..core.dag import Dag
from ..core.events import Event
from ..core.outcome import Begun, Happening
from ..core.references import Ref
from ..core.state import RunStatus
from ..errors import RunEndedError, RunNotFoundError, UsageError
from ..ports import Append, Clock, Hint, HintKind, Message, RunRecord, Store
from .arguments import encoded_payload
from .execution import Execution
from .hearing import Hearing
from .published import Published
from .registry import Registry
from .showing import Showings
from .stored import stored_dag

Startable = Dag | Published
"""What has to be known of a workflow to write a run of it."""


class Here(Protocol):
    """
    What is executed in this process, for whoever waits for a run.

    Attributes:
        executions: Id of a run -> the run, of those that are executed here.
        arrivals: Id of a run -> what is set when it is executed here again.
        failure: Why nothing is any more, if there was trouble.
        is_stopped: Whether nothing is any more.
    """

    executions: dict[str, Execution]
    arrivals: dict[str, asyncio.Event]
    failure: BaseException | None
    is_stopped: bool

    def tell_run(self, execution: Execution, *happened: Happening) -> None:
        """Something happened to a run that is executed here."""
        ...


@attrs.define
class Nothing:
    """A process that executes nothing: all runs are somewhere else."""

    executions: dict[str, Execution] = attrs.field(factory=dict)
    arrivals: dict[str, asyncio.Event] = attrs.field(factory=dict)
    failure: BaseException | None = None
    is_stopped: bool = False

    def tell_run(self, execution: Execution, *happened: Happening) -> None: ...


class Ledger:
    """
    The runs of a store.

    Attributes:
        store: Where they are kept.
        clock: Where time comes from.
        registry: The workflows of which the code is known.
        here: What is executed in this process.
        poked: Is set when something was said to a run.
        heed: What is done here, at once, about a run that was asked to end or to pause.
        hearing: What the store tells.
        showings: The runs that are followed on a screen.
    """

    def __init__(self, store: Store, clock: Clock, registry: Registry, here: Here) -> None:
        self.store = store
        self.clock = clock
        self.registry = registry
        self.here = here
        self.poked = asyncio.Event()
        self.heed: Callable[[RunRecord, str], Awaitable[None]] = _left_to_its_owner
        self.hearing = Hearing(store)
        self.showings = Showings()
        self.hearing.hearers.append(self._hear)

    def _hear(self, hint: Hint) -> None:
        """Let whoever waits for a run of others look again."""
        arrivals = self.here.arrivals
        match hint.kind:
            case HintKind.RESTS if hint.run in arrivals:
                arrivals.pop(hint.run).set()
            case HintKind.BEGUN | HintKind.LOST | HintKind.RESTS if not hint.run:
                while arrivals:
                    arrivals.popitem()[1].set()
            case _:
                pass

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

    async def record_of(self, run_id: str, workflow: str) -> RunRecord:
        """
        The same, of a run of the workflow of this name.

        Raises:
            RunNotFoundError: there is none of this id.
            UsageError: it is a run of another workflow.
        """
        record = await self.record(run_id)
        if record.workflow != workflow:
            raise UsageError(f"run {run_id!r} is one of {record.workflow}, not of {workflow}; choose another run_id")
        return record

    async def dag_to_show(self, record: RunRecord) -> Dag | None:
        """The definition for pictures and results: the one known here, else the one in the store, without code."""
        execution = self.here.executions.get(record.id)
        dag = execution.dag if execution is not None else self.registry.find(record)
        return dag if dag is not None else await stored_dag(self.store, record.fingerprint)

    # Beginning.

    def new_record(
        self, dag: Startable, run_id: str, metadata: Mapping[str, object], tags: Mapping[str, str], owner: str | None
    ) -> RunRecord:
        """The summary of a run that begins now, and is executed by this owner; None for whoever comes first."""
        return RunRecord(
            id=run_id, workflow=dag.name, version=dag.version, fingerprint=dag.fingerprint,
            entrypoint=dag.entrypoint, status=RunStatus.RUNNING, metadata=metadata, tags=tags,
            created_at=self.clock.now(), owner=owner,
        )  # fmt: skip

    async def put(
        self, dag: Startable, run_id: str, begun: Begun, metadata: Mapping[str, object], tags: Mapping[str, str]
    ) -> tuple[RunRecord, Sequence[Event]]:
        """
        Write a run that whoever serves its workflow executes, at once, or when it is to begin.

        Returns:
            It, and all that has happened to it yet; they are in the store.

        Raises:
            RunExistsError: there is a run of this id.
        """
        record, events = self.new_record(dag, run_id, metadata, tags, None), begun.events(1, self.clock.now())
        status = RunStatus.RUNNING if begun.not_before is None else RunStatus.SCHEDULED
        record = attrs.evolve(record, status=status, wake_at=begun.not_before, slept_at=self.clock.now())
        append = Append(run_id=run_id, expected=0, events=events, create=record, definition=dag.to_json)
        (trouble,) = await self.store.append([append])
        if trouble is not None:
            raise trouble
        return record, events

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
        message = Message(run_id=run_id, id=message_id, signal=signal, payload=json.dumps(reason))
        try:
            await self.store.send(message)
        except RunEndedError:
            # It has ended meanwhile: nothing happens.
            return
        await self.heed(record, signal)
        self.poked.set()

    async def send(self, run_id: str, signal: Ref[Any] | str, payload: object, message_id: str | None) -> None:
        """
        Send a signal to a run, whoever executes it. Durable when this returns.

        Raises:
            RunNotFoundError, RunEndedError: as they say.
            UnknownStepError: its workflow has no such signal.
            UsageError: that is no signal, or the payload is not what it holds.
            EncodingError: the payload cannot be stored.
        """
        record = await self.record(run_id)
        if record.status.is_final:
            raise RunEndedError(run_id, record.status)
        if not isinstance(signal, str | Ref):
            raise UsageError(f"what is sent to a run is a signal, or the name of one, not {signal!r}")
        dag = await self.dag_to_show(record)
        name = signal if isinstance(signal, str) else signal.name
        text = encoded_payload(dag, record.workflow, name, payload)
        given = secrets.token_hex(8) if message_id is None else message_id
        await self.store.send(Message(run_id=run_id, id=f"{name}-{given}", signal=name, payload=text))
        self.poked.set()


async def _left_to_its_owner(record: RunRecord, signal: str) -> None:
    pass
