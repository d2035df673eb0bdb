"""What a run and those that it started have to do with each other: begun, seen to, heard of when they have ended."""

import logging

from ..core.events import ChildStarted, RunStarted
from ..core.history import History
from ..core.outcome import Asked, Begun, ChildEnded, Raised
from ..core.state import RunStatus
from ..errors import (
    NotResumableError,
    RunExistsError,
    RunNotFoundError,
    RunOwnedError,
    StoreError,
    UnknownWorkflowError,
    UsageError,
)
from ..ports import Message, RunRecord
from ..surroundings import Carried
from .answers import Answers
from .children import CHILD, Said, end_message_id, how_it_ended, is_abandoning, is_waiting, said_by
from .execution import Execution
from .failure import describe_error
from .runs import Runs
from .stored import empty_log, stored_history

_LOGGER = logging.getLogger("orchwf")


class Family:
    """
    Sees to it that the runs go on for which others wait, and that these hear of their ends.

    A run that waits for another one does not sleep before that one is known to be there: else a crash in between would
    let it sleep for ever.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._tending: set[tuple[Execution, int, int]] = set()
        self._again: list[tuple[Execution, int]] = []
        runs.engine.see_to_child = self.see_to
        runs.look_after = self.look_after
        runs.hear = self.hear

    def look_after(self, execution: Execution, told: list[Message]) -> None:
        """See to all for which a run waits that was just taken up, and hear what it was told meanwhile."""
        for message in told:
            self._runs.engine.spawn(self._hear(execution, message))
        for step in execution.machine.run.children:
            self.see_to(execution, step)

    def look_again(self) -> None:
        """Try once more where the store was in trouble."""
        again, self._again = self._again, []
        for execution, step in again:
            self.see_to(execution, step)

    # Seeing to them.

    def see_to(self, execution: Execution, step: int) -> None:
        """See that the run goes on which this step started, and for which it waits."""
        started = execution.machine.run.children[step]
        key = (execution, step, started.seq)
        if self._is_wanted(execution, step, started) and key not in self._tending:
            self._tending.add(key)
            self._runs.engine.spawn(self._tend(execution, step, started))

    def _is_wanted(self, execution: Execution, step: int, started: ChildStarted) -> bool:
        """Whether this step, of a run that is executed here, waits for the run that it started so."""
        engine, run = self._runs.engine, execution.machine.run
        is_here = not engine.is_draining and engine.executions.get(run.run_id) is execution
        return is_here and is_waiting(execution, step) and run.children[step].seq == started.seq

    async def _tend(self, execution: Execution, step: int, started: ChildStarted) -> None:
        engine = self._runs.engine
        try:
            while self._is_wanted(execution, step, started) and not await self._look(execution, step, started):
                # Somebody was faster: it is another one now.
                pass
        except UsageError as error:
            # Whoever goes on with the run will see to it, if this orchestrator is about to close.
            if self._is_wanted(execution, step, started):
                outcome = Raised(error=describe_error(error), retryable=False)
                engine.tell_run(execution, ChildEnded(step, started.child, outcome))
        except StoreError:
            # The next write meets the same trouble, and reports it.
            self._again.append((execution, step))
            self._runs.poke_soon()
        else:
            execution.seen[step] = started.seq
            # From now on it may sleep.
            engine.tell_run(execution)
        finally:
            self._tending.discard((execution, step, started.seq))

    async def _look(self, execution: Execution, step: int, started: ChildStarted) -> bool:
        """
        See to it once; what is found out of its end is told to the run that waits for it.

        Returns:
            Whether that is all; if not, it has changed meanwhile.

        Raises:
            UsageError: the run cannot be started, or is another one's.
            StoreError: as it says.
        """
        runs = self._runs
        record = await runs.store.get(started.child)
        if record is None:
            return await self._start(execution, step, started)
        log = await runs.store.read(record.id, limit=1)
        if not log:
            return await self._is_gone(record.id)
        if not isinstance(log[0], RunStarted) or log[0].parent != execution.record.id:
            execution.strangers.add(step)
            raise UsageError(
                f"run {record.id!r} exists already, and was not started by run {execution.record.id!r}: delete it, and "
                "resume this one"
            )
        if record.status.is_final:
            return await self._see_to_ended(execution, step, record)
        if record.status is RunStatus.PAUSED or runs.is_orphan(record):
            await runs.take_up_if_possible(record)
        return True

    async def _is_gone(self, run_id: str) -> bool:
        """False, as somebody has deleted this run, which was there a moment ago."""
        if await self._runs.store.get(run_id) is not None:
            raise empty_log(self._runs.store, run_id)
        return False

    async def _start(self, execution: Execution, step: int, started: ChildStarted) -> bool:
        runs, run, parent = self._runs, execution.machine.run, execution.record
        dag = runs.registry.named(started.workflow, started.version)
        if dag is None:
            raise UnknownWorkflowError(started.workflow, runs.registry.names)
        begun = Begun(
            dag.name, dag.version, dag.fingerprint, started.inputs, parent=parent.id, parent_step=run.nodes[step].name,
            parent_item=run.item_of(step), depth=started.depth, **self._traced(execution, step),
        )  # fmt: skip
        await runs.registry.prepare(dag)
        if (other := runs.engine.executions.get(started.child)) is not None:
            await other.until_written()
            return False
        # From here to its creation nobody else has a turn: what ends the step later says so to a run that is there.
        if not is_waiting(execution, step) and not is_abandoning(execution, step):
            return True
        labels = dict.fromkeys(dag.options.tags, "") | {"parent": parent.id}
        # Where there is no room for it others may have some; if nobody has, it waits for its turn.
        is_left = runs.room <= 0 and dag.name in runs.registry.served_names
        begin = runs.leave if is_left else runs.create
        try:
            await begin(dag, started.child, begun, parent.metadata, labels)
        except RunExistsError:
            return False
        if not is_waiting(execution, step) and not is_abandoning(execution, step):
            # It may have ended in a turn before that of the new run, and then what it said was said to nobody.
            await runs.ask(started.child, "cancel", f"run {parent.id} waits for it no longer")
        return True

    def _traced(self, execution: Execution, step: int) -> Carried:
        """Within which span the run begins that this step starts."""
        run = execution.machine.run
        return {} if execution.trace is None else execution.trace.parent_of(run.nodes[step].name, run.item_of(step))

    async def _see_to_ended(self, execution: Execution, step: int, record: RunRecord) -> bool:
        """It is what the step waits for; unless it failed in an attempt before: then it is resumed."""
        runs, run = self._runs, execution.machine.run
        try:
            history = await stored_history(runs.store, record.id)
        except RunNotFoundError:
            return False
        message_id = end_message_id(record.id, history.seq, history.ended_at)
        for message in await runs.store.inbox(str(runs.owner)):
            if message.run_id == run.run_id and message.id == message_id:
                # It has ended in this attempt, and this run is about to hear of it.
                await self._hear(execution, message)
                return True
        is_old = message_id in run.received or run.attempts[step] > 1
        if history.status is RunStatus.FAILED and is_old and await self._is_resumed(record):
            return True
        self._tell(execution, step, history, Said(record.id, run.nodes[step].name, run.item_of(step)))
        return history.status.is_final

    async def _is_resumed(self, record: RunRecord) -> bool:
        """Resume a failed run for another attempt of the step that waits for it; whether that could be."""
        try:
            await self._runs.resume(record.id, None, Answers())
        except NotResumableError:
            return False
        except RunOwnedError:
            # Somebody else has resumed it.
            return True
        return True

    def _tell(self, execution: Execution, step: int, history: History, said: Said) -> None:
        outcome = how_it_ended(execution, step, history)
        asked = Asked(CHILD, end_message_id(said.run, history.seq, history.ended_at), said.text)
        self._runs.engine.tell_run(execution, ChildEnded(step, said.run, outcome, asked))

    # Hearing of them.

    def hear(self, execution: Execution, message: Message) -> None:
        """A run that this one started has ended: tell the step that waits for it how."""
        if message.id not in execution.hearing:
            execution.hearing.add(message.id)
            self._runs.engine.spawn(self._hear(execution, message))

    async def _hear(self, execution: Execution, message: Message) -> None:
        engine = self._runs.engine
        execution.hearing.add(message.id)
        try:
            said = said_by(message)
        except StoreError as error:
            # As long as it is executed here the run does not sleep: it would be roused again for this.
            _LOGGER.warning("%s", error)
            return
        step = said.number_in(execution)
        asked = Asked(CHILD, message.id, message.payload)
        try:
            history = await stored_history(self._runs.store, said.run)
        except RunNotFoundError:
            # Somebody has deleted it. It is begun anew, if anything waits for it.
            engine.tell_run(execution, ChildEnded(max(step, 0), said.run, None, asked))
            if step >= 0:
                self.see_to(execution, step)
        except StoreError:
            # It is heard again by and by.
            execution.hearing.discard(message.id)
            self._runs.poke_soon()
        else:
            outcome = how_it_ended(execution, step, history) if step >= 0 else None
            engine.tell_run(execution, ChildEnded(max(step, 0), said.run, outcome, asked))
