"""What an orchestrator does from time to time: hear messages, renew its lease, take up what was left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import attrs

from ..core.state import RunStatus
from ..errors import StoreError
from ..ports import RunQuery, RunRecord
from .owner import is_dead, parse_owner
from .runs import Runs
from .takeover import ENDING

_LOGGER = logging.getLogger("orchwf")
_RUNS = 1_000
_LISTEN_EVERY = 0.5


class Keeper:
    """
    Keeps an orchestrator in touch with its store, and so with the others on it.

    It runs on the loop: one that is blocked lets the lease run out, and others take its runs.

    Args:
        lease: How long, in seconds, the others take this orchestrator to live after it was seen last.
    """

    def __init__(self, runs: Runs, lease: float) -> None:
        self._runs = runs
        self._lease = lease
        self._woken = asyncio.Event()
        self._seen_at = runs.clock.now()
        runs.engine.reassure = self.reassure

    def wake(self) -> None:
        """Look at once whether there is anything to do: the engine may be closing."""
        self._woken.set()
        self._runs.poked.set()

    async def listen(self) -> None:
        """Fetch the messages to the runs executed here, until the engine is closed; without runs nothing is asked."""
        runs = self._runs
        while not runs.engine.is_stopped:
            runs.poked.clear()
            revoke = runs.clock.call_at(runs.clock.now() + _LISTEN_EVERY, runs.poked.set)
            await runs.poked.wait()
            revoke()
            if runs.engine.executions:
                # The next write meets the same trouble and reports it; a message is not lost by being read later.
                await self._tolerant(runs.deliver)

    async def keep(self) -> None:
        """Renew the lease, and take up what others have left, until the engine is closed."""
        runs = self._runs
        while not runs.engine.is_stopped:
            revoke = runs.clock.call_at(runs.clock.now() + self._lease / 3, self._woken.set)
            await self._woken.wait()
            revoke()
            self._woken.clear()
            if not runs.engine.is_stopped:
                await self._tolerant(self.renew)
            if not runs.engine.is_draining:
                await self._tolerant(self.take_up_orphans)

    async def renew(self) -> None:
        """Say that we live. If we were taken for dead, find out what we have lost."""
        runs, now = self._runs, self._runs.clock.now()
        if not await runs.store.renew(str(runs.owner), self._lease):
            await runs.let_lost_ones_go()
        self._seen_at = now

    async def reassure(self) -> None:
        """If our lease may have run out, as this process was stopped for a while, find out what we have lost."""
        if self._runs.clock.now() - self._seen_at > self._lease:
            await self._runs.let_lost_ones_go()

    async def take_up_orphans(self) -> None:
        """Take up the unfinished runs of our workflows that nobody executes, and the paused ones that are to end."""
        runs = self._runs
        if not runs.registry.names:
            return
        owners = await runs.store.owners()
        gone = [owner for owner, has_lapsed in owners.items() if self._is_gone(owner, has_lapsed)]
        queries = [RunQuery(statuses=[RunStatus.PAUSED], asked=ENDING, limit=_RUNS)]
        if gone:
            queries.append(RunQuery(statuses=[RunStatus.RUNNING], owners=gone, limit=_RUNS))
        for query in queries:
            await self._take_up_all(query)

    def _is_gone(self, owner: str | None, has_lapsed: bool) -> bool:
        return owner is None or has_lapsed or owner == str(self._runs.owner) or is_dead(parse_owner(owner))

    async def _take_up_all(self, query: RunQuery) -> None:
        runs = self._runs
        while page := await runs.store.runs(query):
            for record in page:
                is_known = runs.registry.find(record) is not None
                if is_known and self._is_for_us(record) and not runs.engine.is_draining:
                    await runs.take_up_if_possible(record)
            query = attrs.evolve(query, before=page[-1].number)

    def _is_for_us(self, record: RunRecord) -> bool:
        """Whether it is to be taken up here: somebody wants it to end, or it is left and ours to go on with."""
        runs = self._runs
        if record.status is RunStatus.PAUSED:
            return True
        is_ours = runs.registry.serves(record) or record.owner == str(runs.owner)
        return is_ours and runs.is_orphan(record)

    async def _tolerant(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; a store in trouble is told of, and asked again the next time."""
        try:
            await work()
        except StoreError as error:
            if not self._runs.engine.is_stopped:
                _LOGGER.warning("%s", error)
