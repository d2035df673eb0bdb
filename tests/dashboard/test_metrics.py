"""What Prometheus scrapes of the dashboard, and who may."""

import sys
from collections.abc import AsyncIterator

import pytest

import orchwf
from orchwf import Orchestrator, step, workflow
from orchwf.dashboard import create_app
from orchwf.ports import Store
from tests.dashboard.browsers import BEARER, TOKEN, visitor
from tests.metrics.scraping import of, shown
from tests.stores.samples import creation, written


@workflow
class Flow:
    @step
    async def one(self) -> None: ...


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await orchwf.open_store("memory:")
    yield store
    await store.close()


async def test_a_dashboard_tells_what_its_store_has(store: Store):
    """In the text format; of no process, as nothing is executed by it."""
    await written(store, creation("W1"))
    async with visitor(create_app(store)) as browser:
        answer = await browser.get("/metrics")

    found = shown(answer.text)
    assert (200, True) == (answer.status_code, answer.headers["content-type"].startswith("text/plain; version="))
    assert 1 == of(found, "orchwf_open_runs", workflow="Orders", place="waiting")
    assert None is of(found, "orchwf_worker_alive")


async def test_a_dashboard_that_executes_runs(store: Store):
    """It tells what these did, from the first scrape on."""
    async with Orchestrator(store) as orchestrator, visitor(create_app(store, orchestrator=orchestrator)) as browser:
        await browser.get("/metrics")
        await orchestrator.run(Flow())
        answer = await browser.get("/metrics")

    assert 1 == of(shown(answer.text), "orchwf_runs_ended_total", workflow="Flow", outcome="completed")


async def test_who_may_scrape(store: Store):
    """Where others can reach the server, who has the token; and nobody by a name that is not that of the server."""
    app = create_app(store, token=TOKEN, hosts=["runs.example.org"])
    async with visitor(app) as browser:
        here = {"Host": "runs.example.org"}
        answers = [
            await browser.get("/metrics", headers=here),
            await browser.get("/metrics", headers={**here, "Authorization": "Bearer wrong-wrong-wrong-wrong"}),
            await browser.get("/metrics", headers={**here, **BEARER}),
            await browser.get("/metrics", headers={**BEARER, "Host": "evil.example"}),
        ]

    assert [401, 401, 200, 421] == [answer.status_code for answer in answers]


async def test_without_the_extra(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The pages are there, and the metrics say what is missing."""
    for name in [each for each in sys.modules if each.startswith("orchwf.metrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    async with visitor(create_app(store)) as browser:
        page, metrics = await browser.get("/"), await browser.get("/metrics")

    assert (200, 501) == (page.status_code, metrics.status_code)
    assert "pip install 'orchwf[telemetry]'" in metrics.text
