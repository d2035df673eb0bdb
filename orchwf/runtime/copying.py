"""Copying runs from one store to another, so that each goes on in one of them only."""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

import attrs

from ..core.events import RunStarted
from ..errors import ConflictError, RunEndedError, RunExistsError, RunNotFoundError
from ..ports import Append, Clock, RunQuery, RunRecord, Store
from .owner import is_abandoned, parse_owner
from .transfer import Comparison, Fate, RefusedError, Transfer, departure, has_departed, leaving

_AT_ONCE = 200
"""How many runs are looked at together."""
_MOST_EVENTS = 5_000
"""How many events are written together, but for those of the last run."""
_LEASE = 120.0
"""Seconds for which a run that is being copied is ours, so that nobody goes on with it meanwhile."""


class Outcome(StrEnum):
    """What became of a run that was to be copied."""

    COPIED = "copied"
    THERE = "there"
    """It was there already."""
    LEFT = "left"
    """It was left alone, as it is at work, or belongs to one that is."""
    CONFLICT = "conflict"
    """Another one is in its place."""


@attrs.frozen(kw_only=True)
class CopiedRun:
    """
    One run or schedule that was to be copied.

    Attributes:
        id: Of the run, or the name of the schedule.
        outcome: What became of it.
        reason: Why, if it was not copied; empty otherwise.
        goes_on: Whether it had not ended, and goes on in the target from now on.
        is_schedule: Whether it is a schedule.
    """

    id: str
    outcome: Outcome
    reason: str = ""
    goes_on: bool = False
    is_schedule: bool = False


class Copying:
    """
    Copies runs, the oldest first.

    A run that has not ended goes on in the target only. While it is written there it is paused there, and claimed here;
    then it is cancelled here, and goes on there: wherever this process dies, it goes on in one of the two. It goes with
    all runs that it started, as they wait for each other.

    Args:
        owner: Who copies: the owner of what is claimed.
        move: Whether what is in the target is deleted from the source.
    """

    def __init__(self, source: Store, target: Store, *, owner: str, clock: Clock, move: bool = False) -> None:
        self._source = source
        self._target = target
        self._owner = owner
        self._clock = clock
        self._move = move
        self._transfer = Transfer(source, target)
        self._done: set[str] = set()

    async def named(self, run_ids: Sequence[str]) -> AsyncIterator[CopiedRun]:
        """
        Copy these runs.

        Raises:
            RunNotFoundError: there is none of an id; those before it are copied.
        """
        for run_id in dict.fromkeys(run_ids):
            record = await self._source.get(run_id)
            if record is None:
                raise RunNotFoundError(run_id, self._source.url)
            async for each in self._page([record]):
                yield each

    async def matching(self, query: RunQuery) -> AsyncIterator[CopiedRun]:
        """Copy the runs that match; those that begin meanwhile are left to the next time."""
        # Of each page only the bounds are held, as the last one comes first.
        query, bounds = attrs.evolve(query, limit=_AT_ONCE), list[tuple[int, int]]()
        while page := await self._source.runs(query):
            bounds.append((page[0].number, page[-1].number))
            query = attrs.evolve(query, before=page[-1].number)
        for newest, oldest in reversed(bounds):
            page = await self._source.runs(attrs.evolve(query, before=newest + 1))
            async for each in self._page([record for record in reversed(page) if record.number >= oldest]):
                yield each

    async def _page(self, records: Sequence[RunRecord]) -> AsyncIterator[CopiedRun]:
        """Copy these, as many as there are in one write."""
        batch: list[Append] = []
        for record in records:
            if record.id in self._done:
                continue
            if parent := await self._unfinished_parent(record):
                yield CopiedRun(
                    id=record.id, outcome=Outcome.LEFT, reason=f"run {parent!r}, which has started it, has not ended"
                )
                continue
            whole = await self._transfer.whole(record) if record.status.is_final and not has_departed(record) else None
            if whole is not None:
                batch.append(whole)
                if sum(len(append.events) for append in batch) >= _MOST_EVENTS:
                    for each in await self._written(batch):
                        yield each
                    batch = []
                continue
            # What comes later is created later.
            for each in await self._written(batch):
                yield each
            batch = []
            for each in await self._family(record):
                yield each
        for each in await self._written(batch):
            yield each

    async def _written(self, batch: Sequence[Append]) -> list[CopiedRun]:
        """Write these runs, which have ended; what is there already is compared."""
        found: list[CopiedRun] = []
        for append, trouble in zip(batch, await self._target.append(batch) if batch else [], strict=True):
            match trouble:
                case None:
                    found.append(CopiedRun(id=append.run_id, outcome=Outcome.COPIED))
                case RunExistsError():
                    found.append(await self._known(append))
                case _:
                    found.append(CopiedRun(id=append.run_id, outcome=Outcome.CONFLICT, reason=str(trouble)))
        await self._forget([each.id for each in found if not each.reason])
        return found

    async def _known(self, append: Append) -> CopiedRun:
        """What becomes of a run that has ended, and of which there is something in the target."""
        there = await self._target.get(append.run_id)
        is_same = there is not None and append.create is not None and there.status is append.create.status
        if is_same and append.events == await self._target.read(append.run_id, limit=len(append.events) + 1):
            return CopiedRun(id=append.run_id, outcome=Outcome.THERE)
        record = await self._source.get(append.run_id)
        if record is None:
            return CopiedRun(id=append.run_id, outcome=Outcome.LEFT, reason="somebody has just deleted it")
        return (await self._family(record))[0]

    async def _forget(self, run_ids: Sequence[str]) -> None:
        if self._move and run_ids:
            await self._source.delete(run_ids)

    async def _unfinished_parent(self, record: RunRecord) -> str:
        """The run that started this one and has not ended, so that it goes with that; empty if there is none."""
        if "parent" not in record.tags:
            return ""
        begun = await self._beginning(record.id)
        parent = await self._source.get(begun.parent) if begun is not None and begun.parent else None
        return "" if parent is None or parent.status.is_final else parent.id

    async def _beginning(self, run_id: str) -> RunStarted | None:
        log = await self._source.read(run_id, limit=1)
        return log[0] if log and isinstance(log[0], RunStarted) else None

    async def _descendants(self, record: RunRecord) -> list[RunRecord]:
        """The runs that this one started, and those that they did, each after the one that started it."""
        found: list[RunRecord] = []
        query = RunQuery(tags={"parent": record.id}, limit=_AT_ONCE)
        while page := await self._source.runs(query):
            for each in page:
                begun = await self._beginning(each.id)
                # Anybody may give a tag of this name.
                if begun is not None and begun.parent == record.id:
                    found += [each, *await self._descendants(each)]
            query = attrs.evolve(query, before=page[-1].number)
        return found

    async def _family(self, root: RunRecord) -> list[CopiedRun]:
        """Copy a run, with all that it started if it has not ended; one that was copied in part is finished."""
        is_alone = root.status.is_final
        if has_departed(root):
            comparison = await self._transfer.compare(root)
            if comparison.fate is Fate.CONFLICT:
                return [CopiedRun(id=root.id, outcome=Outcome.LEFT, reason=comparison.reason)]
            is_alone = comparison.fate is Fate.NOTHING
        members = [root] if is_alone else [root, *await self._descendants(root)]
        try:
            return await self._together(members, claims=not is_alone)
        except _LeftError as error:
            return [CopiedRun(id=error.run_id, outcome=error.outcome, reason=error.reason)]
        finally:
            if not is_alone:
                await self._source.release(self._owner)

    async def _together(self, members: Sequence[RunRecord], *, claims: bool) -> list[CopiedRun]:
        claimed = await self._claimed(members, claims=claims)
        wanted: dict[str, Comparison] = {}
        for record in claimed:
            comparison = wanted[record.id] = await self._transfer.compare(record)
            if comparison.fate is Fate.CONFLICT:
                raise _LeftError(record.id, Outcome.CONFLICT, comparison.reason)
        # Those that are waited for before those that wait.
        written = [each for each in reversed(claimed) if wanted[each.id].fate is not Fate.NOTHING]
        for record in written:
            if claims:
                await self._source.renew(self._owner, _LEASE)
            try:
                await self._transfer.write(record, wanted[record.id])
            except RefusedError as error:
                raise _LeftError(record.id, Outcome.CONFLICT, str(error)) from error
        leaving_now = [record for record in claimed if not record.status.is_final]
        await self._leave(leaving_now, wanted)
        await self._pass_on([record.id for record in written])
        finishing = [await self._transfer.finishing(record, wanted[record.id].length) for record in written]
        for append, trouble in zip(finishing, await self._target.append(finishing), strict=True):
            # What was said to it may have roused it already: then it goes on there as it is.
            if trouble is not None and not isinstance(trouble, ConflictError):
                raise _LeftError(append.run_id, Outcome.CONFLICT, str(trouble))
        await self._forget([record.id for record in claimed])
        self._done.update(record.id for record in claimed)
        ids = {record.id for record in written}
        open_ids = {record.id for record in claimed if not record.status.is_final or has_departed(record)}
        return [
            CopiedRun(id=each.id, outcome=Outcome.COPIED, goes_on=each.id in open_ids)
            if each.id in ids else CopiedRun(id=each.id, outcome=Outcome.THERE)
            for each in claimed
        ]  # fmt: skip

    async def _claimed(self, members: Sequence[RunRecord], *, claims: bool) -> list[RunRecord]:
        """These as they are once nobody can go on with them: claimed, but for those that have ended."""
        found: list[RunRecord] = []
        if claims:
            await self._source.renew(self._owner, _LEASE)
        for record in members:
            if claims and (not record.status.is_final or has_departed(record)):
                if record.owner is not None and not is_abandoned(record):
                    label = parse_owner(record.owner).label
                    raise _LeftError(record.id, Outcome.LEFT, f"it is being executed by {label}")
                if not await self._source.claim(record.id, self._owner, previous=record.owner):
                    raise _LeftError(record.id, Outcome.LEFT, "somebody has just taken it up")
            current = await self._source.get(record.id)
            if current is None or current.status.is_final != record.status.is_final:
                raise _LeftError(record.id, Outcome.LEFT, "it has changed meanwhile; copy it again")
            found.append(current)
        return found

    async def _leave(self, records: Sequence[RunRecord], wanted: dict[str, Comparison]) -> None:
        """End these in the source: from now on they can go on in the target only. Who waits for others comes first."""
        now, reason = self._clock.now(), departure(self._target.url)
        for record in records:
            append = leaving(record, wanted[record.id].length, now, reason, self._owner)
            (trouble,) = await self._source.append([append])
            if trouble is not None:
                raise _LeftError(record.id, Outcome.LEFT, "somebody has just taken it up; copy it again")

    async def _pass_on(self, run_ids: Sequence[str]) -> None:
        """Say to these in the target what was said to them in the source, where nothing can be said any more."""
        for message in await self._source.inbox(self._owner):
            if message.run_id in run_ids:
                try:
                    await self._target.send(message)
                except RunEndedError:
                    # It was roused by what was said before.
                    continue


class _LeftError(Exception):
    """A run is not copied, and with it those that belong to it."""

    def __init__(self, run_id: str, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.run_id = run_id
        self.outcome = outcome
        self.reason = reason
