"""Runs that others wait for, while somebody else deletes, resumes or starts them: the one that waits gets there."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from orchwf import Orchestrator, RunStatus, make_workflow, signal, step, subflow, workflow
from orchwf.core.events import Event, RunResumed, RunStarted, SignalReceived
from orchwf.ports import RunRecord
from orchwf.stores import MemoryStore
from orchwf.testing import TestOrchestrator
from tests.runtime.flows import Gate, is_status, log_of, sleeps, statuses_of, until

SEEN: Counter[str] = Counter()
BROKEN: set[str] = set()
"""Who is to fail."""

GATES: dict[str, Gate] = {}
"""By the name of who waits there; who has none goes on."""


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    for each in (SEEN, BROKEN, GATES):
        each.clear()
    yield
    for each in (SEEN, BROKEN, GATES):
        each.clear()


@workflow
class Child:
    """What is waited for."""

    name: str = "it"

    @step
    async def work(self) -> str:
        SEEN[self.name] += 1
        if self.name in GATES:
            await GATES[self.name].pass_through()
        if self.name in BROKEN:
            raise ConnectionError("not now")
        return self.name


@workflow
class Parent:
    """Waits for it."""

    @subflow
    def child(self) -> Child:
        return Child()

    @step
    def told(self, it: str = child[Child.work].result) -> str:
        return f"heard {it}"


@workflow
class Listening:
    """Waits for a word."""

    word = signal(str)

    @step
    async def said(self, word: str = word.result) -> str:
        SEEN[word] += 1
        if word in GATES:
            await GATES[word].pass_through()
        if word in BROKEN:
            raise ConnectionError("not now")
        return word


@workflow
class Above:
    """Waits for it, asleep."""

    @subflow
    def below(self) -> Listening:
        return Listening()

    @step
    def told(self, word: str = below[Listening.said].result) -> str:
        return f"heard {word}"


class Meddling(MemoryStore):
    """Something happens right after a run was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._looks: Counter[str] = Counter()
        self._plans: dict[tuple[str, int], Callable[[], Awaitable[object]]] = {}

    def after(self, what: str, number: int, happens: Callable[[], Awaitable[object]]) -> None:
        """Plan what happens after this look from now on, counted from 1: `get RUN` or `read RUN`."""
        self._looks[what] = 0
        self._plans[what, number] = happens

    async def _looked(self, what: str) -> None:
        self._looks[what] += 1
        happens = self._plans.pop((what, self._looks[what]), None)
        if happens is not None:
            await happens()

    async def get(self, run_id: str) -> RunRecord | None:
        found = await super().get(run_id)
        await self._looked(f"get {run_id}")
        return found

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        found = await super().read(run_id, after, limit)
        await self._looked(f"read {run_id}")
        return found


async def ended_below(store: MemoryStore) -> None:
    """A run that sleeps until it hears of its child, which has ended meanwhile; nobody is there who knows both."""
    async with TestOrchestrator(store) as orchestrator:
        await orchestrator.start(Above(), run_id="r")
        await until(lambda: sleeps(store, "r", "r/below"))
    async with TestOrchestrator(store, workflows=[Listening]) as orchestrator:
        child = await orchestrator.get("r/below")
        await child.send(Listening.word, "hello")
        await child.wait()


# Deleted behind our back.


async def test_a_child_that_ended_and_is_gone_is_begun_anew():
    """What its parent is told of it cannot be read any more: another run is started in its place."""
    store = MemoryStore()
    await ended_below(store)
    await store.delete(["r/below"])

    async with TestOrchestrator(store, workflows=[Above]) as orchestrator:
        await until(lambda: is_status(store, "r/below", RunStatus.RUNNING))
        await (await orchestrator.get("r/below")).send(Listening.word, "again")
        result = await (await orchestrator.get("r")).result()

    assert "heard again" == result[Above.told]
    assert {"hello": 1, "again": 1} == SEEN


async def test_a_failed_child_that_was_deleted_is_begun_anew_when_its_parent_is_resumed():
    """Its parent hears of the end of the new one, also if that ends after as many events as the one before."""
    store = MemoryStore()
    BROKEN.add("it")

    async with TestOrchestrator(store) as orchestrator:
        await (await orchestrator.start(Parent(), run_id="r")).wait()
        BROKEN.clear()
        await orchestrator.delete("r/child")
        result = await (await orchestrator.resume("r")).result()

    assert "heard it" == result[Parent.told]
    assert {"it": 2} == SEEN


@pytest.mark.parametrize("moment", ["get r/child", "read r/child"])
async def test_a_child_that_vanishes_while_it_is_looked_at_is_begun_anew(moment: str):
    """Whatever was read of it before: its parent, resumed, waits for a new one."""
    store = Meddling()
    BROKEN.add("it")
    async with TestOrchestrator(store) as orchestrator:
        await (await orchestrator.start(Parent(), run_id="r")).wait()
    BROKEN.clear()

    async with TestOrchestrator(store, workflows=[Parent]) as orchestrator:
        store.after(moment, 1, lambda: store.delete(["r/child"]))
        result = await (await orchestrator.resume("r")).result()
        log = await log_of(await orchestrator.get("r/child"))

    assert "heard it" == result[Parent.told]
    assert isinstance(log[0], RunStarted)
    assert not any(isinstance(event, RunResumed) for event in log)


# Somebody else.


async def test_a_child_that_somebody_starts_by_hand_at_the_same_moment_is_none():
    """Its id is taken: the step that would have started it fails, and the other run goes on."""
    store = Meddling()
    GATES["other"] = Gate()

    async with TestOrchestrator(store) as orchestrator:

        async def by_hand() -> None:
            await orchestrator.start(Child(name="other"), run_id="r/child")

        store.after("get r/child", 1, by_hand)
        failed = await (await orchestrator.start(Parent(), run_id="r")).wait()
        GATES["other"].open()
        result = await (await orchestrator.get("r/child")).result()

    assert "run 'r/child' exists already, and was not started by run 'r'" in failed.error
    assert "other" == result["work"]
    assert {"other": 1} == SEEN


async def test_a_failed_child_that_somebody_else_resumes_first_is_waited_for():
    """The next attempt of the step finds it at work elsewhere, and hears of its end as it would of any."""
    store = Meddling()
    BROKEN.add("it")
    async with Orchestrator(store) as orchestrator:
        await (await orchestrator.start(Parent(), run_id="r")).wait()
    BROKEN.clear()
    GATES["it"] = Gate()

    async with Orchestrator(store, workflows=[Child]) as one, Orchestrator(store, workflows=[Parent]) as other:

        async def by_hand() -> None:
            await one.resume("r/child")

        store.after("get r/child", 2, by_hand)
        run = await other.resume("r")
        await GATES["it"].came.get()
        GATES["it"].open()
        result = await run.result()

    assert "heard it" == result[Parent.told]
    assert {"it": 2} == SEEN


async def test_a_child_that_was_resumed_before_its_parent_heard_that_it_had_failed_is_waited_for():
    """Its failure is no news any more; the parent hears of the next end."""
    store = MemoryStore()
    BROKEN.add("hello")
    await ended_below(store)
    BROKEN.clear()
    GATES["hello"] = Gate()

    async with Orchestrator(store, workflows=[Listening]) as one:
        await one.resume("r/below")
        await GATES["hello"].came.get()
        async with Orchestrator(store, workflows=[Above]) as other:
            run = await other.get("r")
            async for event in run.events(follow=True):
                if isinstance(event, SignalReceived):
                    break
            GATES["hello"].open()
            result = await run.result()

    assert "heard hello" == result[Above.told]
    assert {"hello": 2} == SEEN


async def test_a_child_that_cannot_be_read_is_looked_at_again():
    """The parent waits meanwhile; once the store is mended both go on."""

    class Losing(MemoryStore):
        is_broken, lost = False, 0

        async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
            if self.is_broken and run_id == "r/child":
                self.lost += 1
                return []
            return await super().read(run_id, after, limit)

    store = Losing()
    GATES["it"] = Gate()
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(Parent(), run_id="r")
        await GATES["it"].came.get()
    GATES["it"].open()

    store.is_broken = True
    async with Orchestrator(store, workflows=[Parent]) as orchestrator:
        run = await orchestrator.get("r")
        before = store.lost
        orchestrator._runs.poked.set()
        await until(lambda: store.lost > before + 1)
        status = await run.status()
        store.is_broken = False
        result = await run.result()

    assert RunStatus.RUNNING is status
    assert "heard it" == result[Parent.told]


async def test_a_child_whose_code_is_not_known_fails_its_parent():
    """It has to be started anew, and nobody can: that is told; once it is known a resume goes on."""
    store = MemoryStore()
    GATES["it"] = Gate()

    @workflow
    class Special(Child):
        """What is annotated is its base."""

    async def body() -> Child:
        return Special()

    flow = make_workflow("Calling", [subflow(name="child")(body)])
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await GATES["it"].came.get()
    await store.delete(["r/child"])
    GATES["it"].open()

    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        failed = await (await orchestrator.get("r")).wait()
    async with Orchestrator(store, workflows=[flow, Special]) as orchestrator:
        result = await (await orchestrator.resume("r")).result()

    assert failed.error.startswith("UnknownWorkflowError: this orchestrator does not know the workflow 'Special'")
    assert {"r": RunStatus.COMPLETED, "r/child": RunStatus.COMPLETED} == await statuses_of(store)
    assert "it" == result["child"]["work"]
