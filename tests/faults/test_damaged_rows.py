"""Rows of the database that nobody wrote: whoever meets one is told which it is, and what is wrong with it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchwf import Orchestrator, signal, step, workflow
from orchwf.errors import EncodingError, StoreError
from tests.cli.console import Shell
from tests.faults.harvest import Harvest
from tests.faults.victims import log_in
from tests.runtime.flows import sleeps, until


async def changed(path: Path, statement: str) -> None:
    """Change the database behind the back of the store."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


_LOG = "run = (SELECT no FROM runs WHERE id = 'done')"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (f"DELETE FROM log WHERE {_LOG} AND seq = 7", "ValueError: number 8 stands where 7 should"),
        (f"UPDATE log SET at = 1e300 WHERE {_LOG} AND seq = 7", "ValueError: 1e+300 is no instant"),
        (f"UPDATE log SET at = 'noon' WHERE {_LOG} AND seq = 7", "ValueError: 'noon' is no instant"),
        (f"UPDATE log SET kind = x'ff' WHERE {_LOG} AND seq = 7", "is no text"),
        (f"UPDATE log SET step = NULL WHERE {_LOG} AND kind = 'step.started'", "step.started of no step"),
        (f"UPDATE log SET attempt = 'x' WHERE {_LOG} AND seq = 7", "'x' is no attempt"),
        (f"UPDATE log SET data = '[]' WHERE {_LOG} AND seq = 1", "TypeError: "),
        (f"UPDATE log SET data = x'00' WHERE {_LOG} AND kind = 'step.completed'", "is no text"),
        (
            f"UPDATE log SET data = replace(data, '\"{{}}\"', '\"{{\"') WHERE {_LOG} AND seq = 1",
            "JSONDecodeError",
        ),
        (f"UPDATE log SET step = cast(x'ff41' AS TEXT) WHERE {_LOG} AND seq = 2", "text that is not Unicode"),
    ],
)
async def test_a_row_of_the_log_that_nobody_wrote(sound: Path, tmp_path: Path, statement: str, reason: str):
    """The error names file and run, and what is wrong."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, statement)

    with pytest.raises(StoreError, match="cannot be used") as caught:
        await log_in(path, "done")

    assert f"the store {path} cannot be used: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "'dreaming'"),
        ("metadata", "'{'"),
        ("metadata", "'[]'"),
        ("tags", "'{\"a\":1}'"),
        ("created_at", "1e300"),
        ("ended_at", "'soon'"),
        ("workflow", "x'ff'"),
        ("owner", "x'ff'"),
    ],
)
async def test_a_run_that_nobody_wrote(sound: Path, tmp_path: Path, column: str, value: str):
    """Whoever gets or lists it is told which."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, f"UPDATE runs SET {column} = {value} WHERE id = 'done'")

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        for ask in (orchestrator.list_runs, lambda: orchestrator.get("done")):
            with pytest.raises(StoreError, match=f"the store {path} cannot be used: run 'done' cannot be read"):
                await ask()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE inbox SET payload = 'x'", "the message 'cancel' to run 'r' cannot be read"),
        ("UPDATE inbox SET payload = x'ff'", "a message to run 'r' cannot be read"),
        (
            "UPDATE log SET kind = 'step.completed' WHERE kind = 'step.started'",
            "makes no sense: step 'sow' is 'completed'",
        ),
        ("DELETE FROM log WHERE run = 2", "the log of run 'r' is empty in"),
    ],
)
async def test_what_nobody_wrote_stops_a_resume(sound: Path, tmp_path: Path, statement: str, reason: str):
    """With an error for the operator: none that speaks of a bug, and none of Python's own."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, statement)

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        with pytest.raises(StoreError) as caught:
            await orchestrator.resume("r", workflow=Harvest)

    assert reason in str(caught.value)


async def test_a_log_that_nobody_wrote(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Where each row can be read, and what they tell cannot have happened, the operator is told so."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, "UPDATE log SET kind = 'step.completed' WHERE kind = 'step.started'")

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        with pytest.raises(StoreError) as caught:
            await (await orchestrator.get("done")).steps()
    said = await asyncio.to_thread(Shell(tmp_path, capsys), "show", "done", "--store", f"sqlite:///{path}")

    assert str(caught.value) == (
        f"the log of run 'done' in sqlite:///{path} makes no sense: step 'sow' is 'completed' when 'step.completed' "
        "happens; the store is damaged: restore a backup"
    )
    assert (4, f"{caught.value}\n") == (said.code, said.err)


@pytest.mark.parametrize(
    "change",
    [
        "substr(data, 2)",
        "'[]'",
        "'{\"schema\": 1}'",
        'replace(data, \'"dependencies":["sow"]\', \'"dependencies":["moon"]\')',
        "x'ff'",
    ],
    ids=["no JSON", "a list", "incomplete", "a missing step", "no text"],
)
async def test_a_definition_that_nobody_wrote(sound: Path, tmp_path: Path, change: str):
    """Who needs it, as here a result of a workflow that is not known, is told which."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, f"UPDATE definitions SET data = {change}")

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        with pytest.raises(StoreError, match=r"the definition [0-9a-f]{64} .*cannot be read"):
            await (await orchestrator.get("done")).wait()


async def test_a_definition_that_nobody_wrote_and_the_commands(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The log is printed without it; whoever compares it with the code is told which it is."""
    path, shell = tmp_path / "runs.db", Shell(tmp_path, capsys)
    shutil.copy(sound, path)
    await changed(path, "UPDATE definitions SET data = substr(data, 2)")
    (tmp_path / "app.py").write_text(
        "from orchwf import step, workflow\n\n\n"
        "@workflow\nclass Harvest:\n    @step\n    def other(self) -> None: ...\n"
    )

    events = await asyncio.to_thread(shell, "events", "done", "--store", f"sqlite:///{path}")
    doctor = await asyncio.to_thread(shell, "doctor", "--app", str(tmp_path / "app.py"), "--store", f"sqlite:///{path}")

    assert (0, "") == (events.code, events.err)
    assert 4 == doctor.code
    assert "the definition" in doctor.err
    assert 1 == len(doctor.err.splitlines())


async def test_an_output_that_nobody_wrote(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It is found by who reads it."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    await changed(path, "UPDATE log SET data = '{' WHERE kind = 'step.completed' AND step = 'a0'")

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        result = await (await orchestrator.get("done")).wait()
        with pytest.raises(EncodingError, match="not JSON"):
            result["a0"]
        assert result["a1"]
    for command in (("show", "done", "--output", "a0"), ("events", "done", "--json")):
        said = await asyncio.to_thread(Shell(tmp_path, capsys), *command, "--store", f"sqlite:///{path}")
        assert 4 == said.code
        assert said.err.startswith("the output of step 'a0' of run 'done' cannot be read, as it is no JSON")


@workflow
class Sowing:
    """Steps with items, of which one fails, and one that waits."""

    fails: bool = True

    @step
    def rows(self) -> list[int]:
        return [1, 2]

    @step
    async def sow(self, row: int = rows.each) -> int:
        if self.fails and row == 2:
            raise ValueError("stones")
        return row

    @step
    def fields(self) -> Iterator[int]:
        yield 1
        yield 2

    harvested = signal(str, depends_on=[sow, fields])


@pytest.fixture(scope="module")
def sown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a run of items that failed, and one that sleeps."""
    path = tmp_path_factory.mktemp("sown") / "runs.db"

    async def lives() -> None:
        async with Orchestrator(f"sqlite:///{path}", workflows=[Sowing]) as orchestrator:
            await (await orchestrator.start(Sowing(), run_id="failed")).wait()
            await orchestrator.start(Sowing(fails=False), run_id="asleep")
            await until(lambda: sleeps(orchestrator._runs.store, "asleep"))

    asyncio.run(lives())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


_FAILED = "run = (SELECT no FROM runs WHERE id = 'failed')"
_OF_SOW = f"{_FAILED} AND step = 'sow' AND item = 1"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (f"UPDATE log SET item = 'x' WHERE {_OF_SOW}", "'x' is no item"),
        (f"UPDATE log SET item = -1 WHERE {_OF_SOW}", "-1 is no item"),
        (f"UPDATE log SET item = 1.5 WHERE {_OF_SOW}", "1.5 is no item"),
        (f"UPDATE log SET item = 7 WHERE {_OF_SOW}", "makes no sense: item 7 of step 'sow' is 'unknown'"),
        (f"UPDATE log SET item = 1 << 40 WHERE {_OF_SOW}", "makes no sense: item 1099511627776 of step 'sow'"),
        (f"UPDATE log SET item = 0 WHERE {_OF_SOW}", "makes no sense: step 'sow' is"),
        (f"UPDATE log SET item = NULL WHERE {_OF_SOW}", "makes no sense: step 'sow' is"),
        (
            f"UPDATE log SET item = 5 WHERE {_FAILED} AND step = 'fields' AND item = 0",
            "makes no sense: item 5 of step 'fields' is 'unknown'",
        ),
    ],
)
async def test_an_item_that_nobody_wrote(sown: Path, tmp_path: Path, statement: str, reason: str):
    """Whoever looks at its run, or resumes it, is told so; the other runs go on."""
    path = tmp_path / "runs.db"
    shutil.copy(sown, path)
    await changed(path, statement)

    async with Orchestrator(f"sqlite:///{path}", workflows=[Sowing]) as orchestrator:
        run = await orchestrator.get("failed")
        for ask in (run.steps, run.wait, lambda: orchestrator.resume("failed")):
            with pytest.raises(StoreError) as caught:
                await ask()
            assert reason in str(caught.value)
        other = await orchestrator.get("asleep")
        await other.send("harvested", "wheat")
        result = await other.result()

    assert "wheat" == result["harvested"]


@pytest.mark.parametrize("column", ["wake_at", "slept_at"])
@pytest.mark.parametrize("value", ["'soon'", "-1.0", "x'ff'"])
async def test_a_time_to_wake_that_nobody_wrote(sown: Path, tmp_path: Path, column: str, value: str):
    """Whoever gets or lists the run is told which; no run is lost by it, and no orchestrator."""
    path = tmp_path / "runs.db"
    shutil.copy(sown, path)
    await changed(path, f"UPDATE runs SET {column} = {value} WHERE id = 'asleep'")

    async with Orchestrator(f"sqlite:///{path}", workflows=[Sowing]) as orchestrator:
        for ask in (orchestrator.list_runs, lambda: orchestrator.get("asleep")):
            with pytest.raises(StoreError, match=f"the store {path} cannot be used: run 'asleep' cannot be read"):
                await ask()
        other = await orchestrator.start(Sowing(fails=False), run_id="other")
        await other.send(Sowing.harvested, "rye")
        result = await other.result()

    assert "rye" == result["harvested"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("inputs", "'['"),
        ("inputs", "'[]'"),
        ("asked", '\'{"r":"now"}\''),
        ("cron", "x'ff'"),
        ("overlap", "'maybe'"),
        ("phase", "'dreaming'"),
        ("next_at", "'noon'"),
        ("last_at", "1e300"),
        ("catchup", "'long'"),
        ("jitter", "'some'"),
    ],
)
async def test_a_schedule_that_nobody_wrote(tmp_path: Path, column: str, value: str):
    """Whoever gets or lists it is told which."""
    path = tmp_path / "runs.db"
    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        await orchestrator.schedule(Harvest(), cron="@daily", name="nightly", catchup="1d", jitter="1s")
    await changed(path, f"UPDATE schedules SET {column} = {value}")

    async with Orchestrator(f"sqlite:///{path}") as orchestrator:
        for ask in (orchestrator.schedules, lambda: orchestrator.get_schedule("nightly")):
            with pytest.raises(StoreError, match=f"the store {path} cannot be used: schedule 'nightly' cannot be read"):
                await ask()
