"""Databases that releases wrote: later ones open, migrate and resume them. See `golden/write.py`."""

import asyncio
import importlib.util
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchwf import Orchestrator, RunStatus, StoreError
from orchwf.stores.sqlite_file import migrations
from orchwf.testing import FakeClock, TestOrchestrator

GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(path.name for path in GOLDEN.glob("*.db"))


@pytest.fixture(params=RELEASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the database of a release."""
    return Path(shutil.copy(GOLDEN / request.param, tmp_path / "runs.db"))


def written() -> Any:
    """The program that wrote them."""
    spec = importlib.util.spec_from_file_location("golden_write", GOLDEN / "write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flows() -> dict[str, Any]:
    """The workflows of those runs, mended."""
    made: dict[str, Any] = written().flows(False, asyncio.Event())
    return made


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_there_is_one_of_each_schema():
    """Whoever changes the schema adds the database of the release before."""
    assert set(range(1, len(migrations()) + 1)) == {version_of(GOLDEN / name) for name in RELEASES}


async def test_its_runs_are_listed(database: Path):
    """With what was given along, and where they were."""
    async with Orchestrator(f"sqlite:///{database}") as orchestrator:
        listed = {record.id: record for record in await orchestrator.list_runs()}
        (failed,) = await orchestrator.list_runs(tags={"kind": "Fails"})

    assert version_of(database) == len(migrations())
    assert (RunStatus.FAILED, "ValueError: broken") == (failed.status, failed.error)
    assert {"kind": ["Waits"]} == listed["Waits"].metadata
    assert (RunStatus.COMPLETED, RunStatus.CANCELLED) == (listed["Completes"].status, listed["Cancelled"].status)
    assert (RunStatus.RUNNING, "enough") == (listed["Waits"].status, listed["Cancelled"].error)


async def test_its_runs_go_on(database: Path):
    """Each where it was: what was interrupted by itself, what failed by hand; and nothing that completed again."""
    made = flows()
    async with Orchestrator(f"sqlite:///{database}", workflows=list(made.values())) as orchestrator:
        present = {record.id for record in await orchestrator.list_runs()}
        waits = await (await orchestrator.get("Waits")).result()
        fails = await (await orchestrator.resume("Fails")).result()
        answers = {"Once": {"rerun": "waits"}, "Exhausted": {}}
        others = {
            name: await (await orchestrator.resume(name, **answer)).result()  # type: ignore[arg-type]
            for name, answer in answers.items()
            if name in present
        }
        undoes = await (await orchestrator.resume("Undoes")).wait() if "Undoes" in present else None

    assert (1, 2) == (fails["one"], fails["fails"])
    assert 1 == len(fails.steps["one"].attempts)
    assert {"one": 1, "last": 1} == {name: waits[name] for name in ("one", "last")}
    assert all(result.status is RunStatus.COMPLETED for result in others.values())
    assert undoes is None or "done" == undoes.compensation


async def test_its_items_go_on(database: Path):
    """From the one that was at work: what was given before is kept, what follows them goes on, too."""
    made = written().flows_with_items(False, asyncio.Event())
    async with Orchestrator(f"sqlite:///{database}", workflows=list(made.values())) as orchestrator:
        present = {record.id for record in await orchestrator.list_runs()} & made.keys()
        results = {name: await (await orchestrator.get(name)).result() for name in present}

    if not results:
        # Of a release that had none.
        return
    assert ["1 as 0", "2 as 1", "3 as 2"] == results["Items"]["items"]
    assert ["1 AS 0", "2 AS 1", "3 AS 2"] == results["Items"]["last"]
    assert [1, 2, 1] == [len(item.attempts) for item in results["Items"].steps["items"].present]
    assert ([1, 2, 3], [-1, -2, -3]) == (results["Stream"]["given"], results["Stream"]["last"])
    assert 4 == results["Loop"]["loop"]
    assert [1, 2, 1] == [len(item.attempts) for item in results["Loop"].steps["loop"].present]


async def test_what_waits_in_it_goes_on(database: Path):
    """When it is due, or when somebody sends what it waits for; parents hear of their children."""
    made = written().flows_that_wait(False)
    async with Orchestrator(f"sqlite:///{database}") as orchestrator:
        wakes = {record.id: record.wake_at for record in await orchestrator.list_runs() if record.wake_at is not None}
    if not wakes:
        # Of a release that had none.
        return
    clock = FakeClock(at=max(wakes["Sleeps"], wakes["Later"]) + 60)
    async with TestOrchestrator(f"sqlite:///{database}", workflows=list(made.values()), clock=clock) as orchestrator:
        due = {name: await (await orchestrator.get(name)).result() for name in ("Sleeps", "Later")}
        await (await orchestrator.get("Signal")).send("word", "hello")
        signalled = await (await orchestrator.get("Signal")).result()
        await (await orchestrator.get("Parent/waits")).send("word", "hello")
        parent = await (await orchestrator.get("Parent")).result()
        outer = await (await orchestrator.resume("Outer")).result()

    assert {"Signal", "Sleeps", "Later", "Parent", "Parent/waits"} == wakes.keys()
    assert [1, 1] == [due["Sleeps"]["last"], due["Later"]["one"]]
    assert "hello" == signalled["word"]
    assert {"word": "hello", "last": "hellohello"} == parent["waits"].outputs
    assert {"works": "done"} == outer["fails"].outputs


async def test_its_schedules_go_on(database: Path):
    """As they were said, and paused where somebody paused them."""
    async with Orchestrator(f"sqlite:///{database}") as orchestrator:
        schedules = await orchestrator.schedules()
        if not schedules:
            # Of a release that had none.
            return
        (schedule,) = schedules
        assert schedule.is_paused
        await schedule.resume()

    assert ("Completes", "0 6 * * *", "Europe/Berlin") == (schedule.name, schedule.record.cron, schedule.record.tz)
    assert ("queue", 86_400.0, 30.0) == (schedule.record.overlap, schedule.record.catchup, schedule.record.jitter)
    assert schedule.next_at is not None
    assert "06:00" == f"{schedule.next_at:%H:%M}"


def test_a_newer_schema_is_refused_and_left_alone(database: Path):
    """An older release must not touch what it does not understand."""
    connection = sqlite3.connect(database)
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    before = database.read_bytes()

    async def opens() -> None:
        async with Orchestrator(f"sqlite:///{database}"):
            pass

    with pytest.raises(StoreError, match="made by a newer orchwf"):
        asyncio.run(opens())

    assert before == database.read_bytes()
