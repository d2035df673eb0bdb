"""How a SQLite store finds runs among many: by indexes, without sorting."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchwf.core.state import RunStatus
from orchwf.ports import RunQuery
from orchwf.stores.records import after_all_with
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from orchwf.stores.sqlite_census import _CENSUS
from orchwf.stores.sqlite_query import _INBOX, _NEXT_WAKE, _READ, selects
from orchwf.stores.sqlite_take import _AWAKE, _CALLED, _DUE, _GONE, _SET_BACK

from .samples import NOW


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """An empty store."""
    store = await open_sqlite(tmp_path / "orders.db")
    yield store
    await store.close()


async def plan(store: SQLiteStore, sql: str, values: list[object]) -> list[str]:
    """The steps by which SQLite answers."""
    rows = await store._connection.call(lambda db: db.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
    return [row[3] for row in rows]


FAILED_AND_RUNNING = [RunStatus.FAILED, RunStatus.RUNNING]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        (RunQuery(limit=50), "SCAN runs"),
        (RunQuery(limit=50, before=1000), "SEARCH runs USING INTEGER PRIMARY KEY (rowid<?)"),
        (RunQuery(workflow="w", limit=50), "SEARCH runs USING INDEX runs_by_workflow (workflow=?)"),
        (RunQuery(workflow="w", before=9), "SEARCH runs USING INDEX runs_by_workflow (workflow=? AND rowid<?)"),
        (RunQuery(statuses=FAILED_AND_RUNNING, limit=50), "SEARCH runs USING INDEX runs_by_status (status=?)"),
        (
            RunQuery(workflow="w", statuses=FAILED_AND_RUNNING, limit=50),
            "SEARCH runs USING INDEX runs_by_workflow_and_status (workflow=? AND status=?)",
        ),
        (RunQuery(tags={"k": "v"}, limit=50), "SEARCH run_tags USING PRIMARY KEY (key=? AND value=?)"),
        (
            RunQuery(tags={"k": "v", "l": "w"}, statuses=FAILED_AND_RUNNING, before=9),
            "SEARCH run_tags USING PRIMARY KEY (key=? AND value=? AND run<?)",
        ),
        (RunQuery(since=NOW, limit=50), "SEARCH runs USING INTEGER PRIMARY KEY (rowid>?)"),
        (RunQuery(until=NOW, limit=50), "SEARCH runs USING INTEGER PRIMARY KEY (rowid<?)"),
        (RunQuery(id_prefix="A"), "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id>? AND id<?)"),
    ],
    ids=str,
)
async def test_a_listing_uses_an_index(store: SQLiteStore, query: RunQuery, first: str):
    """No look at every run, and none is sorted but the few whose id begins alike."""
    for sql, values in selects(query):
        steps = await plan(store, sql, list(values))

        assert first == steps[0]
        assert all("SCAN" not in step for step in steps[1:])
        assert all("TEMP B-TREE" not in step for step in steps) or query.id_prefix


async def test_what_was_undone_is_found_by_the_few_events_of_that(store: SQLiteStore):
    """Not by the logs of all runs, and not by all runs that failed."""
    [(sql, values)] = selects(RunQuery(statuses=[RunStatus.FAILED], compensation="failed"))

    steps = await plan(store, sql, list(values))

    assert "SEARCH runs USING INDEX runs_by_status (status=? AND rowid=?)" == steps[0]
    assert any(step.startswith("SCAN log USING") and step.endswith("INDEX log_compensations") for step in steps)
    assert "SEARCH ended USING INDEX log_fence (run=?)" in steps


@pytest.mark.parametrize("query", [RunQuery(since=NOW), RunQuery(until=NOW)], ids=str)
async def test_a_bound_of_time_is_found_by_an_index(store: SQLiteStore, query: RunQuery):
    """The number that belongs to it is not looked for run by run."""
    [(sql, values)] = selects(query)

    steps = await plan(store, sql, list(values))

    assert steps[2].startswith("SEARCH runs USING COVERING INDEX runs_by_creation (created_at")


async def test_a_run_is_read_by_its_index(store: SQLiteStore):
    """The rows come in the order of the index."""
    steps = await plan(store, _READ, ["A1", 0, -1])

    assert "SEARCH log USING INDEX log_fence (run=? AND seq>?)" == steps[0]
    assert all("SCAN" not in step and "TEMP B-TREE" not in step for step in steps)


async def test_what_is_due_is_found_among_many_that_sleep(store: SQLiteStore):
    """Whether its time has come, or the clock was set back since it fell asleep: there is an index for each."""
    [(sql, values)] = selects(RunQuery(due_by=NOW))

    steps = await plan(store, sql, list(values))

    assert "SEARCH runs USING INTEGER PRIMARY KEY (rowid=?)" == steps[0]
    assert "SEARCH runs USING COVERING INDEX runs_asleep (wake_at<?)" in steps
    assert any(step.startswith("SEARCH runs USING") and "runs_asleep_since (slept_at>?)" in step for step in steps)
    assert all("SCAN runs" not in step for step in steps)


async def test_what_was_said_something_is_found_among_many_that_sleep(store: SQLiteStore):
    """By the few messages that wait."""
    [(sql, values)] = selects(RunQuery(statuses=[RunStatus.RUNNING], is_asleep=True, has_mail=True))

    steps = await plan(store, sql, list(values))

    assert "SEARCH runs USING INDEX runs_by_status (status=? AND rowid=?)" == steps[0]
    assert "SCAN inbox USING INDEX inbox_waiting" in steps


@pytest.mark.parametrize(
    ("sql", "values", "first"),
    [
        (_AWAKE, [None, "w"], "SEARCH runs USING INDEX runs_awake (owner=?)"),
        (_DUE, [NOW, "w"], "SEARCH runs USING INDEX runs_asleep (wake_at<?)"),
        (_SET_BACK, [NOW, "w"], "SEARCH runs USING INDEX runs_asleep_since (slept_at>?)"),
        (_CALLED, ["w"], "SEARCH runs USING INDEX runs_by_workflow_and_status (workflow=? AND status=? AND rowid=?)"),
    ],
)  # fmt: skip
async def test_what_is_wanted_is_found_by_an_index(store: SQLiteStore, sql: str, values: list[object], first: str):
    """Of those that run, or sleep: what has ended is not looked at, however much there is of it."""
    steps = await plan(store, sql, values)

    assert first == steps[0]
    assert all("SCAN runs" not in step for step in steps)


async def test_who_is_gone_is_found_by_an_index(store: SQLiteStore):
    """From one owner to the next one, however many runs each has, and however many have ended."""
    steps = await plan(store, _GONE, [])

    looks = [step for step in steps if " runs " in step]
    assert 2 == len(looks)
    assert all(step.startswith("SEARCH runs USING") and "INDEX runs_awake (owner>?)" in step for step in looks)


async def test_when_the_next_run_wakes_is_found_among_many_that_sleep(store: SQLiteStore):
    """It is at the beginning of an index."""
    wakes = await plan(store, _NEXT_WAKE, [NOW])

    assert ["SEARCH runs USING COVERING INDEX runs_asleep (wake_at>?)"] == wakes


async def test_a_census_looks_at_no_run_that_has_ended(store: SQLiteStore):
    """Of those that sleep not even a row is read."""
    steps = await plan(store, _CENSUS, [NOW])

    scans = [step for step in steps if step.startswith(("SCAN runs", "SCAN log"))]
    # The index has those alone that are awake.
    assert ["SCAN runs USING INDEX runs_awake"] == scans
    counts = "SEARCH runs USING COVERING INDEX runs_by_workflow_and_status (workflow=? AND status=?)"
    assert 1 == steps.count(counts)


async def test_an_empty_inbox_costs_nothing(store: SQLiteStore):
    """The index holds only the messages that wait: asked often, it is nearly always empty."""
    steps = await plan(store, _INBOX, ["me"])

    assert ["SCAN inbox USING INDEX inbox_waiting", "SEARCH runs USING INTEGER PRIMARY KEY (rowid=?)"] == steps


@pytest.mark.parametrize("view", ["steps", "items", "events"])
async def test_a_view_of_one_run_reads_that_run_only(store: SQLiteStore, view: str):
    """`WHERE run = ...` reaches the index of runs and the one of the log."""
    steps = await plan(store, f"SELECT * FROM {view} WHERE run = ?", ["A1"])

    assert "SEARCH runs USING COVERING INDEX sqlite_autoindex_runs_1 (id=?)" in steps
    assert "SEARCH log USING INDEX log_fence (run=?)" in steps
    assert all("SCAN runs" not in step and "SCAN log" not in step for step in steps)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("A", "B"), ("Az", "A{"), ("\ud7ff", "\ue000"), ("A\U0010ffff", "B"), ("\U0010ffff", None)],
)
def test_the_end_of_a_prefix(prefix: str, end: str | None):
    """The next code point that is text, with carry."""
    assert end == after_all_with(prefix)
