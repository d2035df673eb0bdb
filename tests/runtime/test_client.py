"""A client starts runs that others execute, and talks to all of them; it executes nothing and needs no code."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import (
    Client,
    EncodingError,
    InputError,
    Orchestrator,
    RunExistsError,
    RunFailed,
    RunNotFoundError,
    RunStatus,
    StoreError,
    UnknownStepError,
    UnpublishedWorkflowError,
    UsageError,
    make_workflow,
    signal,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.ports import RunQuery, Store
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock
from tests.kinds import KINDS, opened_store
from tests.runtime.flows import Gate, log_of
from tests.slowness import without_slowness


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@attrs.frozen
class Item:
    name: str
    price: Decimal


@workflow(name="Order", tags=("shop",))
class Order:
    """What is ordered, and how much that is."""

    items: list[Item]
    day: date
    size: Size = Size.SMALL
    note: str | None = None

    @step
    def total(self) -> Decimal:
        return sum((item.price for item in self.items), Decimal(0))

    paid = signal(Decimal, depends_on=total)

    @step
    def close(self, paid: Decimal, total: Decimal) -> bool:
        return paid >= total


INPUTS: dict[str, object] = {"items": [Item("tea", Decimal("2.50"))], "day": date(2026, 11, 2), "size": Size.LARGE}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which nothing is."""
    opened = await opened_store(request.param, request, tmp_path)
    yield opened
    await opened.close()


async def published(store: Store, *workflows: type) -> Store:
    """The store, on which somebody has served these workflows before."""
    async with Orchestrator(store, workflows=workflows or [Order]):
        pass
    return store


async def test_a_run_started_by_name_is_executed_by_whoever_serves_it(store: Store):
    """It is there at once, owned by nobody; its inputs keep their types. With the class at hand its outputs do, too."""
    await published(store)

    async with Client(store) as client:
        run = await client.start("Order", INPUTS, run_id="A1", tags={"team": "eu"}, metadata={"trace": "t"})
        record = await store.get("A1")
        async with Orchestrator(store, workflows=[Order]):
            await run.send("paid", Decimal("2.50"))
            plain = await run.result()
            typed = await (await client.get("A1", workflow=Order)).result()

    assert record is not None
    assert (RunStatus.RUNNING, None, True) == (record.status, record.owner, record.is_queued)
    assert ({"shop": "", "team": "eu"}, {"trace": "t"}) == (record.tags, record.metadata)
    assert ("2.50", True) == (plain["total"], plain["close"])
    assert Decimal("2.50") == typed["total"]


async def test_a_run_started_with_an_instance(store: Store):
    """Nobody has to have served its workflow before; the handle knows its types."""
    async with Client(store) as client:
        run = await client.start(Order(items=[], day=date(2026, 11, 2)), run_id="A1")
        waiting = await run.steps()
        async with Orchestrator(store, workflows=[Order]):
            await run.send(Order.paid, Decimal(0))
            result = await run.result()

    assert {"total", "paid", "close"} == set(waiting)
    assert Decimal(0) == result[Order.total]


async def test_the_log_says_that_nobody_had_it_before(store: Store):
    """It is no takeover: no owner has died, and none has let go of it."""
    one = make_workflow("One", {"one": step(lambda: 1, name="one")})

    async with Client(store) as client:
        run = await client.start(one())
        async with Orchestrator(store, workflows=[one]):
            await run.result()
        log = await log_of(run)

    assert ["run.started", "run.resumed", "step.started", "step.completed", "run.completed"] == [e.kind for e in log]
    assert ["due"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]


async def test_a_run_that_begins_later(store: Store):
    """It is scheduled until then; of an instant that has passed it begins at once."""
    await published(store)
    async with Client(store) as client:
        later = await client.start("Order", INPUTS, not_before="1h")
        at = await client.start("Order", INPUTS, not_before=datetime.now(UTC) + timedelta(hours=1))
        past = await client.start("Order", INPUTS, not_before=datetime(2020, 1, 1, tzinfo=UTC))
        statuses = [await run.status() for run in (later, at, past)]
        record = await store.get(later.id)

    assert [RunStatus.SCHEDULED, RunStatus.SCHEDULED, RunStatus.RUNNING] == statuses
    assert record is not None
    assert not record.is_queued


async def test_runs_are_found_and_listed(store: Store):
    """Those of everybody, by id and in pages."""
    await published(store)
    async with Client(store) as client:
        for run_id in ("A1", "A2", "A3"):
            await client.start("Order", INPUTS, run_id=run_id)
        page = await client.list_runs(workflow=Order, status="running", tags={"shop": ""}, limit=2)
        rest = await client.list_runs(limit=2, cursor=page.cursor)
        found = await client.get("A2", workflow=Order)
        with pytest.raises(RunNotFoundError):
            await client.get("nobody")

    assert (["A3", "A2"], ["A1"]) == ([run.id for run in page], [run.id for run in rest])
    assert "A2" == found.id


async def test_an_id_is_given_once(store: Store):
    """A second start is an error, or gives the run that is there: if that is one of the same workflow."""
    await published(store, Order, make_workflow("Other", {"one": step(lambda: 1, name="one")}))
    async with Client(store) as client:
        await client.start("Order", INPUTS, run_id="A1")
        with pytest.raises(RunExistsError):
            await client.start("Order", INPUTS, run_id="A1")
        again = await client.start("Order", INPUTS, run_id="A1", on_duplicate="attach")
        with pytest.raises(UsageError, match="run 'A1' is one of Order, not of Other"):
            await client.start("Other", run_id="A1", on_duplicate="attach")
        with pytest.raises(UsageError, match="on_duplicate takes 'raise' or 'attach'"):
            await client.start("Order", INPUTS, on_duplicate="replace")  # type: ignore[call-overload]

    assert "A1" == again.id
    assert 1 == len(await store.runs(RunQuery()))


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_run_that_nobody_has_is_ended_by_whoever_takes_it_up(store: Store, how: str):
    """Nothing of it runs."""
    await published(store)
    async with Client(store) as client:
        run = await client.start("Order", INPUTS)
        await getattr(run, how)("wrong day")
        async with Orchestrator(store, workflows=[Order]):
            result = await run.wait()
        steps = await run.steps()

    assert (RunStatus.CANCELLED, "wrong day") == (result.status, result.error)
    assert {"cancelled"} == {str(step.status) for step in steps.values()}


async def test_a_run_that_others_execute_is_paused_and_told(store: Store):
    """By its id, from a process that has no code of it; the log can be followed from there."""
    gate = Gate()
    waits = make_workflow(
        "Waits", {"one": step(gate.pass_through, name="one"), "two": step(lambda: 2, depends_on="one")}
    )
    async with Client(store) as client, Orchestrator(store, workflows=[waits]) as orchestrator:
        await orchestrator.start(waits(), run_id="A1")
        await gate.came.get()
        run = await client.get("A1")
        await run.pause("lunch")
        seen = []
        async for event in run.events(follow=True):
            seen.append(event.kind)
            if event.kind == "signal.received":
                gate.open()
            if event.kind == "run.paused":
                break
        result = await run.wait()

    assert (RunStatus.PAUSED, "lunch") == (result.status, result.error)
    assert ["run.started", "step.started", "signal.received", "step.completed", "run.paused"] == seen


async def test_the_end_of_a_run_that_others_execute_is_told_to_who_follows_it():
    """Nobody has to look for it: the clock of the one who follows stands still."""
    store, gate, read = MemoryStore(), Gate(), asyncio.Event()
    waits = make_workflow("Waits", [step(gate.pass_through, name="one")])
    async with Orchestrator(store, workflows=[waits]) as one, Orchestrator(store, clock=FakeClock()) as other:
        await one.start(waits(), run_id="A1")
        await gate.came.get()
        seen = []

        async def follow() -> None:
            async for event in (await other.get("A1")).events(follow=True):
                seen.append(event.kind)
                read.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            await read.wait()
            gate.open()

    assert ["run.started", "step.started", "step.completed", "run.completed"] == seen


async def test_how_a_run_failed_elsewhere_is_told(store: Store):
    """By type, message and traceback, as it was stored."""

    def fails() -> None:
        raise ValueError("row 3 is negative")

    flow = make_workflow("Fails", [step(fails)])
    async with Client(store) as client:
        run = await client.start(flow())
        async with Orchestrator(store, workflows=[flow]):
            with pytest.raises(RunFailed, match="step fails failed: ValueError: row 3 is negative"):
                await run.result()


# What is refused.


async def test_a_workflow_that_nobody_has_served(store: Store):
    """What is meant, if that can be guessed, and how the store gets to know it."""
    await published(store)
    async with Client(store) as client:
        with pytest.raises(UnpublishedWorkflowError) as guessed:
            await client.start("Ordr")
        with pytest.raises(UnpublishedWorkflowError, match="Known workflows: Order "):
            await client.start("Invoice")

    assert str(guessed.value) == (
        f"no workflow 'Ordr' is known in {store.url}. Did you mean 'Order'? "
        "It is known as soon as a process serves it: "
        "orchwf worker FILE.py, or Orchestrator(..., workflows=[...]); or start an instance of its class"
    )


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "Order cannot be started: input 'items' (list[Item]) is missing; input 'day' (date) is missing"),
        ({**INPUTS, "siez": 1}, "there is no input 'siez'. Did you mean 'size'?"),
        ({**INPUTS, "note": 5}, "input 'note' takes str | None, not 5 (int)"),
        ({**INPUTS, "items": "tea"}, "input 'items' takes list[Item], not 'tea' (str)"),
        ({**INPUTS, "day": object()}, "input 'day' cannot be stored: the value at $ cannot be stored: it is of type"),
        ([("day", 1)], "the inputs of Order are a mapping of names to values, not [('day', 1)]"),
    ],
)
async def test_inputs_that_cannot_be(inputs: Any, told: str):
    """All that can be seen without the code is told at once, and nothing is written."""
    store = await published(MemoryStore())
    async with Client(store) as client:
        with pytest.raises(UsageError) as caught:
            await client.start("Order", inputs)

    assert told in str(caught.value)
    assert [] == await store.runs(RunQuery())


@workflow
class Plain:
    number: int
    flag: bool = False
    share: float = 0.5
    pair: tuple[int, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("number is negative")

    @step
    def one(self) -> int:
        return self.number


@pytest.mark.parametrize("inputs", [{"number": True}, {"number": 1, "flag": 1}, {"number": 1, "share": "x"}])
async def test_inputs_of_simple_types_are_checked_at_once(inputs: dict[str, object]):
    """A truth value is no number, nor the other way round."""
    store = await published(MemoryStore(), Plain)
    async with Client(store) as client:
        with pytest.raises(InputError) as caught:
            await client.start("Plain", inputs)

    assert ("Plain", 1) == (caught.value.workflow, len(caught.value.problems))


@pytest.mark.parametrize(
    "inputs", [{"number": 1, "share": 1}, {"number": 1, "pair": [1, 2]}, {"number": 1, "flag": True}]
)
async def test_what_json_has_is_read_as_the_type_that_is_wanted(inputs: dict[str, object]):
    """A whole number where a float is, a list where a tuple is."""
    store = await published(MemoryStore(), Plain)
    async with Client(store) as client, Orchestrator(store, workflows=[Plain]) as orchestrator:
        run = await client.start("Plain", inputs)
        orchestrator._keeper.wake()
        result = await run.result()

    assert 1 == result["one"]


@pytest.mark.parametrize(
    ("flow", "inputs", "told"),
    [
        (Order, {**INPUTS, "size": "huge"}, "input 'size' takes Size: what is stored at $ cannot be read: expected"),
        (Order, {**INPUTS, "day": Decimal(2)}, "input 'day' takes date, not a value of type Decimal"),
        (Plain, {"number": -1}, "ValueError: number is negative"),
    ],
)
async def test_what_only_the_code_can_refuse_fails_the_run(flow: type, inputs: dict[str, object], told: str):
    """Before anything of it runs: the error names the input. With other inputs it is started anew."""
    store = await published(MemoryStore(), flow)
    async with Client(store) as client:
        run = await client.start(flow.__name__, inputs)
        async with Orchestrator(store, workflows=[flow]):
            result = await run.wait()
        log = await log_of(run)

    assert RunStatus.FAILED is result.status
    assert result.error.startswith(f"InputError: {flow.__name__} cannot be started: {told}")
    assert ["run.started", "run.resumed", "run.failed"] == [event.kind for event in log]


async def test_an_input_that_the_code_has_got_since(store: Store):
    """
    What is published is that of the worker before; the one that takes the run up knows more. That its graph is another
    one now matters nothing: nothing of the run has happened yet.
    """
    await published(store, make_workflow("Flow", [step(lambda: 1, name="one")]))
    async with Client(store) as client:
        run = await client.start("Flow")
        newer = make_workflow("Flow", [step(lambda: 1, name="one")], {"day": int}, version="2")
        async with Orchestrator(store, workflows=[newer]):
            result = await run.wait()

    assert "InputError: Flow cannot be started: input 'day' (int) is missing" == result.error


async def test_a_run_that_was_refused_can_be_resumed_with_code_that_takes_it():
    """Nothing of it is lost."""
    store = await published(MemoryStore(), Plain)
    kinder = make_workflow("Plain", {"one": step(lambda number: number, name="one")}, {"number": int})
    async with Client(store) as client:
        run = await client.start("Plain", {"number": -1})
        async with Orchestrator(store, workflows=[Plain]):
            await run.wait()
        async with Orchestrator(store) as orchestrator:
            again = await orchestrator.resume(run.id, workflow=kinder, on_change="adopt")
            result = await again.result()

    assert -1 == result["one"]


async def test_a_signal_that_there_is_not():
    """Known by the definition in the store."""
    store = await published(MemoryStore())
    async with Client(store) as client:
        run = await client.start("Order", INPUTS)
        with pytest.raises(UnknownStepError, match="Did you mean 'paid'"):
            await run.send("payed", Decimal(1))


@pytest.mark.parametrize("given", [Order, 5])
async def test_what_is_no_workflow(given: Any):
    """Neither an instance nor a name."""
    async with Client("memory:") as client:
        with pytest.raises(UsageError):
            await client.start(given)


async def test_an_instance_has_its_inputs():
    """They are not given twice."""
    async with Client("memory:") as client:
        with pytest.raises(UsageError, match="an instance has its inputs"):
            await client.start(Plain(number=1), {"number": 1})  # type: ignore[call-overload]
        with pytest.raises(EncodingError, match="input 'pair' of Plain cannot be stored"):
            await client.start(Plain(number=1, pair=(print,)))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"schema": 99}'])
async def test_what_is_published_and_cannot_be_read(text: str):
    """By an orchwf that is too old, or because it is damaged."""
    store = MemoryStore()
    await store.publish({"Order": text})
    async with Client(store) as client:
        with pytest.raises(StoreError, match="what is published of 'Order' in memory: cannot be read"):
            await client.start("Order", INPUTS)


# Open and closed.


async def test_it_has_to_be_open():
    """And is opened once; a store that it was given stays open."""
    store, client = MemoryStore(), Client(None)
    with pytest.raises(UsageError, match="the client is not open"):
        await client.start("Order")
    async with Client(store) as open_client:
        with pytest.raises(UsageError, match="open already"):
            await open_client.__aenter__()
    with pytest.raises(UsageError, match="the client is not open"):
        await open_client.list_runs()

    assert await store.get("A1") is None


async def test_a_store_that_it_opened_is_closed(tmp_path: Path):
    """With it."""
    async with Client(f"sqlite:///{tmp_path / 'a.db'}") as client:
        run = await client.start(Plain(number=1))

    with pytest.raises(StoreError, match="closed"):
        await run.status()


async def test_what_is_published_is_that_of_the_newest_version():
    """Of several that are served side by side the one that was named last."""
    steps = {"one": step(lambda: 1, name="one")}
    store = await published(
        MemoryStore(), make_workflow("Flow", steps, version="1"), make_workflow("Flow", steps, version="2")
    )
    async with Client(store) as client:
        run = await client.start("Flow")
    record = await store.get(run.id)

    assert record is not None
    assert "2" == record.version


def test_a_client_imports_no_graph_library_and_no_code_of_users():
    """Also when it starts a run by name."""
    code = """
import asyncio, sys
import orchwf
from orchwf.stores import MemoryStore

async def main():
    store = MemoryStore()
    await store.publish({"Flow": '{"schema":1,"name":"Flow","version":"1","fingerprint":"f","entrypoint":"m:F",'
                                 '"inputs":[{"name":"x","type":"int","required":true}],"steps":[]}'})
    async with orchwf.Client(store) as client:
        run = await client.start("Flow", {"x": 1})
        print(await run.status(), sorted({"networkx", "cattrs", "m"} & set(sys.modules)))

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("running []\n", "") == (done.stdout, without_slowness(done.stderr))
