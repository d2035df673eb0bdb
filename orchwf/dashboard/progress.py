"""How far the runs of a listing are: read from their logs, little by little, and only what is new of each."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs

from ..core.events import Event, StepCompleted
from ..core.history import History
from ..core.lines import brief
from ..core.progress import Tally, items_text, told_status
from ..core.state import RunStatus, StepStatus
from ..errors import IllegalTransitionError, StoreError
from ..ports import LightStore, RunRecord, Store
from .looks import look_of

MOST_AT_ONCE = 3_000
"""How many events are read for one page at most: the rest is left to the next look."""
LONGEST = 20_000
"""Of a run with more events nothing is said in a listing: its own page counts them."""
_SHARE = 100
"""How many of these each run has before any has more."""
_PAGE = 500
_KEPT = 2_000
"""Of how many runs it is kept how far they are: a few hundred bytes each."""
_MOST_HELD = 60_000
"""How many events all logs have together, at most, that are kept to be gone on with."""
_LARGE = 100_000
"""How long a definition may be (characters) that is read on the loop."""
_WIDTH = 60.0


@attrs.frozen(kw_only=True)
class Progress:
    """
    How far a run is.

    Attributes:
        text: `12/14, 1 failed`.
        bars: Where each part of its bar begins, how wide it is (of 60), and how it looks.
        error: The first line of the first error among its steps, with the name of the step; empty if there is none.
    """

    text: str
    bars: tuple[tuple[float, float, str], ...]
    error: str = ""


@attrs.define
class _Known:
    """
    What is known of one run.

    Attributes:
        history: What it has come to, to go on from; None if it has ended, has too many events, or was not asked for
            for long.
        progress: How far it is, as far as its log was read; None if not up to its end.
        ended_at: With which end its log was read as a whole; None if it has not ended.
        is_long: Whether it has too many events.
    """

    history: History | None = None
    progress: Progress | None = None
    ended_at: float | None = None
    is_long: bool = False

    def is_as_before(self, record: RunRecord) -> bool:
        """Whether nothing of it need be read again."""
        return self.is_long or (record.ended_at is not None and self.ended_at == record.ended_at)


@attrs.define(eq=False)
class Progresses:
    """How far the runs of one store are, as far as somebody has asked."""

    _runs: "OrderedDict[int, _Known]" = attrs.field(factory=OrderedDict, init=False)
    _sizes: "OrderedDict[str, int]" = attrs.field(factory=OrderedDict, init=False)
    # Two that read on from one place would both add what they have read.
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def of(self, store: Store, records: Sequence[RunRecord]) -> Mapping[int, Progress]:
        """
        Number of a run -> how far it is, of those whose logs could be read up to their end.

        Of a run that has ended nothing is read twice; of another one what is new.
        """
        found, room = {}, MOST_AT_ONCE
        async with self._lock:
            known = [(record, self._runs.pop(record.number, _Known())) for record in records]
            # A long one keeps none of the short ones waiting.
            for share in (_SHARE, MOST_AT_ONCE):
                for record, each in known:
                    if not each.is_as_before(record) and (share == _SHARE or each.progress is None):
                        # Of a damaged log its own page tells.
                        with suppress(StoreError):
                            room -= await self._read_on(store, record, each, min(room, share))
            for record, each in known:
                self._runs[record.number] = each
                if each.progress is not None:
                    found[record.number] = each.progress
            self._forget()
        return found

    async def _read_on(self, store: Store, record: RunRecord, known: _Known, room: int) -> int:
        """Read at most so many events that are new; returns how many they were."""
        read = store.read_light if isinstance(store, LightStore) else store.read
        history, known.history = known.history or History(record.id), None
        begun, is_all = history.seq, False
        while not is_all and history.seq < min(LONGEST, begun + room):
            page = await read(record.id, history.seq, min(_PAGE, begun + room - history.seq))
            _extend(history, page)
            is_all = not page
        known.is_long = history.seq >= LONGEST
        if not is_all or known.is_long:
            known.progress = None
        elif known.progress is None or history.seq > begun:
            known.progress = _progress(history, await self._size_of(store, history.fingerprint))
        if is_all and record.ended_at is not None:
            known.ended_at = record.ended_at
        elif not known.is_long:
            known.history = history
        return history.seq - begun

    async def _size_of(self, store: Store, fingerprint: str) -> int:
        """How many steps a definition has; 0 if the store has lost it."""
        if fingerprint not in self._sizes:
            text = await store.definition(fingerprint) or ""
            is_small = len(text) < _LARGE
            self._sizes[fingerprint] = _count_steps(text) if is_small else await asyncio.to_thread(_count_steps, text)
            if len(self._sizes) > _KEPT:
                self._sizes.popitem(last=False)
        return self._sizes[fingerprint]

    def _forget(self) -> None:
        """Keep no more than there is room for: what was not asked for longest goes first."""
        while len(self._runs) > _KEPT:
            self._runs.popitem(last=False)
        held = [known for known in self._runs.values() if known.history is not None]
        events = sum(known.history.seq for known in held if known.history is not None)
        for known in held:
            if events <= _MOST_HELD or known.history is None:
                break
            events -= known.history.seq
            known.history, known.progress = None, None


def _extend(history: History, page: Sequence[Event]) -> None:
    # What steps returned is not looked at here, and may be large.
    light = [attrs.evolve(event, output="null") if isinstance(event, StepCompleted) else event for event in page]
    try:
        history.extend(light)
    except IllegalTransitionError as error:
        raise StoreError(str(error)) from error


def _count_steps(text: str) -> int:
    try:
        return len(json.loads(text)["steps"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0


_ENDS = (StepStatus.COMPLETED, StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.FAILED)
"""What is shown of steps in a bar: it is full when all have ended."""


def _progress(history: History, size: int) -> Progress:
    tally = Tally(max(size, len(history.steps)))
    for number, record in enumerate(history.steps.values()):
        tally.note(number, told_status(record))
    bars, at = [], 0.0
    for status in _ENDS:
        width = _WIDTH * tally.counts.get(status, 0) / max(1, tally.total)
        if width:
            bars.append((round(at, 1), round(width, 1), look_of(status)))
        at += width
    errors = (
        brief(f"{name}: {each.error.headline}")
        for name, each in history.steps.items() if each.error is not None and told_status(each) in _TROUBLED
    )  # fmt: skip
    # Also of a run that has completed it is said how many of how many.
    text = items_text(tally, None, StepStatus.RUNNING)
    return Progress(text=text, bars=tuple(bars), error=next(errors, "") if history.status is RunStatus.RUNNING else "")


_TROUBLED = (StepStatus.FAILED, StepStatus.RETRYING)
