"""A dashboard, and somebody who looks at it, for tests."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

import orchwf
from orchwf import Orchestrator, StepContext, signal, step, workflow
from orchwf.dashboard import Dashboard, create_app
from orchwf.ports import Store

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@workflow
class Sales:
    """Add up the sales of a day."""

    day: str = "monday"
    count: int = 3

    @step
    def extract(self) -> list[int]:
        return list(range(self.count))

    @step(retries=1)
    def validate(self, rows: list[int] = extract.result) -> int:
        if self.day == "sunday":
            raise ValueError("closed on sundays")
        return sum(rows)

    @step
    def load(self, total: int = validate.result) -> int:
        return total


@workflow
class Invoice:
    """Waits for a payment."""

    paid = signal(int)

    @step
    def book(self, amount: int = paid.result) -> int:
        return amount


@workflow
class Slow:
    """Ends when it is told to."""

    @step
    async def wait(self, *, ctx: StepContext) -> None:
        import asyncio

        await asyncio.Event().wait()


class Visitor(httpx.AsyncClient):
    """Somebody at a browser: keeps cookies, follows redirects, and sends forms as the pages have them."""

    async def sign_in(self, token: str = TOKEN) -> httpx.Response:
        """Give the token."""
        return await self.post("sign-in", data={"token": token, "next": "/"})

    async def key(self) -> str:
        """What the forms of this session hold."""
        found = re.search(r'name="form_key" value="(\w+)"', (await self.get("")).text)
        return "" if found is None else found[1]

    async def act(self, action: str, **fields: Any) -> httpx.Response:
        """Send a form of a page."""
        return await self.post(f"do/{action}", data={"form_key": await self.key(), "next": "/", **fields})


def visitor(
    app: Dashboard, *, base: str = "http://localhost/", headers: Mapping[str, str] | None = None, root_path: str = ""
) -> Visitor:
    """Somebody who looks at this dashboard, by this address."""
    transport = httpx.ASGITransport(app, root_path=root_path)
    return Visitor(transport=transport, base_url=base, headers=headers, follow_redirects=True)


@asynccontextmanager
async def shown(
    workflows: Sequence[type] = (), *, store: Store | str = "memory:", executes: bool = True, **options: Any
) -> AsyncIterator[tuple[Orchestrator, Visitor]]:
    """An orchestrator, and somebody who has signed in at the dashboard of its store."""
    opened = await orchwf.open_store(store) if isinstance(store, str) else store
    try:
        async with Orchestrator(opened, workflows=workflows) as orchestrator:
            app = create_app(
                opened, orchestrator=orchestrator if executes else None, token=TOKEN,
                workflows=workflows if executes else (), **options,
            )  # fmt: skip
            async with visitor(app) as browser:
                await browser.sign_in()
                yield orchestrator, browser
    finally:
        await opened.close()
