"""Orchestrators whose PostgreSQL server is lost in the midst of their runs, and commits that are killed there."""

import asyncio
import time
from collections import Counter

import pytest

from orchwf import Orchestrator, RunHandle, StepContext, step, workflow
from orchwf.core.events import Event, RunResumed, StepCompleted
from orchwf.stores import open_store, postgres, postgres_connection
from orchwf.stores.postgres import open_postgres
from tests.postgres import Cluster, HeldCommits, Relay, prompt, wait_for_commit

from .samples import creation, more, started, written

BODIES: Counter[str] = Counter()
WORDS: dict[str, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def anew() -> None:
    """Nothing has happened yet."""
    BODIES.clear()
    WORDS.update(reached=asyncio.Event(), go_on=asyncio.Event())


@workflow
class Held:
    """Its second step waits for a word."""

    @step
    async def first(self) -> int:
        BODIES["first"] += 1
        return 1

    @step
    async def second(self, first: int, ctx: StepContext) -> int:
        BODIES["second"] += 1
        WORDS["reached"].set()
        await WORDS["go_on"].wait()
        return first + 1

    @step
    async def third(self, second: int) -> int:
        BODIES["third"] += 1
        return second + 1


async def begun(orchestrator: Orchestrator) -> RunHandle[Held]:
    """A run in its second step."""
    run = await orchestrator.start(Held(), run_id="r")
    await WORDS["reached"].wait()
    return run


async def log_of(url: str) -> list[Event]:
    """The log of the run, for others."""
    store = await open_store(url)
    try:
        return await store.read("r")
    finally:
        await store.close()


def completions(log: list[Event]) -> list[str]:
    return [event.step for event in log if isinstance(event, StepCompleted)]


async def test_an_orchestrator_outlives_a_restart_of_its_server(cluster: Cluster):
    """What ended meanwhile is written when the server is back, and nothing runs twice."""
    async with Orchestrator(cluster.url, workflows=[Held]) as orchestrator:
        run = await begun(orchestrator)
        await asyncio.to_thread(cluster.stop, "immediate")
        WORDS["go_on"].set()
        await asyncio.to_thread(cluster.start)
        result = await run.result()

    assert 3 == result[Held.third]
    assert {"first": 1, "second": 1, "third": 1} == BODIES
    assert ["first", "second", "third"] == completions(await log_of(cluster.url))


async def test_a_server_that_is_away_for_longer_than_the_lease(relay: Relay, postgres_url: str):
    """If nobody has taken the run meanwhile its owner goes on with it, though its lease has run out."""
    async with Orchestrator(relay.url, workflows=[Held], lease=0.5) as orchestrator:
        run = await begun(orchestrator)
        relay.go_away()
        WORDS["go_on"].set()
        await relay.knocks(3)
        let_leases_run_out(postgres_url)
        relay.refusals = 0
        result = await run.result()

    assert 3 == result[Held.third]
    assert {"first": 1, "second": 1, "third": 1} == BODIES


def let_leases_run_out(url: str) -> None:
    """All of them, a minute ago."""
    with prompt(url) as somebody:
        somebody.execute("UPDATE owners SET renewed_at = renewed_at - lease - 60")


async def test_a_run_that_was_taken_while_the_server_was_away(relay: Relay, postgres_url: str):
    """Whoever comes back late writes nothing of it, and waits for what the other one does."""
    async with Orchestrator(relay.url, workflows=[Held], lease=0.5) as late:
        run = await begun(late)
        relay.go_away()
        await relay.knocks(1)
        let_leases_run_out(postgres_url)
        with prompt(postgres_url) as somebody:
            # Of this process it is known that it lives; of one on another machine it is not.
            somebody.execute("UPDATE runs SET owner = 'elsewhere' || owner")
        async with Orchestrator(postgres_url, workflows=[Held]) as other:
            WORDS["go_on"].set()
            result = await (await other.get("r")).result()
        relay.refusals = 0
        late_result = await run.result()

    assert (3, 3) == (result[Held.third], late_result[Held.third])
    log = await log_of(postgres_url)
    assert ["first", "second", "third"] == completions(log)
    assert ["takeover"] == [event.reason for event in log if isinstance(event, RunResumed)]
    assert {"first": 1, "second": 2, "third": 1} == BODIES


async def test_an_orchestrator_leaves_a_server_that_is_gone(relay: Relay, monkeypatch: pytest.MonkeyPatch):
    """Whatever looks for it in that moment does not go on for half a minute."""
    monkeypatch.setattr(postgres, "LAST_PATIENCE", 0.1)
    monkeypatch.setattr(postgres_connection, "PATIENCE", 1_000.0)
    async with Orchestrator(relay.url, workflows=[Held], grace=0, lease=0.3) as orchestrator:
        await begun(orchestrator)
        relay.go_away()
        await relay.knocks(10)
        left_at = time.monotonic()

    assert time.monotonic() - left_at < 60


# Connections that are killed in the midst of a commit


async def test_a_connection_that_is_killed_before_the_commit_is_written(postgres_url: str):
    """The server says that it was rolled back, and it is done again."""
    store = await open_postgres(postgres_url)
    await written(store, creation("A1"))
    with HeldCommits(postgres_url, "log") as held:
        appending = asyncio.create_task(store.append([more("A1", started(1))]))
        await asyncio.to_thread(held.kill)
        held.let_go()
        outcomes = await appending

    assert [None] == outcomes
    assert [started(1)] == await store.read("A1")
    await store.close()


async def test_a_connection_that_is_killed_after_the_commit_was_written(cluster: Cluster):
    """As it waits for a standby, say: the server says that it is committed, and it is not done again."""
    url = f"{cluster.url}&application_name=orchwf&schema=orchwf"
    store = await open_postgres(url)
    await written(store, creation("A1"))
    with prompt(url) as somebody:
        somebody.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    # Told to look at its settings again, it does so by and by. Begun anew, it goes by them.
    cluster.restart()
    with prompt(url) as somebody:
        appending = asyncio.create_task(store.append([more("A1", started(1))]))
        waiting = await asyncio.to_thread(wait_for_commit, somebody, "SyncRep")
        somebody.execute("SELECT pg_terminate_backend(%s)", [waiting])
        outcomes = await appending
        somebody.execute("ALTER SYSTEM RESET synchronous_standby_names")
        somebody.execute("SELECT pg_reload_conf()")

    assert [None] == outcomes
    assert [started(1)] == await store.read("A1")
    await store.close()
