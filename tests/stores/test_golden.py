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

GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(path.name for path in GOLDEN.glob("*.db"))


@pytest.fixture(params=RELEASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the database of a release."""
    return Path(shutil.copy(GOLDEN / request.param, tmp_path / "runs.db"))


def flows() -> dict[str, Any]:
    """The workflows of those runs, mended."""
    spec = importlib.util.spec_from_file_location("golden_write", GOLDEN / "write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: dict[str, Any] = module.flows(False, asyncio.Event())
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
