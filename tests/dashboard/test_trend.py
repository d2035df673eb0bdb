"""How the runs of a longer time fared, as a strip above the listing."""

import re
from urllib.parse import parse_qs

import orchwf
from orchwf.core.events import RunCompleted, RunFailed, RunStarted
from orchwf.core.state import RunStatus
from orchwf.dashboard import create_app
from orchwf.dashboard.search import parse_search
from orchwf.dashboard.trend import trend_of
from orchwf.ports import Append, RunRecord, Store, Summary
from tests.dashboard.browsers import visitor


def record(number: int, status: RunStatus, at: float, took: float | None = 1.0) -> RunRecord:
    return RunRecord(
        id=f"r{number}", workflow="Sales", version="1", fingerprint="f", entrypoint="x:X", status=status, metadata={},
        tags={}, created_at=at, ended_at=None if took is None else at + took, number=number,
    )  # fmt: skip


def test_runs_by_when_they_began():
    """Each bar has the runs of its part of the time, those that failed on top, and leads to them."""
    records = [
        record(4, RunStatus.RUNNING, 1_060.0, None), record(3, RunStatus.FAILED, 1_000.5, 4.0),
        record(2, RunStatus.COMPLETED, 1_000.2, 2.0), record(1, RunStatus.COMPLETED, 1_000.0, 3.0),
    ]  # fmt: skip

    trend = trend_of(records, "workflow:Sales")

    assert trend is not None
    first, last = trend.bars
    assert [look for _, _, look in first.parts] == ["completed", "failed"]
    assert [look for _, _, look in last.parts] == ["running"]
    assert [height for _, height, _ in first.parts] == [22.7, 11.3]
    assert "1 failed, 2 completed; half of them took up to 3.0 s" in first.title
    assert last.dot is None
    assert trend.said.startswith("4 runs from ")
    queries = [parse_search(parse_qs(bar.href.partition("?")[2])["q"][0], 0.0) for bar in trend.bars]
    assert [each.problems for each in queries] == [(), ()]
    found = [
        [
            each.number for each in records
            if each.created_at >= (query.query.since or 0) and each.created_at < (query.query.until or 9e9)
        ]
        for query in queries
    ]  # fmt: skip
    assert found == [[3, 2, 1], [4]]


def test_no_time_is_no_trend():
    """Of no runs, or of runs that began at once, nothing is drawn; nor of clocks that differ."""
    same = [record(number, RunStatus.COMPLETED, 5.0, 0.0) for number in range(3)]

    assert trend_of([], "") is None
    assert trend_of(same, "") is None
    assert trend_of([record(2, RunStatus.FAILED, 1.0), record(1, RunStatus.FAILED, 2.0)], "") is None


async def many(store: Store, count: int) -> None:
    appends = []
    for number in range(count):
        at, is_bad = 1_000.0 + number, number % 3 == 0
        run = record(number, RunStatus.RUNNING, at, None)
        begun = RunStarted(seq=1, at=at, workflow="Sales", version="1", fingerprint="f", inputs="{}")
        end = RunFailed(seq=2, at=at + 1, steps=(), error="no") if is_bad else RunCompleted(seq=2, at=at + 1)
        status = RunStatus.FAILED if is_bad else RunStatus.COMPLETED
        summary = Summary(status=status, fingerprint="f", ended_at=at + 1)
        appends.append(
            Append(run_id=run.id, expected=0, events=[begun, end], create=run, summary=summary, definition=str)
        )
    assert {*await store.append(appends)} == {None}


async def test_a_page_with_more_runs_than_it_shows():
    """Of more runs than a page has the strip shows those of the time before; of fewer, and of later pages, each run."""
    store = await orchwf.open_store("memory:")
    await many(store, 120)
    async with visitor(create_app(store)) as browser:
        pages = [(await browser.get(path)).text for path in ("/", "/?before=60", "/?q=r11", "/?q=status:failed")]
    await store.close()

    assert ["by when they began" in page for page in pages] == [True, False, False, False]
    assert "120 runs from" in pages[0]
    assert len(re.findall(r'<a href="/\?q=since', pages[0])) == 60
