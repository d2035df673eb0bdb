"""What a person sees who opens the file in SQLite's shell."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo, Event
from orchwf.stores.sqlite import open_sqlite
from tests.histories import time_for

from .samples import ERROR, NOW, completed, creation, started, written
from .viewed import HEADLINES, RUN_STARTED, STORIES, each_log, moments, of_history, statuses_of_history


async def rows(path: Path, sql: str, *logs: tuple[Event, ...]) -> list[tuple[object, ...]]:
    """The answer of another program, after these logs were written for runs A1, A2, ..."""
    store = await open_sqlite(path)
    await written(store, *(creation(f"A{number}", *log) for number, log in enumerate(logs, 1)))
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


async def test_the_view_of_events_is_readable(tmp_path: Path):
    """Ids instead of numbers, UTC text instead of epoch seconds, and the data as JSON."""
    log = (RUN_STARTED, started(2), completed(3, output='{"id":"ch_1"}'))

    seen = await rows(tmp_path / "x.db", "SELECT * FROM events", log)

    data = '{"workflow":"Orders","version":"1","fingerprint":"f1","inputs":"{}"}'
    assert [
        ("A1", 1, "2026-09-21 14:13:20.250Z", "run.started", None, None, None, data),
        ("A1", 2, "2026-09-21 14:13:22.250Z", "step.started", "charge", 1, None, None),
        ("A1", 3, "2026-09-21 14:13:23.250Z", "step.completed", "charge", 1, None, '{"id":"ch_1"}'),
    ] == seen


async def test_the_view_of_steps_is_readable(tmp_path: Path):
    """One row per step: where it is, how often it was tried, when, and what came of it."""
    log = (
        started(1, "charge", 1),
        started(2, "pack"),
        ev.StepRetrying(seq=3, at=NOW + 3, step="charge", attempt=1, error=ERROR, delay=1.0, due_at=NOW + 4),
        started(4, "charge", 2),
        started(5, "load"),
        ev.StepRetrying(seq=6, at=NOW + 6, step="load", attempt=1, error=ERROR, delay=1.0, due_at=NOW + 7),
        completed(7, "pack", '"box"'),
        ev.StepFailed(seq=8, at=NOW + 8, step="charge", attempt=2, error=ERROR),
        started(9, "notify"),
        ev.StepSkipped(seq=10, at=NOW + 10, step="thank", reason="charge failed", cause="upstream"),
        ev.StepCancelled(seq=11, at=NOW + 11, step="notify", attempt=1, reason="enough", cause="run"),
        started(12, "report"),
    )

    seen = await rows(tmp_path / "x.db", "SELECT * FROM steps ORDER BY step", log)

    assert [
        ("A1", "charge", "failed", 2, *at("21.250", "28.250", 7.0), None, "CardError: declined", None, None),
        ("A1", "load", "retrying", 1, *at("25.250", None, None), None, "CardError: declined", None, None),
        ("A1", "notify", "cancelled", 1, *at("29.250", "31.250", 2.0), None, None, "enough", None),
        ("A1", "pack", "completed", 1, *at("22.250", "27.250", 5.0), '"box"', None, None, None),
        ("A1", "report", "running", 1, *at("32.250", None, None), None, None, None, None),
        ("A1", "thank", "skipped", 0, *at(None, "30.250", None), None, None, "charge failed", None),
    ] == seen


def at(start: str | None, end: str | None, duration: float | None) -> tuple[str | None, str | None, float | None]:
    """The three columns of time."""
    return start and f"2026-09-21 14:13:{start}Z", end and f"2026-09-21 14:13:{end}Z", duration


@pytest.mark.parametrize(("type_name", "message", "headline"), HEADLINES)
async def test_the_error_of_a_step_is_its_headline(tmp_path: Path, type_name: str, message: str, headline: str):
    """As everywhere: class and first line."""
    error = ErrorInfo(type_name, message)

    seen = await rows(
        tmp_path / "x.db",
        "SELECT error FROM steps",
        (started(1), ev.StepFailed(seq=2, at=NOW, step="charge", attempt=1, error=error)),
    )

    assert [(headline,)] == seen
    assert headline == error.headline


@each_log
async def test_the_view_agrees_with_the_history_of_the_run(tmp_path: Path, log: tuple[Event, ...]):
    """Also after a resume, which undoes failures and what came from them, and after the death of the owner."""
    seen = await rows(tmp_path / "x.db", "SELECT step, status, attempts FROM steps ORDER BY step", log)

    assert statuses_of_history(log) == seen


async def test_runs_are_kept_apart(tmp_path: Path):
    """Two runs with steps of the same names, and a third without any."""
    seen = await rows(
        tmp_path / "x.db",
        "SELECT run, step, status FROM steps ORDER BY run",
        (started(1), completed(2)),
        (started(1),),
        (RUN_STARTED,),
    )

    assert [("A1", "charge", "completed"), ("A2", "charge", "running")] == seen


_COLUMNS = """
    status, attempts, round((julianday(started_at) - 2440587.5) * 86400),
    round((julianday(ended_at) - 2440587.5) * 86400), output, reason
"""


@pytest.mark.slow
@time_for(STORIES)
async def test_the_views_agree_with_the_histories_of_random_runs(tmp_path: Path):
    """Steps and items, at every moment of their lives: also in the midst of a resume."""
    logs = moments()
    store = await open_sqlite(tmp_path / "x.db", durability="process")
    try:
        await written(store, *(creation(run_id, *log) for run_id, log in logs.items()))
    finally:
        await store.close()

    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        for run_id, log in logs.items():
            steps, items = of_history(log)
            seen = db.execute(f"SELECT step, {_COLUMNS} FROM steps WHERE run = ? ORDER BY step", (run_id,))
            assert steps == seen.fetchall(), run_id
            seen = db.execute(f"SELECT step, item, {_COLUMNS} FROM items WHERE run = ? ORDER BY step, item", (run_id,))
            assert items == seen.fetchall(), run_id
