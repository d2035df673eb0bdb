"""
Many orchestrators over one faulty store, and all that may happen to them: a whole life from one seed.

Nothing in it depends on a real clock, a thread, or chance that was not drawn from the seed.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import attrs

from orchwf import (
    NonRetryable,
    Orchestrator,
    OrchwfError,
    Quorum,
    Retry,
    RunHandle,
    RunStatus,
    Skip,
    StepContext,
    compile_workflow,
    make_workflow,
    step,
)
from orchwf.core.events import CompensationStarted, Event, StepCompleted, StepStarted
from orchwf.core.history import History
from orchwf.core.machine import Machine
from orchwf.core.plan import Plan
from orchwf.ports import RunQuery, Store
from orchwf.stores import MemoryStore
from tests.kernel.oracles import check_effects, check_end, check_fates, check_start
from tests.simulation.loop import SimulatedClock, SimulatedLoop
from tests.simulation.stores import Books, Faults, Line, SimulatedSQLiteStore

LEASE = 15.0
_PROCESS: ContextVar[Line] = ContextVar("process")
"""The process in which a body runs: an orchestrator's own context variables reach the bodies that it takes up."""

_PATIENCE = 40_000.0
"""Simulated seconds in which every run has to end once the faults are over."""


class Unwatched(Orchestrator):
    """An orchestrator without a watchdog: that looks at the real clock, from a thread."""

    def _watch(self, engine: object) -> Callable[[], None]:
        return lambda: None


@attrs.define
class Process:
    """One orchestrator: its line to the store, and what is told to it."""

    line: Line
    task: "asyncio.Task[None]"
    orchestrator: Orchestrator
    leave: asyncio.Event


@attrs.define
class World:
    """
    One simulated life.

    Attributes:
        draw: All chance.
        loop: All time.
        store: What survives.
        effects: (run, step, attempt, whether it undoes) of each body that began, in that order.
        returned: The same of each that returned -> what it did.
        violations: What bodies saw that must not be.
    """

    seed: int
    on_sqlite: bool
    loop: SimulatedLoop
    draw: random.Random = attrs.field(init=False)
    store: Store = attrs.field(init=False)
    books: Books = attrs.field(factory=Books)
    faults: Faults = attrs.field(factory=Faults)
    workflows: list[type] = attrs.field(factory=list)
    processes: list[Process] = attrs.field(factory=list)
    gone: list[Process] = attrs.field(factory=list)
    begun: list[tuple[str, str, int, bool]] = attrs.field(factory=list)
    returned: dict[tuple[str, str, int], int] = attrs.field(factory=dict)
    violations: list[str] = attrs.field(factory=list)
    crashes: int = 0
    _names: Iterator[int] = attrs.field(factory=lambda: iter(range(10**9)))

    def __attrs_post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.store = (SimulatedSQLiteStore if self.on_sqlite else MemoryStore)(self.loop.time)
        self.faults = Faults(
            busy=self.draw.choice([0, 0, 0.05]), lost=self.draw.choice([0, 0, 0.01]),
            stall=self.draw.choice([0, 0.01, 0.03]), slowest=self.draw.choice([0.001, 0.1, 2.0]),
        )  # fmt: skip
        self.workflows = [self.workflow(f"W{number}") for number in range(2)]

    # What runs.

    def workflow(self, name: str) -> type:
        """A random graph of steps that take a while, fail, return, and can be undone."""
        draw = self.draw
        names = [f"s{number}" for number in range(draw.randint(1, 6))]
        steps: dict[str, Any] = {}
        for place, each in enumerate(names):
            before = draw.sample(names[:place], min(place, draw.randint(0, 2)))
            join: Any = "all" if not before else draw.choice(["all", "all", "any", "settled", "first", Quorum(1)])
            options: Any = {
                "depends_on": before,
                "join": join,
                "required": draw.random() < 0.8,
                "retries": Retry(draw.choice([0, 0, 2]), initial=draw.choice([0, 1, 30])),
                "timeout": draw.choice([None, None, 5]),
                "delivery": draw.choice(["at_least_once"] * 3 + ["at_most_once"]),
                "on_exhausted": draw.choice(["fail"] * 4 + ["pause"]),
            }
            made = step(**options)(self.body(draw.random(), draw.choice([0.0, 0.0, 0.2])))
            if draw.random() < 0.5:
                made.compensate(self.undo(draw.choice([0.0, 0.3])))
            steps[each] = made
        return make_workflow(name, steps, fail_fast=draw.random() < 0.7)

    def body(self, slowness: float, failing: float) -> Any:
        async def body(ctx: StepContext) -> int:
            process = _PROCESS.get()
            await self.begin(process, ctx)
            draw = random.Random(f"{self.seed} {ctx.run_id} {ctx.step} {ctx.attempt}")
            if draw.random() < 0.3:
                ctx.heartbeat(ctx.attempt)
            await asyncio.sleep(slowness * 10 * draw.random())
            await self.live(process)
            match draw.random():
                case chance if chance < failing / 4:
                    raise NonRetryable("for good")
                case chance if chance < failing:
                    raise ValueError("bad luck")
                case chance if chance < failing + 0.03:
                    raise Skip("nothing to do")
            value = draw.randrange(10**6)
            self.returned[ctx.run_id, ctx.step, ctx.attempt] = value
            return value

        return body

    def undo(self, failing: float) -> Any:
        async def undo(output: int | None, ctx: StepContext) -> None:
            process = _PROCESS.get()
            await self.begin(process, ctx)
            self.check_output(ctx, output, await self.store.read(ctx.run_id))
            await asyncio.sleep(1)
            await self.live(process)
            if random.Random(f"{self.seed} {ctx.run_id} {ctx.step} {ctx.attempt} undo").random() < failing:
                raise ValueError("cannot be undone")

        return undo

    def check_output(self, ctx: StepContext, output: int | None, log: list[Event]) -> None:
        """A compensation gets what its step returned, or None if that is not known."""
        known = [event.output for event in log if isinstance(event, StepCompleted) and event.step == ctx.step]
        if ([str(output)] if output is not None else []) != known[-1:]:
            self.violations.append(f"{ctx.step} is undone with {output}")

    async def begin(self, process: Line, ctx: StepContext) -> None:
        """Invariant 4: a body begins only after its start was committed; and it begins once."""
        await self.live(process)
        # Told at the end: whatever a body raises is the end of its attempt, and no more.
        key = (ctx.run_id, ctx.step, ctx.attempt, ctx.compensates)
        if key in self.begun:
            self.violations.append(f"{key} began twice")
        self.begun.append(key)
        started: type[StepStarted | CompensationStarted] = CompensationStarted if ctx.compensates else StepStarted
        log = [event for event in await self.store.read(ctx.run_id) if isinstance(event, started)]
        if (ctx.step, ctx.attempt) not in {(event.step, event.attempt) for event in log}:
            self.violations.append(f"{key} began before that was written")

    async def live(self, process: Line) -> None:
        """What belongs to a dead process does nothing any more."""
        if process.is_dead:
            await process.never.wait()

    # Who runs it.

    async def enter(self) -> None:
        """Another process comes; its clock may be wrong."""
        line = Line(self.store, self.draw, self.faults, self.books, f"p{next(self._names)}")
        clock = SimulatedClock(self.loop, self.draw.choice([0.0, 0.0, -3600.0, 86_400.0]))
        _PROCESS.set(line)
        orchestrator = Unwatched(
            line, workflows=self.workflows, clock=clock, lease=LEASE, grace=2.0,
            max_concurrency=self.draw.choice([1, 2, 100]),
        )  # fmt: skip
        leave, entered = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            with contextlib.suppress(OrchwfError):
                async with orchestrator:
                    entered.set()
                    await leave.wait()

        task = asyncio.create_task(live())
        process = Process(line, task, orchestrator, leave)
        self.processes.append(process)
        waits = asyncio.create_task(entered.wait())
        await asyncio.wait([task, waits], timeout=200, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if not entered.is_set():
            self.crash(process)

    def crash(self, process: Process) -> None:
        """This one is killed, in the midst of anything."""
        if process in self.processes:
            self.crashes += 1
            process.line.die()
            self.processes.remove(process)
            self.gone.append(process)

    async def chaos(self, actions: int) -> None:
        """Many things happen, one after the other and at the same time."""
        await self.enter()
        tasks = []
        for _ in range(actions):
            tasks.append(asyncio.create_task(self.act()))
            await asyncio.sleep(self.draw.choice([0, 0.01, 1, 5]))
        await asyncio.wait(tasks, timeout=300)
        for task in tasks:
            if task.done():
                task.result()
            else:
                task.cancel()

    async def act(self) -> None:
        draw = self.draw
        chance = draw.random()
        if not self.processes or (chance < 0.15 and len(self.processes) < 4):
            await self.enter()
            return
        process = draw.choice(self.processes)
        if chance < 0.3:
            self.crash(process)
        elif chance < 0.35:
            self.processes.remove(process)
            self.gone.append(process)
            process.leave.set()
        else:
            _PROCESS.set(process.line)
            # What a caller is told, such as that somebody else has the run, is not the end of it; and a dead process
            # tells nothing.
            with contextlib.suppress(OrchwfError, TimeoutError):
                await asyncio.wait_for(self.use(process.orchestrator), 100)

    async def use(self, orchestrator: Orchestrator) -> None:
        """Somebody wants something of an orchestrator."""
        draw = self.draw
        run_id = f"r{draw.randrange(4)}"
        match draw.randrange(10):
            case 0 | 1 | 2 | 3:
                await orchestrator.start(draw.choice(self.workflows)(), run_id=run_id)
            case 4:
                await (await orchestrator.get(run_id)).cancel("simulated")
            case 5:
                await (await orchestrator.get(run_id)).pause("simulated")
            case 6 if draw.random() < 0.3:
                await (await orchestrator.get(run_id)).terminate("simulated")
            case 7:
                record = await self.store.get(run_id)
                if record is not None:
                    steps = list(compile_workflow(self.workflow_of(record.workflow)).nodes)
                    await orchestrator.fork(run_id, draw.choice(steps), new_id=f"r{draw.randrange(4)}")
            case _:
                await self.resume(orchestrator, run_id)

    async def resume(self, orchestrator: Orchestrator, run_id: str) -> None:
        """Somebody resumes a run, and says something of the steps in question."""
        answers: dict[str, Any] = {"rerun": [], "skip": [], "values": {}}
        for name in await self.in_question(run_id):
            match self.draw.randrange(3):
                case 0:
                    answers["rerun"].append(name)
                case 1:
                    answers["skip"].append(name)
                case _:
                    answers["values"][name] = 7
        await orchestrator.resume(run_id, **answers)

    async def in_question(self, run_id: str) -> list[str]:
        """The steps that run at most once and whose fate nobody knows."""
        record = await self.store.get(run_id)
        if record is None:
            return []
        plan = Plan(compile_workflow(self.workflow_of(record.workflow)))
        machine = Machine(run_id, plan, lambda _: None)
        machine.replay(await self.store.read(run_id))
        running = [
            step for step in machine.run.running
            if step < len(plan) and plan.nodes[step].options.delivery == "at_most_once"
        ]  # fmt: skip
        return [plan.nodes[step].name for step in [*machine.run.unknown, *running]]

    def workflow_of(self, name: str) -> type:
        return next(workflow for workflow in self.workflows if compile_workflow(workflow).name == name)

    # How it ends.

    async def heal(self) -> None:
        """No more faults: one good process, and every run comes to its end."""
        self.faults.busy = self.faults.lost = self.faults.stall = 0.0
        self.faults.slowest = 0.001
        for process in list(self.processes):
            self.crash(process)
        await self.enter()
        orchestrator = self.processes[-1].orchestrator
        for record in await self.store.runs(RunQuery()):
            handle: RunHandle[Any] = await orchestrator.get(record.id)
            while True:
                result = await asyncio.wait_for(handle.wait(), _PATIENCE)
                if result.status is not RunStatus.PAUSED:
                    break
                with contextlib.suppress(OrchwfError):
                    await self.resume(orchestrator, record.id)

    async def check(self) -> None:
        """The invariants, by what is in the store, what was acknowledged, and what the bodies did."""
        assert [] == self.violations
        for record in await self.store.runs(RunQuery()):
            log = await self.store.read(record.id)
            plan = Plan(compile_workflow(self.workflow_of(record.workflow)))
            for seq, event in self.books.events.get(record.id, {}).items():
                assert log[seq - 1] == event, f"acknowledged, but not there: {event}"
            check_end(log)
            for event in log:
                if isinstance(event, StepStarted):
                    check_start(plan, event, log[: event.seq - 1])
            check_fates(plan, log)
            check_effects(plan, log)
            self.check_outputs(record.id, log)
            self.check_owners(record.id)
            machine = Machine(record.id, plan, lambda _: None)
            machine.replay(log)
            history = History(record.id).extend(log)
            assert record.status is machine.run.status is history.status
            # Who died after the claim and before the first event leaves its name, and so does who cannot give it back.
            faults = self.faults.counts
            is_free = record.owner in {None, *map(owner_of, self.gone)} or faults.get("lost") or faults.get("busy")
            assert is_free, f"{record.id} has ended, and {record.owner} owns it"

    def check_outputs(self, run_id: str, log: list[Event]) -> None:
        """What is stored is what the body returned in that attempt, or what somebody gave."""
        for event in log:
            if isinstance(event, StepCompleted) and event.attempt and event.output != "7":
                assert str(self.returned[run_id, event.step, event.attempt]) == event.output

    def check_owners(self, run_id: str) -> None:
        """Invariant 5: who wrote after another one has taken over has not written before it did."""
        seen: list[str] = []
        for _, writer in sorted(self.books.writers.get(run_id, {}).items()):
            if not seen or seen[-1] != writer:
                seen.append(writer)
        resumes = sum(event.kind == "run.resumed" for event in self.books.events.get(run_id, {}).values())
        # What was written and not acknowledged is not in the books.
        assert len(seen) <= 1 + resumes + self.faults.counts.get("lost", 0) + self.crashes


def owner_of(process: Process) -> str | None:
    """Who this process is to others; None if it never got so far."""
    runs = process.orchestrator._entered
    return None if runs is None else str(runs.owner)


def simulate(seed: int, *, actions: int = 25) -> World:
    """
    Live a whole life, and check the invariants.

    Raises:
        AssertionError: one of them does not hold.
    """
    random.seed(seed)
    loop = SimulatedLoop()
    world = World(seed, seed % 2 == 1, loop)

    async def whole_life() -> None:
        await world.chaos(actions)
        await world.heal()
        await world.check()

    try:
        loop.run_until_complete(whole_life())
    finally:
        _end(world, loop)
    return world


def _end(world: World, loop: SimulatedLoop) -> None:
    """Let go of all that waits for ever, so that nothing is told of it."""
    for process in (*world.processes, *world.gone):
        process.line.is_cut = True
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=60))
    loop.run_until_complete(world.store.close())
    loop.close()
