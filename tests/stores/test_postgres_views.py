"""What a person sees who has an SQL prompt at a PostgreSQL store."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from orchwf.core import events as ev
from orchwf.core.events import ErrorInfo, Event
from orchwf.stores.postgres import open_postgres
from tests.histories import time_for
from tests.postgres import prompt

from .samples import ERROR, NOW, completed, creation, started, written
from .viewed import FAILING, HEADLINES, KILLED, RUN_STARTED, STORIES, each_log, moments, of_history, statuses_of_history


async def rows(url: str, sql: str, *logs: tuple[Event, ...]) -> list[tuple[Any, ...]]:
    """The answer of another program, after these logs were written for runs A1, A2, ..."""
    store = await open_postgres(url)
    await written(store, *(creation(f"A{number}", *log) for number, log in enumerate(logs, 1)))
    await store.close()
    with prompt(url) as db:
        return db.execute(sql.encode()).fetchall()


def at(second: float) -> datetime:
    """So long after the beginning of the minute."""
    return datetime.fromtimestamp(NOW + second, UTC)


async def test_the_view_of_events_is_readable(postgres_url: str):
    """Ids instead of numbers, instants instead of epoch seconds, and the data as JSON."""
    seen = await rows(postgres_url, "SELECT * FROM events", (RUN_STARTED, started(2), completed(3, output='{"id":1}')))

    data = '{"workflow":"Orders","version":"1","fingerprint":"f1","inputs":"{}"}'
    assert [
        ("A1", 1, at(0), "run.started", None, None, None, data),
        ("A1", 2, at(2), "step.started", "charge", 1, None, None),
        ("A1", 3, at(3), "step.completed", "charge", 1, None, '{"id":1}'),
    ] == seen


async def test_the_view_of_steps_is_readable(postgres_url: str):
    """One row per step: where it is, how often it was tried, when, and what came of it."""
    log = (
        started(1, "charge", 1),
        started(2, "pack"),
        ev.StepRetrying(seq=3, at=NOW + 3, step="charge", attempt=1, error=ERROR, delay=1.0, due_at=NOW + 4),
        started(4, "charge", 2),
        completed(5, "pack", '"box"'),
        ev.StepFailed(seq=6, at=NOW + 6, step="charge", attempt=2, error=ERROR),
        ev.StepSkipped(seq=7, at=NOW + 7, step="thank", reason="charge failed", cause="upstream"),
        started(8, "report"),
    )

    seen = await rows(postgres_url, "SELECT * FROM steps ORDER BY step", log)

    assert [
        ("A1", "charge", "failed", 2, at(1), at(6), Decimal("5.000"), None, "CardError: declined", None, None),
        ("A1", "pack", "completed", 1, at(2), at(5), Decimal("3.000"), '"box"', None, None, None),
        ("A1", "report", "running", 1, at(8), None, None, None, None, None, None),
        ("A1", "thank", "skipped", 0, None, at(7), None, None, None, "charge failed", None),
    ] == seen


@pytest.mark.parametrize(
    ("type_name", "message", "headline"),
    [*HEADLINES, ("a.ValueError", "\0 is not \\u0000\0", "ValueError: ␀ is not \\u0000␀")],
)
async def test_the_error_of_a_step_is_its_headline(postgres_url: str, type_name: str, message: str, headline: str):
    """As everywhere: class and first line. A NUL, which no text of PostgreSQL can have, is shown with another sign."""
    failed = ev.StepFailed(seq=2, at=NOW, step="charge", attempt=1, error=ErrorInfo(type_name, message))

    assert [(headline,)] == await rows(postgres_url, "SELECT error FROM steps", (started(1), failed))


@each_log
async def test_the_view_agrees_with_the_history_of_the_run(postgres_url: str, log: tuple[Event, ...]):
    """Also after a resume, which undoes failures and what came from them, and after the death of the owner."""
    seen = await rows(postgres_url, "SELECT step, status, attempts FROM steps ORDER BY step", log)

    assert statuses_of_history(log) == seen


async def test_the_views_of_one_run_read_no_other(postgres_url: str):
    """However many there are: each part of a plan that reads runs or logs goes by an index."""
    await rows(postgres_url, "SELECT 1", KILLED, FAILING)
    with prompt(postgres_url) as db:
        db.execute("SET enable_seqscan = off")
        plans = [
            "\n".join(line for (line,) in db.execute(f"EXPLAIN SELECT * FROM {view} WHERE run = 'A1'".encode()))
            for view in ("events", "steps", "items")
        ]

    assert [] == [plan for plan in plans if "Seq Scan" in plan or "runs_id_key" not in plan]


_COLUMNS = """
    status, attempts, extract(epoch FROM started_at)::float8, extract(epoch FROM ended_at)::float8, output, reason
"""


@pytest.mark.slow
@time_for(STORIES)
async def test_the_views_agree_with_the_histories_of_random_runs(postgres_url: str):
    """Steps and items, at every moment of their lives: also in the midst of a resume."""
    logs = moments()
    store = await open_postgres(postgres_url)
    await written(store, *(creation(run_id, *log) for run_id, log in logs.items()))
    await store.close()

    with prompt(postgres_url) as db:
        for run_id, log in logs.items():
            assert of_history(log) == (
                _seen(db, f"SELECT step, {_COLUMNS} FROM steps WHERE run = %s ORDER BY step", run_id),
                _seen(db, f"SELECT step, item, {_COLUMNS} FROM items WHERE run = %s ORDER BY step, item", run_id),
            ), run_id


def _seen(db: "psycopg.Connection[Any]", sql: str, run_id: str) -> list[tuple[Any, ...]]:
    return db.execute(sql.encode(), [run_id]).fetchall()
