"""What an orchestrator does beside executing: hear messages, renew its lease, take up what nobody executes."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any

from ..core.state import RunStatus
from ..errors import StoreError
from ..ports import Hint, HintKind, RunQuery, RunRecord, Wanted
from .execution import Execution
from .family import Family
from .owner import beginning_of, has_died
from .refused import Refused
from .runs import Runs
from .takeover import ENDING

_LOGGER = logging.getLogger("orchwf")
_AT_ONCE = 100
_LISTEN_EVERY = 0.5
_SOON = 0.1
_LOOK_EVERY = 600.0
"""Seconds after which it is looked for everything, though it would have been told: a hint may get lost somewhere."""


class Look(Enum):
    """What there is to look for."""

    AWAKE = auto()
    """Runs that go on by themselves, and that nobody executes."""
    ASLEEP = auto()
    """Runs that sleep, and are due, or to which something was said."""
    ENDING = auto()
    """Runs that are paused, or begin later, and are to end."""
    OWN = auto()
    """Runs that are ours, and are not executed here: they were let go in trouble."""


class Keeper:
    """
    Keeps an orchestrator in touch with its store, and so with the others on it.

    It runs on the loop: one that is blocked lets the lease run out, and others take its runs. What the store tells is
    not looked for; only where it tells nothing one looks from time to time.

    Args:
        lease: How long, in seconds, the others take this orchestrator to live after it was seen last.
    """

    def __init__(self, runs: Runs, lease: float) -> None:
        self._runs = runs
        self._family = Family(runs)
        self._lease = lease
        self._woken = asyncio.Event()
        self._seen_at = self._looked_at = runs.clock.now()
        self._roused = asyncio.Event()
        self._looks = set(Look)
        self._taking = asyncio.Lock()
        self._turn = 0
        self._gone: list[str] = []
        self._refused = Refused(lease / 3)
        self._has_sleepers = False
        self._wakes_at = math.inf
        runs.engine.reassure = self.reassure
        runs.engine.note_sleep = partial(self._look, Look.ASLEEP, Look.ENDING)
        runs.engine.note_left = self._note_left
        runs.note_stray = self._note_stray
        runs.note_free = partial(self._look, Look.AWAKE)
        runs.registry.note_new = self._note_workflow
        runs.hearing.hearers.append(self._hear)

    @property
    def seen_at(self) -> float:
        """When the lease was renewed last (epoch seconds)."""
        return self._seen_at

    def wake(self) -> None:
        """Look at once whether there is anything to do: the engine may be closing."""
        self._woken.set()
        self._roused.set()
        self._runs.poked.set()

    # What there is a reason for.

    def _look(self, *looks: Look) -> None:
        self._looks.update(looks)
        self._roused.set()

    def _hear(self, hint: Hint) -> None:
        runs = self._runs
        match hint.kind:
            case HintKind.BEGUN:
                self._look(*Look)
                runs.poked.set()
            case HintKind.LOST:
                # From now on it is looked from time to time.
                self.wake()
            case HintKind.FREE:
                self._look(Look.AWAKE)
            case HintKind.ASLEEP:
                self._note_wake(hint.at)
            case HintKind.MESSAGE:
                if not hint.run or hint.run in runs.engine.executions:
                    runs.poked.set()
                if hint.run not in runs.engine.executions and hint.owner in (None, str(runs.owner)):
                    # If it was ours, it has been let go since.
                    self._look(Look.ASLEEP, Look.ENDING)
            case _:
                pass

    def _note_wake(self, at: float) -> None:
        """A run sleeps until then."""
        if not self._runs.registry.names:
            return
        self._has_sleepers = True
        if at < self._wakes_at:
            self._wakes_at = at
            self._roused.set()

    def _note_left(self, execution: Execution) -> None:
        """There is room for others, as a run was let go of. Something may have been said to it too late."""
        if execution.trouble is not None:
            self._note_stray()
        if execution.record.status is RunStatus.PAUSED:
            self._looks.add(Look.ENDING)
        if self._looks:
            self._roused.set()

    def _note_stray(self) -> None:
        """A run may be ours that is not executed here. After a while it is tried again: the same may happen again."""
        self._runs.clock.call_at(self._runs.clock.now() + self._lease / 3, partial(self._look, Look.OWN))

    def _note_workflow(self) -> None:
        """A workflow is known that was not: nobody else may know of its runs that sleep."""
        self._refused.forget()
        self._look(Look.ASLEEP, Look.ENDING)

    # The loops.

    async def listen(self) -> None:
        """Fetch the messages to the runs executed here, until the engine is closed; without runs nothing is asked."""
        runs, is_told = self._runs, False
        while not runs.engine.is_stopped:
            revoke = _nothing
            if not is_told:
                revoke = runs.clock.call_at(runs.clock.now() + _LISTEN_EVERY, runs.poked.set)
            await runs.poked.wait()
            revoke()
            # Whoever pokes from here on is heard the next time.
            runs.poked.clear()
            is_told = runs.hearing.is_told
            if runs.engine.executions:
                # The next write meets the same trouble and reports it; a message is not lost by being read later.
                is_told = await self._tolerant(runs.deliver) and is_told
                self._family.look_again()
            if self._has_sleepers and not runs.hearing.is_told:
                self._look(Look.ASLEEP, Look.ENDING)

    async def keep(self) -> None:
        """Renew the lease, and see who is gone, until the engine is closed."""
        runs = self._runs
        while not runs.engine.is_stopped:
            revoke = runs.clock.call_at(runs.clock.now() + self._lease / 3, self._woken.set)
            await self._woken.wait()
            revoke()
            self._woken.clear()
            if not runs.engine.is_stopped:
                await self._tolerant(self.renew)
            if runs.clock.now() - self._looked_at > _LOOK_EVERY:
                self._look(*Look)
            elif not runs.hearing.is_told:
                self._look(Look.AWAKE, Look.ASLEEP, Look.ENDING)

    async def look(self) -> None:
        """Take up what nobody executes when there is a reason to look for it, until the engine is closed."""
        runs = self._runs
        while not runs.engine.is_stopped:
            self._roused.clear()
            is_done = await self._tolerant(self.take_up) if self._looks and not runs.engine.is_draining else True
            revokes = []
            if self._wakes_at < math.inf and Look.ASLEEP not in self._looks:
                # By the clock of the runs: they wait for nothing else.
                revokes.append(runs.engine.clock.call_at(self._wakes_at, partial(self._look, Look.ASLEEP)))
            again_at = self._refused.next_at(runs.clock.now()) if is_done else runs.clock.now() + self._lease / 3
            if again_at is not None:
                revokes.append(runs.clock.call_at(again_at, partial(self._look, Look.AWAKE, Look.ASLEEP)))
            await self._roused.wait()
            for revoke in revokes:
                revoke()

    # The lease.

    async def renew(self) -> None:
        """Say that we live. If we were taken for dead, find out what we have lost; and see who else is gone."""
        runs, now = self._runs, self._runs.clock.now()
        renewal = await runs.store.renew(str(runs.owner), self._lease, near=beginning_of(runs.owner))
        runs.engine.measures.is_answered = True
        if not renewal.was_live:
            await runs.let_lost_ones_go()
        self._seen_at = now
        self._gone = [owner for owner in renewal.near if has_died(owner)]
        if self._gone or renewal.lapsed:
            self._look(Look.AWAKE, Look.ASLEEP)

    async def reassure(self) -> None:
        """If our lease may have run out, as this process was stopped for a while, find out what we have lost."""
        if self._runs.clock.now() - self._seen_at > self._lease:
            await self._runs.let_lost_ones_go()

    # Taking up.

    async def begin(self) -> None:
        """Take up what there is, as far as that can be: one run that cannot be read keeps nobody from the others."""
        await self._tolerant(self.take_up)

    async def take_up(self) -> None:
        """
        Take up what there is a reason to look for, as far as there is room; what is left is looked for later.

        Raises:
            StoreError: as it says; it is looked for again.
        """
        async with self._taking:
            looks, self._looks = self._looks, set()
            if looks == set(Look):
                self._looked_at = self._runs.clock.now()
            try:
                if self._runs.registry.names:
                    await self._take_up(looks)
            except StoreError:
                # What was asked for may have been done.
                self._looks |= looks
                self._note_stray()
                raise

    async def _take_up(self, looks: Collection[Look]) -> None:
        runs = self._runs
        if Look.OWN in looks:
            own = RunQuery(statuses=[RunStatus.RUNNING, RunStatus.SCHEDULED], owners=[str(runs.owner)])
            for record in await runs.store.runs(own):
                if record.id not in runs.engine.executions:
                    await self._take_up_own(record)
        if Look.ENDING in looks:
            for record in await runs.store.runs(RunQuery(asked=ENDING)):
                if record.status in (RunStatus.PAUSED, RunStatus.SCHEDULED):
                    await self._take_up_known(record)
        if Look.ASLEEP in looks:
            await self._see_who_sleeps()
        if Look.AWAKE in looks or (Look.ASLEEP in looks and self._has_sleepers):
            await self._take(looks)

    async def _take(self, looks: Collection[Look]) -> None:
        """Take runs, in batches, as long as there are any and there is room."""
        runs, is_all = self._runs, False
        while not is_all and not runs.engine.is_draining:
            room = runs.room
            if room <= 0:
                self._looks.update({Look.AWAKE, Look.ASLEEP} & set(looks))
                return
            wanted = Wanted(
                awake=self._in_turn(runs.registry.served_names) if Look.AWAKE in looks else (),
                asleep=self._in_turn(runs.registry.names) if Look.ASLEEP in looks and self._has_sleepers else (),
                due_by=runs.engine.clock.now(), gone=self._gone, but=self._refused.left_alone(runs.clock.now()),
                limit=int(min(room, _AT_ONCE)),
            )  # fmt: skip
            taken = await runs.store.take(str(runs.owner), wanted)
            await self._together(self._go_on(record) for record in taken.runs)
            is_all = taken.is_all
            if not taken.runs and not is_all:
                # Somebody else takes them, most probably.
                runs.clock.call_at(runs.clock.now() + _SOON, partial(self._look, *looks))
                return

    def _in_turn(self, names: Sequence[str]) -> list[str]:
        """These names, another one first each time: with little room the first ones alone would have their turn."""
        self._turn += 1
        start = self._turn % max(1, len(names))
        return [*names[start:], *names[:start]]

    async def _go_on(self, record: RunRecord) -> None:
        error = await self._runs.go_on_if_possible(record)
        if error is not None:
            self._refused.add(record.id, error, self._runs.clock.now())

    async def _see_who_sleeps(self) -> None:
        """Find out when the next run is due."""
        store, now = self._runs.store, self._runs.engine.clock.now()
        first = await store.next_wake(-1.0)
        self._has_sleepers = first is not None
        # What is due already is somebody else's, or not for us.
        self._wakes_at = (first if first is None or first > now else await store.next_wake(now)) or math.inf

    async def _take_up_own(self, record: RunRecord) -> None:
        """See to a run that is ours, though nobody executes it: what sleeps, or is not known here, is let go of."""
        if record.wake_at is None and self._runs.registry.find(record) is not None:
            await self._take_up_known(record)
        else:
            await self._runs.let_go_of(record)

    async def _take_up_known(self, record: RunRecord) -> None:
        runs = self._runs
        if runs.registry.find(record) is not None and not runs.engine.is_draining:
            await runs.take_up_if_possible(record)

    async def _together(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Do all this at once: each takes some calls of the store, and what many ask is written together."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work)
        except BaseExceptionGroup as error:
            # A bug of ours, or of a store: it is told as it was raised.
            raise error.exceptions[0] from None

    async def _tolerant(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it; a store in trouble is told of, and asked again later. Whether it was done."""
        try:
            await work()
        except StoreError as error:
            self._runs.engine.measures.is_answered = False
            if not self._runs.engine.is_stopped:
                _LOGGER.warning("%s", error)
            return False
        return True


def _nothing() -> None:
    pass
