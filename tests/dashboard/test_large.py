"""What pages cost where there is much."""

import re
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest

from orchwf import Orchestrator, make_workflow, step
from orchwf.dashboard import create_app
from orchwf.stores.sqlite import open_sqlite
from tests.dashboard.browsers import Sales, visitor

PAGES = (
    "/", "/?before=5", "/?q=status:failed", "/?q=workflow:Sales+status:failed,completed", "/?q=since:2d", "/?q=word",
    "/?q=tag:shop=eu", "/?q=id:A", "/run?id=A1", "/run?id=A1&tab=events&after=3", "/run?id=A1&tab=steps&step=load",
    "/run?id=A1&at=4", "/workflows", "/workflow?name=Sales", "/schedules", "/workers", "/system", "/live?of=run&id=A1",
)  # fmt: skip


def plan(sql: str, db: sqlite3.Connection) -> list[tuple[int, int, int, str]]:
    """How SQLite answers."""
    return db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()


async def test_no_page_reads_all_of_the_store(tmp_path: Path):
    """Each statement behind a page goes by an index; the newest runs are read from the end, and no more than a page."""
    store = await open_sqlite(tmp_path / "runs.db")
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        for number in range(3):
            await (await orchestrator.start(Sales(day="sunday"), f"A{number}", tags={"shop": "eu"})).wait()
    asked: list[str] = []
    await store._connection.call(lambda db: db.set_trace_callback(asked.append))
    async with visitor(create_app(store)) as browser:
        answers = [await browser.get(path) for path in PAGES]
    await store._connection.call(lambda db: db.set_trace_callback(None))

    selects = list(dict.fromkeys(sql for sql in asked if sql.lstrip().startswith("SELECT")))
    steps = [(sql, row[3]) for sql in selects for row in await store._connection.call(partial(plan, sql))]
    await store.close()

    assert {answer.status_code for answer in answers} == {200}
    assert len(selects) > 10
    scans = [sql for sql, told in steps if re.search(r"SCAN (runs|log|inbox|run_tags)\b", told)]
    assert [sql for sql in scans if not re.search(r"ORDER BY runs\.no DESC LIMIT \d+$", sql.strip())] == []
    # Those of one beginning of an id are sorted.
    assert [sql for sql, told in steps if "TEMP B-TREE" in told and "runs.id >=" not in sql] == []


def body() -> int:
    return 1


@pytest.mark.slow
async def test_five_thousand_steps(tmp_path: Path):
    """The page of a large run takes less than two seconds of the processor, is short, and is quick the second time."""
    names = [f"part_{number:04}" for number in range(5_000)]
    steps = {
        name: step(body, name=name, depends_on=[names[at - 50]] if at >= 50 else []) for at, name in enumerate(names)
    }
    flow = make_workflow("Large", steps)
    store = await open_sqlite(tmp_path / "runs.db")
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.start(flow(), "A1")).wait()
    costs, sizes = [], []
    async with visitor(create_app(store)) as browser:
        await browser.get("/")
        tabs = ("graph", "graph", "timeline", "steps&page=3", "events", "graph&at=4000&step=part_0007", "graph&group=0")
        for tab in tabs:
            before = time.process_time()
            answer = await browser.get(f"/run?id=A1&tab={tab}")
            costs.append(time.process_time() - before)
            sizes.append(len(answer.text))
    await store.close()

    assert max(costs) < 2.0
    assert max(sizes) < 200_000
