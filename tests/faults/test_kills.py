"""Processes that are killed at random instants, one after the other, on one file."""

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from orchwf import open_store
from orchwf.core.events import Event, StepCompleted
from orchwf.ports import RunQuery
from tests.faults.harvest import expected
from tests.faults.victims import begin, integrity, kept_steps, log_in, run_again

_PACE = 0.02
_LONGEST = 5 * _PACE
"""Seconds. In each branch six steps on the loop follow one another, so no process does the whole run in this time."""


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run take long enough to be killed."""
    monkeypatch.setenv("PACE", str(_PACE))


def killed(path: Path, instant: float) -> bool:
    """Whether a process that works on the run could be killed so many seconds after it was ready, before it ended."""
    with begin(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(instant)
        process.kill()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_outlives_kills_at_random_instants(path: Path, seed: int):
    """
    The log only grows, what was told to observers is in it, no completed step runs again, and the run ends right.

    A process may be opening the file, taking the run up, executing it or closing when it is killed.
    """
    chance = random.Random(seed)
    log: list[Event] = []
    kills = 0

    while kills < 6 and killed(path, chance.uniform(0, _LONGEST)):
        kills += 1
        before, log = log, asyncio.run(log_in(path))
        assert before == log[: len(before)]
        assert list(range(1, len(log) + 1)) == [event.seq for event in log]
        assert set(kept_steps(path)) <= {event.step for event in log if isinstance(event, StepCompleted)}
        assert "ok" == integrity(path)

    with begin(path) as process:
        said, _ = process.communicate()
    completions = Counter(event.step for event in asyncio.run(log_in(path)) if isinstance(event, StepCompleted))
    assert kills >= 1
    assert "completed" == said.splitlines()[-1]
    assert dict.fromkeys(expected(), 1) == completions
    assert set() == run_again(path)


async def test_a_process_that_died_before_there_was_a_write_ahead_log(sound: Path, path: Path):
    """What it left half written is set right by the next one: as SQLite makes a new file, it has a rollback journal."""
    shutil.copy(sound, path)
    half = path.with_name("half.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA cache_size = 1", "BEGIN"):
            db.execute(statement)
        db.execute("UPDATE log SET data = data || ' '")
        for end in ("", "-journal"):
            shutil.copy(f"{path}{end}", f"{half}{end}")
        db.execute("ROLLBACK")

    store = await open_store(f"sqlite:///{half}")
    try:
        facts = await store.facts()
        names = [record.id for record in await store.runs(RunQuery())]
    finally:
        await store.close()

    assert ("ok", ["r", "done"]) == (facts["integrity"], names)
