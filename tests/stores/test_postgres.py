"""The store in a PostgreSQL database."""

import asyncio
import os
import random
import re
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import psycopg
import pytest
from psycopg import errors, sql

from orchwf.cli.common import Common
from orchwf.core.events import StepStarted
from orchwf.core.limits import Limit
from orchwf.core.slots import SlotRequest
from orchwf.core.state import RunStatus
from orchwf.errors import ConflictError, StoreBusyError, StoreError
from orchwf.ports import Append, Message, Renewal, RunQuery, Summary, Taken, Wanted
from orchwf.stores import (
    CodedStore,
    OffloadingStore,
    open_store,
    postgres,
    postgres_connection,
    postgres_schema,
)
from orchwf.stores.postgres import PostgresStore, open_postgres
from orchwf.stores.postgres_connection import Transaction
from orchwf.stores.postgres_errors import is_lost, is_passing
from orchwf.stores.postgres_question import Question
from orchwf.stores.postgres_schema import lock_number, migrations
from orchwf.stores.postgres_slots import slots_lock
from orchwf.stores.postgres_url import parse_url
from orchwf.stores.urls import Durability, without_password
from tests.postgres import Emptied, HeldCommits, NoServerError, Relay, in_schema, new_schema, own_server, prompt
from tests.slowness import without_slowness

from .contract import Ears, HintContract, Open, SharedContract, StoreContract
from .samples import ALL_KINDS, NOW, creation, more, record, schedule, started, written


class TestPostgresStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[PostgresStore]:
        store = await open_postgres(postgres_url)
        yield store
        await store.close()


class TestSharedSchema(SharedContract):
    """Processes share it."""

    @pytest.fixture
    async def opened(self, schema: str) -> AsyncIterator[Open]:
        async with AsyncExitStack() as stack:

            async def one() -> PostgresStore:
                store = await open_postgres(schema)
                stack.push_async_callback(store.close)
                return store

            yield one


class TestPostgresHints(HintContract):
    """It tells what is written."""

    @pytest.fixture
    async def ears(self, store: PostgresStore) -> AsyncIterator[Ears]:
        async with Ears(store).open() as ears:
            yield ears


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open, empty store."""
    store = await open_postgres(postgres_url)
    yield store
    await store.close()


@pytest.fixture
def schema(postgres_server: str) -> Iterator[str]:
    """The URL of a store in a schema that is not there yet."""
    emptied = Emptied(postgres_server)
    yield emptied.url
    emptied.drop()


@pytest.fixture
async def relayed(relay: Relay) -> AsyncIterator[PostgresStore]:
    """A store that can lose its server."""
    store = await open_postgres(relay.url)
    yield store
    await store.close()


def ask(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What the server of this store says to a statement of somebody else's."""
    with prompt(url) as connection:
        cursor = connection.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description else []


_IN_TRANSACTIONS = (
    "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND application_name = current_setting('search_path')"
)
"""The connections of this store that are in a transaction which writes: others use the same server meanwhile."""


@contextmanager
def somebody_else(server: str) -> Iterator[psycopg.Connection[Any]]:
    """Another user of this server, who is in a transaction and writes; it must be as it was afterwards."""
    with psycopg.connect(server) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        yield connection
        connection.execute("SELECT 1")


def until_somebody_waits(url: str, lock: int) -> None:
    """Return when somebody waits for this advisory lock."""
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND (classid, objid) = (%s, %s)"
    while not ask(url, waits, lock >> 32 & 0xFFFFFFFF, lock & 0xFFFFFFFF):
        pass


async def test_everything_is_there_after_opening_again(postgres_url: str):
    """Log, summary, definition, owner and messages survive the process."""
    message = Message(run_id="A1", id="m", signal="cancel")
    first = await open_store(postgres_url)
    await written(first, creation("A1", *ALL_KINDS, definition=lambda: "{}", tags={"shop": "eu"}))
    await first.claim("A1", "me", previous=None)
    await first.send(message)
    await first.close()

    again = await open_store(first.url, must_exist=True)

    assert list(ALL_KINDS) == await again.read("A1")
    assert record(owner="me", tags={"shop": "eu"}, number=1) == await again.get("A1")
    assert "{}" == await again.definition("f1")
    assert [message] == await again.inbox("me")
    await again.close()


async def test_batches_over_the_same_runs_do_not_lock_each_other_out(postgres_url: str):
    """Whatever their order, also if they speak to each other's runs; each event is written by one of them."""
    stores = [await open_postgres(postgres_url) for _ in range(3)]
    ids = [f"R{number}" for number in range(6)]
    lengths: dict[str, int] = dict.fromkeys(ids, 0)
    choice = random.Random(4)

    async def live(store: PostgresStore, name: str) -> None:
        for turn in range(12):
            order = choice.sample(ids, 4)
            said = [Message(run_id=order[0], id=f"{name}{turn}", signal="hello")]
            appends = [
                Append(run_id=run_id, expected=lengths[run_id], events=[started(lengths[run_id] + 1)], messages=said)
                for run_id in order
            ]
            created = creation(f"C{turn}", started(1))
            for append, outcome in zip(appends, await store.append([*appends, created]), strict=False):
                if outcome is None:
                    lengths[append.run_id] += 1

    await written(stores[0], *(creation(run_id) for run_id in ids))
    async with asyncio.TaskGroup() as tasks:
        for number, store in enumerate(stores):
            tasks.create_task(live(store, str(number)))

    assert list(lengths.values()) == [len(await stores[0].read(run_id)) for run_id in ids]
    assert [1] * 12 == [len(await stores[0].read(f"C{turn}")) for turn in range(12)]
    for store in stores:
        await store.close()


async def test_two_that_create_one_run_at_once(postgres_url: str):
    """One does; the other one is told, and what else it writes is written."""
    stores = [await open_postgres(postgres_url) for _ in range(4)]

    outcomes = await asyncio.gather(
        *(store.append([creation("A1", started(1)), creation(f"B{n}")]) for n, store in enumerate(stores))
    )

    firsts = [first for first, _ in outcomes]
    assert 1 == firsts.count(None)
    assert [None] * 4 == [second for _, second in outcomes]
    assert 5 == len(await stores[0].runs(RunQuery()))
    for store in stores:
        await store.close()


async def test_a_run_that_is_committed_late_may_come_before_those_that_were_listed(
    store: PostgresStore, postgres_url: str
):
    """It has got its number before: who lists on from there does not see it, and who begins anew does."""
    await written(store, creation("A1"))
    with HeldCommits(postgres_url, "runs", "NEW.id = 'A2'") as held:
        creating = asyncio.create_task(store.append([creation("A2")]))
        await asyncio.to_thread(held.wait)
        await written(store, creation("A3"))
        page = await store.runs(RunQuery(limit=2))
        held.let_go()
        await creating
        rest = await store.runs(RunQuery(before=page[-1].number))

    assert ["A3", "A1"] == [run.id for run in page]
    assert [] == rest
    assert ["A3", "A2", "A1"] == [run.id for run in await store.runs(RunQuery())]


PLAIN = {name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"}
"""An environment in which asyncio does not complain of a machine that is slow."""


# What cannot be kept


@pytest.mark.parametrize(
    "event",
    [
        started(1, "\ud800"), started(1, "a\0b"), attrs.evolve(started(1), at=float("nan")),
        attrs.evolve(started(1), attempt=2**40), attrs.evolve(started(1), attempt=2**70),
    ],
    ids=["surrogate", "nul", "nan", "big integer", "bigger integer"],
)  # fmt: skip
async def test_a_value_that_cannot_be_kept_fails_its_append_only(store: PostgresStore, event: StepStarted):
    """The other appends of the batch are written, before it and after."""
    said = Message(run_id="A1", id="m", signal="hello")

    outcomes = await store.append(
        [creation("A1", started(1), owner="me"), creation("B1", event),
         attrs.evolve(creation("C1", started(1)), messages=[said])]
    )  # fmt: skip

    assert [type(None), StoreError, type(None)] == [type(outcome) for outcome in outcomes]
    assert "'B1' should have been given cannot be stored" in str(outcomes[1])
    assert ["C1", "A1"] == [run.id for run in await store.runs(RunQuery())]
    assert [started(1)] == await store.read("C1")
    assert [said] == await store.inbox("me")


@pytest.mark.parametrize("run_id", ["a\0b", "\ud800", "".join(chr(48 + n * n % 9973) for n in range(3_000))])
async def test_an_id_that_cannot_be_kept_fails_its_append_only(store: PostgresStore, run_id: str):
    """Also one that is too long for an index, and a message that cannot be."""
    bad = attrs.evolve(creation("B1"), messages=[Message(run_id="A1", id=run_id + "\0", signal="hello")])

    outcomes = await store.append([creation("A1"), creation(run_id), bad])

    assert [type(None), StoreError, StoreError] == [type(outcome) for outcome in outcomes]
    assert ["A1"] == [run.id for run in await store.runs(RunQuery())]


async def test_a_nul_in_the_headline_of_an_error_does_not_keep_a_run_from_ending(store: PostgresStore):
    """It is for people, and shown with another sign."""
    end = Summary(status=RunStatus.FAILED, fingerprint="f1", ended_at=NOW, error="ValueError: a\0b")
    await written(store, creation("A1"))

    await written(store, more("A1", started(1), summary=end))

    found = await store.get("A1")
    assert found is not None
    assert "ValueError: a␀b" == found.error


# Commits whose answer is lost

Call = Callable[[PostgresStore], Awaitable[object]]
LIMIT = Limit(name="one", concurrency=1)
SLOT = SlotRequest(limits=[LIMIT], run_id="A1", step="s", attempt=1)
CALLS: dict[str, tuple[Call, object]] = {
    "append": (lambda store: store.append([more("A1", started(1), started(2)), creation("B1")]), [None, None]),
    "summary": (
        lambda store: store.append([Append(
            run_id="A1", expected=0, events=[], owner="me", releases=True,
            summary=Summary(status=RunStatus.PAUSED, fingerprint="f1"),
        )]),
        [None],
    ),
    "claim": (lambda store: store.claim("A1", "you", previous="me"), True),
    "no claim": (lambda store: store.claim("A1", "you", previous="him"), False),
    "renew": (lambda store: store.renew("me", 60), Renewal(was_live=True)),
    "renew late": (lambda store: store.renew("you", 60), Renewal(was_live=False)),
    "take": (
        lambda store: store.take("you", Wanted(awake=["Orders"], gone=["me"], limit=9)),
        Taken([record(owner="me", number=1)], is_all=True),
    ),
    "let go": (lambda store: store.claim("A1", None, previous="me"), True),
    "watch": (lambda store: store.watch("A1"), True),
    "slots": (lambda store: store.take_slots("me", [SLOT]), [None]),
    "send": (lambda store: store.send(Message(run_id="A1", id="m", signal="cancel")), None),
    "delete": (lambda store: store.delete(["A1"]), 1),
    "schedule": (lambda store: store.delete_schedule("a"), True),
    "publish": (lambda store: store.publish({"W": "{}"}), None),
}  # fmt: skip


@pytest.mark.parametrize("how", ["before", "after", "hang"])
@pytest.mark.parametrize("name", CALLS)
async def test_what_became_of_a_commit_is_read_back(
    relayed: PostgresStore, relay: Relay, name: str, how: str, monkeypatch: pytest.MonkeyPatch
):
    """Whether the connection is lost on the way to the server or back, the call says what it would have said."""
    monkeypatch.setattr(postgres_connection, "_LINGERING", 0.1)
    call, expected = CALLS[name]
    await written(relayed, creation("A1", owner="me"))
    await relayed.renew("me", 60)
    await relayed.put_schedule(schedule("a"))
    relay.how = how

    said = await call(relayed)

    assert expected == said
    assert 1 == relay.lost
    if name == "append":
        assert [started(1), started(2)] == await relayed.read("A1")
        assert 2 == len(await relayed.runs(RunQuery()))


async def test_nothing_is_guessed(relayed: PostgresStore, relay: Relay, monkeypatch: pytest.MonkeyPatch):
    """If the server does not say in time what became of a commit, that is an error, and no promise."""
    await written(relayed, creation("A1"))
    monkeypatch.setattr(postgres_connection, "PATIENCE", 0.1)
    relay.how = "hang"

    with pytest.raises(StoreError, match="does not say what became of it") as caught:
        await relayed.append([more("A1", started(1))])

    assert not isinstance(caught.value, StoreBusyError)


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_schedule_that_was_put_is_known_again(relayed: PostgresStore, relay: Relay, how: str):
    """With the revision that it got then."""
    relay.how = how

    stored = await relayed.put_schedule(schedule("a"))

    assert 1 == relay.lost
    assert [stored] == await relayed.schedules()


@pytest.mark.parametrize("name", ["append", "create", "summary", "claim", "slots", "schedule"])
async def test_what_is_said_to_be_committed_is_looked_at(
    relayed: PostgresStore, relay: Relay, name: str, monkeypatch: pytest.MonkeyPatch
):
    """A server that was restored to a moment before may have given the number of the transaction to another one."""
    create: Call = lambda store: store.append([creation("C1")])  # noqa: E731
    calls = {**CALLS, "create": (create, [None]), "schedule": (lambda store: store.put_schedule(schedule("a")), None)}
    call, expected = calls[name]
    await written(relayed, creation("A1", owner="me"))
    await relayed.renew("me", 60)
    monkeypatch.setattr(postgres_connection, "_FATE", "SELECT 'committed', %s")
    relay.how = "before"

    said = await call(relayed)

    assert 1 == relay.lost
    if name == "schedule":
        assert [said] == await relayed.schedules()
    else:
        assert expected == said
    if name == "append":
        assert [started(1), started(2)] == await relayed.read("A1")
    if name == "create":
        assert await relayed.get("C1") is not None
    if name == "summary":
        assert ["A1"] == [run.id for run in await relayed.runs(RunQuery(statuses=[RunStatus.PAUSED]))]


async def test_a_conflict_stays_one_when_its_answer_is_lost(relayed: PostgresStore, relay: Relay):
    """What somebody else has written is not taken for ours."""
    await written(relayed, creation("A1", started(1, "theirs")))
    relay.how = "after"

    [outcome] = await relayed.append([Append(run_id="A1", expected=0, events=[started(1, "ours")])])

    assert isinstance(outcome, ConflictError)


async def test_a_transaction_of_which_the_server_knows_nothing_is_done_again(
    relayed: PostgresStore, relay: Relay, monkeypatch: pytest.MonkeyPatch
):
    """Another server took over, to which it never came."""
    await written(relayed, creation("A1"))
    fate = postgres_connection._FATE
    monkeypatch.setattr(postgres_connection, "_FATE", fate.replace("%s::text", "(%s::bigint + 1000000)::text"))
    relay.how = "before"

    await written(relayed, more("A1", started(1)))

    assert [started(1)] == await relayed.read("A1")


async def test_a_connection_that_is_killed_in_a_transaction(
    store: PostgresStore, postgres_url: str, postgres_server: str
):
    """Nothing of it was written, and it is done again over another one."""
    await written(store, creation("A1"))
    kills = 0

    def definition() -> str:
        # Called between the first answer of the server and the commit.
        nonlocal kills
        kills += 1
        if kills == 1:
            ask(postgres_url, f"SELECT pg_terminate_backend(pid) {_IN_TRANSACTIONS}")
        return "{}"

    with somebody_else(postgres_server):
        await written(store, creation("B1", started(1), definition=definition))

    assert 2 == kills
    assert [started(1)] == await store.read("B1")


async def test_a_store_whose_server_stays_away_says_so(
    relayed: PostgresStore, relay: Relay, monkeypatch: pytest.MonkeyPatch
):
    """In one error, after some time; it is not called busy, as nobody knows when it comes back."""
    monkeypatch.setattr(postgres_connection, "PATIENCE", 0.2)
    await relay.close()

    with pytest.raises(StoreError, match="cannot be reached, or went away") as caught:
        await relayed.append([creation("A1")])

    assert not isinstance(caught.value, StoreBusyError)


async def test_who_leaves_a_server_that_stands_still_asks_it_nothing(
    relayed: PostgresStore, relay: Relay, monkeypatch: pytest.MonkeyPatch
):
    """Neither to stop what it does, which would take as long again; what waits for it elsewhere is over, too."""
    monkeypatch.setattr(postgres, "LAST_PATIENCE", 0.1)
    await relayed.renew("me", 60)
    relay.is_still = True
    comers, asking = relay.comers, asyncio.create_task(relayed.renew("me", 60))

    with pytest.raises(StoreError, match=r"did not answer within 0\.1 seconds; the lease runs out"):
        await relayed.release("me")
    asking.cancel()
    await asyncio.wait([asking])

    # One for what is asked beside.
    assert relay.comers <= comers + 1
    assert asking.cancelled()


async def test_who_leaves_does_not_wait_for_long(
    store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    """For a server that does not answer, say: it is told of, and nothing is lost, as the lease runs out by itself."""
    monkeypatch.setattr(postgres, "LAST_PATIENCE", 0.1)
    await store.renew("me", 60)
    await written(store, creation("A1", owner="me"))
    with prompt(postgres_url) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s)", [slots_lock(postgres_url.partition("schema=")[2])])

        with pytest.raises(StoreError, match=r"did not answer within 0\.1 seconds; the lease runs out") as caught:
            await store.release("me")

    assert store.url in str(caught.value)
    monkeypatch.setattr(postgres, "LAST_PATIENCE", 60.0)
    await store.release("me")
    assert [None] == [run.owner for run in await store.runs(RunQuery())]


async def test_who_waits_too_long_for_a_lock_is_told_that_the_store_is_busy(
    store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Nothing was written, and the append can be tried again."""
    prepare = postgres_connection._PREPARE_TO_WRITE
    monkeypatch.setattr(postgres_connection, "_PREPARE_TO_WRITE", prepare.replace("'10s'", "'50ms'"))
    await written(store, creation("A1"))
    server, _, schema = postgres_url.partition("schema=")
    async with await psycopg.AsyncConnection.connect(server.rstrip("?&")) as other:
        await other.execute(f"SELECT no FROM {schema}.runs FOR UPDATE".encode())

        with pytest.raises(StoreBusyError, match="is busy"):
            await store.append([more("A1", started(1))])

    await written(store, more("A1", started(1)))


async def test_a_server_that_dies_again_and_again_loses_nothing(tmp_path: Path):
    """Nor is anything written twice: it is killed and restarted while four tasks append."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(own_server(tmp_path))
        except NoServerError as error:
            pytest.skip(str(error))
        store = await open_postgres(cluster.url)
        restarts = 0
        lengths: dict[str, int] = {}

        async def live(run_id: str) -> None:
            await written(store, creation(run_id))
            seq = seen = 0
            # Some more after each restart.
            while seen < 3:
                seen, before = restarts, seen
                for _ in range(3 if seen != before else 1):
                    seq += 1
                    await written(store, more(run_id, started(seq)))
            lengths[run_id] = seq

        async with asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(live(f"R{number}"))
            for _ in range(3):
                await asyncio.to_thread(cluster.stop, "immediate")
                await asyncio.to_thread(cluster.start)
                restarts += 1

        assert {run_id: [started(seq) for seq in range(1, length + 1)] for run_id, length in lengths.items()} == {
            run_id: await store.read(run_id) for run_id in lengths
        }
        await store.close()


# Poolers


async def test_nothing_stays_in_a_session(store: PostgresStore):
    """No setting, prepared statement or lock: the next transaction may come from somebody else."""
    for _ in range(8):
        await written(store, creation(f"R{_}", started(1)))
        await store.renew(f"owner {_}", 60)
        await store.take_slots("owner 1", [SLOT])
        await store.get("R1")

    left = [
        await Question(line, "public").row(
            "SELECT (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
            " (SELECT count(*) FROM pg_settings"
            " WHERE source = 'session' AND name NOT IN ('client_encoding', 'search_path'))"
        )
        for line in store._connections._idle
    ]

    assert [(0, 0, 0)] == left


# How often the server is waited for

ROUNDS: dict[str, tuple[Call, int]] = {
    "read": (lambda store: store.read("A1"), 1),
    "get": (lambda store: store.get("A1"), 1),
    "runs": (lambda store: store.runs(RunQuery(tags={"shop": "eu"})), 1),
    "definition": (lambda store: store.definition("f1"), 1),
    "inbox": (lambda store: store.inbox("me"), 1),
    "renew": (lambda store: store.renew("me", 60), 2),
    "take nothing": (lambda store: store.take("me", Wanted(awake=["Refunds"], limit=9)), 3),
    "take all": (lambda store: store.take("me", Wanted(awake=["Orders"], limit=20)), 3),
    "take some": (lambda store: store.take("me", Wanted(awake=["Orders"], limit=5)), 2),
    "watch": (lambda store: store.watch("A1"), 2),
    "next_wake": (lambda store: store.next_wake(0), 1),
    "census": (lambda store: store.census(0), 1),
    "schedules": (lambda store: store.schedules(), 1),
    "append": (lambda store: store.append([more(f"A{n}", started(1), started(2)) for n in range(9)]), 2),
}


@pytest.mark.parametrize("name", ROUNDS)
async def test_the_server_is_not_waited_for_more_often_than_needed(relayed: PostgresStore, relay: Relay, name: str):
    """A question is one round trip, and however much is written takes two."""
    call, expected = ROUNDS[name]
    await written(relayed, *(creation(f"A{n}") for n in range(9)))
    relay.rounds = 0

    await call(relayed)

    assert expected == relay.rounds


@pytest.mark.parametrize("name", ROUNDS)
async def test_nothing_is_said_after_a_sync(relayed: PostgresStore, relay: Relay, name: str):
    """A pooler may have given the server to somebody else by then, and would keep another one for a flush."""
    call, _ = ROUNDS[name]
    await written(relayed, *(creation(f"A{n}") for n in range(9)))

    await call(relayed)

    sync, flush = b"S\0\0\0\4", b"H\0\0\0\4"
    assert sync in relay.said
    assert sync + flush not in relay.said


# Cancellation


async def test_a_cancelled_append_leaves_no_transaction_behind(
    store: PostgresStore, postgres_url: str, postgres_server: str
):
    """It is written as a whole or not at all, and the appends of others are not lost."""
    await written(store, creation("mine"), *(creation(f"R{number}") for number in range(60)))

    for number in range(60):
        cancelled = asyncio.create_task(store.append([more(f"R{number}", started(1), started(2), started(3))]))
        for _ in range(number % 20):
            await asyncio.sleep(0)
        kept = asyncio.create_task(written(store, more("mine", started(number + 1))))
        cancelled.cancel()
        await asyncio.wait([cancelled, kept])
        kept.result()

    assert [started(seq) for seq in range(1, 61)] == await store.read("mine")
    assert {len(await store.read(f"R{number}")) for number in range(60)} <= {0, 3}
    await store.close()
    with somebody_else(postgres_server):
        assert [] == ask(postgres_url, f"SELECT query {_IN_TRANSACTIONS}")


async def test_opening_can_be_cancelled_at_any_moment(schema: str):
    """Whenever the cancellation comes, nothing stays behind, and the store can be opened after it."""
    opened = 0
    for turns in range(0, 60, 3):
        task = asyncio.create_task(open_postgres(schema))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, PostgresStore):
            opened += 1
            await outcome.close()

    store = await open_postgres(schema)
    await written(store, creation("A1"))
    await store.close()

    assert opened < 20


# Where the store is


async def test_each_schema_is_a_store_of_its_own(postgres_server: str, postgres_url: str):
    """Of whatever name; without one it is `orchwf`."""
    odd = f'{new_schema()} "quoted" naïve'
    urls = [postgres_url, in_schema(postgres_server, quote(odd))]
    stores = [await open_store(url) for url in urls]

    await written(stores[1], creation("A1"))

    assert await stores[0].get("A1") is None
    assert record(number=1) == await stores[1].get("A1")
    assert odd == (await stores[1].facts())["namespace"]
    assert "orchwf" == parse_url(postgres_server).schema
    for store in stores:
        await store.close()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(odd)))


_OPENS = """
import asyncio, sys
from orchwf.stores import open_store

async def main():
    store = await open_store(sys.argv[1])
    print((await store.facts())["schema"])
    await store.close()

asyncio.run(main())
"""


def test_many_processes_open_a_new_schema_at_once(schema: str):
    """None of them fails, or leaves a word."""
    command = [sys.executable, "-W", "error", "-c", _OPENS, schema]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN)
        for _ in range(4)
    ]

    said = [process.communicate(timeout=60) for process in processes]

    assert [(f"{len(migrations())}\n", "")] * 4 == said


async def test_a_server_that_is_starting_up_is_waited_for(relay: Relay):
    """Also by whoever opens the store: it has said that it will be there."""
    relay.refusals = 2

    store = await open_postgres(relay.url)

    await written(store, creation("A1"))
    assert 0 == relay.refusals
    await store.close()


async def test_a_server_that_is_starting_up_for_ever_is_named(relay: Relay, monkeypatch: pytest.MonkeyPatch):
    """Whoever opens the store is told what the server says."""
    monkeypatch.setattr(postgres_connection, "PATIENCE", 0.1)
    relay.refusals = 1_000

    with pytest.raises(StoreError, match=r"went away; .* the database system is starting up"):
        await open_postgres(relay.url)


async def test_a_standby_is_no_place_for_a_new_store(schema: str, monkeypatch: pytest.MonkeyPatch):
    """It is told at once, with the way out: it will not become another one by being waited for."""
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    monkeypatch.setattr(postgres_connection, "PATIENCE", 1_000.0)

    with pytest.raises(StoreError, match="it is a standby that cannot be written; add target_session_attrs=read-write"):
        await open_postgres(schema)


@pytest.mark.parametrize(
    ("error", "lost", "passing"),
    [
        (errors.AdminShutdown(), True, True),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), True, True),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), True, True),
        (psycopg.OperationalError("connection refused"), True, False),
        (errors.ReadOnlySqlTransaction(), True, False),
        (ConnectionResetError(), True, False),
        (psycopg.OperationalError('FATAL:  role "me" does not exist'), False, False),
        (errors.UndefinedTable(), False, False),
    ],
    ids=repr,
)
def test_what_an_error_says_of_the_server(error: Exception, lost: bool, passing: bool):
    """Whether it is gone and may come back; and whether it says so itself."""
    assert (lost, passing) == (is_lost(error), is_passing(error))


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_server_that_is_lost_while_the_schema_is_made(relay: Relay, schema: str, how: str):
    """It had answered, so it is waited for; and the schema is made once, whether the commit got through or not."""
    lock = lock_number(schema.partition("schema=")[2], "migrations")
    async with await psycopg.AsyncConnection.connect(schema.partition("&schema=")[0], autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(%s)", [lock])
        opening = asyncio.create_task(open_postgres(relay.through(schema)))
        await asyncio.to_thread(until_somebody_waits, schema, lock)
        relay.how = how
        await other.execute("SELECT pg_advisory_unlock(%s)", [lock])
        store = await opening

    await written(store, creation("A1"))
    assert 1 == relay.lost
    await store.close()


async def test_a_schema_that_must_exist_is_not_made(schema: str):
    """Nothing is there afterwards, either."""
    for _ in range(2):
        with pytest.raises(StoreError, match=r"there is no store in schema 't.*'; .* start a run there first"):
            await open_store(schema, must_exist=True)


async def test_a_newer_schema_is_refused(schema: str):
    """Who does not know it does not write to it."""
    await (await open_postgres(schema)).close()
    ask(schema, "INSERT INTO orchwf_migrations (number) VALUES (99)")

    with pytest.raises(StoreError, match=r"it has schema 99, made by a newer orchwf; .* upgrade orchwf"):
        await open_postgres(schema)


async def test_the_schema_of_another_application_is_refused(schema: str):
    """And left as it is."""
    name = schema.partition("schema=")[2]
    ask(schema, f"CREATE SCHEMA {name}; CREATE TABLE {name}.accounts (id int)")

    with pytest.raises(StoreError, match="that of another application; give another with \\?schema=NAME"):
        await open_postgres(schema)

    assert [(1,)] == ask(schema, "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace")


async def test_an_empty_schema_is_used(schema: str):
    """As one that an administrator has made for whoever may not make any."""
    ask(schema, f"CREATE SCHEMA {schema.partition('schema=')[2]}")

    store = await open_postgres(schema)

    await written(store, creation("A1"))
    await store.close()


async def test_who_may_not_make_a_schema_is_told(postgres_server: str, schema: str):
    """What is to be done stands in the docs."""
    role = new_schema()
    ask(schema, f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")

    with pytest.raises(StoreError, match=r"permission is denied; see what docs/postgres.md says"):
        await open_postgres(schema.replace("postgres@", f"{role}:secret@"))

    ask(schema, f"DROP ROLE {role}")


async def test_a_database_that_is_not_unicode_is_refused(postgres_server: str):
    """It could not keep what bodies return."""
    name = new_schema()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())

        with pytest.raises(StoreError, match="has the encoding LATIN1; orchwf needs one with UTF8"):
            await open_postgres(postgres_server.replace("/postgres?", f"/{name}?"))

        connection.execute(f"DROP DATABASE {name}".encode())


async def test_an_old_server_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    """One that cannot tell what became of a transaction."""
    monkeypatch.setattr(postgres_schema, "_OLDEST_SERVER", 990000)

    with pytest.raises(StoreError, match=r"its server is PostgreSQL \d+; orchwf needs 13 or newer"):
        await open_postgres(postgres_url)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
        (("postgres@", "nobody@"), 'role "nobody" does not exist'),
        (("host=", "host=/no/such/folder"), "the server cannot be reached, or went away"),
    ],
    ids=["database", "role", "host"],
)
async def test_a_server_that_does_not_let_in_is_named_at_once(postgres_url: str, change: tuple[str, str], hint: str):
    """One clear error, without waiting for better times."""
    began_at = time.monotonic()
    with pytest.raises(StoreError) as caught:
        await open_store(postgres_url.replace(*change).replace("@/", ":hunter2@/"))

    assert hint in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert time.monotonic() - began_at < 5


@pytest.mark.parametrize(
    ("durability", "option", "synchronous"),
    [(None, "", "on"), ("process", "", "off"), (None, "&durability=process", "off"),
     ("power", "&durability=process", "on")],
)  # fmt: skip
async def test_durability_is_an_option(
    postgres_url: str, durability: Durability | None, option: str, synchronous: str, monkeypatch: pytest.MonkeyPatch
):
    """What is acknowledged is on the disk, also if the role thinks otherwise; unless that is given up."""
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")
    store = await open_store(postgres_url + option, durability=durability)

    async def setting(transaction: Transaction) -> str:
        row = await transaction.row("SHOW synchronous_commit")
        return row[0] if row else ""

    assert isinstance(store, CodedStore)
    inner = store._inner
    assert isinstance(inner, OffloadingStore)
    inner = inner._inner
    assert isinstance(inner, PostgresStore)
    found = await inner._connections.write(setting)
    await store.close()

    assert synchronous == found


async def test_a_password_is_never_shown(postgres_server: str, postgres_url: str, caplog: pytest.LogCaptureFixture):
    """Neither by the store nor by its errors, its facts or the log."""
    caplog.set_level("DEBUG")
    url = postgres_url.replace("postgres@", "postgres:hunter%402@").replace("?", "?sslpassword=hunter3&")

    store = await open_store(url)
    await written(store, creation("A1"))
    said = [store.url, str(await store.facts()), repr(store), str((await store.append([more("x", started(1))]))[0])]
    await store.close()
    with pytest.raises(StoreError, match="closed") as caught:
        await store.get("A1")
    said += [str(caught.value), caplog.text, repr(parse_url(url))]

    assert postgres_url == store.url
    assert [] == [text for text in said if "hunter" in text]


async def test_a_password_may_come_from_the_environment_or_a_file(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Or user and database from a service file: libpq looks after that."""
    host = re.search(r"host=([^&]+)", postgres_url)
    assert host is not None
    service = tmp_path / "services"
    service.write_text(f"[runs]\nhost={host[1]}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    schema = postgres_url.partition("schema=")[2]

    store = await open_store(f"postgresql://?service=runs&schema={schema}")
    await written(store, creation("A1"))
    await store.close()

    assert f"postgresql://?service=runs&schema={schema}" == store.url


async def test_facts_tell_of_a_damaged_log(store: PostgresStore, postgres_url: str):
    """And of the server."""
    await written(store, creation("A1", started(1), started(2), started(3)))
    whole = await store.facts()

    ask(postgres_url, "DELETE FROM log WHERE seq = 2")

    assert ("postgresql", "ok") == (whole["kind"], whole["integrity"])
    assert "the log of run A1 has 2 events and ends with number 3" == (await store.facts())["integrity"]


async def test_a_row_that_nobody_of_us_wrote_is_named(store: PostgresStore, postgres_url: str):
    """Not taken for an event."""
    await written(store, creation("A1", started(1)))
    ask(postgres_url, "UPDATE log SET kind = 'nonsense'")

    with pytest.raises(StoreError, match="the log of run 'A1' has an event that cannot be read"):
        await store.read("A1")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://me:hunter2@host:port/db", "cannot be told where its parts begin"),
        ("postgresql://me:hunt/er2@host/db", "cannot be told where its parts begin"),
        ("postgresql://me:hunt@er2@host/db", "cannot be told where its parts begin"),
        ("postgresql://me:1?hunter2@host/db", "cannot be told where its options begin"),
        ("postgresql://me:hunter%zz2@host/db", "PostgreSQL's library cannot read it"),
        ("postgresql://me:hunter2@host/db?sslmod=require", "the option 'sslmod'"),
        ("postgresql://me:hunter2@host/db?schema=", "the schema ''"),
        ("postgresql://me:hunter2@host/db?schema=pg_mine", "the schema 'pg_mine'"),
        ("postgresql://me:hunter2@host/db?durability=none", "durability is 'power' or 'process', not 'none'"),
        ("postgresql:me:hunter2@host", "after postgresql: come two slashes"),
        ("postgres+psycopg://me:hunter2@host/db", "did you mean 'postgresql'?"),
    ],
)
async def test_what_is_no_url_is_explained(url: str, hint: str):
    """Nothing of the password is repeated."""
    with pytest.raises(StoreError) as caught:
        await open_store(url)

    assert hint in str(caught.value)
    assert "hunt" not in str(caught.value)
    assert "er2" not in "".join(traceback.format_exception(caught.value)).replace("hunter2@", "").replace(url, "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://me:hunter2@db.example:5433/runs", "postgresql://me@db.example:5433/runs"),
        ("postgresql://host/db?password=hunter2&sslmode=require", "postgresql://host/db?sslmode=require"),
        ("postgresql://me@[::1]:5432/db?schema=a%20b", "postgresql://me@[::1]:5432/db?schema=a%20b"),
        ("postgresql://a:1,b:2/db?target_session_attrs=read-write",
         "postgresql://a:1,b:2/db?target_session_attrs=read-write"),
        ("postgresql:///db?schema=orchwf&durability=power", "postgresql:///db"),
        ("postgresql://", "postgresql://"),
        ("postgresql://m%40e:hunter2@host", "postgresql://m%40e@host"),
    ],
)  # fmt: skip
def test_the_url_that_is_shown_leads_there_again(url: str, shown: str):
    """Without the password, which libpq gets."""
    address = parse_url(url)

    assert shown == address.url
    assert "hunter2" not in without_password(url)
    assert ("hunter2" in url) == ("hunter2" in address.conninfo)
    assert address.schema == parse_url(shown).schema


def test_without_the_driver_it_is_said_how_to_install_it():
    """The extra is named; other stores need nothing of it."""
    script = """
import asyncio, sys
sys.modules["psycopg"] = None
from orchwf.errors import StoreError
from orchwf.stores import open_store
try:
    asyncio.run(open_store("postgresql://me:hunter2@host/db"))
except StoreError as error:
    print(error)
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=PLAIN)

    assert "a PostgreSQL store needs psycopg: pip install 'orchwf[postgres]'" in done.stdout
    assert ("", False) == (without_slowness(done.stderr), "hunter2" in done.stdout)


def test_commands_that_are_shown_have_no_password():
    """They repeat the store that was named, but for that; a file may be called as it likes."""
    named = [
        Common(store=url).place.named
        for url in (
            "postgresql://me:hunter2@host/db?password=x",
            "postgresql://me:1?hunter2@host/db",
            "sqlite:///a:b@c",
        )
    ]

    assert ["postgresql://me@host/db", "postgresql://", "sqlite:///a:b@c"] == named
