"""What is told of limits: their names, and who holds them."""

import asyncio
import json

import orchwf
from orchwf import Mutex, Orchestrator, Queue, make_workflow, step
from orchwf.core.dag import Dag, dag_of
from orchwf.core.slots import SlotRequest
from orchwf.views import beginnings_of
from orchwf.views.limits import limit_text
from tests.cli.console import Shell, steady


def body() -> int:
    return 1


def test_names_of_limits():
    """They are told as their authors wrote them; one that makes no sense here as it is."""
    names = ['["queue", "api"]', '["queue", "api", 7]', '["mutex", "a", "r1"]', "else", "[1]", "[" * 9_999]

    told = [limit_text(name) for name in names]

    assert told[:3] == ["queue 'api'", "queue 'api' for 7", "mutex 'a' within run 'r1'"]
    assert told[3:5] == ["else", "[1]"]
    assert told[5].startswith("[[[")


def test_how_the_limits_of_a_step_begin():
    """Also of a definition that a store has kept; a mutex that is named by a function may be any."""
    flow = make_workflow(
        "Flow",
        {
            "a": step(body, name="a", queue=Queue("api", concurrency=1), mutex="ledger"),
            "b": step(body, name="b", mutex=Mutex("own", scope="run")),
            "c": step(body, name="c", mutex=lambda self: "x"),
            "d": step(body, name="d"),
        },
    )
    kept = Dag.from_dict(json.loads(dag_of(flow).to_json()))

    for dag in (dag_of(flow), kept):
        begins = [beginnings_of(dag.nodes[name], "r1") for name in "abcd"]

        assert begins == [['["queue", "api"', '["mutex", "ledger"]'], ['["mutex", "own", "r1"]'], [], []]
    assert beginnings_of(None, "r1") == []


async def test_explain_names_who_holds_a_place(shell: Shell):
    """A step that could begin, but for a queue that others have filled, is told with them."""
    store = await orchwf.open_store(f"sqlite:///{shell.folder / 'orchwf.db'}")
    api = Queue("api", concurrency=1)
    flow = make_workflow("Flow", {"call": step(body, name="call", queue=api)})
    other = SlotRequest(limits=[api.limit_for(None)], run_id="B7", step="fetch", attempt=1)
    await store.renew("else|1|1|a", 60)
    await store.take_slots("else|1|1|a", [other])
    async with Orchestrator(store, workflows=[flow], grace=0) as orchestrator:
        await orchestrator.start(flow(), "A1")
        said = await asyncio.to_thread(shell, "explain", "A1", "call")
    await store.close()

    assert steady(said.out) == (
        "o call has not begun: it could begin, and waits for a place in queue 'api', held by fetch of run B7 for TIME\n"
    )
