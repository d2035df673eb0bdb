"""Runs that are copied from one store to another, and go on in one of them only."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest

from orchwf import (
    ConflictError,
    CopiedRun,
    CopyReport,
    Orchestrator,
    RunEndedError,
    RunNotFoundError,
    RunStatus,
    StoreError,
    UsageError,
    copy_runs,
    open_store,
    signal,
    step,
    subflow,
    workflow,
)
from orchwf.core import events as ev
from orchwf.core.schedules import Phase, ScheduleRecord, run_id_of
from orchwf.errors import StoreNotFoundError
from orchwf.ports import Append, Message, RunQuery, RunRecord, Store, Summary
from orchwf.runtime.copying import Outcome
from orchwf.runtime.owner import this_process
from orchwf.runtime.schedules import table_of
from orchwf.runtime.transfer import INTERIM, departure
from orchwf.stores import MemoryStore
from orchwf.testing.relay import Relay
from tests.kinds import opened_store
from tests.stores.samples import NOW, completed, creation, more, received, schedule, started, written

T = TypeVar("T")

FINAL = Summary(status=RunStatus.COMPLETED, fingerprint="f1", ended_at=NOW + 9)
BEGUN = ev.RunStarted(seq=1, at=NOW, workflow="Orders", version="1", fingerprint="f1", inputs="{}")
RAN: list[str] = []


@workflow
class Half:
    """Two steps, with a person in between."""

    @step
    async def first(self) -> list[str]:
        RAN.append("first")
        return ["x" * 1_000] * 400

    said = signal(int, depends_on=first)

    @step
    async def last(self, rows: list[str] = first.result, said: int = said.result) -> int:
        RAN.append("last")
        return len(rows) + said


@workflow
class Child:
    """A run that another one waits for."""

    asked = signal(int)

    @step
    async def answer(self, asked: int = asked.result) -> int:
        RAN.append("answer")
        return asked


@workflow
class Parent:
    """A run that waits for another one."""

    @step
    async def before(self) -> int:
        RAN.append("before")
        return 1

    @subflow(depends_on=before)
    def child(self) -> Child:
        return Child()

    @step
    async def after(self, answer: int = child[Child.answer].result) -> int:
        RAN.append("after")
        return answer + 1


FLOWS = [Half, Parent, Child]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@pytest.fixture(params=["memory to sqlite", "sqlite to postgres", "postgres to sqlite", "sqlite to memory"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two open, empty stores."""
    kinds = request.param.split(" to ")
    stores = [await opened_store(kind, request, tmp_path) for kind in kinds]
    yield stores[0], stores[1]
    for store in stores:
        await store.close()


def ended(run_id: str, *events: ev.Event, **labels: Any) -> Append:
    """The append of a run that has completed."""
    log = [BEGUN, *events]
    end = ev.RunCompleted(seq=len(log) + 1, at=NOW + 9)
    return creation(
        run_id, *log, end, status=RunStatus.COMPLETED, ended_at=NOW + 9, definition=lambda: '{"is":"it"}', **labels
    )


def counts(report: CopyReport) -> tuple[int, int, int]:
    return report.copied, report.going_on, report.there


def why(report: CopyReport) -> dict[str, str]:
    return {each.id: each.reason for each in report.problems}


async def logs(store: Store) -> dict[str, list[ev.Event]]:
    return {record.id: await store.read(record.id) for record in await store.runs(RunQuery())}


# Runs that have ended.


async def test_what_has_ended_is_copied_as_it_is(pair: tuple[Store, Store]):
    """Log, summary, labels, definition; in the order in which it was created; and in the source nothing changes."""
    source, target = pair
    for number in range(0, 240, 2):
        labels: dict[str, Any] = {"tags": {"n": str(number % 3)}, "metadata": {"trace": [number]}}
        both = (ended(f"R{number + more}", completed(2, output=f'"{number}"'), **labels) for more in (0, 1))
        await written(source, *both)
    before = await source.runs(RunQuery())

    report = await copy_runs(source, target)

    assert (240, 0, 0) == counts(report)
    assert [attrs.evolve(run, number=0) for run in before] == [
        attrs.evolve(run, number=0) for run in await target.runs(RunQuery())
    ]
    assert before == await source.runs(RunQuery())
    assert await logs(source) == await logs(target)
    assert '{"is":"it"}' == await target.definition("f1")
    assert 80 == len(await target.runs(RunQuery(tags={"n": "1"})))


async def test_copying_again_copies_what_is_new(pair: tuple[Store, Store]):
    """What is there is passed over."""
    source, target = pair
    await written(source, ended("A1"), ended("A2"))
    await copy_runs(source, target)
    await written(source, ended("A3"))

    assert (1, 0, 2) == counts(await copy_runs(source, target))
    assert (0, 0, 3) == counts(await copy_runs(source, target))
    assert 3 == len(await target.runs(RunQuery()))


async def test_moving_deletes_what_is_there(pair: tuple[Store, Store]):
    """Also what was copied before."""
    source, target = pair
    await written(source, ended("A1"))
    await copy_runs(source, target)
    await written(source, ended("A2"))

    report = await copy_runs(source, target, move=True)

    assert (1, 0, 1) == counts(report)
    assert {} == await logs(source)
    assert {"A1", "A2"} == set(await logs(target))


async def test_some_are_chosen():
    """By id, by workflow, by status."""
    source = MemoryStore()
    await written(source, ended("A1"), ended("A2"), ended("B1", workflow="Refunds"))
    await written(source, creation("C1", BEGUN, status=RunStatus.FAILED))

    async def chosen(**choice: Any) -> set[str]:
        target = MemoryStore()
        await copy_runs(source, target, **choice)
        return set(await logs(target))

    assert {"A1", "B1"} == await chosen(run_ids=["A1", "B1", "A1"])
    assert set() == await chosen(run_ids=[])
    assert {"B1"} == await chosen(workflow="Refunds")
    assert {"A1", "A2", "B1"} == await chosen(status=[RunStatus.COMPLETED])
    with pytest.raises(RunNotFoundError):
        await chosen(run_ids=["A9"])


async def test_a_long_log_is_copied_in_pieces(pair: tuple[Store, Store]):
    """While it is not whole, the run is paused."""
    source, target = pair
    steps: list[ev.Event] = [started(seq, f"s{seq}") for seq in range(2, 1_700)]
    await written(source, ended("A1", *steps))
    seen: list[RunRecord | None] = []

    class Watched(Relay):
        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            outcomes = await super().append(appends)
            seen.append(await target.get("A1"))
            return outcomes

    report = await copy_runs(source, Watched(target))

    assert (1, 0, 0) == counts(report)
    assert {RunStatus.PAUSED, RunStatus.COMPLETED} == {run.status for run in seen if run}
    assert INTERIM == (seen[0] and seen[0].error)
    assert await source.get("A1") == await target.get("A1")
    assert await logs(source) == await logs(target)


async def test_each_definition_of_a_run_is_copied():
    """It may have gone on with another one."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN, definition=lambda: "old"))
    resumed = ev.RunResumed(seq=2, at=NOW, reason="retry", fingerprint="f2")
    summary = attrs.evolve(FINAL, fingerprint="f2")
    end = ev.RunCompleted(seq=3, at=NOW + 9)
    await written(
        source, Append(run_id="A1", expected=1, events=[resumed, end], summary=summary, definition=lambda: "new")
    )

    await copy_runs(source, target)

    assert ["old", "new"] == [await target.definition(each) for each in ("f1", "f2")]
    assert "f2" == (await target.runs(RunQuery()))[0].fingerprint


async def test_a_run_that_went_on_in_the_source_goes_on_in_the_copy():
    """What failed there, and was resumed, is there as a failed one: the rest of it follows."""
    source, target = MemoryStore(), MemoryStore()
    failed = ev.RunFailed(seq=2, at=NOW + 1, steps=("s",), error="no")
    await written(source, creation("A1", BEGUN, failed, status=RunStatus.FAILED, ended_at=NOW + 1, error="no"))
    await copy_runs(source, target)
    resumed = ev.RunResumed(seq=3, at=NOW + 2, reason="retry", fingerprint="f1")
    await written(source, more("A1", resumed, ev.RunCompleted(seq=4, at=NOW + 9), summary=FINAL))

    assert (1, 0, 0) == counts(await copy_runs(source, target))
    assert await logs(source) == await logs(target)
    assert RunStatus.COMPLETED is (await target.runs(RunQuery()))[0].status


@pytest.mark.parametrize(
    ("log", "status", "reason"),
    [
        ([completed(2, "other")], RunStatus.COMPLETED, "another run of this id is there: they differ from event 2 on"),
        (
            [completed(2), ev.RunCompleted(seq=3, at=NOW + 9), started(4)],
            RunStatus.COMPLETED,
            "it went further there: 4",
        ),
        ([completed(2)], RunStatus.RUNNING, "it is unfinished there, too"),
        ([completed(2), ev.RunCompleted(seq=3, at=NOW + 9)], RunStatus.RUNNING, "it is unfinished there, too"),
    ],
    ids=["another", "longer", "unfinished", "unfinished and equal"],
)
async def test_another_run_is_in_its_place(log: list[ev.Event], status: RunStatus, reason: str):
    """It is named, nothing of it is changed, and the others are copied."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, ended("A1", completed(2)), ended("A2"))
    await written(target, creation("A1", BEGUN, *log, status=status))
    before = await target.read("A1")

    report = await copy_runs(source, target, move=True)

    assert why(report)["A1"].startswith(reason)
    assert [Outcome.CONFLICT] == [each.outcome for each in report.problems]
    assert {"A1"} == set(await logs(source))
    assert before == await target.read("A1")
    assert 1 == report.copied


async def test_what_the_target_cannot_store_is_named(pair: tuple[Store, Store]):
    """The others are copied."""
    source, target = pair

    class Picky(Relay):
        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            found = await super().append([each for each in appends if each.run_id != "A1"])
            return [StoreError("no room for A1") if each.run_id == "A1" else found.pop(0) for each in appends]

    await written(source, ended("A1"), ended("A2"), creation("A3", BEGUN))
    report = await copy_runs(source, Picky(target))

    assert {"A1": "no room for A1"} == why(report)
    assert {"A2", "A3"} == set(await logs(target))


async def test_a_store_is_not_copied_to_itself(tmp_path: Path):
    """Under whatever name."""
    memory, url = MemoryStore(), f"sqlite:///{tmp_path}/a.db"
    await (await open_store(url)).close()

    for stores in ((memory, memory), (url, url)):
        with pytest.raises(UsageError, match="there is nothing to copy"):
            await copy_runs(*stores)


async def test_a_source_that_is_not_there_is_not_made(tmp_path: Path):
    """It would be empty."""
    with pytest.raises(StoreError, match="there is no store"):
        await copy_runs(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db")


# Runs that have not.


class Waiting:
    """Is told when a run waits for a signal."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.waits = asyncio.Event()

    def told(self, run: RunRecord, events: Sequence[ev.Event]) -> None:
        if run.id == self.run_id and any(isinstance(event, ev.TimerSet) for event in events):
            self.waits.set()


async def interrupted(store: Store, flow: object, run_id: str, waiting: str = "") -> None:
    """Begin this run, and leave it when it waits for a signal, or the one that it has started does."""
    waiter = Waiting(waiting or run_id)
    async with Orchestrator(store, workflows=FLOWS, grace=0, observers=[waiter]) as orchestrator:
        await orchestrator.start(flow, run_id)
        await waiter.waits.wait()


async def test_a_half_done_run_goes_on_where_it_was(pair: tuple[Store, Store]):
    """Its completed steps do not run again; and back. In the source it is cancelled, and says where it is."""
    source, target = pair
    await interrupted(source, Half(), "h")

    assert (1, 1, 0) == counts(await copy_runs(source, target))
    left = await source.get("h")
    assert left
    assert (RunStatus.CANCELLED, departure(target.url)) == (left.status, left.error)
    assert (0, 0, 1) == counts(await copy_runs(source, target))
    assert (1, 1, 0) == counts(await copy_runs(target, source))
    assert (1, 1, 0) == counts(await copy_runs(source, target, move=True))

    await target.send(Message(run_id="h", id="m", signal="said", payload="5"))
    async with Orchestrator(target, workflows=FLOWS) as orchestrator:
        result = await (await orchestrator.get("h")).result()

    assert 405 == result["last"]
    assert ["first", "last"] == RAN
    assert await source.get("h") is None
    assert (1, 0, 0) == counts(await copy_runs(target, source))


async def test_large_values_come_along(tmp_path: Path):
    """And are kept where the other store keeps them."""
    source, target = await open_store(f"sqlite:///{tmp_path}/a.db"), await open_store(f"sqlite:///{tmp_path}/b.db")
    await interrupted(source, Half(), "h")

    await copy_runs(source, target, move=True)

    assert 1 == sum(path.is_file() for path in (tmp_path / "b.db.blobs").rglob("*"))
    assert any("x" * 1_000 in event.output for event in await target.read("h") if isinstance(event, ev.StepCompleted))
    await source.close()
    await target.close()


async def test_what_was_said_to_a_run_comes_along(pair: tuple[Store, Store]):
    """Once, also if it is said again; and what was heard already is not heard again."""
    source, target = pair
    await written(source, creation("A1", BEGUN, received(2, "old", "go")))
    for message_id in ("old", "new", "newer"):
        await source.send(Message(run_id="A1", id=message_id, signal="go", payload='"x"'))

    await copy_runs(source, target)
    await target.send(Message(run_id="A1", id="new", signal="go", payload='"y"'))
    await target.claim("A1", "me", previous=None)

    assert [("new", '"x"'), ("newer", '"x"')] == [(each.id, each.payload) for each in await target.inbox("me")]


@pytest.mark.parametrize(
    ("status", "summary"),
    [
        (RunStatus.RUNNING, {"wake_at": NOW + 60, "slept_at": NOW}),
        (RunStatus.RUNNING, {"wake_at": math.inf, "slept_at": NOW}),
        (RunStatus.RUNNING, {}),
        (RunStatus.PAUSED, {"error": "lunch"}),
        (RunStatus.SCHEDULED, {"wake_at": NOW + 60, "slept_at": NOW}),
    ],
    ids=["asleep", "asleep until told", "left", "paused", "scheduled"],
)
async def test_an_unfinished_run_is_in_the_target_what_it_was(
    pair: tuple[Store, Store], status: RunStatus, summary: dict[str, Any]
):
    """Status, reason, and when it goes on; nobody owns it."""
    source, target = pair
    log: list[ev.Event] = [attrs.evolve(BEGUN, not_before=NOW + 60 if status is RunStatus.SCHEDULED else None)]
    log += [ev.RunPaused(seq=2, at=NOW, reason="lunch")] if status is RunStatus.PAUSED else []
    await written(source, creation("A1", *log, status=status, owner="gone|1|1|x", **summary))
    before = await source.get("A1")

    assert (1, 1, 0) == counts(await copy_runs(source, target))

    there = await target.get("A1")
    assert before
    assert there == attrs.evolve(before, owner=None, number=1)
    assert log == await target.read("A1")
    assert there.wake_at == await target.next_wake(0.0) or there.wake_at is None


async def test_a_run_that_a_living_process_executes_is_left_alone(pair: tuple[Store, Store]):
    """It says who does; the others are copied."""
    source, target = pair
    owner = str(this_process("me"))
    await source.renew(owner, 600)
    await written(source, creation("A1", BEGUN, owner=owner), ended("A2"))

    report = await copy_runs(source, target, move=True)

    assert "it is being executed by process" in why(report)["A1"]
    assert [Outcome.LEFT] == [each.outcome for each in report.problems]
    assert {"A1"} == set(await logs(source))
    assert {"A2"} == set(await logs(target))
    assert owner == (await source.runs(RunQuery()))[0].owner


async def test_a_run_that_is_taken_up_meanwhile_is_left_alone():
    """Whoever was faster has it; in the target it is paused, and the next copy goes on with it."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN))

    class Faster(Relay):
        """Its runs are taken up when they are looked at, or when they are about to leave."""

        def __init__(self, inner: Store, call: str) -> None:
            super().__init__(inner)
            self.call = call

        async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
            if self.call == "claim":
                await source.claim(run_id, "other|1|1|x", previous=previous)
            return await super().claim(run_id, owner, previous=previous)

        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            await source.claim("A1", "other|1|1|x", previous=(await source.runs(RunQuery()))[0].owner)
            return await super().append(appends)

    for call in ("claim", "append"):
        report = await copy_runs(Faster(source, call), target)
        assert "somebody has just taken it up" in why(report)["A1"]
        await source.claim("A1", None, previous="other|1|1|x")

    assert [INTERIM] == [run.error for run in await target.runs(RunQuery())]
    assert [None] == [run.owner for run in await source.runs(RunQuery())]
    assert (1, 1, 0) == counts(await copy_runs(source, target))
    assert {"A1": [BEGUN]} == await logs(target)


async def test_a_run_that_was_copied_elsewhere_is_left():
    """It goes on there, and nowhere else."""
    source, target, third = MemoryStore(), MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN))
    await copy_runs(source, target)

    report = await copy_runs(source, third)

    assert {"A1": f"it was {departure('memory:')}"} == why(report)
    assert {} == await logs(third)


async def test_what_went_on_elsewhere_is_not_overwritten():
    """It was here once, went further there, and on to a third store."""
    source, target, third = MemoryStore(), MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN))
    await written(target, creation("A1", BEGUN, started(2)))
    await copy_runs(target, third)

    report = await copy_runs(source, target)

    assert {"A1": f"it went further there, and then it was {departure('memory:')}"} == why(report)


class Meddling(Relay):
    """A store that says something else in the midst of a copy."""

    def __init__(
        self,
        inner: Store,
        *,
        refuses: Callable[[Append], Exception | None] = lambda append: None,
        loses_after: int = 10**9,
        hears: bool = True,
    ) -> None:
        super().__init__(inner)
        self.refuses = refuses
        self.looks_left = loses_after
        self.hears = hears

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        refused = [self.refuses(append) for append in appends]
        return refused if any(refused) else await super().append(appends)

    async def get(self, run_id: str) -> RunRecord | None:
        self.looks_left -= 1
        return await super().get(run_id) if self.looks_left >= 0 else None

    async def send(self, message: Message) -> None:
        if not self.hears:
            raise RunEndedError(message.run_id, "completed")
        await super().send(message)


@pytest.mark.parametrize(
    ("refuses", "reason"),
    [
        (lambda append: None if append.create else StoreError("lost"), "lost"),
        (lambda append: ConflictError("A1", 0) if append.create else None, "another process has taken it over"),
    ],
    ids=["at the end", "at the beginning"],
)
async def test_a_run_that_the_target_refuses_is_named(refuses: Callable[[Append], Exception | None], reason: str):
    """Whatever it refuses; the same copy brings it to its end later."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN))

    report = await copy_runs(source, Meddling(target, refuses=refuses))

    assert reason in why(report)["A1"]
    assert [] == [run.id for run in await target.runs(RunQuery()) if run.error != INTERIM]
    assert (1, 1, 0) == counts(await copy_runs(source, target))


async def test_a_run_that_was_roused_by_what_was_said_goes_on():
    """It is not put back to where it was; nor has it to hear more if it has ended."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, creation("A1", BEGUN))
    await source.send(Message(run_id="A1", id="m", signal="cancel", payload='"x"'))

    report = await copy_runs(
        source, Meddling(target, hears=False, refuses=lambda each: None if each.create else ConflictError("A1", 1))
    )

    assert (1, 1, 0) == counts(report)


async def test_runs_that_are_deleted_meanwhile_are_left():
    """Before they are looked at again."""
    source, target = MemoryStore(), MemoryStore()
    await written(source, ended("A1"), creation("A2", BEGUN))
    await written(target, ended("A1", started(2)))

    report = await copy_runs(Meddling(source, loses_after=0), target)

    assert {
        "A1": "somebody has just deleted it",
        "A2": "it has changed meanwhile; copy it again",
    } == why(report)


async def test_small_batches_and_many_definitions(monkeypatch: pytest.MonkeyPatch):
    """However much is written, or remembered, at once."""
    monkeypatch.setattr("orchwf.runtime.copying._MOST_EVENTS", 4)
    monkeypatch.setattr("orchwf.runtime.transfer._KNOWN_DEFINITIONS", 1)
    source, target = MemoryStore(), MemoryStore()
    for n in range(9):
        begun = attrs.evolve(BEGUN, fingerprint=f"f{n % 2}")
        end = ev.RunCompleted(seq=2, at=NOW + 9)
        labels: dict[str, Any] = {"status": RunStatus.COMPLETED, "ended_at": NOW + 9, "fingerprint": f"f{n % 2}"}
        await written(source, creation(f"R{n}", begun, end, definition=partial(str, n % 2), **labels))

    assert (9, 0, 0) == counts(await copy_runs(source, target))
    assert ["0", "1"] == [await target.definition(f"f{n}") for n in range(2)]
    assert await source.runs(RunQuery()) == await target.runs(RunQuery())


# Runs that wait for others.


async def test_a_run_goes_with_those_that_it_started(pair: tuple[Store, Store]):
    """Whichever of them is looked at first; and they go on together."""
    source, target = pair
    await interrupted(source, Parent(), "p", "p/child")

    assert {"p/child": "run 'p', which has started it, has not ended"} == why(
        await copy_runs(source, target, ["p/child"])
    )
    assert (2, 2, 0) == counts(await copy_runs(source, target))
    await target.send(Message(run_id="p/child", id="m", signal="asked", payload="41"))
    async with Orchestrator(target, workflows=FLOWS) as orchestrator:
        result = await (await orchestrator.get("p")).result()

    assert 42 == result["after"]
    assert ["before", "answer", "after"] == RAN
    assert (2, 0, 0) == counts(await copy_runs(target, source, move=True))
    assert {"p", "p/child"} == set(await logs(source))


async def test_a_run_stays_with_one_that_it_started():
    """If that is at work, neither is copied."""
    source, target, owner = MemoryStore(), MemoryStore(), str(this_process("me"))
    await interrupted(source, Parent(), "p", "p/child")
    await source.renew(owner, 600)
    assert await source.claim("p/child", owner, previous=None)

    report = await copy_runs(source, target)

    assert ["p/child", "p/child"] == [each.id for each in report.problems]
    assert {} == await logs(target)
    assert [owner, None] == [run.owner for run in await source.runs(RunQuery())]


# Whoever copies dies.


class Dying(Relay):
    """A store whose caller dies before, or after, its n-th call that changes anything."""

    def __init__(self, inner: Store, deaths: "Deaths") -> None:
        super().__init__(inner)
        self.deaths = deaths

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        self.deaths.one()
        result = await call()
        self.deaths.one()
        return result


class Deaths:
    """Counts instants, and is the end at one of them."""

    def __init__(self, at: int) -> None:
        self.left = at

    def one(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise DeadError


class DeadError(Exception):
    """The process is gone."""


def open_runs(runs: Sequence[RunRecord]) -> set[str]:
    """Those that somebody would go on with."""
    return {run.id for run in runs if not run.status.is_final and run.error != INTERIM}


async def prepared() -> MemoryStore:
    """A store with all there is: runs that ended, that wait, that wait for others, and a schedule."""
    store = MemoryStore()
    await written(store, ended("A1"), creation("A2", BEGUN, started(2)))
    await store.send(Message(run_id="A2", id="m", signal="go", payload="1"))
    await written(store, ended("A3", *(started(seq, f"s{seq}") for seq in range(2, 1_200))))
    await interrupted(store, Parent(), "p", "p/child")
    await store.put_schedule(schedule("nightly"))
    return store


async def replica(store: MemoryStore) -> MemoryStore:
    """Such a store once more."""
    made = MemoryStore()
    for run in reversed(await store.runs(RunQuery())):
        await written(made, Append(run_id=run.id, expected=0, events=await store.read(run.id), create=run))
    await made.send(Message(run_id="A2", id="m", signal="go", payload="1"))
    await made.put_schedule(schedule("nightly"))
    return made


@pytest.mark.parametrize("move", [False, True])
async def test_wherever_it_dies_no_run_goes_on_in_both(move: bool):
    """Nor in none: the same copy goes on, and at its end all is in the target, once."""
    original = await prepared()
    wanted, instants = set(await logs(original)), 0
    while True:
        instants += 1
        source, target = await replica(original), MemoryStore()
        deaths = Deaths(instants)
        try:
            await copy_runs(Dying(source, deaths), Dying(target, deaths), move=move)
        except DeadError:
            # Its lease runs out at once: it is known to be dead.
            for run in await source.runs(RunQuery()):
                if run.owner is not None:
                    await source.renew(run.owner, 0)
        else:
            break
        here, there = [open_runs(await store.runs(RunQuery())) for store in (source, target)]
        assert set() == here & there
        active = [each for store in (source, target) for each in await store.schedules() if not each.is_paused]
        assert 1 >= len(active)

        report = await copy_runs(source, target, move=move)

        assert () == report.problems
        assert wanted == set(await logs(target))
        assert {"A2", "p", "p/child"} == open_runs(await target.runs(RunQuery()))
        assert set() == open_runs(await source.runs(RunQuery()))
        await target.claim("A2", "me", previous=None)
        assert ["m"] == [each.id for each in await target.inbox("me")]
    assert instants > 40


# Schedules.


async def copied_schedule(target: Store) -> ScheduleRecord:
    [found] = await target.schedules()
    return attrs.evolve(found, revision=0)


async def test_a_schedule_acts_in_the_target(pair: tuple[Store, Store]):
    """In the source it is paused; and back."""
    source, target = pair
    record = schedule("nightly", last_run="nightly@1", last_at=NOW)
    await source.put_schedule(record)

    assert (1, 0, 0) == counts(await copy_runs(source, target))
    assert record == await copied_schedule(target)
    assert (await copied_schedule(source)).is_paused
    assert (0, 0, 1) == counts(await copy_runs(source, target))
    assert (1, 0, 0) == counts(await copy_runs(target, source, move=True))
    assert record == await copied_schedule(source)
    assert [] == await target.schedules()


async def test_a_paused_schedule_stays_paused():
    """Nobody wanted it to act."""
    source, target = MemoryStore(), MemoryStore()
    await source.put_schedule(schedule("nightly", is_paused=True))

    await copy_runs(source, target)

    assert (await copied_schedule(target)).is_paused


async def test_schedules_are_chosen_by_workflow():
    """Not where runs are named, or chosen by status."""
    source = MemoryStore()
    await source.put_schedule(schedule("a"))
    await source.put_schedule(schedule("b", workflow="Refunds"))

    async def chosen(**choice: Any) -> list[str]:
        target = MemoryStore()
        await copy_runs(source, target, **choice)
        return [each.name for each in await target.schedules()]

    assert [] == await chosen(run_ids=[])
    assert [] == await chosen(status=[RunStatus.FAILED])
    assert ["b"] == await chosen(workflow="Refunds")
    assert ["a"] == await chosen(workflow="Orders")


async def test_a_schedule_in_whose_place_another_one_is():
    """It is named, and neither is changed."""
    source, target = MemoryStore(), MemoryStore()
    await source.put_schedule(schedule("a"))
    await source.put_schedule(schedule("b"))
    await target.put_schedule(schedule("a", cron="1 1 * * *"))
    await target.put_schedule(schedule("b"))
    told: list[CopiedRun] = []

    report = await copy_runs(source, target, tell=told.append, move=True)

    assert {
        "a": "a schedule of this name is there, which is another one",
        "b": "it is there, and acts in both: pause it in one of them",
    } == why(report)
    assert list(report.problems) == told
    assert all(each.is_schedule for each in told)
    assert 2 == len(await source.schedules())


async def test_a_schedule_that_begins_a_run_is_left():
    """Its run would be begun in both."""
    source, target = MemoryStore(), MemoryStore()
    record = schedule("nightly", phase=Phase.BEGUN)
    await source.put_schedule(record)
    await copy_runs(source, target, workflow="Orders")
    assert not (await copied_schedule(target)).is_paused
    source, target = MemoryStore(), MemoryStore()
    await source.put_schedule(record)
    run_id, owner = run_id_of("nightly", table_of(record), record.next_at), str(this_process("me"))
    await source.renew(owner, 600)
    await written(source, creation(run_id, BEGUN, owner=owner))

    report = await copy_runs(source, target)

    assert f"its run {run_id!r} has just begun; copy it again" == why(report)["nightly"]


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_a_schedule_that_is_changed_meanwhile_is_left(call: int):
    """Whatever was changed, it acts in one of them at most."""
    source, target, calls = MemoryStore(), MemoryStore(), [0]
    await source.put_schedule(schedule("nightly"))

    class Changed(Relay):
        async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
            calls[0] += 1
            return None if calls[0] == call else await super().put_schedule(schedule)

    report = await copy_runs(Changed(source), Changed(target))

    assert "somebody has just changed it" in why(report)["nightly"]
    active = [each for store in (source, target) for each in await store.schedules() if not each.is_paused]
    assert 1 >= len(active)


# Nothing is copied, and all is told.


async def contents(store: Store) -> tuple[object, ...]:
    """All that may differ when something was copied."""
    return await store.runs(RunQuery()), await logs(store), await store.schedules()


@pytest.mark.parametrize("move", [False, True])
async def test_a_dry_run_tells_what_would_become_of_all(pair: tuple[Store, Store], *, move: bool):
    """It changes neither store, and says in advance what the copying says."""
    source, target = pair
    owner, begun = str(this_process("me")), schedule("begun", phase=Phase.BEGUN)
    await written(source, ended("there"), ended("went on"), creation("came from there", BEGUN))
    await copy_runs(source, target)
    await copy_runs(target, source, ["came from there"])
    resumed = ev.RunResumed(seq=3, at=NOW + 2, reason="retry", fingerprint="f1")
    await written(source, more("went on", resumed, ev.RunCompleted(seq=4, at=NOW + 9), summary=FINAL))
    await source.renew(owner, 600)
    await written(
        source, ended("new"), ended("other", completed(2)), creation("waits", BEGUN),
        creation("at work", BEGUN, owner=owner), ended(run_id_of("begun", table_of(begun), begun.next_at)),
    )  # fmt: skip
    await written(target, ended("other", started(2)))
    await source.put_schedule(begun)
    await source.put_schedule(schedule("clash"))
    await target.put_schedule(schedule("clash", cron="1 1 * * *"))
    before = [await contents(store) for store in pair]
    said: list[CopiedRun] = []
    came: list[CopiedRun] = []

    report = await copy_runs(source, target, move=move, dry_run=True, tell=said.append)
    after = [await contents(store) for store in pair]
    done = await copy_runs(source, target, move=move, tell=came.append)

    assert before == after
    assert (said, report) == (came, done)
    assert {"at work", "other", "clash"} == set(why(report))
    assert {"there"} == {each.id for each in said if each.outcome is Outcome.THERE}


async def test_a_dry_run_makes_no_store(tmp_path: Path):
    """Where none is, all would be new."""
    source, url = MemoryStore(), f"sqlite:///{tmp_path}/b.db"
    await written(source, ended("A1"), creation("A2", BEGUN))

    assert (2, 1, 0) == counts(await copy_runs(source, url, dry_run=True))
    with pytest.raises(StoreNotFoundError):
        await open_store(url, must_exist=True)


async def test_a_dry_run_tells_what_is_wrong_with_a_store(tmp_path: Path):
    """As the copying would."""
    (tmp_path / "b.db").write_text("no database at all, but a text that is long enough" * 40)

    with pytest.raises(StoreError, match=r"b\.db"):
        await copy_runs(MemoryStore(), f"sqlite:///{tmp_path}/b.db", dry_run=True)


async def test_a_dry_run_goes_with_families():
    """A run, what it started, and what was said to them."""
    source, target = MemoryStore(), MemoryStore()
    await interrupted(source, Parent(), "p", "p/child")
    await source.send(Message(run_id="p/child", id="m", signal="asked", payload="41"))

    assert (2, 2, 0) == counts(await copy_runs(source, target, move=True, dry_run=True))
    assert ({"p", "p/child"}, {}) == (set(await logs(source)), await logs(target))
    assert [None, None] == [run.owner for run in await source.runs(RunQuery())]
