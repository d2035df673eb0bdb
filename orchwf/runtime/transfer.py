"""The log of one run, brought from one store into another: compared with what is there, and written."""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

import attrs

from ..core.events import Event, RunCancelled, RunResumed, RunStarted
from ..core.history import History
from ..core.state import RunStatus
from ..ports import Append, RunRecord, Store, Summary

_PAGE = 500
_KNOWN_DEFINITIONS = 64

INTERIM = "it is being copied into this store, and is not whole yet; the same orchwf copy goes on with it"
"""Why a run is paused whose log is not written to its end yet: nobody takes it up."""
_DEPARTED = ("copied to ", ", where it goes on")


def departure(url: str) -> str:
    """Why a run is cancelled that goes on in the store of this URL."""
    return f"{_DEPARTED[0]}{url}{_DEPARTED[1]}"


def has_departed(record: RunRecord) -> bool:
    """Whether a run was cancelled as it goes on in another store."""
    begin, end = _DEPARTED
    return record.status is RunStatus.CANCELLED and record.error.startswith(begin) and record.error.endswith(end)


def is_interim(record: RunRecord) -> bool:
    """Whether the log of a run is not written to its end yet."""
    return record.status is RunStatus.PAUSED and record.error == INTERIM


class RefusedError(Exception):
    """The target did not take what was to be appended; the text says why."""


class Fate(StrEnum):
    """What is to be done about a run that is to be copied."""

    WRITE = "write"
    """From the first event that is not there."""
    REPLACE = "replace"
    """What is there is older, and went on in the other store: it comes back."""
    NOTHING = "nothing"
    """It is there already, and maybe has gone on there."""
    CONFLICT = "conflict"


@attrs.frozen(kw_only=True)
class Comparison:
    """
    A run that is to be copied, beside what the target has of it.

    Attributes:
        fate: What is to be done.
        length: How many events are to be in the target: all but the one by which it left for there.
        start: How many of them are there.
        reason: Of a conflict: what is wrong.
    """

    fate: Fate
    length: int
    start: int = 0
    reason: str = ""


class Transfer:
    """Copies logs from the `source` to the `target`; who executes what is for others to see to."""

    def __init__(self, source: Store, target: Store) -> None:
        self.source = source
        self.target = target
        self._definitions: dict[str, str | None] = {}

    async def compare(self, record: RunRecord) -> Comparison:
        """What is to be done about this run of the source."""
        there = await self.target.get(record.id)
        length, length_there, common = 0, 0, 0
        if there is None:
            length = await _length(self.source, record.id)
        else:
            ours, theirs = _events(self.source, record.id), _events(self.target, record.id)
            while True:
                one, other = await anext(ours, None), await anext(theirs, None)
                if one is None and other is None:
                    break
                length += one is not None
                length_there += other is not None
                if one == other and common == length - 1:
                    common = length
        length -= has_departed(record)
        if there is None:
            return _of_absent(record, length)
        length_there -= has_departed(there)
        return _of_both(record, there, length, length_there, common)

    async def write(self, record: RunRecord, comparison: Comparison) -> None:
        """
        Write what the target lacks of the log; the run is paused there until it is finished.

        Raises:
            RefusedError: somebody else has written to it there, or it cannot be stored there.
        """
        start = comparison.start
        if comparison.fate is Fate.REPLACE:
            await self.target.delete([record.id])
            start = 0
        interim = Summary(status=RunStatus.PAUSED, fingerprint=record.fingerprint, error=INTERIM)
        after, summary = start, interim if start else None
        async for page in pages(self.source, record.id, after, comparison.length):
            create = None if after else attrs.evolve(arriving(record), **attrs.asdict(interim))
            append = Append(run_id=record.id, expected=after, events=page, create=create, summary=summary)
            _raise_if_any(await self.target.append([append]))
            after, summary = page[-1].seq, None
            for fingerprint in _fingerprints(page):
                # A run that went on with another definition keeps both.
                if fingerprint != record.fingerprint:
                    await self._define(record, after, fingerprint)
        if summary is not None:
            append = Append(run_id=record.id, expected=after, events=[], summary=summary)
            _raise_if_any(await self.target.append([append]))

    async def _define(self, record: RunRecord, expected: int, fingerprint: str) -> None:
        definition = await self.definition(fingerprint)
        if definition is not None:
            summary = Summary(status=RunStatus.PAUSED, fingerprint=fingerprint, error=INTERIM)
            append = Append(
                run_id=record.id, expected=expected, events=[], summary=summary, definition=lambda: definition
            )  # fmt: skip
            _raise_if_any(await self.target.append([append]))

    async def finishing(self, record: RunRecord, length: int) -> Append:
        """The append by which a run is in the target what it is in the source, or was when it left for there."""
        definition = await self.definition(record.fingerprint)
        return Append(
            run_id=record.id, expected=length, events=[], summary=await self._summary(record, length),
            definition=None if definition is None else lambda: definition,
        )  # fmt: skip

    async def _summary(self, record: RunRecord, length: int) -> Summary:
        if not has_departed(record):
            return Summary(
                status=record.status, fingerprint=record.fingerprint, ended_at=record.ended_at, error=record.error,
                wake_at=record.wake_at, slept_at=record.slept_at,
            )  # fmt: skip
        history = History(record.id)
        async for page in pages(self.source, record.id, 0, length):
            history.extend(page)
        begun = (await self.source.read(record.id, limit=1))[0]
        # A run that slept is taken up, and falls asleep again; one that is to begin later has to be told when.
        later = begun.not_before if isinstance(begun, RunStarted) and history.status is RunStatus.SCHEDULED else None
        return Summary(
            status=history.status, fingerprint=record.fingerprint, wake_at=later,
            error=history.reason if history.status is RunStatus.PAUSED else "",
            slept_at=None if later is None else begun.at,
        )  # fmt: skip

    async def whole(self, record: RunRecord) -> Append | None:
        """The append that creates a run that has ended, with its log; None if that takes more than one."""
        events = await self.source.read(record.id, limit=_PAGE)
        if not events or await self.source.read(record.id, after=events[-1].seq, limit=1):
            return None
        if set(_fingerprints(events)) != {record.fingerprint} or events[-1].at != record.ended_at:
            return None
        definition = await self.definition(record.fingerprint)
        return Append(
            run_id=record.id, expected=0, events=events, create=arriving(record),
            definition=None if definition is None else lambda: definition,
        )  # fmt: skip

    async def definition(self, fingerprint: str) -> str | None:
        """The text of a definition of the source; nearly all runs have the same few."""
        if fingerprint not in self._definitions:
            if len(self._definitions) >= _KNOWN_DEFINITIONS:
                self._definitions.clear()
            self._definitions[fingerprint] = await self.source.definition(fingerprint)
        return self._definitions[fingerprint]


def arriving(record: RunRecord) -> RunRecord:
    """The run as it is created in another store: nobody owns it there."""
    return attrs.evolve(record, owner=None, has_lapsed=False, number=0)


def _of_absent(record: RunRecord, length: int) -> Comparison:
    if has_departed(record):
        return Comparison(fate=Fate.CONFLICT, length=length, reason=f"it was {record.error}")
    return Comparison(fate=Fate.WRITE, length=length)


def _of_both(record: RunRecord, there: RunRecord, length: int, length_there: int, common: int) -> Comparison:
    """What is to be done about a run that is in both stores, of which so many events are equal."""

    def found(fate: Fate, reason: str = "") -> Comparison:
        return Comparison(fate=fate, length=length, start=length_there, reason=reason)

    if common < min(length, length_there):
        return found(Fate.CONFLICT, f"another run of this id is there: they differ from event {common + 1} on")
    if is_interim(there) and length_there <= length:
        return found(Fate.WRITE)
    if has_departed(record):
        return found(Fate.NOTHING)
    if has_departed(there):
        if length_there <= length:
            return found(Fate.REPLACE)
        return found(Fate.CONFLICT, f"it went further there, and then it was {there.error}")
    if length_there > length:
        return found(Fate.CONFLICT, f"it went further there: {length_there} events, and here {length}")
    if not there.status.is_final:
        return found(Fate.CONFLICT, "it is unfinished there, too, and may go on there: delete it in one of them")
    return found(Fate.NOTHING if length == length_there else Fate.WRITE)


async def pages(store: Store, run_id: str, after: int, last: int) -> AsyncIterator[list[Event]]:
    """The log of a run behind this event and up to that one, piece by piece."""
    while after < last and (page := await store.read(run_id, after=after, limit=min(_PAGE, last - after))):
        yield page
        after = page[-1].seq


async def _events(store: Store, run_id: str) -> AsyncIterator[Event]:
    after = 0
    while page := await store.read(run_id, after=after, limit=_PAGE):
        for event in page:
            yield event
        after = page[-1].seq


async def _length(store: Store, run_id: str) -> int:
    after = 0
    while page := await store.read(run_id, after=after, limit=_PAGE):
        after = page[-1].seq
    return after


def _fingerprints(events: Sequence[Event]) -> list[str]:
    found = [event.fingerprint for event in events if isinstance(event, RunStarted | RunResumed)]
    return list(dict.fromkeys(found))


def _raise_if_any(outcomes: Sequence[Exception | None]) -> None:
    for outcome in outcomes:
        if outcome is not None:
            raise RefusedError(str(outcome)) from outcome


def leaving(record: RunRecord, length: int, at: float, reason: str, owner: str) -> Append:
    """The append by which a run ends in the source, as it goes on in the target."""
    return Append(
        run_id=record.id, expected=length, events=[RunCancelled(seq=length + 1, at=at, reason=reason)], owner=owner,
        summary=Summary(status=RunStatus.CANCELLED, fingerprint=record.fingerprint, ended_at=at, error=reason),
    )  # fmt: skip
