"""The face of a store for processes that execute nothing: starts runs for others, and talks to them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from .core.dag import Dag
from .core.events import StepSkipped
from .core.options import Duration
from .core.outcome import Begun
from .core.selection import skipped_by
from .core.state import RunStatus
from .errors import RunExistsError, UsageError
from .ports import PayloadCodec, Store
from .runtime.answers import Answers, Named
from .runtime.arguments import (
    check_on_duplicate,
    checked_instant,
    checked_metadata,
    checked_run_id,
    checked_tags,
    dag_of_instance,
)
from .runtime.clock import SystemClock
from .runtime.execution import inputs_of
from .runtime.handle import RunHandle
from .runtime.ledger import Ledger, Nothing, Startable
from .runtime.listing import RunPage, run_page, run_query
from .runtime.published import published
from .runtime.registry import Registry
from .runtime.reviving import revive
from .stores import default_store, open_store
from .stores.coded import checked_codec
from .stores.urls import check_is_url
from .surroundings import carried

W = TypeVar("W")


class Client:
    """
    Starts runs that others execute, and talks to all runs of a store, by their ids. It executes nothing.

    ::

        async with Client("postgresql://db/orders") as client:
            run = await client.start("Fulfilment", {"order_id": "A1"}, run_id="A1")
            result = await run.result()

    What it starts is taken up by any process that serves the workflow: `orchwf worker`, or an `Orchestrator` that was
    given it. No code of a workflow is needed here.

    Args:
        store: A URL (`postgresql://...`, `sqlite:///path`), or a store, which then stays open on exit; by default
            `$ORCHWF_STORE`, else `sqlite:///orchwf.db`.
        codec: With a URL: encrypts or compresses what users give and steps return; see `orchwf.crypto`.

    Raises:
        UsageError: a value makes no sense.
        StoreError: on entry, if the store cannot be used.
    """

    def __init__(self, store: str | Store | None = None, *, codec: PayloadCodec | None = None) -> None:
        check_is_url(store, codec)
        self._given = default_store() if store is None else store
        self._codec = checked_codec(codec)
        self._clock = SystemClock()
        self._entered: Ledger | None = None
        self._listening: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    @property
    def _ledger(self) -> Ledger:
        if self._entered is None:
            raise UsageError("the client is not open: use it in  async with Client(...) as client:")
        return self._entered

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise UsageError("the client is open already; make another one")
        store = await open_store(self._given, codec=self._codec)
        if store is not self._given:
            self._stack.push_async_callback(store.close)
        self._entered = ledger = Ledger(store, self._clock, Registry(()), Nothing())
        ledger.hearing.begin = self._listen
        return self

    def _listen(self) -> None:
        """Be told what others write, from now on: somebody waits for it."""
        if self._listening is None and self._entered is not None:
            self._listening = asyncio.create_task(self._entered.hearing.listen())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered is not None:
            await self._entered.showings.close()
        self._entered, listening = None, self._listening
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        await self._stack.aclose()

    @overload
    async def start(
        self,
        workflow: str,
        inputs: Mapping[str, object] | None = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
        not_before: Duration | datetime | None = None,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
    ) -> RunHandle[Any]: ...
    @overload
    async def start(
        self,
        workflow: W,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
        not_before: Duration | datetime | None = None,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
    ) -> RunHandle[W]: ...
    async def start(
        self,
        workflow: object,
        inputs: Mapping[str, object] | None = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        on_duplicate: Literal["raise", "attach"] = "raise",
        not_before: Duration | datetime | None = None,
        use_cache: bool = True,
        only: Sequence[str] | None = None,
    ) -> RunHandle[Any]:
        """
        Start a run; it is durable when this returns, and whoever serves its workflow takes it up.

        Args:
            workflow: An instance, with its inputs; or the name of a workflow that somebody has served on this store.
            inputs: With a name: name of an input -> its value. Which there are, and which have to be given, is checked
                here; the rest by whoever executes the run, and an input that does not fit fails it.
            run_id, metadata, tags, on_duplicate, not_before, use_cache, only: As of `Orchestrator.start`.

        Raises:
            UnpublishedWorkflowError: nobody has served a workflow of this name.
            InputError: the inputs are not those of the workflow.
            RunExistsError: there is a run of this id.
            EncodingError: an input cannot be stored.
            UnknownStepError: `only` names a step that there is not.
            UsageError: something given makes no sense.
        """
        ledger = self._ledger
        check_on_duplicate(on_duplicate)
        now = ledger.clock.now()
        begins_at = None if not_before is None else checked_instant(not_before, now)
        definition, own_tags, encoded = await self._prepared(workflow, inputs)
        skipped: Sequence[StepSkipped] = ()
        if only is not None:
            dag = definition if isinstance(definition, Dag) else await definition.dag()
            skipped = skipped_by(dag, only, begins_later=begins_at is not None)
        begun = Begun(
            definition.name, definition.version, definition.fingerprint, encoded, use_cache=use_cache,
            reused=skipped,
            not_before=begins_at if begins_at is not None and begins_at > now else None, **carried(),
        )  # fmt: skip
        run_id, labels = checked_run_id(run_id), dict.fromkeys(own_tags, "") | checked_tags(tags)
        try:
            await ledger.put(definition, run_id, begun, checked_metadata(metadata), labels)
        except RunExistsError:
            if on_duplicate == "raise":
                raise
            await ledger.record_of(run_id, definition.name)
        return RunHandle(ledger, run_id)

    async def _prepared(
        self, workflow: object, inputs: Mapping[str, object] | None
    ) -> tuple[Startable, Sequence[str], str]:
        """What is to be known of the workflow, the tags of all its runs, and the encoded inputs."""
        if isinstance(workflow, str):
            found = await published(self._ledger.store, workflow)
            return found, found.tags, found.encoded({} if inputs is None else inputs)
        dag = dag_of_instance(workflow)
        if inputs is not None:
            raise UsageError(f"an instance has its inputs: start({dag.name}(...)), or start({dag.name!r}, {{...}})")
        self._ledger.registry.replace(type(workflow))
        return dag, dag.options.tags, await inputs_of(dag, workflow)

    async def get(self, run_id: str, *, workflow: type | None = None) -> RunHandle[Any]:
        """
        The handle of a run, whoever executes it.

        Args:
            workflow: The class of its workflow, if it is at hand: with it outputs have their types.

        Raises:
            RunNotFoundError: there is none of this id.
        """
        if workflow is not None:
            self._ledger.registry.add(workflow)
        await self._ledger.record(run_id)
        return RunHandle(self._ledger, run_id)

    async def resume(self, run_id: str, *, rerun: Named | Sequence[Named] = ()) -> RunHandle[Any]:
        """
        Let a failed or paused run go on: whoever serves its workflow takes it up, and runs only what did not complete,
        with a fresh budget of attempts. Durable when this returns; nothing is written if it goes on by itself.

        Where its graph has changed since, whoever takes it up adopts that, or leaves it alone, as its workflow says.

        Args:
            rerun: As of `Orchestrator.resume`.

        Raises:
            RunNotFoundError: there is none of this id.
            NotResumableError: it completed, was cancelled, or is undone.
            RunOwnedError: a process that is alive executes it.
            UnknownStepError, UsageError: a step is named that there is not, or that is not in question; or one that is
                in question, of which nobody knows whether it took effect, is not named.
        """
        await revive(self._ledger, run_id, Answers(rerun=rerun))
        return RunHandle(self._ledger, run_id)

    async def list_runs(
        self,
        *,
        workflow: str | type | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RunPage:
        """
        The runs of the store that match, newest first; arguments and errors as of `Orchestrator.list_runs`.
        """
        query = run_query(
            workflow=workflow, status=status, tags=tags, since=since, until=until, limit=limit, cursor=cursor
        )
        return await run_page(self._ledger.store, query)
