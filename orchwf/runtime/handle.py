"""A run in the hand: what can be asked of it, and done to it, from here or from another process."""

import asyncio
import os
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..core.events import Event
from ..core.history import StepRecord
from ..core.options import Duration, seconds
from ..core.progress import standing_record
from ..core.references import SignalRef
from ..core.state import RunStatus, StepStatus
from ..errors import (
    LoopLimitError,
    RecordedError,
    RunCancelled,
    RunError,
    RunFailed,
    RunInterruptedError,
    RunPaused,
    StepTimeoutError,
    TooFewItemsError,
    UsageError,
    WaitTimeoutError,
)
from ..ports import RunRecord
from .execution import Execution
from .ledger import Ledger
from .live import Live
from .result import RunResult, count_statuses, mimebundle_of
from .showing import is_loop_running, open_screen
from .stored import stored_history

if TYPE_CHECKING:
    # For a type only: what draws is loaded by who looks.
    from ..drawing import Timeline

W = TypeVar("W")
V = TypeVar("V")
_PAGE = 1000
_SHORTEST, _LONGEST = 0.02, 0.5
_ASLEEP = 5.0
_OURS = {f"orchwf.errors.{each.__name__}": each for each in (StepTimeoutError, LoopLimitError, TooFewItemsError)}
"""What steps fail with though no body raised it."""
_ENDS = frozenset(status for status in RunStatus if status.is_final)
_RESTS = _ENDS | {RunStatus.PAUSED}
"""Where a run is that nobody executes: it has ended, or waits for somebody to resume it."""


class RunHandle(Generic[W]):
    """
    A run, by its id. It holds no state of its own: what it says is read from the store.

    Attributes:
        id: The id of the run.
    """

    def __init__(self, ledger: Ledger, run_id: str, execution: Execution | None = None) -> None:
        self.id = run_id
        self._ledger = ledger
        # What happened to it here is kept for as long as the handle is: the exceptions themselves, for one.
        self._execution = execution or ledger.here.executions.get(run_id)

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        # A notebook cannot await here: what is shown is what this process knows of the run.
        self._here()
        if self._execution is None:
            return {"text/plain": repr(self)}
        run, dag = self._execution.machine.run, self._execution.dag
        steps = {name: standing_record(run, name) for name in dag.nodes}
        return mimebundle_of(dag, steps, f"run {self.id}: {run.status}, {count_statuses(steps.values())}")

    def _ipython_display_(self) -> None:
        """Show the run in the output of the cell, and go on to do so until it has ended, or is paused."""
        bundle, showings = self._repr_mimebundle_(), self._ledger.showings
        screen = open_screen(bundle)
        if screen is None:
            print(bundle["text/plain"])  # noqa: T201 - what was asked for is shown, where it cannot be drawn
        elif not showings.is_closed and is_loop_running():
            showings.begin(Live(self._ledger, self.id, screen).follow())

    async def status(self) -> RunStatus:
        """Where the run is now."""
        return (await self._ledger.record(self.id)).status

    async def wait(self, timeout: Duration | None = None) -> RunResult[W]:  # noqa: ASYNC109 - the name is the contract
        """
        What became of the run, once it has ended or was paused. Never raises for how it ended.

        Args:
            timeout: How long to wait at most: a duration.

        Raises:
            WaitTimeoutError: it had not ended by then; it goes on.
            BadOptionError: the timeout is no duration.
            RunInterruptedError: the orchestrator was closed, or the store was lost, before it ended.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        waiting = asyncio.timeout(limit)
        try:
            async with waiting:
                record, last = await self._until_ended()
        except TimeoutError:
            if limit is None or not waiting.expired():
                raise
            raise WaitTimeoutError(self.id, limit) from None
        return await self._result(record, last)

    async def result(self) -> RunResult[W]:
        """
        What became of the run, once it completed.

        Raises:
            RunFailed: it failed; `__cause__` is what the step raised, or an `ExceptionGroup` of all.
            RunCancelled: it was cancelled; `__cause__` is what kept it from being undone, if anything did.
            RunPaused: it waits for somebody to resume it.
            RunInterruptedError: the orchestrator was closed, or the store was lost, before it ended.
        """
        result = await self.wait()
        match result.status:
            case RunStatus.FAILED:
                raise self._failure(result) from self._cause(result)
            case RunStatus.CANCELLED:
                raise RunCancelled(self.id, result.workflow, result.error) from self._cause(result)
            case RunStatus.PAUSED:
                raise RunPaused(self.id, result.workflow, result.error, store=self._ledger.store.url)
            case _:
                return result

    async def cancel(self, reason: str = "") -> None:
        """
        Ask that the run ends: coroutines get CancelledError, steps that join `"settled"` run, then compensations.

        The request is durable when this returns, whoever executes the run. A run that has ended stays as it is.

        Raises:
            UsageError: the reason is no text.
        """
        await self._ask("cancel", reason)

    async def terminate(self, reason: str = "") -> None:
        """
        Ask that the run ends at once: nothing of it runs any more, neither what cleans up nor what undoes.

        Otherwise as `cancel`. A run that nobody executes needs no code for it.
        """
        await self._ask("terminate", reason)

    async def pause(self, reason: str = "") -> None:
        """
        Ask that the run pauses: what runs may end, and nothing new starts until somebody resumes it.

        Otherwise as `cancel`. `wait` returns when it is paused.
        """
        await self._ask("pause", reason)

    @overload
    async def send(self, signal: SignalRef[None, Any], payload: None = None, id: str | None = None) -> None: ...
    @overload
    async def send(self, signal: SignalRef[V, Any], payload: V, id: str | None = None) -> None: ...
    @overload
    async def send(self, signal: str, payload: object = None, id: str | None = None) -> None: ...
    async def send(self, signal: SignalRef[Any, Any] | str, payload: object = None, id: str | None = None) -> None:  # noqa: A002 - the name is the contract
        """
        Send a signal to the run: what the node that waits for it gives.

        It is durable when this returns, whoever executes the run, and counts also if the node does not wait yet. Of
        several the first one counts.

        Args:
            signal: The node, `Invoice.paid`, or its name.
            payload: What it holds.
            id: Makes the sending idempotent: what is sent again with the same id counts once.

        Raises:
            RunEndedError: the run has ended.
            UnknownStepError: its workflow has no such signal.
            UsageError: that is no signal, or the payload is not what it holds.
            EncodingError: the payload cannot be stored.
        """
        if id is not None and not (isinstance(id, str) and id):
            raise UsageError(f"the id of a message is a text that is not empty, not {id!r}")
        await self._ledger.send(self.id, signal, payload, id)

    async def _ask(self, signal: str, reason: str) -> None:
        if not isinstance(reason, str):
            what = {"cancel": "cancellation", "terminate": "termination"}.get(signal, signal)
            raise UsageError(f"the reason of a {what} is text, not {reason!r}")
        await self._ledger.ask(self.id, signal, reason)

    async def steps(self) -> dict[str, StepRecord]:
        """Step name -> what became of it so far, of all steps of the workflow, in topological order."""
        return dict((await self._result(await self._ledger.record(self.id))).steps)

    async def timeline(self) -> "Timeline":
        """What it did when, so far: as `RunResult.timeline`."""
        result = await self._result(await self._ledger.record(self.id))
        return result.timeline_until(self._ledger.clock.now())

    async def events(self, follow: bool = False) -> AsyncIterator[Event]:
        """
        The log of the run, from its beginning.

        Args:
            follow: Go on with what is written later, until the run has ended.

        Raises:
            RunInterruptedError: before the end that is waited for the orchestrator was closed, or the store was lost.
        """
        await self._ledger.record(self.id)
        after, wait = 0, _SHORTEST
        while True:
            changed = self._changed()
            was_final = (await self.status()).is_final
            while page := await self._ledger.store.read(self.id, after=after, limit=_PAGE):
                for event in page:
                    yield event
                after, wait = page[-1].seq, _SHORTEST
            if not follow or was_final:
                return
            # What is set when something is written stays set from now on: without this the loop would never rest.
            self._check_open(_ENDS)
            await self._pause(changed, wait)
            wait = min(_LONGEST, wait * 2)

    async def _until_ended(self) -> tuple[RunRecord, int | None]:
        """Its summary, once it rests, and the number of its last event, if that is known."""
        wait = _SHORTEST
        while True:
            here, known = self._here(), self._execution
            self._check_open(_RESTS)
            if known is not None and known.record.status is RunStatus.COMPLETED:
                # Nobody can resume it: so it is, and stays.
                return known.record, known.written
            if here is None:
                record = await self._rested(wait)
                if record is not None:
                    return record, None
                wait = min(_ASLEEP, wait * 2)
            else:
                await self._until_left(here)
                if here.trouble is None and here.record.status in _RESTS:
                    return here.record, here.written

    async def _rested(self, wait: float) -> RunRecord | None:
        """Its summary, if it rests; None after it was waited for it: for so long, if nobody tells when it does."""
        ledger = self._ledger
        ledger.hearing.begin()
        async with self._arrival() as arrived:
            record = await ledger.record(self.id)
            if record.status in _RESTS:
                return record
            if ledger.hearing.is_told:
                # From now on it is told, unless it rests since: then there is nothing to wait for.
                if await ledger.store.watch(self.id):
                    await arrived.wait()
                return None
            await self._until_told(arrived, min(wait, _LONGEST) if record.wake_at is None else max(wait, _LONGEST))
        return None

    async def _until_told(self, arrived: asyncio.Event, seconds: float) -> None:
        """Until this is set, for so long at most."""
        clock = self._ledger.clock
        revoke = clock.call_at(clock.now() + seconds, arrived.set)
        try:
            await arrived.wait()
        finally:
            revoke()

    async def _until_left(self, here: Execution) -> None:
        """Until the run is executed here no longer; as long as somebody waits for it, it does not sleep."""
        here.waiters += 1
        try:
            await here.left.wait()
        finally:
            here.waiters -= 1
            if not here.waiters and self._ledger.here.executions.get(self.id) is here:
                self._ledger.here.tell_run(here)

    @asynccontextmanager
    async def _arrival(self) -> AsyncIterator[asyncio.Event]:
        """What is set when the run is executed here, or it is told that it rests, or nothing is told any more."""
        arrivals = self._ledger.here.arrivals
        arrived = arrivals.setdefault(self.id, asyncio.Event())
        try:
            yield arrived
        finally:
            # Whoever else waits looks once more, and waits on: the last one leaves nothing behind.
            arrived.set()
            if arrivals.get(self.id) is arrived:
                del arrivals[self.id]

    def _here(self) -> Execution | None:
        """The run, if it is executed here now."""
        here = self._ledger.here.executions.get(self.id)
        self._execution = here or self._execution
        return here

    def _changed(self) -> asyncio.Event | None:
        """What is set when something is written of the run, if it is executed here."""
        here = self._here()
        return None if here is None else here.changed

    def _check_open(self, unless: Container[RunStatus]) -> None:
        """See that the orchestrator is open, or that the run is known to be where it was waited for."""
        engine, execution = self._ledger.here, self._execution
        if engine.is_stopped and (execution is None or execution.record.status not in unless):
            workflow = "an unknown workflow" if execution is None else execution.record.workflow
            raise RunInterruptedError(self.id, workflow, store=self._ledger.store.url) from engine.failure

    async def _pause(self, changed: asyncio.Event | None, seconds: float) -> None:
        """
        Until something is written of the run here; if it is executed elsewhere, until it is told that it rests.

        What is written between is told to nobody, so it is waited for so many seconds at most.
        """
        if changed is not None:
            await changed.wait()
            return
        ledger = self._ledger
        ledger.hearing.begin()
        async with self._arrival() as arrived:
            # Whether that will be told is all the same: one looks again in any case.
            if ledger.hearing.is_told:
                await ledger.store.watch(self.id)
            await self._until_told(arrived, seconds)

    async def _result(self, record: RunRecord, last: int | None = None) -> RunResult[W]:
        history = await stored_history(self._ledger.store, self.id, last)
        dag = self._execution.dag if self._execution is not None else await self._ledger.dag_to_show(record)
        return RunResult(record, history, dag)

    def _failure(self, result: RunResult[W]) -> RunError:
        names = ", ".join(result.failed_steps)
        first = result.steps[result.failed_steps[0]] if result.failed_steps else None
        reason = result.error
        if first is not None:
            tries = len(first.attempts)
            counted = f" after {tries} attempts" if tries > 1 else ""
            reason = f"step {names} failed{counted}: {result.error}"
        error = RunFailed(self.id, result.workflow, result.failed_steps, reason)
        error.add_note(self._summary(result))
        return error

    def _summary(self, result: RunResult[W]) -> str:
        """What the command line would end with."""
        lines = result.report(store=self._ledger.store.url, folder=os.getcwd()).lines()
        return "\n".join(line.text for line in lines)

    def _cause(self, result: RunResult[W]) -> BaseException | None:
        causes = [self._raised(result.steps[name], self._number(result.steps[name])) for name in result.failed_steps]
        undoings = [(name, each) for name, step in result.steps.items() for each in (step, *step.items.values())]
        for name, record in undoings:
            undoing = record.compensation
            if undoing is not None and undoing.status is StepStatus.FAILED:
                number = self._number(record)
                undo = self._execution.machine.run.undo.get(number) if self._execution and number is not None else None
                cause = self._raised(undoing, undo)
                item = "" if record.item is None else f"item {record.item} of "
                cause.add_note(f"{item}step {name!r} could not be undone")
                causes.append(cause)
        if len(causes) < 2:
            return causes[0] if causes else None
        return BaseExceptionGroup(f"{len(causes)} steps of run {self.id!r} failed", causes)

    def _number(self, record: StepRecord) -> int | None:
        """The number of this step, or item, in the run as it is known here; of a step that failed for an item, its."""
        if self._execution is None or (number := self._execution.plan.index.get(record.name)) is None:
            return None
        row, item = self._execution.machine.run.rows.get(number), record.item
        if item is None and row is not None and number not in self._execution.raised:
            alike = (each.item for each in record.items.values() if each.error and each.error == record.error)
            item = next(alike, None)
        if item is None or row is None:
            return number
        # The run may have gone on elsewhere.
        return row.find(item) if item < len(row.dropped) + len(row.items) else None

    def _raised(self, record: StepRecord, number: int | None) -> BaseException:
        raised = self._execution.raised.get(number) if self._execution is not None and number is not None else None
        if raised is not None:
            return raised
        error = record.error
        if error is None:
            return RecordedError("Exception", "", "")
        if error.type_name in _OURS:
            return _OURS[error.type_name](error.message)
        return RecordedError(error.type_name, error.message, error.traceback)
