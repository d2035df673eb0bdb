"""A run that is followed on the screen of a notebook while it goes on, whoever executes it."""

from typing import Protocol

import attrs

from ..core.dag import Dag
from ..core.history import History, StepRecord
from ..core.state import RunStatus
from ..core.wording import duration_text
from ..errors import OrchwfError
from ..ports import Clock, RunRecord, Store
from .result import count_statuses, mimebundle_of
from .showing import Pace, Screen, Showings

_PAGE = 1000


class Book(Protocol):
    """Where runs are read: a `Ledger`."""

    store: Store
    clock: Clock
    showings: Showings

    async def record(self, run_id: str) -> RunRecord:
        """The summary of a run."""
        ...

    async def dag_to_show(self, record: RunRecord) -> Dag | None:
        """Its definition."""
        ...


@attrs.define
class Live:
    """
    Draws a run, and again when something of it was written, until it rests or its ledger is closed.

    The log is read from where it was read to: a long one is not read twice.
    """

    book: Book
    run_id: str
    screen: Screen
    _history: History = attrs.field(default=attrs.Factory(lambda self: History(self.run_id), takes_self=True))
    _dag: Dag | None = None
    _pace: Pace = attrs.field(factory=Pace)

    async def follow(self) -> None:
        """Draw until there is nothing more to come."""
        try:
            while True:
                # What is written while it is drawn for the last time would not be seen.
                is_last = self.book.showings.is_closed
                await self._look()
                if is_last or self._rests:
                    return
                await self.book.showings.rest(self.book.clock, self._pace.wait)
                self._pace.quiet += self._pace.wait
        except OrchwfError as error:
            # Nobody awaits this: who looks at the picture is told, and the run goes on without it.
            self._show(f"no longer followed: {error}")

    @property
    def _rests(self) -> bool:
        return self._history.status.is_final or self._history.status is RunStatus.PAUSED

    async def _look(self) -> None:
        """Read what is new, and draw it; what takes longer is drawn from time to time though nothing is new."""
        fingerprint = self._history.fingerprint
        while page := await self.book.store.read(self.run_id, after=self._history.seq, limit=_PAGE):
            self._history.extend(page)
            self._pace.quiet = 0.0
        if self._dag is None or fingerprint != self._history.fingerprint:
            self._dag = await self.book.dag_to_show(await self.book.record(self.run_id))
        # What takes long to draw is drawn seldom, but its end at once.
        if self._rests or self.book.showings.is_closed or self.book.clock.now() >= self._pace.due_at:
            self._pace.draw(self._show, self.book.clock)

    def _show(self, trouble: str = "") -> None:
        history, now = self._history, self.book.clock.now()
        end = now if history.ended_at is None else history.ended_at
        took = "" if history.started_at is None else f" for {duration_text(max(0.0, end - history.started_at))}"
        took = took.replace(" for ", " in ") if history.ended_at is not None else took
        names = self._dag.nodes if self._dag is not None else history.steps
        steps = {name: history.steps.get(name) or StepRecord(name) for name in names}
        reason = history.error or history.reason
        said = f"run {self.run_id}: {history.status}{took}, {count_statuses(steps.values())}"
        note = "; ".join(filter(None, (said, reason, trouble)))
        if self._dag is None:
            self.screen.show({"text/plain": f"<{note}>"})
            return
        self.screen.show(mimebundle_of(self._dag, steps, note, now))
