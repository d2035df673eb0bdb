"""A PostgreSQL store behind PgBouncer in transaction mode; skipped where that is not installed."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from orchwf import Orchestrator, make_workflow, step
from orchwf.stores.postgres import PostgresStore, open_postgres
from tests.postgres import AS_NOBODY, Emptied

from .contract import StoreContract
from .samples import creation, more, started, written

pytestmark = pytest.mark.slow

# Fewer connections than clients, so that they take turns at them: whatever one left behind the next one would find.
_SETTINGS = """
[databases]
* = {target}

[pgbouncer]
unix_socket_dir = {folder}
listen_addr =
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 2
min_pool_size = 2
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
"""


@pytest.fixture(scope="module")
def pooler(postgres_server: str) -> Iterator[Path]:
    """The folder with the socket of a pooler that stands before the server."""
    # On Debian it lies where only administrators look.
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("no PgBouncer: it is not installed (on Debian: apt install pgbouncer)")
    given = {"user": "postgres", **conninfo_to_dict(postgres_server)}
    names = ("host", "port", "user", "password")
    target = " ".join(f"{name}={given[name]}" for name in names if given.get(name))
    # The path of a socket may not be long.
    folder = Path(tempfile.mkdtemp(prefix="orchwf-pooler-", dir="/tmp"))
    (folder / "settings").write_text(_SETTINGS.format(target=target, folder=folder))
    command = [*(AS_NOBODY if os.geteuid() == 0 else []), program, "--quiet", str(folder / "settings")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.poll() is None, (folder / "log").read_text()
            yield folder
        finally:
            process.terminate()
    shutil.rmtree(folder)


@pytest.fixture
async def pooled_url(pooler: Path, postgres_emptied: Emptied, postgres_url: str) -> str:
    """The URL of a store in which nothing is, through the pooler."""
    await (await open_postgres(postgres_url)).close()
    database = conninfo_to_dict(postgres_url.partition("&schema=")[0])["dbname"]
    return f"postgresql://postgres@/{database}?host={pooler}&port=6432&schema={postgres_emptied.schema}"


class TestPooledStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, pooled_url: str) -> AsyncIterator[PostgresStore]:
        store = await open_postgres(pooled_url)
        yield store
        await store.close()


async def test_transactions_of_many_clients_do_not_mix(pooled_url: str):
    """However few connections they share; each has its own schema, too."""
    stores = [await open_postgres(pooled_url) for _ in range(3)]

    async def live(number: int) -> None:
        store, run_id = stores[number % 3], f"R{number}"
        await written(store, creation(run_id, owner="me"))
        for seq in range(1, 9):
            await written(store, more(run_id, started(seq)))
            assert seq == len(await store.read(run_id))
        await store.renew(run_id, 60)

    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(live(number))

    left = "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT current_setting('search_path'))"
    with psycopg.connect(pooled_url.partition("&schema=")[0], autocommit=True, prepare_threshold=None) as somebody:
        assert {(0, '"$user", public')} == {somebody.execute(left).fetchone() for _ in range(8)}
    for store in stores:
        await store.close()


async def test_a_new_schema_is_made_through_it(pooled_url: str, postgres_emptied: Emptied):
    """By many at once; the lock is one of a transaction."""
    schema = f"{postgres_emptied.schema}x"
    url = pooled_url.replace(postgres_emptied.schema, schema)
    try:
        stores = await asyncio.gather(*(open_postgres(url) for _ in range(6)))
        await asyncio.gather(*(written(store, creation(f"R{number}")) for number, store in enumerate(stores)))
        for store in stores:
            await store.close()
    finally:
        postgres_emptied.execute(f"DROP SCHEMA {schema} CASCADE")


async def test_runs_are_executed_through_it(pooled_url: str):
    """By two orchestrators at once."""

    async def one() -> int:
        return 1

    flow = make_workflow("Flow", {"one": step(name="one")(one)})
    async with (
        Orchestrator(pooled_url, workflows=[flow]) as first,
        Orchestrator(pooled_url, workflows=[flow]) as second,
    ):
        runs = [await each.start(flow(), run_id=f"r{number}") for number, each in enumerate([first, second] * 5)]
        results = [await run.result() for run in runs]

    assert [1] * 10 == [result["one"] for result in results]
