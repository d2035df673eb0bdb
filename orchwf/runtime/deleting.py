"""Deleting runs, and with them those that they started."""

from collections.abc import AsyncIterator

import attrs

from ..core.definition import ForChild
from ..core.events import RunStarted
from ..core.history import History
from ..core.state import RunStatus
from ..errors import RunNotFoundError, UsageError
from ..ports import RunQuery, RunRecord
from .runs import Runs
from .stored import stored_dag, stored_history

_MANY = 500


class Deleting:
    """
    Deletes runs of a store.

    A run goes with all that it started, however deep, and that has ended, or would never go on without it. One for
    which another one waits does not go: that one would wait for ever, or start it anew.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._histories: dict[str, History | None] = {}
        self._starts_others: dict[str, bool] = {}

    async def delete(self, run_id: str) -> None:
        """
        Delete a run that has ended, or that nobody executes.

        Raises:
            RunNotFoundError: there is none of this id.
            UsageError: it is being executed, or a run that it started is; or another one waits for it.
        """
        record = await self._runs.record(run_id)
        if self._is_at_work(record):
            raise UsageError(f"run {run_id!r} is being executed; cancel it before you delete it")
        parent = await self._waiting_parent(record)
        if parent:
            raise UsageError(f"run {run_id!r} is one that run {parent!r} waits for; cancel that before you delete this")
        with_it = [each async for each in self._descendants(record)]
        at_work = [each.id for each in with_it if self._is_at_work(each)]
        if at_work:
            raise UsageError(
                f"run {at_work[0]!r}, which run {run_id!r} has started, is being executed; cancel {run_id!r} before "
                "you delete it"
            )
        await self._runs.store.delete([run_id, *(each.id for each in with_it)])

    async def prune(self, query: RunQuery, before: float) -> int:
        """Delete the runs that match and ended before this instant (epoch seconds); how many that were."""
        store, query, deleted = self._runs.store, attrs.evolve(query, limit=_MANY), 0
        while page := await store.runs(query):
            old = [record for record in page if record.ended_at is not None and record.ended_at < before]
            old = [record for record in old if not await self._waiting_parent(record)]
            gone = {record.id: None for record in old}
            for record in old:
                if await self._starts_any(record):
                    gone |= {each.id: None async for each in self._descendants(record)}
            deleted += await store.delete(list(gone))
            query = attrs.evolve(query, before=page[-1].number)
        return deleted

    def _is_at_work(self, record: RunRecord) -> bool:
        """Whether somebody executes it, or should."""
        if record.status is not RunStatus.RUNNING or record.wake_at is not None:
            return False
        return not self._runs.is_orphan(record)

    async def _waiting_parent(self, record: RunRecord) -> str:
        """The id of the run that waits for this one; empty if none does."""
        if "parent" not in record.tags:
            return ""
        started = await self._beginning(record.id)
        if started is None or not started.parent:
            return ""
        history = await self._history(started.parent)
        if history is None or history.status.is_final:
            return ""
        step = history.steps.get(started.parent_step)
        waiting = step if step is None or started.parent_item is None else step.items.get(started.parent_item)
        return started.parent if waiting is not None and not waiting.status.is_final else ""

    async def _beginning(self, run_id: str) -> RunStarted | None:
        log = await self._runs.store.read(run_id, limit=1)
        return log[0] if log and isinstance(log[0], RunStarted) else None

    async def _history(self, run_id: str) -> History | None:
        if run_id not in self._histories:
            try:
                self._histories[run_id] = await stored_history(self._runs.store, run_id)
            except RunNotFoundError:
                self._histories[run_id] = None
        return self._histories[run_id]

    async def _starts_any(self, record: RunRecord) -> bool:
        """Whether runs of its definition start others."""
        if record.fingerprint not in self._starts_others:
            dag = await stored_dag(self._runs.store, record.fingerprint)
            nodes = [] if dag is None else dag.nodes.values()
            self._starts_others[record.fingerprint] = any(isinstance(node.waits, ForChild) for node in nodes)
        return self._starts_others[record.fingerprint]

    async def _descendants(self, record: RunRecord) -> AsyncIterator[RunRecord]:
        """The runs that go with this one: those that ended, and if it has not itself, also those that have not."""
        query = RunQuery(tags={"parent": record.id}, limit=_MANY)
        while page := await self._runs.store.runs(query):
            for each in page:
                started = await self._beginning(each.id)
                # Anybody may give a tag of this name.
                if started is None or started.parent != record.id:
                    continue
                if each.status.is_final or not record.status.is_final:
                    yield each
                    async for deeper in self._descendants(each):
                        yield deeper
            query = attrs.evolve(query, before=page[-1].number)
