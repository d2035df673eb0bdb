"""A process that dies: what is written, told and run until that instant, and nothing after it."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import attrs

from ..context import StepContext
from ..core.events import (
    CompensationCompleted,
    CompensationEvent,
    CompensationStarted,
    Event,
    RunResumed,
    StepCompleted,
    StepEvent,
    StepStarted,
)
from ..core.slots import Answer, Slot, SlotRequest
from ..ports import Append, Store, Taken, Wanted
from .recorder import step_of
from .relay import Relay

T = TypeVar("T")

RUN_ID = "crash-everywhere"
"""The id of every run: so the idempotency keys of all of them are the same."""


class Died(BaseException):
    """Ends what goes on in a dead process; no code of ours or of the user's is to catch it."""


@attrs.frozen
class Place:
    """
    Where a process can die.

    Attributes:
        text: For people: goes on from "died".
        kind: `body`, `write`, `claim` or `slots`.
        steps: The names of the steps that it concerns.
        resumes: Whether the run is taken up here.
    """

    text: str
    kind: str
    steps: tuple[str, ...] = ()
    resumes: bool = False


Fate = Callable[[Place], bool]
"""Says, of each place that a process comes to, in order, whether it dies there."""


@attrs.frozen
class Ran:
    """A body that ran: in which process of its run, and what was wrong about that (empty if nothing)."""

    life: int
    step: str
    attempt: int
    undoes: bool
    trouble: str = ""
    item: str | None = None

    @property
    def text(self) -> str:
        """`step 'charge'`, or `item 3 of the compensation of step 'charge'`."""
        what = f"the compensation of step {self.step!r}" if self.undoes else f"step {self.step!r}"
        return what if self.item is None else f"item {self.item} of {what}"

    def __str__(self) -> str:
        which = "" if self.item is None else f"item {self.item}, "
        return f"{'undoing ' if self.undoes else ''}{self.step} ({which}attempt {self.attempt})"


@attrs.define(eq=False)
class Log:
    """
    What is in the store of one run, and which bodies ran, over all its processes.

    Attributes:
        committed: The log of the run.
        of_others: The logs of the runs that it started, by their ids.
        reached: The places to which processes came.
        ran: The bodies.
    """

    committed: list[Event] = attrs.field(factory=list)
    of_others: dict[str, list[Event]] = attrs.field(factory=dict)
    reached: list[Place] = attrs.field(factory=list)
    ran: list[Ran] = attrs.field(factory=list)

    def of(self, run_id: str) -> list[Event]:
        """The log of the run, or of one that it started."""
        return self.committed if run_id == RUN_ID else self.of_others.setdefault(run_id, [])

    def trouble_of(self, context: StepContext) -> str:
        """What is wrong with running this body now; empty if nothing."""
        start, end = (
            (CompensationStarted, CompensationCompleted) if context.compensates else (StepStarted, StepCompleted)
        )
        mine = [
            event
            for event in self.of(context.run_id)
            if isinstance(event, StepEvent | CompensationEvent)
            and event.step == context.step
            and (None if event.item is None else str(event.item)) == context.item
        ]
        if any(isinstance(event, end) for event in mine):
            return f"ran again (attempt {context.attempt}) after its completion was stored"
        if not any(isinstance(event, start) and event.attempt == context.attempt for event in mine):
            return f"ran (attempt {context.attempt}) before its start was stored"
        return ""


@attrs.define(eq=False)
class Life:
    """
    One process of a run.

    Attributes:
        crew: Who lets it live and die.
        number: Which process of the run it is, counted from 1.
        log: What is known of the run.
        fate: Where it dies.
        death: Where it died; None while it lives.
        is_dead: Whether nothing may come of it any more.
        died: Is set when it dies.
        buried: Is set when what is left of it is taken away.
        threads: How many of its bodies are in threads.
        left: Is set when the last of them has ended after its death.
        remains: Its coroutines, stopped where they were.
        left_open: Its generators, which nobody closes: that would run what is `finally` in them.
        tasks: The tasks that its bodies started.
    """

    crew: object
    number: int
    log: Log
    fate: Fate
    death: Place | None = None
    is_dead: bool = False
    died: asyncio.Event = attrs.field(factory=asyncio.Event)
    buried: asyncio.Event = attrs.field(factory=asyncio.Event)
    threads: int = 0
    left: asyncio.Event = attrs.field(factory=asyncio.Event)
    remains: list[Coroutine[Any, Any, object]] = attrs.field(factory=list)
    left_open: list[object] = attrs.field(factory=list)
    tasks: list["asyncio.Task[Any]"] = attrs.field(factory=list)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop)

    def dies_at(self, place: Place) -> bool:
        """Whether the process is dead when it has come to this place; may be asked from any thread."""
        with self._lock:
            if not self.is_dead:
                self.log.reached.append(place)
                if self.fate(place):
                    self.is_dead, self.death = True, place
                    self._loop.call_soon_threadsafe(self.died.set)
            return self.is_dead

    def kill(self) -> None:
        """Let it die wherever it is."""
        with self._lock:
            self.is_dead = True

    def begins(self, context: StepContext) -> bool:
        """Whether this body may run: the process has not died before it. What is wrong with that is noted."""
        if self.dies_at(_body(context, "before {} ran")):
            return False
        trouble = self.log.trouble_of(context)
        ran = Ran(self.number, context.step, context.attempt, context.compensates, trouble, context.item)
        self.log.ran.append(ran)
        return True

    def ends(self, context: StepContext, error: BaseException | None = None) -> bool:
        """Whether how this body ended may be told."""
        how = "returned" if error is None else f"raised {type(error).__name__}"
        return not self.dies_at(_body(context, f"after {{}} {how}, before that was stored"))

    async def end(self) -> NoReturn:
        """What a dead process comes to: nothing, until it is taken away."""
        await self.buried.wait()
        raise Died

    def enter_thread(self) -> None:
        """One more of its bodies is in a thread."""
        with self._lock:
            self.threads += 1

    def leave_thread(self) -> None:
        """One of them has ended."""
        with self._lock:
            self.threads -= 1
            is_last = self.is_dead and not self.threads
        if is_last:
            # It may have taken longer than anyone waits, and the loop may be closed.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.left.set)


def _body(context: StepContext, text: str) -> Place:
    what = f"the {'compensation' if context.compensates else 'body'} of {context.step!r}"
    what = f"item {context.item} of {what}" if context.item is not None else what
    place = f" in run {context.run_id!r}" if context.run_id != RUN_ID else ""
    return Place(text.format(f"{what} (attempt {context.attempt}){place}"), "body", (context.step,))


class Doomed(Relay):
    """A store as one process sees it, which may die at each of its writes, and does nothing in it afterwards."""

    def __init__(self, inner: Store, life: Life) -> None:
        super().__init__(inner)
        self._life = life

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        if self._life.is_dead:
            await self._life.end()
        return await call()

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        events = [event for append in appends for event in append.events]
        steps = tuple(dict.fromkeys(filter(None, map(step_of, events))))
        names = " + ".join(f"{event.kind} {step_of(event)}".strip() for event in events)
        resumes = any(isinstance(event, RunResumed) for event in events)
        if self._life.dies_at(Place(f"before the write of {names}", "write", steps, resumes)):
            await self._life.end()
        outcomes = await self.inner.append(appends)
        for append, trouble in zip(appends, outcomes, strict=True):
            self._life.log.of(append.run_id).extend(append.events if trouble is None else [])
        if self._life.dies_at(Place(f"after the write of {names}, before it knew", "write", steps, resumes)):
            await self._life.end()
        return outcomes

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        if self._life.dies_at(Place("before it claimed the run", "claim", (), True)):
            await self._life.end()
        is_done = await self.inner.claim(run_id, owner, previous=previous)
        if self._life.dies_at(Place("after it claimed the run, before it knew", "claim", (), True)):
            await self._life.end()
        return is_done

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        taken = await super().take(owner, wanted)
        if taken.runs and self._life.dies_at(Place("before it claimed the run", "claim", (), True)):
            # There has to be something to claim for that: what was done comes to nothing.
            for record in taken.runs:
                await self.inner.claim(record.id, record.owner, previous=owner)
            await self._life.end()
        if taken.runs and self._life.dies_at(Place("after it claimed the run, before it knew", "claim", (), True)):
            await self._life.end()
        return taken

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        steps = tuple(dict.fromkeys(request.step for request in requests))
        if not steps:
            return await super().take_slots(owner, requests, frees=frees, now=now)
        names = " + ".join(steps)
        if self._life.dies_at(Place(f"before it took the slots of {names}", "slots", steps)):
            await self._life.end()
        answers = await self.inner.take_slots(owner, requests, frees=frees, now=now)
        if self._life.dies_at(Place(f"after it took the slots of {names}, before it knew", "slots", steps)):
            await self._life.end()
        return answers
