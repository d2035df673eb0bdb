"""The dashboard over PostgreSQL, which tells what is written to it."""

from pathlib import Path

import orchwf
from orchwf import Orchestrator
from orchwf.dashboard import create_app
from tests.dashboard.browsers import TOKEN, Sales, visitor


async def test_pages_and_actions(postgres_url: str, tmp_path: Path):
    """Every page is shown, and what is asked for reaches the store."""
    store = await orchwf.open_store(postgres_url)
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        await (await orchestrator.start(Sales(day="sunday"), "A1", tags={"shop": "eu"})).wait()
        app = create_app(store, orchestrator=orchestrator, workflows=[Sales], token=TOKEN)
        async with visitor(app) as browser:
            await browser.sign_in()
            paths = [
                "/",
                "/?q=status:failed+closed",
                "/run?id=A1",
                "/workflow?name=Sales",
                "/workers",
                "/system?facts=1",
            ]
            answers = [await browser.get(path) for path in [*paths, "/live?of=run&id=A1"]]
            resumed = await browser.act("resume", run="A1")
            await (await orchestrator.get("A1")).wait()
    await store.close()

    assert {answer.status_code for answer in answers} == {200}
    assert "event: over" in answers[-1].text
    assert "1 run resumed." in resumed.text
