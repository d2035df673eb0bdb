"""A run of the store with all that its log says, and what there is to tell of it."""

import os
import time

import attrs

from ..core.dag import Dag
from ..core.history import History
from ..core.names import LAST, LAST_FAILED
from ..core.report import Report
from ..core.state import RunStatus
from ..core.timelines import SlowPath, period_of, slow_path
from ..core.wording import duration_text
from ..drawing import Timeline
from ..ports import RunRecord, Store
from ..runtime.result import RunResult
from ..runtime.stored import stored_dag, stored_history
from .owners import interruption, is_interrupted
from .runs import sleep_text


@attrs.frozen
class Found:
    """
    A run and its log, read from the store.

    Attributes:
        record: Its summary.
        history: What became of it.
        dag: The definition it was started with, without code; None if the store lost it.
    """

    record: RunRecord
    history: History
    dag: Dag | None

    @property
    def result(self) -> RunResult[object]:
        """It as a result."""
        return RunResult(self.record, self.history, self.dag)

    def path(self, now: float) -> SlowPath:
        """The path of steps that took longest so far."""
        history = self.history
        period = period_of(history.steps, history.started_at, history.ended_at or self._until(now))
        return slow_path(history.steps, self.dag, period.end)

    def timeline(self, now: float) -> Timeline:
        """What it did when so far, under no title."""
        return attrs.evolve(self.result.timeline_until(self._until(now)), title="", note="")

    def _until(self, now: float) -> float | None:
        """To when its steps go on (epoch seconds): if nobody executes it, to what happened last."""
        return None if is_interrupted(self.record) else now

    def longest(self) -> str:
        """`extract 2 ms > load 1.2 s   (1.2 s of 2.1 s)`: what took longest, one after the other; empty if nothing."""
        begun_at, ended_at = self.history.started_at, self.history.ended_at
        if begun_at is None or ended_at is None:
            return ""
        path = self.path(ended_at)
        if len(path.steps) < 2:
            return ""
        return f"{path}   ({duration_text(path.duration)} of {duration_text(ended_at - begun_at)})"

    def report(self, *, store: str | None = "", since: float | None = None, verbose: bool = False) -> Report:
        """
        What there is to tell of it.

        Args:
            store: The URL to name in the commands that are told; empty if it is found without, None for no commands.
            since: Count the duration from here (epoch seconds), not from the beginning of the run.
        """
        named = None if self.record.id in (LAST, LAST_FAILED) else store
        report = self.result.report(store=named, folder=os.getcwd())
        began = since if since is not None else self.history.started_at
        ended = self.history.ended_at if self.history.ended_at is not None else time.time()
        # The log was read after the summary, and may know more.
        reason = interruption(self.record) if self.history.status is RunStatus.RUNNING else ""
        is_left = (
            bool(reason) or self.record.is_queued or self.history.status in (RunStatus.PAUSED, RunStatus.SCHEDULED)
        )
        duration = None if began is None or (is_left and since is None) else ended - began
        is_open = self.history.status in (RunStatus.RUNNING, RunStatus.SCHEDULED)
        rest = sleep_text(self.record, time.time()) if is_open else ""
        return attrs.evolve(
            report, duration=duration, interrupted=bool(reason), reason=reason or rest or report.reason,
            verbose=verbose,
        )  # fmt: skip


async def read_run(store: Store, record: RunRecord) -> Found:
    """
    The run with all that its log says.

    Raises:
        StoreError: it has no log, or one that cannot be read.
    """
    history = await stored_history(store, record.id)
    return Found(record, history, await stored_dag(store, record.fingerprint))
