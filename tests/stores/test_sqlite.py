"""The store in a SQLite file."""

import asyncio
import collections
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import pytest

from orchwf.core.events import Event, StepCompleted, StepStarted
from orchwf.errors import StoreError
from orchwf.ports import Message, RunQuery
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from tests.slowness import without_slowness

from .contract import Open, SharedContract, StoreContract
from .samples import ALL_KINDS, creation, more, record, started, written


class TestSQLiteStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = await open_sqlite(tmp_path / "orders.db", durability="process")
        yield store
        await store.close()


class TestSharedFile(SharedContract):
    """Processes share it."""

    @pytest.fixture
    async def opened(self, tmp_path: Path) -> AsyncIterator[Open]:
        async with AsyncExitStack() as stack:

            async def one() -> SQLiteStore:
                store = await open_sqlite(tmp_path / "orders.db", durability="process")
                stack.push_async_callback(store.close)
                return store

            yield one


async def test_everything_is_there_after_opening_again(tmp_path: Path):
    """Log, summary, definition, owner and messages survive the process."""
    path = tmp_path / "orders.db"
    message = Message(run_id="A1", id="m", signal="cancel")
    first = await open_sqlite(path)
    await written(first, creation("A1", *ALL_KINDS, definition=lambda: "{}", tags={"shop": "eu"}))
    await first.claim("A1", "me", previous=None)
    await first.send(message)
    await first.close()

    again = await open_sqlite(path)

    assert list(ALL_KINDS) == await again.read("A1")
    assert record(owner="me", tags={"shop": "eu"}, number=1) == await again.get("A1")
    assert "{}" == await again.definition("f1")
    assert [message] == await again.inbox("me")
    await again.close()


async def test_only_a_part_of_large_outputs_is_held_at_once(tmp_path: Path):
    """Reading a log of any size takes some megabytes of memory."""
    store = await open_sqlite(tmp_path / "orders.db", durability="process")
    log = [StepCompleted(seq=seq, at=1.0, step="s", attempt=1, output="1" * 1_000_000) for seq in range(1, 251)]
    await written(store, creation("A1", *log))

    page = await store.read("A1")

    assert log[: len(page)] == page
    assert 16 <= len(page) < 250
    await store.close()


async def test_a_batch_is_one_transaction(tmp_path: Path):
    """However many appends and events: one BEGIN, one COMMIT, and few INSERTs of a fixed number of rows."""
    store = await open_sqlite(tmp_path / "orders.db", durability="process")
    statements: list[str] = []
    await store._connection.call(lambda db: db.set_trace_callback(statements.append))

    await written(store, *(creation(f"R{number}", *(started(seq) for seq in range(1, 31))) for number in range(10)))

    verbs = collections.Counter(statement.split()[0] for statement in statements)
    inserts = [statement for statement in statements if statement.startswith("INSERT INTO log ")]
    assert (1, 1, 0) == (verbs["BEGIN"], verbs["COMMIT"], verbs["ROLLBACK"])
    assert [128, 128, 32, 8, 4] == [statement.count("),") + 1 for statement in inserts]
    await store.close()


@pytest.mark.parametrize(
    "event",
    [started(1, "\ud800"), attrs.evolve(started(1), at=float("nan")), attrs.evolve(started(1), attempt=2**70)],
    ids=["surrogate", "nan", "big integer"],
)
async def test_a_value_that_sqlite_cannot_keep_fails_its_append_only(tmp_path: Path, event: StepStarted):
    """The other appends of the batch are written, before it and after."""
    store = await open_sqlite(tmp_path / "orders.db")

    outcomes = await store.append([creation("A1", started(1)), creation("B1", event), creation("C1", started(1))])

    assert [type(None), StoreError, type(None)] == [type(outcome) for outcome in outcomes]
    assert "'B1' should have been given cannot be stored" in str(outcomes[1])
    assert ["C1", "A1"] == [run.id for run in await store.runs(RunQuery())]
    assert [started(1)] == await store.read("C1")
    await store.close()


async def test_a_cancelled_append_leaves_the_connection_usable(tmp_path: Path):
    """It is written as a whole or not at all, no transaction stays open, and the appends of others are not lost."""
    store = await open_sqlite(tmp_path / "orders.db", durability="process")
    await written(store, creation("mine"), *(creation(f"R{number}") for number in range(200)))

    for number in range(200):
        cancelled = asyncio.create_task(store.append([more(f"R{number}", started(1), started(2), started(3))]))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        kept = asyncio.create_task(written(store, more("mine", started(number + 1))))
        cancelled.cancel()
        await asyncio.wait([cancelled, kept])
        kept.result()

    assert not await store._connection.call(lambda db: db.in_transaction)
    assert [started(seq) for seq in range(1, 201)] == await store.read("mine")
    assert {len(await store.read(f"R{number}")) for number in range(200)} <= {0, 3}
    await store.close()


_APPENDS_FOR_EVER = """
import asyncio, sys
from orchwf.core.events import Event, StepCompleted, StepStarted
from orchwf.core.state import RunStatus
from orchwf.ports import Append, RunRecord
from orchwf.stores.sqlite import open_sqlite

async def main():
    store = await open_sqlite(sys.argv[1])
    run = RunRecord(id="A1", workflow="w", version="1", fingerprint="f", entrypoint="", status=RunStatus.RUNNING,
                    metadata={}, tags={}, created_at=0.0)
    await store.append([Append(run_id="A1", expected=0, events=[], create=run)])
    seq = 0
    while True:
        events = [StepStarted(seq=seq + n, at=0.0, step="s", attempt=1) for n in (1, 2, 3)]
        assert [None] == await store.append([Append(run_id="A1", expected=seq, events=events)])
        seq += 3
        print(seq, flush=True)

asyncio.run(main())
"""


async def read_all(path: Path) -> list[Event]:
    """The log of run A1 in this file."""
    store = await open_sqlite(path, must_exist=True)
    log = await store.read("A1")
    await store.close()
    return log


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, acknowledged: int):
    """After SIGKILL in the middle of writing all is there that was acknowledged, and no append by halves."""
    path = tmp_path / "orders.db"
    with subprocess.Popen(
        [sys.executable, "-c", _APPENDS_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(acknowledged):
            process.stdout.readline()
        process.kill()
        # What it had printed and nobody had read yet.
        lines = process.stdout.read().splitlines()
    last = int(lines[-1]) if lines else 3 * acknowledged

    log = asyncio.run(read_all(path))

    assert last >= 3 * acknowledged
    assert last <= len(log)
    assert 0 == len(log) % 3
    assert list(range(1, len(log) + 1)) == [event.seq for event in log]


@pytest.mark.parametrize(
    "body",
    [
        "await open_sqlite(sys.argv[1] + '/no/such/folder/x.db')",
        "await open_sqlite(sys.argv[1])",
        "store = await open_sqlite(sys.argv[1] + '/x.db'); await store.close()",
        "await asyncio.wait_for(open_sqlite(sys.argv[1] + '/x.db'), 0)",
        "task = asyncio.create_task(open_sqlite(sys.argv[1])); await asyncio.sleep(0); task.cancel(); await task",
    ],
    ids=["no folder", "a folder", "closed", "timed out", "cancelled"],
)
def test_the_interpreter_ends_and_warns_of_nothing(tmp_path: Path, body: str):
    """No way of opening a store leaves a thread or a connection behind."""
    script = f"""
import asyncio, sys
from orchwf.errors import StoreError
from orchwf.stores.sqlite import open_sqlite

async def main():
    try:
        {body}
    except (StoreError, TimeoutError, asyncio.CancelledError):
        pass

asyncio.run(main())
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script, str(tmp_path)]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "", "") == (ended.returncode, ended.stdout, without_slowness(ended.stderr))


async def test_opening_can_be_cancelled_at_any_moment(tmp_path: Path):
    """Whenever the cancellation comes, no connection stays behind, and the file can be opened after it."""
    opened = 0
    for turns in range(60):
        task = asyncio.create_task(open_sqlite(tmp_path / "orders.db"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, SQLiteStore):
            opened += 1
            await outcome.close()

    store = await open_sqlite(tmp_path / "orders.db")
    await written(store, creation("A1"))
    await store.close()

    assert opened < 60


async def test_nothing_is_told(tmp_path: Path):
    """Whoever listens learns that at once, and looks for himself: that is cheap here."""
    store = await open_sqlite(tmp_path / "orders.db")
    await written(store, creation("A1"))

    await store.listen(lambda hint: pytest.fail(str(hint)))

    assert not await store.watch("A1")
    await store.close()
