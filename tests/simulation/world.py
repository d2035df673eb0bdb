"""
Many orchestrators over one faulty store, and all that may happen to them: a whole life from one seed.

Nothing in it depends on a real clock, a thread, or chance that was not drawn from the seed.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

import attrs

from orchwf import (
    Cache,
    Orchestrator,
    OrchwfError,
    Queue,
    Quorum,
    Retry,
    RunStatus,
    StepContext,
    compile_workflow,
    make_workflow,
    step,
)
from orchwf.blobs.references import KEY_LENGTH, MARKER
from orchwf.core.children import encoded_child
from orchwf.core.definition import ForChild, ForSignal, Several
from orchwf.core.events import (
    CompensationStarted,
    Event,
    SignalReceived,
    StepCompleted,
    StepStarted,
)
from orchwf.core.history import History
from orchwf.core.machine import Machine
from orchwf.core.plan import Plan
from orchwf.core.rows import ITEMS
from orchwf.core.state import StepStatus
from orchwf.ports import RunQuery, RunRecord, Store
from orchwf.stores import CodedStore, MemoryStore, OffloadingStore
from orchwf.stores.offloading import GRACE
from tests.kernel.oracles import check_effects, check_end, check_fates, check_signals, check_start
from tests.simulation.around import Around, Key, key_of
from tests.simulation.checks import Argument, check_argument, check_forsaken, check_hits, check_rows, forsaken_by
from tests.simulation.coding import SECRET, Reversing, check_secrets
from tests.simulation.loop import Inline, SimulatedClock, SimulatedLoop, in_line
from tests.simulation.nodes import Nodes, check_timers, ends_of
from tests.simulation.scheduled import Scheduled
from tests.simulation.stores import BlobsOnLine, Books, Database, Faults, Line, SimulatedSQLiteStore
from tests.stores.blobs import MemoryBlobStore

LEASE = 15.0
QUEUE = Queue("q", concurrency=2)
_PROCESS: ContextVar[Line] = ContextVar("process")
"""The process in which a body runs: an orchestrator's own context variables reach the bodies that it takes up."""

_PATIENCE = 20_000.0
"""Simulated seconds in which every run has to end once the faults are over."""


class Unwatched(Orchestrator):
    """An orchestrator without a watchdog, which looks at the real clock, and without threads."""

    def _watch(self, engine: Any) -> Callable[[], None]:
        engine._threads = Inline()
        return lambda: None


@attrs.define
class Process:
    """One orchestrator: its line to the store, and what is told to it."""

    line: Line
    task: "asyncio.Task[None]"
    orchestrator: Orchestrator
    leave: asyncio.Event


Opening = Callable[[Callable[[], float]], MemoryStore | Database]
"""Makes a store whose leases go by this clock."""


@attrs.define
class World:
    """
    One simulated life.

    Attributes:
        opens: Makes the store, with the clock of its leases.
        draw: All chance.
        loop: All time.
        inner: What survives.
        store: The same, with all payloads decoded.
        workflows, children: What is started by callers, and by runs.
        begun: (run, step, item, attempt, whether it undoes) of each body that began.
        returned: (run, step, item, attempt) of each that returned -> what it did, encoded.
        given: (run, step, position) -> what attempts of a generator gave there.
        arguments: Run -> what its bodies were called with, of those that are called with items.
        violations: What was seen that must not be.
        due: Of the runs that slept though they were due, at the last look, the times of that.
        is_calm: Whether everybody can renew its lease in time: nobody who lives is taken for dead.
        has_around: Whether there are middleware and hooks.
        is_coded: Whether the payloads are encoded.
        blobs: Where large values are kept, if not in the store: most values are large here.
        inside: Limit -> the processes of the bodies that hold it.
        scheduled: A schedule, which there is in some lives.
        arounds: Name of a process -> its middleware and hooks; they are there in some lives.
    """

    seed: int
    opens: Opening
    loop: SimulatedLoop
    draw: random.Random = attrs.field(init=False)
    inner: MemoryStore | Database = attrs.field(init=False)
    store: Store = attrs.field(init=False)
    books: Books = attrs.field(factory=Books)
    faults: Faults = attrs.field(factory=Faults)
    workflows: list[type] = attrs.field(factory=list)
    children: list[type] = attrs.field(factory=list)
    processes: list[Process] = attrs.field(factory=list)
    gone: list[Process] = attrs.field(factory=list)
    begun: set[Key] = attrs.field(factory=set)
    returned: dict[tuple[str, str, str | None, int], str] = attrs.field(factory=dict)
    given: dict[tuple[str, str, int], set[str]] = attrs.field(factory=dict)
    arguments: dict[str, set[Argument]] = attrs.field(factory=dict)
    violations: list[str] = attrs.field(factory=list)
    due: dict[str, tuple[float | None, float | None]] = attrs.field(factory=dict)
    is_calm: bool = False
    has_around: bool = False
    is_coded: bool = False
    blobs: MemoryBlobStore | None = None
    inside: dict[str, list[Line]] = attrs.field(factory=dict)
    scheduled: Scheduled | None = None
    arounds: dict[str, Around] = attrs.field(factory=dict)
    crashes: int = 0
    _names: Iterator[int] = attrs.field(factory=lambda: iter(range(10**9)))

    def __attrs_post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.inner = self.opens(self.loop.time)
        self.is_coded = random.Random(f"{self.seed} codec").random() < 0.25
        if random.Random(f"{self.seed} blobs").random() < 0.25:
            self.blobs = MemoryBlobStore()
        self.store = self.coded(self.inner, "nobody")
        self.faults = Faults(
            busy=self.draw.choice([0, 0, 0.05]), lost=self.draw.choice([0, 0, 0.01]),
            stall=self.draw.choice([0, 0.01, 0.03]), slowest=self.draw.choice([0.001, 0.1, 2.0]),
        )  # fmt: skip
        faults = self.faults
        self.has_around = random.Random(f"{self.seed} around").random() < 0.5
        self.is_calm = not (faults.busy or faults.lost or faults.stall) and faults.slowest < 1
        self.children = [self.workflow("C0", [])]
        self.children.append(self.workflow("C1", self.children[:1]))
        self.workflows = [self.workflow(f"W{number}", self.children) for number in range(2)]
        if random.Random(f"{self.seed} scheduled").random() < 0.15:
            self.scheduled = Scheduled(self)

    # What runs.

    def workflow(self, name: str, children: list[type]) -> type:
        """
        A random graph of steps that take a while, fail, return, and can be undone; some are limited, or cached, have
        items, wait, or start other runs.
        """
        draw, limits, nodes = self.draw, random.Random(f"{self.seed} {name} limits"), Nodes(self, name, children)
        names = [f"s{number}" for number in range(draw.randint(1, 6 if children else 3))]
        steps: dict[str, Any] = {}
        for place, each in enumerate(names):
            special = nodes.make(each, names[:place])
            if special is not None:
                steps[each] = special
                continue
            before = draw.sample(names[:place], min(place, draw.randint(0, 2)))
            join: Any = "all" if not before else draw.choice(["all", "all", "any", "settled", "first", Quorum(1)])
            options: Any = {
                "depends_on": before,
                "join": join,
                "cancel_rest": limits.random() < 0.5 and (join == "first" or isinstance(join, Quorum)),
                "required": draw.random() < 0.8,
                "retries": Retry(draw.choice([0, 0, 2]), initial=draw.choice([0, 1, 30])),
                "timeout": draw.choice([None, None, 5]),
                "delivery": draw.choice(["at_least_once"] * 3 + ["at_most_once"]),
                "on_exhausted": draw.choice(["fail"] * 4 + ["pause"]),
                "mutex": limits.choice([None, None, "m"]),
                "queue": limits.choice([None, None, QUEUE]),
                "cache": limits.choice([None, None, None, Cache()]),
            }
            held = ({"m": 1} if options["mutex"] else {}) | ({"q": 2} if options["queue"] else {})
            made = step(name=each, **options)(self.body(draw.random(), draw.choice([0.0, 0.0, 0.2]), held))
            if draw.random() < 0.5:
                made.compensate(self.undo(draw.choice([0.0, 0.3])))
            steps[each] = made
            nodes.note_plain(made)
        deadline = limits.choice([None] * 9 + [400])
        return make_workflow(name, steps, fail_fast=draw.random() < 0.7, deadline=deadline)

    def body(self, slowness: float, failing: float, held: dict[str, Any]) -> Any:
        async def body(ctx: StepContext) -> int:
            with self.held(_PROCESS.get(), held):
                return await self.work(ctx, slowness, failing)

        return body

    async def work(self, ctx: StepContext, slowness: float, failing: float) -> int:
        """What a body does: it takes a while, and fails, or gives a number."""
        await self.begin(ctx)
        draw = random.Random(f"{self.seed} {ctx.run_id} {ctx.step} {ctx.item} {ctx.attempt}")
        if draw.random() < 0.3:
            ctx.heartbeat(ctx.attempt)
        await asyncio.sleep(slowness * 10 * draw.random())
        await self.live()
        ends_of(draw, failing)
        return int(self.note_returned(ctx, SECRET + draw.randrange(10**6)))

    def note_returned(self, ctx: StepContext, value: Any) -> Any:
        """A body gives this."""
        self.returned[ctx.run_id, ctx.step, ctx.item, ctx.attempt] = json.dumps(value, separators=(",", ":"))
        return value

    def note_given(self, ctx: StepContext, position: int, value: int) -> int:
        """A generator gives this, at this position."""
        self.given.setdefault((ctx.run_id, ctx.step, position), set()).add(str(value))
        return value

    def note_argument(self, ctx: StepContext, argument: Argument) -> None:
        """A body that runs per item is called with this number, and knows which item it is."""
        if not isinstance(argument.value, int) or ctx.item is None:
            self.violations.append(f"{ctx.step} was called with {argument.value!r} as item {ctx.item}")
        self.note_arguments(ctx.run_id, [argument])

    def note_arguments(self, run_id: str, arguments: list[Argument]) -> None:
        """A body is called with these."""
        self.arguments.setdefault(run_id, set()).update(arguments)

    @contextlib.contextmanager
    def held(self, process: Line, limits: dict[str, int]) -> Iterator[None]:
        """No more bodies are under way than these limits allow: limit -> how many. One that is stopped ends at once."""
        for name, most in limits.items():
            inside = self.inside.setdefault(name, [])
            inside.append(process)
            if self.is_calm and sum(not each.is_dead for each in inside) > most:
                self.violations.append(f"more than {most} at once of {name}")
        try:
            yield
        finally:
            for name in limits:
                self.inside[name].remove(process)

    def undo(self, failing: float) -> Any:
        async def undo(output: int | None, ctx: StepContext) -> None:
            await self.begin(ctx)
            self.check_output(ctx, output, await self.store.read(ctx.run_id))
            await asyncio.sleep(1)
            await self.live()
            if random.Random(f"{self.seed} {ctx.run_id} {ctx.step} {ctx.attempt} undo").random() < failing:
                raise ValueError("cannot be undone")

        return undo

    def check_output(self, ctx: StepContext, output: int | None, log: list[Event]) -> None:
        """A compensation gets what its step returned, or None if that is not known."""
        own = [event for event in log if isinstance(event, StepCompleted) and _key_of(event) == (ctx.step, ctx.item)]
        if ([str(output)] if output is not None else []) != [event.output for event in own][-1:]:
            self.violations.append(f"{ctx.step} (item {ctx.item}) is undone with {output}")

    async def begin(self, ctx: StepContext) -> None:
        """Invariant 4: a body begins only after its start was committed; and it begins once."""
        await self.live()
        # Told at the end: whatever a body raises is the end of its attempt, and no more.
        key = key_of(ctx)
        if key in self.begun:
            self.violations.append(f"{key} began twice")
        self.begun.add(key)
        if (around := self.arounds.get(_PROCESS.get().name)) is not None:
            around.check_body(ctx)
        started: type[StepStarted | CompensationStarted] = CompensationStarted if ctx.compensates else StepStarted
        log = [event for event in await self.store.read(ctx.run_id) if isinstance(event, started)]
        if (ctx.step, ctx.item, ctx.attempt) not in {(*_key_of(event), event.attempt) for event in log}:
            self.violations.append(f"{key} began before that was written")

    async def live(self) -> None:
        """What belongs to a dead process does nothing any more."""
        await _PROCESS.get().live()

    # Who runs it.

    async def enter(self) -> None:
        """Another process comes; its clock may be wrong."""
        line = Line(self.inner, self.draw, self.faults, self.books, f"p{next(self._names)}")
        errors = [0.0, 0.0, -3600.0, 86_400.0] if self.scheduled is None else self.scheduled.clocks
        clock = SimulatedClock(self.loop, self.draw.choice(errors))
        _PROCESS.set(line)
        told: dict[str, Any] = {}
        if self.has_around:
            around = self.arounds[line.name] = Around(self, line)
            told = {"middleware": [around], "on_success": around.on_success, "on_failure": around.on_failure}
        orchestrator = Unwatched(
            self.coded(line, line.name, line), workflows=[*self.workflows, *self.children], clock=clock, lease=LEASE,
            grace=2.0, max_concurrency=self.draw.choice([1, 2, 100]), **told,
        )  # fmt: skip
        leave, entered = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            try:
                async with orchestrator:
                    entered.set()
                    if self.scheduled is not None:
                        await self.scheduled.say(orchestrator)
                    await leave.wait()
            except OrchwfError:
                # What a store does to it is not the end of the world.
                pass
            except Exception as error:
                self.violations.append(f"process {line.name} ended with {error!r}")

        task = asyncio.create_task(live())
        process = Process(line, task, orchestrator, leave)
        self.processes.append(process)
        waits = asyncio.create_task(entered.wait())
        await asyncio.wait([task, waits], timeout=200, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if not entered.is_set():
            self.crash(process)

    def coded(self, store: Store, process: str, line: Line | None = None) -> Store:
        """The store as this process sees it, on a line or as it is."""
        if self.blobs is not None:
            blobs = self.blobs if line is None else BlobsOnLine(self.blobs, line)
            store = OffloadingStore(store, blobs, threshold=5)
        return CodedStore(store, Reversing(process)) if self.is_coded else store

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
            # Some times of a schedule should come meanwhile.
            await asyncio.sleep(self.draw.choice([0, 0.01, 1, 5]) * (1 if self.scheduled is None else 4))
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
        children = [record.id for record in await self.store.runs(RunQuery()) if "/" in record.id]
        # What was started by a run is steered as any other.
        steered = draw.choice([run_id, run_id, *children[:3]])
        match draw.randrange(13):
            case 0 | 1 | 2 | 3:
                later = draw.choice([None] * 6 + [5, 60])
                await orchestrator.start(draw.choice(self.workflows)(), run_id=run_id, not_before=later)
            case 4:
                await (await orchestrator.get(steered)).cancel("simulated")
            case 5:
                await (await orchestrator.get(steered)).pause("simulated")
            case 6 if draw.random() < 0.3:
                await (await orchestrator.get(steered)).terminate("simulated")
            case 7:
                record = await self.store.get(run_id)
                if record is not None:
                    steps = list(compile_workflow(self.workflow_of(record.workflow)).nodes)
                    await orchestrator.fork(run_id, draw.choice(steps), new_id=f"r{draw.randrange(4)}")
            case 8 | 9 | 10:
                await self.send(orchestrator, steered)
            case _:
                await self.resume(orchestrator, steered)

    async def send(self, orchestrator: Orchestrator, run_id: str) -> None:
        """Somebody sends a signal, maybe twice, and maybe one that nobody waits for."""
        record = await self.store.get(run_id)
        if record is None:
            return
        nodes = compile_workflow(self.workflow_of(record.workflow)).nodes
        names = [node.name for node in nodes.values() if isinstance(node.waits, ForSignal)]
        handle = await orchestrator.get(run_id)
        for _ in range(self.draw.choice([1, 1, 2])):
            name = self.draw.choice([*names, "s0"])
            await handle.send(name, self.draw.randrange(100), id=self.draw.choice([None, "a", "b"]))

    async def resume(self, orchestrator: Orchestrator, run_id: str) -> None:
        """Somebody resumes a run, and says something of the steps in question."""
        answers: dict[str, Any] = {"rerun": [], "skip": [], "values": {}}
        for name, is_number in (await self.in_question(run_id)).items():
            match self.draw.randrange(3 if is_number else 2):
                case 0:
                    answers["rerun"].append(name)
                case 1:
                    answers["skip"].append(name)
                case _:
                    answers["values"][name] = 7
        await orchestrator.resume(run_id, **answers)

    async def in_question(self, run_id: str) -> dict[str, bool]:
        """The steps that run at most once and whose fate nobody knows -> whether they give a number."""
        record = await self.store.get(run_id)
        if record is None:
            return {}
        machine = await self.machine_of(record)
        run = machine.run
        running = [
            step for step in run.running
            if run.nodes[step].options.delivery == "at_most_once" and step not in run.undone_by
            and step not in run.plan.eaches
        ]  # fmt: skip
        unknown = [run.plan.index[run.nodes[step].name] for step in [*run.unknown, *running]]
        plain = (None, Several.LOOP)
        return {
            run.nodes[step].name: run.plan.several.get(step) in plain and run.nodes[step].returns is int
            for step in unknown
        }

    async def machine_of(self, record: RunRecord) -> Machine:
        """What the log of a run says of it."""
        machine = Machine(record.id, Plan(compile_workflow(self.workflow_of(record.workflow))), lambda _: None)
        machine.replay(await self.store.read(record.id))
        return machine

    def workflow_of(self, name: str) -> type:
        every = (*self.workflows, *self.children)
        return next(workflow for workflow in every if compile_workflow(workflow).name == name)

    # How it ends.

    async def heal(self) -> None:
        """No more faults: one good process, and every run comes to its end."""
        self.faults.busy = self.faults.lost = self.faults.stall = 0.0
        self.faults.slowest = 0.001
        for process in list(self.processes):
            self.crash(process)
        await self.enter()
        orchestrator = self.processes[-1].orchestrator
        if self.scheduled is not None:
            await self.scheduled.end(orchestrator)
        until = self.loop.time() + _PATIENCE
        while open_ones := [each for each in await self.store.runs(RunQuery()) if not each.status.is_final]:
            assert self.loop.time() < until, f"runs do not end: {[(each.id, str(each.status)) for each in open_ones]}"
            for record in open_ones:
                with contextlib.suppress(OrchwfError):
                    await self.help(orchestrator, record)
            await asyncio.sleep(10)
            await self.check_sleepers(orchestrator)
        for record in await self.store.runs(RunQuery()):
            await asyncio.wait_for((await orchestrator.get(record.id)).wait(), 1)

    async def help(self, orchestrator: Orchestrator, record: RunRecord) -> None:
        """Let a run go on that waits for somebody."""
        if record.status is RunStatus.PAUSED:
            await self.resume(orchestrator, record.id)
            return
        run = (await self.machine_of(record)).run
        for number in run.waiting:
            if isinstance(run.nodes[number].waits, ForSignal):
                await (await orchestrator.get(record.id)).send(run.nodes[number].name, 7, id="help")

    async def check_sleepers(self, orchestrator: Orchestrator) -> None:
        """What was due the last time that this was called sleeps no more."""
        found = await self.store.runs(RunQuery(due_by=orchestrator._clock.now()))
        due = {record.id: (record.wake_at, record.slept_at) for record in found}
        late = [run_id for run_id, times in due.items() if self.due.get(run_id) == times]
        self.due = due
        if late:
            self.violations.append(f"{late} sleep on, though they are due")

    async def check(self) -> None:
        """The invariants, by what is in the store, what was acknowledged, and what the bodies did."""
        assert not self.violations, "; ".join(self.violations[:5])
        # The last one has given back what its steps held, and the leases of the dead have run out.
        await asyncio.sleep(LEASE + 5)
        assert "0" == (await self.store.facts())["slots"]
        if self.is_coded:
            check_secrets(self.inner)
        if self.blobs is not None:
            # What is needed stays, and all else goes.
            self.blobs.now += 2 * GRACE
            await self.store.forget_expired(0.0)
            assert set(self.blobs.kept) == await self.inner.mentioned(MARKER, KEY_LENGTH)
        records = await self.store.runs(RunQuery())
        logs = {record.id: await self.store.read(record.id) for record in records}
        for record in records:
            kept, log = await self.inner.read(record.id), logs[record.id]
            plan = Plan(compile_workflow(self.workflow_of(record.workflow)))
            for seq, event in self.books.events.get(record.id, {}).items():
                assert kept[seq - 1] == event, f"acknowledged, but not there: {event}"
            check_end(log)
            for event in log:
                if isinstance(event, StepStarted):
                    check_start(plan, event, log[: event.seq - 1])
            check_fates(plan, log)
            check_effects(plan, log)
            check_signals(plan, log)
            check_timers(log)
            check_messages(log)
            check_rows(plan, log)
            check_hits(log, logs)
            for argument in self.arguments.get(record.id, ()):
                check_argument(argument, log)
            self.check_outputs(record.id, plan, log)
            self.check_owners(record.id)
            machine = await self.machine_of(record)
            history = History(record.id).extend(log)
            assert record.status is machine.run.status is history.status
            assert record.wake_at is None
            await self.check_children(machine, history, logs)
            self.check_views(history)
            # Who died after the claim and before the first event leaves its name, and so does who cannot give it back.
            faults = self.faults.counts
            is_free = record.owner in {None, *map(owner_of, self.gone)} or faults.get("lost") or faults.get("busy")
            assert is_free, f"{record.id} has ended, and {record.owner} owns it"
        if self.scheduled is not None:
            await self.scheduled.check()
        alive = {process.line.name for process in self.processes}
        for name, around in self.arounds.items():
            around.check_ends(self.books, has_lived=name in alive)

    def check_outputs(self, run_id: str, plan: Plan, log: list[Event]) -> None:
        """What is stored is what the body returned in that attempt, or what somebody gave."""
        for event in log:
            if not isinstance(event, StepCompleted) or event.output in _SAID:
                continue
            step = plan.index[event.step]
            if plan.several.get(step) is Several.STREAM and event.item is not None:
                assert event.output in self.given.get((run_id, event.step, event.item), set()) or not event.attempt
            elif event.attempt and not isinstance(plan.nodes[step].waits, ForChild):
                returned = self.returned.get((run_id, *_key_of(event), event.attempt))
                assert returned == event.output, f"{event} of {run_id}, but {returned} was returned"

    async def check_children(self, machine: Machine, history: History, logs: dict[str, list[Event]]) -> None:
        """A step that waited for a run completed with what that gave, or stopped it; what was started is its own."""
        run = machine.run
        for number, started in run.children.items():
            record = await self.store.get(started.child)
            if record is None:
                # Its parent was cancelled, or failed, before it came to be.
                assert run.statuses[number] is not StepStatus.COMPLETED
                continue
            of_child = History(record.id).extend(logs[record.id])
            assert of_child.parent == run.run_id
            waits, written = run.nodes[number].waits, self.books.written
            if isinstance(waits, ForChild) and waits.on_parent_close == "cancel":
                forsaken = forsaken_by(logs[run.run_id], started)
                at = None if forsaken is None else written[run.run_id][forsaken.seq]
                check_forsaken(logs[record.id], written[record.id], at)
            item = run.item_of(number)
            owner = history.steps[run.nodes[number].name]
            own = owner if item is None else owner.items[item]
            if own.status is StepStatus.COMPLETED and own.attempts:
                assert own.output == encoded_child(record.id, of_child.steps, None)

    def check_views(self, history: History) -> None:
        """What people with an SQL prompt see is what the log says."""
        if isinstance(self.inner, MemoryStore):
            return
        steps = {name: str(record.status) for name, record in history.steps.items()}
        items = {
            (name, each.item): str(each.status)
            for name, record in history.steps.items()
            for each in record.present
            if each.item in record.items
        }
        assert steps == dict(self.inner.view("steps", "step, status", history.run_id))
        seen = self.inner.view("items", "step, item, status", history.run_id)
        assert items == {(step, item): status for step, item, status in seen}

    def check_owners(self, run_id: str) -> None:
        """Invariant 5: who wrote after another one has taken over has not written before it did."""
        seen: list[str] = []
        for _, writer in sorted(self.books.writers.get(run_id, {}).items()):
            if not seen or seen[-1] != writer:
                seen.append(writer)
        resumes = sum(event.kind == "run.resumed" for event in self.books.events.get(run_id, {}).values())
        # What was written and not acknowledged is not in the books.
        assert len(seen) <= 1 + resumes + self.faults.counts.get("lost", 0) + self.crashes


def _key_of(event: Any) -> tuple[str, str | None]:
    """Step and item, as a body knows them."""
    return event.step, None if event.item is None else str(event.item)


_SAID = ("7", '{"$":"int","v":7}', ITEMS)
"""Outputs that no body returns: somebody said so, or ended the run with it; and that of a step with items."""


def check_messages(log: list[Event]) -> None:
    """What was said to a run counts once."""
    ids = [event.message_id for event in log if isinstance(event, SignalReceived)]
    assert sorted(set(ids)) == sorted(ids)


def owner_of(process: Process) -> str | None:
    """Who this process is to others; None if it never got so far."""
    runs = process.orchestrator._entered
    return None if runs is None else str(runs.owner)


def simulate(seed: int, *, actions: int = 25, opens: Opening | None = None) -> World:
    """
    Live a whole life, and check the invariants.

    Args:
        opens: Makes the store; by default every second one has the SQL of SQLite, and the others are in memory.

    Raises:
        AssertionError: one of them does not hold.
    """
    random.seed(seed)
    loop = SimulatedLoop()
    world = World(seed, opens or (SimulatedSQLiteStore if seed % 2 else MemoryStore), loop)

    async def whole_life() -> None:
        await world.chaos(actions)
        await world.heal()
        await world.check()

    with patch("asyncio.to_thread", in_line):
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
