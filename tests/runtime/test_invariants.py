"""
The invariants of the architecture, one test each, by number.

Random graphs, orders and crashes show 2, 3 and 6 to 10 in `tests/kernel/test_replay.py`, many orchestrators over one
faulty store 1 to 10 in `tests/simulation`, killed processes 1, 2, 4, 5, 8 and 9 in `test_crashes.py` and
`tests/processes`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import DefinitionError, Orchestrator, Retry, RunStatus, StepContext, compile_workflow, make_workflow, step
from orchwf.core.events import Event, StepCompleted, StepStarted
from orchwf.core.history import History
from orchwf.core.machine import Machine
from orchwf.core.plan import Plan
from orchwf.errors import ConflictError
from orchwf.ports import Append
from orchwf.stores import MemoryStore
from orchwf.stores.sqlite import open_sqlite
from tests.runtime.flows import Gate, log_of


class Watched(MemoryStore):
    """A store that tells what it holds at each moment."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: list[Event] = []

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        outcomes = await super().append(appends)
        for each, outcome in zip(appends, outcomes, strict=True):
            self.committed += each.events if outcome is None else []
        return outcomes

    def started(self) -> set[tuple[str, int]]:
        return {(event.step, event.attempt) for event in self.committed if isinstance(event, StepStarted)}

    def completed(self) -> set[str]:
        return {event.step for event in self.committed if isinstance(event, StepCompleted)}


async def test_invariant_01_a_committed_event_is_never_lost_changed_or_reordered(tmp_path: Path):
    """What an append acknowledged another connection reads, the same and in order, whatever is tried afterwards."""
    path = tmp_path / "runs.db"
    flow = make_workflow("Three", {name: step(lambda: 1) for name in "abc"})
    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await run.wait()
        before = await log_of(run)

    store = await open_sqlite(path)
    (outcome,) = await store.append([Append(run_id="r", expected=1, events=before[1:2])])
    after = await store.read("r")
    await store.close()

    assert isinstance(outcome, ConflictError)
    assert before == after
    assert list(range(1, len(after) + 1)) == [event.seq for event in after]


async def test_invariant_02_a_completed_step_never_runs_again_in_its_run():
    """Not after a failure and a resume, and not when an owner has gone."""
    calls: list[str] = []
    broken = True

    def first() -> int:
        calls.append("first")
        return 1

    def second(first: int) -> int:
        calls.append("second")
        if broken:
            raise ValueError
        return first

    flow = make_workflow("Two", {"first": first, "second": second})
    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await run.wait()
        broken = False
        await (await orchestrator.resume("r")).result()

    assert ["first", "second", "second"] == calls


async def test_invariant_03_a_step_starts_only_after_all_it_waits_for_is_committed():
    """When a body runs, the completions of its dependencies are in the store."""
    store, seen = Watched(), {}

    def body(ctx: StepContext) -> int:
        seen[ctx.step] = store.completed()
        return 1

    links = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    flow = make_workflow("Diamond", {name: step(depends_on=list(row))(body) for name, row in links.items()})
    async with Orchestrator(store) as orchestrator:
        await orchestrator.run(flow())

    assert all(set(links[name]) <= completed for name, completed in seen.items())
    assert set(links) == set(seen)


async def test_invariant_04_a_body_runs_only_after_its_start_is_committed():
    """Each attempt finds its own start in the store."""
    store, found = Watched(), []

    async def body(ctx: StepContext) -> None:
        found.append((ctx.step, ctx.attempt) in store.started())
        if ctx.attempt == 1:
            raise ValueError

    flow = make_workflow("Starts", {name: step(retries=Retry(1, initial=0))(body) for name in "abcde"})
    async with Orchestrator(store) as orchestrator:
        await orchestrator.run(flow())

    assert [True] * 10 == found


async def test_invariant_05_at_most_one_owner_appends_to_a_run(tmp_path: Path):
    """Of two who go on from the same end of the log one writes, and the other has changed nothing."""
    path = tmp_path / "runs.db"
    flow = make_workflow("One", {"a": step(lambda: 1)})
    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await run.wait()
        log = await log_of(run)
    event = attrs.evolve(log[1], seq=len(log) + 1)
    one, two = await open_sqlite(path), await open_sqlite(path)

    outcomes = await asyncio.gather(
        *(each.append([Append(run_id="r", expected=len(log), events=[event])]) for each in (one, two))
    )
    after = await one.read("r")
    await one.close()
    await two.close()

    assert 1 == [row[0] for row in outcomes].count(None)
    assert 1 == sum(isinstance(row[0], ConflictError) for row in outcomes)
    assert [*log, event] == after


async def test_invariant_06_a_run_ends_once():
    """Whatever is asked of it at the same time, and afterwards."""
    flow = make_workflow("Ends", {"a": step(lambda: 1)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        await asyncio.gather(run.cancel("one"), run.cancel("two"), run.wait())
        await run.cancel("late")
        log = await log_of(run)

    ends = [event.kind for event in log if event.kind in ("run.completed", "run.failed", "run.cancelled")]
    assert [log[-1].kind] == ends


async def test_invariant_07_replay_equals_life():
    """A machine that is given the log of a run that was executed is where that run is."""
    flow = make_workflow("Lives", {"a": lambda: 1, "b": lambda a: a, "c": step(required=False)(lambda a: 1 / 0)})
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.wait()
        log = await log_of(run)
    machine = Machine(run.id, Plan(compile_workflow(flow)), lambda node: None)
    machine.replay(log)

    assert (result.status, log[-1].seq) == (machine.run.status, machine.run.seq)
    assert [record.status for record in result.steps.values()] == machine.run.statuses
    assert History(run.id).extend(log).steps == dict(result.steps)


async def test_invariant_08_a_step_that_runs_at_most_once_is_not_run_again_when_its_fate_is_unknown():
    """The run waits for somebody who knows, whoever takes it up."""
    store, gate, calls = MemoryStore(), Gate(), 0

    async def charge() -> None:
        nonlocal calls
        calls += 1
        await gate.pass_through()

    flow = make_workflow("Charges", {"charge": step(delivery="at_most_once")(charge)})
    async with Orchestrator(store, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
    statuses = []
    for _ in range(3):
        async with Orchestrator(store, workflows=[flow]) as orchestrator:
            statuses.append((await (await orchestrator.get("r")).wait()).status)

    assert ([RunStatus.PAUSED] * 3, 1) == (statuses, calls)


async def test_invariant_09_what_may_have_happened_is_undone_in_reverse_order():
    """Of the steps that completed, and of no others."""
    undone: list[str] = []

    def undoable(name: str, *before: str) -> Any:
        made = step(depends_on=before, name=name)(lambda: name)
        made.compensate(undone.append)
        return made

    steps = [undoable("a"), undoable("b", "a"), undoable("c", "a", "b")]
    bad = step(depends_on=["c"], name="bad")(lambda: 1 / 0)
    bad.compensate(lambda output: undone.append("bad"))
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Undoes", [*steps, bad, undoable("never", "bad")])())
        await run.wait()

    assert ["c", "b", "a"] == undone


async def test_invariant_10_a_definition_that_compiles_cannot_deadlock():
    """A cycle does not compile; every step of what does compile ends, also on one place."""
    ring: dict[str, Any] = {
        "a": step(depends_on=["c"])(lambda: 1),
        "b": step(depends_on=["a"])(lambda: 1),
        "c": lambda b: 1,
    }
    with pytest.raises(DefinitionError, match="wait for each other"):
        make_workflow("Ring", ring)

    grid: dict[str, Any] = {
        f"s{x}_{y}": step(depends_on=[f"s{x - 1}_{z}" for z in range(5)] if x else [])(lambda: 1)
        for x in range(5)
        for y in range(5)
    }
    async with Orchestrator("memory:", max_concurrency=1) as orchestrator:
        result = await orchestrator.run(make_workflow("Grid", grid)())

    assert RunStatus.COMPLETED is result.status
    assert {"completed"} == {str(record.status) for record in result.steps.values()}


async def test_invariant_11_a_step_sees_its_declared_dependencies_only():
    """Neither the outputs of others, nor what others did to their copies."""
    seen: dict[str, object] = {}

    def a() -> list[int]:
        return [1]

    def b() -> list[int]:
        return [2]

    def changes(a: list[int]) -> None:
        a.append(99)

    def reads(a: list[int], **outputs: object) -> None:
        seen.update(a=a, **outputs)

    flow = make_workflow("Sees", {"a": a, "b": b, "changes": changes, "reads": step(depends_on=["changes"])(reads)})
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(flow())

    assert {"a": [1], "changes": None} == seen


@pytest.mark.slow
async def test_a_long_chain_and_a_wide_fan_in():
    """10,000 steps in a row and 2,000 into one, without recursion."""

    async def one() -> int:
        return 1

    chain = {f"s{n}": step(depends_on=[f"s{n - 1}"] if n else [])(one) for n in range(10_000)}
    wide = {f"s{n}": one for n in range(2_000)}

    def total(**outputs: int) -> int:
        return sum(outputs.values())

    async with Orchestrator("memory:") as orchestrator:
        long = await orchestrator.run(make_workflow("Chain", chain)())
        fan_in: dict[str, Any] = {**wide, "total": step(depends_on=list(wide))(total)}
        into_one = await orchestrator.run(make_workflow("Wide", fan_in)())

    assert 10_000 == len(long.outputs)
    assert 2_000 == into_one["total"]
