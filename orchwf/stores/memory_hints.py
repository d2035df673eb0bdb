"""What a store in memory tells those who listen."""

import asyncio
from collections.abc import Callable, Iterable

from ..core.state import RunStatus
from ..ports import Append, Hint, HintKind, Message, RunRecord
from .hints import RESTS, brings_to_rest, hint_of


class Hints:
    """Tells all that listen, at once, on the loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[Hint], None]] = {}
        self._watched: set[str] = set()

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        """What `Store.listen` says."""
        listener = object()
        self._listeners[listener] = heard
        try:
            heard(Hint(HintKind.BEGUN))
            await asyncio.Event().wait()
        finally:
            del self._listeners[listener]

    def watch(self, record: RunRecord | None) -> bool:
        """What `Store.watch` says."""
        if record is None or record.status in RESTS:
            return False
        self._watched.add(record.id)
        return True

    def appended(self, append: Append) -> None:
        """This was written."""
        if hint := hint_of(append):
            self.tell(hint)
        if brings_to_rest(append):
            self.rests(append.run_id)

    def freed(self, records: Iterable[RunRecord]) -> None:
        """Nobody owns these any more."""
        goes_on = [record for record in records if record.status not in RESTS]
        if any(record.wake_at is None and record.status is RunStatus.RUNNING for record in goes_on):
            self.tell(Hint(HintKind.FREE))
        if wakes := [record.wake_at for record in goes_on if record.wake_at is not None]:
            self.tell(Hint(HintKind.ASLEEP, at=min(wakes)))

    def rests(self, run_id: str) -> None:
        """A run rests now, or is no more."""
        if run_id in self._watched:
            self._watched.discard(run_id)
            self.tell(Hint(HintKind.RESTS, run_id))

    def said(self, message: Message, owner: str | None) -> None:
        """Something was said to a run of this owner."""
        self.tell(Hint(HintKind.MESSAGE, message.run_id, owner))

    def tell(self, hint: Hint) -> None:
        """Tell everybody."""
        for heard in list(self._listeners.values()):
            heard(hint)
