"""The dashboard in a real browser: what its script does, what people see, and what a screen reader is told."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
import pytest
import uvicorn

import orchwf
from orchwf import Orchestrator, Queue, make_workflow, step, workflow
from orchwf.core.limits import Limit
from orchwf.core.slots import SlotRequest
from orchwf.dashboard import create_app
from orchwf.ports import Store
from tests.dashboard.browsers import TOKEN, Invoice, Sales

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install chromium libatomic1"),
]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@attrs.define
class Seat:
    """Somebody who has signed in, in a browser; `wrong` is what the browser complained of."""

    orchestrator: Orchestrator
    store: Store
    page: Any
    url: str
    wrong: list[str]

    async def go(self, path: str) -> None:
        """Open a page of the dashboard."""
        await self.page.goto(self.url + path)


@asynccontextmanager
async def seated(workflows: Sequence[type], *, script: bool = True, **look: Any) -> AsyncIterator[Seat]:
    """A dashboard that is served, and somebody at a browser who has signed in."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=workflows, grace=0) as orchestrator:
        app = create_app(store, orchestrator=orchestrator, workflows=workflows, token=TOKEN)
        found = socket.create_server(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[found]))
        url = f"http://localhost:{found.getsockname()[1]}"
        try:
            async with playwright.async_playwright() as player:
                browser = await player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                context = await browser.new_context(java_script_enabled=script, **look)
                page, wrong = await context.new_page(), list[str]()
                page.set_default_timeout(60_000)
                page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
                seat = Seat(orchestrator, store, page, url, wrong)
                await seat.go("/sign-in")
                await page.fill("input[name=token]", TOKEN)
                await page.click("button.main")
                yield seat
                await browser.close()
        finally:
            app.stop()
            server.should_exit = True
            await serving
            found.close()
    await store.close()


async def test_a_run_appears_fails_and_is_resumed():
    """A run appears by itself; its page has the line of the user; Resume is one click; the page follows."""
    async with seated([Sales]) as seat:
        page = seat.page
        await seat.go("/?q=workflow:Sales")
        await page.wait_for_selector("text=No run matches")
        run = await seat.orchestrator.start(Sales(day="sunday"), "A1")
        await run.wait()
        await page.wait_for_selector("a.id >> text=A1")
        await page.click("a.id >> text=A1")
        frame = await page.inner_text(".card.bad")
        await page.click("text=Resume")
        await page.wait_for_selector("text=1 run resumed")
        await run.wait()
        await page.reload()
        query = page.url

    assert "closed on sundays" in frame
    assert 'raise ValueError("closed on sundays")' in frame
    assert query.endswith("/run?id=A1")
    assert seat.wrong == []


async def test_a_signal_is_sent_and_the_page_follows():
    """What is typed into the form reaches the run, and its page shows the end of it without being loaded again."""
    async with seated([Invoice]) as seat:
        page = seat.page
        run = await seat.orchestrator.start(Invoice(), "A1")
        await seat.go("/run?id=A1")
        await page.fill("input[name=payload]", "42")
        await page.click("text=Send")
        result = await run.wait()
        await page.wait_for_selector(".facts .s-completed")

    assert result.outputs["book"] == 42
    assert seat.wrong == []


async def test_what_is_typed_is_never_lost():
    """While somebody types, a page that has changed says so, and leaves the form alone."""
    async with seated([Invoice]) as seat:
        page = seat.page
        run = await seat.orchestrator.start(Invoice(), "A1")
        await seat.go("/run?id=A1")
        await page.fill("input[name=payload]", "42")
        await run.pause("lunch")
        await page.wait_for_selector("#stale:not([hidden])")
        typed = await page.input_value("input[name=payload]")

    assert typed == "42"
    assert seat.wrong == []


async def test_through_time_and_by_the_keyboard():
    """The slider shows the run at an event; keys go to the search, through the rows, and close the drawer."""
    async with seated([Sales]) as seat:
        page = seat.page
        await (await seat.orchestrator.start(Sales(), "A1")).wait()
        await (await seat.orchestrator.start(Sales(), "B2")).wait()
        await seat.go("/")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/run?id=A1")
        await page.focus("input[name=at]")
        await page.keyboard.press("Home")
        await page.wait_for_selector("text=As it was after event 1 of")
        await seat.go("/run?id=A1&step=load")
        await page.keyboard.press("Escape")
        await page.wait_for_selector(".drawer", state="detached")
        await seat.go("/?q=status:failed")
        await page.reload()
        kept = await page.input_value("#q")
        await page.keyboard.press("/")
        focused = await page.evaluate("document.activeElement.id")

    assert (kept, focused) == ("status:failed", "q")
    assert seat.wrong == []


def large() -> type:
    """Steps enough to be drawn as groups."""
    names = [f"part_{number}" for number in range(400)]
    steps = {
        name: step(body, name=name, depends_on=[names[at - 4]] if at >= 4 else []) for at, name in enumerate(names)
    }
    return make_workflow("Large", steps)


@workflow
class Items:
    """Runs once per item."""

    @step
    def make(self) -> list[int]:
        return list(range(250))

    @step(queue=Queue("<b>api</b>", concurrency=3))
    def check(self, number: int = make.each) -> int:
        return number


async def test_in_a_large_graph():
    """A small map shows where one is and leads elsewhere; keys zoom; a group opens, and so do its steps."""
    flow = large()
    async with seated([flow], viewport={"width": 1000, "height": 700}) as seat:
        page = seat.page
        await (await seat.orchestrator.start(flow(), "A1")).wait()
        await seat.go("/run?id=A1")
        boxes = await page.locator(".minimap rect:not(.seen)").count()
        area = await page.locator(".minimap").bounding_box()
        await page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] - 3)
        scrolled = await page.evaluate("document.querySelector('.graph').scrollTop")
        widths = [await page.locator(".graph svg").get_attribute("width")]
        for key in ("+", "-", "0"):
            await page.keyboard.press(key)
            widths.append(await page.locator(".graph svg").get_attribute("width"))
        await page.click("a.group >> nth=1")
        await page.wait_for_selector("nav[aria-label=Groups]")
        await page.click(".graph a >> nth=0")
        await page.wait_for_selector(".drawer")
        inside = await page.locator("nav[aria-label=Groups]").count()

    assert boxes == 24
    assert scrolled > 100
    first, larger, same, all_of_it = map(float, widths)
    assert larger > first
    assert abs(same - first) < 1
    assert all_of_it < first
    assert inside == 1
    assert seat.wrong == []


async def test_pages_by_key():
    """`n` and `p` turn the pages of the items of a step."""
    async with seated([Items]) as seat:
        page = seat.page
        await (await seat.orchestrator.start(Items(), "A1")).wait()
        await seat.go("/run?id=A1&step=check")
        await page.keyboard.press("n")
        await page.wait_for_selector("text=2 of 2")
        await page.keyboard.press("p")
        await page.wait_for_selector("text=1 of 2")

    assert seat.wrong == []


async def test_the_theme_stays():
    """Dark or light is one button, and is there before the page is drawn."""
    async with seated([], color_scheme="light") as seat:
        page = seat.page
        await page.click("#theme")
        await page.click("#theme")
        await page.reload()
        theme = await page.evaluate("document.documentElement.dataset.theme")
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert (theme, ground) == ("dark", "rgb(13, 17, 23)")
    assert seat.wrong == []


async def test_without_a_script():
    """Without JavaScript runs and errors are shown, and forms work."""
    async with seated([Sales], script=False) as seat:
        page = seat.page
        run = await seat.orchestrator.start(Sales(day="sunday"), "A1")
        await run.wait()
        await seat.go("/")
        await page.click("a.id >> text=A1")
        error = await page.inner_text(".card.bad")
        await page.click("text=Resume")
        said = await page.inner_text(".said")

    assert "closed on sundays" in error
    assert said == "1 run resumed."


def body() -> str:
    return "<script>window.evil = 1</script>"


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}}]
)
async def test_nothing_serious_is_found(look: dict[str, Any]):
    """No page keeps anybody out, runs what users wrote, or is wider than the screen; by the rules of axe-core."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="axe is not installed").Axe()
    evil = make_workflow("<img src=x onerror=window.evil=1>", {"a": step(body, name="a")})
    flow = large()
    async with seated([Sales, Invoice, evil, flow, Items], **look) as seat:
        page, found = seat.page, dict[str, list[str]]()
        await (await seat.orchestrator.start(Sales(day="sunday"), "A1")).wait()
        await (await seat.orchestrator.start(evil(), "B2", tags={"<b>": "</b>"})).wait()
        await seat.orchestrator.start(Invoice(), "C3")
        for number in range(45):
            await seat.orchestrator.start(Sales(), f"many-{number}")
        await (await seat.orchestrator.start(flow(), "D4")).wait()
        await (await seat.orchestrator.start(Items(), "E5")).wait()
        limits = [Limit(name='["mutex", "<img src=x onerror=window.evil=1>"]', concurrency=1)]
        asked = SlotRequest(limits=limits, run_id="<b>", step="<script>window.evil=1</script>", attempt=1)
        for owner in ("<i>/1|7|1|a", "there/1|8|1|b"):
            await seat.store.renew(owner, 60)
            await seat.store.take_slots(owner, [asked])
        await seat.orchestrator.schedule(Sales(), cron="30 6 * * *", name="morning")
        tabs = [f"/run?id=A1&tab={tab}&step=validate" for tab in ("graph", "timeline", "steps", "events", "inputs")]
        pages = ["/", *tabs, "/run?id=B2&step=a", "/run?id=C3", "/run?id=A1&at=3", "/workflows", "/workflow?name=Sales"]
        pages += ["/?q=status:failed", "/run?id=D4", "/run?id=D4&group=1", "/run?id=E5&step=check"]
        for path in [*pages, "/schedules", "/workers", "/system?facts=1", "/sign-in", "/run?id=nowhere"]:
            await seat.go(path)
            result = await axe.run(page)
            bad = [each["id"] for each in result.response["violations"] if each["impact"] in ("serious", "critical")]
            width = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            evil_ran = await page.evaluate("window.evil === 1")
            found[path] = [*bad, *(["wide"] if width > 0 else []), *(["evil"] if evil_ran else [])]

    assert {path: bad for path, bad in found.items() if bad} == {}
    assert [each for each in seat.wrong if "404" not in each] == []
