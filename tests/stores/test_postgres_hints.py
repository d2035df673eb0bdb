"""What a PostgreSQL store tells: over a connection of its own, if there is a way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest

from orchwf import Orchestrator, RunStatus
from orchwf.core.events import StepCompleted
from orchwf.errors import StoreError
from orchwf.ports import Hint, HintKind, Renewal, RunQuery, Wanted
from orchwf.stores import postgres_connection, postgres_hints
from orchwf.stores.hints import hint_text, read_hint
from orchwf.stores.postgres import PostgresStore, open_postgres
from orchwf.stores.postgres_census import _CENSUS
from orchwf.stores.postgres_connection import Transaction
from orchwf.stores.postgres_take import left_sql, take_sql, take_values
from orchwf.stores.postgres_url import parse_url
from orchwf.testing import FakeClock
from tests.runtime.test_sharing_out import leave, named

from .contract import Ears
from .samples import NOW, creation, written


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open, empty store."""
    store = await open_postgres(postgres_url)
    yield store
    await store.close()


async def test_another_store_in_the_database_hears_nothing(store: PostgresStore, postgres_url: str):
    """Each schema has a channel of its own; and another program that uses the channel does no harm."""
    async with Ears(store).open() as ears:
        server, _, schema = postgres_url.partition("schema=")
        with psycopg.connect(server.rstrip("?&"), autocommit=True) as connection:
            for payload in ("hello", "[]", '["free"]', '["what", "", null, "0"]', '["free", "", null, "x"]'):
                connection.execute("SELECT pg_notify(%s, %s)", (schema, payload))
            connection.execute("SELECT pg_notify(%s, %s)", (f"{schema}2", hint_text(Hint(HintKind.FREE))))

        assert [] == await ears.heard()


async def test_it_is_heard_again_after_the_connection_was_lost(store: PostgresStore, postgres_url: str):
    """It is told that something may have been missed."""
    async with Ears(store).open() as ears:
        server, _, schema = postgres_url.partition("schema=")
        with psycopg.connect(server.rstrip("?&"), autocommit=True) as connection:
            cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = %s"
            assert (1,) == connection.execute(cut.encode(), (f'LISTEN "{schema}"',)).fetchone()
        lost, begun = await ears.next(), await ears.next()
        await written(store, creation("A1"))

        assert [HintKind.LOST, HintKind.BEGUN] == [lost.kind, begun.kind]
        assert Hint(HintKind.FREE) == await ears.next()


async def test_who_cannot_reach_the_server_tries_again(
    store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is lost yet of what was never heard."""
    connect, failures = psycopg.AsyncConnection.connect, 2

    async def shaky(*arguments: object, **options: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise psycopg.OperationalError("connection refused")
        return await connect(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", shaky)
    monkeypatch.setattr(postgres_hints, "_FIRST_WAIT", 0.001)
    async with Ears(store).open():
        assert 0 == failures


async def test_through_a_pooler_nobody_listens(store: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    """It gives its clients other numbers than the server has; unless the URL says that it works."""
    numbered = psycopg.ConnectionInfo.backend_pid
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda info: 7 + numbered.fget(info)))  # type: ignore[attr-defined]

    await store.listen(lambda hint: pytest.fail(str(hint)))

    store._address = parse_url(f"{store.url}&listen=yes")
    async with Ears(store).open() as ears:
        await written(store, creation("A1"))
        assert Hint(HintKind.FREE) == await ears.next()


async def test_who_is_told_not_to_listen_does_not(store: PostgresStore):
    """By the URL."""
    store._address = parse_url(f"{store.url}&listen=no")

    await store.listen(lambda hint: pytest.fail(str(hint)))


def test_what_the_url_says_of_listening():
    """Yes or no; it is shown with the rest."""
    address = parse_url("postgresql://db/orders?listen=no")

    assert (False, "postgresql://db/orders?listen=no") == (address.listens, address.url)
    assert None is parse_url("postgresql://db/orders").listens
    with pytest.raises(StoreError, match="listen='maybe', which cannot be: it is yes or no"):
        parse_url("postgresql://db/orders?listen=maybe")


@pytest.mark.parametrize(
    "hint",
    [Hint(HintKind.FREE), Hint(HintKind.ASLEEP, at=float("inf")), Hint(HintKind.MESSAGE, "\N{SNOWMAN}'\"", "me")],
)
def test_a_hint_is_text(hint: Hint):
    """And back."""
    assert hint == read_hint(hint_text(hint))


async def quiet(orchestrator: Orchestrator, store: PostgresStore) -> None:
    """Return when it is told what others write, and has looked for all that was there before."""
    runs, keeper = orchestrator._runs, orchestrator._keeper

    def is_quiet() -> bool:
        is_looking = keeper._looks or keeper._taking.locked() or orchestrator._scheduler.is_busy or runs.poked.is_set()
        is_asking = store._connections._places._value < postgres_connection._MOST_CONNECTIONS
        return runs.hearing.is_told and not is_looking and not is_asking

    while not is_quiet():  # noqa: ASYNC110 - it is known to the store, to the server, and to several loops
        await asyncio.sleep(0)


async def test_an_idle_minute_costs_nothing_but_the_lease(store: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    """All statements are counted that the pool sends: each renewal is one transaction."""
    sent: list[str] = []
    renewed: asyncio.Queue[None] = asyncio.Queue()
    send, renew = Transaction.send, store.renew

    async def counted(self: Transaction, sql: str, values: Any = ()) -> Any:
        sent.append(sql.split()[0])
        return await send(self, sql, values)

    async def noted(owner: str, lease: float, *, near: str | None = None) -> Renewal:
        renewal = await renew(owner, lease, near=near)
        renewed.put_nowait(None)
        return renewal

    monkeypatch.setattr(store, "renew", noted)
    clock, flow = FakeClock(), named("Flow")
    async with Orchestrator(store, workflows=[flow], clock=clock, lease=15) as orchestrator:
        await leave(store, flow, "r")
        await (await orchestrator.get("r")).wait()
        await renewed.get()
        await quiet(orchestrator, store)
        monkeypatch.setattr(Transaction, "send", counted)
        for _ in range(12):
            await clock.advance(5)
            await renewed.get()
            await quiet(orchestrator, store)
        found = Counter(sent)

    assert {"BEGIN": 12, "SELECT": 24, "UPDATE": 12, "COMMIT": 12} == found


async def test_a_run_of_another_process_is_begun_and_its_end_is_told(store: PostgresStore, postgres_url: str):
    """Time stands still: nobody looks for anything."""
    flow, worker = named("Flow"), await open_postgres(postgres_url)
    async with (
        Orchestrator(store, clock=FakeClock()) as client,
        Orchestrator(worker, workflows=[flow], clock=FakeClock()) as executing,
    ):
        await quiet(client, store)
        await quiet(executing, worker)
        await leave(store, flow, "r")
        result = await (await client.get("r")).wait()
        events = [event async for event in (await client.get("r")).events()]
    await worker.close()

    assert RunStatus.COMPLETED is result.status
    assert 1 == sum(isinstance(event, StepCompleted) for event in events)


async def test_what_others_have_locked_is_looked_for_again(store: PostgresStore, postgres_url: str):
    """They are not waited for; and it is known that there may be something left when they are gone."""
    flow, clock = named("Flow"), FakeClock()
    await leave(store, flow, "r", "s")
    server, _, schema = postgres_url.partition("schema=")
    with psycopg.connect(server.rstrip("?&")) as somebody:
        somebody.execute(f"SELECT no FROM {schema}.runs WHERE id = 'r' FOR UPDATE".encode())

        first, second = [await store.take("me", Wanted(awake=["Flow"], limit=9)) for _ in range(2)]
        async with Orchestrator(store, workflows=[flow], clock=clock) as orchestrator:
            await quiet(orchestrator, store)
            somebody.rollback()
            await clock.advance(1)
            result = await (await orchestrator.get("r")).wait()

    assert (["s"], []) == ([run.id for run in first.runs], second.runs)
    assert not first.is_all
    assert not second.is_all
    assert RunStatus.COMPLETED is result.status


async def grown_and_explained(store: PostgresStore, looks: Sequence[tuple[str, Any]]) -> list[str]:
    """The plan of these statements, each with its values, once 100,000 more runs have ended."""
    columns = "no, created_at, id, workflow, version, fingerprint, entrypoint, status, error, metadata, tags"

    async def grow(transaction: Transaction) -> None:
        await transaction.send(
            f"INSERT INTO runs ({columns}) SELECT number, 0, 'r' || number, 'Orders', '', '', '', 'completed', '', "
            "'{}', '{}' FROM generate_series(10, 100010) AS number"
        )
        await transaction.send("ANALYZE runs")

    async def explain(transaction: Transaction) -> list[str]:
        explained = "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off)"
        plans = [await transaction.rows(f"{explained} {sql}", values) for sql, values in looks]
        return [row[0] for rows in plans for row in rows]

    await store._connections.write(grow)
    return await store._connections.write(explain)


def check_scans(plan: list[str]) -> None:
    """See that no run is read that is not wanted, but for some."""
    scans = [line.strip() for line in plan if "Scan" in line and " on runs" in line]
    removed = [line for line in plan if "Rows Removed" in line]
    assert scans
    assert all("Seq Scan" not in line for line in scans), "\n".join(plan)
    assert all(int(line.rpartition(":")[2]) < 10 for line in removed), "\n".join(plan)


@pytest.mark.slow
async def test_a_census_looks_at_no_run_that_has_ended(store: PostgresStore):
    """By the index of the statuses."""
    await written(store, creation("free"), creation("left", owner="gone"), creation("asleep", wake_at=NOW))

    check_scans(await grown_and_explained(store, [(_CENSUS, [NOW])]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(awake=["Orders", "Refunds"], asleep=["Orders", "Refunds"], due_by=0.0, limit=10),
        Wanted(awake=["Orders"], limit=10),
    ],
    ids=["all", "awake"],
)
async def test_what_has_ended_is_not_looked_at(store: PostgresStore, wanted: Wanted):
    """However much there is of it: no more rows are read than of what has not ended."""
    await written(store, creation("free"), creation("left", owner="gone"), creation("asleep", wake_at=0.0))
    values = take_values("me", wanted, wanted.limit)

    check_scans(await grown_and_explained(store, [(take_sql(wanted), values), (left_sql(wanted), values)]))
    assert 100_004 == len(await store.runs(RunQuery()))
