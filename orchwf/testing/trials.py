"""One run over all its processes, each of which lives until it dies as planned."""

import asyncio
import contextlib
import contextvars
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from ..core.events import Event, RunPaused, StepEvent, StepHeartbeat, StepStarted
from ..core.limits import Queue
from ..errors import OrchwfWarning, RunEndedError
from ..ports import AroundRun, AroundStep, PayloadCodec, RunQuery, Store
from ..runtime.handle import RunHandle
from ..runtime.result import RunResult
from ..stores import CodedStore, MemoryStore
from .clock import FakeClock
from .dying import RUN_ID, Doomed, Fate, Life, Log, Place, Ran
from .freezing import close, mortal_middleware
from .orchestrator import TestOrchestrator
from .report import Fault

W = TypeVar("W")

_MOST_LIVES = 10
_THREADS_END = 1.0
"""Real seconds that bodies in threads, which nobody can stop, have to end when their process dies."""

_process: contextvars.ContextVar[Life | None] = contextvars.ContextVar("orchwf_process", default=None)


@attrs.frozen(kw_only=True)
class Answers:
    """What is to become of the steps, by name, of which nobody knows whether they took effect."""

    rerun: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    values: Mapping[str, object] = attrs.field(factory=dict)

    def cover(self, steps: Iterable[str]) -> bool:
        """Whether there is one for each of these steps."""
        return all(name in (*self.rerun, *self.skip, *self.values) for name in steps)

    def of(self, steps: Sequence[str]) -> dict[str, Any]:
        """Those for these steps, as `resume` takes them."""
        return {
            "rerun": [name for name in self.rerun if name in steps],
            "skip": [name for name in self.skip if name in steps],
            "values": {name: value for name, value in self.values.items() if name in steps},
        }


@attrs.define(kw_only=True, eq=False)
class Trial:
    """
    One run, over all its processes.

    Attributes:
        log: What is in its store, and what ran.
        deaths: Where it died, in order.
        at_death: The log at the last death.
        lives: How many processes it had.
        result: How it ended; None if it did not.
        doubted: Of which steps nobody knows whether they took effect, if it stays paused for that.
        faults: What is wrong with it.
    """

    log: Log = attrs.field(factory=Log)
    deaths: list[Place] = attrs.field(factory=list)
    at_death: Sequence[Event] = ()
    lives: int = 0
    result: RunResult[Any] | None = None
    doubted: tuple[str, ...] = ()
    faults: list[Fault] = attrs.field(factory=list)

    @property
    def after_death(self) -> list[Ran]:
        """The bodies that ran after the last death."""
        return [ran for ran in self.log.ran if ran.life > len(self.deaths)]

    def times(self, step: str) -> int:
        """How often the body of a step ran."""
        return sum(ran.step == step and not ran.undoes for ran in self.log.ran)

    def blame(self, kind: str, text: str) -> None:
        """Something is wrong."""
        self.faults.append(Fault(kind, text))


@attrs.define(kw_only=True, eq=False)
class Crew(Generic[W]):
    """
    Runs a workflow in processes that die.

    Attributes:
        workflow: An instance of it.
        reset: Is called before each run.
        answers: What is answered when a run is paused as nobody knows whether a step took effect.
        send: Signal, or its name -> what is sent to each run.
        metadata: What the runs are given along.
        max_concurrency: How many steps may run at a time.
        queues: The queues that its steps name.
        patience: Real seconds that one process may take.
        codec: Encodes what is stored; None for nothing.
        middleware: What stands around the bodies and the runs.
        lives: All processes there were.
    """

    workflow: W
    reset: Callable[[], object] | None
    answers: Answers
    send: Mapping[Any, object]
    metadata: Mapping[str, object] | None
    max_concurrency: int
    queues: Sequence[Queue]
    patience: float
    codec: PayloadCodec | None = None
    middleware: Sequence[AroundStep | AroundRun] = ()
    lives: list[Life] = attrs.field(factory=list)

    def life_here(self) -> Life | None:
        """The process whose body runs here, if it is one of these."""
        life = _process.get()
        return life if life is not None and life.crew is self else None

    async def trial(self, *fates: Fate) -> Trial:
        """A run whose first process has the first fate, and so on; the later ones do not die."""
        if self.reset is not None:
            await called(self.reset)
        trial, clock = Trial(), FakeClock(auto=True)
        store = MemoryStore() if self.codec is None else CodedStore(MemoryStore(), self.codec)
        is_over = False
        while not is_over and trial.lives < _MOST_LIVES:
            fate = fates[trial.lives] if trial.lives < len(fates) else _immortal
            trial.lives += 1
            life = Life(self, trial.lives, trial.log, fate)
            self.lives.append(life)
            is_over = await self._live(life, store, clock, trial)
            if life.death is not None:
                trial.deaths.append(life.death)
                trial.at_death = tuple(trial.log.committed)
        if not is_over:
            trial.blame("unended", f"it has not ended, though {trial.lives} processes had it")
        for ran in trial.log.ran:
            if ran.trouble:
                trial.blame("order", f"{ran.text} {ran.trouble}")
        return trial

    async def _live(self, life: Life, store: Store, clock: FakeClock, trial: Trial) -> bool:
        """Let one process live until it dies, or has come to an end with the run: whether that is all."""
        variables = contextvars.copy_context()
        variables.run(_process.set, life)
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work(life, store, clock, trial), context=variables)
        death = loop.create_task(life.died.wait())
        await asyncio.wait({work, death}, timeout=self.patience, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if work.done() and not life.is_dead:
            self._end(trial, work)
            return True
        has_died = life.is_dead
        await _bury(life, work)
        # Nobody has to wait for the lease of a dead process, of which it may be that it owned none but a started run.
        for owner in {record.owner for record in await store.runs(RunQuery())}:
            if owner is not None:
                await store.renew(owner, 0)
        if not has_died:
            steps = ", ".join(map(_which, _open(trial.log.committed)))
            trial.blame("unended", f"it had not ended after {self.patience:g} s; in flight: {steps or 'nothing'}")
        return not has_died

    async def _work(self, life: Life, store: Store, clock: FakeClock, trial: Trial) -> RunResult[Any]:
        """What a process does: it starts the run, or takes it up, and waits for it."""
        async with TestOrchestrator(
            Doomed(store, life), workflows=[type(self.workflow)], clock=clock, grace=0,
            max_concurrency=self.max_concurrency, middleware=mortal_middleware(life, self.middleware),
            queues=self.queues,
        ) as orchestrator:  # fmt: skip
            run: RunHandle[Any]
            if await store.get(RUN_ID) is None:
                run = await orchestrator.start(self.workflow, run_id=RUN_ID, metadata=self.metadata)
            else:
                run = await orchestrator.get(RUN_ID)
            # Also by those who take it up: who died may have died before. A second time it counts for nothing.
            for signal, payload in self.send.items():
                with contextlib.suppress(RunEndedError):
                    await run.send(signal, payload, id=RUN_ID)
            result = await run.wait()
            while doubted := _doubted(trial.log.committed):
                if not self.answers.cover(doubted):
                    trial.doubted = doubted
                    break
                run = await orchestrator.resume(RUN_ID, **self.answers.of(doubted))
                result = await run.wait()
            return result

    def _end(self, trial: Trial, work: "asyncio.Task[RunResult[Any]]") -> None:
        error = work.exception()
        if error is None:
            trial.result = work.result()
        elif trial.deaths and isinstance(error, Exception):
            cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ is not None else ""
            trial.blame("error", f"the orchestrator raised {type(error).__name__}: {error}{cause}")
        else:
            raise error

    def close(self) -> None:
        """End the coroutines and generators of all dead processes: what is `finally` in them runs now."""
        for life in self.lives:
            for remains in (*life.remains, *life.left_open):
                # Asynchronous ones are closed with their loop.
                if isinstance(remains, Coroutine | Generator):
                    close(remains)


async def called(function: Callable[..., object], *arguments: object) -> object:
    """What this function of the user returns, or gives if that can be awaited. `orchwf.run` may block in it."""
    with warnings.catch_warnings():
        # Between two trials nothing goes on here that could be blocked.
        warnings.filterwarnings("ignore", r"\[blocked-loop\]", OrchwfWarning)
        value = function(*arguments)
    return await value if inspect.isawaitable(value) else value


async def _bury(life: Life, work: "asyncio.Task[Any]") -> None:
    """Take away what is left of a dead process; nothing of the user's runs by that."""
    life.kill()
    if life.threads:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(life.left.wait(), _THREADS_END)
    life.buried.set()
    for task in (work, *life.tasks):
        task.cancel()
    await asyncio.wait([work, *life.tasks])
    for task in (work, *life.tasks):
        if not task.cancelled():
            # How they ended is of no interest, which Python is to know.
            task.exception()


def _immortal(place: Place) -> bool:
    return False


def _open(log: Sequence[Event]) -> list[StepStarted]:
    """How those began, of steps and of items, that have begun and not ended."""
    found: dict[tuple[str, int | None], StepStarted] = {}
    for event in log:
        if isinstance(event, StepStarted):
            found[event.step, event.item] = event
        elif isinstance(event, StepEvent) and not isinstance(event, StepHeartbeat):
            found.pop((event.step, event.item), None)
    return list(found.values())


def _which(started: StepStarted) -> str:
    item = "" if started.item is None else f"item {started.item}, "
    return f"{started.step!r} ({item}attempt {started.attempt})"


def _doubted(log: Sequence[Event]) -> tuple[str, ...]:
    """The steps for which a run is paused, as nobody knows whether they took effect."""
    last = log[-1] if log else None
    is_asked = isinstance(last, RunPaused) and last.cause == "unknown"
    return tuple(dict.fromkeys(started.step for started in _open(log))) if is_asked else ()
