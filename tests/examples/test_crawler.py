"""Pages are read item by item, and no page that was read is read again, whatever dies."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import orchwf
from examples import crawler
from examples.crawler import Crawl, Offer
from orchwf import Orchestrator, RunResult
from orchwf.core.events import Event, RunResumed, StepCompleted, StepEvent, StepStarted
from orchwf.testing import TestOrchestrator, crash_everywhere, override
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def crawl() -> RunResult[Crawl]:
    return orchwf.run(Crawl(), store="memory:")


def test_the_report_says_what_there_is(crawl: RunResult[Crawl]):
    """Of 24 teas 22 are there, the cheapest first; two pages are lost, and named."""
    report = crawl[Crawl.report]

    assert len(report.offers) == 22
    assert report.offers[:2] == [Offer("ceylon-0", 6), Offer("dooars-1", 6)]
    assert report.offers[-1] == Offer("matcha-2", 33)
    assert report.unread == ["/dooars-0", "/keemun-2"]


def test_busy_servers_are_asked_again(crawl: RunResult[Crawl]):
    """Green teas take two attempts, black ones one, and a page that is lost is not asked for twice."""
    pages = crawl.steps["page"].present
    attempts = {
        address: page.attempt for address, page in zip(crawl[Crawl.pages], pages, strict=True)
    }  # fmt: skip

    assert attempts["/sencha-1"] == 2
    assert attempts["/assam-1"] == 1
    assert attempts["/dooars-0"] == 1


def test_lost_pages_are_borne(crawl: RunResult[Crawl]):
    """The step completes; what follows of these items is skipped, with the reason."""
    assert crawl.steps["page"].status == "completed"
    skipped = [offer for offer in crawl.steps["offer"].present if offer.status == "skipped"]
    assert [offer.reason for offer in skipped] == ["page failed for it"] * 2


async def test_too_many_lost_pages_fail_the_crawl(monkeypatch: pytest.MonkeyPatch):
    """More than a fifth of them: then something else is wrong."""
    monkeypatch.setattr(crawler, "LOST", {f"/{tea}-1" for tea in crawler.TEAS})

    async with TestOrchestrator() as orchestrator:
        result = await (await orchestrator.start(Crawl())).wait()

    assert result.status == "failed"
    assert result.failed_steps == ("page",)
    assert result.error == "NonRetryable: 404: there is no /assam-1"


async def test_lists_are_read_while_others_are_looked_for():
    """The second one is found only when the first one was read."""
    is_read = threading.Event()

    def shelves() -> Iterator[str]:
        yield "/shelf-0"
        assert is_read.wait(10)
        yield "/shelf-1"

    async def links(shelf: str) -> list[str]:
        is_read.set()
        return [f"/assam-{shelf[-1]}"]

    async with TestOrchestrator() as orchestrator:
        with override(Crawl.shelves, shelves), override(Crawl.links, links):
            result = await orchestrator.run(Crawl())

    assert result[Crawl.report].offers == [Offer("assam-0", 7), Offer("assam-1", 8)]


async def test_a_page_is_looked_at_while_others_are_read():
    """The first offer is there before the last page is asked for."""
    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Crawl())
        events = [each for each in orchestrator.recorder.events if isinstance(each, StepEvent)]

    seen = [(each.kind, each.step, each.item) for each in events]
    assert seen.index(("step.completed", "offer", 0)) < seen.index(("step.started", "page", 23))


async def test_four_pages_are_read_at_once():
    """And no more."""
    async with TestOrchestrator() as orchestrator:
        await orchestrator.run(Crawl())
        pages = [each for each in orchestrator.recorder.of(Crawl.page) if isinstance(each, StepEvent)]

    at_once, most = 0, 0
    for event in pages:
        if event.item is not None:
            at_once += 1 if event.kind == "step.started" else -1
            most = max(most, at_once)
    assert most == 4


@pytest.mark.slow
def test_the_crawl_survives_crashes(monkeypatch: pytest.MonkeyPatch):
    """Wherever its process dies, also between two lists that are found, the report is the same."""
    monkeypatch.setattr(crawler, "TEAS", {"assam": 7, "dooars": 5, "sencha": 12})
    monkeypatch.setattr(crawler, "WEB", crawler.made_up(shelves=2))
    monkeypatch.setattr(crawler, "LOST", {"/dooars-0"})

    report = crash_everywhere(Crawl(), check=lambda result: result[Crawl.report].unread == ["/dooars-0"])

    assert any(death.startswith("before the write of step.completed shelves") for death in report.deaths)
    assert len(report.deaths) > 100


async def log_of(store: str) -> Sequence[Event]:
    """The events of the one run that there is; none if it is not there yet."""
    async with Orchestrator(store) as orchestrator:
        for record in await orchestrator.list_runs():
            return [event async for event in (await orchestrator.get(record.id)).events()]
    return []


def read_pages(log: Sequence[Event]) -> set[int | None]:
    return {each.item for each in log if isinstance(each, StepCompleted) and each.step == "page"}


async def test_a_killed_crawl_goes_on(tmp_path: Path, crawl: RunResult[Crawl]):
    """After a kill in the midst of the pages those that were read are not asked for again, and all is there."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    environment = {**os.environ, "PYTHONPATH": str(Path(orchwf.__file__).parents[1])}
    script = str(ROOT / "examples" / "crawler.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, "--store", store, "--slow", "0.05", env=environment
    )
    while len(read_pages(await log_of(store))) < 5:
        assert process.returncode is None
        await asyncio.sleep(0.02)
    process.kill()
    await process.wait()

    async with Orchestrator(store, workflows=[Crawl]) as orchestrator:
        (record,) = await orchestrator.list_runs()
        result = await (await orchestrator.get(record.id)).result()
    log = await log_of(store)

    (taken_up,) = [number for number, event in enumerate(log) if isinstance(event, RunResumed)]
    again = {each.item for each in log[taken_up:] if isinstance(each, StepStarted) and each.step == "page"}
    assert read_pages(log[:taken_up])
    assert not again & read_pages(log[:taken_up])
    assert result[Crawl.report] == crawl[Crawl.report]


def test_the_script_says_what_it_found(capsys: pytest.CaptureFixture[str]):
    """The three cheapest teas, and what could not be read."""
    crawler.main(["--store", "memory:"])

    assert capsys.readouterr().out.splitlines() == [
        "  6 ceylon-0",
        "  6 dooars-1",
        "  7 assam-0",
        "22 teas; 2 pages could not be read: /dooars-0, /keemun-2",
    ]
